//! Makes structured failures of tests, crashes and build errors.

use crate::compose;
use crate::go::build;
use crate::go::crash::Said;
use crate::go::diff;
use crate::go::logged;
use crate::go::logged::Entry;
use crate::go::logged::Logged;
use crate::go::place::Code;
use crate::go::place::Defined;
use crate::go::place::Places;
use crate::go::rerun;
use crate::go::test::Race;
use crate::go::test::Test;
use crate::go::trace;
use crate::go::trace::Call;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Frame;
use crate::report::Location;
use crate::report::Phase;
use crate::text;

/// The words of testing when the race detector spoke.
const RACE: &str = "race detected during execution of test";

/// A failed test of a package.
pub(crate) fn of_test(
    test: &Test,
    race: Option<&Race>,
    package: &str,
    places: &mut Places,
) -> Failure {
    let lines = test.out.as_ref().map(|out| out.lines()).unwrap_or_default();
    if test.name.starts_with("Example") {
        return of_example(test, &lines, package, places);
    }
    let logged = logged::sort(&lines);
    let chosen = choose(&logged, package, places);
    let message = chosen.map_or_else(
        || "failed without a message".to_owned(),
        |entry| headline(&entry.text),
    );
    let mut failure = compose::failure(&test.name, FailureKind::Assertion, Phase::Call, message);
    if let Some(entry) = chosen {
        explain(&mut failure, entry, package, places);
    }
    if let (Some(race), true) = (race, chosen.is_some_and(|entry| entry.text.contains(RACE))) {
        raced(&mut failure, race, places);
    }
    let shown: Vec<String> = logged.entries.iter().map(Entry::shown).collect();
    if failure.details.is_none() {
        failure.details = text::block(&shown.join("\n"), text::DETAILS);
    }
    failure.stdout = text::block(&logged.printed.join("\n"), text::DETAILS);
    finish(failure, test, package, places)
}

/// The same where so many failed that it is only counted.
pub(crate) fn brief(test: &Test, package: &str) -> Failure {
    let message = "failed, as did too many others";
    let mut failure = compose::failure(&test.name, FailureKind::Assertion, Phase::Call, message);
    failure.kind_sure = false;
    failure.target = Some(package.to_owned()).filter(|name| !name.is_empty());
    failure.duration_ms = test.ms;
    compose::seal(failure)
}

fn finish(mut failure: Failure, test: &Test, package: &str, places: &mut Places) -> Failure {
    failure.duration_ms = test.ms;
    about(&mut failure, package, places);
    if let Some(input) = fuzz_input(failure.details.as_deref(), failure.stdout.as_deref()) {
        failure.rerun = rerun::of(&format!("{}/{input}", test.name), package, places);
    }
    compose::seal(failure)
}

/// What every failure of a test has.
fn about(failure: &mut Failure, package: &str, places: &mut Places) {
    failure.target = Some(package.to_owned()).filter(|name| !name.is_empty());
    if let Defined::At(location) = places.defined(package, &failure.id) {
        failure.test_location = Some(location);
    }
    if failure.location.is_none() {
        failure.location = failure.test_location.clone();
    }
    failure.rerun = rerun::of(&failure.id, package, places);
}

/// `Failing input written to testdata/fuzz/FuzzX/582528ddfad69eb5`.
fn fuzz_input(details: Option<&str>, printed: Option<&str>) -> Option<String> {
    let text = [details, printed].into_iter().flatten();
    text.flat_map(str::lines).find_map(|line| {
        let path = line.trim().strip_prefix("Failing input written to ")?;
        path.rsplit('/').next().map(str::to_owned)
    })
}

/// Of several lines the one that failed the test: testing itself tells errors from logs only
/// since Go 1.26, the sources tell always.
fn choose<'a>(logged: &'a Logged, package: &str, places: &mut Places) -> Option<&'a Entry> {
    let entries = &logged.entries;
    if entries.len() < 2 {
        return entries.first();
    }
    if let Some(error) = entries.iter().find(|entry| entry.error == Some(true)) {
        return Some(error);
    }
    let mut called = None;
    for entry in entries.iter().take(200) {
        let file = places.file(package, &entry.file);
        match places.code(&file, entry.line) {
            Code::Error => return Some(entry),
            Code::Call => called = called.or(Some(entry)),
            Code::Unknown if entry.file == "testing.go" => return Some(entry),
            Code::Unknown => return complaining(entries),
            Code::Log | Code::Nothing => {}
        }
    }
    called.or_else(|| complaining(entries))
}

fn complaining(entries: &[Entry]) -> Option<&Entry> {
    let compares = entries.iter().find(|entry| entry.compares());
    compares
        .or_else(|| entries.iter().find(|entry| entry.complains()))
        .or(entries.first())
}

