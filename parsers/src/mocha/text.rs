//! Mocha's output for people: the tree of `spec`, and the epilogue that all its reporters for
//! people end with (`3 passing (5ms)`, `1 failing`, the numbered failures).
//!
//! Tests print such things, too. An epilogue is believed if it is the log's last, or the last
//! one that the exit status (Mocha's is the number of failures) and the tree agree with; others
//! only if a package manager said in between that it starts another script.

use crate::lines::Seen;
use crate::mocha::block;
use crate::text;
use std::borrow::Cow;
use std::collections::HashMap;

/// The most that is kept of one failure's block.
const MOST_BLOCK: usize = 64 * 1024;
/// The most that is kept of all blocks.
const MOST_BLOCKS: usize = 24 * 1024 * 1024;
/// More failures than this are not kept.
const MOST_ITEMS: usize = 10_000;
/// More epilogues than this are not kept.
const MOST_RUNS: usize = 50;
/// Longer lines are no titles.
const LONGEST: usize = 4 * 1024;
/// Suites are not nested more deeply than this.
const DEEPEST: usize = 40;

/// A failing line of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Its number.
    pub number: u64,
    /// The titles that lead there, outermost first.
    pub path: Vec<String>,
}

/// One epilogue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// As it counts.
    pub passing: u64,
    /// As it counts.
    pub pending: u64,
    /// As it counts.
    pub failing: u64,
    /// The numbered failures, each from behind its number on.
    pub items: Vec<String>,
    /// Passing lines of the tree since the last epilogue.
    pub passed: u64,
    /// Failing ones.
    pub marks: Vec<Mark>,
    /// A package manager said in between that it starts a script.
    pub apart: bool,
}

impl Run {
    /// Whether the tree before it says the same.
    pub fn agrees(&self) -> bool {
        let seen = self.passed + self.marks.len() as u64;
        seen > 0 && self.passed == self.passing && self.marks.len() as u64 == self.failing
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Tree,
    Epilogue,
    List,
    Closing,
}

/// Reads the text line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    part: Part,
    /// The finished epilogues, and what has been read of the tree since.
    pub runs: Vec<Run>,
    /// The tree since the last epilogue.
    pub tree: Run,
    run: Run,
    suites: Vec<String>,
    /// The epilogue stands where the last failure of another one may not be over.
    nested: bool,
    blank: u32,
    kept: usize,
    tail: String,
    /// How many epilogues began.
    pub begun: u64,
}

impl Reader {
    /// Takes one line.
    pub fn line(&mut self, seen: Seen<'_>) {
        match self.part {
            Part::Tree => self.tree_line(seen),
            Part::Epilogue => self.epilogue_line(seen),
            Part::List | Part::Closing => self.list_line(seen),
        }
    }

    fn tree_line(&mut self, seen: Seen<'_>) {
        let bytes = seen.bytes;
        // Everything of the tree is indented, coloured, or begins a script.
        let first = bytes.first().copied().unwrap_or(b'\n');
        let blank = std::mem::replace(&mut self.blank, u32::from(bytes.is_empty()));
        if !matches!(first, b' ' | 0x1b | b'>' | b'\r') || bytes.len() > LONGEST {
            return;
        }
        if first == b'>' {
            self.tree.apart |= script(bytes);
            return;
        }
        if first == b' ' && !bytes.starts_with(b"  ") && !bytes.contains(&0x1b) {
            return;
        }
        let line = seen.shown();
        let body = line.trim_start_matches(' ');
        let indent = line.len() - body.len();
        if indent == 2
            && let Some(passing) = counted(body, "passing")
        {
            self.begin(passing);
            return;
        }
        self.mark(indent, body, blank > 0);
    }

    /// A line of the tree: a suite, a passing, pending or failing test.
    fn mark(&mut self, indent: usize, body: &str, after_blank: bool) {
        if indent < 2 || !indent.is_multiple_of(2) || body.is_empty() {
            return;
        }
        let level = indent / 2 - 1;
        let begun = body.starts_with(['✓', '✔', '√']);
        if begun {
            self.tree.passed += 1;
        } else if let Some((number, title)) = failing(body) {
            if self.tree.marks.len() < MOST_ITEMS {
                let mut path: Vec<String> = self.suites.iter().take(level).cloned().collect();
                path.push(title.to_owned());
                self.tree.marks.push(Mark { number, path });
            }
        } else if level < DEEPEST && (level > 0 || after_blank) {
            self.suites.truncate(level);
            // A line that is deeper than the one above was printed by a test.
            if self.suites.len() == level {
                self.suites.push(body.to_owned());
            }
        }
    }

