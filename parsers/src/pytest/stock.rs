//! Reports that plugins of pytest write: `--report-log` (one JSON record a line, pytest-reportlog)
//! and `--json-report` (one document, pytest-json-report). Both hold pytest's own text of each
//! failure, or its parts, which is read as a block of the text is.

use crate::compose;
use crate::pytest::block;
use crate::pytest::place::Place;
use crate::python::traceback::Entry;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;
use serde_json::Value;
use std::collections::BTreeMap;

/// More tests or failures than this are not kept.
const MOST_TESTS: usize = 500_000;
const MOST_FAILURES: usize = 2_000;

/// What a report says so far.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    /// Its first record came.
    pub began: bool,
    /// Its last record came.
    pub finished: bool,
    /// Pytest's exit status.
    pub status: Option<i64>,
    /// What failed, in its order.
    pub failures: Vec<Failure>,
    /// More failed than is kept.
    pub more: u64,
    /// Something in it could not be read.
    pub unreadable: u64,
    /// Pytest 9 keeps what it prints of a subtest's values.
    shows: bool,
    collect_errors: u64,
    tests: BTreeMap<String, Test>,
}

#[derive(Debug, Default)]
struct Test {
    failed: bool,
    skipped: bool,
    passed: bool,
    by_subtests: bool,
    over: bool,
    reruns: bool,
}

/// The parts of a report that both formats have.
struct Part<'a> {
    id: &'a str,
    when: &'a str,
    outcome: &'a str,
    said: block::Said,
    details: String,
    at: Option<Location>,
    subtest: Option<String>,
    seconds: Option<f64>,
    out: String,
    err: String,
}

impl Stock {
    /// (passed, failed, skipped).
    pub fn tally(&self) -> (u64, u64, u64) {
        let count = |wanted: fn(&Test) -> bool| {
            self.tests.values().filter(|test| wanted(test)).count() as u64
        };
        let failed = count(|test| test.failed);
        let skipped = count(|test| !test.failed && test.skipped);
        let passed = count(|test| !test.failed && !test.skipped && test.passed);
        (passed, failed + self.collect_errors, skipped)
    }

    /// Tests that were repeated and passed in the end.
    pub fn flaky(&self) -> u64 {
        let flaky = self
            .tests
            .values()
            .filter(|test| test.reruns && test.passed && !test.failed);
        flaky.count() as u64
    }

    /// The test that began and is not over.
    pub fn running(&self) -> Option<&str> {
        let running = self.tests.iter().find(|(_, test)| !test.over);
        running.map(|(id, _)| id.as_str())
    }

    /// One line of `--report-log`.
    pub fn line(&mut self, bytes: &[u8], place: &mut Place) {
        let Ok(record) = serde_json::from_slice::<Value>(bytes) else {
            self.unreadable += 1;
            return;
        };
        match word(&record, "$report_type") {
            "SessionStart" => {
                self.began = true;
                let major = word(&record, "pytest_version").split('.').next();
                self.shows = major.and_then(|n| n.parse::<u32>().ok()) >= Some(9);
            }
            "SessionFinish" => {
                self.finished = true;
                self.status = record["exitstatus"].as_i64();
            }
            "CollectReport" if word(&record, "outcome") == "failed" => {
                let details = longrepr(&record["longrepr"]);
                self.collection(word(&record, "nodeid"), &details, place);
            }
            "TestReport" | "SubTestReport" | "SubtestReport" => self.report(&record, place),
            _ => {}
        }
    }

    fn report(&mut self, record: &Value, place: &Place) {
        let details = longrepr(&record["longrepr"]);
        let (mut out, mut err) = (String::new(), String::new());
        for section in record["sections"].as_array().into_iter().flatten() {
            let title = section[0].as_str().unwrap_or("");
            let to = match title.contains("stdout") {
                true => &mut out,
                false => &mut err,
            };
            to.push_str(section[1].as_str().unwrap_or(""));
        }
        let location = &record["location"];
        let part = Part {
            id: word(record, "nodeid"),
            when: word(record, "when"),
            outcome: match record.get("wasxfail").is_some() {
                true => "xfailed",
                false => word(record, "outcome"),
            },
            said: block::read(&details),
            details,
            at: location[0].as_str().map(|file| Location {
                file: place.path(file),
                line: location[1]
                    .as_u64()
                    .and_then(|line| u32::try_from(line + 1).ok()),
                column: None,
            }),
            subtest: subtest(record, self.shows),
            seconds: record["duration"].as_f64(),
            out,
            err,
        };
        self.part(&part, place);
    }

