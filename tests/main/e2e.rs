//! The main job from the outside: a save becomes a true verdict in the status file.

use crate::support::Home;
use crate::support::Project;
use crate::support::Started;
use crate::support::fixtures;
use crate::support::full_tier;
use crate::support::require;
use regreen::model::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;
use std::time::SystemTime;

fn watch(project: &Project) -> Started {
    project.regreen(["watch"]).start()
}

fn failing(status: &Value) -> Vec<&str> {
    let failures = status["failures"].as_array().expect("a list");
    let ids = failures.iter().map(|failure| failure["id"].as_str());
    ids.map(|id| id.expect("an id")).collect()
}

#[test]
fn a_save_becomes_a_true_verdict() {
    if !require("bwrap") {
        return;
    }
    let project = Home::new().fixture("cargo-assertion");
    let watching = watch(&project);
    let red = project.settled();
    assert_eq!(red["verdict"], "red", "{red:#}");
    assert_eq!(red["branch"], "main");
    assert_eq!(red["head"], project.git(["rev-parse", "HEAD"]));
    assert_eq!(red["dirty"], false);
    assert_eq!(red["daemon"]["pid"], watching.pid());
    assert_eq!(failing(&red), ["tests::adds_two_numbers"], "{red:#}");
    let failure = &red["failures"][0];
    assert_eq!(failure["location"]["file"], "src/lib.rs");
    assert_eq!(failure["location"]["line"], 19);
    assert_eq!(failure["diff"]["left"], "0");
    assert_eq!(failure["diff"]["right"], "4");

    project.edit("src/lib.rs", "left - right", "left + right");
    let green = project.settled();
    assert_eq!(green["verdict"], "green", "{green:#}");
    assert_eq!(green["dirty"], true);
    assert!(failing(&green).is_empty(), "{green:#}");

    let text = project.read("src/lib.rs").replace("left + right", "left +");
    project.write_in_place("src/lib.rs", text);
    assert_eq!(project.settled()["verdict"], "broken");

    std::fs::remove_file(project.path("src/lib.rs")).expect("ours");
    assert_eq!(project.settled()["verdict"], "broken");

    project.git(["checkout", "-q", "--", "."]);
    assert_eq!(project.settled()["verdict"], "red");
    watching.interrupt().exits(0);
    let stopped = project.status().expect("it stays");
    assert!(stopped["daemon"].is_null(), "{stopped:#}");
    assert_eq!(
        (&stopped["activity"], &stopped["stale"]),
        (&"idle".into(), &true.into())
    );
}

#[test]
fn the_command_line_tells_what_the_file_tells() {
    if !require("bwrap") {
        return;
    }
    let project = Home::new().fixture("cargo-assertion");
    let watching = watch(&project);
    let red = project.settled();
    let told = project.regreen(["status", "--json"]).run();
    told.exits(0);
    for key in ["verdict", "snapshot", "failures", "suites", "project"] {
        assert_eq!(told.json()[key], red[key], "{key} of {told}");
    }
    let path = project.regreen(["status", "--path"]).run();
    assert_eq!(
        path.stdout().trim(),
        project.status_path().to_string_lossy()
    );
    let words = project.regreen(["status"]).run();
    words
        .exits(0)
        .says("red")
        .says("tests::adds_two_numbers")
        .says("src/lib.rs:19");
    project.regreen(["status", "--exit-code"]).run().exits(100);
    watching.interrupt();
    let asked = project.regreen(["status", "--exit-code"]).run();
    asked.exits(100).says("(stale)").says("no daemon watches");
}

