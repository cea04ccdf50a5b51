//! The JSON stream of one test binary, and whether it can be believed.
//!
//! A stream is believed only if the tests listed beforehand are the tests seen, each started
//! once and ended once, and the suite's end comes last with counts that agree. A child process
//! can write to the same standard output: noise is expected there, forged results are found by
//! these rules.

use crate::names::Names;
use serde::Deserialize;
use std::collections::BTreeSet;

/// More distinct tests than this are not followed (only a hostile stream has them).
const MOST_TESTS: usize = 500_000;
/// A longer name is nobody's.
const MOST_NAME: usize = 64 * 1024;
/// The most that is kept of one failed test's output; after [`MOST_OUTPUTS`] in all much less.
const MOST_OUTPUT: usize = 256 * 1024;
/// The most that is kept of all outputs together.
const MOST_OUTPUTS: usize = 32 * 1024 * 1024;
/// More contradictions than this are not described.
const MOST_FAULTS: usize = 5;

#[derive(Debug, Deserialize)]
struct Record {
    #[serde(rename = "type")]
    kind: String,
    event: String,
    name: Option<String>,
    stdout: Option<String>,
    message: Option<String>,
    reason: Option<String>,
    exec_time: Option<f64>,
    test_count: Option<u64>,
    passed: Option<u64>,
    failed: Option<u64>,
    ignored: Option<u64>,
    measured: Option<u64>,
    filtered_out: Option<u64>,
}

/// What one line of the stream said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// So many tests will run.
    Announced(u64),
    /// A test began.
    Started(String),
    /// A test ended well.
    Passed(String),
    /// A test was ignored.
    Ignored(String),
    /// A test failed.
    Failed(Failed),
}

/// What the stream says about a failed test.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failed {
    /// The test's name.
    pub name: String,
    /// What it printed.
    pub output: String,
    /// What the harness says.
    pub verdict: Option<String>,
    /// How long it took.
    pub duration_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Passed,
    Failed,
    Ignored,
}

/// The suite's last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SuiteEnd {
    /// Whether it says that all is well.
    pub ok: bool,
    passed: u64,
    failed: u64,
    ignored: u64,
    /// Tests that a filter left out.
    pub filtered: u64,
}

/// One binary's stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    tests: Names<State>,
    /// The numbers of those that have begun and not ended, oldest first.
    running: Vec<usize>,
    announced: Option<u64>,
    end: Option<SuiteEnd>,
    faults: Vec<String>,
    kept: usize,
    /// Noise that is no result, for the message of a crash.
    pub noise: crate::text::Tail,
}

impl Stream {
    /// Takes one line. Several results can come of none (noise) or one.
    pub fn line(&mut self, line: &str) -> Option<Step> {
        if self.announced.is_some()
            && self.end.is_none()
            && let Some((name, passed)) = plain(line)
        {
            return match passed {
                true => self.ended(name, State::Passed).map(Step::Passed),
                false => self.started(name),
            };
        }
        let Some((before, record)) = record(line) else {
            self.other(line);
            return None;
        };
        if !before.is_empty() {
            self.noise.feed(before.as_bytes());
            self.noise.feed(b"\n");
        }
        if self.end.is_some() {
            self.fault("results were written after the suite's end".to_owned());
        }
        match record.kind.as_str() {
            "suite" => self.suite(&record),
            "test" | "bench" => self.test(record),
            _ => None,
        }
    }

    fn other(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if line.contains("{ \"type\": \"") {
            self.fault("a result was written that cannot be read".to_owned());
        }
        self.noise.feed(line.as_bytes());
        self.noise.feed(b"\n");
    }

    fn suite(&mut self, record: &Record) -> Option<Step> {
        if record.event == "started" {
            if self.announced.is_some() || !self.tests.is_empty() {
                self.fault("the suite began twice".to_owned());
            }
            let count = record.test_count.unwrap_or(0);
            self.announced = Some(self.announced.unwrap_or(0).max(count));
            return Some(Step::Announced(count));
        }
        if self.announced.is_none() {
            self.fault("the suite ended without having begun".to_owned());
        }
        self.end = Some(SuiteEnd {
            ok: record.event == "ok",
            passed: record.passed.unwrap_or(0) + record.measured.unwrap_or(0),
            failed: record.failed.unwrap_or(0),
            ignored: record.ignored.unwrap_or(0),
            filtered: record.filtered_out.unwrap_or(0),
        });
        None
    }

