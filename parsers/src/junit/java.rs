//! A case of the Java world: Surefire, Failsafe, Gradle, Ant, the console launcher.

use crate::compose;
use crate::junit::case;
use crate::junit::case::Verdict;
use crate::junit::compare;
use crate::junit::dialect;
use crate::junit::dialect::Dialect;
use crate::junit::dialect::Suite;
use crate::junit::kind;
use crate::junit::rerun;
use crate::junit::rerun::Method;
use crate::junit::sources::Sources;
use crate::junit::stack::Stack;
use crate::junit::stack::Told;
use crate::junit::xml::Element;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Phase;
use crate::text;
use crate::text::floor;
use std::borrow::Cow;

/// What was thrown, as a report or a text says it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Thrown<'a> {
    /// The exception's class; empty where nobody says.
    pub class: &'a str,
    /// Its message.
    pub message: &'a str,
    /// Its text with the trace.
    pub body: &'a str,
}

/// Reads a case that failed.
pub(crate) fn read(
    case: &Element,
    child: &Element,
    suites: &[Suite],
    sources: &mut Sources,
) -> Verdict {
    let body = &references(case::body(child));
    let (id, target) = dialect::identity(case, suites, Dialect::Java);
    let class = target.clone().unwrap_or_default();
    let name = case.get("name").unwrap_or("");
    let head = first_line(body);
    let (named, said) = split(head);
    let thrown = Thrown {
        class: child
            .get("type")
            .filter(|kind| !kind.is_empty())
            .unwrap_or(named),
        message: &references(child.get("message").unwrap_or(said)),
        body,
    };
    let (mut failure, told) = failure(&id, &class, name, &thrown, sources);
    failure.target = target;
    failure.stdout = dialect::output(case)
        .map(|out| without_ids(&out))
        .and_then(|out| text::block(&out, text::DETAILS));
    case::surround(
        &mut failure,
        case,
        suites,
        body,
        Dialect::Java,
        &sources.context().clone(),
    );
    failure.test_location = sources.definition(&class, name);
    if failure.location.is_none() {
        failure.location.clone_from(&failure.test_location);
    }
    let launcher = dialect::output(case).is_some_and(|out| out.contains("unique-id: ["));
    // The console launcher's file tells what failed around its tests at each of these.
    if launcher && (told.class || Stack::read(body).of_factory()) {
        let factory = !told.class;
        let made = name.ends_with(']');
        let name = if factory {
            name.split('[').next().unwrap_or(name)
        } else {
            ""
        };
        failure.id = match factory {
            true => format!("{class}.{name}"),
            false => class.clone(),
        };
        failure.duration_ms = None;
        failure.stdout = None;
        let whole = Method {
            class: &class,
            name,
            types: None,
        };
        failure.rerun = rerun::method(&whole, sources.context());
        return Verdict::ClassStep {
            // What it had made before ran well, or it would tell of itself.
            passed: factory && made || told.phase == Phase::Teardown,
            failure: Box::new(compose::seal(failure)),
        };
    }
    let types = dialect::output(case).and_then(|out| types(&out));
    let method = Method {
        class: &class,
        name,
        types: types.as_deref(),
    };
    failure.rerun = rerun::method(&method, sources.context());
    Verdict::Failed(vec![compose::seal(failure)])
}

/// Control characters, which XML cannot hold: the console launcher and Surefire write them as
/// references where these are text (`&#1;`, `&amp#1;`).
fn references(text: &str) -> Cow<'_, str> {
    if memchr::memmem::find(text.as_bytes(), b"#").is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut from = 0;
    for (at, _) in text.match_indices('&') {
        let rest = text[at..]
            .strip_prefix("&#")
            .or_else(|| text[at..].strip_prefix("&amp#"));
        let number = rest.and_then(|rest| rest[..floor(rest, 4)].split_once(';'));
        let code = number.and_then(|(number, _)| number.parse::<u8>().ok());
        let control = code.filter(|code| *code < 32 && !matches!(code, 9 | 10 | 13));
        if let (Some(rest), Some((number, _)), Some(code)) = (rest, number, control) {
            out.push_str(&text[from..at]);
            out.push(char::from(code));
            from = text.len() - rest.len() + number.len() + 1;
        }
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

/// The failure of what was thrown; `id`, class and method of the test are known.
pub(crate) fn failure(
    id: &str,
    class: &str,
    method: &str,
    thrown: &Thrown<'_>,
    sources: &mut Sources,
) -> (Failure, Told) {
    let stack = Stack::read(thrown.body);
    // JUnit 4's name for the steps of a class, as Gradle has it.
    let of_class = method.is_empty() || method == class || method == "classMethod";
    let mut told = stack.phase(class, method, sources);
    if of_class && told.phase == Phase::Call && !thrown.class.is_empty() {
        // What is a class's own failure and no test's is its set-up, if nothing says more.
        told = Told::of(Phase::Setup, false);
    }
    let (kind, sure) = kind_of(thrown, method, told, &stack);
    if kind == FailureKind::CollectionError {
        told = Told::of(Phase::Collect, true);
    }
    let mut failure = compose::failure(id, kind, told.phase, message(thrown, kind));
    failure.kind_sure = sure && told.sure;
    let (frames, location) = stack.place(method, sources);
    failure.frames = frames;
    failure.location = location;
    // Of several comparisons none is the failure's own.
    if !thrown.class.contains("MultipleFailures") {
        failure.diff = compare::sides(whole_message(thrown));
    }
    failure.details = text::block(thrown.body, text::DETAILS);
    (failure, told)
}

/// The whole message: an attribute that was cut says less than the body.
fn whole_message<'a>(thrown: &Thrown<'a>) -> &'a str {
    let end = trace_start(thrown.body);
    let body = thrown.body[..end].trim_end();
    match body.len() > thrown.message.len() {
        true => body,
        false => thrown.message,
    }
}

