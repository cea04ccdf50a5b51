//! What `--details=verbose` tells as it goes: each node when it begins, then facts about it.
//!
//! A test's facts end with its status. A class, a factory or a parameterised test has one only
//! if it failed itself: what was caught, before it says that it finished. All labels of one depth
//! end in one column, so that what a test prints is not taken for one.

use crate::junit::java;
use crate::junit::text::Told;
use crate::junit::text::launcher::OnTheWay;

/// More failures than this are not kept.
const MOST: usize = 5_000;
/// More failures than this do not wait for their class.
const MOST_UNKNOWN: usize = 1_000;
/// The most that is kept of what was caught, in bytes.
const LONGEST: usize = 256 * 1024;
/// The end of the labels, behind what stands for the depth.
const LABELS: usize = 9;

#[derive(Debug, Clone, Default)]
struct Node {
    depth: usize,
    name: String,
    unique: String,
    caught: String,
    /// It is a test: it has facts of its own.
    test: bool,
}

/// Reads it.
#[derive(Debug, Clone, Default)]
pub(super) struct Verbose {
    open: Vec<Node>,
    failed: Vec<OnTheWay>,
    /// Those of `failed` that have no unique id yet.
    unknown: Vec<usize>,
    /// Where the text begins of what is being caught; 0 if nothing is.
    column: usize,
    passed: u64,
    skipped: u64,
}

impl Verbose {
    /// Takes a line that is a node.
    pub fn node(&mut self, depth: usize, text: &str) {
        let text = text.trim_end();
        // Nothing begins within a test: it prints that itself.
        let within = self.open.last().is_some_and(|node| node.test);
        if within || text.ends_with(" dynamically registered") {
            return;
        }
        self.column = 0;
        while self.open.last().is_some_and(|node| node.depth >= depth) {
            self.close();
        }
        let over = text.rsplit_once(" finished after ");
        if !over.is_some_and(|(_, rest)| rest.ends_with(" ms.")) {
            self.open.push(Node {
                depth,
                name: text.to_owned(),
                ..Node::default()
            });
        }
    }

    /// The innermost node is over.
    fn close(&mut self) {
        let plain = self.open.last().is_none_or(|node| node.caught.is_empty());
        if plain && self.unknown.is_empty() {
            self.open.pop();
            return;
        }
        let names = self.names();
        let Some(node) = self.open.pop() else {
            return;
        };
        self.learn(&names, &node.unique);
        if node.caught.is_empty() || self.failed.len() >= MOST {
            return;
        }
        if node.unique.is_empty() && self.unknown.len() < MOST_UNKNOWN {
            self.unknown.push(self.failed.len());
        }
        self.failed.push(OnTheWay {
            names,
            unique: node.unique,
            text: node.caught,
        });
    }

    /// What a class is tells what those are that stand in it, and failed before anybody knew.
    fn learn(&mut self, names: &[String], unique: &str) {
        if unique.is_empty() || self.unknown.is_empty() {
            return;
        }
        let failed = &mut self.failed;
        self.unknown.retain(|at| {
            let Some(way) = failed.get_mut(*at) else {
                return false;
            };
            let inner = way.names.split_last();
            let Some((name, _)) = inner.filter(|(_, outer)| outer == &names) else {
                return true;
            };
            way.unique = inner_unique(unique, name);
            false
        });
    }

    fn names(&self) -> Vec<String> {
        self.open.iter().map(|node| node.name.clone()).collect()
    }

    /// Takes a line that is no node: a fact, more of what was caught, or what a test prints.
    pub fn fact(&mut self, line: &str, width: usize) {
        let Some(node) = self.open.last_mut() else {
            return;
        };
        let text = line.trim_start_matches(['│', '|', ' ']);
        let from = line[..line.len() - text.len()].chars().count();
        if self.column > 0 {
            if from >= self.column || text.is_empty() {
                if node.caught.len() < LONGEST {
                    node.caught.push_str(continued(line, self.column));
                    node.caught.push('\n');
                }
                return;
            }
            self.column = 0;
        }
        let Some((label, value)) = text.split_once(": ") else {
            return;
        };
        let depth = node.depth + if node.test || label == "tags" { 1 } else { 2 };
        if from + label.len() != width * depth + LABELS {
            return;
        }
        match label {
            "tags" => node.test = true,
            "uniqueId" if node.unique.is_empty() => {
                value.clone_into(&mut node.unique);
                self.known();
            }
            "caught" if node.caught.is_empty() => {
                self.column = from + "caught: ".len();
                node.caught = format!("{value}\n");
            }
            "status" => self.status(value),
            _ => {}
        }
    }

