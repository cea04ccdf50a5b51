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
//! kind: `session` first, `deselected` with a number, `collected` with the list of ids, `start`, `report` (one phase of a
//! test), `pass` (all three at once), `collect_error`, `conftest_error`, `internal_error`,
//! `warning`, `ending` with pytest's exit status, and `finish` last.
//! With xdist only the controller writes. `--lf` and `--stepwise` (of a project's `addopts`, say)
//! are switched off: which tests run would depend on the run before. The variable is taken out of the environment when the
//! file is open, so that child processes do not inherit it.

mod block;
mod failure;
mod finish;
mod finish_file;
mod finish_text;
mod last;
mod place;
mod progress;
mod record;
mod saved;
mod session;
mod stock;
mod summary;
mod text;

pub(crate) use failure::last_error;
pub(crate) use finish::syntax_place;
pub(crate) use place::Place;

use crate::compose;
use crate::context::Context;
use crate::event::TestEvent;
use crate::junit::Document;
use crate::lines::Line;
use crate::lines::Lines;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::pytest::record::Number;
use crate::pytest::record::PhaseReport;
use crate::pytest::record::Record;
use crate::pytest::saved::Inline;
use crate::pytest::saved::Saved;
use crate::pytest::session::Session;
use crate::pytest::session::Step;
use crate::report::Counts;
use crate::report::Diagnostic;
use crate::report::Failure;
use crate::report::Location;
use crate::report::Phase;
use crate::report::Report;
use crate::text::Tail;
use std::collections::BTreeMap;

/// The reporter plugin's source.
pub const REPORTER: &str = concat!(
    include_str!("../../reporters/regreen_pytest.py"),
    "\n\n_LATER = r'''",
    include_str!("../../reporters/regreen_pytest_failures.py"),
    "'''\n",
);
/// The reporter's module name (`-p regreen_pytest`).
pub const REPORTER_NAME: &str = "regreen_pytest";
/// The environment variable that names the reporter's file.
pub const EVENTS_VARIABLE: &str = "REGREEN_EVENTS";

/// More failures than this are not kept.
const MOST_FAILURES: usize = 2_000;
/// More report files than this are not read.
const MOST_FILES: usize = 500;
/// A longer id is nobody's.
const MOST_ID: usize = 64 * 1024;
/// More warnings than this are not kept.
const MOST_WARNINGS: usize = 200;

/// A run of pytest that is being read.
///
/// Feed pytest's output as [`Stream::Stdout`] and [`Stream::Stderr`], the reporter's file as
/// [`Stream::File`].
#[derive(Debug)]
pub struct PytestRun {
    place: Place,
    events: Lines,
    fed: bool,
    live: bool,
    session: Session,
    failures: Vec<Failure>,
    more_failures: u64,
    collect_errors: Vec<Failure>,
    internal: Option<Failure>,
    warnings: Vec<Diagnostic>,
    output: Lines,
    errors: Lines,
    text: text::Reader,
    error_text: text::Reader,
    tail: Tail,
    error_tail: Tail,
    xml: BTreeMap<String, Document>,
    files: BTreeMap<String, Saved>,
    inline: Inline,
    counts: Counts,
}

impl PytestRun {
    /// Begins to read a run.
    pub fn new(context: Context) -> Self {
        PytestRun {
            place: Place::new(context),
            events: Lines::default(),
            fed: false,
            live: false,
            session: Session::default(),
            failures: Vec::new(),
            more_failures: 0,
            collect_errors: Vec::new(),
            internal: None,
            warnings: Vec::new(),
            output: Lines::default(),
            errors: Lines::default(),
            text: text::Reader::default(),
            error_text: text::Reader::default(),
            tail: Tail::default(),
            error_tail: Tail::default(),
            xml: BTreeMap::new(),
            files: BTreeMap::new(),
            inline: Inline::default(),
            counts: Counts::default(),
        }
    }