    fn test(&mut self, record: Record) -> Option<Step> {
        let name = record.name?;
        if name.len() > MOST_NAME {
            self.fault("a test with an endless name came".to_owned());
            return None;
        }
        if self.announced.is_none() {
            self.fault("a test came before the suite began".to_owned());
        }
        match record.event.as_str() {
            "started" => self.started(&name),
            "timeout" => None,
            "ok" => self.ended(&name, State::Passed).map(Step::Passed),
            "ignored" => self.ended(&name, State::Ignored).map(Step::Ignored),
            "failed" => {
                let name = self.ended(&name, State::Failed)?;
                let seconds = record.exec_time.filter(|s| s.is_finite() && *s >= 0.0);
                let timed_out = record.reason.as_deref() == Some("time limit exceeded");
                Some(Step::Failed(Failed {
                    name,
                    output: self.capped(record.stdout.unwrap_or_default()),
                    verdict: record
                        .message
                        .or(timed_out.then(|| "time limit exceeded".to_owned())),
                    duration_ms: seconds.map(|s| (s * 1000.0) as u64),
                }))
            }
            // A benchmark's own result has no event word that is known here.
            _ if record.kind == "bench" => self.ended(&name, State::Passed).map(Step::Passed),
            other => {
                let fault = format!(
                    "unknown result `{}` of `{name}`",
                    crate::text::one_line(other)
                );
                self.fault(fault);
                None
            }
        }
    }

    /// An output within what may be kept.
    fn capped(&mut self, output: String) -> String {
        let most = if self.kept < MOST_OUTPUTS {
            MOST_OUTPUT
        } else {
            2048
        };
        let output = crate::text::cap(&output, most);
        self.kept = self.kept.saturating_add(output.len());
        output
    }

    fn started(&mut self, name: &str) -> Option<Step> {
        if self.tests.len() >= MOST_TESTS && !self.tests.contains(name) {
            self.fault("more tests than anybody has".to_owned());
            return None;
        }
        let (at, new) = self.tests.insert(name, State::Running);
        if !new {
            self.fault(format!("`{name}` began twice"));
            return None;
        }
        self.running.push(at);
        Some(Step::Started(name.to_owned()))
    }

    /// Notes a test's end. A second end that says worse is believed, one that says better not.
    fn ended(&mut self, name: &str, state: State) -> Option<String> {
        let found = self.tests.find(name);
        let before = found.and_then(|at| self.tests.at(at)).copied();
        match before {
            Some(State::Running) => {}
            Some(before) => {
                self.fault(format!("`{name}` ended twice"));
                if state != State::Failed || before == State::Failed {
                    return None;
                }
            }
            None => {
                self.fault(format!("`{name}` ended without having begun"));
                if self.tests.len() >= MOST_TESTS {
                    return None;
                }
            }
        }
        let at = found.unwrap_or_else(|| self.tests.insert(name, state).0);
        if let Some(place) = self.running.iter().position(|running| *running == at) {
            self.running.remove(place);
        }
        if let Some(known) = self.tests.at_mut(at) {
            *known = state;
        }
        Some(name.to_owned())
    }

