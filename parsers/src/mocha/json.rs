//! Mocha's JSON: the one document of `json`, and the lines of `json-stream`.

use crate::context::Context;
use crate::js::thrown::Thrown;
use crate::mocha::part;
use crate::mocha::part::Part;
use crate::report::Failure;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// What structured output came to.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Tests that passed.
    pub passed: u64,
    /// Pending ones.
    pub skipped: u64,
    /// Failures as Mocha counts them.
    pub failed: u64,
    /// What failed.
    pub failures: Vec<Failure>,
    /// What contradicts itself or is missing.
    pub faults: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Stats {
    #[serde(default)]
    passes: u64,
    #[serde(default)]
    pending: u64,
    #[serde(default)]
    failures: u64,
}

#[derive(Debug, Default, Deserialize)]
struct Test {
    #[serde(default)]
    title: String,
    #[serde(default, rename = "fullTitle")]
    full: String,
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    duration: Option<f64>,
    #[serde(default)]
    err: Value,
    #[serde(default)]
    stack: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Document {
    stats: Stats,
    tests: Vec<Test>,
    failures: Vec<Test>,
    #[serde(default)]
    pending: Vec<Test>,
    #[serde(default)]
    passes: Vec<Test>,
}

/// Reads the document of `json`; nothing where it is none.
pub(crate) fn document(text: &str, context: &Context) -> Option<Found> {
    let document: Document = serde_json::from_str(text).ok()?;
    let all = document
        .tests
        .iter()
        .chain(&document.passes)
        .chain(&document.pending);
    let parents = parents(all.chain(&document.failures));
    let mut found = Found {
        passed: document.stats.passes,
        skipped: document.stats.pending,
        failed: document.stats.failures,
        ..Found::default()
    };
    for test in &document.failures {
        add(&mut found, test, &parents, context);
    }
    let listed = document.failures.len() as u64;
    if listed != found.failed || document.passes.len() as u64 != found.passed {
        found
            .faults
            .push("the numbers of the report are not those of its lists".to_owned());
    }
    Some(found)
}

/// One failure; Mocha lists a test twice that failed twice.
fn add(found: &mut Found, test: &Test, parents: &BTreeSet<(String, String)>, context: &Context) {
    push(found, part::failure(&part(test, parents), context));
}

/// Adds a failure, unless it was told before.
pub(crate) fn push(found: &mut Found, failure: Failure) {
    let again = found.failures.iter().rev().take(100).any(|known| {
        known.id == failure.id && known.target == failure.target && known.message == failure.message
    });
    if !again {
        found.failures.push(failure);
    }
}

/// File and titles of every suite that holds a test of its own.
fn parents<'a>(tests: impl Iterator<Item = &'a Test>) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for test in tests {
        if let Some(parent) = parent(test).filter(|parent| !parent.is_empty()) {
            found.insert((test.file.clone().unwrap_or_default(), parent.to_owned()));
        }
    }
    found
}

fn parent(test: &Test) -> Option<&str> {
    Some(
        test.full
            .strip_suffix(test.title.as_str())?
            .trim_end_matches(' '),
    )
}

fn path(test: &Test, parents: &BTreeSet<(String, String)>) -> Vec<String> {
    let Some(parent) = parent(test) else {
        return vec![test.full.clone()];
    };
    let mut path = suites(parent, test.file.as_deref().unwrap_or(""), parents);
    path.push(test.title.clone());
    path
}

/// The suites' titles out of one text, where they are joined by one blank. Where a suite of the
/// same file is the beginning of another's titles, that is where the other's begin; further they
/// cannot be told apart.
pub(crate) fn suites(all: &str, file: &str, parents: &BTreeSet<(String, String)>) -> Vec<String> {
    let mut path = Vec::new();
    let mut from = 0;
    for (at, _) in all.match_indices(' ').take(200) {
        if from < at && parents.contains(&(file.to_owned(), all[..at].to_owned())) {
            path.push(all[from..at].to_owned());
            from = at + 1;
        }
    }
    if from < all.len() {
        path.push(all[from..].to_owned());
    }
    path
}

