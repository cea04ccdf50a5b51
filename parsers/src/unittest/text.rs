//! unittest's output for people, as it is pasted or saved.
//!
//! A run ends with its blocks (`ERROR: …`, then `FAIL: …`, each between two rulings), the line
//! `Ran 3 tests in 0.001s` and a word with numbers. Before that come letters, or with `-v` one
//! line a test. What a test prints stands anywhere among them, and may look the same: which run
//! is real, and which block, is decided when all of it is there (`judge.rs`).

use crate::lines::Seen;
use crate::unittest::failure::Word;
use crate::unittest::names;
use memchr::memmem::Finder;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The most that is kept of one block, and of all together.
const MOST_BLOCK: usize = 256 * 1024;
const MOST_BYTES: usize = 48 * 1024 * 1024;
/// More blocks, runs or names than this are not kept.
const MOST: usize = 50_000;
/// unittest's rulings are this long.
const RULE: usize = 70;

static DOTS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b" ... "));

/// One block.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// What its heading begins with.
    pub word: Word,
    /// The rest of the heading.
    pub heading: String,
    /// What follows.
    pub body: String,
}

/// What stands before the blocks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    /// Letters in lines that have nothing else.
    pub letters: u64,
    /// The dots among them.
    pub dots: u64,
    /// Letters that may be the beginning of something else.
    pub maybe: u64,
    /// Tests that failed or passed unexpectedly, as `-v` shows them, by id.
    pub results: BTreeMap<String, Shown>,
    /// The others: passed, and skipped or failed as expected.
    pub passed: u64,
    pub skipped: u64,
    /// How many of them there were.
    pub lines: u64,
    /// The test that was begun last and has no result.
    pub running: Option<String>,
}

/// A result of `-v`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Ok,
    Failed,
    Skipped,
    ExpectedFailure,
    UnexpectedSuccess,
}

/// The numbers of a run's end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// The word was `OK`, or that nothing ran.
    pub ok: bool,
    pub failures: u64,
    pub errors: u64,
    pub skipped: u64,
    pub expected: u64,
    pub unexpected: u64,
}

/// One run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Session {
    pub progress: Progress,
    pub blocks: Vec<Block>,
    /// Of `Ran 3 tests in …`.
    pub ran: Option<u64>,
    /// The last word.
    pub end: Option<Numbers>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Progress,
    /// A line of `=` came.
    Head,
    /// A heading came: a line of `-` follows, after the test's documentation.
    Named,
    Body,
    /// A line of `-` came where `Ran …` may follow.
    Dashed,
    /// `Ran …` came.
    Ran,
}

/// Reads the text line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The runs that ended.
    pub sessions: Vec<Session>,
    /// The one that goes on.
    pub current: Session,
    part: Part,
    /// Where a line of `-` came that was no end.
    back: Part,
    documentation: u32,
    /// The last line that names a test and nothing else.
    named: Option<String>,
    /// A test that was running when something that looks like another's result was printed.
    pending: Option<String>,
    bytes: usize,
}

impl Reader {
    /// Takes one line.
    pub fn line(&mut self, seen: Seen<'_>) {
        match self.part {
            Part::Progress => self.progress(seen),
            Part::Head => self.head(seen),
            Part::Named => self.documented(seen),
            Part::Body => self.body(seen),
            Part::Dashed => self.dashed(seen),
            Part::Ran => self.ran(seen),
        }
    }

    fn progress(&mut self, seen: Seen<'_>) {
        match seen.head().first() {
            None => return,
            Some(b'=') if ruled(seen, b'=') => {
                self.part = Part::Head;
                return;
            }
            Some(b'-') if ruled(seen, b'-') => {
                self.back = Part::Progress;
                self.part = Part::Dashed;
                return;
            }
            Some(b'.' | b'F' | b'E' | b's' | b'x' | b'u') => self.letters(seen),
            _ => {}
        }
        // Most lines of `-v` by far; only that one passed is of interest.
        if let Some(name) = seen.bytes.strip_suffix(b" ... ok")
            && !name.starts_with(b"  ")
            && (name.ends_with(b")") || self.named.is_some())
        {
            self.named = None;
            self.passed_over();
            self.result(None, Shown::Ok);
            return;
        }
        if DOTS.find(seen.bytes).is_some() {
            self.verbose(&seen.shown());
            return;
        }
        match seen.bytes.last() {
            // The name of a test whose documentation follows.
            Some(b')') => {
                let line = seen.shown();
                self.named = names::is_name(&line).then(|| line.into_owned());
            }
            // The result of a test that has printed something.
            Some(b'k' | b'L' | b'R' | b'\'' | b'e' | b's' | b'm')
                if self.current.progress.running.is_some() || self.pending.is_some() =>
            {
                if let Some(shown) = shown(&seen.shown()) {
                    let running = self.current.progress.running.take();
                    let running = running.or(self.pending.take());
                    // Its first letter is none of a run without `-v`.
                    let letter = matches!(seen.head().first(), Some(b'F' | b'E' | b's' | b'u'));
                    let maybe = &mut self.current.progress.maybe;
                    *maybe = maybe.saturating_sub(u64::from(letter));
                    self.result(running, shown);
                }
            }
            _ => {}
        }
    }