/// A log's message in one line.
fn headline(text: &str) -> String {
    if text.contains("Error Trace:") {
        let error = diff::labelled(text, "Error").unwrap_or_default();
        let mut lines = error.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or("").trim_end_matches(':').to_owned();
        let sides: Vec<&str> = lines
            .take_while(|line| !line.starts_with("Diff:"))
            .take(2)
            .collect();
        let said =
            diff::labelled(text, "Messages").map(|said| format!("{}: ", text::one_line(&said)));
        let second = match sides.is_empty() {
            true => String::new(),
            false => format!(": {}", sides.join(", ")),
        };
        return format!("{}{first}{second}", said.unwrap_or_default());
    }
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    match lines.as_slice() {
        ["error:", what, ..] => (*what).to_owned(),
        [first, ..] => (*first).to_owned(),
        [] => "failed without a message".to_owned(),
    }
}

fn explain(failure: &mut Failure, entry: &Entry, package: &str, places: &mut Places) {
    let file = places.file(package, &entry.file);
    let foreign = entry.file == "testing.go";
    if !foreign {
        let frame = Frame {
            user: places.context.is_user(&file) && !places.elsewhere(&file),
            file,
            line: Some(entry.line),
            function: None,
        };
        failure.frames.push(frame);
    }
    let traced = error_trace(&entry.text, places);
    if !traced.is_empty() {
        failure.frames = traced;
    }
    failure.diff = diff::of(&entry.text);
    if let Some(value) = entry.text.strip_prefix("test panicked: ") {
        // testify's suites catch panics and log them.
        failure.kind = FailureKind::Panic;
        failure.message = text::one_line(&format!("panic: {value}"));
        failure.diff = None;
        let found = trace::goroutines(entry.text.lines());
        if let Some(goroutine) = found.first() {
            failure.frames = frames(goroutine.panicked(), places);
        }
    }
    if entry.text.contains(RACE) {
        failure.kind_sure = false;
    }
    locate(failure);
    let place = failure
        .location
        .clone()
        .and_then(|at| Some((at.file, at.line?)));
    if failure.kind == FailureKind::Assertion
        && let Some((file, line)) = place
        && places.in_cleanup(&file, line)
    {
        failure.kind = FailureKind::TeardownError;
        failure.phase = Phase::Teardown;
    }
}

/// The innermost user frame; a helper's frame if nobody knows whose code it is.
fn locate(failure: &mut Failure) {
    let user = failure.frames.iter().find(|frame| frame.user);
    failure.location = user.map(|frame| Location {
        file: frame.file.clone(),
        line: frame.line,
        column: None,
    });
}

/// testify's `Error Trace:`, innermost first; quicktest's `stack:` is the same in other words.
fn error_trace(text: &str, places: &Places) -> Vec<Frame> {
    let listed = match diff::labelled(text, "Error Trace") {
        Some(listed) => listed,
        None => match text.find("\nstack:\n").map(|at| &text[at + 8..]) {
            Some(rest) if text.contains("error:") => rest.to_owned(),
            _ => return Vec::new(),
        },
    };
    let places_of = listed.lines().filter_map(|line| {
        let (file, number) = line.trim().rsplit_once(':')?;
        let line = number.trim().parse().ok()?;
        let file = places.context.relative(file.trim());
        file.ends_with(".go").then(|| Frame {
            user: places.context.is_user(&file),
            file,
            line: Some(line),
            function: None,
        })
    });
    places_of.take(40).collect()
}

fn raced(failure: &mut Failure, race: &Race, places: &mut Places) {
    let lines = race.text.lines();
    let what = lines.get(1).map_or("", |line| line.trim_end_matches(':'));
    let calls = race_calls(&lines);
    failure.frames = frames(&calls, places);
    locate(failure);
    let by = calls
        .first()
        .map(|call| format!(" in {}", call.function))
        .unwrap_or_default();
    failure.message = text::one_line(&format!("data race: {what}{by}"));
    failure.details = text::block(&race.text.text(), text::DETAILS);
}

/// The calls of a race report's first access.
pub(crate) fn race_calls(lines: &[&str]) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut function = None;
    for line in lines.iter().skip(2).take_while(|line| !line.is_empty()) {
        if let (Some(name), Some((file, line))) = (function, trace::place(line)) {
            calls.push(Call {
                function: name,
                file: file.to_owned(),
                line,
            });
            function = None;
        } else {
            function = trace::without_arguments(line.trim()).map(str::to_owned);
        }
    }
    calls
}

fn of_example(test: &Test, lines: &[&str], package: &str, places: &mut Places) -> Failure {
    let found = diff::example(lines);
    let message = match &found {
        Some(_) => "the output is not what the example says",
        None => "the example failed",
    };
    let mut failure = compose::failure(&test.name, FailureKind::Assertion, Phase::Call, message);
    failure.diff = found;
    failure.details = text::block(&lines.join("\n"), text::DETAILS);
    finish(failure, test, package, places)
}

