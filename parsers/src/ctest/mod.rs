//! Reads CTest: its text (default, `-V`, `--output-on-failure`, parallel, repeated), its JUnit
//! file, `LastTest.log`, the build before it, and GoogleTest's files of its tests.
//!
//! A test that runs a GoogleTest binary is told by what failed in it: the id is then
//! `Suite.Name`, the target CTest's own name (or the binary, where CTest's name is the test's).
//! Any other failed test has CTest's name as its id. CTest does not say how a test exited: a
//! test that failed without a word is `exit_nonzero`, not for sure, unless its
//! `CTestTestfile.cmake` can be read and says that it was to fail. A test that cannot run for
//! want of its program is a collection error; one whose fixture failed is a set-up error.
//! A rerun selects by name (`ctest -R '^name$'`); two directories may have one name each.

mod ask;
mod explain;
mod file;
mod line;
mod other;
mod output;
mod pool;
mod properties;
mod session;
mod settle;

pub(crate) use ask::request;
pub(crate) use ask::tool;

use crate::cc;
use crate::context::Context;
use crate::ctest::session::Session;
use crate::event::TestEvent;
use crate::gtest::document::Document;
use crate::lines::Lines;
use crate::lines::Seen;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::report::Report;
use crate::text::Tail;
use std::collections::BTreeMap;

/// More files than this are not read.
const MOST_FILES: usize = 20_000;
/// More runs of CTest in one log than this are not told apart.
const MOST_SESSIONS: usize = 1_000;

/// Begins to read a run.
pub(crate) fn open(context: Context) -> Box<dyn Adapter> {
    Box::new(CtestRun {
        context,
        lines: Lines::default(),
        error_lines: Lines::default(),
        sessions: vec![Session::default()],
        errors: Session::default(),
        build: cc::Reader::default(),
        build_errors: cc::Reader::default(),
        files: BTreeMap::new(),
        log: Whole::default(),
        tail: Tail::default(),
        error_tail: Tail::default(),
        unknown_argument: None,
        pasted: false,
        required: None,
    })
}

/// A run of CTest that is being read.
#[derive(Debug)]
struct CtestRun {
    context: Context,
    lines: Lines,
    error_lines: Lines,
    /// The runs of CTest in the log.
    sessions: Vec<Session>,
    /// What CTest says on standard error alone.
    errors: Session,
    build: cc::Reader,
    build_errors: cc::Reader,
    files: BTreeMap<String, Document>,
    log: Whole,
    tail: Tail,
    error_tail: Tail,
    unknown_argument: Option<String>,
    /// A log was given, perhaps an empty one: report files may be all there is.
    pasted: bool,
    /// What a test could not run for; CTest does not name the test there.
    required: Option<String>,
}

/// A file that somebody gives as the log.
#[derive(Debug, Default)]
struct Whole {
    document: Document,
    decided: bool,
    is_file: bool,
}

impl Whole {
    fn feed(&mut self, bytes: &[u8]) {
        if self.decided && !self.is_file {
            return;
        }
        self.document.feed(bytes);
        if !self.decided {
            let kept = self.document.bytes();
            let start = kept.iter().position(|byte| !byte.is_ascii_whitespace());
            let kept = start.map_or(&[][..], |at| &kept[at..]);
            const LAST: &[u8] = b"Start testing: ";
            if kept.is_empty() || (kept.len() < LAST.len() && LAST.starts_with(kept)) {
                return;
            }
            self.decided = true;
            self.is_file = kept[0] == b'<' || kept.starts_with(LAST);
            if !self.is_file {
                self.document = Document::default();
            }
        }
    }
}

impl CtestRun {
    fn output(&mut self, bytes: &[u8]) -> Vec<TestEvent> {
        self.log.feed(bytes);
        self.tail.feed(bytes);
        let mut events = Vec::new();
        if self.log.is_file {
            return events;
        }
        let mut lines = std::mem::take(&mut self.lines);
        lines.each(bytes, |seen| self.line(&seen, &mut events));
        self.lines = lines;
        events
    }

    fn line(&mut self, seen: &Seen<'_>, events: &mut Vec<TestEvent>) {
        if seen.bytes.starts_with(b"Test project ")
            && self.sessions.last().is_some_and(Session::is_over)
            && self.sessions.len() < MOST_SESSIONS
        {
            self.sessions.push(Session::default());
        }
        let Some(session) = self.sessions.last_mut() else {
            return;
        };
        session.line(seen, events);
        if !session.began() {
            self.before(seen);
        }
    }

    /// What comes before the first test: the build.
    fn before(&mut self, seen: &Seen<'_>) {
        self.unknown(seen);
        if self.sessions.len() == 1 {
            self.build.line(seen, &self.context);
        }
    }

    fn unknown(&mut self, seen: &Seen<'_>) {
        let words: [&[u8]; 4] = [
            b"Failed to change working directory to ",
            b"CMake Error: Unknown argument",
            b"Unknown argument",
            b"CMake Error: Unrecognized",
        ];
        if self.unknown_argument.is_none()
            && words.iter().any(|words| seen.bytes.starts_with(words))
        {
            self.unknown_argument = Some(crate::text::one_line(&seen.shown()));
        }
    }

    fn errors(&mut self, bytes: &[u8]) {
        self.error_tail.feed(bytes);
        let mut lines = std::mem::take(&mut self.error_lines);
        lines.each(bytes, |seen| self.error_line(&seen));
        self.error_lines = lines;
    }

    /// Tests write to CTest, so whatever comes here is said by the build or by CTest itself.
    fn error_line(&mut self, seen: &Seen<'_>) {
        self.unknown(seen);
        if seen.bytes.starts_with(b"No tests were found!!!") {
            self.errors.nothing = true;
        } else if seen.bytes.starts_with(b"Unable to find required file: ") {
            let other = self.required.is_some();
            let words = "Unable to find a required file".to_owned();
            self.required = Some(match other {
                true => words,
                false => crate::text::one_line(&seen.shown()),
            });
        } else if !seen.bytes.starts_with(b"Unable to find ") {
            self.build_errors.line(seen, &self.context);
        }
    }
}

impl Adapter for CtestRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        match stream {
            Stream::File(name) => {
                if self.files.len() < MOST_FILES || self.files.contains_key(name) {
                    self.files.entry(name.to_owned()).or_default().feed(bytes);
                }
                Vec::new()
            }
            Stream::Stderr => {
                self.errors(bytes);
                Vec::new()
            }
            Stream::Stdout => self.output(bytes),
            Stream::Log => {
                self.pasted = true;
                self.output(bytes)
            }
        }
    }

    fn finish(mut self: Box<Self>, end: End) -> Report {
        if let Some(rest) = self.lines.finish()
            && !self.log.is_file
        {
            self.line(&rest.seen(), &mut Vec::new());
        }
        if let Some(rest) = self.error_lines.finish() {
            self.error_line(&rest.seen());
        }
        settle::report(*self, &end)
    }
}

#[cfg(test)]
mod tests;
