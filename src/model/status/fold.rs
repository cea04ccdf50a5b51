//! From events to the status. Pure: the same events give the same status, whether they come
//! in one by one or out of the journal after a restart.

use crate::model::Activity;
use crate::model::Counts;
use crate::model::Event;
use crate::model::EventKind;
use crate::model::Failure;
use crate::model::Isolation;
use crate::model::LeftOutFile;
use crate::model::LoopId;
use crate::model::Note;
use crate::model::Outcome;
use crate::model::ProjectId;
use crate::model::ReusedFrom;
use crate::model::RunId;
use crate::model::SnapshotId;
use crate::model::StopReason;
use crate::model::TestRef;
use crate::model::Timestamp;
use crate::model::Trigger;
use crate::model::UPROOTED;
use crate::model::Verdict;
use crate::model::status::DaemonStatus;
use crate::model::status::FlakyTest;
use crate::model::status::LoopStatus;
use crate::model::status::MAX_FAILURES;
use crate::model::status::RunStatus;
use crate::model::status::SCHEMA;
use crate::model::status::Status;
use crate::model::status::StatusFailure;
use crate::model::status::SuiteStatus;
use crate::model::status::VALID_FOR;
use crate::model::status::WatchStatus;
use crate::model::status::clean;
use crate::model::status::for_status;
use crate::model::status::printable;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;

/// Loops that have ended are shown as long as they are among so many.
const LOOPS: usize = 5;

/// What the events so far say about one project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fold {
    project: ProjectId,
    path: String,
    /// What tells the repository at the path from every other.
    #[serde(default)]
    identity: Option<String>,
    trigger: Trigger,
    branch: Option<String>,
    head: Option<String>,
    dirty: bool,
    snapshot: Option<SnapshotId>,
    /// Something changed, and the slot does not agree with the worktree yet.
    unsynced: bool,
    paused: bool,
    suites: Vec<SuiteFold>,
    runs: BTreeMap<RunId, RunFold>,
    isolation: Option<Isolation>,
    left_out: Vec<LeftOutFile>,
    ignored: Vec<String>,
    degraded: Option<String>,
    slot_bytes: u64,
    /// By code; the flag says whether it keeps verdicts from being made.
    troubles: BTreeMap<String, (Note, bool)>,
    loops: Vec<LoopStatus>,
    verdict: Verdict,
    since: Timestamp,
}

/// What is known of a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SuiteFold {
    name: String,
    verdict: Verdict,
    since: Timestamp,
    /// The snapshot that the verdict is about.
    tested: Option<SnapshotId>,
    outcome: Option<Outcome>,
    counts: Counts,
    run: Option<RunStatus>,
    reused_from: Option<ReusedFrom>,
    /// When it was found that an earlier run answers; its age is counted from there.
    #[serde(default)]
    reused_at: Option<Timestamp>,
    failures: Vec<StatusFailure>,
    more: u64,
    flaky: Vec<TestRef>,
    notes: Vec<Note>,
    /// The last run ended without saying anything about the project.
    unsettled: bool,
}

/// A run that waits or goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct RunFold {
    suite: String,
    snapshot: SnapshotId,
    started: Option<Timestamp>,
    done: u64,
    total: Option<u64>,
    failures: Vec<StatusFailure>,
    more: u64,
}

impl SuiteFold {
    fn new(name: &str, at: Timestamp) -> Self {
        SuiteFold {
            name: name.to_owned(),
            verdict: Verdict::Unknown,
            since: at,
            tested: None,
            outcome: None,
            counts: Counts::default(),
            run: None,
            reused_from: None,
            reused_at: None,
            failures: Vec::new(),
            more: 0,
            flaky: Vec::new(),
            notes: Vec::new(),
            unsettled: false,
        }
    }

    fn set_verdict(&mut self, verdict: Verdict, at: Timestamp) {
        if self.verdict != verdict {
            self.verdict = verdict;
            self.since = at;
        }
    }

    /// Since when a test fails: as before, if it failed before.
    fn failing_since(&self, failure: &Failure, at: Timestamp) -> Timestamp {
        self.failures
            .iter()
            .find(|old| same_test(&old.failure, failure))
            .map_or(at, |old| old.since)
    }
}

fn same_test(a: &Failure, b: &Failure) -> bool {
    a.id == b.id && a.target == b.target
}

