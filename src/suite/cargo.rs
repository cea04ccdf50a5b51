//! Cargo: one suite a workspace, and one for each crate that stands alone.

use crate::model::Framework;
use crate::model::Suite;
use crate::suite::CrateGraph;
use crate::suite::Listing;
use crate::suite::spoken;
use std::path::Path;

/// The cargo suites of a project.
pub fn detect(listing: &Listing) -> Vec<Suite> {
    let graph = CrateGraph::read(listing);
    graph
        .dirs()
        .filter_map(|dir| {
            Some(suite(
                listing,
                dir,
                reason(&graph, dir)?,
                graph.is_workspace(dir),
            ))
        })
        .collect()
}

/// Why a directory with a manifest is a suite of its own; `None` when it belongs to another.
fn reason(graph: &CrateGraph, dir: &Path) -> Option<String> {
    if graph.is_workspace(dir) {
        let packages = graph
            .members(dir)
            .iter()
            .filter(|dir| graph.is_package(dir))
            .count();
        let crates = if packages == 1 { "crate" } else { "crates" };
        return Some(format!(
            "the `Cargo.toml` in {} has a `[workspace]` of {packages} {crates}",
            spoken(dir)
        ));
    }
    match graph.root_of(dir) {
        None => Some(format!("there is a `Cargo.toml` in {}", spoken(dir))),
        // A member is tested by its workspace; cargo refuses what is neither a member nor
        // excluded.
        Some(_) => None,
    }
}

fn suite(listing: &Listing, dir: &Path, why: String, workspace: bool) -> Suite {
    let nextest = listing.has(&dir.join(".config/nextest.toml"));
    let (framework, words): (_, &[&str]) = match (nextest, workspace) {
        (true, true) => (
            Framework::Nextest,
            &["cargo", "nextest", "run", "--workspace"],
        ),
        (true, false) => (Framework::Nextest, &["cargo", "nextest", "run"]),
        (false, true) => (Framework::Cargo, &["cargo", "test", "--workspace"]),
        (false, false) => (Framework::Cargo, &["cargo", "test"]),
    };
    let why = if nextest {
        format!("{why}, and `.config/nextest.toml` beside it asks for nextest")
    } else {
        why
    };
    let command = words.iter().map(|word| (*word).to_owned()).collect();
    crate::suite::suite(framework, dir, command, why)
}
