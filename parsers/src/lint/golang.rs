//! What is said of Go's files: `./a.go:3:5: undefined: x` by the compiler and `go vet`,
//! `a.go:3:5: … (errcheck)` by golangci-lint and staticcheck.
//!
//! A place without a column is no message: programs log with `file:line:`.

use crate::lint::finding::Finding;
use crate::lint::finding::Level;
use crate::lint::finding::Tool;
use crate::lint::place::Language;
use crate::lint::place::Placed;

/// A message.
pub(crate) fn head(at: &Placed<'_>, line: &str) -> Option<Finding> {
    let said = at.language == Language::Go && at.column.is_some() && !at.brackets;
    // Whose line is indented is a test's.
    if !said || at.rest.is_empty() || line.starts_with([' ', '\t']) {
        return None;
    }
    let message = at.rest.strip_prefix("error: ").unwrap_or(at.rest);
    let (message, code) = match message.trim_end().rsplit_once(" (") {
        Some((before, inside)) => match inside.strip_suffix(')').filter(|code| is_linter(code)) {
            Some(code) => (before, code),
            None => (message, ""),
        },
        None => (message, ""),
    };
    let finding = Finding::new(Tool::Go, Level::Error, at.file, message);
    Some(finding.at(Some(at.line), at.column).coded(code).with(line))
}

/// `errcheck`, `SA4006`, `compile`.
fn is_linter(code: &str) -> bool {
    code.len() >= 3
        && code
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Whether a line goes on with the message.
pub(crate) fn more(finding: &mut Finding, line: &str) -> bool {
    let belongs = line.starts_with(['\t', ' ']) && !line.trim().is_empty();
    if belongs {
        finding.push(line);
    }
    belongs
}
