//! The first population, restarts, caches, carried directories, odd worktrees.

use crate::mirror::Rig;
use crate::mirror::demo;
use crate::mirror::mtime;
use crate::mirror::open;
use crate::support::Home;
use crate::support::Project;
use crate::support::command;
use regreen::sandbox::mirror::MirrorRules;
use regreen::sandbox::slot::Purpose;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;

#[test]
fn first_population_keeps_times_and_is_heads_tree() {
    let mut rig = Rig::new(demo());
    let synced = rig.reconcile();
    assert!(synced.first);
    let head = rig.project.git(["rev-parse", "HEAD^{tree}"]);
    assert_eq!(synced.snapshot.as_str(), head);
    for path in ["src/lib.rs", "tests/test_a.py", ".gitignore"] {
        assert_eq!(rig.mtime(path), mtime(&rig.project.path(path)), "{path}");
    }
    rig.agrees(&synced);
}

#[test]
fn a_restart_changes_nothing() {
    let mut rig = Rig::new(demo());
    let before = rig.reconcile();
    let time = rig.mtime("src/lib.rs");
    let mut rig = rig.restarted();
    let after = rig.reconcile();
    assert_eq!(after.snapshot, before.snapshot);
    assert_eq!(after.generation, before.generation);
    assert!(after.changed.is_empty() && !after.first, "{after:?}");
    assert_eq!(rig.mtime("src/lib.rs"), time);
}

#[test]
fn what_happened_while_nobody_looked_is_found() {
    let mut rig = Rig::new(demo());
    rig.reconcile();
    let project = rig.project.clone();
    project.write("src/new.rs", "new\n");
    project.write_in_place("src/lib.rs", "pub fn one() -> u8 { 2 }\n");
    fs::remove_file(project.path("tests/test_a.py")).expect("ours");
    let mut rig = rig.restarted();
    let synced = rig.reconcile();
    assert_eq!(synced.changed.len(), 2, "{synced:?}");
    assert_eq!(synced.removed.len(), 1, "{synced:?}");
    rig.agrees(&synced);
}

#[test]
fn a_lost_manifest_costs_a_comparison_and_no_time() {
    let mut rig = Rig::new(demo());
    rig.reconcile();
    rig.project
        .write("src/lib.rs", "pub fn one() -> u8 { 3 }\n");
    rig.sync(["src/lib.rs"]);
    let time = rig.mtime("src/lib.rs");
    let manifest = rig.mirror.slot().dir().join("manifest.db");
    let mut rig = {
        let (project, rules) = (rig.project, rig.mirror.rules().clone());
        drop(rig.mirror);
        fs::write(
            &manifest,
            b"this is no database, and long enough to be seen as none",
        )
        .expect("ours");
        Rig::with(project, rules)
    };
    let synced = rig.reconcile();
    rig.agrees(&synced);
    assert_eq!(
        rig.mtime("src/lib.rs"),
        time,
        "the same content keeps its time"
    );
    let project = rig.project.clone();
    drop(rig);
    std::fs::remove_file(&manifest).expect("ours");
    let file = fs::File::options()
        .write(true)
        .open(project.path("src/lib.rs"))
        .expect("ours");
    drop(file);
    project.write("src/lib.rs", "pub fn one() -> u8 { 4 }\n");
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000);
    let file = fs::File::options()
        .write(true)
        .open(project.path("src/lib.rs"))
        .expect("ours");
    file.set_modified(old).expect("ours");
    let mut rig = Rig::new(project);
    rig.reconcile();
    assert!(rig.mtime("src/lib.rs") >= time, "no time goes back");
}

#[test]
fn names_that_are_not_utf8_and_spaces() {
    let project = Home::new()
        .project("a b'c")
        .file("x y/z \"q\".txt", "1")
        .unborn();
    let odd = OsStr::from_bytes(b"caf\xe9.txt");
    fs::write(project.path(odd), "latin").expect("ours");
    fs::create_dir(project.path(OsStr::from_bytes(b"d\xff"))).expect("ours");
    fs::write(project.path(OsStr::from_bytes(b"d\xff")).join("f"), "in").expect("ours");
    let mut rig = Rig::new(project);
    let synced = rig.reconcile();
    assert_eq!(synced.snapshot.as_str(), rig.project.tree_now());
    fs::write(rig.project.path(odd), "changed").expect("ours");
    let synced = rig.mirror.sync(&[odd.into()]).expect("it follows");
    assert_eq!(synced.snapshot.as_str(), rig.project.tree_now());
    assert_eq!(
        fs::read(rig.mirror.tree().join(odd)).expect("there"),
        b"changed"
    );
}