/// A verdict that is not about now is no reason to go on.
#[test]
fn a_green_of_a_dead_daemon_is_not_green_now() {
    if !require("bwrap") {
        return;
    }
    let project = Home::new().fixture("cargo-green");
    let watching = watch(&project);
    assert_eq!(project.settled()["verdict"], "green");
    let asked = || project.regreen(["status", "--exit-code"]).run();
    asked().exits(0);
    watching.kill_9();
    // At once, and not only when the time in the file has passed.
    let told = asked();
    told.exits(69).says("✓ green (stale)").says("is dead");
    told.says("  cargo  green (stale)  3 passed").says(" ago\n");
    // A daemon that lives, and a verdict that is about something older.
    let text = project.status_path();
    let mut status = project.status().expect("it stays");
    status["daemon"]["pid"] = std::process::id().into();
    status["next_update_by"] = "2999-01-01T00:00:00.000Z".into();
    std::fs::write(&text, status.to_string()).expect("ours");
    asked().exits(0);
    status["stale"] = true.into();
    std::fs::write(&text, status.to_string()).expect("ours");
    asked().exits(102).says("(stale)");
    // What is shown of its age grows with the clock on the wall.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.expect("it is later").as_millis() as i64;
    for (minutes, age) in [(4, " · 3 min ago\n"), (91, " · 1 h ago\n")] {
        let began = Timestamp::from_millis(now - minutes * 60_000);
        status["suites"][0]["run"]["started"] = began.to_string().into();
        status["suites"][0]["run"]["duration_ms"] = 30_000.into();
        std::fs::write(&text, status.to_string()).expect("ours");
        asked().says(age);
    }
}

/// Equal in size, saved within one second: what fools Python's bytecode cache.
#[test]
fn quick_saves_of_equal_size_fool_nobody() {
    if !require("bwrap") || !require("pytest") {
        return;
    }
    let home = Home::new();
    let project = home
        .project("quick")
        .file("pytest.ini", "[pytest]\n")
        .file(".gitignore", "__pycache__/\n.pytest_cache/\n")
        .file("value.py", "VALUE = 1\n")
        .file(
            "test_value.py",
            "from value import VALUE\n\n\ndef test_value():\n    assert VALUE == 1\n",
        )
        .committed();
    let _watching = watch(&project);
    assert_eq!(project.settled()["verdict"], "green");
    let rounds = if full_tier() { 50 } else { 12 };
    for round in 0..rounds {
        // Never the same tree twice, or an earlier green run would answer.
        let value = 1 + round % 2;
        project.write("value.py", format!("VALUE = {value}\n"));
        project.write("round.txt", format!("{round}\n"));
        let expected = if value == 1 { "green" } else { "red" };
        let status = project.settled();
        assert_eq!(status["verdict"], expected, "round {round}: {status:#}");
    }
}

/// Content that arrives with a time older than the last build: what fools cargo.
#[test]
fn saves_with_old_times_fool_nobody() {
    if !require("bwrap") {
        return;
    }
    let project = Home::new().fixture("cargo-assertion");
    let _watching = watch(&project);
    assert_eq!(project.settled()["verdict"], "red");
    let rounds = if full_tier() { 50 } else { 5 };
    for round in 0..rounds {
        let (sign, expected) = if round % 2 == 0 {
            ("+", "green")
        } else {
            ("-", "red")
        };
        let text = project.read("src/lib.rs");
        let text = text
            .replace("left + right", "left ? right")
            .replace("left - right", "left ? right");
        let text = text.replace("left ? right", &format!("left {sign} right"));
        let beside = project.path("src/lib.rs.new");
        std::fs::write(&beside, format!("{text}// {round}\n")).expect("ours");
        let old = SystemTime::now() - Duration::from_secs(3600);
        let file = std::fs::File::options()
            .write(true)
            .open(&beside)
            .expect("ours");
        file.set_modified(old).expect("ours");
        std::fs::rename(&beside, project.path("src/lib.rs")).expect("ours");
        let status = project.settled();
        assert_eq!(status["verdict"], expected, "round {round}: {status:#}");
    }
}

const SLOW: &str = "//! Takes its time.\n\n#[test]\nfn slow() {\n    \
    std::thread::sleep(std::time::Duration::from_millis(900));\n}\n";

