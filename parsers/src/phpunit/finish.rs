//! The report of a whole run: files, messages, text and exit status together.

use crate::compose;
use crate::compose::Compose;
use crate::junit::Read;
use crate::live::End;
use crate::phpunit::PhpunitRun;
use crate::phpunit::failure;
use crate::phpunit::failure::Section;
use crate::phpunit::frames;
use crate::phpunit::results::Results;
use crate::phpunit::text::Fatal;
use crate::records::how;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::text;

impl PhpunitRun {
    /// The report of the whole run.
    pub(super) fn report(mut self, end: &End) -> Report {
        let mut compose = Compose::new();
        let results = self.text.results();
        if !self.messages.began && self.inline.believable() && !results.agree() {
            std::mem::swap(&mut self.messages, &mut self.inline);
        }
        let xml = self.xml.take().map(|document| document.read(&self.context));
        let whole = xml
            .as_ref()
            .is_some_and(|read| read.faults.is_empty() && read.dialect.is_some());
        let source = if self.messages.began {
            Source::Events
        } else if xml.as_ref().is_some_and(|read| read.dialect.is_some()) {
            Source::Report
        } else {
            Source::Text
        };
        match xml {
            Some(read) if whole => self.by_xml(&mut compose, &read),
            _ if self.messages.began => self.by_messages(&mut compose),
            Some(read) if read.dialect.is_some() && results.summary.is_none() => {
                self.by_xml(&mut compose, &read);
                compose.incomplete(Note::new("report_unreadable", read.faults.join("; ")));
            }
            _ => self.by_text(&mut compose, &results),
        }
        if source != Source::Text {
            self.compare(&mut compose, &results);
        }
        let ended = results.summary.is_some() || whole || self.text.nothing;
        // PHPUnit came to its end, and the messages that it wrote on the way did not.
        // A text of Pest or of a wrapper has other words, but PHPUnit's own has a last line.
        if ended && self.text.began && results.summary.is_none() && !self.text.nothing {
            compose.incomplete(compose::inconsistent(
                "the files are whole, and PHPUnit's text has no last line",
            ));
        }
        if ended && self.messaged && !self.messages.ended() && !self.text.nothing {
            compose.incomplete(compose::inconsistent(
                "PHPUnit ended, and its TeamCity messages break off",
            ));
        }
        self.settle(&mut compose, end, &results, ended);
        compose.finish("phpunit", source, end)
    }

    fn by_xml(&self, compose: &mut Compose, read: &Read) {
        compose.counts.passed = read.passed;
        compose.counts.skipped = read.skipped;
        compose.counts.flaky = read.flaky;
        for failure in &read.failures {
            compose.failed(failure.clone());
        }
        compose.counts.failed = (compose.counts.failed + read.more).saturating_sub(read.doubles);
    }

    fn by_messages(&mut self, compose: &mut Compose) {
        compose.counts = self.messages.counts;
        for failure in std::mem::take(&mut self.messages.failures) {
            compose.failure(failure);
        }
        let faults = std::mem::take(&mut self.messages.faults);
        if !faults.is_empty() {
            compose.incomplete(compose::inconsistent(format!(
                "PHPUnit's messages contradict themselves: {}",
                faults.join("; ")
            )));
        }
    }

    fn by_text(&self, compose: &mut Compose, results: &Results) {
        let mut failures: Vec<Failure> = results
            .blocks
            .iter()
            .map(|block| failure::of(&block.title, &block.body, block.section, &self.context))
            .collect();
        if results.blocks.is_empty() {
            failures = self.text.dox_failures(&self.context);
        }
        let known = failures.len() as u64;
        for failure in failures {
            compose.failed(failure);
        }
        let Some(summary) = results.summary else {
            return;
        };
        // Before PHPUnit 10 a warning is a test's result.
        let warned = results
            .blocks
            .iter()
            .filter(|block| block.section == Section::Warning)
            .count() as u64;
        let bad = summary.errors + summary.failures + warned;
        compose.counts.skipped = summary.skipped;
        compose.counts.passed = summary.tests.saturating_sub(bad + summary.skipped);
        let said = bad + summary.runner;
        if known != said {
            compose.counts.failed = compose.counts.failed.max(said);
            compose.incomplete(Note::new(
                "text_disagrees",
                format!("the last line counts {said} failures, {known} are told"),
            ));
        }
    }

