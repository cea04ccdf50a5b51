//! What `regreen doctor` found out about a machine.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// The document of `regreen doctor --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DoctorReport {
    /// Version of this document.
    pub schema: u32,
    /// Every check, in the order in which they build upon each other.
    pub checks: Vec<Check>,
    /// What the sandbox shows of this machine besides the base system, one line each.
    pub mounts: Vec<String>,
    /// The attempts of `--attack`; empty without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attack: Vec<AttackLine>,
}

impl DoctorReport {
    /// Whether nothing failed and every attempt was held.
    pub fn healthy(&self) -> bool {
        let fine = |check: &Check| check.state != Health::Fail;
        self.checks.iter().all(fine) && self.attack.iter().all(|line| line.held)
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// A stable word (`bubblewrap`, `inotify`, …).
    pub name: String,
    /// How it stands.
    pub state: Health,
    /// What was found; for what is not ok, the cause.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Check {
    /// All is well.
    pub fn ok(name: &str, message: impl Into<String>) -> Self {
        Check {
            name: name.to_owned(),
            state: Health::Ok,
            message: message.into(),
            remedy: None,
        }
    }

    /// It works, but not as well as it could.
    pub fn warn(name: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Check {
            state: Health::Warn,
            remedy: Some(remedy.into()),
            ..Check::ok(name, message)
        }
    }

    /// It does not work.
    pub fn fail(name: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Check {
            state: Health::Fail,
            ..Check::warn(name, message, remedy)
        }
    }
}

/// How a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// All is well.
    Ok,
    /// It works, but not as well as it could.
    Warn,
    /// It does not work.
    Fail,
}

/// One attempt of `--attack`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttackLine {
    /// What was tried (docs/security.md lists them).
    pub property: String,
    /// Whether the sandbox held.
    pub held: bool,
    /// What happened.
    pub detail: String,
    /// What to do where it did not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}
