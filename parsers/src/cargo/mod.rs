//! Reads `cargo test`: compiler messages, the runner shim's files, rustdoc's and cargo's text.
//!
//! # The files of the runner shim
//!
//! `cargo test --message-format=json` starts every test binary through a runner
//! (`CARGO_TARGET_<triple>_RUNNER`). Regreen's runner, the *shim*, writes three files for each
//! binary that it starts into one directory. Their stem is any unique word without a dot (the
//! shim's process id, say); what counts is the ending:
//!
//! | file | content |
//! |---|---|
//! | `STEM.list` | what `BINARY ARGS --list --format terse` printed to standard output, byte for byte; written whole before `STEM.events` appears; only for Rust's own harness |
//! | `STEM.events` | header line, then the binary's standard output byte for byte, then the end line |
//! | `STEM.stderr` | the binary's standard error, byte for byte (a copy; may be absent) |
//!
//! The header is one line of JSON, see [`shim::Header`]:
//!
//! ```json
//! {"regreen":"target","version":1,"binary":"/p/target/debug/deps/demo-8348","package":"demo",
//!  "manifest_dir":"/p","args":["--exact","tests::a"],"pid":17,"harness":"libtest","listed":true}
//! ```
//!
//! (on one line). `binary` is written exactly as cargo passed it: it is matched with the
//! `executable` of cargo's own messages, which names target and kind. `harness` is `libtest` or
//! `custom` (a `harness = false` target: run without any added argument and judged by its exit
//! status). Rust's own harness is recognised in the binary by the bytes `__RUST_TEST_INVOKE`,
//! and is started as `RUSTC_BOOTSTRAP=1 BINARY ARGS -Zunstable-options --format json
//! --report-time`.
//!
//! The end line follows a line feed that the shim always adds, see [`shim::Trailer`]:
//!
//! ```json
//! {"regreen":"end","code":101,"signal":null,"stdout_bytes":1234,"duration_ms":12}
//! ```
//!
//! `stdout_bytes` counts what lies between the header's line feed and the added one. A process
//! that writes a forged end line into its output is found by this count and by what follows it.
//!
//! Since cargo 1.89 doctests are started through the runner too (a binary named `rust_out` in a
//! temporary directory). The shim writes nothing for these: it sets
//! `RUSTDOC_DOCTEST_BIN_PATH=BINARY` (which rustdoc does itself only without a runner; without
//! it all merged doctests share one process) and executes the binary. Their results are read
//! from rustdoc's text on cargo's standard output.

pub mod shim;

use crate::compose::Compose;
use crate::context::Context;
use crate::event::TestEvent;
use crate::live::End;
use crate::live::Stream;
use crate::report::Note;
use crate::report::Report;
use crate::report::Source;

/// A run of `cargo test` (or of one test binary) that is being read.
///
/// Feed cargo's standard output as [`Stream::Stdout`], its standard error as
/// [`Stream::Stderr`], and every file of the shim as [`Stream::File`] with its name.
#[derive(Debug)]
pub struct CargoRun {
    context: Context,
    framework: &'static str,
}

impl CargoRun {
    /// Begins to read a run of `cargo test`.
    pub fn new(context: Context) -> Self {
        CargoRun {
            context,
            framework: "cargo",
        }
    }

    /// Begins to read the output of one test binary.
    pub fn libtest(context: Context) -> Self {
        CargoRun {
            context,
            framework: "libtest",
        }
    }

    /// Takes more bytes of one stream; says what became known by them.
    pub fn feed(&mut self, _stream: Stream<'_>, _bytes: &[u8]) -> Vec<TestEvent> {
        Vec::new()
    }

    /// The report of the whole run.
    pub fn finish(self, end: End) -> Report {
        let mut compose = Compose::new(self.context);
        compose.incomplete(Note::new("unread", "this format is not read yet"));
        compose.finish(self.framework, Source::Events, &end)
    }
}
