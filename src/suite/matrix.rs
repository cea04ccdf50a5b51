//! A matrix of environments: of one suite as many as there are combinations, each a suite of its
//! own with a name that says which.
//!
//! A key in capitals is a variable. Any other key stands where the suite says `{key}`. Two need not
//! be said: `toolchain` is rustup's, `python` the interpreter that runs the command.

use crate::config::Matrix;
use crate::model::Suite;
use crate::suite::SuiteError;
use std::path::PathBuf;

/// How long a value may be in a name.
const LONGEST: usize = 32;
/// By which rustup's proxies choose.
pub const RUSTUP: &str = "RUSTUP_TOOLCHAIN";

/// The suites that a matrix makes of one.
///
/// # Errors
/// A key that the suite does not use.
pub(super) fn expand(suite: &Suite, matrix: &Matrix) -> Result<Vec<Suite>, SuiteError> {
    let mut combinations: Vec<Vec<(&str, &str)>> = vec![Vec::new()];
    for (key, values) in matrix {
        combinations = combinations
            .iter()
            .flat_map(|known| {
                values.iter().map(move |value| {
                    let one = (key.as_str(), value.as_str());
                    known.iter().copied().chain([one]).collect()
                })
            })
            .collect();
    }
    let of = combinations.len();
    let mut suites: Vec<Suite> = Vec::new();
    for combination in &combinations {
        let mut one = suite.clone();
        for (key, value) in combination {
            set(&mut one, key, value)?;
        }
        one.name = name(&suite.name, combination, &suites);
        let said: Vec<String> = combination
            .iter()
            .map(|(key, value)| format!("`{key}` is `{value}`"))
            .collect();
        one.why = format!(
            "{}; one of {of} of its `matrix`: {}",
            one.why,
            said.join(", ")
        );
        suites.push(one);
    }
    Ok(suites)
}

/// `pytest[DB=sqlite,python=3.12]`; what no name may hold is `-` in it.
fn name(base: &str, combination: &[(&str, &str)], known: &[Suite]) -> String {
    let plain = |value: &str| -> String {
        let letters = value.chars().take(LONGEST);
        let fits = |c: &char| c.is_ascii_alphanumeric() || "._+:-".contains(*c);
        letters.map(|c| if fits(&c) { c } else { '-' }).collect()
    };
    let parts: Vec<String> = combination
        .iter()
        .map(|(key, value)| format!("{key}={}", plain(value)))
        .collect();
    let wanted = format!("{base}[{}]", parts.join(","));
    let taken = |name: &String| known.iter().any(|suite| suite.name == *name);
    // Two values may look alike in a name.
    let numbered = (2..).map(|number| format!("{base}[{},{number}]", parts.join(",")));
    let mut names = std::iter::once(wanted.clone()).chain(numbered);
    names.find(|name| !taken(name)).unwrap_or(wanted)
}

/// Whether a key is the name of a variable.
fn is_variable(key: &str) -> bool {
    !key.chars().any(|c| c.is_ascii_lowercase())
}

fn set(suite: &mut Suite, key: &str, value: &str) -> Result<(), SuiteError> {
    let variable = |suite: &mut Suite, name: &str| {
        suite.env.retain(|(known, _)| known != name);
        suite.env.push((name.to_owned(), value.to_owned()));
    };
    if is_variable(key) {
        variable(suite, key);
        return Ok(());
    }
    let mut used = fill(suite, key, value);
    match key {
        "toolchain" if !used => {
            variable(suite, RUSTUP);
            used = true;
        }
        "python" if !used => used = interpreter(suite, value),
        _ => {}
    }
    match used {
        true => Ok(()),
        false => Err(SuiteError::UnusedKey {
            name: suite.name.clone(),
            key: key.to_owned(),
        }),
    }
}

/// Puts the value wherever the suite says `{key}`; answers whether it does.
fn fill(suite: &mut Suite, key: &str, value: &str) -> bool {
    let mut used = false;
    let mut put = |text: &str| {
        let (text, hit) = filled(text, key, value);
        used |= hit;
        text
    };
    for word in &mut suite.command {
        *word = put(word);
    }
    for (_, text) in &mut suite.env {
        *text = put(text);
    }
    for path in &mut suite.carry {
        *path = PathBuf::from(put(&path.to_string_lossy()));
    }
    for pattern in &mut suite.artifacts {
        *pattern = put(pattern);
    }
    used
}

