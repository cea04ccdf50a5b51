//! `loops apply`: nothing lands unproved, and what is refused changes nothing.

use crate::fix::adder;
use crate::fix::agent;
use crate::fix::fix;
use crate::fix::report;
use crate::support::Project;
use crate::support::require;

/// A loop that passed.
fn passed() -> Option<Project> {
    if !require("bwrap") {
        return None;
    }
    let project = adder();
    let ran = fix(&project, "fixes", &[]);
    assert_eq!(report(&ran)["stop_reason"], "passed", "{ran}");
    Some(project)
}

#[track_caller]
fn is_clean(project: &Project) {
    assert_eq!(project.git(["status", "--porcelain"]), "");
}

#[test]
fn what_passed_lands_on_a_clean_checkout() {
    let Some(project) = passed() else { return };
    let tip = project.git(["rev-parse", "main"]);
    let ran = project.regreen(["loops", "apply", "--json"]).run();
    ran.exits(0);
    let report = report(&ran);
    assert_eq!(report["landing"], "applied");
    assert_eq!(
        report["applied"],
        project.git(["rev-parse", "main"]).as_str()
    );
    assert_eq!(project.git(["rev-parse", "main~1"]), tip);
    assert!(project.read("src/lib.rs").contains("left + right"));
    is_clean(&project);
    project
        .regreen(["loops", "apply"])
        .run()
        .exits(1)
        .complains("was applied already");
}

#[test]
fn fix_can_land_by_itself() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let ran = fix(&project, "fixes", &["--apply"]);
    assert_eq!(report(&ran)["landing"], "applied", "{ran}");
    assert!(project.read("src/lib.rs").contains("left + right"));
    is_clean(&project);
}

#[test]
fn a_branch_that_moved_gets_the_commits_on_top() {
    let Some(project) = passed() else { return };
    project.write("notes.txt", "meanwhile\n");
    let moved = project.commit("meanwhile");
    let ran = project.regreen(["loops", "apply"]).run();
    let said = ran.exits(0).stdout();
    let (_, branch) = said.split_once("`git branch -D ").expect("it says how");
    let (branch, _) = branch.split_once('`').expect("it ends");
    assert!(branch.starts_with("regreen/"), "{said}");
    project.git(["branch", "-q", "-D", branch]);
    assert_eq!(project.git(["rev-parse", "main~1"]), moved);
    assert!(project.read("src/lib.rs").contains("left + right"));
    assert_eq!(project.read("notes.txt"), "meanwhile\n");
    is_clean(&project);
}

#[test]
fn what_is_red_on_the_moved_branch_is_refused() {
    let Some(project) = passed() else { return };
    // Merges without a conflict, and another test fails with it.
    project.write(
        "tests/more.rs",
        "#[test]\nfn subtracts() {\n    assert_eq!(adder::add(2, 2), 0);\n}\n",
    );
    project.commit("another opinion");
    let before = project.fingerprint();
    project
        .regreen(["loops", "apply"])
        .run()
        .exits(1)
        .complains("nothing was applied")
        .complains("fresh_run");
    before.unchanged_in(&project);
}

#[test]
fn a_conflict_is_refused_and_names_the_file() {
    let Some(project) = passed() else { return };
    project.edit("src/lib.rs", "left - right", "left - right - 0");
    project.commit("the same line");
    let before = project.fingerprint();
    project
        .regreen(["loops", "apply"])
        .run()
        .exits(1)
        .complains("conflicts with `main`")
        .complains("src/lib.rs");
    before.unchanged_in(&project);
    let refused = project.regreen(["loops", "apply"]).run();
    refused
        .exits(1)
        .complains("merge that by hand, or start anew");
    project.git(["checkout", "-q", "--detach"]);
    project.git(["branch", "-q", "-D", "main"]);
    let refused = project.regreen(["loops", "apply"]).run();
    refused
        .exits(1)
        .complains("make it again with `git branch main ");
}

#[test]
fn a_dirty_path_is_refused_and_another_one_is_not() {
    let Some(project) = passed() else { return };
    project.write("scratch.txt", "mine\n");
    project.edit("src/lib.rs", "Adds numbers", "Adds up numbers");
    let before = project.fingerprint();
    project
        .regreen(["loops", "apply"])
        .run()
        .exits(1)
        .complains("`src/lib.rs` would be overwritten");
    before.unchanged_in(&project);
    project.git(["checkout", "-q", "--", "src/lib.rs"]);
    project.regreen(["loops", "apply"]).run().exits(0);
    assert_eq!(project.read("scratch.txt"), "mine\n");
    assert_eq!(project.git(["status", "--porcelain"]), "?? scratch.txt");
}

