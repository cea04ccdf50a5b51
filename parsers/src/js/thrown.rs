//! What was thrown, taken out of text: name, code, message, stack, both sides.

use crate::context::Context;
use crate::js::stack;
use crate::libtest::sides;
use crate::report::Diff;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Frame;
use crate::report::Location;
use crate::text;

/// A longer stack than this is cut.
const MOST_FRAMES: usize = 40;

/// An error as its text tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Thrown {
    /// The class's name; empty where there is none.
    pub name: String,
    /// The code in brackets behind the name (`ERR_ASSERTION`).
    pub code: Option<String>,
    /// The whole message.
    pub message: String,
    /// The lines of the stack alone.
    pub stack: String,
}

impl Thrown {
    /// Reads `Name [CODE]: message` with the lines that follow, down to the first frame. What
    /// stands before the name (a syntax error's place) stays in the message.
    pub fn read(text: &str) -> Thrown {
        let mut at = text.len();
        let mut from = 0;
        for line in text.split_inclusive('\n') {
            if stack::place(line.trim_end()).is_some() {
                at = from;
                break;
            }
            from += line.len();
        }
        let (head, stack) = text.split_at(at);
        let mut thrown = Thrown::head(head.trim_end());
        thrown.stack = stack.to_owned();
        thrown
    }

    /// The same for a text that has no stack.
    pub fn head(text: &str) -> Thrown {
        let text = text.trim_start_matches(['\n', '\r']);
        match named(text) {
            Some((name, code, message)) => Thrown {
                name: name.to_owned(),
                code: code.map(str::to_owned),
                message: message.to_owned(),
                stack: String::new(),
            },
            None => Thrown {
                message: text.to_owned(),
                ..Thrown::default()
            },
        }
    }

    /// Whether it is the failure of an assertion, by its name or code.
    pub fn is_assertion(&self) -> bool {
        is_assertion(&self.name, self.code.as_deref())
    }

    /// One line that says what is wrong.
    pub fn line(&self) -> String {
        let first = first_line(&self.message);
        let plain = matches!(self.name.as_str(), "" | "Error" | "AssertionError");
        match (plain, first.is_empty()) {
            (true, false) => first,
            (_, true) => self.name.clone(),
            (false, false) => format!("{}: {first}", self.name),
        }
    }
}

/// Whether an error is the failure of an assertion.
pub(crate) fn is_assertion(name: &str, code: Option<&str>) -> bool {
    name.contains("Assertion") || name == "UnexpectedError" || code == Some("ERR_ASSERTION")
}

/// `Name [CODE]: message`; a message may be missing.
fn named(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.');
    let end = text.find(|c: char| !word(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let error = name.starts_with(|c: char| c.is_ascii_uppercase())
        && (name.ends_with("Error") || name.ends_with("Exception") || name.ends_with("Failure"));
    if !error {
        return None;
    }
    let (code, rest) = match rest.strip_prefix(" [") {
        Some(inner) => {
            let (code, rest) = inner.split_once(']')?;
            (Some(code), rest)
        }
        None => (None, rest),
    };
    match rest.strip_prefix(':') {
        Some(message) => Some((name, code, message.strip_prefix(' ').unwrap_or(message))),
        None if rest.is_empty() || rest.starts_with('\n') => Some((name, code, rest)),
        None => None,
    }
}

/// The message's first line, with the next one that says something where the first only
/// announces it: `Expected values to be strictly equal:`.
pub(crate) fn first_line(message: &str) -> String {
    let cleaned = text::clean(message);
    let mut lines = cleaned
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("");
    let announced = first.ends_with(':').then(|| lines.next()).flatten();
    let announced = announced.filter(|line| {
        line.len() > 2 && !line.starts_with("+ actual") && !line.starts_with("+ expected")
    });
    match announced {
        Some(next) => text::cut(&format!("{first} {next}"), text::MESSAGE),
        None => text::cut(first, text::MESSAGE),
    }
}

/// The sides that a message itself names, where it does so without doubt: (expected, actual).
pub(crate) fn compared(message: &str) -> Option<(String, String)> {
    let cleaned = text::clean(message);
    if let Some(sides) = by_lines(&cleaned) {
        return Some(sides);
    }
    let lines: Vec<&str> = cleaned
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let alone = |line: &str, between: &str| {
        let mut parts = line.split(between);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(one), Some(two), None) if !one.is_empty() && !two.is_empty() => {
                Some((one.to_owned(), two.to_owned()))
            }
            _ => None,
        }
    };
    let first = lines.first()?;
    if let Some(at) = first.find("expected ")
        && lines.len() == 1
        && (at == 0 || first[..at].ends_with(": "))
    {
        let rest = &first[at + 9..];
        for words in [
            " to deeply equal ",
            " to loosely deep equal ",
            " to equal ",
            " to strictly equal ",
        ] {
            if let Some((actual, expected)) = alone(rest, words) {
                return Some((expected, actual));
            }
        }
        return None;
    }
    let announced = first.starts_with("Expected values to be ") && first.ends_with("equal:");
    if announced && lines.len() == 2 {
        for words in [" !== ", " != "] {
            if let Some((actual, expected)) = alone(lines[1], words) {
                return Some((expected, actual));
            }
        }
    }
    if lines.len() == 1 {
        for words in [" == ", " === "] {
            if let Some((actual, expected)) = alone(first, words) {
                return Some((expected, actual));
            }
        }
    }
    None
}

