//! What a loop remembers.

use crate::iteration::machine::LoopEffect;
use crate::iteration::progress::Standing;
use crate::model::Budget;
use crate::model::GateAnswer;
use crate::model::LoopId;
use crate::model::SnapshotId;
use crate::model::Spend;
use crate::model::StopReason;
use crate::model::Timestamp;
use crate::model::TurnClass;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeSet;

/// The version of the stored state.
pub const STATE_SCHEMA: u32 = 1;

/// Where a loop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Accepted, nothing done yet.
    Queued,
    /// The workspace is being made.
    Preparing,
    /// The base is being tested.
    Baseline,
    /// The agent works.
    Turn,
    /// What the agent made is being tested and committed.
    Testing,
    /// The gates look at it.
    Gating,
    /// It ended.
    Stopped,
}

impl Phase {
    /// The word as it stands in the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Queued => "queued",
            Phase::Preparing => "preparing",
            Phase::Baseline => "baseline",
            Phase::Turn => "turn",
            Phase::Testing => "testing",
            Phase::Gating => "gating",
            Phase::Stopped => "stopped",
        }
    }
}

/// A commit of the loop and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The commit.
    pub commit: String,
    /// Its tree.
    pub tree: SnapshotId,
    /// Where it stands.
    pub standing: Standing,
}

/// How far up the ladder a loop is: told so → fresh context → next tier → stop.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// 0 nothing yet, 1 told so, 2 fresh context; 3 is the next tier or the end.
    pub rung: u8,
    /// Which agent, counted from 0.
    pub tier: u32,
    /// Turns in a row in which the agent left with an error and changed nothing.
    pub crashes: u32,
    /// Something was edited since the last progress.
    pub edited: bool,
    /// Trees that were tested and did not help.
    pub seen: BTreeSet<SnapshotId>,
}

/// What the current iteration has come to so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    /// How the turn ended.
    pub end: Option<crate::iteration::machine::TurnEnd>,
    /// Where its tree stands.
    pub standing: Option<Standing>,
    /// How long its tests took, in milliseconds.
    pub test_ms: u64,
}

/// A loop, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopState {
    /// [`STATE_SCHEMA`].
    pub schema: u32,
    /// The loop.
    pub id: LoopId,
    /// Where it is.
    pub phase: Phase,
    /// What it may spend.
    pub budget: Budget,
    /// What it has spent.
    pub spend: Spend,
    /// How many agents there are to climb through, at least one.
    pub tiers: u32,
    /// When the machine last heard something; the time until the next input is spent.
    pub heard: Timestamp,
    /// What the base's suites took, in milliseconds: the measure of the reserve.
    pub baseline_ms: u64,
    /// The commit that it started from.
    pub base: Option<Mark>,
    /// The best commit so far.
    pub best: Option<Mark>,
    /// The commit that the next turn goes on from.
    pub tip: Option<Mark>,
    /// How far up the ladder it is.
    pub ladder: Ladder,
    /// The current iteration.
    pub current: Current,
    /// The iteration that was judged last, and what it came to.
    pub judged: Option<(u32, TurnClass)>,
    /// A gate said no once and the agent was told.
    pub gate_told: bool,
    /// The gates said no to the tip's tree.
    pub tip_refused: bool,
    /// The loop's wall time cut a turn short: nothing new is begun.
    pub overtime: bool,
    /// What the gates said last, and about which commit.
    pub gated: Option<(String, Vec<GateAnswer>)>,
    /// What is to be told to the agent in the next turn.
    pub told: Vec<Told>,
    /// The effects that follow from the last input and are not answered yet.
    pub pending: Vec<LoopEffect>,
    /// Why it ended.
    pub stop: Option<StopReason>,
    /// One sentence that says why it ended.
    pub detail: Option<String>,
}

/// Something that the agent has to hear in its next turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// Its last turn changed nothing.
    NoEdit,
    /// Its last turn did not help.
    NoProgress,
    /// Its last turn made it worse and was taken back.
    Worse,
    /// After its last turn it did not build any more; that was taken back.
    Broke,
    /// Its last turn made the same edit as an earlier one.
    SameEdit,
    /// Its last turn ran into its time limit.
    TimedOut,
    /// Its last turn was cut short because regreen itself was ended.
    Interrupted,
    /// It starts afresh from the best commit.
    Fresh,
    /// It made progress: this many failures are gone.
    Progress {
        /// Failing before.
        before: u64,
        /// Failing now.
        now: u64,
    },
    /// It builds now, and this many tests fail.
    Builds {
        /// Failing now.
        now: u64,
    },
    /// The tests are green, and these gates said no.
    Gates(Vec<GateAnswer>),
}

impl LoopState {
    /// A loop that was just asked for.
    pub fn new(id: LoopId, budget: Budget, tiers: u32, now: Timestamp) -> Self {
        LoopState {
            schema: STATE_SCHEMA,
            id,
            phase: Phase::Queued,
            budget,
            spend: Spend::default(),
            tiers: tiers.max(1),
            heard: now,
            baseline_ms: 0,
            base: None,
            best: None,
            tip: None,
            ladder: Ladder::default(),
            current: Current::default(),
            judged: None,
            gate_told: false,
            tip_refused: false,
            overtime: false,
            gated: None,
            told: Vec::new(),
            pending: Vec::new(),
            stop: None,
            detail: None,
        }
    }

    /// Wall time that is left, in milliseconds.
    pub fn wall_left_ms(&self) -> u64 {
        self.budget.wall_ms.saturating_sub(self.spend.wall_ms)
    }

    /// What is kept for testing and gating what the last turn made, in milliseconds: about
    /// three runs of the suites, and never more than half of what is left.
    pub fn reserve_ms(&self) -> u64 {
        (3 * self.baseline_ms + 2_000).min(self.wall_left_ms() / 2)
    }
}
