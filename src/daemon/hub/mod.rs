//! The hub: the only owner of the daemon's state. Pure: `step` takes in what happened and
//! answers what is to be done; the time is an argument. Carrying it out is `effects`' business,
//! and what comes of that comes back as [`Input`].

mod lost;
mod project;
mod requests;
mod runs;
mod sync;

#[cfg(test)]
mod tests;

pub use project::GreenRun;
pub use project::Opened;
pub use project::SuiteKey;
pub use project::SyncReport;
pub use requests::Answer;
pub use requests::Ask;
pub use requests::Recovered;

use crate::model::Counts;
use crate::model::Event;
use crate::model::EventKind;
use crate::model::Failure;
use crate::model::Note;
use crate::model::Origin;
use crate::model::ProjectId;
use crate::model::Report;
use crate::model::RunId;
use crate::model::RunKey;
use crate::model::SnapshotId;
use crate::model::Timestamp;
use crate::model::status::DaemonStatus;
use crate::model::status::Fold;
use crate::model::status::LoopStatus;
use crate::model::status::Status;
use crate::run::queue::Queue;
use project::Project;
use requests::Deferred;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// How often [`Input::Tick`] comes. With the second below it every status is written at least
/// every four seconds; the contract wants five.
pub const TICK: Duration = Duration::from_secs(3);

/// A status younger than this at a tick waits for the next one.
const FRESH: Duration = Duration::from_secs(1);

/// More time than this between two ticks: the machine slept, and events may be lost.
const ASLEEP: Duration = Duration::from_secs(30);

/// The fold of a project is kept after so many events.
const CHECKPOINT: u32 = 500;

/// What comes back from whoever asked, or waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// The first: what is to be watched, with what the journal says of it.
    Started(Vec<(ProjectId, PathBuf, Recovered)>),
    /// Time goes by.
    Tick,
    /// Somebody asks for something.
    Ask {
        /// To whom the answer goes.
        token: Token,
        /// What is asked.
        ask: Ask,
    },
    /// The disk has what [`Effect::Commit`] named, or refused it.
    Committed {
        /// Which one.
        token: Token,
        /// Why not, in words for the user.
        result: Result<(), String>,
    },
    /// Whether the journal can be written.
    StoreTrouble(Option<String>),
    /// A project is watched, or cannot be.
    Opened {
        /// The project.
        project: ProjectId,
        /// What was found, or why not.
        result: Result<Opened, Note>,
    },
    /// Something was touched.
    Changed {
        /// The project.
        project: ProjectId,
        /// Where it came from.
        origin: Origin,
        /// The touched paths.
        paths: Vec<PathBuf>,
        /// Whether the tree has to be walked.
        rescan: bool,
    },
    /// What is carried into a project's sandbox from outside its snapshot was touched.
    EnvironmentChanged {
        /// The project.
        project: ProjectId,
    },
    /// Watching got worse (with a reason) or is well again.
    WatchMode {
        /// The project.
        project: ProjectId,
        /// The reason.
        degraded: Option<String>,
    },
    /// The slot agrees with the worktree, or could not be made to.
    Synced {
        /// The project.
        project: ProjectId,
        /// Where it stands, or why not.
        result: Result<Box<SyncReport>, Note>,
    },
    /// A run got on.
    RunProgress {
        /// The run.
        run: RunId,
        /// Tests ended so far.
        done: u64,
        /// Tests known so far.
        total: Option<u64>,
        /// The counts so far.
        counts: Counts,
    },
    /// A test failed in a run that goes on.
    TestFailed {
        /// The run.
        run: RunId,
        /// The failure.
        failure: Box<Failure>,
    },
    /// A run ended.
    RunEnded {
        /// The run.
        run: RunId,
        /// Its report.
        report: Box<Report>,
    },
    /// What else than its snapshot a green run's verdict depends on.
    Digested {
        /// The project.
        project: ProjectId,
        /// The run.
        run: RunId,
        /// Its whole key.
        key: RunKey,
        /// Its counts.
        counts: Counts,
    },
    /// What a project's slot takes on disk.
    SlotSize {
        /// The project.
        project: ProjectId,
        /// In bytes.
        bytes: u64,
    },
    /// How a loop stands.
    Loop {
        /// Its project.
        project: ProjectId,
        /// How it stands.
        status: LoopStatus,
    },
    /// Something to tell the user, or no longer.
    Noted {
        /// The project.
        project: ProjectId,
        /// The note's code.
        code: &'static str,
        /// The note; absent when it is over.
        note: Option<Note>,
    },
    /// A part of regreen panicked.
    Panicked {
        /// In whose service, if that is known.
        project: Option<ProjectId>,
        /// What and where.
        message: String,
    },
    /// A project's worktree is not where it was.
    Uprooted {
        /// The project.
        project: ProjectId,
    },
    /// A project's watcher and slot are given back.
    Closed {
        /// The project.
        project: ProjectId,
    },
    /// Whoever served a project is no more; watcher and slot are given back, and what it was
    /// about to say will not come.
    Died {
        /// The project.
        project: ProjectId,
    },
    /// The daemon is to end in good order.
    Stop,
}

