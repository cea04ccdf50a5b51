//! Executes one run: an early look, the whole suite, repetitions where they are needed, and
//! the report. It never fails: what goes wrong with regreen is a report of its own.

use crate::model::Counts;
use crate::model::Framework;
use crate::model::NO_PROGRAM;
use crate::model::Note;
use crate::model::Outcome;
use crate::model::ProjectId;
use crate::model::Report;
use crate::model::RunId;
use crate::model::SnapshotId;
use crate::model::Suite;
use crate::model::Used;
use crate::run::artifacts;
use crate::run::artifacts::Wanted;
use crate::run::attempt::Attempted;
use crate::run::attempt::Key;
use crate::run::attempt::Sinks;
use crate::run::attempt::Start;
use crate::run::attempt::attempt;
use crate::run::build;
use crate::run::collect::Collect;
use crate::run::command;
use crate::run::command::Facts;
use crate::run::command::Inside;
use crate::run::command::Part;
use crate::run::find;
use crate::run::flaky;
use crate::run::ground::EXIT_STATUS_ONLY;
use crate::run::limits;
use crate::run::limits::Met;
use crate::run::notes;
use crate::run::rundir::RunDir;
use crate::run::select::Early;
use crate::run::services;
use crate::run::setup;
use crate::run::setup::SetupError;
use crate::run::sources::Sources;
use crate::run::space;
use crate::sandbox::Backend;
use crate::sandbox::Mount;
use crate::sandbox::Network;
use crate::sandbox::Place;
use crate::sandbox::Priority;
use crate::sandbox::SandboxError;
use crate::sandbox::Spec;
use regreen_parsers::Source;
use regreen_parsers::TestEvent;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// All repetitions of single tests together take at most this long.
const REPETITIONS: Duration = Duration::from_secs(60);
/// Tests that are run one by one after a stream contradicted itself, at most.
const MOST_ALONE: usize = 200;
/// An early look takes at most this long; then the whole suite is due.
const EARLY: Duration = Duration::from_secs(60);

/// What to do about a set-up that failed.
const SETUP_REMEDY: &str = "its output is in the run's log; allow a host with `setup.hosts`, or set \
                            `setup` of the suite (`false`: none)";

/// One run: which suite, of what, where.
#[derive(Debug, Clone)]
pub struct Job {
    /// The project.
    pub project: ProjectId,
    /// The run's id.
    pub run: RunId,
    /// The suite, its limits included.
    pub suite: Suite,
    /// What lies in the place.
    pub snapshot: SnapshotId,
    /// The commit that is checked out.
    pub commit: Option<String>,
    /// Whether the snapshot differs from the commit's tree.
    pub dirty: bool,
    /// Where the command finds the project. Its `/tmp` is empty.
    pub place: Place,
    /// The toolchains' environment: `PATH`, `HOME`, `CARGO_HOME`, …
    pub env: Vec<(String, String)>,
    /// The toolchains' mounts, carried directories, and what the user configured.
    pub mounts: Vec<Mount>,
    /// Variables of the user's that tests see, and the project's own runners.
    pub facts: Facts,
    /// What the tests may talk to.
    pub network: Network,
    /// The image whose programs it uses, with the engine backend.
    pub image: Option<String>,
    /// Nobody waits at a terminal: while it builds it stands back behind the user's own work.
    pub stands_back: bool,
    /// The first attempts' priority; what failed is repeated with the ordinary one.
    pub priority: Priority,
    /// The failures of the last complete run of this suite; `None` when nobody knows.
    pub failed_before: Option<BTreeSet<Key>>,
    /// What to look at before the whole suite.
    pub early: Early,
    /// The run's own directory.
    pub run_dir: PathBuf,
    /// The regreen binary, for the shim.
    pub shim: PathBuf,
    /// Where what set-ups made is kept.
    pub layers: PathBuf,
    /// The user's own home directory.
    pub user_home: PathBuf,
    /// Facts for the report that are known before it starts.
    pub notes: Vec<Note>,
    /// Facts that matter only where something failed.
    pub notes_if_red: Vec<Note>,
}

