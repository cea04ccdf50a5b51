//! Makes a failure of what a result of TAP is explained by.

use crate::bats::block;
use crate::compose;
use crate::context::Context;
use crate::libtest::sides as compared;
use crate::report::Diff;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Frame;
use crate::report::Location;
use crate::report::Phase;
use crate::tap::level::Detail;
use crate::tap::perl::Block;
use crate::tap::sides;
use crate::tap::yaml::Yaml;
use crate::text;

/// More frames than this are not kept.
const MOST_FRAMES: usize = 40;

/// A failed test. `block` is what Test::More says about it.
pub(crate) fn of(id: &str, detail: &Detail, block: Option<&Block>, context: &Context) -> Failure {
    let mut failure = compose::failure(id, FailureKind::Assertion, Phase::Call, "");
    failure.kind_sure = false;
    failure.duration_ms = detail.millis;
    if let Some(block) = block {
        perl(&mut failure, block, context);
    } else if !detail.yaml.is_empty() {
        yaml(&mut failure, &Yaml::read(&detail.yaml), context);
    } else if block::is(&detail.comments) {
        let lines: Vec<&str> = detail.comments.lines().collect();
        block::explain(&mut failure, &lines, context);
    } else {
        plain(&mut failure, detail, context);
    }
    let texts = [&detail.comments, &detail.yaml, &detail.after];
    let all: Vec<&str> = texts.iter().map(|text| text.trim_end()).collect();
    let all: Vec<&str> = all.into_iter().filter(|text| !text.is_empty()).collect();
    if failure.details.is_none() {
        failure.details = text::block(&all.join("\n"), text::DETAILS);
    }
    named(&mut failure, &detail.name);
    if failure.message.is_empty() {
        failure.message = text::one_line(match detail.name.as_str() {
            "" => "not ok",
            name => name,
        });
    }
    failure
}

/// A failure that only Test::More's words tell of.
pub(crate) fn explained(id: &str, block: &Block, context: &Context) -> Failure {
    let mut failure = compose::failure(id, FailureKind::Assertion, Phase::Call, "");
    perl(&mut failure, block, context);
    failure
}

/// What GLib and the kernel's tests put into the name itself.
fn named(failure: &mut Failure, name: &str) {
    if let Some((before, error)) = name.split_once(" - ERROR:") {
        failure.id = failure.id.replace(name, before);
        failure.kind_sure = true;
        let mut parts = error.splitn(4, ':');
        let (file, line) = (
            parts.next(),
            parts.next().and_then(|line| line.parse().ok()),
        );
        failure.location = file.zip(line).map(|(file, line)| Location {
            file: file.to_owned(),
            line: Some(line),
            column: None,
        });
        failure.message = text::one_line(parts.nth(1).unwrap_or(error));
    } else if let Some((before, status)) = name.split_once(" # exit=") {
        failure.id = failure.id.replace(name, before);
        failure.kind = FailureKind::ExitNonzero;
        failure.message = text::one_line(&format!("exited with status {status}"));
    } else if let Some((before, limit)) = name.split_once(" # TIMEOUT") {
        failure.id = failure.id.replace(name, before);
        (failure.kind, failure.kind_sure) = (FailureKind::Timeout, true);
        failure.message = text::one_line(&format!("timeout {}", limit.trim()));
    }
}

fn perl(failure: &mut Failure, block: &Block, context: &Context) {
    failure.kind_sure = true;
    failure.message = match block.name.as_str() {
        "" => "failed test".to_owned(),
        name => text::one_line(&format!("Failed test '{name}'")),
    };
    if let Some((file, line)) = &block.at {
        failure.location = Some(place(context, file, *line, None));
    }
    failure.diff = sides::of(&block.body);
    let first = match (&block.at, block.name.as_str()) {
        (Some((file, line)), name) => format!("Failed test '{name}' at {file} line {line}."),
        (None, name) => format!("Failed test '{name}'"),
    };
    let lines: Vec<&str> = std::iter::once(first.as_str())
        .chain(block.body.iter().map(String::as_str))
        .collect();
    failure.details = text::block(&lines.join("\n"), text::DETAILS);
}

fn place(context: &Context, file: &str, line: u32, column: Option<u32>) -> Location {
    Location {
        file: context.relative(file),
        line: Some(line),
        column,
    }
}

