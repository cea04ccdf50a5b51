//! One failure's block in pytest's text, in any of its styles (`--tb=auto`, `long`, `short`,
//! `native`); the same text stands in JUnit files and report logs.

use crate::compose;
use crate::libtest::sides::with_unified;
use crate::pytest::place::Place;
use crate::python;
use crate::python::sides;
use crate::python::traceback;
use crate::python::traceback::Entry;
use crate::report::Diff;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;

/// Between the exceptions of a chain.
const CHAINED: [&str; 2] = [
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
];
/// A longer stack than this is not read.
const MOST: usize = 2_000;
/// Lines below this length are looked at as a whole.
const LONGEST: usize = 4_000;

/// What a block says of an exception.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    /// Outermost first.
    pub entries: Vec<Entry>,
    /// The exception's class; `AssertionError` for a bare `assert …`.
    pub class: String,
    /// Its text, all lines of it.
    pub message: String,
    /// A place that is named besides the stack (a syntax error's, a fixture's).
    pub place: Option<Entry>,
    /// One of unittest's assertions was called.
    pub unittest: bool,
}

/// A block without what the test printed, and that: standard output, standard error with logs.
pub(crate) fn captured(block: &str) -> (&str, String, String) {
    let Some(start) = capture_at(block) else {
        return (block, String::new(), String::new());
    };
    let (mut out, mut err) = (String::new(), String::new());
    let mut to_out = false;
    for line in block[start..].lines() {
        match heading(line) {
            Some(title) => to_out = title.contains("stdout"),
            None => {
                let to = if to_out { &mut out } else { &mut err };
                to.push_str(line);
                to.push('\n');
            }
        }
    }
    (&block[..start], out, err)
}

fn capture_at(block: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = block[from..].find("-- Captured ").map(|at| from + at) {
        let start = block[..at].rfind('\n').map_or(0, |at| at + 1);
        let line = block[start..].lines().next().unwrap_or("");
        if heading(line).is_some() {
            return Some(start);
        }
        from = at + 1;
    }
    None
}

/// `---- Captured stdout call ----`.
fn heading(line: &str) -> Option<&str> {
    if !line.starts_with("--") || !line.ends_with("--") {
        return None;
    }
    let title = line.trim_matches('-').trim();
    let rest = title.strip_prefix("Captured ")?;
    let known = ["stdout", "stderr", "log", "out", "err"];
    known
        .iter()
        .any(|word| rest.starts_with(word))
        .then_some(title)
}

/// The exception that the block ends with.
pub(crate) fn read(body: &str) -> Said {
    if body.contains("Traceback (most recent call last):") && !has_marks(body) {
        let chain = traceback::read(body);
        if let Some(raised) = chain.last() {
            let unittest = body.contains("self.assert");
            return Said {
                entries: raised.entries.clone(),
                class: python::bare_class(&raised.class).to_owned(),
                message: raised.message.clone(),
                place: None,
                unittest,
            };
        }
    }
    let from = CHAINED.iter().filter_map(|words| {
        let at = body.rfind(words)?;
        // Words of a test's own do not stand alone in their line.
        let alone = at == 0 || body.as_bytes()[at - 1] == b'\n';
        alone.then_some(at + words.len())
    });
    let link = &body[from.max().unwrap_or(0)..];
    let mut said = Said::default();
    let mut marked: Vec<&str> = Vec::new();
    let mut function: Option<String> = None;
    for line in link.lines().filter(|line| line.len() <= LONGEST * 64) {
        match line.as_bytes().first() {
            Some(b'E') if line == "E" || line.starts_with("E  ") => marked.push(line),
            Some(b' ' | b'>') => {
                function = defined(line).or(function);
                said.unittest |= line.contains(".assert");
            }
            Some(_) => {
                if let Some(entry) = place_line(line)
                    && said.entries.len() < MOST
                {
                    let name = entry.function.or(function.take());
                    said.entries.push(Entry {
                        function: name,
                        ..entry
                    });
                }
            }
            None => {}
        }
    }
    explain(&mut said, &marked, body);
    said
}

fn has_marks(body: &str) -> bool {
    body.starts_with("E  ") || body.contains("\nE  ")
}