/// Executes a run. Events go out as they come; the report is also written to the run's
/// directory. Cancelling `stop` ends it as interrupted.
pub async fn execute(
    job: Job,
    backend: &dyn Backend,
    events: mpsc::Sender<TestEvent>,
    stop: CancellationToken,
) -> Report {
    let started = crate::run::now();
    let clock = Instant::now();
    let mut report = match Execution::begin(&job, backend, &events, &stop) {
        Ok(execution) => execution.run().await,
        Err(error) => broken(
            &job.suite,
            &format!("failed to prepare the run's directory: {error}"),
        ),
    };
    report.run.id = Some(job.run.to_string());
    report.run.snapshot = Some(job.snapshot.to_string());
    report.run.commit.clone_from(&job.commit);
    report.run.dirty = Some(job.dirty);
    report.run.suite = Some(job.suite.name.clone());
    report.run.command.clone_from(&job.suite.command);
    // In any command's output a framework may have been recognised.
    if job.suite.framework != Framework::Generic || report.run.framework.is_empty() {
        report.run.framework = job.suite.framework.as_str().to_owned();
    }
    report.run.started = Some(started.to_string());
    report.run.duration_ms = Some(millis(clock.elapsed()));
    // Whose tests a script started may have been seen in what they print.
    let seen = report.run.framework != "generic";
    let told = job
        .notes
        .iter()
        .filter(|note| !(seen && note.code == EXIT_STATUS_ONLY));
    report.notes.splice(0..0, told.cloned());
    if !report.is_green() {
        report.notes.extend(job.notes_if_red.iter().cloned());
    }
    let dir = RunDir::at(&job.run_dir);
    if dir.raw_log().exists() {
        report.raw_log = Some(dir.raw_log().to_string_lossy().into_owned());
    }
    // What was acquitted, sharpened or added since is grouped with the rest.
    report.group();
    if let Err(error) = dir.write_report(&report) {
        let message = format!(
            "the report could not be written to `{}`: {error}",
            job.run_dir.display()
        );
        report.notes.push(
            Note::new("report_not_written", message).remedy("free disk space, or run `regreen gc`"),
        );
    }
    report
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A report that says only that regreen failed.
fn broken(suite: &Suite, message: &str) -> Report {
    let mut report = Report::new(suite.framework.as_str(), Source::Text, Outcome::InfraError);
    report.notes.push(Note::new("infra_error", message));
    report
}

struct Execution<'a> {
    job: &'a Job,
    backend: &'a dyn Backend,
    events: &'a mpsc::Sender<TestEvent>,
    stop: &'a CancellationToken,
    dir: RunDir,
    raw: File,
    attempts: u32,
    /// When it began, by the clock of the file system.
    begun: SystemTime,
    priority: Priority,
    installed: Option<Installed>,
    /// What all attempts used together.
    used: Option<Used>,
}

/// What a set-up made, as the tests get it.
struct Installed {
    mounts: Vec<Mount>,
    env: Vec<(String, String)>,
}

impl<'a> Execution<'a> {
    fn begin(
        job: &'a Job,
        backend: &'a dyn Backend,
        events: &'a mpsc::Sender<TestEvent>,
        stop: &'a CancellationToken,
    ) -> std::io::Result<Self> {
        let exchange = job.place.tree.with_file_name("exchange");
        let dir = match backend.keeps_mounts() {
            true => RunDir::create_with(&job.run_dir, &exchange)?,
            false => RunDir::create(&job.run_dir)?,
        };
        dir.of(&job.project)?;
        let raw = dir.open_raw_log()?;
        Ok(Execution {
            job,
            backend,
            events,
            stop,
            dir,
            raw,
            attempts: 0,
            begun: find::moment(),
            priority: job.priority,
            installed: None,
            used: None,
        })
    }

