//! Makes structured failures of the reporter's records.

use crate::compose;
use crate::libtest::sides;
use crate::pytest::block;
use crate::pytest::place::Place;
use crate::pytest::record::Error;
use crate::pytest::record::PhaseReport;
use crate::pytest::record::Subtest;
use crate::python;
use crate::report::Diff;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Frame;
use crate::report::Location;
use crate::report::Phase;
use crate::text;

/// The failure of one phase of a test.
pub(crate) fn of(report: &PhaseReport, place: &Place) -> Failure {
    let report = &PhaseReport {
        details: without_worker(&report.details).to_owned(),
        ..report.clone()
    };
    let phase = match report.when.as_str() {
        "setup" => Phase::Setup,
        "teardown" => Phase::Teardown,
        _ => Phase::Call,
    };
    let (kind, sure) = kind(report, phase);
    let id = match &report.subtest {
        Some(subtest) => format!("{}{}", report.id, words(subtest)),
        None => report.id.clone(),
    };
    let mut failure = compose::failure(id, kind, phase, message(report));
    failure.kind_sure = sure;
    if let Some(error) = &report.error {
        explain(&mut failure, error, place);
    }
    if doctest(report) {
        let said = block::read(&report.details);
        (failure.kind, failure.kind_sure) = block::kind(&said, phase);
        failure.message = text::one_line(&block::one_line(&said));
        block::fill(&mut failure, &said, place);
    }
    if failure.location.is_none() {
        failure.location = crash_place(report, place);
    }
    failure.test_location = definition(report, place);
    if failure.location.is_none() && kind != FailureKind::Crash {
        failure.location = failure.test_location.clone();
    }
    failure.details = text::block(&report.details, text::DETAILS);
    failure.stdout = text::block(&report.out, text::DETAILS);
    let stderr = [report.err.as_str(), report.log.as_str()].join("\n");
    failure.stderr = text::block(&stderr, text::DETAILS);
    failure.duration_ms = Some(report.ms);
    failure.rerun = place.rerun(&report.id);
    compose::seal(failure)
}

/// A doctest's error says nothing, its text everything.
fn doctest(report: &PhaseReport) -> bool {
    let class = report
        .error
        .as_ref()
        .map_or("", |error| error.kind.as_str());
    matches!(class, "DocTestFailure" | "MultipleDoctestFailures")
}

/// Under xdist the text begins with a line about the worker.
fn without_worker(details: &str) -> &str {
    let (first, rest) = details.split_once('\n').unwrap_or((details, ""));
    if first.starts_with("[gw") && first.contains(" -- Python ") {
        return rest.trim_start_matches('\n');
    }
    details
}

/// A subtest's part of the id, as pytest prints it: ` [message] (i=1)`.
fn words(subtest: &Subtest) -> String {
    let mut words = String::new();
    if let Some(message) = &subtest.message {
        words.push_str(&format!(" [{}]", text::one_line(message)));
    }
    if !subtest.kwargs.is_empty() {
        let shown: Vec<String> = subtest
            .kwargs
            .iter()
            .map(|(key, value)| format!("{key}={}", text::one_line(value)))
            .collect();
        words.push_str(&format!(" ({})", shown.join(", ")));
    }
    words
}

fn kind(report: &PhaseReport, phase: Phase) -> (FailureKind, bool) {
    let error = report.error.as_ref();
    let message = error.map_or("", |error| error.message.as_str());
    let is = |name: &str| {
        error.is_some_and(|e| e.kind == name || e.bases.iter().any(|base| base == name))
    };
    if error.is_none() && report.details.contains("' crashed while running '") {
        return (FailureKind::Crash, true);
    }
    if is("Failed") && message.starts_with("Timeout") {
        return (FailureKind::Timeout, true);
    }
    match phase {
        Phase::Setup => return (FailureKind::SetupError, true),
        Phase::Teardown => return (FailureKind::TeardownError, true),
        _ => {}
    }
    let expected = report.details.starts_with("[XPASS(strict)]")
        || report.details.trim() == "Unexpected success";
    if expected || (is("Failed") && message == "Unexpected success") {
        (FailureKind::UnexpectedPass, true)
    } else if is("AssertionError") || is("Failed") {
        (FailureKind::Assertion, true)
    } else {
        (FailureKind::Panic, error.is_some())
    }
}

/// One line: an assertion's text with what was asserted, another exception with its class.
fn message(report: &PhaseReport) -> String {
    let Some(error) = &report.error else {
        let crashed = report
            .details
            .lines()
            .find(|line| line.starts_with("worker '"));
        let first = report.details.lines().find(|line| !line.trim().is_empty());
        return crashed.or(first).unwrap_or("failed").to_owned();
    };
    one_line(error)
}

