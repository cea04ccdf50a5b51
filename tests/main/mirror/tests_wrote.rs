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

/// Writes into the copy as a test would, making directories.
fn make(rig: &Rig, names: &[&str]) {
    for name in names {
        let path = rig.slot_path(name);
        fs::create_dir_all(path.parent().expect("below")).expect("ours");
        fs::write(path, format!("{name} by a test")).expect("ours");
    }
}

#[test]
fn what_a_run_made_is_not_there_for_the_next() {
    let mut rig = Rig::new(demo());
    rig.reconcile();
    let outside = rig.project.home.top().join("outside");
    fs::create_dir(&outside).expect("ours");
    let made = [
        "gen.py",
        "new/deep/data.txt",
        "old.pyc",
        "tests/test_gen.py",
    ];
    for round in 0..2 {
        rig.mirror.begin_run().expect("ready");
        make(&rig, &made);
        make(&rig, &["src/lib.rs"]);
        symlink(&outside, rig.slot_path("link")).expect("ours");
        fs::create_dir_all(rig.slot_path("hollow/more")).expect("ours");
        let socket = std::os::unix::net::UnixListener::bind(rig.slot_path("app.sock"));
        drop(socket.expect("ours"));
        let (drift, synced) = rig.mirror.mend().expect("mended");
        assert_eq!(drift.rewritten, paths(&["src/lib.rs"]));
        let synced = synced.expect("something was put back");
        rig.agrees(&synced);
        for gone in ["new", "hollow", "app.sock", "link"] {
            let there = rig.slot_path(gone).symlink_metadata();
            assert!(there.is_err(), "{gone} stayed in round {round}");
        }
    }
    assert_eq!(fs::read_dir(&outside).expect("kept").count(), 0);
    let listed = rig.project.regreen(["slots", "drift", "--json"]).run();
    let listed = listed.json();
    let names: Vec<&str> = listed["created"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|name| name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "gen.py",
            "link",
            "new/deep/data.txt",
            "old.pyc",
            "tests/test_gen.py"
        ]
    );
    let names = paths(&["new/deep/data.txt"]);
    rig.mirror.bring_back(&names).expect("it was made");
    assert_eq!(
        rig.project.read("new/deep/data.txt"),
        "new/deep/data.txt by a test"
    );
    // The user's own file of that name.
    rig.project.write("gen.py", "mine\n");
    let synced = rig.sync(["gen.py", "new"]);
    rig.agrees(&synced);
    assert_eq!(rig.in_slot("gen.py").as_deref(), Some("mine\n"));
    assert!(rig.mirror.bring_back(&paths(&["gen.py"])).is_err());
    assert_eq!(rig.project.read("gen.py"), "mine\n");
}

#[test]
fn a_made_path_may_change_its_kind() {
    let mut rig = Rig::new(demo());
    rig.reconcile();
    make(&rig, &["a"]);
    rig.mirror.mend().expect("mended");
    make(&rig, &["a/b/c"]);
    rig.mirror.mend().expect("mended");
    make(&rig, &["a/b"]);
    rig.mirror.mend().expect("mended");
    // In place of a directory of the project, and of a file.
    fs::remove_dir_all(rig.slot_path("src")).expect("ours");
    fs::remove_file(rig.slot_path("tests/test_a.py")).expect("ours");
    make(&rig, &["src", "tests/test_a.py/x"]);
    let (_, synced) = rig.mirror.mend().expect("mended");
    rig.agrees(&synced.expect("put back"));
    rig.mirror.bring_back(&paths(&["a/b"])).expect("the last");
    assert_eq!(rig.project.read("a/b"), "a/b by a test");
}

#[test]
fn caches_and_locks_stay_also_where_nothing_is_ignored() {
    let project = Home::new()
        .project("bare")
        .file("Cargo.toml", "[package]\nname = \"a\"\n")
        .file("build.rs", "fn main() {}\n")
        .file("mod.py", "")
        .committed();
    let mut rig = Rig::new(project);
    rig.reconcile();
    let kept = [
        ".coverage",
        ".mypy_cache/3/a.json",
        ".pytest_cache/v/lastfailed",
        ".ruff_cache/x",
        "Cargo.lock",
        "__pycache__/mod.cpython-311.pyc",
        "a.egg-info/PKG-INFO",
        "mod.pyc",
        "node_modules/.cache/x",
        "other/CACHEDIR.TAG",
        "other/x",
        "target/debug/deps/x",
    ];
    make(&rig, &kept);
    fs::create_dir_all(rig.slot_path("target/debug/examples")).expect("ours");
    let before = rig.mtime("build.rs");
    rig.mirror.mend().expect("mended");
    for name in kept {
        assert!(rig.slot_path(name).exists(), "{name} is gone");
    }
    assert!(rig.slot_path("target/debug/examples").exists());
    assert_eq!(rig.mtime("build.rs"), before);
    // The build script may have made it, and has to run again.
    make(&rig, &["src/made.rs"]);
    rig.mirror.mend().expect("mended");
    assert!(!rig.slot_path("src").exists());
    assert!(rig.mtime("build.rs") > before);
    let (drift, _) = rig.mirror.mend().expect("mended");
    assert!(drift.is_clean(), "{drift:?}");
}

#[test]
fn what_a_killed_run_did_is_undone() {
    let mut rig = Rig::new(demo());
    rig.reconcile();
    rig.mirror.begin_run().expect("ready");
    make(&rig, &["gen.py", "src/lib.rs"]);
    let mut rig = rig.restarted();
    let synced = rig.reconcile();
    rig.agrees(&synced);
}

/// A test that tries what happens without rights often forgets to give them back. Root has all
/// rights anyway: this shows something where an ordinary user runs it.
#[test]
fn what_a_test_locked_is_opened_up_again() {
    let lock = |path: &std::path::Path, mode: u32| {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("ours");
    };
    let mut rig = Rig::new(demo());
    let before = rig.reconcile();
    for mode in [0o000, 0o400, 0o500] {
        let cache = format!("../home/cache-{mode}");
        rig.mirror.begin_run().expect("ready");
        make(&rig, &["made/deep/f", "src/more", "../tmp/x/y/z", &cache]);
        fs::remove_file(rig.slot_path("src/lib.rs")).expect("ours");
        let locked = [
            "made/deep/f",
            "made/deep",
            "made",
            "src",
            "tests/test_a.py",
            "../tmp/x/y",
            &cache,
            "../home",
            "",
        ];
        for name in locked {
            lock(&rig.slot_path(name), mode);
        }
        let (drift, synced) = rig.mirror.mend().expect("mended");
        assert_eq!(drift.removed, paths(&["src/lib.rs"]), "{mode:o}");
        assert_eq!(drift.created, paths(&["made/deep/f", "src/more"]));
        let synced = synced.expect("put back");
        assert_eq!(synced.snapshot, before.snapshot);
        rig.agrees(&synced);
        assert!(!rig.slot_path("made").exists());
    }
    rig.mirror.begin_run().expect("ready");
    make(&rig, &["../home/new"]);
    assert!(!rig.slot_path("../tmp/x").exists());
    // The process was killed before anybody looked.
    lock(&rig.slot_path(""), 0o000);
    let mut rig = rig.restarted();
    let synced = rig.reconcile();
    rig.agrees(&synced);
}
