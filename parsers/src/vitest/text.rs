//! Vitest's text for people.
//!
//! Everything that failed is told at the end: `Failed Suites`, `Failed Tests`, `Unhandled
//! Errors`, each a ruling with blocks below it, then the numbers. Only that is believed, and of
//! several the last: what a test prints comes before it. The progress above it serves where the
//! end is missing.

use crate::lines::Seen;
use crate::text;

/// The most that is kept of one block.
const MOST_BLOCK: usize = 256 * 1024;
/// The most that is kept of all blocks.
const MOST_BYTES: usize = 48 * 1024 * 1024;
/// More blocks than this are not kept.
const MOST: usize = 20_000;

/// Where a block stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Section {
    /// `Failed Suites`.
    Suites,
    /// `Failed Tests`.
    #[default]
    Tests,
    /// `Unhandled Rejection` and its kin.
    Unhandled,
    /// `Startup Error`.
    Startup,
}

/// One error, and whom it failed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block {
    /// Where it stands.
    pub section: Section,
    /// The names, as they stand behind `FAIL`; the heading of an unhandled one.
    pub names: Vec<String>,
    /// The text.
    pub body: String,
    /// The ruling behind it came.
    pub whole: bool,
}

/// The numbers of a line of the summary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Failed.
    pub failed: u64,
    /// Passed.
    pub passed: u64,
    /// Skipped, to do, failed as expected.
    pub skipped: u64,
    /// All.
    pub total: u64,
}

/// One run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    /// The directory in its heading.
    pub root: Option<String>,
    /// What failed.
    pub blocks: Vec<Block>,
    /// How many suites and tests failed by the rulings.
    pub said: (u64, u64),
    /// `Test Files …`.
    pub files: Option<Numbers>,
    /// `Tests …`.
    pub tests: Option<Numbers>,
    /// `Errors …`.
    pub errors: u64,
    /// `Duration …`: nothing of it is missing.
    pub ended: bool,
    /// Failed tests of the progress: their names, whole.
    pub marks: Vec<String>,
    /// Passed tests of the progress.
    pub passed: u64,
    /// `No test files found`.
    pub nothing: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Open {
    #[default]
    Nothing,
    /// In a section, before a block.
    Section,
    /// In the names of a block.
    Names,
    /// In its text.
    Body,
}

/// Reads the text line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Runs with an end.
    pub runs: Vec<Run>,
    /// The one that has none yet.
    pub run: Run,
    /// A complaint about options or configuration.
    pub refused: Option<String>,
    /// `ERROR: Coverage for lines (…) does not meet …`.
    pub threshold: Option<String>,
    /// The heap was full.
    pub heap: bool,
    /// Vitest's heading came.
    pub began: bool,
    /// How many summaries came.
    pub ends: u64,
    open: Open,
    section: Section,
    file: String,
    /// Of the last block that ended, and how many there are to be.
    number: u64,
    of: u64,
    bytes: usize,
    /// Headings whose end did not come yet: tests print whole runs.
    headings: u64,
    /// The heading is coloured, so everything of Vitest's is.
    coloured: bool,
    /// The line has no colours although Vitest's have.
    plain: bool,
    /// A test's output is announced by the line before.
    printed: bool,
    /// Something of a run came behind its end.
    goes_on: bool,
}

impl Reader {
    /// Takes one line.
    pub fn line(&mut self, seen: Seen<'_>) {
        let bytes = seen.bytes;
        if self.open == Open::Nothing && !may_matter(bytes) {
            self.printed = false;
            return;
        }
        if bytes.is_empty() {
            match self.open {
                Open::Body => self.keep(""),
                Open::Names => self.open = Open::Body,
                _ => {}
            }
            return;
        }
        let line = seen.shown();
        let coloured = memchr::memchr(0x1b, bytes).is_some();
        self.plain = self.coloured && !coloured;
        let was_open = self.headings > 0;
        let printed = std::mem::replace(&mut self.printed, prints(&line));
        self.goes_on |= self.printed;
        if printed && self.began && self.open == Open::Nothing && line.starts_with(" RUN ") {
            // Its end will come, too.
            self.headings += 1;
            return;
        }
        self.shown(&line);
        self.coloured |= !was_open && self.headings > 0 && coloured;
    }

