//! RSpec's output for people.
//!
//! Examples print what they like between the progress marks. Believed is what stands where RSpec
//! puts it: the last summary (`Finished in …`, the totals below it), the numbered blocks of the
//! last `Failures:` before it, the `Failed examples:` after it; and only as far as the three
//! agree with each other.

use crate::lines::Seen;
use crate::text;
use memchr::memmem;

/// The most that is kept of one block.
const MOST_BLOCK: usize = 192 * 1024;
/// The most that is kept of all blocks of one list.
const MOST_BYTES: usize = 24 * 1024 * 1024;
/// More blocks, or lines of a list, than this are not kept.
const MOST: usize = 20_000;
/// More summaries than this are not kept: a run has one.
const MOST_RUNS: usize = 64;
/// A heading's block that has no backtrace is no longer than this.
const MOST_OUTSIDE: usize = 400;

/// The numbers of the totals line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// All examples that were begun.
    pub examples: u64,
    /// Failed ones.
    pub failures: u64,
    /// Pending ones.
    pub pending: u64,
    /// Errors outside of examples.
    pub errors: u64,
}

/// A numbered failure: its title and its lines without their indentation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// What follows the number.
    pub title: String,
    /// The lines below.
    pub body: String,
    indentation: usize,
}

/// A line of `Failed examples:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    /// `./spec/a_spec.rb:12` or `./spec/a_spec.rb[1:2]`.
    pub place: String,
    /// The example's full description.
    pub description: String,
}

/// One summary with what belongs to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// The numbers.
    pub totals: Totals,
    /// The blocks of the list of failures.
    pub blocks: Vec<Block>,
    /// The failed examples by place.
    pub listed: Vec<Listed>,
    /// What failed outside of examples: heading and lines.
    pub outside: Vec<(String, String)>,
    /// Progress marks, if nothing else stood between them.
    pub marks: Option<u64>,
    /// The number of its line in the log.
    pub at: u64,
    /// How many runs had ended before.
    group: u32,
}

impl Run {
    /// Whether blocks, list and totals say the same.
    pub fn agrees(&self) -> bool {
        let failures = self.totals.failures as usize;
        let same = |block: &Block, listed: &Listed| {
            let bare = block.title.strip_suffix(" FIXED").unwrap_or(&block.title);
            bare == listed.description || block.title == listed.description
        };
        let pairs = self.blocks.iter().zip(&self.listed);
        self.blocks.len() == failures
            && self.listed.len() == failures
            && pairs.into_iter().all(|(block, listed)| same(block, listed))
            && self.outside.len() as u64 >= self.totals.errors
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Progress,
    Pending,
    Failures,
    /// Behind `Finished in`.
    Totals,
    Listed,
    /// In a message about what is no example; true in its backtrace.
    Outside(bool),
}

/// Reads the text line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    part: Part,
    /// How many lines were seen.
    pub count: u64,
    blocks: Vec<Block>,
    bytes: usize,
    outside: Vec<(String, String)>,
    outside_lines: usize,
    marks: u64,
    noisy: bool,
    group: u32,
    runs: Vec<Run>,
    /// Whether a list of failures has begun, and has no summary yet.
    pub open: bool,
    /// `invalid option: --x`.
    pub usage: Option<String>,
    /// RSpec was told to stop.
    pub interrupted: bool,
    /// A file that was being loaded ended the process: heading and lines.
    pub quit: Option<(String, String)>,
}

impl Reader {
    /// Takes one line. Most lines are looked at and forgotten.
    pub fn line(&mut self, seen: &Seen<'_>) {
        let bytes = seen.bytes;
        self.count += 1;
        if self.part == Part::Progress {
            match bytes.first() {
                None => return,
                Some(b'.' | b'F' | b'*') if is_marks(bytes) => {
                    self.marks += bytes.len() as u64;
                    return;
                }
                Some(b'F' | b'P' | b'A' | b'W' | b'R' | b'i' | b'/' | b'N' | b'\x1b') => {}
                Some(_) => {
                    self.noisy = true;
                    return;
                }
            }
        }
        let shown = seen.shown();
        self.shown(shown.trim_end());
    }

    fn shown(&mut self, line: &str) {
        let taken = match self.part {
            Part::Totals => {
                self.totals(line);
                true
            }
            Part::Listed => self.listed(line),
            Part::Failures => self.block_line(line),
            Part::Outside(traced) => self.outside_line(line, traced),
            Part::Progress | Part::Pending => false,
        };
        if taken {
            return;
        }
        self.heading(line);
    }