    fn fault(&mut self, fault: String) {
        if self.faults.len() < MOST_FAULTS && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// The tests that have begun and not ended, oldest first.
    pub fn running(&self) -> Vec<String> {
        let names = self.running.iter().map(|at| self.tests.name(*at));
        names.map(str::to_owned).collect()
    }

    /// The suite's last word, if it came.
    pub fn end(&self) -> Option<SuiteEnd> {
        self.end
    }

    /// Whether anything of the harness was seen at all.
    pub fn began(&self) -> bool {
        self.announced.is_some() || !self.tests.is_empty()
    }

    /// How many tests were announced.
    pub fn announced(&self) -> u64 {
        self.announced.unwrap_or(0)
    }

    /// (passed, failed, ignored) as seen test by test.
    pub fn tally(&self) -> (u64, u64, u64) {
        let count = |state| self.tests.iter().filter(|(_, s)| **s == state).count() as u64;
        (
            count(State::Passed),
            count(State::Failed),
            count(State::Ignored),
        )
    }

    /// How many of the announced tests never began.
    pub fn not_begun(&self) -> u64 {
        self.announced().saturating_sub(self.tests.len() as u64)
    }

    /// What contradicts itself in a stream that has its suite's end; empty if it is believed.
    /// `listed` is what the binary listed beforehand.
    pub fn contradictions(&self, listed: Option<&BTreeSet<String>>) -> Vec<String> {
        let mut faults = self.faults.clone();
        let (passed, failed, ignored) = self.tally();
        if let Some(end) = self.end {
            let said = (end.passed, end.failed, end.ignored);
            if said != (passed, failed, ignored) {
                faults.push(format!(
                    "the suite counts {} passed, {} failed, {} ignored, its tests {passed}, {failed}, {ignored}",
                    said.0, said.1, said.2
                ));
            }
            if end.ok != (failed == 0) {
                faults.push("the suite's end and its tests disagree".to_owned());
            }
        }
        if self.announced() != self.tests.len() as u64 {
            faults.push(format!(
                "{} tests were announced, {} seen",
                self.announced(),
                self.tests.len()
            ));
        }
        for at in self.running.iter().take(2) {
            faults.push(format!("`{}` never ended", self.tests.name(*at)));
        }
        if let Some(listed) = listed {
            let names = self.tests.iter().map(|(name, _)| name);
            let unknown = names.filter(|name| !listed.contains(*name)).min();
            faults.extend(unknown.map(|name| format!("`{name}` is not among the listed tests")));
            let missing = listed.iter().find(|name| !self.tests.contains(name));
            faults.extend(missing.map(|name| format!("`{name}` was listed and never ran")));
        }
        faults
    }
}

/// A record that only says that a test of a plain name began or passed, as the harness writes it:
/// its name, and whether it passed.
fn plain(line: &str) -> Option<(&str, bool)> {
    let rest = line.strip_prefix("{ \"type\": \"test\", \"")?;
    let began = "event\": \"started\", \"name\": \"";
    let (name, after) = match rest.strip_prefix(began) {
        Some(rest) => rest.split_once('"')?,
        None => rest.strip_prefix("name\": \"")?.split_once('"')?,
    };
    let graphic = name
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if !graphic || name.len() > MOST_NAME {
        return None;
    }
    if rest.starts_with('e') {
        return (after == " }").then_some((name, false));
    }
    let after = after.strip_prefix(", \"event\": \"ok\"")?;
    let time = after.strip_prefix(", \"exec_time\": ").map(|time| {
        let end = time
            .bytes()
            .position(|byte| !byte.is_ascii_digit() && byte != b'.');
        time.split_at(end.unwrap_or(time.len()))
    });
    let whole = match time {
        // A number as JSON has it: digits, a point, digits.
        Some((time, after)) => {
            let number = time.split_once('.').is_some_and(|(whole, part)| {
                let digits = |text: &str| !text.is_empty() && !text.contains('.');
                let zero = whole.len() > 1 && whole.starts_with('0');
                digits(whole) && digits(part) && !zero
            });
            number && after == " }"
        }
        None => after == " }",
    };
    whole.then_some((name, true))
}

/// The record that ends the line, and what stands before it (output without a line end).
fn record(line: &str) -> Option<(&str, Record)> {
    let mut from = 0;
    while let Some(at) = line.get(from..)?.find('{') {
        let start = from + at;
        let rest = &line[start..];
        let likely = rest
            .trim_start_matches('{')
            .trim_start()
            .starts_with("\"type\"");
        if likely && let Ok(record) = serde_json::from_str::<Record>(rest) {
            return Some((&line[..start], record));
        }
        from = start + 1;
    }
    None
}

/// The names in the output of `--list --format terse`.
pub(crate) fn listed(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| {
            line.strip_suffix(": test")
                .or_else(|| line.strip_suffix(": benchmark"))
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(lines: &[&str]) -> Stream {
        let mut stream = Stream::default();
        for line in lines {
            stream.line(line);
        }
        stream
    }

    const BEGIN: &str = r#"{ "type": "suite", "event": "started", "test_count": 2 }"#;
    const A: &str = r#"{ "type": "test", "event": "started", "name": "a" }"#;
    const A_OK: &str = r#"{ "type": "test", "name": "a", "event": "ok", "exec_time": 0.001 }"#;
    const A_BAD: &str = r#"{ "type": "test", "name": "a", "event": "failed", "stdout": "x" }"#;
    const B: &str = r#"{ "type": "test", "event": "started", "name": "b" }"#;
    const B_OK: &str = r#"{ "type": "test", "name": "b", "event": "ok" }"#;
    const END: &str = r#"{ "type": "suite", "event": "ok", "passed": 2, "failed": 0, "ignored": 0, "measured": 0, "filtered_out": 0 }"#;

    fn list() -> BTreeSet<String> {
        listed("a: test\nb: test\nnoise\n")
    }

    #[test]
    fn a_whole_stream_is_believed_noise_or_not() {
        let glued = format!("no line end{B_OK}");
        let stream = stream(&[BEGIN, A, "noise {", A_OK, B, &glued, END, "", "bye"]);
        assert_eq!(stream.contradictions(Some(&list())), Vec::<String>::new());
        assert_eq!(stream.tally(), (2, 0, 0));
        assert_eq!(stream.noise.lines(9), ["noise {", "no line end", "bye"]);
    }

    #[test]
    fn every_forgery_is_found() {
        let cases: &[(&[&str], &str)] = &[
            (&[BEGIN, A, A_OK, B, A_OK, B_OK, END], "`a` ended twice"),
            (&[BEGIN, A, A, A_OK, B, B_OK, END], "`a` began twice"),
            (
                &[BEGIN, A, A_OK, B_OK, END],
                "`b` ended without having begun",
            ),
            (&[BEGIN, A, A_OK, END], "2 tests were announced, 1 seen"),
            (
                &[BEGIN, A, A_OK, B, B_OK, END, A_BAD],
                "after the suite's end",
            ),
            (
                &[BEGIN, A, A_OK, B, B_OK, END, END],
                "after the suite's end",
            ),
            (
                &[BEGIN, BEGIN, A, A_OK, B, B_OK, END],
                "the suite began twice",
            ),
            (&[A, BEGIN, A_OK, B, B_OK, END], "before the suite began"),
            (&[BEGIN, A, A_OK, B, END], "`b` never ended"),
            (
                &[BEGIN, A, A_BAD, B, B_OK, END],
                "the suite counts 2 passed",
            ),
            (
                &[BEGIN, A, A_OK, B, B_OK, "{ \"type\": \"test\", \"na", END],
                "cannot be read",
            ),
        ];
        for (lines, expected) in cases {
            let faults = stream(lines).contradictions(Some(&list())).join("; ");
            assert!(faults.contains(expected), "{lines:?}: {faults}");
        }
    }

    #[test]
    fn a_ghost_is_not_among_the_listed() {
        let ghost = BEGIN.replace('2', "3");
        let lines = [
            ghost.as_str(),
            A,
            A_OK,
            B,
            B_OK,
            r#"{ "type": "test", "event": "started", "name": "ghost" }"#,
            r#"{ "type": "test", "event": "ok", "name": "ghost" }"#,
            r#"{ "type": "suite", "event": "ok", "passed": 3, "failed": 0, "ignored": 0, "measured": 0 }"#,
        ];
        assert_eq!(stream(&lines).contradictions(None), Vec::<String>::new());
        let faults = stream(&lines).contradictions(Some(&list()));
        assert_eq!(faults, ["`ghost` is not among the listed tests"]);
    }

    #[test]
    fn a_failure_is_not_taken_back() {
        let twice = stream(&[BEGIN, A, A_BAD, A_OK, B, B_OK, END]);
        assert_eq!(twice.tally(), (1, 1, 0));
    }
}