#[test]
fn no_save_during_a_run_is_lost() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = home
        .project("busy")
        .copied_from(&fixtures().join("projects/cargo-assertion"))
        .file("tests/slow.rs", SLOW)
        .committed();
    let _watching = watch(&project);
    project.settled();
    let rounds = if full_tier() { 200 } else { 8 };
    for round in 0..rounds {
        let sign = if round % 2 == 0 { "+" } else { "-" };
        project.write("start.txt", format!("{round}\n"));
        project.status_until("running", |status| status["activity"] == "running");
        let text = project.read("src/lib.rs");
        let body = text
            .lines()
            .map(|line| match line.trim().starts_with("left ") {
                true => format!("    left {sign} right // {round}"),
                false => line.to_owned(),
            });
        let text: Vec<String> = body.collect();
        project.write("src/lib.rs", text.join("\n") + "\n");
        let expected = if sign == "+" { "green" } else { "red" };
        let status = project.settled();
        assert_eq!(status["verdict"], expected, "round {round}: {status:#}");
    }
}

/// The runs that regreen has kept a directory of.
fn runs(home: &Home) -> BTreeSet<String> {
    let entries = std::fs::read_dir(home.state().join("runs"))
        .into_iter()
        .flatten();
    let names = entries.flatten().map(|entry| entry.file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// Another watcher starts a needless second run after every save.
#[test]
fn one_save_is_one_run() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = home.fixture("cargo-assertion");
    let _watching = watch(&project);
    project.settled();
    for round in 0..3 {
        let before = runs(&home);
        project.write("src/extra.rs", format!("// {round}\n"));
        let settled = project.settled()["updated_at"].clone();
        // Until a sign of life after it: a second run would have begun long before.
        project.status_until("a later heartbeat", |status| {
            status["updated_at"] != settled && status["activity"] == "idle"
        });
        assert_eq!(runs(&home).difference(&before).count(), 1, "round {round}");
    }
}

#[test]
fn a_checkout_of_many_files_is_one_change_or_two() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = home.fixture("cargo-assertion");
    let (files, rounds) = if full_tier() { (5_000, 50) } else { (1_000, 4) };
    for round in 0..rounds {
        project.git(["checkout", "-q", "-b", &format!("b{round}"), "main"]);
        for file in 0..files {
            let path = project.path(format!("data/{}/{file}.txt", file % 50));
            std::fs::create_dir_all(path.parent().expect("below")).expect("ours");
            std::fs::write(path, format!("{round} {file}\n")).expect("ours");
        }
        let sign = if round % 2 == 0 {
            "left + right"
        } else {
            "left -  right"
        };
        project.edit("src/lib.rs", "left - right", sign);
        project.commit("many");
    }
    project.git(["checkout", "-q", "main"]);
    let _watching = watch(&project);
    project.settled();
    for round in 0..rounds {
        let before = runs(&home);
        project.git(["checkout", "-q", &format!("b{round}")]);
        let status = project.settled();
        let expected = if round % 2 == 0 { "green" } else { "red" };
        assert_eq!(status["verdict"], expected, "round {round}: {status:#}");
        let started = runs(&home).difference(&before).count();
        assert!((1..=2).contains(&started), "round {round}: {started} runs");
    }
}