    fn shown(&mut self, line: &str) {
        if let Some(words) = ruling(line).filter(|_| !self.plain) {
            if self.inside(&words) {
                return self.keep(line);
            }
            return self.ruling(&words);
        }
        match self.open {
            Open::Section | Open::Names if fail(line).is_some() => {
                self.name(fail(line).unwrap_or(""));
                return;
            }
            Open::Section if matches!(self.section, Section::Unhandled | Section::Startup) => {}
            Open::Names => {
                self.after_name(line);
                return;
            }
            Open::Body => {
                // The numbers end an unhandled error that was broken off.
                if !self.is_summary(line) {
                    self.keep(line);
                }
                return;
            }
            _ => {}
        }
        self.elsewhere(line);
    }

    fn elsewhere(&mut self, line: &str) {
        if self.is_summary(line) {
            return;
        }
        let bare = line.trim_start();
        if let Some(rest) = line.strip_prefix(" RUN ") {
            self.heading(rest);
        } else if bare.starts_with("No test files found") || bare.starts_with("No test suite found")
        {
            self.run.nothing |= line.starts_with("No test files found");
        } else if let Some(rest) = line.strip_prefix("CACError: ") {
            self.refused.get_or_insert_with(|| text::one_line(rest));
        } else if line.starts_with("failed to load config from ") {
            self.refused.get_or_insert_with(|| text::one_line(line));
        } else if line.starts_with("ERROR: Coverage for ") {
            self.threshold.get_or_insert_with(|| text::one_line(line));
        } else if line.starts_with("FATAL ERROR: ") && line.contains("heap") {
            self.heap = true;
        } else if line.starts_with(' ') {
            self.progress(bare, line.len() - bare.len());
        }
    }

    /// ` RUN  v3.2.7 /p`: a new run, if the one before has its end.
    fn heading(&mut self, rest: &str) {
        let mut words = rest.trim().splitn(2, ' ');
        let version = words.next().unwrap_or("");
        let root = words.next().map(str::trim);
        if !version.starts_with('v') || root.is_none_or(str::is_empty) {
            return;
        }
        if self.plain {
            return;
        }
        self.began = true;
        if self.run.tests.is_some() {
            // What ended may have been printed by a test of a run that goes on.
            let over = self.headings == 0 && !self.goes_on;
            let run = std::mem::take(&mut self.run);
            if !over {
                self.run.root = run.root;
            } else if self.runs.len() < 200 {
                self.runs.push(run);
            }
        }
        self.headings += 1;
        self.goes_on = false;
        if self.run.root.is_none() {
            self.run.root = root.map(str::to_owned);
        }
        self.open = Open::Nothing;
    }

    /// Whether the words stand in the text of a block while others are still to come: a message
    /// that imitates a run.
    fn inside(&self, words: &str) -> bool {
        let listed = matches!(self.section, Section::Suites | Section::Tests);
        let more = self.open == Open::Body && listed && self.number < self.of;
        more && match numbered(words) {
            Some((_, of)) => of != self.of,
            None => !words.is_empty(),
        }
    }

    fn ruling(&mut self, words: &str) {
        let count = |words: &str| words.rsplit(' ').next()?.parse::<u64>().ok();
        if words.is_empty() {
            // A bare ruling ends unhandled errors; inside of others more of the same follows.
            if self.section != Section::Unhandled && self.open == Open::Body {
                self.keep("");
            } else if self.open == Open::Body {
                self.end();
            }
            return;
        }
        if let Some((number, of)) = numbered(words) {
            // The rulings are numbered: one that is out of order is part of a message.
            if number == self.number + 1 || self.number == 0 {
                (self.number, self.of) = (number, of);
                self.end();
            } else if self.open == Open::Body {
                self.keep(words);
            }
            return;
        }
        if words.starts_with("Failed Suites ") {
            self.restart();
            self.section = Section::Suites;
            self.run.said.0 = count(words).unwrap_or(0);
        } else if words.starts_with("Failed Tests ") {
            // Suites come first; anything else before it was printed by a test.
            if self.section != Section::Suites || self.run.blocks.is_empty() {
                self.restart();
            }
            self.section = Section::Tests;
            self.run.said.1 = count(words).unwrap_or(0);
        } else if words == "Unhandled Errors" {
            self.section = Section::Unhandled;
        } else if words == "Startup Error"
            || words.starts_with("Unhandled ")
            || words.starts_with("Uncaught ")
        {
            self.section = match words {
                "Startup Error" => Section::Startup,
                _ => Section::Unhandled,
            };
            self.push(words);
            self.open = Open::Body;
            return;
        } else {
            return;
        }
        self.open = Open::Section;
    }

