//! Which suites a project has, and why: pure detection from a listing of names and the
//! contents of a few manifests, with the configuration laid over it. Nothing is executed.

mod cargo;
mod configured;
mod graph;
mod listing;
mod python;

pub use configured::SuiteError;
pub use configured::suites;
pub use configured::suites_at;
pub use configured::why_none;
pub use graph::CrateGraph;
pub use listing::Listing;
pub use python::default_command as python_command;

use crate::model::Suite;

/// The suites that the listing gives evidence of, in the order in which they are shown.
pub fn detect(listing: &Listing) -> Vec<Suite> {
    let mut found = cargo::detect(listing);
    found.extend(python::detect(listing));
    found
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