    fn begin(&mut self, passing: u64) {
        self.run = std::mem::take(&mut self.tree);
        self.run.passing = passing;
        self.run.items.clear();
        self.nested = false;
        self.suites.clear();
        self.blank = 0;
        self.part = Part::Epilogue;
        self.begun += 1;
    }

    fn epilogue_line(&mut self, seen: Seen<'_>) {
        let line = shown(&seen);
        if let Some(pending) = line.strip_prefix("  ").and_then(|l| counted(l, "pending")) {
            self.run.pending = pending;
        } else if let Some(failing) = line.strip_prefix("  ").and_then(|l| counted(l, "failing")) {
            self.run.failing = failing;
            self.part = Part::List;
        } else if let Some(passing) = line.strip_prefix("  ").and_then(|l| counted(l, "passing")) {
            // A test's, and the real one follows at once; or the other way round.
            self.end();
            self.begin(passing);
        } else if !line.trim().is_empty() {
            self.end();
            self.tree_line(seen);
        }
    }

    fn list_line(&mut self, seen: Seen<'_>) {
        let line = shown(&seen);
        let blank = std::mem::take(&mut self.blank);
        if line.trim().is_empty() {
            self.blank = blank + 1;
        }
        if blank > 0 && (self.resumed(&line) || self.item(&line)) {
            return;
        }
        if self.run.items.is_empty() {
            if !line.trim().is_empty() {
                self.end();
                self.tree_line(seen);
            }
            return;
        }
        let all = self.run.items.len() as u64 >= self.run.failing;
        if self.part == Part::Closing {
            self.closing(&line, seen);
            return;
        }
        self.keep(&line);
        if all && self.blank >= 2 {
            self.part = Part::Closing;
            self.tail.clear();
        }
    }

    /// Two blank lines end the last failure, unless its stack is still to come.
    fn closing(&mut self, line: &str, seen: Seen<'_>) {
        if line.starts_with("      at ") && self.tail.len() < MOST_BLOCK {
            let tail = std::mem::take(&mut self.tail);
            self.keep(tail.trim_end_matches('\n'));
            self.keep(line);
            self.part = Part::List;
            return;
        }
        let ends = line
            .strip_prefix("  ")
            .is_some_and(|l| counted(l, "passing").is_some());
        let other = line.starts_with("> ") || line.starts_with("npm ");
        if ends && !self.last_fits() {
            // By the tree that was another test's title: it is all one message.
            let tail = std::mem::take(&mut self.tail);
            self.keep(tail.trim_end_matches('\n'));
            self.keep(line);
            self.part = Part::List;
            return;
        }
        if ends || other || self.tail.len() >= MOST_BLOCK {
            let tail = std::mem::take(&mut self.tail);
            self.end();
            // What was taken for the rest of a message is the tree of another run.
            for line in tail.lines() {
                self.tree_again(line);
            }
            self.tree_line(seen);
            self.nested = ends;
            return;
        }
        self.tail.push_str(line);
        self.tail.push('\n');
    }

    fn tree_again(&mut self, line: &str) {
        let seen = Seen {
            bytes: line.as_bytes(),
            length: line.len() as u64 + 1,
            unfinished: false,
        };
        self.tree_line(seen);
    }

    /// Whether the last failure has the title that the tree gives its number.
    fn last_fits(&self) -> bool {
        let number = self.run.items.len();
        let Some(item) = self.run.items.last() else {
            return true;
        };
        // Marks that a test printed stand among them: one that fits is enough.
        let marks = self.run.marks.iter();
        let mut leaves = marks
            .filter(|mark| mark.number == number as u64)
            .filter_map(|mark| mark.path.last())
            .peekable();
        let fits = |leaf: &String| {
            let path = block::read(item, Some(leaf)).path;
            path.last().is_some_and(|title| {
                title.lines().next() == Some(leaf) || leaf.ends_with(title.as_str())
            })
        };
        leaves.peek().is_none() || leaves.any(fits)
    }