    async fn run(mut self) -> Report {
        let note = match self.set_up().await {
            Ok(note) => note,
            Err(error) => {
                self.dir.tidy(self.attempts);
                return self.not_set_up(&error);
            }
        };
        self.look_early().await;
        let mut report = match self.whole().await {
            Ok(report) => report,
            Err(error) => self.refused(&error),
        };
        report.notes.splice(0..0, note);
        report.run.used = self.used;
        self.dir.tidy(self.attempts);
        report
    }

    /// Installs what the tests need, where that is allowed and not there yet.
    async fn set_up(&mut self) -> Result<Option<Note>, SetupError> {
        let wanted = self.job.suite.setup.as_ref().filter(|setup| setup.allowed);
        let Some(setup) = wanted.filter(|_| self.sandboxed()) else {
            return Ok(None);
        };
        let made = setup::ensure(self.job, setup, self.backend, &mut self.raw, self.stop);
        let (layer, note) = made.await?;
        let mut env = setup.env.clone();
        env.extend(layer.env(self.job));
        self.installed = Some(Installed {
            mounts: layer.mounts(self.job, &self.dir.scratch())?,
            env,
        });
        Ok(note)
    }

    /// The tests never ran: no verdict on them.
    fn not_set_up(&self, error: &SetupError) -> Report {
        let mut report = broken(&self.job.suite, &error.to_string());
        match error {
            SetupError::Stopped => report.outcome = Outcome::Interrupted,
            SetupError::Sandbox(error) => return self.refused(error),
            _ => {
                let note = &mut report.notes[0];
                note.code = "setup_failed".to_owned();
                note.remedy = Some(SETUP_REMEDY.to_owned());
            }
        }
        report
    }

    /// Runs what failed last, or what the change affects. Its failures go out at once; they
    /// are no part of the report.
    async fn look_early(&mut self) {
        let early = self.job.early.clone();
        let limit = tokio::time::Instant::now() + EARLY;
        for argv in &early.reruns {
            if self.stop.is_cancelled() || tokio::time::Instant::now() > limit {
                return;
            }
            let _ = self.attempt(Part::Rerun(argv), Tell::Failures, EARLY).await;
        }
        if !early.packages.is_empty() && !self.stop.is_cancelled() {
            let part = Part::Packages(&early.packages);
            let _ = self.attempt(part, Tell::Failures, EARLY).await;
        }
    }

    async fn whole(&mut self) -> Result<Report, SandboxError> {
        let inside = Inside::usual(&self.job.place.root);
        let plan = command::plan(&self.job.suite, &inside, &self.job.facts, Part::Whole);
        if let Some(refused) = plan.refused {
            let note = Note::new("refused", refused.why).remedy(refused.remedy);
            let mut report = broken(&self.job.suite, "");
            report.outcome = Outcome::UsageError;
            report.notes = vec![note];
            return Ok(report);
        }
        let wall = self.job.suite.limits.wall();
        let first = self.attempt(Part::Whole, Tell::All, wall).await?;
        let contradicted = first
            .report
            .notes
            .iter()
            .any(|note| note.code == "inconsistent_stream");
        let mut attempted = match contradicted && !self.stop.is_cancelled() {
            true => self.one_by_one(first, wall).await?,
            false => first,
        };
        if attempted.limit.is_none() {
            let places = [self.job.place.tree.as_path(), &self.job.run_dir];
            attempted.said = space::full(&attempted.report, &attempted.tail, places);
            attempted.limit = attempted.said.as_ref().map(|_| limits::FULL.to_owned());
        }
        // Before repetitions of single tests write their own.
        self.keep(&mut attempted.report).await;
        // On a disk that it filled nothing more is learnt.
        let full = limits::is_disk(attempted.limit.as_deref());
        if !full {
            self.build_on(&mut attempted.report).await;
        }
        flaky::mark_new(&mut attempted.report, self.job.failed_before.as_ref());
        if !full {
            self.repeat(&mut attempted.report).await;
        }
        Ok(self.annotate(attempted))
    }

