//! A project's actor: does what the hub wants of a project, one thing after the other, so that
//! nothing runs in a slot while it is written to. What blocks is done on a blocking thread.

use crate::config::BackendName;
use crate::daemon::files::Files;
use crate::daemon::files::Look;
use crate::daemon::hub::GreenRun;
use crate::daemon::hub::Input;
use crate::daemon::hub::Opened;
use crate::daemon::hub::SyncReport;
use crate::daemon::site::Pulse;
use crate::daemon::site::Site;
use crate::daemon::site::note;
use crate::model::Counts;
use crate::model::HostEnv;
use crate::model::Note;
use crate::model::Origin;
use crate::model::Outcome;
use crate::model::ProjectId;
use crate::model::Report;
use crate::model::RunId;
use crate::model::RunKey;
use crate::model::SnapshotId;
use crate::model::Source;
use crate::run::Job;
use crate::run::execute;
use crate::run::history;
use crate::run::reuse::newest_change;
use crate::sandbox::Backend;
use crate::store::Store;
use crate::telemetry;
use crate::watch::WatchEvent;
use crate::watch::Watcher;
use regreen_parsers::TestEvent;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// Progress is told at most this often; failures are told at once.
const PROGRESS: Duration = Duration::from_millis(100);

/// The slot's size is looked at this often at most: that walks all of it.
const MEASURE: Duration = Duration::from_secs(120);

/// How often environments that are carried in are looked at: a few `stat` calls.
const LOOK: Duration = Duration::from_secs(2);

/// Green runs that are remembered for reuse.
const GREEN: u32 = 200;

/// What the hub wants.
#[derive(Debug)]
pub(super) enum Wish {
    /// Open it again, which failed before.
    Open,
    Sync {
        paths: Vec<PathBuf>,
        rescan: bool,
    },
    Run {
        run: RunId,
        suite: String,
        snapshot: SnapshotId,
        stop: CancellationToken,
    },
}

/// What every actor shares.
pub(super) struct Shared {
    pub host: Arc<HostEnv>,
    pub store: Store,
    pub shim: PathBuf,
    pub inbox: mpsc::UnboundedSender<Input>,
    pub bwrap: Arc<dyn Backend>,
    pub engine: Arc<dyn Backend>,
    pub none: Arc<dyn Backend>,
}

impl Shared {
    pub fn tell(&self, input: Input) {
        // Fails only once the hub is gone, and then nobody wants to know.
        let _ = self.inbox.send(input);
    }

    fn backend(&self, name: BackendName) -> &dyn Backend {
        match name {
            BackendName::Bwrap => &*self.bwrap,
            BackendName::Engine => &*self.engine,
            BackendName::None => &*self.none,
        }
    }
}

/// A project's actor. It ends when its wishes end, gives everything back and says so.
pub(super) struct Actor {
    shared: Arc<Shared>,
    project: ProjectId,
    path: PathBuf,
    /// Gone after a panic in it; opened anew with the next wish.
    site: Option<Site>,
    watcher: Option<Watcher>,
    /// Snapshots that some suite was green on.
    green: Arc<HashSet<SnapshotId>>,
    /// When the slot's size was last looked at.
    measured: Option<Instant>,
    /// How the environments that are carried in looked at the last synchronisation.
    pulse: Pulse,
    /// Whether their files were changed in place since then.
    files: Files,
    /// Hands on what the watcher says.
    ears: Option<Ears>,
}

/// The task that hands on what a watcher says.
struct Ears {
    task: JoinHandle<()>,
    /// The watcher is ended on purpose.
    ended: CancellationToken,
    /// It ended by itself.
    deaf: CancellationToken,
}

impl Actor {
    pub fn start(
        shared: Arc<Shared>,
        project: ProjectId,
        path: PathBuf,
    ) -> mpsc::UnboundedSender<Wish> {
        let (wishes, inbox) = mpsc::unbounded_channel();
        let span = tracing::info_span!("project", id = %project);
        let actor = Actor {
            shared,
            project,
            path,
            site: None,
            watcher: None,
            green: Arc::default(),
            measured: None,
            pulse: Pulse::new(),
            files: Files::new(),
            ears: None,
        };
        let (shared, project) = (Arc::clone(&actor.shared), actor.project.clone());
        let task = tokio::spawn(actor.work(inbox).instrument(span));
        tokio::spawn(async move {
            if task.await.is_err() {
                let message = telemetry::last_panic().unwrap_or_default();
                let of = Some(project.clone());
                shared.tell(Input::Panicked {
                    project: of,
                    message,
                });
                shared.tell(Input::Died { project });
            }
        });
        wishes
    }

