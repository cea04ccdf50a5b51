//! The report of a whole run: documents, text and exit status together.

use crate::compose;
use crate::compose::Compose;
use crate::junit::Document;
use crate::junit::JunitRun;
use crate::junit::document::Read;
use crate::junit::java;
use crate::junit::native;
use crate::junit::rerun;
use crate::junit::rerun::Method;
use crate::junit::sources::Sources;
use crate::junit::stack::At;
use crate::junit::text::Told;
use crate::junit::text::core;
use crate::junit::text::of_session;
use crate::live::End;
use crate::records::how;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::text;
use crate::text::Tail;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

impl JunitRun {
    /// The report.
    pub(super) fn report(mut self, end: &End) -> Report {
        let mut compose = Compose::new();
        let mut sources = Sources::new(self.context.clone());
        let mut reads: Vec<(String, Read)> = Vec::new();
        let files = std::mem::take(&mut self.files);
        for (name, document) in &files {
            reads.push((name.clone(), read(document, &mut sources)));
        }
        let inline = self.inline(&reads, &mut sources);
        let javac = std::mem::take(&mut self.text.javac);
        let text = std::mem::take(&mut self.text);
        let mut told = text.finish(&mut sources);
        reads.extend(inline);
        let structured = reads.iter().any(|(_, read)| read.dialect.is_some());
        let all = self.inline.len();
        let inline = self.inline.iter().enumerate();
        let inline = inline.map(|(at, document)| (in_log(at, all), document));
        let files = files.iter().map(|(name, file)| (name.clone(), file));
        let documents: BTreeMap<String, &Document> = inline.chain(files).collect();
        for report in native::read(&documents, &mut reads, &self.context) {
            native::add(&mut compose, report);
        }
        for (name, read) in &mut reads {
            add(&mut compose, read, name);
            told.running.extend(
                read.running
                    .drain(..)
                    .map(|(id, class)| (id, class.unwrap_or_default())),
            );
        }
        if !structured {
            by_text(&mut compose, &mut told);
        } else {
            more(&mut compose, &mut told);
        }
        let said = told.counts.map_or(0, |(passed, _, _)| passed);
        if told.all_in_files && told.ended && !reads.is_empty() && said > compose.counts.passed {
            compose.incomplete(compose::inconsistent(format!(
                "{said} tests passed by the text, the files hold {}",
                compose.counts.passed
            )));
        }
        if told.earlier_failed && end.exit.is_none() && !structured && !compose.has_fault() {
            // Nobody knows whether that was a run of its own or a test's output.
            compose.incomplete(Note::new(
                "text_disagrees",
                "what looks like an earlier run in the same text failed",
            ));
        }
        let ran = compose.counts.passed + compose.counts.failed + compose.counts.skipped > 0;
        let fine = end.exit.is_some_and(|exit| exit.success());
        let (errors, warnings) = javac.finish(&self.context);
        // What a test prints may look like a compiler's message.
        if !errors.is_empty() && if ran { told.compile } else { !fine } {
            for failure in errors {
                compose.failure(failure);
            }
            told.refused = None;
            told.ended = true;
        }
        for warning in warnings {
            compose.diagnostic(warning);
        }
        let silent = !told.began && told.refused.is_none() && told.fatal.is_none();
        if reads.is_empty() && silent && !compose.has_fault() {
            compose.incomplete(
                Note::new("no_report", "there is no JUnit file")
                    .remedy("give it with `--report FILE`"),
            );
        }
        self.settle(&mut compose, &told, end, structured, &mut sources);
        let source = if structured {
            Source::Report
        } else {
            Source::Text
        };
        compose.finish("junit", source, end)
    }

