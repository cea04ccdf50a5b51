//! Watching a real worktree: what is told, when, and what is not.

use crate::support::Home;
use crate::support::Project;
use crate::support::command;
use crate::support::full_tier;
use crate::support::require;
use crate::support::say;
use regreen::git::Worktree;
use regreen::model::Change;
use regreen::model::Origin;
use regreen::model::Trigger;
use regreen::watch::WatchEvent;
use regreen::watch::Watcher;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;
use tokio::sync::mpsc;

struct Rig {
    project: Project,
    rx: mpsc::Receiver<WatchEvent>,
    runtime: tokio::runtime::Runtime,
    watcher: Watcher,
}

/// Long enough for anything that comes at all, on a busy machine.
const LONG: Duration = Duration::from_secs(10);

/// Long enough to believe that nothing comes.
const QUIET: Duration = Duration::from_millis(300);

impl Rig {
    fn new(project: Project) -> Rig {
        Rig::with(project, Trigger::Save)
    }

    fn with(project: Project, trigger: Trigger) -> Rig {
        let worktree = Worktree::discover(project.root()).expect("a worktree");
        let (tx, rx) = mpsc::channel(64);
        let watcher = Watcher::start(worktree, trigger, tx).expect("it can be watched");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        Rig {
            project,
            rx,
            runtime,
            watcher,
        }
    }

    fn next_within(&mut self, bound: Duration) -> Option<WatchEvent> {
        let rx = &mut self.rx;
        let event = async { tokio::time::timeout(bound, rx.recv()).await };
        match self.runtime.block_on(event) {
            Ok(event) => Some(event.expect("the watcher lives")),
            Err(_) => None,
        }
    }

    #[track_caller]
    fn change(&mut self) -> Change {
        match self.next_within(LONG) {
            Some(WatchEvent::Changed(change)) => change,
            other => panic!("no change: {other:?}"),
        }
    }

    /// The first change is the walk of the start.
    #[track_caller]
    fn begun(mut self) -> Rig {
        let change = self.change();
        assert!(
            change.rescan && change.origin == Origin::Rescan,
            "{change:?}"
        );
        self.settle();
        self
    }

    /// Everything that is told until it is quiet.
    fn settle(&mut self) -> Vec<WatchEvent> {
        let mut told = Vec::new();
        while let Some(event) = self.next_within(QUIET) {
            told.push(event);
        }
        told
    }

    /// The paths of all changes until it is quiet.
    fn paths(&mut self) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        for event in self.settle() {
            if let WatchEvent::Changed(change) = event {
                paths.extend(change.paths.iter().map(|path| path.display().to_string()));
            }
        }
        paths
    }
}

fn demo() -> Project {
    Home::new()
        .project("demo")
        .file("src/lib.rs", "pub fn one() -> u8 { 1 }\n")
        .file("docs/deep/a.md", "a\n")
        .file(".gitignore", "/target\n*.log\n")
        .committed()
}

#[test]
fn a_lone_save_is_told_at_once() {
    let mut rig = Rig::new(demo()).begun();
    let mut times = Vec::new();
    for round in 0..20 {
        rig.project.write("src/lib.rs", format!("// {round}\n"));
        let saved = Instant::now();
        let change = rig.change();
        times.push(saved.elapsed());
        assert!(
            change.paths.contains(&PathBuf::from("src/lib.rs")),
            "{change:?}"
        );
        assert_eq!(change.origin, Origin::Save);
        assert!(!change.rescan);
        rig.settle();
    }
    times.sort();
    say(&format!(
        "save to change: median {:?}, worst {:?}",
        times[10], times[19]
    ));
    assert!(times[10] < Duration::from_millis(60), "{times:?}");
}

