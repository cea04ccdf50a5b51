//! The JSON document of `jest --json` and of Vitest's `json` reporter, which has its shape.

use crate::compose;
use crate::context::Context;
use crate::js::raised;
use crate::js::raised::Raised;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::VecDeque;

/// More failures than this are not made.
const MOST: usize = 5_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    num_total_tests: u64,
    num_failed_tests: u64,
    #[serde(default)]
    num_passed_tests: u64,
    #[serde(default)]
    num_pending_tests: u64,
    #[serde(default)]
    num_todo_tests: u64,
    #[serde(default)]
    was_interrupted: bool,
    success: Option<bool>,
    start_time: Option<f64>,
    test_results: Vec<Suite>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Suite {
    #[serde(default, alias = "testFilePath")]
    name: String,
    #[serde(default)]
    status: String,
    #[serde(default, alias = "failureMessage")]
    message: Option<String>,
    #[serde(default, alias = "testResults")]
    assertion_results: Vec<Test>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Test {
    ancestor_titles: Vec<String>,
    title: String,
    status: String,
    failure_messages: Option<Vec<Option<String>>>,
    failure_details: Option<Vec<Value>>,
    location: Option<At>,
    duration: Option<f64>,
    invocations: Option<u64>,
    failing: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct At {
    line: Option<u32>,
    column: Option<u32>,
}

/// What a document came to.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Tests that passed.
    pub passed: u64,
    /// Tests and files that failed.
    pub failed: u64,
    /// Tests that did not run, or failed as expected.
    pub skipped: u64,
    /// Tests that passed when they were run again.
    pub flaky: u64,
    /// What failed.
    pub failures: Vec<Failure>,
    /// What contradicts itself.
    pub faults: Vec<String>,
    /// The numbers of tests by the document itself: failed, passed, all.
    pub said: (u64, u64, u64),
    /// A file failed, and the document does not say why.
    pub silent: u64,
    /// It was broken off.
    pub interrupted: bool,
}

/// Whether a text may be a document.
pub(crate) fn may_be(text: &[u8]) -> bool {
    let has = |word: &[u8]| memchr::memmem::find(text, word).is_some();
    has(b"\"numTotalTests\"") && has(b"\"testResults\"")
}

/// Reads a document; nothing where it is none.
pub(crate) fn read(text: &str, context: &Context) -> Option<Found> {
    let document: Document = serde_json::from_str(text.trim()).ok()?;
    document.success?;
    document.start_time?;
    let mut found = Found {
        said: (
            document.num_failed_tests,
            document.num_passed_tests,
            document.num_total_tests,
        ),
        interrupted: document.was_interrupted,
        ..Found::default()
    };
    let mut failed = 0;
    for suite in &document.test_results {
        failed += found.suite(suite, context);
    }
    let pending = document.num_pending_tests + document.num_todo_tests;
    let sum = document.num_failed_tests + document.num_passed_tests + pending;
    if failed != document.num_failed_tests || sum > document.num_total_tests {
        let message = "the numbers of the report are not those of its tests";
        found.faults.push(message.to_owned());
    }
    Some(found)
}

impl Found {
    /// One file; how many of its tests failed.
    fn suite(&mut self, suite: &Suite, context: &Context) -> u64 {
        let file = context.relative(&suite.name);
        let mut told = titled(&text::clean(suite.message.as_deref().unwrap_or("")));
        let mut failed = 0;
        for test in &suite.assertion_results {
            match test.status.as_str() {
                "passed" if test.failing == Some(true) => self.skipped += 1,
                "passed" => {
                    self.passed += 1;
                    self.flaky += u64::from(test.invocations.is_some_and(|times| times > 1));
                }
                "failed" => {
                    failed += 1;
                    self.failed += 1;
                    self.test(test, &file, &mut told, context);
                }
                _ => self.skipped += 1,
            }
        }
        if suite.status == "failed" {
            self.whole(suite, &file, failed, context);
        }
        failed
    }

    /// What failed besides the tests of a file.
    fn whole(&mut self, suite: &Suite, file: &str, failed: u64, context: &Context) {
        let cleaned = text::clean(suite.message.as_deref().unwrap_or(""));
        let ran = !suite.assertion_results.is_empty();
        let mut texts = blocks(&cleaned);
        if texts.is_empty() && !cleaned.trim().is_empty() && !cleaned.contains("  ● ") {
            texts.push(cleaned.trim().to_owned());
        }
        if texts.is_empty() {
            self.silent += u64::from(failed == 0);
            if failed == 0 {
                self.failed += 1;
                self.failures.push(unexplained(file, ran));
            }
            return;
        }
        for text in texts {
            let raised = Raised {
                file,
                text: &text,
                ran,
                ..Raised::default()
            };
            self.failed += 1;
            self.push(raised::failure(&raised, context));
        }
    }

    fn test(
        &mut self,
        test: &Test,
        file: &str,
        told: &mut BTreeMap<String, VecDeque<String>>,
        context: &Context,
    ) {
        let path = path(test);
        let messages = test.failure_messages.as_deref().unwrap_or_default();
        let details = test.failure_details.as_deref().unwrap_or_default();
        let mut of_test: Vec<Failure> = Vec::new();
        for (at, message) in messages.iter().enumerate() {
            let cleaned = text::clean(message.as_deref().unwrap_or("undefined"));
            let detail = details.get(at).unwrap_or(&Value::Null);
            let raised = Raised {
                file,
                path: &path,
                text: &cleaned,
                matcher: detail.get("matcherResult").is_some(),
                whole: sides(detail),
                ..Raised::default()
            };
            let mut failure = raised::failure(&raised, context);
            // What is told of the file has pieces of its source: they show the hooks.
            let block = told
                .get_mut(&path.join(" › "))
                .and_then(VecDeque::pop_front);
            if let Some(block) = block {
                let text = block.trim_matches('\n');
                let shown = raised::failure(&Raised { text, ..raised }, context);
                let hooks = [FailureKind::SetupError, FailureKind::TeardownError];
                if hooks.contains(&shown.kind) {
                    (failure.kind, failure.phase) = (shown.kind, shown.phase);
                }
            }
            failure.test_location = test.location.as_ref().map(|at| Location {
                file: file.to_owned(),
                line: at.line,
                column: at.column,
            });
            if failure.location.is_none() {
                failure.location.clone_from(&failure.test_location);
            }
            let ms = test.duration.filter(|ms| *ms >= 0.0);
            failure.duration_ms = ms.map(|ms| ms as u64);
            join(&mut of_test, failure);
        }
        if of_test.is_empty() {
            let mut failure = compose::failure(
                path.join(" > "),
                FailureKind::Panic,
                Phase::Call,
                "no message",
            );
            failure.kind_sure = false;
            failure.target = Some(file.to_owned());
            of_test.push(failure);
        }
        of_test.into_iter().for_each(|failure| self.push(failure));
    }

    fn push(&mut self, failure: Failure) {
        if self.failures.len() < MOST {
            self.failures.push(failure);
        }
    }
}

/// Adds what failed of a test; of several errors in one phase the first one counts, and the
/// others are told with it.
pub(crate) fn join(all: &mut Vec<Failure>, failure: Failure) {
    let same = |known: &&mut Failure| {
        (&known.id, &known.target, known.phase) == (&failure.id, &failure.target, failure.phase)
    };
    let Some(known) = all.iter_mut().rev().take(50).find(same) else {
        all.push(failure);
        return;
    };
    let (Some(old), Some(new)) = (&known.details, &failure.details) else {
        return;
    };
    if !old.contains(new.as_str()) {
        known.details = Some(text::cap(&format!("{old}\n\n{new}"), text::DETAILS));
    }
}

/// A file failed, and that is all there is.
fn unexplained(file: &str, ran: bool) -> Failure {
    let (kind, phase) = match ran {
        true => (FailureKind::SetupError, Phase::Setup),
        false => (FailureKind::CollectionError, Phase::Collect),
    };
    let message = match ran {
        true => "the file failed outside of its tests (a hook, most likely)",
        false => "the file failed, and none of its tests ran",
    };
    let mut failure = compose::failure(file, kind, phase, message);
    failure.kind_sure = false;
    failure.location = Some(Location {
        file: file.to_owned(),
        line: None,
        column: None,
    });
    failure
}

/// The blocks of each test in what Jest says of a file, in their order.
fn titled(message: &str) -> BTreeMap<String, VecDeque<String>> {
    let mut found: BTreeMap<String, VecDeque<String>> = BTreeMap::new();
    let mut title = String::new();
    for line in message.lines() {
        if let Some(name) = line.strip_prefix("  ● ") {
            name.clone_into(&mut title);
            found
                .entry(title.clone())
                .or_default()
                .push_back(String::new());
        } else if let Some(block) = found.get_mut(&title).and_then(VecDeque::back_mut) {
            block.push_str(line.strip_prefix("    ").unwrap_or(line));
            block.push('\n');
        }
    }
    found
}

/// The texts of `● Test suite failed to run` in what Jest says of a file.
pub(crate) fn blocks(message: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open = false;
    for line in message.lines() {
        if let Some(title) = line.strip_prefix("  ● ") {
            open = title == "Test suite failed to run";
            if open && found.len() < 50 {
                found.push(String::new());
            }
            continue;
        }
        if open && let Some(block) = found.last_mut() {
            block.push_str(line.strip_prefix("    ").unwrap_or(line));
            block.push('\n');
        }
    }
    found.retain(|block| !block.trim().is_empty());
    found.dedup();
    found
}

/// The titles; old versions of Vitest put an empty one before them.
fn path(test: &Test) -> Vec<String> {
    let outer = test.ancestor_titles.iter();
    let mut path: Vec<String> = outer.filter(|title| !title.is_empty()).cloned().collect();
    path.push(test.title.clone());
    path
}

/// Both sides of a matcher, where they are simple values or JSON tells them whole.
fn sides(detail: &Value) -> Option<(Option<String>, Option<String>)> {
    let result = detail.get("matcherResult").unwrap_or(detail);
    let shown = |value: &Value| match value {
        Value::String(text) => format!("\"{text}\""),
        Value::Object(_) | Value::Array(_) => {
            serde_json::to_string_pretty(value).unwrap_or_default()
        }
        value => value.to_string(),
    };
    let (expected, actual) = (result.get("expected")?, result.get("actual")?);
    Some((Some(shown(expected)), Some(shown(actual))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_only_failed_is_not_lost() {
        let text = r#"{"numTotalTests":2,"numFailedTests":0,"numPassedTests":1,"numPendingTests":1,"success":false,"startTime":1,
            "testResults":[{"name":"/p/a.test.js","status":"failed","message":"","assertionResults":[
            {"ancestorTitles":["x"],"title":"y","status":"passed"},{"ancestorTitles":["x"],"title":"z","status":"skipped"}]}]}"#;
        let found = read(text, &Context::rooted("/p")).expect("a document");
        assert_eq!((found.passed, found.failed, found.skipped), (1, 1, 1));
        assert_eq!(found.failures[0].id, "a.test.js");
        assert!(found.faults.is_empty());
    }

    #[test]
    fn other_documents_are_none() {
        for text in [
            "{}",
            "[1]",
            r#"{"numTotalTests":1,"numFailedTests":1,"testResults":[]}"#,
        ] {
            assert!(read(text, &Context::default()).is_none(), "{text}");
        }
    }
}
