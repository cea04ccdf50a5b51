//! nextest's text: status lines, the output of failed tests, the summary.

use regex::Regex;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// The most that is kept of one test's output.
const MOST_OUTPUT: usize = 256 * 1024;
/// More tests than this are not kept.
const MOST_TESTS: usize = 100_000;

static STATUS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^ *((?:TRY \d+ |FLAKY \d+/\d+|)[A-Z]*(?:[- +]+[A-Z]+)?) *\[ *>? *(?:[\d.]+s)? *\] +(?:\([^)]{1,24}\) )?(\S+) (\S.*)$")
        .expect("a constant pattern")
});
static SUMMARY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^ {5}Summary \[ *[\d.]+s\] (?:\d+/)?(\d+) tests? run: (.*)$")
        .expect("a constant pattern")
});
/// `--- STDOUT:   binary test ---`, of versions that do not indent what follows.
static HEADING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:---|\u{2500}{4}) (?:TRY \d+ )?(STDOUT|STDERR|OUTPUT): +(?:\([^)]{1,24}\) )?(\S+) (\S.*?)(?: ---)?$")
        .expect("a constant pattern")
});

/// Binary and test.
type Key = (String, String);

/// One test as the text shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// `FAIL`, `SIGSEGV`, `TIMEOUT`, ….
    pub word: String,
    /// The binary's id.
    pub binary: String,
    /// The test's name.
    pub name: String,
    /// What it printed to standard output, the harness's own lines among it.
    pub output: String,
    /// What it printed to standard error, where that stands apart.
    pub errors: String,
    /// Of several tries, or of an output that is shown twice, the last counts.
    stale: bool,
}

/// Whose output is read.
#[derive(Debug)]
struct Reading {
    key: Key,
    /// Taken out of the map for so long: its output has many lines.
    shown: Shown,
    /// It is not indented.
    raw: bool,
    errors: bool,
}

/// The numbers of the summary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Tests that ran.
    pub run: u64,
    /// Passed, flaky ones too.
    pub passed: u64,
    /// Passed only after a failure.
    pub flaky: u64,
    /// Failed, timed out, not startable.
    pub failed: u64,
    /// Skipped.
    pub skipped: u64,
}

/// Reads the text line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Whether nextest itself began: the build is done.
    pub began: bool,
    /// What did not pass, by binary and name.
    pub shown: BTreeMap<(String, String), Shown>,
    /// The last summary.
    pub summary: Option<Summary>,
    /// A list that could not be made.
    pub list_failed: Option<String>,
    listing: bool,
    reading: Option<Reading>,
    /// What a test prints that is not captured, between its start and its status.
    started: Option<(Key, String)>,
    /// What did not pass is named again below the summary.
    finals: BTreeSet<Key>,
}

impl Reader {
    /// Whether a line may mean anything to [`Reader::line`].
    pub fn wants(&self, line: &[u8]) -> bool {
        !self.began
            || self.reading.is_some()
            || self.started.is_some()
            || (matches!(line.first(), Some(b' ' | b'-' | 0xe2 | 0x1b | b'e'))
                // What passed is counted by the summary.
                && !line.starts_with(b"        PASS ["))
    }

    /// Takes one line; false if it is not nextest's.
    pub fn line(&mut self, line: &str) -> bool {
        if line.starts_with(" Nextest run ID ") || line.starts_with("    Starting ") {
            self.began = true;
            return true;
        }
        if line == "error: creating test list failed" {
            self.listing = true;
            return true;
        }
        if self.listing && self.list_failed.is_none() && line.starts_with("  for `") {
            self.list_failed = Some(line.trim().to_owned());
        }
        if !self.began {
            return self.listing;
        }
        if let Some(summary) = summary(line) {
            self.summary = Some(summary);
            self.stop();
            self.started = None;
            self.finals.clear();
        } else if !self.status_line(line) && !self.heading(line) {
            self.printed(line);
        }
        true
    }

    /// A status stands in the first columns; what a test prints is indented, or is not captured
    /// and then the list below the summary decides.
    fn status_line(&mut self, line: &str) -> bool {
        let bracket = line
            .as_bytes()
            .iter()
            .take(24)
            .position(|byte| *byte == b'[');
        if !bracket.is_some_and(|at| at == 13 || !line.starts_with(' ')) {
            return false;
        }
        let Some(found) = STATUS.captures(line) else {
            return false;
        };
        let text = |i: usize| found.get(i).map_or("", |m| m.as_str()).trim().to_owned();
        self.status(text(1), (text(2), text(3)));
        true
    }