    /// What was told before does not count.
    fn restart(&mut self) {
        (self.number, self.of) = (0, 0);
        self.run.blocks.clear();
        self.run.said = (0, 0);
        self.run.tests = None;
        self.run.files = None;
        self.run.errors = 0;
        self.run.ended = false;
    }

    fn push(&mut self, name: &str) {
        if self.run.blocks.len() < MOST {
            self.run.blocks.push(Block {
                section: self.section,
                names: vec![name.to_owned()],
                ..Block::default()
            });
        }
    }

    fn name(&mut self, name: &str) {
        let name = name.trim_end();
        if self.open == Open::Names
            && let Some(block) = self.run.blocks.last_mut()
        {
            if block.names.len() < 1000 {
                block.names.push(name.to_owned());
            }
            return;
        }
        self.push(name);
        self.open = Open::Names;
    }

    /// The first line of the text, or more of a name that has several lines.
    fn after_name(&mut self, line: &str) {
        let error = line
            .split([':', ' '])
            .next()
            .is_some_and(|word| word.ends_with("Error") || word.ends_with("Exception"));
        let thrown = error || line.starts_with("Unknown ") || line.starts_with(['{', '[', ' ']);
        if !thrown
            && self
                .run
                .blocks
                .last()
                .is_some_and(|block| block.names.len() == 1)
        {
            if let Some(name) = self.run.blocks.last_mut().and_then(|b| b.names.last_mut())
                && name.len() < 16 * 1024
            {
                name.push('\n');
                name.push_str(&text::cut(line, 2000));
            }
            return;
        }
        self.open = Open::Body;
        self.keep(line);
    }

    fn keep(&mut self, line: &str) {
        if self.bytes > MOST_BYTES {
            return;
        }
        self.bytes += line.len() + 1;
        if let Some(block) = self.run.blocks.last_mut()
            && block.body.len() < MOST_BLOCK
        {
            block.body.push_str(line);
            block.body.push('\n');
        }
    }

    fn end(&mut self) {
        if let Some(block) = self.run.blocks.last_mut() {
            block.whole = true;
        }
        self.open = Open::Section;
    }

    /// The numbers; whether the line is one of them.
    fn is_summary(&mut self, line: &str) -> bool {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        let ours = bare.starts_with(['T', 'E', 'D']);
        if !(1..=7).contains(&indent) || !ours || self.plain || self.inside("numbers") {
            return false;
        }
        if indent == 1
            && let Some(rest) = bare.strip_prefix("Test Files  ")
            && let Some(numbers) = numbers(rest)
        {
            self.run.files = Some(numbers);
            self.headings = self.headings.saturating_sub(1);
            self.ends += 1;
            self.goes_on = false;
            self.open = Open::Nothing;
            return true;
        }
        if indent == 6
            && let Some(rest) = bare.strip_prefix("Tests  ")
            && self.run.files.is_some()
        {
            self.run.tests =
                numbers(rest).or_else(|| (rest.trim() == "no tests").then(Numbers::default));
            return self.run.tests.is_some();
        }
        if let Some(rest) = bare.strip_prefix("Errors  ")
            && self.run.tests.is_some()
        {
            let number = rest.split(' ').next().and_then(|word| word.parse().ok());
            self.run.errors = number.unwrap_or(0);
            return true;
        }
        if let Some(rest) = bare.strip_prefix("Duration  ")
            && self.run.tests.is_some()
        {
            let whole = !rest.contains('(') && rest.trim_end().ends_with('s');
            self.run.ended |= whole || rest.trim_end().ends_with(')');
            return true;
        }
        false
    }

