//! What gotestsum prints at its end: `=== FAIL: package TestA (0.00s)` with the output below,
//! and `DONE 5 tests, 2 failures in 0.1s`.

use crate::go::clip::Clip;
use crate::go::frame;

/// More failures than this are not kept.
const MOST: usize = 3000;

/// One failed test, or package where the name is empty.
#[derive(Debug)]
pub(crate) struct Listed {
    /// The package, relative to the module where gotestsum knows it.
    pub package: String,
    /// The test.
    pub name: String,
    /// How long it took; gotestsum writes `unknown` if it did not end.
    pub ms: Option<u64>,
    /// Its output.
    pub out: Clip,
}

/// The numbers of the last line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// All tests, parents included.
    pub tests: u64,
    /// Skipped ones.
    pub skipped: u64,
    /// Failed ones.
    pub failures: u64,
}

/// Reads the summary.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    /// What failed.
    pub listed: Vec<Listed>,
    /// The last line.
    pub done: Option<Done>,
    headed: bool,
    inside: bool,
}

impl Sum {
    /// Takes a line.
    pub fn line(&mut self, line: &str) {
        match line.as_bytes().first() {
            Some(b'=') if line.starts_with("=== ") => {
                self.heading(&line[4..]);
                if self.inside {
                    return;
                }
            }
            Some(b'D') if line.starts_with("DONE ") => {
                if let Some(done) = done(line) {
                    self.done = Some(done);
                    self.inside = false;
                }
                return;
            }
            _ => {}
        }
        if self.inside
            && let Some(last) = self.listed.last_mut()
        {
            last.out.push(line);
        }
    }

    fn heading(&mut self, rest: &str) {
        if !self.inside && !rest.starts_with('F') {
            return;
        }
        if rest == "Failed" {
            self.headed = true;
            self.done = None;
            self.listed.clear();
        }
        if let Some(rest) = rest.strip_prefix("FAIL: ").filter(|_| self.headed) {
            self.inside = false;
            let named = rest
                .strip_suffix(')')
                .and_then(|rest| rest.rsplit_once(" ("));
            let Some((named, time)) = named else {
                return;
            };
            let named = named.split(" (re-run ").next().unwrap_or(named);
            let (package, name) = named.split_once(' ').unwrap_or((named, ""));
            let fits = name.is_empty() || frame::is_test(name);
            if fits && self.listed.len() < MOST {
                self.listed.push(Listed {
                    package: package.to_owned(),
                    name: name.trim().to_owned(),
                    ms: time
                        .strip_suffix('s')
                        .and_then(|time| time.parse::<f64>().ok())
                        .filter(|s| *s >= 0.0)
                        .map(|s| (s * 1000.0) as u64),
                    out: Clip::of(12 * 1024),
                });
                self.inside = true;
            }
        } else if !["RUN ", "CONT ", "NAME ", "PAUSE "]
            .iter()
            .any(|word| rest.starts_with(word))
        {
            // Frames are a part of the output that gotestsum shows; anything else ends it.
            self.inside = false;
        }
    }

    /// Something of go's own comes after it: it was not the end.
    pub fn goes_on(&mut self) {
        self.done = None;
    }

    /// Whether the list is whole.
    pub fn holds(&self) -> bool {
        self.done
            .is_some_and(|done| done.failures == self.listed.len() as u64)
    }
}

/// `DONE 2 runs, 41 tests, 2 skipped, 32 failures, 1 error in 3.310s`
fn done(line: &str) -> Option<Done> {
    let (counts, time) = line.strip_prefix("DONE ")?.rsplit_once(" in ")?;
    time.strip_suffix('s')?.parse::<f64>().ok()?;
    let mut done = Done::default();
    for part in counts.split(", ") {
        let (number, word) = part.split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        match word {
            "test" | "tests" => done.tests = number,
            "skipped" => done.skipped = number,
            "failure" | "failures" => done.failures = number,
            "run" | "runs" | "error" | "errors" => {}
            _ => return None,
        }
    }
    Some(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_and_the_numbers_are_read() {
        let mut sum = Sum::default();
        let text = "✖  p (2ms)\n\n=== Failed\n=== FAIL: p TestA/b (0.00s)\n    a_test.go:3: x\n    --- FAIL: TestA/b (0.00s)\n\n=== FAIL: p TestA (re-run 1) (0.00s)\n\nDONE 2 runs, 5 tests, 1 skipped, 2 failures in 0.1s\n";
        text.lines().for_each(|line| sum.line(line));
        assert!(sum.holds());
        assert_eq!(sum.listed[0].name, "TestA/b");
        assert_eq!(sum.listed[1].name, "TestA");
        assert_eq!(
            sum.done,
            Some(Done {
                tests: 5,
                skipped: 1,
                failures: 2
            })
        );
    }
}
