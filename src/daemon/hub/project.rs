//! One project as the hub sees it.

use crate::daemon::hub::Effect;
use crate::daemon::hub::Out;
use crate::daemon::hub::Recovered;
use crate::daemon::hub::State;
use crate::model::Counts;
use crate::model::EnvironmentHash;
use crate::model::Event;
use crate::model::EventKind;
use crate::model::LeftOutFile;
use crate::model::Note;
use crate::model::Origin;
use crate::model::ProjectId;
use crate::model::RunId;
use crate::model::RunKey;
use crate::model::SnapshotId;
use crate::model::Timestamp;
use crate::model::Trigger;
use crate::model::status::Fold;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// After so long a project that could not be opened, or a slot that could not be brought up to
/// date, is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// A reconciling walk after so much time without one: the notification is only a hint.
const RECONCILE: Duration = Duration::from_secs(600);

/// More touched paths than this are not worth listing: the tree is walked.
const MANY: usize = 20_000;

/// Green runs that are remembered for reuse.
const GREEN: usize = 200;

/// A run starts although changes wait, once so many synchronisations went before it: a file
/// that is written all the time must not keep the tests from running at all.
const SYNCS: u32 = 3;

/// A green run that may answer an automatic request.
#[derive(Debug, Clone, PartialEq)]
pub struct GreenRun {
    /// What it ran, on what.
    pub key: RunKey,
    /// The run.
    pub run: RunId,
    /// Its counts.
    pub counts: Counts,
    /// When it ended.
    pub ended: Timestamp,
}

/// What opening a project found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Opened {
    /// Which tree is tested.
    pub trigger: Trigger,
    /// What tells its repository from another at the same path, as far as that is known.
    pub identity: Option<String>,
    /// Green runs that may answer an automatic request.
    pub green: Vec<GreenRun>,
    /// Things to tell the user.
    pub notes: Vec<Note>,
}

/// A suite and what else its verdict depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteKey {
    /// Its name.
    pub name: String,
    /// The hash; `None` when it cannot be determined.
    pub environment: Option<EnvironmentHash>,
}

/// Where a project stands after a synchronisation.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncReport {
    /// What stands in the slot.
    pub snapshot: SnapshotId,
    /// The branch that is checked out.
    pub branch: Option<String>,
    /// HEAD's commit.
    pub head: Option<String>,
    /// Whether the snapshot differs from HEAD's tree.
    pub dirty: bool,
    /// The suites, or why they are not known.
    pub suites: Result<Vec<SuiteKey>, Note>,
    /// What an untrusted `regreen.toml` asked for and did not get.
    pub ignored: Vec<String>,
    /// What is not in the slot.
    pub left_out: Vec<LeftOutFile>,
    /// What the slot takes on disk.
    pub slot_bytes: u64,
    /// Things to tell the user.
    pub notes: Vec<Note>,
    /// When the notification was doubted and the tree walked.
    pub rescan: bool,
    /// Whether something else is made of the same snapshot than before: other commands, other
    /// limits.
    pub redefined: bool,
}

/// How far a project is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Watcher and slot are being taken.
    Opening,
    /// Watched.
    Open,
    /// Could not be opened; tried again then.
    Failed(Timestamp),
    /// Being given up.
    Closing,
}

/// What is known of a suite's last attempt.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Attempt {
    pub key: RunKey,
    /// It made a verdict.
    pub settled: bool,
    /// Attempts at this key that did not.
    pub tries: u32,
}

