//! Jest's text for people.
//!
//! Only what stands where Jest puts it is believed: `FAIL file` at the beginning of a line, its
//! blocks (`  ● titles`, everything below indented by four), the numbers of the summary. What a
//! test prints comes before the result of its file: of several summaries the last one counts,
//! and of more failing files than it counts the last ones.

use crate::jest::tree::Tree;
use crate::lines::Seen;
use crate::text;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashSet;

/// How Jest says that the configuration it was told of is not there; it has no heading then.
const NO_CONFIG: [&str; 2] = [
    "Error: Could not find a config file based on provided values",
    "Error: Can't find a root directory while resolving a config file path",
];

/// The most that is kept of one block.
const MOST_BLOCK: usize = 256 * 1024;
/// The most that is kept of all blocks.
const MOST_BYTES: usize = 48 * 1024 * 1024;
/// More blocks than this are not kept.
const MOST: usize = 20_000;

/// One `●` block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Block {
    /// The titles as they stand there, joined by ` › `.
    pub title: String,
    /// What stands below, without the indentation.
    pub body: String,
}

/// The result of one file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    /// The file as it is printed.
    pub file: String,
    /// `FAIL`, not `PASS`.
    pub failed: bool,
    /// Its blocks.
    pub blocks: Vec<Block>,
    /// The tests of the tree that `--verbose` prints: mark and titles.
    pub tree: Tree,
}

/// The numbers of a line of the summary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Failed.
    pub failed: u64,
    /// Passed.
    pub passed: u64,
    /// Skipped and to do.
    pub skipped: u64,
    /// All.
    pub total: u64,
}

/// One run, as far as it is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    /// The results of its files.
    pub groups: Vec<Group>,
    /// `Test Suites: …`.
    pub suites: Option<Numbers>,
    /// `Tests: …`.
    pub tests: Option<Numbers>,
    /// `Ran all test suites.`: nothing of it is missing.
    pub ended: bool,
    /// A script's heading stood before it: several runs may stand in one log.
    pub headed: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Open {
    #[default]
    Nothing,
    /// Behind `FAIL file`: the tree, or the first block.
    Group,
    /// In the title of a block.
    Title,
    /// In its body.
    Body,
}

/// Reads the text line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Runs that have a summary.
    pub runs: Vec<Run>,
    /// The one that has none yet.
    pub run: Run,
    /// `process.exit called with …`, and where.
    pub exits: Vec<Block>,
    /// Problems of the configuration: `● …` at the beginning of a line.
    pub refused: Option<String>,
    /// `No tests found, …`.
    pub nothing: bool,
    /// `Jest: "global" coverage threshold …`.
    pub threshold: Option<String>,
    /// The heap was full.
    pub heap: bool,
    open: Open,
    exiting: bool,
    suites: Option<Numbers>,
    headed: bool,
    bytes: usize,
    refusing: u8,
}

impl Reader {
    /// Takes one line.
    pub fn line(&mut self, seen: Seen<'_>) {
        let bytes = seen.bytes;
        match self.open {
            Open::Nothing if !may_matter(bytes) => {
                if self.refusing > 0 && !bytes.is_empty() {
                    self.refuse(&seen.shown());
                }
                return;
            }
            Open::Group if bytes.is_empty() => {
                return;
            }
            Open::Body if bytes.is_empty() => {
                self.keep("");
                return;
            }
            Open::Title if bytes.is_empty() => {
                self.open = Open::Body;
                return;
            }
            _ => {}
        }
        let line = seen.shown();
        self.shown(&line);
    }

    fn shown(&mut self, line: &str) {
        if let Some(title) = line.strip_prefix("  ● ") {
            return self.block(title);
        }
        match self.open {
            Open::Title => {
                // A title of several lines.
                if line.trim().is_empty() {
                    self.open = Open::Body;
                } else if let Some(block) = self.last() {
                    block.title.push('\n');
                    block.title.push_str(&text::cut(line, 2000));
                    if block.title.len() > 16 * 1024 {
                        self.open = Open::Nothing;
                    }
                }
                return;
            }
            Open::Body if line.trim().is_empty() || line.starts_with("    ") => {
                self.keep(line.strip_prefix("    ").unwrap_or(""));
                return;
            }
            Open::Group if line.starts_with("  ") => {
                self.tree(line);
                return;
            }
            Open::Group if line.trim().is_empty() => return,
            _ => self.open = Open::Nothing,
        }
        self.heading(line);
    }

