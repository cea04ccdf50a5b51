//! The two sides of a comparison in the text of an assertion.

use crate::libtest::sides;
use crate::report::Diff;
use crate::text;

/// Between the sides, as unittest prints it; a longer one stands before what it begins with.
const OPERATORS: [&str; 9] = [
    " != ",
    " == ",
    " not less than or equal to ",
    " not less than ",
    " not greater than or equal to ",
    " not greater than ",
    " not found in ",
    " unexpectedly found in ",
    " is not ",
];
/// A longer message is not looked through.
const LONGEST: usize = 256 * 1024;

/// unittest's `Lists differ: [1] != [2]`, `1 != 2 : words`; doctest's and mock's own words.
/// Nothing where it is ambiguous.
pub(crate) fn of_unittest(message: &str) -> Option<Diff> {
    let message = &message[..text::floor(message, LONGEST)];
    if let Some(diff) = said(message) {
        return Some(diff);
    }
    let compared = strip_title(message);
    let (left, right) = split(compared)?;
    Some(both(left, right))
}

/// The sides of what pytest says was asserted: `1 == 2`, `'x' in ['y']`. The operator that
/// stands outside of brackets and quotes has to be the only one.
pub(crate) fn asserted(text: &str) -> Option<(&str, &str)> {
    const WORDS: [&str; 10] = [
        " == ", " != ", " <= ", " >= ", " < ", " > ", " not in ", " in ", " is not ", " is ",
    ];
    let text = &text[..text::floor(text, LONGEST)];
    let line = text.lines().next()?;
    if line.starts_with("not ") {
        return None;
    }
    let find = |from: usize| {
        outside(line, from, |rest| {
            WORDS.iter().find(|word| rest.starts_with(**word))
        })
    };
    let (at, word) = find(0)?;
    let right = at + word.len();
    // `and`, `or`, a comparison of comparisons: no two sides.
    let joined = outside(line, 0, |rest| {
        (rest.starts_with(" and ") || rest.starts_with(" or ")).then_some(())
    });
    let again = find(right.saturating_sub(1));
    let (left, right) = (&line[..at], &line[right..]);
    let clear = joined.is_none() && again.is_none() && !left.is_empty() && !right.is_empty();
    clear.then_some((left, right))
}

/// Both sides, cleaned and capped.
pub(crate) fn both(left: &str, right: &str) -> Diff {
    sides::with_unified(&text::clean(left), &text::clean(right))
}

/// Where the framework says which side is expected: mock's `Expected: f(1)` and
/// `Actual: f(2)`, doctest's `Expected:` and `Got:`.
pub(crate) fn said(message: &str) -> Option<Diff> {
    let (expected, actual) = doctest(message).or_else(|| mocked(message))?;
    let (expected, actual) = (text::clean(&expected), text::clean(&actual));
    Some(sides::expected_actual(Some(&expected), Some(&actual), None))
}

fn mocked(message: &str) -> Option<(String, String)> {
    let first = message.lines().next()?;
    if !first.contains("call not found") && !first.contains("alls not found") {
        return None;
    }
    let value = |start: &str| {
        let line = message
            .lines()
            .find(|line| line.trim_start().starts_with(start))?;
        Some(line.trim_start()[start.len()..].trim().to_owned())
    };
    Some((value("Expected: ")?, value("Actual: ")?))
}

/// `Expected:`, `Got:` and the lines below each, which are indented by four more than they are.
fn doctest(message: &str) -> Option<(String, String)> {
    let lines: Vec<&str> = message.lines().collect();
    let expected = lines.iter().position(|line| *line == "Expected:")?;
    let got = expected + lines[expected..].iter().position(|line| *line == "Got:")?;
    let indented = |from: usize| {
        let taken = lines[from..]
            .iter()
            .take_while(|line| line.is_empty() || line.starts_with("    "));
        let taken: Vec<&str> = taken.map(|line| line.get(4..).unwrap_or("")).collect();
        taken.join("\n").trim_end().to_owned()
    };
    Some((indented(expected + 1), indented(got + 1)))
}

/// `Lists differ: [1] != [2]` and its like, without the words before.
fn strip_title(message: &str) -> &str {
    for title in [" differ: ", "didn't match: "] {
        if let Some(at) = message.find(title)
            && message[..at]
                .bytes()
                .all(|b| b.is_ascii_alphabetic() || b == b' ')
        {
            return &message[at + title.len()..];
        }
    }
    message
}

/// The sides of `left OP right : words`; the operator is the first one that stands outside of
/// brackets and quotes.
fn split(text: &str) -> Option<(&str, &str)> {
    let found = outside(text, 0, |rest| {
        OPERATORS
            .iter()
            .find(|operator| rest.starts_with(**operator))
    });
    let sound = found.is_some();
    let (at, operator) = found.or_else(|| only_one(text))?;
    let left = &text[..at];
    let rest = &text[at + operator.len()..];
    // The test's own words, or the end of the line that brackets do not hold open.
    let end = outside(rest, 0, |rest| {
        (rest.starts_with(" : ") || rest.starts_with('\n')).then_some(())
    });
    let first_line = rest.find('\n').unwrap_or(rest.len());
    let end = match end {
        Some((at, ())) => at,
        None if sound => rest.len(),
        None => first_line,
    };
    let mut right = rest[..end].trim_end();
    if operator.contains('=')
        && let Some((side, tolerance)) = right.split_once(" within ")
        && (tolerance.contains(" places") || tolerance.contains(" delta"))
    {
        right = side;
    }
    let judged = *operator == " is not " && matches!(right, "true" | "false");
    (!judged && !left.is_empty() && !right.is_empty()).then_some((left, right))
}