    /// The output that was read is whole.
    pub fn stop(&mut self) {
        if let Some(reading) = self.reading.take() {
            self.shown.insert(reading.key, reading.shown);
        }
    }

    fn status(&mut self, word: String, key: Key) {
        self.stop();
        if word == "START" || word.ends_with(" START") {
            self.started = Some((key, String::new()));
            return;
        }
        let printed = self.started.take().filter(|(started, _)| *started == key);
        if word == "SLOW" || word == "TERMINATING" {
            self.started = printed;
            return;
        }
        let tried = word
            .strip_prefix("TRY ")
            .and_then(|rest| rest.split_once(' '));
        let bare = tried.map_or(word.as_str(), |(_, bare)| bare);
        let first = bare.split(" + ").next().unwrap_or(bare);
        let passed = ["PASS", "SKIP", "LEAK", "SETUP PASS", "TIMEOUT-PASS", ""].contains(&first);
        if passed || bare.starts_with("FLAKY") || bare.starts_with("RETRY") || bare == "DELAY" {
            // It failed before, and is flaky.
            if passed && !bare.is_empty() || bare.starts_with("FLAKY") {
                self.shown.remove(&key);
            }
            return;
        }
        if self.summary.is_some() {
            self.finals.insert(key.clone());
        }
        if self.shown.len() >= MOST_TESTS {
            return;
        }
        let mut shown = self.shown.remove(&key).unwrap_or_else(|| Shown {
            binary: key.0.clone(),
            name: key.1.clone(),
            ..Shown::default()
        });
        shown.word = first.to_owned();
        shown.stale = true;
        if let Some((_, printed)) = printed.filter(|(_, printed)| !printed.trim().is_empty()) {
            shown.output = printed;
            shown.errors.clear();
            shown.stale = false;
        }
        self.reading = Some(Reading {
            key,
            shown,
            raw: false,
            errors: false,
        });
    }

    /// What heads the two parts of an output.
    fn heading(&mut self, line: &str) -> bool {
        let sides = [
            ("  stdout \u{2500}", false),
            ("  output \u{2500}", false),
            ("  stderr \u{2500}", true),
        ];
        if let Some((_, errors)) = sides.iter().find(|(start, _)| line.starts_with(start)) {
            if let Some(reading) = self.reading.as_mut().filter(|reading| !reading.raw) {
                reading.errors = *errors;
            }
            return true;
        }
        let rule = |c: char| c == '\u{2500}';
        if line.starts_with(rule) && line.chars().all(rule) {
            self.stop();
            return true;
        }
        if !line.starts_with("--- ") && !line.starts_with(rule) {
            return false;
        }
        let Some(found) = HEADING.captures(line) else {
            return false;
        };
        let text = |i: usize| found.get(i).map_or("", |m| m.as_str()).trim().to_owned();
        let key = (text(2), text(3));
        // Of a test that passed nobody wants to know.
        self.stop();
        let known = self.shown.remove(&key);
        self.reading = known.map(|shown| Reading {
            key,
            shown,
            raw: true,
            errors: text(1) == "STDERR",
        });
        true
    }

    fn printed(&mut self, line: &str) {
        if let Some((_, printed)) = &mut self.started {
            push(printed, line);
            return;
        }
        let Some(reading) = &mut self.reading else {
            return;
        };
        let text = match (reading.raw, line.strip_prefix("    ")) {
            (true, _) => line,
            (false, Some(text)) => text,
            (false, None) if line.is_empty() => "",
            (false, None) => return,
        };
        let shown = &mut reading.shown;
        if std::mem::take(&mut shown.stale) {
            shown.output.clear();
            shown.errors.clear();
        }
        match reading.errors {
            true => push(&mut shown.errors, text),
            false => push(&mut shown.output, text),
        }
    }

    /// Tests that did not pass: where nextest lists as many below its summary as it counts,
    /// those.
    pub fn failed(&mut self) -> Vec<Shown> {
        self.stop();
        let counted = self.summary.map_or(0, |summary| summary.failed);
        if !self.finals.is_empty() && self.finals.len() as u64 == counted {
            self.shown.retain(|key, _| self.finals.contains(key));
        }
        let shown = std::mem::take(&mut self.shown).into_values();
        shown.filter(|shown| !shown.word.is_empty()).collect()
    }
}

fn push(text: &mut String, line: &str) {
    if text.len() < MOST_OUTPUT {
        text.push_str(line);
        text.push('\n');
    }
}

