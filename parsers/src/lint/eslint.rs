//! ESLint's stylish, compact and unix formats.

use crate::cc::digits;
use crate::lint::finding::Finding;
use crate::lint::finding::Level;
use crate::lint::finding::Tool;
use crate::lint::place;
use crate::lint::place::Placed;

/// The line with which the stylish format begins a file: its path and nothing else.
pub(crate) fn header(line: &str) -> bool {
    let absolute = line.starts_with('/') || line.get(1..3).is_some_and(|drive| drive == ":\\");
    let odd = |c: char| matches!(c, '"' | '\'' | '`' | '(' | ')' | '<' | '>' | '|' | '*');
    place::language(line).is_some()
        && line.len() < 1000
        && (absolute || !line.contains([' ', '\t', ':']))
        && !line.starts_with([' ', '-', '+'])
        && !line.contains(odd)
}

/// A line below it: `  3:5  error  'x' is not defined  no-undef`.
pub(crate) fn stylish(file: &str, line: &str) -> Option<Finding> {
    let bare = line.strip_prefix("  ")?.trim_start();
    let (row, rest) = digits(bare);
    // What is about the whole file stands at 0:0.
    let rest = if row.is_none() {
        rest.strip_prefix('0').unwrap_or(rest)
    } else {
        rest
    };
    let (column, rest) = digits(rest.strip_prefix(':')?);
    let rest = match column {
        Some(_) => rest,
        None => rest.strip_prefix('0').unwrap_or(rest),
    };
    let rest = rest.strip_prefix("  ")?.trim_start();
    let (level, rest) = level(rest, ["error", "warning"])?;
    let rest = rest.strip_prefix("  ")?.trim();
    let (message, rule) = match rest.rsplit_once("  ") {
        Some((message, rule)) if !rule.trim().contains(' ') => (message.trim_end(), rule.trim()),
        _ => (rest, ""),
    };
    let finding = Finding::new(Tool::Eslint, level, file, message);
    Some(finding.at(row, column).coded(rule).with(file).with(line))
}

fn level<'a>(text: &'a str, words: [&str; 2]) -> Option<(Level, &'a str)> {
    text.strip_prefix(words[0])
        .map(|rest| (Level::Error, rest))
        .or_else(|| Some((Level::Warning, text.strip_prefix(words[1])?)))
}

/// `/p/a.js: line 1, col 5, Error - 'x' is not defined. (no-undef)`.
pub(crate) fn compact(line: &str) -> Option<Finding> {
    let (file, rest) = line.split_once(": line ")?;
    place::language(file)?;
    let (row, rest) = digits(rest);
    let (column, rest) = digits(rest.strip_prefix(", col ")?);
    let rest = rest.trim_start_matches('0').strip_prefix(", ")?;
    let (level, rest) = level(rest, ["Error", "Warning"])?;
    let rest = rest.strip_prefix(" - ")?.trim_end();
    let (message, rule) = match rest.rsplit_once(" (") {
        Some((message, rule)) if rule.ends_with(')') && !rule.contains(' ') => {
            (message, rule.trim_end_matches(')'))
        }
        _ => (rest, ""),
    };
    let finding = Finding::new(Tool::Eslint, level, file, message);
    Some(finding.at(row, column).coded(rule).with(line))
}

/// `/p/a.js:1:5: 'x' is not defined. [Error/no-undef]`.
pub(crate) fn unix(at: &Placed<'_>, line: &str) -> Option<Finding> {
    let rest = at.rest.trim_end().strip_suffix(']')?;
    let (message, inside) = rest.rsplit_once(" [")?;
    let (level, rule) = level(inside, ["Error", "Warning"])?;
    if !(rule.is_empty() || rule.starts_with('/')) {
        return None;
    }
    let rule = rule.trim_start_matches('/');
    let finding = Finding::new(Tool::Eslint, level, at.file, message);
    Some(finding.at(Some(at.line), at.column).coded(rule).with(line))
}

/// `✖ 13 problems (10 errors, 3 warnings)`: how many errors.
pub(crate) fn tally(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("✖ ")?;
    let (_, rest) = rest.split_once(" problem")?;
    let rest = rest.strip_prefix('s').unwrap_or(rest).strip_prefix(" (")?;
    rest.split_once(" error")?.0.parse().ok()
}