    /// Copies what the suite wants kept.
    async fn keep(&self, report: &mut Report) {
        if self.job.suite.artifacts.is_empty() {
            return;
        }
        let wanted = Wanted {
            tree: self.job.place.tree.clone(),
            dir: self.job.suite.dir.clone(),
            patterns: self.job.suite.artifacts.clone(),
            to: self.dir.artifacts(),
            since: self.begun,
        };
        let kept = tokio::task::spawn_blocking(move || artifacts::keep(&wanted)).await;
        let kept = kept.unwrap_or_default();
        report.artifacts = kept.files;
        // What ended before its time may not have written them yet.
        let told = |note: &Note| report.complete || note.code != "no_artifact";
        let notes: Vec<Note> = kept.notes.into_iter().filter(told).collect();
        report.notes.extend(notes);
    }

    /// Repeats a run whose stream contradicted itself with a process for each test. What the
    /// repetition says counts only if it is consistent; the first run's words stay as notes.
    async fn one_by_one(
        &mut self,
        first: Attempted,
        wall: Duration,
    ) -> Result<Attempted, SandboxError> {
        let mut second = self.isolated(&first, wall).await?;
        for note in first.report.notes {
            if !second.report.notes.contains(&note) {
                second.report.notes.push(note);
            }
        }
        Ok(second)
    }

    async fn isolated(
        &mut self,
        first: &Attempted,
        wall: Duration,
    ) -> Result<Attempted, SandboxError> {
        if self.job.suite.framework != Framework::Pytest {
            // Cargo's shim knows the list of each binary and takes it apart itself; nextest has
            // a process for each test anyway. The others' ids do not say how one is run alone:
            // the whole is repeated, and has to be consistent then.
            return self.attempt(Part::Isolated, Tell::All, wall).await;
        }
        let mut sum = self.attempt(Part::Whole, Tell::All, wall).await?;
        let tool = command::tool(&self.job.suite);
        let ids: Vec<&String> = first.seen.iter().map(|(_, id)| id).collect();
        if tool.is_empty() || ids.len() > MOST_ALONE {
            return Ok(sum);
        }
        let begun = Instant::now();
        let mut parts = Vec::new();
        for id in ids {
            let left = wall.saturating_sub(begun.elapsed());
            if self.stop.is_cancelled() || left.is_zero() {
                return Ok(sum);
            }
            let argv: Vec<String> = tool.iter().chain([id]).cloned().collect();
            parts.push(
                self.attempt(Part::Rerun(&argv), Tell::Nothing, left)
                    .await?
                    .report,
            );
        }
        flaky::take_over(&mut sum.report, parts);
        Ok(sum)
    }

    /// After a build that failed: the errors of all targets, not only those of the first.
    async fn build_on(&mut self, report: &mut Report) {
        let argv = build::everything(&self.job.suite).filter(|_| build::is_broken(report));
        let Some(argv) = argv.filter(|_| !self.stop.is_cancelled()) else {
            return;
        };
        let part = Part::Build(&argv);
        if let Ok(all) = self.attempt(part, Tell::Nothing, REPETITIONS).await {
            build::add(report, all.report);
        }
    }

    /// Runs failures that appeared again, each alone.
    async fn repeat(&mut self, report: &mut Report) {
        // What was too slow because others went first is not to be blamed for it.
        self.priority = Priority::Normal;
        let begun = Instant::now();
        let (mut proofs, mut alone) = (Vec::new(), Vec::new());
        for at in flaky::candidates(report) {
            let left = REPETITIONS.saturating_sub(begun.elapsed());
            if self.stop.is_cancelled() || left.is_zero() {
                break;
            }
            let argv = report.failures[at].rerun.clone();
            let repeated = self.attempt(Part::Rerun(&argv), Tell::Nothing, left).await;
            if let Ok(repeated) = repeated
                && let Some(passed) = flaky::passed_alone(&repeated.report)
            {
                proofs.push((at, passed));
                alone.extend(repeated.report.failures);
            }
        }
        flaky::settle(report, &proofs);
        flaky::sharpen(report, alone);
    }