    /// ` ✓ a.test.js > x 3ms`, `   × x > y 5ms` under ` ❯ a.test.js (2 tests | 1 failed)`.
    fn progress(&mut self, bare: &str, indent: usize) {
        let Some(mark) = bare.chars().next() else {
            return;
        };
        let rest = bare[mark.len_utf8()..].trim_start();
        match mark {
            '❯' | '✓' | '×' | '✗' | '↓'
                if indent == 1
                    && memchr::memchr(b'(', rest.as_bytes()).is_some()
                    && rest.contains(" (")
                    && rest.contains(" test") =>
            {
                self.goes_on = true;
                self.file = rest.split(" (").next().unwrap_or("").to_owned();
                let passed = rest
                    .split(" (")
                    .nth(1)
                    .and_then(|rest| rest.split(' ').next());
                if mark == '✓' {
                    self.run.passed += passed
                        .and_then(|word| word.parse::<u64>().ok())
                        .unwrap_or(0);
                }
            }
            '✓' => self.run.passed += 1,
            '×' | '✗' if self.run.marks.len() < MOST => {
                let name = without_time(rest);
                if indent == 1 {
                    self.run.marks.push(name.to_owned());
                } else if indent == 3 && !self.file.is_empty() {
                    let name = format!("{} > {name}", self.file);
                    self.run.marks.push(name);
                }
            }
            _ => {}
        }
    }
}

/// Whether a line outside of everything may matter.
fn may_matter(bytes: &[u8]) -> bool {
    match bytes.first() {
        Some(b' ') => match bytes.get(1) {
            Some(b'R') => bytes.starts_with(b" RUN "),
            Some(b'T') => bytes.starts_with(b" Test Files "),
            Some(0x1b | 0xe2 | 0xc3) => true,
            Some(b' ') => {
                let word = bytes.trim_ascii_start();
                word.starts_with(b"Tests  ")
                    || word.starts_with(b"Errors  ")
                    || word.starts_with(b"Duration  ")
                    || word.starts_with("×".as_bytes())
                    || word.starts_with("✓".as_bytes())
                    || word.first() == Some(&0x1b)
            }
            _ => false,
        },
        Some(0xe2) => bytes.starts_with("⎯".as_bytes()),
        Some(b'N') => bytes.starts_with(b"No test "),
        Some(b'C') => bytes.starts_with(b"CACError: "),
        Some(b'E') => bytes.starts_with(b"ERROR: Coverage "),
        Some(b'F') => bytes.starts_with(b"FATAL ERROR: "),
        Some(b'f') => bytes.starts_with(b"failed to load config"),
        Some(b's') => bytes.starts_with(b"stdout | ") || bytes.starts_with(b"stderr | "),
        Some(0x1b) => true,
        _ => false,
    }
}

/// The words in a line of `⎯`.
fn ruling(line: &str) -> Option<String> {
    let line = line.trim_end();
    if !line.starts_with('⎯') || !line.ends_with('⎯') {
        return None;
    }
    let words = line.trim_matches('⎯').trim();
    (!words.contains('⎯')).then(|| words.to_owned())
}

/// `stdout | a.test.js > x` announces what a test printed.
fn prints(line: &str) -> bool {
    line.starts_with("stdout | ") || line.starts_with("stderr | ")
}

/// The numbers in `[3/9]`.
fn numbered(words: &str) -> Option<(u64, u64)> {
    let inner = words.strip_prefix('[')?.strip_suffix(']')?;
    let (number, of) = inner.split_once('/')?;
    Some((number.parse().ok()?, of.parse().ok()?))
}

/// What stands behind ` FAIL `.
fn fail(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(" FAIL ")?;
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    Some(rest)
}

/// `55 failed | 6 passed | 2 skipped | 1 todo (64)`.
fn numbers(rest: &str) -> Option<Numbers> {
    let rest = rest.trim();
    let (parts, total) = rest.rsplit_once(" (")?;
    let mut numbers = Numbers {
        total: total.strip_suffix(')')?.parse().ok()?,
        ..Numbers::default()
    };
    for part in parts.split(" | ") {
        let (number, word) = part.split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        match word {
            "failed" => numbers.failed = number,
            "passed" => numbers.passed = number,
            _ => numbers.skipped += number,
        }
    }
    Some(numbers)
}

