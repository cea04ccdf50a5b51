//! Clean and smudge filters (LFS and the like): a clean tree has HEAD's id, and regreen never
//! runs the filter.

use crate::mirror::Rig;
use crate::support::Home;
use crate::support::Project;

/// Content is upper case on disk and lower case in the repository.
fn filtered() -> Project {
    let project = Home::new()
        .project("lfs")
        .file("plain.txt", "plain\n")
        .unborn();
    project.write(
        ".gitattributes",
        "*.bin filter=shout\n*.crlf text eol=crlf\n",
    );
    project.git(["config", "filter.shout.clean", "tr A-Z a-z"]);
    project.git(["config", "filter.shout.smudge", "tr a-z A-Z"]);
    project.write("data.bin", "CONTENT\n");
    project.write("dos.crlf", "one\r\ntwo\r\n");
    project.commit("filtered");
    project
}

#[test]
fn a_clean_tree_has_heads_id() {
    let project = filtered();
    let head = project.git(["rev-parse", "HEAD^{tree}"]);
    // The index is young: git itself must look again before it trusts its stats.
    project.git(["status"]);
    let mut rig = Rig::new(project);
    let synced = rig.reconcile();
    assert_eq!(synced.snapshot.as_str(), head);
    assert_eq!(rig.in_slot("data.bin").as_deref(), Some("CONTENT\n"));
    assert_eq!(rig.in_slot("dos.crlf").as_deref(), Some("one\r\ntwo\r\n"));

    rig.project.write("data.bin", "OTHER\n");
    let dirty = rig.sync(["data.bin"]);
    assert_ne!(dirty.snapshot.as_str(), head);
    assert_eq!(rig.in_slot("data.bin").as_deref(), Some("OTHER\n"));

    rig.project.commit("other");
    let time = rig.mtime("data.bin");
    let committed = rig.sync([]);
    assert_eq!(
        committed.snapshot.as_str(),
        rig.project.git(["rev-parse", "HEAD^{tree}"])
    );
    assert_eq!(rig.mtime("data.bin"), time, "only its id changed");
    let again = rig.reconcile();
    assert_eq!(again.snapshot, committed.snapshot);
}

#[test]
fn touching_a_filtered_file_changes_nothing() {
    let project = filtered();
    project.git(["status"]);
    let mut rig = Rig::new(project);
    let before = rig.reconcile();
    let text = rig.project.read("data.bin");
    rig.project.write("data.bin", text);
    let time = rig.mtime("data.bin");
    let after = rig.sync(["data.bin"]);
    assert_eq!(after.snapshot, before.snapshot);
    assert_eq!(rig.mtime("data.bin"), time);
}

#[test]
fn a_given_tree_gets_the_users_smudged_content() {
    let project = filtered();
    project.git(["status"]);
    let head = project.git(["rev-parse", "HEAD^{tree}"]);
    let mut rig = Rig::new(project);
    let tree = regreen::model::SnapshotId::new(head);
    let synced = rig.mirror.populate_tree(&tree).expect("it is all there");
    assert_eq!(synced.snapshot, tree);
    assert_eq!(rig.in_slot("data.bin").as_deref(), Some("CONTENT\n"));
    let drift = rig.mirror.drift().expect("walked");
    assert!(drift.is_clean() && drift.created.is_empty(), "{drift:?}");
}

#[test]
fn no_filter_is_ever_run() {
    let project = filtered();
    let trace = project.home.top().join("filter-ran");
    let planted = format!("touch '{}'; cat", trace.display());
    for name in [
        "filter.shout.clean",
        "filter.shout.smudge",
        "filter.shout.process",
        "core.fsmonitor",
    ] {
        project.git(["config", name, &planted]);
    }
    let head = project.git(["rev-parse", "HEAD"]);
    let mut rig = Rig::new(project);
    let _ = std::fs::remove_file(&trace);
    rig.reconcile();
    rig.project.write("data.bin", "MORE\n");
    rig.sync(["data.bin"]);
    let tree = rig.mirror.worktree().tree_of(&head).expect("HEAD");
    rig.mirror.populate_tree(&tree).expect("it is all there");
    assert!(!trace.exists(), "regreen ran a filter");
}
