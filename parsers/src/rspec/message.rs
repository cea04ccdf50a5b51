//! What an exception of an example says: its kind, its one line, its two sides. The same text
//! comes by events, in JSON and in the output for people.

use crate::libtest::sides;
use crate::report::Diff;
use crate::report::FailureKind;
use crate::text;

/// One side is at most so long in the one line.
const SHORT: usize = 250;

/// The kind by the exception's class; RSpec's text leaves its own classes out.
pub(crate) fn kind(class: &str) -> (FailureKind, bool) {
    match class {
        "RSpec::Core::Pending::PendingExampleFixedError" => (FailureKind::UnexpectedPass, true),
        "RSpec::Core::MultipleExceptionError" => (FailureKind::Panic, false),
        "" | "Minitest::Assertion" | "Test::Unit::AssertionFailedError" => {
            (FailureKind::Assertion, true)
        }
        "Timeout::Error" | "Timeout::ExitException" => (FailureKind::Timeout, true),
        "NoMemoryError" => (FailureKind::Oom, true),
        _ if class.starts_with("RSpec::Expectations::") || class.starts_with("RSpec::Mocks::") => {
            (FailureKind::Assertion, true)
        }
        _ => (FailureKind::Panic, true),
    }
}

/// Whether RSpec prints the name of a class.
fn named(class: &str) -> bool {
    !class.is_empty() && !class.contains("RSpec")
}

/// One line that says what is wrong.
pub(crate) fn one_line(class: &str, message: &str) -> String {
    let message = text::clean(message);
    let first = message.lines().map(str::trim).find(|line| !line.is_empty());
    let Some(first) = first else {
        return class.to_owned();
    };
    if named(class) {
        return text::one_line(&format!("{class}: {first}"));
    }
    if let Some(pair) = pair(&message) {
        let (expected, actual) = (short(&pair.expected), short(&pair.actual));
        let (labels, colon) = (pair.labels, if pair.colons { ":" } else { "" });
        let sides = format!(
            "{}{colon} {expected}, {}{colon} {actual}",
            labels.0, labels.1
        );
        // A mock's message begins with what was called.
        return match first.starts_with(labels.0) {
            true => text::one_line(&sides),
            false => text::one_line(&format!("{}: {sides}", first.trim_end_matches(':'))),
        };
    }
    if first.starts_with("Got ")
        && let Some(part) = parts(&message).first()
    {
        let inner = one_line("", part);
        return text::one_line(&format!("{}: {inner}", first.trim_end_matches([':', '.'])));
    }
    text::one_line(first)
}

fn short(side: &str) -> String {
    let mut lines = side.lines();
    let first = text::cut(lines.next().unwrap_or(""), SHORT);
    match lines.next() {
        Some(_) => format!("{first} ..."),
        None => first,
    }
}

/// The two sides of a comparison, and RSpec's own diff.
pub(crate) fn diff(message: &str) -> Option<Diff> {
    let message = text::clean(message);
    if message.trim_start().starts_with("Got ")
        && let Some(part) = parts(&message).first()
    {
        return diff(part);
    }
    let unified = unified(&message);
    let sides = pair(&message)
        .map(|pair| (pair.expected, pair.actual))
        .or_else(|| raised(&message));
    match (sides, unified) {
        (Some((expected, actual)), unified) => Some(sides::expected_actual(
            Some(&expected),
            Some(&actual),
            unified,
        )),
        (None, Some(unified)) => Some(Diff {
            unified: Some(unified),
            ..Diff::default()
        }),
        (None, None) => None,
    }
}

struct Pair {
    expected: String,
    actual: String,
    labels: (&'static str, &'static str),
    colons: bool,
}

const LABELS: [(&str, &str); 4] = [
    ("expected", "got"),
    ("expected", "received"),
    (
        "expected collection contained",
        "actual collection contained",
    ),
    ("expected", "actual"),
];

/// `expected: A` and, its colon below that one, `got: B`; both may have several lines.
fn pair(message: &str) -> Option<Pair> {
    let lines: Vec<&str> = message.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        if !line.trim_start().starts_with("expected") {
            continue;
        }
        for labels in LABELS {
            if let Some(found) = pair_at(&lines, at, labels) {
                return Some(found);
            }
        }
    }
    None
}

fn pair_at(lines: &[&str], at: usize, labels: (&'static str, &'static str)) -> Option<Pair> {
    let (start, rest) = labelled(lines[at], labels.0)?;
    let colons = rest.starts_with(':');
    let end = start + labels.0.len();
    let mut expected = value(rest).to_owned();
    for (below, line) in lines.iter().enumerate().skip(at + 1) {
        if let Some((column, rest)) = labelled(line, labels.1)
            && rest.starts_with(':') == colons
            && (column + labels.1.len() == end || column == start)
        {
            let mut actual = value(rest).to_owned();
            for line in lines.iter().skip(below + 1) {
                if ends(line) {
                    break;
                }
                actual.push('\n');
                actual.push_str(line);
            }
            return Some(Pair {
                expected: expected.trim_end().to_owned(),
                actual: actual.trim_end().to_owned(),
                labels,
                colons,
            });
        }
        expected.push('\n');
        expected.push_str(line);
    }
    None
}

/// A line that begins with a label: the column, and what follows.
fn labelled<'a>(line: &'a str, label: &str) -> Option<(usize, &'a str)> {
    let rest = line.trim_start();
    let start = line.len() - rest.len();
    let rest = rest.strip_prefix(label)?;
    (rest.starts_with(": ") || rest.starts_with(' ') || rest == ":").then_some((start, rest))
}

fn value(rest: &str) -> &str {
    rest.trim_start_matches(':').trim()
}

