//! `loops apply` killed at each of its steps: branch, index and work tree are where they were,
//! or the next try brings all three to where they belong.

use crate::fix::report;
use crate::support::Home;
use crate::support::Project;
use crate::support::Started;
use crate::support::require;
use crate::support::until;
use std::time::Duration;
use std::time::Instant;

const LONG: Duration = Duration::from_secs(60);
/// Enough that writing them takes a moment.
const FILES: usize = 150;

/// A loop that passed and touches many files: some changed, one removed, one new.
fn passed() -> Project {
    let suite =
        "[[suite]]\nname = \"script\"\nframework = \"generic\"\ncommand = [\"sh\", \"test.sh\"]\n";
    let mut builder = Home::new()
        .project("big")
        .file("regreen.toml", suite)
        .file("test.sh", "grep -q good state.txt\n")
        .file("state.txt", "bad\n");
    for file in 0..FILES {
        let text = format!("{file} {}\n", "old ".repeat(1_000));
        builder = builder.file(format!("data/f{file:03}"), text);
    }
    let project = builder.committed();
    let text = "echo good > state.txt; sed -i 's/old/new/g' data/f*; rm data/f001; \
                mkdir -p added; echo hello > added/one";
    let args = ["fix", "--json", "--agent-command", text];
    let ran = project.regreen(args).run();
    assert_eq!(report(&ran)["stop_reason"], "passed", "{ran}");
    project
}

/// Where a landing is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Proving,
    FirstFile,
    HalfOfTheFiles,
    IndexLocked,
    IndexWritten,
    BranchMoved,
}

/// What a landing has done so far.
#[derive(Debug, PartialEq, Eq)]
struct Done {
    files: usize,
    index: bool,
    branch: bool,
}

struct Before {
    index: Vec<u8>,
    tip: String,
}

impl Before {
    fn of(project: &Project) -> Before {
        Before {
            index: std::fs::read(project.path(".git/index")).expect("there"),
            tip: project.read(".git/refs/heads/main"),
        }
    }

    fn done(&self, project: &Project) -> Done {
        let new = |file: &usize| is_new(project, *file);
        Done {
            files: (0..FILES).filter(new).count(),
            index: std::fs::read(project.path(".git/index")).expect("there") != self.index,
            branch: self.branch_moved(project),
        }
    }

    fn branch_moved(&self, project: &Project) -> bool {
        project.read(".git/refs/heads/main") != self.tip
    }
}

fn is_new(project: &Project, file: usize) -> bool {
    let text = std::fs::read_to_string(project.path(format!("data/f{file:03}")));
    text.is_ok_and(|text| text.contains("new"))
}

/// Kills a landing at a step, or a moment later. Answers what it had done by then.
fn kill_at(project: &Project, before: &Before, step: Step) -> Done {
    let running: Started = project.regreen(["loops", "apply", "--json"]).start();
    let lock = project.path(".git/index.lock");
    let index = project.path(".git/index");
    let written = || index.metadata().and_then(|meta| meta.modified()).ok();
    let first = written();
    let slot = project.home.cache().join("slots");
    let reached = || match step {
        Step::Proving => slot.exists() && !is_new(project, 0),
        Step::FirstFile => is_new(project, 0),
        Step::HalfOfTheFiles => is_new(project, FILES / 2),
        // It is there for less than a millisecond: what comes after it is taken too.
        Step::IndexLocked => lock.exists() || written() != first,
        Step::IndexWritten => written() != first,
        Step::BranchMoved => before.branch_moved(project),
    };
    // No pause: each of the steps is over soon.
    let until = Instant::now() + LONG;
    while !reached() {
        assert!(Instant::now() < until, "{step:?} was never reached");
    }
    running.kill_9();
    before.done(project)
}

#[track_caller]
fn landed(project: &Project) {
    assert_eq!(project.git(["status", "--porcelain"]), "");
    for file in (0..FILES).filter(|file| *file != 1) {
        assert!(is_new(project, file), "f{file}");
    }
    assert!(!project.path("data/f001").exists());
    assert_eq!(project.read("added/one"), "hello\n");
    assert_eq!(project.read("state.txt"), "good\n");
    for lock in [".git/index.lock", ".git/refs/heads/main.lock"] {
        assert!(!project.path(lock).exists(), "{lock} is left");
    }
    let shown = project.regreen(["loops", "show", "--json"]).run().json();
    assert_eq!(shown["landing"], "applied", "{shown:#}");
    assert_eq!(shown["notes"], serde_json::Value::Null, "{shown:#}");
    let head = project.git(["rev-parse", "HEAD"]);
    assert_eq!(shown["applied"].as_str(), Some(head.as_str()));
}

