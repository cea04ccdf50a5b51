//! Biome: a rule line with place and rule, the message and the code below it.

use crate::cc::split;
use crate::lint::finding::Finding;
use crate::lint::finding::Level;
use crate::lint::finding::Tool;

/// `src/a.js:3:3 lint/suspicious/noDebugger  FIXABLE  ━━━━━━━━`; the last line, which is about
/// no file, is none.
pub(crate) fn head(line: &str) -> Option<Finding> {
    let bare = line.trim_end_matches('━');
    if line.len() < bare.len() + 9 || !bare.ends_with(' ') {
        return None;
    }
    let mut words = bare.split_whitespace();
    let (place, category) = (words.next()?, words.next()?);
    let known = [
        "lint/",
        "assist/",
        "parse",
        "format",
        "organizeImports",
        "internalError/",
    ];
    let of_the_kind = known.iter().any(|start| category.starts_with(start))
        || category.contains('/') && !category.contains(':');
    if !of_the_kind {
        return None;
    }
    let with_end = format!("{place}:");
    let (file, row, column) = match split(&with_end) {
        Some((file, row, column, _)) => (file, Some(row), column),
        None => (place, None, None),
    };
    // The message is still to come.
    let finding = Finding::new(Tool::Biome, Level::Error, file, "");
    Some(finding.at(row, column).coded(category).with(line))
}

/// Whether a line goes on with the message: all of it is indented.
pub(crate) fn more(finding: &mut Finding, line: &str) -> bool {
    if !line.is_empty() && !line.starts_with(' ') {
        return false;
    }
    let said = line.trim_start();
    let sign = |signs: &[&str]| {
        signs
            .iter()
            .find_map(|sign| said.strip_prefix(sign))
            .filter(|_| line.starts_with("  ") && !line.starts_with("    "))
    };
    if finding.message.is_empty() {
        let error = sign(&["× ", "✖ ", "x "]);
        let other = sign(&["! ", "⚠ ", "i ", "ℹ "]);
        if other.is_some() {
            finding.level = Level::Warning;
        }
        if let Some(message) = error.or(other) {
            finding.message = message.trim_end().to_owned();
        }
    } else if let Some(hint) = sign(&["i ", "ℹ "])
        && (hint.starts_with("Safe fix: ")
            || hint.starts_with("Unsafe fix: ")
            || hint.starts_with("Suggested fix: "))
    {
        finding.suggest(hint.split_once(": ").map_or(hint, |(_, fix)| fix));
    }
    finding.push(line);
    true
}

/// `Found 9 errors.` after it has said how many files it checked.
pub(crate) fn tally(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("Found ")?;
    let number = rest
        .strip_suffix(" errors.")
        .or_else(|| rest.strip_suffix(" error."))?;
    number.parse().ok()
}