fn yaml(failure: &mut Failure, yaml: &Yaml, context: &Context) {
    let message = yaml.get(&["error.message", "error", "message", "reason"]);
    let name = yaml.get(&["error.name", "name", "type"]).unwrap_or("");
    (failure.kind, failure.kind_sure) = kind(yaml, name, message.unwrap_or(""));
    failure.phase = match failure.kind {
        FailureKind::SetupError => Phase::Setup,
        FailureKind::TeardownError => Phase::Teardown,
        _ => Phase::Call,
    };
    // bats puts all that it says there.
    if let Some(said) = message.filter(|message| block::is(message)) {
        let lines: Vec<&str> = said.lines().collect();
        block::explain(failure, &lines, context);
        return;
    }
    failure.message = message.map(first_lines).unwrap_or_default();
    let expected = yaml.printed(&["expected", "wanted", "data.expected", "data.expect"]);
    let actual = yaml.printed(&[
        "actual",
        "found",
        "got",
        "received",
        "data.got",
        "data.actual",
    ]);
    if failure.kind == FailureKind::Assertion && (expected.is_some() || actual.is_some()) {
        let clean = |side: Option<&str>| side.map(text::clean);
        let own = yaml
            .get(&["diff"])
            .map(|text| text::cap(&text::clean(text), text::SIDE));
        failure.diff = Some(compared::expected_actual(
            clean(expected).as_deref(),
            clean(actual).as_deref(),
            own,
        ));
    } else {
        failure.diff = yaml.get(&["diff"]).and_then(unified);
    }
    places(failure, yaml, context);
    failure.stdout = yaml
        .get(&["stdout"])
        .and_then(|out| text::block(out, text::DETAILS));
    failure.stderr = yaml
        .get(&["stderr"])
        .and_then(|err| text::block(err, text::DETAILS));
    failure.code = None;
    let millis = yaml
        .get(&["duration_ms"])
        .and_then(|ms| ms.parse::<f64>().ok());
    let millis = millis.filter(|ms| ms.is_finite() && *ms >= 0.0);
    failure.duration_ms = millis.map(|ms| ms as u64).or(failure.duration_ms);
}

/// A line that ends with a colon says nothing without the next.
fn first_lines(message: &str) -> String {
    let clean = text::clean(message);
    let mut lines = clean.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("");
    match lines.next().filter(|_| first.ends_with(':')) {
        Some(next) if !next.starts_with(['+', '-', '{', '[']) => {
            text::one_line(&format!("{first} {next}"))
        }
        _ => text::one_line(first),
    }
}

fn kind(yaml: &Yaml, name: &str, message: &str) -> (FailureKind, bool) {
    let is =
        |keys: &[&str], words: &[&str]| yaml.get(keys).is_some_and(|value| words.contains(&value));
    let class = name.rsplit(['.', ' ']).next().unwrap_or(name);
    if is(&["failureType"], &["testTimeoutFailure"]) || yaml.get(&["expired"]).is_some() {
        return (FailureKind::Timeout, true);
    }
    if is(&["failureType"], &["hookFailed"]) {
        return match message.contains("after") {
            true => (FailureKind::TeardownError, true),
            false => (FailureKind::SetupError, true),
        };
    }
    if yaml
        .get(&["signal"])
        .is_some_and(|signal| signal.starts_with("SIG"))
    {
        return (FailureKind::Crash, true);
    }
    if yaml.get(&["exitCode"]).is_some_and(|code| code != "0") {
        return (FailureKind::ExitNonzero, true);
    }
    let asserted = class.contains("Assert")
        || class.contains("ExpectationFailed")
        || is(&["code"], &["ERR_ASSERTION"]);
    let compared = [
        "operator", "compare", "expected", "actual", "wanted", "found", "got", "diff",
    ];
    if asserted {
        (FailureKind::Assertion, true)
    } else if class.ends_with("Error")
        || class.ends_with("Exception")
        || yaml.get(&["failureType"]).is_some()
    {
        (FailureKind::Panic, true)
    } else if yaml.get(&compared).is_some() {
        (FailureKind::Assertion, true)
    } else {
        (FailureKind::Assertion, false)
    }
}

