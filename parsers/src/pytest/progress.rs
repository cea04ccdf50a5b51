//! What pytest prints while the tests run: letters, or with `-v` one line a test.

use crate::pytest::text::MOST;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// A result of `-v`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Passed,
    Failed,
    Error,
    Skipped,
}

const WORDS: [(&str, Shown); 9] = [
    ("PASSED", Shown::Passed),
    ("FAILED", Shown::Failed),
    ("ERROR", Shown::Error),
    ("SKIPPED", Shown::Skipped),
    ("XFAIL", Shown::Skipped),
    ("XPASS", Shown::Passed),
    ("xfail", Shown::Skipped),
    ("xpass", Shown::Passed),
    ("RERUN", Shown::Skipped),
];

/// What was seen of the tests while they ran.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    /// The results of each test that failed, in their order.
    pub results: BTreeMap<String, Vec<Shown>>,
    /// How many lines of `-v` there were: passed, not passed.
    pub passed: u64,
    pub skipped: u64,
    pub lines: u64,
    /// The test of the last line, if it passed.
    last_passed: String,
    /// Tests that began and have no result, under xdist several.
    pub running: Vec<String>,
    /// Letters: passed, failed, errors, skipped.
    pub letters: [u64; 4],
    /// The files that have letters.
    pub files: BTreeSet<String>,
    /// Those with an `F`, those with an `E` among them.
    pub failing: BTreeSet<String>,
    pub erring: BTreeSet<String>,
    /// The percentage has reached 100.
    pub done: bool,
}

impl Progress {
    /// `tests/test_a.py::test_b[x y] PASSED   [ 50%]`, `[gw0] [ 50%] PASSED tests/test_a.py::test_b`.
    pub fn verbose(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some((worker, rest)) = line.split_once("] ")
            && worker.starts_with("[gw")
        {
            self.distributed(rest);
            return;
        }
        let bare = without_percent(line);
        self.done |= line.ends_with("[100%]");
        if let Some((id, word)) = bare.rsplit_once(' ')
            && let Some((_, shown)) = WORDS.iter().find(|(known, _)| *known == word)
            && is_id(id.trim_end())
        {
            self.result(id.trim_end(), *shown);
            return;
        }
        // A reason follows the word.
        for (word, shown) in WORDS.iter().filter(|_| bare.ends_with(')')) {
            let Some(at) = find_word(bare, word) else {
                continue;
            };
            let id = bare[..at].trim_end();
            // Subtests have a line of their own.
            if is_id(id) {
                self.result(id, *shown);
                return;
            }
        }
        // Whatever a test prints follows its name.
        let id = bare.split(" SUB").next().unwrap_or(bare).trim_end();
        let id = match bare.len() == line.len() {
            true => id,
            false => return,
        };
        let id = match is_id(id) {
            true => id,
            false => match id.split_once(' ') {
                Some((first, _)) if is_id(first) => first,
                _ => return,
            },
        };
        if !self.results.contains_key(id) && self.last_passed != id {
            self.running.clear();
            self.running.push(id.to_owned());
        }
    }

    /// Most lines of `-v` by far: `tests/test_a.py::test_b PASSED      [ 50%]`, read without
    /// taking them apart.
    pub fn passed_line(&mut self, bytes: &[u8]) -> bool {
        let Some(open) = bytes
            .strip_suffix(b"%]")
            .map(|rest| rest.len().saturating_sub(3))
        else {
            return false;
        };
        if bytes.get(open) != Some(&b'[') {
            return false;
        }
        let before = bytes[..open].trim_ascii_end();
        let Some(id) = before.strip_suffix(b" PASSED") else {
            return false;
        };
        let Ok(id) = std::str::from_utf8(id) else {
            return false;
        };
        if id.starts_with(['[', '(', ' ', '\x1b']) || id.contains('\x1b') || !is_id(id) {
            return false;
        }
        self.done |= bytes.ends_with(b"[100%]");
        self.result(id, Shown::Passed);
        true
    }

    fn distributed(&mut self, rest: &str) {
        self.done |= rest.starts_with("[100%]");
        let rest = match rest.split_once("] ") {
            Some((percent, rest)) if percent.starts_with('[') => rest,
            _ => rest,
        };
        let Some((word, id)) = rest.split_once(' ') else {
            return;
        };
        if let Some((_, shown)) = WORDS.iter().find(|(known, _)| *known == word) {
            self.result(id.trim(), *shown);
        }
    }

    fn result(&mut self, id: &str, shown: Shown) {
        self.lines += 1;
        if !self.running.is_empty() {
            self.running.retain(|running| running != id);
        }
        match shown {
            Shown::Passed => {
                self.passed += 1;
                self.last_passed.clear();
                self.last_passed.push_str(id);
            }
            Shown::Skipped => self.skipped += 1,
            Shown::Failed | Shown::Error => {
                if self.results.len() >= MOST && !self.results.contains_key(id) {
                    return;
                }
                // A test that has passed fails once more in its teardown.
                let before = (self.last_passed == id).then_some(Shown::Passed);
                self.passed -= u64::from(before.is_some());
                let results = self.results.entry(id.to_owned()).or_default();
                results.extend(before);
                results.push(shown);
                self.last_passed.clear();
            }
        }
    }

