//! Runs that go on and end.

use crate::daemon::hub::Effect;
use crate::daemon::hub::Out;
use crate::daemon::hub::State;
use crate::daemon::hub::project::GreenRun;
use crate::daemon::hub::project::Phase;
use crate::model::Counts;
use crate::model::EventKind;
use crate::model::Failure;
use crate::model::ProjectId;
use crate::model::Report;
use crate::model::RunId;
use crate::model::RunKey;
use crate::model::TestRef;
use crate::model::Timestamp;
use crate::model::Verdict;
use crate::model::status::MAX_FAILURES;
use crate::model::status::for_status;
use crate::run::queue::Request;

/// Tests that are remembered as failed, for the next early look.
const FAILED: usize = 500;

impl State {
    fn owner(&self, run: &RunId) -> Option<ProjectId> {
        let running = self.queue.running();
        let request = running.iter().find(|known| known.run == *run)?;
        Some(request.project.clone())
    }

    pub(super) fn progress(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        run: RunId,
        done: u64,
        total: Option<u64>,
        counts: Counts,
    ) {
        if let Some(project) = self.owner(&run) {
            let kind = EventKind::RunProgress {
                run,
                done,
                total,
                counts,
            };
            self.emit(out, now, &project, kind);
        }
    }

    pub(super) fn test_failed(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        run: RunId,
        failure: Box<Failure>,
    ) {
        if let Some(project) = self.owner(&run) {
            let failure = Box::new(for_status(&failure));
            self.emit(out, now, &project, EventKind::TestFailed { run, failure });
        }
    }

    pub(super) fn run_ended(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        run: &RunId,
        report: &Report,
    ) {
        let Some(request) = self.queue.ended(run) else {
            return;
        };
        let id = request.project.clone();
        let Some(project) = self.projects.get_mut(&id) else {
            return;
        };
        project.syncs_in_a_row = 0;
        let stale = project.has_changes();
        let unwanted = self.cancelled.remove(run);
        if project.phase == Phase::Closing {
            // What was ended because the daemon ends stays open in the journal: the next one
            // does it again.
            if !self.stopping {
                let run = run.clone();
                self.emit(out, now, &id, EventKind::RunCancelled { run });
            }
            out.effects.push(Effect::Close { project: id });
            return;
        }
        let settled = Verdict::of(report.outcome, report.complete).is_some();
        if unwanted && !settled {
            // Not tried again by itself.
            project.settle(request.key);
            let run = run.clone();
            self.emit(out, now, &id, EventKind::RunCancelled { run });
            return;
        }
        match settled {
            true => project.settle(request.key.clone()),
            false => project.unsettle(request.key.clone()),
        }
        if !report.is_green() {
            project.forget_green(&request.key);
        }
        self.emit(out, now, &id, finished(run, report, stale));
        self.want_again(out, now, &request);
    }

    /// From now on a green run can answer for its key.
    pub(super) fn digested(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        id: &ProjectId,
        run: RunId,
        key: RunKey,
        counts: Counts,
    ) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        if let Some(attempt) = project.attempts.get_mut(&key.suite)
            && attempt.key.snapshot == key.snapshot
        {
            attempt.key.environment.clone_from(&key.environment);
        }
        let environment = key.environment.clone();
        project.remember_green(GreenRun {
            key,
            run: run.clone(),
            counts,
            ended: now,
        });
        if let Some(environment) = environment {
            let kind = EventKind::RunDigested { run, environment };
            self.emit(out, now, id, kind);
        }
    }

    /// A run whose end says nothing about the project is wanted again, a few times.
    fn want_again(&mut self, out: &mut Out, now: Timestamp, request: &Request) {
        let Some(project) = self.projects.get(&request.project) else {
            return;
        };
        let current = project.synced.clone();
        let is_current = current.as_ref() == Some(&request.key.snapshot);
        if let (true, false, Some(snapshot)) = (is_current, project.has_changes(), current) {
            self.want_runs(out, now, &request.project, &snapshot);
        }
    }
}

fn finished(run: &RunId, report: &Report, stale: bool) -> EventKind {
    let test = |failure: &Failure| TestRef {
        target: failure.target.clone(),
        id: failure.id.clone(),
    };
    let (flaky, failing): (Vec<&Failure>, Vec<&Failure>) = report
        .failures
        .iter()
        .partition(|failure| failure.flaky == Some(true));
    EventKind::RunFinished {
        run: run.clone(),
        outcome: report.outcome,
        complete: report.complete,
        counts: report.counts,
        duration_ms: report.run.duration_ms.unwrap_or_default(),
        stale,
        failures: failing
            .iter()
            .take(MAX_FAILURES)
            .map(|failure| for_status(failure))
            .collect(),
        more: failing.len().saturating_sub(MAX_FAILURES) as u64,
        failed: failing.iter().take(FAILED).map(|f| test(f)).collect(),
        flaky: flaky.iter().take(FAILED).map(|f| test(f)).collect(),
        isolation: report.run.isolation.clone(),
        notes: report.notes.clone(),
    }
}
