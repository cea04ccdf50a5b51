//! The events of regreen's own reporters: one protocol for every framework that has one.
//!
//! A reporter writes one JSON record a line, each written whole, to a file of its own that only
//! it knows (`REGREEN_EVENTS`, taken out of the environment as soon as the file is open, so
//! that child processes do not inherit it). Every record has `n`, counted from 0, and `k`:
//!
//! | `k` | means | has |
//! |---|---|---|
//! | `session` | the first | `version` (1), `runner` (`jest 29.7.0`), `cwd` |
//! | `listed` | so many more tests will run, where that is known beforehand | `total` |
//! | `unlisted` | so many of them will not run after all (their fixture failed or was skipped, the runner stopped) | `total`, `why` |
//! | `open`, `close` | a file is taken up, is done with | `file` |
//! | `start` | a test begins | `t` (a number of its own), `id`, `file`, `path` (titles, outermost first), `at` |
//! | `pass` | it passed | `t`, `ms` |
//! | `skip` | it did not run, or failed as expected | `t`, or `id` and `file` where it never began; `why`, `ms` |
//! | `group` | it has tests of its own, and is none itself | `t` |
//! | `retry` | it failed and is run again; what was told of it as `open` does not count | `t` |
//! | `fail` | something failed | `t` where it was a test, `id` (besides `t`: of a hook that ran for it), `file`, `path`, `phase`, `kind`, `error`, `at`, `out`, `err`, `ms`; `open`: true where the test is not over by this; `late`: true where it had passed |
//! | `end` | a test that failed before is over | `t`, `ms` |
//! | `note` | a fact about the run | `code`, `message`, `remedy` |
//! | `warning` | a diagnostic | `message`, `file`, `line`, `code` |
//! | `finish` | the last | `records` (how many came before), `passed`, `failed`, `skipped`, `status` where the reporter knows it |
//!
//! `path` is what a rerun is made of; where a runner selects by other names than the titles,
//! these. `file` is absolute or relative to the session's `cwd`; `at` is `[file, line, column]` of the
//! definition. `error` is an object with `name`, `message`, `stack` (the runtime's own text) or
//! `frames` (`[file, line, column, function]`, innermost first), `expected`/`actual` or
//! `left`/`right` as text, `code`, and `cause`, an error again. A failure may have the framework's
//! own word for it (`type`) and the exit status of the process that held it (`exit`).

mod failure;
mod record;
mod session;
mod settle;

pub(crate) use record::Error;
pub(crate) use record::Failed;
pub(crate) use settle::how;

use crate::compose;
use crate::context::Context;
use crate::event::TestEvent;
use crate::lines::Line;
use crate::lines::Lines;
use crate::records::record::Number;
use crate::records::record::Record;
use crate::records::session::Result;
use crate::records::session::Session;
use crate::report::Counts;
use crate::report::Diagnostic;
use crate::report::Failure;
use crate::report::Frame;
use crate::report::Location;
use crate::report::Note;
use std::fmt;

/// The environment variable that names a reporter's file.
pub const EVENTS_VARIABLE: &str = "REGREEN_EVENTS";
/// The usual name of a reporter's file in the events directory.
pub const EVENTS_FILE: &str = "regreen.ndjson";

/// More failures than this are not kept.
const MOST_FAILURES: usize = 2_000;
/// A longer id is nobody's.
const MOST_ID: usize = 64 * 1024;
/// More warnings or notes than this are not kept.
const MOST_REMARKS: usize = 200;

/// A test as its framework names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Named {
    /// Its id.
    pub id: String,
    /// Its file, relative to the project's root.
    pub file: String,
    /// Its titles, outermost first.
    pub path: Vec<String>,
}

/// What differs from framework to framework.
pub(crate) trait Dialect: fmt::Debug + Send {
    /// The framework's name in reports.
    fn framework(&self) -> &'static str;

    /// The argv that runs one test again from the project's root.
    fn rerun(&self, context: &Context, test: &Named) -> Vec<String>;

    /// The frames of a stack's text, innermost first, files as they are printed.
    fn frames(&self, _stack: &str) -> Vec<Frame> {
        Vec::new()
    }

    /// The columns that belong to [`Dialect::frames`], where the text has them.
    fn columns(&self, _stack: &str) -> Vec<Option<u32>> {
        Vec::new()
    }

    /// Whether a frame of a file, already relative, belongs to the user.
    fn is_user(&self, context: &Context, file: &str) -> bool {
        context.is_user(file)
    }

