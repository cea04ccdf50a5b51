//! Expected and actual, out of PHPUnit's messages.

use crate::libtest::sides;
use crate::report::Diff;
use crate::text;
use regex::Regex;
use std::sync::LazyLock;

/// `Failed asserting that 2 is identical to 1.` and its kin: what was comes first.
static INLINE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?s)Failed asserting that (?P<actual>.+?) (?:is identical to|matches expected|is equal to) (?P<expected>.+?)\.?\s*(?:\n|$)",
    )
    .expect("a constant pattern")
});
static SIZE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"Failed asserting that actual size (?P<actual>\d+) matches expected size (?P<expected>\d+)")
        .expect("a constant pattern")
});
static EXCEPTION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"exception of type "(?P<actual>[^"]+)" matches expected exception "(?P<expected>[^"]+)""#,
    )
    .expect("a constant pattern")
});
static WORD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?s)Failed asserting that (?P<actual>.+?) is (?P<expected>true|false|null)\.?\s*$")
        .expect("a constant pattern")
});

/// Both sides, where the message has them.
pub(crate) fn sides(message: &str) -> Option<Diff> {
    if let Some(diff) = by_lines(message) {
        return Some(diff);
    }
    let from = message.rfind("Failed asserting that ")?;
    let message = without_trace(&message[from..]);
    let line = message.lines().next().unwrap_or("");
    if line.contains("two ") && (line.contains("are identical") || line.contains("are equal")) {
        return None;
    }
    let found = SIZE
        .captures(message)
        .or_else(|| EXCEPTION.captures(message))
        .or_else(|| INLINE.captures(message))
        .or_else(|| WORD.captures(message))?;
    let (expected, actual) = (&found["expected"], &found["actual"]);
    if actual.ends_with(" not") || actual.ends_with("is not") {
        return None;
    }
    Some(sides::expected_actual(Some(expected), Some(actual), None))
}

/// The text without the places at its end.
pub(crate) fn without_trace(text: &str) -> &str {
    let mut end = text.trim_end().len();
    loop {
        let line = text[..end].rfind('\n').map_or(0, |at| at + 1);
        let place = &text[line..end];
        if line == 0 || !(place.trim().is_empty() || super::frames::place(place).is_some()) {
            return &text[..end];
        }
        end = text[..line].trim_end_matches(['\n', '\r']).len();
        // A diff may end with empty lines of its own; the places have one before them.
        if super::frames::place(place).is_none() {
            return &text[..end];
        }
    }
}

/// `--- Expected`, `+++ Actual`, and the lines of a diff.
fn by_lines(message: &str) -> Option<Diff> {
    let lines: Vec<&str> = message.lines().collect();
    let from = lines
        .iter()
        .position(|line| line.trim_end() == "--- Expected")?;
    lines
        .get(from + 1)
        .filter(|line| line.trim_end() == "+++ Actual")?;
    let (mut minus, mut plus, mut unified) = (Vec::new(), Vec::new(), Vec::new());
    let mut hunks = 0;
    let end = lines[from + 2..]
        .iter()
        .position(|line| line.trim().is_empty() && !line.starts_with(' '))
        .map_or(lines.len(), |at| {
            // An empty line inside of the diff is followed by more of it.
            let more = |line: &&str| line.starts_with(['-', '+', ' ', '@']);
            let rest = &lines[from + 2 + at..];
            let goes_on = rest
                .iter()
                .skip(1)
                .take_while(|line| !line.is_empty())
                .any(more);
            match goes_on {
                true => from + 2 + at + rest.iter().rposition(more).unwrap_or(0) + 1,
                false => from + 2 + at,
            }
        });
    for line in &lines[from + 2..end] {
        if line.starts_with("@@ ") {
            hunks += 1;
            unified.push(*line);
            continue;
        }
        let (sign, rest) = line.split_at(usize::from(line.starts_with(['+', '-', ' '])));
        unified.push(*line);
        match sign {
            "-" => minus.push(rest),
            "+" => plus.push(rest),
            _ => {
                minus.push(rest);
                plus.push(rest);
            }
        }
    }
    if hunks == 0 {
        return None;
    }
    let (expected, actual) = (minus.join("\n"), plus.join("\n"));
    let own = (minus.len() > 1 || plus.len() > 1)
        .then(|| text::cap(unified.join("\n").trim_end(), text::SIDE));
    Some(sides::expected_actual(Some(&expected), Some(&actual), own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(message: &str) -> Option<(String, String)> {
        let diff = sides(message)?;
        Some((diff.expected?, diff.actual?))
    }

    #[test]
    fn messages_name_both_sides() {
        for (message, expected, actual) in [
            ("Failed asserting that 2 is identical to 1.", "1", "2"),
            (
                "the sum is wrong\nFailed asserting that 2 matches expected 1.\n\n/p/a.php:3",
                "1",
                "2",
            ),
            (
                "Failed asserting that 1.5 matches expected 1.0.",
                "1.0",
                "1.5",
            ),
            ("Failed asserting that 1 is identical to '1'.", "'1'", "1"),
            (
                "Failed asserting that actual size 3 matches expected size 2.",
                "2",
                "3",
            ),
            ("Failed asserting that false is true.", "true", "false"),
            ("Failed asserting that 'x' is null.", "null", "'x'"),
            (
                "Failed asserting that two strings are identical.\n--- Expected\n+++ Actual\n@@ @@\n-'a'\n+'b'\n\n/p/a.php:3\n",
                "'a'",
                "'b'",
            ),
            (
                "x\n--- Expected\n+++ Actual\n@@ @@\n 'a\n-b\n+x\n c\n '\n\n/p/a.php:3",
                "'a\nb\nc\n'",
                "'a\nx\nc\n'",
            ),
            (
                "Failed asserting that exception of type \"A\\B\" matches expected exception \"C\". Message was: \"x\" at",
                "C",
                "A\\B",
            ),
        ] {
            let have = both(message);
            let have = have.as_ref().map(|(e, a)| (e.as_str(), a.as_str()));
            assert_eq!(have, Some((expected, actual)), "{message}");
        }
        for message in [
            "Failed asserting that 1 is not identical to 1.",
            "by decision",
            "Failed asserting that an array is empty.",
        ] {
            assert_eq!(both(message), None, "{message}");
        }
    }
}