    async fn work(mut self, mut wishes: mpsc::UnboundedReceiver<Wish>) {
        self.open_and_tell().await;
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wish = tokio::select! {
                biased;
                wish = wishes.recv() => wish,
                _ = looks.tick(), if !self.pulse.is_empty() => {
                    self.feel_pulse().await;
                    continue;
                }
            };
            let Some(wish) = wish else {
                break;
            };
            telemetry::provoke("actor");
            match wish {
                Wish::Open => self.open_and_tell().await,
                Wish::Sync { paths, rescan } => self.sync(paths, rescan).await,
                Wish::Run {
                    run,
                    suite,
                    snapshot,
                    stop,
                } => {
                    let span = tracing::info_span!("run", id = %run, suite);
                    self.run(run, &suite, snapshot, stop).instrument(span).await;
                }
            }
        }
        // What panics there has said so.
        let _ = self.give_back().await;
        let project = self.project.clone();
        self.shared.tell(Input::Closed { project });
    }

    /// Gives watcher and slot back. What the watcher had said is handed on by then: it must not
    /// come after what the next one says.
    async fn give_back(&mut self) -> Result<(), Note> {
        let (site, watcher) = (self.site.take(), self.watcher.take());
        let ears = self.ears.take();
        if let Some(ears) = &ears {
            ears.ended.cancel();
        }
        // Ending a watcher joins its thread.
        let given = self.apart(move || drop((watcher, site))).await;
        if let Some(ears) = ears {
            // It ends with the watcher.
            let _ = ears.task.await;
        }
        given
    }

    async fn open_and_tell(&mut self) {
        // The hub may not know that it is open: it would stand in its own way.
        let result = match self.give_back().await {
            Ok(()) => self.open().await,
            Err(note) => Err(note),
        };
        let project = self.project.clone();
        self.shared.tell(Input::Opened { project, result });
    }

    async fn open(&mut self) -> Result<Opened, Note> {
        let (changes, events) = mpsc::channel(1024);
        let (host, shim, path) = (
            Arc::clone(&self.shared.host),
            self.shared.shim.clone(),
            self.path.clone(),
        );
        let work = move || {
            telemetry::provoke("open");
            let site = Site::open(&host, &shim, &path)?;
            let trigger = site.config().trigger;
            // Watched before the first look: what changes meanwhile is not missed.
            let watcher = Watcher::start(site.worktree().clone(), trigger, changes)
                .map_err(|e| note("watch", &e))?;
            Ok((site, watcher))
        };
        let (site, watcher) = self.apart(work).await??;
        let trigger = site.config().trigger;
        self.site = Some(site);
        self.watcher = Some(watcher);
        let (shared, project) = (Arc::clone(&self.shared), self.project.clone());
        let (ended, deaf) = (CancellationToken::new(), CancellationToken::new());
        let hearing = (ended.clone(), deaf.clone());
        let task = tokio::spawn(forward(shared, project, events, hearing));
        self.ears = Some(Ears { task, ended, deaf });
        let green = match self.shared.store.green_runs(&self.project, GREEN).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "no earlier run can be reused"
                );
                Vec::new()
            }
        };
        self.green = Arc::new(green.iter().map(|row| row.key.snapshot.clone()).collect());
        let identity = self.site.as_ref().and_then(Site::identity);
        Ok(Opened {
            trigger,
            identity: identity.map(str::to_owned),
            green: green
                .into_iter()
                .filter_map(|row| {
                    Some(GreenRun {
                        key: row.key,
                        run: row.id,
                        counts: row.counts?,
                        ended: row.ended?,
                    })
                })
                .collect(),
            notes: Vec::new(),
        })
    }

    async fn sync(&mut self, paths: Vec<PathBuf>, rescan: bool) {
        let result = match self.stands().await {
            true => self.sync_once(paths, rescan).await,
            false => match self.reopen().await {
                Ok(()) => self.sync_once(Vec::new(), true).await,
                Err(note) => Err(note),
            },
        };
        let result = match result {
            // Another tree is to be tested now, and other events count.
            Ok(None) => match self.reopen().await {
                Ok(()) => self.sync_once(Vec::new(), true).await,
                Err(note) => Err(note),
            },
            other => other,
        };
        let result = result.and_then(|report| {
            report.ok_or_else(|| Note::new("sync", "the trigger changes all the time"))
        });
        let project = self.project.clone();
        self.shared.tell(Input::Synced { project, result });
    }

    /// Looks whether something was installed into an environment that tests use: nobody watches
    /// what git ignores. Now and then all files are looked at.
    async fn feel_pulse(&mut self) {
        let files = self.files.clone();
        let looked = move |site: &mut Site| {
            let now = std::time::Instant::now();
            let due = site.environments().into_iter();
            let looks: Vec<Look> = due.filter(|dir| files.is_due(dir, now)).map(look).collect();
            (site.pulse(), looks)
        };
        let Ok((pulse, looks)) = self.at_site(looked).await else {
            return;
        };
        let now = std::time::Instant::now();
        let mut edited = false;
        for look in looks {
            edited |= self.files.looked(look, now);
        }
        if pulse != self.pulse || edited {
            self.pulse = pulse;
            tracing::info!("an environment that is carried in was changed");
            let project = self.project.clone();
            self.shared.tell(Input::EnvironmentChanged { project });
        }
    }

    /// Whether the project is open, is heard of, and all that belongs to it still where it was.
    async fn stands(&mut self) -> bool {
        let hears = |ears: &Ears| !ears.deaf.is_cancelled();
        self.ears.as_ref().is_some_and(hears)
            && self.at_site(|site| site.stands()).await.unwrap_or(false)
    }

    /// Gives everything back and takes it anew: after a panic, when some of it is lost, or for
    /// another trigger.
    async fn reopen(&mut self) -> Result<(), Note> {
        self.give_back().await?;
        let opened = self.open().await?;
        let project = self.project.clone();
        let result = Ok(opened);
        self.shared.tell(Input::Opened { project, result });
        Ok(())
    }

    /// `None` when the configuration wants another trigger now.
    async fn sync_once(
        &mut self,
        paths: Vec<PathBuf>,
        rescan: bool,
    ) -> Result<Option<Box<SyncReport>>, Note> {
        let started = Instant::now();
        let green = Arc::clone(&self.green);
        self.files.synchronised();
        let (report, pulse, other) = self
            .at_site(move |site| {
                telemetry::provoke("sync");
                let trigger = site.config().trigger;
                // Looked at before: what is installed meanwhile is seen at the next look.
                let before = site.pulse();
                let report = site.sync(&paths, rescan, |snapshot| green.contains(snapshot));
                let pulse = match before.is_empty() {
                    true => site.pulse(),
                    false => before,
                };
                (report, pulse, site.config().trigger != trigger)
            })
            .await?;
        self.pulse = pulse;
        let ms = started.elapsed().as_millis() as u64;
        tracing::debug!(ms, rescan, ok = report.is_ok(), "synchronised");
        match other {
            true => Ok(None),
            false => report.map(|report| Some(Box::new(report))),
        }
    }

    async fn run(
        &mut self,
        run: RunId,
        suite: &str,
        snapshot: SnapshotId,
        stop: CancellationToken,
    ) {
        let report = match self.job(&run, suite, &snapshot).await {
            Ok((job, backend)) => self.execute(job, backend, stop).await,
            Err(note) => broken(suite, &run, note),
        };
        let report = match self.at_site(|site| site.holds_slot()).await {
            Ok(true) => report,
            Ok(false) => {
                // Said before the run's end, or it would be tried again in the same place.
                self.shared.tell(look_again(self.project.clone()));
                let text = "the slot was removed under the tests";
                broken(suite, &run, Note::new("infra_error", text))
            }
            Err(note) => broken(suite, &run, note),
        };
        tracing::info!(
            outcome = report.outcome.as_str(),
            complete = report.complete,
            ms = report.run.duration_ms,
            "run ended"
        );
        let (is_green, counts) = (report.is_green(), report.counts);
        let report = Box::new(report);
        let ended = run.clone();
        self.shared.tell(Input::RunEnded { run, report });
        if is_green {
            self.digest(ended, suite, snapshot, counts).await;
        }
        self.mend().await;
    }

    /// Finds out what else than its snapshot a green run's verdict depends on, after it is out.
    async fn digest(&mut self, run: RunId, suite: &str, snapshot: SnapshotId, counts: Counts) {
        let name = suite.to_owned();
        let files = self.files.clone();
        let digest = move |site: &mut Site| {
            telemetry::provoke("digest");
            let environment = site.environment(&name)?;
            // What was changed under the tests is not what they saw.
            let newest = site
                .environments()
                .into_iter()
                .filter_map(|dir| look(dir).newest);
            let changed = newest.max().is_some_and(|at| files.is_later(at));
            (!changed).then_some(environment)
        };
        let Ok(Some(environment)) = self.at_site(digest).await else {
            return;
        };
        Arc::make_mut(&mut self.green).insert(snapshot.clone());
        self.shared.tell(Input::Digested {
            project: self.project.clone(),
            run,
            key: RunKey {
                snapshot,
                suite: suite.to_owned(),
                environment: Some(environment),
            },
            counts,
        });
    }

    async fn job(
        &mut self,
        run: &RunId,
        suite: &str,
        snapshot: &SnapshotId,
    ) -> Result<(Job, BackendName), Note> {
        let (run, suite, snapshot) = (run.clone(), suite.to_owned(), snapshot.clone());
        let made = move |site: &mut Site| {
            telemetry::provoke("job");
            let job = site.job(run, &suite, &snapshot)?;
            Ok((job, site.config().backend))
        };
        self.at_site(made).await?
    }

    async fn execute(&mut self, job: Job, backend: BackendName, stop: CancellationToken) -> Report {
        let (events, incoming) = mpsc::channel(1024);
        let (run, suite) = (job.run.clone(), job.suite.name.clone());
        let (shared, told) = (Arc::clone(&self.shared), run.clone());
        let telling = tokio::spawn(tell_events(shared, told, incoming));
        let shared = Arc::clone(&self.shared);
        // In a task of its own, so that a panic ends the run and not the project.
        let task = tokio::spawn(
            async move {
                telemetry::provoke("run");
                execute(job, shared.backend(backend), events, stop).await
            }
            .in_current_span(),
        );
        let report = match task.await {
            Ok(report) => report,
            Err(error) => {
                let note = self.panicked(&error);
                broken(&suite, &run, note)
            }
        };
        // Ends by itself once the run's end of the channel is gone.
        let _ = telling.await;
        let worth = !matches!(
            report.outcome,
            Outcome::Interrupted | Outcome::InfraError | Outcome::UsageError
        );
        if worth {
            let (state, project) = (self.shared.host.state_dir(), self.project.clone());
            // Without it the next run only loses its early look.
            let record = move || history::record(&state, &project, &suite, &run);
            let _ = self.apart(record).await;
        }
        report
    }

    /// What tests did to the copied files is put back, after the verdict is out.
    async fn mend(&mut self) {
        let measure = self.measured.is_none_or(|at| at.elapsed() >= MEASURE);
        let mended = move |site: &mut Site| {
            telemetry::provoke("mend");
            (site.mend(), measure.then(|| site.measure()))
        };
        let Ok((result, bytes)) = self.at_site(mended).await else {
            return;
        };
        if let Some(bytes) = bytes {
            self.measured = Some(Instant::now());
            let project = self.project.clone();
            self.shared.tell(Input::SlotSize { project, bytes });
        }
        let (note, moved) = result.unwrap_or_else(|note| (Some(note), true));
        if moved {
            self.shared.tell(look_again(self.project.clone()));
        }
        if let Some(note) = &note {
            tracing::warn!(what = note.message, "drift");
        }
        self.shared.tell(Input::Noted {
            project: self.project.clone(),
            code: "drift",
            note,
        });
    }

    /// Does what needs the site, where it may block. A panic takes the site along: then the hub
    /// is told to have the project synchronised, which opens it anew.
    async fn at_site<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Site) -> T + Send + 'static,
    ) -> Result<T, Note> {
        let Some(mut site) = self.site.take() else {
            return Err(Note::new("infra_error", "the project is not open"));
        };
        let done = self.apart(move || (work(&mut site), site)).await;
        match done {
            Ok((answer, site)) => {
                self.site = Some(site);
                Ok(answer)
            }
            Err(note) => {
                self.shared.tell(look_again(self.project.clone()));
                Err(note)
            }
        }
    }

    /// Does what blocks where it may. A panic there is told to the hub and becomes an error.
    async fn apart<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Note> {
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || span.in_scope(work))
            .await
            .map_err(|error| self.panicked(&error))
    }

    fn panicked(&self, error: &tokio::task::JoinError) -> Note {
        let message = telemetry::last_panic().unwrap_or_else(|| error.to_string());
        self.shared.tell(Input::Panicked {
            project: Some(self.project.clone()),
            message: message.clone(),
        });
        Note::new("infra_error", format!("regreen itself panicked: {message}"))
    }
}