    /// Starts one process and reads it to its end.
    async fn attempt(
        &mut self,
        part: Part<'_>,
        tell: Tell,
        wall: Duration,
    ) -> Result<Attempted, SandboxError> {
        let events_dir = self
            .dir
            .events(self.attempts)
            .map_err(SandboxError::Start)?;
        self.attempts += 1;
        let inside = Inside::usual(&self.job.place.root);
        // Without a sandbox the file's own text has to name the host's path.
        let named = if self.sandboxed() {
            &inside.events
        } else {
            &events_dir
        };
        let services_dir = match self.job.suite.services.is_empty() {
            true => None,
            false => Some(
                self.services(self.attempts - 1)
                    .map_err(SandboxError::Start)?,
            ),
        };
        let config = command::nextest_config(named);
        self.dir
            .inject_file(command::NEXTEST_CONFIG, &config)
            .map_err(SandboxError::Start)?;
        let mut plan = command::plan(&self.job.suite, &inside, &self.job.facts, part);
        for (name, text) in &plan.files {
            self.dir
                .inject_file(name, text)
                .map_err(SandboxError::Start)?;
        }
        plan.context.tree = Sources::tree(&self.job.place.tree);
        if !self.sandboxed() {
            // What the tests print are then the paths of the copy.
            let tree = self.job.place.tree.to_string_lossy();
            plan.context.root = Some(tree.into_owned());
        }
        let mut spec = self.spec(&plan, &inside, &events_dir, wall);
        if let Some(dir) = &services_dir {
            let words = services::words(&inside.shim, &inside.inject);
            spec.argv.splice(0..0, words);
            spec.mounts.push(Mount {
                source: dir.clone(),
                target: services::INSIDE.into(),
                writable: true,
                optional: false,
            });
        }
        let asked = spec.clone();
        let sinks = Sinks {
            raw: &mut self.raw,
            events: (tell != Tell::Nothing).then_some(self.events),
            only_failures: tell == Tell::Failures,
        };
        // What builds bears to be stopped; the early look is what a person waits for first.
        let builds = self.job.suite.framework.builds();
        let stands_back = self.job.stands_back && builds && part == Part::Whole;
        let start = Start {
            spec,
            plan: &plan,
            events_dir: &events_dir,
            collect: Collect {
                tree: self.job.place.tree.clone(),
                dir: self.job.suite.dir.clone(),
                patterns: plan.collect.clone(),
            },
            stands_back,
        };
        let mut attempted = attempt(self.backend, start, sinks, self.stop).await?;
        // Afterwards: a container engine is known only once something ran in it.
        attempted.report.run.isolation = Some(self.backend.isolation(&asked));
        if let Some(dir) = &services_dir {
            self.look_at_services(dir, &mut attempted);
        }
        if let Some(used) = attempted.used {
            self.used = Some(self.used.map_or(used, |before| before.and_then(used)));
        }
        Ok(attempted)
    }

    /// The place of an attempt's services, and what their runner is handed.
    fn services(&self, attempt: u32) -> std::io::Result<PathBuf> {
        let list = services::list(&self.job.suite.services);
        self.dir.inject_file(services::LIST, &list)?;
        self.dir.services(attempt)
    }

    /// Without its services a run says nothing of the tests: they did not run.
    fn look_at_services(&self, dir: &Path, attempted: &mut Attempted) {
        let state = services::read(dir);
        let report = &mut attempted.report;
        if let Err(error) = services::keep_logs(dir, self.dir.path(), &self.job.suite.services) {
            tracing::warn!(%error, "the services' logs were not kept");
        }
        if let Some(why) = state.not_started {
            attempted.not_started = Some(why);
        } else if let Some(gone) = state.failed.filter(|_| !state.ready) {
            report.outcome = Outcome::InfraError;
            report.complete = false;
            report.failures.clear();
            report.counts = Counts::default();
            report.notes = vec![services::not_ready(dir, &gone)];
        } else if !report.is_green() {
            let gone = state.ended.iter().map(|gone| services::ended(dir, gone));
            report.notes.extend(gone);
        }
    }

