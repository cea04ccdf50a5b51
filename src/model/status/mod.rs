//! The status of a project, as the status file has it (schema 1). Wire types: changed only
//! with a bump of [`SCHEMA`] and a line in the CHANGELOG.

mod clean;
mod fold;

#[cfg(test)]
mod tests;

pub use clean::for_status;
pub use clean::printable;
pub use fold::Fold;

use crate::model::Activity;
use crate::model::Counts;
use crate::model::Failure;
use crate::model::Isolation;
use crate::model::LeftOutFile;
use crate::model::LoopId;
use crate::model::LoopReport;
use crate::model::Note;
use crate::model::Outcome;
use crate::model::ProjectId;
use crate::model::ReusedFrom;
use crate::model::RunId;
use crate::model::SnapshotId;
use crate::model::StopReason;
use crate::model::TestRef;
use crate::model::Timestamp;
use crate::model::Trigger;
use crate::model::Verdict;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;
use std::time::Duration;

/// The version of the status file.
pub const SCHEMA: u32 = 1;

/// The file is written at least this often.
pub const HEARTBEAT: Duration = Duration::from_secs(4);

/// `next_update_by` is so much later than `updated_at`.
pub const VALID_FOR: Duration = Duration::from_secs(15);

/// Failures in the status at most; the rest is counted in `more`.
pub const MAX_FAILURES: usize = 20;

/// What is known of a project, and what is being done about the rest.
///
/// A reader that sees a time later than `next_update_by` knows that the daemon is dead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Version of this document, [`SCHEMA`].
    pub schema: u32,
    /// The worktree's absolute path.
    pub project: String,
    /// The project's id: names its directories in regreen's own state.
    pub project_id: ProjectId,
    /// The branch that is checked out; null when HEAD is detached or unknown.
    pub branch: Option<String>,
    /// HEAD's commit; null on an unborn branch.
    pub head: Option<String>,
    /// Which tree is tested: on every save the work tree, on every staging the index, on every
    /// commit HEAD's.
    pub trigger: Trigger,
    /// The git tree id of what is tested, or will be; null until it is known.
    pub snapshot: Option<SnapshotId>,
    /// Whether the snapshot differs from HEAD's tree.
    pub dirty: bool,
    /// The worst verdict of the suites.
    pub verdict: Verdict,
    /// The most pressing activity.
    pub activity: Activity,
    /// Whether the verdict is about something older than what stands in the work tree now.
    pub stale: bool,
    /// Since when the verdict is what it is.
    pub since: Timestamp,
    /// Each suite by itself.
    pub suites: Vec<SuiteStatus>,
    /// What fails, newest first.
    pub failures: Vec<StatusFailure>,
    /// How many failures there are besides.
    pub more: u64,
    /// Tests that failed and then passed alone in the runs that made the verdict.
    pub flaky: Vec<FlakyTest>,
    /// Loops that are going on, and the last that ended.
    pub loops: Vec<LoopStatus>,
    /// How the last run was kept apart; null until there was one.
    pub isolation: Option<Isolation>,
    /// Files that the tests cannot see.
    pub left_out: Vec<LeftOutFile>,
    /// What an untrusted `regreen.toml` asked for and did not get.
    pub ignored: Vec<String>,
    /// How changes are noticed.
    pub watch: WatchStatus,
    /// What the project's slot takes on disk, in bytes.
    pub slot_bytes: u64,
    /// What is wrong, with remedies.
    pub notes: Vec<Note>,
    /// The daemon; null after a clean stop.
    pub daemon: Option<DaemonStatus>,
    /// When this was written.
    pub updated_at: Timestamp,
    /// When it will have been written again, if the daemon lives.
    pub next_update_by: Timestamp,
}

/// One suite of a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SuiteStatus {
    /// `cargo`, `pytest`, `cargo@dir`.
    pub name: String,
    /// What is known.
    pub verdict: Verdict,
    /// What is being done.
    pub activity: Activity,
    /// Whether the verdict is about something older than what stands in the work tree now.
    pub stale: bool,
    /// Since when the verdict is what it is.
    pub since: Timestamp,
    /// The outcome of the last run that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The git tree id that the verdict is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tested: Option<SnapshotId>,
    /// The counts that go with the verdict.
    pub counts: Counts,
    /// The run that is going on or waits, or else the one that made the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunStatus>,
    /// The earlier run that the verdict was taken from without running again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused_from: Option<ReusedFrom>,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunStatus {
    /// The run.
    pub id: RunId,
    /// Tests ended so far.
    pub done: u64,
    /// Tests known so far; null until the first list.
    pub total: Option<u64>,
    /// When it began; left out while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// How long it took, in milliseconds; left out until it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

impl RunStatus {
    /// When it ended, if it has.
    pub fn ended(&self) -> Option<Timestamp> {
        let took = i64::try_from(self.duration_ms?).ok()?;
        Some(Timestamp::from_millis(self.started?.millis() + took))
    }
}

/// A failure, and where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusFailure {
    /// The suite.
    pub suite: String,
    /// The run that saw it.
    pub run: RunId,
    /// Since when this test fails.
    pub since: Timestamp,
    /// Whether it was seen in something older than what stands in the work tree now.
    pub stale: bool,
    /// The failure, with long texts cut and control sequences removed.
    #[serde(flatten)]
    pub failure: Failure,
}

/// A test that failed and then passed alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlakyTest {
    /// The suite.
    pub suite: String,
    /// The cargo target, package or file that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The test's id as its framework prints it.
    pub id: String,
}

impl FlakyTest {
    fn of(suite: &str, test: &TestRef) -> Self {
        FlakyTest {
            suite: suite.to_owned(),
            target: test.target.as_deref().map(printable),
            id: printable(&test.id),
        }
    }
}

/// How far a loop is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoopStatus {
    /// The loop.
    pub id: LoopId,
    /// Its state's name; `interrupted` when it has not ended and nobody drives it: `regreen
    /// loops resume` goes on with it, `regreen loops stop` ends it.
    pub state: String,
    /// The iteration, counted from 1; 0 before the first.
    pub iteration: u32,
    /// Why it ended, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopReason>,
}

impl From<LoopReport> for LoopStatus {
    fn from(report: LoopReport) -> LoopStatus {
        LoopStatus {
            id: report.id,
            state: report.state,
            iteration: report.spend.iterations,
            stop: report.stop_reason,
        }
    }
}

/// How changes are noticed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WatchStatus {
    /// Why it is worse than it should be (polling, a watch limit, an overflow); left out when
    /// all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degraded: Option<String>,
}

/// The daemon behind a status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DaemonStatus {
    /// Its process id.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// When it came up.
    pub started: Timestamp,
}

impl Status {
    /// Whether the daemon that wrote this is dead at `now`. After a clean stop there is none,
    /// and nobody is dead.
    pub fn daemon_is_dead(&self, now: Timestamp) -> bool {
        self.daemon.is_some() && now > self.next_update_by
    }
}
