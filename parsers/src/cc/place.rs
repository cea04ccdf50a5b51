//! Where compilers stand when they name a relative file: in the build directory.

use crate::context::Context;
use crate::report::Location;

/// Deeper nesting of make is not followed.
const DEEPEST: usize = 50;

/// The directories that make and ninja have entered.
#[derive(Debug, Default)]
pub(crate) struct Places {
    entered: Vec<String>,
}

impl Places {
    /// Whether a line says where make or ninja is.
    pub fn is_about(line: &str) -> bool {
        line.contains(": Entering directory ") || line.contains(": Leaving directory ")
    }

    /// Takes such a line.
    pub fn line(&mut self, line: &str) {
        if let Some(dir) = quoted_after(line, ": Entering directory ") {
            if self.entered.len() < DEEPEST {
                self.entered.push(dir.to_owned());
            }
        } else {
            self.entered.pop();
        }
    }

    /// A file as the project names it.
    pub fn file(&self, file: &str, context: &Context) -> String {
        if file.starts_with('/') || file.starts_with('<') {
            return context.relative(file);
        }
        if let Some(dir) = self.entered.last() {
            let base = context.relative(dir);
            let joined = context.relative_from("", &format!("{base}/{file}"));
            if !joined.starts_with("../")
                && (joined.starts_with('/') || context.tree.may_hold(&joined, None))
            {
                return joined;
            }
        }
        let plain = context.relative(file);
        // The command itself stands in the project, so the tool stood in some directory below.
        plain.trim_start_matches("../").to_owned()
    }

    /// A place as the project names it.
    pub fn location(
        &self,
        file: &str,
        line: Option<u32>,
        column: Option<u32>,
        context: &Context,
    ) -> Location {
        Location {
            file: self.file(file, context),
            line,
            column,
        }
    }
}

/// `ninja: Entering directory `build'`: the quoted word.
fn quoted_after<'a>(line: &'a str, words: &str) -> Option<&'a str> {
    let rest = line.split_once(words)?.1.trim_end();
    let rest = rest.strip_prefix(['\'', '`', '"']).unwrap_or(rest);
    let rest = rest.strip_prefix('‘').unwrap_or(rest);
    Some(rest.trim_end_matches(['\'', '"', '’', '.']))
}

/// `file:line:column` at the beginning of a line; what follows the colon after it.
pub(crate) fn split(line: &str) -> Option<(&str, u32, Option<u32>, &str)> {
    // A drive's letter has a colon, too.
    let from = match line.as_bytes() {
        [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic() => 2,
        _ => 0,
    };
    let mut at = from;
    loop {
        let colon = line[at..].find(':')? + at;
        let (number, rest) = digits(&line[colon + 1..]);
        if let Some(number) = number
            && colon > 0
            && let Some(after) = rest.strip_prefix(':')
        {
            let (column, tail) = digits(after);
            let file = &line[..colon];
            return match (column, tail.strip_prefix(':')) {
                (Some(column), Some(tail)) => Some((file, number, Some(column), tail)),
                _ => Some((file, number, None, after)),
            };
        }
        at = colon + 1;
    }
}

/// The number at the beginning of a text, and what follows it.
pub(crate) fn digits(text: &str) -> (Option<u32>, &str) {
    let end = text
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    match end {
        1..=8 => (text[..end].parse().ok().filter(|n| *n > 0), &text[end..]),
        _ => (None, text),
    }
}
