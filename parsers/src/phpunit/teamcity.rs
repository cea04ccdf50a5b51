//! PHPUnit's `--log-teamcity`: service messages that are written while the tests run.
//!
//! It is the one stock format that says when a test begins, and so who was running when the
//! process died.

use crate::context::Context;
use crate::event::TestEvent;
use crate::libtest::sides;
use crate::lines::Lines;
use crate::lines::Seen;
use crate::phpunit::failure;
use crate::phpunit::failure::Section;
use crate::report::Counts;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::text;
use std::collections::BTreeMap;

/// More failures than this are not kept.
const MOST: usize = 5_000;

/// A test that is running.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Running {
    /// Its id.
    pub id: String,
    /// Its file, as it is printed.
    pub file: String,
    failed: bool,
    skipped: bool,
    risky: bool,
}

/// The messages of one run.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    lines: Lines,
    /// Whether any came.
    pub began: bool,
    /// Tests that were announced.
    pub announced: Option<u64>,
    /// Open suites.
    depth: BTreeMap<String, i64>,
    running: BTreeMap<String, Running>,
    /// What failed.
    pub failures: Vec<Failure>,
    /// Failures that are not kept.
    pub more: u64,
    /// Counts.
    pub counts: Counts,
    /// What contradicts itself.
    pub faults: Vec<String>,
    methods: Vec<String>,
}

impl Messages {
    /// Takes more bytes of the file.
    pub fn feed(&mut self, bytes: &[u8], context: &Context) -> Vec<TestEvent> {
        let mut lines = std::mem::take(&mut self.lines);
        let mut events = Vec::new();
        lines.each(bytes, |seen| {
            self.line(&seen, context, &mut events);
        });
        self.lines = lines;
        events
    }

    /// The rest of the file, where its last line has no end: a message that is not whole.
    pub fn close(&mut self, context: &Context) {
        if let Some(line) = self.lines.finish() {
            let seen = Seen {
                bytes: &line.bytes,
                length: line.length,
                unfinished: true,
            };
            self.line(&seen, context, &mut Vec::new());
        }
    }

    /// Takes one line; whether it is a message.
    pub fn line(
        &mut self,
        seen: &Seen<'_>,
        context: &Context,
        events: &mut Vec<TestEvent>,
    ) -> bool {
        if !seen.bytes.starts_with(b"##teamcity[") {
            return false;
        }
        let line = String::from_utf8_lossy(seen.bytes);
        let Some(inner) = line
            .trim_end()
            .strip_prefix("##teamcity[")
            .and_then(|l| l.strip_suffix(']'))
        else {
            return true;
        };
        let (kind, rest) = inner.split_once(' ').unwrap_or((inner, ""));
        let values = values(rest);
        let get = |name: &str| values.get(name).map_or("", String::as_str);
        self.began = true;
        let flow = get("flowId").to_owned();
        match kind {
            "testCount" => {
                self.announced = get("count").parse().ok();
                if let Some(total) = self.announced {
                    events.push(TestEvent::Planned { total });
                }
            }
            "testSuiteStarted" => {
                self.settle(&flow, events);
                *self.depth.entry(flow).or_default() += 1;
                let (_, method) = hint(get("locationHint"));
                self.methods.push(method);
            }
            "testSuiteFinished" => {
                self.settle(&flow, events);
                *self.depth.entry(flow).or_default() -= 1;
                self.methods.pop();
            }
            "testStarted" => {
                self.settle(&flow, events);
                let (file, id) = hint(get("locationHint"));
                let id = if id.is_empty() {
                    get("name").to_owned()
                } else {
                    id
                };
                events.push(TestEvent::Started {
                    target: class_of(&id),
                    id: id.clone(),
                });
                let one = Running {
                    id,
                    file,
                    ..Running::default()
                };
                self.running.insert(flow, one);
            }
            "testFailed" => self.failed(&values, &flow, context, events),
            "testIgnored" => {
                if let Some(one) = self.running.get_mut(&flow) {
                    one.skipped = true;
                } else {
                    self.counts.skipped += 1;
                }
            }
            "testFinished" => self.finished(&flow, events),
            _ => {}
        }
        true
    }

    /// A test that begins while another one is open: PHPUnit 9 does not end skipped ones.
    fn settle(&mut self, flow: &str, events: &mut Vec<TestEvent>) {
        if let Some(one) = self.running.get_mut(flow) {
            one.skipped |= !one.failed;
            self.finished(flow, events);
        }
    }

    fn finished(&mut self, flow: &str, events: &mut Vec<TestEvent>) {
        let Some(one) = self.running.remove(flow) else {
            if self.faults.len() < 5 {
                self.faults
                    .push("a test ended without having begun".to_owned());
            }
            return;
        };
        let (target, id) = (class_of(&one.id), one.id);
        if one.failed {
            self.counts.failed += 1;
        } else if one.skipped {
            self.counts.skipped += 1;
            events.push(TestEvent::Skipped { target, id });
        } else {
            self.counts.passed += 1;
            events.push(TestEvent::Passed { target, id });
        }
        self.counts.total = self.counts.passed + self.counts.failed + self.counts.skipped;
        events.push(TestEvent::Counts(self.counts));
    }