    fn heading(&mut self, line: &str) {
        let bare = line.strip_prefix(' ').unwrap_or(line);
        if let Some(rest) = bare.strip_prefix("FAIL ") {
            self.group(rest, true);
        } else if let Some(rest) = bare.strip_prefix("PASS ") {
            self.group(rest, false);
        } else if let Some(rest) = line.strip_prefix("Test Suites: ") {
            self.suites = numbers(rest);
        } else if let Some(rest) = line.strip_prefix("Tests: ") {
            if let (Some(suites), Some(tests)) = (self.suites.take(), numbers(rest)) {
                self.summary(suites, tests);
            }
        } else if line.starts_with("Ran all test suites") {
            if let Some(last) = self
                .runs
                .last_mut()
                .filter(|_| line.trim_end().ends_with('.'))
            {
                last.ended = true;
            }
        } else if line.starts_with("No tests found") {
            self.nothing = true;
        } else if line.starts_with("Jest: ") && line.contains("threshold") {
            self.threshold.get_or_insert_with(|| text::one_line(line));
        } else if line.starts_with("FATAL ERROR: ") && line.contains("heap") {
            self.heap = true;
        } else if let Some(rest) = line.strip_prefix("● ") {
            self.refusing = 12;
            self.refuse(rest);
        } else if NO_CONFIG.iter().any(|said| line.starts_with(said)) && self.run.groups.is_empty()
        {
            self.refused.get_or_insert_with(|| text::one_line(line));
        } else if line.starts_with("> ") || line.starts_with("$ ") {
            self.headed = true;
            self.run.headed |= self.run.groups.is_empty();
        }
    }

    /// The lines of a complaint about options or configuration.
    fn refuse(&mut self, line: &str) {
        self.refusing = self.refusing.saturating_sub(1);
        let line = line.trim();
        if line.is_empty() || line.contains("Deprecation") {
            return;
        }
        let heading = line.ends_with(':') && line.len() < 60;
        match &mut self.refused {
            None if heading => self.refused = Some(line.to_owned()),
            None => {
                self.refused = Some(line.to_owned());
                self.refusing = 0;
            }
            Some(text) if text.ends_with(':') => {
                text.push(' ');
                text.push_str(&text::cut(line, 400));
                self.refusing = 0;
            }
            Some(_) => self.refusing = 0,
        }
    }

    fn group(&mut self, rest: &str, failed: bool) {
        self.exiting = false;
        if self.run.groups.len() < MOST {
            self.run.groups.push(Group {
                file: file(rest),
                failed,
                ..Group::default()
            });
        }
        self.open = Open::Group;
    }

    fn block(&mut self, title: &str) {
        self.open = Open::Title;
        self.exiting = title.trim_start().starts_with("process.exit called with");
        let block = Block {
            title: title.trim_end().to_owned(),
            body: String::new(),
        };
        if self.exiting {
            if self.exits.len() < 20 {
                self.exits.push(block);
            }
            return;
        }
        let count = self.run.groups.len();
        match self.run.groups.last_mut() {
            Some(group) if group.failed && group.blocks.len() + count < MOST => {
                group.blocks.push(block);
            }
            _ => self.open = Open::Nothing,
        }
    }

    fn last(&mut self) -> Option<&mut Block> {
        match self.exiting {
            true => self.exits.last_mut(),
            false => self.run.groups.last_mut()?.blocks.last_mut(),
        }
    }

    fn keep(&mut self, line: &str) {
        if self.bytes > MOST_BYTES {
            return;
        }
        self.bytes += line.len() + 1;
        let Some(block) = self.last() else {
            return;
        };
        if block.body.len() < MOST_BLOCK && block.title != "Console" {
            block.body.push_str(line);
            block.body.push('\n');
        }
    }

