//! What the machine hears and what it asks for.

use crate::iteration::machine::Told;
use crate::iteration::progress::Standing;
use crate::model::Budget;
use crate::model::GateAnswer;
use crate::model::SnapshotId;
use crate::model::StopReason;
use serde::Deserialize;
use serde::Serialize;

/// Something that happened to a loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoopInput {
    /// Begin.
    Begin,
    /// Regreen was ended in mid-loop and is back: what was pending is pending again, and the
    /// time in between is not spent.
    Resumed,
    /// A stopped loop gets a new budget and goes on from its best commit.
    Extended(Budget),
    /// The workspace is there.
    Prepared {
        /// The commit that it starts from.
        commit: String,
        /// Its tree.
        tree: SnapshotId,
    },
    /// The base was tested.
    Baselined(Tested),
    /// The agent's turn is over.
    TurnEnded(TurnEnd),
    /// What the agent made was tested.
    Tested(Tested),
    /// The iteration is a commit now.
    Committed {
        /// The commit.
        commit: String,
    },
    /// The gates answered.
    Gated {
        /// The commit that they looked at.
        commit: String,
        /// What each one says.
        answers: Vec<GateAnswer>,
        /// The loop's wall time ended before they could.
        cut: bool,
    },
    /// Regreen or the sandbox failed, not the agent and not the project.
    Trouble(String),
    /// Somebody wants it to end.
    Cancel,
}

/// How a turn ended, as regreen saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnEnd {
    /// How the agent left.
    pub how: TurnHow,
    /// The tree after the turn.
    pub tree: SnapshotId,
    /// The tree differs from the one before the turn.
    pub edited: bool,
    /// Something outside the tree (a build directory, say) was written.
    pub touched: bool,
    /// Tokens spent, as far as they could be counted.
    pub tokens: u64,
    /// Money spent, in millionths of a dollar, as far as it could be counted.
    pub micro_usd: u64,
    /// How long the turn took, in milliseconds.
    pub duration_ms: u64,
    /// The paths that differ from the tree before the turn, capped.
    pub changed: Vec<String>,
    /// The end of what the agent printed on standard error.
    #[serde(default)]
    pub stderr: String,
}

/// How the agent left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnHow {
    /// By itself, with this status.
    Exited(i32),
    /// By a signal that regreen did not send.
    Signalled(i32),
    /// Its time was up.
    TimedOut {
        /// It was the loop's time, not the turn's.
        whole_loop: bool,
    },
    /// It could not be started.
    NotStarted(String),
    /// Regreen itself was killed in mid-turn.
    Interrupted,
}

/// What a test of a tree came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    /// Where the tree stands.
    pub standing: Standing,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The loop's wall time ended before the run did.
    pub cut: bool,
}

/// What the machine wants done. All but the last of a list are done without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoopEffect {
    /// Make the workspace. Answer: `Prepared`.
    Prepare,
    /// Test the base. Answer: `Baselined`.
    Baseline {
        /// Wall time at most, in milliseconds.
        limit_ms: u64,
    },
    /// Let the agent work. Answer: `TurnEnded`.
    Turn(TurnPlan),
    /// Test what the agent made. Answer: `Tested`.
    Test {
        /// The tree.
        tree: SnapshotId,
        /// Wall time at most, in milliseconds.
        limit_ms: u64,
    },
    /// Make the iteration a commit. Answer: `Committed`.
    Commit(CommitPlan),
    /// Ask the gates about a commit. Answer: `Gated`.
    Gate {
        /// The commit.
        commit: String,
        /// Wall time at most, in milliseconds.
        limit_ms: u64,
    },
    /// Set the loop's branch to this commit; what it leaves behind is kept as a rescue ref.
    Point {
        /// The commit.
        commit: String,
    },
    /// The loop is over: write the report, give the workspace back. No answer.
    Finish(StopReason),
}

/// One turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnPlan {
    /// The iteration, counted from 1.
    pub iteration: u32,
    /// Which agent, counted from 0.
    pub tier: u32,
    /// The agent forgets what it did before.
    pub fresh: bool,
    /// The commit that the workspace's tree is before the turn.
    pub from: String,
    /// What the agent has to hear.
    pub told: Vec<Told>,
    /// Wall time at most, in milliseconds.
    pub limit_ms: u64,
    /// That limit is the loop's, not the turn's.
    pub whole_loop: bool,
}

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitPlan {
    /// The iteration.
    pub iteration: u32,
    /// Which agent, counted from 0.
    pub tier: u32,
    /// Its parent.
    pub parent: String,
    /// Its tree.
    pub tree: SnapshotId,
    /// Failing before.
    pub before: u64,
    /// Failing after.
    pub after: u64,
}