impl Fold {
    /// A project of which nothing is known yet.
    pub fn new(project: ProjectId, path: &str, at: Timestamp) -> Self {
        Fold {
            project,
            path: path.to_owned(),
            identity: None,
            trigger: Trigger::Save,
            branch: None,
            head: None,
            dirty: false,
            snapshot: None,
            unsynced: true,
            paused: false,
            suites: Vec::new(),
            runs: BTreeMap::new(),
            isolation: None,
            left_out: Vec::new(),
            ignored: Vec::new(),
            degraded: None,
            slot_bytes: 0,
            troubles: BTreeMap::new(),
            loops: Vec::new(),
            verdict: Verdict::Unknown,
            since: at,
        }
    }

    /// Takes in what happened. Events of other projects are ignored.
    pub fn apply(&mut self, event: &Event) {
        if event.project.as_ref().is_some_and(|id| *id != self.project) {
            return;
        }
        self.take(event.at, &event.kind);
        let verdict = self.worst_verdict();
        if verdict != self.verdict {
            self.verdict = verdict;
            self.since = event.at;
        }
    }

    /// Whether the project was told to wait.
    pub fn paused(&self) -> bool {
        self.paused
    }

    /// How a loop stood by the last word about it.
    pub fn loop_status(&self, id: &LoopId) -> Option<&LoopStatus> {
        self.loops.iter().find(|known| known.id == *id)
    }

    /// Whether this is another repository than the one that everything here is about.
    pub fn is_another(&self, identity: &str) -> bool {
        self.identity
            .as_deref()
            .is_some_and(|known| known != identity)
    }

    /// Whether what is known is about the tree of another trigger.
    pub fn is_of_another(&self, trigger: Trigger) -> bool {
        self.snapshot.is_some() && self.trigger != trigger
    }

    /// Why watching is degraded, if it is.
    pub fn degraded(&self) -> Option<&str> {
        self.degraded.as_deref()
    }

    /// Whether a trouble of this code is shown.
    pub fn has_trouble(&self, code: &str) -> bool {
        self.troubles.contains_key(code)
    }

    fn take(&mut self, at: Timestamp, kind: &EventKind) {
        match kind {
            EventKind::DaemonStarted { .. } => {
                self.unsynced = true;
                self.troubles.clear();
                self.degraded = None;
            }
            EventKind::ProjectAdded { path, trigger, .. } => {
                self.path.clone_from(path);
                self.trigger = *trigger;
                // Nobody knows what happened before.
                self.unsynced = true;
            }
            EventKind::ProjectRemoved => {
                self.unsynced = true;
                self.runs.clear();
            }
            EventKind::Rooted { identity } => self.rooted(at, identity),
            EventKind::Changed { .. } => self.unsynced = true,
            EventKind::EnvironmentChanged => {
                self.unsynced = true;
                // The snapshot may be the same; the verdicts on it are about something else.
                self.suites
                    .iter_mut()
                    .for_each(|suite| suite.unsettled = true);
            }
            EventKind::Synced {
                snapshot,
                branch,
                head,
                dirty,
            } => {
                self.snapshot = Some(snapshot.clone());
                self.branch = branch.as_deref().map(printable);
                self.head.clone_from(head);
                self.dirty = *dirty;
                self.unsynced = false;
            }
            EventKind::SuitesFound { suites, ignored } => {
                self.set_suites(suites, at);
                self.ignored = ignored.iter().map(|text| printable(text)).collect();
            }
            EventKind::SlotChanged { left_out, bytes } => {
                self.left_out = left_out.iter().map(shown_file).collect();
                self.slot_bytes = *bytes;
            }
            EventKind::Trouble { note, blocks } => {
                let shown = clean::note(note);
                self.troubles.insert(note.code.clone(), (shown, *blocks));
            }
            EventKind::TroubleOver { code } => {
                self.troubles.remove(code);
            }
            EventKind::Panicked { message } => {
                let note = Note::new("panic", format!("regreen itself panicked: {message}"))
                    .remedy("see `regreen logs`; please report it");
                self.troubles
                    .insert("panic".to_owned(), (clean::note(&note), false));
            }
            EventKind::WatchMode { degraded } => {
                self.degraded = degraded.as_deref().map(printable);
            }
            EventKind::Paused => self.paused = true,
            EventKind::Resumed => self.paused = false,
            EventKind::Loop {
                id,
                state,
                iteration,
                stop,
            } => self.set_loop(id, state, *iteration, *stop),
            EventKind::LoopForgotten { id } => self.loops.retain(|known| known.id != *id),
            _ => self.take_run(at, kind),
        }
    }