/// One project.
#[derive(Debug)]
pub(super) struct Project {
    pub path: PathBuf,
    pub foreground: bool,
    pub fold: Fold,
    pub phase: Phase,
    pub written: Timestamp,
    pub unwritten: bool,
    /// What the last synchronisation found.
    pub suites: Vec<SuiteKey>,
    pub attempts: BTreeMap<String, Attempt>,
    pub green: Vec<GreenRun>,
    pub since_checkpoint: u32,
    /// Codes of the notes that the last synchronisation brought.
    pub shown_notes: BTreeMap<String, Note>,
    pub shown_slot: Option<(Vec<LeftOutFile>, u64)>,
    pub shown_suites: Option<(Vec<String>, Vec<String>)>,
    pub syncing: bool,
    pub synced: Option<SnapshotId>,
    pub syncs_in_a_row: u32,
    changes: BTreeSet<PathBuf>,
    touched: bool,
    rescan: bool,
    reconciled: Timestamp,
    /// Why it could not be opened or synchronised the last time, if it could not.
    pub failed: Option<Note>,
    /// A synchronisation failed; nothing is synchronised before then.
    retry: Option<Timestamp>,
}

impl Project {
    pub fn new(path: PathBuf, foreground: bool, fold: Fold, now: Timestamp) -> Self {
        Project {
            path,
            foreground,
            fold,
            phase: Phase::Opening,
            written: now,
            unwritten: true,
            suites: Vec::new(),
            attempts: BTreeMap::new(),
            green: Vec::new(),
            since_checkpoint: 0,
            shown_notes: BTreeMap::new(),
            shown_slot: None,
            shown_suites: None,
            syncing: false,
            synced: None,
            syncs_in_a_row: 0,
            changes: BTreeSet::new(),
            touched: true,
            rescan: true,
            reconciled: now,
            failed: None,
            retry: None,
        }
    }

    pub fn has_changes(&self) -> bool {
        self.rescan || self.touched || !self.changes.is_empty()
    }

    /// A change without paths is one of HEAD or the index: there is nothing to copy, but all
    /// the more to look at.
    pub fn touch(&mut self, paths: Vec<PathBuf>, rescan: bool) {
        self.touched = true;
        self.rescan |= rescan;
        self.changes.extend(paths);
        if self.changes.len() > MANY {
            self.rescan = true;
        }
        if self.rescan {
            self.changes.clear();
        }
    }

    /// The changes to synchronise now, if that may begin.
    pub fn take_changes(&mut self) -> Option<(Vec<PathBuf>, bool)> {
        let may = self.phase == Phase::Open
            && !self.syncing
            && self.retry.is_none()
            && self.has_changes();
        if !may {
            return None;
        }
        self.syncing = true;
        self.syncs_in_a_row += 1;
        let paths = std::mem::take(&mut self.changes);
        let rescan = std::mem::take(&mut self.rescan);
        self.touched = false;
        Some((paths.into_iter().collect(), rescan))
    }

    /// Whether the slot may be tested now.
    pub fn may_run(&self) -> bool {
        let settled = !self.has_changes() || self.syncs_in_a_row >= SYNCS;
        self.phase == Phase::Open
            && !self.syncing
            && self.retry.is_none()
            && self.synced.is_some()
            && settled
            && !self.fold.paused()
    }

    pub fn sync_failed(&mut self, now: Timestamp) {
        self.syncing = false;
        self.rescan = true;
        self.syncs_in_a_row = 0;
        self.retry = Some(now.plus(RETRY));
    }

    pub fn sync_ended(&mut self, now: Timestamp, rescan: bool) {
        self.syncing = false;
        if rescan {
            self.reconciled = now;
        }
        if !self.has_changes() {
            self.syncs_in_a_row = 0;
        }
    }

    /// Another repository stands at its path: nothing that was shown holds of it.
    pub fn forget(&mut self) {
        self.suites.clear();
        self.attempts.clear();
        self.shown_notes.clear();
        self.shown_slot = None;
        self.shown_suites = None;
        self.synced = None;
    }

    pub fn open_failed(&mut self, now: Timestamp) {
        self.phase = Phase::Failed(now.plus(RETRY));
    }

