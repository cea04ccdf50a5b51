//! One test case of a JUnit document.

use crate::cargo::package::Package;
use crate::compose;
use crate::context::Context;
use crate::junit::catch;
use crate::junit::compare;
use crate::junit::dialect;
use crate::junit::dialect::Dialect;
use crate::junit::dialect::Suite;
use crate::junit::java;
use crate::junit::kind;
use crate::junit::place;
use crate::junit::rerun;
use crate::junit::sources::Sources;
use crate::junit::xml::Element;
use crate::libtest;
use crate::phpunit;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;

/// What a case came to.
pub(crate) enum Verdict {
    /// Nothing is said against it; `flaky` if it failed before.
    Passed {
        /// It failed, and passed when it was run again.
        flaky: bool,
    },
    /// It was skipped.
    Skipped,
    /// PHPUnit has a remark about it, and lets it pass.
    Risky,
    /// It failed, perhaps in several phases.
    Failed(Vec<Failure>),
    /// It only tells that a step of its whole class failed; `passed` if it ran well before.
    ClassStep {
        /// The failure of the class.
        failure: Box<Failure>,
        /// Whether the test itself passed.
        passed: bool,
    },
}

/// Reads one case.
pub(crate) fn read(
    case: &Element,
    suites: &[Suite],
    dialect: Dialect,
    sources: &mut Sources,
) -> Verdict {
    let bad = |child: &&Element| {
        let warning = child.name == "warning" && dialect == Dialect::Phpunit;
        ["failure", "error"].contains(&child.name.as_str()) || warning
    };
    let failed: Vec<&Element> = case.children.iter().filter(bad).collect();
    if failed.is_empty() {
        return unharmed(case);
    }
    // `[!mayfail]`: it is told what failed, and it does not count.
    if dialect == Dialect::Catch && case.child("skipped").is_some() {
        return Verdict::Skipped;
    }
    if dialect == Dialect::Phpunit && failed.iter().all(|child| is_risky(child)) {
        return Verdict::Risky;
    }
    if dialect == Dialect::Java {
        return java::read(case, failed[0], suites, sources);
    }
    // Several checks of one test that failed are one failure, but pytest's are of several phases.
    let each = matches!(dialect, Dialect::Pytest | Dialect::Nextest);
    let most = if each { failed.len() } else { 1 };
    let mut failures: Vec<Failure> = failed
        .iter()
        .take(most)
        .map(|child| failure(case, child, suites, dialect, sources.context()))
        .collect();
    if !each
        && failed.len() > 1
        && let Some(first) = failures.first_mut()
    {
        let bodies: Vec<&str> = failed.iter().map(|child| body(child)).collect();
        first.details = text::block(&bodies.join("\n\n"), text::DETAILS);
    }
    if dialect == Dialect::Phpunit {
        for failure in &mut failures {
            phpunit::refine(failure, case, failed[0], sources.context());
        }
    }
    Verdict::Failed(failures)
}

/// A suite's own failure, which no step of it explains: it could not be loaded.
pub(crate) fn of_suite(mut failure: Failure) -> Failure {
    let step = matches!(
        failure.kind,
        FailureKind::SetupError | FailureKind::TeardownError | FailureKind::Timeout
    );
    let unloaded = ["ClassNotFoundException", "NoClassDefFoundError"];
    let unloaded = unloaded.iter().any(|class| failure.message.contains(class));
    if !step || unloaded {
        failure.kind = FailureKind::CollectionError;
        failure.phase = Phase::Collect;
        failure.kind_sure = unloaded;
    }
    compose::seal(failure)
}

fn is_risky(child: &Element) -> bool {
    child
        .get("type")
        .is_some_and(|kind| kind.contains("RiskyTest"))
}

fn unharmed(case: &Element) -> Verdict {
    let skipped = case.child("skipped").is_some() || case.child("disabled").is_some();
    let flaky = |child: &Element| child.name.starts_with("flaky");
    let status = case
        .get("status")
        .or(case.get("result"))
        .unwrap_or("")
        .to_lowercase();
    let off = [
        "notrun",
        "disabled",
        "skipped",
        "suppressed",
        "pending",
        "ignored",
    ];
    if skipped || off.contains(&status.as_str()) {
        Verdict::Skipped
    } else {
        Verdict::Passed {
            flaky: case.children.iter().any(flaky),
        }
    }
}