/// Something to do. Effects are carried out in their order; the journal comes first.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write to the journal; nobody waits for it.
    Journal(Vec<Event>),
    /// Write to the disk and say so ([`Input::Committed`]).
    Commit {
        /// What to say.
        token: Token,
        /// What to write.
        events: Vec<Event>,
    },
    /// Watch a worktree and take its slot ([`Input::Opened`]).
    Open {
        /// The project.
        project: ProjectId,
        /// Its worktree.
        path: PathBuf,
    },
    /// Give watcher and slot back ([`Input::Closed`]).
    Close {
        /// The project.
        project: ProjectId,
    },
    /// Bring the slot up to date ([`Input::Synced`]).
    Sync {
        /// The project.
        project: ProjectId,
        /// The touched paths.
        paths: Vec<PathBuf>,
        /// Whether the tree has to be walked.
        rescan: bool,
    },
    /// Run a suite in the slot as it stands ([`Input::RunEnded`]).
    Run {
        /// The project.
        project: ProjectId,
        /// The run.
        run: RunId,
        /// The suite's name.
        suite: String,
        /// What stands in the slot.
        snapshot: SnapshotId,
    },
    /// End a run; it still reports.
    Cancel {
        /// The run.
        run: RunId,
    },
    /// Write the status file and show the status.
    Status {
        /// The project.
        project: ProjectId,
        /// The status.
        status: Box<Status>,
    },
    /// Keep the fold of a project's events.
    Checkpoint {
        /// The project.
        project: ProjectId,
        /// The fold.
        body: serde_json::Value,
    },
    /// Answer whoever asked.
    Reply {
        /// Who.
        token: Token,
        /// What.
        answer: Answer,
    },
    /// Tell the service manager: all is watched.
    Ready,
    /// Tell the service manager: alive, and how it goes.
    Alive {
        /// One line.
        summary: String,
    },
    /// Everything is closed: end.
    Exit,
}

/// The daemon's whole state.
#[derive(Debug)]
pub struct State {
    me: DaemonStatus,
    projects: BTreeMap<ProjectId, Project>,
    queue: Queue,
    store_trouble: Option<String>,
    deferred: BTreeMap<Token, Deferred>,
    /// Whoever waits for a project's end.
    closing: BTreeMap<ProjectId, Vec<Token>>,
    /// What was last shown of projects that were given up while this daemon runs: newer than
    /// what the journal said to whoever asked for them again before they were closed.
    given_up: BTreeMap<ProjectId, Fold>,
    /// Runs that go on and that somebody no longer wants.
    cancelled: BTreeSet<RunId>,
    /// The last panic of this daemon, for projects that come later.
    panic: Option<Event>,
    ready: bool,
    stopping: bool,
    last_tick: Timestamp,
    entropy: u64,
}

/// What a step gathers.
#[derive(Debug, Default)]
struct Out {
    events: Vec<Event>,
    effects: Vec<Effect>,
}

impl State {
    /// A daemon without projects. `entropy` keeps the ids of two daemons apart.
    pub fn new(me: DaemonStatus, parallel: usize, entropy: u64) -> Self {
        State {
            last_tick: me.started,
            me,
            projects: BTreeMap::new(),
            queue: Queue::new(parallel),
            store_trouble: None,
            deferred: BTreeMap::new(),
            closing: BTreeMap::new(),
            given_up: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            panic: None,
            ready: false,
            stopping: false,
            entropy,
        }
    }

    fn started_event(&self) -> EventKind {
        EventKind::DaemonStarted {
            pid: self.me.pid,
            version: self.me.version.clone(),
        }
    }

    fn started(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        projects: Vec<(ProjectId, PathBuf, Recovered)>,
    ) {
        out.events.push(Event {
            at: now,
            project: None,
            kind: self.started_event(),
        });
        for (id, path, recovered) in projects {
            self.adopt(out, now, &id, path, false, recovered);
        }
        self.say_ready(out);
    }

    fn new_run(&mut self, now: Timestamp) -> RunId {
        // A linear congruence: neighbours differ in every digit that an id shows.
        self.entropy = self
            .entropy
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        RunId::make(now, self.entropy >> 32)
    }