/// A report that says only that regreen failed.
fn broken(suite: &str, run: &RunId, note: Note) -> Report {
    let mut report = Report::new(suite, Source::Text, Outcome::InfraError);
    report.run.id = Some(run.to_string());
    report.run.suite = Some(suite.to_owned());
    report.notes.push(note);
    report
}

/// Looks at all files of an environment.
fn look(dir: PathBuf) -> Look {
    let begun = std::time::Instant::now();
    let newest = newest_change(&dir);
    let took = begun.elapsed();
    Look { dir, newest, took }
}

/// Nobody knows what changed.
fn look_again(project: ProjectId) -> Input {
    Input::Changed {
        project,
        origin: Origin::Rescan,
        paths: Vec::new(),
        rescan: true,
    }
}

/// Hands on what a watcher says. Its first word is that nobody knows what happened before; the
/// hub has the tree walked then in any case.
async fn forward(
    shared: Arc<Shared>,
    project: ProjectId,
    mut events: mpsc::Receiver<WatchEvent>,
    (ended, deaf): (CancellationToken, CancellationToken),
) {
    let mut first = true;
    // What the watcher before it had to say is over.
    shared.tell(Input::WatchMode {
        project: project.clone(),
        degraded: None,
    });
    while let Some(event) = events.recv().await {
        let project = project.clone();
        let was_first = std::mem::take(&mut first);
        shared.tell(match event {
            WatchEvent::Changed(change)
                if was_first && change.rescan && change.origin == Origin::Rescan =>
            {
                continue;
            }
            WatchEvent::Changed(change) => Input::Changed {
                project,
                origin: change.origin,
                paths: change.paths,
                rescan: change.rescan,
            },
            WatchEvent::Degraded(reason) => Input::WatchMode {
                project,
                degraded: Some(reason),
            },
            WatchEvent::Recovered => Input::WatchMode {
                project,
                degraded: None,
            },
        });
    }
    if !ended.is_cancelled() {
        deaf.cancel();
        if let Some(message) = telemetry::last_panic() {
            let project = Some(project.clone());
            shared.tell(Input::Panicked { project, message });
        }
        // The synchronisation that this asks for begins to watch anew.
        let degraded = Some("the watching thread ended by itself".to_owned());
        shared.tell(Input::WatchMode {
            project: project.clone(),
            degraded,
        });
        shared.tell(look_again(project));
    }
}

