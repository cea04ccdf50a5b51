//! The daemon as a process: it is one, it is private, it comes back from `kill -9` with
//! everything that was accepted, and it serves many projects fairly.

use crate::support::Home;
use crate::support::Project;
use crate::support::Started;
use crate::support::require;
use crate::support::until;
use rustix::process::Signal;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

const MANIFEST: &str = "[package]\nname = \"demo\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";

/// A crate with two tests that take `millis` each; good or bad.
fn source(good: bool, tag: u32, millis: u64) -> String {
    let sum = if good { "a + b" } else { "a - b" };
    format!(
        "// {tag}\npub fn add(a: i32, b: i32) -> i32 {{\n    {sum}\n}}\n\
         #[cfg(test)]\nmod tests {{\n    fn wait() {{\n        \
         std::thread::sleep(std::time::Duration::from_millis({millis}));\n    }}\n    \
         #[test]\n    fn adds() {{\n        wait();\n        assert_eq!(super::add(2, 2), 4);\n    }}\n    \
         #[test]\n    fn waits() {{\n        wait();\n    }}\n}}\n"
    )
}

fn project(home: &Home, name: &str, good: bool, millis: u64) -> Project {
    home.project(name)
        .file("Cargo.toml", MANIFEST)
        .file(
            "Cargo.lock",
            "version = 4\n\n[[package]]\nname = \"demo\"\nversion = \"0.1.0\"\n",
        )
        .file(".gitignore", "target\n")
        .file("src/lib.rs", source(good, 0, millis))
        .committed()
}

/// A generic project: a shell script is its whole suite. Cheap enough for many.
pub fn script_project(home: &Home, name: &str, script: &str) -> Project {
    home.project(name)
        .file("regreen.toml", "[[suite]]\nname = \"script\"\nframework = \"generic\"\ncommand = [\"sh\", \"test.sh\"]\n")
        .file("test.sh", script)
        .committed()
}

pub fn holds(what: &str, bound: Duration, mut probe: impl FnMut() -> bool) {
    until(what, bound, || probe().then_some(()));
}

pub fn daemon(home: &Home) -> Started {
    let started = home.regreen(["daemon"]).start();
    let socket = home.runtime().join("regreen/regreen.sock");
    holds("the daemon listens", Duration::from_secs(60), || {
        std::os::unix::net::UnixStream::connect(&socket).is_ok()
    });
    started
}

pub fn settled(project: &Project, verdict: &str) -> Value {
    project.status_until(&format!("{verdict}, settled"), |status| {
        status["verdict"] == verdict && status["stale"] == false && status["activity"] == "idle"
    })
}

#[test]
fn a_second_daemon_is_refused_with_its_pid_and_a_remedy() {
    let home = Home::new();
    let first = daemon(&home);
    let second = home.regreen(["daemon"]).run();
    second.exits(1);
    second.complains(&format!("process {}", first.pid()));
    second.complains(&format!("kill {}", first.pid()));
    first.terminate().exits(0);
    // And the way is free again.
    daemon(&home).terminate().exits(0);
}

#[test]
fn without_a_daemon_the_verbs_say_so() {
    let home = Home::new();
    let project = script_project(&home, "p", "exit 0\n");
    for verb in ["add", "remove", "pause", "resume"] {
        let ran = project.regreen([verb]).run();
        ran.exits(69).complains("regreen daemon");
    }
    project
        .regreen(["status"])
        .run()
        .exits(0)
        .says("unknown")
        .complains("is not watched");
    home.regreen(["add", "."]).run().exits(2);
}

/// What was moved away is no longer this project; what takes its place has no past.
#[test]
fn a_project_that_was_moved_is_gone_and_can_be_removed() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = script_project(&home, "p", "exit 0\n");
    let root = project
        .path("")
        .components()
        .collect::<std::path::PathBuf>();
    let away = root.with_file_name("moved");
    let daemon = daemon(&home);
    project.regreen(["add"]).run().exits(0);
    settled(&project, "green");
    std::fs::rename(&root, &away).unwrap();
    let there = away.join(".git/regreen/status.json");
    let read =
        |path: &Path| -> Option<Value> { serde_json::from_slice(&std::fs::read(path).ok()?).ok() };
    let of = |status: &Value| status["project"].as_str().map(str::to_owned);
    home.regreen(["add".as_ref(), away.as_os_str()])
        .run()
        .exits(0);
    let new = away.to_string_lossy().into_owned();
    holds(
        "the moved one is told of where it is",
        Duration::from_secs(60),
        || {
            read(&there).is_some_and(|status| {
                of(&status).as_ref() == Some(&new)
                    && status["verdict"] == "green"
                    && status["stale"] == false
            })
        },
    );
    // The daemon has noticed by now or does within a heartbeat: nobody else writes there.
    let log = || home.regreen(["logs"]).run().stdout().to_owned();
    holds("the daemon says so", Duration::from_secs(30), || {
        log().contains("is not where it was")
    });
    assert_eq!(read(&there).as_ref().and_then(of), Some(new));

    // Another repository at the old place begins with nothing.
    let project = script_project(&home, "p", "exit 1\n");
    let first = until("a status there", Duration::from_secs(60), || {
        project.status()
    });
    assert_ne!(first["verdict"], "green", "{first:#}");
    settled(&project, "red");

    std::fs::rename(&root, root.with_file_name("gone")).unwrap();
    let removed = home.regreen(["remove".as_ref(), root.as_os_str()]).run();
    removed.exits(0).complains("no longer watching");
    let again = home.regreen(["remove".as_ref(), root.as_os_str()]).run();
    again.exits(2);
    // What is not watched is named by its path, not by an id that nobody knows.
    let other = home.project("other").file("a.txt", "").committed();
    for verb in ["remove", "pause", "resume"] {
        let refused = other.regreen([verb]).run();
        let name = format!("`{}` is not watched", other.root().display());
        refused.exits(2).complains(&name).complains("`regreen add ");
    }
    daemon.terminate().exits(0);
}