/// A nextest case that passed although its own output lacks the harness's last word: its
/// process left in mid-test with status 0.
pub(crate) fn silent(
    case: &Element,
    suites: &[Suite],
    dialect: Dialect,
) -> Option<(String, Option<String>)> {
    if dialect != Dialect::Nextest {
        return None;
    }
    let output = dialect::output(case)?;
    let began = output.lines().any(|line| line == "running 1 test");
    (began && !output.contains("test result: ok. 1 passed"))
        .then(|| dialect::identity(case, suites, dialect))
}

/// The text of a failure; some keep it in an element of its own.
pub(crate) fn body(child: &Element) -> &str {
    match child.child("stackTrace") {
        Some(trace) if child.text.trim().is_empty() => &trace.text,
        _ => &child.text,
    }
}

fn failure(
    case: &Element,
    child: &Element,
    suites: &[Suite],
    dialect: Dialect,
    context: &Context,
) -> Failure {
    let body = body(child).to_owned();
    let attribute = child.get("message").unwrap_or("");
    let output = dialect::output(case);
    let output = output.as_deref();
    let message = match (attribute.trim(), body.trim()) {
        ("", "") => output.unwrap_or(""),
        ("", _) => body.as_str(),
        _ => attribute,
    };
    let (id, target) = dialect::identity(case, suites, dialect);
    let (kind, sure, phase) = kind::of(child, message, &body);
    let mut failure = if dialect == Dialect::Nextest && kind == FailureKind::Panic {
        nextest(case, &body, context)
    } else {
        let shown = match (kind, dialect) {
            (FailureKind::CollectionError, _) => crate::pytest::last_error(&body),
            (_, Dialect::Bats) => bats(&body).unwrap_or_else(|| kind::shown(message, kind)),
            (_, Dialect::Ctest) => message.to_owned(),
            (_, Dialect::Catch) => catch::message(attribute, &body),
            _ => kind::shown(&said(attribute, &body, message, dialect), kind),
        };
        let mut failure = compose::failure(&id, kind, phase, shown);
        failure.kind_sure = sure;
        let whole = format!("{message}\n{body}");
        failure.location = place::of(&body, dialect, context)
            .or_else(|| place::of(message, dialect, context))
            .or_else(|| match dialect {
                Dialect::Ctest | Dialect::Gtest | Dialect::Other => {
                    place::of(output.unwrap_or(""), dialect, context)
                }
                _ => None,
            });
        let catch = (dialect == Dialect::Catch).then(|| catch::sides(&body));
        failure.diff = catch
            .flatten()
            .or_else(|| compare::sides(message))
            .or_else(|| compare::sides(&body))
            .or_else(|| compare::sides(&whole));
        failure.stdout = output.and_then(|out| text::block(out, text::DETAILS));
        failure
    };
    if kind == FailureKind::CollectionError {
        failure.id = id.split("::").next().unwrap_or(&id).to_owned();
    } else {
        failure.id = id;
    }
    if failure.kind != kind && dialect != Dialect::Nextest {
        failure.kind = kind;
    }
    failure.target = target;
    if dialect == Dialect::Pytest
        && kind == FailureKind::CollectionError
        && failure.location.is_none()
    {
        failure.location =
            crate::pytest::syntax_place(&body, &crate::pytest::Place::new(context.clone()));
    }
    if dialect == Dialect::Nextest && kind == FailureKind::Crash {
        failure.message = crashed(&failure.message, &body, case);
    }
    surround(&mut failure, case, suites, &body, dialect, context);
    if dialect == Dialect::Linter {
        linter(&mut failure, case, suites, message, context);
    }
    failure.rerun = rerun::of(&failure, dialect, context);
    compose::seal(failure)
}

