//! One test case of a JUnit document.

use crate::cargo::package::Package;
use crate::compose;
use crate::context::Context;
use crate::junit::Dialect;
use crate::libtest;
use crate::libtest::sides;
use crate::report::Diff;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;
use regex::Regex;
use roxmltree::Node;
use std::sync::LazyLock;

static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)((?:[\w.@+~-]+/|/|[A-Za-z]:[\\/])*[\w.@+~-]+\.[A-Za-z]\w{0,4}):(\d{1,7})(?::(\d{1,5}))?")
        .expect("a constant pattern")
});
static EXPECTED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?s)expected:\s?<(.*?)> but was:\s?<(.*?)>").expect("a constant pattern")
});
static COMPARED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?mi)^\s*(?:expected|wanted)\s*:[ \t]*(.+)\n\s*(?:actual|received|got)\s*:[ \t]*(.+)$",
    )
    .expect("a constant pattern")
});

/// What a case came to.
pub(crate) enum Verdict {
    /// Nothing is said against it.
    Passed,
    /// It was skipped.
    Skipped,
    /// It failed, perhaps in several phases.
    Failed(Vec<Failure>),
}

/// Reads one case.
pub(crate) fn read(node: Node<'_, '_>, dialect: Dialect, context: &Context) -> Verdict {
    let failed: Vec<Node<'_, '_>> = node
        .children()
        .filter(|child| child.has_tag_name("failure") || child.has_tag_name("error"))
        .collect();
    if failed.is_empty() {
        let skipped = node.children().any(|child| child.has_tag_name("skipped"));
        let status = node
            .attribute("status")
            .or(node.attribute("result"))
            .unwrap_or("");
        let off = ["notrun", "disabled", "skipped", "suppressed"].contains(&status);
        return if skipped || off {
            Verdict::Skipped
        } else {
            Verdict::Passed
        };
    }
    Verdict::Failed(
        failed
            .into_iter()
            .map(|child| failure(node, child, dialect, context))
            .collect(),
    )
}

/// A nextest case that passed although its own output lacks the harness's last word: its
/// process left in mid-test with status 0.
pub(crate) fn silent(node: Node<'_, '_>, dialect: Dialect) -> Option<(String, Option<String>)> {
    if dialect != Dialect::Nextest {
        return None;
    }
    let output = inner(node, "system-out")?;
    let began = output.lines().any(|line| line == "running 1 test");
    (began && !output.contains("test result: ok. 1 passed")).then(|| identity(node, dialect))
}

fn failure(
    node: Node<'_, '_>,
    child: Node<'_, '_>,
    dialect: Dialect,
    context: &Context,
) -> Failure {
    let body = child.text().unwrap_or("").to_owned();
    let attribute = child.attribute("message").unwrap_or("");
    let message = if attribute.trim().is_empty() {
        body.as_str()
    } else {
        attribute
    };
    let name = node.attribute("name").unwrap_or("");
    let (id, target) = identity(node, dialect);
    let (kind, sure, phase) = kind(child, message, &body);
    let mut failure = if dialect == Dialect::Nextest && kind == FailureKind::Panic {
        nextest(node, name, &body, context)
    } else {
        let shown = match kind {
            FailureKind::CollectionError => crate::pytest::last_error(&body),
            _ => shown(message, kind),
        };
        let mut failure = compose::failure(&id, kind, phase, shown);
        failure.kind_sure = sure;
        failure.location = place(&body, context).or_else(|| place(message, context));
        failure.diff = compared(message).or_else(|| compared(&body));
        failure.stdout = inner(node, "system-out").and_then(|out| text::block(&out, text::DETAILS));
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
        failure.message = crashed(&failure.message, &body, node);
    }
    failure.stderr = inner(node, "system-err")
        .filter(|err| !err.contains(COMBINED))
        .and_then(|err| text::block(&err, text::DETAILS));
    if failure.details.is_none() {
        failure.details = text::block(&body, text::DETAILS);
    }
    failure.test_location = node.attribute("file").map(|file| Location {
        file: context.relative(file),
        // Pytest counts lines from 0 here, everybody else from 1.
        line: node
            .attribute("line")
            .and_then(|line| line.parse::<u32>().ok())
            .map(|line| line.saturating_add(u32::from(dialect == Dialect::Pytest))),
        column: None,
    });
    let seconds = node
        .attribute("time")
        .and_then(|time| time.replace(',', "").parse::<f64>().ok());
    failure.duration_ms = seconds
        .filter(|s| s.is_finite() && *s >= 0.0)
        .map(|s| (s * 1000.0) as u64);
    if dialect == Dialect::Pytest {
        failure.rerun = vec!["pytest".to_owned(), failure.id.clone()];
    }
    compose::seal(failure)
}

