//! Both sides of a comparison, taken out of what Jest and Vitest print.

use crate::libtest::sides;
use crate::report::Diff;
use crate::text;

/// Sides as they are printed: (expected, actual).
type Sides = (Option<String>, Option<String>);

/// The sides that a text names: by labels, by a diff of lines, or in one sentence. Where the
/// framework left lines out of a diff, `whole` has them, if they are known.
pub(crate) fn of(text: &str, whole: Option<Sides>) -> Option<Diff> {
    let cleaned = text::clean(text);
    let lines: Vec<&str> = cleaned.lines().collect();
    // What is undefined there was no value: a snapshot that is not written yet, say.
    let whole = whole.filter(|(expected, _)| expected.as_deref() != Some("undefined"));
    if let Some(found) = labelled(&lines) {
        return Some(plain(found, None));
    }
    if let Some(found) = listed(&lines) {
        let diff = cap_lines(&found.unified);
        let sides = match whole {
            Some(whole) if found.cut => whole,
            _ => (Some(found.expected), Some(found.actual)),
        };
        let several = found.unified.lines().count() > 2;
        return Some(plain(sides, several.then_some(diff)));
    }
    if let Some(whole) = whole {
        return Some(plain(whole, None));
    }
    sentence(&cleaned).map(|found| plain(found, None))
}

fn plain((expected, actual): Sides, unified: Option<String>) -> Diff {
    sides::expected_actual(expected.as_deref(), actual.as_deref(), unified)
}

fn cap_lines(text: &str) -> String {
    text::cap(text.trim_end(), text::SIDE)
}

/// `Expected: 3` with `Received: 2`, and every longer label of them.
fn labelled(lines: &[&str]) -> Option<Sides> {
    let expected = value(lines, &["Expected", "Snapshot"]);
    let actual = value(lines, &["Received"]);
    match (&expected, &actual) {
        (None, None) => None,
        // `Received promise resolved …` alone compares nothing.
        (None, Some(_)) => None,
        _ => Some((expected, actual)),
    }
}

/// The value behind the first line with one of the labels.
fn value(lines: &[&str], labels: &[&str]) -> Option<String> {
    for (at, line) in lines.iter().enumerate() {
        // Vitest sets some of them apart like the lines of a diff.
        let bare = line.strip_prefix("- ").or(line.strip_prefix("+ "));
        let line = bare.unwrap_or(line);
        let Some(label) = labels.iter().find(|label| line.starts_with(**label)) else {
            continue;
        };
        let Some((words, value)) = line.split_once(':') else {
            continue;
        };
        let words = words[label.len()..].trim();
        if !is_label(words) {
            continue;
        }
        let below = &lines[at + 1..];
        return match value.trim().is_empty() {
            true => below_label(below),
            false => Some(with_rest(value.trim_start(), below)),
        };
    }
    None
}

/// What stands between `Expected` and its colon, where it is a value that follows.
fn is_label(words: &str) -> bool {
    const OTHER: [&str; 7] = [
        "name",
        "path",
        "precision",
        "difference",
        "request",
        "properties",
        "has type",
    ];
    let plain = words
        .bytes()
        .all(|byte| byte.is_ascii_alphabetic() || byte == b' ');
    plain && words.len() < 60 && !OTHER.contains(&words)
}

/// A value of several lines goes on until a blank line or the next label.
fn with_rest(first: &str, below: &[&str]) -> String {
    let mut value = first.to_owned();
    for line in below {
        let label = line.starts_with("Expected") || line.starts_with("Received");
        if line.trim().is_empty() || label || value.len() > text::SIDE {
            break;
        }
        value.push('\n');
        value.push_str(line);
    }
    value.trim_end().to_owned()
}

/// `Expected value to strictly be equal to:` with the value indented below.
fn below_label(below: &[&str]) -> Option<String> {
    let first = below.first()?;
    let indented = first.starts_with("  ");
    let mut value: Vec<&str> = Vec::new();
    for line in below {
        let label = line.starts_with("Expected") || line.starts_with("Received");
        if line.trim().is_empty() || label || (indented && !line.starts_with("  ")) {
            break;
        }
        value.push(line.strip_prefix("  ").filter(|_| indented).unwrap_or(line));
    }
    (!value.is_empty()).then(|| value.join("\n"))
}

