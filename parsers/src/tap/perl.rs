//! What Test::More and Perl itself print to standard error.
//!
//! The blocks have names and places, but no numbers, and stand apart from the TAP unless both
//! streams were one. They are put together again by their names, in their order.

use crate::text;
use memchr::memmem::Finder;
use regex::Regex;
use std::collections::HashMap;
use std::sync::LazyLock;

/// More blocks than this are not kept.
const MOST_BLOCKS: usize = 20_000;
/// More lines of one block are not kept.
const MOST_LINES: usize = 400;
/// More groups of other lines are not kept.
const MOST_PROSE: usize = 1_000;
/// More lines before the last word of a test file are not kept.
const MOST_GROUP: usize = 60;

static LINE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(" line "));

static EXITED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^Looks like your test (?:exited with|died before|died just after)\s*(\d+)?(?: just after (\d+)\.| before it could output anything\.)?")
        .expect("a constant pattern")
});

/// A failed assertion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// The test's name; empty if it has none.
    pub name: String,
    /// File and line of the assertion.
    pub at: Option<(String, u32)>,
    /// What else is said, without the comment signs.
    pub body: Vec<String>,
    /// The failed assertions of a subtest.
    pub children: Vec<Block>,
    /// Expected to fail.
    todo: bool,
    indent: usize,
    /// A blank line stands above it: so Test::More writes below a harness.
    spaced: bool,
    /// Its name goes on in the next line.
    unclosed: bool,
    /// It has a test's report already.
    used: bool,
}

/// Why a test file ended before its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Death {
    /// Its exit status.
    pub code: Option<i32>,
    /// How many tests had run.
    pub after: u32,
    /// What Perl said.
    pub message: String,
    /// File and line of it.
    pub at: Option<(String, u32)>,
    /// It did not even compile.
    pub compile: bool,
    /// Everything that was printed directly before.
    pub text: String,
    used: bool,
}

/// Collects what is said about failures.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    open: Option<Block>,
    blocks: Vec<Block>,
    /// The blocks of each name that may be free, once all have come.
    named: Option<HashMap<String, Vec<usize>>>,
    /// All blocks before this one have a test's report.
    free: usize,
    group: Vec<String>,
    /// The last line was blank.
    blank: bool,
    /// A warning stands in the middle of the last block.
    torn: bool,
    /// The last line that was only looked at.
    previous: Vec<u8>,
    /// Groups of lines that ended without a remark of Test::More's.
    prose: Vec<Death>,
    /// The ends of test files.
    pub deaths: Vec<Death>,
    /// `Looks like you planned 3 tests but ran 2.`, and its kin.
    pub plans: Vec<String>,
}

impl Diagnostics {
    /// Whether a line may mean anything here.
    pub fn wants(&self, line: &[u8]) -> bool {
        let start = line.iter().find(|byte| **byte != b' ');
        start == Some(&b'#') || self.open.is_some() || LINE.find(line).is_some()
    }

    /// Remembers a line that is not wanted, until the next: it may turn out to be the last word
    /// of something that died.
    pub fn pass(&mut self, line: &[u8]) {
        let line = &line[..line.len().min(400)];
        self.blank = line.is_empty();
        if line.is_empty() {
            self.group.clear();
        } else if self.group.is_empty() {
            self.previous.clear();
            self.previous.extend_from_slice(line);
        } else if self.group.len() < MOST_GROUP {
            self.group.push(text::shown(line).into_owned());
        }
    }

    /// Takes a line; blank lines and results of TAP end what was open.
    pub fn line(&mut self, line: &str) {
        let body = line.trim_start_matches(' ');
        let blank = std::mem::replace(&mut self.blank, body.is_empty());
        let Some(rest) = body.strip_prefix('#') else {
            self.torn = self.open.is_some() && !body.is_empty();
            self.close();
            self.prose(line);
            return;
        };
        let indent = line.len() - body.len();
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        let words = rest.trim_start();
        if let Some(block) = heading(words) {
            self.close();
            self.group.clear();
            self.torn = false;
            self.open = Some(Block {
                indent,
                spaced: blank,
                ..block
            });
        } else if words.starts_with("Looks like you")
            || words.starts_with("Tests were run but no plan")
        {
            self.close();
            self.remark(words);
        } else if let Some(open) = self.open.as_mut().filter(|open| open.indent == indent) {
            let place = open.at.is_none() && open.body.is_empty();
            if place && open.unclosed {
                open.unclosed = !rest.ends_with('\'');
                return;
            }
            match place.then(|| place_of(words)).flatten() {
                Some(at) => open.at = Some(at),
                None if open.body.len() < MOST_LINES => open.body.push(rest.to_owned()),
                None => {}
            }
        } else {
            self.close();
            self.resume(words, rest, indent);
        }
    }

