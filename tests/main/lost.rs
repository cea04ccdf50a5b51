//! What a running daemon holds on to is taken from it or breaks: its slot, its objects, its
//! manifest, its threads, whoever reads what it says. It takes them anew, and the status is
//! true again.

use crate::bad_input::in_mounts;
use crate::daemon::daemon;
use crate::daemon::holds;
use crate::daemon::script_project;
use crate::daemon::settled;
use crate::support::Home;
use crate::support::Project;
use crate::support::Started;
use crate::support::require;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn listens(home: &Home) {
    let socket = home.runtime().join("regreen/regreen.sock");
    holds("the daemon listens", MINUTE, || {
        std::os::unix::net::UnixStream::connect(&socket).is_ok()
    });
}

fn id(project: &Project) -> String {
    let worktree = regreen::git::Worktree::discover(project.root()).expect("it is one");
    worktree.id().to_string()
}

fn objects(project: &Project) -> PathBuf {
    let projects = project.home.state().join("projects");
    projects.join(id(project)).join("objects.git")
}

fn slot(project: &Project) -> PathBuf {
    project
        .home
        .cache()
        .join("slots")
        .join(id(project))
        .join("0")
}

/// A watched project that is green, its daemon, and what is done to it; then it is saved red
/// and green again, twice, and has to be told of so each time.
fn survives(what: impl FnOnce(&Project)) {
    let home = Home::new();
    let project = script_project(&home, "p", "exit 0\n");
    let daemon = daemon(&home);
    project.regreen(["add"]).run().exits(0);
    settled(&project, "green");
    what(&project);
    follows(&project);
    daemon.terminate().exits(0);
}

fn follows(project: &Project) {
    for round in 0..2 {
        project.write("test.sh", format!("# {round}\nexit 1\n"));
        settled(project, "red");
        project.write("test.sh", format!("# {round}\nexit 0\n"));
        settled(project, "green");
    }
}

#[test]
fn the_slot_is_removed() {
    if require("bwrap") {
        survives(|project| std::fs::remove_dir_all(project.home.cache()).unwrap());
    }
}

#[test]
fn the_copy_in_the_slot_is_removed() {
    if require("bwrap") {
        survives(|project| std::fs::remove_dir_all(slot(project).join("tree")).unwrap());
    }
}

#[test]
fn the_objects_are_removed() {
    if require("bwrap") {
        survives(|project| std::fs::remove_dir_all(objects(project)).unwrap());
    }
}

#[test]
fn the_objects_are_broken() {
    if require("bwrap") {
        survives(|project| {
            std::fs::write(objects(project).join("HEAD"), "nonsense").unwrap();
            std::fs::remove_dir_all(objects(project).join("objects")).unwrap();
        });
    }
}

#[test]
fn the_objects_are_broken_while_no_daemon_runs() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = script_project(&home, "p", "exit 0\n");
    let first = daemon(&home);
    project.regreen(["add"]).run().exits(0);
    settled(&project, "green");
    first.terminate().exits(0);
    std::fs::write(objects(&project).join("config"), "[core\nnonsense").unwrap();
    let second = daemon(&home);
    follows(&project);
    second.terminate().exits(0);
}

#[test]
fn the_manifest_is_overwritten() {
    if require("bwrap") {
        survives(|project| {
            for number in 0..200 {
                let name = format!("data/{number}-{}", "x".repeat(200));
                project.write_in_place(name, "data");
            }
            project.write("test.sh", "exit 1\n");
            settled(project, "red");
            for name in ["manifest.db", "manifest.db-wal"] {
                let path = slot(project).join(name);
                let mut file = std::fs::File::options().write(true).open(&path).unwrap();
                let long = file.metadata().unwrap().len() as usize;
                file.write_all(&vec![b'x'; long]).unwrap();
            }
        });
    }
}

#[test]
fn the_manifest_is_removed() {
    if require("bwrap") {
        survives(|project| std::fs::remove_file(slot(project).join("manifest.db")).unwrap());
    }
}

#[test]
fn all_state_is_removed() {
    if require("bwrap") {
        survives(|project| std::fs::remove_dir_all(project.home.state()).unwrap());
    }
}

#[test]
fn its_directory_in_the_git_directory_is_removed() {
    if require("bwrap") {
        survives(|project| std::fs::remove_dir_all(project.path(".git/regreen")).unwrap());
    }
}

#[test]
fn the_git_directory_goes_and_comes_back() {
    if require("bwrap") {
        survives(|project| {
            let (here, away) = (project.path(".git"), project.home.top().join("away"));
            std::fs::rename(&here, &away).unwrap();
            std::fs::write(project.path("test.sh"), "exit 1\n").unwrap();
            let log = || project.home.regreen(["logs"]).run().stdout();
            holds("the daemon has noticed", MINUTE, || {
                log().contains("is not where it was")
            });
            std::fs::rename(&away, &here).unwrap();
            settled(project, "red");
        });
    }
}

/// Somebody else holds slot 0 when the daemon opens the project.
#[test]
fn the_slot_is_held_by_somebody_else_for_a_while() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = script_project(&home, "p", "exit 0\n");
    std::fs::create_dir_all(slot(&project)).unwrap();
    let lock = std::fs::File::create(slot(&project).join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let daemon = daemon(&home);
    project.regreen(["add"]).run().exits(0);
    project.status_until("the trouble is said", |status| {
        status["notes"][0]["code"] == "open"
    });
    drop(lock);
    follows(&project);
    daemon.terminate().exits(0);
}