/// nextest keeps the whole output: the panic is read out of it.
fn nextest(node: Node<'_, '_>, name: &str, body: &str, context: &Context) -> Failure {
    let output = inner(node, "system-out").unwrap_or_else(|| body.to_owned());
    let errors = inner(node, "system-err").filter(|err| !err.contains(COMBINED));
    let own = joined(&output, errors.as_deref().unwrap_or(""));
    let package = Package::new(context.clone(), &context.dir);
    let mut failure = libtest::failure::of(name, &own, None, &package);
    let class = node.children().find_map(|child| child.attribute("type"));
    let code = class.and_then(|class| class.strip_prefix("test failure with exit code "));
    if let Some(code) = code.and_then(|code| code.parse().ok()) {
        left(&mut failure, code, &output);
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
fn crashed(message: &str, body: &str, node: Node<'_, '_>) -> String {
    // Of several errors each has a line of its own.
    let first = body.lines().find_map(|line| line.strip_prefix("* "));
    let message = first.unwrap_or(message);
    let overflow =
        inner(node, "system-out").is_some_and(|out| out.contains("has overflowed its stack"));
    if overflow {
        format!("{message}: stack overflow")
    } else {
        message.to_owned()
    }
}

/// A test's own output without what the harness printed around it.
pub(crate) fn without_harness(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let start = lines
        .iter()
        .position(|line| *line == "running 1 test")
        .map_or(0, |at| at + 1);
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

/// The id and the target, by the dialect's conventions.
fn identity(node: Node<'_, '_>, dialect: Dialect) -> (String, Option<String>) {
    let name = node.attribute("name").unwrap_or("").to_owned();
    let class = node.attribute("classname").unwrap_or("");
    match dialect {
        Dialect::Pytest => (pytest_id(class, &name, node.attribute("file")), None),
        Dialect::Nextest => {
            let target = class.rsplit("::").next().unwrap_or(class);
            let target = target.rsplit('/').next().unwrap_or(target);
            (name, (!target.is_empty()).then(|| target.to_owned()))
        }
        Dialect::Other => {
            let suite = node
                .parent_element()
                .and_then(|parent| parent.attribute("name"));
            let owner = if class.is_empty() {
                suite.unwrap_or("")
            } else {
                class
            };
            let target = (!owner.is_empty() && owner != name).then(|| owner.to_owned());
            (
                if name.is_empty() {
                    owner.to_owned()
                } else {
                    name
                },
                target,
            )
        }
    }
}

/// `tests.test_a.TestX` and `test_b[1]` make `tests/test_a.py::TestX::test_b[1]`.
fn pytest_id(class: &str, name: &str, file: Option<&str>) -> String {
    if class.is_empty() {
        // A file that could not be collected has its module as the name.
        return file.map_or_else(|| format!("{}.py", name.replace('.', "/")), str::to_owned);
    }
    let parts: Vec<&str> = class.split('.').collect();
    let module = parts
        .iter()
        .position(|part| part.starts_with(|c: char| c.is_ascii_uppercase()));
    let module = module.unwrap_or(parts.len());
    let path = file.map_or_else(
        || format!("{}.py", parts[..module].join("/")),
        str::to_owned,
    );
    let mut id = path;
    for class in &parts[module..] {
        id.push_str("::");
        id.push_str(class);
    }
    format!("{id}::{name}")
}

fn kind(child: Node<'_, '_>, message: &str, body: &str) -> (FailureKind, bool, Phase) {
    let class = child.attribute("type").unwrap_or("");
    match class {
        "test abort" => return (FailureKind::Crash, true, Phase::Call),
        "test timeout" => return (FailureKind::Timeout, true, Phase::Call),
        _ if class.starts_with("test failure") => return (FailureKind::Panic, false, Phase::Call),
        _ => {}
    }
    let starts = |words: &str| message.starts_with(words);
    if starts("failed on setup with") || starts("test setup failure") {
        return (FailureKind::SetupError, true, Phase::Setup);
    }
    if starts("failed on teardown with") || starts("test teardown failure") {
        return (FailureKind::TeardownError, true, Phase::Teardown);
    }
    if starts("collection failure") {
        return (FailureKind::CollectionError, true, Phase::Collect);
    }
    if starts("[XPASS(strict)]") || message.contains("Unexpected success") {
        return (FailureKind::UnexpectedPass, true, Phase::Call);
    }
    if starts("Failed: Timeout") || class.contains("Timeout") {
        return (FailureKind::Timeout, true, Phase::Call);
    }
    let asserts = |text: &str| {
        [
            "assert",
            "comparisonfailure",
            "expectationfailed",
            "expectation failed",
        ]
        .iter()
        .any(|word| text.to_lowercase().contains(word))
    };
    let first = message.split([':', '\n']).next().unwrap_or("");
    if asserts(class) || asserts(first) || starts("Failed: ") {
        return (FailureKind::Assertion, true, Phase::Call);
    }
    let exception = |text: &str| text.ends_with("Error") || text.ends_with("Exception");
    if exception(class) || exception(first) || child.has_tag_name("error") {
        return (
            FailureKind::Panic,
            exception(class) || exception(first),
            Phase::Call,
        );
    }
    let sure = asserts(body.lines().next().unwrap_or(""));
    (FailureKind::Assertion, sure, Phase::Call)
}

/// The message without what only repeats the kind.
fn shown(message: &str, kind: FailureKind) -> String {
    let cleaned = text::clean(message);
    let message = cleaned.trim();
    for start in ["failed on setup with ", "failed on teardown with "] {
        if let Some(rest) = message.strip_prefix(start) {
            return rest.trim_matches('"').to_owned();
        }
    }
    match kind {
        FailureKind::Assertion => message
            .strip_prefix("AssertionError: ")
            .unwrap_or(message)
            .to_owned(),
        _ => message.to_owned(),
    }
}

/// The last place in the text that lies in the project: pytest and most others end with it.
fn place(text: &str, context: &Context) -> Option<Location> {
    let places = PLACE.captures_iter(text).filter_map(|found| {
        let file = context.relative(found.get(1)?.as_str());
        let line = found
            .get(2)?
            .as_str()
            .parse()
            .ok()
            .filter(|line| *line > 0)?;
        context.is_user(&file).then(|| Location {
            file,
            line: Some(line),
            column: found.get(3).and_then(|column| column.as_str().parse().ok()),
        })
    });
    let java = text.contains("\tat ") || text.contains("    at ");
    if java {
        places.into_iter().next()
    } else {
        places.last()
    }
}

fn compared(text: &str) -> Option<Diff> {
    let text = text::clean(text);
    let found = EXPECTED
        .captures(&text)
        .or_else(|| COMPARED.captures(&text))?;
    let (expected, actual) = (found.get(1)?.as_str().trim(), found.get(2)?.as_str().trim());
    let several = expected.contains('\n') || actual.contains('\n');
    Some(Diff {
        expected: Some(text::cap(expected, text::SIDE)),
        actual: Some(text::cap(actual, text::SIDE)),
        unified: several.then(|| sides::unified(expected, actual)),
        ..Diff::default()
    })
}

fn inner(node: Node<'_, '_>, tag: &str) -> Option<String> {
    let child = node.children().find(|child| child.has_tag_name(tag))?;
    child.text().map(str::to_owned)
}
