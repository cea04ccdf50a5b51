//! Changes, and what a synchronisation says: from a save to the runs that it asks for.

use crate::daemon::hub::Out;
use crate::daemon::hub::State;
use crate::daemon::hub::SyncReport;
use crate::daemon::hub::project::Attempt;
use crate::daemon::hub::project::Phase;
use crate::daemon::hub::project::is_same;
use crate::model::Asker;
use crate::model::EventKind;
use crate::model::Note;
use crate::model::Origin;
use crate::model::ProjectId;
use crate::model::RunKey;
use crate::model::SnapshotId;
use crate::model::Timestamp;
use crate::run::queue::Pushed;
use crate::run::queue::Request;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A key whose runs made no verdict is not tried more often than this by itself.
const TRIES: u32 = 2;

impl State {
    pub(super) fn changed(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        id: &ProjectId,
        origin: Origin,
        paths: Vec<PathBuf>,
        rescan: bool,
    ) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        if project.phase == Phase::Closing {
            return;
        }
        let count = paths.len() as u64;
        project.touch(paths, rescan);
        if origin != Origin::Rescan {
            // Somebody did something: what did not work before may work now.
            project
                .attempts
                .values_mut()
                .for_each(|attempt| attempt.tries = 0);
        }
        let kind = EventKind::Changed {
            origin,
            paths: count,
            rescan,
        };
        self.emit(out, now, id, kind);
    }

    /// No attempt says anything any more; only what was green with all that it depends on may
    /// still answer.
    pub(super) fn environment_changed(&mut self, out: &mut Out, now: Timestamp, id: &ProjectId) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        if project.phase == Phase::Closing {
            return;
        }
        project.attempts.clear();
        project.touch(Vec::new(), true);
        self.emit(out, now, id, EventKind::EnvironmentChanged);
    }

    /// Nothing that was known is known any more; what stands there now is looked at anew.
    pub(super) fn uprooted(&mut self, out: &mut Out, now: Timestamp, id: &ProjectId) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        project.forget();
        let identity = String::new();
        self.emit(out, now, id, EventKind::Rooted { identity });
        self.changed(out, now, id, Origin::Rescan, Vec::new(), true);
    }

    pub(super) fn synced(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        id: &ProjectId,
        result: Result<Box<SyncReport>, Note>,
    ) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        match result {
            Err(note) => {
                project.sync_failed(now);
                let note = Note {
                    code: "sync".to_owned(),
                    ..note
                };
                // It is tried again and again; the journal is told once.
                if project.failed.as_ref() != Some(&note) {
                    project.failed = Some(note.clone());
                    let blocks = true;
                    self.emit(out, now, id, EventKind::Trouble { note, blocks });
                }
            }
            Ok(report) => {
                project.failed = None;
                project.sync_ended(now, report.rescan);
                project.synced = Some(report.snapshot.clone());
                if report.redefined {
                    project.attempts.clear();
                }
                if project.fold.has_trouble("sync") {
                    let code = "sync".to_owned();
                    self.emit(out, now, id, EventKind::TroubleOver { code });
                }
                if report.redefined {
                    self.emit(out, now, id, EventKind::EnvironmentChanged);
                }
                self.take_report(out, now, id, *report);
            }
        }
    }

    fn take_report(&mut self, out: &mut Out, now: Timestamp, id: &ProjectId, report: SyncReport) {
        self.show_slot(out, now, id, &report);
        let suites = match &report.suites {
            Ok(suites) => Ok(suites.clone()),
            Err(note) => Err(note.clone()),
        };
        let mut notes = report.notes;
        if let Err(note) = &suites {
            notes.push(Note {
                code: "config".to_owned(),
                ..note.clone()
            });
        }
        self.show_notes(out, now, id, notes);
        if let Ok(suites) = suites {
            let names: Vec<String> = suites.iter().map(|suite| suite.name.clone()).collect();
            if let Some(project) = self.projects.get_mut(id) {
                project.suites = suites;
            }
            self.show_suites(out, now, id, names, report.ignored);
        }
        let kind = EventKind::Synced {
            snapshot: report.snapshot.clone(),
            branch: report.branch,
            head: report.head,
            dirty: report.dirty,
        };
        self.emit(out, now, id, kind);
        // Paths that were touched meanwhile: the status must not look settled.
        let again = self
            .projects
            .get(id)
            .is_some_and(|project| project.has_changes());
        if again {
            let kind = EventKind::Changed {
                origin: Origin::Rescan,
                paths: 0,
                rescan: false,
            };
            self.emit(out, now, id, kind);
        }
        if report.suites.is_ok() {
            self.want_runs(out, now, id, &report.snapshot);
        }
    }

    fn show_slot(&mut self, out: &mut Out, now: Timestamp, id: &ProjectId, report: &SyncReport) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        let slot = (report.left_out.clone(), report.slot_bytes);
        if project.shown_slot.as_ref() != Some(&slot) {
            project.shown_slot = Some(slot.clone());
            let (left_out, bytes) = slot;
            self.emit(out, now, id, EventKind::SlotChanged { left_out, bytes });
        }
    }

    pub(super) fn slot_size(&mut self, out: &mut Out, now: Timestamp, id: &ProjectId, bytes: u64) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        let Some((left_out, known)) = &mut project.shown_slot else {
            return;
        };
        if *known != bytes {
            *known = bytes;
            let left_out = left_out.clone();
            self.emit(out, now, id, EventKind::SlotChanged { left_out, bytes });
        }
    }

    /// Notes of this synchronisation that were not of the last one, and the other way round.
    fn show_notes(&mut self, out: &mut Out, now: Timestamp, id: &ProjectId, notes: Vec<Note>) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        let notes: BTreeMap<String, Note> = notes
            .into_iter()
            .map(|note| (note.code.clone(), note))
            .collect();
        let before = std::mem::replace(&mut project.shown_notes, notes.clone());
        for (code, note) in &notes {
            if before.get(code) != Some(note) {
                let kind = EventKind::Trouble {
                    note: note.clone(),
                    blocks: code == "config",
                };
                self.emit(out, now, id, kind);
            }
        }
        for code in before.into_keys().filter(|code| !notes.contains_key(code)) {
            self.emit(out, now, id, EventKind::TroubleOver { code });
        }
    }

    fn show_suites(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        id: &ProjectId,
        suites: Vec<String>,
        ignored: Vec<String>,
    ) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        let shown = (suites, ignored);
        if project.shown_suites.as_ref() == Some(&shown) {
            return;
        }
        project.shown_suites = Some(shown.clone());
        let (suites, ignored) = shown;
        for run in self.queue.keep_suites(id, &suites) {
            self.emit(out, now, id, EventKind::RunCancelled { run });
        }
        self.emit(out, now, id, EventKind::SuitesFound { suites, ignored });
    }

    /// What the slot as it stands asks for: each suite that has no verdict on it yet.
    pub(super) fn want_runs(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        id: &ProjectId,
        snapshot: &SnapshotId,
    ) {
        let Some(project) = self.projects.get(id) else {
            return;
        };
        let moved = self
            .queue
            .moved(id, snapshot, |suite| project.environment(suite));
        let suites = project.suites.clone();
        for run in moved.superseded {
            self.emit(out, now, id, EventKind::RunSuperseded { run });
        }
        for request in moved.followed {
            self.emit(out, now, id, queued(&request));
        }
        for suite in suites {
            let key = RunKey {
                snapshot: snapshot.clone(),
                suite: suite.name,
                environment: suite.environment,
            };
            self.want_run(out, now, id, key);
        }
    }

    fn want_run(&mut self, out: &mut Out, now: Timestamp, id: &ProjectId, key: RunKey) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        let attempt = project.attempts.get(&key.suite);
        if attempt
            .is_some_and(|last| is_same(&last.key, &key) && (last.settled || last.tries >= TRIES))
        {
            return;
        }
        if let Some(green) = project.green_run(&key).cloned() {
            let kind = EventKind::RunReused {
                suite: key.suite.clone(),
                snapshot: key.snapshot.clone(),
                from: green.run,
                age_ms: now.since(green.ended).as_millis() as u64,
                counts: green.counts,
            };
            project.settle(key);
            self.emit(out, now, id, kind);
            return;
        }
        let request = Request {
            run: self.new_run(now),
            project: id.clone(),
            key,
            asker: Asker::Watch,
        };
        self.push(out, now, request);
    }

    /// Puts a request into the queue and says so, if it is taken in.
    pub(super) fn push(&mut self, out: &mut Out, now: Timestamp, request: Request) {
        match self.queue.push(request.clone()) {
            Pushed::Refused | Pushed::Coalesced(_) => {}
            Pushed::Accepted { displaced } => {
                for run in displaced {
                    let kind = EventKind::RunSuperseded { run };
                    self.emit(out, now, &request.project, kind);
                }
                self.emit(out, now, &request.project, queued(&request));
            }
        }
    }
}

pub(super) fn queued(request: &Request) -> EventKind {
    EventKind::RunQueued {
        run: request.run.clone(),
        suite: request.key.suite.clone(),
        snapshot: request.key.snapshot.clone(),
        asker: request.asker,
        environment: request.key.environment.clone(),
    }
}

impl crate::daemon::hub::project::Project {
    /// A verdict on this key is known.
    pub(super) fn settle(&mut self, key: RunKey) {
        let attempt = Attempt {
            key: key.clone(),
            settled: true,
            tries: 0,
        };
        self.attempts.insert(key.suite, attempt);
    }

    /// A run of this key ended without a verdict.
    pub(super) fn unsettle(&mut self, key: RunKey) {
        let tries = match self.attempts.get(&key.suite) {
            Some(last) if is_same(&last.key, &key) => last.tries + 1,
            _ => 1,
        };
        let attempt = Attempt {
            key: key.clone(),
            settled: false,
            tries,
        };
        self.attempts.insert(key.suite, attempt);
    }
}
