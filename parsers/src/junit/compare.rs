//! Expected and actual, out of the messages of many assertion libraries.

use crate::libtest::sides;
use crate::phpunit;
use crate::report::Diff;
use crate::text;
use regex::Regex;
use std::sync::LazyLock;

/// `expected: 1` and `actual: 2` on lines of their own, by many names, in either order.
static LINES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?mi)^[ \t]*(?P<a>expected|wanted|actual|received|got|but was|value)(?: value)?[ \t]*(?::|==>)[ \t]*(?P<x>.*)\n[ \t]*(?P<b>expected|wanted|actual|received|got|but was|but)(?: value)?[ \t]*:[ \t]*(?P<y>.*)$",
    )
    .expect("a constant pattern")
});
/// AssertJ before 3.17.
static EXPECTING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?s)Expecting(?: actual)?:\s*?\n\s*(.*?)\s*\n\s*to be equal to:\s*?\n\s*(.*?)\s*\n\s*but was not")
        .expect("a constant pattern")
});
/// Kotlin's own: `Expected <1>, actual <2>.`
static KOTLIN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?s)Expected <(.*)>, actual <(.*)>(?: is not same)?\.")
        .expect("a constant pattern")
});
/// TestNG: `expected [1] but found [2]`.
static TESTNG: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?s)expected \[(.*)\] but found \[(.*)\]").expect("a constant pattern")
});
/// Node's: `1 !== 2`.
static NODE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?s)Expected values to be (?:strictly |loosely )?(?:deep-)?equal:\s*\n+(.*?) !==? (.*?)\s*(?:\n|$)")
        .expect("a constant pattern")
});

/// So much of a message is looked through for two values.
const MOST: usize = 4 * 1024 * 1024;
/// So much of it for lines of any kind.
const MOST_LINES: usize = 64 * 1024;

/// Both sides, where the message says which is which.
pub(crate) fn sides(message: &str) -> Option<Diff> {
    let message = text::clean(message);
    let whole = text::cap(&message, MOST);
    if let Some((expected, actual)) = but_was(&whole) {
        return Some(made(expected, actual));
    }
    let message = text::cap(&message, MOST_LINES);
    let found = assertj(&message)
        .or_else(|| lines(&message))
        .or_else(|| captured(&KOTLIN, &message, false))
        .or_else(|| captured(&TESTNG, &message, false))
        .or_else(|| captured(&EXPECTING, &message, true))
        .or_else(|| captured(&NODE, &message, true));
    if let Some((expected, actual)) = found {
        return Some(made(&expected, &actual));
    }
    phpunit::sides(&message).or_else(|| by_lines(&message))
}

fn made(expected: &str, actual: &str) -> Diff {
    sides::expected_actual(Some(expected), Some(actual), None)
}

fn captured(pattern: &Regex, message: &str, turned: bool) -> Option<(String, String)> {
    let found = pattern.captures(message)?;
    let (one, two) = (found.get(1)?.as_str(), found.get(2)?.as_str());
    let (expected, actual) = if turned { (two, one) } else { (one, two) };
    Some((expected.to_owned(), actual.to_owned()))
}

/// `expected: <1> but was: <2>` of JUnit 5, `expected:<1> but was:<2>` of JUnit 4. What the test
/// itself has to say stands before an arrow, and may hold the same; the values may hold what
/// stands between them: the first place counts at which both sides are whole.
fn but_was(message: &str) -> Option<(&str, &str)> {
    const START: &str = "expected:";
    const ARROW: &str = " ==> expected:";
    const MOST_PLACES: usize = 20;
    let arrows = message.match_indices(ARROW);
    let behind = arrows.map(|(at, _)| at + ARROW.len());
    let first = message.find(START)? + START.len();
    let mut best = None;
    for from in [first].into_iter().chain(behind).take(MOST_PLACES) {
        match compared(&message[from..]) {
            Some((sides, true)) => return Some(sides),
            Some((sides, false)) => best = Some(sides),
            None => {}
        }
    }
    best
}

/// The values behind `expected:`, and whether both are whole.
fn compared(body: &str) -> Option<((&str, &str), bool)> {
    const BETWEEN: [&str; 2] = [" but was: ", " but was:"];
    const MOST_PLACES: usize = 50;
    let body = body.trim_start_matches(' ');
    // What follows the last value is no value.
    let end = body.rfind('>')?;
    let body = &body[..=end];
    if body.starts_with("not ") {
        return None;
    }
    let mut best = None;
    for between in BETWEEN {
        for (at, _) in body.match_indices(between).take(MOST_PLACES) {
            let (one, two) = (&body[..at], &body[at + between.len()..]);
            let (Some(expected), Some(actual)) = (bracketed(one), bracketed(two)) else {
                continue;
            };
            if balanced(expected) && balanced(actual) {
                return Some(((expected, actual), true));
            }
            best = best.or(Some((expected, actual)));
        }
    }
    best.map(|sides| (sides, false))
}

