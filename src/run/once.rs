//! `regreen run`: the suites of a worktree, once, without a daemon, store or configuration.

use crate::config::BackendName;
use crate::config::ConfigError;
use crate::config::Flag;
use crate::git::GitError;
use crate::model::EXIT_ERROR;
use crate::model::EXIT_INFRA;
use crate::model::EXIT_INTERRUPTED;
use crate::model::EXIT_NOTHING_RAN;
use crate::model::EXIT_USAGE;
use crate::model::HostEnv;
use crate::model::Note;
use crate::model::Outcome;
use crate::model::Report;
use crate::model::RunDocument;
use crate::model::RunId;
use crate::model::RunRequest;
use crate::model::RunUpdate;
use crate::model::SCHEMA;
use crate::model::Suite;
use crate::model::exit_code;
use crate::run::Job;
use crate::run::backend;
use crate::run::execute;
use crate::run::history;
use crate::run::history::Invocation;
use crate::run::prepare::Prepared;
use crate::run::prepare::prepare;
use crate::run::rundir::RunDir;
use crate::sandbox::Priority;
use crate::sandbox::mirror::MirrorError;
use crate::sandbox::scope;
use crate::sandbox::slot::SlotError;
use crate::suite::SuiteError;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Why nothing was run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnceError {
    /// Not a worktree, or one that cannot be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Regreen's own objects of the project cannot be used.
    #[error(transparent)]
    Objects(GitError),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configured suites are wrong.
    #[error(transparent)]
    Suite(#[from] SuiteError),
    /// The copy could not be made.
    #[error("failed to copy the worktree")]
    Mirror(#[from] MirrorError),
    /// There is no place for the copy.
    #[error("failed to take a slot")]
    Slot(#[from] SlotError),
    /// The directory must not be tested.
    #[error("`{}` is not tested: {reason}", path.display())]
    Refused {
        /// The worktree.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// There is no suite.
    #[error(
        "no test suite in `{}`: {why}, or give a command: `regreen run -- COMMAND`",
        path.display()
    )]
    NoSuite {
        /// The worktree.
        path: PathBuf,
        /// What was looked for, and the remedy.
        why: &'static str,
    },
    /// There is no suite of this name.
    #[error("there is no suite `{name}` here{hint}")]
    UnknownSuite {
        /// What was asked for.
        name: String,
        /// What there is.
        hint: String,
    },
    /// Regreen's own program cannot be found, which the shim needs.
    #[error("failed to find regreen's own program")]
    Program(#[source] std::io::Error),
    /// What the toolchains need in the slot could not be made.
    #[error("failed to prepare the toolchains in the slot")]
    Toolchains(#[source] std::io::Error),
    /// Ended before a suite began.
    #[error("interrupted")]
    Interrupted,
    /// A part of regreen itself failed.
    #[error("failed to prepare the run: {0}")]
    Internal(String),
}

impl OnceError {
    /// The exit code of the command line.
    pub fn exit_code(&self) -> u8 {
        match self {
            OnceError::Git(_)
            | OnceError::Config(_)
            | OnceError::Suite(_)
            | OnceError::Refused { .. }
            | OnceError::UnknownSuite { .. } => EXIT_USAGE,
            OnceError::NoSuite { .. } => EXIT_NOTHING_RAN,
            OnceError::Objects(_)
            | OnceError::Mirror(_)
            | OnceError::Slot(_)
            | OnceError::Toolchains(_) => EXIT_INFRA,
            OnceError::Interrupted => EXIT_INTERRUPTED,
            OnceError::Program(_) | OnceError::Internal(_) => EXIT_ERROR,
        }
    }
}

/// Runs the suites of a worktree once.
pub async fn once(
    request: &RunRequest,
    host: &HostEnv,
    flags: &[Flag],
    updates: mpsc::Sender<RunUpdate>,
    stop: CancellationToken,
) -> Result<RunDocument, OnceError> {
    // Nobody listens any more: the run goes on all the same.
    let _ = updates.send(RunUpdate::Syncing).await;
    let prepared = {
        let (request, host, flags) = (request.clone(), host.clone(), flags.to_vec());
        let work = tokio::task::spawn_blocking(move || prepare(&request, &host, &flags));
        tokio::select! {
            prepared = work => prepared.map_err(|error| OnceError::Internal(error.to_string()))??,
            () = stop.cancelled() => return Err(OnceError::Interrupted),
        }
    };
    let prepared = Arc::new(prepared);
    // Worth a word with the user's manager only where a control group holds what nothing else
    // does.
    let limits = &prepared.config.limits;
    if limits.memory_bytes.is_some() || limits.cpu_millis.is_some() {
        scope::take_or_ask(host).await;
    }
    let mut reports = Vec::new();
    let of = prepared.suites.len();
    for (at, suite) in prepared.suites.iter().enumerate() {
        let started = RunUpdate::Started {
            suite: suite.name.clone(),
            number: at + 1,
            of,
        };
        let _ = updates.send(started).await;
        let names: &[BackendName] = match request.compare {
            true => &[BackendName::Bwrap, BackendName::None],
            false => &[prepared.config.backend],
        };
        for name in names {
            blocking(&prepared, Prepared::before).await??;
            let mut report = one(&prepared, suite, *name, host, &updates, &stop).await;
            // What is told of this run stands, whatever became of the copy; the next one mends it.
            let after = blocking(&prepared, Prepared::after).await?;
            if let Some(note) = after.unwrap_or_else(|error| Some(not_mended(&error))) {
                report.notes.push(note);
                let dir = history::runs_dir(&host.state_dir());
                let run = report.run.id.clone().unwrap_or_default();
                // The report as it was without the note is there already.
                let _ = RunDir::at(&dir.join(run)).write_report(&report);
            }
            let _ = updates
                .send(RunUpdate::Ended(Box::new(report.clone())))
                .await;
            reports.push(report);
        }
        if stop.is_cancelled() {
            break;
        }
    }
    let runs = reports.iter().filter_map(|report| report.run.id.clone());
    let invocation = Invocation {
        runs: runs.map(RunId::new).collect(),
    };
    // Without it `regreen report` shows the last run only.
    let _ = history::record_invocation(&host.state_dir(), &prepared.project, &invocation);
    let snapshot = prepared.snapshot.to_string();
    Ok(document(snapshot, reports, request.compare))
}

/// The copy could not be brought back to what it was.
fn not_mended(error: &MirrorError) -> Note {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    let message = format!(
        "the copy of the project was not brought back to what it was: {error}{}",
        cause.unwrap_or_default()
    );
    Note::new("not_mended", message)
}

/// Does something with the slot, off the runtime.
async fn blocking<T: Send + 'static>(
    prepared: &Arc<Prepared>,
    work: fn(&Prepared) -> T,
) -> Result<T, OnceError> {
    let prepared = prepared.clone();
    let done = tokio::task::spawn_blocking(move || work(&prepared)).await;
    done.map_err(|error| OnceError::Internal(error.to_string()))
}

async fn one(
    prepared: &Prepared,
    suite: &Suite,
    name: BackendName,
    host: &HostEnv,
    updates: &mpsc::Sender<RunUpdate>,
    stop: &CancellationToken,
) -> Report {
    let backend = backend(name, host);
    let job = Job {
        priority: Priority::Normal,
        ..prepared.job(suite, name, host)
    };
    let run = job.run.clone();
    let (events, mut incoming) = mpsc::channel(256);
    let forward = async {
        while let Some(event) = incoming.recv().await {
            let _ = updates.send(RunUpdate::Test(event)).await;
        }
    };
    let (report, ()) = tokio::join!(execute(job, &*backend, events, stop.clone()), forward);
    let worth = !matches!(
        report.outcome,
        Outcome::Interrupted | Outcome::InfraError | Outcome::UsageError
    );
    if worth && name == prepared.config.backend {
        // Without it the next run only loses its early look.
        let state = host.state_dir();
        let _ = history::record(&state, &prepared.project, &suite.name, &run);
    }
    report
}

/// What several reports come to.
fn document(snapshot: String, reports: Vec<Report>, compare: bool) -> RunDocument {
    // In a comparison the sandbox has the say.
    let step = if compare { 2 } else { 1 };
    let counted: Vec<&Report> = reports.iter().step_by(step).collect();
    let outcome = Outcome::worst(counted.iter().map(|report| report.outcome));
    let outcome = outcome.unwrap_or(Outcome::NoTests);
    let complete = counted.iter().all(|report| report.complete);
    RunDocument {
        schema: SCHEMA,
        snapshot,
        outcome,
        exit_code: exit_code(outcome, complete),
        reports,
    }
}
