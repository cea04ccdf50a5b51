//! A worktree of 100,000 files (3,000 in the fast tier): what a save costs there, and how
//! much memory knowing it takes. Bounds are wide; `benches/` has the figures.

use crate::mirror::Rig;
use crate::support::Home;
use crate::support::Project;
use crate::support::full_tier;
use crate::support::say;
use regreen::git::Worktree;
use regreen::model::Trigger;
use regreen::watch::Watcher;
use std::fs;
use std::time::Duration;
use std::time::Instant;

fn large(files: usize) -> Project {
    let project = Home::new()
        .project("large")
        .file(".gitignore", "/out\n*.log\n")
        .unborn();
    for number in 0..files {
        let dir = project.path(format!("src/m{}/d{}", number % 50, (number / 50) % 100));
        if number < 5_000 {
            fs::create_dir_all(&dir).expect("ours");
        }
        fs::write(dir.join(format!("f{number}.py")), format!("N = {number}\n")).expect("ours");
    }
    for number in 0..files / 2 {
        let dir = project.path(format!("out/o{}", number % 2_000));
        if number < 2_000 {
            fs::create_dir_all(&dir).expect("ours");
        }
        fs::write(dir.join(format!("{number}.o")), "o").expect("ours");
    }
    project.commit("many");
    project
}

/// Memory of this process in kB: what the kernel calls PSS.
fn pss() -> u64 {
    let text = fs::read_to_string("/proc/self/smaps_rollup").expect("procfs");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .expect("a line");
    line.trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number")
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let answer = work();
    let took = start.elapsed();
    say(&format!("{what}: {took:.1?}, PSS {} kB", pss()));
    (answer, took)
}

#[test]
fn a_save_in_a_large_tree_costs_little() {
    let files = if full_tier() { 100_000 } else { 3_000 };
    let project = large(files);
    say(&format!("{files} files, PSS before {} kB", pss()));
    let mut rig = Rig::new(project);
    let (first, _) = timed("first population", || rig.reconcile());
    assert!(first.first && first.changed.is_empty());
    assert_eq!(
        first.snapshot.as_str(),
        rig.project.git(["rev-parse", "HEAD^{tree}"])
    );
    let (again, _) = timed("walk without a change", || rig.reconcile());
    assert!(again.changed.is_empty());
    let mut rig = rig.restarted();
    let (again, _) = timed("walk after a restart", || rig.reconcile());
    assert!(again.changed.is_empty());
    let mut times = Vec::new();
    for round in 0..40 {
        let number = round * 37 % 3_000;
        let path = format!("src/m{}/d{}/f{number}.py", number % 50, (number / 50) % 100);
        rig.project.write(&path, format!("N = -{round}\n"));
        let start = Instant::now();
        let synced = rig.sync([path.as_str()]);
        times.push(start.elapsed());
        assert_eq!(synced.changed.len(), 1, "{synced:?}");
    }
    times.sort();
    say(&format!(
        "one save: median {:?}, worst {:?}, PSS {} kB",
        times[20],
        times[39],
        pss()
    ));
    assert!(times[20] < Duration::from_millis(15), "{times:?}");
    let (drift, _) = timed("drift", || rig.mirror.drift().expect("walked"));
    assert!(drift.is_clean() && drift.created.is_empty());
    rig.project.git(["status"]);
    timed("after git refreshed its index", || rig.sync([]));
    timed("nothing at all", || rig.sync([]));
    rig.project.git(["checkout", "-q", "."]);
    let (synced, _) = timed("a checkout seen by a walk", || rig.reconcile());
    assert_eq!(synced.snapshot, first.snapshot);
    let worktree = Worktree::discover(rig.project.root()).expect("a worktree");
    let (tx, mut rx) = tokio::sync::mpsc::channel(8);
    let (watcher, _) = timed("all watches", || {
        Watcher::start(worktree, Trigger::Save, tx).expect("watched")
    });
    assert!(watcher.directories() < 5_200, "{}", watcher.directories());
    assert!(rx.blocking_recv().is_some());
    say(&format!("with the watch, PSS {} kB", pss()));
}
