//! A run: one suite at one snapshot in one sandbox.

use crate::model::EnvironmentHash;
use crate::model::Report;
use crate::model::SnapshotId;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;
use std::path::PathBuf;

/// The code of the note that a suite's program is not there or cannot be executed.
pub const NO_PROGRAM: &str = "no_program";

/// What makes two runs the same. Coalescing, retry, recovery and reuse all follow from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunKey {
    /// What was tested.
    pub snapshot: SnapshotId,
    /// The suite's name.
    pub suite: String,
    /// Everything else that the verdict may depend on; `None` when it cannot be determined,
    /// and then the run is never reused.
    pub environment: Option<EnvironmentHash>,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Waits for a place.
    Queued,
    /// In its sandbox.
    Running,
    /// Ended, with a report.
    Finished,
    /// A newer snapshot took its place before it started.
    Superseded,
    /// Somebody asked for its end.
    Cancelled,
    /// The daemon died while it ran.
    Lost,
}

/// Who asked for a run. Only automatic ones may be answered by an earlier green run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Asker {
    /// A change in the watched worktree.
    Watch,
    /// A person or program that asked for a run.
    Explicit,
    /// A loop that wants to know where it stands.
    Loop,
    /// A gate that decides about a verdict.
    Gate,
}

/// Which tests of a suite to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// Everything; only this makes a verdict.
    #[default]
    All,
    /// Just these failures' `rerun` commands or ids, as an early look.
    Tests(Vec<TestRef>),
}

/// One test, as a selection names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TestRef {
    /// The cargo target, package or file that holds it.
    pub target: Option<String>,
    /// The test's id as its framework prints it.
    pub id: String,
}

/// What `regreen run` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRequest {
    /// The worktree, or a directory in it.
    pub path: PathBuf,
    /// Only this suite.
    pub suite: Option<String>,
    /// The tree of this revision instead of the work tree.
    pub at: Option<String>,
    /// `bwrap`, `none`; the configuration's when absent.
    pub backend: Option<String>,
    /// This command instead of the suites.
    pub command: Vec<String>,
    /// Show the suite inside and outside the sandbox side by side.
    pub compare: bool,
    /// Never answer from an earlier run.
    pub fresh: bool,
}

/// The one document of `regreen run --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunDocument {
    /// Version of this document.
    pub schema: u32,
    /// The git tree id of what was tested.
    pub snapshot: String,
    /// The outcome of all suites together.
    pub outcome: crate::model::Outcome,
    /// The exit code of the command.
    pub exit_code: u8,
    /// One report a suite.
    pub reports: Vec<Report>,
}

/// What becomes known while `regreen run` goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum RunUpdate {
    /// The copy of the worktree is brought up to date.
    Syncing,
    /// A suite begins, the `number`th of `of`.
    Started {
        /// The suite's name.
        suite: String,
        /// Counted from 1.
        number: usize,
        /// How many there are.
        of: usize,
    },
    /// Something became known of a test.
    Test(regreen_parsers::TestEvent),
    /// A suite ended.
    Ended(Box<Report>),
}
