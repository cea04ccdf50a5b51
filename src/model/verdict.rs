//! Verdict and activity: the two words at the top of the status file.

use crate::model::Outcome;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// What is known of a snapshot. The order is from worst to best.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Does not build or collect.
    Broken,
    /// Builds, and something fails.
    Red,
    /// Nothing is known: not run, nothing to run, or wrongly asked.
    #[default]
    Unknown,
    /// A complete, fresh run passed.
    Green,
}

impl Verdict {
    /// What an outcome says; `None` leaves the verdict as it was, and makes it stale.
    /// A `passed` that is not complete is no green.
    pub fn of(outcome: Outcome, complete: bool) -> Option<Verdict> {
        match outcome {
            Outcome::Passed if complete => Some(Verdict::Green),
            Outcome::Passed | Outcome::NoTests | Outcome::UsageError => Some(Verdict::Unknown),
            Outcome::Failed | Outcome::Timeout | Outcome::Crashed => Some(Verdict::Red),
            Outcome::BuildFailed | Outcome::CollectionError => Some(Verdict::Broken),
            Outcome::Interrupted | Outcome::InfraError => None,
        }
    }

    /// The word as it stands in the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Broken => "broken",
            Verdict::Red => "red",
            Verdict::Unknown => "unknown",
            Verdict::Green => "green",
        }
    }
}

/// What regreen is doing for a project or a suite. The order is from most to least pressing.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Tests are running.
    Running,
    /// A run waits for a place.
    Queued,
    /// Changes are being brought over.
    Syncing,
    /// Told to wait.
    Paused,
    /// Nothing to do.
    #[default]
    Idle,
}

impl Activity {
    /// The word as it stands in the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Activity::Running => "running",
            Activity::Queued => "queued",
            Activity::Syncing => "syncing",
            Activity::Paused => "paused",
            Activity::Idle => "idle",
        }
    }
}
