//! The report of a whole run: events, text, files and exit status together.

use crate::compose;
use crate::compose::Compose;
use crate::go::File;
use crate::go::GoRun;
use crate::go::compile;
use crate::go::frame::Ended;
use crate::go::frame::Verdict;
use crate::go::listed;
use crate::go::resolve;
use crate::go::resolve::Resolved;
use crate::go::section::Mode;
use crate::go::section::Section;
use crate::go::store::Store;
use crate::go::store::Told;
use crate::junit;
use crate::live::End;
use crate::report::FailureKind;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::text;
use std::collections::HashSet;

/// Puts the report together.
pub(crate) fn report(mut run: GoRun, end: &End) -> Report {
    run.output.finish(&mut run.store);
    run.errors.finish(&mut run.store);
    let mut documents = Vec::new();
    for file in std::mem::take(&mut run.files).into_values() {
        match file {
            File::Lines(mut reader) => reader.finish(&mut run.store),
            File::Xml(document) => documents.push(document),
            File::Unknown => {}
        }
    }
    let mut store = run.store;
    suggest(&mut store);
    let mut compose = Compose::new();
    let events = events(&mut store);
    let mut source = match events.is_empty() {
        true => Source::Text,
        false => Source::Events,
    };
    let mut told = told(&mut store, &events);
    denied(&mut told, run.output.failed, end);
    let (real, usage) = compile::builds(&mut store, &events, &told);
    let mut all: Vec<Resolved> = events.into_iter().chain(told).collect();
    if source == Source::Text && !documents.is_empty() {
        source = Source::Report;
        listed::files(&documents, &mut all, &mut store.places);
    } else if source == Source::Text {
        listed::summary(&mut store, &mut all);
    }
    let any = !all.is_empty() || !real.is_empty() || !store.claims.is_empty();
    for failure in real {
        compose.failure(failure);
    }
    let mut seen = HashSet::new();
    for resolved in &mut all {
        resolved.failures.retain(|failure| {
            let phase = std::mem::discriminant(&failure.phase);
            seen.insert((failure.target.clone(), failure.id.clone(), phase))
        });
        add(&mut compose, resolved, end);
    }
    remarks(&mut compose, &all, &store);
    refused(&mut compose, &store, usage, any, end);
    junit::settle_exit(&mut compose, end, &run.tail, "go test");
    compose.finish("go-test", source, end)
}

fn suggest(store: &mut Store) {
    let text = store
        .told
        .iter()
        .any(|told| told.ended.is_some() && !told.name.is_empty());
    let real = store
        .packages
        .iter()
        .filter(|package| !text || package.ended.is_some() && package.line);
    let events = real.map(|package| package.name.as_str());
    let told = store.told.iter().map(|told| told.name.as_str());
    let claims = store.claims.iter().map(|(name, _)| name.as_str());
    let names: Vec<String> = events
        .chain(told)
        .chain(claims)
        .map(str::to_owned)
        .collect();
    store.places.suggest(names.iter().map(String::as_str));
    let text = store.builds.groups.iter();
    let built = store
        .built
        .values()
        .flat_map(|(builds, _)| builds.groups.iter());
    for group in text.chain(built) {
        let place = group.errors.iter().find_map(|error| error.place.as_ref());
        if let Some((file, ..)) = place {
            let file = store.places.context.relative(file);
            store.places.teach(&group.package, &file);
        }
    }
}

/// What the events say.
fn events(store: &mut Store) -> Vec<Resolved> {
    let mut found = Vec::new();
    let text = store
        .told
        .iter()
        .any(|told| told.ended.is_some() && !told.name.is_empty());
    for mut package in std::mem::take(&mut store.packages) {
        // Events among text may be what a test printed: those of go itself are whole.
        let whole = package.ended.is_some() && package.line;
        if text && !whole {
            continue;
        }
        if package.failed_build.is_some() {
            store.claims.push((package.name.clone(), Ended::Build));
            continue;
        }
        let resolved = match package.done.take() {
            Some(done) => done,
            None => {
                let section = std::mem::replace(&mut package.section, Section::new(Mode::Marked));
                let (name, ended, cached) = (package.name.clone(), package.ended, package.cached);
                package.read(section, &name, ended, cached, &mut store.places)
            }
        };
        found.push(resolved);
    }
    found
}