    /// The sides of a comparison below a warning that stands in the middle of a block.
    fn resume(&mut self, words: &str, rest: &str, indent: usize) {
        let side = words.starts_with("got: ") || words.starts_with("expected: ");
        let last = self.blocks.last_mut();
        if let Some(last) = last.filter(|last| self.torn && side && last.indent == indent) {
            last.body.push(rest.to_owned());
            self.torn = !words.starts_with("expected: ");
        }
    }

    /// Lines that are no comments: one of the last before the end says why.
    fn prose(&mut self, line: &str) {
        self.previous.clear();
        if line.trim().is_empty() {
            self.group.clear();
        } else if self.group.len() < MOST_GROUP {
            self.group.push(line.trim_end().to_owned());
        }
    }

    /// Something that is no part of an explanation came between.
    pub fn cut(&mut self) {
        if self.open.is_some() {
            self.close();
        }
        (self.blank, self.torn) = (false, false);
        self.previous.clear();
        if self.group.is_empty() {
            return;
        }
        let group = std::mem::take(&mut self.group);
        let said = Some(death(&group)).filter(|death| death.at.is_some());
        if let Some(said) = said
            && self.prose.len() < MOST_PROSE
        {
            self.prose.push(said);
        }
    }

    fn remark(&mut self, words: &str) {
        let Some(found) = EXITED.captures(words) else {
            let plan = words.contains("planned") || words.starts_with("Tests were run");
            if plan && self.plans.len() < MOST_BLOCKS {
                self.plans.push(words.trim_end().to_owned());
            }
            return;
        };
        let number = |at: usize| found.get(at).and_then(|part| part.as_str().parse().ok());
        let mut group = std::mem::take(&mut self.group);
        if group.is_empty() && !self.previous.is_empty() {
            group.push(text::shown(&self.previous).into_owned());
        }
        if self.deaths.len() < MOST_BLOCKS {
            self.deaths.push(Death {
                code: number(1),
                after: number(2).and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
                ..death(&group)
            });
        }
    }

    fn close(&mut self) {
        let Some(mut block) = self.open.take() else {
            return;
        };
        // The assertions of a subtest come before its own.
        let inner = self
            .blocks
            .iter()
            .rposition(|known| known.indent <= block.indent);
        let from = inner.map_or(0, |at| at + 1);
        let children = self.blocks.split_off(from);
        let children = children.into_iter().filter(|child| !child.todo);
        block.children = children.collect();
        if self.blocks.len() < MOST_BLOCKS {
            self.blocks.push(block);
        }
    }

    /// The end of the output.
    pub fn finish(&mut self) {
        self.close();
        self.blocks.retain(|block| !block.todo);
        self.named = None;
        self.free = 0;
    }

    /// The prose that nothing followed.
    pub fn last_words(&self) -> Option<Death> {
        (!self.group.is_empty()).then(|| death(&self.group))
    }

    /// The block of a failing test: the first of its name that is nobody's; one of this file
    /// before the others.
    pub fn take(&mut self, name: &str, file: Option<&str>) -> Option<Block> {
        let named = self.named.get_or_insert_with(|| {
            let mut named: HashMap<String, Vec<usize>> = HashMap::new();
            // The first of a name is the last in its list.
            for (at, block) in self.blocks.iter().enumerate().rev() {
                named.entry(block.name.clone()).or_default().push(at);
            }
            named
        });
        let known = named.get_mut(name)?;
        while known.last().is_some_and(|at| self.blocks[*at].used) {
            known.pop();
        }
        let of_file = |block: &Block| match (file, &block.at) {
            (Some(file), Some((at, _))) => same_file(at, file),
            _ => true,
        };
        let mut free = known.iter().rev().filter(|at| !self.blocks[**at].used);
        let own = free.find(|at| of_file(&self.blocks[**at]));
        let at = *own.or(known.last())?;
        let used = Block {
            used: true,
            ..Block::default()
        };
        Some(std::mem::replace(&mut self.blocks[at], used))
    }

    /// The free blocks of a file, at most `count`: those that name it, and those between them
    /// and after them that name no other test file (assertions in helpers do not).
    pub fn of_file(&mut self, file: &str, others: &Others<'_>, count: usize) -> Vec<Block> {
        let names = |block: &Block, file: &str| {
            let at = block.at.as_ref();
            at.is_some_and(|(at, _)| same_file(at, file))
        };
        let foreign = |block: &Block| {
            let at = block.at.as_ref();
            at.is_some_and(|(at, _)| others.any(at, file))
        };
        if count == 0 {
            return Vec::new();
        }
        let used = self.blocks[self.free..].iter().take_while(|b| b.used);
        self.free += used.count();
        let own =
            |block: &Block| names(block, file) || block.children.iter().any(|b| names(b, file));
        let blocks = &mut self.blocks[self.free..];
        let spaced = blocks.iter().any(|block| block.spaced && own(block));
        let mut begun = !blocks.iter().any(|block| !block.used && own(block));
        let mut found = Vec::new();
        for block in blocks {
            if found.len() >= count {
                break;
            }
            if block.used || (spaced && !block.spaced) {
                continue;
            }
            begun |= own(block);
            if own(block) || (begun && !foreign(block)) {
                block.used = true;
                found.push(block.clone());
            } else if foreign(block) && begun && !found.is_empty() {
                begun = false;
            }
        }
        found
    }