fn summary(line: &str) -> Option<Summary> {
    if !line.starts_with("     Summary [") {
        return None;
    }
    let found = SUMMARY.captures(line)?;
    let mut summary = Summary {
        run: found.get(1)?.as_str().parse().ok()?,
        ..Summary::default()
    };
    let parts = found.get(2)?.as_str();
    // What stands in brackets belongs to `passed` and is not to be counted again.
    let flaky = parts
        .split_once('(')
        .and_then(|(_, inner)| inner.split(')').next());
    if let Some(inner) = flaky {
        let part = inner
            .split(", ")
            .find_map(|part| part.strip_suffix(" flaky"));
        summary.flaky = part.and_then(|n| n.parse().ok()).unwrap_or(0);
    }
    let mut plain = String::new();
    let mut depth = 0;
    for c in parts.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            c if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    for part in plain.split(", ") {
        let (number, word) = part.trim().split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        match word.trim() {
            "passed" => summary.passed += number,
            "exec failures" | "exec failure" | "failed" | "timed out" | "exec failed" => {
                summary.failed += number
            }
            "skipped" => summary.skipped += number,
            _ => {}
        }
    }
    Some(summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_read() {
        let line = "     Summary [   0.129s] 13 tests run: 4 passed (1 flaky, 1 slow), 7 failed, 2 timed out, 1 skipped";
        let expected = Summary {
            run: 13,
            passed: 4,
            flaky: 1,
            failed: 9,
            skipped: 1,
        };
        assert_eq!(summary(line), Some(expected));
    }

    #[test]
    fn status_lines_name_the_signal() {
        let mut reader = Reader::default();
        reader.line(" Nextest run ID x with nextest profile: default");
        reader.line("     SIGSEGV [   0.010s] ( 2/11) crashy tests::c_segfaults");
        reader.line("        PASS [   0.010s] ( 3/11) crashy tests::a");
        reader.line("     TIMEOUT [   1.010s] crashy::bin/x tests::b with space");
        let words: Vec<String> = reader
            .failed()
            .into_iter()
            .map(|shown| shown.word)
            .collect();
        assert_eq!(words, ["SIGSEGV", "TIMEOUT"]);
    }

    fn read(text: &str) -> Vec<Shown> {
        let mut reader = Reader::default();
        reader.line(" Nextest run ID x with nextest profile: default");
        text.lines().for_each(|line| {
            reader.line(line);
        });
        reader.failed()
    }

    #[test]
    fn output_is_read_in_every_style() {
        let new = "        FAIL [   0.012s] ( 2/32) other tests::eq\n  stdout \u{2500}\u{2500}\u{2500}\n\n    out\n            FAIL [   0.012s] ghost tests::x\n\n  stderr \u{2500}\u{2500}\u{2500}\n\n    err\n\n        PASS [   0.012s] ( 3/32) other b\n";
        let old = "        FAIL [   0.012s] other tests::eq\n\n--- STDOUT:              other tests::eq ---\n\nout\n\n--- STDERR:              other tests::eq ---\nerr\n\n        PASS [   0.012s] other b\n";
        let free = "       START [         ] (1/2) other tests::eq\nout\nerr\n        FAIL [   0.005s] (1/2) other tests::eq\n";
        for log in [new, old] {
            let shown = read(log);
            assert_eq!(shown.len(), 1, "{log}");
            assert!(shown[0].output.contains("out") && !shown[0].output.contains("err"));
            assert_eq!(shown[0].errors.trim(), "err");
        }
        assert_eq!(read(free)[0].output, "out\nerr\n");
    }

    #[test]
    fn of_several_tries_the_last_counts() {
        let log = "  TRY 1 FAIL [   0.007s] (\u{2500}\u{2500}\u{2500}) a x\n  stdout \u{2500}\n    one\n  TRY 2 FAIL [   0.007s] ( 1/2) a x\n  stdout \u{2500}\n    two\n  TRY 1 FAIL [   0.007s] a y\n  TRY 2 PASS [   0.007s] a y\n\u{2500}\u{2500}\u{2500}\n     Summary [   0.1s] 2 tests run: 1 passed (1 flaky), 1 failed, 0 skipped\n   FLAKY 2/3 [   0.005s] a y\n  TRY 2 FAIL [   0.007s] a x\n";
        let shown = read(log);
        assert_eq!(shown.len(), 1);
        assert_eq!(
            (shown[0].name.as_str(), shown[0].output.as_str()),
            ("x", "two\n")
        );
    }

    #[test]
    fn the_list_below_the_summary_decides() {
        let log = "       START [         ] (1/1) a x\n        FAIL [   0.005s] (1/1) ghost y\n        FAIL [   0.005s] (1/1) a x\n     Summary [   0.1s] 1 test run: 0 passed, 1 failed, 0 skipped\n        FAIL [   0.005s] (1/1) a x\n";
        let shown = read(log);
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0].name, "x");
    }
}
