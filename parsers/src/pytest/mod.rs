//! Reads pytest: regreen's reporter, JUnit files, text.
//!
//! # The reporter
//!
//! [`REPORTER`] is a pytest plugin (python >= 3.8, pytest >= 6) in one file. It is put into a
//! directory under the name [`REPORTER_NAME`]`.py` and loaded without touching the project:
//!
//! ```text
//! PYTHONPATH=DIR  PYTEST_ADDOPTS="-p regreen_pytest"  REGREEN_EVENTS=FILE  python -m pytest ...
//! ```
//!
//! It writes one JSON record a line to FILE (feed it as [`Stream::File`] with a name that ends
//! in `.ndjson`), never to standard output. Each record has `n`, counted from 0, and `k`, its
//! kind: `session` first, `collected` with the list of ids, `start`, `report`, `collect_error`,
//! `conftest_error`, `internal_error`, `warning`, and `finish` with pytest's exit status last.
//! With xdist only the controller writes. The variable is taken out of the environment when the
//! file is open, so that child processes do not inherit it.

use crate::compose::Compose;
use crate::context::Context;
use crate::event::TestEvent;
use crate::live::End;
use crate::live::Stream;
use crate::report::Note;
use crate::report::Report;
use crate::report::Source;

/// The reporter plugin's source.
pub const REPORTER: &str = include_str!("../../reporters/regreen_pytest.py");
/// The reporter's module name (`-p regreen_pytest`).
pub const REPORTER_NAME: &str = "regreen_pytest";
/// The environment variable that names the reporter's file.
pub const EVENTS_VARIABLE: &str = "REGREEN_EVENTS";

/// A run of pytest that is being read.
///
/// Feed pytest's output as [`Stream::Stdout`] and [`Stream::Stderr`], the reporter's file as
/// [`Stream::File`].
#[derive(Debug)]
pub struct PytestRun {
    context: Context,
}

impl PytestRun {
    /// Begins to read a run.
    pub fn new(context: Context) -> Self {
        PytestRun { context }
    }

    /// Takes more bytes of one stream; says what became known by them.
    pub fn feed(&mut self, _stream: Stream<'_>, _bytes: &[u8]) -> Vec<TestEvent> {
        Vec::new()
    }

    /// The report of the whole run.
    pub fn finish(self, end: End) -> Report {
        let mut compose = Compose::new(self.context);
        compose.incomplete(Note::new("unread", "this format is not read yet"));
        compose.finish("pytest", Source::Text, &end)
    }
}