    /// Takes more bytes of one stream; says what became known by them.
    pub fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        let mut events = Vec::new();
        match stream {
            Stream::File(name) if name.ends_with(".xml") => {
                if self.xml.len() < MOST_FILES || self.xml.contains_key(name) {
                    self.xml.entry(name.to_owned()).or_default().feed(bytes);
                }
            }
            Stream::File(name) => self.file(name, bytes, &mut events),
            Stream::Stderr => {
                self.live = true;
                self.error_tail.feed(bytes);
                let reader = &mut self.error_text;
                self.errors.each(bytes, |line| reader.line(line));
            }
            Stream::Stdout | Stream::Log => {
                self.live |= stream == Stream::Stdout;
                self.tail.feed(bytes);
                let (reader, inline) = (&mut self.text, &mut self.inline);
                self.output.each(bytes, |line| {
                    if !inline.take(line) {
                        reader.line(line);
                    }
                });
            }
        }
        events
    }

    /// The reporter's file, or one of a plugin: the beginning tells which.
    fn file(&mut self, name: &str, bytes: &[u8], events: &mut Vec<TestEvent>) {
        if self.files.len() >= MOST_FILES && !self.files.contains_key(name) {
            return;
        }
        let file = self.files.entry(name.to_owned()).or_default();
        if matches!(file, Saved::Unknown(_)) {
            file.recognise(name, bytes);
        } else {
            file.feed(bytes);
        }
        if let Saved::Events(waiting) = file {
            let waiting = std::mem::take(waiting);
            self.fed = true;
            for line in self.events.feed(&waiting) {
                self.record(&line, events);
            }
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
        self.session.take(&record);
        match record {
            Record::Config { rootdir, .. } => self.place.set_rootdir(&rootdir),
            Record::Collected { total, .. } => events.push(TestEvent::Planned { total }),
            Record::Start { id } => {
                self.session.start(&id);
                events.push(TestEvent::Started { target: None, id });
            }
            Record::Pass { id, ms } => {
                for (when, ms) in ["setup", "call", "teardown"].into_iter().zip(ms) {
                    let report = PhaseReport {
                        id: id.clone(),
                        when: when.to_owned(),
                        outcome: "passed".to_owned(),
                        ms,
                        ..PhaseReport::default()
                    };
                    self.report(&report, events);
                }
            }
            Record::Report(report) => self.report(&report, events),
            Record::CollectError {
                id,
                errors,
                details,
            } => {
                let errors = errors.unwrap_or_default();
                let failure = failure::collection(&id, &errors, &details, &self.place);
                self.collect_error(failure, events);
            }
            Record::ConftestError { path, error } => {
                let file = self.place.context.relative_from("", &path);
                let mut failure = failure::collection(&file, &[error], "", &self.place);
                failure.rerun = self.place.rerun_all();
                self.collect_error(failure, events);
            }
            Record::InternalError { error, details } => self.internal_error(error, &details),
            Record::Warning {
                category,
                message,
                file,
                line,
            } => self.warning(category, &message, &file, line),
            Record::Session { .. }
            | Record::Deselected { .. }
            | Record::Interrupt { .. }
            | Record::Ending { .. }
            | Record::Finish { .. }
            | Record::Other => {}
        }
    }

    fn report(&mut self, report: &PhaseReport, events: &mut Vec<TestEvent>) {
        let step = self.session.report(report);
        let (failed, over) = match step {
            Step::Nothing => (false, None),
            Step::Failed => (true, None),
            Step::Over(result) => (false, Some(result)),
            Step::FailedAndOver => (true, Some(session::Result::Failed)),
        };
        if failed {
            let failure = failure::of(report, &self.place);
            events.push(TestEvent::Failed(Box::new(failure.clone())));
            if self.failures.len() < MOST_FAILURES {
                let number = self.failures.len();
                self.failures.push(compose::slim(failure, number));
            } else {
                self.more_failures += 1;
            }
        }
        let Some(result) = over else {
            return;
        };
        let id = report.id.clone();
        match result {
            session::Result::Passed => {
                self.counts.passed += 1;
                events.push(TestEvent::Passed { target: None, id });
            }
            session::Result::Skipped => {
                self.counts.skipped += 1;
                events.push(TestEvent::Skipped { target: None, id });
            }
            session::Result::Failed => self.counts.failed += 1,
        }
        self.counts.total = self.counts.passed + self.counts.failed + self.counts.skipped;
        events.push(TestEvent::Counts(self.counts));
    }

    fn collect_error(&mut self, failure: Failure, events: &mut Vec<TestEvent>) {
        // Under xdist every worker says the same.
        let same = |known: &Failure| known.id == failure.id && known.message == failure.message;
        if self.collect_errors.iter().any(same) || self.collect_errors.len() >= MOST_FAILURES {
            return;
        }
        events.push(TestEvent::Failed(Box::new(failure.clone())));
        self.collect_errors.push(failure);
    }

    fn internal_error(&mut self, error: Option<record::Error>, details: &str) {
        let error = error.unwrap_or_default();
        let message = format!("pytest's own error: {}", failure::one_line(&error));
        let mut failure = crate::compose::failure(
            "pytest",
            crate::report::FailureKind::Crash,
            Phase::Session,
            message,
        );
        failure::explain(&mut failure, &error, &self.place);
        failure.details = crate::text::block(details, crate::text::DETAILS);
        self.internal.get_or_insert(crate::compose::seal(failure));
    }

    fn warning(&mut self, category: String, message: &str, file: &str, line: u32) {
        if self.warnings.len() >= MOST_WARNINGS {
            return;
        }
        self.warnings.push(Diagnostic {
            level: "warning".to_owned(),
            code: Some(category),
            message: crate::text::one_line(message),
            location: Some(Location {
                file: self.place.path(file),
                line: (line > 0).then_some(line),
                column: None,
            }),
        });
    }
}

impl Adapter for PytestRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        PytestRun::feed(self, stream, bytes)
    }

    fn finish(self: Box<Self>, end: End) -> Report {
        PytestRun::finish(*self, end)
    }
}