/// Both sides of the diff that node puts into the message, if it left out nothing of them.
fn by_lines(message: &str) -> Option<(String, String)> {
    let (first, rest) = message.split_once('\n')?;
    if !first.starts_with("Expected values to be ") || !first.ends_with("equal:") {
        return None;
    }
    let rest = rest.strip_prefix("+ actual - expected\n\n")?;
    let (mut expected, mut actual) = (Vec::new(), Vec::new());
    for line in rest.trim_end().lines() {
        match (line.split_at_checked(2)?, line.trim()) {
            (("+ ", side), _) => actual.push(side),
            (("- ", side), _) => expected.push(side),
            // It points to where the two lines above begin to differ.
            ((..), "^") => {}
            (("  ", side), _) => {
                actual.push(side);
                expected.push(side);
            }
            _ => return None,
        }
    }
    let both = !expected.is_empty() && !actual.is_empty();
    both.then(|| (expected.join("\n"), actual.join("\n")))
}

/// Gives a failure its frames and the place of the innermost one of the user's.
pub(crate) fn place(failure: &mut Failure, stack_text: &str, context: &Context) {
    let places = stack::places(stack_text);
    for place in places.iter().take(MOST_FRAMES) {
        let file = relative(context, &place.file);
        let user = stack::is_user(context, &file);
        if user && failure.location.is_none() && context.tree.may_hold(&file, place.line) {
            failure.location = Some(Location {
                file: file.clone(),
                line: place.line,
                column: place.column,
            });
        }
        failure.frames.push(Frame {
            user,
            file,
            line: place.line,
            function: place.function.as_deref().map(|name| text::cut(name, 300)),
        });
    }
}

/// A frame's file, relative to the project's root.
pub(crate) fn relative(context: &Context, file: &str) -> String {
    if file.starts_with("node:") || file.starts_with("internal/") {
        return file.to_owned();
    }
    context.relative(file)
}

/// Both sides of a failure, as they are shown.
pub(crate) fn diff(expected: Option<&str>, actual: Option<&str>) -> Option<Diff> {
    if expected.is_none() && actual.is_none() {
        return None;
    }
    let clean = |side: &str| text::clean(side);
    let (expected, actual) = (expected.map(clean), actual.map(clean));
    Some(sides::expected_actual(
        expected.as_deref(),
        actual.as_deref(),
        None,
    ))
}

/// What kind of failure something thrown in a test's body is.
pub(crate) fn kind(thrown: &Thrown) -> FailureKind {
    match thrown.is_assertion() {
        true => FailureKind::Assertion,
        false => FailureKind::Panic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_code_message_and_stack_are_told_apart() {
        let thrown = Thrown::read(
            "AssertionError [ERR_ASSERTION]: Expected values to be strictly equal:\n\n1 !== 2\n\n    at f (/p/x.js:1:2)\n    at g (/p/x.js:3:4)",
        );
        assert_eq!(thrown.name, "AssertionError");
        assert_eq!(thrown.code.as_deref(), Some("ERR_ASSERTION"));
        assert_eq!(
            thrown.line(),
            "Expected values to be strictly equal: 1 !== 2"
        );
        assert_eq!(stack::places(&thrown.stack).len(), 2);
        assert!(thrown.is_assertion());
        let plain = Thrown::read("no error at all: x");
        assert_eq!(
            (plain.name.as_str(), plain.line().as_str()),
            ("", "no error at all: x")
        );
        assert_eq!(
            Thrown::read("TypeError: x is not a function").line(),
            "TypeError: x is not a function"
        );
        assert_eq!(
            Thrown::read("RangeError\n    at f (/p/x.js:1:2)").line(),
            "RangeError"
        );
    }

    #[test]
    fn sides_are_taken_from_a_message_only_without_doubt() {
        let sides = |message: &str| compared(message);
        let pair = |expected: &str, actual: &str| Some((expected.to_owned(), actual.to_owned()));
        assert_eq!(sides("expected 2 to equal 3"), pair("3", "2"));
        assert_eq!(
            sides("words: expected [ 1 ] to deeply equal [ 2 ]"),
            pair("[ 2 ]", "[ 1 ]")
        );
        assert_eq!(sides("expected 'a to equal b' to equal 'c'"), None);
        assert_eq!(
            sides("Expected values to be strictly equal:\n\n'1' !== 1\n"),
            pair("1", "'1'")
        );
        assert_eq!(sides("1 == 2"), pair("2", "1"));
        assert_eq!(sides("the user expected more"), None);
        let diff = "Expected values to be strictly equal:\n+ actual - expected\n\n";
        assert_eq!(
            sides(&format!("{diff}+ null\n- undefined\n")),
            pair("undefined", "null")
        );
        assert_eq!(
            sides(&format!(
                "{diff}  {{\n+   x: 'y'\n-   x: 'z'\n         ^\n  }}"
            )),
            pair("{\n  x: 'z'\n}", "{\n  x: 'y'\n}")
        );
        assert_eq!(sides(&format!("{diff}  [\n...\n+   1\n-   2\n  ]")), None);
    }
}