/// Nobody reads what it says: the terminal is gone, the disk with its log is full.
#[test]
fn nobody_takes_its_log() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = script_project(&home, "p", "exit 0\n");
    std::fs::create_dir_all(home.state().join("log")).unwrap();
    std::os::unix::fs::symlink("/dev/full", home.state().join("log/regreen.log")).unwrap();
    let quiet = ["sh", "-c", "exec \"$@\" 2>/dev/full", "sh"];
    let daemon = home.regreen(["daemon"]).behind(quiet).start();
    listens(&home);
    project.regreen(["add"]).run().exits(0);
    follows(&project);
    let status = settled(&project, "green");
    assert_eq!(status["notes"], serde_json::json!([]), "{status:#}");
    daemon.terminate().exits(0);
}

/// The disk with the slots fills up while the daemon runs.
#[test]
fn the_disk_with_the_slots_fills_up() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = script_project(&home, "p", "exit 0\n");
    let cache = home.path().join(".cache");
    let mounts = format!(
        "mount -t tmpfs -o size=12m,mode=700 tmpfs '{}'",
        cache.display()
    );
    let daemon = home.regreen(["daemon"]).behind(in_mounts(&mounts)).start();
    listens(&home);
    project.regreen(["add"]).run().exits(0);
    settled(&project, "green");
    let inside = format!("/proc/{}/root{}", daemon.pid(), cache.display());
    let ballast = Path::new(&inside).join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    while file.write_all(&[7; 4096]).is_ok() {}
    drop(file);
    for round in 0..40 {
        let text = format!("{}\n{round}\n", "x".repeat(40_000));
        project.write(format!("dir{round}/data"), text);
    }
    project.write("test.sh", "exit 1\n");
    project.status_until("it is said", |status| {
        assert!(
            status["verdict"] != "green" || status["stale"] == true || status["dirty"] == false,
            "{status:#}"
        );
        // A run that has just ended may have had drift to repair, which is said, too.
        let mut notes = status["notes"].as_array().into_iter().flatten();
        notes.any(|note| note["code"] == "sync") && status["stale"] == true
    });
    std::fs::remove_file(&ballast).unwrap();
    settled(&project, "red");
    follows(&project);
    daemon.terminate().exits(0);
}

fn provoked(home: &Home, place: &str) -> Started {
    let asked = home.regreen(["daemon"]);
    let daemon = asked.env("REGREEN_PROVOKE_PANIC", place).start();
    listens(home);
    daemon
}

/// The slot goes while tests run in it: what comes of them says nothing, and they run again.
#[test]
fn the_slot_is_removed_while_tests_run_in_it() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let script = "sleep 2; test -e data\n";
    let project = script_project(&home, "p", "exit 0\n");
    project.write("data", "here");
    let daemon = daemon(&home);
    project.regreen(["add"]).run().exits(0);
    settled(&project, "green");
    project.write("test.sh", script);
    project.status_until("tests run", |status| status["activity"] == "running");
    // In one step, also while something is written there.
    std::fs::rename(slot(&project), home.top().join("away")).unwrap();
    project.status_until("green again, never red", |status| {
        assert_ne!(status["verdict"], "red", "{status:#}");
        status["verdict"] == "green" && status["stale"] == false && status["activity"] == "idle"
    });
    follows(&project);
    daemon.terminate().exits(0);
}

/// Wherever it panics in a project's service, the project is watched after it, without
/// anybody's help.
#[test]
fn after_a_panic_a_project_is_watched_and_tested_as_before() {
    if !require("bwrap") {
        return;
    }
    std::thread::scope(|scope| {
        for place in ["open", "job", "mend", "digest", "watch", "status", "actor"] {
            scope.spawn(move || {
                let home = Home::new();
                let project = script_project(&home, "p", "exit 0\n");
                let daemon = provoked(&home, place);
                project.regreen(["add"]).run().exits(0);
                settled(&project, "green");
                follows(&project);
                let log = home.regreen(["logs"]).run().stdout();
                let said = format!("provoked in the {place}");
                assert!(log.contains(&said), "{place}: {log}");
                daemon.terminate().exits(0);
            });
        }
    });
}

/// Whatever the hub panics over, it is not left waiting for it: the project comes to its
/// verdicts, what is asked is answered, and the daemon ends when it is told to.
#[test]
fn after_a_panic_of_the_hub_nobody_waits_for_what_it_swallowed() {
    if !require("bwrap") {
        return;
    }
    let places = [
        "at the start",
        "over an opened project",
        "over a synchronisation",
        "over a change",
        "over a run's end",
        "over a commit",
        "over a question",
        "over a closed project",
        "at the end",
    ];
    std::thread::scope(|scope| {
        for place in places {
            scope.spawn(move || {
                let home = Home::new();
                let project = script_project(&home, "p", "exit 0\n");
                let first = daemon(&home);
                project.regreen(["add"]).run().exits(0);
                first.terminate().exits(0);
                let second = provoked(&home, &format!("hub {place}"));
                follows(&project);
                // What is answered with a panic is answered at once, and can be asked again.
                for verb in ["pause", "resume", "remove"] {
                    let asked = || project.regreen([verb]).within(Duration::from_secs(8)).run();
                    let ran = asked();
                    if ran.code() != Some(0) {
                        // Or it is late: a panic takes its time to say where it was.
                        let said = ["regreen itself panicked", "not acknowledged in time"];
                        let stderr = ran.stderr();
                        assert!(said.iter().any(|said| stderr.contains(said)), "{ran}");
                        ran.exits(1);
                        // What is removed already is nothing to remove: 2.
                        holds("it is done", MINUTE, || {
                            matches!(asked().code(), Some(0 | 2))
                        });
                    }
                }
                second.terminate().exits(0);
                let log = home.regreen(["logs"]).run().stdout();
                let said = format!("provoked in the hub {place}");
                assert!(log.contains(&said), "{place}: {log}");
            });
        }
    });
}
