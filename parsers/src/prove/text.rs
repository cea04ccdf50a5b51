//! What the harness prints.

use crate::lines::Seen;
use crate::prove::file::File;
use crate::prove::file::Summary;
use crate::prove::file::Verdict;
use crate::tap::Diagnostics;
use crate::tap::Reader;
use crate::tap::Step;
use memchr::memmem::Finder;
use std::collections::HashMap;
use std::sync::LazyLock;

static DOTS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(" .."));

/// More files than this are not followed.
const MOST_FILES: usize = 20_000;

/// The text of a run.
#[derive(Debug, Default)]
pub(crate) struct Text {
    pub files: Vec<File>,
    index: HashMap<String, usize>,
    /// The file whose lines are read.
    current: Option<usize>,
    /// The summary at the end has begun; the file whose lines are read.
    summary: Option<Option<usize>>,
    /// `Files=14, Tests=46`.
    pub totals: Option<(u32, u32)>,
    /// `PASS`, `FAIL` or `NOTESTS`.
    pub result: Option<String>,
    /// Why everything was given up.
    pub stopped: Option<String>,
    /// What the harness refuses.
    pub refused: Option<String>,
    /// `Test run interrupted!`
    pub interrupted: bool,
}

impl Text {
    /// Whether a line may mean anything.
    fn wants(&self, line: &[u8]) -> bool {
        let dots = || DOTS.find(line).is_some();
        match line.first() {
            Some(b'o') if is_result(line) => false,
            Some(
                b'D' | b'F' | b'A' | b'N' | b'T' | b'R' | b'B' | b'C' | b'U' | b'o' | b's' | 0x1b,
            ) => true,
            Some(b' ' | b'-') => self.summary.is_some(),
            Some(b'\t') => self.current.is_some(),
            Some(_) => dots() || (self.summary.is_some() && line.ends_with(b")")),
            None => false,
        }
    }

    /// Takes one line of either stream.
    pub fn take(&mut self, seen: Seen<'_>, diagnostics: &mut Diagnostics) -> Option<(usize, Step)> {
        if self.wants(seen.bytes) {
            let shown = seen.shown();
            if self.line(shown.trim_end()) {
                diagnostics.cut();
                return None;
            }
        }
        let mut none = Reader::default();
        let current = self.current.filter(|_| self.summary.is_none());
        let reader = current.and_then(|at| self.files[at].tap.as_mut());
        let step = crate::tap::look(seen, reader.unwrap_or(&mut none), diagnostics)?;
        Some((current?, step))
    }

    /// Takes one line of standard error, where the harness itself says little.
    pub fn take_error(&mut self, seen: Seen<'_>, diagnostics: &mut Diagnostics) {
        if matches!(seen.bytes.first(), Some(b'F' | b'C' | b'U'))
            && self.words(seen.shown().trim_end())
        {
            return;
        }
        match diagnostics.wants(seen.bytes) {
            true => diagnostics.line(&seen.shown()),
            false => diagnostics.pass(seen.bytes),
        }
    }

    /// Whether a line is the harness's own.
    fn line(&mut self, line: &str) -> bool {
        if line == "Test Summary Report" {
            // The last one is the harness's.
            self.summary = Some(None);
            for file in &mut self.files {
                file.summary = None;
            }
            return true;
        }
        if self.totals(line) {
            return true;
        }
        if let Some(summary) = &mut self.summary {
            let current = *summary;
            return self.in_summary(current, line);
        }
        self.header(line) || self.below(line) || self.words(line)
    }

    fn in_summary(&mut self, current: Option<usize>, line: &str) -> bool {
        if let Some((name, found)) = Summary::head(line) {
            let at = self.file(name);
            if let Some(file) = self.files.get_mut(at) {
                file.summary = Some(found);
            }
            self.summary = Some(Some(at));
            return true;
        }
        if line.starts_with("  ")
            && let Some(summary) = current.and_then(|at| self.files.get_mut(at)?.summary.as_mut())
        {
            summary.line(line);
            return true;
        }
        self.words(line)
    }

    fn file(&mut self, name: &str) -> usize {
        if let Some(at) = self.index.get(name) {
            return *at;
        }
        let at = self.files.len();
        if at < MOST_FILES {
            self.index.insert(name.to_owned(), at);
            self.files.push(File {
                name: name.to_owned(),
                ..File::default()
            });
        }
        at
    }

    /// `t/a.t ...... ok`, perhaps with the time before it.
    fn header(&mut self, line: &str) -> bool {
        let Some((name, rest)) = header(line) else {
            return false;
        };
        // A file is closed before the next is named; this one is a line of a test's.
        let open = self.current.and_then(|at| self.files.get(at));
        let open = open.is_some_and(|file| file.verdict.is_none() && file.tap.is_some());
        let odd = !(rest.is_empty() || is_ok(rest) || rest.starts_with("skipped"));
        if open && odd && !rest.starts_with(|c: char| c.is_ascii_digit()) {
            return false;
        }
        let at = self.file(name);
        let Some(file) = self.files.get_mut(at) else {
            return true;
        };
        match rest {
            "" => {
                // What follows may be its TAP.
                file.tap = Some(Reader::default());
                file.verdict = None;
            }
            rest if is_ok(rest) => file.verdict = Some(Verdict::Passed),
            rest if rest.starts_with("skipped") => file.verdict = Some(Verdict::Skipped),
            _ => {}
        }
        self.current = Some(at);
        if !rest.is_empty() {
            self.below(rest);
        }
        true
    }

