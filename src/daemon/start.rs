//! Starting and ending the hub in this process: for `regreen daemon`, and for `regreen watch`
//! and `regreen fix` where no daemon runs.

use crate::config::Config;
use crate::daemon::actor::Shared;
use crate::daemon::effects::Executor;
use crate::daemon::effects::chain;
use crate::daemon::handle::Handle;
use crate::daemon::handle::Port;
use crate::daemon::hub::Input;
use crate::daemon::hub::Recovered;
use crate::daemon::hub::State;
use crate::daemon::instance::Instance;
use crate::daemon::instance::InstanceError;
use crate::daemon::loops;
use crate::daemon::recover;
use crate::daemon::statuses::Statuses;
use crate::daemon::systemd::Systemd;
use crate::git;
use crate::model::HostEnv;
use crate::model::ProjectId;
use crate::model::status::DaemonStatus;
use crate::process;
use crate::process::Guard;
use crate::run;
use crate::run::history;
use crate::sandbox::bwrap;
use crate::sandbox::bwrap::Bwrap;
use crate::sandbox::engine::Engine;
use crate::sandbox::none::NoSandbox;
use crate::sandbox::scope;
use crate::store::Keep;
use crate::store::Store;
use crate::store::StoreError;
use crate::telemetry;
use crate::telemetry::Logs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often old records are removed.
const RETAIN: Duration = Duration::from_secs(6 * 3600);

/// Questions that wait for the hub, at most; more have to wait to be asked.
const QUESTIONS: usize = 64;

/// How a daemon is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only what is asked for from now on is watched, not what is registered.
    pub foreground: bool,
    /// The regreen program, for the runner shim; this process's own when absent.
    pub program: Option<PathBuf>,
    /// Runs at the same time, over all projects; worked out from the machine when absent.
    pub parallel: Option<usize>,
    /// Talks to the service manager and takes over its control group.
    pub service: bool,
    /// Asks the user's service manager for a control group, where none was handed over.
    pub scope: bool,
}

/// Who reads standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A log: everything that happens.
    Log,
    /// A person: what is wrong.
    Person,
    /// A person who looks at a view that is drawn again in place, which a line in between would
    /// tear; the view itself says what is wrong.
    View,
}

/// Sets up this process to be a daemon: memory, logs, the panic hook, and the orphans of sandboxes.
/// Called once, from the program, on its runtime; answers what is wrong with the logs, if
/// something is.
pub fn set_up(host: &HostEnv, audience: Audience) -> Option<String> {
    git::keep_little_memory();
    let dir = host.state_dir().join("log");
    let wrong = telemetry::start(Logs {
        dir: Some(&dir),
        filter: host.var("REGREEN_LOG"),
        stderr: match audience {
            Audience::Log => "info",
            Audience::Person => "warn",
            Audience::View => "off",
        },
        journal: host.var("JOURNAL_STREAM").is_some(),
    });
    adopt_orphans();
    wrong
}

/// Has what sandboxes leave come to this process: no zombies stay, and what a run used is known.
/// Called once, from the program, on its runtime.
pub fn adopt_orphans() {
    if let Err(error) = process::adopt_orphans() {
        tracing::warn!(%error, "orphans of sandboxes are not reaped");
    }
}

/// What a person should know before anything is tested.
pub fn warning() -> Option<&'static str> {
    bwrap::root_warning()
}

/// Has another process end what this one leaves behind, should it be killed while it starts a
/// sandbox. Called once, from the program, before it has a runtime.
pub fn guard(host: &HostEnv) -> Option<Guard> {
    let swept = host.clone();
    // Without it the next start finds what is left.
    Guard::stand(move || recover::end_strays(&swept)).ok()
}

