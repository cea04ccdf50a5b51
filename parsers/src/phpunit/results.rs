//! What PHPUnit prints at the end: its lists of failures and its last line.

use crate::phpunit::failure::Section;

/// More blocks than this are not kept.
const MOST: usize = 5_000;
/// The most that is kept of one block, in bytes.
const LONGEST: usize = 256 * 1024;

/// The numbers of the last line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Tests.
    pub tests: u64,
    /// Errors.
    pub errors: u64,
    /// Errors of PHPUnit's own, from 10 on: no test's.
    pub runner: u64,
    /// Failures.
    pub failures: u64,
    /// Warnings.
    pub warnings: u64,
    /// Skipped and incomplete tests.
    pub skipped: u64,
    /// Risky tests.
    pub risky: u64,
    /// Whether it begins with `OK`.
    pub ok: bool,
}

/// One failure as it is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// Which list holds it.
    pub section: Section,
    /// What stands behind its number.
    pub title: String,
    /// What stands below.
    pub body: String,
}

/// All lists and the last line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Results {
    /// The failures.
    pub blocks: Vec<Block>,
    /// Risky tests, by title.
    pub risky: Vec<(String, String)>,
    /// How many the headings announce.
    pub announced: u64,
    /// The last line, if it was reached.
    pub summary: Option<Summary>,
}

impl Results {
    /// Whether lists and last line agree.
    pub fn agree(&self) -> bool {
        let Some(summary) = self.summary else {
            return false;
        };
        let count = |section: Section| {
            let same = self.blocks.iter().filter(|block| block.section == section);
            same.count() as u64
        };
        count(Section::Failure) == summary.failures
            && count(Section::Error) == summary.errors
            && count(Section::Runner) == summary.runner
            && self.announced == self.blocks.len() as u64
    }
}

/// A list's heading: what it holds, if that fails the run, and how many.
fn heading(line: &str) -> Option<(Option<Section>, u64, bool)> {
    let line = line.trim_end().strip_suffix(':')?;
    let rest = line
        .strip_prefix("There was ")
        .or_else(|| line.strip_prefix("There were "));
    if let Some(rest) = rest {
        let (number, what) = rest.split_once(' ')?;
        let number = number.parse().ok()?;
        let section = match what {
            "error" | "errors" => Some(Section::Error),
            "failure" | "failures" => Some(Section::Failure),
            "warning" | "warnings" => Some(Section::Warning),
            "PHPUnit error" | "PHPUnit errors" => Some(Section::Runner),
            _ => None,
        };
        return Some((section, number, what.starts_with("risky")));
    }
    let (number, what) = line.split_once(' ')?;
    let number = number.parse().ok()?;
    let words = ["test triggered ", "tests triggered "];
    words
        .iter()
        .any(|words| what.starts_with(words))
        .then_some((None, number, false))
}

/// `Tests: 5, Assertions: 4, Failures: 1.` or `OK (3 tests, 3 assertions)`.
pub(crate) fn summary(line: &str) -> Option<Summary> {
    let line = line.trim();
    if let Some(rest) = line.strip_prefix("OK (") {
        let tests = rest.split(' ').next()?.parse().ok()?;
        rest.contains("assertion").then_some(())?;
        return Some(Summary {
            tests,
            ok: true,
            ..Summary::default()
        });
    }
    let rest = line.strip_prefix("Tests: ")?.strip_suffix('.')?;
    let mut summary = Summary::default();
    let (tests, rest) = rest.split_once(", ")?;
    summary.tests = tests.parse().ok()?;
    rest.starts_with("Assertions: ").then_some(())?;
    for part in rest.split(", ") {
        let (word, number) = part.split_once(": ")?;
        let number: u64 = number.parse().ok()?;
        match word {
            "Errors" => summary.errors = number,
            "PHPUnit Errors" => summary.runner = number,
            "Failures" => summary.failures = number,
            "Warnings" => summary.warnings = number,
            "Skipped" | "Incomplete" => summary.skipped += number,
            "Risky" => summary.risky = number,
            _ => {}
        }
    }
    Some(summary)
}

/// The line before the last one.
fn verdict(line: &str) -> bool {
    let line = line.trim();
    ["FAILURES!", "ERRORS!", "WARNINGS!", "OK, but "]
        .iter()
        .any(|word| line.starts_with(word))
        || line.starts_with("OK (")
}

/// Reads everything from `Time: …` on. The last line is the last that looks like one: others
/// stand in messages. A title stands below the trace of the failure before; only where that does
/// not give as many failures as there are, any line that looks like a title is one.
pub(crate) fn read(text: &str) -> Results {
    let strict = read_by(text, true);
    match strict.agree() {
        true => strict,
        false => read_by(text, false),
    }
}

