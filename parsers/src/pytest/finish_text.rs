//! The report of a run of pytest that is told by its text.

use crate::compose;
use crate::compose::Compose;
use crate::live::End;
use crate::pytest::PytestRun;
use crate::pytest::block;
use crate::pytest::last::Last;
use crate::pytest::place::Place;
use crate::pytest::summary;
use crate::pytest::text::Block;
use crate::pytest::text::Session;
use crate::python::fault;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::text;

impl PytestRun {
    /// The report of the text and the exit status.
    pub(super) fn read_text(mut self, mut compose: Compose, end: &End) -> Report {
        let mut earlier = std::mem::take(&mut self.text.earlier);
        let mut session = std::mem::take(&mut self.text.session);
        let mut last = self.text.end_of(&session);
        let progress = &session.progress;
        if last.is_none() && !session.began && progress.done && progress.running.is_empty() {
            // `-qq` has no last line, but says how far it is.
            let [passed, failed, errors, skipped] = progress.letters;
            last = Some(Last {
                passed,
                failed,
                errors,
                skipped,
                ..Last::default()
            });
        }
        for session in &mut earlier {
            let last = session.last;
            self.take_session(&mut compose, session, last);
        }
        self.take_session(&mut compose, &mut session, last);
        let broken = session
            .broken
            .as_ref()
            .or(self.error_text.session.broken.as_ref());
        if let Some(broken) = broken {
            let failure = of_broken(broken, &self.place);
            compose.failed(failure);
            if last.is_none() {
                compose.complete &= broken.title != "INTERNALERROR";
            }
        }
        self.settle_text(&mut compose, end, &session, last, broken.is_some());
        compose.finish("pytest", Source::Text, end)
    }

    fn take_session(&mut self, compose: &mut Compose, session: &mut Session, last: Option<Last>) {
        let mut place = self.place.clone();
        if let Some(rootdir) = &session.rootdir {
            place.set_rootdir(rootdir);
        }
        self.place = place;
        let found = summary::found(session, last, &self.place);
        compose.counts.passed += found.counts.passed;
        compose.counts.failed += found.counts.failed;
        compose.counts.skipped += found.counts.skipped;
        compose.filtered += found.filtered;
        for failure in found.failures {
            compose.failure(failure);
        }
        if !found.faults.is_empty() {
            let why = found.faults.join("; ");
            compose.incomplete(compose::inconsistent(format!(
                "pytest's text contradicts itself: {why}"
            )));
        }
        if found.not_run > 0 {
            let message = format!("{} collected tests did not run", found.not_run);
            compose.note(Note::new("not_run", message));
            let collection = |failure: &Failure| failure.kind == FailureKind::CollectionError;
            compose.complete &= compose.failures.iter().any(collection);
        }
        if let Some(last) = last.filter(|last| last.collected > 0) {
            compose.note(collected_only(last.collected));
        }
    }

    fn settle_text(
        &self,
        compose: &mut Compose,
        end: &End,
        session: &Session,
        last: Option<Last>,
        broken: bool,
    ) {
        self.unheard(compose, end);
        let exit = end.exit.unwrap_or_default();
        if let Some(note) = self.missing_pytest() {
            compose.outcome(Outcome::InfraError);
            compose.incomplete(note);
            return;
        }
        let own = exit.code;
        if own == Some(4) && !compose.has_fault() {
            self.refused(compose);
            return;
        }
        if self.stopped(compose, session, own) {
            return;
        }
        if last.is_none() && !broken {
            self.no_end(compose, end, session);
            return;
        }
        self.settle_code(compose, end, own);
    }

    /// In a run of regreen's own the reporter writes: text alone may hide that it could not.
    fn unheard(&self, compose: &mut Compose, end: &End) {
        let success = end.exit.is_some_and(|exit| exit.success());
        if (self.fed || self.live) && !compose.has_fault() && success {
            compose.incomplete(
                Note::new("no_events", "regreen's reporter wrote nothing, so the results cannot be believed").remedy(
                    "the command has to start pytest with PYTEST_ADDOPTS and PYTHONPATH kept; a test must not touch the reporter's file",
                ),
            );
        }
    }

