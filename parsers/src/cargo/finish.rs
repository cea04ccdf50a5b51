//! The report of a whole cargo run: build, test binaries, doctests and exit status together.

use crate::cargo::CargoRun;
use crate::cargo::Current;
use crate::cargo::Died;
use crate::cargo::Inline;
use crate::cargo::binary;
use crate::cargo::binary::Identity;
use crate::cargo::errors::Errors;
use crate::cargo::package::Package;
use crate::cargo::targets::Target;
use crate::cargo::targets::Targets;
use crate::compose;
use crate::compose::Compose;
use crate::libtest::text::Section;
use crate::live::End;
use crate::report::FailureKind;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::text;

impl CargoRun {
    /// The report of the whole run.
    pub fn finish(mut self, end: End) -> Report {
        let mut events = Vec::new();
        if let Some(line) = self.stdout.finish() {
            self.log_line(line.seen(), &mut events);
        }
        if let Some(line) = self.stderr.finish() {
            self.error_line(&line.seen().shown());
        }
        if let Some(section) = self.reader.close() {
            self.sections.push((self.current.clone(), section));
        }
        let mut compose = Compose::new();
        let structured = self.messages || !self.binaries.is_empty() || !self.inline.is_empty();
        self.settle_build(&mut compose);
        let tested =
            !self.binaries.is_empty() || !self.sections.is_empty() || !self.inline.is_empty();
        // Cargo's own messages say which binaries there are: without their end none may be
        // missing unnoticed.
        if (self.messages || !self.binaries.is_empty()) && !self.build_ended {
            compose.incomplete(Note::new(
                "no_end",
                "cargo's messages end before the build does",
            ));
        }
        self.settle_binaries(&mut compose, &end);
        self.settle_sections(&mut compose, &end);
        for inline in std::mem::take(&mut self.inline) {
            self.settle_inline(&mut compose, inline, &end);
        }
        self.settle_exit(&mut compose, &end, tested);
        let source = if structured {
            Source::Events
        } else {
            Source::Text
        };
        compose.finish(self.framework, source, &end)
    }

    /// Somebody else has seen that the build succeeded.
    pub(crate) fn is_built(&mut self) {
        self.built = Some(true);
    }

    /// Errors and warnings of the build.
    pub(crate) fn settle_build(&mut self, compose: &mut Compose) {
        let built = self.built == Some(true);
        let package = Package::new(self.context.clone(), &self.context.dir);
        let found = std::mem::take::<Errors>(&mut self.errors).finish(built, &package);
        for warning in std::mem::take(&mut self.warnings) {
            compose.diagnostic(warning);
        }
        if !self.messages {
            found
                .warnings
                .into_iter()
                .for_each(|warning| compose.diagnostic(warning));
        }
        let known: Vec<(String, String)> = self
            .compiler
            .iter()
            .map(|failure| (failure.id.clone(), failure.message.clone()))
            .collect();
        for failure in std::mem::take(&mut self.compiler) {
            compose.failure(failure);
        }
        for failure in found.failures {
            if !known.iter().any(|(id, _)| *id == failure.id) {
                compose.failure(failure);
            }
        }
        found.notes.into_iter().for_each(|note| compose.note(note));
        if let Some(usage) = found.usage {
            compose.outcome(Outcome::UsageError);
            compose.note(Note::new("usage", format!("cargo: {usage}")));
        }
    }

    fn settle_binaries(&mut self, compose: &mut Compose, end: &End) {
        let started: Vec<String> = self.order.clone();
        let ran: Vec<String> = started
            .iter()
            .filter_map(|stem| Some(self.binaries.get(stem)?.header.as_ref()?.binary.clone()))
            .collect();
        for stem in started {
            let target = self.target_of(&stem);
            let label = self.targets.label(&target);
            let package = Targets::package(&target, &self.context);
            let who = Identity {
                target: &target,
                label: &label,
                package: &package,
            };
            if let Some(binary) = self.binaries.remove(&stem) {
                binary.settle(compose, end, &who);
            }
        }
        // Without the shim the results stand in the output itself, one section a binary.
        let others = self.inline.len() + self.sections.len().saturating_sub(self.doc_headers);
        if ran.is_empty() && others > 0 {
            return;
        }
        // After a failed build cargo runs nothing; its errors are the whole story.
        if ran.is_empty() && self.built == Some(false) {
            return;
        }
        let missing: Vec<&str> = self
            .targets
            .binaries()
            .filter(|binary| !ran.iter().any(|ran| ran == binary))
            .collect();
        if !missing.is_empty() {
            let names: Vec<String> = missing
                .iter()
                .map(|binary| self.targets.label(&self.targets.of(binary)))
                .collect();
            let message = format!("built but not run: {}", text::cut(&names.join(", "), 1000));
            let note = Note::new("not_run", message);
            // Cargo starts nothing after a failed build; once its errors are told, all is told.
            let explained = self.built == Some(false)
                && compose
                    .failures
                    .iter()
                    .any(|failure| failure.phase == Phase::Build);
            if explained {
                compose.note(note);
            } else {
                compose.incomplete(note);
            }
        }
    }

