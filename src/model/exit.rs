//! Exit codes of the command line (documented in docs/contract.md).

use crate::model::Outcome;
use crate::model::Verdict;

/// Green, passed, already green.
pub const EXIT_OK: u8 = 0;
/// An unexpected error; a panic of regreen's own.
pub const EXIT_ERROR: u8 = 1;
/// Wrongly called, not a git worktree, broken configuration.
pub const EXIT_USAGE: u8 = 2;
/// The daemon cannot be reached.
pub const EXIT_UNREACHABLE: u8 = 69;
/// Tests failed.
pub const EXIT_FAILED: u8 = 100;
/// Does not build or collect.
pub const EXIT_BROKEN: u8 = 101;
/// Nothing ran.
pub const EXIT_NOTHING_RAN: u8 = 102;
/// A time limit was reached.
pub const EXIT_TIMEOUT: u8 = 103;
/// The tests crashed.
pub const EXIT_CRASHED: u8 = 104;
/// Interrupted from outside.
pub const EXIT_INTERRUPTED: u8 = 105;
/// The sandbox or regreen failed, not the project.
pub const EXIT_INFRA: u8 = 106;

/// The exit code of a run with this outcome. A `passed` that is not complete proves nothing:
/// it counts as a crash of the runner, because its end marker is missing.
pub fn exit_code(outcome: Outcome, complete: bool) -> u8 {
    match outcome {
        Outcome::Passed if complete => EXIT_OK,
        Outcome::Passed => EXIT_CRASHED,
        Outcome::UsageError => EXIT_USAGE,
        Outcome::InfraError => EXIT_INFRA,
        Outcome::Interrupted => EXIT_INTERRUPTED,
        Outcome::Timeout => EXIT_TIMEOUT,
        Outcome::Crashed => EXIT_CRASHED,
        Outcome::BuildFailed | Outcome::CollectionError => EXIT_BROKEN,
        Outcome::Failed => EXIT_FAILED,
        Outcome::NoTests => EXIT_NOTHING_RAN,
    }
}

/// The exit code of `status --exit-code`.
pub fn verdict_exit_code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Green => EXIT_OK,
        Verdict::Red => EXIT_FAILED,
        Verdict::Broken => EXIT_BROKEN,
        Verdict::Unknown => EXIT_NOTHING_RAN,
    }
}