#[test]
fn a_green_tree_that_comes_back_is_green_at_once() {
    if !require("bwrap") {
        return;
    }
    let project = Home::new().fixture("cargo-green");
    let watching = watch(&project);
    let first = project.settled();
    assert_eq!(first["verdict"], "green");
    let run = first["suites"][0]["run"]["id"].clone();
    let text = project.read("src/lib.rs");
    project.edit("src/lib.rs", "celsius * 9 / 5 + 32", "celsius * 9 / 5 + 33");
    assert_eq!(project.settled()["verdict"], "red");
    project.write("src/lib.rs", text);
    let again = project.settled();
    assert_eq!(again["verdict"], "green");
    assert_eq!(again["suites"][0]["reused_from"]["run"], run, "{again:#}");
    assert_eq!(again["suites"][0]["counts"], first["suites"][0]["counts"]);
    // The report is that of the verdict, not that of the last run.
    let told = |run: &Value| {
        let shown = project.regreen(["report", "--json"]).run();
        assert_eq!(&shown.exits(0).json()["run"]["id"], run, "{shown}");
    };
    told(&run);
    // An explicit run always runs.
    let ran = project.regreen(["run", "--json"]).run();
    ran.exits(0);
    let report = &ran.json()["reports"][0]["run"];
    assert!(report["reused_from"].is_null(), "{ran}");
    assert_ne!(report["id"], run, "{ran}");
    told(&run);
    watching.kill_9();
    let ran = project.regreen(["run", "--json"]).run();
    told(&ran.json()["reports"][0]["run"]["id"]);
}

#[test]
fn a_failure_is_told_before_the_run_has_ended() {
    if !require("bwrap") {
        return;
    }
    let slow = SLOW.replace("900", "6_000");
    let project = Home::new()
        .project("early")
        .copied_from(&fixtures().join("projects/cargo-assertion"))
        .file("tests/slow.rs", slow)
        .committed();
    let _watching = watch(&project);
    let status = project.status_until("a failure while running", |status| {
        status["activity"] == "running" && !failing(status).is_empty()
    });
    assert_eq!(failing(&status), ["tests::adds_two_numbers"], "{status:#}");
    let settled = project.settled();
    assert_eq!(settled["suites"][0]["counts"]["total"], 3, "{settled:#}");
}

#[test]
fn two_suites_have_a_verdict_each_and_the_worst_counts() {
    if !require("bwrap") || !require("pytest") {
        return;
    }
    let project = Home::new()
        .project("both")
        .copied_from(&fixtures().join("projects/cargo-green"))
        .copied_from(&fixtures().join("projects/pytest-assertion-diff"))
        .file(".gitignore", "/target\n__pycache__/\n.pytest_cache/\n")
        .committed();
    let ran = project.regreen(["run", "--json"]).run();
    ran.exits(100);
    assert_eq!(
        ran.json()["reports"].as_array().map(Vec::len),
        Some(2),
        "{ran}"
    );
    project.regreen(["run", "cargo"]).run().exits(0);
    project.regreen(["run", "pytest"]).run().exits(100);
    let _watching = watch(&project);
    let status = project.settled();
    assert_eq!(status["verdict"], "red", "{status:#}");
    let suites = status["suites"].as_array().expect("a list");
    let verdicts: Vec<_> = suites.iter().map(|s| (&s["name"], &s["verdict"])).collect();
    let expected: [(&Value, &Value); 2] = [
        (&"cargo".into(), &"green".into()),
        (&"pytest".into(), &"red".into()),
    ];
    assert_eq!(verdicts, expected);
}

