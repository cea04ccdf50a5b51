//! The place of a failure, out of the text that a report has of it.

use crate::context::Context;
use crate::junit::dialect::Dialect;
use crate::report::Location;
use regex::Regex;
use std::sync::LazyLock;

static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)(?P<f>(?:file://)?(?:[\w.@+~-]+/|/|[A-Za-z]:[\\/])*[\w.@+~-]+\.[A-Za-z]\w{0,4}):(?P<l>\d{1,7})(?::(?P<c>\d{1,5}))?")
        .expect("a constant pattern")
});
/// .NET's `in /p/File.cs:line 12`, bats' `a.bats, line 3`, Python's `File "x.py", line 3`.
static LINE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?:in (?:test )?(?:file )?|File "|from function .* in file )(?P<f>[^\n",]+?\.\w{1,5})"?(?::line |, line )(?P<l>\d{1,7})"#)
        .expect("a constant pattern")
});
static ESLINT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"line (\d{1,7}), col (\d{1,6})").expect("a constant pattern"));

/// The place in the text that lies in the project. Python ends with it, everybody else begins
/// with the innermost.
pub(crate) fn of(text: &str, dialect: Dialect, context: &Context) -> Option<Location> {
    if text.is_empty() {
        return None;
    }
    let text = crate::text::cap(text, 256 * 1024);
    let user = |location: &Location| {
        context.is_user(&location.file) && context.tree.may_hold(&location.file, location.line)
    };
    let mut lines = LINE
        .captures_iter(&text)
        .filter_map(|found| made(&found, context));
    if let Some(location) = lines.find(user) {
        return Some(location);
    }
    let places = || {
        PLACE
            .captures_iter(&text)
            .filter_map(|found| made(&found, context))
    };
    let last = matches!(dialect, Dialect::Pytest | Dialect::Nextest | Dialect::Other);
    let stacked = text.contains("\tat ") || text.contains("    at ") || text.contains("\n\n/");
    if last && !stacked {
        places().filter(user).last()
    } else {
        // A stack begins below the message, which may name places, too.
        let stack = text.find("    at ");
        let below = stack.and_then(|at| {
            PLACE
                .captures_iter(&text[at..])
                .filter_map(|found| made(&found, context))
                .find(user)
        });
        below.or_else(|| places().find(user))
    }
}

fn made(found: &regex::Captures<'_>, context: &Context) -> Option<Location> {
    let file = found.name("f")?.as_str();
    let line = found.name("l")?.as_str().parse().ok();
    Some(Location {
        file: context.relative(file.strip_prefix("file://").unwrap_or(file)),
        line: Some(line.filter(|line| *line > 0)?),
        column: found
            .name("c")
            .and_then(|column| column.as_str().parse().ok()),
    })
}

/// ESLint's `line 1, col 5`, of the file that is the suite's name.
pub(crate) fn eslint(file: &str, text: &str, context: &Context) -> Option<Location> {
    let found = ESLINT.captures(text)?;
    let number = |at: usize| found.get(at).and_then(|n| n.as_str().parse().ok());
    (!file.is_empty()).then(|| Location {
        file: context.relative(file),
        line: number(1),
        column: number(2),
    })
}
