//! Whose word a status is: of a daemon that lives, about the project that was asked about.

use crate::daemon::daemon;
use crate::daemon::holds;
use crate::daemon::script_project;
use crate::daemon::settled;
use crate::support::Home;
use crate::support::Project;
use crate::support::require;
use rustix::process::Signal;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

fn root(project: &Project) -> PathBuf {
    project.path("").components().collect()
}

/// A process that was killed and that nobody has asked about yet has a pid, and is dead.
#[test]
fn a_daemon_that_is_a_zombie_is_dead() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = script_project(&home, "p", "exit 0\n");
    let daemon = daemon(&home);
    project.regreen(["add"]).run().exits(0);
    settled(&project, "green");
    project.regreen(["status", "--exit-code"]).run().exits(0);
    daemon.signal(Signal::KILL);
    let stat = format!("/proc/{}/stat", daemon.pid());
    holds("it is a zombie", Duration::from_secs(5), || {
        std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z "))
    });
    let ran = project.regreen(["status", "--exit-code"]).run();
    ran.exits(69).says("is dead").says("(stale)");
    daemon.end();
}

/// What travels along with a copied or moved project is another project's status.
#[test]
fn a_copy_is_not_watched_by_who_watches_the_first() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = script_project(&home, "p", "exit 0\n");
    let daemon = daemon(&home);
    project.regreen(["add"]).run().exits(0);
    settled(&project, "green");
    let copy = root(&project).with_file_name("copy");
    let copied = home
        .program(
            "cp",
            ["-a".as_ref(), root(&project).as_os_str(), copy.as_os_str()],
        )
        .run();
    copied.exits(0);
    let asked = |args: &[&str]| home.regreen(args).within_dir(&copy).run();
    asked(&["status", "--exit-code"])
        .exits(69)
        .says("unknown")
        .complains("is not watched");
    let json = asked(&["status", "--json"]).json();
    assert_eq!(json["project"], copy.to_str().unwrap(), "{json:#}");
    assert_eq!(json["daemon"], serde_json::Value::Null, "{json:#}");
    // And the first is watched as before.
    project.regreen(["status", "--exit-code"]).run().exits(0);
    daemon.terminate().exits(0);
}

#[test]
fn a_worktree_that_goes_and_comes_back_is_watched_as_before() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = script_project(&home, "p", "exit 0\n");
    let daemon = daemon(&home);
    project.regreen(["add"]).run().exits(0);
    settled(&project, "green");
    let (here, away) = (root(&project), root(&project).with_file_name("away"));
    for pause in [
        Duration::ZERO,
        Duration::from_millis(300),
        Duration::from_secs(7),
    ] {
        std::fs::rename(&here, &away).unwrap();
        home.regreen(["status", "--exit-code"])
            .within_dir(&away)
            .run()
            .exits(69);
        let gone = Instant::now();
        holds(
            "the daemon has looked for it",
            Duration::from_secs(60),
            || gone.elapsed() >= pause,
        );
        std::fs::rename(&away, &here).unwrap();
        let shown = project.status_until("watched as before", |status| {
            let degraded = !status["watch"]["degraded"].is_null();
            assert!(!degraded || status["stale"] == true, "{status:#}");
            !degraded && status["stale"] == false && status["activity"] == "idle"
        });
        assert_eq!(shown["verdict"], "green", "{shown:#}");
        project.write("test.sh", "exit 1\n");
        settled(&project, "red");
        project.write("test.sh", "exit 0\n");
        settled(&project, "green");
    }
    daemon.terminate().exits(0);
}

/// A daemon that is stopped takes connections and answers none.
#[test]
fn a_daemon_that_does_not_answer_is_not_waited_for() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = script_project(&home, "p", "exit 0\n");
    let daemon = daemon(&home);
    project.regreen(["add"]).run().exits(0);
    settled(&project, "green");
    daemon.signal(Signal::STOP);
    for verb in ["add", "pause"] {
        let started = Instant::now();
        let ran = project
            .regreen([verb])
            .within(Duration::from_secs(60))
            .run();
        ran.exits(69)
            .complains(&format!("process {}", daemon.pid()))
            .complains(&format!("kill -CONT {}", daemon.pid()));
        assert!(started.elapsed() < Duration::from_secs(15), "{verb}");
    }
    daemon.signal(Signal::CONT);
    project.regreen(["pause"]).run().exits(0);
    daemon.terminate().exits(0);
}

/// What keeps a project from being opened passes, and the daemon that was there is there still.
#[test]
fn a_project_that_could_not_be_opened_at_first_is_watched_later() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = script_project(&home, "p", "exit 0\n");
    let worktree = regreen::git::Worktree::discover(&root(&project)).expect("it is one");
    let id = worktree.id();
    let in_the_way = home.state().join(format!("projects/{id}/objects.git"));
    let parent = in_the_way.parent().expect("it has one");
    std::fs::create_dir_all(parent).expect("ours");
    std::fs::write(&in_the_way, "no repository").expect("ours");
    let daemon = daemon(&home);
    project.regreen(["add"]).run().exits(0);
    let status = project.status_until("the trouble is said", |status| {
        status["notes"][0]["code"] == "open"
    });
    assert_eq!(status["verdict"], "unknown", "{status:#}");
    std::fs::remove_file(&in_the_way).expect("ours");
    settled(&project, "green");
    // And again: a worktree's second life goes through the same door.
    project.write("test.sh", "exit 1\n");
    settled(&project, "red");
    daemon.terminate().exits(0);
}
