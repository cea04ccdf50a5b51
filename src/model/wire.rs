//! What the command line and the daemon say to each other over the socket (HTTP `/v1`).

use crate::model::Activity;
use crate::model::Asker;
use crate::model::Counts;
use crate::model::Outcome;
use crate::model::ProjectId;
use crate::model::RunId;
use crate::model::RunState;
use crate::model::SnapshotId;
use crate::model::Timestamp;
use crate::model::Verdict;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// Why something was refused (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `urn:regreen:<code>`; the code is stable.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is the matter, in one line.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Problem {
    /// A problem with its stable code.
    pub fn new(status: u16, code: &str, title: impl Into<String>) -> Self {
        Problem {
            kind: format!("urn:regreen:{code}"),
            title: title.into(),
            status,
            remedy: None,
        }
    }

    /// The same problem with what to do about it.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        self.kind.strip_prefix("urn:regreen:").unwrap_or(&self.kind)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// Who answers (`GET /v1/healthz`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Its process id.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// When it came up.
    pub started: Timestamp,
    /// How many projects it watches.
    pub projects: usize,
    /// Why its journal cannot be written, if it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_trouble: Option<String>,
}

/// A watched project in short (`GET /v1/projects`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectInfo {
    /// Its id.
    pub id: ProjectId,
    /// Its worktree.
    pub path: PathBuf,
    /// Only watched as long as this process lives.
    pub foreground: bool,
    /// Told to wait.
    pub paused: bool,
    /// What is known.
    pub verdict: Verdict,
    /// What is being done.
    pub activity: Activity,
    /// Whether the verdict is about something older than what stands in the work tree now.
    pub stale: bool,
}

/// `POST /v1/projects`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddProject {
    /// The worktree, or a directory in it; absolute.
    pub path: PathBuf,
    /// Only for as long as the daemon's process lives.
    #[serde(default)]
    pub foreground: bool,
}

/// `POST /v1/projects/{id}/runs`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StartRuns {
    /// Only this suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
}

/// Runs that were accepted: they are in the journal, on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AcceptedRuns {
    /// One a suite.
    pub runs: Vec<RunId>,
}

/// A run in short (`GET /v1/runs/{id}`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// Its id.
    pub id: RunId,
    /// Its project.
    pub project: ProjectId,
    /// Its suite's name.
    pub suite: String,
    /// What it is about.
    pub snapshot: SnapshotId,
    /// Who asked for it.
    pub asker: Asker,
    /// Where it stands.
    pub state: RunState,
    /// When it was accepted.
    pub queued: Timestamp,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Its outcome.
    pub outcome: Option<Outcome>,
    /// Whether it is complete.
    pub complete: bool,
    /// Edits arrived while it ran.
    pub stale: bool,
    /// Its counts.
    pub counts: Option<Counts>,
    /// Where `raw.log` and `report.json` lie.
    pub directory: PathBuf,
}

/// `POST /v1/gc`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Collect {
    /// Touch nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// What `regreen gc` removed, or would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Collected {
    /// Whether nothing was touched.
    pub dry_run: bool,
    /// Events of the journal.
    pub events: u64,
    /// Records of runs.
    pub runs: u64,
    /// Directories of runs.
    pub run_directories: u64,
    /// Slots that nobody uses.
    pub slots: u64,
    /// Bytes on the disk.
    pub bytes: u64,
    /// Refs of loops.
    #[serde(default)]
    pub refs: Vec<LoopRef>,
    /// Branches of loops that stay, each with the reason.
    #[serde(default)]
    pub kept: Vec<LoopRef>,
}

/// A ref that a loop left in a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoopRef {
    /// Its full name.
    pub name: String,
    /// What it names; once it is removed, `git branch NAME COMMIT` brings it back until git
    /// itself collects.
    pub commit: String,
    /// The worktree.
    pub project: String,
    /// Why it goes, or stays.
    pub why: String,
}