#[test]
fn saves_in_place_deletes_renames_and_rights() {
    let mut rig = Rig::new(demo()).begun();
    rig.project.write_in_place("src/lib.rs", "// in place\n");
    assert!(rig.paths().contains("src/lib.rs"));
    fs::rename(
        rig.project.path("src/lib.rs"),
        rig.project.path("src/main.rs"),
    )
    .expect("ours");
    let paths = rig.paths();
    assert!(
        paths.contains("src/lib.rs") && paths.contains("src/main.rs"),
        "{paths:?}"
    );
    fs::set_permissions(
        rig.project.path("src/main.rs"),
        PermissionsExt::from_mode(0o755),
    )
    .expect("ours");
    assert!(rig.paths().contains("src/main.rs"));
    fs::remove_file(rig.project.path("src/main.rs")).expect("ours");
    assert!(rig.paths().contains("src/main.rs"));
}

#[test]
fn new_directories_are_watched_also_when_they_come_with_files() {
    let mut rig = Rig::new(demo()).begun();
    let outside = rig.project.home.top().join("outside");
    fs::create_dir_all(outside.join("deep/deeper")).expect("ours");
    fs::write(outside.join("deep/deeper/x.rs"), "x").expect("ours");
    fs::rename(&outside, rig.project.path("moved-in")).expect("one file system");
    assert!(rig.paths().contains("moved-in"));
    rig.project.write("moved-in/deep/deeper/x.rs", "y");
    assert!(rig.paths().contains("moved-in/deep/deeper/x.rs"));
    fs::rename(
        rig.project.path("moved-in/deep"),
        rig.project.path("elsewhere"),
    )
    .expect("ours");
    let paths = rig.paths();
    assert!(
        paths.contains("moved-in/deep") && paths.contains("elsewhere"),
        "{paths:?}"
    );
    rig.project.write("elsewhere/deeper/x.rs", "z");
    let paths = rig.paths();
    assert!(paths.contains("elsewhere/deeper/x.rs"), "{paths:?}");
    fs::create_dir_all(rig.project.path("a/b/c/d/e")).expect("ours");
    rig.settle();
    rig.project.write("a/b/c/d/e/f.rs", "f");
    assert!(rig.paths().contains("a/b/c/d/e/f.rs"));
    fs::remove_dir_all(rig.project.path("a")).expect("ours");
    assert!(rig.paths().contains("a"));
    fs::create_dir_all(rig.project.path("a/b")).expect("ours");
    rig.settle();
    rig.project.write("a/b/g.rs", "g");
    assert!(rig.paths().contains("a/b/g.rs"));
}

/// Run by [`reading_and_ignored_files_wake_nobody`] in a process of its own: the watchers of
/// other tests would be counted.
#[test]
fn inner_reading_alone() {
    if std::env::var_os("REGREEN_TEST_ALONE").is_none() {
        return;
    }
    let project = demo();
    fs::create_dir_all(project.path("target/debug")).expect("ours");
    let mut rig = Rig::new(project).begun();
    let before = wakeups();
    for _ in 0..200 {
        for path in ["src/lib.rs", "docs/deep/a.md", ".git/HEAD", ".git/index"] {
            fs::read(rig.project.path(path)).expect("readable");
        }
        let listed = fs::read_dir(rig.project.path("src")).expect("readable");
        assert_eq!(listed.count(), 1);
    }
    assert!(wakeups() - before < 20, "reading woke the watcher");
    rig.project.write_in_place("x.log", "ignored");
    rig.project.write_in_place("target/debug/app", "ignored");
    fs::create_dir_all(rig.project.path("target/more")).expect("ours");
    rig.project.write_in_place(".git/regreen/status.json", "{}");
    assert_eq!(rig.settle(), []);
}

#[test]
fn reading_and_ignored_files_wake_nobody() {
    let inner = std::env::current_exe().expect("this test");
    let ran = command(inner)
        .args(["--exact", "watch::inner_reading_alone", "--nocapture"])
        .env("REGREEN_TEST_ALONE", "1")
        .output()
        .expect("it runs");
    let text =
        String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && text.contains("1 passed"), "{text}");
}

