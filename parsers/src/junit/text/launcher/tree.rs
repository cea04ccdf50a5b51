//! The tree that stands above the failures: it tells which invocation of a test an entry is.
//!
//! A name may hold what the tree itself prints: marks, colons, line ends. So a node that failed
//! is known by every name that its line may mean, and the block of failures, which has the names
//! alone, says which it is.

use crate::names::Names;

/// More nodes of the tree than this are not kept.
const MOST_NODES: usize = 200_000;
/// More names than this a line does not mean.
const MOST_NAMES: usize = 4;
/// Longer names than this are not kept, in bytes.
const LONGEST: usize = 4096;
/// More lines than this no name has.
const MOST_LINES: usize = 40;

/// Where a node that failed stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Where the name of each ancestor and its own end in its path, and which child each is.
    pub chain: Vec<(usize, u64)>,
    /// Others stand in it.
    pub holds: bool,
}

/// A node that failed: where the names of its ancestors end in its path, and which child each is.
#[derive(Debug, Clone)]
struct Failed {
    chain: Vec<(usize, u64)>,
    holds: bool,
    next: Option<usize>,
    taken: bool,
}

/// A node that may have children.
#[derive(Debug, Clone, Default)]
struct Open {
    /// Where its name ends in the path.
    end: usize,
    place: u64,
    children: u64,
    /// Which of the failed it is.
    failed: Option<usize>,
    /// What else its whole path may be.
    others: Vec<String>,
}

/// The nodes of the tree that matter.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    open: Vec<Open>,
    /// The names of the open nodes, joined by colons.
    path: String,
    failed: Vec<Failed>,
    /// The first and the last node of a path, and the first that may be free.
    paths: Names<(usize, usize, usize)>,
    /// A line without a mark: its name may go on.
    pending: Option<(usize, String, bool)>,
    lines: usize,
}

impl Tree {
    /// Whether no failed node is known.
    pub fn is_empty(&self) -> bool {
        self.failed.is_empty()
    }

    /// Whether the name of the last node may go on in the next line.
    pub fn in_name(&self) -> bool {
        self.pending.is_some()
    }

    /// Takes a line that is a node.
    pub fn node(&mut self, depth: usize, text: &str, ascii: bool) {
        self.settle();
        let text = text.trim_end();
        if !self.marked(depth, text, ascii) {
            self.pending = Some((depth, text.to_owned(), ascii));
            self.lines = 0;
        }
    }

    /// Takes a line that is none: the name of the node before may go on.
    pub fn more(&mut self, line: &str) {
        let Some((depth, mut text, ascii)) = self.pending.take() else {
            return;
        };
        self.lines += 1;
        if self.lines > MOST_LINES || text.len() + line.len() > LONGEST {
            return;
        }
        text.push('\n');
        text.push_str(line.trim_end());
        if !self.marked(depth, &text, ascii) {
            self.pending = Some((depth, text, ascii));
        }
    }

    /// A node that has no mark at all is one that others stand in.
    pub fn settle(&mut self) {
        if let Some((depth, text, _)) = self.pending.take() {
            let name = text.lines().next().unwrap_or("").to_owned();
            self.add(depth, &[&name], false);
        }
    }

    /// Adds a node if its line has a mark.
    fn marked(&mut self, depth: usize, text: &str, ascii: bool) -> bool {
        let (names, failed) = names(text, ascii);
        if names.is_empty() {
            return false;
        }
        self.add(depth, &names, failed);
        true
    }

    fn add(&mut self, depth: usize, names: &[&str], failed: bool) {
        self.open.truncate(depth);
        if let Some(parent) = self.open.last_mut() {
            parent.children += 1;
            if let Some(failed) = parent.failed.and_then(|at| self.failed.get_mut(at)) {
                failed.holds = true;
            }
        }
        let (end, place) = self
            .open
            .last()
            .map_or((0, 0), |parent| (parent.end, parent.children));
        self.path.truncate(end);
        let mut others = self.others(names, end);
        if end > 0 {
            self.path.push(':');
        }
        self.path.push_str(names[0]);
        others.retain(|other| *other != self.path);
        self.open.push(Open {
            end: self.path.len(),
            place,
            others,
            ..Open::default()
        });
        if failed && self.failed.len() < MOST_NODES && self.path.len() < LONGEST {
            self.insert();
        }
    }

    /// What else the path of a node may be.
    fn others(&self, names: &[&str], end: usize) -> Vec<String> {
        let outer = self.open.last().map_or([].as_slice(), |open| &open.others);
        let mut others = Vec::new();
        let known = std::iter::once(&self.path[..end]).chain(outer.iter().map(String::as_str));
        for before in known {
            for name in names {
                if others.len() < MOST_NAMES && (names.len() > 1 || !outer.is_empty()) {
                    others.push(match before {
                        "" => (*name).to_owned(),
                        before => format!("{before}:{name}"),
                    });
                }
            }
        }
        others
    }

