//! The argv that runs one test again.
//!
//! `--test-name-pattern` means something else in each version: up to 20 a pattern is compared
//! with a test's own name, and runs everything below it; from 22 on it is compared with all the
//! names joined by blanks, and suites around a match run by themselves. Tests inside of tests
//! (`t.test`) cannot be selected alone in any version: the outermost test is run as a whole.
//! Our reporter knows version and suites. Of text both have to be guessed: a test in suites
//! leaves frames of `Suite` in its stack, and patterns of both kinds are given.

use crate::context::Context;

/// The argv for a file and the names of which one has to match.
pub(crate) fn argv(context: &Context, file: &str, names: &[String]) -> Vec<String> {
    let mut selection: Vec<String> = names
        .iter()
        .map(|name| format!("--test-name-pattern=^{}$", escaped(name)))
        .collect();
    if !file.is_empty() {
        selection.push(context.in_dir(file));
    }
    context.rerun(&["node", "--test"], selection)
}

/// The names that select a test that was read from text.
pub(crate) fn names(path: &[String], stack: &str) -> Vec<String> {
    let Some((last, outer)) = path.split_last() else {
        return Vec::new();
    };
    if outer.is_empty() {
        return vec![last.clone()];
    }
    let suite = |line: &str| {
        let line = line.trim_start();
        ["at Suite.", "at async Suite.", "at new Suite "]
            .iter()
            .any(|start| line.starts_with(start))
    };
    match stack.lines().any(suite) {
        true => vec![last.clone(), path.join(" ")],
        false => vec![outer[0].clone()],
    }
}

/// A name as a regular expression of JavaScript.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\\' | '^' | '$' | '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|'
            | '/' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
