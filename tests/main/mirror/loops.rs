//! What loops need: given trees, an agent's edits, slots copied and thrown away, commits that
//! survive the user's `git gc --prune=now`.

use crate::mirror::Rig;
use crate::mirror::demo;
use crate::mirror::open;
use regreen::git::CommitSpec;
use regreen::git::GitError;
use regreen::git::Oid;
use regreen::git::Rebased;
use regreen::git::RefUpdate;
use regreen::model::SnapshotId;
use regreen::model::Timestamp;
use regreen::sandbox::mirror::MirrorRules;
use regreen::sandbox::slot::Purpose;
use std::fs;

fn oid(text: &str) -> Oid {
    Oid::from_str(text).expect("40 hex digits")
}

fn spec(tree: &SnapshotId, parent: Oid, message: &str) -> CommitSpec {
    CommitSpec {
        tree: oid(tree.as_str()),
        parents: vec![parent],
        message: message.to_owned(),
        trailers: vec![("Regreen-Loop".into(), "l1\nForged: yes".into())],
        author: ("agent".into(), "agent@localhost".into()),
        time: Timestamp::from_millis(1_700_000_000_000),
    }
}

#[test]
fn given_trees_touch_only_what_differs() {
    let project = demo();
    let first = SnapshotId::new(project.git(["rev-parse", "HEAD^{tree}"]));
    project.write("src/lib.rs", "pub fn one() -> u8 { 2 }\n");
    project.write("src/more.rs", "// more\n");
    project.commit("second");
    let second = SnapshotId::new(project.git(["rev-parse", "HEAD^{tree}"]));
    let mut rig = Rig::new(project);
    let synced = rig.mirror.populate_tree(&first).expect("in the history");
    assert_eq!(synced.snapshot, first);
    assert_eq!(
        rig.in_slot("src/lib.rs").as_deref(),
        Some("pub fn one() -> u8 { 1 }\n")
    );
    assert!(!rig.slot_path("src/more.rs").exists());
    let kept = rig.mtime("tests/test_a.py");
    let synced = rig.mirror.populate_tree(&second).expect("in the history");
    assert_eq!(synced.snapshot, second);
    assert_eq!(synced.changed.len(), 2, "{synced:?}");
    assert_eq!(rig.mtime("tests/test_a.py"), kept);
    // And back to the worktree, with an edit.
    rig.project
        .write("src/lib.rs", "pub fn one() -> u8 { 3 }\n");
    let synced = rig.sync(["src/lib.rs"]);
    rig.agrees(&synced);
    assert_eq!(rig.mtime("tests/test_a.py"), kept);
}

#[test]
fn files_as_the_user_has_them_keep_their_times_in_a_new_slot() {
    let mut rig = Rig::new(demo());
    rig.project.git(["status"]);
    let tree = SnapshotId::new(rig.project.git(["rev-parse", "HEAD^{tree}"]));
    rig.mirror.populate_tree(&tree).expect("HEAD");
    let user = crate::mirror::mtime(&rig.project.path("src/lib.rs"));
    assert_eq!(rig.mtime("src/lib.rs"), user);
}

#[test]
fn an_agents_edits_become_a_snapshot() {
    let project = demo();
    let tree = SnapshotId::new(project.git(["rev-parse", "HEAD^{tree}"]));
    let mut mirror = open(&project, Purpose::Loop, MirrorRules::default());
    mirror.populate_tree(&tree).expect("HEAD");
    let slot = mirror.tree().to_owned();
    assert_eq!(mirror.capture().expect("nothing").snapshot, tree);
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000);
    fs::write(slot.join("src/lib.rs"), "fixed\n").expect("ours");
    let file = fs::File::options()
        .write(true)
        .open(slot.join("src/lib.rs"))
        .expect("ours");
    file.set_modified(long_ago).expect("ours");
    fs::write(slot.join("new.rs"), "new\n").expect("ours");
    fs::write(slot.join("x.log"), "ignored\n").expect("ours");
    fs::remove_file(slot.join("tests/test_a.py")).expect("ours");
    fs::create_dir_all(slot.join(".git")).expect("ours");
    fs::write(slot.join(".git/config"), "planted\n").expect("ours");
    let synced = mirror.capture().expect("captured");
    let changes = mirror
        .objects()
        .changes(oid(tree.as_str()), oid(synced.snapshot.as_str()))
        .expect("both are there");
    let names: Vec<String> = changes
        .iter()
        .map(|it| format!("{:?} {}", it.kind, String::from_utf8_lossy(&it.path)))
        .collect();
    assert_eq!(
        names,
        [
            "Added new.rs",
            "Modified src/lib.rs",
            "Removed tests/test_a.py"
        ]
    );
    let now = crate::mirror::mtime(&slot.join("src/lib.rs"));
    assert!(
        now > 1_600_000_000_000_000_000,
        "the build must see the edit"
    );
    assert_eq!(
        mirror.capture().expect("nothing new").snapshot,
        synced.snapshot
    );
    let text = mirror
        .objects()
        .patch(oid(tree.as_str()), oid(synced.snapshot.as_str()), 10_000)
        .expect("a diff");
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(
        text.contains("+fixed") && text.contains("-pub fn one"),
        "{text}"
    );
    // The next iteration starts from there.
    mirror.populate_tree(&tree).expect("back");
    assert!(!slot.join("new.rs").exists() && slot.join("tests/test_a.py").exists());
    mirror
        .populate_tree(&synced.snapshot)
        .expect("its blobs are stored");
    assert_eq!(
        fs::read_to_string(slot.join("src/lib.rs")).expect("there"),
        "fixed\n"
    );
}

