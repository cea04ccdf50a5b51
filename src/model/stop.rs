//! Why a loop ended.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// Why a loop ended. The order is that of the exit codes 110 to 120.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Every gate passed.
    Passed,
    /// The branch was green before anybody was asked.
    AlreadyGreen,
    /// The agent changed nothing.
    NoEdit,
    /// The agent's changes did not help.
    NoProgress,
    /// A gate said no.
    GateFailed,
    /// A gate wants a person to look.
    NeedsApproval,
    /// The wall time is spent.
    OutOfTime,
    /// The iterations are spent.
    OutOfIterations,
    /// The tokens are spent.
    OutOfTokens,
    /// The money is spent.
    OutOfMoney,
    /// Stopped by a person or a program.
    Cancelled,
    /// The agent could not be started, hung or crashed.
    AgentFailed,
    /// The sandbox or regreen failed.
    InfraError,
}

impl StopReason {
    /// The exit code of `fix`.
    pub fn exit_code(self) -> u8 {
        match self {
            StopReason::Passed | StopReason::AlreadyGreen => 0,
            StopReason::NoEdit => 110,
            StopReason::NoProgress => 111,
            StopReason::GateFailed => 112,
            StopReason::NeedsApproval => 113,
            StopReason::OutOfTime => 114,
            StopReason::OutOfIterations => 115,
            StopReason::OutOfTokens => 116,
            StopReason::OutOfMoney => 117,
            StopReason::Cancelled => 118,
            StopReason::AgentFailed => 119,
            StopReason::InfraError => 120,
        }
    }

    /// The word as it stands in the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            StopReason::Passed => "passed",
            StopReason::AlreadyGreen => "already_green",
            StopReason::NoEdit => "no_edit",
            StopReason::NoProgress => "no_progress",
            StopReason::GateFailed => "gate_failed",
            StopReason::NeedsApproval => "needs_approval",
            StopReason::OutOfTime => "out_of_time",
            StopReason::OutOfIterations => "out_of_iterations",
            StopReason::OutOfTokens => "out_of_tokens",
            StopReason::OutOfMoney => "out_of_money",
            StopReason::Cancelled => "cancelled",
            StopReason::AgentFailed => "agent_failed",
            StopReason::InfraError => "infra_error",
        }
    }
}
