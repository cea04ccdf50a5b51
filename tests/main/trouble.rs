//! A running daemon in trouble: its own panic, a full disk, a project that is removed under it,
//! an environment that changes beside the snapshot, edits while it tests.

use crate::bad_input::in_mounts;
use crate::daemon::daemon;
use crate::daemon::get;
use crate::daemon::holds;
use crate::daemon::request;
use crate::daemon::script_project;
use crate::daemon::settled;
use crate::support::Home;
use crate::support::require;
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn listens(home: &Home) {
    let socket = home.runtime().join("regreen/regreen.sock");
    holds("the daemon listens", MINUTE, || {
        std::os::unix::net::UnixStream::connect(&socket).is_ok()
    });
}

fn note(status: &Value, code: &str) -> Option<String> {
    let notes = status["notes"].as_array()?;
    let found = notes.iter().find(|note| note["code"] == code)?;
    found["message"].as_str().map(str::to_owned)
}

/// Whatever of it panics, the daemon lives, says so, and comes to its verdict.
#[test]
fn a_panic_is_logged_with_its_backtrace_and_shown_in_the_status() {
    if !require("bwrap") {
        return;
    }
    for place in ["sync", "run", "hub"] {
        let home = Home::new();
        let project = script_project(&home, "p", "exit 0\n");
        let asked = home.regreen(["daemon"]);
        let daemon = asked.env("REGREEN_PROVOKE_PANIC", place).start();
        listens(&home);
        // A question that it panics on is not answered; the next one is.
        holds("the project is added", MINUTE, || {
            project.regreen(["add"]).run().code() == Some(0)
        });
        let status = project.status_until("a panic, and a verdict", |status| {
            note(status, "panic").is_some()
                && status["verdict"] == "green"
                && status["stale"] == false
        });
        let said = note(&status, "panic").unwrap();
        assert!(said.contains(&format!("provoked in the {place}")), "{said}");
        let logs = home.regreen(["logs"]).run();
        logs.exits(0).says("panicked: provoked in the");
        logs.says("backtrace:").says("telemetry");
        let shown = project.regreen(["status"]).run();
        shown
            .exits(0)
            .says("regreen itself panicked")
            .says("regreen logs");
        daemon.terminate().exits(0);
    }
}

/// The disk with the journal is full while the daemon runs: verdicts go on or are stale, never
/// wrong; what would have to be remembered is refused; and when there is room again, all is well.
#[test]
fn a_disk_that_fills_up_under_a_running_daemon() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = script_project(&home, "p", "exit 0\n");
    let state = home.path().join(".local/state");
    let mounts = format!(
        "mount -t tmpfs -o size=4m,mode=700 tmpfs '{}'",
        state.display()
    );
    let daemon = home.regreen(["daemon"]).behind(in_mounts(&mounts)).start();
    listens(&home);
    project.regreen(["add"]).run().exits(0);
    settled(&project, "green");
    let id = get(&home, "/v1/projects")[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let runs = format!("/v1/projects/{id}/runs");

    // The daemon alone sees that disk: in its mount namespace.
    let inside = format!("/proc/{}/root{}", daemon.pid(), state.display());
    let ballast = Path::new(&inside).join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    while file.write_all(&[7; 4096]).is_ok() {}
    drop(file);

    // Wrong now; whatever the status says of it must not be a settled green.
    project.write("test.sh", "exit 1\n");
    let red_or_stale = project.status_until("trouble with the disk", |status| {
        let about_now = status["stale"] == false && status["activity"] == "idle";
        assert!(
            !about_now
                || status["verdict"] != "green"
                || status["snapshot"] == Value::Null
                || note(status, "store").is_none(),
            "a green that nobody tested: {status:#}"
        );
        note(status, "store").is_some()
    });
    assert!(
        red_or_stale["verdict"] == "red"
            || red_or_stale["stale"] == true
            || red_or_stale["activity"] != "idle",
        "{red_or_stale:#}"
    );
    let (code, problem) = request(&home, "POST", &runs, "");
    assert!([507, 409].contains(&code), "{code} {problem}");
    let shown = project.regreen(["status"]).run();
    shown.says("nothing new is accepted until this is mended");

    std::fs::remove_file(&ballast).unwrap();
    project.write("test.sh", "exit 1\n# again\n");
    let status = project.status_until("red, and the trouble is over", |status| {
        status["verdict"] == "red" && status["stale"] == false && note(status, "store").is_none()
    });
    assert_eq!(status["daemon"]["pid"], daemon.pid());
    holds("work is accepted again", MINUTE, || {
        request(&home, "POST", &runs, "").0 == 202
    });
    daemon.terminate().exits(0);
}