    /// Whether the list before goes on, inside of whose last message this one stands.
    fn resumed(&mut self, line: &str) -> bool {
        if !self.nested {
            return false;
        }
        let number = line
            .strip_prefix("  ")
            .and_then(failing)
            .map(|(number, _)| number);
        let have = self.runs.last().map_or(0, |run| run.items.len() as u64);
        let own = self.run.items.len() as u64;
        let next = own < self.run.failing && number == Some(own + 1);
        if have < 2 || number != Some(have) || next {
            return false;
        }
        let Some(outer) = self.runs.pop() else {
            return false;
        };
        let inner = std::mem::replace(&mut self.run, outer);
        let forged = self.run.items.last_mut();
        if let Some(forged) = forged {
            for item in &inner.items {
                forged.push_str(item);
            }
        }
        self.nested = false;
        self.item(line)
    }

    /// Whether a line begins the next failure of the list.
    fn item(&mut self, line: &str) -> bool {
        let Some((number, title)) = line.strip_prefix("  ").and_then(failing) else {
            return false;
        };
        let have = self.run.items.len() as u64;
        if number == have && have > 0 {
            // The last one was a part of the message before it, which imitates the list.
            let forged = self.run.items.pop().unwrap_or_default();
            if let Some(before) = self.run.items.last_mut() {
                before.push_str(&forged);
            }
        } else if number != have + 1 || number > self.run.failing {
            return false;
        }
        if self.run.items.len() < MOST_ITEMS {
            self.kept += title.len();
            self.run.items.push(format!("{title}\n"));
        }
        self.part = Part::List;
        true
    }

    fn keep(&mut self, line: &str) {
        if let Some(item) = self.run.items.last_mut()
            && item.len() < MOST_BLOCK
            && self.kept < MOST_BLOCKS
        {
            let line = &line[..text::floor(line, MOST_BLOCK)];
            item.push_str(line);
            item.push('\n');
            self.kept += line.len() + 1;
        }
    }

    fn end(&mut self) {
        self.part = Part::Tree;
        let run = std::mem::take(&mut self.run);
        if self.runs.len() < MOST_RUNS {
            self.runs.push(run);
        } else if let Some(last) = self.runs.last_mut() {
            *last = run;
        }
    }

    /// The end of the text.
    pub fn finish(&mut self) {
        if self.part == Part::Tree {
            return;
        }
        self.end();
        let tail = std::mem::take(&mut self.tail);
        for line in tail.lines() {
            self.tree_again(line);
        }
        self.part = Part::Tree;
    }

    /// Which of the epilogues are to be believed, in their order. `status` is the exit status,
    /// where it is known.
    pub fn believed(&self, status: Option<i32>) -> Vec<&Run> {
        let code = status.and_then(|code| u64::try_from(code).ok());
        let fits =
            |run: &&Run| code.is_some_and(|code| code == run.failing.min(255)) && run.agrees();
        // Where tests print runs of their own, the tree is none to compare with; a status of more
        // than one failure is told by nothing else.
        let counts = |run: &&Run| code.is_some_and(|code| code > 1 && code == run.failing.min(255));
        let runs = &self.runs;
        let best = runs.iter().rfind(fits).or(runs.iter().rfind(counts));
        let Some(last) = best.or(runs.last()) else {
            return Vec::new();
        };
        let confirmed = code.is_some_and(|code| code == last.failing.min(255));
        // The tree goes on behind it: it was no end, unless the status says so.
        let goes_on = self.tree.passed + self.tree.marks.len() as u64 > 0;
        if goes_on && !confirmed && !last.agrees() {
            return Vec::new();
        }
        let mut believed = vec![last];
        let mut own = last;
        let before = self
            .runs
            .iter()
            .rev()
            .skip_while(|run| !std::ptr::eq(*run, last));
        for run in before.skip(1) {
            if own.apart && run.agrees() {
                believed.push(run);
                own = run;
            }
        }
        believed.reverse();
        believed
    }
}