    pub(super) fn refused(&self, compose: &mut Compose) {
        self.usage(compose);
        for message in self.text.messages.iter().chain(&self.error_text.messages) {
            compose.note(Note::new("usage", message.clone()));
        }
    }

    /// `!!! KeyboardInterrupt !!!`, `!!! _pytest.outcomes.Exit: enough !!!`: it was stopped. That
    /// it stopped at errors of the collection is told by those.
    pub(super) fn stopped(
        &self,
        compose: &mut Compose,
        session: &Session,
        code: Option<i32>,
    ) -> bool {
        let by_hand = |why: &&String| {
            why.contains("outcomes.Exit")
                || why.starts_with("KeyboardInterrupt")
                || why.starts_with("Exit: ")
        };
        let Some(why) = session.stopped.iter().find(by_hand) else {
            return false;
        };
        // A test may print such a line; its session goes on to a good end.
        if code == Some(1) || (code == Some(0) && why.starts_with("KeyboardInterrupt")) {
            return false;
        }
        compose.outcome(Outcome::Interrupted);
        let message = format!("pytest was interrupted: {why}");
        compose.incomplete(Note::new("interrupted", text::one_line(&message)));
        true
    }

    /// The last line is missing: whoever was running is named.
    pub(super) fn no_end(&self, compose: &mut Compose, end: &End, session: &Session) {
        compose.incomplete(Note::new("no_end", "pytest's last line is missing"));
        let began =
            session.began || session.progress.lines > 0 || session.progress.letters != [0; 4];
        let exit = end.exit.unwrap_or_default();
        if end.interrupted {
            return;
        }
        match exit.code {
            Some(2) if !began && !compose.has_fault() => {
                return compose.outcome(Outcome::Interrupted);
            }
            Some(3) if !began && !compose.has_fault() => {
                return compose.outcome(Outcome::Crashed);
            }
            Some(5) if !began && !compose.has_fault() => return,
            Some(code) if code != 0 && !began && !exit.timed_out => {
                if !compose.has_fault() {
                    self.exit_nonzero(compose, code);
                }
                return;
            }
            _ => {}
        }
        let mut last = self.error_tail.lines(400);
        last.extend(self.tail.lines(400));
        let fault = fault::find(&last);
        let outside = matches!(exit.signal, Some(1 | 2 | 15)) && !exit.timed_out;
        if outside {
            compose.outcome(Outcome::Interrupted);
            let signal = compose::signal_name(exit.signal.unwrap_or(0));
            compose.note(Note::new("signal", format!("pytest was ended by {signal}")));
            return;
        }
        let running = session.progress.running.first().cloned();
        let by_fault = fault.as_ref().and_then(|fault| self.faulty(fault, session));
        if end.exit.is_none() && fault.is_none() && (running.is_none() || compose.has_fault()) {
            return;
        }
        // Between its tests and its end a log that is cut off accuses nobody.
        if end.exit.is_none() && fault.is_none() && session.progress.done {
            return;
        }
        if !began && end.exit.is_some_and(|exit| exit.success()) {
            return;
        }
        let (kind, how) = self.how(exit);
        let how = match &fault {
            Some(fault) if kind == FailureKind::Crash => fault.what.clone(),
            _ if end.exit.is_none() => "the output ends".to_owned(),
            _ => how,
        };
        let id = by_fault.or(running);
        let (name, phase, message) = match &id {
            Some(id) => (
                id.as_str(),
                Phase::Call,
                format!("{how} while this test was running"),
            ),
            None => (
                "pytest",
                Phase::Session,
                format!("{how} before the end of the session"),
            ),
        };
        let mut failure = compose::failure(name, kind, phase, message);
        failure.kind_sure = end.exit.is_some() || fault.is_some();
        failure.stderr = text::block(
            &last[last.len().saturating_sub(200)..].join("\n"),
            text::DETAILS,
        );
        if let Some(fault) = &fault {
            let entries: Vec<_> = fault.called().iter().rev().cloned().collect();
            let said = block::Said {
                entries,
                ..block::Said::default()
            };
            block::fill(&mut failure, &said, &self.place);
        }
        if let Some(id) = &id {
            failure.rerun = self.place.rerun(id);
        }
        compose.failed(compose::seal(failure));
    }

