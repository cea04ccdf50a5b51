//! The report of a whole run of RSpec: events, JSON, JUnit, text and exit status together.

use crate::compose;
use crate::compose::Compose;
use crate::context::Context;
use crate::junit;
use crate::lines::Seen;
use crate::live::End;
use crate::report::Exit;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::rspec::Run;
use crate::rspec::block;
use crate::rspec::block::Said;
use crate::rspec::text;
use crate::rspec::text::Block;
use crate::rspec::text::Listed;
use crate::rspec::xml;
use crate::ruby;
use crate::ruby::uncaught::Uncaught;
use crate::text as shown;
use crate::text::Tail;
use std::collections::VecDeque;

/// The report.
pub(super) fn finish(mut run: Run, end: &End) -> Report {
    rest(&mut run);
    let (document, xml) = run.documents();
    let (inline, broken) = std::mem::take(&mut run.json).finish();
    let uncaught = std::mem::take(&mut run.uncaught).finish();
    if run.streams.fed() {
        return of_events(run, uncaught.as_ref(), end);
    }
    let mut compose = Compose::new();
    if run.live && end.exit.is_some_and(|exit| exit.success()) {
        compose.incomplete(no_events());
    }
    // What comes last is RSpec's own: a document that is followed by a summary was printed.
    let after = run.text.last();
    let inline = inline
        .filter(|(_, at)| *at >= after)
        .map(|(document, _)| document);
    if let Some(document) = document.or(inline) {
        document.add(&mut compose, &run.context);
        settle(
            &mut compose,
            end,
            &run.tail,
            uncaught.as_ref(),
            &run.context,
        );
        return compose.finish("rspec", Source::Report, end);
    }
    let inline = std::mem::take(&mut run.xml).finish();
    let xml: Vec<_> = xml.into_iter().chain(inline).collect();
    if !xml.is_empty() {
        for one in &xml {
            junit::add(&mut compose, &xml::read(one, &run.context), "junit");
        }
        // The formatter leaves out what is no example.
        let (_, before) = run.text.unfinished();
        if end.exit.is_none_or(|exit| !exit.success()) {
            for (heading, body) in &before {
                compose.failed(outside(&run.context, heading, body));
            }
        }
        junit::settle_exit(&mut compose, end, &run.tail, "rspec");
        return compose.finish("rspec", Source::Report, end);
    }
    of_text(&mut run, &mut compose, end, broken, uncaught.as_ref());
    compose.finish("rspec", Source::Text, end)
}

/// In a run of regreen's own the reporter writes: text alone may hide that it could not.
fn no_events() -> Note {
    let message = "regreen's reporter wrote nothing, so the results cannot be believed";
    Note::new("no_events", message).remedy(
        "the command has to start RSpec with SPEC_OPTS kept; a test must not touch the reporter's file",
    )
}

/// The last lines, which have no end.
fn rest(run: &mut Run) {
    if let Some(line) = run.lines.finish() {
        let seen = Seen {
            bytes: &line.bytes,
            length: line.length,
            unfinished: true,
        };
        if !run.json.line(&seen, run.text.count) {
            run.text.line(&seen);
            run.uncaught.line(&line.bytes);
        }
    }
    if let Some(line) = run.errors.finish() {
        run.uncaught.line(&line.bytes);
    }
}

fn of_events(mut run: Run, uncaught: Option<&Uncaught>, end: &End) -> Report {
    let outside: Vec<Failure> = run
        .text
        .runs()
        .iter()
        .flat_map(|run| last(&run.outside, run.totals.errors))
        .map(|(heading, body)| outside(&run.context, heading, body))
        .collect();
    let quit = run.text.quit.take();
    let (context, interrupted) = (run.context.clone(), run.text.interrupted);
    run.streams.report(end, &run.tail, |compose, finished| {
        for failure in outside {
            // A file that is required before the reporter is.
            let known = |known: &Failure| known.id == failure.id && known.phase == failure.phase;
            if failure.phase == Phase::Collect && !compose.failures.iter().any(known) {
                compose.failed(failure);
            }
        }
        if let Some((heading, body)) = quit
            && !finished
        {
            let failure = self::outside(&context, &heading, &body);
            let known = |known: &Failure| known.id == failure.id;
            if !compose.failures.iter().any(known) {
                compose.failed(failure);
            }
        }
        if interrupted && end.exit.is_none_or(|exit| !exit.success()) {
            compose.outcome(Outcome::Interrupted);
            compose.complete = false;
        }
        if !finished && let Some(bug) = uncaught.filter(|found| found.bug) {
            explain(compose, bug, &context);
        }
    })
}