    /// What the text tells and the files do not: errors of the runner itself.
    fn compare(&self, compose: &mut Compose, results: &Results) {
        if !results.agree() {
            return;
        }
        let told: Vec<Failure> = results
            .blocks
            .iter()
            .map(|block| failure::of(&block.title, &block.body, block.section, &self.context))
            .collect();
        // Results that do not hold what the files hold are a test's output.
        let holds = |known: &Failure| told.iter().any(|failure| failure.id == known.id);
        if !compose.failures.iter().all(holds) {
            return;
        }
        for failure in told {
            let same = |known: &&mut Failure| known.id == failure.id;
            match compose.failures.iter_mut().find(same) {
                Some(known) => enrich(known, &failure),
                None => compose.failed(failure),
            }
        }
        let said = results.summary.unwrap_or_default();
        if said.errors + said.failures == 0 && said.ok && compose.counts.failed > 0 {
            compose.incomplete(compose::inconsistent(
                "the text says that nothing failed, the files say otherwise",
            ));
        }
    }

    /// Is it over, and does the exit status agree?
    fn settle(&mut self, compose: &mut Compose, end: &End, results: &Results, ended: bool) {
        let exit = end.exit.unwrap_or_default();
        let outside = end.interrupted || exit.timed_out || exit.oom;
        if !ended {
            compose.complete = false;
            return self.broken_off(compose, end);
        }
        if outside {
            return;
        }
        if let Some(signal) = exit.signal {
            let message = format!(
                "the process died of {} after its tests",
                compose::signal_name(signal)
            );
            let failure = compose::failure("phpunit", FailureKind::Crash, Phase::Session, message);
            compose.failed(compose::seal(failure));
            compose.complete = false;
            return;
        }
        let code = exit.code.unwrap_or(0);
        if end.exit.is_some() && code == 0 && compose.has_fault() {
            let message = "the command exited with status 0 although something failed";
            compose.note(Note::new("exit_disagrees", message));
        } else if code != 0 && !compose.has_fault() {
            self.unexplained(compose, code, results);
        }
    }

    /// A status that no failure explains: risky tests and warnings may fail a run.
    fn unexplained(&self, compose: &mut Compose, code: i32, results: &Results) {
        if code == 1 && !results.risky.is_empty() {
            for (title, body) in &results.risky {
                let mut failure = failure::of(title, body, Section::Failure, &self.context);
                failure.kind_sure = false;
                compose.counts.passed = compose.counts.passed.saturating_sub(1);
                compose.failed(compose::seal(failure));
            }
            return;
        }
        if compose.counts.passed + compose.counts.skipped == 0 {
            return;
        }
        let message = format!("exited with status {code} although no test failed");
        let mut failure =
            compose::failure("phpunit", FailureKind::ExitNonzero, Phase::Session, message);
        failure.kind_sure = false;
        failure.details = text::block(&self.tail.lines(30).join("\n"), text::DETAILS);
        compose.failed(compose::seal(failure));
    }