    /// Keeps the innermost open node, by each of its paths.
    fn insert(&mut self) {
        let at = self.failed.len();
        let Some(open) = self.open.last_mut() else {
            return;
        };
        open.failed = Some(at);
        let others = std::mem::take(&mut open.others);
        let chain = self.open.iter().map(|open| (open.end, open.place));
        self.failed.push(Failed {
            chain: chain.collect(),
            holds: false,
            next: None,
            taken: false,
        });
        // A path that is only possible leads to the first node that may have it.
        for other in &others {
            self.paths.insert(other, (at, at, at));
        }
        if let Some(open) = self.open.last_mut() {
            open.others = others;
        }
        let (entry, new) = self.paths.insert(&self.path, (at, at, at));
        if !new && let Some((_, last, _)) = self.paths.at_mut(entry) {
            let before = std::mem::replace(last, at);
            self.failed[before].next = Some(at);
        }
    }

    /// The next node of that path that nobody took.
    pub fn take(&mut self, path: &str) -> Option<Place> {
        let entry = self.paths.find(path)?;
        let (_, last, mut at) = *self.paths.at(entry)?;
        while self.failed.get(at)?.taken && at != last {
            at = self.failed.get(at)?.next?;
        }
        if let Some((_, _, free)) = self.paths.at_mut(entry) {
            *free = at;
        }
        let found = self.failed.get_mut(at)?;
        let free = !std::mem::replace(&mut found.taken, true);
        free.then(|| Place {
            chain: found.chain.clone(),
            holds: found.holds,
        })
    }

    /// Nothing is taken any more.
    pub fn give_back(&mut self) {
        for node in &mut self.failed {
            node.taken = false;
        }
        for at in 0..self.paths.len() {
            if let Some((first, _, free)) = self.paths.at_mut(at) {
                *free = *first;
            }
        }
    }
}

/// What the name in a node's line may be, and whether the node failed: all that stands before a
/// mark. Only what failed, was skipped or aborted has words behind its mark.
fn names(text: &str, ascii: bool) -> (Vec<&str>, bool) {
    let (good, bad, other): (&str, &str, [&str; 2]) = match ascii {
        true => ("[OK]", "[X]", ["[S]", "[A]"]),
        false => ("\u{2714}", "\u{2718}", ["\u{21b7}", "\u{25a0}"]),
    };
    let before = |mark: &str| {
        text.strip_suffix(mark)
            .and_then(|rest| rest.strip_suffix(' '))
    };
    let well = before(good);
    let mut names = Vec::new();
    for (at, _) in text.match_indices(bad) {
        let after = &text[at + bad.len()..];
        let whole = after.is_empty() || after.starts_with(' ');
        if let Some(name) = text[..at].strip_suffix(' ').filter(|_| whole)
            && names.len() < MOST_NAMES
        {
            names.push(name);
        }
    }
    let failed = !names.is_empty();
    if let Some(name) = well {
        names.insert(0, name);
    }
    if !names.is_empty() {
        return (names, failed);
    }
    let words = |mark: &&str| {
        let at = text
            .find(&format!(" {mark} "))
            .or_else(|| before(mark).map(str::len));
        at.map(|at| &text[..at])
    };
    names.extend(other.iter().find_map(words));
    (names, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_marks() {
        for (text, ascii, expected, failed) in [
            ("one() \u{2714}", false, vec!["one()"], false),
            ("one() \u{2718} why", false, vec!["one()"], true),
            ("a [X] b \u{2718} why", false, vec!["a [X] b"], true),
            (
                "a \u{2718} b \u{2718} why",
                false,
                vec!["a", "a \u{2718} b"],
                true,
            ),
            ("a \u{2714} b \u{2714}", false, vec!["a \u{2714} b"], false),
            ("two() [S] later", true, vec!["two()"], false),
            ("two() [X]", true, vec!["two()"], true),
            ("no mark", true, vec![], false),
        ] {
            assert_eq!(names(text, ascii), (expected, failed), "{text}");
        }
    }

    #[test]
    fn nodes_of_one_name_are_taken_in_their_order() {
        let mut tree = Tree::default();
        for (depth, text) in [
            (0, "Engine \u{2714}"),
            (1, "ATest \u{2714}"),
            (2, "p(int) \u{2714}"),
            (3, "check \u{2718} x"),
            (3, "check \u{2714}"),
            (3, "check \u{2718} x"),
        ] {
            tree.node(depth, text, false);
        }
        tree.node(3, "[4] x", false);
        tree.more("y \u{2718} x");
        let mut last = |path: &str| {
            let place = tree.take(path)?;
            place.chain.last().map(|(_, place)| *place)
        };
        assert_eq!(last("Engine:ATest:p(int):check"), Some(1));
        assert_eq!(last("Engine:ATest:p(int):check"), Some(3));
        assert_eq!(last("Engine:ATest:p(int):check"), None);
        assert_eq!(last("Engine:ATest:p(int):[4] x\ny"), Some(4));
        tree.give_back();
        assert!(tree.take("Engine:ATest:p(int):check").is_some());
    }
}
