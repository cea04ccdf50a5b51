//! Which run of a suite was the last: what failed in it is looked at first and is not new.

use crate::model::ProjectId;
use crate::model::RunId;
use crate::model::Timestamp;
use crate::run::rundir;
use crate::run::select::Previous;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

/// Where the runs of this machine's user lie.
pub fn runs_dir(state: &Path) -> PathBuf {
    state.join("runs")
}

fn file(state: &Path, project: &ProjectId) -> PathBuf {
    state
        .join("projects")
        .join(project.as_str())
        .join("last.json")
}

/// The last run of each suite of a project.
pub fn last(state: &Path, project: &ProjectId) -> BTreeMap<String, RunId> {
    let bytes = std::fs::read(file(state, project)).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// What is known of the last run of a suite.
pub fn previous(state: &Path, project: &ProjectId, suite: &str) -> Option<Previous> {
    let run = last(state, project).remove(suite)?;
    let report = rundir::read_report(&runs_dir(state).join(run.as_str())).ok()?;
    Some(Previous::of(&report))
}

/// Remembers a run that went to its end.
pub fn record(state: &Path, project: &ProjectId, suite: &str, run: &RunId) -> std::io::Result<()> {
    let path = file(state, project);
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let mut known = last(state, project);
    known.insert(suite.to_owned(), run.clone());
    rundir::write_whole(&path, &serde_json::to_vec(&known)?)
}

/// The runs of one `regreen run`, in the order in which they were shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// The runs.
    pub runs: Vec<RunId>,
}

fn invocation_file(state: &Path, project: &ProjectId) -> PathBuf {
    file(state, project).with_file_name("invocation.json")
}

/// Remembers which runs belong to one `regreen run`.
pub fn record_invocation(
    state: &Path,
    project: &ProjectId,
    invocation: &Invocation,
) -> std::io::Result<()> {
    let path = invocation_file(state, project);
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    rundir::write_whole(&path, &serde_json::to_vec(invocation)?)
}

/// The runs of a project's last `regreen run`, and when it ended.
pub fn invocation(state: &Path, project: &ProjectId) -> Option<(Vec<RunId>, Timestamp)> {
    let path = invocation_file(state, project);
    let known: Invocation = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
    let changed = path.metadata().ok()?.modified().ok()?;
    let since = changed.duration_since(std::time::UNIX_EPOCH).ok()?;
    let ended = Timestamp::from_millis(i64::try_from(since.as_millis()).ok()?);
    (!known.runs.is_empty()).then_some((known.runs, ended))
}

/// The worktree that a run was about, where it is known.
pub fn worktree_of(state: &Path, run: &RunId) -> Option<PathBuf> {
    let project = rundir::read_project(&runs_dir(state).join(run.as_str()))?;
    crate::git::worktree_of(state, &project)
}

/// The run with this id, or the only one whose id begins so; else those that do.
pub fn find(runs: &Path, id: &str) -> Result<RunId, Vec<String>> {
    let all = names(runs);
    if all.iter().any(|name| name == id) {
        return Ok(RunId::new(id));
    }
    let mut found: Vec<String> = all
        .into_iter()
        .filter(|name| !id.is_empty() && name.starts_with(id))
        .collect();
    match found.len() {
        1 => Ok(RunId::new(found.remove(0))),
        _ => Err(found),
    }
}

fn names(runs: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with('r'))
        .collect()
}