    /// Nothing that was known of another repository at the same path is known of this one.
    fn rooted(&mut self, at: Timestamp, identity: &str) {
        if self.is_another(identity) {
            *self = Fold {
                trigger: self.trigger,
                paused: self.paused,
                runs: std::mem::take(&mut self.runs),
                degraded: self.degraded.take(),
                troubles: std::mem::take(&mut self.troubles),
                verdict: self.verdict,
                since: self.since,
                ..Fold::new(self.project.clone(), &self.path, at)
            };
        }
        self.identity = Some(identity.to_owned());
    }

    fn take_run(&mut self, at: Timestamp, kind: &EventKind) {
        match kind {
            EventKind::RunQueued {
                run,
                suite,
                snapshot,
                ..
            } => {
                let fold = RunFold {
                    suite: suite.clone(),
                    snapshot: snapshot.clone(),
                    started: None,
                    done: 0,
                    total: None,
                    failures: Vec::new(),
                    more: 0,
                };
                self.runs.insert(run.clone(), fold);
            }
            EventKind::RunStarted { run } => {
                if let Some(run) = self.runs.get_mut(run) {
                    run.started = Some(at);
                }
            }
            EventKind::RunProgress {
                run, done, total, ..
            } => {
                if let Some(run) = self.runs.get_mut(run) {
                    run.done = *done;
                    run.total = *total;
                }
            }
            EventKind::TestFailed { run, failure } => self.test_failed(at, run, failure),
            EventKind::RunFinished { run, .. } => {
                if let Some(fold) = self.runs.remove(run) {
                    self.finished(at, run, &fold, kind);
                }
            }
            EventKind::RunSuperseded { run }
            | EventKind::RunCancelled { run }
            | EventKind::RunLost { run } => {
                self.runs.remove(run);
            }
            EventKind::RunReused {
                suite,
                snapshot,
                from,
                age_ms,
                counts,
            } => {
                let reused_from = ReusedFrom {
                    run: from.as_str().to_owned(),
                    age_ms: *age_ms,
                };
                self.reused(at, suite, snapshot, reused_from, *counts);
            }
            _ => {}
        }
    }

    fn set_suites(&mut self, names: &[String], at: Timestamp) {
        let mut known = std::mem::take(&mut self.suites);
        self.suites = names
            .iter()
            .map(
                |name| match known.iter().position(|suite| suite.name == *name) {
                    Some(place) => known.swap_remove(place),
                    None => SuiteFold::new(name, at),
                },
            )
            .collect();
    }

    fn set_loop(&mut self, id: &LoopId, state: &str, iteration: u32, stop: Option<StopReason>) {
        self.loops.retain(|known| known.id != *id);
        self.loops.insert(
            0,
            LoopStatus {
                id: id.clone(),
                state: printable(state),
                iteration,
                stop,
            },
        );
        let mut ended = 0;
        self.loops.retain(|known| {
            ended += usize::from(known.stop.is_some());
            known.stop.is_none() || ended <= LOOPS
        });
    }

    fn suite(&mut self, name: &str, at: Timestamp) -> &mut SuiteFold {
        let place = match self.suites.iter().position(|suite| suite.name == name) {
            Some(place) => place,
            None => {
                self.suites.push(SuiteFold::new(name, at));
                self.suites.len() - 1
            }
        };
        &mut self.suites[place]
    }

    fn test_failed(&mut self, at: Timestamp, run: &RunId, failure: &Failure) {
        let Some(name) = self.runs.get(run).map(|run| run.suite.clone()) else {
            return;
        };
        let failure = for_status(failure);
        let seen = StatusFailure {
            since: self.suite(&name, at).failing_since(&failure, at),
            suite: name,
            run: run.clone(),
            stale: false,
            failure,
        };
        let Some(run) = self.runs.get_mut(run) else {
            return;
        };
        // The early look and the full run may both see it.
        let known = run
            .failures
            .iter()
            .position(|known| same_test(&known.failure, &seen.failure));
        match known {
            Some(place) => run.failures[place] = seen,
            None if run.failures.len() < MAX_FAILURES => run.failures.push(seen),
            None => run.more += 1,
        }
    }

