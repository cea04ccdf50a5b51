//! The tests of one file as `--verbose` prints them: one line each, under the titles of suites.

/// More lines than this are not kept.
const MOST: usize = 20_000;
/// More bytes of titles than this are not kept.
const MOST_BYTES: usize = 64 << 20;

/// One line.
#[derive(Debug, Clone, Copy)]
struct Node {
    mark: char,
    /// How many titles lead here.
    level: u32,
    /// The line of the title above; its own where there is none.
    above: u32,
    /// Where its title ends; it begins where the one before ends.
    end: u32,
}

/// The lines of one file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    titles: String,
}

impl Tree {
    /// A line below as many titles as it is deep, as far as there are so many above it.
    pub fn push(&mut self, mark: char, depth: usize, title: &str) {
        if self.nodes.len() >= MOST || self.titles.len() + title.len() > MOST_BYTES {
            return;
        }
        let own = self.nodes.len() as u32;
        let mut above = None;
        let mut next = self.nodes.len().checked_sub(1);
        while let Some(at) = next {
            let node = self.nodes[at];
            if (node.level as usize) < depth {
                above = Some(at);
                break;
            }
            next = (node.above as usize != at).then_some(node.above as usize);
        }
        self.titles.push_str(title);
        self.nodes.push(Node {
            mark,
            level: above.map_or(1, |at| self.nodes[at].level + 1),
            above: above.map_or(own, |at| at as u32),
            end: self.titles.len() as u32,
        });
    }

    /// The lines of another part of the same file.
    pub fn extend(&mut self, other: &Tree) {
        if self.titles.len() + other.titles.len() > MOST_BYTES {
            return;
        }
        let (lines, bytes) = (self.nodes.len() as u32, self.titles.len() as u32);
        self.titles.push_str(&other.titles);
        self.nodes.extend(other.nodes.iter().map(|node| Node {
            above: node.above + lines,
            end: node.end + bytes,
            ..*node
        }));
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The mark of each line; a blank for the title of a suite.
    pub fn marks(&self) -> impl Iterator<Item = char> + '_ {
        self.nodes.iter().map(|node| node.mark)
    }

    /// The titles that lead to a line, its own the last.
    pub fn path(&self, at: usize) -> Vec<&str> {
        let mut path = Vec::new();
        let mut next = Some(at);
        while let Some(at) = next {
            let node = self.nodes[at];
            let from = at.checked_sub(1).map_or(0, |at| self.nodes[at].end);
            path.push(&self.titles[from as usize..node.end as usize]);
            next = (node.above as usize != at).then_some(node.above as usize);
        }
        path.reverse();
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_below_the_titles_above_them() {
        let mut tree = Tree::default();
        for (mark, depth, title) in [
            (' ', 1, "outer"),
            (' ', 2, "inner"),
            ('✓', 3, "x"),
            ('✓', 2, "y"),
            ('✓', 9, "far"),
            ('○', 1, "z"),
        ] {
            tree.push(mark, depth, title);
        }
        let mut twice = tree.clone();
        twice.extend(&tree);
        for at in [0, 6] {
            let paths: Vec<String> = (at..at + 6).map(|at| twice.path(at).join("/")).collect();
            let expected = [
                "outer",
                "outer/inner",
                "outer/inner/x",
                "outer/y",
                "outer/y/far",
                "z",
            ];
            assert_eq!(paths, expected);
        }
        assert_eq!(tree.marks().filter(|mark| *mark != ' ').count(), 4);
    }
}