#[test]
fn hard_names_linked_worktrees_and_submodules() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let library = home.fixture("cargo-green");
    let test = "//! Reads files with hard names.\n\n#[test]\nfn reads() {\n    \
        use std::os::unix::ffi::OsStrExt;\n    \
        let name = std::ffi::OsStr::from_bytes(b\"caf\\xe9 \\n.txt\");\n    \
        assert_eq!(std::fs::read(name).unwrap(), b\"ok\");\n    \
        assert!(std::path::Path::new(\"sub module/src/lib.rs\").exists());\n}\n";
    let main = home
        .project("a project with spaces")
        .copied_from(&fixtures().join("projects/cargo-green"))
        .file("tests/names.rs", test)
        .file(OsStr::from_bytes(b"caf\xe9 \n.txt"), "ok")
        .unborn();
    let url = library.root().display().to_string();
    let add = [
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        &url,
    ];
    main.git(add.into_iter().chain(["sub module"]));
    main.write(
        "Cargo.toml",
        main.read("Cargo.toml") + "\n[workspace]\nexclude = [\"sub module\"]\n",
    );
    main.commit("all");
    main.regreen(["run"]).run().exits(0);

    let place = home.path().join("linked tree");
    main.git([
        "worktree",
        "add",
        "-q",
        "-b",
        "second",
        &place.to_string_lossy(),
    ]);
    let linked = Project::at(&home, &place);
    linked.git([
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "update",
        "--init",
    ]);
    let before = linked.fingerprint();
    let _watching = watch(&linked);
    // Not `settled`: git refreshes the submodule's index when the test asks it for the tree.
    let status = linked.status_until("green", |status| {
        status["verdict"] == "green" && status["activity"] == "idle"
    });
    assert_eq!(status["branch"], "second", "{status:#}");
    before.unchanged_in(&linked);
    assert_eq!(linked.settled()["verdict"], "green");
    assert!(
        linked
            .status_path()
            .to_string_lossy()
            .contains("/.git/worktrees/")
    );
    linked.edit("src/lib.rs", "+ 32", "+ 33");
    assert_eq!(linked.settled()["verdict"], "red");
    linked.edit("src/lib.rs", "+ 33", "+ 32");
    assert_eq!(linked.settled()["verdict"], "green");
    // A save in the submodule, and a name that no JSON can hold as it is.
    std::fs::remove_file(linked.path("sub module/src/lib.rs")).expect("ours");
    linked.write(OsStr::from_bytes(b".env.caf\xe9"), "TOKEN=1\n");
    // Not `settled`: git's own tree has the submodule as it was committed. And the submodule is
    // a suite of its own, which does not build.
    let status = linked.status_until("broken", |status| {
        status["verdict"] == "broken" && status["activity"] == "idle"
    });
    let left_out = status["left_out"][0]["path"].as_str().expect("a path");
    assert!(left_out.starts_with(".env.caf"), "{left_out}");
}

#[test]
fn staging_and_committing_are_triggers_of_their_own() {
    if !require("bwrap") {
        return;
    }
    let project = Home::new().fixture("cargo-assertion");
    project.write("regreen.toml", "trigger = \"stage\"\n");
    project.git(["add", "regreen.toml"]);
    let watching = watch(&project);
    let index_tree = || project.git(["write-tree"]);
    let on = |tree: String| {
        project.status_until("the tree", |status| {
            status["snapshot"] == tree.as_str()
                && status["activity"] == "idle"
                && status["suites"][0]["tested"] == tree.as_str()
        })
    };
    let red = on(index_tree());
    assert_eq!(
        (&red["trigger"], &red["verdict"]),
        (&"stage".into(), &"red".into())
    );
    project.edit("src/lib.rs", "left - right", "left + right");
    project.git(["add", "src/lib.rs"]);
    // Saved again, differently, but not staged: the index is what counts.
    project.edit("src/lib.rs", "left + right", "left * right * 3");
    assert_eq!(on(index_tree())["verdict"], "green");
    watching.interrupt();

    project.write("regreen.toml", "trigger = \"commit\"\n");
    let _watching = watch(&project);
    let head_tree = || project.git(["rev-parse", "HEAD^{tree}"]);
    assert_eq!(on(head_tree())["verdict"], "red");
    project.git(["commit", "-q", "-m", "staged"]);
    let green = on(head_tree());
    assert_eq!(
        (&green["trigger"], &green["verdict"]),
        (&"commit".into(), &"green".into())
    );
}

#[test]
fn a_watcher_gives_signs_of_life() {
    if !require("bwrap") {
        return;
    }
    let project = Home::new().fixture("cargo-no-tests");
    let _watching = watch(&project);
    let first = project.status_until("idle", |status| status["activity"] == "idle");
    let mut last = first;
    for beat in 0..3 {
        let before = last["updated_at"].clone();
        last = project.status_within(Duration::from_secs(7), "the next sign", |status| {
            status["updated_at"] != before
        });
        assert_eq!(last["verdict"], "unknown", "beat {beat}: {last:#}");
    }
}