    fn letters(&mut self, seen: Seen<'_>) {
        let (mut letters, mut dots) = (0, 0);
        let mut rest = seen.head();
        loop {
            match rest.first() {
                Some(b'.') => dots += 1,
                Some(b'F' | b'E' | b's' | b'x' | b'u') => {}
                // Since 3.14 each has its colour.
                Some(0x1b) => {
                    let end = rest.iter().position(|byte| *byte == b'm');
                    rest = end.map_or(&[][..], |end| &rest[end + 1..]);
                    continue;
                }
                None | Some(b'\r') => break,
                Some(_) => {
                    self.current.progress.maybe += letters;
                    return;
                }
            }
            letters += 1;
            rest = &rest[1..];
        }
        self.current.progress.letters += letters;
        self.current.progress.dots += dots;
    }

    /// `test_x (tests.m.C.test_x) ... ok`; without a result where the test prints something.
    fn verbose(&mut self, line: &str) {
        let Some((mut name, mut result)) = line.rsplit_once(" ... ") else {
            return;
        };
        let mut found = shown(result);
        if found.is_none() {
            (name, result) = line.split_once(" ... ").unwrap_or((name, result));
            found = shown(result);
        }
        // A subtest's line stands below its test's.
        if name.starts_with("  ") {
            return;
        }
        let named = self.named.take();
        let heading = match names::is_name(name) {
            true => name,
            false => match &named {
                Some(named) => named.as_str(),
                None => return,
            },
        };
        match found {
            Some(found) => {
                self.passed_over();
                let bad = matches!(found, Shown::Failed | Shown::UnexpectedSuccess);
                let id = bad.then(|| names::read(heading).id);
                self.result(id, found);
            }
            None => {
                self.pending = None;
                self.current.progress.running = Some(names::read(heading).id);
            }
        }
    }

    /// A line with a result came while another test was running: it may have printed it.
    fn passed_over(&mut self) {
        if let Some(running) = self.current.progress.running.take() {
            self.pending = Some(running);
        }
    }

    fn result(&mut self, id: Option<String>, shown: Shown) {
        let progress = &mut self.current.progress;
        progress.lines += 1;
        match shown {
            Shown::Ok => progress.passed += 1,
            Shown::Skipped | Shown::ExpectedFailure => progress.skipped += 1,
            Shown::Failed | Shown::UnexpectedSuccess => {
                if let Some(id) = id
                    && progress.results.len() < MOST
                {
                    progress.results.insert(id, shown);
                }
            }
        }
    }

    fn head(&mut self, seen: Seen<'_>) {
        let line = seen.shown();
        let words = [
            ("ERROR: ", Word::Error),
            ("FAIL: ", Word::Fail),
            ("UNEXPECTED SUCCESS: ", Word::Unexpected),
        ];
        let found = words
            .into_iter()
            .find_map(|(start, word)| Some((word, line.strip_prefix(start)?)));
        let Some((word, heading)) = found else {
            // A line of `=` in what somebody printed.
            self.part = match self.current.blocks.is_empty() {
                true => Part::Progress,
                false => Part::Body,
            };
            self.keep(&"=".repeat(RULE));
            self.line(seen);
            return;
        };
        self.documentation = 0;
        if self.current.blocks.len() < MOST {
            self.current.blocks.push(Block {
                word,
                heading: heading.to_owned(),
                body: String::new(),
            });
        }
        self.part = Part::Named;
    }

    fn documented(&mut self, seen: Seen<'_>) {
        if ruled(seen, b'-') {
            let unexpected =
                self.current.blocks.last().map(|block| block.word) == Some(Word::Unexpected);
            self.back = Part::Body;
            self.part = if unexpected { Part::Dashed } else { Part::Body };
        } else if ruled(seen, b'=') {
            self.part = Part::Head;
        } else {
            self.documentation += 1;
            // Nobody's documentation has so many first lines.
            if self.documentation > 20 {
                self.current.blocks.pop();
                self.part = Part::Progress;
            }
        }
    }

    fn body(&mut self, seen: Seen<'_>) {
        match seen.bytes.first() {
            Some(b'=' | 0x1b) if ruled(seen, b'=') => self.part = Part::Head,
            Some(b'-' | 0x1b) if ruled(seen, b'-') => {
                self.back = Part::Body;
                self.part = Part::Dashed;
            }
            _ => self.keep(&seen.shown()),
        }
    }