    fn failed(
        &mut self,
        values: &BTreeMap<String, String>,
        flow: &str,
        context: &Context,
        events: &mut Vec<TestEvent>,
    ) {
        let get = |name: &str| values.get(name).map_or("", String::as_str);
        let message = get("message");
        if is_risky(message) {
            if let Some(one) = self.running.get_mut(flow) {
                one.risky = true;
            }
            return;
        }
        let details: Vec<&str> = get("details").lines().map(str::trim).collect();
        let body = format!("{message}\n\n{}\n", details.join("\n").trim());
        let asserted = message.contains("Failed asserting") || get("type") == "comparisonFailure";
        let section = if asserted {
            Section::Failure
        } else {
            Section::Error
        };
        let running = self.running.get_mut(flow);
        let title = match &running {
            Some(one) => one.id.clone(),
            None => get("name").to_owned(),
        };
        let mut failure = failure::of(&title, &body, section, context);
        if let Some(one) = running {
            one.failed = true;
            failure.id.clone_from(&one.id);
            failure.target = class_of(&one.id);
            failure.test_location = (!one.file.is_empty()).then(|| Location {
                file: context.relative(&one.file),
                line: None,
                column: None,
            });
        } else {
            self.counts.failed += 1;
            let method = self.methods.last().filter(|method| !method.is_empty());
            if let Some(method) = method.filter(|_| title == "Error" || title == "Warning") {
                failure.id.clone_from(method);
                failure.target = class_of(method);
            }
        }
        // Whether an assertion failed or something was thrown is not said.
        failure.kind_sure &= asserted || failure.kind != FailureKind::Panic;
        if get("type") == "comparisonFailure" && failure.diff.is_none() {
            let side = |name: &str| values.get(name).map(|value| text::clean(value));
            let (expected, actual) = (side("expected"), side("actual"));
            failure.diff = Some(sides::expected_actual(
                expected.as_deref(),
                actual.as_deref(),
                None,
            ));
        }
        failure.duration_ms = get("duration").parse().ok();
        failure.rerun = super::rerun(&failure.id, context);
        let failure = crate::compose::seal(failure);
        events.push(TestEvent::Failed(Box::new(failure.clone())));
        if self.failures.len() < MOST {
            self.failures.push(failure);
        } else {
            self.more += 1;
        }
    }

    /// The tests that had begun and were not over.
    pub fn running(&self) -> Vec<&Running> {
        self.running.values().collect()
    }

    /// Whether messages of PHPUnit's own, and no test's, were read: these begin with a suite.
    pub fn believable(&self) -> bool {
        self.began && !self.depth.is_empty() && self.faults.is_empty()
    }

    /// Whether all suites were closed.
    pub fn ended(&self) -> bool {
        self.began
            && !self.depth.is_empty()
            && self.running.is_empty()
            && self.depth.values().all(|depth| *depth == 0)
    }
}

fn class_of(id: &str) -> Option<String> {
    id.split_once("::").map(|(class, _)| class.to_owned())
}

/// `php_qn:///p/ATest.php::\A\ATest::testB`: file and id.
fn hint(hint: &str) -> (String, String) {
    let hint = hint.strip_prefix("php_qn://").unwrap_or("");
    match hint.split_once("::\\") {
        Some((file, id)) => (file.to_owned(), id.to_owned()),
        None => (String::new(), String::new()),
    }
}

/// PHPUnit 9 calls them failures in this format alone.
fn is_risky(message: &str) -> bool {
    let starts = [
        "This test did not perform any assertions",
        "This test executed code that is not listed",
        "This test printed output",
        "This test does not have a @covers annotation",
        "Test code or tested code did not",
        "Test code or tested code closed",
    ];
    starts.iter().any(|start| message.starts_with(start))
}

/// `name='value' …`, unescaped.
fn values(text: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let mut rest = text;
    while let Some((name, tail)) = rest.split_once("='") {
        let mut value = String::new();
        let mut chars = tail.char_indices();
        let mut end = tail.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\'' => {
                    end = at + 1;
                    break;
                }
                '|' => match chars.next().map(|(_, c)| c) {
                    Some('n') => value.push('\n'),
                    Some('r') => value.push('\r'),
                    Some('0') => {
                        // `|0x00e4`
                        let code: String = chars.by_ref().take(5).map(|(_, c)| c).collect();
                        let code = u32::from_str_radix(code.trim_start_matches('x'), 16).ok();
                        value.extend(code.and_then(char::from_u32));
                    }
                    Some(other) => value.push(other),
                    None => {}
                },
                other => value.push(other),
            }
        }
        values.insert(name.trim().to_owned(), value);
        rest = &tail[end..];
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_unescaped() {
        let found = values("name='a|'b|n|[c|]||' message='|0x00e4' details=''");
        assert_eq!(found["name"], "a'b\n[c]|");
        assert_eq!(found["message"], "ä");
        assert_eq!(found["details"], "");
    }

    #[test]
    fn who_was_running_is_known() {
        let mut messages = Messages::default();
        messages.feed(b"##teamcity[testCount count='2' flowId='1']\n\n##teamcity[testSuiteStarted name='A' flowId='1']\n##teamcity[testStarted name='testA' locationHint='php_qn:///p/A.php::\\A::testA' flowId='1']\n##teamcity[testFinished name='testA' duration='2' flowId='1']\n##teamcity[testStarted name='testB' locationHint='php_qn:///p/A.php::\\A::testB' flowId='1']\n", &Context::rooted("/p"));
        assert_eq!(messages.running()[0].id, "A::testB");
        assert_eq!(messages.counts.passed, 1);
        assert!(!messages.ended());
    }
}