#[test]
fn a_lock_file_made_by_a_run_is_no_edit_of_an_agent() {
    let project = demo();
    project.write("Cargo.toml", "[package]\nname = \"a\"\n");
    project.write("Cargo.lock", "old\n");
    project.commit("a package");
    let tree = SnapshotId::new(project.git(["rev-parse", "HEAD^{tree}"]));
    let mut mirror = open(&project, Purpose::Loop, MirrorRules::default());
    mirror.populate_tree(&tree).expect("HEAD");
    let slot = mirror.tree().to_owned();
    fs::write(slot.join("Cargo.lock"), "by cargo\n").expect("ours");
    assert_eq!(mirror.capture().expect("nothing").snapshot, tree);
    fs::write(slot.join("Cargo.toml"), "[package]\nname = \"b\"\n").expect("ours");
    let synced = mirror.capture().expect("both");
    assert_eq!(synced.changed.len(), 2, "{synced:?}");
}

#[test]
fn a_gate_slot_is_a_copy_that_flows_nowhere() {
    let project = demo();
    let mut watch = open(&project, Purpose::Watch, MirrorRules::default());
    let base = watch.reconcile().expect("it follows");
    fs::create_dir_all(watch.tree().join("target")).expect("ours");
    fs::write(watch.tree().join("target/bin"), "clean").expect("ours");
    let gate = {
        let worktree = watch.worktree().clone();
        let slots = regreen::sandbox::slot::Slots::open(&project.home.cache()).expect("ours");
        slots
            .lease(&worktree, Purpose::Gate, Timestamp::from_millis(2))
            .expect("a slot")
    };
    gate.copy_from(watch.slot()).expect("copied");
    let objects =
        regreen::git::Objects::open(&project.home.state(), watch.worktree()).expect("ours");
    let rules = MirrorRules::default();
    let mut gate =
        regreen::sandbox::mirror::Mirror::open(watch.worktree().clone(), objects, gate, rules)
            .expect("a mirror");
    let time = crate::mirror::mtime(&watch.tree().join("src/lib.rs"));
    assert_eq!(crate::mirror::mtime(&gate.tree().join("src/lib.rs")), time);
    assert_eq!(
        gate.populate_tree(&base.snapshot)
            .expect("the same")
            .changed
            .len(),
        0
    );
    fs::write(gate.tree().join("target/bin"), "planted").expect("ours");
    assert_eq!(
        fs::read_to_string(watch.tree().join("target/bin")).expect("kept"),
        "clean"
    );
    let number = gate.slot().number();
    drop(gate);
    let again = open(&project, Purpose::Gate, MirrorRules::default());
    assert_eq!(again.slot().number(), number);
    assert!(
        !again.tree().join("target").exists(),
        "a gate's slot is thrown away"
    );
}

