//! Which run of a suite was the last: what failed in it is looked at first and is not new.

use crate::model::ProjectId;
use crate::model::RunId;
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

/// The newest runs of a project that belong together: those of the last `regreen run`, or, if
/// the daemon ran something since, its last runs of the same snapshot.
pub fn together(state: &Path, project: &ProjectId) -> Option<Vec<RunId>> {
    let last = last(state, project);
    let newest = last.values().max();
    let asked = std::fs::read(invocation_file(state, project)).ok();
    let asked = asked.and_then(|bytes| serde_json::from_slice::<Invocation>(&bytes).ok());
    if let Some(asked) = asked
        && asked.runs.iter().max() >= newest
        && !asked.runs.is_empty()
    {
        return Some(asked.runs);
    }
    let snapshot = |run: &RunId| {
        let report = rundir::read_report(&runs_dir(state).join(run.as_str())).ok()?;
        report.run.snapshot
    };
    let newest = newest?;
    let tested = snapshot(newest);
    let same = |run: &&RunId| *run == newest || (tested.is_some() && snapshot(run) == tested);
    let mut runs: Vec<RunId> = last.values().filter(same).cloned().collect();
    runs.sort();
    Some(runs)
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

/// The newest run that has a report.
pub fn newest(runs: &Path) -> Option<RunId> {
    let mut all = names(runs);
    all.sort();
    let mut newest_first = all.into_iter().rev();
    newest_first
        .find(|name| runs.join(name).join("report.json").is_file())
        .map(RunId::new)
}

fn names(runs: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with('r'))
        .collect()
}