    /// Prose that names a file, and was followed by nothing.
    pub fn said_by(&mut self, file: &str) -> Option<Death> {
        let at = self
            .prose
            .iter()
            .position(|death| death.at.as_ref().is_some_and(|(at, _)| same_file(at, file)))?;
        Some(self.prose.remove(at))
    }

    /// The end of a file, by what is known of it.
    pub fn death(
        &mut self,
        code: Option<i32>,
        after: Option<u32>,
        file: Option<&str>,
    ) -> Option<Death> {
        let fits = |death: &Death| {
            !death.used
                && (code.is_none() || death.code.is_none() || death.code == code)
                && after.is_none_or(|after| death.after == after)
        };
        let own = |death: &Death| {
            let at = death.at.as_ref();
            file.is_some_and(|file| {
                at.is_some_and(|(at, _)| at == file) || death.text.contains(file)
            })
        };
        let first = self.deaths.iter().position(|d| fits(d) && own(d));
        let at = first.or_else(|| self.deaths.iter().position(fits))?;
        self.deaths[at].used = true;
        Some(self.deaths[at].clone())
    }
}

/// The test files of a run, to be asked whether a place is in one of them.
#[derive(Debug, Default)]
pub(crate) struct Others<'a>(HashMap<&'a str, Vec<&'a str>>);

impl<'a> Others<'a> {
    /// These files.
    pub fn of(files: impl Iterator<Item = &'a str>) -> Self {
        let mut known: HashMap<&str, Vec<&str>> = HashMap::new();
        for file in files {
            let same = known.entry(file.trim_start_matches("./")).or_default();
            if !same.contains(&file) {
                same.push(file);
            }
        }
        Others(known)
    }

    /// Whether a place is in any of them but one.
    fn any(&self, at: &str, but: &str) -> bool {
        let at = at.trim_start_matches("./");
        let parts = at.match_indices('/').map(|(end, _)| &at[end + 1..]);
        std::iter::once(at)
            .chain(parts)
            .filter_map(|part| self.0.get(part))
            .any(|same| same.iter().any(|file| *file != but))
    }
}

/// Whether a place's file is that test file.
fn same_file(at: &str, file: &str) -> bool {
    let (at, file) = (at.trim_start_matches("./"), file.trim_start_matches("./"));
    at == file
        || at
            .strip_suffix(file)
            .is_some_and(|before| before.ends_with('/'))
}

/// `Failed test 'name'`, `Failed (TODO) test at t/a.t line 3.`
fn heading(words: &str) -> Option<Block> {
    let rest = words.strip_prefix("Failed ")?;
    let (todo, rest) = match rest.strip_prefix("(TODO) ") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.strip_prefix("test")?;
    let mut block = Block {
        todo,
        ..Block::default()
    };
    let rest = rest.trim_start();
    // pgTAP: `Failed test 3: "name"`.
    let numbered = rest
        .split_once(": \"")
        .filter(|(number, _)| number.bytes().all(|b| b.is_ascii_digit()));
    if let Some((_, quoted)) = numbered {
        block.name = quoted.trim_end().strip_suffix('"')?.to_owned();
    } else if let Some(quoted) = rest.strip_prefix('\'') {
        // TAP has the first line of a longer name.
        let end = quoted.rfind('\'');
        block.unclosed = end.is_none();
        block.name = quoted[..end.unwrap_or(quoted.len())].to_owned();
        block.at = end.and_then(|end| place_of(quoted[end + 1..].trim_start()));
    } else {
        block.at = place_of(rest);
        (block.at.is_some() || rest.is_empty()).then_some(())?;
    }
    Some(block)
}

/// `at t/a.t line 5.`, and of old `in t/a.t at line 5.`
fn place_of(words: &str) -> Option<(String, u32)> {
    let rest = words
        .strip_prefix("at ")
        .or_else(|| words.strip_prefix("in "))?;
    let (file, line) = rest.split_once(" line ")?;
    let file = file.strip_suffix(" at").unwrap_or(file);
    let line = line.trim_end().trim_end_matches('.').parse().ok()?;
    Some((file.to_owned(), line))
}