    fn sandboxed(&self) -> bool {
        self.backend.name() != "none"
    }

    fn spec(&self, plan: &command::Plan, inside: &Inside, events: &Path, wall: Duration) -> Spec {
        let mut limits = self.job.suite.limits;
        limits.wall_ms = limits.wall_ms.min(millis(wall));
        let mut mounts = self.job.mounts.clone();
        if let Some(installed) = &self.installed {
            // Where a layer lies, nothing of the user's own is carried in.
            let laid = |target: &Path| {
                let mut layers = installed.mounts.iter();
                layers.any(|mount| target.starts_with(&mount.target))
            };
            mounts.retain(|mount| !laid(&mount.target));
            mounts.extend(installed.mounts.iter().cloned());
        }
        let mount = |source: &Path, target: &Path, writable| Mount {
            source: source.to_owned(),
            target: target.to_owned(),
            writable,
            optional: false,
        };
        mounts.push(mount(&self.job.shim, &inside.shim, false));
        mounts.push(mount(events, &inside.events, true));
        mounts.push(mount(&self.dir.inject(), &inside.inject, false));
        let mut argv = plan.argv.clone();
        if let Some(program) = argv.first_mut()
            && program.contains('/')
        {
            // `.venv/bin/python` is meant from the suite's directory, not from `PATH`.
            *program = plan.cwd.join(&*program).to_string_lossy().into_owned();
        }
        let mut env = self.job.env.clone();
        let installed = self.installed.iter().flat_map(|installed| &installed.env);
        for (name, value) in installed.chain(&plan.env) {
            env.retain(|(known, _)| known != name);
            env.push((name.clone(), value.clone()));
        }
        Spec {
            argv,
            env,
            cwd: plan.cwd.clone(),
            place: self.job.place.clone(),
            mounts,
            stdin: None,
            limits,
            network: self.job.network,
            image: self.job.image.clone(),
            priority: self.priority,
        }
    }

    /// What a person should know about the run as a whole.
    fn annotate(&self, attempted: Attempted) -> Report {
        let mut report = attempted.report;
        if let Some(reason) = &attempted.not_started {
            report.outcome = Outcome::InfraError;
            report.complete = false;
            let mut code = "not_started";
            if reason.starts_with("execvp ") {
                code = NO_PROGRAM;
                // Nothing of the project ran: what a parser made of its silence is not so.
                report.failures.clear();
                report.counts = Counts::default();
                report.notes.clear();
            }
            report
                .notes
                .push(not_started(reason, &self.job.suite, code));
        }
        let filtered = report.notes.iter().any(|note| note.code == "filtered_out");
        if report.outcome == Outcome::NoTests && report.counts.total == 0 && !filtered {
            report.notes.extend(nothing_ran(&self.job.suite));
        }
        let met = Met {
            limit: attempted.limit.as_deref(),
            said: attempted.said.as_deref(),
            tail: &attempted.tail,
        };
        limits::tell(&mut report, met, &self.job.suite.limits);
        for name in &attempted.refused {
            report.complete = false;
            let message =
                format!("`{name}` among the event files is no regular file and was not read");
            report.notes.push(Note::new("event_file_refused", message));
        }
        let around = notes::Surroundings {
            root: &self.job.place.root,
            home: &self.home(),
            network: self.job.network,
            sandboxed: self.sandboxed(),
        };
        notes::add(&mut report, &attempted.tail, around);
        report
    }

    fn home(&self) -> PathBuf {
        let home = self.job.env.iter().find(|(name, _)| name == "HOME");
        home.map_or(self.job.place.home.clone(), |(_, home)| home.into())
    }