/// The exception in the lines that are marked with `E`.
fn explain(said: &mut Said, marked: &[&str], body: &str) {
    let indent = |line: &&str| line[1..].len() - line[1..].trim_start().len();
    let Some(first) = marked.first() else {
        unmarked(said, body);
        return;
    };
    let margin = indent(first);
    let lines: Vec<&str> = marked
        .iter()
        .map(|line| {
            let own = indent(line).min(margin);
            &line[1 + own..]
        })
        .collect();
    // A syntax error begins with its place, which stands further to the right than its name.
    if lines[0].starts_with("File \"") {
        said.place = traceback::entry(lines[0]);
        let name = marked
            .iter()
            .rev()
            .find(|line| indent(line) < margin || line.contains("Error"));
        let last = name.map_or("", |line| line[1..].trim());
        let (class, message) = traceback::exception(last).unwrap_or(("", last));
        python::bare_class(class).clone_into(&mut said.class);
        message.clone_into(&mut said.message);
        return;
    }
    let whole = lines.join("\n");
    let whole = whole.trim_end();
    if whole.starts_with("assert ") {
        "AssertionError".clone_into(&mut said.class);
        whole.clone_into(&mut said.message);
        return;
    }
    let first = whole.lines().next().unwrap_or("");
    match traceback::exception(first) {
        Some((class, _)) if !class.contains(' ') && class.len() < LONGEST => {
            python::bare_class(class).clone_into(&mut said.class);
            let rest = whole[class.len()..]
                .strip_prefix(':')
                .unwrap_or(&whole[class.len()..]);
            rest.strip_prefix(' ')
                .unwrap_or(rest)
                .clone_into(&mut said.message);
        }
        _ => whole.clone_into(&mut said.message),
    }
}

/// Blocks without marks: doctests, `pytrace=False`, strict expected failures, crashed workers.
fn unmarked(said: &mut Said, body: &str) {
    if let Some(last) = body.lines().rev().find(|line| !line.trim().is_empty())
        && let Some((_, class)) = last.rsplit_once(": ")
        && class.starts_with("DocTestFailure")
    {
        class.clone_into(&mut said.class);
        body.trim_end().clone_into(&mut said.message);
        return;
    }
    let lines = body.lines().filter(|line| !of_worker(line));
    let text: Vec<&str> = lines.skip_while(|line| line.trim().is_empty()).collect();
    text.join("\n").trim_end().clone_into(&mut said.message);
}

/// `[gw0] linux -- Python 3.11.7 /usr/bin/python`.
fn of_worker(line: &str) -> bool {
    line.starts_with("[gw") && line.contains(" -- Python ")
}