/// What every failure has of its case.
pub(crate) fn surround(
    failure: &mut Failure,
    case: &Element,
    suites: &[Suite],
    body: &str,
    dialect: Dialect,
    context: &Context,
) {
    failure.stderr = case
        .child("system-err")
        .map(|err| err.text.as_str())
        .filter(|err| !err.contains(COMBINED))
        .and_then(|err| text::block(err, text::DETAILS));
    if failure.details.is_none() {
        failure.details = text::block(body, text::DETAILS);
    }
    let of_suite = || match dialect {
        Dialect::Phpunit | Dialect::Jest | Dialect::Mocha => {
            suites.iter().rev().find_map(|suite| suite.file.as_deref())
        }
        _ => None,
    };
    let line = case.get("line").or(case.get("lineno"));
    failure.test_location = case.get("file").or_else(of_suite).map(|file| Location {
        file: context.relative(file.strip_prefix("file://").unwrap_or(file)),
        // Pytest counts lines from 0 here, everybody else from 1.
        line: line
            .and_then(|line| line.parse::<u32>().ok())
            .map(|line| line.saturating_add(u32::from(dialect == Dialect::Pytest))),
        column: None,
    });
    if let Some(target) = &failure.target
        && failure
            .test_location
            .as_ref()
            .is_some_and(|at| context.relative(target) == at.file)
    {
        failure.target = Some(context.relative(target));
    }
    let placed = failure
        .test_location
        .as_ref()
        .is_some_and(|at| at.line.is_some());
    if failure.location.is_none() && placed && dialect != Dialect::Pytest {
        failure.location.clone_from(&failure.test_location);
    }
    let seconds = case
        .get("time")
        .and_then(|time| time.replace(',', "").parse::<f64>().ok());
    failure.duration_ms = seconds
        .filter(|s| s.is_finite() && *s >= 0.0)
        .map(|s| (s * 1000.0) as u64);
}

/// The words that say what is wrong: some attributes only name the kind of failure.
fn said(attribute: &str, body: &str, message: &str, dialect: Dialect) -> String {
    let empty = [
        "",
        "Failed",
        "failed",
        "failure",
        "error",
        "Error",
        "No message provided",
    ];
    if dialect == Dialect::Playwright || empty.contains(&attribute.trim()) {
        let error = |line: &&str| {
            let line = line.trim_start();
            line.starts_with("Error: ") || line.contains("Error: ") && !line.starts_with("at ")
        };
        if let Some(line) = body.lines().find(error) {
            return line.trim().to_owned();
        }
    }
    if dialect == Dialect::Go {
        return go(body).unwrap_or_else(|| message.to_owned());
    }
    message.to_owned()
}

/// The first thing that a Go test said: behind `file_test.go:12: `.
fn go(body: &str) -> Option<String> {
    let mut lines = body.lines().map(str::trim).skip_while(|line| {
        line.is_empty()
            || ["=== ", "--- ", "FAIL"]
                .iter()
                .any(|start| line.starts_with(start))
    });
    let line = lines.next()?;
    let error = body.lines().map(str::trim).find_map(|line| {
        let rest = line.strip_prefix("Error:")?.trim();
        (!rest.is_empty()).then(|| rest.to_owned())
    });
    let said = line
        .split_once(".go:")
        .and_then(|(_, rest)| rest.split_once(": "));
    error
        .or_else(|| said.map(|(_, said)| said.to_owned()))
        .or_else(|| Some(line.to_owned()))
}

/// Below `(in test file a.bats, line 3)` stands the command that failed.
fn bats(body: &str) -> Option<String> {
    body.lines()
        .map(str::trim)
        .find(|line| line.starts_with('`') && line.contains("failed"))
        .map(str::to_owned)
}