#[test]
fn other_choices_of_the_users_count_from_the_next_sync() {
    let project = demo();
    project.write("notes.log", "ignored\n");
    project.write(".env", "TOKEN=1\n");
    let mut rig = Rig::new(project);
    rig.reconcile();
    let seen = |rig: &Rig| [".env", "notes.log"].map(|path| rig.in_slot(path).is_some());
    assert_eq!(seen(&rig), [false, false]);
    let mut rules = rig.mirror.rules().clone();
    rules.include = vec![".env".into(), "notes.log".into()];
    rig.mirror.set_rules(rules.clone());
    let synced = rig.sync(["src/lib.rs"]);
    assert_eq!(seen(&rig), [true, true]);
    assert!(synced.left_out.is_empty(), "{synced:?}");
    // The same choices again are no reason for a walk.
    rig.project.write("unheard.txt", "x");
    rig.mirror.set_rules(rules);
    rig.sync(["src/lib.rs"]);
    assert_eq!(rig.in_slot("unheard.txt"), None, "everything was walked");
    rig.mirror.set_rules(MirrorRules::default());
    let synced = rig.sync(["src/lib.rs"]);
    assert_eq!(seen(&rig), [false, false]);
    assert_eq!(synced.left_out.len(), 1, "{synced:?}");
}

#[test]
fn modes_and_links() {
    let mut rig = Rig::new(demo());
    let project = rig.project.clone();
    fs::set_permissions(project.path("src/lib.rs"), PermissionsExt::from_mode(0o755))
        .expect("ours");
    symlink("../src/lib.rs", project.path("tests/link")).expect("ours");
    symlink("/etc/hostname", project.path("outside")).expect("ours");
    let synced = rig.reconcile();
    rig.agrees(&synced);
    let link = fs::read_link(rig.slot_path("outside")).expect("a link, not its content");
    assert_eq!(link, std::path::Path::new("/etc/hostname"));
    fs::remove_file(project.path("tests/link")).expect("ours");
    project.write("tests/link", "now a file\n");
    let synced = rig.sync(["tests/link"]);
    rig.agrees(&synced);
}

#[test]
fn linked_worktrees_and_detached_heads() {
    let project = demo();
    project.git(["worktree", "add", "-q", "--detach", "../linked"]);
    let linked = Project::at(&project.home, &project.home.path().join("linked"));
    linked.write("src/lib.rs", "pub fn one() -> u8 { 9 }\n");
    let mut rig = Rig::new(linked);
    let head = rig.mirror.worktree().head().expect("HEAD");
    assert!(head.detached && head.branch.is_none() && head.commit.is_some());
    let synced = rig.reconcile();
    rig.agrees(&synced);
}