/// An exception in one line.
pub(crate) fn one_line(error: &Error) -> String {
    let mut lines = error
        .message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("");
    if error.kind == "AssertionError" || error.kind == "Failed" {
        let asserted = lines
            .next()
            .filter(|line| line.starts_with("assert ") && !first.starts_with("assert "));
        return match (first, asserted) {
            ("", _) => error.kind.clone(),
            (first, Some(asserted)) => format!("{first}: {asserted}"),
            (first, None) => first.to_owned(),
        };
    }
    match first {
        "" => error.kind.clone(),
        first => format!("{}: {first}", error.kind),
    }
}

/// Frames, location and sides of an exception.
pub(crate) fn explain(failure: &mut Failure, error: &Error, place: &Place) {
    failure.frames = error
        .frames
        .iter()
        .map(|(file, line, function)| {
            let file = place.path(file);
            Frame {
                user: python::is_user(&place.context, &file),
                file,
                line: *line,
                function: Some(text::cut(function, 300)),
            }
        })
        .take(40)
        .collect();
    let user = failure.frames.iter().find(|frame| frame.user);
    failure.location = user.map(|frame| Location {
        file: frame.file.clone(),
        line: frame.line,
        column: None,
    });
    if let Some((file, line, column, _)) = &error.syntax {
        failure.location = Some(Location {
            file: place.path(file),
            line: line.filter(|line| *line > 0),
            column: column.filter(|column| *column > 0),
        });
    }
    failure.diff = error
        .compare
        .as_ref()
        .map(|(_, left, right)| sides(left, right));
    let unittest = error
        .frames
        .iter()
        .any(|(file, ..)| file.ends_with("/unittest/case.py"));
    if failure.diff.is_none() && unittest && error.kind == "AssertionError" {
        failure.diff = python::sides::of_unittest(&error.message);
    }
}

fn sides(left: &str, right: &str) -> Diff {
    sides::with_unified(&text::clean(left), &text::clean(right))
}

fn crash_place(report: &PhaseReport, place: &Place) -> Option<Location> {
    let (file, line, _) = report.crash.as_ref()?;
    let file = place.path(file);
    place.context.is_user(&file).then_some(Location {
        file,
        line: *line,
        column: None,
    })
}

fn definition(report: &PhaseReport, place: &Place) -> Option<Location> {
    let (file, line) = report.at.as_ref()?;
    Some(Location {
        file: place.path(file),
        line: line.map(|line| line.saturating_add(1)),
        column: None,
    })
}

/// A file that could not be collected. The id is the file; the place is that of the error that
/// is at the bottom of it.
pub(crate) fn collection(id: &str, errors: &[Error], details: &str, place: &Place) -> Failure {
    let file = id.split("::").next().unwrap_or(id);
    let real = errors
        .iter()
        .find(|error| error.kind != "CollectError")
        .or(errors.first());
    let message = match real {
        Some(error) => match &error.syntax {
            Some((_, _, _, message)) => format!("{}: {message}", error.kind),
            None => one_line(error),
        },
        None => last_error(details),
    };
    let mut failure = compose::failure(file, FailureKind::CollectionError, Phase::Collect, message);
    if let Some(error) = real {
        explain(&mut failure, error, place);
    }
    if failure.location.is_none() && !file.is_empty() {
        failure.location = Some(Location {
            file: place.path(file),
            line: None,
            column: None,
        });
    }
    failure.details = text::block(details, text::DETAILS);
    failure.rerun = place.rerun(file);
    compose::seal(failure)
}

/// The last `E   …` line of pytest's own text, or its first line.
pub(crate) fn last_error(details: &str) -> String {
    let shown = details.lines().rfind(|line| line.starts_with("E "));
    let line = shown
        .map(|line| line[2..].trim())
        .or_else(|| details.lines().find(|line| !line.trim().is_empty()));
    line.unwrap_or("cannot be collected").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_is_one_line() {
        let error = |kind: &str, message: &str| Error {
            kind: kind.into(),
            message: message.into(),
            ..Error::default()
        };
        assert_eq!(
            one_line(&error("KeyError", "'missing'")),
            "KeyError: 'missing'"
        );
        assert_eq!(
            one_line(&error("AssertionError", "words\nassert 4 == 3")),
            "words: assert 4 == 3"
        );
        assert_eq!(one_line(&error("AssertionError", "")), "AssertionError");
    }
}