    fn heading(&mut self, line: &str) {
        match line {
            "Failures:" => {
                self.blocks.clear();
                self.bytes = 0;
                self.open = true;
                self.part = Part::Failures;
                return;
            }
            "Failed examples:" if self.runs.last().is_some_and(|run| run.listed.is_empty()) => {
                self.part = Part::Listed;
                return;
            }
            "RSpec is shutting down and will print the summary report... Interrupt again to force quit." =>
            {
                self.interrupted = true;
            }
            _ => {}
        }
        if line.starts_with("Finished in ") && line.contains(" second")
            || line.starts_with("Finished in ") && line.contains(" minute")
        {
            self.part = Part::Totals;
        } else if line.starts_with("Pending: (Failures listed here are expected")
            || line == "Pending:"
        {
            self.part = Part::Pending;
        } else if line.starts_with("An error occurred ") || line.starts_with("While loading ") {
            self.begin_outside(line);
        } else if let Some(option) = line.strip_prefix("invalid option: ") {
            self.usage
                .get_or_insert_with(|| format!("invalid option: {}", text::one_line(option)));
        } else if line.starts_with('/') && line.contains("/ruby") && line.contains("/rspec") {
            // `rake` says what it starts: what comes is a run of its own.
            self.group += 1;
            self.marks = 0;
            self.noisy = false;
            self.part = Part::Progress;
        } else if self.part == Part::Progress {
            self.progress(line);
        }
    }

    /// What is left in the progress area: marks with colours, or what an example printed.
    fn progress(&mut self, line: &str) {
        if line.is_empty()
            || line.starts_with("Run options:")
            || line.starts_with("Randomized with seed ")
        {
            return;
        }
        match is_marks(line.as_bytes()) {
            true => self.marks += line.len() as u64,
            false => self.noisy |= line != "No examples found.",
        }
    }

    fn begin_outside(&mut self, line: &str) {
        if self.outside.len() < MOST {
            self.outside.push((text::cut(line, 4096), String::new()));
        }
        self.outside_lines = 0;
        self.part = Part::Outside(false);
    }

    /// A line below a heading; whether it belongs there.
    fn outside_line(&mut self, line: &str, traced: bool) -> bool {
        let trace = line.starts_with("# ") || line == "#";
        let another = line.starts_with("An error occurred ") || line.starts_with("Finished in ");
        if another || (traced && !trace) || self.outside_lines > MOST_OUTSIDE {
            self.part = Part::Progress;
            return false;
        }
        self.outside_lines += 1;
        if let Some((_, body)) = self.outside.last_mut()
            && body.len() < MOST_BLOCK
        {
            body.push_str(line);
            body.push('\n');
        }
        self.part = Part::Outside(trace);
        true
    }

    /// A line of the list of failures; whether it belongs there.
    fn block_line(&mut self, line: &str) -> bool {
        if let Some((title, indentation)) = title(line, self.blocks.len() + 1) {
            if self.blocks.len() < MOST {
                self.blocks.push(Block {
                    title: title.to_owned(),
                    body: String::new(),
                    indentation,
                });
            }
            return true;
        }
        // The sections that follow begin at the margin; what the run prints besides, does, too.
        if line.starts_with(|c: char| !c.is_whitespace()) {
            let top = line.starts_with("Top ") && line.contains(" slowest example");
            if top || line == "Deprecation Warnings:" {
                self.part = Part::Pending;
                return true;
            }
            return false;
        }
        let Some(block) = self.blocks.last_mut() else {
            return true;
        };
        if block.body.len() < MOST_BLOCK && self.bytes < MOST_BYTES {
            let from = line.len() - line.trim_start().len();
            let line = &line[from.min(block.indentation)..];
            self.bytes += line.len() + 1;
            block.body.push_str(line);
            block.body.push('\n');
        }
        true
    }

    fn totals(&mut self, line: &str) {
        self.part = Part::Progress;
        let Some(totals) = totals(line) else {
            self.heading(line);
            return;
        };
        let marks = (!self.noisy).then_some(self.marks);
        (self.marks, self.noisy, self.open) = (0, false, false);
        if self.runs.len() < MOST_RUNS {
            self.runs.push(Run {
                totals,
                blocks: std::mem::take(&mut self.blocks),
                listed: Vec::new(),
                outside: std::mem::take(&mut self.outside),
                marks,
                at: self.count,
                group: self.group,
            });
        }
    }

    /// A line of `Failed examples:`; whether it belongs there.
    fn listed(&mut self, line: &str) -> bool {
        let Some(run) = self.runs.last_mut() else {
            return false;
        };
        if line.is_empty() {
            if run.listed.is_empty() {
                return true;
            }
            self.part = Part::Progress;
            return true;
        }
        let Some(rest) = line.strip_prefix("rspec ") else {
            self.part = Part::Progress;
            return false;
        };
        let (place, description) = rest
            .split_once(" # ")
            .unwrap_or((rest.trim_end_matches(" #"), ""));
        if run.listed.len() < MOST {
            run.listed.push(Listed {
                place: place.trim_matches('\'').to_owned(),
                description: description.to_owned(),
            });
        }
        true
    }

    /// The summaries that count: of each run the last one that agrees with itself, else the last.
    pub fn runs(&mut self) -> Vec<Run> {
        // `exit` in a file that is loaded is no error that is counted.
        if let Some(at) = self
            .outside
            .iter()
            .position(|(heading, _)| heading.starts_with("While loading "))
        {
            self.quit = Some(self.outside.remove(at));
        }
        let mut groups: Vec<Vec<Run>> = Vec::new();
        for run in std::mem::take(&mut self.runs) {
            match groups.last_mut() {
                Some(group) if group[0].group == run.group => group.push(run),
                _ => groups.push(vec![run]),
            }
        }
        let chosen = groups.into_iter().map(|mut group| {
            let agrees = group.iter().rposition(Run::agrees);
            let at = agrees.unwrap_or(group.len() - 1);
            group.swap_remove(at)
        });
        chosen.collect()
    }

