//! Which suites a project has, and why: pure detection from a listing of names and the
//! contents of a few manifests, with the configuration laid over it. Nothing is executed.

mod cargo;
mod configured;
mod go;
mod graph;
mod javascript;
mod jvm;
mod listing;
mod matrix;
mod native;
mod perl;
mod php;
mod python;
mod ruby;
mod scripts;
mod setup;

pub use configured::SuiteError;
pub use configured::suites;
pub use configured::suites_at;
pub use configured::why_none;
pub use graph::CrateGraph;
pub use listing::Listing;
pub use matrix::RUSTUP;
pub use python::default_command as python_command;

use crate::model::Framework;
use crate::model::Limits;
use crate::model::Suite;
use std::path::Path;
use std::path::PathBuf;

/// The suites that the listing gives evidence of, in the order in which they are shown.
pub fn detect(listing: &Listing) -> Vec<Suite> {
    let mut found = cargo::detect(listing);
    found.extend(python::detect(listing));
    found.extend(javascript::detect(listing));
    found.extend(go::detect(listing));
    found.extend(ruby::detect(listing));
    found.extend(php::detect(listing));
    found.extend(jvm::detect(listing));
    found.extend(native::detect(listing));
    found.extend(perl::detect(listing));
    if found.is_empty() {
        // What says only that there are tests, and not whose.
        found.extend(scripts::detect(listing));
    }
    found
}

/// A suite as its ecosystem finds it: the limits are those of the configuration.
fn suite(framework: Framework, dir: &Path, command: Vec<String>, why: String) -> Suite {
    let kind = match framework {
        Framework::Cargo => "cargo",
        framework => framework.as_str(),
    };
    Suite {
        name: name(kind, dir),
        framework,
        dir: dir.to_owned(),
        command,
        env: Vec::new(),
        carry: Vec::new(),
        services: Vec::new(),
        setup: None,
        artifacts: Vec::new(),
        limits: Limits::default(),
        why,
    }
}

/// Of directories that lie in each other the outer ones.
fn outermost(dirs: impl IntoIterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = dirs.into_iter().collect();
    found.sort();
    found.dedup();
    let all = found.clone();
    found.retain(|dir| !all.iter().any(|up| up != dir && dir.starts_with(up)));
    found
}

/// A command without quotes, by its words.
fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// The way from a directory to something above or beside it, `../../x`.
fn from(dir: &Path, to: &Path) -> String {
    let ups = dir.components().count() - common(dir, to);
    let rest: PathBuf = to.components().skip(common(dir, to)).collect();
    format!("{}{}", "../".repeat(ups), rest.display())
}

fn common(one: &Path, other: &Path) -> usize {
    let pairs = one.components().zip(other.components());
    pairs.take_while(|(one, other)| one == other).count()
}

/// `cargo` at the root, `cargo@tools/gen` elsewhere.
fn name(kind: &str, dir: &std::path::Path) -> String {
    if dir.as_os_str().is_empty() {
        kind.to_owned()
    } else {
        format!("{kind}@{}", dir.display())
    }
}

/// How a directory is called in a `why`.
fn spoken(dir: &std::path::Path) -> String {
    if dir.as_os_str().is_empty() {
        "the project's root".to_owned()
    } else {
        format!("`{}`", dir.display())
    }
}

#[cfg(test)]
mod tests;