    /// Moments that were noted by the old clock lie far ahead by the new one; nothing may wait
    /// until it gets there.
    pub fn clock_was_set_back(&mut self, now: Timestamp) {
        if let Phase::Failed(then) = self.phase {
            self.phase = Phase::Failed(then.min(now.plus(RETRY)));
        }
        self.retry = self.retry.map(|then| then.min(now.plus(RETRY)));
        self.reconciled = self.reconciled.min(now);
        // Whoever reads it takes the moment by which it has to be renewed from it.
        self.unwritten = true;
    }

    pub fn tick(&mut self, now: Timestamp, slept: bool) {
        if self.retry.is_some_and(|then| now >= then) {
            self.retry = None;
        }
        let due = now.since(self.reconciled) >= RECONCILE;
        if self.phase == Phase::Open && (slept || due) {
            self.reconciled = now;
            self.touch(Vec::new(), true);
        }
    }

    pub fn wants_reopening(&mut self, now: Timestamp) -> Option<PathBuf> {
        match self.phase {
            Phase::Failed(then) if now >= then => {
                self.phase = Phase::Opening;
                Some(self.path.clone())
            }
            _ => None,
        }
    }

    pub fn environment(&self, suite: &str) -> Option<EnvironmentHash> {
        let known = self.suites.iter().find(|known| known.name == suite)?;
        known.environment.clone()
    }

    /// A green run of this key, for an automatic request; never where the environment is not
    /// known.
    pub fn green_run(&self, key: &RunKey) -> Option<&GreenRun> {
        key.environment.as_ref()?;
        self.green.iter().find(|known| known.key == *key)
    }

    pub fn remember_green(&mut self, green: GreenRun) {
        if green.key.environment.is_none() {
            return;
        }
        self.forget_green(&green.key);
        self.green.insert(0, green);
        self.green.truncate(GREEN);
    }

    /// The same key did not come out green: it never answers for a run again.
    pub fn forget_green(&mut self, key: &RunKey) {
        self.green.retain(|known| !is_same(&known.key, key));
    }
}

/// Whether two keys are the same as far as is known: what a verdict depends on besides the
/// snapshot is not found out on a save's way.
pub(super) fn is_same(a: &RunKey, b: &RunKey) -> bool {
    let unknown = a.environment.is_none() || b.environment.is_none();
    a.suite == b.suite && a.snapshot == b.snapshot && (unknown || a.environment == b.environment)
}

impl State {
    /// Takes a project in, with what the journal says of it, and has it opened.
    pub(super) fn adopt(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        id: &ProjectId,
        path: PathBuf,
        foreground: bool,
        recovered: Recovered,
    ) {
        let text = path.display().to_string();
        let fold = recovered
            .fold
            .unwrap_or_else(|| Fold::new(id.clone(), &text, now));
        let mut project = Project::new(path.clone(), foreground, fold, now);
        project.fold.apply(&Event {
            at: now,
            project: None,
            kind: self.started_event(),
        });
        if let Some(panic) = &self.panic {
            project.fold.apply(panic);
        }
        self.projects.insert(id.clone(), project);
        self.queue.open(id);
        for run in recovered.lost {
            self.emit(out, now, id, EventKind::RunLost { run });
        }
        for run in recovered.needless {
            self.emit(out, now, id, EventKind::RunSuperseded { run });
        }
        for request in recovered.accepted {
            self.push(out, now, request);
        }
        if let Some(text) = self.store_trouble.clone() {
            let note = Note::new("store", text);
            let blocks = false;
            self.emit(out, now, id, EventKind::Trouble { note, blocks });
        }
        out.effects.push(Effect::Open {
            project: id.clone(),
            path,
        });
    }