/// Where the interpreter crashed belongs to the example that was running.
pub(crate) fn explain(compose: &mut Compose, bug: &Uncaught, context: &Context) {
    let mut crashed = compose
        .failures
        .iter_mut()
        .filter(|failure| failure.kind == FailureKind::Crash);
    let (Some(failure), None) = (crashed.next(), crashed.next()) else {
        return;
    };
    failure.message = shown::one_line(&format!("{}: {}", failure.message, bug.message));
    failure.frames = bug.frames(context);
    failure.location = bug.place(context).or(failure.location.take());
    failure.details = shown::block(&bug.lines.join("\n"), shown::DETAILS);
    *failure = compose::seal(failure.clone());
}

fn outside(context: &Context, heading: &str, body: &str) -> Failure {
    let lines: Vec<&str> = body.lines().collect();
    block::outside(context, heading, &block::read(&lines), body)
}

/// The last so many: what is more was printed by somebody else.
fn last<T>(all: &[T], most: u64) -> &[T] {
    &all[all.len().saturating_sub(most as usize)..]
}

fn of_text(
    run: &mut Run,
    compose: &mut Compose,
    end: &End,
    broken: bool,
    uncaught: Option<&Uncaught>,
) {
    let seen = run.text.seen();
    let interrupted = run.text.interrupted;
    let runs = run.text.runs();
    for one in &runs {
        of_run(one, compose, &run.context);
    }
    if interrupted && end.exit.is_none_or(|exit| !exit.success()) {
        compose.outcome(Outcome::Interrupted);
        compose.complete = false;
    }
    if !runs.is_empty() && !broken {
        settle(compose, end, &run.tail, uncaught, &run.context);
        return;
    }
    compose.complete = false;
    if let Some((heading, body)) = run.text.quit.take() {
        compose.failed(outside(&run.context, &heading, &body));
        compose.complete = true;
        return;
    }
    let (blocks, before) = run.text.unfinished();
    for block in blocks {
        of_block(&block, None, compose, &run.context);
    }
    for (heading, body) in &before {
        compose.failed(outside(&run.context, heading, body));
    }
    if let Some(why) = run.text.usage.take()
        && !seen
    {
        compose.outcome(Outcome::UsageError);
        compose.note(Note::new("usage", why));
        return;
    }
    broken_off(compose, end, uncaught, &run.context, &run.tail);
}

fn of_run(run: &text::Run, compose: &mut Compose, context: &Context) {
    let totals = run.totals;
    let failures = totals.failures as usize;
    let mut blocks: VecDeque<&Block> = run.blocks.iter().collect();
    if run.listed.len() == failures {
        for listed in &run.listed {
            let same = |block: &&Block| bare(&block.title) == listed.description;
            let at = match run.blocks.len() == failures {
                true => (!blocks.is_empty()).then_some(0),
                false => blocks.iter().position(same),
            };
            match at.and_then(|at| blocks.remove(at)) {
                Some(block) => of_block(block, Some(listed), compose, context),
                None => compose.failure(of_list(listed, context)),
            }
        }
    } else if run.blocks.len() == failures {
        for block in blocks {
            of_block(block, None, compose, context);
        }
    } else {
        let message = format!(
            "the summary counts {failures} failures, {} are described",
            run.blocks.len()
        );
        compose.incomplete(compose::inconsistent(message));
        compose.outcome(Outcome::Failed);
    }
    for (heading, body) in last(&run.outside, totals.errors) {
        compose.failed(outside(context, heading, body));
    }
    if (run.outside.len() as u64) < totals.errors {
        compose.outcome(Outcome::Failed);
        compose.complete = false;
    }
    compose.counts.failed += totals.failures;
    compose.counts.skipped += totals.pending;
    let passed = totals
        .examples
        .saturating_sub(totals.failures + totals.pending);
    compose.counts.passed += passed;
    // An example that leaves the process has no mark, and is counted as if it had passed.
    let missing = totals.examples > 0 && run.marks == Some(totals.examples - 1);
    if missing && totals.errors == 0 {
        compose.counts.passed = compose.counts.passed.saturating_sub(1);
        let message = format!(
            "the process was left in mid-example: {} examples, {} results",
            totals.examples,
            totals.examples - 1
        );
        let failure = compose::failure("rspec", FailureKind::Crash, Phase::Session, message);
        compose.failed(compose::seal(failure));
        compose.complete = false;
    }
}

fn bare(title: &str) -> &str {
    title.strip_suffix(" FIXED").unwrap_or(title)
}

