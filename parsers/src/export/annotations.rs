//! Lines that other programs make marks of: workflow commands of GitHub Actions
//! (<https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions>), and the
//! quickfix list of Vim and its kin.

use crate::export::Exported;
use crate::report::Failure;
use crate::report::Location;
use std::fmt::Write;

/// One workflow command a failure (`::error`) and diagnostic (`::warning`). The service shows at
/// most ten of each kind a step.
pub fn github(exported: &[Exported<'_>]) -> String {
    let mut text = String::new();
    for one in exported {
        for failure in &one.report.failures {
            let title = format!("{}: {}", one.suite(), failure.id);
            let place = properties(place(failure), &title);
            let _ = writeln!(text, "::error {place}::{}", data(&body(failure)));
        }
        for diagnostic in &one.report.diagnostics {
            let level = match diagnostic.level.as_str() {
                "error" => "error",
                "warning" => "warning",
                _ => "notice",
            };
            let title = diagnostic.code.as_deref().unwrap_or(one.suite());
            let place = properties(diagnostic.location.as_ref(), title);
            let _ = writeln!(text, "::{level} {place}::{}", data(&diagnostic.message));
        }
    }
    text
}

/// `file:line:column: error: message [test]`, as Vim's default `errorformat` and most editors
/// read it; what has no place stands there without one.
pub fn quickfix(exported: &[Exported<'_>]) -> String {
    let mut text = String::new();
    for one in exported {
        for failure in &one.report.failures {
            let line = |text: &str| text.replace(['\n', '\r'], " ");
            let place = place(failure).map_or(String::new(), |at| {
                let column = at.column.unwrap_or(1);
                format!("{}:{}:{column}: ", line(&at.file), at.line.unwrap_or(1))
            });
            let message = line(&failure.message);
            let _ = writeln!(text, "{place}error: {message} [{}]", line(&failure.id));
        }
    }
    text
}

/// Where it failed, else where the test is.
fn place(failure: &Failure) -> Option<&Location> {
    failure.location.as_ref().or(failure.test_location.as_ref())
}

/// Message and both sides: an annotation is all that its reader sees.
fn body(failure: &Failure) -> String {
    let mut text = failure.message.clone();
    if let Some(diff) = &failure.diff {
        let sides = [
            ("left", &diff.left),
            ("right", &diff.right),
            ("expected", &diff.expected),
            ("actual", &diff.actual),
        ];
        for (name, side) in sides {
            if let Some(side) = side {
                let _ = write!(text, "\n{name}: {}", crate::text::cut(side, 500));
            }
        }
    }
    text
}

fn properties(at: Option<&Location>, title: &str) -> String {
    let mut parts = Vec::new();
    if let Some(at) = at {
        parts.push(format!("file={}", property(&at.file)));
        parts.extend(at.line.map(|line| format!("line={line}")));
        parts.extend(at.column.map(|column| format!("col={column}")));
    }
    parts.push(format!("title={}", property(title)));
    parts.join(",")
}

fn data(text: &str) -> String {
    let text = text.replace('%', "%25");
    text.replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
