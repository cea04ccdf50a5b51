//! The report of a whole run of bats.

use crate::bats::BatsRun;
use crate::bats::result::Outcome;
use crate::bats::result::Verdict;
use crate::bats::xml::Read;
use crate::compose;
use crate::compose::Compose;
use crate::live::End;
use crate::records::how;
use crate::report;
use crate::report::FailureKind;
use crate::report::Note;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::text;
use std::sync::Arc;

impl BatsRun {
    /// The report of the whole run.
    pub fn finish(mut self, end: &End) -> Report {
        for (lines, events) in [
            (&mut self.output, false),
            (&mut self.errors, false),
            (&mut self.events, true),
        ] {
            let Some(line) = lines.finish() else {
                continue;
            };
            let reader = match events {
                true => &mut self.extended,
                false => &mut self.text,
            };
            // Half of a result is none.
            let shown = text::shown(&line.bytes);
            if !shown.starts_with("ok ") && !shown.starts_with("not ok ") || self.tail_is_whole {
                reader.raw(&line.bytes, &shown, &self.context);
            }
        }
        self.text.settle();
        let mut compose = Compose::new();
        let xml = self.xml.as_ref().map(crate::bats::xml::Xml::read);
        let errors = std::mem::take(&mut self.text.errors);
        let broken = std::mem::take(&mut self.text.broken);
        let source = if self.extended.told() {
            self.tell(&mut compose, end, true);
            Source::Events
        } else if let Some(xml) = xml.filter(|_| !self.text.told()) {
            self.tell_xml(&mut compose, xml, end);
            Source::Report
        } else {
            self.tell(&mut compose, end, false);
            Source::Text
        };
        if self.streamed && source != Source::Events {
            let message = "bats's stream was begun and holds no plan";
            compose.incomplete(Note::new("cut_off", message));
        }
        self.broken(&mut compose, broken, errors, source);
        self.status(&mut compose, end);
        compose.finish("bats", source, end)
    }

    fn tell(&mut self, compose: &mut Compose, end: &End, events: bool) {
        let mut reader = match events {
            true => std::mem::take(&mut self.extended),
            false => std::mem::take(&mut self.text),
        };
        let mut running = reader.running();
        let mut results = std::mem::take(&mut reader.results);
        let base = base(&results);
        let files = results.iter_mut().filter_map(|result| result.file.as_mut());
        place(files, base.as_deref());
        self.results(compose, &results);
        if reader.passed_over > 0 {
            let message = format!(
                "{} lines that look like results are none",
                reader.passed_over
            );
            compose.note(Note::new("passed_over", message));
        }
        if reader.interrupted {
            compose.outcome(report::Outcome::Interrupted);
            compose.complete = false;
        }
        if !reader.told() {
            return;
        }
        let files = running.iter_mut().filter_map(|(_, file)| file.as_mut());
        place(files, base.as_deref());
        let killed = reader.killed.as_ref().or(self.text.killed.as_ref());
        if !running.is_empty() {
            self.died(compose, end, &running, killed.map(String::as_str));
        }
        let ran = results.iter().filter(|result| !result.is_hook()).count() as u64;
        let missing = match reader.summary {
            Some(summary) => summary.not_run,
            None => u64::from(reader.plan.unwrap_or(0)).saturating_sub(ran),
        };
        let missing = missing.saturating_sub(running.len() as u64);
        let hooks = results
            .iter()
            .any(|result| result.is_bad() && result.is_hook());
        if !reader.is_tap() && reader.summary.is_none() {
            compose.incomplete(Note::new("cut_off", "the last line of the run is missing"));
            return;
        }
        if missing == 0 {
            return;
        }
        let message = format!("{missing} tests that were announced did not run");
        compose.note(Note::new("not_run", message.clone()));
        if hooks && killed.is_none() {
            return;
        }
        compose.complete = false;
        if !running.is_empty() || !self.tail_is_whole {
            return;
        }
        if let Some(words) = killed {
            let mut failure = compose::failure("bats", FailureKind::Crash, Phase::Call, words);
            failure.kind_sure = false;
            compose.failed(compose::seal(failure));
        } else if end
            .exit
            .is_some_and(|exit| exit.signal.is_some() || exit.timed_out || exit.oom)
        {
            let (kind, how) = how(end.exit);
            let failure = compose::failure("bats", kind, Phase::Session, how);
            compose.failed(compose::seal(failure));
        } else if end.exit.is_some() {
            let failure =
                compose::failure("bats", FailureKind::PlanMismatch, Phase::Session, message);
            compose.failed(compose::seal(failure));
        }
    }

    fn results(&self, compose: &mut Compose, results: &[Outcome]) {
        for result in results {
            match result.verdict {
                Verdict::Passed => compose.counts.passed += 1,
                Verdict::Skipped => compose.counts.skipped += 1,
                // What stands around tests may be a file that cannot be loaded.
                _ if compose.is_full() && !result.is_hook() => compose.unlisted(),
                Verdict::Failed | Verdict::TimedOut => {
                    compose.failed(result.failure(&self.context));
                }
            }
        }
    }