    /// The letters of a line that something else has gone on with.
    pub fn before(&mut self, line: &str) {
        match line.contains(' ') {
            true => self.letters(line),
            false => self.letters(&format!("{line} [ 0%]")),
        }
    }

    /// `tests/test_a.py ..F.s    [ 50%]`, `..F.   [100%]`, cut off `test_a.py ..`.
    pub fn letters(&mut self, line: &str) {
        let line = line.trim_end();
        let bare = without_percent(line);
        let percent = bare.len() < line.len();
        let (before, letters) = bare.rsplit_once(' ').unwrap_or(("", bare));
        let file = before.is_empty() || before.ends_with(".py") || before.contains(".py ");
        let known = |c: char| {
            matches!(
                c,
                '.' | 'F' | 'E' | 's' | 'x' | 'X' | 'u' | 'R' | 'P' | 'p' | ',' | '-' | 'y'
            )
        };
        let taken: &str = match letters.find(|c| !known(c)) {
            Some(_) => return,
            None => letters,
        };
        // A line of nothing but letters is one only if it says how far it is.
        if !file || taken.is_empty() || (before.is_empty() && !percent) {
            return;
        }
        self.done |= line.ends_with("[100%]");
        if before.ends_with(".py") && self.files.len() < MOST {
            self.files.insert(before.to_owned());
            if taken.contains('F') {
                self.failing.insert(before.to_owned());
            }
            if taken.contains('E') {
                self.erring.insert(before.to_owned());
            }
        }
        for c in taken.chars() {
            match c {
                '.' | 'X' => self.letters[0] += 1,
                'F' | 'u' => self.letters[1] += 1,
                'E' => self.letters[2] += 1,
                's' | 'x' | 'y' => self.letters[3] += 1,
                _ => {}
            }
        }
    }
}

/// Without `[ 50%]` or `[ 3/10]` at the end.
fn without_percent(line: &str) -> &str {
    let Some(open) = line.rfind('[').filter(|_| line.ends_with(']')) else {
        return line;
    };
    let inner = &line[open + 1..line.len() - 1];
    let counts = inner.trim_start();
    let number = counts.strip_suffix('%').unwrap_or(counts);
    let number = number
        .trim_end_matches("ms")
        .trim_end_matches(['s', 'm', 'h']);
    let digits = !number.is_empty()
        && number
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '/' | '.'));
    let marked = counts.ends_with('%') || counts.contains('/') || counts.ends_with(['s', 'm']);
    // An id may end in brackets, too; those stand close to it.
    let apart = open == 0 || line[..open].ends_with(' ');
    match digits && marked && apart {
        true => line[..open].trim_end(),
        false => line,
    }
}

/// Where a result's word stands: behind a space, and nothing but a reason follows.
fn find_word(line: &str, word: &str) -> Option<usize> {
    let mut from = line.len();
    while let Some(at) = line[..from].rfind(word) {
        let after = &line[at + word.len()..];
        let before = at > 0 && line[..at].ends_with(' ');
        if before && (after.is_empty() || after.starts_with(" (") || after.starts_with(' ')) {
            return (after.trim().is_empty() || after.starts_with(" (")).then_some(at);
        }
        from = at;
    }
    None
}

/// `tests/test_a.py::TestB::test_c[x y]`: nothing but brackets may hold spaces.
fn is_id(text: &str) -> bool {
    let Some(at) = memchr::memmem::find(text.as_bytes(), b"::") else {
        return false;
    };
    let (file, name) = (&text[..at], &text[at + 2..]);
    let plain = name.split('[').next().unwrap_or(name);
    let bracketed = !name.contains('[') || name.ends_with(']');
    !file.is_empty()
        && !file.starts_with(['[', '(', ' ', '"', '\''])
        && file.contains('.')
        && !plain.contains(' ')
        && bracketed
        && !plain.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbose_lines_are_read() {
        let mut progress = Progress::default();
        for line in [
            "tests/test_a.py::test_b[x PASSED y] PASSED                        [ 50%]",
            "tests/test_a.py::test_c SKIPPED (not today)                       [ 60%]",
            "[gw0] [ 50%] FAILED tests/test_a.py::test_d ",
            "tests/test_a.py::test_e ERROR                                     [ 70%]",
            "tests/test_a.py::test_f ",
        ] {
            progress.verbose(line);
        }
        assert_eq!((progress.passed, progress.skipped), (1, 1));
        assert_eq!(progress.results["tests/test_a.py::test_d"], [Shown::Failed]);
        assert_eq!(progress.results["tests/test_a.py::test_e"], [Shown::Error]);
        assert_eq!(progress.running, ["tests/test_a.py::test_f"]);
    }

    #[test]
    fn letters_are_counted() {
        let mut progress = Progress::default();
        progress.letters("tests/test_a.py ..F.sE                                       [ 50%]");
        progress.letters("..x.                                                         [100%]");
        progress.letters("no letters here.");
        assert_eq!(progress.letters, [6, 1, 1, 2]);
        assert!(progress.done);
    }
}
