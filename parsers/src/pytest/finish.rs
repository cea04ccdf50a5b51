//! The report of a whole pytest run: records, text, files and exit status together.

use crate::compose;
use crate::compose::Compose;
use crate::live::End;
use crate::pytest::PytestRun;
use crate::pytest::finish_text::collected_only;
use crate::pytest::place::Place;
use crate::report::Exit;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::text as shown;

impl PytestRun {
    /// The report of the whole run.
    pub fn finish(mut self, end: End) -> Report {
        if let Some(line) = self.events.finish() {
            let mut events = Vec::new();
            self.record(&line, &mut events);
        }
        if let Some(line) = self.output.finish()
            && !self.inline.take(line.seen())
        {
            self.text.line(line.seen());
        }
        if let Some(line) = self.errors.finish() {
            self.error_text.line(line.seen());
        }
        let compose = Compose::new();
        if self.fed && self.session.began {
            return self.read_records(compose, &end);
        }
        self.sort_files();
        if let Some(stock) = self.stock() {
            return self.read_stock(compose, stock, &end);
        }
        if !self.xml.is_empty() {
            return self.read_xml(compose, &end);
        }
        self.read_text(compose, &end)
    }

    fn read_records(mut self, mut compose: Compose, end: &End) -> Report {
        let (passed, failed, skipped) = self.session.tally();
        compose.counts.passed = passed;
        compose.counts.failed = failed;
        compose.counts.skipped = skipped;
        compose.counts.flaky = self.session.flaky();
        compose.filtered = self.session.deselected;
        for warning in std::mem::take(&mut self.warnings) {
            compose.diagnostic(warning);
        }
        for failure in std::mem::take(&mut self.collect_errors) {
            compose.failed(failure);
        }
        for failure in std::mem::take(&mut self.failures) {
            compose.failure(failure);
        }
        if self.more_failures > 0 {
            compose.outcome(Outcome::Failed);
        }
        if let Some(failure) = self.internal.take() {
            compose.failed(failure);
        }
        let faults = self.session.contradictions();
        if !faults.is_empty() {
            let why = shown::cut(&faults.join("; "), shown::MESSAGE);
            compose.incomplete(compose::inconsistent(format!(
                "pytest's results contradict themselves: {why}"
            )));
            let message = format!("the results contradict themselves: {why}");
            let failure =
                compose::failure("pytest", FailureKind::PlanMismatch, Phase::Session, message);
            compose.failed(compose::seal(failure));
        }
        if self.session.finished {
            self.settle_finished(&mut compose, end);
        } else {
            self.settle_broken(&mut compose, end);
        }
        let left = self.session.not_run();
        if self.session.collect_only {
            let number = self.session.collected().unwrap_or(0);
            compose.note(collected_only(number));
        } else if left > 0 {
            let why = self.session.stop.clone();
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            let message = format!("{left} collected tests did not run{why}");
            compose.note(Note::new("not_run", message));
            // That pytest stops at files that it cannot load is fully reported.
            let collection = |f: &Failure| f.kind == FailureKind::CollectionError;
            compose.complete &= compose.failures.iter().any(collection) && self.session.finished;
        }
        compose.finish("pytest", Source::Events, end)
    }

    /// The finish came: does the exit status agree?
    fn settle_finished(&mut self, compose: &mut Compose, end: &End) {
        let status = self.session.status.unwrap_or(-1);
        let collection = |f: &Failure| f.kind == FailureKind::CollectionError;
        let nobody = !end.interrupted && !end.exit.unwrap_or_default().timed_out;
        match self.session.interrupt.clone() {
            // Nobody outside pressed a key, so it was the tests themselves.
            Some(why) if self.live && nobody && !compose.failures.iter().any(collection) => {
                self.stopped_itself(compose, &why);
            }
            _ => self.settle_status(compose, status),
        }
        self.settle_exit(compose, end, status);
    }