#[test]
fn submodules_count_with_their_content() {
    let home = Home::new();
    let inner = home.project("inner").file("lib.txt", "one\n").committed();
    let outer = home.project("outer").file("a.txt", "a\n").committed();
    let url = inner.root().to_str().expect("ascii").to_owned();
    outer.git([
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        &url,
        "sub",
    ]);
    outer.commit("with a submodule");
    let mut rig = Rig::new(outer);
    let clean = rig.reconcile();
    let head = rig.project.git(["rev-parse", "HEAD^{tree}"]);
    assert_eq!(clean.snapshot.as_str(), head, "a clean submodule is a link");
    assert_eq!(rig.in_slot("sub/lib.txt").as_deref(), Some("one\n"));
    assert!(!rig.slot_path("sub/.git").exists());

    rig.project.write("sub/lib.txt", "two\n");
    let dirty = rig.sync(["sub/lib.txt"]);
    assert_ne!(dirty.snapshot, clean.snapshot);
    assert_eq!(rig.in_slot("sub/lib.txt").as_deref(), Some("two\n"));
    rig.project.write("sub/lib.txt", "three\n");
    let dirtier = rig.sync(["sub/lib.txt"]);
    assert_ne!(dirtier.snapshot, dirty.snapshot);

    rig.project.write("sub/lib.txt", "one\n");
    assert_eq!(rig.sync(["sub/lib.txt"]).snapshot, clean.snapshot);
    rig.mirror
        .populate_tree(&dirty.snapshot)
        .expect("a dirty state can be had again");
    assert_eq!(rig.in_slot("sub/lib.txt").as_deref(), Some("two\n"));
    rig.mirror
        .populate_tree(&clean.snapshot)
        .expect("a clean one too");
    assert_eq!(rig.in_slot("sub/lib.txt").as_deref(), Some("one\n"));
}

#[test]
fn repositories_inside_are_copied_without_their_git() {
    let mut rig = Rig::new(demo());
    let inside = rig.project.path("vendored");
    fs::create_dir(&inside).expect("ours");
    let git = command("git")
        .args(["init", "-q"])
        .current_dir(&inside)
        .status();
    assert!(git.expect("git runs").success());
    fs::write(inside.join("v.txt"), "v").expect("ours");
    rig.reconcile();
    assert_eq!(rig.in_slot("vendored/v.txt").as_deref(), Some("v"));
    assert!(!rig.slot_path("vendored/.git").exists());
}

#[test]
fn caches_are_seeded_with_their_times_and_dependencies_carried() {
    let project = demo();
    project.write(
        ".gitignore",
        "/target\n__pycache__\nnode_modules\nvenv\nout\n",
    );
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_500_000_000);
    for path in [
        "target/debug/app",
        "tests/__pycache__/a.pyc",
        "node_modules/x/index.js",
        "out/junk",
    ] {
        let path = project.path(path);
        fs::create_dir_all(path.parent().expect("below")).expect("ours");
        fs::write(&path, "built").expect("ours");
        let file = fs::File::options().write(true).open(&path).expect("ours");
        file.set_modified(old).expect("ours");
    }
    fs::hard_link(
        project.path("target/debug/app"),
        project.path("target/debug/same"),
    )
    .expect("ours");
    fs::write(project.path("target/CACHEDIR.TAG"), "Signature").expect("ours");
    fs::create_dir_all(project.path("venv/bin")).expect("ours");
    fs::write(project.path("venv/pyvenv.cfg"), "home = /usr").expect("ours");
    fs::create_dir_all(project.path("node_modules/.cache")).expect("ours");
    // Seeding waits for nobody who is writing: let the clock tick on.
    crate::support::until("the clock", std::time::Duration::from_secs(5), || {
        let age = fs::metadata(project.path("venv/pyvenv.cfg"))
            .ok()?
            .modified()
            .ok()?
            .elapsed()
            .ok()?;
        (age > std::time::Duration::from_millis(50)).then_some(())
    });
    let mut rig = Rig::new(project);
    let synced = rig.reconcile();
    for path in [
        "target/debug/app",
        "target/debug/same",
        "tests/__pycache__/a.pyc",
    ] {
        assert_eq!(rig.mtime(path), 1_500_000_000_000_000_000, "{path}");
    }
    assert!(!rig.slot_path("out").exists() && !rig.slot_path("node_modules/x").exists());
    let mounts: Vec<(String, bool)> = synced
        .carried
        .iter()
        .map(|it| {
            (
                it.target
                    .strip_prefix(rig.project.root())
                    .expect("below")
                    .display()
                    .to_string(),
                it.writable,
            )
        })
        .collect();
    let expected = [
        ("node_modules", false),
        ("node_modules/.cache", true),
        ("venv", false),
    ];
    assert_eq!(
        mounts,
        expected.map(|(path, writable)| (path.to_owned(), writable))
    );
    assert!(rig.slot_path("venv").is_dir(), "the mount point is there");
    let again = rig.sync(["src/lib.rs"]);
    assert_eq!(again.carried, synced.carried);
    // The cache is the slot's own now.
    fs::write(rig.project.path("target/debug/app"), "rebuilt by the user").expect("ours");
    rig.reconcile();
    assert_eq!(rig.in_slot("target/debug/app").as_deref(), Some("built"));
}