    fn part(&mut self, part: &Part<'_>, place: &Place) {
        if self.tests.len() >= MOST_TESTS && !self.tests.contains_key(part.id) {
            return;
        }
        let test = self.tests.entry(part.id.to_owned()).or_default();
        let failed = matches!(part.outcome, "failed" | "error");
        if part.subtest.is_some() {
            test.failed |= failed;
            test.by_subtests |= failed;
        } else {
            test.skipped |= matches!(part.outcome, "skipped" | "xfailed");
            test.passed |= part.when == "call" && matches!(part.outcome, "passed" | "xpassed");
            test.over |= matches!(part.when, "teardown" | "???");
            test.reruns |= part.outcome == "rerun";
            // A parent that fails because its subtests did is no failure of its own.
            if failed && test.by_subtests && part.said.message.contains(" failed subtest") {
                return;
            }
            test.failed |= failed;
        }
        if !failed {
            return;
        }
        if self.failures.len() >= MOST_FAILURES {
            self.more += 1;
            return;
        }
        let number = self.failures.len();
        self.failures
            .push(compose::slim(failure(part, place), number));
    }

    fn collection(&mut self, id: &str, details: &str, place: &Place) {
        self.collect_errors += 1;
        if self.failures.len() >= MOST_FAILURES {
            self.more += 1;
            return;
        }
        let file = id.split("::").next().unwrap_or(id);
        let said = block::read(details);
        let kind = FailureKind::CollectionError;
        let mut failure = compose::failure(file, kind, Phase::Collect, block::one_line(&said));
        block::fill(&mut failure, &said, place);
        failure.diff = None;
        failure.location = failure.location.take().or(Some(Location {
            file: place.path(file),
            line: None,
            column: None,
        }));
        failure.details = text::block(details, text::DETAILS);
        failure.rerun = place.rerun(file);
        self.failures.push(compose::seal(failure));
    }

    /// The document of `--json-report`.
    pub fn document(&mut self, bytes: &[u8], place: &mut Place) -> bool {
        let Ok(report) = serde_json::from_slice::<Value>(bytes) else {
            self.unreadable += 1;
            return false;
        };
        if !report["summary"].is_object() || report.get("exitcode").is_none() {
            return false;
        }
        self.began = true;
        self.finished = true;
        self.status = report["exitcode"].as_i64();
        if let Some(root) = report["root"].as_str() {
            place.set_rootdir(root);
        }
        for collector in report["collectors"].as_array().into_iter().flatten() {
            if word(collector, "outcome") == "failed" {
                let details = word(collector, "longrepr");
                self.collection(word(collector, "nodeid"), details, place);
            }
        }
        for test in report["tests"].as_array().into_iter().flatten() {
            self.test(test, place);
        }
        true
    }

    fn test(&mut self, test: &Value, place: &Place) {
        let id = word(test, "nodeid");
        let file = id.split("::").next().unwrap_or(id);
        for when in ["setup", "call", "teardown"] {
            let stage = &test[when];
            if !stage.is_object() {
                continue;
            }
            let outcome = match (word(test, "outcome"), when) {
                ("xfailed", "call") => "xfailed",
                _ => word(stage, "outcome"),
            };
            let details = word(stage, "longrepr").to_owned();
            let mut said = block::read(&details);
            if said.entries.is_empty() {
                said.entries = stack(stage);
            }
            if said.message.is_empty() && said.class.is_empty() {
                let crash = format!("E   {}", word(&stage["crash"], "message"));
                let told = block::read(&crash);
                (said.class, said.message) = (told.class, told.message);
            }
            let part = Part {
                id,
                when,
                outcome,
                said,
                details,
                at: test["lineno"].as_u64().map(|line| Location {
                    file: place.path(file),
                    line: u32::try_from(line + 1).ok(),
                    column: None,
                }),
                subtest: None,
                seconds: stage["duration"].as_f64(),
                out: word(stage, "stdout").to_owned(),
                err: word(stage, "stderr").to_owned(),
            };
            self.part(&part, place);
        }
        if let Some(test) = self.tests.get_mut(id) {
            test.over = true;
        }
    }
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("")
}

fn failure(part: &Part<'_>, place: &Place) -> Failure {
    let phase = match part.when {
        "setup" => Phase::Setup,
        "teardown" => Phase::Teardown,
        _ => Phase::Call,
    };
    let (kind, sure) = block::kind(&part.said, phase);
    let mut failure = compose::failure(part.id, kind, phase, block::one_line(&part.said));
    failure.kind_sure = sure;
    block::fill(&mut failure, &part.said, place);
    failure.test_location.clone_from(&part.at);
    if failure.location.is_none() && kind != FailureKind::Crash {
        failure.location.clone_from(&part.at);
    }
    failure.details = text::block(&part.details, text::DETAILS);
    failure.stdout = text::block(&part.out, text::DETAILS);
    failure.stderr = text::block(&part.err, text::DETAILS);
    let seconds = part.seconds.filter(|s| s.is_finite() && *s >= 0.0);
    failure.duration_ms = seconds.map(|seconds| (seconds * 1000.0) as u64);
    failure.rerun = place.rerun(part.id);
    if let Some(subtest) = &part.subtest {
        failure.id = format!("{} {subtest}", part.id).trim_end().to_owned();
    }
    compose::seal(failure)
}