/// A line's text; what is plain is not copied.
fn shown<'a>(seen: &Seen<'a>) -> Cow<'a, str> {
    seen.shown()
}

/// `> name@1.0.0 test` is how package managers announce a script.
fn script(bytes: &[u8]) -> bool {
    bytes.starts_with(b"> ") && bytes.contains(&b'@') && bytes.len() < 300
}

/// The number in `3 passing (5ms)`, `1 pending`, `2 failing`.
fn counted(body: &str, word: &str) -> Option<u64> {
    let (number, rest) = body.trim_end().split_once(' ')?;
    let rest = rest.strip_prefix(word)?;
    let timed = rest
        .strip_prefix(" (")
        .and_then(|time| time.strip_suffix(')'));
    let known = match word {
        "passing" => timed
            .is_some_and(|time| time.starts_with(|c: char| c.is_ascii_digit()) && time.len() < 12),
        _ => rest.is_empty(),
    };
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    (known && digits).then(|| number.parse().ok()).flatten()
}

/// Number and title of `3) title`.
fn failing(body: &str) -> Option<(u64, &str)> {
    let (number, title) = body.split_once(") ")?;
    let digits = (1..7).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    digits.then_some((number.parse().ok()?, title))
}

/// The blocks of a run, each with what the tree says of its titles.
pub(crate) fn items(run: &Run) -> impl Iterator<Item = block::Block> + '_ {
    let mut paths: HashMap<u64, &[String]> = HashMap::new();
    for mark in &run.marks {
        paths.entry(mark.number).or_insert(&mark.path);
    }
    run.items.iter().enumerate().map(move |(number, item)| {
        let leaf = paths.get(&(number as u64 + 1)).and_then(|path| path.last());
        block::read(item, leaf.map(String::as_str))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::Lines;

    fn read(text: &str) -> Reader {
        let mut reader = Reader::default();
        let mut lines = Lines::default();
        lines.each(text.as_bytes(), |line| reader.line(line));
        reader.finish();
        reader
    }

    #[test]
    fn an_epilogue_inside_of_a_message_does_not_end_the_list() {
        let text = "\n  .!!\n\n  1 passing (5ms)\n  2 failing\n\n  1) real\n       one:\n     Error: real\n\n  2) ghosts\n       ghost:\n     Error: boo\n      at f (a.js:1:1)\n\n\n  1 passing (3ms)\n  1 failing\n\n  1) ghosts\n       ghost:\n     Error: boo\n\n\n      at g (b.js:2:2)\n\n  2) real\n       two:\n     Error: last\n      at h (c.js:3:3)\n\n\n\n";
        let reader = read(text);
        let believed = reader.believed(Some(2));
        assert_eq!(believed.len(), 1, "{:?}", reader.runs);
        let paths: Vec<String> = items(believed[0])
            .map(|block| block.path.join(" > "))
            .collect();
        assert_eq!(paths, ["real > one", "real > two"]);
    }

    #[test]
    fn a_run_that_a_hook_prints_before_the_end_is_not_the_end() {
        let ghost = "\n\n  ghost\n    ✔ lives\n    1) dies\n\n\n  1 passing (5ms)\n  1 failing\n\n  1) ghost\n       dies:\n     Error: boo\n      at f (a.js:1:1)\n\n\n\n";
        let text = format!(
            "\n\n  real\n{ghost}    ✔ prints\n    1) one\n    2) two\n{ghost}\n\n  1 passing (36ms)\n  2 failing\n\n  1) real\n       one:\n     Error: first\n      at g (b.js:2:2)\n\n  2) real\n       two:\n     Error: last\n      at h (c.js:3:3)\n\n\n\n"
        );
        let reader = read(&text);
        for status in [Some(2), None] {
            let believed = reader.believed(status);
            assert_eq!(believed.len(), 1, "{:?}", reader.runs);
            assert_eq!(believed[0].failing, 2);
            let paths: Vec<String> = items(believed[0])
                .map(|block| block.path.join(" > "))
                .collect();
            assert_eq!(paths, ["real > one", "real > two"]);
        }
    }
}
