//! `regreen gc` against real garbage: what nobody needs goes, what somebody has stays.

use crate::mirror::open;
use crate::support::Home;
use crate::support::Project;
use crate::support::require;
use regreen::sandbox::mirror::MirrorRules;
use regreen::sandbox::slot::Purpose;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

fn names(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("ours").path()).collect();
    paths.sort();
    paths
}

/// A project with a suite of its own that passes, run once.
fn ran(home: &Home, name: &str) -> Project {
    let suite =
        "[[suite]]\nname = \"script\"\nframework = \"generic\"\ncommand = [\"sh\", \"test.sh\"]\n";
    let project = home
        .project(name)
        .file("regreen.toml", suite)
        .file("test.sh", "exit 0\n")
        .committed();
    project.regreen(["run"]).run().exits(0);
    project
}

fn collect(home: &Home, args: &[&str]) -> Value {
    let words = ["gc", "--json"].iter().chain(args);
    let ran = home.regreen(words).within_dir(home.path()).run();
    ran.exits(0);
    ran.json()
}

#[test]
fn gc_takes_what_is_dead_and_nothing_that_lives() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let (dead, living) = (ran(&home, "dead"), ran(&home, "living"));
    // One of a worktree that is gone as well, but in somebody's hands.
    let held = ran(&home, "held");
    let mirror = open(&held, Purpose::Watch, MirrorRules::default());
    let kept = mirror.slot().dir().to_owned();
    for gone in [&dead, &held] {
        fs::remove_dir_all(gone.root()).expect("ours");
    }
    let (slots, projects) = (home.cache().join("slots"), home.state().join("projects"));
    let before = (names(&slots), names(&projects));
    assert_eq!((before.0.len(), before.1.len()), (3, 3));

    let planned = collect(&home, &["--dry-run"]);
    assert_eq!(planned["dry_run"], true, "{planned}");
    assert!(planned["slots"].as_u64() >= Some(1), "{planned}");
    assert_eq!((names(&slots), names(&projects)), before);

    let done = collect(&home, &[]);
    assert_eq!(done["slots"], planned["slots"], "{done}");
    assert!(done["bytes"].as_u64() > Some(0), "{done}");
    assert!(kept.join("lock").exists(), "a slot in use was removed");
    assert_eq!(names(&slots).len(), 2, "{:?}", names(&slots));
    assert_eq!(names(&projects).len(), 2, "{:?}", names(&projects));
    drop(mirror);
    collect(&home, &[]);
    assert_eq!((names(&slots).len(), names(&projects).len()), (1, 1));
    assert_eq!(collect(&home, &[])["slots"], 0);

    // Nothing of the living one is missing.
    living.regreen(["report"]).run().exits(0);
    living.write("test.sh", "exit 1\n");
    living.regreen(["run"]).run().exits(100);
}

/// What a run that was killed leaves is nobody's.
#[test]
fn gc_takes_what_killed_runs_left() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = ran(&home, "p");
    let runs = home.state().join("runs");
    let whole = names(&runs);
    let half = runs.join("r00000000000dead");
    fs::create_dir_all(half.join("events.0")).expect("ours");
    fs::write(half.join("raw.log"), "half").expect("ours");
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    for path in [half.join("raw.log"), half.join("events.0"), half.clone()] {
        let file = fs::File::open(path).expect("ours");
        file.set_modified(long_ago).expect("ours");
    }
    // A slot that was begun and never leased.
    let begun = home.cache().join("slots/0123456789abcdef/0");
    fs::create_dir_all(begun.join("tree")).expect("ours");
    fs::write(begun.join("tree/x"), "x").expect("ours");
    let done = collect(&home, &[]);
    assert!(done["slots"].as_u64() >= Some(1), "{done}");
    assert!(!begun.exists() && !half.exists(), "{done}");
    for run in whole {
        assert!(run.exists(), "{} is gone", run.display());
    }
    project.regreen(["run"]).run().exits(0);
}
