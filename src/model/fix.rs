//! What `regreen fix` is asked for and what a loop answers.

use crate::model::Budget;
use crate::model::Counts;
use crate::model::LoopId;
use crate::model::Note;
use crate::model::Outcome;
use crate::model::Spend;
use crate::model::StopReason;
use crate::model::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;
use std::path::PathBuf;

/// Version of [`LoopReport`].
pub const LOOP_SCHEMA: u32 = 1;

/// The state's name of a loop that has no end and that nobody drives: whoever did was killed or
/// told to end. It goes on, or ends, when the user says so.
pub const INTERRUPTED: &str = "interrupted";

/// What `regreen fix` is asked for. Absent limits are the configuration's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixRequest {
    /// The worktree, or a directory in it.
    pub path: PathBuf,
    /// The branch to start from; the checked-out one when absent.
    #[serde(default)]
    pub branch: Option<String>,
    /// Agents by name, one a tier, the first is tried first; the configuration's when empty.
    #[serde(default)]
    pub agents: Vec<String>,
    /// A shell command that is the agent; it goes before the named ones.
    #[serde(default)]
    pub agent_command: Option<String>,
    /// Iterations at most.
    #[serde(default)]
    pub max_iterations: Option<u32>,
    /// Wall time of the loop, in milliseconds.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Wall time of one turn, in milliseconds.
    #[serde(default)]
    pub turn_timeout_ms: Option<u64>,
    /// Tokens at most.
    #[serde(default)]
    pub tokens: Option<u64>,
    /// Money at most, in millionths of a dollar.
    #[serde(default)]
    pub micro_usd: Option<u64>,
    /// Start from the work tree as it is instead of the branch's tip.
    #[serde(default)]
    pub dirty: bool,
    /// Land the result on the branch when the loop passed.
    #[serde(default)]
    pub apply: bool,
    /// `bwrap`, `none`; the configuration's when absent.
    #[serde(default)]
    pub backend: Option<String>,
}

/// What a turn came to, judged from the tree and from regreen's own run, never from what the
/// agent says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TurnClass {
    /// Everything is green now.
    Fixed,
    /// Everything seemed green, and a gate said no.
    Refused,
    /// Less fails, or it comes further.
    Progress,
    /// Nothing was changed.
    NoEdit,
    /// Something was changed, and just as much fails.
    NoProgress,
    /// The very tree of an earlier turn again.
    SameEdit,
    /// More fails, or it does not come as far.
    Worse,
    /// The turn's time was up and nothing was changed.
    Timeout,
    /// The agent left with an error and changed nothing.
    Crashed,
    /// The agent could not be started.
    NotStarted,
    /// Regreen was killed in mid-turn and nothing was changed.
    Interrupted,
}

impl TurnClass {
    /// The word as it stands in the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            TurnClass::Fixed => "fixed",
            TurnClass::Refused => "refused",
            TurnClass::Progress => "progress",
            TurnClass::NoEdit => "no_edit",
            TurnClass::NoProgress => "no_progress",
            TurnClass::SameEdit => "same_edit",
            TurnClass::Worse => "worse",
            TurnClass::Timeout => "timeout",
            TurnClass::Crashed => "crashed",
            TurnClass::NotStarted => "not_started",
            TurnClass::Interrupted => "interrupted",
        }
    }
}

/// The gates between a green run and `passed`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// A complete green run of everything at the commit, in a place that no code of the loop
    /// ever wrote to, with more than zero tests.
    FreshRun,
    /// No test of the base is gone or newly skipped.
    Inventory,
    /// The base's own test files hold against the new code.
    BaseTests,
    /// Something besides white space was changed.
    NonEmptyDiff,
    /// The tests that were fixed pass three times.
    Stable,
    /// Nothing is changed that the user's machine, CI or agents execute or obey.
    Protected,
    /// No existing test was rewritten.
    Integrity,
    /// The user's own gate commands.
    Commands,
}

impl Gate {
    /// Every gate; `passed` needs each of them.
    pub const ALL: [Gate; 8] = [
        Gate::FreshRun,
        Gate::Inventory,
        Gate::BaseTests,
        Gate::NonEmptyDiff,
        Gate::Stable,
        Gate::Protected,
        Gate::Integrity,
        Gate::Commands,
    ];