    /// A test ended pytest (`pytest.exit`, `KeyboardInterrupt`), or pytest stopped early.
    fn stopped_itself(&self, compose: &mut Compose, why: &str) {
        let message = shown::one_line(&format!("pytest was interrupted: {why}"));
        let running = self.session.running().to_vec();
        if why.starts_with("Exit") && self.session.status == Some(0) {
            // `pytest.exit(…, returncode=0)` is an orderly end, though not of all tests.
            let who = running.first().map(|id| format!(", in `{id}`"));
            let message = format!("{message}{}", who.unwrap_or_default());
            compose.incomplete(Note::new("interrupted", message));
            compose.outcome(Outcome::Interrupted);
            return;
        }
        compose.incomplete(Note::new("interrupted", message.clone()));
        for id in &running {
            let mut failure =
                compose::failure(id, FailureKind::Crash, Phase::Call, message.clone());
            failure.kind_sure = running.len() == 1;
            failure.rerun = self.place.rerun(id);
            compose.failed(compose::seal(failure));
        }
        if running.is_empty() && !compose.has_fault() {
            let kind = match self.session.orderly {
                true => FailureKind::ExitNonzero,
                false => FailureKind::Crash,
            };
            let failure = compose::failure("pytest", kind, Phase::Session, message);
            compose.failed(compose::seal(failure));
        }
    }

    fn settle_status(&mut self, compose: &mut Compose, status: i32) {
        match status {
            0 | 1 => {}
            2 if compose
                .failures
                .iter()
                .any(|f| f.kind == FailureKind::CollectionError) => {}
            2 => {
                let why = self.session.interrupt.clone().unwrap_or_default();
                compose.outcome(Outcome::Interrupted);
                compose.incomplete(Note::new(
                    "interrupted",
                    shown::one_line(&format!("pytest was interrupted: {why}")),
                ));
            }
            3 if compose.failures.iter().any(|f| f.id == "pytest") => {}
            3 => compose.outcome(Outcome::Crashed),
            4 => self.usage(compose),
            _ => {}
        }
        if status == 1 && !compose.has_fault() {
            self.exit_nonzero(compose, 1);
        }
    }

    fn settle_exit(&self, compose: &mut Compose, end: &End, status: i32) {
        let Some(exit) = end.exit else {
            return;
        };
        if exit.timed_out || exit.oom || end.interrupted {
            return;
        }
        match (exit.code, exit.signal) {
            (Some(code), _) if code == status => {}
            (Some(0), _) => {
                let message = format!("pytest's status was {status}, its process exited with 0");
                if compose.has_fault() {
                    compose.note(Note::new("exit_disagrees", message));
                } else if status != 5 {
                    compose.incomplete(compose::inconsistent(message));
                    compose.outcome(Outcome::Crashed);
                }
            }
            (Some(code), _) => {
                if !compose.has_fault() {
                    self.exit_nonzero(compose, code);
                }
            }
            (None, Some(signal)) => self.died(compose, exit, signal),
            (None, None) => {}
        }
    }

    fn died(&self, compose: &mut Compose, _exit: Exit, signal: i32) {
        let message = format!(
            "the process died of {} after its tests",
            compose::signal_name(signal)
        );
        let mut failure = compose::failure("pytest", FailureKind::Crash, Phase::Session, message);
        failure.stderr = shown::block(&self.error_tail.lines(60).join("\n"), shown::DETAILS);
        compose.failed(compose::seal(failure));
        compose.complete = false;
    }

    pub(super) fn exit_nonzero(&self, compose: &mut Compose, code: i32) {
        let last = self.tail.lines(30);
        let message = format!("pytest exited with status {code} although no test failed");
        let mut failure =
            compose::failure("pytest", FailureKind::ExitNonzero, Phase::Session, message);
        failure.kind_sure = false;
        failure.details = shown::block(&last.join("\n"), shown::DETAILS);
        compose.failure(compose::seal(failure));
        compose.complete = false;
    }

    pub(super) fn usage(&self, compose: &mut Compose) {
        compose.outcome(Outcome::UsageError);
        let lines = self.error_tail.lines(20);
        let all: Vec<String> = lines.into_iter().chain(self.tail.lines(20)).collect();
        let said = all
            .iter()
            .find(|line| line.contains(": error: "))
            .or(all.iter().find(|line| line.starts_with("ERROR: ")));
        let said = said
            .or(all.last())
            .map_or("pytest refused its arguments", |line| line.as_str());
        compose.note(Note::new("usage", shown::one_line(said)));
    }

