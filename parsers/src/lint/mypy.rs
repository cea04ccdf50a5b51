//! mypy: `a.py:3: error: …  [code]` with its notes, and with `--pretty` the code below.

use crate::context::Context;
use crate::lint::finding::Finding;
use crate::lint::finding::Level;
use crate::lint::finding::Tool;
use crate::lint::place;
use crate::lint::place::Language;
use crate::lint::place::Placed;

/// A wrapped message is at least so long before it is wrapped.
const WRAPPED: usize = 40;

/// A message.
pub(crate) fn head(at: &Placed<'_>, line: &str) -> Option<Finding> {
    let (level, message) = match at.rest.split_once(": ")? {
        ("error", message) => (Level::Error, message),
        ("warning", message) => (Level::Warning, message),
        _ => return None,
    };
    if at.language != Language::Python || at.brackets {
        return None;
    }
    let mut finding = Finding::new(Tool::Mypy, level, at.file, "");
    finding = finding.at(Some(at.line), at.column).with(line);
    say(&mut finding, message);
    Some(finding)
}

/// The message with its code at the end: `…  [arg-type]`.
fn say(finding: &mut Finding, message: &str) {
    finding.message = message.trim_end().to_owned();
    if let Some((before, code)) = finding.message.rsplit_once(" [")
        && let Some(code) = code.strip_suffix(']')
        && !code.is_empty()
        && code
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    {
        finding.code = Some(code.to_owned());
        finding.message = before.trim_end().to_owned();
    }
}

/// Whether a line goes on with the message.
pub(crate) fn more(finding: &mut Finding, line: &str, context: &Context) -> bool {
    if let Some(at) = place::split(line, context) {
        let note = at
            .rest
            .strip_prefix("note: ")
            .filter(|_| at.file == finding.file);
        if let Some(note) = note {
            let hints = ["Did you", "Maybe", "Perhaps", "Hint: ", "Consider ", "Use "];
            if hints
                .iter()
                .any(|start| note.trim_start().starts_with(start))
            {
                finding.suggest(note);
            }
            finding.push(line);
        }
        return note.is_some();
    }
    let first = finding.lines.first().map_or(0, String::len);
    let wrapped = finding.code.is_none() && first >= WRAPPED && finding.lines.len() < 6;
    if wrapped && !line.is_empty() && !line.starts_with(' ') && !is_tally(line) {
        let whole = format!("{} {}", finding.message, line.trim());
        say(finding, &whole);
        finding.push(line);
        return true;
    }
    // The code of the pretty form.
    let shown = line.starts_with("    ");
    if shown {
        finding.push(line);
    }
    shown
}

fn is_tally(line: &str) -> bool {
    tally(line).is_some() || line.starts_with("Success: ") || line.contains(": note: In ")
}

/// `Found 6 errors in 1 file (checked 3 source files)`: how many.
pub(crate) fn tally(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("Found ")?;
    let (number, rest) = rest.split_once(" error")?;
    (rest.contains(" in ") && rest.contains(" file")).then_some(())?;
    number.parse().ok()
}