    /// Something happened to a project: into its fold, and out to the journal.
    fn emit(&mut self, out: &mut Out, now: Timestamp, project: &ProjectId, kind: EventKind) {
        let event = Event {
            at: now,
            project: Some(project.clone()),
            kind,
        };
        self.show(&event);
        if let Some(project) = self.projects.get_mut(project) {
            project.since_checkpoint += 1;
        }
        // Progress and early failures are only shown: they say nothing that outlives the run.
        let passing = matches!(
            event.kind,
            EventKind::RunProgress { .. } | EventKind::TestFailed { .. }
        );
        if !passing {
            out.events.push(event);
        }
    }

    /// Something that is in the journal already, or need not be.
    fn show(&mut self, event: &Event) {
        let of = |id: &ProjectId| event.project.as_ref().is_none_or(|project| project == id);
        for (id, project) in &mut self.projects {
            if of(id) {
                project.fold.apply(event);
                project.unwritten = true;
            }
        }
    }

    /// Starts what may start.
    fn start_runs(&mut self, out: &mut Out, now: Timestamp) {
        if self.stopping {
            return;
        }
        loop {
            let projects = &self.projects;
            let ready = |id: &ProjectId| projects.get(id).is_some_and(Project::may_run);
            let Some(request) = self.queue.next(ready) else {
                return;
            };
            let Some(project) = self.projects.get_mut(&request.project) else {
                continue;
            };
            project.syncs_in_a_row = 0;
            let run = request.run.clone();
            self.emit(out, now, &request.project, EventKind::RunStarted { run });
            out.effects.push(Effect::Run {
                project: request.project,
                run: request.run,
                suite: request.key.suite,
                snapshot: request.key.snapshot,
            });
        }
    }

    /// Starts synchronising where something changed and nothing is in the way.
    fn start_syncs(&mut self, out: &mut Out) {
        if self.stopping {
            return;
        }
        for (id, project) in &mut self.projects {
            if !self.queue.runs(id)
                && let Some((paths, rescan)) = project.take_changes()
            {
                out.effects.push(Effect::Sync {
                    project: id.clone(),
                    paths,
                    rescan,
                });
            }
        }
    }

    fn write_statuses(&mut self, out: &mut Out, now: Timestamp, stale: Duration) {
        for (id, project) in &mut self.projects {
            if project.unwritten || now.since(project.written) >= stale {
                project.unwritten = false;
                project.written = now;
                out.effects.push(Effect::Status {
                    project: id.clone(),
                    status: Box::new(project.fold.status(now, Some(&self.me))),
                });
            }
        }
    }

    fn tick(&mut self, out: &mut Out, now: Timestamp) {
        let slept = now.since(self.last_tick) > ASLEEP;
        let set_back = now < self.last_tick;
        self.last_tick = now;
        for project in self.projects.values_mut() {
            if set_back {
                project.clock_was_set_back(now);
            }
            project.tick(now, slept);
        }
        let reopen: Vec<_> = self
            .projects
            .iter_mut()
            .filter_map(|(id, project)| Some((id.clone(), project.wants_reopening(now)?)))
            .collect();
        for (project, path) in reopen {
            out.effects.push(Effect::Open { project, path });
        }
        for (id, project) in &mut self.projects {
            if project.since_checkpoint > CHECKPOINT
                && let Ok(body) = serde_json::to_value(&project.fold)
            {
                project.since_checkpoint = 0;
                let project = id.clone();
                out.effects.push(Effect::Checkpoint { project, body });
            }
        }
        let summary = self.summary();
        out.effects.push(Effect::Alive { summary });
    }

    fn summary(&self) -> String {
        let (watched, running) = (self.projects.len(), self.queue.running().len());
        let waiting = self.queue.waiting().count();
        let trouble = match &self.store_trouble {
            Some(trouble) => format!("; {trouble}"),
            None => String::new(),
        };
        format!("watching {watched}, running {running}, queued {waiting}{trouble}")
    }

    fn store_trouble(&mut self, out: &mut Out, now: Timestamp, trouble: Option<String>) {
        if self.store_trouble == trouble {
            return;
        }
        self.store_trouble.clone_from(&trouble);
        let kind = match trouble {
            Some(text) => EventKind::Trouble {
                note: Note::new("store", text)
                    .remedy("verdicts go on; nothing new is accepted until this is mended"),
                blocks: false,
            },
            None => EventKind::TroubleOver {
                code: "store".to_owned(),
            },
        };
        let projects: Vec<ProjectId> = self.projects.keys().cloned().collect();
        for project in projects {
            self.emit(out, now, &project, kind.clone());
        }
    }