    fn refused(&self, error: &SandboxError) -> Report {
        let mut report = broken(&self.job.suite, &whole_message(error));
        if let SandboxError::NoProgram { .. } = error {
            report.notes = vec![not_started(&error.to_string(), &self.job.suite, NO_PROGRAM)];
        }
        if let SandboxError::Unavailable { remedy, .. } = error {
            report.notes[0].remedy = Some(remedy.clone());
        }
        report
    }
}

/// An error with its causes.
fn whole_message(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The command could not be started inside: mostly its program is not there.
fn not_started(reason: &str, suite: &Suite, code: &str) -> Note {
    let program = suite.command.first().map_or("", String::as_str);
    let message = format!(
        "`{}` could not be started: {reason}",
        suite.command.join(" ")
    );
    let remedy = match install(suite.framework) {
        Some(how) => format!("{how}; or set `command` of the suite in regreen.toml"),
        None => format!("check that `{program}` exists and is executable"),
    };
    Note::new(code, message).remedy(remedy)
}

/// How a framework comes to be where a suite looks for it.
fn install(framework: Framework) -> Option<&'static str> {
    Some(match framework {
        Framework::Cargo => {
            "install Rust with rustup (https://rustup.rs), or check `regreen doctor`"
        }
        Framework::Nextest => "install it with `cargo install cargo-nextest --locked`",
        Framework::Pytest => "make a virtual environment with pytest in `.venv`",
        Framework::Unittest => "install Python 3",
        Framework::GoTest => "install Go (https://go.dev/dl)",
        Framework::Jest | Framework::Vitest | Framework::Mocha => {
            "run `npm install` (or your package manager's) in the suite's directory"
        }
        Framework::NodeTest => "install Node.js 18 or newer",
        Framework::Ctest | Framework::Gtest => "install CMake, and configure and build the project",
        Framework::Rspec | Framework::Minitest => "run `bundle install`, or install the gem",
        Framework::Phpunit => "run `composer install`, or install PHPUnit",
        Framework::Bats => "install bats-core",
        Framework::Prove => "install Perl, which brings `prove`",
        Framework::Junit => "install a JDK and the build tool that the suite names",
        Framework::Tap | Framework::Generic => return None,
    })
}

/// What a framework takes for a test.
fn example(framework: Framework) -> Option<&'static str> {
    Some(match framework {
        Framework::Cargo | Framework::Nextest => "a function with `#[test]`",
        Framework::Pytest => "a function `test_…` in a file `test_….py`",
        Framework::Unittest => "a method `test_…` of a `unittest.TestCase` in a file `test….py`",
        Framework::GoTest => "a function `TestXxx(t *testing.T)` in a file `…_test.go`",
        Framework::Jest | Framework::Vitest => "a `test(…)` in a file `….test.js`",
        Framework::Mocha => "an `it(…)` in a file below `test/`",
        Framework::NodeTest => "a `test(…)` of `node:test` in a file `….test.js`",
        Framework::Ctest => "an `add_test(…)` after `enable_testing()` in CMakeLists.txt",
        Framework::Gtest => "a `TEST(…)`",
        Framework::Rspec => "an `it` in a file `spec/…_spec.rb`",
        Framework::Minitest => "a method `test_…` in a file `test/…_test.rb`",
        Framework::Phpunit => "a method `test…` in a file `…Test.php`",
        Framework::Bats => "a `@test \"…\" { … }` in a file `….bats`",
        Framework::Prove => "a file `t/….t`",
        Framework::Junit => "a method with `@Test`",
        Framework::Tap | Framework::Generic => return None,
    })
}

/// What to do where a framework found no test at all.
fn nothing_ran(suite: &Suite) -> Option<Note> {
    let wanted = example(suite.framework)?;
    let message = format!("`{}` ran no test", suite.command.join(" "));
    let remedy = format!(
        "add {wanted}; or say in regreen.toml how the suite runs: `[[suite]]` with `name = \"{}\"` \
         and `command`",
        suite.name
    );
    Some(Note::new("nothing_ran", message).remedy(remedy))
}

/// Who hears of an attempt's tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tell {
    All,
    Failures,
    Nothing,
}
