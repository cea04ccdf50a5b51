//! Ruff's full format (the concise one is flake8's), and flake8's own lines.

use crate::cc::split;
use crate::lint::finding::Finding;
use crate::lint::finding::Level;
use crate::lint::finding::Tool;
use crate::lint::place;
use crate::lint::place::Language;
use crate::lint::place::Placed;

/// The code at the beginning of a text, and the message behind it: `F401 [*] …`,
/// `invalid-syntax: …`.
fn said(text: &str) -> Option<(&str, &str)> {
    if let Some(message) = text.strip_prefix("invalid-syntax: ") {
        return Some(("invalid-syntax", message));
    }
    if text.starts_with("SyntaxError: ") {
        return Some(("", text));
    }
    let (code, message) = text.split_once(' ')?;
    let letters = code.bytes().take_while(u8::is_ascii_uppercase).count();
    let digits = code.len() - letters;
    let coded = (1..=7).contains(&letters)
        && (2..=5).contains(&digits)
        && code.bytes().skip(letters).all(|byte| byte.is_ascii_digit());
    coded.then_some((code, message))
}

/// Takes the sign of what can be mended off.
fn without_sign(message: &str) -> &str {
    let message = message.trim_start();
    message
        .strip_prefix("[*] ")
        .or_else(|| message.strip_prefix("[-] "))
        .unwrap_or(message)
}

/// The line above a place: `F401 [*] `os` imported but unused`.
pub(crate) fn announces(line: &str) -> bool {
    said(line).is_some()
}

/// The place below it: ` --> pkg/a.py:1:8`.
pub(crate) fn placed(above: &str, line: &str) -> Option<Finding> {
    let place = line.trim_start().strip_prefix("--> ")?.trim_end();
    let (code, message) = said(above)?;
    let with_end = format!("{place}:");
    let (file, row, column, _) = split(&with_end)?;
    place::language(file).filter(|kind| matches!(kind, Language::Python | Language::Other))?;
    let finding = Finding::new(Tool::Ruff, Level::Error, file, without_sign(message));
    Some(
        finding
            .at(Some(row), column)
            .coded(code)
            .with(above)
            .with(line),
    )
}

/// `pkg/a.py:1:8: F401 [*] `os` imported but unused`.
pub(crate) fn concise(at: &Placed<'_>, line: &str) -> Option<Finding> {
    let (code, message) = said(at.rest)?;
    if at.brackets || at.column.is_none() && at.language != Language::Python {
        return None;
    }
    let finding = Finding::new(Tool::Flake8, Level::Error, at.file, without_sign(message));
    Some(finding.at(Some(at.line), at.column).coded(code).with(line))
}

/// Whether a line goes on with the message: the code in its frame, and what would help.
pub(crate) fn more(finding: &mut Finding, line: &str) -> bool {
    let bare = line.trim_start();
    let number = bare.bytes().take_while(u8::is_ascii_digit).count();
    let frame = bare[number..].trim_start().starts_with(['|', '+', '-']) && !bare.starts_with("--");
    let full = finding.tool == Tool::Ruff;
    let help = bare
        .strip_prefix("= help: ")
        .or_else(|| bare.strip_prefix("help: "));
    let said = help.is_some() || full && (bare.starts_with("note: ") || bare.starts_with("info: "));
    let gap = full && (bare.starts_with("...") || bare.starts_with("::: "));
    if !(frame || said || gap) {
        return false;
    }
    if let Some(help) = help {
        finding.suggest(help);
    }
    finding.push(line);
    true
}