/// Hands on what a run says: failures at once, progress now and then.
async fn tell_events(shared: Arc<Shared>, run: RunId, mut events: mpsc::Receiver<TestEvent>) {
    let mut counts = Counts::default();
    let mut total = None;
    let mut told = None::<Instant>;
    let mut untold = false;
    // The early look and the whole suite may both see a test fail.
    let mut failed = HashSet::new();
    loop {
        let wait = told.map_or(PROGRESS, |at| PROGRESS.saturating_sub(at.elapsed()));
        let event = match untold {
            true => match tokio::time::timeout(wait, events.recv()).await {
                Ok(event) => event,
                Err(_) => {
                    told = Some(Instant::now());
                    untold = false;
                    shared.tell(progress(&run, counts, total));
                    continue;
                }
            },
            false => events.recv().await,
        };
        match event {
            None => break,
            Some(TestEvent::Planned { total: known }) => total = Some(known),
            Some(TestEvent::Passed { .. }) => counts = counts.plus(Counts::new(1, 0, 0)),
            Some(TestEvent::Skipped { .. }) => counts = counts.plus(Counts::new(0, 0, 1)),
            Some(TestEvent::Counts(known)) => counts = known,
            Some(TestEvent::Failed(failure)) => {
                if failed.insert((failure.target.clone(), failure.id.clone())) {
                    counts = counts.plus(Counts::new(0, 1, 0));
                }
                let run = run.clone();
                shared.tell(Input::TestFailed { run, failure });
            }
            Some(_) => continue,
        }
        untold = true;
    }
    shared.tell(progress(&run, counts, total));
}

fn progress(run: &RunId, counts: Counts, total: Option<u64>) -> Input {
    Input::RunProgress {
        run: run.clone(),
        done: counts.total,
        total: total.map(|total| total.max(counts.total)),
        counts,
    }
}
