//! What `CTestTestfile.cmake` says of the tests, where the build directory can be looked into:
//! which ones are to fail, which are fixtures' set-up and clean-up, where they are defined.

use crate::context::Context;
use crate::report::Location;
use std::collections::BTreeMap;

/// More directories than this are not looked into.
const MOST_DIRECTORIES: usize = 300;

/// What is known of one test.
#[derive(Debug, Clone, Default)]
pub(crate) struct Properties {
    /// It passes if it fails.
    pub will_fail: bool,
    /// It sets a fixture up.
    pub setup: bool,
    /// It takes one down.
    pub cleanup: bool,
    /// Where `add_test` stands.
    pub defined: Option<Location>,
}

/// Reads the files of a build directory; nothing where they cannot be read.
pub(crate) fn read(dir: &str, context: &Context) -> Option<BTreeMap<String, Properties>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![context.relative(dir)];
    let mut seen = 0;
    while let Some(dir) = todo.pop() {
        seen += 1;
        let path = match dir.is_empty() {
            true => "CTestTestfile.cmake".to_owned(),
            false => format!("{dir}/CTestTestfile.cmake"),
        };
        let Some(text) = context.tree.read(&path) else {
            continue;
        };
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("set_tests_properties(") {
                take(rest, context, &mut found);
            } else if let Some(rest) = line.strip_prefix("subdirs(") {
                let sub = rest.trim_end_matches(')').trim_matches('"');
                if seen + todo.len() < MOST_DIRECTORIES {
                    let sub = context.relative_from(&dir, sub);
                    todo.push(sub);
                }
            }
        }
        found.entry(String::new()).or_default();
    }
    found.remove("").map(|_| found)
}

fn take(rest: &str, context: &Context, found: &mut BTreeMap<String, Properties>) {
    let Some((name, rest)) = rest.split_once(" PROPERTIES ") else {
        return;
    };
    let name = unquoted(name.trim());
    let one = found.entry(name).or_default();
    one.will_fail |= value(rest, "WILL_FAIL").is_some_and(truth);
    one.setup |= value(rest, "FIXTURES_SETUP").is_some();
    one.cleanup |= value(rest, "FIXTURES_CLEANUP").is_some();
    if let Some(triples) = value(rest, "_BACKTRACE_TRIPLES") {
        let mut parts = triples.split(';');
        if let (Some(file), Some(line)) = (parts.next(), parts.next()) {
            let at = Location {
                file: context.relative(file),
                line: line.parse().ok().filter(|line| *line > 0),
                column: None,
            };
            one.defined.get_or_insert(at);
        }
    }
}

fn truth(value: &str) -> bool {
    let value = value.to_ascii_uppercase();
    matches!(value.as_str(), "ON" | "TRUE" | "YES" | "Y" | "1")
}

/// `[=[name]=]`, `"name"` or `name`.
fn unquoted(name: &str) -> String {
    let bracket = name.strip_prefix('[').and_then(|rest| {
        let width = rest.bytes().take_while(|byte| *byte == b'=').count();
        let rest = rest[width..].strip_prefix('[')?;
        rest.strip_suffix(']')?.get(..rest.len() - 2 - width)
    });
    match bracket {
        Some(name) => name.to_owned(),
        None => name.trim_matches('"').to_owned(),
    }
}

/// The value of `NAME "value"`.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let at = text.find(&format!(" {name} \""))?;
    let rest = &text[at + name.len() + 3..];
    rest.split_once('"').map(|(value, _)| value)
}
