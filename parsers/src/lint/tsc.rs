//! TypeScript's compiler: `a.ts(3,5): error TS2322: …`, and with `--pretty`
//! `a.ts:3:5 - error TS2322: …` above the code.

use crate::lint::finding::Finding;
use crate::lint::finding::Level;
use crate::lint::finding::Tool;
use crate::lint::place::Placed;

/// A message with its place.
pub(crate) fn head(at: &Placed<'_>, line: &str) -> Option<Finding> {
    let (code, message) = said(at.rest)?;
    let mut finding = Finding::new(Tool::Tsc, Level::Error, at.file, message);
    if let Some(hint) = message.find("Did you mean") {
        finding.suggest(&message[hint..]);
    }
    Some(finding.at(Some(at.line), at.column).coded(code).with(line))
}

/// A message about no file: `error TS18003: No inputs were found in config file`.
pub(crate) fn placeless(line: &str) -> Option<Finding> {
    let (code, message) = said(line)?;
    let finding = Finding::new(Tool::Tsc, Level::Error, "", message);
    Some(finding.coded(code).with(line))
}

/// `error TS2322: …`: the code and the message.
fn said(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("error ")?;
    let (code, message) = rest.split_once(": ")?;
    let number = code.strip_prefix("TS")?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then_some((code, message))
}

/// Whether a line goes on with the message: its further lines, and in the pretty form the code
/// with what belongs to it.
pub(crate) fn more(finding: &mut Finding, line: &str) -> bool {
    let pretty = finding
        .lines
        .first()
        .is_some_and(|first| first.contains(" - error TS"));
    let first = line.bytes().next();
    let belongs = match first {
        Some(b' ') => true,
        None => pretty && finding.lines.last().is_none_or(|last| !last.is_empty()),
        Some(byte) => pretty && byte.is_ascii_digit() && is_code(line),
    };
    if belongs {
        if let Some(at) = line.find("Did you mean") {
            finding.suggest(&line[at..]);
        }
        finding.push(line);
    }
    belongs
}

/// A line of code behind its number.
fn is_code(line: &str) -> bool {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    digits <= 6 && matches!(line.as_bytes().get(digits), None | Some(b' '))
}

/// `Found 3 errors in 2 files.`, `Found 1 error in a.ts:1`: how many.
pub(crate) fn tally(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("Found ")?;
    let (number, rest) = rest.split_once(" error")?;
    let rest = rest.strip_prefix('s').unwrap_or(rest);
    let ends = rest.is_empty() || rest.starts_with([' ', '.']);
    number.parse().ok().filter(|_| ends)
}