/// What the text says of packages that no event names.
fn told(store: &mut Store, events: &[Resolved]) -> Vec<Resolved> {
    let mut found: Vec<Resolved> = Vec::new();
    let listed = store.sum.holds();
    let verbose = store.told.iter().any(|told| !told.section.quiet());
    for mut told in joined(std::mem::take(&mut store.told)) {
        let known = events.iter().any(|other| other.package == told.name);
        if known && !told.name.is_empty() {
            continue;
        }
        // gotestsum's own list says all, and what it shows besides is mixed.
        if listed && told.ended != Some(Ended::Nothing) {
            continue;
        }
        if told.name.is_empty() {
            if !events.is_empty() {
                continue;
            }
            told.section.flush();
            // A test binary that was started by itself ends with its last word.
            told.ended = match told.section.word {
                Some(Verdict::Pass) => Some(Ended::Ok),
                Some(_) if !told.section.tests.is_empty() => Some(Ended::Fail),
                _ => None,
            };
            let bare = told.section.tests.is_empty() && told.section.crash.is_none();
            if bare && (told.section.word.is_some() && !found.is_empty() || told.ended.is_none()) {
                continue;
            }
        }
        told.section.verbose = verbose;
        let resolved = resolve::resolve(
            told.section,
            &told.name,
            told.ended,
            told.cached,
            &mut store.places,
        );
        // The same package again: a line that a test printed, and the real one.
        if let Some(same) = found
            .iter()
            .position(|other| other.package == resolved.package && !other.package.is_empty())
        {
            let whole =
                |one: &Resolved| one.failures.iter().all(|failure| failure.id == one.package);
            if found[same].tests == 0
                || (found[same].ended == Some(Ended::Fail) && whole(&found[same]))
            {
                found.remove(same);
            } else if resolved.tests == 0 {
                continue;
            }
        }
        found.push(resolved);
    }
    found
}

/// Go names a package once in a run, when it is over. Where the same one is named several times
/// in a row and failed in the end, what was named before was printed by its tests.
fn joined(mut told: Vec<Told>) -> Vec<Told> {
    let mut last: Option<Told> = None;
    let mut found = Vec::with_capacity(told.len());
    while let Some(before) = told.pop() {
        let Some(mut after) = last.take() else {
            last = Some(before);
            continue;
        };
        let same = after.name == before.name && !after.name.is_empty();
        // A log is written with `-v` or without it.
        let sure = after.section.last_ran == Some(false);
        let quiet = after.section.quiet() && (sure || before.section.quiet());
        if same && quiet && after.ended == Some(Ended::Fail) {
            after.section.after(before.section);
            last = Some(after);
        } else {
            found.push(after);
            last = Some(before);
        }
    }
    found.extend(last);
    found.reverse();
    found
}

/// The go command says that all is well, by its status and by its last line: then what failed
/// was printed by a test. (A pipe hides the status, but not the last line.)
fn denied(told: &mut Vec<Resolved>, failed: bool, end: &End) {
    let fine = end.exit.is_some_and(|exit| exit.success());
    let last = told
        .last()
        .is_some_and(|last| matches!(last.ended, Some(Ended::Ok | Ended::Nothing)));
    if fine && last && !failed && !told.iter().any(|one| one.status) {
        told.retain(|one| one.ended != Some(Ended::Fail));
    }
}

fn add(compose: &mut Compose, resolved: &mut Resolved, end: &End) {
    compose.counts.passed += resolved.passed;
    compose.counts.skipped += resolved.skipped;
    for failure in std::mem::take(&mut resolved.failures) {
        compose.failed(failure);
    }
    if !resolved.faults.is_empty() {
        let why = text::cut(
            &resolved.faults[..resolved.faults.len().min(5)].join("; "),
            text::MESSAGE,
        );
        compose.incomplete(compose::inconsistent(format!(
            "the results of `{}` contradict themselves: {why}",
            resolved.package
        )));
    }
    if let Some(usage) = resolved.usage.take() {
        compose.outcome(Outcome::UsageError);
        compose.note(Note::new("usage", text::one_line(&usage)));
    }
    if resolved.ended.is_none() {
        unfinished(compose, resolved, end);
    }
}

