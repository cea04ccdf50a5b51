//! nextest's text: status lines, the output of failed tests, the summary.

use regex::Regex;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The most that is kept of one test's output.
const MOST_OUTPUT: usize = 256 * 1024;
/// More tests than this are not kept.
const MOST_TESTS: usize = 100_000;

static STATUS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^ *((?:TRY \d+ |FLAKY \d+/\d+|)[A-Z]*(?:-[A-Z]+)?) *\[ *>? *[\d.]+s\] (?:\( *\d+/\d+\) )?(\S+) (\S.*)$")
        .expect("a constant pattern")
});
static SUMMARY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^ {5}Summary \[ *[\d.]+s\] (?:\d+/)?(\d+) tests? run: (.*)$")
        .expect("a constant pattern")
});

/// One test as the text shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// `FAIL`, `SIGSEGV`, `TIMEOUT`, ….
    pub word: String,
    /// The binary's id.
    pub binary: String,
    /// The test's name.
    pub name: String,
    /// What it printed.
    pub output: String,
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
    current: Option<(String, String)>,
}

impl Reader {
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
            self.current = None;
        } else if let Some(found) = STATUS.captures(line) {
            let text = |i: usize| found.get(i).map_or("", |m| m.as_str()).trim().to_owned();
            self.status(text(1), text(2), text(3));
        } else if let Some(rest) = line.strip_prefix("    ") {
            self.output(rest);
        } else if line.is_empty() {
            self.output("");
        }
        true
    }

    fn status(&mut self, word: String, binary: String, name: String) {
        let passed = ["PASS", "SLOW", "SKIP", "LEAK", "SETUP PASS"].contains(&word.as_str());
        self.current = None;
        if passed
            || word.starts_with("FLAKY")
            || word.starts_with("TRY")
            || self.shown.len() >= MOST_TESTS
        {
            return;
        }
        let key = (binary.clone(), name.clone());
        self.current = Some(key.clone());
        let shown = self.shown.entry(key).or_insert_with(|| Shown {
            binary,
            name,
            ..Shown::default()
        });
        // `TERMINATING` is only on the way to the last word.
        if word != "TERMINATING" {
            shown.word = word;
        }
    }

    fn output(&mut self, rest: &str) {
        if let Some(shown) = self
            .current
            .as_ref()
            .and_then(|key| self.shown.get_mut(key))
            && shown.output.len() < MOST_OUTPUT
        {
            shown.output.push_str(rest);
            shown.output.push('\n');
        }
    }
}

fn summary(line: &str) -> Option<Summary> {
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
            "failed" | "timed out" | "exec failed" => summary.failed += number,
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
        let words: Vec<&str> = reader
            .shown
            .values()
            .map(|shown| shown.word.as_str())
            .collect();
        assert_eq!(words, ["SIGSEGV", "TIMEOUT"]);
    }
}