    /// The word as it stands in the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Gate::FreshRun => "fresh_run",
            Gate::Inventory => "inventory",
            Gate::BaseTests => "base_tests",
            Gate::NonEmptyDiff => "non_empty_diff",
            Gate::Stable => "stable",
            Gate::Protected => "protected",
            Gate::Integrity => "integrity",
            Gate::Commands => "commands",
        }
    }
}

/// What a gate says. The order is from best to worst: of several, the last counts.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum GateVerdict {
    /// All is well.
    Pass,
    /// A person has to look.
    NeedsApproval,
    /// No.
    Fail,
}

impl GateVerdict {
    /// The word as it stands in the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            GateVerdict::Pass => "pass",
            GateVerdict::NeedsApproval => "needs_approval",
            GateVerdict::Fail => "fail",
        }
    }
}

/// One gate's answer with its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GateAnswer {
    /// Which gate.
    pub gate: Gate,
    /// What it says.
    pub verdict: GateVerdict,
    /// Why, one fact a line.
    pub evidence: Vec<String>,
}

/// One iteration of a loop, as the report tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IterationRecord {
    /// Counted from 1.
    pub iteration: u32,
    /// The agent's name.
    pub agent: String,
    /// What it came to.
    pub class: TurnClass,
    /// How the agent ended, in words.
    pub ended: String,
    /// The commit, when something was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The paths that were changed, capped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// Failing before.
    pub failures_before: u64,
    /// Failing after, without those in `vanished`; absent when nothing was tested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures_after: Option<u64>,
    /// What the suites came to before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome_before: Option<Outcome>,
    /// What the suites came to after; absent when nothing was tested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome_after: Option<Outcome>,
    /// How long the turn took, in milliseconds.
    pub turn_ms: u64,
    /// How long the tests took, in milliseconds.
    pub test_ms: u64,
    /// The runs that tested it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<String>,
    /// What the gates said, if it came to that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateAnswer>,
    /// The last lines of what the agent printed on standard error, control sequences removed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    /// The tests of the base that were gone or newly skipped after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vanished: Vec<String>,
    /// How many of those were newly skipped, and not gone.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub newly_skipped: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl IterationRecord {
    /// What its tests came to, in words. Errors of a build and failing tests are no numbers to
    /// be compared, and a test that vanished is none that fails.
    pub fn in_words(&self) -> String {
        let Some(after) = self.failures_after else {
            return "not tested".to_owned();
        };
        let before = self.failures_before;
        let unbuilt = |outcome: Option<Outcome>| {
            outcome.filter(|outcome| {
                matches!(outcome, Outcome::BuildFailed | Outcome::CollectionError)
            })
        };
        let mut text = match (unbuilt(self.outcome_before), unbuilt(self.outcome_after)) {
            (None, Some(Outcome::CollectionError)) => "tests cannot be loaded any more".to_owned(),
            (None, Some(_)) => "does not build any more".to_owned(),
            (Some(_), Some(Outcome::CollectionError)) => {
                format!("tests cannot be loaded, {before} -> {after} errors")
            }
            (Some(_), Some(_)) => format!("does not build, {before} -> {after} errors"),
            (Some(_), None) => format!("builds now, {after} failing"),
            (None, None) => format!("{before} -> {after} failing"),
        };
        let gone = (self.vanished.len() as u64).saturating_sub(self.newly_skipped);
        for (number, word) in [(gone, "vanished"), (self.newly_skipped, "newly skipped")] {
            if number > 0 {
                text.push_str(&format!(", {number} {word}"));
            }
        }
        text
    }
}

/// What became of a loop's result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Landing {
    /// Nothing yet.
    #[default]
    None,
    /// A person approved what needs approval.
    Approved,
    /// A person rejected it.
    Rejected,
    /// It is on the branch.
    Applied,
}

impl Landing {
    /// The word for people; nothing is said while nothing was decided.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Landing::None => None,
            Landing::Approved => Some("approved"),
            Landing::Rejected => Some("rejected"),
            Landing::Applied => Some("applied"),
        }
    }
}

/// How many tests ended how, before and after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoopStanding {
    /// The outcome of all suites together.
    pub outcome: Option<Outcome>,
    /// The counts of all suites together.
    pub counts: Counts,
    /// Tests (or compile errors) that fail; missing and newly skipped ones are not among them.
    pub failing: u64,
}