    /// `    ✕ name (5 ms)` under the titles of its suites.
    fn tree(&mut self, line: &str) {
        let bare = line.trim_start();
        let depth = (line.len() - bare.len()) / 2;
        let Some(group) = self.run.groups.last_mut() else {
            return;
        };
        if depth == 0 {
            return;
        }
        let first = bare.chars().next();
        let mark = first.filter(|mark| matches!(mark, '✓' | '✕' | '○' | '✎' | '√' | '×'));
        match mark {
            Some(mark) => {
                let name = bare[mark.len_utf8()..].trim_start();
                let name = name.strip_prefix("skipped ").unwrap_or(name);
                let name = match name.strip_prefix("todo ") {
                    Some(name) if mark == '✎' => name,
                    _ => name,
                };
                let mark = if mark == '×' { '✕' } else { mark };
                group.tree.push(mark, depth, without_time(name));
            }
            // The title of a suite: what follows is below it.
            None => group.tree.push(' ', depth, bare),
        }
    }

    fn summary(&mut self, suites: Numbers, tests: Numbers) {
        // Two reporters may both tell the summary.
        let same = |run: &Run| run.suites == Some(suites) && run.tests == Some(tests);
        if self.run.groups.is_empty() && self.runs.last().is_some_and(same) {
            return;
        }
        let mut run = std::mem::take(&mut self.run);
        run.suites = Some(suites);
        run.tests = Some(tests);
        run.headed |= self.headed && self.runs.is_empty();
        self.headed = false;
        if self.runs.len() < 200 {
            self.runs.push(run);
        } else if let Some(last) = self.runs.last_mut() {
            *last = run;
        }
    }

    /// The runs that are believed: the last one, and others where a script's heading stands
    /// before each of them.
    pub fn believed(&self) -> Vec<&Run> {
        let Some((last, before)) = self.runs.split_last() else {
            return Vec::new();
        };
        let several = last.headed && before.iter().all(|run| run.headed && run.holds());
        match several {
            true => self.runs.iter().collect(),
            false => vec![last],
        }
    }
}

impl Run {
    /// The failing files with their blocks, each once, as many as the summary counts; whether
    /// it agrees.
    pub fn failed(&self, exists: impl Fn(&str) -> bool) -> (Vec<Group>, bool) {
        let mut order: Vec<&str> = Vec::new();
        let mut files: BTreeMap<&str, Group> = BTreeMap::new();
        let mut told: HashSet<(&str, &Block)> = HashSet::new();
        for group in self.groups.iter().filter(|group| group.failed) {
            let known = files.entry(&group.file).or_insert_with(|| {
                order.push(&group.file);
                Group {
                    file: group.file.clone(),
                    failed: true,
                    ..Group::default()
                }
            });
            // The summary of all failing tests tells everything again.
            for block in &group.blocks {
                if told.insert((&group.file, block)) {
                    known.blocks.push(block.clone());
                }
            }
            known.tree.extend(&group.tree);
        }
        let said = self.suites.map(|suites| suites.failed as usize);
        if said.is_some_and(|said| order.len() > said) {
            order.retain(|file| exists(file));
        }
        let more = said.map_or(0, |said| order.len().saturating_sub(said));
        let groups = order[more..]
            .iter()
            .filter_map(|file| files.remove(*file))
            .collect();
        (groups, more == 0)
    }

    /// Whether what is told agrees with the numbers.
    fn holds(&self) -> bool {
        let (groups, agree) = self.failed(|_| true);
        let names: BTreeSet<(&str, &str)> = groups
            .iter()
            .flat_map(|group| group.blocks.iter().map(move |block| (group, block)))
            .filter(|(_, block)| block.is_test())
            .map(|(group, block)| (group.file.as_str(), block.title.as_str()))
            .collect();
        let failed = self.tests.map_or(0, |tests| tests.failed);
        agree && names.len() as u64 <= failed
    }
}

impl Block {
    /// Whether it is about a test.
    pub fn is_test(&self) -> bool {
        self.title != "Console" && self.title != "Test suite failed to run"
    }
}

/// Whether a line outside of everything may matter.
fn may_matter(bytes: &[u8]) -> bool {
    match bytes.first() {
        Some(b'F') => bytes.starts_with(b"FAIL ") || bytes.starts_with(b"FATAL ERROR: "),
        Some(b'P') => bytes.starts_with(b"PASS "),
        Some(b'T') => bytes.starts_with(b"Test"),
        Some(b'N') => bytes.starts_with(b"No tests found"),
        Some(b'R') => bytes.starts_with(b"Ran all test suites"),
        Some(b'J') => bytes.starts_with(b"Jest: "),
        Some(b'E') => bytes.starts_with(b"Error: C"),
        Some(b'>' | b'$') => bytes.get(1) == Some(&b' '),
        Some(b' ') => {
            bytes.starts_with("  ●".as_bytes())
                || bytes.starts_with(b"  \x1b")
                || bytes.starts_with(b" FAIL ")
                || bytes.starts_with(b" PASS ")
        }
        Some(0xe2) => bytes.starts_with("● ".as_bytes()),
        Some(0x1b) => true,
        _ => false,
    }
}