    /// No finish: whatever was running is named.
    fn settle_broken(&mut self, compose: &mut Compose, end: &End) {
        let exit = end.exit.unwrap_or_default();
        if compose
            .failures
            .iter()
            .any(|f| f.kind == FailureKind::CollectionError)
            && exit.code == Some(4)
        {
            return;
        }
        compose.complete = false;
        let running = self.session.running().to_vec();
        if end.interrupted {
            if !running.is_empty() {
                let message = format!(
                    "running when the run was interrupted: {}",
                    running.join(", ")
                );
                compose.note(Note::new("was_running", shown::cut(&message, 2000)));
            }
            return;
        }
        if exit.code == Some(4) {
            self.usage(compose);
            return;
        }
        if end.exit.is_none() && compose.has_fault() {
            return;
        }
        let (kind, how) = self.how(exit);
        if running.is_empty() {
            let when = match self.session.collected() {
                None => "before the tests were collected",
                Some(_) if self.session.status.is_some() => "after its tests",
                Some(_) => "between its tests",
            };
            let mut failure =
                compose::failure("pytest", kind, Phase::Session, format!("{how} {when}"));
            failure.stderr = shown::block(&self.error_tail.lines(60).join("\n"), shown::DETAILS);
            compose.failed(compose::seal(failure));
        }
        for id in &running {
            let among = match running.len() {
                1 => "while this test was running".to_owned(),
                many => format!("while this test and {} others were running", many - 1),
            };
            let mut failure = compose::failure(id, kind, Phase::Call, format!("{how} {among}"));
            failure.kind_sure = running.len() == 1;
            failure.stderr = shown::block(&self.error_tail.lines(200).join("\n"), shown::DETAILS);
            failure.location = self.fault_place(id);
            failure.rerun = self.place.rerun(id);
            compose.failed(compose::seal(failure));
        }
    }

    pub(super) fn how(&self, exit: Exit) -> (FailureKind, String) {
        if exit.timed_out {
            return (
                FailureKind::Timeout,
                "the time limit was reached".to_owned(),
            );
        }
        if exit.oom {
            return (FailureKind::Oom, "memory ran out".to_owned());
        }
        let all = self
            .error_tail
            .lines(400)
            .into_iter()
            .chain(self.tail.lines(400));
        if exit.code == Some(1) && all.into_iter().any(|line| line.contains("+ Timeout +")) {
            return (
                FailureKind::Timeout,
                "the test's own time limit was reached".to_owned(),
            );
        }
        let how = match (exit.signal, exit.code) {
            (Some(signal), _) => format!("the process died of {}", compose::signal_name(signal)),
            (None, Some(code)) => format!("the process exited with status {code}"),
            (None, None) => "the records end".to_owned(),
        };
        (FailureKind::Crash, how)
    }

    /// Python's fault handler names the line: `File "/p/test_a.py", line 22 in test_b`.
    fn fault_place(&self, id: &str) -> Option<crate::report::Location> {
        let function = id.rsplit("::").next()?.split('[').next()?;
        let lines = self.error_tail.lines(400);
        let line = lines.iter().find(|line| {
            line.trim_start().starts_with("File \"")
                && line.trim_end().ends_with(&format!(" in {function}"))
        })?;
        let (file, rest) = line
            .trim_start()
            .strip_prefix("File \"")?
            .split_once("\", line ")?;
        let file = self.place.path(file);
        self.place
            .context
            .is_user(&file)
            .then(|| crate::report::Location {
                file,
                line: rest
                    .split(|c: char| !c.is_ascii_digit())
                    .next()
                    .and_then(|n| n.parse().ok()),
                column: None,
            })
    }

    /// Python has no pytest.
    pub(super) fn missing_pytest(&self) -> Option<Note> {
        let lines = self
            .error_tail
            .lines(5)
            .into_iter()
            .chain(self.tail.lines(5));
        let line = lines
            .into_iter()
            .find(|line| line.ends_with("No module named pytest"))?;
        Some(
            Note::new("missing_pytest", shown::one_line(&line))
                .remedy("install pytest for this Python (`python -m pip install pytest`, best in the project's .venv)"),
        )
    }
}
/// `E     File "/p/test_a.py", line 1`, as a syntax error has it.
pub(crate) fn syntax_place(body: &str, place: &Place) -> Option<Location> {
    let line = body
        .lines()
        .rfind(|line| line.contains("File \"") && line.contains("\", line "))?;
    let (file, rest) = line.split_once("File \"")?.1.split_once("\", line ")?;
    let file = place.path(file);
    let line = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    place.context.is_user(&file).then_some(Location {
        file,
        line: line.parse().ok(),
        column: None,
    })
}