#[test]
fn the_socket_is_for_its_owner_only() {
    let home = Home::new();
    let runtime = home.runtime().join("regreen");
    std::fs::create_dir_all(&runtime).unwrap();
    std::fs::set_permissions(&runtime, PermissionsExt::from_mode(0o755)).unwrap();
    let daemon = daemon(&home);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&runtime), 0o700);
    assert_eq!(mode(&home.state()), 0o700);
    daemon.terminate().exits(0);
    assert!(!runtime.join("regreen.sock").exists(), "the socket stays");
}

#[test]
fn home_and_root_are_refused_with_a_reason() {
    let home = Home::new();
    home.program("git", ["init", "-q"]).run().exits(0);
    home.regreen(["watch"])
        .run()
        .exits(2)
        .complains("it is your home directory");
    let _daemon = daemon(&home);
    home.regreen(["add", "."])
        .run()
        .exits(2)
        .complains("it is your home directory");
}

#[test]
fn a_save_becomes_a_verdict_and_a_pause_is_kept_over_a_restart() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = project(&home, "p", true, 0);
    let first = daemon(&home);
    project.regreen(["add"]).run().exits(0);
    settled(&project, "green");
    project.write("src/lib.rs", source(false, 1, 0));
    let red = settled(&project, "red");
    assert_eq!(red["failures"][0]["id"], "tests::adds");
    project.regreen(["pause"]).run().exits(0);
    project.write("src/lib.rs", source(true, 2, 0));
    project.status_until("paused", |status| {
        status["activity"] == "paused" && status["stale"] == true && status["verdict"] == "red"
    });
    first.kill_9();
    let second = daemon(&home);
    project.status_until("still paused", |status| {
        status["activity"] == "paused" && status["daemon"]["pid"] == second.pid()
    });
    project.regreen(["resume"]).run().exits(0);
    settled(&project, "green");
    project.regreen(["remove"]).run().exits(0);
    let left = project.status_until("nobody's", |status| status["daemon"].is_null());
    assert_eq!(left["stale"], true);
    second.terminate().exits(0);
    // What was removed is not watched again.
    let _third = daemon(&home);
    let listed = get(&home, "/v1/projects");
    assert_eq!(listed, serde_json::json!([]));
}

/// A request over the socket, without regreen's own client.
pub fn request(home: &Home, method: &str, path: &str, body: &str) -> (u16, Value) {
    use std::io::Read;
    use std::io::Write;
    let socket = home.runtime().join("regreen/regreen.sock");
    let mut stream = std::os::unix::net::UnixStream::connect(socket).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("an HTTP answer");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

pub fn get(home: &Home, path: &str) -> Value {
    let (status, body) = request(home, "GET", path, "");
    assert_eq!(status, 200, "{body}");
    body
}

#[test]
fn the_socket_speaks_http_and_refuses_with_problems() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let daemon = daemon(&home);
    let health = get(&home, "/v1/healthz");
    assert_eq!(health["pid"], daemon.pid());
    let project = script_project(&home, "p", "exit 0\n");
    let body = serde_json::json!({ "path": project.root() }).to_string();
    let began = Instant::now();
    let (status, info) = request(&home, "POST", "/v1/projects", &body);
    assert_eq!(status, 200, "{info}");
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "not acknowledged in time"
    );
    let id = info["id"].as_str().unwrap().to_owned();
    settled(&project, "green");
    let runs = format!("/v1/projects/{id}/runs");
    let (status, accepted) = request(&home, "POST", &runs, "");
    assert_eq!(status, 202, "{accepted}");
    let run = accepted["runs"][0].as_str().unwrap();
    holds("the run has ended", Duration::from_secs(60), || {
        get(&home, &format!("/v1/runs/{run}"))["state"] == "finished"
    });
    for (method, path, body, expected, code) in [
        ("GET", "/v1/nothing", "", 404, "no_such_route"),
        ("GET", "/v1/projects/zzz", "", 404, "no_such_project"),
        (
            "POST",
            "/v1/projects",
            "{\"path\": \"rel\"}",
            400,
            "bad_request",
        ),
        ("POST", "/v1/projects", "{nonsense", 400, "bad_request"),
        ("POST", "/v1/projects", "{\"path\": \"/\"}", 422, "refused"),
        (
            "POST",
            runs.as_str(),
            "{\"suite\": \"karma\"}",
            404,
            "no_such_suite",
        ),
        ("DELETE", "/v1/runs/r1", "", 404, "no_such_run"),
    ] {
        let (status, problem) = request(&home, method, path, body);
        let kind = format!("urn:regreen:{code}");
        assert_eq!(
            (status, &problem["type"]),
            (expected, &Value::from(kind)),
            "{problem}"
        );
    }
}

