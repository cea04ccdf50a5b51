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
