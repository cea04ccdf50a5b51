//! The last resort: a target `test` of a Makefile or justfile, a script of npm's, a session of
//! nox, an environment of tox. Whose tests they start nobody knows before they ran.

use crate::model::Framework;
use crate::model::Suite;
use crate::suite::Listing;
use crate::suite::javascript::test_script;
use crate::suite::suite;
use crate::suite::words;
use std::path::Path;

/// The suite of the project's root, where something there starts tests.
pub fn detect(listing: &Listing) -> Option<Suite> {
    for file in ["GNUmakefile", "makefile", "Makefile"] {
        let text = listing.content(Path::new(file));
        if let Some(target) = text.and_then(|text| target(text, &["test", "check", "tests"])) {
            let why =
                format!("`{file}` has a target `{target}`, and nothing else says how to test");
            return Some(of(words(&format!("make {target}")), why));
        }
    }
    for file in ["justfile", "Justfile", ".justfile"] {
        let text = listing.content(Path::new(file));
        if let Some(target) = text.and_then(|text| target(text, &["test", "tests", "check"])) {
            let why =
                format!("`{file}` has a recipe `{target}`, and nothing else says how to test");
            return Some(of(words(&format!("just {target}")), why));
        }
    }
    let package = listing.content(Path::new("package.json"));
    let package = package.and_then(|text| serde_json::from_str(text).ok());
    if package.as_ref().and_then(test_script).is_some() {
        let why = "`package.json` has a `test` script, and nothing else says how to test";
        return Some(of(words("npm test"), why.to_owned()));
    }
    let tox = listing.content(Path::new("tox.ini"));
    if tox.is_some_and(|text| text.contains("[testenv")) {
        let why = "`tox.ini` has environments, and nothing else says how to test".to_owned();
        return Some(of(words("tox"), why));
    }
    if listing.has(Path::new("noxfile.py")) {
        let why = "there is a `noxfile.py`, and nothing else says how to test".to_owned();
        return Some(of(words("nox"), why));
    }
    None
}

/// A suite that is named after its program.
fn of(command: Vec<String>, why: String) -> Suite {
    let name = command.first().cloned().unwrap_or_default();
    Suite {
        name,
        ..suite(Framework::Generic, Path::new(""), command, why)
    }
}

/// The first of the names that is a target: `test:` or `test arg:` at the beginning of a line.
fn target<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    names.iter().copied().find(|name| {
        text.lines().any(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| {
                let head = rest.split(':').next().unwrap_or("");
                let defined = rest.contains(':') && !rest[head.len()..].starts_with(":=");
                defined && (head.is_empty() || head.starts_with(' '))
            })
        })
    })
}