/// Why a daemon does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It may not, or there is one already.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// Its records cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its own program cannot be found, which the runner shim needs.
    #[error("failed to find regreen's own program")]
    Program(#[source] std::io::Error),
    /// A thread could not be started.
    #[error("failed to start a thread")]
    Thread(#[source] std::io::Error),
}

/// A hub in this process. Dropping it ends it hard; [`Daemon::stop`] in good order.
#[derive(Debug)]
pub struct Daemon {
    handle: Handle,
    hub: JoinHandle<()>,
    store: Store,
    /// What is to be watched from the beginning.
    projects: Option<Vec<(ProjectId, PathBuf, Recovered)>>,
    inbox: mpsc::UnboundedSender<Input>,
    service: bool,
    /// Ends what goes on beside the hub.
    beside: CancellationToken,
    _instance: Instance,
}

impl Daemon {
    /// Takes the lock, opens the store, cleans up after the daemon before, and starts the hub.
    ///
    /// # Errors
    /// When another daemon runs, or the state directory cannot be used.
    pub async fn start(host: HostEnv, options: Options) -> Result<Daemon, StartError> {
        let instance = Instance::take(&host)?;
        let store = Store::open(&host.state_dir())?;
        let program = match options.program.clone() {
            Some(program) => program,
            None => std::env::current_exe().map_err(StartError::Program)?,
        };
        let me = DaemonStatus {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: run::now(),
        };
        let host = Arc::new(host);
        let swept = Arc::clone(&host);
        // A panic in it is logged by the hook; the daemon can live with what is left.
        let _ = tokio::task::spawn_blocking(move || recover::sweep(&swept)).await;
        let projects = match options.foreground {
            true => Vec::new(),
            false => recover::projects(&store).await?,
        };
        if options.scope {
            scope::take_or_ask(&host).await;
        }
        let (inbox, inputs) = mpsc::unbounded_channel();
        let (ask, questions) = mpsc::channel(QUESTIONS);
        let shared = Arc::new(shared(&host, &store, program, inbox.clone(), &options));
        let statuses = Statuses::start(&host, inbox.clone()).map_err(StartError::Thread)?;
        let executor = Executor::new(shared, statuses, Systemd::new(options.service));
        let parallel = options.parallel.unwrap_or_else(parallel);
        let state = State::new(me, parallel, run::entropy());
        let hub = tokio::spawn(executor.work(state, inputs, questions));
        let beside = CancellationToken::new();
        tokio::spawn(watch_store(store.clone(), inbox.clone(), beside.clone()));
        tokio::spawn(retain(store.clone(), Arc::clone(&host), beside.clone()));
        let shown = loops::watch(
            store.clone(),
            Arc::clone(&host),
            inbox.clone(),
            beside.clone(),
        );
        tokio::spawn(shown);
        let port = Port {
            ask,
            inbox: inbox.clone(),
            store: store.clone(),
        };
        Ok(Daemon {
            handle: Handle::hosted(host, port),
            hub,
            store,
            projects: Some(projects),
            inbox,
            service: options.service,
            beside,
            _instance: instance,
        })
    }

    /// Begins to watch. The service manager is told that all is ready once the projects are
    /// watched, so that this comes after the socket is there.
    pub fn begin(&mut self) {
        let projects = self.projects.take().unwrap_or_default();
        // Fails only if the hub has ended already.
        let _ = self.inbox.send(Input::Started(projects));
    }

    /// The door to it.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Waits until it has ended by itself (somebody asked it to over the socket).
    pub async fn ended(&mut self) {
        // A hub that panicked has ended too, and has said so.
        let _ = (&mut self.hub).await;
    }

    /// Ends it in good order: runs are ended, the status files say so, the journal is closed.
    pub async fn stop(mut self) {
        Systemd::stopping(self.service);
        // The last word of the status is true of the loops too: nobody will look again.
        let told = loops::tell(&self.store, self.handle.host(), &self.inbox).await;
        if let Err(error) = told {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "loops are not shown");
        }
        self.handle.stop();
        self.ended().await;
        self.beside.cancel();
        self.store.close().await;
    }
}

fn shared(
    host: &Arc<HostEnv>,
    store: &Store,
    shim: PathBuf,
    inbox: mpsc::UnboundedSender<Input>,
    options: &Options,
) -> Shared {
    if options.service {
        scope::take_offered();
    }
    let choices = bwrap::Options {
        cgroup: scope::ours(),
        ..bwrap::Options::default()
    };
    Shared {
        host: Arc::clone(host),
        store: store.clone(),
        shim,
        inbox,
        bwrap: Arc::new(Bwrap::new(host, choices)),
        engine: Arc::new(Engine::new(host)),
        none: Arc::new(NoSandbox::new(host)),
    }
}

/// Test runners use all cores by themselves: a few at a time are enough.
fn parallel() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / 2).clamp(1, 4)
}

async fn watch_store(store: Store, inbox: mpsc::UnboundedSender<Input>, beside: CancellationToken) {
    let mut health = store.health();
    loop {
        let changed = tokio::select! {
            changed = health.changed() => changed,
            () = beside.cancelled() => return,
        };
        if changed.is_err() {
            return;
        }
        let trouble = health.borrow_and_update().trouble.clone();
        if let Some(trouble) = &trouble {
            tracing::error!(trouble, "the journal cannot be written");
        }
        if inbox.send(Input::StoreTrouble(trouble)).is_err() {
            return;
        }
    }
}

async fn retain(store: Store, host: Arc<HostEnv>, beside: CancellationToken) {
    let mut due = tokio::time::interval(RETAIN);
    loop {
        tokio::select! {
            _ = due.tick() => {}
            () = beside.cancelled() => return,
        }
        let runs = history::runs_dir(&host.state_dir());
        match store.retain(keep(&host), &runs, run::now(), false).await {
            Ok(removed) => tracing::debug!(?removed, "removed old records"),
            Err(error) => tracing::warn!(error = chain(&error), "old records stay"),
        }
    }
}

/// How long records are kept, by the user's configuration.
pub(super) fn keep(host: &HostEnv) -> Keep {
    let config = Config::load(host, None, &[]).unwrap_or_default();
    Keep {
        age: config.retention_age,
        run_bytes: config.retention_bytes,
        ..Keep::default()
    }
}
