//! An event: something that happened. The only vocabulary of the journal, the status file,
//! the API's streams and the metrics.

use crate::model::Counts;
use crate::model::Failure;
use crate::model::LoopId;
use crate::model::Origin;
use crate::model::Outcome;
use crate::model::ProjectId;
use crate::model::RunId;
use crate::model::SnapshotId;
use crate::model::StopReason;
use crate::model::Timestamp;
use serde::Deserialize;
use serde::Serialize;

/// Something that happened, when, and to which project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// To which project; absent for what concerns the daemon as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// The daemon came up.
    DaemonStarted {
        /// Its process id.
        pid: u32,
        /// Its version.
        version: String,
    },
    /// The daemon ends in good order.
    DaemonStopped,
    /// A project is watched from now on.
    ProjectAdded {
        /// Its worktree.
        path: String,
    },
    /// A project is no longer watched.
    ProjectRemoved,
    /// Changes were seen.
    Changed {
        /// Where they came from.
        origin: Origin,
        /// How many paths.
        paths: u64,
        /// Whether the tree is walked as a whole.
        rescan: bool,
    },
    /// The slot agrees with the worktree.
    Synced {
        /// The tree that will be tested.
        snapshot: SnapshotId,
        /// The branch that is checked out.
        branch: Option<String>,
        /// HEAD's commit.
        head: Option<String>,
        /// Whether the snapshot differs from HEAD's tree.
        dirty: bool,
    },
    /// Something about watching got worse or better; the reason is for people.
    WatchMode {
        /// Absent when all is well again.
        degraded: Option<String>,
    },
    /// A run was accepted.
    RunQueued {
        /// The run.
        run: RunId,
        /// Its suite's name.
        suite: String,
        /// Its snapshot.
        snapshot: SnapshotId,
    },
    /// A run began.
    RunStarted {
        /// The run.
        run: RunId,
    },
    /// A run got on.
    RunProgress {
        /// The run.
        run: RunId,
        /// Tests ended so far.
        done: u64,
        /// Tests known so far.
        total: Option<u64>,
        /// The counts so far.
        counts: Counts,
    },
    /// A test failed in a run that still goes on.
    TestFailed {
        /// The run.
        run: RunId,
        /// The failure.
        failure: Box<Failure>,
    },
    /// A run ended; the report lies in the run's directory.
    RunFinished {
        /// The run.
        run: RunId,
        /// Its outcome.
        outcome: Outcome,
        /// Whether it is complete.
        complete: bool,
        /// Its counts.
        counts: Counts,
        /// The wall time, in milliseconds.
        duration_ms: u64,
        /// Edits arrived while it ran.
        stale: bool,
    },
    /// A newer snapshot took a run's place.
    RunSuperseded {
        /// The run.
        run: RunId,
    },
    /// Somebody ended a run.
    RunCancelled {
        /// The run.
        run: RunId,
    },
    /// The daemon died while a run was under way.
    RunLost {
        /// The run.
        run: RunId,
    },
    /// An earlier green run answered an automatic request.
    RunReused {
        /// The suite's name.
        suite: String,
        /// The snapshot.
        snapshot: SnapshotId,
        /// The earlier run.
        from: RunId,
        /// Its age in milliseconds.
        age_ms: u64,
    },
    /// Told to wait.
    Paused,
    /// Told to go on.
    Resumed,
    /// A loop changed its state; the loop's own record has the rest.
    Loop {
        /// The loop.
        id: LoopId,
        /// The state's name (`preparing`, `baseline`, `turn`, `testing`, `gating`, `stopped`).
        state: String,
        /// The iteration, counted from 1; 0 before the first.
        iteration: u32,
        /// Why it ended, once it has.
        stop: Option<StopReason>,
    },
    /// Regreen itself panicked and went on.
    Panicked {
        /// What and where.
        message: String,
    },
}