    /// The documents in the log, where they are not something that a test printed: there are no
    /// files, and no tool of the Java world tells its own results.
    fn inline(&mut self, reads: &[(String, Read)], sources: &mut Sources) -> Vec<(String, Read)> {
        if !self.any_inline {
            return Vec::new();
        }
        let known = reads.iter().any(|(_, read)| read.dialect.is_some());
        let all = self.inline.len();
        let documents = self.inline.iter().enumerate();
        let inline: Vec<(String, Read)> = documents
            .map(|(at, document)| (in_log(at, all), read(document, sources)))
            .collect();
        let shadow = self.shadow.take();
        let told = self.text.began();
        let broken = inline.iter().any(|(_, read)| !read.faults.is_empty());
        match shadow {
            Some(shadow) if known || told || broken && shadow.began() => {
                self.text = *shadow;
                Vec::new()
            }
            _ if known => Vec::new(),
            _ => inline,
        }
    }

    /// Is it over, and does the exit status agree?
    fn settle(
        &self,
        compose: &mut Compose,
        told: &Told,
        end: &End,
        structured: bool,
        sources: &mut Sources,
    ) {
        let exit = end.exit.unwrap_or_default();
        let broken = told.began && !told.ended || told.died.is_some();
        let left = !told.running.is_empty() && (broken || structured && !told.ended);
        if broken || left {
            compose.complete = false;
            return self.broken_off(compose, told, end, sources);
        }
        if let Some(refused) = &told.refused {
            return refuse(compose, refused, told, end);
        }
        if told.well && compose.counts.passed == 0 && !compose.has_fault() {
            // Gradle does not count what passes.
            compose.outcome(Outcome::Passed);
            compose.note(Note::new(
                "counts_unknown",
                "the text does not say how many tests ran",
            ));
        }
        let ran = compose.counts.passed + compose.counts.failed + compose.counts.skipped > 0;
        if told.ended && !ran && !compose.has_fault() && exit.signal.is_none() {
            return;
        }
        let nothing = !told.began && !structured;
        if nothing && !compose.has_fault() && end.exit.is_some() && !exit.success() {
            compose.complete = false;
            return self.broken_off(compose, told, end, sources);
        }
        settle_exit(compose, end, &self.tail, "command");
    }

    fn broken_off(&self, compose: &mut Compose, told: &Told, end: &End, sources: &mut Sources) {
        if end.interrupted {
            if let Some((id, _)) = told.running.first() {
                let message = format!("running when the run was interrupted: {id}");
                compose.note(Note::new("was_running", message));
            }
            return;
        }
        let (mut kind, mut how) = how(end.exit);
        if let Some(died) = &told.died {
            how.clone_from(died);
            if died.contains("timeout") {
                kind = FailureKind::Timeout;
            }
        }
        if let Some(failure) = out_of_memory(told, sources) {
            compose.failed(failure);
            return;
        }
        for (id, class) in told.running.iter().take(50) {
            let message = match &told.died {
                Some(died) => died.clone(),
                None => format!("{how} while this test was running"),
            };
            let mut failure = compose::failure(id, kind, Phase::Call, message);
            failure.kind_sure = told.running.len() == 1 && end.exit.is_some();
            failure.target = (!class.is_empty()).then(|| class.clone());
            failure.stderr = text::block(&self.error_tail.lines(60).join("\n"), text::DETAILS);
            let method = Method {
                class,
                name: id
                    .strip_prefix(class.as_str())
                    .unwrap_or("")
                    .trim_start_matches('.'),
                types: None,
            };
            failure.rerun = rerun::method(&method, &self.context);
            compose.failed(compose::seal(failure));
        }
        if !told.running.is_empty() {
            return;
        }
        if end.exit.is_none() && told.died.is_none() {
            // A log that was cut tells nothing about who is to blame.
            if !compose.has_fault() {
                compose.outcome(Outcome::Crashed);
            }
            return;
        }
        let message = match &told.died {
            Some(died) => died.clone(),
            None => format!("{how} before the end of the run"),
        };
        let mut failure = of_session("junit", kind, &message);
        failure.details = text::block(&self.tail.lines(60).join("\n"), text::DETAILS);
        compose.failed(failure);
    }
}