    fn finished(&mut self, at: Timestamp, id: &RunId, run: &RunFold, kind: &EventKind) {
        let EventKind::RunFinished {
            outcome,
            complete,
            counts,
            duration_ms,
            failures,
            more,
            flaky,
            isolation,
            notes,
            ..
        } = kind
        else {
            return;
        };
        if isolation.is_some() {
            self.isolation.clone_from(isolation);
        }
        let suite = self.suite(&run.suite, at);
        suite.outcome = Some(*outcome);
        suite.notes = notes.iter().map(clean::note).collect();
        let proved = counts.passed > 0 && counts.failed == 0;
        let verdict = match Verdict::of(*outcome, *complete) {
            Some(Verdict::Green) if !proved => Verdict::Unknown,
            Some(verdict) => verdict,
            None => {
                suite.unsettled = true;
                return;
            }
        };
        suite.unsettled = false;
        suite.set_verdict(verdict, at);
        suite.tested = Some(run.snapshot.clone());
        suite.counts = *counts;
        suite.reused_from = None;
        suite.run = Some(RunStatus {
            id: id.clone(),
            done: counts.total,
            total: Some(counts.total),
            started: run.started,
            duration_ms: Some(*duration_ms),
        });
        let seen: Vec<StatusFailure> = failures
            .iter()
            .map(for_status)
            .map(|failure| StatusFailure {
                suite: run.suite.clone(),
                run: id.clone(),
                since: suite.failing_since(&failure, at),
                stale: false,
                failure,
            })
            .collect();
        suite.more = *more + seen.len().saturating_sub(MAX_FAILURES) as u64;
        suite.failures = seen;
        suite.failures.truncate(MAX_FAILURES);
        suite.flaky.clone_from(flaky);
    }

    fn reused(
        &mut self,
        at: Timestamp,
        name: &str,
        snapshot: &SnapshotId,
        from: ReusedFrom,
        counts: Counts,
    ) {
        let suite = self.suite(name, at);
        suite.set_verdict(Verdict::Green, at);
        suite.outcome = Some(Outcome::Passed);
        suite.tested = Some(snapshot.clone());
        suite.unsettled = false;
        suite.failures.clear();
        suite.more = 0;
        suite.flaky.clear();
        suite.notes.clear();
        suite.counts = counts;
        suite.run = None;
        suite.reused_from = Some(from);
        suite.reused_at = Some(at);
    }

    fn worst_verdict(&self) -> Verdict {
        self.suites
            .iter()
            .map(|suite| suite.verdict)
            .min()
            .unwrap_or_default()
    }

    /// The status at `now`, as written by `daemon`; without one, as a clean stop leaves it.
    pub fn status(&self, now: Timestamp, daemon: Option<&DaemonStatus>) -> Status {
        let blocked = self.troubles.values().any(|(_, blocks)| *blocks);
        let uprooted = self.degraded.as_deref() == Some(UPROOTED);
        let known = self.snapshot.is_some() && daemon.is_some();
        let all_stale = self.unsynced || blocked || uprooted || !known;
        let mut suites: Vec<SuiteStatus> = self
            .suites
            .iter()
            .map(|suite| self.suite_status(suite, all_stale, now))
            .collect();
        let mut activity = suites
            .iter()
            .map(|suite| suite.activity)
            .chain([self.own_activity()])
            .min()
            .unwrap_or_default();
        if daemon.is_none() {
            activity = Activity::Idle;
            suites
                .iter_mut()
                .for_each(|suite| suite.activity = Activity::Idle);
        }
        let (failures, more) = self.failures(&suites);
        Status {
            schema: SCHEMA,
            project: self.path.clone(),
            project_id: self.project.clone(),
            branch: self.branch.clone(),
            head: self.head.clone(),
            trigger: self.trigger,
            snapshot: self.snapshot.clone(),
            dirty: self.dirty,
            verdict: self.verdict,
            activity,
            stale: all_stale || suites.iter().any(|suite| suite.stale),
            since: self.since,
            failures,
            more,
            flaky: self.flaky(),
            suites,
            loops: self.loops.clone(),
            isolation: self.isolation.clone(),
            left_out: self.left_out.clone(),
            ignored: self.ignored.clone(),
            watch: WatchStatus {
                degraded: self.degraded.clone(),
            },
            slot_bytes: self.slot_bytes,
            notes: self.notes(),
            daemon: daemon.cloned(),
            updated_at: now,
            next_update_by: now.plus(VALID_FOR),
        }
    }