/// The words of a subtest, as pytest prints them; nothing where it is none.
fn subtest(record: &Value, shows: bool) -> Option<String> {
    let context = [
        &record["_subtest.context"],
        &record["_subtest"]["context"],
        &record["context"],
    ];
    let context = context.into_iter().find(|context| context.is_object())?;
    let mut words = Vec::new();
    if let Some(message) = context["msg"].as_str() {
        words.push(format!("[{}]", text::one_line(message)));
    }
    let shown = |value: &Value| match value {
        Value::String(text) if shows => text::one_line(text),
        Value::String(text) => format!("'{}'", text::one_line(text)),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => "None".to_owned(),
        other => other.to_string(),
    };
    let kwargs = context["kwargs"].as_object().into_iter().flatten();
    let kwargs: Vec<String> = kwargs
        .map(|(key, value)| format!("{key}={}", shown(value)))
        .collect();
    if !kwargs.is_empty() {
        words.push(format!("({})", kwargs.join(", ")));
    }
    Some(words.join(" "))
}

/// The stack of a stage, outermost first.
fn stack(stage: &Value) -> Vec<Entry> {
    let entries = stage["traceback"].as_array().into_iter().flatten();
    let mut found: Vec<Entry> = entries.take(200).map(place_of).collect();
    if found.is_empty() && stage["crash"].is_object() {
        found.push(place_of(&stage["crash"]));
    }
    found
}

fn place_of(value: &Value) -> Entry {
    let message = word(value, "message");
    Entry {
        file: word(value, "path").to_owned(),
        line: value["lineno"]
            .as_u64()
            .and_then(|line| u32::try_from(line).ok()),
        function: message.strip_prefix("in ").map(str::to_owned),
    }
}

/// Pytest's text of a failure, made of its parts where it is not one.
fn longrepr(value: &Value) -> String {
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    if let Some(text) = value["longrepr"].as_str() {
        return text.to_owned();
    }
    let last = value["chain"].as_array().and_then(|chain| chain.last());
    let trace = match last {
        Some(link) => &link[0],
        None => &value["reprtraceback"],
    };
    let mut lines: Vec<String> = Vec::new();
    let mut placed = false;
    for entry in trace["reprentries"]
        .as_array()
        .into_iter()
        .flatten()
        .take(2_000)
    {
        let data = &entry["data"];
        let place = &data["reprfileloc"];
        let at = place["path"].as_str().map(|path| {
            format!(
                "{path}:{}: {}",
                place["lineno"].as_u64().unwrap_or(0),
                word(place, "message")
            )
        });
        placed |= at.is_some();
        let source = data["lines"].as_array().into_iter().flatten();
        let source: Vec<String> = source
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        // The short style has the place first.
        match word(data, "style") {
            "short" => {
                lines.extend(at);
                lines.extend(source);
            }
            _ => {
                lines.extend(source);
                lines.push(String::new());
                lines.extend(at);
            }
        }
    }
    // With `--tb=no` only the place of the crash is kept.
    let crash = &value["reprcrash"];
    if !placed && crash.is_object() {
        if lines.is_empty() {
            let message = word(crash, "message").lines();
            lines.extend(message.map(|line| format!("E   {line}")));
        }
        let line = crash["lineno"].as_u64().unwrap_or(0);
        lines.push(format!("\n{}:{line}: ", word(crash, "path")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;

    #[test]
    fn a_report_log_is_read_line_by_line() {
        let mut place = Place::new(Context::rooted("/p"));
        let mut stock = Stock::default();
        for line in [
            r#"{"pytest_version": "8.4.2", "$report_type": "SessionStart"}"#,
            r#"{"nodeid": "t.py::a", "location": ["t.py", 0, "a"], "outcome": "passed", "longrepr": null, "when": "setup", "sections": [], "duration": 0.1, "$report_type": "TestReport"}"#,
            r#"{"nodeid": "t.py::a", "location": ["t.py", 0, "a"], "outcome": "failed", "longrepr": {"reprcrash": {"path": "/p/t.py", "lineno": 2, "message": "assert 1 == 2"}, "reprtraceback": {"reprentries": [{"type": "ReprEntry", "data": {"lines": ["    def a():", ">       assert 1 == 2", "E       assert 1 == 2"], "reprfileloc": {"path": "t.py", "lineno": 2, "message": "AssertionError"}, "style": "long"}}]}}, "when": "call", "sections": [["Captured stdout call", "hello\n"]], "duration": 0.1, "$report_type": "TestReport"}"#,
        ] {
            stock.line(line.as_bytes(), &mut place);
        }
        assert_eq!(stock.running(), Some("t.py::a"));
        let failure = &stock.failures[0];
        assert_eq!(
            (failure.kind, failure.message.as_str()),
            (FailureKind::Assertion, "assert 1 == 2")
        );
        assert_eq!(failure.location.as_ref().and_then(|at| at.line), Some(2));
        assert_eq!(failure.stdout.as_deref(), Some("hello"));
        assert_eq!(stock.tally(), (0, 1, 0));
    }
}