/// The lines end before the package does.
fn unfinished(compose: &mut Compose, resolved: &mut Resolved, end: &End) {
    let named = if resolved.package.is_empty() {
        "a package".to_owned()
    } else {
        format!("`{}`", resolved.package)
    };
    compose.incomplete(Note::new(
        "no_end",
        format!("the end of {named} is missing"),
    ));
    let running = std::mem::take(&mut resolved.running);
    let ids: Vec<&str> = running.iter().map(|failure| failure.id.as_str()).collect();
    if !ids.is_empty() {
        let message = format!("running when the output ends: {}", ids.join(", "));
        compose.note(Note::new("was_running", text::cut(&message, 2000)));
    }
    if end.interrupted || (end.exit.is_none() && compose.has_fault()) {
        return;
    }
    let exit = end.exit.unwrap_or_default();
    let (kind, how) = if exit.timed_out {
        (
            FailureKind::Timeout,
            "the time limit was reached".to_owned(),
        )
    } else if exit.oom {
        (FailureKind::Oom, "memory ran out".to_owned())
    } else if let Some(signal) = exit.signal {
        (
            FailureKind::Crash,
            format!("died of {}", compose::signal_name(signal)),
        )
    } else {
        (FailureKind::Crash, "the output ends".to_owned())
    };
    let number = running.len();
    for mut failure in running {
        failure.kind = kind;
        failure.kind_sure = number == 1 && end.exit.is_some();
        failure.message = match number {
            1 => format!("{how} while this test was running"),
            many => format!("{how} while this test and {} others were running", many - 1),
        };
        compose.failed(compose::seal(failure));
    }
}

fn remarks(compose: &mut Compose, all: &[Resolved], store: &Store) {
    let short: Vec<&str> = all
        .iter()
        .filter(|resolved| resolved.cut_short)
        .map(|resolved| resolved.package.as_str())
        .collect();
    if !short.is_empty() {
        let names = text::cut(&short.join(", "), text::MESSAGE);
        let message = format!(
            "test binaries ended before their last word, what would have run after that did not: {names}"
        );
        compose.incomplete(Note::new("tests_not_run", message));
    }
    let cached = all.iter().filter(|resolved| resolved.cached).count();
    if cached > 0 {
        let message = format!(
            "the results of {cached} packages come out of go's cache: their tests did not run this time"
        );
        compose.note(Note::new("cached", message).remedy("run `go test -count=1`"));
    }
    let unlisted = all.iter().filter(|resolved| resolved.unlisted).count();
    if unlisted > 0 {
        let message = format!(
            "go did not say how many tests {unlisted} packages have: each counts as one that passed"
        );
        compose.note(Note::new("counted_by_package", message));
    }
    if store.late > 0 {
        compose.incomplete(compose::inconsistent(format!(
            "{} events came after the end of their package",
            store.late
        )));
    }
}

/// The go command or a test binary refused what it was told.
fn refused(compose: &mut Compose, store: &Store, usage: Option<String>, any: bool, end: &End) {
    let fine = end.exit.is_some_and(|exit| exit.success());
    let complaint = store.complaints.iter().find(|line| !is_chatter(line));
    if let Some(why) = usage {
        compose.outcome(Outcome::UsageError);
        compose.note(Note::new("usage", text::one_line(&why)));
        return;
    }
    let (Some(why), false, false) = (complaint, any || compose.has_fault(), fine) else {
        return;
    };
    if why.contains("no packages to test") || why.contains("matched no packages") {
        compose.outcome(Outcome::NoTests);
        compose.note(Note::new("no_tests", why.clone()));
        return;
    }
    const MODULES: [&str; 9] = [
        "module lookup disabled",
        "dial tcp",
        "missing go.sum entry",
        "updates to go.mod needed",
        "no required module provides",
        "cannot find module",
        "unrecognized import path",
        "proxyconnect",
        "invalid version",
    ];
    if MODULES.iter().any(|words| why.contains(words)) {
        let mut failure = compose::failure("go.mod", FailureKind::CompileError, Phase::Build, why);
        failure.kind_sure = false;
        failure.details = text::block(&store.complaints.join("\n"), text::DETAILS);
        compose.failure(compose::seal(failure));
        return;
    }
    compose.outcome(Outcome::UsageError);
    compose.note(Note::new("usage", why.clone()));
}

/// What the go command says besides.
fn is_chatter(line: &str) -> bool {
    const STARTS: [&str; 8] = [
        "go: downloading ",
        "go: finding ",
        "go: extracting ",
        "go: found ",
        "go: added ",
        "go: upgraded ",
        "go: creating ",
        "go: to add ",
    ];
    STARTS.iter().any(|start| line.starts_with(start))
        || line.starts_with("go: warning: ") && !line.contains("matched no packages")
}