/// The test in which the main thread ran out of memory: the one that was running, or else the
/// outermost of the user's methods in the trace.
fn out_of_memory(told: &Told, sources: &mut Sources) -> Option<Failure> {
    let fatal = told.fatal.as_deref()?;
    let (thrown, _) = java::split(fatal.lines().next()?.trim());
    if !thrown.ends_with("OutOfMemoryError") || told.running.len() > 1 {
        return None;
    }
    let by_trace = || {
        let mut ats = fatal.lines().filter_map(At::read);
        let at = ats.rfind(|at| !at.foreign())?;
        let plain = fatal.contains(".interceptTestMethod(");
        let parameters = if plain { "()" } else { "" };
        Some((format!("{}.{}{parameters}", at.class, at.method), at.class))
    };
    let (id, class) = told.running.first().cloned().or_else(by_trace)?;
    let name = id.strip_prefix(class.as_str()).unwrap_or("");
    let name = name.trim_start_matches('.').to_owned();
    let mut failure = core::of(&id, &class, &name, fatal.trim_end(), sources);
    failure.kind = FailureKind::Oom;
    failure.kind_sure = true;
    failure.phase = Phase::Call;
    Some(compose::seal(failure))
}

/// The name of a document in the log, of so many; by their names they stand in their order.
fn in_log(at: usize, all: usize) -> String {
    match all {
        1 => "log".to_owned(),
        _ => format!("log {:04}", at + 1),
    }
}

fn read(document: &Document, sources: &mut Sources) -> Read {
    document.read_with(sources)
}

/// Nothing was begun, or a build failed for a reason of its own.
fn refuse(compose: &mut Compose, refused: &str, told: &Told, end: &End) {
    if !told.began {
        compose.outcome(Outcome::UsageError);
        compose.note(Note::new("usage", text::one_line(refused)));
        return;
    }
    let mut failure = of_session("build", FailureKind::ExitNonzero, refused);
    failure.phase = Phase::Build;
    failure.kind_sure = end.exit.is_some();
    compose.failure(compose::seal(failure));
    compose.outcome(Outcome::BuildFailed);
}

fn by_text(compose: &mut Compose, told: &mut Told) {
    if let Some((passed, failed, skipped)) = told.counts {
        compose.counts.passed = passed;
        compose.counts.skipped = skipped;
        compose.counts.failed = failed;
    }
    compose.counts.flaky = told.flaky;
    let known = told.failures.len() as u64;
    for failure in std::mem::take(&mut told.failures) {
        compose.failure(failure);
    }
    compose.counts.failed = compose.counts.failed.max(known);
    for fault in std::mem::take(&mut told.faults) {
        compose.incomplete(Note::new("text_disagrees", fault));
    }
}

/// What the text tells and the files do not: the tool counts more failures than they hold.
fn more(compose: &mut Compose, told: &mut Told) {
    if told.all_in_files && told.ended && told.faults.is_empty() {
        of_containers(compose, told);
    }
    let said = told.counts.map_or(0, |(_, failed, _)| failed);
    if !told.ended || said <= compose.counts.failed || !told.faults.is_empty() {
        return;
    }
    let missing: Vec<Failure> = std::mem::take(&mut told.failures)
        .into_iter()
        .filter(|failure| {
            let same = |known: &Failure| {
                known.id == failure.id
                    || known.message == failure.message && known.location == failure.location
            };
            !compose.failures.iter().any(same)
        })
        .collect();
    let room = said - compose.counts.failed;
    for failure in missing.into_iter().take(room as usize) {
        compose.failed(failure);
    }
}