#[test]
fn a_store_of_a_newer_regreen_is_refused() {
    let home = Home::new();
    daemon(&home).terminate().exits(0);
    let store = home.state().join("store.sqlite");
    let raw = rusqlite::Connection::open(&store).unwrap();
    raw.pragma_update(None, "user_version", 4_000).unwrap();
    drop(raw);
    let refused = home.regreen(["daemon"]).run();
    refused.exits(1).complains("written by a newer regreen");
}

#[test]
fn an_old_store_keeps_loading() {
    // Made by the first version of the tables; see fixtures/state/README.md.
    let home = Home::new();
    std::fs::create_dir_all(home.state()).unwrap();
    let old = crate::support::fixtures().join("state/v1.sql");
    let text = std::fs::read_to_string(old).unwrap();
    let raw = rusqlite::Connection::open(home.state().join("store.sqlite")).unwrap();
    raw.execute_batch(&text).unwrap();
    drop(raw);
    let daemon = daemon(&home);
    let listed = get(&home, "/v1/projects");
    assert_eq!(listed[0]["path"], "/nonexistent/demo", "{listed}");
    assert_eq!(listed[0]["verdict"], "red", "{listed}");
    assert!(home.state().join("store.sqlite.v1.backup").exists());
    daemon.terminate().exits(0);
}

#[test]
fn a_git_directory_that_cannot_be_written_has_its_status_elsewhere() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = script_project(&home, "p", "exit 0\n");
    // Root writes through any mode; a file in the way stops root too.
    std::fs::write(project.path(".git/regreen"), "in the way").unwrap();
    let watching = project.regreen(["watch"]).start();
    let place = home.state().join("projects");
    let shown = || {
        let ran = project.regreen(["status", "--path"]).run();
        ran.stdout().trim().to_owned()
    };
    holds("the status lies elsewhere", Duration::from_secs(60), || {
        Path::new(&shown()).starts_with(&place)
    });
    holds("green", Duration::from_secs(60), || {
        let ran = project.regreen(["status", "--json"]).run();
        ran.code() == Some(0) && ran.json()["verdict"] == "green"
    });
    watching.interrupt().exits(0);
    let kept = std::fs::read_to_string(project.path(".git/regreen")).unwrap();
    assert_eq!(kept, "in the way");
}

#[test]
fn a_stopped_daemon_that_missed_twenty_thousand_events_catches_up() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let script = "test ! -e d7/f19999\n";
    let project = script_project(&home, "p", script);
    for dir in 0..8 {
        std::fs::create_dir_all(project.path(format!("d{dir}"))).unwrap();
        std::fs::write(project.path(format!("d{dir}/keep")), "").unwrap();
    }
    let daemon = daemon(&home);
    project.regreen(["add"]).run().exits(0);
    settled(&project, "green");
    daemon.signal(Signal::STOP);
    for file in 0..20_000 {
        std::fs::write(project.path(format!("d{}/f{file}", file % 8)), "x").unwrap();
    }
    daemon.signal(Signal::CONT);
    let red = settled(&project, "red");
    assert_ne!(red["snapshot"], Value::Null);
    for file in 0..20_000 {
        std::fs::remove_file(project.path(format!("d{}/f{file}", file % 8))).unwrap();
    }
    settled(&project, "green");
}

#[test]
fn twenty_projects_each_get_their_verdict() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let projects: Vec<Project> = (0..20)
        .map(|n| script_project(&home, &format!("p{n:02}"), &format!("exit {}\n", n % 2)))
        .collect();
    let daemon = daemon(&home);
    for project in &projects {
        project.regreen(["add"]).run().exits(0);
    }
    for (n, project) in projects.iter().enumerate() {
        settled(project, if n % 2 == 0 { "green" } else { "red" });
    }
    // Everybody saves at once, one of them again and again: nobody waits for ever.
    for (n, project) in projects.iter().enumerate() {
        project.write("test.sh", format!("exit {}\n", (n + 1) % 2));
    }
    for again in 0..10 {
        projects[0].write("test.sh", format!("# {again}\nexit 1\n"));
    }
    for (n, project) in projects.iter().enumerate() {
        settled(project, if n % 2 == 0 { "red" } else { "green" });
    }
    let pss = memory_kib(daemon.pid());
    assert!(pss < 60 * 1024, "{pss} KiB for twenty small projects");
    daemon.terminate().exits(0);
}

/// What the process takes of memory, shared pages counted by their share.
fn memory_kib(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find(|line| line.starts_with("Pss:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
