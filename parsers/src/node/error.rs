//! An error as `util.inspect` shows it: name, message, frames, and the properties behind them.

use crate::js::stack;
use crate::js::thrown::Thrown;

/// What was shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Name, message, frames.
    pub thrown: Thrown,
    /// `expected` and `actual` among the properties, as they are shown.
    pub sides: (Option<String>, Option<String>),
}

/// Reads an error; `text` has no margin.
pub(crate) fn read(text: &str) -> Shown {
    let lines: Vec<&str> = text.lines().collect();
    // The properties begin behind a brace at the end of the last frame, or of the only line.
    let brace =
        |line: &&str| line.ends_with(" {") && (stack::is_frame(line) || line.starts_with('['));
    let end = lines
        .iter()
        .position(brace)
        .map_or(lines.len(), |at| at + 1);
    let head = &lines[..end];
    let last = head.iter().rposition(|line| stack::place(line).is_some());
    let first = last.map(|last| {
        let run = head[..last]
            .iter()
            .rev()
            .take_while(|line| stack::is_frame(line) || line.trim_start().starts_with("... "))
            .count();
        last - run
    });
    let (message, frames) = head.split_at(first.unwrap_or(head.len()));
    let message = message.join("\n");
    let mut thrown = Thrown::head(bare(message.trim_end()));
    thrown.code = thrown.code.filter(|code| code.contains('_'));
    thrown.stack = frames.join("\n");
    let properties = &lines[end..];
    let mut sides = (
        property(properties, "expected"),
        property(properties, "actual"),
    );
    let throws = property(properties, "operator").is_some_and(|word| {
        ["throws", "rejects", "doesNotThrow", "doesNotReject", "fail"]
            .iter()
            .any(|known| word == format!("'{known}'"))
    });
    let nothing = |side: &Option<String>| side.as_deref().is_none_or(|side| side == "undefined");
    if throws || (nothing(&sides.0) && nothing(&sides.1)) {
        sides = (None, None);
    }
    Shown { thrown, sides }
}

/// An error without frames stands in brackets: `[Error: no] {`.
fn bare(message: &str) -> &str {
    let message = message.strip_suffix(" {").unwrap_or(message);
    let inner = message
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(message)
}

/// The value of a property of the error itself: two columns deep, down to the next one.
fn property(lines: &[&str], name: &str) -> Option<String> {
    let start = format!("  {name}: ");
    let at = lines.iter().position(|line| line.starts_with(&start))?;
    let mut value = vec![lines[at][start.len()..].to_owned()];
    for line in &lines[at + 1..] {
        let deeper = line.starts_with("   ")
            || line.starts_with("  }")
            || line.starts_with("  ]")
            || line.is_empty();
        if !deeper || value.len() > 2000 {
            break;
        }
        value.push(line.strip_prefix("  ").unwrap_or(line).to_owned());
    }
    let text = value.join("\n");
    let text = text.trim_end();
    let text = text.strip_suffix(',').unwrap_or(text);
    Some(joined(text))
}

/// A string of several lines is shown in pieces: `'one\n' +`, `'two'`.
fn joined(text: &str) -> String {
    let quote = match text.chars().next() {
        Some(quote @ ('\'' | '"' | '`')) => quote,
        _ => return text.to_owned(),
    };
    let mut out = String::new();
    for (number, line) in text.lines().enumerate() {
        let mut piece = line.trim_start();
        if number > 0 {
            let Some(rest) = piece.strip_prefix(quote) else {
                return text.to_owned();
            };
            piece = rest;
            if out.ends_with(quote) {
                out.pop();
            }
        }
        out.push_str(piece.strip_suffix(" +").unwrap_or(piece));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_frames_and_properties_are_told_apart() {
        let shown = read(
            "AssertionError [ERR_ASSERTION]: Expected values to be strictly equal:\n\n2 !== 3\n\n    at f (/p/x.js:1:2)\n    at async Promise.all (index 0)\n    at g (node:internal/x:1:2) {\n  generatedMessage: true,\n  code: 'ERR_ASSERTION',\n  actual: 2,\n  expected: 3,\n  operator: 'strictEqual'\n}",
        );
        assert_eq!(shown.sides, (Some("3".into()), Some("2".into())));
        assert_eq!(
            shown.thrown.line(),
            "Expected values to be strictly equal: 2 !== 3"
        );
        assert_eq!(stack::places(&shown.thrown.stack).len(), 2);
    }

    #[test]
    fn strings_in_pieces_are_whole_again() {
        let shown = read(
            "AssertionError: x\n    at f (/p/x.js:1:2) {\n  actual: 'one\\n' +\n    'two\\n',\n  expected: { a: 1,\n    b: 2\n  },\n  operator: 'strictEqual'\n}",
        );
        assert_eq!(shown.sides.1.as_deref(), Some("'one\\ntwo\\n'"));
        assert_eq!(shown.sides.0.as_deref(), Some("{ a: 1,\n  b: 2\n}"));
    }

    #[test]
    fn a_message_may_hold_a_stack() {
        let shown = read(
            "Error: first\n    at forged (/p/f.js:1:1)\nlast\n    at real (/p/r.js:2:2)\n    at more (/p/r.js:3:3)",
        );
        let places = stack::places(&shown.thrown.stack);
        assert_eq!((places.len(), places[0].line), (2, Some(2)));
        assert_eq!(read("[Error: no] {\n  code: 'X'\n}").thrown.line(), "no");
    }
}
