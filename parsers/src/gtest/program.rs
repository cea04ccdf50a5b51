//! What one start of a GoogleTest binary came to, from whatever source.

use crate::gtest::block::Block;

/// How a test came out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It began, and nothing says that it ended.
    #[default]
    Running,
    Failed,
}

/// A test that failed, or is running.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Case {
    /// `Suite.Name`, as a filter selects it.
    pub id: String,
    /// How it came out.
    pub ended: Ended,
    /// Its failed assertions, in order.
    pub blocks: Vec<Block>,
    /// What it printed before the first of them.
    pub output: String,
    /// Where it is defined.
    pub defined: Option<(String, u32)>,
    /// How long it took.
    pub ms: Option<u64>,
}

/// A failure that is no test's: of a suite's or the environment's set-up or tear-down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outside {
    /// The suite, or nothing for the environment.
    pub suite: Option<String>,
    /// Whether tests of it had ended before.
    pub after: bool,
    /// What it says.
    pub blocks: Vec<Block>,
}

/// One start of a binary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Program {
    /// How many tests it announced.
    pub announced: Option<u64>,
    /// How many began.
    pub started: u64,
    /// How many passed.
    pub passed: u64,
    /// How many were skipped; disabled ones stand apart.
    pub skipped: u64,
    /// How many are disabled.
    pub disabled: u64,
    /// What failed, in order.
    pub failed: Vec<Case>,
    /// More failed than are kept.
    pub more: u64,
    /// Failures outside of tests.
    pub outside: Vec<Outside>,
    /// The test that was running when the output ended.
    pub running: Option<Case>,
    /// Whether its last word came.
    pub ended: bool,
    /// It is a further iteration of the one before.
    pub repeat: bool,
    /// The filter that it was given.
    pub filter: Option<String>,
    /// What contradicts itself.
    pub faults: Vec<String>,
    /// What it printed outside of tests, the last of it.
    pub rest: String,
    /// The name of the binary, where a report file tells it.
    pub binary: Option<String>,
}

impl Program {
    /// Whether anything failed in it, or it did not come to its end.
    pub fn has_failures(&self) -> bool {
        !self.failed.is_empty() || !self.outside.is_empty() || self.running.is_some()
    }

    /// Whether it is surely a run of tests: it was announced, or has its end.
    pub fn is_any(&self) -> bool {
        self.announced.is_some()
    }

    /// The ids of the tests that failed.
    pub fn failed_ids(&self) -> Vec<&str> {
        self.failed.iter().map(|case| case.id.as_str()).collect()
    }

    /// Whether it was told to run one test alone.
    pub fn is_single(&self) -> bool {
        self.announced == Some(1)
    }
}