/// A diff by lines.
struct Listed {
    expected: String,
    actual: String,
    unified: String,
    /// Lines were left out of it.
    cut: bool,
}

/// `- Expected`, `+ Received`, a blank line, and the lines of both.
fn listed(lines: &[&str]) -> Option<Listed> {
    let head = lines.windows(2).rposition(|two| {
        let heading = |line: &str, sign: &str, words: [&str; 2]| {
            line.strip_prefix(sign).is_some_and(|rest| {
                let mut parts = rest.split_whitespace();
                parts.next().is_some_and(|word| words.contains(&word))
                    && parts.next().is_none_or(|part| part == sign.trim())
            })
        };
        heading(two[0], "- ", ["Expected", "Snapshot"])
            && heading(two[1], "+ ", ["Received", "Actual"])
    })?;
    let mut body = &lines[head + 2..];
    while body.first().is_some_and(|line| line.trim().is_empty()) {
        body = &body[1..];
    }
    let (mut expected, mut actual) = (Vec::new(), Vec::new());
    let mut unified = String::new();
    let mut cut = false;
    for line in body {
        let rest = line.get(2..).unwrap_or("");
        let rest = if rest == "↵" { "" } else { rest };
        if line.starts_with("@@") {
            cut = true;
        } else if line.starts_with("- ") || *line == "-" {
            expected.push(rest);
        } else if line.starts_with("+ ") || *line == "+" {
            actual.push(rest);
        } else if line.starts_with("  ") && !is_other(line) {
            expected.push(rest);
            actual.push(rest);
        } else if line.trim().is_empty() && !expected.is_empty() {
            // A blank line inside of both: the end of the diff has nothing behind it.
            expected.push("");
            actual.push("");
        } else {
            break;
        }
        unified.push_str(line);
        unified.push('\n');
    }
    trim(&mut expected, &mut actual);
    (!expected.is_empty() || !actual.is_empty()).then(|| Listed {
        expected: expected.join("\n"),
        actual: actual.join("\n"),
        unified,
        cut,
    })
}

/// The line of a source or of a stack: the diff is over.
fn is_other(line: &str) -> bool {
    line.trim_start().starts_with("at ")
}

/// Blank lines at the end of both are not the values'.
fn trim(expected: &mut Vec<&str>, actual: &mut Vec<&str>) {
    while expected.last() == Some(&"") && actual.last() == Some(&"") {
        expected.pop();
        actual.pop();
    }
}

/// `expected 2 to be 3 // Object.is equality`, where it can be taken apart in one way only.
fn sentence(text: &str) -> Option<Sides> {
    let line = text.lines().next()?;
    let line = line.split(" // ").next().unwrap_or(line);
    let at = line.find("expected ")?;
    if at > 0 && !line[..at].ends_with(": ") {
        return None;
    }
    let rest = &line[at + 9..];
    if let Some(counts) = rest.strip_prefix("number of assertions to be ") {
        let (expected, actual) = counts.split_once(", but got ")?;
        return Some((Some(expected.to_owned()), Some(actual.to_owned())));
    }
    if let Some((_, counts)) = rest.split_once(" to have a length of ") {
        let (expected, actual) = counts.split_once(" but got ")?;
        return Some((Some(expected.to_owned()), Some(actual.to_owned())));
    }
    for words in [
        " to deeply equal ",
        " to strictly equal ",
        " to loosely deep equal ",
        " to equal ",
        " to be close to ",
        " to be greater than or equal to ",
        " to be less than or equal to ",
        " to be greater than ",
        " to be less than ",
        " to be an instance of ",
        " to include ",
        " to match ",
        " to be ",
    ] {
        let mut parts = rest.split(words);
        if let (Some(actual), Some(expected), None) = (parts.next(), parts.next(), parts.next()) {
            let expected = expected.split(", received ").next().unwrap_or(expected);
            let cut = actual.contains('…') || expected.contains('…');
            let value = words != " to be " || is_value(expected);
            let fits = !cut && value && !actual.is_empty() && !actual.ends_with(" not");
            return fits.then(|| (Some(expected.to_owned()), Some(actual.to_owned())));
        }
    }
    None
}

