//! Lines that other programs make marks of: workflow commands of GitHub Actions
//! (<https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions>), and the
//! quickfix list of Vim and its kin.

use crate::export::Exported;
use crate::report::Failure;
use crate::report::Location;
use crate::text::MESSAGE;
use crate::text::cut;
use regex::Regex;
use std::fmt::Write;
use std::sync::LazyLock;

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
        if let Some(message) = one.unlisted() {
            let title = properties(None, one.suite());
            let _ = writeln!(text, "::error {title}::{}", data(&message));
        }
        for diagnostic in &one.report.diagnostics {
            let level = match diagnostic.level.as_str() {
                "error" => "error",
                "warning" => "warning",
                _ => "notice",
            };
            let code = diagnostic.code.as_deref().filter(|it| !it.is_empty());
            let title = code.unwrap_or(one.suite());
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
            mark(&mut text, place(failure), &failure.message, &failure.id);
        }
        if let Some(message) = one.unlisted() {
            mark(&mut text, None, &message, one.suite());
        }
    }
    text
}

fn mark(text: &mut String, at: Option<&Location>, message: &str, id: &str) {
    let said = |text: &str| cut(&line(text), MESSAGE);
    let said = format!("error: {} [{}]", said(message), said(id));
    let _ = match at {
        Some(at) => {
            let (file, row, column) = (line(&at.file), at.line, at.column);
            let place = format!("{file}:{}:{}: ", row.unwrap_or(1), column.unwrap_or(1));
            writeln!(text, "{place}{}", no_other_place(&place, said))
        }
        None => writeln!(text, "{}", no_place(no_other_place("", said))),
    };
}

/// Vim looks for `"file" ... line: ` first, wherever it stands: such quotes become single ones.
fn no_other_place(place: &str, said: String) -> String {
    static QUOTED: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"^[^"]*".+"\D+\d+: "#).ok());
    let misread = QUOTED
        .as_ref()
        .is_some_and(|it| it.is_match(&(place.to_owned() + &said)));
    if misread {
        said.replace('"', "'")
    } else {
        said
    }
}

/// In a line without a place of its own, what a message says of places is none.
fn no_place(said: String) -> String {
    static PLACED: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"([:(|])(\d+[:)|])").ok());
    let Some(placed) = PLACED.as_ref() else {
        return said;
    };
    let mut said = said;
    // Two may share a colon.
    for _ in 0..2 {
        said = placed.replace_all(&said, "$1 $2").into_owned();
    }
    said
}

/// Text without line ends, and without what a terminal would obey.
fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true if line.ends_with(' ') => {}
            true => line.push(' '),
            false => line.push(c),
        }
    }
    line
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
                let _ = write!(text, "\n{name}: {}", cut(side, 500));
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
