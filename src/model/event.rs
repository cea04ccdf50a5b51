//! An event: something that happened. The only vocabulary of the journal, the status file,
//! the API's streams and the metrics.

use crate::model::Asker;
use crate::model::Counts;
use crate::model::EnvironmentHash;
use crate::model::Failure;
use crate::model::Isolation;
use crate::model::LoopId;
use crate::model::Note;
use crate::model::Origin;
use crate::model::Outcome;
use crate::model::ProjectId;
use crate::model::RunId;
use crate::model::SnapshotId;
use crate::model::StopReason;
use crate::model::TestRef;
use crate::model::Timestamp;
use crate::model::Trigger;
use schemars::JsonSchema;
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
        /// Only for as long as this process lives (`regreen watch`); not watched again after
        /// a restart.
        #[serde(default)]
        foreground: bool,
        /// Which tree its verdicts are about.
        #[serde(default)]
        trigger: Trigger,
    },
    /// A project is no longer watched.
    ProjectRemoved,
    /// Which repository stands at the project's path; another than before has no past.
    Rooted {
        /// What tells it from every other.
        identity: String,
    },
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
    /// The suites of a project, as detected and configured.
    SuitesFound {
        /// Their names, in the order in which they run.
        suites: Vec<String>,
        /// What an untrusted `regreen.toml` asked for and did not get, in words.
        ignored: Vec<String>,
    },
    /// What stands in the slot besides the tracked files, once it differs from before.
    SlotChanged {
        /// Files that were left out of the mirror, and why.
        left_out: Vec<LeftOutFile>,
        /// What the slot takes on disk, in bytes.
        bytes: u64,
    },
    /// Something is wrong that people should know of.
    Trouble {
        /// What, with a remedy; its code identifies it.
        note: Note,
        /// It keeps regreen from making a verdict: the old one stays, and is stale.
        blocks: bool,
    },
    /// That trouble is over.
    TroubleOver {
        /// The note's code.
        code: String,
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
        /// Who asked for it.
        asker: Asker,
        /// The rest of its key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        environment: Option<EnvironmentHash>,
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
        /// What failed, as far as the status shows it.
        #[serde(default)]
        failures: Vec<Failure>,
        /// How many failures there were besides.
        #[serde(default)]
        more: u64,
        /// Every test that failed, for the next run's early look; capped.
        #[serde(default)]
        failed: Vec<TestRef>,
        /// Tests that failed and then passed alone.
        #[serde(default)]
        flaky: Vec<TestRef>,
        /// How it was kept apart.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        isolation: Option<Isolation>,
        /// What is to be said about the run as a whole.
        #[serde(default)]
        notes: Vec<Note>,
    },
    /// What else than its snapshot a green run's verdict depends on.
    RunDigested {
        /// The run.
        run: RunId,
        /// The rest of its key.
        environment: EnvironmentHash,
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
        /// Its counts; in older journals they are not told.
        #[serde(default)]
        counts: Counts,
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
    /// A loop is no longer of interest to the status.
    LoopForgotten {
        /// The loop.
        id: LoopId,
    },
    /// What verdicts depend on besides the snapshot changed: a package was installed into an
    /// environment that is carried in.
    EnvironmentChanged,
    /// Regreen itself panicked and went on.
    Panicked {
        /// What and where.
        message: String,
    },
}

/// A file that was left out of the mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOutFile {
    /// Its path, relative to the worktree.
    pub path: String,
    /// Why it was left out.
    pub reason: String,
}