/// How often the watching threads of this process have been woken.
fn wakeups() -> u64 {
    let mut total = 0;
    for task in fs::read_dir("/proc/self/task").expect("procfs") {
        let dir = task.expect("procfs").path();
        let name = fs::read_to_string(dir.join("comm")).unwrap_or_default();
        let status = fs::read_to_string(dir.join("status")).unwrap_or_default();
        let count = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
            .and_then(|text| text.trim().parse::<u64>().ok());
        if name.trim() == "regreen-watch" && fs::read_link(dir.join("cwd")).is_ok() {
            total += count.unwrap_or(0);
        }
    }
    total
}

#[test]
fn ignored_and_tracked_files_count() {
    let project = demo();
    project.write("kept.log", "1");
    project.write("target/fixture.txt", "1");
    project.git(["add", "-f", "kept.log", "target/fixture.txt"]);
    project.git(["commit", "-qm", "tracked"]);
    let mut rig = Rig::new(project).begun();
    rig.project.write_in_place("kept.log", "2");
    rig.project.write_in_place("target/fixture.txt", "2");
    rig.project.write_in_place("target/other.txt", "2");
    let paths = rig.paths();
    assert!(
        paths.contains("kept.log") && paths.contains("target/fixture.txt"),
        "{paths:?}"
    );
    assert!(!paths.contains("target/other.txt"), "{paths:?}");
    rig.project.write_in_place("late.log", "1");
    assert_eq!(rig.settle(), []);
    rig.project.git(["add", "-f", "late.log"]);
    rig.settle();
    rig.project.write_in_place("late.log", "2");
    assert!(rig.paths().contains("late.log"));
}

#[test]
fn new_rules_are_heard() {
    let mut rig = Rig::new(demo()).begun();
    fs::create_dir_all(rig.project.path("target/deep")).expect("ours");
    rig.project.write(".gitignore", "docs\n");
    let paths = rig.paths();
    assert!(paths.contains(".gitignore"), "{paths:?}");
    rig.project.write_in_place("target/deep/x.rs", "x");
    assert!(rig.paths().contains("target/deep/x.rs"));
    rig.project.write_in_place("docs/deep/a.md", "b");
    assert_eq!(rig.settle(), []);
}

#[test]
fn git_at_work_is_waited_for() {
    let mut rig = Rig::new(demo()).begun();
    let lock = rig.project.path(".git/index.lock");
    fs::write(&lock, "").expect("ours");
    rig.project.write("src/lib.rs", "// half of a checkout\n");
    assert_eq!(rig.settle(), []);
    rig.project.write("src/more.rs", "// the other half\n");
    assert_eq!(rig.settle(), []);
    fs::remove_file(&lock).expect("ours");
    let change = rig.change();
    let expected = ["src/lib.rs", "src/more.rs"].map(PathBuf::from);
    assert!(
        expected.iter().all(|path| change.paths.contains(path)),
        "{change:?}"
    );
}

#[test]
fn branch_switches_without_a_file_changed_are_told() {
    let mut rig = Rig::new(demo()).begun();
    rig.project.git(["checkout", "-qb", "other/name"]);
    assert!(!rig.settle().is_empty());
    rig.project
        .git(["commit", "-q", "--allow-empty", "-m", "empty"]);
    assert!(!rig.settle().is_empty());
    rig.project.git(["branch", "regreen/loop"]);
    rig.project.git(["update-ref", "refs/regreen/x", "HEAD"]);
    rig.settle();
    rig.project
        .git(["update-ref", "refs/heads/regreen/loop", "HEAD~1"]);
    assert_eq!(
        rig.settle(),
        [],
        "regreen's own branches are nobody's commits"
    );
}