/// Calls as frames.
pub(crate) fn frames(calls: &[Call], places: &mut Places) -> Vec<Frame> {
    places.learn(calls);
    let shown = calls
        .iter()
        .filter(|call| !call.function.starts_with("testing.tRunner"));
    shown.take(40).map(|call| places.frame(call)).collect()
}

/// A test that was running when its binary died.
pub(crate) fn of_crash(
    id: &str,
    said: &Said,
    calls: &[Call],
    test: Option<&Test>,
    package: &str,
    places: &mut Places,
) -> Failure {
    let mut failure = compose::failure(id, said.kind, Phase::Call, &said.message);
    failure.frames = frames(calls, places);
    locate(&mut failure);
    failure.details = text::block(&said.text, text::DETAILS);
    let cleaning = calls
        .iter()
        .any(|call| call.function == "testing.(*common).runCleanup");
    if said.kind == FailureKind::Panic && cleaning {
        failure.kind = FailureKind::TeardownError;
        failure.phase = Phase::Teardown;
    }
    if let Some(test) = test {
        let lines = test.out.as_ref().map(|out| out.lines()).unwrap_or_default();
        let logged = logged::sort(&lines);
        failure.stdout = text::block(&logged.printed.join("\n"), text::DETAILS);
        if !logged.entries.is_empty() {
            let shown: Vec<String> = logged.entries.iter().map(Entry::shown).collect();
            let details = format!("{}\n{}", shown.join("\n"), said.text);
            failure.details = text::block(&details, text::DETAILS);
        }
        failure.duration_ms = test.ms;
    }
    about(&mut failure, package, places);
    compose::seal(failure)
}

/// The package as a whole.
pub(crate) fn of_package(
    package: &str,
    kind: FailureKind,
    phase: Phase,
    message: &str,
    details: &str,
    places: &mut Places,
) -> Failure {
    let mut failure = compose::failure(package, kind, phase, message);
    failure.details = text::block(details, text::DETAILS);
    failure.target = Some(package.to_owned()).filter(|name| !name.is_empty());
    failure.rerun = rerun::package(package, places);
    compose::seal(failure)
}

/// Something that does not compile or cannot be loaded.
pub(crate) fn of_build(
    error: &build::Error,
    package: &str,
    places: &mut Places,
) -> Option<Failure> {
    if error.message == "too many errors" {
        return None;
    }
    let mut message = error.message.clone();
    if let Some(cycle) = error
        .more
        .iter()
        .find(|line| line.contains("import cycle not allowed"))
    {
        let at = cycle.find("import cycle not allowed").unwrap_or(0);
        message = format!("{} ({})", &cycle[at..], error.message);
    } else if message.ends_with(':') || message.ends_with("to add it:") {
        let more = error.more.first().map_or("", |line| line.trim());
        message = format!("{message} {more}");
    }
    let location = match &error.place {
        Some((file, line, column)) => Some(Location {
            file: places.path(package, file),
            line: *line,
            column: *column,
        }),
        None => dir_named(&error.message, places),
    };
    let id = match &location {
        Some(at) if error.place.is_some() => {
            let number = |n: Option<u32>| n.map(|n| format!(":{n}")).unwrap_or_default();
            format!("{}{}{}", at.file, number(at.line), number(at.column))
        }
        _ if !package.is_empty() => package.to_owned(),
        Some(at) => at.file.clone(),
        None => error
            .message
            .strip_prefix("package ")
            .unwrap_or("go")
            .to_owned(),
    };
    let mut failure = compose::failure(id, FailureKind::CompileError, Phase::Build, message);
    failure.location = location;
    let shown = match &error.place {
        Some((file, line, column)) => {
            let number = |n: &Option<u32>| n.map(|n| format!("{n}:")).unwrap_or_default();
            format!(
                "{file}:{}{} {}",
                number(line),
                number(column),
                error.message
            )
        }
        None => error.message.clone(),
    };
    let lines = std::iter::once(shown).chain(error.more.iter().cloned());
    failure.details = text::block(&lines.collect::<Vec<_>>().join("\n"), text::DETAILS);
    failure.target = Some(package.to_owned()).filter(|name| !name.is_empty());
    failure.rerun = rerun::build(package, places);
    Some(compose::seal(failure))
}

/// `found packages one (one.go) and two (two.go) in /p/dir`: the file that is named first.
fn dir_named(message: &str, places: &Places) -> Option<Location> {
    let (files, dir) = message
        .strip_prefix("found packages ")?
        .rsplit_once(" in ")?;
    let (_, rest) = files.split_once(" (")?;
    let (file, _) = rest.split_once(')')?;
    Some(Location {
        file: places.context.relative(&format!("{dir}/{file}")),
        line: None,
        column: None,
    })
}