/// Whoever removes a watched project has it removed: nothing of it is made again by the daemon,
/// and the daemon says where it stands.
#[test]
fn a_project_that_is_removed_under_the_daemon_stays_removed() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let daemon = daemon(&home);
    let other = script_project(&home, "other", "exit 0\n");
    other.regreen(["add"]).run().exits(0);
    settled(&other, "green");
    let mut met = 0;
    let roots: Vec<_> = (0..6)
        .map(|number| {
            let name = format!("p{number}");
            let project = script_project(&home, &name, "sleep 0.3; exit 0\n");
            project.regreen(["add"]).run().exits(0);
            settled(&project, "green");
            // Tests go on, so that the status is written while all goes.
            project.write("test.sh", format!("# {number}\nsleep 0.3; exit 0\n"));
            let remove = || {
                home.program("rm", ["-rf".as_ref(), project.root().as_os_str()])
                    .run()
            };
            // Two who work in one directory can meet; not more often than once.
            if remove().code() != Some(0) {
                remove().exits(0);
                met += 1;
            }
            assert!(!project.root().exists(), "made again at once");
            project.root().to_owned()
        })
        .collect();
    assert!(met < 2, "the daemon was in the way {met} times of 6");
    let log = || home.regreen(["logs"]).run().stdout();
    for root in &roots {
        let path = root.display().to_string();
        holds("the daemon says so", MINUTE, || {
            log()
                .lines()
                .any(|line| line.contains("is not where it was") && line.contains(&path))
        });
    }
    // So many heartbeats of its neighbour later everybody would have been written again.
    let mut last = Value::Null;
    for _ in 0..4 {
        last = other.status_until("another heartbeat", |status| status["updated_at"] != last)
            ["updated_at"]
            .clone();
    }
    let listed = get(&home, "/v1/projects");
    for root in &roots {
        assert!(!root.exists(), "`{}` was made again", root.display());
        let mut all = listed.as_array().unwrap().iter();
        let path = root.to_str().unwrap();
        let info = all.find(|info| info["path"] == path).unwrap();
        assert_eq!(info["stale"], true, "{info}");
        let removed = home.regreen(["remove".as_ref(), root.as_os_str()]).run();
        removed.exits(0).complains("no longer watching");
        assert!(!root.exists(), "`{}` was made again", root.display());
    }
    daemon.terminate().exits(0);
}

/// Nobody watches what git ignores; what is installed there is noticed all the same, without a
/// save, whatever the verdict was before.
#[test]
fn what_is_installed_into_a_carried_environment_is_noticed() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let toml = "[[suite]]\nname = \"script\"\nframework = \"generic\"\n\
                command = [\"sh\", \"test.sh\"]\ncarry = [\"env\"]\n";
    let project = home
        .project("p")
        .file("regreen.toml", toml)
        .file(".gitignore", "env/\n")
        .file("test.sh", "test -e env/lib/python3.11/site-packages/six\n")
        .file("env/pyvenv.cfg", "home = /usr/bin\n")
        .file("env/bin/python", "")
        .file("env/lib/python3.11/site-packages/pip/x.py", "")
        .committed();
    let daemon = daemon(&home);
    project.regreen(["add"]).run().exits(0);
    settled(&project, "red");
    let package = project.path("env/lib/python3.11/site-packages/six");
    std::fs::create_dir(&package).unwrap();
    settled(&project, "green");
    std::fs::remove_dir(&package).unwrap();
    let after = settled(&project, "red");
    assert!(note(&after, "panic").is_none(), "{after:#}");
    daemon.terminate().exits(0);
}