/// `${key}` is the shell's own.
fn filled(text: &str, key: &str, value: &str) -> (String, bool) {
    let place = format!("{{{key}}}");
    let mut result = String::new();
    let mut rest = text;
    let mut used = false;
    while let Some(at) = rest.find(&place) {
        let before = &rest[..at];
        result.push_str(before);
        match before.ends_with('$') {
            true => result.push_str(&place),
            false => {
                result.push_str(value);
                used = true;
            }
        }
        rest = &rest[at + place.len()..];
    }
    result.push_str(rest);
    (result, used)
}

/// `python3 -m pytest` and `.venv/bin/python -m pytest` with another interpreter, from `PATH`.
fn interpreter(suite: &mut Suite, version: &str) -> bool {
    let Some(program) = suite.command.first_mut() else {
        return false;
    };
    let name = program.rsplit('/').next().unwrap_or(program);
    let numbered = name.strip_prefix("python");
    let plain = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || c == '.');
    if !numbered.is_some_and(plain) {
        return false;
    }
    *program = format!("python{version}");
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Framework;
    use std::path::Path;

    fn suite(command: &str) -> Suite {
        let command = command.split(' ').map(str::to_owned).collect();
        crate::suite::suite(Framework::Pytest, Path::new(""), command, "because".into())
    }

    fn matrix(keys: &[(&str, &[&str])]) -> Matrix {
        let owned = |values: &[&str]| values.iter().map(|it| (*it).to_owned()).collect();
        keys.iter()
            .map(|(key, values)| ((*key).to_owned(), owned(values)))
            .collect()
    }

    fn shown(suite: &Suite, keys: &[(&str, &[&str])]) -> Vec<String> {
        let suites = expand(suite, &matrix(keys)).expect("every key is used");
        suites
            .iter()
            .map(|suite| format!("{} {:?} {}", suite.name, suite.env, suite.command.join(" ")))
            .collect()
    }

    #[test]
    fn every_combination_is_a_suite() {
        let keys: &[(&str, &[&str])] = &[("DB", &["a b", "a/b"]), ("python", &["3.11", "3.12"])];
        assert_eq!(
            shown(&suite(".venv/bin/python -m pytest"), keys),
            [
                "pytest[DB=a-b,python=3.11] [(\"DB\", \"a b\")] python3.11 -m pytest",
                "pytest[DB=a-b,python=3.12] [(\"DB\", \"a b\")] python3.12 -m pytest",
                "pytest[DB=a-b,python=3.11,2] [(\"DB\", \"a/b\")] python3.11 -m pytest",
                "pytest[DB=a-b,python=3.12,2] [(\"DB\", \"a/b\")] python3.12 -m pytest",
            ]
        );
    }

    #[test]
    fn a_key_stands_where_it_is_said() {
        let mut suite = suite(".venv-{python}/bin/python -m pytest ${python}");
        suite.carry = vec![".venv-{python}".into()];
        let suites = expand(&suite, &matrix(&[("python", &["3.12"])])).expect("used");
        assert_eq!(suites[0].command[0], ".venv-3.12/bin/python");
        assert_eq!(suites[0].command[3], "${python}");
        assert_eq!(suites[0].carry, [PathBuf::from(".venv-3.12")]);
        let why = "because; one of 1 of its `matrix`: `python` is `3.12`";
        assert_eq!(suites[0].why, why);
    }

    #[test]
    fn rustup_is_told_by_its_variable() {
        let shown = shown(&suite("cargo test"), &[("toolchain", &["nightly"])]);
        let wanted = "pytest[toolchain=nightly] [(\"RUSTUP_TOOLCHAIN\", \"nightly\")] cargo test";
        assert_eq!(shown, [wanted]);
    }

    #[test]
    fn a_key_that_nothing_uses_is_a_mistake() {
        let error = expand(&suite("cargo test"), &matrix(&[("python", &["3.12"])]));
        let error = error.expect_err("cargo runs no Python").to_string();
        assert!(
            error.contains("`python`") && error.contains("`{python}`"),
            "{error}"
        );
    }
}
