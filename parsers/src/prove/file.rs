//! One test file, as the harness tells it.

use crate::tap::Reader;

/// More numbers of one file are not kept.
const MOST_NUMBERS: usize = 10_000;
/// More parse errors of one file are not kept.
const MOST_ERRORS: usize = 20;

/// What the line of a file says at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// `ok`.
    Passed,
    /// `skipped: why`.
    Skipped,
    /// Anything else.
    Failed,
}

/// What stands about a file in the summary at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// The wait status of its process.
    pub wait: u32,
    /// How many tests it ran.
    pub tests: u32,
    /// The numbers of those that failed.
    pub failed: Vec<u32>,
    /// What is wrong with its TAP.
    pub errors: Vec<String>,
    /// How many tests passed although they are marked as TODO.
    pub bonus: u32,
    /// The list whose lines go on.
    list: Option<List>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    Failed,
    Bonus,
    Errors,
}

/// A test file.
#[derive(Debug, Default)]
pub(crate) struct File {
    /// Its name, as it was given to the harness.
    pub name: String,
    pub verdict: Option<Verdict>,
    /// The exit status that is called dubious.
    pub dubious: Option<i32>,
    /// `Failed 2/5 subtests`: of the announced ones.
    pub count: Option<(u32, u32)>,
    /// How many of its tests were skipped, where it failed.
    pub skipped: u32,
    pub summary: Option<Summary>,
    /// Its TAP, where that is shown.
    pub tap: Option<Reader>,
}

impl File {
    /// Its exit status, by whoever told it.
    pub fn exit(&self) -> Option<i32> {
        let wait = self.summary.as_ref().map(|summary| summary.wait);
        let code = wait.map(|wait| (wait >> 8) as i32).or(self.dubious);
        code.filter(|code| *code != 0)
    }

    /// The signal that ended it.
    pub fn signal(&self) -> Option<i32> {
        let wait = self.summary.as_ref()?.wait;
        let signal = (wait & 0x7f) as i32;
        (signal != 0 && wait < 0x1_0000).then_some(signal)
    }
}

impl Summary {
    /// `t/a.t (Wstat: 5376 (exited 21) Tests: 26 Failed: 21)`: the file's name and the rest.
    pub fn head(line: &str) -> Option<(&str, Summary)> {
        let at = line.rfind("(Wstat: ")?;
        let name = line[..at].trim_end();
        let rest = line[at + 8..].strip_suffix(')')?;
        let wait = rest.split([' ', ')']).next()?;
        let tests = rest.rsplit_once("Tests: ")?.1.split(' ').next()?;
        let summary = Summary {
            wait: wait.parse().unwrap_or(0),
            tests: tests.parse().ok()?,
            ..Summary::default()
        };
        (!name.is_empty() && !name.starts_with(' ')).then_some((name, summary))
    }

    /// An indented line below the head.
    pub fn line(&mut self, line: &str) {
        let Some((label, value)) = line.trim_start().split_once(": ") else {
            return self.more(line.trim());
        };
        match label {
            "Failed test" | "Failed tests" => self.list = Some(List::Failed),
            "TODO passed" => self.list = Some(List::Bonus),
            "Parse errors" => self.list = Some(List::Errors),
            "Non-zero exit status" | "Non-zero wait status" => {
                self.list = None;
                return;
            }
            _ => return self.more(line.trim()),
        }
        self.more(value.trim());
    }

    fn more(&mut self, value: &str) {
        match self.list {
            Some(List::Errors) if self.errors.len() < MOST_ERRORS => {
                self.errors
                    .push(value.split_whitespace().collect::<Vec<_>>().join(" "));
            }
            Some(List::Failed) => numbers(value, &mut self.failed),
            Some(List::Bonus) => {
                let mut found = Vec::new();
                numbers(value, &mut found);
                self.bonus += found.len() as u32;
            }
            _ => {}
        }
    }
}

/// `2-5, 22`.
fn numbers(value: &str, into: &mut Vec<u32>) {
    for part in value.split(',').map(str::trim) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (Ok(from), Ok(to)) = (from.parse::<u32>(), to.parse::<u32>()) else {
            continue;
        };
        let room = MOST_NUMBERS.saturating_sub(into.len());
        into.extend((from..=to).take(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_a_file_is_read() {
        let (name, mut summary) =
            Summary::head("t/a b.t         (Wstat: 5376 (exited 21) Tests: 26 Failed: 21)")
                .expect("a head");
        assert_eq!((name, summary.wait, summary.tests), ("t/a b.t", 5376, 26));
        for line in [
            "  Failed tests:  2-4, 22,",
            "                26",
            "  TODO passed:   24",
            "  Non-zero exit status: 21",
            "  Parse errors: Tests out of sequence.  Found (9) but expected (2)",
            "                Bad plan.  You planned 3 tests but ran 4.",
        ] {
            summary.line(line);
        }
        assert_eq!(summary.failed, [2, 3, 4, 22, 26]);
        assert_eq!((summary.bonus, summary.errors.len()), (1, 2));
        assert_eq!(
            summary.errors[1],
            "Bad plan. You planned 3 tests but ran 4."
        );
        assert!(Summary::head("t/a.t (Wstat: 11 (Signal: SEGV) Tests: 1 Failed: 0)").is_some());
    }
}