/// The console launcher's files tell what failed of a class or a factory at the tests in it, as if
/// these had failed; its text tells it as it is.
fn of_containers(compose: &mut Compose, told: &Told) {
    let ids: BTreeSet<String> = compose.failures.iter().map(|f| f.id.clone()).collect();
    let mut any = false;
    for whole in told.failures.iter().filter(|f| !ids.contains(&f.id)) {
        let part = |known: &Failure| {
            let inner = known.id.strip_prefix(whole.id.as_str());
            let inner = inner.is_some_and(|rest| rest.starts_with(['.', '[']));
            inner
                && known.message == whole.message
                && !told.failures.iter().any(|own| own.id == known.id)
        };
        let Some(first) = compose.failures.iter().position(part) else {
            continue;
        };
        compose.failures[first] = whole.clone();
        let known = compose.failures.len();
        compose.failures.retain(|known| !part(known));
        let gone = (known - compose.failures.len()) as u64;
        compose.counts.failed = compose.counts.failed.saturating_sub(gone);
        any = true;
    }
    any |= of_classes(compose, told);
    if let Some((passed, failed, skipped)) = told.counts
        && any
        && failed == compose.failures.len() as u64
    {
        compose.counts.passed = passed;
        compose.counts.failed = failed;
        compose.counts.skipped = skipped;
    }
}

/// The files name the class that others stand in where JUnit 4 has a class in a class; the text
/// has the class itself.
fn of_classes(compose: &mut Compose, told: &Told) -> bool {
    let method = |id: &str| id.rsplit('.').next().unwrap_or(id).to_owned();
    let mut any = false;
    for known in &mut compose.failures {
        let same = |own: &&Failure| own.id == known.id;
        if told.failures.iter().any(|own| same(&own)) {
            continue;
        }
        let mut others = told.failures.iter().filter(|own| {
            let inner = own.target.as_deref().zip(known.target.as_deref());
            let inner = inner.and_then(|(own, outer)| own.strip_prefix(outer));
            inner.is_some_and(|rest| rest.starts_with('$'))
                && own.message == known.message
                && method(&own.id) == method(&known.id)
        });
        if let (Some(own), None) = (others.next(), others.next()) {
            known.id.clone_from(&own.id);
            known.target.clone_from(&own.target);
            known.rerun.clone_from(&own.rerun);
            *known = compose::seal(known.clone());
            any = true;
        }
    }
    any
}

/// Adds what one document says.
pub(crate) fn add(compose: &mut Compose, read: &Read, name: &str) {
    compose.counts.passed += read.passed;
    compose.counts.skipped += read.skipped;
    compose.counts.flaky += read.flaky;
    for failure in &read.failures {
        compose.failed(failure.clone());
    }
    // A test whose body and teardown failed is one failed test.
    compose.counts.failed = (compose.counts.failed + read.more).saturating_sub(read.doubles);
    for fault in &read.faults {
        compose.incomplete(Note::new(
            "report_unreadable",
            format!("`{}`: {fault}", text::one_line(name)),
        ));
    }
}

/// The exit status may raise the outcome, never lower it.
pub(crate) fn settle_exit(compose: &mut Compose, end: &End, tail: &Tail, id: &str) {
    let Some(exit) = end.exit else {
        return;
    };
    if exit.timed_out || exit.oom || end.interrupted {
        return;
    }
    if let Some(signal) = exit.signal {
        let outside = [1, 2, 15].contains(&signal);
        compose.outcome(if outside {
            Outcome::Interrupted
        } else {
            Outcome::Crashed
        });
        compose.incomplete(Note::new(
            "signal",
            format!("the command was ended by {}", compose::signal_name(signal)),
        ));
        return;
    }
    let code = exit.code.unwrap_or(0);
    if code != 0 && !compose.has_fault() {
        let last = tail.lines(30);
        let said = last
            .last()
            .map(|line| format!(": {line}"))
            .unwrap_or_default();
        let message = format!("exited with status {code} although no test failed{said}");
        let mut failure = compose::failure(id, FailureKind::ExitNonzero, Phase::Session, message);
        failure.kind_sure = false;
        failure.details = text::block(&last.join("\n"), text::DETAILS);
        compose.failure(compose::seal(failure));
        compose.complete = false;
    } else if code == 0 && compose.has_fault() {
        let message = "the command exited with status 0 although something failed";
        compose.note(Note::new("exit_disagrees", message));
    }
}
