//! `regreen fix` and `regreen loops` from the outside, with scripted agents in real sandboxes.

mod agents;
mod asked;
mod landing;
mod landing_kills;
mod resume;
mod sweep;

use crate::support::Home;
use crate::support::Project;
use crate::support::Ran;
use crate::support::repository;
use serde_json::Value;
use std::path::PathBuf;

/// The text of `fixtures/agents/<name>.sh`.
fn agent(name: &str) -> String {
    let path = repository().join(format!("fixtures/agents/{name}.sh"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `fixtures/projects/cargo-assertion`: one test of two fails.
fn adder() -> Project {
    fixture("cargo-assertion")
}

fn fixture(name: &str) -> Project {
    Home::new().fixture(name)
}

/// Runs `regreen fix` with an agent of the fixtures.
#[track_caller]
fn fix(project: &Project, name: &str, more: &[&str]) -> Ran {
    let text = agent(name);
    let args = ["fix", "--json", "--agent-command", &text];
    project.regreen(args.iter().chain(more).copied()).run()
}

/// The report: the last line of `fix --json`.
#[track_caller]
fn report(ran: &Ran) -> Value {
    let lines = ran.json_lines();
    let last = lines
        .last()
        .unwrap_or_else(|| panic!("nothing was printed\n{ran}"));
    assert_eq!(last["kind"], "report", "{ran}");
    last.clone()
}

/// The directory of the project's only loop.
fn loop_dir(project: &Project) -> Option<PathBuf> {
    let loops = project.home.state().join("loops");
    let mut found = std::fs::read_dir(loops).ok()?.flatten();
    found.next().map(|entry| entry.path())
}

/// Every slot below the home, with what lies in it.
fn slots(project: &Project) -> Vec<PathBuf> {
    let top = project.home.cache().join("slots");
    let list = |dir: &PathBuf| -> Vec<PathBuf> {
        std::fs::read_dir(dir)
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default()
    };
    list(&top).iter().flat_map(list).collect()
}