/// Where long values are cut, their quotes may not be closed: then an operator that stands
/// there once will do.
fn only_one(text: &str) -> Option<(usize, &&'static str)> {
    let line = text.lines().next()?;
    let operator = OPERATORS
        .iter()
        .find(|operator| line.contains(**operator))?;
    let mut places = line.match_indices(*operator);
    let (at, _) = places.next()?;
    places.next().is_none().then_some((at, operator))
}

/// The first place from `from` on where `wanted` finds something outside of brackets and
/// quotes. Quotes that are never closed are none.
fn outside<T>(text: &str, from: usize, wanted: impl Fn(&str) -> Option<T>) -> Option<(usize, T)> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (from, 0usize);
    while at < bytes.len() {
        let byte = bytes[at];
        if depth == 0
            && matches!(byte, b' ' | b'\n')
            && let Some(found) = wanted(&text[at..])
        {
            return Some((at, found));
        }
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'\'' | b'"' if !at.checked_sub(1).is_some_and(|b| in_word(bytes[b])) => {
                at = closing(bytes, at).unwrap_or(at);
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// A quote behind a letter is an apostrophe, except where the letter marks a kind of string.
fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() && !matches!(byte, b'b' | b'r' | b'u' | b'f')
}

fn closing(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            // No string that python shows has a line end in it.
            b'\n' => return None,
            byte if byte == bytes[open] => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sides(message: &str) -> Option<(String, String)> {
        let diff = of_unittest(message)?;
        Some((diff.left?, diff.right?))
    }

    #[test]
    fn both_sides_are_found() {
        for (message, left, right) in [
            ("1 != 2", "1", "2"),
            ("1 != 2 : words : more", "1", "2"),
            ("'a != b' != 'c : d' : words", "'a != b'", "'c : d'"),
            (
                "Lists differ: [1, 2] != [1, 3]\n\nFirst differing element 1:\n2\n3",
                "[1, 2]",
                "[1, 3]",
            ),
            ("'a\\nb' != 'a\\nc'\n  a\n- b\n+ c\n", "'a\\nb'", "'a\\nc'"),
            ("1.0 != 1.5 within 3 places (0.5 difference)", "1.0", "1.5"),
            ("9 not less than 3", "9", "3"),
            ("'x' not found in ['y', 'z']", "'x'", "['y', 'z']"),
            ("[] is not None", "[]", "None"),
            (
                "P(\n  x=1,\n  y=2) != P(\n  x=1,\n  y=3)",
                "P(\n  x=1,\n  y=2)",
                "P(\n  x=1,\n  y=3)",
            ),
            ("'it\\'s' != \"it's\"", "'it\\'s'", "\"it's\""),
            ("<Thing it's> != <Thing>", "<Thing it's>", "<Thing>"),
            ("b'x' != b'y'", "b'x'", "b'y'"),
            ("Regex didn't match: 'n' not found in 'h'", "'n'", "'h'"),
            (
                "[0, 1,[1868 chars]9] != [1, 2,[1868 chars]400]",
                "[0, 1,[1868 chars]9]",
                "[1, 2,[1868 chars]400]",
            ),
        ] {
            assert_eq!(
                sides(message),
                Some((left.into(), right.into())),
                "{message}"
            );
        }
    }

    #[test]
    fn what_was_asserted_has_sides() {
        for (text, left, right) in [
            ("1 == 2", "1", "2"),
            ("(1 + 1) == 3", "(1 + 1)", "3"),
            ("'a == b' == \"it's\"", "'a == b'", "\"it's\""),
            ("'x' not in ['y', 'z']", "'x'", "['y', 'z']"),
            ("None is not None", "None", "None"),
            (
                "Point(x=1, y=2) == Point(x=1, y=3)",
                "Point(x=1, y=2)",
                "Point(x=1, y=3)",
            ),
            ("<Thing at 0x7f> is None", "<Thing at 0x7f>", "None"),
            ("4 == 5\n +  where 4 = len('four')", "4", "5"),
        ] {
            assert_eq!(asserted(text), Some((left, right)), "{text}");
        }
        for text in [
            "False",
            "not [1]",
            "(1 == 1 and 2 == 3)",
            "1 == 1 and 2 == 3",
            "all(x in y)",
        ] {
            assert_eq!(asserted(text), None, "{text}");
        }
    }

    #[test]
    fn what_compares_nothing_has_no_sides() {
        for message in [
            "False is not true",
            "on purpose",
            "",
            "ValueError not raised",
            "unexpectedly None",
        ] {
            assert_eq!(sides(message), None, "{message}");
        }
    }

    #[test]
    fn who_says_which_is_expected_is_believed() {
        let diff =
            of_unittest("expected call not found.\nExpected: f(1)\n  Actual: f(2)").expect("sides");
        assert_eq!(
            (diff.expected.as_deref(), diff.actual.as_deref()),
            (Some("f(1)"), Some("f(2)"))
        );
        let diff = of_unittest("Failed doctest test for m.f\n\nFile \"m.py\", line 3, in m.f\nFailed example:\n    f(3)\nExpected:\n    7\nGot:\n    6\n\n").expect("sides");
        assert_eq!(
            (diff.expected.as_deref(), diff.actual.as_deref()),
            (Some("7"), Some("6"))
        );
    }
}
