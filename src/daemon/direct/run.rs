//! `regreen run` and `regreen report`: runs without a daemon, and what they left behind.

use crate::config::Flag;
use crate::daemon::Handle;
use crate::model::Problem;
use crate::model::ProjectId;
use crate::model::Report;
use crate::model::RunDocument;
use crate::model::RunId;
use crate::model::RunRequest;
use crate::model::RunUpdate;
use crate::model::Timestamp;
use crate::model::status::Status;
use crate::model::status::SuiteStatus;
use crate::run;
use crate::run::OnceError;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Why a report cannot be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The directory is in no worktree.
    #[error("{0}; `regreen report RUN` shows a run by its id")]
    Place(Problem),
    /// Nothing was run yet.
    #[error("no run of `{}` is on record; start one with `regreen run`", .0.display())]
    NoRuns(PathBuf),
    /// No run has this id.
    #[error("there is no run `{id}` in `{dir}`")]
    Unknown {
        /// What was asked for.
        id: String,
        /// Where it was looked for.
        dir: String,
    },
    /// Several runs begin so.
    #[error("`{id}` is the beginning of several runs: {candidates}")]
    Ambiguous {
        /// What was asked for.
        id: String,
        /// Which they are.
        candidates: String,
    },
    /// Its report cannot be read.
    #[error("failed to read the report of run `{id}`")]
    Unreadable {
        /// The run.
        id: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A report, and what it is about.
#[derive(Debug, Clone)]
pub struct Reported {
    /// The report.
    pub report: Report,
    /// The worktree, where it is known.
    pub project: Option<PathBuf>,
    /// When its run began.
    pub started: Option<Timestamp>,
}

impl Reported {
    /// How long ago the run began.
    pub fn age(&self) -> Option<Duration> {
        self.started.map(|started| run::now().since(started))
    }
}

impl ReportError {
    /// Whether something was asked for that is not there.
    pub fn is_the_callers(&self) -> bool {
        !matches!(self, ReportError::Unreadable { .. })
    }
}

impl Handle {
    /// Runs the suites of a worktree once, without a daemon.
    ///
    /// # Errors
    /// When nothing could be run; whatever happens to a suite is in its report.
    pub async fn run(
        &self,
        request: &RunRequest,
        flags: &[Flag],
        updates: mpsc::Sender<RunUpdate>,
        stop: CancellationToken,
    ) -> Result<RunDocument, OnceError> {
        run::once(request, self.host(), flags, updates, stop).await
    }

    /// The report of a run, by its id or the beginning of it.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn report(&self, id: &str) -> Result<Reported, ReportError> {
        let state = self.host().state_dir();
        let runs = run::history::runs_dir(&state);
        let run = run::history::find(&runs, id).map_err(|candidates| {
            let (id, dir) = (id.to_owned(), runs.display().to_string());
            match candidates.is_empty() {
                true => ReportError::Unknown { id, dir },
                false => ReportError::Ambiguous {
                    id,
                    candidates: candidates.join(", "),
                },
            }
        })?;
        read(&state, &run)
    }

    /// The reports that are about the worktree at `here` as it stands: those that its verdict
    /// comes from while a daemon watches it, else those of the last `regreen run` in it, or of
    /// a daemon that watched it since. Never a run inside of a loop.
    ///
    /// # Errors
    /// When it is no worktree, there is none, or one cannot be read.
    pub fn last_reports(&self, here: &Path) -> Result<Vec<Reported>, ReportError> {
        let place = self.status_place(here).map_err(ReportError::Place)?;
        let state = self.host().state_dir();
        // A status that cannot be read says nothing about runs.
        let status = place.read().ok().flatten().map(|(status, _)| status);
        let asked = run::history::invocation(&state, place.id());
        let watched = status
            .as_ref()
            .is_some_and(|status| status.daemon.is_some() && !place.daemon_is_dead(status));
        let verdict = status.map(|status| (behind(&state, place.id(), &status), status.updated_at));
        let candidates = match (verdict, asked) {
            (Some((runs, at)), Some((asked, ended))) => match watched || at > ended {
                true => [runs, asked],
                false => [asked, runs],
            },
            (verdict, asked) => [
                verdict.map_or(Vec::new(), |(runs, _)| runs),
                asked.map_or(Vec::new(), |(runs, _)| runs),
            ],
        };
        for runs in candidates {
            let kept: Vec<RunId> = runs
                .into_iter()
                .filter(|run| has_report(&state, run))
                .collect();
            if !kept.is_empty() {
                return kept.iter().map(|run| read(&state, run)).collect();
            }
        }
        Err(ReportError::NoRuns(place.root))
    }
}

/// The runs that a status' verdict comes from, suite by suite.
fn behind(state: &Path, project: &ProjectId, status: &Status) -> Vec<RunId> {
    let mut last = run::history::last(state, project);
    let of_suite = |suite: &SuiteStatus| {
        let reused = suite.reused_from.as_ref();
        let reused = reused.map(|from| RunId::new(from.run.as_str()));
        // A run that goes on has no report yet: the verdict is still that of the one before.
        let own = suite.run.as_ref().map(|run| run.id.clone());
        let own = own.filter(|run| has_report(state, run));
        reused.or(own).or_else(|| last.remove(&suite.name))
    };
    status.suites.iter().filter_map(of_suite).collect()
}

fn has_report(state: &Path, run: &RunId) -> bool {
    let dir = run::history::runs_dir(state).join(run.as_str());
    dir.join("report.json").is_file()
}

fn read(state: &Path, run: &RunId) -> Result<Reported, ReportError> {
    let dir = run::history::runs_dir(state).join(run.as_str());
    let report = run::rundir::read_report(&dir).map_err(|source| ReportError::Unreadable {
        id: run.to_string(),
        source,
    })?;
    Ok(Reported {
        project: run::history::worktree_of(state, run),
        started: report.run.started.as_deref().and_then(Timestamp::parse),
        report,
    })
}