    /// What stands below the header of a file, once its TAP is over.
    fn below(&mut self, line: &str) -> bool {
        let Some(file) = self.current.and_then(|at| self.files.get_mut(at)) else {
            return false;
        };
        if let Some(rest) = line.strip_prefix("Dubious, test returned ") {
            file.dubious = rest.split(' ').next().and_then(|code| code.parse().ok());
            file.verdict = Some(Verdict::Failed);
        } else if let Some(rest) = line
            .strip_prefix("Failed ")
            .and_then(|rest| rest.strip_suffix(" subtests"))
        {
            let (failed, total) = rest.split_once('/').unwrap_or((rest, "0"));
            file.count = failed.parse().ok().zip(total.parse().ok());
            file.verdict = Some(Verdict::Failed);
        } else if line == "No subtests run"
            || (line.starts_with("All ") && line.ends_with(" subtests passed"))
        {
            file.verdict = Some(Verdict::Failed);
        } else if let Some(rest) = line.trim_start().strip_prefix("(less ")
            && let Some((skipped, _)) = rest.split_once(" skipped subtest")
        {
            file.skipped = skipped.parse().unwrap_or(0);
        } else if is_ok(line)
            && file.verdict.is_none()
            && file.tap.as_ref().is_some_and(Reader::is_over)
        {
            file.verdict = Some(Verdict::Passed);
        } else if line.starts_with("skipped: ") && file.verdict.is_none() {
            file.verdict = Some(Verdict::Skipped);
        } else {
            return false;
        }
        true
    }

    fn totals(&mut self, line: &str) -> bool {
        if let Some(rest) = line.strip_prefix("Files=") {
            let found = rest.split_once(", Tests=").and_then(|(files, rest)| {
                let tests = rest.split(',').next()?;
                Some((files.parse().ok()?, tests.parse().ok()?))
            });
            if found.is_some() {
                self.totals = found;
                self.summary.get_or_insert(None);
                return true;
            }
        } else if let Some(result) = line.strip_prefix("Result: ")
            && self.totals.is_some()
            && ["PASS", "FAIL", "NOTESTS"].contains(&result)
        {
            self.result = Some(result.to_owned());
            return true;
        }
        false
    }

    fn words(&mut self, line: &str) -> bool {
        if let Some(why) = line.strip_prefix("FAILED--Further testing stopped") {
            self.stopped = Some(why.trim_start_matches([':', '.', ' ']).to_owned());
        } else if let Some(why) = line.strip_prefix("Bailout called.  Further testing stopped:") {
            self.stopped = Some(why.trim().to_owned());
        } else if line == "Test run interrupted!" {
            self.interrupted = true;
        } else if [
            "Cannot detect source of ",
            "Unknown option: ",
            "Cannot determine source for ",
        ]
        .iter()
        .any(|start| line.starts_with(start))
        {
            self.refused.get_or_insert_with(|| line.to_owned());
        } else {
            return false;
        }
        true
    }

    /// Whether the last word was said.
    pub fn ended(&self) -> bool {
        self.totals.is_some() && self.result.is_some()
    }

    /// Files that have begun and of which nothing more is said.
    pub fn running(&self) -> Vec<&str> {
        let open = self
            .files
            .iter()
            .filter(|file| file.verdict.is_none() && file.summary.is_none());
        open.map(|file| file.name.as_str()).collect()
    }
}

/// Whether a line that begins with `o` can only be a test's result: it has nothing of what the
/// harness puts behind the name of a file, or says about one.
fn is_result(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    line.len() > 3 && line.last() != Some(&b's') && memchr::memchr2(b'.', b'(', line).is_none()
}

/// `ok`, `ok       12 ms`.
fn is_ok(rest: &str) -> bool {
    let Some(time) = rest.strip_prefix("ok") else {
        return false;
    };
    let time = time.split(" (").next().unwrap_or("").trim();
    time.is_empty()
        || time
            .strip_suffix(" ms")
            .or_else(|| time.strip_suffix(" s"))
            .is_some_and(|n| n == "<1" || n.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Name and rest of `t/a.t ...... rest`.
fn header(line: &str) -> Option<(&str, &str)> {
    let line = match line.strip_prefix('[') {
        Some(timed) => {
            timed
                .split_once("] ")
                .filter(|(time, _)| time.len() == 8)?
                .1
        }
        None => line,
    };
    let at = DOTS.find_iter(line.as_bytes()).find(|at| {
        let rest = line[at + 1..].trim_start_matches('.');
        rest.is_empty() || rest.starts_with(' ')
    })?;
    let (name, rest) = (&line[..at], line[at + 1..].trim_start_matches('.').trim());
    let known = rest.is_empty()
        || is_ok(rest)
        || ["skipped", "Dubious, ", "Failed ", "No subtests run", "All "]
            .iter()
            .any(|start| rest.starts_with(start))
        || rest
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_digit());
    let fits = !name.is_empty() && !name.starts_with([' ', '#']) && !name.contains(": ");
    (known && fits).then_some((name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_told_from_other_lines() {
        assert_eq!(header("t/a.t .. ok"), Some(("t/a.t", "ok")));
        assert_eq!(
            header("[12:30:01] t/a.t .. ok       12 ms"),
            Some(("t/a.t", "ok       12 ms"))
        );
        assert_eq!(header("t/a.t ............ "), Some(("t/a.t", "")));
        assert_eq!(
            header("t/a.t .. skipped: why"),
            Some(("t/a.t", "skipped: why"))
        );
        assert_eq!(header("t/a.t .. 3/5"), Some(("t/a.t", "3/5")));
        assert_eq!(header("waiting ... for it"), None);
        assert_eq!(header("    ok 1 - a .. ok"), None);
        assert!(is_ok("ok  <1 s ( 0.02 usr  0.00 sys)") && !is_ok("ok 1 - x") && !is_ok("okay"));
    }
}