    /// Tests that began and never ended.
    fn died(
        &self,
        compose: &mut Compose,
        end: &End,
        running: &[(String, Option<Arc<str>>)],
        killed: Option<&str>,
    ) {
        compose.complete = false;
        if end.interrupted {
            return;
        }
        let exit = end.exit.unwrap_or_default();
        let ended = exit.timed_out || exit.oom || exit.signal.is_some();
        let (kind, message) = match killed {
            Some(words) if !ended => (FailureKind::Crash, words.to_owned()),
            _ if ended => how(end.exit),
            _ => (
                FailureKind::Crash,
                "the test's process ended without a result".to_owned(),
            ),
        };
        if end.exit.is_none() && killed.is_none() {
            // The log may have been cut off here.
            let names: Vec<&str> = running.iter().map(|(name, _)| name.as_str()).collect();
            let names = text::cut(&names.join(", "), 2000);
            compose.note(Note::new(
                "was_running",
                format!("running at the end of the output: {names}"),
            ));
        }
        for (name, file) in running.iter().take(100) {
            let result = Outcome::new(None, name, Verdict::Failed, file.clone());
            let mut failure = result.failure(&self.context);
            failure.kind = kind;
            failure.kind_sure = end.exit.is_some() || killed.is_some();
            failure.message = text::one_line(&message);
            compose.failed(compose::seal(failure));
        }
    }

    fn tell_xml(&self, compose: &mut Compose, read: Read, end: &End) {
        let mut results = read.results;
        let base = base(&results);
        let files = results.iter_mut().filter_map(|result| result.file.as_mut());
        place(files, base.as_deref());
        self.results(compose, &results);
        let whole = read.fault.is_none();
        if let Some(fault) = read.fault {
            compose.incomplete(Note::new("inconsistent_report", fault));
        }
        if whole && results.is_empty() && end.exit.is_some_and(|exit| !exit.success()) {
            let message = "the report names no test; a set-up of the whole suite may have failed";
            let mut failure =
                compose::failure("bats", FailureKind::SetupError, Phase::Setup, message);
            failure.kind_sure = false;
            compose.failed(compose::seal(failure));
        }
    }

    /// Files that the shell cannot read, and what bats refuses.
    fn broken(
        &self,
        compose: &mut Compose,
        broken: Vec<(report::Location, String)>,
        errors: Vec<String>,
        source: Source,
    ) {
        for (at, message) in broken {
            let known = compose.failures.iter().any(|failure| {
                failure.id == at.file
                    || failure.location.as_ref().is_some_and(|l| l.file == at.file)
            });
            if known
                || !at.file.ends_with(".bats")
                || source != Source::Text
                || compose.counts.passed + compose.counts.failed > 0
            {
                continue;
            }
            let mut failure = compose::failure(
                &at.file,
                FailureKind::CollectionError,
                Phase::Collect,
                message,
            );
            failure.rerun = self
                .context
                .rerun(&["bats"], [self.context.in_dir(&at.file)]);
            failure.location = Some(at);
            compose.failed(compose::seal(failure));
        }
        for error in errors {
            let file = error
                .strip_prefix("Duplicate test name(s) in file \"")
                .and_then(|rest| rest.split_once('"'));
            if let Some((file, _)) = file {
                let file = self.context.relative(file);
                let mut failure =
                    compose::failure(&file, FailureKind::CollectionError, Phase::Collect, &error);
                failure.rerun = self.context.rerun(&["bats"], [self.context.in_dir(&file)]);
                failure.location = Some(report::Location {
                    file,
                    line: None,
                    column: None,
                });
                compose.failed(compose::seal(failure));
            } else if compose.counts.passed + compose.counts.failed + compose.counts.skipped == 0 {
                let usage = [
                    "Bad command line option",
                    "Test file ",
                    "Must specify",
                    "Unknown ",
                ];
                if usage.iter().any(|start| error.starts_with(start)) {
                    compose.outcome(report::Outcome::UsageError);
                }
                compose.note(Note::new("bats", text::one_line(&error)));
            }
        }
    }

    fn status(&self, compose: &mut Compose, end: &End) {
        let Some(exit) = end.exit.filter(|_| !end.interrupted) else {
            return;
        };
        if exit.success() || compose.has_fault() {
            return;
        }
        if exit.timed_out || exit.oom || exit.signal.is_some() {
            let (kind, how) = how(end.exit);
            compose.complete = false;
            let failure = compose::failure(
                "bats",
                kind,
                Phase::Session,
                format!("{how} before the end of the run"),
            );
            compose.failed(compose::seal(failure));
            return;
        }
        let lines = self.tail.lines(40);
        let last = lines
            .last()
            .map(|line| format!(": {line}"))
            .unwrap_or_default();
        let message = format!(
            "exited with status {} although no test failed{last}",
            exit.code.unwrap_or(-1)
        );
        let mut failure =
            compose::failure("bats", FailureKind::ExitNonzero, Phase::Session, message);
        failure.kind_sure = false;
        failure.details = text::block(&lines.join("\n"), text::DETAILS);
        compose.failed(compose::seal(failure));
    }
}

/// The pretty style and the document name files below the directory that was tested: which one
/// that is follows from the places of failures.
fn base(results: &[Outcome]) -> Option<String> {
    let of = |result: &Outcome| {
        let file = result
            .file
            .as_deref()
            .filter(|file| !file.starts_with('/'))?;
        let path = result.block.iter().find_map(|line| {
            let framed = line
                .split_once("in test file ")
                .and_then(|(_, rest)| rest.rsplit_once(", line "));
            let (path, _) = framed.or_else(|| line.split_once(": line "))?;
            Some(path)
        })?;
        let before = path.strip_suffix(file)?;
        before.ends_with('/').then(|| before.to_owned())
    };
    results.iter().find_map(of)
}

fn place<'a>(files: impl Iterator<Item = &'a mut Arc<str>>, base: Option<&str>) {
    let Some(base) = base else {
        return;
    };
    // Tests of one file come one after the other.
    let mut last: Option<(Arc<str>, Arc<str>)> = None;
    for file in files.filter(|file| !file.starts_with('/')) {
        let placed = match &last {
            Some((known, placed)) if Arc::ptr_eq(known, file) => placed.clone(),
            _ => format!("{base}{file}").into(),
        };
        last = Some((file.clone(), placed.clone()));
        *file = placed;
    }
}
