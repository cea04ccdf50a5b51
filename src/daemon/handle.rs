//! [`Handle`]: the only door of the command line and the API to everything below.

use crate::daemon::hub::Answer;
use crate::daemon::hub::Ask;
use crate::daemon::hub::Input;
use crate::daemon::recover;
use crate::daemon::site;
use crate::git::Worktree;
use crate::git::refuse_path;
use crate::git::refuse_root;
use crate::model::HostEnv;
use crate::model::ProjectId;
use crate::model::RunId;
use crate::model::status::Status;
use crate::model::wire::AcceptedRuns;
use crate::model::wire::Health;
use crate::model::wire::Problem;
use crate::model::wire::ProjectInfo;
use crate::model::wire::RunRecord;
use crate::run::history;
use crate::store::RunRow;
use crate::store::Store;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

/// Work is acknowledged or refused within this time.
const ACKNOWLEDGED: Duration = Duration::from_millis(900);

/// Ending what runs in a project that is removed may take its grace.
const REMOVED: Duration = Duration::from_secs(15);

/// The only door of the command line and the API to everything below. Cheap to clone.
///
/// A local handle works without a daemon: it offers what `daemon::direct` delegates. One that
/// came from [`Daemon::handle`](crate::daemon::Daemon::handle) talks to the hub in this process
/// besides. To talk to a daemon in another process the command line uses `api::client`.
#[derive(Debug, Clone)]
pub struct Handle {
    host: Arc<HostEnv>,
    port: Option<Port>,
}

/// The way to the hub in this process.
#[derive(Debug, Clone)]
pub(super) struct Port {
    pub ask: mpsc::Sender<(Ask, oneshot::Sender<Answer>)>,
    pub inbox: mpsc::UnboundedSender<Input>,
    pub store: Store,
}

impl Handle {
    /// A handle without a daemon, for the stateless verbs.
    pub fn local(host: HostEnv) -> Self {
        Handle {
            host: Arc::new(host),
            port: None,
        }
    }

    pub(super) fn hosted(host: Arc<HostEnv>, port: Port) -> Self {
        Handle {
            host,
            port: Some(port),
        }
    }

    /// The machine as regreen was started on it.
    pub fn host(&self) -> &HostEnv {
        &self.host
    }

    /// The store of the hub in this process.
    pub(super) fn hub_store(&self) -> Option<&Store> {
        self.port.as_ref().map(|port| &port.store)
    }

    /// Who is there.
    ///
    /// # Errors
    /// When the hub does not answer in time.
    pub async fn health(&self) -> Result<Health, Problem> {
        match self.ask(Ask::Health, ACKNOWLEDGED).await? {
            Answer::Health(health) => Ok(health),
            other => Err(unexpected(&other)),
        }
    }

    /// What is watched.
    ///
    /// # Errors
    /// When the hub does not answer in time.
    pub async fn projects(&self) -> Result<Vec<ProjectInfo>, Problem> {
        match self.ask(Ask::List, ACKNOWLEDGED).await? {
            Answer::Projects(projects) => Ok(projects),
            other => Err(unexpected(&other)),
        }
    }

    /// How a project stands.
    ///
    /// # Errors
    /// When it is not watched, or the hub does not answer in time.
    pub async fn project_status(&self, project: &ProjectId) -> Result<Box<Status>, Problem> {
        match self.ask(Ask::Status(project.clone()), ACKNOWLEDGED).await? {
            Answer::Status(status) => Ok(status),
            other => Err(unexpected(&other)),
        }
    }

    /// Has a worktree watched: as long as this process lives, or from now on.
    ///
    /// # Errors
    /// When it is none, must not be watched, or the wish cannot be written to the disk.
    pub async fn add(&self, path: &Path, foreground: bool) -> Result<ProjectInfo, Problem> {
        let worktree = find(path, &self.host)?;
        let id = worktree.id();
        let recovered = match self.hub_store() {
            Some(store) => recover::project(store, &id, &worktree.root).await,
            None => return Err(no_hub()),
        };
        let recovered = recovered
            .map_err(|error| Problem::new(507, "store", crate::daemon::effects::chain(&error)))?;
        let ask = Ask::Add {
            project: id,
            path: worktree.root,
            foreground,
            recovered: Box::new(recovered),
        };
        match self.ask(ask, ACKNOWLEDGED).await? {
            Answer::Project(info) => Ok(info),
            other => Err(unexpected(&other)),
        }
    }

    /// Has a worktree forgotten. Answers once its watcher and slot are given back.
    ///
    /// # Errors
    /// When it is not watched, or the wish cannot be written to the disk.
    pub async fn remove(&self, project: &ProjectId) -> Result<(), Problem> {
        self.done(Ask::Remove(project.clone()), REMOVED).await
    }