/// The file in `FAIL project path (5.1 s)`.
fn file(rest: &str) -> String {
    let mut rest = rest.trim();
    while let Some(at) = rest.rfind(" (") {
        let inner = &rest[at + 2..];
        let time = inner.ends_with(" s)") || inner.ends_with("heap size)");
        if !time || !inner.starts_with(|c: char| c.is_ascii_digit()) {
            break;
        }
        rest = rest[..at].trim_end();
    }
    if rest.starts_with("./") || rest.starts_with("../") || rest.starts_with('/') {
        return rest.to_owned();
    }
    let last = rest.rsplit(' ').next().unwrap_or(rest);
    let path = last.contains('/') || last.contains('.');
    if path { last } else { rest }.to_owned()
}

/// `5 failed, 2 skipped, 1 todo, 6 passed, 14 total`; `1 skipped, 0 of 1 total`.
fn numbers(rest: &str) -> Option<Numbers> {
    let mut numbers = Numbers::default();
    let mut any = false;
    for part in rest.trim().split(", ") {
        let (number, word) = part.split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        match word.trim() {
            "failed" => numbers.failed = number,
            "passed" => numbers.passed = number,
            "skipped" | "todo" | "pending" => numbers.skipped += number,
            "total" => {
                numbers.total = number;
                any = true;
            }
            word if word.starts_with("of ") && word.ends_with(" total") => any = true,
            _ => {}
        }
    }
    any.then_some(numbers)
}

/// A name without ` (5 ms)`.
fn without_time(name: &str) -> &str {
    let name = name.trim_end();
    if !name.ends_with("s)") {
        return name;
    }
    match name.rfind(" (") {
        Some(at) if name.ends_with(" ms)") || name.ends_with(" s)") => {
            let inner = &name[at + 2..name.len() - 1];
            match inner.starts_with(|c: char| c.is_ascii_digit()) {
                true => &name[..at],
                false => name,
            }
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Reader {
        let mut reader = Reader::default();
        for line in text.lines() {
            reader.line(Seen {
                bytes: line.as_bytes(),
                length: line.len() as u64 + 1,
                unfinished: false,
            });
        }
        reader
    }

    #[test]
    fn numbers_are_read() {
        let found = numbers("      52 failed, 2 skipped, 1 todo, 6 passed, 61 total");
        let expected = Numbers {
            failed: 52,
            passed: 6,
            skipped: 3,
            total: 61,
        };
        assert_eq!(found, Some(expected));
        assert_eq!(
            numbers("1 skipped, 0 of 1 total").map(|n| n.skipped),
            Some(1)
        );
        assert_eq!(numbers("many"), None);
    }

    #[test]
    fn files_are_told_from_projects_and_times() {
        for (rest, expected) in [
            ("./a b.test.js", "./a b.test.js"),
            ("src/a.test.js (5.123 s)", "src/a.test.js"),
            (
                "my project src/a.test.js (5 s) (30 MB heap size)",
                "src/a.test.js",
            ),
            (" src/a (1).test.js", "(1).test.js"),
        ] {
            assert_eq!(file(rest), expected, "{rest}");
        }
    }

    #[test]
    fn a_tree_has_the_titles_of_its_suites() {
        let reader = read(
            "FAIL ./a.test.js\n  outer\n    inner\n      ✕ x (5 ms)\n    ✓ y\n  ○ skipped z\n\n  ● outer › inner › x\n\n    boom\n\nTest Suites: 1 failed, 1 total\nTests:       1 failed, 1 skipped, 1 passed, 3 total\n",
        );
        let group = &reader.runs[0].groups[0];
        let marks = group.tree.marks().enumerate();
        let tests: Vec<String> = marks
            .filter(|(_, mark)| *mark != ' ')
            .map(|(at, mark)| format!("{mark} {}", group.tree.path(at).join("/")))
            .collect();
        assert_eq!(tests, ["✕ outer/inner/x", "✓ outer/y", "○ z"]);
        assert_eq!(group.blocks[0].body.trim(), "boom");
    }
}