    /// A test's unique id tells those of the nodes around it.
    fn known(&mut self) {
        let Some(unique) = self.open.last().map(|node| node.unique.clone()) else {
            return;
        };
        let ends: Vec<usize> = unique.match_indices("]/[").map(|(at, _)| at + 1).collect();
        if ends.len() + 1 != self.open.len() {
            return;
        }
        for (node, end) in self.open.iter_mut().zip(ends) {
            if node.unique.is_empty() {
                unique[..end].clone_into(&mut node.unique);
            }
        }
    }

    fn status(&mut self, status: &str) {
        let word = status.split(' ').next_back().unwrap_or("");
        match word {
            "SUCCESSFUL" => self.passed += 1,
            "ABORTED" | "SKIPPED" => self.skipped += 1,
            _ => {}
        }
        if let Some(node) = self.open.last_mut()
            && word != "FAILED"
        {
            node.caught.clear();
        }
        self.close();
    }

    /// How many tests passed so far.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Whether nothing was told.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.failed.is_empty() && self.passed + self.skipped == 0
    }

    /// What failed, and the test that is running.
    pub fn over(mut self, told: &mut Told) -> (Vec<OnTheWay>, Option<OnTheWay>) {
        told.add(self.passed, self.skipped);
        let names = self.names();
        let running = self.open.pop().filter(|node| node.test);
        let running = running.map(|node| OnTheWay {
            names,
            unique: node.unique,
            text: node.caught,
        });
        let assumed = |way: &OnTheWay| {
            let class = java::split(way.text.lines().next().unwrap_or("")).0;
            java::is_assumption(class)
        };
        self.failed.retain(|way| !assumed(way));
        (self.failed, running)
    }
}

/// What the unique id of a method in a class whose id is known would be.
fn inner_unique(outer: &str, name: &str) -> String {
    let class = outer.contains("[class:") && !outer.contains("[method:");
    match class && name.contains('(') && name.ends_with(')') {
        true => format!("{outer}/[test-template:{name}]"),
        false => String::new(),
    }
}

/// A further line of what was caught: it is indented a little more than the first.
fn continued(line: &str, column: usize) -> &str {
    let at = |column: usize| {
        line.char_indices()
            .nth(column)
            .map_or(line.len(), |(at, _)| at)
    };
    let (from, more) = (at(column), at(column + 2));
    match line[from..more].trim_matches(' ').is_empty() {
        true => &line[more..],
        false => &line[from..],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_stand_in_their_column() {
        let mut verbose = Verbose::default();
        verbose.node(0, "JUnit Jupiter");
        verbose.node(1, "ATest");
        verbose.node(2, "one() \u{2718} two");
        for line in [
            "│  │  │       tags: []",
            "│  │  │   uniqueId: [engine:junit-jupiter]/[class:a.ATest]/[method:one()]",
            "caught: a decoy",
            "│  │  │     caught: java.lang.AssertionError: a",
            "│  │  │               b",
            "│  │  │               \tat a.ATest.one(ATest.java:3)",
            "│  │  │   duration: 5 ms",
            "│  │  │     status: ✘ FAILED",
            "│  │  │     caught: java.lang.IllegalStateException: of the class",
        ] {
            verbose.fact(line, 3);
        }
        verbose.node(1, "ATest finished after 3 ms.");
        let (failed, running) = verbose.over(&mut Told::default());
        let told: Vec<(&str, &str)> = failed
            .iter()
            .map(|way| (way.unique.as_str(), way.text.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (
                    "[engine:junit-jupiter]/[class:a.ATest]/[method:one()]",
                    "java.lang.AssertionError: a\nb\n\tat a.ATest.one(ATest.java:3)\n"
                ),
                (
                    "[engine:junit-jupiter]/[class:a.ATest]",
                    "java.lang.IllegalStateException: of the class\n"
                ),
            ]
        );
        assert!(running.is_none());
    }
}
