//! What a sandbox does to the slot: drift, repair, and the way back by name.

use crate::mirror::Rig;
use crate::mirror::demo;
use crate::support::Home;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

fn paths(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

#[test]
fn drift_is_reported_and_repaired() {
    let mut rig = Rig::new(demo());
    let before = rig.reconcile();
    fs::write(rig.slot_path("src/lib.rs"), "rewritten by a test").expect("ours");
    fs::remove_file(rig.slot_path("tests/test_a.py")).expect("ours");
    fs::write(rig.slot_path("snap.new"), "made by a test").expect("ours");
    fs::create_dir_all(rig.slot_path("target/debug")).expect("ours");
    fs::write(rig.slot_path("target/debug/x"), "built").expect("ours");
    let drift = rig.mirror.drift().expect("walked");
    assert_eq!(drift.rewritten, paths(&["src/lib.rs"]));
    assert_eq!(drift.removed, paths(&["tests/test_a.py"]));
    assert_eq!(drift.created, paths(&["snap.new"]));
    let after = rig.mirror.repair(&drift).expect("repaired");
    assert_eq!(after.snapshot, before.snapshot);
    assert_eq!(
        rig.in_slot("src/lib.rs").as_deref(),
        Some("pub fn one() -> u8 { 1 }\n")
    );
    assert!(rig.slot_path("tests/test_a.py").exists());
    assert!(rig.slot_path("target/debug/x").exists());
    let drift = rig.mirror.drift().expect("walked");
    assert!(drift.is_clean(), "{drift:?}");
}

#[test]
fn drift_that_hides_is_found() {
    let mut rig = Rig::new(demo());
    rig.reconcile();
    let path = rig.slot_path("src/lib.rs");
    let time = fs::metadata(&path)
        .expect("there")
        .modified()
        .expect("times");
    // Same size, same time.
    fs::write(&path, "pub fn one() -> u8 { 2 }\n").expect("ours");
    let file = fs::File::options().write(true).open(&path).expect("ours");
    file.set_modified(time).expect("ours");
    assert_eq!(
        rig.mirror.drift().expect("walked").rewritten,
        paths(&["src/lib.rs"])
    );
    // A file that only was touched did not drift.
    fs::write(&path, "pub fn one() -> u8 { 1 }\n").expect("ours");
    assert!(rig.mirror.drift().expect("walked").is_clean());
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("ours");
    assert_eq!(
        rig.mirror.drift().expect("walked").rewritten,
        paths(&["src/lib.rs"])
    );
    fs::remove_file(&path).expect("ours");
    fs::create_dir(&path).expect("ours");
    let drift = rig.mirror.drift().expect("walked");
    assert_eq!(drift.rewritten, paths(&["src/lib.rs"]));
    rig.mirror.repair(&drift).expect("repaired");
    assert!(rig.mirror.drift().expect("walked").is_clean());
}

#[test]
fn a_lock_file_that_follows_its_manifest_is_no_drift() {
    let project = Home::new()
        .project("locks")
        .file("Cargo.toml", "[package]\nname = \"a\"\n")
        .file("Cargo.lock", "old\n")
        .committed();
    let mut rig = Rig::new(project);
    rig.reconcile();
    fs::write(rig.slot_path("Cargo.lock"), "by itself\n").expect("ours");
    let drift = rig.mirror.drift().expect("walked");
    assert_eq!(drift.rewritten, paths(&["Cargo.lock"]));
    rig.mirror.repair(&drift).expect("repaired");
    rig.project
        .write("Cargo.toml", "[package]\nname = \"a\"\n[dependencies]\n");
    rig.sync(["Cargo.toml"]);
    fs::write(rig.slot_path("Cargo.lock"), "updated\n").expect("ours");
    let drift = rig.mirror.drift().expect("walked");
    assert!(drift.is_clean(), "{drift:?}");
    assert_eq!(drift.locks, paths(&["Cargo.lock"]));
    // The user's own new lock file wins.
    rig.project.write("Cargo.lock", "the user's\n");
    rig.sync(["Cargo.lock"]);
    assert_eq!(rig.in_slot("Cargo.lock").as_deref(), Some("the user's\n"));
}

#[test]
fn made_files_come_back_by_name_only() {
    let mut rig = Rig::new(demo());
    rig.reconcile();
    let outside = rig.project.home.top().join("outside");
    fs::write(&outside, "secret").expect("ours");
    fs::create_dir_all(rig.slot_path("snapshots")).expect("ours");
    fs::write(rig.slot_path("snapshots/one.snap"), "one").expect("ours");
    fs::write(rig.slot_path("two.snap"), "two").expect("ours");
    symlink(&outside, rig.slot_path("link.snap")).expect("ours");
    fs::write(rig.slot_path("src/lib.rs"), "the test's idea").expect("ours");
    let drift = rig.mirror.drift().expect("walked");
    rig.mirror.repair(&drift).expect("repaired");
    let before = rig.project.fingerprint();
    for name in [
        "../x",
        "/etc/passwd",
        "tests/test_a.py",
        "link.snap",
        "nothing",
        ".git/config",
    ] {
        let error = rig.mirror.bring_back(&paths(&["two.snap", name]));
        assert!(error.is_err(), "{name} was brought back");
        before.unchanged_in(&rig.project);
    }
    let names = paths(&["snapshots/one.snap", "src/lib.rs"]);
    let back = rig.mirror.bring_back(&names).expect("both are there");
    assert_eq!(back, names);
    assert_eq!(rig.project.read("snapshots/one.snap"), "one");
    assert_eq!(rig.project.read("src/lib.rs"), "the test's idea");
    assert!(!rig.project.path("two.snap").exists());
    let synced = rig.sync(["snapshots", "src/lib.rs"]);
    assert_eq!(
        rig.in_slot("src/lib.rs").as_deref(),
        Some("the test's idea")
    );
    assert!(synced.changed.iter().any(|path| path.ends_with("lib.rs")));
}

#[test]
fn a_link_in_the_worktree_is_not_followed_on_the_way_back() {
    let mut rig = Rig::new(demo());
    rig.reconcile();
    let victim = rig.project.home.top().join("victim");
    fs::create_dir(&victim).expect("ours");
    fs::create_dir(rig.slot_path("snaps")).expect("ours");
    fs::write(rig.slot_path("snaps/a.snap"), "a").expect("ours");
    symlink(&victim, rig.project.path("snaps")).expect("ours");
    let answer = rig.mirror.bring_back(&paths(&["snaps/a.snap"]));
    assert!(answer.is_err());
    assert_eq!(fs::read_dir(&victim).expect("kept").count(), 0);
}

#[test]
fn an_edit_during_the_run_survives_the_repair() {
    let mut rig = Rig::new(demo());
    rig.reconcile();
    fs::write(rig.slot_path("src/lib.rs"), "rewritten by a test").expect("ours");
    rig.project.write("src/lib.rs", "edited meanwhile\n");
    let drift = rig.mirror.drift().expect("walked");
    let synced = rig.mirror.repair(&drift).expect("repaired");
    assert_eq!(
        rig.in_slot("src/lib.rs").as_deref(),
        Some("edited meanwhile\n")
    );
    rig.agrees(&synced);
}

#[test]
fn the_command_line_shows_and_brings_back() {
    let mut rig = Rig::new(demo());
    rig.reconcile();
    fs::write(rig.slot_path("two words.snap"), "made").expect("ours");
    fs::write(rig.slot_path("src/lib.rs"), "rewritten").expect("ours");
    let regreen = |args: &[&str]| rig.project.regreen(args).run();
    // The slot is held by this process, as it would be by a daemon.
    let ran = regreen(&["slots", "drift", "--json"]);
    ran.exits(0);
    let drift = ran.json();
    assert_eq!(drift["created"][0], "two words.snap");
    assert_eq!(drift["rewritten"][0], "src/lib.rs");
    let listed = regreen(&["slots", "--json"]).json();
    assert_eq!(
        (&listed[0]["in_use"], &listed[0]["purpose"]),
        (&true.into(), &"watch".into())
    );
    assert!(listed[0]["bytes"].as_u64() > Some(1_000), "{listed}");
    let refused = regreen(&["slots", "bring-back", "two words.snap", "../x"]);
    assert_ne!(refused.code(), Some(0));
    assert!(!rig.project.path("two words.snap").exists());
    regreen(&["slots", "bring-back", "two words.snap"]).exits(0);
    assert_eq!(rig.project.read("two words.snap"), "made");
    let elsewhere = rig.project.regreen(["slots", "drift", "--slot", "7"]).run();
    assert_ne!(elsewhere.code(), Some(0));
    elsewhere.complains("no slot 7");
}