    /// PHPUnit never came to its last line.
    fn broken_off(&mut self, compose: &mut Compose, end: &End) {
        let running: Vec<(String, String)> = self
            .messages
            .running()
            .into_iter()
            .map(|one| (one.id.clone(), one.file.clone()))
            .collect();
        if end.interrupted {
            if let Some((id, _)) = running.first() {
                let message = format!("running when the run was interrupted: {id}");
                compose.note(Note::new("was_running", message));
            }
            return;
        }
        if let Some(refused) = self.text.refused.clone()
            && self.text.fatal.is_none()
            && !self.messages.began
        {
            compose.outcome(Outcome::UsageError);
            compose.note(Note::new("usage", text::one_line(&refused)));
            return;
        }
        if let Some(fatal) = self.text.fatal.clone() {
            let failure = self.fatal(&fatal, &running, end);
            // That a file cannot be loaded is fully told by this.
            compose.complete = failure.kind == FailureKind::CollectionError && end.exit.is_some();
            compose.failed(failure);
            return;
        }
        let (kind, how) = how(end.exit);
        if let Some((id, file)) = running.first() {
            let mut failure = compose::failure(
                id,
                kind,
                Phase::Call,
                format!("{how} while this test was running"),
            );
            failure.kind_sure = end.exit.is_some();
            failure.target = id.split_once("::").map(|(class, _)| class.to_owned());
            failure.test_location = (!file.is_empty()).then(|| Location {
                file: self.context.relative(file),
                line: None,
                column: None,
            });
            failure.stderr = text::block(&self.error_tail.lines(60).join("\n"), text::DETAILS);
            failure.rerun = super::rerun(id, &self.context);
            compose.failed(compose::seal(failure));
            return;
        }
        if end.exit.is_none() {
            // A log that was cut tells nothing about who is to blame.
            if self.text.began && !compose.has_fault() {
                compose.outcome(Outcome::Crashed);
            }
            return;
        }
        if !self.text.began && !self.messages.began && end.exit.is_some_and(|exit| exit.success()) {
            return;
        }
        let message = format!("{how} before the end of the run");
        let mut failure = compose::failure("phpunit", kind, Phase::Session, message);
        failure.details = text::block(&self.tail.lines(60).join("\n"), text::DETAILS);
        compose.failed(compose::seal(failure));
    }

    /// PHP's own last words: a file that could not be loaded, or a test that ended the process.
    fn fatal(&self, fatal: &Fatal, running: &[(String, String)], end: &End) -> Failure {
        let context = &self.context;
        let mut file = context.relative(&fatal.file);
        let mut line = fatal.line;
        let trace = frames::of(&fatal.details, context);
        if !frames::is_user(&file, context)
            && let Some(at) = frames::location(&trace, context)
        {
            (file, line) = (at.file, at.line.unwrap_or(0));
        }
        let place = (!file.is_empty()).then(|| Location {
            file: file.clone(),
            line: (line > 0).then_some(line),
            column: None,
        });
        let inside = frames::inside(&file, line, context)
            .filter(|inside| inside.function.starts_with("test"));
        let syntax =
            fatal.message.contains("ParseError") || fatal.message.starts_with("syntax error");
        let loading = syntax || !self.text.began || !self.messages.began && inside.is_none();
        let memory = fatal.message.starts_with("Allowed memory size");
        let timed = fatal.message.starts_with("Maximum execution time");
        let mut failure = if running.is_empty() && loading && !memory && !timed {
            let id = if file.is_empty() {
                "phpunit".to_owned()
            } else {
                file
            };
            compose::failure(
                id,
                FailureKind::CollectionError,
                Phase::Collect,
                &fatal.message,
            )
        } else {
            let id = running.first().map(|(id, _)| id.clone());
            let id = id.or_else(|| inside.map(|inside| inside.id()));
            let kind = match (memory, timed) {
                (true, _) => FailureKind::Oom,
                (_, true) => FailureKind::Timeout,
                _ => FailureKind::Crash,
            };
            let id = id.unwrap_or_else(|| "phpunit".to_owned());
            let mut failure = compose::failure(&id, kind, Phase::Call, &fatal.message);
            failure.target = id.split_once("::").map(|(class, _)| class.to_owned());
            failure.rerun = super::rerun(&id, context);
            failure
        };
        if end.exit.is_some_and(|exit| exit.timed_out) && !running.is_empty() {
            failure.kind = FailureKind::Timeout;
        }
        failure.location = place;
        failure.frames = trace;
        failure.details = text::block(&fatal.details, text::DETAILS);
        compose::seal(failure)
    }
}

/// What the text has and the file has not.
fn enrich(known: &mut Failure, told: &Failure) {
    if known.diff.is_none() {
        known.diff.clone_from(&told.diff);
    }
    if known.location.is_none() {
        known.location.clone_from(&told.location);
    }
    let vague = known.kind == FailureKind::Panic && !known.kind_sure;
    if vague || told.phase != Phase::Call && known.phase == Phase::Call {
        known.kind = told.kind;
        known.phase = told.phase;
        known.kind_sure = told.kind_sure;
    }
    *known = compose::seal(known.clone());
}
