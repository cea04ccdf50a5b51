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
    for odd in ["HEAD", "HEAD~0", "HEAD^{commit}", "refs/tags/v1"] {
        if odd == "refs/tags/v1" {
            project.git(["tag", "v1"]);
        }
        refuse(&["fix", odd], "is a revision of");
        refuse(&["fix", odd], &format!("git branch NAME {odd}"));
    }
    refuse(&["fix", "HEAD~1"], "there is no branch `HEAD~1`");
    refuse(&["fix", "a b"], "there is no branch `a b`");
    refuse(&["fix", "--agent", "claud"], "there is no agent `claud`");
    refuse(
        &["fix", "--agent-command", " "],
        "`--agent-command` is empty",
    );
    refuse(&["fix", "--agent-command", ""], "is empty");
    let zero = "`--max-iterations` (`max_iterations` in the configuration's `[fix]`) is 0";
    refuse(&["fix", "--max-iterations", "0"], zero);
    refuse(&["fix", "--timeout", "0s"], "--timeout");
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

/// An agent that leaves a trace, so that one turn too many is seen.
const NO_TURN: &str = "touch agent-was-here";

#[test]
fn what_apply_cannot_do_at_the_end_is_refused_at_the_start() {
    let project = adder();
    let apply = ["fix", "--apply", "--agent-command", NO_TURN];
    project.git(["worktree", "add", "-q", "-b", "beside", "../beside"]);
    let other = ["fix", "beside", "--apply", "--agent-command", NO_TURN];
    let ran = project.regreen(other).run();
    ran.exits(2)
        .complains("is checked out in")
        .complains("/beside");
    project.git(["worktree", "remove", "../beside"]);
    project.git(["branch", "-D", "beside"]);
    project.git(["checkout", "-q", "--detach"]);
    let ran = project.regreen(apply).run();
    ran.exits(2)
        .complains("is detached")
        .complains("check a branch out");
    project.git(["checkout", "-q", "main"]);
    let listed = project.regreen(["loops", "list", "--json"]).run().json();
    assert_eq!(listed, serde_json::json!([]), "nothing was begun");
}

#[test]
fn a_suite_without_tests_gets_no_agent() {
    if !require("bwrap") {
        return;
    }
    let project = Home::new()
        .project("bare")
        .file(
            "Cargo.toml",
            "[package]\nname = \"bare\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
        )
        .file("src/lib.rs", "pub fn nothing() {}\n")
        .committed();
    let args = ["fix", "--json", "--agent-command", NO_TURN];
    let ran = project.regreen(args).run();
    let report = report(&ran);
    assert_eq!(report["stop_reason"], "infra_error", "{ran}");
    assert_eq!(report["spend"]["iterations"], 0, "{report:#}");
    let detail = report["detail"].as_str().expect("a detail");
    assert!(detail.contains("ran no tests"), "{detail}");
    // What is not there does not fail.
    assert_eq!(report["before"]["failing"], 0, "{report:#}");
    assert_eq!(report["failing"], serde_json::Value::Null, "{report:#}");
    ran.exits(120);
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
    assert_eq!(report["spend"]["iterations"], 0, "{report:#}");
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

#[test]
fn a_suite_that_sets_variables_is_read_by_its_structure_and_a_lost_directory_is_named() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    project.write(
        "regreen.toml",
        "[[suite]]\nname = \"cargo\"\ncommand = [\"env\", \"MODE=on\", \"cargo\", \"test\"]\n",
    );
    project.write(
        "src/lib.rs",
        "#[test]\nfn mode() { assert_eq!(std::env::var(\"MODE\").as_deref(), Ok(\"on\")); }\n\
         #[test]\nfn broken() { assert_eq!(1, 2); }\n",
    );
    project.commit("with a variable");
    let ran = project.regreen(["run", "--json"]).run();
    let run = ran.json();
    let report = &run["reports"][0];
    assert_eq!(report["run"]["framework"], "cargo-test", "{report:#}");
    assert_eq!(report["counts"]["passed"], 1, "{report:#}");
    assert_eq!(report["failures"][0]["id"], "broken", "{report:#}");
    assert_eq!(report["failures"][0]["location"]["line"], 4, "{report:#}");

    project.write(
        "regreen.toml",
        "[[suite]]\nname = \"cargo@gone\"\ndir = \"gone\"\ncommand = \"cargo test\"\n",
    );
    project.commit("a directory that is not there");
    let args = ["fix", "--json", "--agent-command", NO_TURN];
    let ran = project.regreen(args).run();
    let ended = crate::fix::report(&ran);
    assert_eq!(ended["stop_reason"], "infra_error", "{ran}");
    let detail = ended["detail"].as_str().expect("a detail");
    assert!(detail.contains("`dir = \"gone\"`"), "{detail}");
    assert_eq!(ended["spend"]["iterations"], 0);
}