#[test]
fn triggers_hear_only_what_they_test() {
    let mut rig = Rig::with(demo(), Trigger::Stage).begun();
    rig.project.write("src/lib.rs", "// saved\n");
    assert_eq!(rig.settle(), []);
    rig.project.git(["add", "src/lib.rs"]);
    let change = rig.change();
    assert_eq!((change.origin, change.paths.len()), (Origin::Stage, 0));
    rig.settle();

    let mut rig = Rig::with(rig.project, Trigger::Commit).begun();
    rig.project.write("src/lib.rs", "// saved again\n");
    rig.project.git(["add", "src/lib.rs"]);
    assert_eq!(rig.settle(), []);
    rig.project.git(["commit", "-qm", "committed"]);
    assert_eq!(rig.change().origin, Origin::Commit);
}

/// Also where git ignores it: it says what is tested, and by what trigger.
#[test]
fn the_configuration_is_heard_by_every_trigger() {
    for trigger in [Trigger::Save, Trigger::Stage, Trigger::Commit] {
        let project = demo();
        project.write(".git/info/exclude", "regreen.toml\n");
        let mut rig = Rig::with(project, trigger).begun();
        rig.project.write("regreen.toml", "detect = true\n");
        assert!(rig.paths().contains("regreen.toml"), "made: {trigger:?}");
        rig.project
            .write_in_place("regreen.toml", "detect = false\n");
        assert!(rig.paths().contains("regreen.toml"), "edited: {trigger:?}");
        fs::remove_file(rig.project.path("regreen.toml")).unwrap();
        assert!(rig.paths().contains("regreen.toml"), "removed: {trigger:?}");
    }
}

#[test]
fn linked_worktrees_are_watched_where_their_git_directory_lies() {
    let project = demo();
    project.git(["worktree", "add", "-q", "-b", "side", "../linked"]);
    let linked = Project::at(&project.home, &project.home.path().join("linked"));
    let mut rig = Rig::new(linked).begun();
    rig.project.write("src/lib.rs", "// linked\n");
    assert!(rig.paths().contains("src/lib.rs"));
    rig.project.git(["commit", "-qam", "in the linked one"]);
    assert!(!rig.settle().is_empty());
}

/// A checkout of thousands of files: at most two changes, the last when git is done.
#[test]
fn a_checkout_is_one_change_or_two() {
    let (files, rounds) = if full_tier() { (5_000, 50) } else { (1_500, 4) };
    let project = demo();
    for side in ["left", "right"] {
        project.git(["checkout", "-q", "-B", side]);
        for number in 0..files {
            let path = project.path(format!("many/d{}/f{number}.txt", number % 50));
            fs::create_dir_all(path.parent().expect("below")).expect("ours");
            fs::write(path, format!("{side} {number}\n")).expect("ours");
        }
        project.commit(side);
    }
    let mut rig = Rig::new(project).begun();
    for round in 0..rounds {
        let side = if round % 2 == 0 { "left" } else { "right" };
        rig.project.git(["checkout", "-q", side]);
        let ended = Instant::now();
        let mut work = Vec::new();
        let mut last = None;
        while let Some(event) = rig.next_within(QUIET) {
            if let WatchEvent::Changed(change) = event {
                if !change.paths.is_empty() || change.rescan {
                    work.push(change);
                }
                last = Some(ended.elapsed());
            }
        }
        let counts: Vec<usize> = work.iter().map(|change| change.paths.len()).collect();
        assert!((1..=2).contains(&work.len()), "round {round}: {counts:?}");
        assert!(last.is_some());
        // Every file is in one of them, or the whole tree is walked.
        let paths: BTreeSet<&PathBuf> = work.iter().flat_map(|change| &change.paths).collect();
        let walked = work.iter().any(|change| change.rescan);
        assert!(
            walked || paths.len() >= files,
            "round {round}: {}",
            paths.len()
        );
    }
}