/// Whether words behind `to be` are a value, as Chai prints it, and no description.
fn is_value(words: &str) -> bool {
    let named = ["true", "false", "null", "undefined", "NaN", "Infinity"].contains(&words);
    named
        || words.starts_with(|c: char| c.is_ascii_digit() || "'\"[{-+`".contains(c))
        || ["Symbol(", "Map", "Set", "Error"]
            .iter()
            .any(|start| words.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, String) {
        let diff = of(text, None).unwrap_or_default();
        (
            diff.expected.unwrap_or_default(),
            diff.actual.unwrap_or_default(),
        )
    }

    fn pair(expected: &str, actual: &str) -> (String, String) {
        (expected.to_owned(), actual.to_owned())
    }

    #[test]
    fn labels_are_read() {
        for (text, expected, actual) in [
            (
                "expect(received).toBe(expected) // Object.is equality\n\nExpected: 3\nReceived: 2",
                "3",
                "2",
            ),
            (
                "x\n\nExpected pattern: /^bye/\nReceived string:  \"hello\"",
                "/^bye/",
                "\"hello\"",
            ),
            ("x\n\nExpected: > 10\nReceived:   3", "> 10", "3"),
            ("x\n\nExpected: not 5", "not 5", ""),
            (
                "x\n\nExpected path: \"a.b\"\n\nExpected value: 2\nReceived value: 1",
                "2",
                "1",
            ),
            (
                "x\n\nSnapshot: \"then\"\nReceived: \"now\"",
                "\"then\"",
                "\"now\"",
            ),
            (
                "assert.strictEqual(received, expected)\n\nExpected value to strictly be equal to:\n  2\nReceived:\n  1",
                "2",
                "1",
            ),
            (
                "x\n\n- Expected: \n/^bye/\n\n+ Received: \n\"hello\"",
                "/^bye/",
                "\"hello\"",
            ),
            (
                "x\n\nExpected: 0.5\nReceived: 0.3\n\nExpected precision:    2",
                "0.5",
                "0.3",
            ),
        ] {
            assert_eq!(read(text), pair(expected, actual), "{text}");
        }
    }

    #[test]
    fn a_diff_by_lines_is_read() {
        let text = "expect(received).toEqual(expected)\n\n- Expected  - 1\n+ Received  + 1\n\n  {\n    \"a\": 1,\n-   \"b\": 3,\n+   \"b\": 2,\n  }\n";
        assert_eq!(
            read(text),
            pair(
                "{\n  \"a\": 1,\n  \"b\": 3,\n}",
                "{\n  \"a\": 1,\n  \"b\": 2,\n}"
            )
        );
        assert_eq!(
            read("expected 2 to be 3\n\n- Expected\n+ Received\n\n- 3\n+ 2\n"),
            pair("3", "2")
        );
    }

    #[test]
    fn a_sentence_is_read_only_without_doubt() {
        assert_eq!(
            read("expected 2 to be 3 // Object.is equality"),
            pair("3", "2")
        );
        assert_eq!(
            read("expected 'six' to have a length of 4 but got 3"),
            pair("4", "3")
        );
        assert_eq!(read("expected 5 not to be 5"), pair("", ""));
        assert_eq!(
            read("expected [ 1, …(9) ] to deeply equal [ 2 ]"),
            pair("", "")
        );
        assert_eq!(read("expected not to be reached"), pair("", ""));
        assert_eq!(read("expected \"spy\" to be called once"), pair("", ""));
        assert_eq!(
            read("expected number of assertions to be 1, but got 0"),
            pair("1", "0")
        );
        assert_eq!(read("what was expected to be done"), pair("", ""));
    }
}
