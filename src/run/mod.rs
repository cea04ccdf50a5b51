//! Runs: one suite at one snapshot in one sandbox, from the command to the report.

mod attempt;
pub mod command;
mod execute;
pub mod flaky;
mod notes;
pub mod queue;
pub mod rundir;
pub mod select;
pub mod shim;
mod tail;

pub use attempt::Key;
pub use execute::Job;
pub use execute::execute;

use crate::model::Timestamp;

/// The time on the wall.
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_or(0, |time| time.as_millis());
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}