/// The place of `./spec/a_spec.rb:12` or `./spec/a_spec.rb[1:2]`.
fn defined(listed: &Listed, context: &Context) -> Location {
    if let Some((file, _)) = listed.place.rsplit_once('[') {
        return ruby::at(&context.relative(file), None);
    }
    let place = listed.place.rsplit_once(':');
    let line = place.and_then(|(_, line)| line.parse().ok());
    match (place, line) {
        (Some((file, _)), Some(line)) => ruby::at(&context.relative(file), Some(line)),
        _ => ruby::at(&context.relative(&listed.place), None),
    }
}

fn of_block(block: &Block, listed: Option<&Listed>, compose: &mut Compose, context: &Context) {
    let lines: Vec<&str> = block.body.lines().collect();
    let said = block::read(&lines);
    let id = match listed {
        Some(listed) if !listed.description.is_empty() => listed.description.as_str(),
        _ if said.fixed => bare(&block.title),
        _ => block.title.as_str(),
    };
    let place = listed.map(|listed| defined(listed, context));
    let ready = |mut failure: Failure| {
        failure.target = place.as_ref().map(|at| at.file.clone());
        if failure.target.is_none() {
            let own = failure.frames.iter().rfind(|frame| frame.user);
            failure.target = own.map(|frame| frame.file.clone());
        }
        failure.rerun = rerun(context, listed, &said, id, failure.target.as_deref());
        compose::seal(failure)
    };
    let after = block::hook_after(context, id, &said, place.as_ref(), &block.body);
    let mut failure = block::failure(context, id, &said, place.as_ref(), &block.body);
    if after.is_some() {
        // The two are told apart, so that this one is told alone.
        failure.message = said.first().one_line();
    }
    compose.failure(ready(failure));
    if let Some(after) = after {
        compose.failure(ready(after));
    }
}

fn of_list(listed: &Listed, context: &Context) -> Failure {
    let place = defined(listed, context);
    let message = "the example failed";
    let mut failure = compose::failure(
        &listed.description,
        FailureKind::Panic,
        Phase::Call,
        message,
    );
    failure.kind_sure = false;
    failure.target = Some(place.file.clone());
    failure.location = Some(place.clone());
    failure.test_location = Some(place);
    failure.rerun = context.rerun(&["rspec"], [listed.place.clone()]);
    compose::seal(failure)
}

/// By the place that RSpec prints; an example of a shared group stands elsewhere.
fn rerun(
    context: &Context,
    listed: Option<&Listed>,
    said: &Said,
    id: &str,
    target: Option<&str>,
) -> Vec<String> {
    let by_name = |file: &str| {
        let file = context.in_dir(file);
        context.rerun(&["rspec"], [file, "-e".to_owned(), id.to_owned()])
    };
    match (listed, target) {
        (Some(listed), _) if said.shared.is_empty() || listed.place.ends_with(']') => {
            context.rerun(&["rspec"], [listed.place.clone()])
        }
        (_, Some(target)) => by_name(target),
        _ => Vec::new(),
    }
}

/// The exit status of a run that has its summary. It may raise the outcome, never lower it.
fn settle(
    compose: &mut Compose,
    end: &End,
    tail: &Tail,
    uncaught: Option<&Uncaught>,
    context: &Context,
) {
    let Some(exit) = end.exit else {
        return;
    };
    if exit.timed_out || exit.oom || end.interrupted {
        return;
    }
    if exit.signal.is_some() {
        broken_off(
            compose,
            end,
            uncaught.filter(|found| found.bug),
            context,
            tail,
        );
        return;
    }
    let ran = compose.counts.passed + compose.counts.skipped > 0;
    if ran || compose.has_fault() {
        junit::settle_exit(compose, end, tail, "rspec");
    }
}

/// The end is missing: how the process ended says what that means.
fn broken_off(
    compose: &mut Compose,
    end: &End,
    uncaught: Option<&Uncaught>,
    context: &Context,
    tail: &Tail,
) {
    compose.complete = false;
    if end.interrupted {
        return;
    }
    let exit = end.exit;
    if exit.is_none_or(|exit| exit == Exit::code(0)) && uncaught.is_none() {
        // Nothing was begun, or nobody knows.
        if exit.is_none() && compose.has_fault() {
            return;
        }
        if tail.lines(1).is_empty() {
            return;
        }
    }
    let (kind, how) = crate::records::how(exit);
    let message = match uncaught {
        Some(found) => found.one_line(),
        None => format!("{how} before the end of the run"),
    };
    let mut failure = compose::failure("rspec", kind, Phase::Session, message);
    failure.kind_sure = exit.is_some();
    if let Some(found) = uncaught {
        failure.frames = found.frames(context);
        failure.location = found.place(context);
        failure.details = shown::block(&found.lines.join("\n"), shown::DETAILS);
    } else {
        failure.details = shown::block(&tail.lines(40).join("\n"), shown::DETAILS);
    }
    compose.failed(compose::seal(failure));
}