    fn settle_sections(&mut self, compose: &mut Compose, end: &End) {
        let sections = std::mem::take(&mut self.sections);
        let doctests = sections
            .iter()
            .filter(|(current, _)| current.as_ref().is_some_and(|c| c.doctests));
        let separate = sections.iter().all(|(current, _)| current.is_none());
        let seen = if separate {
            sections.len()
        } else {
            doctests.count()
        };
        if self.doc_headers > seen && self.binaries_or_inline_seen(&sections) {
            let message = format!(
                "{} sets of doctests began, {seen} have results",
                self.doc_headers
            );
            compose.incomplete(Note::new("no_end", message));
        }
        for (current, section) in sections {
            self.settle_section(compose, current, section, end);
        }
    }

    fn binaries_or_inline_seen(&self, sections: &[(Option<Current>, Section)]) -> bool {
        !self.order.is_empty() || !self.inline.is_empty() || !sections.is_empty()
    }

    fn settle_section(
        &mut self,
        compose: &mut Compose,
        current: Option<Current>,
        section: Section,
        end: &End,
    ) {
        let (passed, failed, ignored) = section.counts;
        compose.counts.passed += passed;
        compose.counts.skipped += ignored;
        compose.filtered += section.filtered;
        // The last line counts failed tests whose names may have been lost.
        let unnamed = failed.saturating_sub(section.failed.len() as u64);
        compose.counts.failed += unnamed;
        for (name, output) in &section.failed {
            // No failure of a test's own output decides more than that tests failed.
            if compose.is_full() {
                compose.unlisted();
                continue;
            }
            let owner = current.clone().or_else(|| self.current_for(name));
            compose.failed(self.text_failure(owner.as_ref(), name, output));
        }
        if section.ended && section.faults.is_empty() {
            return;
        }
        let target = current
            .as_ref()
            .map(|c| self.targets.settled(&c.target))
            .unwrap_or_default();
        let mut label = self.targets.label(&target);
        if label.is_empty() {
            label = "tests".to_owned();
        }
        let package = Targets::package(&target, &self.context);
        let who = Identity {
            target: &target,
            label: &label,
            package: &package,
        };
        compose.complete = false;
        if section.ended {
            binary::disbelieved(compose, &who, &section.faults);
            return;
        }
        compose.note(Note::new(
            "no_end",
            format!("the results of `{label}` have no last line"),
        ));
        if end.interrupted {
            return;
        }
        let exit = end.exit.unwrap_or_default();
        let place = self.died.iter().position(|died| {
            died.current.as_ref().map(|died| &died.target.name)
                == current.as_ref().map(|c| &c.target.name)
        });
        let died = place.map(|place| self.died.remove(place));
        let alone = died.as_ref().is_none_or(|died| died.alone) || section.last_one;
        let died = died.map(|died| (died.code, died.signal));
        let (kind, how) = match died {
            _ if exit.timed_out => (
                FailureKind::Timeout,
                "the time limit was reached".to_owned(),
            ),
            _ if exit.oom => (FailureKind::Oom, "memory ran out".to_owned()),
            Some((_, Some(signal))) => (
                FailureKind::Crash,
                format!("the process died of {}", compose::signal_name(signal)),
            ),
            Some((Some(code), _)) => (
                FailureKind::Crash,
                format!("the process exited with status {code}"),
            ),
            _ if end.exit.is_none() => return,
            _ => (
                FailureKind::Crash,
                "the process ended in the middle of its tests".to_owned(),
            ),
        };
        let (culprit, words, said) = match section.culprit {
            Some((name, words, said)) => (Some(name), Some(words), said),
            None => (None, None, String::new()),
        };
        let running = culprit.or(section.running.filter(|_| alone));
        let id = running.clone().unwrap_or_else(|| label.clone());
        let how = match words.filter(|_| kind == FailureKind::Crash) {
            Some(words) => format!("{how}: {words}"),
            None => how,
        };
        let mut failure = compose::failure(id, kind, Phase::Call, how);
        failure.kind_sure = running.is_some();
        if let Some(name) = running.as_deref().filter(|_| !said.is_empty()) {
            let told = self.text_failure(current.as_ref(), name, &said);
            failure.location = told.location;
            failure.frames = told.frames;
            failure.details = told.details;
        }
        compose.failed(binary::named(failure, &who, running.as_deref()));
    }