#[test]
fn commits_survive_the_users_gc() {
    let project = demo();
    let base = oid(&project.git(["rev-parse", "HEAD"]));
    let mut mirror = open(&project, Purpose::Loop, MirrorRules::default());
    let tree = SnapshotId::new(project.git(["rev-parse", "HEAD^{tree}"]));
    mirror.populate_tree(&tree).expect("HEAD");
    // The same content lies loose and unreachable in the user's repository.
    project.write("loose.txt", "fixed by the agent\n");
    project.git(["hash-object", "-w", "loose.txt"]);
    fs::remove_file(project.path("loose.txt")).expect("ours");
    fs::write(mirror.tree().join("src/lib.rs"), "fixed by the agent\n").expect("ours");
    let fixed = mirror.capture().expect("captured");
    let objects = mirror.objects();
    objects.adopt(base).expect("the base is complete");
    let commit = objects
        .commit_tree(&spec(&fixed.snapshot, base, "one"))
        .expect("a commit");
    objects.adopt_since(commit, &[base]).expect("complete");
    let name = "refs/regreen/loops/l1";
    let update = |old, new| RefUpdate {
        name: name.into(),
        old,
        new,
        log: "test".into(),
    };
    objects
        .write_ref(&update(None, Some(commit)))
        .expect("free");
    let worktree = mirror.worktree();
    worktree
        .write_ref(&RefUpdate {
            name: "refs/regreen/base".into(),
            ..update(None, Some(base))
        })
        .expect("free");

    // In mid-loop the user throws the branch away and cleans up.
    project.git(["checkout", "-q", "--orphan", "fresh"]);
    project.git(["commit", "-qm", "fresh"]);
    project.git(["branch", "-D", "main"]);
    project.git(["reflog", "expire", "--expire=now", "--all"]);
    project.git(["gc", "-q", "--prune=now"]);
    assert_eq!(objects.read_ref(name).expect("read"), Some(commit));
    let copied = objects
        .copy_closure(commit, &[base], worktree)
        .expect("copied");
    assert!(copied >= 3, "{copied}");
    let branch = RefUpdate {
        name: "refs/heads/regreen/l1".into(),
        ..update(None, Some(commit))
    };
    worktree.write_ref(&branch).expect("free");
    project.git(["gc", "-q", "--prune=now"]);
    assert_eq!(
        project.git(["show", "regreen/l1:src/lib.rs"]),
        "fixed by the agent"
    );
    project.git(["fsck", "--strict"]);
    let message = project.git(["log", "-1", "--format=%B", "regreen/l1"]);
    assert!(
        message.contains("Regreen-Loop: l1 Forged: yes"),
        "{message}"
    );

    // Compare-and-swap, and only our own refs.
    let moved = objects
        .write_ref(&update(None, Some(base)))
        .expect_err("it exists");
    assert!(matches!(moved, GitError::RefMoved { .. }), "{moved}");
    let foreign = RefUpdate {
        name: "refs/heads/fresh".into(),
        ..update(None, Some(base))
    };
    let refused = worktree.write_ref(&foreign).expect_err("the user's");
    assert!(matches!(refused, GitError::ForeignRef(_)), "{refused}");
}

#[test]
fn a_renewed_store_keeps_refs_and_the_current_state() {
    let mut rig = Rig::new(demo());
    rig.reconcile();
    for round in 0..20 {
        rig.project.write("src/lib.rs", format!("// {round}\n"));
        rig.sync(["src/lib.rs"]);
    }
    let last = rig.sync([]);
    let base = oid(&rig.project.git(["rev-parse", "HEAD"]));
    let project = rig.project.clone();
    let worktree = rig.mirror.worktree().clone();
    drop(rig);
    let mut objects = regreen::git::Objects::open(&project.home.state(), &worktree).expect("ours");
    let commit = objects
        .commit_tree(&spec(&last.snapshot, base, "kept"))
        .expect("a commit");
    objects.adopt_since(commit, &[base]).expect("complete");
    let update = RefUpdate {
        name: "refs/regreen/kept".into(),
        old: None,
        new: Some(commit),
        log: "test".into(),
    };
    objects.write_ref(&update).expect("free");
    let other =
        regreen::git::Objects::open(&project.home.state(), &worktree).expect("a second one");
    assert!(
        !objects.renew(&[]).expect("waits"),
        "somebody else has it open"
    );
    drop(other);
    assert!(
        objects
            .renew(&[oid(last.snapshot.as_str())])
            .expect("renewed")
    );
    assert_eq!(
        objects.read_ref("refs/regreen/kept").expect("read"),
        Some(commit)
    );
    let text = objects.read_file(oid(last.snapshot.as_str()), b"src/lib.rs", 1_000);
    assert_eq!(text.expect("read"), Some(b"// 19\n".to_vec()));
    drop(objects);
    let mut rig = Rig::new(project);
    let synced = rig.reconcile();
    rig.agrees(&synced);
}

