//! Pyright: `  /p/a.py:3:5 - error: … (reportArgumentType)`, its further lines indented.

use crate::lint::finding::Finding;
use crate::lint::finding::Level;
use crate::lint::finding::Tool;
use crate::lint::place::Placed;

/// A message.
pub(crate) fn head(at: &Placed<'_>, line: &str) -> Option<Finding> {
    let (level, message) = match at.rest.split_once(": ")? {
        ("error", message) => (Level::Error, message),
        ("warning" | "information", message) => (Level::Warning, message),
        _ => return None,
    };
    at.column?;
    let mut finding = Finding::new(Tool::Pyright, level, at.file, message);
    finding = finding.at(Some(at.line), at.column).with(line);
    named(&mut finding, message);
    if let Some((before, _)) = finding.message.rsplit_once(" (report") {
        finding.message = before.to_owned();
    }
    Some(finding)
}

/// The rule in brackets at the end.
fn named(finding: &mut Finding, text: &str) {
    let rule = text
        .trim_end()
        .strip_suffix(')')
        .and_then(|text| text.rsplit_once(" ("))
        .map(|(_, rule)| rule)
        .filter(|rule| rule.starts_with("report") && !rule.contains(' '));
    if let Some(rule) = rule {
        finding.code = Some(rule.to_owned());
    }
}

/// Whether a line goes on with the message.
pub(crate) fn more(finding: &mut Finding, line: &str) -> bool {
    // The blanks are those that do not break.
    let blanks = line.chars().take_while(|c| c.is_whitespace()).count();
    let belongs = blanks >= 3 && line.chars().count() > blanks;
    if belongs {
        finding.push(line);
        named(finding, line);
    }
    belongs
}

/// `12 errors, 0 warnings, 0 informations`: how many.
pub(crate) fn tally(line: &str) -> Option<u64> {
    let (number, rest) = line.split_once(" error")?;
    let rest = rest.strip_prefix('s').unwrap_or(rest);
    let rest = rest.strip_prefix(", ")?;
    let (warnings, rest) = rest.split_once(" warning")?;
    warnings.parse::<u64>().ok()?;
    rest.contains(" information").then_some(())?;
    number.parse().ok()
}