    /// Shows how a loop stands, if that is news; one that had ended before it was ever seen is
    /// history.
    fn looped(&mut self, out: &mut Out, now: Timestamp, id: &ProjectId, status: LoopStatus) {
        let Some(project) = self.projects.get(id) else {
            return;
        };
        let known = project.fold.loop_status(&status.id);
        if known == Some(&status) || (known.is_none() && status.stop.is_some()) {
            return;
        }
        let LoopStatus {
            id: of,
            state,
            iteration,
            stop,
        } = status;
        let kind = EventKind::Loop {
            id: of,
            state,
            iteration,
            stop,
        };
        self.emit(out, now, id, kind);
    }

    fn noted(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        id: &ProjectId,
        code: &str,
        note: Option<Note>,
    ) {
        let Some(project) = self.projects.get(id) else {
            return;
        };
        let shown = project.fold.has_trouble(code);
        let kind = match note {
            Some(note) => EventKind::Trouble {
                note,
                blocks: false,
            },
            None if shown => EventKind::TroubleOver {
                code: code.to_owned(),
            },
            None => return,
        };
        self.emit(out, now, id, kind);
    }

    fn panicked(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        project: Option<ProjectId>,
        message: String,
    ) {
        let event = Event {
            at: now,
            project,
            kind: EventKind::Panicked { message },
        };
        self.show(&event);
        if event.project.is_none() {
            self.panic = Some(event.clone());
        }
        out.events.push(event);
    }

    fn stop(&mut self, out: &mut Out) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        for run in self.queue.running() {
            let run = run.run.clone();
            out.effects.push(Effect::Cancel { run });
        }
        let projects: Vec<ProjectId> = self.projects.keys().cloned().collect();
        for project in projects {
            self.close(out, &project);
        }
    }

    fn exit_when_closed(&self, out: &mut Out) {
        if self.stopping && self.projects.is_empty() && self.deferred.is_empty() {
            out.effects.push(Effect::Exit);
        }
    }
}

/// Takes in what happened; answers what is to be done. The journal's entries come first.
pub fn step(state: &mut State, input: Input, now: Timestamp) -> Vec<Effect> {
    let mut out = Out::default();
    let is_tick = matches!(input, Input::Tick);
    match input {
        Input::Started(projects) => state.started(&mut out, now, projects),
        Input::Tick => state.tick(&mut out, now),
        Input::Ask { token, ask } => state.asked(&mut out, now, token, ask),
        Input::Committed { token, result } => state.committed(&mut out, now, token, result),
        Input::StoreTrouble(trouble) => state.store_trouble(&mut out, now, trouble),
        Input::Opened { project, result } => state.opened(&mut out, now, &project, result),
        Input::Changed {
            project,
            origin,
            paths,
            rescan,
        } => state.changed(&mut out, now, &project, origin, paths, rescan),
        Input::EnvironmentChanged { project } => {
            state.environment_changed(&mut out, now, &project);
        }
        Input::WatchMode { project, degraded } => {
            let known = state.projects.get(&project);
            if known.is_some_and(|known| known.fold.degraded() != degraded.as_deref()) {
                state.emit(&mut out, now, &project, EventKind::WatchMode { degraded });
            }
        }
        Input::Synced { project, result } => state.synced(&mut out, now, &project, result),
        Input::RunProgress {
            run,
            done,
            total,
            counts,
        } => state.progress(&mut out, now, run, done, total, counts),
        Input::TestFailed { run, failure } => state.test_failed(&mut out, now, run, failure),
        Input::RunEnded { run, report } => state.run_ended(&mut out, now, &run, &report),
        Input::Digested {
            project,
            run,
            key,
            counts,
        } => state.digested(&mut out, now, &project, run, key, counts),
        Input::SlotSize { project, bytes } => state.slot_size(&mut out, now, &project, bytes),
        Input::Loop { project, status } => state.looped(&mut out, now, &project, status),
        Input::Noted {
            project,
            code,
            note,
        } => state.noted(&mut out, now, &project, code, note),
        Input::Panicked { project, message } => state.panicked(&mut out, now, project, message),
        Input::Uprooted { project } => state.uprooted(&mut out, now, &project),
        Input::Closed { project } => state.closed(&mut out, now, &project),
        Input::Died { project } => state.died(&mut out, now, &project),
        Input::Stop => state.stop(&mut out),
    }
    state.start_runs(&mut out, now);
    state.start_syncs(&mut out);
    let stale = if is_tick { FRESH } else { Duration::MAX };
    state.write_statuses(&mut out, now, stale);
    state.exit_when_closed(&mut out);
    let mut effects = Vec::with_capacity(out.effects.len() + 1);
    if !out.events.is_empty() {
        effects.push(Effect::Journal(out.events));
    }
    effects.append(&mut out.effects);
    effects
}