/// `message at FILE line N.`: the place at the end of what Perl says.
pub(crate) fn place_at_end(text: &str) -> Option<(String, u32)> {
    text.rmatch_indices(" line ").find_map(|(at, _)| {
        let digits = text[at + 6..].split(|c: char| !c.is_ascii_digit()).next()?;
        let file = &text[text[..at].rfind(" at ")? + 4..at];
        let line: u32 = digits.parse().ok()?;
        (!file.is_empty() && !file.contains(char::is_whitespace)).then(|| (file.to_owned(), line))
    })
}

/// What a group of lines says about the end of a file.
fn death(group: &[String]) -> Death {
    let compile = group.iter().any(|line| {
        line.contains("aborted due to compilation errors")
            || line.contains("BEGIN failed--compilation aborted")
            || line.contains("had compilation errors")
    });
    let placed =
        |line: &&String| !line.starts_with(char::is_whitespace) && place_at_end(line).is_some();
    let found = match compile {
        true => group.iter().find(placed),
        false => group.iter().rev().find(placed),
    };
    let message = found.or_else(|| {
        let unindented = |line: &&String| !line.starts_with(char::is_whitespace);
        group.iter().rev().find(unindented)
    });
    Death {
        message: message.cloned().unwrap_or_default(),
        at: found.and_then(|line| place_at_end(line)),
        compile,
        text: group.join("\n"),
        ..Death::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_warnings_and_what_a_test_prints_itself() {
        let mut said = Diagnostics::default();
        let log = "\n#   Failed test 'two\n# lines'\n#   at t/a.t line 5.\n\n#   Failed test 'torn'\n#   at t/a.t line 6.\nUse of uninitialized value at t/a.t line 6.\n#          got: 1\n#     expected: undef\n# not ok 3 - ghost\n#   Failed test 'ghost'\n#   at t/a.t line 2.\n\n#   Failed test 'last'\n#   at t/a.t line 9.\n";
        for line in log.lines() {
            match said.wants(line.as_bytes()) {
                true => said.line(line),
                false => said.pass(line.as_bytes()),
            }
        }
        said.finish();
        let found = said.of_file("t/a.t", &Others::of(std::iter::empty()), 9);
        let names: Vec<&str> = found.iter().map(|block| block.name.as_str()).collect();
        assert_eq!(names, ["two", "torn", "last"]);
        assert_eq!(found[0].at, Some(("t/a.t".into(), 5)));
        assert_eq!(found[1].body.len(), 2);
    }

    fn read(text: &str) -> Diagnostics {
        let mut found = Diagnostics::default();
        text.lines().for_each(|line| found.line(line));
        found.finish();
        found
    }

    #[test]
    fn assertions_of_subtests_belong_to_them() {
        let mut found = read(
            "\n        #   Failed test 'deep'\n        #   at t/a.t line 9.\n        #          got: '1'\n        #     expected: '2'\n        # Looks like you failed 1 test of 2.\n\n    #   Failed test 'middle'\n    #   at t/a.t line 12.\n\n#   Failed test 'outer'\n#   at t/a.t line 14.\n\n#   Failed test at t/a.t line 20.\n#   Failed (TODO) test 'later'\n#   at t/a.t line 21.\n",
        );
        let outer = found.take("outer", Some("t/a.t")).expect("a block");
        assert_eq!(outer.at, Some(("t/a.t".into(), 14)));
        assert_eq!(outer.children[0].name, "middle");
        let deep = &outer.children[0].children[0];
        assert_eq!((deep.name.as_str(), deep.body.len()), ("deep", 2));
        assert_eq!(
            found.take("", None).and_then(|block| block.at),
            Some(("t/a.t".into(), 20))
        );
        assert_eq!(found.take("later", None), None);
        assert_eq!(found.take("outer", None), None);
    }

    #[test]
    fn the_last_words_are_read() {
        let mut found = read(
            "Use of uninitialized value at t/b.t line 2.\ndied here, <IN> at lib/H.pm line 19, <IN> line 4.\n\tmain::f() called at t/b.t line 3\n# Looks like your test exited with 255 just after 1.\nsyntax error at t/c.t line 4, near \"= ;\"\nExecution of t/c.t aborted due to compilation errors.\n# Looks like your test exited with 255 before it could output anything.\n",
        );
        let first = found
            .death(Some(255), Some(1), Some("t/b.t"))
            .expect("an end");
        assert_eq!(first.at, Some(("lib/H.pm".into(), 19)));
        assert!(!first.compile && first.message.starts_with("died here"));
        let second = found
            .death(Some(255), Some(0), Some("t/c.t"))
            .expect("an end");
        assert_eq!(
            (second.at, second.compile),
            (Some(("t/c.t".into(), 4)), true)
        );
    }
}