    fn keep(&mut self, line: &str) {
        if let Some(block) = self.current.blocks.last_mut()
            && block.body.len() < MOST_BLOCK
            && self.bytes < MOST_BYTES
        {
            block.body.push_str(line);
            block.body.push('\n');
            self.bytes += line.len() + 1;
        }
    }

    fn dashed(&mut self, seen: Seen<'_>) {
        let line = seen.shown();
        if let Some(ran) = ran(&line) {
            self.current.ran = Some(ran);
            self.part = Part::Ran;
            return;
        }
        self.part = self.back;
        if self.part == Part::Body {
            self.keep(&"-".repeat(RULE));
        }
        self.line(seen);
    }

    fn ran(&mut self, seen: Seen<'_>) {
        let line = seen.shown();
        if line.trim().is_empty() {
            return;
        }
        match numbers(&line) {
            Some(numbers) => self.current.end = Some(numbers),
            // xmlrunner says where its files go in between.
            None if line.starts_with("Generating ") || line.starts_with("Preserving ") => return,
            None => {}
        }
        self.close();
        if self
            .sessions
            .last()
            .is_some_and(|session| session.end.is_none())
        {
            self.line(seen);
        }
    }

    fn close(&mut self) {
        self.part = Part::Progress;
        self.named = None;
        let session = std::mem::take(&mut self.current);
        if self.sessions.len() < MOST {
            self.sessions.push(session);
        }
    }

    /// No more lines come.
    pub fn finish(&mut self) {
        if self.current.ran.is_some() {
            self.close();
        }
    }

    /// Whether anything of unittest's was seen.
    pub fn began(&self) -> bool {
        let progress = &self.current.progress;
        !self.sessions.is_empty()
            || !self.current.blocks.is_empty()
            || progress.lines > 0
            || progress.running.is_some()
    }
}

/// A line of the ruling's character and nothing else, coloured or not.
fn ruled(seen: Seen<'_>, rule: u8) -> bool {
    let plain = |bytes: &[u8]| bytes.len() == RULE && bytes.iter().all(|byte| *byte == rule);
    match seen.bytes.first() {
        Some(0x1b) => plain(seen.shown().as_bytes()),
        _ => plain(seen.bytes),
    }
}

fn shown(word: &str) -> Option<Shown> {
    match word.trim_end() {
        "ok" => Some(Shown::Ok),
        "FAIL" | "ERROR" => Some(Shown::Failed),
        "expected failure" => Some(Shown::ExpectedFailure),
        "unexpected success" => Some(Shown::UnexpectedSuccess),
        word => {
            let reason = word.strip_prefix("skipped")?;
            (reason.is_empty() || reason.starts_with([' ', ':'])).then_some(Shown::Skipped)
        }
    }
}

/// `Ran 3 tests in 0.001s`.
fn ran(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("Ran ")?;
    let (number, rest) = rest.split_once(' ')?;
    let rest = rest
        .strip_prefix("tests in ")
        .or(rest.strip_prefix("test in "))?;
    let time = rest.trim_end().strip_suffix('s')?;
    time.parse::<f64>().ok()?;
    number.parse().ok()
}

/// `OK (skipped=1)`, `FAILED (failures=1, errors=2)`, `NO TESTS RAN`.
fn numbers(line: &str) -> Option<Numbers> {
    let line = line.trim_end();
    let (word, rest) = match line.split_once(" (") {
        Some((word, rest)) => (word, rest.strip_suffix(')')?),
        None => (line, ""),
    };
    let mut numbers = Numbers {
        ok: matches!(word, "OK" | "NO TESTS RAN"),
        ..Numbers::default()
    };
    if !numbers.ok && word != "FAILED" {
        return None;
    }
    for part in rest.split(", ").filter(|part| !part.is_empty()) {
        let (name, number) = part.split_once('=')?;
        let number = number.parse().ok()?;
        match name {
            "failures" => numbers.failures = number,
            "errors" => numbers.errors = number,
            "skipped" => numbers.skipped = number,
            "expected failures" => numbers.expected = number,
            "unexpected successes" => numbers.unexpected = number,
            _ => {}
        }
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_read() {
        assert_eq!(ran("Ran 1 test in 0.000s"), Some(1));
        assert_eq!(ran("Ran 12 tests in 61.250s"), Some(12));
        assert_eq!(ran("Ran away in 1s"), None);
        let found = numbers(
            "FAILED (failures=34, errors=17, skipped=3, expected failures=1, unexpected successes=1)",
        );
        let expected = Numbers {
            ok: false,
            failures: 34,
            errors: 17,
            skipped: 3,
            expected: 1,
            unexpected: 1,
        };
        assert_eq!(found, Some(expected));
        assert!(numbers("NO TESTS RAN (skipped=1)").is_some_and(|numbers| numbers.ok));
        assert_eq!(numbers("OKAY"), None);
    }
}