/// `    def test_a(x):`.
fn defined(line: &str) -> Option<String> {
    let code = line.strip_prefix('>').unwrap_or(line).trim_start();
    let code = code.strip_prefix("async ").unwrap_or(code);
    let rest = code.strip_prefix("def ")?;
    let end = rest.find('(')?;
    let name = rest[..end].trim();
    (!name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_'))
        .then(|| name.to_owned())
}

/// `tests/test_a.py:12: AssertionError`, `helpers.py:3: in check`, `/p/test_a.py:5`.
pub(crate) fn place_line(line: &str) -> Option<Entry> {
    if line.len() > LONGEST {
        return None;
    }
    let line = line.trim_end();
    let (file, number, rest) = split_place(line)?;
    let function = match rest {
        "" => None,
        rest => match rest.strip_prefix("in ") {
            Some(name) => Some(name.to_owned()),
            // The class of what was raised.
            None if rest
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.')) =>
            {
                None
            }
            None => return None,
        },
    };
    Some(Entry {
        file: file.to_owned(),
        line: Some(number),
        function,
    })
}

/// `file:line`, `file:line: rest`.
pub(crate) fn split_place(line: &str) -> Option<(&str, u32, &str)> {
    let mut from = 0;
    while let Some(at) = line[from..].find(':').map(|at| from + at) {
        let after = &line[at + 1..];
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let rest = &after[digits..];
        if digits > 0 && (rest.is_empty() || rest.starts_with(':')) {
            let file = &line[..at];
            let number: u32 = after[..digits].parse().ok().filter(|n| *n > 0)?;
            let odd = |c: char| matches!(c, '"' | '\'' | '=' | '<' | '>' | '(' | ')' | '\t' | '|');
            let named = !file.is_empty()
                && !file.starts_with(' ')
                && !file.contains(odd)
                && file.contains('.');
            let rest = rest.strip_prefix(':').unwrap_or(rest).trim_start();
            return named.then_some((file, number, rest));
        }
        from = at + 1;
    }
    None
}

/// What a block says, as a failure; the id is the block's own title.
pub(crate) fn failure(title: &str, block: &str, place: &Place) -> Failure {
    let (body, out, err) = captured(block);
    let (phase, bare) = phase(title);
    let said = read(body);
    let (kind, sure) = kind(&said, phase);
    let mut failure = compose::failure(bare, kind, phase, one_line(&said));
    failure.kind_sure = sure;
    fill(&mut failure, &said, place);
    failure.details = text::block(body, text::DETAILS);
    failure.stdout = text::block(&out, text::DETAILS);
    failure.stderr = text::block(&err, text::DETAILS);
    compose::seal(failure)
}

/// Frames, place and sides.
pub(crate) fn fill(failure: &mut Failure, said: &Said, place: &Place) {
    failure.frames = python::frames(&said.entries, |file| place.path(file), &place.context);
    // pytest's own part of a native stack is nobody's.
    failure
        .frames
        .retain(|frame| !frame.file.contains("/_pytest/") && !frame.file.contains("/pluggy/"));
    // `<string>` is no file: what called `exec` is the place then.
    let named = said
        .place
        .as_ref()
        .filter(|entry| !entry.file.starts_with('<'));
    let named = named.map(|entry| Location {
        file: place.path(&entry.file),
        line: entry.line,
        column: None,
    });
    failure.location = named.or_else(|| python::innermost(&failure.frames));
    failure.diff = compared(said);
}

/// What a title says about the phase, and the rest of it.
pub(crate) fn phase(title: &str) -> (Phase, &str) {
    for (start, phase) in [
        ("ERROR at setup of ", Phase::Setup),
        ("ERROR at teardown of ", Phase::Teardown),
        ("ERROR collecting ", Phase::Collect),
    ] {
        if let Some(rest) = title.strip_prefix(start) {
            return (phase, rest);
        }
    }
    (Phase::Call, title)
}

/// The kind that phase, class and words prove.
pub(crate) fn kind(said: &Said, phase: Phase) -> (FailureKind, bool) {
    let message = said.message.as_str();
    if message.contains("' crashed while running '") && said.class.is_empty() {
        return (FailureKind::Crash, true);
    }
    if (said.class == "Failed" || said.class.is_empty()) && message.starts_with("Timeout ") {
        return (FailureKind::Timeout, true);
    }
    match phase {
        Phase::Setup => return (FailureKind::SetupError, true),
        Phase::Teardown => return (FailureKind::TeardownError, true),
        Phase::Collect => return (FailureKind::CollectionError, true),
        _ => {}
    }
    if message.starts_with("[XPASS(strict)]") || message == "Unexpected success" {
        return (FailureKind::UnexpectedPass, true);
    }
    match said.class.as_str() {
        "Failed" | "DocTestFailure" | "MultipleDoctestFailures" => (FailureKind::Assertion, true),
        class if class.ends_with("AssertionError") => (FailureKind::Assertion, true),
        // A message without a stack is one of `pytest.fail`.
        "" => (FailureKind::Assertion, false),
        _ => (FailureKind::Panic, true),
    }
}

/// One line, as the reporter's records have it.
pub(crate) fn one_line(said: &Said) -> String {
    if said.class == "DocTestFailure" {
        return match sides::said(&said.message) {
            Some(diff) => format!(
                "doctest: expected {}, got {}",
                text::one_line(diff.expected.as_deref().unwrap_or("")),
                text::one_line(diff.actual.as_deref().unwrap_or(""))
            ),
            None => "doctest failed".to_owned(),
        };
    }
    let lines = said
        .message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let mut lines = lines;
    let first = text::one_line(lines.next().unwrap_or(""));
    let class = said.class.as_str();
    if matches!(class, "AssertionError" | "Failed" | "") {
        let asserted = lines
            .next()
            .filter(|line| line.starts_with("assert ") && !first.starts_with("assert "));
        return match (first.as_str(), asserted) {
            ("", _) => class.to_owned(),
            (first, Some(asserted)) => format!("{first}: {asserted}"),
            (first, None) => first.to_owned(),
        };
    }
    match first.as_str() {
        "" => class.to_owned(),
        first => format!("{class}: {first}"),
    }
}

/// The sides of what was asserted.
pub(crate) fn compared(said: &Said) -> Option<Diff> {
    if let Some(diff) = sides::said(&said.message) {
        return Some(diff);
    }
    if !said.class.ends_with("AssertionError") {
        return None;
    }
    let mut lines = said.message.lines();
    if let Some(asserted) = lines.find_map(|line| line.strip_prefix("assert ")) {
        let (left, right) = sides::asserted(asserted)?;
        return Some(with_unified(&text::clean(left), &text::clean(right)));
    }
    said.unittest
        .then(|| sides::of_unittest(&said.message))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_style_is_read() {
        let said = read(
            "\n    def test_a():\n>       check(-4)\n\ntests/test_a.py:7: \n_ _ _ _ _ _ _ _\n\nnumber = -4\n\n    def check(number):\n>       assert number > 0, \"words\"\nE       AssertionError: words\nE       assert -4 > 0\n\nhelpers.py:3: AssertionError\n",
        );
        assert_eq!(
            (said.class.as_str(), said.message.as_str()),
            ("AssertionError", "words\nassert -4 > 0")
        );
        let found: Vec<_> = said
            .entries
            .iter()
            .map(|e| (e.file.as_str(), e.line, e.function.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                ("tests/test_a.py", Some(7), Some("test_a")),
                ("helpers.py", Some(3), Some("check"))
            ]
        );
        let diff = compared(&said).expect("sides");
        assert_eq!(
            (diff.left.as_deref(), diff.right.as_deref()),
            (Some("-4"), Some("0"))
        );
    }

    #[test]
    fn the_short_style_and_chains_are_read() {
        let said = read(
            "tests/test_a.py:91: in test_chain\n    {}[\"missing\"]\nE   KeyError: 'missing'\n\nThe above exception was the direct cause of the following exception:\ntests/test_a.py:93: in test_chain\n    raise ValueError(\"wrapped\") from error\nE   ValueError: wrapped\n",
        );
        assert_eq!(one_line(&said), "ValueError: wrapped");
        assert_eq!(said.entries.len(), 1);
        assert_eq!(said.entries[0].line, Some(93));
        assert_eq!(kind(&said, Phase::Call), (FailureKind::Panic, true));
    }

    #[test]
    fn places_are_told_from_what_looks_like_them() {
        let file = |line: &str| place_line(line).map(|entry| entry.file);
        assert_eq!(
            file("a b/test_a.py:3: in test"),
            Some("a b/test_a.py".to_owned())
        );
        assert_eq!(file("/p/test_a.py:5"), Some("/p/test_a.py".to_owned()));
        for line in [
            "value = 'a.py:3: in x'",
            "at 12:30: it ended",
            "see a.py:3: because it",
            "x:3: y",
        ] {
            assert_eq!(file(line), None, "{line}");
        }
    }

    #[test]
    fn syntax_errors_have_a_place_of_their_own() {
        let said = read(
            "E     File \"/p/t.py\", line 6\nE       x = = 1\nE           ^\nE   SyntaxError: invalid syntax\n",
        );
        assert_eq!(one_line(&said), "SyntaxError: invalid syntax");
        assert_eq!(said.place.and_then(|place| place.line), Some(6));
    }

    #[test]
    fn what_the_test_printed_is_told_apart() {
        let (body, out, err) = captured(
            "E   assert 0\n\na.py:1: AssertionError\n------ Captured stdout call ------\nhello\n------ Captured stderr call ------\nwoe\n------ Captured log call ------\nWARNING x\n",
        );
        assert!(body.ends_with("AssertionError\n"));
        assert_eq!(
            (out.as_str(), err.as_str()),
            ("hello\n", "woe\nWARNING x\n")
        );
    }
}