    /// Starts no runs in a project until [`Handle::resume`].
    ///
    /// # Errors
    /// When it is not watched, or the wish cannot be written to the disk.
    pub async fn pause(&self, project: &ProjectId) -> Result<(), Problem> {
        self.done(Ask::Pause(project.clone()), ACKNOWLEDGED).await
    }

    /// Starts runs again.
    ///
    /// # Errors
    /// When it is not watched, or the wish cannot be written to the disk.
    pub async fn resume(&self, project: &ProjectId) -> Result<(), Problem> {
        self.done(Ask::Resume(project.clone()), ACKNOWLEDGED).await
    }

    /// Runs a project's suites, or one of them, whatever is known already.
    ///
    /// # Errors
    /// When that cannot be, or the wish cannot be written to the disk.
    pub async fn start_runs(
        &self,
        project: &ProjectId,
        suite: Option<String>,
    ) -> Result<AcceptedRuns, Problem> {
        let project = project.clone();
        match self.ask(Ask::Run { project, suite }, ACKNOWLEDGED).await? {
            Answer::Runs(runs) => Ok(runs),
            other => Err(unexpected(&other)),
        }
    }

    /// Ends a run that waits or goes on.
    ///
    /// # Errors
    /// When it does neither.
    pub async fn cancel(&self, run: &RunId) -> Result<(), Problem> {
        self.done(Ask::Cancel(run.clone()), ACKNOWLEDGED).await
    }

    /// A run's record.
    ///
    /// # Errors
    /// When there is none.
    pub async fn run_record(&self, run: &RunId) -> Result<RunRecord, Problem> {
        let store = self.hub_store().ok_or_else(no_hub)?;
        let row = store
            .run(run)
            .await
            .map_err(|error| Problem::new(500, "store", error.to_string()))?;
        let row = row
            .ok_or_else(|| Problem::new(404, "no_such_run", format!("there is no run `{run}`")))?;
        Ok(record(row, &self.host))
    }

    /// The id of the project that contains a path.
    ///
    /// # Errors
    /// When the path is in no worktree, or in one that must not be watched.
    pub fn project_at(&self, path: &Path) -> Result<(ProjectId, PathBuf), Problem> {
        let worktree = find(path, &self.host)?;
        Ok((worktree.id(), worktree.root))
    }

    /// Has the hub end in good order.
    pub fn stop(&self) {
        if let Some(port) = &self.port {
            // Fails only if it has ended already.
            let _ = port.inbox.send(Input::Stop);
        }
    }

    async fn done(&self, ask: Ask, within: Duration) -> Result<(), Problem> {
        match self.ask(ask, within).await? {
            Answer::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    async fn ask(&self, ask: Ask, within: Duration) -> Result<Answer, Problem> {
        let port = self.port.as_ref().ok_or_else(no_hub)?;
        let (reply, answer) = oneshot::channel();
        let asked = async {
            port.ask.send((ask, reply)).await.map_err(|_| ending())?;
            answer.await.map_err(|_| ending())
        };
        match tokio::time::timeout(within, asked).await {
            Ok(Ok(Answer::Refused(problem))) => Err(problem),
            Ok(answer) => answer,
            Err(_) => Err(Problem::new(
                504,
                "not_acknowledged",
                "not acknowledged in time; it may or may not be done",
            )
            .remedy("look with `regreen status`, then ask again")),
        }
    }
}

fn find(path: &Path, host: &HostEnv) -> Result<Worktree, Problem> {
    let refused = |root: &Path, reason: String| {
        let text = format!("`{}` is not watched: {reason}", root.display());
        Problem::new(422, "refused", text).remedy("name a directory further down")
    };
    let worktree = Worktree::discover(path).map_err(|error| {
        if let Some((path, reason)) = refuse_path(path, &host.home) {
            return refused(&path, reason);
        }
        let text = site::note("", &error).message;
        Problem::new(422, "not_a_worktree", text)
    })?;
    match refuse_root(&worktree.root, &host.home) {
        None => Ok(worktree),
        Some(reason) => Err(refused(&worktree.root, reason)),
    }
}

fn record(row: RunRow, host: &HostEnv) -> RunRecord {
    RunRecord {
        directory: history::runs_dir(&host.state_dir()).join(row.id.as_str()),
        id: row.id,
        project: row.project,
        suite: row.key.suite,
        snapshot: row.key.snapshot,
        asker: row.asker,
        state: row.state,
        queued: row.queued,
        started: row.started,
        ended: row.ended,
        outcome: row.outcome,
        complete: row.complete,
        stale: row.stale,
        counts: row.counts,
    }
}

fn no_hub() -> Problem {
    Problem::new(503, "no_daemon", "no daemon runs in this process")
}

fn ending() -> Problem {
    Problem::new(503, "stopping", "the daemon is ending")
}

fn unexpected(answer: &Answer) -> Problem {
    Problem::new(500, "internal", format!("unexpected answer {answer:?}"))
}
