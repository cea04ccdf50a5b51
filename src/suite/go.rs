//! Go: one suite a workspace (`go.work`), and one for each module that has tests and stands alone.

use crate::model::Framework;
use crate::model::Suite;
use crate::suite::Listing;
use crate::suite::spoken;
use crate::suite::suite;
use crate::suite::words;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

/// The Go suites of a project.
pub fn detect(listing: &Listing) -> Vec<Suite> {
    let modules: BTreeSet<PathBuf> = listing.dirs_with("go.mod").map(Path::to_owned).collect();
    let mut suites = Vec::new();
    let mut taken = BTreeSet::new();
    for dir in listing.dirs_with("go.work") {
        let used: Vec<PathBuf> = used(listing, dir)
            .into_iter()
            .filter(|module| has_tests(listing, module, &modules))
            .collect();
        if used.is_empty() {
            continue;
        }
        let mut command = words("go test");
        command.extend(used.iter().map(|module| pattern(dir, module)));
        let why = format!(
            "the `go.work` in {} uses {} modules with tests",
            spoken(dir),
            used.len()
        );
        taken.extend(used);
        suites.push(suite(Framework::GoTest, dir, command, why));
    }
    for dir in &modules {
        if !taken.contains(dir) && has_tests(listing, dir, &modules) {
            let why = format!("there is a `go.mod` in {}, with tests", spoken(dir));
            suites.push(suite(Framework::GoTest, dir, words("go test ./..."), why));
        }
    }
    suites
}

/// The module directories that a `go.work` names.
fn used(listing: &Listing, dir: &Path) -> Vec<PathBuf> {
    let text = listing.content(&dir.join("go.work")).unwrap_or("");
    let mut found = Vec::new();
    let mut block = false;
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or("").trim();
        let path = match (block, line.strip_prefix("use")) {
            (true, _) if line == ")" => {
                block = false;
                continue;
            }
            (true, _) => line,
            (false, Some(rest)) if rest.trim() == "(" => {
                block = true;
                continue;
            }
            (false, Some(rest)) if rest.starts_with([' ', '\t']) => rest.trim(),
            _ => continue,
        };
        let path = path.trim_matches('"');
        if path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == "..") {
            continue;
        }
        // `./a`, or `.` for the directory itself.
        let below: PathBuf = Path::new(path)
            .components()
            .filter(|part| matches!(part, std::path::Component::Normal(_)))
            .collect();
        found.push(dir.join(below));
    }
    found
}

/// Whether a module has a test that is not another module's.
fn has_tests(listing: &Listing, module: &Path, modules: &BTreeSet<PathBuf>) -> bool {
    listing.names().any(|name| {
        let test = name.to_str().is_some_and(|name| name.ends_with("_test.go"));
        let home = name.ancestors().skip(1).find(|dir| modules.contains(*dir));
        test && home == Some(module)
    })
}

fn pattern(dir: &Path, module: &Path) -> String {
    let below = module.strip_prefix(dir).unwrap_or(module);
    match below.as_os_str().is_empty() {
        true => "./...".to_owned(),
        false => format!("./{}/...", below.display()),
    }
}