#[test]
fn a_directory_that_goes_out_and_comes_back_is_watched() {
    let mut rig = Rig::new(demo()).begun();
    let outside = rig.project.home.top().join("outside");
    fs::rename(rig.project.path("docs"), &outside).expect("one file system");
    assert!(rig.paths().contains("docs"));
    // Not ours while it is away.
    fs::write(outside.join("deep/a.md"), "away\n").expect("ours");
    assert_eq!(rig.settle(), []);
    fs::rename(&outside, rig.project.path("docs")).expect("one file system");
    assert!(rig.paths().contains("docs"));
    rig.project.write_in_place("docs/deep/a.md", "back\n");
    assert_eq!(rig.paths(), BTreeSet::from(["docs/deep/a.md".to_owned()]));
    // Under another name, and only in case: two paths on a Linux file system.
    fs::rename(rig.project.path("docs"), rig.project.path("Docs")).expect("ours");
    let paths = rig.paths();
    assert!(
        paths.contains("docs") && paths.contains("Docs"),
        "{paths:?}"
    );
    rig.project.write_in_place("Docs/deep/a.md", "again\n");
    assert_eq!(rig.paths(), BTreeSet::from(["Docs/deep/a.md".to_owned()]));
}

/// Run by [`a_lost_event_means_a_walk`] in a process of its own, because it is stopped.
#[test]
fn inner_that_is_stopped() {
    if std::env::var_os("REGREEN_TEST_STOPPED").is_none() {
        return;
    }
    let mut rig = Rig::new(demo()).begun();
    // More than the kernel's queue holds, and after it directories with files in them.
    let flood = "kill -STOP $PPID; trap 'kill -CONT $PPID' EXIT
        i=0; while [ $i -lt 9000 ]; do : > src/f$i; i=$((i+1)); done
        for i in 0 1 2 3 4 5 6 7 8 9; do mkdir -p new/d$i/deep; : > new/d$i/deep/f.txt; done";
    let flooded = command("sh")
        .args(["-c", flood])
        .current_dir(rig.project.root())
        .status();
    assert!(flooded.expect("sh runs").success());
    let told = rig.settle();
    let said = |event: &WatchEvent| matches!(event, WatchEvent::Degraded(why) if why.contains("not heard"));
    let walk = |event: &WatchEvent| matches!(event, WatchEvent::Changed(change) if change.rescan);
    let at = told
        .iter()
        .position(said)
        .expect("the overflow was not said");
    assert!(told[at..].iter().any(walk), "{told:?}");
    assert!(told.contains(&WatchEvent::Recovered), "{told:?}");
    // Whatever appeared while nobody heard is watched now.
    for number in [0, 5, 9] {
        let path = format!("new/d{number}/deep/f.txt");
        rig.project.write_in_place(&path, "changed");
        assert!(rig.paths().contains(&path), "{path} is not watched");
    }
}

