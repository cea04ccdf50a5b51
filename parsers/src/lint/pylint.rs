//! Pylint's text: `a.py:1:0: C0114: Missing module docstring (missing-module-docstring)`, and its
//! parseable and msvs forms. It counts columns from 0.

use crate::lint::finding::Finding;
use crate::lint::finding::Level;
use crate::lint::finding::Tool;
use crate::lint::place::Language;
use crate::lint::place::Placed;

/// A message.
pub(crate) fn head(at: &Placed<'_>, line: &str) -> Option<Finding> {
    if at.language != Language::Python {
        return None;
    }
    let (code, message) = match at.rest.strip_prefix('[') {
        Some(inside) => parseable(inside)?,
        None => {
            let (code, message) = at.rest.split_once(": ")?;
            (code, message.to_owned())
        }
    };
    is_code(code).then_some(())?;
    let finding = Finding::new(Tool::Pylint, level(code), at.file, &message);
    let column = at.column.map(|column| column + 1);
    Some(finding.at(Some(at.line), column).coded(code).with(line))
}

/// `C0114(missing-module-docstring), obj] Missing module docstring`.
fn parseable(inside: &str) -> Option<(&str, String)> {
    let (about, message) = inside.split_once("] ")?;
    let (code, rest) = about.split_once('(')?;
    let (symbol, _) = rest.split_once(')')?;
    Some((code, format!("{message} ({symbol})")))
}

/// `C0114`.
pub(crate) fn is_code(code: &str) -> bool {
    let bytes = code.as_bytes();
    bytes.len() == 5
        && matches!(bytes[0], b'C' | b'R' | b'W' | b'E' | b'F' | b'I')
        && bytes[1..].iter().all(u8::is_ascii_digit)
}

/// Whatever it says makes it fail, but for information.
pub(crate) fn level(code: &str) -> Level {
    match code.starts_with('I') {
        true => Level::Warning,
        false => Level::Error,
    }
}
