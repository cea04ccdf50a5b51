//! `regreen run` and `regreen report`: runs without a daemon, and what they left behind.

use crate::config::Flag;
use crate::daemon::Handle;
use crate::model::Report;
use crate::model::RunDocument;
use crate::model::RunId;
use crate::model::RunRequest;
use crate::model::RunUpdate;
use crate::run;
use crate::run::OnceError;
use std::path::Path;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Why a report cannot be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// Nothing was run yet.
    #[error("no run is on record; start one with `regreen run`")]
    NoRuns,
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
    pub fn report(&self, id: &str) -> Result<Report, ReportError> {
        let runs = run::history::runs_dir(&self.host().state_dir());
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
        read(&runs, &run)
    }

    /// The reports of the last `regreen run` in the project at `here`, or of what the daemon
    /// ran since; without any, the last run of all.
    ///
    /// # Errors
    /// When there is none, or one cannot be read.
    pub fn last_reports(&self, here: &Path) -> Result<Vec<Report>, ReportError> {
        let state = self.host().state_dir();
        let runs = run::history::runs_dir(&state);
        let own = crate::git::Worktree::discover(here)
            .ok()
            .and_then(|worktree| run::history::together(&state, &worktree.id()));
        let last = match own {
            Some(last) => last,
            None => vec![run::history::newest(&runs).ok_or(ReportError::NoRuns)?],
        };
        last.iter().map(|run| read(&runs, run)).collect()
    }
}

fn read(runs: &Path, run: &RunId) -> Result<Report, ReportError> {
    run::rundir::read_report(&runs.join(run.as_str())).map_err(|source| ReportError::Unreadable {
        id: run.to_string(),
        source,
    })
}
