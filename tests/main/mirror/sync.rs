//! One path at a time.

use crate::mirror::Rig;
use crate::mirror::demo;
use std::fs;
use std::path::PathBuf;

#[test]
fn a_save_reaches_the_slot_and_nothing_else_is_touched() {
    let mut rig = Rig::new(demo());
    let before = rig.reconcile();
    let other = rig.mtime(".gitignore");
    rig.project
        .write("src/lib.rs", "pub fn one() -> u8 { 2 }\n");
    let synced = rig.sync(["src/lib.rs"]);
    assert_eq!(synced.changed, [PathBuf::from("src/lib.rs")]);
    assert_eq!(synced.generation, before.generation + 1);
    assert_eq!(rig.mtime(".gitignore"), other);
    rig.agrees(&synced);
}

#[test]
fn the_same_content_again_keeps_its_time() {
    let mut rig = Rig::new(demo());
    rig.reconcile();
    let time = rig.mtime("src/lib.rs");
    let text = rig.project.read("src/lib.rs");
    rig.project.write("src/lib.rs", text);
    let synced = rig.sync(["src/lib.rs"]);
    assert!(synced.changed.is_empty(), "{synced:?}");
    assert_eq!(rig.mtime("src/lib.rs"), time);
    // A touch seen by a walk is no change either.
    let file = fs::File::options()
        .write(true)
        .open(rig.project.path("src/lib.rs"))
        .expect("ours");
    file.set_modified(std::time::SystemTime::now())
        .expect("ours");
    let synced = rig.reconcile();
    assert!(synced.changed.is_empty(), "{synced:?}");
    assert_eq!(rig.mtime("src/lib.rs"), time);
}

#[test]
fn an_old_time_does_not_come_along() {
    let mut rig = Rig::new(demo());
    rig.reconcile();
    let before = std::time::SystemTime::now();
    rig.project
        .write("src/lib.rs", "pub fn one() -> u8 { 4 }\n");
    let file = fs::File::options()
        .write(true)
        .open(rig.project.path("src/lib.rs"))
        .expect("ours");
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .expect("ours");
    drop(file);
    rig.sync(["src/lib.rs"]);
    let now = fs::metadata(rig.slot_path("src/lib.rs"))
        .expect("there")
        .modified()
        .expect("times");
    let tick = std::time::Duration::from_millis(20);
    assert!(now + tick >= before, "{now:?} is before {before:?}");
}

#[test]
fn files_become_directories_and_back() {
    let mut rig = Rig::new(demo());
    rig.reconcile();
    let project = rig.project.clone();
    fs::remove_file(project.path("src/lib.rs")).expect("ours");
    fs::create_dir(project.path("src/lib.rs")).expect("ours");
    project.write("src/lib.rs/deep/a.txt", "a");
    let synced = rig.sync(["src/lib.rs"]);
    rig.agrees(&synced);
    fs::remove_dir_all(project.path("src")).expect("ours");
    project.write("src", "a file now");
    let synced = rig.sync(["src"]);
    rig.agrees(&synced);
    fs::remove_file(project.path("src")).expect("ours");
    let synced = rig.sync(["src"]);
    assert!(!rig.slot_path("src").exists());
    rig.agrees(&synced);
}

#[test]
fn a_directory_that_appears_with_files_and_one_that_goes() {
    let mut rig = Rig::new(demo());
    rig.reconcile();
    for path in ["new/a.txt", "new/deep/b.txt", "new/x.log"] {
        rig.project.write(path, "x");
    }
    let synced = rig.sync(["new"]);
    assert_eq!(synced.changed.len(), 2, "{synced:?}");
    rig.agrees(&synced);
    fs::rename(rig.project.path("new"), rig.project.path("moved")).expect("ours");
    let synced = rig.sync(["new", "moved"]);
    rig.agrees(&synced);
    fs::remove_dir_all(rig.project.path("moved")).expect("ours");
    let synced = rig.sync(["moved/deep", "moved"]);
    assert!(!rig.slot_path("moved").exists());
    rig.agrees(&synced);
}

#[test]
fn new_rules_take_out_and_bring_in() {
    let mut rig = Rig::new(demo());
    rig.project.write("notes.txt", "n");
    rig.project.write("a.log", "l");
    let synced = rig.reconcile();
    assert!(rig.slot_path("notes.txt").exists() && !rig.slot_path("a.log").exists());
    rig.agrees(&synced);
    rig.project.write(".gitignore", "notes.txt\n");
    let synced = rig.sync([".gitignore"]);
    assert!(!rig.slot_path("notes.txt").exists() && rig.slot_path("a.log").exists());
    rig.agrees(&synced);
}