    /// The id of the test that a fault's stack was in; `-v` knows its class, or the text of the
    /// file does.
    fn faulty(&self, fault: &fault::Fault, session: &Session) -> Option<String> {
        let test = fault.test()?;
        let function = test.function.as_deref()?;
        let file = self.place.path(&test.file);
        let ends = |id: &&String| {
            let name = id.rsplit("::").next().unwrap_or(id);
            name.split('[').next() == Some(function)
        };
        if let Some(id) = session.progress.running.iter().find(ends) {
            return Some(id.clone());
        }
        let class = self.place.context.tree.read(&file).and_then(|source| {
            let before = source.lines().take(test.line.unwrap_or(1) as usize);
            let begins = before.filter(|line| {
                line.starts_with("class ") || line.starts_with("def ") || line.starts_with("async ")
            });
            let rest = begins.last()?.strip_prefix("class ")?;
            Some(rest.split(['(', ':', ' ']).next()?.to_owned())
        });
        let root = format!("{}/", self.place.rootdir);
        let file = file.strip_prefix(&root).unwrap_or(&file);
        Some(match class {
            Some(class) => format!("{file}::{class}::{function}"),
            None => format!("{file}::{function}"),
        })
    }

    /// The text has its end: does the exit status agree?
    pub(super) fn settle_code(&self, compose: &mut Compose, end: &End, code: Option<i32>) {
        let exit = end.exit.unwrap_or_default();
        if exit.timed_out || end.interrupted || exit.oom {
            return;
        }
        let nothing = compose.counts.passed + compose.counts.failed == 0;
        match code {
            Some(2) if !compose.has_fault() => compose.outcome(Outcome::Interrupted),
            Some(3) if !compose.has_fault() => compose.outcome(Outcome::Crashed),
            Some(5) if nothing => {}
            Some(0) if compose.has_fault() => {
                let message = "pytest exited with status 0 although something failed";
                compose.note(Note::new("exit_disagrees", message));
            }
            Some(0) | None => {}
            Some(code) => {
                if !compose.has_fault() {
                    self.exit_nonzero(compose, code);
                }
            }
        }
        if let Some(signal) = exit.signal {
            let outside = [1, 2, 15].contains(&signal);
            compose.outcome(match outside {
                true => Outcome::Interrupted,
                false => Outcome::Crashed,
            });
            let signal = compose::signal_name(signal);
            compose.incomplete(Note::new("signal", format!("pytest was ended by {signal}")));
        }
    }
}

/// `--collect-only` runs nothing.
pub(crate) fn collected_only(number: u64) -> Note {
    let message = format!("{number} tests were only collected (`--collect-only`), none ran");
    Note::new("collect_only", message)
        .remedy("take `--collect-only` out of the command or of `addopts`")
}

/// A conftest that cannot be loaded, or an error of pytest's own.
pub(crate) fn of_broken(broken: &Block, place: &Place) -> Failure {
    let said = block::read(&broken.text);
    if broken.title == "INTERNALERROR" {
        let message = format!("pytest's own error: {}", block::one_line(&said));
        let mut failure = compose::failure("pytest", FailureKind::Crash, Phase::Session, message);
        block::fill(&mut failure, &said, place);
        failure.details = text::block(&broken.text, text::DETAILS);
        return compose::seal(failure);
    }
    let file = place.context.relative(&broken.title);
    let message = block::one_line(&said);
    let mut failure =
        compose::failure(&file, FailureKind::CollectionError, Phase::Collect, message);
    block::fill(&mut failure, &said, place);
    if failure.location.is_none() {
        failure.location = Some(Location {
            file,
            line: None,
            column: None,
        });
    }
    failure.details = text::block(&broken.text, text::DETAILS);
    failure.rerun = place.rerun_all();
    compose::seal(failure)
}