    fn settle_inline(&mut self, compose: &mut Compose, inline: Inline, end: &End) {
        let target = inline
            .current
            .map(|current| current.target)
            .unwrap_or_default();
        let label = self.targets.label(&target);
        let package = Targets::package(&target, &self.context);
        let who = Identity {
            target: &target,
            label: &label,
            package: &package,
        };
        let (passed, _, ignored) = inline.stream.tally();
        compose.counts.passed += passed;
        compose.counts.skipped += ignored;
        compose.filtered += inline.stream.end().map_or(0, |end| end.filtered);
        for failed in &inline.failed {
            if compose.is_full() {
                compose.unlisted();
                continue;
            }
            compose.failed(binary::of(failed, &who));
        }
        let faults = inline.stream.contradictions(None);
        if inline.stream.end().is_some() {
            if !faults.is_empty() {
                binary::disbelieved(compose, &who, &faults);
            }
            return;
        }
        compose.incomplete(Note::new(
            "no_end",
            format!("the results of `{}` have no end", inline_name(&label)),
        ));
        if end.interrupted {
            return;
        }
        let exit = end.exit.unwrap_or_default();
        let running = inline.stream.running();
        let (kind, how) = if exit.timed_out {
            (FailureKind::Timeout, "the time limit was reached")
        } else {
            (FailureKind::Crash, "the stream ended")
        };
        for name in &running {
            let message = format!("{how} while this test was running");
            let mut failure = compose::failure(name, kind, Phase::Call, message);
            failure.kind_sure = running.len() == 1;
            compose.failed(binary::named(failure, &who, Some(name)));
        }
    }

    /// The exit status may raise an outcome, never lower it.
    fn settle_exit(&mut self, compose: &mut Compose, end: &End, tested: bool) {
        self.settle_failed_targets(compose);
        let Some(exit) = end.exit else {
            if !tested && !compose.has_fault() {
                compose.incomplete(Note::new(
                    "nothing_read",
                    "the log holds no result that is known",
                ));
            }
            return;
        };
        if let Some(signal) = exit.signal
            && !exit.timed_out
            && !exit.oom
            && !end.interrupted
        {
            let outside = [1, 2, 15].contains(&signal);
            compose.outcome(if outside {
                Outcome::Interrupted
            } else {
                Outcome::Crashed
            });
            compose.incomplete(Note::new(
                "signal",
                format!("cargo was ended by {}", compose::signal_name(signal)),
            ));
        }
        let Some(code) = exit.code else {
            return;
        };
        if code == 0 {
            if compose.has_fault() {
                let message = "the command exited with status 0 although something failed";
                compose.note(Note::new("exit_disagrees", message));
            }
            return;
        }
        if compose.has_fault() || exit.timed_out || exit.oom || end.interrupted {
            return;
        }
        let build = !tested && self.built != Some(true);
        let last = self.tail.lines(30);
        let said = last
            .iter()
            .rfind(|line| line.starts_with("error"))
            .or(last.last());
        let message = said.map_or(String::new(), |line| format!(": {line}"));
        let (kind, phase) = if build {
            (FailureKind::CompileError, Phase::Build)
        } else {
            (FailureKind::ExitNonzero, Phase::Session)
        };
        let message = format!("`{}` exited with status {code}{message}", self.framework);
        let mut failure = compose::failure(self.framework, kind, phase, message);
        failure.kind_sure = false;
        failure.details = text::block(&last.join("\n"), text::DETAILS);
        compose.failure(compose::seal(failure));
        compose.complete = build;
    }

    /// Targets that cargo says failed, and of which nothing else is known (`harness = false`
    /// in a pasted log).
    fn settle_failed_targets(&mut self, compose: &mut Compose) {
        let unexplained: Vec<_> = std::mem::take(&mut self.died);
        for Died {
            current,
            code,
            signal,
            ..
        } in unexplained
        {
            let Some(current) = current else {
                continue;
            };
            let target = self.targets.settled(&current.target);
            let label = self.targets.label(&target);
            let explained = compose
                .failures
                .iter()
                .any(|failure| failure.target.as_deref() == Some(&label));
            if explained || label.is_empty() {
                continue;
            }
            self.custom_in_text(compose, &target, &label, code, signal);
        }
    }

    fn custom_in_text(
        &self,
        compose: &mut Compose,
        target: &Target,
        label: &str,
        code: Option<i32>,
        signal: Option<i32>,
    ) {
        let package = Targets::package(target, &self.context);
        let who = Identity {
            target,
            label,
            package: &package,
        };
        let (kind, message) = match (code, signal) {
            (_, Some(signal)) => (
                FailureKind::Crash,
                format!("died of {}", compose::signal_name(signal)),
            ),
            (code, None) => (
                FailureKind::ExitNonzero,
                format!("exited with status {}", code.unwrap_or(-1)),
            ),
        };
        let mut failure = compose::failure(label, kind, Phase::Call, message);
        failure.kind_sure = false;
        compose.failed(binary::named(failure, &who, None));
    }
}

fn inline_name(label: &str) -> &str {
    if label.is_empty() { "tests" } else { label }
}
