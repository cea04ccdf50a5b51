//! What `fix` and `loops` are asked for: where they start, what they say to bad input, and
//! what they show.

use crate::fix::adder;
use crate::fix::agent;
use crate::fix::fix;
use crate::fix::report;
use crate::support::Home;
use crate::support::require;

#[test]
fn it_starts_at_the_tip_and_says_that_the_work_tree_differs() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    project.write("src/lib.rs", "this is not Rust");
    let before = project.fingerprint();
    let text = agent("fixes");
    let ran = project.regreen(["fix", "--agent-command", &text]).run();
    ran.exits(0)
        .complains("the work tree differs from the branch's tip")
        .complains("--dirty");
    assert!(ran.stdout().contains("passed"), "{ran}");
    before.unchanged_in(&project);
}

#[test]
fn dirty_starts_from_the_work_tree() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    project.edit("src/lib.rs", "left - right", "left * right - 1");
    project.write("new.txt", "untracked\n");
    let before = project.fingerprint();
    let text = "sed -i 's/left . right - 1/left + right/' src/lib.rs";
    let args = ["fix", "--json", "--dirty", "--agent-command", text];
    let ran = project.regreen(args).run();
    let report = report(&ran);
    assert_eq!(report["stop_reason"], "passed", "{ran}");
    assert_eq!(report["before"]["failing"], 2, "{report:#}");
    let branch = report["loop_branch"].as_str().expect("a branch");
    assert_eq!(
        project.git(["show", &format!("{branch}:new.txt")]),
        "untracked"
    );
    before.unchanged_in(&project);
}

#[test]
fn bad_input_gets_a_clear_error() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let refuse = |args: &[&str], text: &str| {
        let ran = project.regreen(args.iter().copied()).run();
        ran.exits(2).complains(text);
    };
    refuse(&["fix", "nowhere"], "there is no branch `nowhere`");
    refuse(&["fix", "nowhere"], "there is `main`");
    refuse(&["fix", "--agent", "claud"], "there is no agent `claud`");
    refuse(
        &["fix", "--agent-command", " "],
        "`--agent-command` is empty",
    );
    refuse(&["fix", "--timeout", "soon"], "--timeout");
    refuse(&["fix", "--max-iterations", "many"], "--max-iterations");
    refuse(&["fix", "--usd", "lots"], "not a number of dollars");
    refuse(&["loops", "show", "l0"], "there is no loop `l0`");
    refuse(&["loops", "show"], "this project has no loop yet");
    project.git(["branch", "other"]);
    refuse(&["fix", "other", "--dirty"], "another branch than `other`");
}

#[test]
fn a_place_without_commits_is_refused() {
    let home = Home::new();
    let unborn = home.project("unborn").file("a.py", "").unborn();
    let ran = unborn.regreen(["fix"]).run();
    ran.exits(2).complains("no commit yet");
    let plain = home.project("plain").file("a.py", "").plain();
    plain.regreen(["fix"]).run().exits(2);
}

#[test]
fn a_base_without_tests_is_no_success() {
    if !require("bwrap") {
        return;
    }
    let project = Home::new()
        .project("empty")
        .file("readme.txt", "nothing to test\n")
        .committed();
    let ran = fix(&project, "does-nothing", &[]);
    let report = report(&ran);
    assert_eq!(report["stop_reason"], "infra_error", "{ran}");
    let detail = report["detail"].as_str().expect("a detail");
    assert!(detail.contains("no test suite was found"), "{detail}");
}

#[test]
fn loops_are_listed_and_shown() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let ran = project.regreen(["loops"]).run();
    ran.exits(0).complains("no loops yet");
    let ran = fix(&project, "fixes", &[]);
    let id = report(&ran)["id"].as_str().expect("an id").to_owned();
    let listed = project.regreen(["loops"]).run();
    listed.exits(0);
    let line = listed.stdout();
    assert!(line.contains(&id) && line.contains("passed"), "{line}");
    let shown = project.regreen(["loops", "show", &id]).run();
    shown.exits(0);
    assert!(
        shown.stdout().contains("tests::adds_two_numbers"),
        "{shown}"
    );
    let states: Vec<String> = ran
        .json_lines()
        .iter()
        .filter(|line| line["kind"] == "state")
        .map(|line| line["state"].as_str().expect("a state").to_owned())
        .collect();
    assert_eq!(
        states,
        [
            "preparing",
            "baseline",
            "turn",
            "testing",
            "gating",
            "stopped"
        ]
    );
}