/// What comes after the sides.
fn ends(line: &str) -> bool {
    let line = line.trim_start();
    [
        "(compared using ",
        "Compared using ",
        "Diff:",
        "Diff for ",
        "...or:",
        "...and:",
    ]
    .iter()
    .chain(&["the missing element", "the extra element", "But received "])
    .any(|start| line.starts_with(start))
}

/// `expected KeyError, got #<ArgumentError: no> with backtrace:`
fn raised(message: &str) -> Option<(String, String)> {
    let line = message.lines().find(|line| !line.trim().is_empty())?;
    let (expected, actual) = line
        .trim()
        .strip_prefix("expected ")?
        .split_once(", got #<")?;
    let actual = actual.split(" with backtrace:").next().unwrap_or(actual);
    Some((expected.to_owned(), format!("#<{actual}")))
}

/// What follows `Diff:`.
fn unified(message: &str) -> Option<String> {
    let mut lines = message.lines();
    lines.find(|line| line.trim() == "Diff:" || line.trim_start().starts_with("Diff for "))?;
    let body: Vec<&str> = lines.collect();
    let shift = body
        .iter()
        .find(|line| line.trim_start().starts_with("@@"))
        .map_or(0, |line| line.len() - line.trim_start().len());
    let body: Vec<&str> = body
        .iter()
        .map(|line| line.get(shift..).unwrap_or(""))
        .collect();
    let body = body.join("\n");
    let body = body.trim_end();
    (!body.is_empty()).then(|| text::cap(body, text::SIDE))
}

/// The parts of an aggregate's message: `  1) …`, each with its place as the last line.
pub(crate) fn parts(message: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for line in message.lines() {
        let trimmed = line.trim_start();
        let indented = line.len() - trimmed.len();
        let number = trimmed.split_once(") ").map(|(number, _)| number);
        let starts = number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        if indented == 2 && starts {
            // The label's column counts, so that the number becomes blanks.
            let width = trimmed.find(") ").map_or(0, |at| at + 2);
            parts.push(format!("{}{}", " ".repeat(2 + width), &trimmed[width..]));
        } else if let Some(part) = parts.last_mut() {
            part.push('\n');
            part.push_str(line);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, line: &str, expected: Option<&str>, actual: Option<&str>) {
        assert_eq!(
            one_line("RSpec::Expectations::ExpectationNotMetError", message),
            line
        );
        let diff = diff(message).unwrap_or_default();
        assert_eq!(diff.expected.as_deref(), expected, "{message}");
        assert_eq!(diff.actual.as_deref(), actual, "{message}");
    }

    #[test]
    fn messages_of_matchers() {
        check(
            "\nexpected: 2\n     got: 3\n\n(compared using ==)\n",
            "expected: 2, got: 3",
            Some("2"),
            Some("3"),
        );
        check(
            "expected: > 5\n     got:   3",
            "expected: > 5, got: 3",
            Some("> 5"),
            Some("3"),
        );
        check(
            "\nexpected nil\n     got #<Till:1960> => #<Till>\n",
            "expected nil, got #<Till:1960> => #<Till>",
            Some("nil"),
            Some("#<Till:1960> => #<Till>"),
        );
        check(
            "expected collection contained:  [1, 3]\nactual collection contained:    [1, 2]\nthe missing elements were:      [3]\n",
            "expected collection contained: [1, 3], actual collection contained: [1, 2]",
            Some("[1, 3]"),
            Some("[1, 2]"),
        );
        check(
            "(Double \"door\").open(1)\n    expected: 1 time with arguments: (1)\n    received: 0 times",
            "(Double \"door\").open(1): expected: 1 time with arguments: (1), received: 0 times",
            Some("1 time with arguments: (1)"),
            Some("0 times"),
        );
        check(
            "expected KeyError, got #<ArgumentError: no> with backtrace:\n  # ./a.rb:1",
            "expected KeyError, got #<ArgumentError: no> with backtrace:",
            Some("KeyError"),
            Some("#<ArgumentError: no>"),
        );
        check(
            "expected [1, 2] to include 3",
            "expected [1, 2] to include 3",
            None,
            None,
        );
        check(
            "   expected: nil\n        got: 5\n\n...or:\n\n   expected: 6\n        got: 5\n",
            "expected: nil, got: 5",
            Some("nil"),
            Some("5"),
        );
    }

    #[test]
    fn sides_of_several_lines_and_what_only_looks_like_one() {
        check(
            "\nexpected: #<A\n got: x>\n     got: #<A\n y>\n\n(compared using ==)\n\nDiff:\n@@ -1 +1 @@\n-x\n+y\n",
            "expected: #<A ..., got: #<A ...",
            Some("#<A\n got: x>"),
            Some("#<A\n y>"),
        );
    }

    #[test]
    fn an_aggregate_is_told_by_its_first() {
        let message = "Got 2 failures from failure aggregation block:\n\n  1) expected: 2\n          got: 1\n\n     (compared using ==)\n\n     ./a_spec.rb:6:in `x'\n\n  2) expected: \"b\"\n          got: \"a\"\n";
        check(
            message,
            "Got 2 failures from failure aggregation block: expected: 2, got: 1",
            Some("2"),
            Some("1"),
        );
        assert_eq!(parts(message).len(), 2);
    }

    #[test]
    fn other_exceptions_have_their_class() {
        assert_eq!(one_line("KeyError", "no\nmore"), "KeyError: no");
        assert_eq!(one_line("KeyError", ""), "KeyError");
        assert_eq!(kind("Timeout::Error").0, FailureKind::Timeout);
        assert_eq!(
            kind("RSpec::Mocks::MockExpectationError").0,
            FailureKind::Assertion
        );
        assert_eq!(kind("IOError"), (FailureKind::Panic, true));
    }
}
