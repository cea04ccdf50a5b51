//! Reads `cargo nextest run`: its JSON lines, its JUnit file, its text.
//!
//! Ask for all three, the project untouched:
//!
//! ```text
//! NEXTEST_EXPERIMENTAL_LIBTEST_JSON=1 cargo nextest run --no-fail-fast
//!     --message-format libtest-json-plus --tool-config-file regreen:/abs/nextest.toml
//! ```
//!
//! with `[profile.default.junit]`, `path = "/abs/junit.xml"`, `store-success-output = true` in
//! that file: nextest takes a test for passed that left its process with status 0 in mid-test;
//! only the stored output shows that the harness never said `ok`.
//!
//! nextest runs each test in a process of its own and writes the results itself, so that a
//! test cannot write into them. Its JSON announces a suite twice when tests are ignored, so
//! only the tests' own lines count, and the last line of its text is the end marker.

mod finish;
mod status;

use crate::cargo::CargoRun;
use crate::compose;
use crate::context::Context;
use crate::event::TestEvent;
use crate::junit::Document;
use crate::junit::without_harness;
use crate::lines::Lines;
use crate::lines::Seen;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::nextest::status::Reader;
use crate::report::Counts;
use crate::report::Failure;
use crate::report::Report;
use crate::text::Tail;
use serde::Deserialize;
use std::collections::BTreeMap;

/// More failures than this are only counted.
const MOST_FAILURES: usize = 2_000;
/// More tests than this are not followed.
const MOST_TESTS: usize = 500_000;

/// A run of nextest that is being read.
///
/// Feed its output as [`Stream::Stdout`] and [`Stream::Stderr`], its JUnit file as
/// [`Stream::File`].
#[derive(Debug)]
pub struct NextestRun {
    context: Context,
    build: CargoRun,
    stdout: Lines,
    stderr: Lines,
    reader: Reader,
    tests: BTreeMap<String, State>,
    failed: Vec<Failure>,
    xml: Option<Document>,
    tail: Tail,
    counts: Counts,
    doubled: bool,
    /// Everything stands in one log.
    log: bool,
    /// The last record was the end of a suite.
    suite_ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Passed,
    Failed,
    Ignored,
}

#[derive(Debug, Deserialize)]
struct Record {
    #[serde(rename = "type")]
    kind: String,
    event: String,
    name: Option<String>,
    stdout: Option<String>,
    exec_time: Option<f64>,
    test_count: Option<u64>,
}

impl NextestRun {
    /// Begins to read a run.
    pub fn new(context: Context) -> Self {
        NextestRun {
            build: CargoRun::new(context.clone()),
            context,
            stdout: Lines::default(),
            stderr: Lines::default(),
            reader: Reader::default(),
            tests: BTreeMap::new(),
            failed: Vec::new(),
            xml: None,
            tail: Tail::default(),
            counts: Counts::default(),
            doubled: false,
            log: false,
            suite_ended: false,
        }
    }

    /// Takes more bytes of one stream; says what became known by them.
    pub fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        let mut events = Vec::new();
        match stream {
            Stream::File(name) if name.ends_with(".xml") => {
                self.xml.get_or_insert_default().feed(bytes);
            }
            Stream::File(_) => {}
            Stream::Stderr => {
                self.tail.feed(bytes);
                let mut lines = std::mem::take(&mut self.stderr);
                lines.each(bytes, |seen| self.text_line(seen));
                self.stderr = lines;
            }
            Stream::Stdout | Stream::Log => {
                self.log |= stream == Stream::Log;
                self.tail.feed(bytes);
                let mut lines = std::mem::take(&mut self.stdout);
                lines.each(bytes, |seen| self.line(seen, &mut events));
                self.stdout = lines;
            }
        }
        events
    }

    fn line(&mut self, line: Seen<'_>, events: &mut Vec<TestEvent>) {
        if line.bytes.starts_with(b"{\"type\":")
            && let Ok(record) = serde_json::from_slice::<Record>(line.bytes)
        {
            self.record(record, events);
            return;
        }
        if line.bytes.starts_with(b"{\"reason\":") {
            let mut bytes = line.bytes.to_vec();
            bytes.push(b'\n');
            events.extend(self.build.feed(Stream::Stdout, &bytes));
            return;
        }
        self.text_line(line);
    }

    fn text_line(&mut self, line: Seen<'_>) {
        if !self.reader.wants(line.bytes) {
            return;
        }
        let text = line.shown();
        if !self.reader.line(&text) {
            let mut bytes = text.into_owned().into_bytes();
            bytes.push(b'\n');
            self.build.feed(Stream::Stderr, &bytes);
        }
    }

    fn record(&mut self, record: Record, events: &mut Vec<TestEvent>) {
        self.suite_ended = record.kind == "suite" && record.event != "started";
        if record.kind == "suite" {
            if record.event == "started" {
                let total = self
                    .counts
                    .total
                    .saturating_add(record.test_count.unwrap_or(0));
                self.counts.total = total;
                events.push(TestEvent::Planned { total });
            }
            return;
        }
        let Some(full) = record.name else {
            return;
        };
        let (target, id) = split(&full);
        let ended = match record.event.as_str() {
            "started" => {
                self.doubled |= self.tests.contains_key(&full);
                if self.tests.len() < MOST_TESTS {
                    self.tests.entry(full).or_insert(State::Running);
                    events.push(TestEvent::Started { target, id });
                }
                return;
            }
            "ok" => {
                events.push(TestEvent::Passed { target, id });
                State::Passed
            }
            "ignored" => {
                events.push(TestEvent::Skipped { target, id });
                State::Ignored
            }
            "failed" => {
                let output = without_harness(&record.stdout.unwrap_or_default());
                let mut failure = finish::failed(&id, target, &output, &self.context);
                let seconds = record.exec_time.filter(|s| s.is_finite() && *s >= 0.0);
                failure.duration_ms = seconds.map(|s| (s * 1000.0) as u64);
                events.push(TestEvent::Failed(Box::new(failure.clone())));
                if self.failed.len() < MOST_FAILURES {
                    let number = self.failed.len();
                    self.failed.push(compose::slim(failure, number));
                }
                State::Failed
            }
            _ => return,
        };
        // A second try has a name of its own (`#2`).
        match self.tests.get(&full) {
            Some(State::Running) => {}
            _ => self.doubled = true,
        }
        if self.tests.len() < MOST_TESTS {
            self.tests.insert(full, ended);
        }
    }
}

/// `leaf::whole$leaf_is_whole` is the test `leaf_is_whole` of the target `whole`. A second try
/// has `#2` at its end.
fn split(full: &str) -> (Option<String>, String) {
    let (binary, name) = full.split_once('$').unwrap_or(("", full));
    let name = match name.rsplit_once('#') {
        Some((name, number)) if number.parse::<u32>().is_ok() => name,
        _ => name,
    };
    let target = binary
        .rsplit("::")
        .next()
        .filter(|target| !target.is_empty());
    (target.map(str::to_owned), name.to_owned())
}

impl Adapter for NextestRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        NextestRun::feed(self, stream, bytes)
    }

    fn finish(self: Box<Self>, end: End) -> Report {
        NextestRun::finish(*self, end)
    }
}