/// The value in `<…>`; a class's name before it stays.
fn bracketed(value: &str) -> Option<&str> {
    if let Some(inner) = value.strip_prefix('<') {
        return inner.strip_suffix('>');
    }
    let (class, _) = value.split_once('<')?;
    let named = class
        .chars()
        .all(|c| c.is_alphanumeric() || "._$@[];".contains(c));
    (named && value.ends_with('>')).then_some(value)
}

fn balanced(value: &str) -> bool {
    let mut open = 0i32;
    for c in value.chars() {
        match c {
            '<' => open += 1,
            '>' => open -= 1,
            _ => {}
        }
        if open < 0 {
            return false;
        }
    }
    open == 0
}

/// AssertJ's `expected: "a"` over ` but was: "b"`, and Hamcrest's `Expected: is <5>` over
/// `     but: was <4>`; each may have several lines.
fn assertj(message: &str) -> Option<(String, String)> {
    let starts = |line: &str, word: &str| {
        let rest = line.trim_start();
        let rest = rest
            .get(..word.len())
            .filter(|head| head.eq_ignore_ascii_case(word));
        rest.is_some()
    };
    let lines: Vec<&str> = message.split('\n').collect();
    let from = lines.iter().position(|line| starts(line, "expected:"))?;
    let words = ["but was:", "but:", "got:", "actual:", "received:"];
    let to = (from + 1..lines.len().min(from + 2_000))
        .find(|at| words.iter().any(|word| starts(lines[*at], word)))?;
    let word = words.iter().find(|word| starts(lines[to], word))?;
    let first = |line: &str| {
        line.split_once(':')
            .map_or("", |(_, rest)| rest)
            .trim_start()
            .to_owned()
    };
    let mut expected = first(lines[from]);
    for line in &lines[from + 1..to] {
        expected.push('\n');
        expected.push_str(line);
    }
    let mut actual = first(lines[to]);
    for line in &lines[to + 1..] {
        let over = line.trim().is_empty() || line.trim_start().starts_with("at ");
        if over || line.starts_with("when ") || line.starts_with("(compared using") {
            break;
        }
        actual.push('\n');
        actual.push_str(line);
    }
    let actual = match *word {
        "but:" => actual.strip_prefix("was ").unwrap_or(&actual).to_owned(),
        _ => actual,
    };
    let quoted = |side: &str| {
        let inner = side.trim_end().strip_prefix('`')?.strip_suffix('`')?;
        (!inner.contains('`')).then(|| inner.to_owned())
    };
    if let (Some(expected), Some(actual)) = (quoted(&expected), quoted(&actual)) {
        return Some((expected, actual));
    }
    Some((expected.trim_end().to_owned(), actual.trim_end().to_owned()))
}

fn lines(message: &str) -> Option<(String, String)> {
    for found in LINES.captures_iter(message) {
        let (one, two) = (found.name("x")?.as_str(), found.name("y")?.as_str());
        let expects = |name: &str| {
            let word = found.name(name).map_or("", |word| word.as_str());
            ["expected", "wanted"]
                .iter()
                .any(|known| word.eq_ignore_ascii_case(known))
        };
        let bare = |value: &str| {
            let value = value.trim().trim_end_matches(',');
            let quoted = value
                .strip_prefix('`')
                .and_then(|rest| rest.strip_suffix('`'));
            quoted.unwrap_or(value).to_owned()
        };
        match (expects("a"), expects("b")) {
            (true, false) => return Some((bare(one), bare(two))),
            (false, true) => return Some((bare(two), bare(one))),
            _ => {}
        }
    }
    None
}