/// Frames, location and definition.
fn places(failure: &mut Failure, yaml: &Yaml, context: &Context) {
    let stack = yaml.get(&["stack", "error.stack"]).unwrap_or("");
    failure.frames = frames(stack, context);
    let innermost = failure.frames.iter().find(|frame| frame.user);
    failure.location = innermost.map(|frame| Location {
        file: frame.file.clone(),
        line: frame.line,
        column: None,
    });
    let columns = |place: &str| {
        frame(place, context).map(|(file, line, column, _)| Location {
            file,
            line: Some(line),
            column,
        })
    };
    let number = |keys: &[&str]| yaml.get(keys).and_then(|n| n.parse().ok());
    let file = yaml.get(&[
        "at.file",
        "at.fileName",
        "file",
        "data.file",
        "location.file",
    ]);
    let split = file.map(|file| Location {
        file: context.relative(file.trim_start_matches("file://")),
        line: number(&[
            "at.line",
            "at.lineNumber",
            "line",
            "data.line",
            "location.line",
        ]),
        column: number(&["at.column", "at.columnNumber", "column", "location.column"]),
    });
    let at = split.or_else(|| yaml.get(&["at"]).and_then(columns));
    let at = at.filter(|at| context.is_user(&at.file));
    // The stack begins where the assertion stands; `at` has its column besides.
    let same = |one: &Location, two: &Location| one.file == two.file && one.line == two.line;
    failure.location = match (failure.location.take(), at) {
        (Some(found), Some(at)) if same(&found, &at) => Some(at),
        (found, at) => found.or(at),
    };
    failure.test_location = yaml.get(&["location"]).and_then(columns);
    if failure.location.is_none() && failure.kind != FailureKind::Crash {
        failure.location = failure.test_location.clone();
    }
}

/// `--- expected`, `+++ actual` and what differs.
fn unified(text: &str) -> Option<Diff> {
    let clean = text::clean(text);
    let body = clean.lines().filter(|line| {
        !line.starts_with("---") && !line.starts_with("+++") && !line.starts_with("@@")
    });
    let (mut expected, mut actual) = (String::new(), String::new());
    for line in body {
        let rest = line.get(1..).unwrap_or("");
        if !line.starts_with('+') {
            expected.push_str(rest);
            expected.push('\n');
        }
        if !line.starts_with('-') {
            actual.push_str(rest);
            actual.push('\n');
        }
    }
    let known = clean.starts_with("--- expected");
    known.then(|| {
        let own = Some(text::cap(clean.trim_end(), text::SIDE));
        compared::expected_actual(Some(expected.trim_end()), Some(actual.trim_end()), own)
    })
}

/// The frames of a JavaScript stack, also where `at` is missing.
fn frames(stack: &str, context: &Context) -> Vec<Frame> {
    let found = stack.lines().filter_map(|line| frame(line, context));
    let made = found.map(|(file, line, _, function)| Frame {
        user: context.is_user(&file) && !file.starts_with("node:"),
        file,
        line: Some(line),
        function: function.map(|name| text::cut(name, 300)),
    });
    made.take(MOST_FRAMES).collect()
}

/// `at f (/p/a.js:1:2)`, `f (/p/a.js:1:2)`, `/p/a.js:1:2`.
fn frame<'a>(
    line: &'a str,
    context: &Context,
) -> Option<(String, u32, Option<u32>, Option<&'a str>)> {
    let line = line.trim();
    let line = line.strip_prefix("at ").unwrap_or(line);
    let (function, place) = match line.strip_suffix(')').and_then(|l| l.rsplit_once('(')) {
        Some((function, place)) => (Some(function.trim()), place),
        None => (None, line),
    };
    let place = place.trim_start_matches("file://");
    let (rest, last) = place.rsplit_once(':')?;
    let last: u32 = last.parse().ok()?;
    let (file, line, column) = match rest
        .rsplit_once(':')
        .and_then(|(f, l)| Some((f, l.parse().ok()?)))
    {
        Some((file, line)) => (file, line, Some(last)),
        None => (rest, last, None),
    };
    let known =
        !file.is_empty() && !file.contains(char::is_whitespace) && file.contains(['.', '/', ':']);
    let function = function.filter(|name| !name.is_empty());
    known.then(|| (context.relative(file), line, column, function))
}

/// Comments and indented lines that follow nobody's conventions.
fn plain(failure: &mut Failure, detail: &Detail, context: &Context) {
    let said = match detail.after.trim() {
        "" => detail.comments.as_str(),
        _ => detail.after.as_str(),
    };
    let first = said
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("");
    failure.message = text::one_line(first);
    let body: Vec<String> = said.lines().map(str::to_owned).collect();
    failure.diff = sides::of(&body).filter(|diff| diff.expected.is_some());
    let class = first.split([':', ' ']).next().unwrap_or("");
    if class.contains("Assertion") || first.starts_with("assert") {
        failure.kind_sure = true;
    } else if class.ends_with("Error") || class.ends_with("Exception") {
        (failure.kind, failure.kind_sure) = (FailureKind::Panic, true);
    }
    failure.frames = frames(said, context);
    let innermost = failure.frames.iter().find(|frame| frame.user);
    failure.location = innermost.map(|frame| Location {
        file: frame.file.clone(),
        line: frame.line,
        column: None,
    });
}