#[test]
fn a_lost_event_means_a_walk() {
    let inner = std::env::current_exe().expect("this test");
    let ran = command(inner)
        .args(["--exact", "watch::inner_that_is_stopped", "--nocapture"])
        .env("REGREEN_TEST_STOPPED", "1")
        .output()
        .expect("it runs");
    let text =
        String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn a_watcher_ends_when_dropped_or_unheard() {
    let rig = Rig::new(demo()).begun();
    let started = Instant::now();
    drop(rig.watcher);
    assert!(started.elapsed() < LONG);
    let mut rx = rig.rx;
    assert_eq!(rx.blocking_recv(), None);
}

#[test]
fn a_slow_listener_loses_nothing() {
    let project = demo();
    let worktree = Worktree::discover(project.root()).expect("a worktree");
    let (tx, mut rx) = mpsc::channel(1);
    let _watcher = Watcher::start(worktree, Trigger::Save, tx).expect("it can be watched");
    for number in 0..50 {
        project.write(format!("src/m{number}.rs"), "x");
        // The save after a quiet time makes a change of its own, which nobody takes.
        if number % 10 == 0 {
            crate::support::until("a tick", LONG, || Some(()));
        }
    }
    let mut seen = BTreeSet::new();
    while seen.len() < 50 {
        let Some(WatchEvent::Changed(change)) = rx.blocking_recv() else {
            panic!("the watcher ended");
        };
        let names = change.paths.iter().filter_map(|path| path.file_name());
        seen.extend(
            names
                .map(|name| name.to_string_lossy().into_owned())
                .filter(|name| name.starts_with('m')),
        );
    }
}

/// Run by [`the_limit_of_watches_is_said_and_walked_around`] in a user namespace of its own.
#[test]
fn inner_with_few_watches() {
    if std::env::var_os("REGREEN_TEST_FEW_WATCHES").is_none() {
        return;
    }
    let project = demo();
    for number in 0..40 {
        project.write(format!("d{number}/f.txt"), "x");
    }
    let mut rig = Rig::new(project);
    let mut reason = String::new();
    let mut walks = 0;
    let end = Instant::now() + Duration::from_secs(15);
    rig.project.write("d39/f.txt", "y");
    while Instant::now() < end && (reason.is_empty() || walks < 2) {
        match rig.next_within(LONG) {
            Some(WatchEvent::Degraded(text)) => reason = text,
            Some(WatchEvent::Changed(change)) => walks += usize::from(change.rescan),
            _ => {}
        }
    }
    assert!(reason.contains("max_user_watches"), "{reason}");
    assert!(walks >= 2, "what cannot be heard is not walked");
}

#[test]
fn the_limit_of_watches_is_said_and_walked_around() {
    let inner = std::env::current_exe().expect("this test");
    let ran = command("unshare")
        .args(["-Ur", "sh", "-c"])
        .arg("echo 20 > /proc/sys/user/max_inotify_watches || exit 77; exec \"$0\" \"$@\"")
        .arg(inner)
        .args(["--exact", "watch::inner_with_few_watches", "--nocapture"])
        .env("REGREEN_TEST_FEW_WATCHES", "1")
        .output()
        .expect("unshare runs");
    let text =
        String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    if ran.status.code() == Some(77) || text.contains("unshare failed") {
        say("SKIPPED the_limit_of_watches: no user namespace with a limit of its own");
        return;
    }
    assert!(ran.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn a_fuse_mount_is_polled_and_says_so() {
    if !require("fuse") {
        return;
    }
    let project = demo();
    let mount = project.home.top().join("mounted");
    fs::create_dir(&mount).expect("ours");
    let mounted = command("bindfs").arg(project.root()).arg(&mount).status();
    assert!(mounted.expect("bindfs runs").success());
    struct Unmount(PathBuf);
    impl Drop for Unmount {
        fn drop(&mut self) {
            let _ = command("fusermount").arg("-uz").arg(&self.0).status();
        }
    }
    let guard = Unmount(mount.clone());
    let mut rig = Rig::new(Project::at(&project.home, &mount));
    let Some(WatchEvent::Degraded(reason)) = rig.next_within(LONG) else {
        panic!("nothing was said");
    };
    assert!(
        reason.contains("FUSE") && reason.contains("polled"),
        "{reason}"
    );
    assert!(rig.change().rescan);
    rig.settle();
    // Behind the mount's back: no event comes for this.
    project.write_in_place(
        "src/lib.rs",
        "// changed underneath, and longer than before\n",
    );
    let change = rig.change();
    assert!(
        change.paths.contains(&PathBuf::from("src/lib.rs")),
        "{change:?}"
    );
    fs::create_dir_all(project.path("fresh/deep")).expect("ours");
    fs::write(project.path("fresh/deep/x.rs"), "x").expect("ours");
    let mut paths = BTreeSet::new();
    while !paths.iter().any(|path: &PathBuf| path.starts_with("fresh")) {
        paths.extend(rig.change().paths);
    }
    drop(rig);
    drop(guard);
}
