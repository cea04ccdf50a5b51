//! The user's index, HEAD, refs, config, hooks and work tree are byte for byte the same after
//! a run, while a daemon watches, and after a loop.

use crate::support::Home;
use crate::support::Project;
use crate::support::require;
use std::os::unix::fs::PermissionsExt;

/// A project in the middle of work: staged, unstaged, untracked and ignored changes, a stash,
/// a tag, a packed ref, a hook, a merge driver that nobody runs.
fn in_the_middle_of_work(home: &Home) -> Project {
    let project = home.fixture("cargo-assertion");
    project.git(["branch", "other"]);
    project.git(["tag", "-a", "v1", "-m", "one"]);
    project.git(["pack-refs", "--all"]);
    project.edit("src/lib.rs", "Adds numbers", "Adds two numbers");
    project.git(["stash", "-q"]);
    project.edit("src/lib.rs", "The sum of both.", "The sum.");
    project.git(["add", "src/lib.rs"]);
    project.edit("src/lib.rs", "The sum.", "The sum of the two.");
    project.write("notes.txt", "untracked\n");
    project.write(".gitignore", "/target\n/ignored\n");
    project.write("ignored/thing", "ignored\n");
    project.write(".git/hooks/pre-commit", "#!/bin/sh\nexit 1\n");
    let executable = PermissionsExt::from_mode(0o755);
    let hook = project.path(".git/hooks/pre-commit");
    std::fs::set_permissions(hook, executable).expect("ours");
    project.git(["config", "regreen.test", "kept"]);
    project
}

#[test]
fn by_a_run() {
    if !require("bwrap") {
        return;
    }
    let project = in_the_middle_of_work(&Home::new());
    let before = project.fingerprint();
    project.regreen(["run"]).run().exits(100);
    before.unchanged_in(&project);
    project
        .regreen(["run", "--at", "other", "--json"])
        .run()
        .exits(100);
    before.unchanged_in(&project);
}

#[test]
fn while_it_is_watched() {
    if !require("bwrap") {
        return;
    }
    let project = in_the_middle_of_work(&Home::new());
    let before = project.fingerprint();
    let watch = project.regreen(["watch"]).start();
    project.status_until("red", |status| {
        status["verdict"] == "red" && status["activity"] == "idle"
    });
    before.unchanged_in(&project);
    project.edit("src/lib.rs", "left - right", "left + right");
    let after_the_edit = project.fingerprint();
    project.status_until("green", |status| {
        status["verdict"] == "green" && status["activity"] == "idle"
    });
    after_the_edit.unchanged_in(&project);
    watch.interrupt().exits(0);
    after_the_edit.unchanged_in(&project);
}

#[test]
fn by_a_loop_that_is_not_applied() {
    if !require("bwrap") {
        return;
    }
    let project = in_the_middle_of_work(&Home::new());
    let before = project.fingerprint();
    let agent = "sed -i 's/left - right/left + right/' src/lib.rs";
    let command = format!("sh -c \"{agent}\"");
    let ran = project
        .regreen(["fix", "main", "--json", "--agent-command", &command])
        .run();
    before.unchanged_in(&project);
    ran.exits(0);
    let refs = project.git(["for-each-ref", "--format=%(refname)", "refs/heads/regreen"]);
    assert!(!refs.is_empty(), "a loop leaves its branch: {ran}");
    // The loop's commits are complete without anything of regreen's own.
    let branch = refs.lines().next().expect("just seen");
    project.git(["fsck", "--full", "--strict"]);
    let fixed = project.git(["show", &format!("{branch}:src/lib.rs")]);
    assert!(fixed.contains("left + right"), "{fixed}");
}