/// A loop's report, the last line of `fix --json` and `report.json` in the loop's directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoopReport {
    /// Version of this document.
    pub schema: u32,
    /// Always `report`: the other JSON lines of `fix --json` have other words here.
    pub kind: String,
    /// The loop.
    pub id: LoopId,
    /// The worktree.
    pub project: String,
    /// The branch that it started from; absent when HEAD was detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The branch that it works on; removed at the end if nothing came of it.
    pub loop_branch: String,
    /// The state's name (`queued`, `preparing`, `baseline`, `turn`, `testing`, `gating`,
    /// `stopped`; `interrupted` when it has not ended and nobody drives it).
    pub state: String,
    /// Why it ended; absent while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<StopReason>,
    /// The exit code of `fix`; absent while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// One sentence that says why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The commit that it started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The best commit; the base when nothing helped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// The agents, one a tier.
    pub agents: Vec<String>,
    /// Where it stood at the start.
    pub before: LoopStanding,
    /// Where the best commit stands.
    pub after: LoopStanding,
    /// The tests that failed at the base and pass at the head.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixed: Vec<String>,
    /// The tests that still fail at the head, but for those in `vanished`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<String>,
    /// The tests of the base that the last change of an agent deleted, renamed or skipped: they
    /// are neither fixed nor failing. The head has them as the base had them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vanished: Vec<String>,
    /// Each iteration.
    pub iterations: Vec<IterationRecord>,
    /// What the gates said last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateAnswer>,
    /// What it might spend.
    pub budget: Budget,
    /// What it spent.
    pub spend: Spend,
    /// When it was asked for.
    pub created: Timestamp,
    /// When this was written.
    pub updated: Timestamp,
    /// What became of the result.
    #[serde(default)]
    pub landing: Landing,
    /// When a person approved or rejected it; absent when nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Timestamp>,
    /// The commit that `apply` put on the branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
    /// Facts for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// The loop's directory.
    pub directory: String,
}

/// A line of `fix --json` before the last one, which is the [`LoopReport`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LoopLine {
    /// The loop is in another state.
    State {
        /// The loop.
        id: LoopId,
        /// The state's name.
        state: String,
        /// The iteration, counted from 1; 0 before the first.
        iteration: u32,
        /// When.
        at: Timestamp,
    },
    /// A fact for people.
    Note {
        /// The fact.
        note: Note,
    },
    /// Tests are running.
    Tests {
        /// The suite.
        suite: String,
        /// Tests ended so far.
        done: u64,
        /// Tests known so far.
        total: Option<u64>,
        /// Tests that failed so far.
        failed: u64,
    },
    /// The agent printed something; control sequences are removed.
    Agent {
        /// The text.
        text: String,
    },
    /// An iteration is over.
    Iteration {
        /// What it came to.
        iteration: Box<IterationRecord>,
    },
    /// The gates answered.
    Gates {
        /// What each one says.
        gates: Vec<GateAnswer>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iteration_in_words() {
        let failed = Some(Outcome::Failed);
        let broken = Some(Outcome::BuildFailed);
        let unloaded = Some(Outcome::CollectionError);
        let table = [
            (failed, 1, failed, Some(0), 0, 0, "1 -> 0 failing"),
            (failed, 1, broken, Some(1), 0, 0, "does not build any more"),
            (
                failed,
                1,
                unloaded,
                Some(1),
                0,
                0,
                "tests cannot be loaded any more",
            ),
            (
                broken,
                3,
                broken,
                Some(1),
                0,
                0,
                "does not build, 3 -> 1 errors",
            ),
            (broken, 1, failed, Some(4), 0, 0, "builds now, 4 failing"),
            (
                failed,
                1,
                Some(Outcome::NoTests),
                Some(0),
                4,
                0,
                "1 -> 0 failing, 4 vanished",
            ),
            (
                failed,
                2,
                failed,
                Some(1),
                3,
                1,
                "2 -> 1 failing, 2 vanished, 1 newly skipped",
            ),
            (failed, 2, None, None, 0, 0, "not tested"),
        ];
        for (outcome_before, before, outcome_after, after, vanished, skipped, words) in table {
            let one = IterationRecord {
                iteration: 1,
                agent: String::new(),
                class: TurnClass::NoEdit,
                ended: String::new(),
                commit: None,
                changed: Vec::new(),
                failures_before: before,
                failures_after: after,
                outcome_before,
                outcome_after,
                turn_ms: 0,
                test_ms: 0,
                runs: Vec::new(),
                gates: Vec::new(),
                stderr: String::new(),
                vanished: vec!["t".to_owned(); vanished],
                newly_skipped: skipped,
            };
            assert_eq!(one.in_words(), words);
        }
    }
}