fn read_by(text: &str, strict: bool) -> Results {
    let lines: Vec<&str> = text.lines().collect();
    let ends = |at: usize| {
        let own = verdict(lines[at]).then(|| summary(lines[at])).flatten();
        let next = || lines.get(at + 1).and_then(|next| summary(next));
        own.or_else(|| verdict(lines[at]).then(next).flatten())
    };
    let end = (0..lines.len()).rev().find(|at| ends(*at).is_some());
    let mut results = Results {
        summary: end.and_then(ends),
        ..Results::default()
    };
    let lines = &lines[..end.unwrap_or(lines.len())];
    let mut at = 0;
    while at < lines.len() {
        at = match heading(lines[at]) {
            Some(found) => list(lines, at + 1, found, strict, &mut results),
            None => at + 1,
        };
    }
    results
}

/// Reads one list; where it ends.
fn list(
    lines: &[&str],
    mut at: usize,
    (section, number, risky): (Option<Section>, u64, bool),
    strict: bool,
    results: &mut Results,
) -> usize {
    let mut next = 1;
    let mut open: Option<Block> = None;
    if section.is_some() {
        results.announced += number;
    }
    while at < lines.len() {
        let line = lines[at];
        let ruled = line == "--" && next > number && {
            let mut rest = lines[at + 1..].iter().filter(|line| !line.is_empty());
            rest.next().is_some_and(|line| heading(line).is_some())
        };
        if ruled && (!strict || below_a_trace(lines, at)) {
            break;
        }
        let placed = !strict || next == 1 || below_a_trace(lines, at);
        let begins = title(lines, at, next).filter(|_| next <= number && placed);
        if let Some((title, length)) = begins {
            keep(open.take(), section, risky, results);
            open = Some(Block {
                section: section.unwrap_or(Section::Warning),
                title,
                body: String::new(),
            });
            next += 1;
            at += length;
            continue;
        }
        if let Some(block) = &mut open
            && block.body.len() < LONGEST
        {
            block.body.push_str(line);
            block.body.push('\n');
        }
        at += 1;
    }
    keep(open, section, risky, results);
    at
}

fn keep(block: Option<Block>, section: Option<Section>, risky: bool, results: &mut Results) {
    let Some(block) = block else {
        return;
    };
    if section.is_some() && results.blocks.len() < MOST {
        results.blocks.push(block);
    } else if risky && results.risky.len() < MOST {
        results.risky.push((block.title, block.body));
    }
}

/// Whether the last line above that says something is a place.
fn below_a_trace(lines: &[&str], at: usize) -> bool {
    let mut above = lines[..at].iter().rev().filter(|line| !line.is_empty());
    above
        .next()
        .is_some_and(|line| super::frames::place(line).is_some() || line.ends_with(" {main}"))
}

/// `3) A::t with data set "x" (1)`, and how many lines it takes: names may hold line ends.
fn title(lines: &[&str], at: usize, number: u64) -> Option<(String, usize)> {
    let before = at.checked_sub(1).and_then(|before| lines.get(before));
    let apart = before.is_none_or(|line| line.is_empty() || line.ends_with("{main}"));
    if !apart {
        return None;
    }
    let rest = lines[at].strip_prefix(&format!("{number}) "))?;
    let mut title = rest.to_owned();
    let mut length = 1;
    while title.contains(" with data set \"") && title.matches('"').count() == 1 && length < 5 {
        title.push('\n');
        title.push_str(lines.get(at + length)?);
        length += 1;
    }
    Some((title, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_lines_are_read() {
        assert_eq!(
            summary("OK (3 tests, 3 assertions)").map(|s| (s.tests, s.ok)),
            Some((3, true))
        );
        let found = summary("Tests: 52, Assertions: 42, Errors: 8, Failures: 35, Skipped: 2, Incomplete: 1, Risky: 1.").expect("a summary");
        assert_eq!(
            (found.errors, found.failures, found.skipped, found.risky),
            (8, 35, 3, 1)
        );
        for line in ["Tests: many", "OK then", "Tests: 1, Assertions: x."] {
            assert_eq!(summary(line), None, "{line}");
        }
    }

    #[test]
    fn lists_and_last_line_have_to_agree() {
        let text = "Time: 00:00.1, Memory: 6.00 MB\n\nThere were 2 failures:\n\n1) A::b\nno\n2) C::d in the message\n\n/p/a.php:3\n\n2) A::c\nno\n\n/p/a.php:4\n\nFAILURES!\nTests: 3, Assertions: 3, Failures: 2.\n";
        let results = read(text);
        let titles: Vec<&str> = results
            .blocks
            .iter()
            .map(|block| block.title.as_str())
            .collect();
        assert_eq!(titles, ["A::b", "A::c"]);
        assert!(results.agree());
        assert!(!read(&text.replace("Failures: 2", "Failures: 3")).agree());
        assert!(read(&text[..text.len() - 40]).summary.is_none());
    }
}
