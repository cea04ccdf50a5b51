//! The report of a whole run of minitest: events, text and exit status together.

use crate::compose;
use crate::compose::Compose;
use crate::context::Context;
use crate::junit;
use crate::lines::Seen;
use crate::live::End;
use crate::minitest::Run;
use crate::minitest::block;
use crate::minitest::rerun;
use crate::minitest::text;
use crate::report::Exit;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::ruby;
use crate::ruby::uncaught::Uncaught;
use crate::text as shown;
use std::collections::BTreeMap;

/// The report.
pub(super) fn finish(mut run: Run, end: &End) -> Report {
    rest(&mut run);
    let uncaught = std::mem::take(&mut run.uncaught).finish();
    if run.streams.fed() {
        return of_events(run, uncaught.as_ref(), end);
    }
    let mut compose = Compose::new();
    if run.live && end.exit.is_some_and(|exit| exit.success()) {
        compose.incomplete(no_events());
    }
    if !run.xml.is_empty() {
        for (name, one) in &run.xml {
            junit::add(&mut compose, &one.read(&run.context), name);
        }
        junit::settle_exit(&mut compose, end, &run.tail, "minitest");
        return compose.finish("minitest", Source::Report, end);
    }
    of_text(&mut run, &mut compose, end, uncaught.as_ref());
    compose.finish("minitest", Source::Text, end)
}

/// In a run of regreen's own the reporter writes: text alone may hide that it could not.
fn no_events() -> Note {
    let message = "regreen's reporter wrote nothing, so the results cannot be believed";
    Note::new("no_events", message).remedy(
        "the command has to start minitest by `minitest/autorun`, with RUBYOPT kept; a test must not touch the reporter's file",
    )
}

/// The last lines, which have no end.
fn rest(run: &mut Run) {
    if let Some(line) = run.lines.finish() {
        run.text.line(&Seen {
            bytes: &line.bytes,
            length: line.length,
            unfinished: true,
        });
        run.uncaught.line(&line.bytes);
    }
    if let Some(line) = run.errors.finish() {
        run.uncaught.line(&line.bytes);
    }
}

fn of_events(run: Run, uncaught: Option<&Uncaught>, end: &End) -> Report {
    let (context, interrupted) = (run.context.clone(), run.text.interrupted);
    run.streams.report(end, &run.tail, |compose, finished| {
        // A test that left the process kept the others from running.
        let left = compose
            .failures
            .iter()
            .any(|failure| failure.kind == FailureKind::Crash);
        compose.complete &= !left;
        if interrupted && end.exit.is_none_or(|exit| !exit.success()) {
            compose.outcome(Outcome::Interrupted);
            compose.complete = false;
        }
        if !finished && let Some(bug) = uncaught.filter(|found| found.bug) {
            crate::rspec::explain(compose, bug, &context);
        }
    })
}

fn of_text(run: &mut Run, compose: &mut Compose, end: &End, uncaught: Option<&Uncaught>) {
    let runs = run.text.runs();
    for one in &runs {
        of_run(one, compose, &run.context);
    }
    if run.text.interrupted && end.exit.is_none_or(|exit| !exit.success()) {
        compose.outcome(Outcome::Interrupted);
        compose.complete = false;
    }
    if !runs.is_empty() && run.text.ended() {
        settle(compose, end, uncaught, run);
        return;
    }
    for result in run.text.unfinished() {
        compose.failed(block::failure(&run.context, &result));
    }
    if let Some(why) = run.text.usage.take()
        && !run.text.began
    {
        compose.complete = false;
        compose.outcome(Outcome::UsageError);
        compose.note(Note::new("usage", why));
        return;
    }
    if let Some(found) = uncaught.filter(|found| !found.bug && !run.text.began)
        && end.exit.is_none_or(|exit| !exit.success())
    {
        compose.failed(not_loaded(found, &run.context));
        return;
    }
    broken_off(compose, end, uncaught, run);
}

fn of_run(run: &text::Run, compose: &mut Compose, context: &Context) {
    let totals = run.totals;
    let bad = totals.failures + totals.errors;
    let failures = run
        .results
        .iter()
        .map(|result| block::failure(context, result));
    for failure in with_files(failures.collect(), context) {
        compose.failure(failure);
    }
    if !run.agrees {
        let message = format!("the counts say that {bad} tests failed, others are described");
        compose.incomplete(compose::inconsistent(message));
    }
    if bad > 0 {
        compose.outcome(Outcome::Failed);
    }
    compose.counts.failed += bad;
    compose.counts.skipped += totals.skips;
    compose.counts.passed += totals.runs.saturating_sub(bad + totals.skips);
}