#[test]
fn commits_move_onto_a_branch_that_moved() {
    let project = demo();
    let base = oid(&project.git(["rev-parse", "HEAD"]));
    project.git(["checkout", "-qb", "loop"]);
    project.write("src/lib.rs", "fixed\n");
    let fix = oid(&project.commit("fix"));
    project.git(["checkout", "-q", "main"]);
    project.write("other.txt", "other\n");
    let onto = oid(&project.commit("other"));
    let mirror = open(&project, Purpose::Loop, MirrorRules::default());
    let Rebased::Clean { tip, tree } = mirror.objects().rebase(base, fix, onto).expect("merged")
    else {
        panic!("no conflict here");
    };
    let info = mirror.objects().commit_info(tip).expect("made");
    assert_eq!(info.parents, [onto]);
    let entry = mirror
        .objects()
        .read_file(tree, b"src/lib.rs", 100)
        .expect("read");
    assert_eq!(entry, Some(b"fixed\n".to_vec()));
    assert!(
        mirror
            .objects()
            .entry_at(tree, b"other.txt")
            .expect("read")
            .is_some()
    );

    // Landing: the objects, the branch, the clean checkout.
    let worktree = mirror.worktree();
    mirror
        .objects()
        .copy_closure(tip, &[onto], worktree)
        .expect("copied");
    project.write("tests/test_a.py", "dirty\n");
    let from = mirror.objects().commit_info(onto).expect("there").tree;
    assert_eq!(worktree.checkout(from, tree).expect("asked"), Ok(()));
    worktree
        .land_branch("main", onto, tip, "landed")
        .expect("not moved");
    assert_eq!(project.read("src/lib.rs"), "fixed\n");
    assert_eq!(project.git(["status", "--porcelain"]), " M tests/test_a.py");
    assert!(worktree.land_branch("main", onto, tip, "again").is_err());

    // A dirty file in the way: named, and nothing is touched.
    project.git(["checkout", "-q", "tests/test_a.py"]);
    project.git(["checkout", "-q", "--detach", &onto.to_string()]);
    project.write("src/lib.rs", "my own\n");
    let dirty = worktree
        .checkout(from, tree)
        .expect("asked")
        .expect_err("in the way");
    assert_eq!(dirty, [std::path::PathBuf::from("src/lib.rs")]);
    assert_eq!(project.read("src/lib.rs"), "my own\n");

    // A conflict is told by path.
    project.git(["checkout", "-qf", "-b", "clash", &base.to_string()]);
    project.write("src/lib.rs", "clash\n");
    let clash = oid(&project.commit("clash"));
    let conflict = mirror.objects().rebase(base, fix, clash).expect("tried");
    assert_eq!(
        conflict,
        Rebased::Conflict {
            commit: fix,
            paths: vec!["src/lib.rs".into()]
        }
    );
}

#[test]
fn the_index_has_a_tree_too() {
    let project = demo();
    let mirror = open(&project, Purpose::Watch, MirrorRules::default());
    let tree =
        |mirror: &regreen::sandbox::mirror::Mirror| mirror.objects().index_tree(mirror.worktree());
    project.write("src/lib.rs", "// staged\n");
    project.write("new.txt", "staged\n");
    project.write("intent.txt", "not staged\n");
    project.git(["add", "src/lib.rs", "new.txt"]);
    project.git(["add", "-N", "intent.txt"]);
    project.write("src/lib.rs", "// and edited again\n");
    let staged = tree(&mirror).expect("a tree");
    assert_eq!(staged.as_str(), project.git(["write-tree"]));
    let mut mirror = mirror;
    mirror.populate_tree(&staged).expect("all of it is stored");
    let text = fs::read_to_string(mirror.tree().join("src/lib.rs")).expect("there");
    assert_eq!(text, "// staged\n");
    project.git(["commit", "-qm", "ours"]);
    project.git(["checkout", "-qf", "-b", "theirs", "HEAD~1"]);
    project.write("src/lib.rs", "// theirs\n");
    project.git(["commit", "-qam", "theirs"]);
    assert_ne!(project.try_git(["merge", "-q", "main"]).code(), Some(0));
    // Git itself could not write this one; ours stands for the conflict.
    let conflict = oid(tree(&mirror).expect("a tree").as_str());
    let text = mirror.objects().read_file(conflict, b"src/lib.rs", 100);
    assert_eq!(text.expect("read"), Some(b"// theirs\n".to_vec()));
}