#[test]
fn tracked_files_go_in_although_they_are_ignored() {
    let project = demo();
    project.write("kept.log", "1");
    project.write("target/fixture.txt", "1");
    project.git(["add", "-f", "kept.log", "target/fixture.txt"]);
    project.git(["commit", "-qm", "ignored and tracked"]);
    let mut rig = Rig::new(project);
    let synced = rig.reconcile();
    rig.agrees(&synced);
    rig.project.write("kept.log", "2");
    rig.project.write("target/fixture.txt", "2");
    let synced = rig.sync(["kept.log", "target/fixture.txt"]);
    assert_eq!(synced.changed.len(), 2);
    rig.agrees(&synced);
    rig.project.write("target/fixture.txt", "3");
    let synced = rig.reconcile();
    assert_eq!(synced.changed.len(), 1);
    rig.agrees(&synced);
    rig.project.git(["rm", "-q", "--cached", "kept.log"]);
    let synced = rig.sync([]);
    assert!(!rig.slot_path("kept.log").exists());
    rig.agrees(&synced);
}

#[test]
fn what_git_adds_is_known_at_once() {
    let mut rig = Rig::new(demo());
    rig.project.write("forced.log", "f");
    rig.reconcile();
    assert!(!rig.slot_path("forced.log").exists());
    rig.project.git(["add", "-f", "forced.log"]);
    let synced = rig.sync([]);
    assert_eq!(rig.in_slot("forced.log").as_deref(), Some("f"));
    rig.agrees(&synced);
}

#[test]
fn checkouts_merges_and_conflicts() {
    let mut rig = Rig::new(demo());
    let project = rig.project.clone();
    rig.reconcile();
    project.git(["checkout", "-qb", "other"]);
    for number in 0..40 {
        project.write(format!("src/m{number}.rs"), format!("// {number}\n"));
    }
    project.write("src/lib.rs", "pub fn one() -> u8 { 7 }\n");
    project.commit("other");
    let synced = rig.sync(["src"]);
    rig.agrees(&synced);
    project.git(["checkout", "-q", "main"]);
    let synced = rig.sync(["src"]);
    assert_eq!(
        synced.snapshot.as_str(),
        project.git(["rev-parse", "HEAD^{tree}"])
    );
    rig.agrees(&synced);
    project.write("src/lib.rs", "pub fn one() -> u8 { 8 }\n");
    project.commit("mine");
    assert_ne!(project.try_git(["merge", "-q", "other"]).code(), Some(0));
    let synced = rig.sync(["src"]);
    assert!(
        rig.in_slot("src/lib.rs")
            .expect("there")
            .contains("<<<<<<<")
    );
    rig.agrees(&synced);
}

#[test]
fn unborn_branches_have_snapshots() {
    let home = crate::support::Home::new();
    let project = home.project("new").file("a.txt", "a").unborn();
    let mut rig = Rig::new(project);
    assert!(rig.mirror.worktree().head().expect("HEAD").unborn);
    let synced = rig.reconcile();
    rig.agrees(&synced);
    fs::remove_file(rig.project.path("a.txt")).expect("ours");
    let synced = rig.sync(["a.txt"]);
    assert_eq!(
        synced.snapshot.as_str(),
        "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    );
}

#[test]
fn other_index_formats() {
    for setting in [
        ["index.version", "4"],
        ["core.splitIndex", "true"],
        ["index.skipHash", "true"],
    ] {
        let mut rig = Rig::new(demo());
        rig.project.git(["config", setting[0], setting[1]]);
        for number in 0..30 {
            rig.project
                .write(format!("src/some/where/m{number}.rs"), format!("{number}"));
        }
        rig.project.commit("more");
        rig.project.git(["update-index", "--force-write-index"]);
        let synced = rig.reconcile();
        rig.agrees(&synced);
        rig.project.write("src/some/where/m3.rs", "three");
        let synced = rig.sync(["src/some/where/m3.rs"]);
        rig.agrees(&synced);
    }
}

#[test]
fn sparse_checkouts_keep_heads_tree() {
    let mut rig = Rig::new(demo());
    rig.project.git([
        "sparse-checkout",
        "set",
        "--no-cone",
        "/src/",
        "/.gitignore",
    ]);
    assert!(!rig.project.path("tests").exists());
    let synced = rig.reconcile();
    assert_eq!(
        synced.snapshot.as_str(),
        rig.project.git(["rev-parse", "HEAD^{tree}"])
    );
    assert!(!rig.slot_path("tests").exists());
    rig.project.git(["sparse-checkout", "disable"]);
    let synced = rig.reconcile();
    rig.agrees(&synced);
}

#[test]
fn paths_that_lead_out_are_not_followed() {
    let mut rig = Rig::new(demo());
    let before = rig.reconcile();
    let after = rig.sync([
        "../demo/src/lib.rs",
        "/etc/passwd",
        ".git/config",
        "src/../../x",
    ]);
    assert_eq!(after.snapshot, before.snapshot);
    assert_eq!(after.generation, before.generation);
}

/// Told by the directory's name: the new file must outlive the removal of the old one.
#[test]
fn a_file_that_became_a_directory_arrives() {
    let mut rig = Rig::new(demo());
    rig.project.write("a/b", "file\n");
    rig.reconcile();
    std::fs::remove_file(rig.project.path("a/b")).expect("ours");
    rig.project.write("a/b/c", "below\n");
    let synced = rig.sync(["a"]);
    rig.agrees(&synced);
}