#[test]
fn a_writable_carried_directory_is_a_private_copy() {
    let project = demo();
    project.write(".gitignore", "data\n");
    fs::create_dir_all(project.path("data")).expect("ours");
    fs::write(project.path("data/db"), "rows").expect("ours");
    let rules = MirrorRules {
        carry_writable: vec!["data".into()],
        ..MirrorRules::default()
    };
    let mut rig = Rig::with(project, rules);
    let synced = rig.reconcile();
    let [mount] = synced.carried.as_slice() else {
        panic!("{:?}", synced.carried);
    };
    assert!(mount.writable && mount.target == rig.project.path("data"));
    fs::write(mount.source.join("db"), "tests wrote").expect("ours");
    assert_eq!(rig.project.read("data/db"), "rows");
}

#[test]
fn large_untracked_files_go_in_and_are_not_stored() {
    let rules = MirrorRules {
        large_bytes: 1_000,
        ..MirrorRules::default()
    };
    let mut rig = Rig::with(demo(), rules);
    rig.project.write("big.bin", vec![b'x'; 3 << 20]);
    let synced = rig.reconcile();
    assert_eq!(synced.large, [std::path::PathBuf::from("big.bin")]);
    assert_eq!(synced.snapshot.as_str(), rig.project.tree_now());
    let id = regreen::git::Objects::hash_blob(&vec![b'x'; 3 << 20]).expect("a hash");
    // tree_now made git store it; regreen's own store must not have it.
    let own = regreen::git::Objects::open_at(rig.mirror.objects().path()).expect("opens");
    assert!(!own.contains(id));
    assert_eq!(
        mtime(&rig.slot_path("big.bin")),
        mtime(&rig.project.path("big.bin"))
    );
}

#[test]
fn two_slots_of_one_project_do_not_know_each_other() {
    let project = demo();
    let mut watch = open(&project, Purpose::Watch, MirrorRules::default());
    let mut run = open(&project, Purpose::Run, MirrorRules::default());
    assert_ne!(watch.slot().number(), run.slot().number());
    let one = watch.reconcile().expect("it follows");
    let other = run.reconcile().expect("it follows");
    assert_eq!(one.snapshot, other.snapshot);
}

#[test]
fn many_that_make_the_objects_at_once_make_one_store() {
    for _ in 0..20 {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("p/objects.git");
        let id = regreen::git::Objects::hash_blob(b"x").expect("a hash");
        let together = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    together.wait();
                    let own = regreen::git::Objects::open_at(&path).expect("it is made or opened");
                    assert!(!own.contains(id));
                });
            }
        });
    }
}

/// A child that was forked while the slot was held has its lock's descriptor until it executes
/// its program; another thread's start must not keep a slot from being taken again.
#[test]
fn a_slot_that_was_given_back_is_free_whoever_still_has_its_lock_open() {
    let project = demo();
    let held = open(&project, Purpose::Watch, MirrorRules::default());
    let lock = held.slot().dir().join("lock");
    let ours = std::fs::read_dir("/proc/self/fd").expect("our descriptors");
    let number = ours
        .flatten()
        .find(|entry| fs::read_link(entry.path()).is_ok_and(|path| path == lock))
        .and_then(|entry| entry.file_name().to_str()?.parse().ok())
        .expect("it is open");
    let myself = rustix::process::getpid();
    let myself = rustix::process::pidfd_open(myself, rustix::process::PidfdFlags::empty());
    let myself = myself.expect("a handle of this process");
    // A copy of the same open file, as a fork makes it.
    let flags = rustix::process::PidfdGetfdFlags::empty();
    let inherited = rustix::process::pidfd_getfd(myself, number, flags).expect("a copy");
    drop(held);
    let again = open(&project, Purpose::Watch, MirrorRules::default());
    assert_eq!(again.slot().number(), 0);
    drop(inherited);
}