/// A diff by lines that says which sign is which: Jest's `- Expected` and `+ Received`, Mocha's
/// `+ expected - actual`.
fn by_lines(message: &str) -> Option<Diff> {
    let lines: Vec<&str> = message.lines().map(str::trim_end).collect();
    let jest = lines
        .iter()
        .position(|line| line.trim_start().starts_with("- Expected") && !line.contains("actual"));
    let mocha = lines
        .iter()
        .position(|line| line.trim() == "+ expected - actual");
    let (from, minus_expected) = match (jest, mocha) {
        (Some(at), _) => (at + 1, true),
        (None, Some(at)) => (at + 1, false),
        (None, None) => return None,
    };
    let indent = lines[from - 1].len() - lines[from - 1].trim_start().len();
    let (mut minus, mut plus, mut unified) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines.iter().skip(from) {
        // Mocha's stack stands behind its indented diff.
        if line.len() - line.trim_start().len() < indent && !line.trim().is_empty() {
            break;
        }
        let line = line.get(indent.min(line.len())..).unwrap_or(line);
        if line.starts_with("+ Received") || (line.is_empty() && minus.is_empty()) {
            continue;
        }
        if line.trim_start().starts_with(['❯', '›']) || line.trim_start().starts_with("at ") {
            break;
        }
        let (sign, rest) = line.split_at(usize::from(line.starts_with(['+', '-', ' '])));
        unified.push(line);
        match sign {
            "-" => minus.push(rest),
            "+" => plus.push(rest),
            _ => {
                minus.push(rest);
                plus.push(rest);
            }
        }
    }
    let text = |side: &[&str]| side.join("\n").trim().to_owned();
    let (minus, plus) = (text(&minus), text(&plus));
    if minus.is_empty() && plus.is_empty() {
        return None;
    }
    let own = Some(text::cap(unified.join("\n").trim_end(), text::SIDE));
    Some(match minus_expected {
        true => sides::expected_actual(Some(&minus), Some(&plus), own),
        false => sides::expected_actual(Some(&plus), Some(&minus), own),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(message: &str) -> Option<(String, String)> {
        let diff = sides(message)?;
        Some((diff.expected?, diff.actual?))
    }

    #[test]
    fn large_values_are_compared() {
        let (one, two) = ("x".repeat(300_000), "y".repeat(300_000));
        let diff = sides(&format!("expected: <{one}> but was: <{two}>")).expect("sides");
        let (expected, actual) = (diff.expected.expect("a"), diff.actual.expect("b"));
        assert!(expected.starts_with("xxx") && expected.ends_with("xxx"));
        assert!(actual.starts_with("yyy") && actual.ends_with("yyy"));
    }

    #[test]
    fn each_library_s_words_are_known() {
        for (message, expected, actual) in [
            ("expected: <1> but was: <2>", "1", "2"),
            ("why ==> expected: <a b> but was: <>", "a b", ""),
            (
                "lazy: expected: <z> but was: <q> ==> expected: <a> but was: <b>",
                "a",
                "b",
            ),
            (
                "expected:<hello [world]> but was:<hello [there]>",
                "hello [world]",
                "hello [there]",
            ),
            (
                "expected: <<a> but was: <b>> but was: <<c>>",
                "<a> but was: <b>",
                "<c>",
            ),
            ("expected: <a\nb> but was: <a\nc>", "a\nb", "a\nc"),
            (
                "lazy: expected: <z> but was: <q> ==> expected: <a> but was: <b>",
                "a",
                "b",
            ),
            (
                "expected: <a> but was: <m: expected: <1> but was: <2>>",
                "a",
                "m: expected: <1> but was: <2>",
            ),
            (
                "expected: <plain> but was: <x ==> y\n=> E: expected: <1> but was: <2>",
                "plain",
                "x ==> y\n=> E: expected: <1> but was: <2",
            ),
            ("expected: <a<b> but was: <c>", "a<b", "c"),
            (
                "expected: java.lang.Long@524a6a3a<1> but was: java.lang.Integer@1<1>",
                "java.lang.Long@524a6a3a<1>",
                "java.lang.Integer@1<1>",
            ),
            (
                "array contents differ at index [1], expected: <2> but was: <5>",
                "2",
                "5",
            ),
            (
                "the sum\nExpected: is <5>\n     but: was <4>",
                "is <5>",
                "<4>",
            ),
            (
                "\nexpected: \"a\n  b\"\n but was: \"a\n  c\"",
                "\"a\n  b\"",
                "\"a\n  c\"",
            ),
            (
                "Expecting:\n <2>\nto be equal to:\n <1>\nbut was not.",
                "<1>",
                "<2>",
            ),
            ("Expected <1>, actual <2>.", "1", "2"),
            ("expected [1] but found [2]", "1", "2"),
            (
                "expected: 1\n     got: 2\n\n(compared using ==)\n",
                "1",
                "2",
            ),
            ("Expected: 1\n  Actual: 2", "1", "2"),
            (
                "Value of: x\n  Actual: false\nExpected: true",
                "true",
                "false",
            ),
            (
                "expected line #2 doesn't match actual line #2\n\texpected: `b`\n\t  actual: `c`",
                "b",
                "c",
            ),
            (
                "Error: expect(received).toBe(expected)\n\nExpected: 3\nReceived: 4\n    at x (a.js:1:2)",
                "3",
                "4",
            ),
            (
                "AssertionError: x\n\n      + expected - actual\n\n      -2\n      +1\n",
                "1",
                "2",
            ),
            (
                "Expected values to be strictly equal:\n\n1 !== 2\n",
                "2",
                "1",
            ),
            ("Expected: 1\n  But was:  2\n", "1", "2"),
        ] {
            let have = both(message);
            let have = have.as_ref().map(|(e, a)| (e.as_str(), a.as_str()));
            assert_eq!(have, Some((expected, actual)), "{message}");
        }
        for message in [
            "expected: not <null>",
            "expected: not equal but was: <2>",
            "it was expected",
            "",
        ] {
            assert_eq!(both(message), None, "{message}");
        }
    }
}