    /// The failures that were listed before the output broke off.
    pub fn unfinished(&mut self) -> (Vec<Block>, Vec<(String, String)>) {
        let open = std::mem::take(&mut self.open);
        let blocks = std::mem::take(&mut self.blocks);
        let outside = std::mem::take(&mut self.outside);
        (if open { blocks } else { Vec::new() }, outside)
    }

    /// The line of the last summary that agrees with itself; 0 where there is none.
    pub fn last(&self) -> u64 {
        let agrees = self.runs.iter().rfind(|run| run.agrees());
        agrees.map_or(0, |run| run.at)
    }

    /// Whether anything of RSpec was seen.
    pub fn seen(&self) -> bool {
        !self.runs.is_empty() || self.open || !self.outside.is_empty() || self.marks > 0
    }
}

fn is_marks(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'.' | b'F' | b'*'))
}

/// `  12) title`: the title, and the width of what stands before it.
fn title(line: &str, expected: usize) -> Option<(&str, usize)> {
    let rest = line.strip_prefix("  ")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let number: usize = rest.get(..digits)?.parse().ok()?;
    let title = rest.get(digits..)?.strip_prefix(')')?;
    (number == expected).then(|| (title.trim_start(), digits + 4))
}

/// `3 examples, 1 failure, 1 pending, 1 error occurred outside of examples`.
pub(crate) fn totals(line: &str) -> Option<Totals> {
    memmem::find(line.as_bytes(), b" example")?;
    let mut totals = Totals::default();
    for (at, part) in line.split(", ").enumerate() {
        let (number, words) = part.split_once(' ')?;
        let number = number.parse().ok()?;
        match words {
            "example" | "examples" if at == 0 => totals.examples = number,
            "failure" | "failures" if at == 1 => totals.failures = number,
            "pending" if at == 2 => totals.pending = number,
            "error occurred outside of examples" | "errors occurred outside of examples" => {
                totals.errors = number;
            }
            _ => return None,
        }
    }
    line.contains(" failure").then_some(totals)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(log: &str) -> Reader {
        let mut reader = Reader::default();
        for line in log.lines() {
            reader.line(&Seen {
                bytes: line.as_bytes(),
                length: line.len() as u64 + 1,
                unfinished: false,
            });
        }
        reader
    }

    const REAL: &str = "F.\n\nFailures:\n\n  1) A fails\n     Failure/Error: x\n\n       expected: 1\n            got: 2\n     # ./spec/a_spec.rb:3:in `x'\n\nFinished in 0.01 seconds (files took 0.1 seconds to load)\n2 examples, 1 failure\n\nFailed examples:\n\nrspec ./spec/a_spec.rb:2 # A fails\n\n";

    #[test]
    fn blocks_totals_and_list_belong_together() {
        let runs = read(REAL).runs();
        assert_eq!(runs.len(), 1);
        assert!(runs[0].agrees(), "{runs:?}");
        assert_eq!(runs[0].marks, Some(2));
        assert_eq!(runs[0].blocks[0].body.lines().count(), 6);
        assert_eq!(runs[0].listed[0].place, "./spec/a_spec.rb:2");
    }

    #[test]
    fn what_an_example_prints_is_not_believed() {
        let ghost = REAL
            .replace("A fails", "Ghost")
            .replace("2 examples", "9 examples");
        for log in [
            format!("{ghost}{REAL}"),
            // After the end, but not in agreement with itself.
            format!("{REAL}{}", "Finished in 1 second\n5 examples, 3 failures\n"),
            format!(
                "{}{REAL}",
                "Failures:\n\n  1) Ghost\n     Failure/Error: x\n"
            ),
        ] {
            let runs = read(&log).runs();
            assert_eq!(runs.len(), 1, "{log}");
            assert_eq!(runs[0].blocks.len(), 1);
            assert_eq!(runs[0].blocks[0].title, "A fails");
        }
    }

    #[test]
    fn rake_starts_several_runs() {
        let log = format!(
            "/usr/bin/ruby -I/x /usr/bin/rspec --pattern a\n{REAL}/usr/bin/ruby -I/x /usr/bin/rspec --pattern b\n{REAL}"
        );
        assert_eq!(read(&log).runs().len(), 2);
    }

    #[test]
    fn totals_are_read_whole_or_not_at_all() {
        let found =
            totals("3 examples, 1 failure, 1 pending, 2 errors occurred outside of examples");
        let expected = Totals {
            examples: 3,
            failures: 1,
            pending: 1,
            errors: 2,
        };
        assert_eq!(found, Some(expected));
        assert_eq!(totals("3 examples, 1 failure and more"), None);
        assert_eq!(totals("x examples, 1 failure"), None);
        assert_eq!(totals("3 examples"), None);
    }
}