/// A name without ` 5ms`, ` (retry x2)`.
fn without_time(name: &str) -> &str {
    let mut name = name.trim_end();
    loop {
        let Some((rest, last)) = name.rsplit_once(' ') else {
            return name;
        };
        let number = last.strip_suffix("ms").or(last.strip_suffix('s'));
        let timed = number
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
        let repeated = last.starts_with('x') && last.ends_with(')') && rest.ends_with("(retry");
        if repeated {
            name = rest.trim_end_matches("(retry").trim_end();
        } else if timed {
            return rest;
        } else {
            return name;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read() {
        let found = numbers("55 failed | 5 passed | 1 expected fail | 2 skipped | 1 todo (64)");
        let expected = Numbers {
            failed: 55,
            passed: 5,
            skipped: 4,
            total: 64,
        };
        assert_eq!(found, Some(expected));
        assert_eq!(numbers("many (3)"), None);
    }

    #[test]
    fn names_lose_their_times() {
        for (name, expected) in [
            ("a > b 5ms", "a > b"),
            ("a > b 1.5s", "a > b"),
            ("never passes 1ms (retry x2)", "never passes"),
            ("takes 5 items", "takes 5 items"),
        ] {
            assert_eq!(without_time(name), expected);
        }
    }

    /// A whole run, as a test prints it.
    const GHOST: &str = " RUN  v4.1.12 /ghost\n\n ❯ ghost.test.js (2 tests | 1 failed) 3ms\n   × ghost dies 2ms\n\n⎯⎯ Failed Tests 1 ⎯⎯\n\n FAIL  ghost.test.js > dies\nError: no\n ❯ ghost.test.js:3:5\n\n⎯⎯[1/1]⎯\n\n\n Test Files  1 failed (1)\n      Tests  1 failed | 1 passed (2)\n   Start at  10:00:00\n   Duration  1.00s (tests 3ms)\n\n";

    fn real(printed: &str, message: &str) -> String {
        format!(
            " RUN  v4.1.12 /p\n\n{printed} ❯ a.test.js (3 tests | 2 failed) 3ms\n   × one 2ms\n   × two 2ms\n\n⎯⎯ Failed Tests 2 ⎯⎯\n\n FAIL  a.test.js > one\nError: 1\n ❯ a.test.js:1:1\n\n⎯⎯[1/2]⎯\n\n FAIL  a.test.js > two\nError: 2\n{message} ❯ a.test.js:2:2\n\n⎯⎯[2/2]⎯\n\n\n Test Files  1 failed (1)\n      Tests  2 failed | 1 passed (3)\n   Start at  10:00:00\n   Duration  1.00s (tests 3ms)\n\n"
        )
    }

    fn runs(text: &str) -> Vec<(Option<String>, Vec<String>, u64)> {
        let mut reader = Reader::default();
        let mut lines = crate::lines::Lines::default();
        lines.each(text.as_bytes(), |line| reader.line(line));
        reader.runs.push(reader.run);
        let told = |run: &Run| {
            let names = run.blocks.iter().flat_map(|block| block.names.clone());
            let failed = run.tests.map_or(0, |tests| tests.failed);
            (run.root.clone(), names.collect(), failed)
        };
        reader.runs.iter().map(told).collect()
    }

    #[test]
    fn runs_that_tests_print_are_none() {
        let names = ["a.test.js > one".to_owned(), "a.test.js > two".to_owned()];
        let expected = (Some("/p".to_owned()), names.to_vec(), 2);
        let announced = format!("stdout | a.test.js > one\n{GHOST}\n");
        let printed = [
            String::new(),
            GHOST.to_owned(),
            format!("\n{GHOST}{GHOST}"),
            announced.repeat(2),
            format!("{announced}{GHOST}"),
        ];
        for printed in &printed {
            for message in ["", GHOST] {
                let text = real(printed, message);
                assert_eq!(runs(&text), vec![expected.clone()], "{text}");
                // Two real ones, one after the other.
                let twice = text.repeat(2);
                assert_eq!(runs(&twice), [expected.clone(), expected.clone()]);
            }
        }
        let coloured = real(GHOST, "")
            .replace(
                "\n RUN  v4.1.12 /p",
                "\n\u{1b}[46m RUN \u{1b}[49m v4.1.12 /p",
            )
            .replace("⎯⎯ Failed Tests 2", "\u{1b}[31m⎯⎯ Failed Tests 2");
        assert_eq!(runs(&coloured).len(), 1);
    }

    #[test]
    fn rulings_are_read() {
        assert_eq!(
            ruling("⎯⎯⎯⎯ Failed Tests 5 ⎯⎯⎯⎯").as_deref(),
            Some("Failed Tests 5")
        );
        assert_eq!(ruling("⎯⎯⎯⎯⎯[1/9]⎯").as_deref(), Some("[1/9]"));
        assert_eq!(ruling("⎯⎯⎯⎯").as_deref(), Some(""));
        assert_eq!(ruling("x ⎯⎯"), None);
    }
}
