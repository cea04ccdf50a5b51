//! What a failed assertion of minitest says: its one line and its two sides.

use crate::libtest::sides;
use crate::report::Diff;
use crate::report::FailureKind;
use crate::text;

/// One side is at most so long in the one line.
const SHORT: usize = 250;

/// The kind of what a test threw.
pub(crate) fn kind(class: &str) -> FailureKind {
    match class {
        "" | "Minitest::Assertion" => FailureKind::Assertion,
        "Timeout::Error" | "Timeout::ExitException" => FailureKind::Timeout,
        "NoMemoryError" => FailureKind::Oom,
        _ => FailureKind::Panic,
    }
}

/// One line that says what is wrong.
pub(crate) fn one_line(message: &str) -> String {
    let message = text::clean(message);
    let first = message.lines().map(str::trim).find(|line| !line.is_empty());
    let first = first.unwrap_or("");
    let Some(sides) = sides_of(&message) else {
        let class = message
            .lines()
            .find_map(|line| line.strip_prefix("Class: "));
        return match class.filter(|_| first.ends_with("exception expected, not")) {
            Some(class) => text::one_line(&format!("{first} {class}")),
            None => text::one_line(first),
        };
    };
    let (expected, actual) = different(&sides.expected, &sides.actual);
    let told = format!("Expected: {}, Actual: {}", short(expected), short(actual));
    match sides.before.trim() {
        "" => text::one_line(&told),
        before => text::one_line(&format!("{} {told}", text::one_line(before))),
    }
}

fn short(line: &str) -> String {
    text::cut(line, SHORT)
}

/// The first lines in which two values differ.
fn different<'a>(expected: &'a str, actual: &'a str) -> (&'a str, &'a str) {
    let mut pairs = expected.lines().zip(actual.lines());
    let first = |side: &'a str| side.lines().next().unwrap_or("");
    pairs
        .find(|(one, other)| one != other)
        .unwrap_or((first(expected), first(actual)))
}

/// The two sides of a comparison.
pub(crate) fn diff(message: &str) -> Option<Diff> {
    let message = text::clean(message);
    let sides = sides_of(&message)?;
    Some(sides::expected_actual(
        Some(&sides.expected),
        Some(&sides.actual),
        sides.unified,
    ))
}

struct Sides {
    before: String,
    expected: String,
    actual: String,
    unified: Option<String>,
}

fn sides_of(message: &str) -> Option<Sides> {
    let lines: Vec<&str> = message.lines().collect();
    labelled(&lines).or_else(|| by_diff(&lines))
}

/// `Expected: A` and below it `  Actual: B`; both may have several lines.
fn labelled(lines: &[&str]) -> Option<Sides> {
    let from = lines
        .iter()
        .position(|line| line.starts_with("Expected: "))?;
    // What the user says of it ends with a full stop that minitest adds.
    let said = from.checked_sub(1).map(|before| lines[before]);
    said.is_none_or(|said| said.ends_with('.')).then_some(())?;
    let below = lines[from..]
        .iter()
        .position(|line| line.starts_with("  Actual: "))?;
    let to = from + below;
    let value = |first: &str, rest: &[&str]| {
        let whole = std::iter::once(first).chain(rest.iter().copied());
        whole.collect::<Vec<_>>().join("\n").trim_end().to_owned()
    };
    Some(Sides {
        before: lines[..from].join("\n"),
        expected: value(&lines[from]["Expected: ".len()..], &lines[from + 1..to]),
        actual: value(&lines[to]["  Actual: ".len()..], &lines[to + 1..]),
        unified: None,
    })
}

/// Long values are printed as a diff alone: both sides are put together from it.
fn by_diff(lines: &[&str]) -> Option<Sides> {
    let from = lines.iter().position(|line| *line == "--- expected")?;
    (lines.get(from + 1) == Some(&"+++ actual")).then_some(())?;
    let (mut expected, mut actual) = (Vec::new(), Vec::new());
    let body = lines[from + 2..].iter().rposition(|line| !line.is_empty());
    let body = &lines[from + 2..from + 3 + body?];
    for line in body {
        let rest = line.get(1..).unwrap_or("");
        match line.as_bytes().first() {
            Some(b'-') => expected.push(rest),
            Some(b'+') => actual.push(rest),
            Some(b'@' | b'\\') => {}
            _ => {
                expected.push(rest);
                actual.push(rest);
            }
        }
    }
    Some(Sides {
        before: lines[..from].join("\n"),
        expected: expected.join("\n"),
        actual: actual.join("\n"),
        unified: Some(text::cap(&body.join("\n"), text::SIDE)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, line: &str, sides: Option<(&str, &str)>) {
        assert_eq!(one_line(message), line);
        let found = diff(message);
        let found = found.as_ref().map(|diff| {
            let side = |side: &Option<String>| side.clone().unwrap_or_default();
            (side(&diff.expected), side(&diff.actual))
        });
        let wanted = sides.map(|(expected, actual)| (expected.to_owned(), actual.to_owned()));
        assert_eq!(found, wanted, "{message}");
    }

    #[test]
    fn messages_of_assertions() {
        check(
            "one is not two.\nExpected: 1\n  Actual: 2",
            "one is not two. Expected: 1, Actual: 2",
            Some(("1", "2")),
        );
        check(
            "--- expected\n+++ actual\n@@ -1,4 +1,4 @@\n \"one\n-2\n+two\n three\n \"\n\n",
            "Expected: 2, Actual: two",
            Some(("\"one\n2\nthree\n\"", "\"one\ntwo\nthree\n\"")),
        );
        check(
            "Expected: #<A\n b>\n  Actual: #<A\n c>\n",
            "Expected:  b>, Actual:  c>",
            Some(("#<A\n b>", "#<A\n c>")),
        );
        check("Expected 5 to be nil.", "Expected 5 to be nil.", None);
        check(
            "[KeyError] exception expected, not\nClass: <ArgumentError>\nMessage: <\"x\">",
            "[KeyError] exception expected, not <ArgumentError>",
            None,
        );
        check("", "", None);
    }
}