/// An edit in place touches no directory, and an environment outside of the project is carried
/// nowhere: noticed within seconds all the same, and no verdict from before answers for it.
#[test]
fn what_is_edited_in_an_environment_outside_is_noticed() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let toml = "[[suite]]\nname = \"script\"\nframework = \"generic\"\n\
                command = [\"python3\", \"check.py\"]\n";
    let project = home
        .project("p")
        .file("regreen.toml", toml)
        .file("check.py", "import helper\nassert helper.V == 1\n")
        .committed();
    let outside = home.path().join("outside");
    let venv = ["-m", "venv", "--without-pip"].map(std::ffi::OsStr::new);
    let made = home.program("python3", venv.into_iter().chain([outside.as_os_str()]));
    made.run().exits(0);
    let libraries = std::fs::read_dir(outside.join("lib")).expect("it is made");
    let version = libraries.flatten().next().expect("one version");
    let helper = version.path().join("site-packages/helper.py");
    std::fs::write(&helper, "V = 1\n").expect("ours");
    let daemon = home
        .regreen(["daemon"])
        .env("VIRTUAL_ENV", &outside)
        .start();
    listens(&home);
    project.regreen(["add"]).run().exits(0);
    settled(&project, "green");
    std::fs::write(&helper, "V = 22\n").expect("ours");
    settled(&project, "red");
    // A tree that was green with the helper as it was is not known to be.
    project.write("check.py", "import helper\nassert helper.V == 22\n");
    settled(&project, "green");
    project.write("check.py", "import helper\nassert helper.V == 1\n");
    settled(&project, "red");
    std::fs::write(&helper, "V = 1\n").expect("ours");
    settled(&project, "green");
    daemon.terminate().exits(0);
}

/// A change while a run goes on makes its verdict stale and does not end it (docs/contract.md);
/// what stands there at its end is tested next, and nothing in between.
#[test]
fn edits_during_a_run_make_it_stale_and_the_last_is_tested_next() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = script_project(&home, "p", "exit 0\n");
    let daemon = daemon(&home);
    project.regreen(["add"]).run().exits(0);
    settled(&project, "green");
    project.write("test.sh", "sleep 2; exit 1\n");
    let running = project.status_until("it runs", |status| {
        status["activity"] == "running" && status["stale"] == true
    });
    let first = running["suites"][0]["run"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for (number, exit) in [(1, 1), (2, 1), (3, 0)] {
        project.write("test.sh", format!("# {number}\nexit {exit}\n"));
    }
    // Red, of a tree that is no more, and so stale; then green.
    project.status_until("the first run's verdict, stale", |status| {
        assert!(
            status["verdict"] != "red" || status["stale"] == true,
            "the verdict of another tree: {status:#}"
        );
        status["verdict"] == "red"
    });
    let last = settled(&project, "green");
    let record = get(&home, &format!("/v1/runs/{first}"));
    assert_eq!(record["state"], "finished", "{record}");
    assert_eq!(record["outcome"], "failed", "{record}");
    let store = rusqlite::Connection::open(home.state().join("store.sqlite")).unwrap();
    let count = |state: &str| -> u32 {
        let sql = "SELECT COUNT(*) FROM runs WHERE state = ?1";
        store.query_row(sql, [state], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("finished"), count("cancelled")), (3, 0), "{last:#}");
    daemon.terminate().exits(0);
}
