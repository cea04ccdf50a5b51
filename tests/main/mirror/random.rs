//! Whatever happens to a worktree, after a sync of the touched paths (or a walk) the snapshot
//! is git's own tree and the slot holds its files.

use crate::mirror::Rig;
use crate::support::Home;
use crate::support::full_tier;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

#[derive(Debug, Clone)]
enum Step {
    Write(usize, u8),
    Remove(usize),
    Rename(usize, usize),
    Executable(usize),
    Link(usize, u8),
    Stage,
    Commit,
    Unstage,
    Checkout,
    Sync,
    Reconcile,
    Restart,
}

/// Paths that get into each other's way: files that are directories elsewhere, names around
/// the slash in byte order, ignored ones.
const PATHS: [&str; 10] = [
    "a", "a/b", "a/b/c", "a-b", "a.b", "d/e", "d/e.log", "keep.log", "d/f/g", "out/x",
];

fn step() -> impl Strategy<Value = Step> {
    let path = 0..PATHS.len();
    prop_oneof![
        6 => (path.clone(), 0..3_u8).prop_map(|(path, value)| Step::Write(path, value)),
        3 => path.clone().prop_map(Step::Remove),
        2 => (path.clone(), path.clone()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => path.clone().prop_map(Step::Executable),
        1 => (path, 0..3_u8).prop_map(|(path, value)| Step::Link(path, value)),
        2 => Just(Step::Stage),
        1 => Just(Step::Commit),
        1 => Just(Step::Unstage),
        1 => Just(Step::Checkout),
        5 => Just(Step::Sync),
        2 => Just(Step::Reconcile),
        1 => Just(Step::Restart),
    ]
}

fn clear_way(root: &std::path::Path, path: &str, touched: &mut BTreeSet<PathBuf>) {
    let mut above = PathBuf::new();
    for part in PathBuf::from(path).parent().expect("relative").components() {
        above.push(part);
        let full = root.join(&above);
        if full.symlink_metadata().is_ok_and(|meta| !meta.is_dir()) {
            fs::remove_file(&full).expect("ours");
            touched.insert(above.clone());
        }
    }
    fs::create_dir_all(root.join(&above)).expect("ours");
    let full = root.join(path);
    if full.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        fs::remove_dir_all(&full).expect("ours");
    }
    touched.insert(PathBuf::from(path));
}

fn apply(rig: &Rig, step: &Step, touched: &mut BTreeSet<PathBuf>) {
    let root = rig.project.root();
    match step {
        Step::Write(path, value) => {
            clear_way(root, PATHS[*path], touched);
            let full = root.join(PATHS[*path]);
            let _ = fs::remove_file(&full);
            fs::write(&full, format!("{value}\n")).expect("ours");
        }
        Step::Remove(path) => {
            let full = root.join(PATHS[*path]);
            match full.symlink_metadata() {
                Ok(meta) if meta.is_dir() => fs::remove_dir_all(&full).expect("ours"),
                Ok(_) => fs::remove_file(&full).expect("ours"),
                Err(_) => {}
            }
            touched.insert(PathBuf::from(PATHS[*path]));
        }
        Step::Rename(from, to) => {
            if fs::rename(root.join(PATHS[*from]), root.join(PATHS[*to])).is_ok() {
                touched.extend([PathBuf::from(PATHS[*from]), PathBuf::from(PATHS[*to])]);
            }
        }
        Step::Executable(path) => {
            let full = root.join(PATHS[*path]);
            if full.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
                fs::set_permissions(&full, PermissionsExt::from_mode(0o755)).expect("ours");
                touched.insert(PathBuf::from(PATHS[*path]));
            }
        }
        Step::Link(path, value) => {
            clear_way(root, PATHS[*path], touched);
            let full = root.join(PATHS[*path]);
            let _ = fs::remove_file(&full);
            symlink(format!("to-{value}"), &full).expect("ours");
        }
        Step::Stage => {
            rig.project.git(["add", "--all"]);
            let _ = rig.project.try_git(["add", "-f", "keep.log"]);
        }
        Step::Commit => {
            rig.project
                .git(["commit", "-q", "--allow-empty", "-m", "c"]);
        }
        Step::Unstage => {
            rig.project.git([
                "rm",
                "-rqf",
                "--cached",
                "--ignore-unmatch",
                "--",
                "a",
                "keep.log",
            ]);
        }
        Step::Checkout => {
            rig.project.git(["checkout", "-qf", "HEAD", "--", "."]);
            // As many events as there are paths.
            touched.extend(PATHS.iter().map(PathBuf::from));
        }
        Step::Sync | Step::Reconcile | Step::Restart => {}
    }
}

fn check(steps: Vec<Step>) {
    let project = Home::new()
        .project("random")
        .file(".gitignore", "*.log\n/out\n")
        .file("base.txt", "base\n")
        .committed();
    let mut rig = Rig::new(project);
    rig.reconcile();
    let mut touched = BTreeSet::new();
    for step in steps.into_iter().chain([Step::Sync, Step::Reconcile]) {
        apply(&rig, &step, &mut touched);
        let synced = match step {
            Step::Sync => {
                let paths: Vec<PathBuf> = touched.iter().cloned().collect();
                rig.mirror.sync(&paths).expect("it follows")
            }
            Step::Reconcile => rig.reconcile(),
            Step::Restart => {
                rig = rig.restarted();
                rig.reconcile()
            }
            _ => continue,
        };
        touched.clear();
        assert_eq!(synced.snapshot.as_str(), rig.expected());
        assert_eq!(
            crate::mirror::files(rig.mirror.tree()),
            rig.worktree_files()
        );
        let drift = rig.mirror.drift().expect("walked");
        assert!(drift.is_clean() && drift.created.is_empty(), "{drift:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if full_tier() { 150 } else { 12 },
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_snapshot_is_always_gits(steps in prop::collection::vec(step(), 1..25)) {
        check(steps);
    }
}
