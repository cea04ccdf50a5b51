//! What kind a failure of a JUnit document is.

use crate::junit::xml::Element;
use crate::report::FailureKind;
use crate::report::Phase;
use crate::text;

/// Kind, whether it is sure, and phase.
pub(crate) fn of(child: &Element, message: &str, body: &str) -> (FailureKind, bool, Phase) {
    let class = child.get("type").unwrap_or("");
    match class {
        "test abort" => return (FailureKind::Crash, true, Phase::Call),
        "test timeout" => return (FailureKind::Timeout, true, Phase::Call),
        _ if class.starts_with("test failure") => return (FailureKind::Panic, false, Phase::Call),
        _ => {}
    }
    // Catch2's macros, and what was thrown outside of them.
    if ["CHECK", "REQUIRE", "FAIL"]
        .iter()
        .any(|word| class.starts_with(word))
    {
        return (FailureKind::Assertion, true, Phase::Call);
    }
    if class == "TEST_CASE" {
        return (FailureKind::Panic, true, Phase::Call);
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
    let late = [
        "Failed: Timeout",
        "Test timed out in ",
        "Test timeout of ",
        "Timeout of ",
    ];
    if late.iter().any(|words| starts(words))
        || class.contains("Timeout")
        || class == "testTimeoutFailure"
        || message.contains("Exceeded timeout of ")
    {
        return (FailureKind::Timeout, true, Phase::Call);
    }
    let (kind, sure) = by_words(child, class, message, body);
    (kind, sure, Phase::Call)
}

fn by_words(child: &Element, class: &str, message: &str, body: &str) -> (FailureKind, bool) {
    let first = first_word(message);
    let head = body.lines().map(str::trim).find(|line| !line.is_empty());
    let head = head.unwrap_or("");
    if asserts(class) || asserts(first) || message.starts_with("Failed: ") {
        return (FailureKind::Assertion, true);
    }
    // The class of what was thrown stands in the body where the attributes say nothing.
    let inner = first_word(head);
    if asserts(inner) || head.contains("expect(") || body.contains("expect(received)") {
        return (FailureKind::Assertion, true);
    }
    if class == "testCodeFailure" || class == "failure" {
        let assertion = message.contains("ERR_ASSERTION") || body.contains("ERR_ASSERTION");
        if assertion {
            return (FailureKind::Assertion, true);
        }
    }
    let expected = [
        "expected ",
        "Expected ",
        "expected: ",
        "Expected: ",
        "Failed asserting",
    ];
    if expected
        .iter()
        .any(|words| message.trim_start().starts_with(words))
    {
        return (FailureKind::Assertion, true);
    }
    if exception(class) || exception(first) || exception(inner) || child.name == "error" {
        let sure = exception(class) || exception(first) || exception(inner);
        return (FailureKind::Panic, sure);
    }
    if body.contains("panic: ") && body.contains("goroutine ") {
        return (FailureKind::Panic, true);
    }
    (FailureKind::Assertion, asserts(head))
}

fn first_word(text: &str) -> &str {
    let first = text.trim_start().split([':', '\n']).next().unwrap_or("");
    first.trim()
}

/// Whether a class's name, or the beginning of a message, is an assertion's.
pub(crate) fn asserts(text: &str) -> bool {
    let lower = text.to_lowercase();
    [
        "assert",
        "comparisonfailure",
        "expectationfailed",
        "expectationnotmet",
        "expectation failed",
        "multiplefailures",
        "conditionnotsatisfied",
        "softassertion",
        "argumentsaredifferent",
        "wantedbutnotinvoked",
        "nointeractionswanted",
        "neverwantedbutinvoked",
        "toomanyactualinvocations",
        "toofewactualinvocations",
        "testfailedexception",
        "argumentsdifferent",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

fn exception(text: &str) -> bool {
    !text.contains(' ')
        && (text.ends_with("Error") || text.ends_with("Exception") || text.ends_with("Exit"))
}

/// The message without what only repeats the kind.
pub(crate) fn shown(message: &str, kind: FailureKind) -> String {
    let cleaned = text::clean(message);
    let message = cleaned.trim();
    for start in ["failed on setup with ", "failed on teardown with "] {
        if let Some(rest) = message.strip_prefix(start) {
            return rest.trim_matches('"').to_owned();
        }
    }
    match kind {
        FailureKind::Assertion => [
            "AssertionError: ",
            "Error: ",
            "AssertionError [ERR_ASSERTION]: ",
        ]
        .iter()
        .find_map(|start| message.strip_prefix(start))
        .unwrap_or(message)
        .to_owned(),
        _ => message.to_owned(),
    }
}