/// A class stands in one file, mostly: where one of its failures names it, the others have it.
fn with_files(mut failures: Vec<Failure>, context: &Context) -> Vec<Failure> {
    let class = |failure: &Failure| failure.id.split('#').next().unwrap_or("").to_owned();
    let mut files: BTreeMap<String, Option<String>> = BTreeMap::new();
    for failure in failures.iter().filter(|failure| failure.target.is_some()) {
        let known = files
            .entry(class(failure))
            .or_insert_with(|| failure.target.clone());
        if *known != failure.target {
            *known = None;
        }
    }
    for failure in failures
        .iter_mut()
        .filter(|failure| failure.target.is_none())
    {
        if let Some(Some(file)) = files.get(&class(failure)) {
            failure.target = Some(file.clone());
            failure.rerun = rerun::of(context, &failure.id, Some(file));
        }
    }
    failures
}

/// An exception before any test: a file that cannot be loaded.
pub(super) fn not_loaded(found: &Uncaught, context: &Context) -> Failure {
    let file = found.file(context);
    let id = file.clone().unwrap_or_else(|| "minitest".to_owned());
    let message = match found.class.as_str() {
        // The place is told by the location, and not by the message.
        "SyntaxError" => {
            let said = format!("x.rb:1: {}", found.message);
            crate::rspec::syntax_line(&said, &found.one_line())
        }
        _ => found.one_line(),
    };
    let mut failure = compose::failure(&id, FailureKind::CollectionError, Phase::Collect, message);
    failure.frames = found.frames(context);
    failure.location = found.place(context);
    failure.details = shown::block(&found.lines.join("\n"), shown::DETAILS);
    if let Some(file) = file {
        failure.rerun = rerun::file(context, &file);
        failure.location = failure.location.or_else(|| Some(ruby::at(&file, None)));
    }
    compose::seal(failure)
}

/// The exit status of a run that has its counts. It may raise the outcome, never lower it.
fn settle(compose: &mut Compose, end: &End, uncaught: Option<&Uncaught>, run: &Run) {
    let Some(exit) = end.exit else {
        return;
    };
    if exit.timed_out || exit.oom || end.interrupted {
        return;
    }
    if exit.signal.is_some() {
        broken_off(compose, end, uncaught.filter(|found| found.bug), run);
        return;
    }
    let ran = compose.counts.passed + compose.counts.skipped > 0;
    if ran || compose.has_fault() {
        // Of several programs in one log one may not even have loaded.
        if exit.code != Some(0)
            && !compose.has_fault()
            && let Some(found) = uncaught.filter(|found| !found.bug)
            && found.file(&run.context).is_some()
        {
            compose.failed(not_loaded(found, &run.context));
            return;
        }
        junit::settle_exit(compose, end, &run.tail, "minitest");
    }
}

/// The end is missing: who was running, and how did the process end?
fn broken_off(compose: &mut Compose, end: &End, uncaught: Option<&Uncaught>, run: &Run) {
    compose.complete = false;
    let exit = end.exit;
    let nothing = !run.text.began && uncaught.is_none();
    if end.interrupted
        || nothing && exit.is_none_or(|exit| exit == Exit::code(0))
        || exit.is_none() && uncaught.is_none() && compose.has_fault()
    {
        return;
    }
    let (kind, how) = crate::records::how(exit);
    let running = run.text.running.clone();
    let bug = uncaught.filter(|found| found.bug);
    let named = running
        .clone()
        .or_else(|| bug.and_then(|bug| method(bug, &run.context)));
    let said = uncaught.map(Uncaught::one_line);
    let message = match (&named, said) {
        (Some(_), Some(said)) => format!("{how} while this test was running: {said}"),
        (Some(_), None) => format!("{how} while this test was running"),
        (None, Some(said)) => format!("{how} before the end of the run: {said}"),
        (None, None) => format!("{how} before the end of the run"),
    };
    let phase = if named.is_some() {
        Phase::Call
    } else {
        Phase::Session
    };
    let id = named.as_deref().unwrap_or("minitest");
    let mut failure = compose::failure(id, kind, phase, message);
    failure.kind_sure = exit.is_some();
    if let Some(found) = uncaught {
        failure.frames = found.frames(&run.context);
        failure.location = found.place(&run.context);
        failure.details = shown::block(&found.lines.join("\n"), shown::DETAILS);
    } else {
        failure.details = shown::block(&run.tail.lines(40).join("\n"), shown::DETAILS);
    }
    if named.is_some() {
        failure.target = failure.location.as_ref().map(|at| at.file.clone());
        failure.rerun = rerun::of(&run.context, id, failure.target.as_deref());
    }
    compose.failed(compose::seal(failure));
}

/// The test in whose method the interpreter crashed: `A#test_b` (3.4), before that `test_b`,
/// whose class the source may tell.
fn method(bug: &Uncaught, context: &Context) -> Option<String> {
    let frames = bug.frames(context);
    let found = frames.iter().rev().find_map(|frame| {
        let name = frame.function.as_deref()?;
        let name = name.rsplit_once(" in ").map_or(name, |(_, name)| name);
        let bare = ruby::bare(name);
        bare.starts_with("test_")
            .then(|| (name.to_owned(), bare, frame.clone()))
    });
    let (name, bare, frame) = found?;
    if name.contains('#') {
        return Some(name);
    }
    let class = ruby::source::class_of(context, &frame.file, frame.line?);
    Some(class.map_or(bare.clone(), |class| format!("{class}#{bare}")))
}