#[test]
fn a_branch_that_is_not_checked_out_moves_without_touching_files() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    project.git(["branch", "other"]);
    let text = agent("fixes");
    let args = ["fix", "other", "--json", "--agent-command", &text];
    let ran = project.regreen(args).run();
    assert_eq!(report(&ran)["branch"], "other", "{ran}");
    project.write("src/lib.rs", "not even Rust");
    project.regreen(["loops", "apply"]).run().exits(0);
    assert_eq!(project.read("src/lib.rs"), "not even Rust");
    let text = project.git(["show", "other:src/lib.rs"]);
    assert!(text.contains("left + right"), "{text}");
}

#[test]
fn what_needs_approval_waits_for_it() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let ran = fix(&project, "adds-a-build-script", &[]);
    assert_eq!(report(&ran)["stop_reason"], "needs_approval", "{ran}");
    project
        .regreen(["loops", "apply"])
        .run()
        .exits(1)
        .complains("needs approval");
    let shown = |verb: &str| project.regreen(["loops", verb]).run().exits(0).stdout();
    assert!(!shown("list").contains("approved"));
    let said = shown("approve");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(": approved by you at 2"), "{said}");
    assert!(said.contains("land it with regreen loops apply "), "{said}");
    assert!(shown("list").contains("needs_approval, approved"));
    assert!(shown("show").contains("needs_approval, approved"));
    // Said again it stands; the opposite is refused.
    assert_eq!(shown("approve"), said);
    let refused = project.regreen(["loops", "reject"]).run();
    refused.exits(1).complains("was approved at ");
    project.regreen(["loops", "apply"]).run().exits(0);
    assert_eq!(project.read("build.rs"), "fn main() {}\n");
    assert!(shown("list").contains("needs_approval, applied"));
    for verb in ["approve", "reject"] {
        let refused = project.regreen(["loops", verb]).run();
        refused.exits(1).complains("was applied already");
    }

    let project = adder();
    fix(&project, "adds-a-build-script", &[]);
    let shown = |verb: &str| project.regreen(["loops", verb]).run().exits(0).stdout();
    let said = shown("reject");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(": rejected by you at 2"), "{said}");
    assert!(shown("list").contains("needs_approval, rejected"));
    assert!(shown("show").contains("needs_approval, rejected"));
    let json = project.regreen(["loops", "show", "--json"]).run();
    assert_eq!(report(&json)["landing"], "rejected", "{json}");
    assert!(report(&json)["decided"].is_string(), "{json}");
    let before = project.fingerprint();
    for verb in ["approve", "apply"] {
        let refused = project.regreen(["loops", verb]).run();
        refused.exits(1).complains("was rejected");
    }
    before.unchanged_in(&project);
}

#[test]
fn what_did_not_pass_is_not_applied() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    fix(&project, "deletes-the-test", &[]);
    project
        .regreen(["loops", "apply"])
        .run()
        .exits(1)
        .complains("only what passed is applied");
}

#[test]
fn in_a_linked_worktree_its_own_branch_lands_and_the_main_one_is_left_alone() {
    if !require("bwrap") {
        return;
    }
    let main = adder();
    let place = main.home.path().join("linked");
    let path = place.to_str().expect("it is UTF-8");
    main.git(["worktree", "add", "-q", "-b", "side", path]);
    let linked = Project::at(&main.home, &place);
    let before = main.read("src/lib.rs");
    let ran = fix(&linked, "fixes", &["--apply"]);
    let report = report(&ran);
    assert_eq!(report["landing"], "applied", "{ran}");
    assert!(linked.read("src/lib.rs").contains("left + right"));
    is_clean(&linked);
    assert_eq!(
        linked.git(["rev-parse", "HEAD"]),
        report["applied"].as_str().unwrap()
    );
    assert_eq!(main.read("src/lib.rs"), before);
    is_clean(&main);
    assert_ne!(
        main.git(["rev-parse", "main"]),
        main.git(["rev-parse", "side"])
    );

    // A loop that passed and whose branch was checked out elsewhere since then.
    let ran = fix(&main, "fixes", &[]);
    assert_eq!(crate::fix::report(&ran)["stop_reason"], "passed", "{ran}");
    main.git(["checkout", "-q", "--detach"]);
    linked.git(["checkout", "-q", "main"]);
    let refused = main.regreen(["loops", "apply"]).run();
    refused
        .exits(1)
        .complains("is checked out in")
        .complains("linked");
    is_clean(&linked);
}