/// Where the frames begin. Frames that other text follows stand in the message.
pub(crate) fn trace_start(body: &str) -> usize {
    let mut start = None;
    let mut from = 0;
    for line in body.split_inclusive('\n') {
        let trimmed = line.trim_start();
        let indented = ["\tat ", "    at ", "\t\tat "];
        let frame = indented.iter().any(|mark| line.starts_with(mark));
        let words = ["Caused by: ", "Suppressed: ", "... ", "[...]", "at "];
        if frame && from > 0 {
            start.get_or_insert(from - 1);
        } else if ["Caused by: ", "Suppressed: "]
            .iter()
            .any(|word| trimmed.starts_with(word))
        {
            if start.is_some() {
                break;
            }
        } else if !trimmed.is_empty() && !words.iter().any(|word| trimmed.starts_with(word)) {
            start = None;
        }
        from += line.len();
    }
    start.unwrap_or(body.len())
}

fn kind_of(thrown: &Thrown<'_>, method: &str, told: Told, stack: &Stack) -> (FailureKind, bool) {
    let message = thrown.message;
    let invalid = [
        "InitializationError",
        "InvalidTestClassError",
        "NoTestsFound",
    ];
    let named = invalid.iter().any(|word| thrown.class.ends_with(word));
    // JUnit 4's name for a class that cannot be a test.
    if named || method == "initializationError" {
        return (FailureKind::CollectionError, true);
    }
    match told.phase {
        Phase::Setup => return (FailureKind::SetupError, true),
        Phase::Teardown => return (FailureKind::TeardownError, true),
        _ => {}
    }
    let timed = ["timed out after", "execution exceeded timeout of"];
    let late = thrown.class.contains("TimedOut")
        || thrown.class.contains("TimeoutException") && message.contains("timed out after")
        || (kind::asserts(thrown.class) || thrown.class.is_empty())
            && timed.iter().any(|words| message.contains(words));
    if late {
        return (FailureKind::Timeout, true);
    }
    // Some of JUnit 4's exceptions do not say their class.
    if kind::asserts(thrown.class) || thrown.class.is_empty() && stack.asserted() {
        return (FailureKind::Assertion, true);
    }
    (FailureKind::Panic, !thrown.class.is_empty())
}

/// One line: the message, with the exception's class before it where it is no assertion.
fn message(thrown: &Thrown<'_>, kind: FailureKind) -> String {
    let bare = thrown.message.trim();
    let (named, said) = split(bare);
    let bare = if !named.is_empty() && named == thrown.class {
        said
    } else {
        bare
    };
    let lines: Vec<&str> = bare
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let joined = lines.join(" ");
    let one = match lines.len() {
        0 => String::new(),
        1..=8 if joined.len() < 300 => joined,
        _ => lines[0].to_owned(),
    };
    let plain = kind == FailureKind::Assertion || kind == FailureKind::Timeout;
    match (thrown.class, one.as_str()) {
        ("", _) => one,
        (class, "") => class.to_owned(),
        (_, _) if plain => one,
        (class, one) => format!("{class}: {one}"),
    }
}

/// Whether that exception says that a test does not apply.
pub(crate) fn is_assumption(class: &str) -> bool {
    let assumed = ["TestAbortedException", "AssumptionViolatedException"];
    assumed.iter().any(|name| class.ends_with(name))
}

/// The first line that is not empty.
pub(crate) fn first_line(text: &str) -> &str {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("")
}

/// `java.lang.AssertionError: why` in its two parts.
pub(crate) fn split(line: &str) -> (&str, &str) {
    let (class, message) = line
        .split_once(": ")
        .unwrap_or((line.trim_end_matches(':'), ""));
    let named = class.contains(['.', 'E'])
        && !class.contains(' ')
        && class
            .chars()
            .all(|c| c.is_alphanumeric() || "._$".contains(c))
        && class.chars().next().is_some_and(char::is_alphabetic);
    match named {
        true => (class, message),
        false => ("", line),
    }
}

/// What the console launcher puts before and behind a test's output.
fn without_ids(output: &str) -> String {
    let own =
        |line: &&str| !(line.starts_with("unique-id: [") || line.starts_with("display-name: "));
    output.lines().filter(own).collect::<Vec<_>>().join("\n")
}

/// The parameters' types of the method that a unique id names.
fn types(output: &str) -> Option<String> {
    let id = output
        .lines()
        .find(|line| line.starts_with("unique-id: ["))?;
    if id.contains("/[test:") {
        // JUnit 4 has no parameters.
        return Some(String::new());
    }
    let segment = id.split("]/[").find(|part| {
        ["method:", "test-template:", "test-factory:"]
            .iter()
            .any(|kind| part.starts_with(kind))
    })?;
    let (_, rest) = segment.split_once('(')?;
    Some(rest.rsplit_once(')')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_to_control_characters_are_meant() {
        for (text, meant) in [
            ("a&#1;&#27;[31mb", "a\u{1}\u{1b}[31mb"),
            ("a&amp#7;", "a\u{7}"),
            ("&#65; &#9; &# &#300; #&", "&#65; &#9; &# &#300; #&"),
            ("x", "x"),
        ] {
            assert_eq!(references(text), meant);
        }
    }
}
