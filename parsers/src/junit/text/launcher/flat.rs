//! What `--details=flat` tells as it goes: a line when a test begins and one when it ends, each
//! with its unique id, then what was thrown.

use crate::junit::java;
use crate::junit::text::Told;
use crate::junit::text::launcher::OnTheWay;

/// More failures than this are not kept.
const MOST: usize = 5_000;
/// More tests than this do not run at once.
const MOST_RUNNING: usize = 100;
/// The most that is kept of what was thrown, in bytes.
const LONGEST: usize = 256 * 1024;

/// Reads it.
#[derive(Debug, Clone, Default)]
pub(super) struct Flat {
    /// A line whose name goes on in the next.
    begun: Option<char>,
    /// The unique id of what is just over.
    over: Option<String>,
    /// Where what was thrown begins; 0 if nothing is told.
    column: usize,
    running: Vec<String>,
    failed: Vec<OnTheWay>,
    passed: u64,
    skipped: u64,
}

impl Flat {
    /// Whether lines that begin with a blank, or anything else, may belong to it.
    pub fn wants_more(&self) -> bool {
        self.over.is_some() || self.begun.is_some()
    }

    /// Takes a line if it is one of its own.
    pub fn line(&mut self, line: &str) -> bool {
        let starts = ["Finished: ", "Started: ", "Registered: ", "Skipped: "];
        if starts.iter().any(|start| line.starts_with(start)) {
            self.settle();
            self.begun = line.chars().next();
            self.named(line);
            return true;
        }
        if self.begun.is_some() && self.named(line) {
            return true;
        }
        if self.over.is_none() {
            return false;
        }
        self.thrown(line)
    }

    /// The unique id at a line's end.
    fn named(&mut self, line: &str) -> bool {
        let Some((_, id)) = line.rsplit_once(" ([engine:") else {
            return false;
        };
        let (Some(word), Some(id)) = (self.begun.take(), id.strip_suffix(')')) else {
            return false;
        };
        let id = format!("[engine:{id}");
        match word {
            'S' if line.starts_with("Skipped: ") => self.skipped += u64::from(is_test(&id)),
            'S' if is_test(&id) && self.running.len() < MOST_RUNNING => self.running.push(id),
            'F' => {
                if let Some(at) = self.running.iter().rposition(|known| *known == id) {
                    self.running.remove(at);
                }
                self.over = Some(id);
            }
            _ => {}
        }
        true
    }

    /// A line of what was thrown.
    fn thrown(&mut self, line: &str) -> bool {
        if self.column == 0 {
            let told = line.split_once("=> Exception: ");
            let told = told.filter(|(before, _)| before.len() > 3 && before.trim().is_empty());
            let (Some((before, said)), Some(id)) = (told, self.over.clone()) else {
                self.settle();
                return false;
            };
            if self.failed.len() >= MOST {
                return true;
            }
            self.column = before.len();
            self.failed.push(OnTheWay {
                names: Vec::new(),
                unique: id,
                text: format!("{said}\n"),
            });
            return true;
        }
        let blank = line.trim().is_empty();
        let own = line
            .get(..self.column)
            .is_some_and(|head| head.trim().is_empty());
        if !own && !blank {
            self.settle();
            return false;
        }
        if let Some(way) = self.failed.last_mut()
            && way.text.len() < LONGEST
        {
            way.text.push_str(line.get(self.column..).unwrap_or(""));
            way.text.push('\n');
        }
        true
    }

    /// What is over was told whole.
    fn settle(&mut self) {
        self.begun = None;
        let Some(id) = self.over.take() else {
            return;
        };
        if std::mem::take(&mut self.column) == 0 {
            self.passed += u64::from(is_test(&id));
            return;
        }
        let class = |way: &OnTheWay| {
            let first = way.text.lines().next().unwrap_or("");
            java::is_assumption(java::split(first).0)
        };
        if self.failed.last().is_some_and(class) {
            self.failed.pop();
            self.skipped += 1;
        }
    }

    /// How many tests passed so far.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Whether nothing was told.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty() && self.failed.is_empty() && self.passed + self.skipped == 0
    }

    /// What failed, and the tests that are running.
    pub fn over(mut self, told: &mut Told) -> (Vec<OnTheWay>, Vec<OnTheWay>) {
        self.settle();
        told.add(self.passed, self.skipped);
        let running = self.running.into_iter().map(|unique| OnTheWay {
            unique,
            ..OnTheWay::default()
        });
        (self.failed, running.collect())
    }
}

/// Whether a unique id is a test's, and not of what tests stand in.
fn is_test(id: &str) -> bool {
    let last = id.rsplit("]/[").next().unwrap_or(id);
    let kinds = ["method:", "test-template-invocation:", "dynamic-test:"];
    kinds.iter().any(|kind| last.starts_with(kind))
        || last.starts_with("test:") && last.contains('(')
}