    /// What only this framework knows of a failure; it is otherwise ready.
    fn refine(&self, _failure: &mut Failure, _record: &Failed, _context: &Context) {}

    /// Whether an exit status agrees with what the tests came to.
    fn agrees(&self, status: i32, failed: bool) -> bool {
        (status != 0) == failed
    }
}

/// The records of one run as they are read.
#[derive(Debug)]
pub(crate) struct Records {
    /// The run's surroundings.
    pub context: Context,
    dialect: Box<dyn Dialect>,
    lines: Lines,
    session: Session,
    cwd: String,
    failures: Vec<Failure>,
    /// The test of each failure that is not settled yet: it may be run again.
    unsettled: Vec<(u64, usize)>,
    more_failures: u64,
    notes: Vec<Note>,
    warnings: Vec<Diagnostic>,
    counts: Counts,
}

impl Records {
    /// Begins to read.
    pub fn new(context: Context, dialect: Box<dyn Dialect>) -> Self {
        Records {
            cwd: context.dir.clone(),
            context,
            dialect,
            lines: Lines::default(),
            session: Session::default(),
            failures: Vec::new(),
            unsettled: Vec::new(),
            more_failures: 0,
            notes: Vec::new(),
            warnings: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Whether the reporter's first record came.
    pub fn began(&self) -> bool {
        self.session.began
    }

    /// Whether its last record came.
    pub fn finished(&self) -> bool {
        self.session.finished
    }

    /// The failures so far.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Takes more bytes of the reporter's file; says what became known by them.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<TestEvent> {
        let mut events = Vec::new();
        for line in self.lines.feed(bytes) {
            self.record(&line, &mut events);
        }
        events
    }

    /// The rest of the file, where its last line has no end.
    fn close(&mut self) {
        if let Some(line) = self.lines.finish() {
            self.record(&line, &mut Vec::new());
        }
    }

    fn record(&mut self, line: &Line, events: &mut Vec<TestEvent>) {
        let number = serde_json::from_slice::<Number>(&line.bytes);
        let record = serde_json::from_slice::<Record>(&line.bytes);
        let (Ok(number), Ok(record)) = (number, record) else {
            self.session.unreadable();
            return;
        };
        if line.unfinished || line.cut() || record.id().len() > MOST_ID {
            self.session.unreadable();
            if record.id().len() > MOST_ID {
                return;
            }
        }
        self.session.number(number.n);
        self.take(record, events);
    }

    fn take(&mut self, record: Record, events: &mut Vec<TestEvent>) {
        match record {
            Record::Session {
                version,
                runner,
                cwd,
            } => {
                self.session.begin(version, runner);
                let cwd = self.context.relative_from("", &cwd);
                if !cwd.starts_with('/') {
                    self.cwd = cwd;
                }
            }
            Record::Listed { total } => {
                let total = self.session.listed(total);
                events.push(TestEvent::Planned { total });
            }
            Record::Unlisted { total, why } => {
                self.session.unlisted(total);
                if !why.is_empty() {
                    let message = format!("{total} tests did not run: {why}");
                    self.note("not_run".to_owned(), &message, None);
                }
            }
            Record::Open { file } => {
                let file = self.file(&file);
                self.session.open(&file);
            }
            Record::Close { file } => {
                let file = self.file(&file);
                self.session.close(&file);
            }
            Record::Start { t, id, file, path } => {
                let test = Named {
                    id,
                    file: self.file(&file),
                    path,
                };
                let (target, id) = (target(&test), test.id.clone());
                self.session.start(t, test);
                events.push(TestEvent::Started { target, id });
            }
            Record::Pass { t, .. } => self.over(t, Result::Passed, events),
            Record::End { t, .. } => self.over(t, Result::Failed, events),
            Record::Skip { t: Some(t), .. } => self.over(t, Result::Skipped, events),
            Record::Skip {
                t: None, id, file, ..
            } => {
                self.session.never_began(Result::Skipped);
                let file = self.file(&file);
                self.counted(Result::Skipped, Some(file), id, events);
            }
            Record::Retry { t } => self.retry(t),
            Record::Group { t } => self.session.group(t),
            Record::Fail(failed) => self.fail(*failed, events),
            Record::Note {
                code,
                message,
                remedy,
            } => self.note(code, &message, remedy),
            Record::Warning {
                message,
                file,
                line,
                code,
            } => self.warning(&message, &file, line, code),
            Record::Finish(finish) => self.session.finish(&finish),
            Record::Other => self.session.must_have_begun(),
        }
    }

    fn fail(&mut self, record: Failed, events: &mut Vec<TestEvent>) {
        let test = self.named(&record);
        let failure = self.failure(&record, &test);
        events.push(TestEvent::Failed(Box::new(failure.clone())));
        if self.failures.len() < MOST_FAILURES {
            let number = self.failures.len();
            self.failures.push(compose::slim(failure, number));
            if let Some(t) = record.t.filter(|_| record.open) {
                self.unsettled.push((t, number));
            }
        } else {
            self.more_failures += 1;
        }
        match record.t {
            Some(t) if record.late => {
                self.session.late(t);
                self.counts.passed = self.counts.passed.saturating_sub(1);
                self.counts.failed += 1;
                self.tell_counts(events);
            }
            Some(t) if record.open => self.session.failed(t),
            Some(t) => self.over(t, Result::Failed, events),
            None => {
                self.session.never_began(Result::Failed);
                self.counts.failed += 1;
                self.tell_counts(events);
            }
        }
    }

    /// A test is run again: what failed of it so far does not count.
    fn retry(&mut self, t: u64) {
        self.session.retry(t);
        let (of_test, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.unsettled)
            .into_iter()
            .partition(|(owner, _)| *owner == t);
        self.unsettled = others;
        for (_, at) in of_test.into_iter().rev() {
            self.failures.remove(at);
            for (_, other) in &mut self.unsettled {
                *other -= usize::from(*other > at);
            }
        }
    }

    /// Whom a failure is about. One that has a test's number and an id besides is that of a hook
    /// that ran for the test; a file stands for itself.
    fn named(&self, record: &Failed) -> Named {
        let file = self.file(&record.file);
        let known = record.t.and_then(|t| self.session.test(t)).cloned();
        let mut test = known.unwrap_or_else(|| Named {
            path: record.path.clone(),
            file: file.clone(),
            ..Named::default()
        });
        if !record.path.is_empty() {
            test.path.clone_from(&record.path);
        }
        if !record.id.is_empty() {
            test.id.clone_from(&record.id);
            if record.id == record.file {
                test.id = file;
            }
        }
        test
    }

    fn over(&mut self, t: u64, result: Result, events: &mut Vec<TestEvent>) {
        self.unsettled.retain(|(owner, _)| *owner != t);
        if let Some((test, result)) = self.session.over(t, result) {
            self.counted(result, target(&test), test.id, events);
        }
    }

    fn counted(
        &mut self,
        result: Result,
        target: Option<String>,
        id: String,
        events: &mut Vec<TestEvent>,
    ) {
        match result {
            Result::Passed => {
                self.counts.passed += 1;
                events.push(TestEvent::Passed { target, id });
            }
            Result::Skipped => {
                self.counts.skipped += 1;
                events.push(TestEvent::Skipped { target, id });
            }
            Result::Failed => self.counts.failed += 1,
        }
        self.tell_counts(events);
    }

    fn tell_counts(&mut self, events: &mut Vec<TestEvent>) {
        self.counts.total = self.counts.passed + self.counts.failed + self.counts.skipped;
        events.push(TestEvent::Counts(self.counts));
    }

    fn note(&mut self, code: String, message: &str, remedy: Option<String>) {
        if self.notes.len() < MOST_REMARKS {
            let mut note = Note::new(code, crate::text::one_line(message));
            note.remedy = remedy;
            self.notes.push(note);
        }
    }

    fn warning(&mut self, message: &str, file: &str, line: Option<u32>, code: Option<String>) {
        if self.warnings.len() < MOST_REMARKS {
            let location = (!file.is_empty()).then(|| Location {
                file: self.file(file),
                line,
                column: None,
            });
            self.warnings.push(Diagnostic {
                level: "warning".to_owned(),
                code,
                message: crate::text::one_line(message),
                location,
            });
        }
    }

    /// A path as the reporter names it, relative to the project's root.
    fn file(&self, file: &str) -> String {
        let file = file.strip_prefix("file://").unwrap_or(file);
        if file.is_empty() {
            return String::new();
        }
        if file.starts_with("node:") {
            return file.to_owned();
        }
        self.context.relative_from(&self.cwd, file)
    }
}

fn target(test: &Named) -> Option<String> {
    (!test.file.is_empty() && test.file != test.id).then(|| test.file.clone())
}

#[cfg(test)]
mod tests;
