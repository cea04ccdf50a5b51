//! The end of a run that was told by records: do they hold together, does the exit status
//! agree, and if the end is missing, who was running?

use crate::compose;
use crate::compose::Compose;
use crate::live::End;
use crate::records::Named;
use crate::records::Records;
use crate::report::Exit;
use crate::report::FailureKind;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::text;
use crate::text::Tail;

impl Records {
    /// The report of the whole run. `errors` is the end of what the runner printed to standard
    /// error, `add` may lay more (build errors of the text, say) into the report before it is
    /// closed.
    pub fn report(
        mut self,
        end: &End,
        errors: &Tail,
        add: impl FnOnce(&mut Compose, &Records),
    ) -> Report {
        let mut compose = Compose::new();
        let framework = self.dialect.framework();
        self.settle(&mut compose, end, errors);
        add(&mut compose, &self);
        self.status(&mut compose, end, errors);
        compose.finish(framework, Source::Events, end)
    }

    fn settle(&mut self, compose: &mut Compose, end: &End, errors: &Tail) {
        self.close();
        let (passed, failed, skipped) = self.session.tally();
        compose.counts.passed = passed;
        compose.counts.failed = failed;
        compose.counts.skipped = skipped;
        compose.counts.flaky = self.session.flaky;
        for warning in std::mem::take(&mut self.warnings) {
            compose.diagnostic(warning);
        }
        for note in std::mem::take(&mut self.notes) {
            compose.note(note);
        }
        for failure in std::mem::take(&mut self.failures) {
            compose.failure(failure);
        }
        if self.more_failures > 0 {
            compose.outcome(Outcome::Failed);
            let message = format!("{} more failures are not listed", self.more_failures);
            compose.note(Note::new("failures_left_out", message));
        }
        let faults = self.session.contradictions();
        if !faults.is_empty() {
            self.contradicted(compose, &faults);
        }
        if !self.session.finished {
            self.broken_off(compose, end, errors);
        }
        let left = self.session.not_run();
        if left > 0 {
            let message = format!("{left} tests that were announced did not run");
            compose.incomplete(Note::new("not_run", message));
        }
    }

    fn contradicted(&self, compose: &mut Compose, faults: &[String]) {
        let why = text::cut(&faults.join("; "), text::MESSAGE);
        compose.incomplete(compose::inconsistent(format!(
            "the results contradict themselves: {why}"
        )));
        let failure = compose::failure(
            self.dialect.framework(),
            FailureKind::PlanMismatch,
            Phase::Session,
            format!("the results contradict themselves: {why}"),
        );
        compose.failed(compose::seal(failure));
    }

    /// The last record is missing: whoever was running is named.
    fn broken_off(&self, compose: &mut Compose, end: &End, errors: &Tail) {
        compose.complete = false;
        let running = self.session.running();
        if end.interrupted {
            let names: Vec<&str> = running.iter().map(|test| test.id.as_str()).collect();
            if !names.is_empty() {
                let names = text::cut(&names.join(", "), 2000);
                let message = format!("running when the run was interrupted: {names}");
                compose.note(Note::new("was_running", message));
            }
            return;
        }
        let files: Vec<Named> = self.session.files().iter().map(|file| of(file)).collect();
        let (who, what) = match running.is_empty() {
            false => (running, "test"),
            true => (files, "file"),
        };
        let (kind, how) = how(end.exit);
        if who.is_empty() {
            // What failed before may well be why it ended.
            if end.exit.is_none() && compose.has_fault() {
                return;
            }
            let message = format!("{how} before the end of the run");
            let mut failure =
                compose::failure(self.dialect.framework(), kind, Phase::Session, message);
            failure.kind_sure = end.exit.is_some();
            failure.stderr = text::block(&errors.lines(60).join("\n"), text::DETAILS);
            compose.failed(compose::seal(failure));
            return;
        }
        for test in &who {
            let among = match who.len() {
                1 => format!("while this {what} was running"),
                many => format!("while this {what} and {} others were running", many - 1),
            };
            let mut failure =
                compose::failure(&test.id, kind, Phase::Call, format!("{how} {among}"));
            failure.kind_sure = who.len() == 1 && end.exit.is_some();
            failure.target = super::target(test);
            failure.stderr = text::block(&errors.lines(200).join("\n"), text::DETAILS);
            failure.rerun = self.dialect.rerun(&self.context, test);
            compose.failed(compose::seal(failure));
        }
    }

    /// The exit status of a run whose last record came.
    fn status(&self, compose: &mut Compose, end: &End, errors: &Tail) {
        let Some(exit) = end.exit else {
            return;
        };
        if !self.session.finished || exit.timed_out || exit.oom || end.interrupted {
            return;
        }
        let framework = self.dialect.framework();
        if let Some(signal) = exit.signal {
            let message = format!(
                "the process died of {} after its tests",
                compose::signal_name(signal)
            );
            let mut failure =
                compose::failure(framework, FailureKind::Crash, Phase::Session, message);
            failure.stderr = text::block(&errors.lines(60).join("\n"), text::DETAILS);
            compose.failed(compose::seal(failure));
            compose.complete = false;
            return;
        }
        let code = exit.code.unwrap_or(0);
        let failed = compose.has_fault() || compose.counts.failed > 0;
        let foreseen = self.session.status.is_none_or(|status| status == code);
        if self.dialect.agrees(code, failed) && (foreseen || failed) {
            return;
        }
        if failed {
            let message = format!("something failed, and the process exited with {code}");
            compose.note(Note::new("exit_disagrees", message));
            if code == 0 {
                compose.complete = false;
            }
        } else if code == 0 {
            let message = "the reporter foresaw a failing status, the process exited with 0";
            compose.incomplete(compose::inconsistent(message));
            compose.outcome(Outcome::Crashed);
        } else if compose.counts.passed + compose.counts.skipped == 0 {
            // Nothing ran, and the runner says so by its status.
        } else {
            let message = format!("exited with status {code} although no test failed");
            let mut failure =
                compose::failure(framework, FailureKind::ExitNonzero, Phase::Session, message);
            failure.kind_sure = false;
            failure.details = text::block(&errors.lines(30).join("\n"), text::DETAILS);
            compose.failed(compose::seal(failure));
        }
    }
}

/// A file stands for itself where none of its tests had begun.
fn of(file: &str) -> Named {
    Named {
        id: file.to_owned(),
        file: file.to_owned(),
        path: Vec::new(),
    }
}

/// Kind and words of an end without a last record.
pub(crate) fn how(exit: Option<Exit>) -> (FailureKind, String) {
    let Some(exit) = exit else {
        return (FailureKind::Crash, "the output ends".to_owned());
    };
    if exit.timed_out {
        return (
            FailureKind::Timeout,
            "the time limit was reached".to_owned(),
        );
    }
    if exit.oom {
        return (FailureKind::Oom, "memory ran out".to_owned());
    }
    let how = match (exit.signal, exit.code) {
        (Some(signal), _) => format!("died of {}", compose::signal_name(signal)),
        (None, Some(code)) => format!("exited with status {code}"),
        (None, None) => "ended".to_owned(),
    };
    (FailureKind::Crash, how)
}
