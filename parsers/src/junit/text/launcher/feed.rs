//! What `--details=testfeed` tells as it goes: `JUnit Jupiter > FooTest > bar() :: FAILED`, and
//! what was thrown below.
//!
//! It came with JUnit 5.10, which was not run for this: it is built from the published sources
//! and tested on samples written by hand.

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
pub(super) struct Feed {
    /// What was thrown is being told.
    pub open: bool,
    failed: Vec<OnTheWay>,
    running: Vec<String>,
    passed: u64,
    skipped: u64,
}

/// Whether a line may be one of these.
pub(super) fn wants(bytes: &[u8]) -> bool {
    matches!(bytes.last(), Some(b'D' | b'L'))
        && [
            b":: STARTED".as_slice(),
            b":: FAILED",
            b":: SUCCESSFUL",
            b":: SKIPPED",
            b":: ABORTED",
        ]
        .iter()
        .any(|end| bytes.ends_with(end))
}

impl Feed {
    /// Takes a line if it is one of its own.
    pub fn line(&mut self, line: &str) -> bool {
        if let Some((title, word)) = line.rsplit_once(" :: ")
            && title.contains(" > ")
            && wants(line.as_bytes())
        {
            self.open = false;
            self.told(title, word);
            return true;
        }
        let Some(rest) = line.strip_prefix('\t').filter(|_| self.open) else {
            // Blank lines stand in messages.
            self.open &= line.is_empty();
            return false;
        };
        if let Some(way) = self.failed.last_mut()
            && way.text.len() < LONGEST
        {
            way.text.push_str(rest);
            way.text.push('\n');
        }
        true
    }

    fn told(&mut self, title: &str, word: &str) {
        if let Some(at) = self.running.iter().rposition(|known| known == title) {
            self.running.remove(at);
        }
        match word {
            "STARTED" if self.running.len() < MOST_RUNNING => self.running.push(title.to_owned()),
            "SUCCESSFUL" => self.passed += 1,
            "SKIPPED" | "ABORTED" => self.skipped += 1,
            "FAILED" if self.failed.len() < MOST => {
                self.open = true;
                self.failed.push(OnTheWay {
                    names: title.split(" > ").map(str::to_owned).collect(),
                    ..OnTheWay::default()
                });
            }
            _ => {}
        }
    }

    /// Whether nothing was told.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty() && self.failed.is_empty() && self.passed + self.skipped == 0
    }

    /// How many tests failed.
    pub fn failures(&self) -> u64 {
        self.failed.len() as u64
    }

    /// Adds what was told later.
    pub fn append(&mut self, later: Feed) {
        self.failed.extend(later.failed);
        self.running.extend(later.running);
        self.passed += later.passed;
        self.skipped += later.skipped;
    }

    /// What failed, and the tests that are running.
    pub fn over(self, told: &mut Told) -> (Vec<OnTheWay>, Vec<OnTheWay>) {
        told.add(self.passed, self.skipped);
        let running = self.running.iter().map(|title| OnTheWay {
            names: title.split(" > ").map(str::to_owned).collect(),
            ..OnTheWay::default()
        });
        (self.failed, running.collect())
    }
}