    pub(super) fn opened(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        id: &ProjectId,
        result: Result<Opened, Note>,
    ) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        if project.phase == Phase::Closing {
            return;
        }
        match result {
            Ok(found) => {
                project.phase = Phase::Open;
                project.green = found.green;
                project.touch(Vec::new(), true);
                let mended = project.fold.has_trouble("open");
                if let Some(identity) = found.identity {
                    if project.fold.is_another(&identity) {
                        project.forget();
                    }
                    self.emit(out, now, id, EventKind::Rooted { identity });
                }
                let Some(project) = self.projects.get_mut(id) else {
                    return;
                };
                if project.fold.is_of_another(found.trigger) {
                    project.attempts.clear();
                    self.emit(out, now, id, EventKind::EnvironmentChanged);
                }
                let Some(project) = self.projects.get(id) else {
                    return;
                };
                let path = project.path.display().to_string();
                let kind = EventKind::ProjectAdded {
                    path,
                    foreground: project.foreground,
                    trigger: found.trigger,
                };
                self.emit(out, now, id, kind);
                if mended {
                    let code = "open".to_owned();
                    self.emit(out, now, id, EventKind::TroubleOver { code });
                }
                for note in found.notes {
                    let blocks = false;
                    self.emit(out, now, id, EventKind::Trouble { note, blocks });
                }
                let rescan = EventKind::Changed {
                    origin: Origin::Rescan,
                    paths: 0,
                    rescan: true,
                };
                self.emit(out, now, id, rescan);
            }
            Err(note) => {
                project.open_failed(now);
                let note = Note {
                    code: "open".to_owned(),
                    ..note
                };
                // It is tried again and again; the journal is told once of each reason.
                if project.failed.as_ref() != Some(&note) {
                    project.failed = Some(note.clone());
                    let blocks = true;
                    self.emit(out, now, id, EventKind::Trouble { note, blocks });
                }
            }
        }
        self.say_ready(out);
    }

    /// Ready once every project is watched or known not to be watchable.
    pub(super) fn say_ready(&mut self, out: &mut Out) {
        let pending = |project: &Project| project.phase == Phase::Opening;
        if !self.ready && !self.projects.values().any(pending) {
            self.ready = true;
            out.effects.push(Effect::Ready);
            let summary = self.summary();
            out.effects.push(Effect::Alive { summary });
        }
    }

    /// Gives a project up: what waits is dropped, what runs is ended, then watcher and slot go.
    pub(super) fn close(&mut self, out: &mut Out, id: &ProjectId) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        if project.phase == Phase::Closing {
            return;
        }
        project.phase = Phase::Closing;
        self.queue.close(id);
        for run in self.queue.running() {
            if run.project == *id && !self.stopping {
                let run = run.run.clone();
                out.effects.push(Effect::Cancel { run });
            }
        }
        if !self.queue.runs(id) {
            let project = id.clone();
            out.effects.push(Effect::Close { project });
        }
    }

    /// What it had begun is lost; all of it is opened and looked at anew.
    pub(super) fn died(&mut self, out: &mut Out, now: Timestamp, id: &ProjectId) {
        let running = self.queue.running().iter().find(|run| run.project == *id);
        if let Some(run) = running.map(|known| known.run.clone()) {
            self.queue.ended(&run);
            self.cancelled.remove(&run);
            // Its tests may go on without anybody who waits for them.
            out.effects.push(Effect::Cancel { run: run.clone() });
            self.emit(out, now, id, EventKind::RunLost { run });
        }
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        if project.phase == Phase::Closing {
            return self.closed(out, now, id);
        }
        project.phase = Phase::Failed(now);
        project.syncing = false;
        project.synced = None;
        project.touch(Vec::new(), true);
    }

    pub(super) fn closed(&mut self, out: &mut Out, now: Timestamp, id: &ProjectId) {
        let Some(project) = self.projects.remove(id) else {
            return;
        };
        out.effects.push(Effect::Status {
            project: id.clone(),
            status: Box::new(project.fold.status(now, None)),
        });
        if let Ok(body) = serde_json::to_value(&project.fold) {
            let project = id.clone();
            out.effects.push(Effect::Checkpoint { project, body });
        }
        self.given_up.insert(id.clone(), project.fold);
        self.answer_closed(out, id);
    }
}