    fn own_activity(&self) -> Activity {
        match (self.unsynced, self.paused) {
            (true, _) => Activity::Syncing,
            (false, true) => Activity::Paused,
            (false, false) => Activity::Idle,
        }
    }

    fn suite_status(&self, suite: &SuiteFold, all_stale: bool, now: Timestamp) -> SuiteStatus {
        let open = self.open_run(&suite.name);
        let activity = match open {
            Some((_, run)) if run.started.is_some() => Activity::Running,
            Some(_) if self.paused => Activity::Paused,
            Some(_) => Activity::Queued,
            None => self.own_activity(),
        };
        SuiteStatus {
            name: suite.name.clone(),
            verdict: suite.verdict,
            activity,
            stale: all_stale || suite.unsettled || suite.tested != self.snapshot,
            since: suite.since,
            outcome: suite.outcome,
            tested: suite.tested.clone(),
            counts: suite.counts,
            run: match open {
                Some((id, run)) => Some(RunStatus {
                    id: id.clone(),
                    done: run.done,
                    total: run.total,
                    started: run.started,
                    duration_ms: None,
                }),
                None => suite.run.clone(),
            },
            reused_from: suite.reused_from.clone().map(|from| ReusedFrom {
                age_ms: from.age_ms
                    + suite
                        .reused_at
                        .map_or(0, |at| now.since(at).as_millis() as u64),
                ..from
            }),
        }
    }

    /// The run of a suite that goes on, or else the one that waits.
    fn open_run(&self, suite: &str) -> Option<(&RunId, &RunFold)> {
        self.runs
            .iter()
            .filter(|(_, run)| run.suite == suite)
            .max_by_key(|(id, run)| (run.started.is_some(), *id))
    }

    /// What the runs that go on have seen so far, and what the verdicts rest on, newest first.
    fn failures(&self, suites: &[SuiteStatus]) -> (Vec<StatusFailure>, u64) {
        let mut all: Vec<StatusFailure> = Vec::new();
        let mut more = 0;
        for (fold, shown) in self.suites.iter().zip(suites) {
            let running = self
                .open_run(&fold.name)
                .filter(|(_, run)| run.started.is_some());
            let fresh: &[StatusFailure] = running.map_or(&[], |(_, run)| &run.failures);
            let about_now =
                running.is_some_and(|(_, run)| Some(&run.snapshot) == self.snapshot.as_ref());
            all.extend(fresh.iter().cloned().map(|mut failure| {
                failure.stale = self.unsynced || !about_now;
                failure
            }));
            let is_fresh =
                |old: &StatusFailure| fresh.iter().any(|f| same_test(&f.failure, &old.failure));
            all.extend(
                fold.failures
                    .iter()
                    .filter(|old| !is_fresh(old))
                    .cloned()
                    .map(|mut failure| {
                        failure.stale = shown.stale;
                        failure
                    }),
            );
            more += fold.more.max(running.map_or(0, |(_, run)| run.more));
        }
        // Stable: what began to fail together stays in the order in which it was seen.
        all.sort_by(|a, b| (a.stale, b.since).cmp(&(b.stale, a.since)));
        more += all.len().saturating_sub(MAX_FAILURES) as u64;
        all.truncate(MAX_FAILURES);
        (all, more)
    }

    fn flaky(&self) -> Vec<FlakyTest> {
        self.suites
            .iter()
            .flat_map(|suite| {
                suite
                    .flaky
                    .iter()
                    .map(|test| FlakyTest::of(&suite.name, test))
            })
            .take(MAX_FAILURES)
            .collect()
    }

    fn notes(&self) -> Vec<Note> {
        let mut notes: Vec<Note> = self
            .troubles
            .values()
            .map(|(note, _)| note.clone())
            .collect();
        // Where the configuration is broken nothing was looked for.
        let looked = self.snapshot.is_some() && !self.unsynced && !self.has_trouble("config");
        if looked && self.suites.is_empty() {
            notes.push(
                Note::new("no_suite", "no test suite was found in this project")
                    .remedy("see `regreen config suites`, or name one in regreen.toml"),
            );
        }
        // What several suites, or several tests of one, have to say alike is said once.
        for note in self.suites.iter().flat_map(|suite| &suite.notes) {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        notes
    }
}

fn shown_file(file: &LeftOutFile) -> LeftOutFile {
    LeftOutFile {
        path: printable(&file.path),
        reason: printable(&file.reason),
    }
}
