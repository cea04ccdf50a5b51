//! The command that runs one test again: `go test -count=1 -run '^TestA$/^sub$' PACKAGE`.
//!
//! Each part of the name is anchored and escaped by itself, because go matches part by part.
//! `-count=1` keeps go's cache out: a flaky test that passed before must really run.

use crate::context::Context;
use crate::go::place::Places;

/// One test, example or fuzz seed.
pub(crate) fn of(id: &str, package: &str, places: &mut Places) -> Vec<String> {
    let parts: Vec<String> = id
        .split('/')
        .map(|part| format!("^{}$", escaped(part)))
        .collect();
    let pattern = parts.join("/");
    let mut selection = vec!["-count=1".to_owned()];
    if id.starts_with("Benchmark") {
        selection.extend(["-run=^$".to_owned(), format!("-bench={pattern}")]);
    } else {
        selection.push(format!("-run={pattern}"));
    }
    argv(selection, package, places)
}

/// All tests of a package.
pub(crate) fn package(package: &str, places: &mut Places) -> Vec<String> {
    argv(vec!["-count=1".to_owned()], package, places)
}

/// Whether a package builds.
pub(crate) fn build(package: &str, places: &mut Places) -> Vec<String> {
    argv(
        vec!["-count=1".to_owned(), "-run=^$".to_owned()],
        package,
        places,
    )
}

fn argv(mut selection: Vec<String>, package: &str, places: &mut Places) -> Vec<String> {
    let other = places.module_dir(package).map(|dir| Context {
        dir,
        ..places.context.clone()
    });
    let context = other.as_ref().unwrap_or(&places.context);
    let argument = match package {
        "" => "./...".to_owned(),
        "command-line-arguments" => ".".to_owned(),
        other => match other.strip_prefix('_').filter(|rest| rest.starts_with('/')) {
            Some(absolute) => absolute.to_owned(),
            None => other.to_owned(),
        },
    };
    selection.push(argument);
    context.rerun(&["go", "test"], selection)
}

/// Letters that mean something in a pattern are escaped.
fn escaped(part: &str) -> String {
    let mut out = String::new();
    for c in part.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_anchored() {
        let mut places = Places::new(Context::rooted("/p"));
        assert_eq!(
            of("TestA/q[1]+(2)|$.*/b", "a.b/c", &mut places),
            [
                "go",
                "test",
                "-count=1",
                r"-run=^TestA$/^q\[1\]\+\(2\)\|\$\.\*$/^b$",
                "a.b/c"
            ]
        );
    }
}
