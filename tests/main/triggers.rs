//! The three triggers under a running daemon: `regreen.toml` is heard and read again whatever
//! the trigger is, and no verdict of another trigger or of another definition passes for one
//! about now.

use crate::daemon::daemon;
use crate::daemon::settled;
use crate::support::Home;
use crate::support::Project;
use crate::support::require;
use serde_json::Value;

/// Its suite is green where `verdict` says 0.
fn project(home: &Home) -> Project {
    home.project("p")
        .file("regreen.toml", toml("save", "sh test.sh"))
        .file("test.sh", "exit $(cat verdict)\n")
        .file("verdict", "0\n")
        .committed()
}

fn toml(trigger: &str, command: &str) -> String {
    let words: Vec<String> = command.split(' ').map(|word| format!("{word:?}")).collect();
    format!(
        "trigger = \"{trigger}\"\n[[suite]]\nname = \"script\"\nframework = \"generic\"\n\
         command = [{}]\n",
        words.join(", ")
    )
}

fn under(project: &Project, trigger: &str, verdict: &str) -> Value {
    project.status_until(&format!("{verdict} under {trigger}"), |status| {
        status["trigger"] == trigger
            && status["verdict"] == verdict
            && status["stale"] == false
            && status["activity"] == "idle"
    })
}

#[test]
fn every_way_between_the_triggers_is_taken_when_the_file_is_saved() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = project(&home);
    let daemon = daemon(&home);
    project.regreen(["add"]).run().exits(0);
    settled(&project, "green");
    // Red in the work tree, green in the index and in HEAD.
    project.write("verdict", "1\n");
    settled(&project, "red");
    for (trigger, verdict) in [
        ("commit", "green"),
        ("save", "red"),
        ("stage", "green"),
        ("commit", "green"),
        ("stage", "green"),
        ("save", "red"),
        ("commit", "green"),
    ] {
        project.write("regreen.toml", toml(trigger, "sh test.sh"));
        under(&project, trigger, verdict);
    }
    let shown = project.regreen(["status"]).run();
    shown.exits(0).says("about HEAD (trigger = commit)");
    project.regreen(["status", "--exit-code"]).run().exits(0);
    // The file goes: the default counts, and without a suite there is nothing to be green.
    std::fs::remove_file(project.path("regreen.toml")).unwrap();
    project.status_until("the default trigger", |status| {
        status["trigger"] == "save" && status["verdict"] != "green"
    });
    project.write("regreen.toml", toml("stage", "sh test.sh"));
    under(&project, "stage", "green");
    let shown = project.regreen(["status"]).run();
    shown.exits(0).says("about the index (trigger = stage)");
    project.git(["add", "verdict"]);
    under(&project, "stage", "red");
    daemon.terminate().exits(0);
}

#[test]
fn a_suite_that_is_defined_anew_is_tested_anew() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = project(&home);
    let daemon = daemon(&home);
    project.regreen(["add"]).run().exits(0);
    settled(&project, "green");
    for trigger in ["commit", "stage"] {
        project.write("regreen.toml", toml(trigger, "sh test.sh"));
        under(&project, trigger, "green");
        // The same tree, another command: red, and green again with the first one.
        for (command, verdict) in [("false", "red"), ("true", "green"), ("sh test.sh", "green")] {
            project.write("regreen.toml", toml(trigger, command));
            under(&project, trigger, verdict);
        }
        // Broken: nothing that is known is about now; mended: as before.
        project.write("regreen.toml", "trigger = \n");
        project.status_until("not believed", |status| status["stale"] == true);
        project.write("regreen.toml", toml(trigger, "false"));
        under(&project, trigger, "red");
    }
    daemon.terminate().exits(0);
}

/// A green that is not about the files on the screen does not pass for one that is.
#[test]
fn files_that_are_not_tested_are_told() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = project(&home);
    let daemon = daemon(&home);
    project.write("regreen.toml", toml("commit", "sh test.sh"));
    project.commit("tested when it is committed");
    project.regreen(["add"]).run().exits(0);
    under(&project, "commit", "green");
    let status = || project.regreen(["status"]).run();
    let notes = || project.regreen(["status", "--json"]).run().json()["notes"].to_string();
    assert!(!status().stdout().contains("differs"), "{}", status());
    assert_eq!(notes(), "[]");
    project.write("verdict", "1\n");
    status().says("the work tree differs from HEAD in 1 file: those are not tested — commit them");
    project.write("new/file", "x\n");
    status().says("the work tree differs from HEAD in 2 files");
    assert!(notes().contains("\"work_tree_differs\""), "{}", notes());

    project.write("regreen.toml", toml("stage", "sh test.sh"));
    under(&project, "stage", "green");
    project.git(["add", "regreen.toml"]);
    status().says("the work tree differs from the index in 2 files: those are not tested — stage");
    project.git(["add", "."]);
    under(&project, "stage", "red");
    assert!(!status().stdout().contains("differs"), "{}", status());
    project.write("regreen.toml", toml("save", "sh test.sh"));
    under(&project, "save", "red");
    assert!(!status().stdout().contains("differs"), "{}", status());
    daemon.terminate().exits(0);
}

/// Where there is no commit, the trigger that wants one can be taken back.
#[test]
fn a_trigger_without_anything_to_test_can_be_taken_back() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = home
        .project("p")
        .file("regreen.toml", toml("commit", "true"))
        .unborn();
    let daemon = daemon(&home);
    project.regreen(["add"]).run().exits(0);
    project.status_until("nothing to test", |status| {
        status["stale"] == true && status["notes"].to_string().contains("no commit")
    });
    project.write("regreen.toml", toml("save", "true"));
    under(&project, "save", "green");
    daemon.terminate().exits(0);
}