#[test]
fn a_landing_that_is_killed_at_any_step_is_finished_by_the_next_try() {
    if !require("bwrap") {
        return;
    }
    for step in [
        Step::FirstFile,
        Step::HalfOfTheFiles,
        Step::IndexLocked,
        Step::IndexWritten,
        Step::BranchMoved,
    ] {
        let project = passed();
        let before = Before::of(&project);
        let done = kill_at(&project, &before, step);
        eprintln!("killed at {step:?}: {done:?}");
        let shown = project.regreen(["loops", "show", "--json"]).run().json();
        if shown["landing"] != "applied" {
            let remedy = format!("regreen loops apply {}", shown["id"].as_str().unwrap());
            assert!(shown["notes"].to_string().contains(&remedy), "{shown:#}");
            // It is not proved again: that was done, and on record.
            project.regreen(["loops", "apply"]).run().exits(0);
        }
        landed(&project);
    }
}

#[test]
fn a_landing_that_is_killed_before_it_is_proved_has_touched_nothing() {
    if !require("bwrap") {
        return;
    }
    let project = passed();
    let before = project.fingerprint();
    let done = kill_at(&project, &Before::of(&project), Step::Proving);
    assert!(!done.index && !done.branch && done.files == 0, "{done:?}");
    before.unchanged_in(&project);
    project.regreen(["loops", "apply"]).run().exits(0);
    landed(&project);
}

#[test]
fn a_lock_and_a_torn_file_of_a_killed_landing_are_no_obstacle_and_an_edit_is() {
    if !require("bwrap") {
        return;
    }
    let project = passed();
    let done = kill_at(&project, &Before::of(&project), Step::HalfOfTheFiles);
    assert!(!done.branch, "it was too fast: {done:?}");
    // What a kill in the middle of writing leaves.
    let last = format!("data/f{:03}", FILES - 1);
    let half = format!("{} new ", FILES - 1);
    project.write(&last, &half);
    for lock in [".git/index.lock", ".git/refs/heads/main.lock"] {
        std::fs::write(project.path(lock), "").expect("ours");
    }
    // What only a person writes.
    let touched = project.read("data/f000");
    project.write("data/f000", "mine\n");
    let ran = project.regreen(["loops", "apply"]).run();
    ran.exits(1).complains("`data/f000` would be overwritten");
    assert_eq!(project.read("data/f000"), "mine\n");
    assert_eq!(project.read(&last), half, "nothing else was written");
    project.write("data/f000", touched);
    project.regreen(["loops", "apply"]).run().exits(0);
    landed(&project);
}

#[test]
fn a_daemon_that_starts_finishes_a_landing() {
    if !require("bwrap") {
        return;
    }
    let project = passed();
    let done = kill_at(&project, &Before::of(&project), Step::FirstFile);
    assert!(!done.branch, "it was too fast: {done:?}");
    let daemon = project.regreen(["daemon"]).start();
    until("the landing is finished", LONG, || {
        let shown = project.regreen(["loops", "show", "--json"]).run().json();
        (shown["landing"] == "applied").then_some(())
    });
    landed(&project);
    daemon.terminate().exits(0);
}

#[test]
fn a_branch_that_moved_after_the_kill_is_left_to_the_user() {
    if !require("bwrap") {
        return;
    }
    let project = passed();
    let done = kill_at(&project, &Before::of(&project), Step::FirstFile);
    assert!(!done.branch, "it was too fast: {done:?}");
    let _ = std::fs::remove_file(project.path(".git/index.lock"));
    project.git(["checkout", "-q", "--", "."]);
    project.git(["clean", "-q", "-f", "-d"]);
    project.write("mine.txt", "mine\n");
    project.commit("mine");
    // Proved and landed anew, on top of it.
    project.regreen(["loops", "apply"]).run().exits(0);
    assert_eq!(project.read("mine.txt"), "mine\n");
    landed(&project);
}
