//! Reads JUnit XML of any origin: pytest, nextest, surefire, gradle, gtest, jest, phpunit, ….
//!
//! The dialects differ in where the location is (attribute, message, body) and in what
//! `classname` means; what they share is read here, and the dialects of pytest and nextest are
//! read back into their own ids.

mod case;
mod document;
/// Asks for structure.
pub(crate) fn request(asked: &Asked<'_>) -> Request {
    Request::plain(asked.argv)
}

/// What a rerun begins with.
pub(crate) fn tool(_argv: &[String]) -> Vec<String> {
    Vec::new()
}

impl Adapter for JunitRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        JunitRun::feed(self, stream, bytes)
    }

    fn finish(self: Box<Self>, end: End) -> Report {
        JunitRun::finish(*self, end)
    }
}

#[cfg(test)]
mod tests;

pub(crate) use case::joined;
pub(crate) use case::left;
pub(crate) use case::without_harness;
pub(crate) use document::Dialect;
pub(crate) use document::Document;
pub(crate) use document::Read;

use crate::compose;
use crate::compose::Compose;
use crate::context::Context;
use crate::event::TestEvent;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::report::FailureKind;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::request::Asked;
use crate::request::Request;
use crate::text;
use crate::text::Tail;
use std::collections::BTreeMap;

/// More files than this are not read.
const MOST_FILES: usize = 10_000;

/// A set of JUnit files that is being read.
///
/// Feed each file as [`Stream::File`]; a log that is itself XML may come as [`Stream::Log`].
#[derive(Debug)]
pub struct JunitRun {
    context: Context,
    files: BTreeMap<String, Document>,
    log: Document,
    tail: Tail,
}

impl JunitRun {
    /// Begins to read.
    pub fn new(context: Context) -> Self {
        JunitRun {
            context,
            files: BTreeMap::new(),
            log: Document::default(),
            tail: Tail::default(),
        }
    }

    /// Takes more bytes of one stream; a JUnit file says nothing before its end.
    pub fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        match stream {
            Stream::File(name) => {
                if self.files.len() < MOST_FILES || self.files.contains_key(name) {
                    self.files.entry(name.to_owned()).or_default().feed(bytes);
                }
            }
            Stream::Stderr => self.tail.feed(bytes),
            Stream::Stdout | Stream::Log => {
                self.tail.feed(bytes);
                self.log.feed(bytes);
            }
        }
        Vec::new()
    }

    /// The report of all files together.
    pub fn finish(mut self, end: End) -> Report {
        let mut compose = Compose::new();
        if self.log.is_xml() {
            self.files
                .insert("log".to_owned(), std::mem::take(&mut self.log));
        }
        if self.files.is_empty() {
            compose.incomplete(
                Note::new("no_report", "there is no JUnit file")
                    .remedy("give it with `--report FILE`"),
            );
        }
        for (name, document) in &self.files {
            let read = document.read(&self.context);
            add(&mut compose, &read, name);
        }
        settle_exit(&mut compose, &end, &self.tail, "command");
        compose.finish("junit", Source::Report, &end)
    }
}

/// Adds what one document says.
pub(crate) fn add(compose: &mut Compose, read: &Read, name: &str) {
    compose.counts.passed += read.passed;
    compose.counts.skipped += read.skipped;
    for failure in &read.failures {
        if failure.kind == FailureKind::CollectionError {
            compose.failure(failure.clone());
        } else {
            compose.failed(failure.clone());
        }
    }
    // A test whose body and teardown failed is one failed test.
    compose.counts.failed = compose.counts.failed.saturating_sub(read.doubles);
    for fault in &read.faults {
        compose.incomplete(Note::new(
            "report_unreadable",
            format!("`{}`: {fault}", text::one_line(name)),
        ));
    }
}

/// The exit status may raise the outcome, never lower it.
pub(crate) fn settle_exit(compose: &mut Compose, end: &End, tail: &Tail, id: &str) {
    let Some(exit) = end.exit else {
        return;
    };
    if exit.timed_out || exit.oom || end.interrupted {
        return;
    }
    if let Some(signal) = exit.signal {
        let outside = [1, 2, 15].contains(&signal);
        compose.outcome(if outside {
            Outcome::Interrupted
        } else {
            Outcome::Crashed
        });
        compose.incomplete(Note::new(
            "signal",
            format!("the command was ended by {}", compose::signal_name(signal)),
        ));
        return;
    }
    let code = exit.code.unwrap_or(0);
    if code != 0 && !compose.has_fault() {
        let last = tail.lines(30);
        let said = last
            .last()
            .map(|line| format!(": {line}"))
            .unwrap_or_default();
        let message = format!("exited with status {code} although no test failed{said}");
        let mut failure = compose::failure(id, FailureKind::ExitNonzero, Phase::Session, message);
        failure.kind_sure = false;
        failure.details = text::block(&last.join("\n"), text::DETAILS);
        compose.failure(compose::seal(failure));
        compose.complete = false;
    } else if code == 0 && compose.has_fault() {
        let message = "the command exited with status 0 although something failed";
        compose.note(Note::new("exit_disagrees", message));
    }
}