/// A linter's finding: file, line and rule are its name.
fn linter(
    failure: &mut Failure,
    case: &Element,
    suites: &[Suite],
    message: &str,
    context: &Context,
) {
    let name = case.get("name").unwrap_or("");
    let rule = name.strip_prefix("org.eslint.").unwrap_or(name).to_owned();
    let file = suites.last().map_or("", |suite| suite.name.as_str());
    failure.location = failure
        .location
        .take()
        .or_else(|| place::eslint(file, message, context));
    if failure.location.is_none() {
        failure.location = place::eslint(file, failure.details.as_deref().unwrap_or(""), context);
    }
    if let Some(at) = &failure.location {
        let number = |n: Option<u32>| n.map(|n| format!(":{n}")).unwrap_or_default();
        let (line, column) = (number(at.line), number(at.column));
        failure.id = format!("{}{line}{column} {rule}", at.file);
    }
    failure.code = Some(rule);
    failure.target = None;
}

/// nextest keeps the whole output: the panic is read out of it.
fn nextest(case: &Element, body: &str, context: &Context) -> Failure {
    let name = case.get("name").unwrap_or("");
    let output = dialect::output(case);
    let output = output.as_deref().unwrap_or(body);
    let errors = case.child("system-err").map(|err| err.text.as_str());
    let errors = errors.filter(|err| !err.contains(COMBINED));
    let own = joined(output, errors.unwrap_or(""));
    let package = Package::new(context.clone(), &context.dir);
    let mut failure = libtest::failure::of(name, &own, None, &package);
    let class = case.children.iter().find_map(|child| child.get("type"));
    let code = class.and_then(|class| class.strip_prefix("test failure with exit code "));
    if let Some(code) = code.and_then(|code| code.parse().ok()) {
        left(&mut failure, code, output);
    }
    failure
}

/// nextest's word where one output holds both.
const COMBINED: &str = "(stdout and stderr are combined)";

/// What a test printed to both of its outputs, without the harness; what the harness says about
/// `should_panic` stands at the end.
pub(crate) fn joined(output: &str, errors: &str) -> String {
    let mut own = without_harness(output);
    if !errors.trim().is_empty() {
        let notes = own.find("\nnote: ").unwrap_or(own.len());
        own.insert_str(notes, &format!("\n{}\n", errors.trim_end()));
    }
    own
}

/// A process that exits in mid-test leaves without the harness's word.
pub(crate) fn left(failure: &mut Failure, code: i32, output: &str) {
    let harness = |line: &str| line.starts_with("test ") && line.ends_with(" ... FAILED");
    let ended = code == 101 || output.lines().any(harness) || output.is_empty();
    if !ended {
        (failure.kind, failure.kind_sure) = (FailureKind::Crash, true);
        failure.message =
            format!("the process exited with status {code} while this test was running");
        failure.diff = None;
    }
}

/// How a process died, in one line.
fn crashed(message: &str, body: &str, case: &Element) -> String {
    // Of several errors each has a line of its own.
    let first = body.lines().find_map(|line| line.strip_prefix("* "));
    let message = first.unwrap_or(message);
    let overflow =
        dialect::output(case).is_some_and(|out| out.contains("has overflowed its stack"));
    if overflow {
        format!("{message}: stack overflow")
    } else {
        message.to_owned()
    }
}

/// A test's own output without what the harness printed around it.
pub(crate) fn without_harness(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    // Without the harness's beginning its result is gone, too: what looks like one is the test's.
    let Some(start) = lines.iter().position(|line| *line == "running 1 test") else {
        return output.to_owned();
    };
    let start = start + 1;
    let harness = |line: &&str| line.starts_with("test ") && line.ends_with(" ... FAILED");
    let end = lines
        .iter()
        .rposition(harness)
        .unwrap_or(lines.len())
        .max(start);
    let mut own = lines[start..end].join("\n");
    // `should_panic` is judged by the harness, below its result line.
    for line in &lines[end..] {
        if line.starts_with("note: ")
            || line.starts_with("      panic message: ")
            || line.starts_with(" expected substring: ")
        {
            own.push('\n');
            own.push_str(line);
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_frame_of_the_harness_is_taken_off() {
        let own = "test ghost ... FAILED\n\nthread 'a' panicked at src/lib.rs:3:5:\nno";
        assert_eq!(without_harness(own), own);
        let framed = format!("\nrunning 1 test\n{own}\ntest a ... FAILED\n\nfailures:\n");
        assert_eq!(without_harness(&framed), own);
    }
}
