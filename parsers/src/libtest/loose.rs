//! What tests print that are not captured, all together.
//!
//! With several threads nobody says whose a line is, but a panic names its thread, and a test's
//! thread has the test's name.

use crate::libtest::panic;

/// More is not kept.
const MOST: usize = 2 * 1024 * 1024;
/// More results than this are not told from what was printed.
const MOST_MARKS: usize = 500_000;

/// What was printed, and where results stood in it.
#[derive(Debug, Default)]
pub(crate) struct Loose {
    text: String,
    marks: Vec<usize>,
}

impl Loose {
    /// One more line.
    pub fn push(&mut self, line: &str) {
        if self.text.len() + line.len() < MOST && !(self.text.is_empty() && line.is_empty()) {
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    /// A result stands here.
    pub fn mark(&mut self) {
        if !self.text.is_empty() && self.marks.len() < MOST_MARKS {
            self.marks.push(self.text.len());
        }
    }

    /// What was printed since the last result.
    pub fn since(&self) -> &str {
        let start = self.marks.last().copied().unwrap_or(0);
        self.text.get(start..).unwrap_or("")
    }

    /// Whether a test of this name is spoken of.
    pub fn names(&self, name: &str) -> bool {
        self.speaks(name)
            || self.text.contains(&format!("test {name} ..."))
            || self.text.contains(&format!("test {name} - "))
    }

    /// Whether a thread of this name panicked.
    pub fn speaks(&self, name: &str) -> bool {
        self.text.contains(&format!("thread '{name}'"))
    }

    /// The errors that tests returned, if there are just so many.
    pub fn errors(&self, count: usize) -> Vec<String> {
        let found = self.text.lines().filter(|line| line.starts_with("Error: "));
        let found: Vec<String> = found
            .take(count + 1)
            .map(|line| format!("{}\n", without_result(line)))
            .collect();
        match found.len() == count {
            true => found,
            false => Vec::new(),
        }
    }

    /// The test that ended the process, and how, where the runtime says so.
    pub fn culprit(&self) -> Option<(String, &'static str)> {
        let of = |line: &str| {
            // A result may have torn the line behind `thread '`.
            let rest = line.strip_prefix("thread '").unwrap_or(line);
            let name = rest.split_once('\'')?.0;
            (name != "main" && !name.starts_with('<')).then(|| name.to_owned())
        };
        for line in self.text.lines().rev() {
            if line.ends_with(" has overflowed its stack") {
                return Some((of(line)?, "stack overflow"));
            }
        }
        let aborted = [
            "thread caused non-unwinding panic. aborting.",
            "fatal runtime error: ",
        ];
        if !aborted.iter().any(|words| self.text.contains(words)) {
            return None;
        }
        let panicked = |line: &str| line.contains(" panicked at ").then(|| of(line)).flatten();
        let name = self.text.lines().rev().find_map(panicked)?;
        Some((name, "a panic could not unwind"))
    }

    /// The panics of a test's thread.
    pub fn of(&self, name: &str) -> String {
        let start = format!("thread '{name}'");
        if name.is_empty() || !self.text.contains(&start) {
            return String::new();
        }
        let mut own = String::new();
        for (at, _) in self.text.match_indices(&start) {
            if at > 0 && self.text.as_bytes()[at - 1] != b'\n' {
                continue;
            }
            // Up to the next header of any thread.
            let rest = &self.text[at..];
            let next = rest.match_indices("\nthread '").find(|(found, _)| {
                let line = rest[found + 1..].lines().next().unwrap_or("");
                line.contains(" panicked at ")
            });
            let end = at + next.map_or(rest.len(), |(next, _)| next + 1);
            let piece = &self.text[at..end];
            let panics = panic::all(piece);
            let Some(panic) = panics.first() else {
                continue;
            };
            let mark = self.marks.iter().find(|mark| **mark > at && **mark < end);
            let end = match (panic.closed, mark) {
                (true, _) => at + panic.end,
                (false, Some(mark)) => *mark,
                (false, None) => end,
            };
            own.push_str(self.text.get(at..end).unwrap_or("").trim_end());
            own.push('\n');
        }
        own
    }
}

/// A line without the result of another test that runs into it.
fn without_result(line: &str) -> &str {
    let cut = line.rsplit_once(" ... ").and_then(|(before, word)| {
        let (own, _) = before.rsplit_once("test ")?;
        matches!(word, "" | "ok" | "FAILED" | "ignored").then_some(own)
    });
    cut.unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_of_one_thread_are_taken_together() {
        let mut loose = Loose::default();
        let mut say = |text: &str| text.lines().for_each(|line| loose.push(line));
        say(
            "\nthread 'a' (1) panicked at src/l.rs:1:1:\nfirst\nnote: run with `RUST_BACKTRACE=1` environment variable\n",
        );
        say("thread 'b' (2) panicked at src/l.rs:2:1:\nother\n");
        loose.mark();
        let mut say = |text: &str| text.lines().for_each(|line| loose.push(line));
        say("printed by somebody\nthread 'a' (1) panicked at src/l.rs:3:1:\nsecond\n");
        assert!(loose.of("a").contains("first") && loose.of("a").contains("second"));
        assert_eq!(
            loose.of("b"),
            "thread 'b' (2) panicked at src/l.rs:2:1:\nother\n"
        );
        assert!(loose.names("a") && !loose.names("c") && loose.of("c").is_empty());
    }
}