fn part(test: &Test, parents: &BTreeSet<(String, String)>) -> Part {
    let word = |key: &str| test.err.get(key).and_then(Value::as_str);
    let message = word("message").or(test.err.as_str()).unwrap_or("");
    let stack = word("stack").or(test.stack.as_deref()).unwrap_or("");
    let mut thrown = thrown(message, stack);
    if let Some(name) = word("name").filter(|_| thrown.name.is_empty()) {
        thrown.name = name.to_owned();
    }
    thrown.code = word("code").map(str::to_owned).or(thrown.code);
    // Chai's errors have no name of their own in the JSON, but say that they have a diff.
    let compares = test.err.get("showDiff").is_some() || test.err.get("generatedMessage").is_some();
    if compares && thrown.name.is_empty() {
        thrown.name = "AssertionError".to_owned();
    }
    Part {
        path: path(test, parents),
        file: test.file.clone(),
        sides: sides(&test.err),
        details: if stack.contains(message) {
            stack.to_owned()
        } else {
            format!("{message}\n{stack}")
        },
        ms: test.duration.filter(|ms| *ms >= 0.0).map(|ms| ms as u64),
        thrown,
        unified: None,
    }
}

/// The stack begins with name and message; the message may hold a stack of its own.
pub(crate) fn thrown(message: &str, stack: &str) -> Thrown {
    let at = stack.find(message).filter(|_| !message.is_empty());
    let (before, below) = match at {
        Some(at) => (&stack[..at], &stack[at + message.len()..]),
        None => ("", stack),
    };
    let head = Thrown::head(&format!("{before}{message}"));
    let mut thrown = match at {
        Some(_) => head,
        None => Thrown::read(stack),
    };
    if !message.is_empty() {
        thrown.message = message.to_owned();
    }
    if at.is_some() {
        thrown.stack = below.to_owned();
    }
    thrown
}

/// Both sides, as Mocha has made them text; other values as JSON writes them.
fn sides(err: &Value) -> Option<(String, String)> {
    if err.get("showDiff") == Some(&Value::Bool(false)) {
        return None;
    }
    let (expected, actual) = (err.get("expected")?, err.get("actual")?);
    if matches!(
        word(err, "operator"),
        Some("throws" | "rejects" | "doesNotThrow" | "doesNotReject")
    ) {
        return None;
    }
    let texts = expected.is_string() && actual.is_string();
    let shown = |value: &Value| match value {
        Value::String(text) if texts => text.clone(),
        Value::String(text) => format!("'{text}'"),
        value => value.to_string(),
    };
    Some((shown(expected), shown(actual)))
}

fn word<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// The lines of `json-stream`.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    began: bool,
    ended: Option<Stats>,
    passed: u64,
    failures: Vec<Test>,
    others: Vec<Test>,
}

impl Stream {
    /// Takes a line; whether it is one of the stream's.
    pub fn line(&mut self, line: &str) -> bool {
        const MOST: usize = 200_000;
        let Ok((word, value)) = serde_json::from_str::<(String, Value)>(line) else {
            return false;
        };
        match word.as_str() {
            // Only the first is Mocha's; what comes after an end shows that it was none.
            "start" if value.get("total").is_some() => self.began = true,
            "pass" | "fail" if !self.began => return false,
            "pass" | "fail" => {
                let Ok(test) = serde_json::from_value::<Test>(value) else {
                    return false;
                };
                let failed = word == "fail";
                self.passed += u64::from(!failed);
                let list = if failed {
                    &mut self.failures
                } else {
                    &mut self.others
                };
                if list.len() < MOST {
                    list.push(test);
                }
            }
            "end" if self.began => self.ended = serde_json::from_value(value).ok(),
            _ => return false,
        }
        true
    }

    /// Whether anything came.
    pub fn began(&self) -> bool {
        self.began
    }

    /// What it came to. Where the last line counts fewer failures than came, tests have
    /// printed some; they cannot be told apart, and none is believed that was passed besides.
    pub fn found(&self, context: &Context) -> Found {
        let parents = parents(self.failures.iter().chain(&self.others));
        let mut found = Found::default();
        let said = self.ended.as_ref().map(|stats| stats.failures);
        // Tests print such lines, too; Mocha's own name the file.
        let whole = self
            .failures
            .iter()
            .filter(|test| test.file.is_some())
            .count() as u64;
        let forged = said.is_some_and(|said| said < self.failures.len() as u64 && said == whole);
        let kept = self
            .failures
            .iter()
            .filter(|test| !forged || test.file.is_some());
        let mut number = 0;
        for test in kept {
            number += 1;
            add(&mut found, test, &parents, context);
        }
        match &self.ended {
            Some(stats) => {
                (found.passed, found.skipped, found.failed) =
                    (stats.passes, stats.pending, stats.failures);
                if stats.failures != number || (stats.passes != self.passed && !forged) {
                    found
                        .faults
                        .push("the last line of the stream counts otherwise".to_owned());
                }
            }
            None => {
                (found.passed, found.failed) = (self.passed, self.failures.len() as u64);
                found.faults.push("the stream has no last line".to_owned());
            }
        }
        found
    }
}
