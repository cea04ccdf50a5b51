//! The documents and places of the contract, field by field, as the real binary makes them.

use crate::support::Home;
use crate::support::Project;
use crate::support::require;
use serde_json::Value;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// That an object has these fields, each of its type: `s`tring, `n`umber, `b`oolean, `a`rray,
/// `o`bject, `t`ime; `?` after it allows null.
#[track_caller]
fn has(object: &Value, fields: &[(&str, &str)]) {
    for (name, kind) in fields {
        let value = object
            .get(name)
            .unwrap_or_else(|| panic!("`{name}` is missing: {object:#}"));
        let (kind, optional) = (&kind[..1], kind.ends_with('?'));
        let holds = match kind {
            "s" => value.is_string(),
            "n" => value.is_u64(),
            "b" => value.is_boolean(),
            "a" => value.is_array(),
            "o" => value.is_object(),
            "t" => value.as_str().is_some_and(is_time),
            other => panic!("no kind is called `{other}`"),
        };
        assert!(
            holds || (optional && value.is_null()),
            "`{name}` is no `{kind}`: {value}"
        );
    }
}

/// RFC 3339, UTC, with milliseconds.
fn is_time(text: &str) -> bool {
    let pattern = "dddd-dd-ddTdd:dd:dd.dddZ";
    text.len() == pattern.len()
        && text.chars().zip(pattern.chars()).all(|(c, p)| match p {
            'd' => c.is_ascii_digit(),
            p => c == p,
        })
}

#[track_caller]
fn is_report(report: &Value, project: &Project) {
    let fields = [
        ("schema", "n"),
        ("run", "o"),
        ("outcome", "s"),
        ("complete", "b"),
        ("counts", "o"),
        ("failures", "a"),
        ("raw_log", "s"),
    ];
    has(report, &fields);
    let run = [
        ("id", "s"),
        ("snapshot", "s"),
        ("commit", "s"),
        ("dirty", "b"),
        ("suite", "s"),
        ("command", "a"),
        ("framework", "s"),
        ("source", "s"),
        ("started", "t"),
        ("duration_ms", "n"),
        ("exit", "o"),
        ("isolation", "o"),
    ];
    has(&report["run"], &run);
    has(
        &report["run"]["exit"],
        &[("code", "n"), ("timed_out", "b"), ("oom", "b")],
    );
    has(
        &report["run"]["isolation"],
        &[("backend", "s"), ("limits", "o")],
    );
    let limits = report["run"]["isolation"]["limits"].as_object();
    for (name, how) in limits.expect("an object") {
        let words = ["enforced", "per-process", "none"];
        let known = words.contains(&how.as_str().unwrap_or_default());
        assert!(known, "{name}: {how}");
    }
    is_counts(&report["counts"]);
    let id = report["run"]["id"].as_str().expect("a string");
    let dir = project.home.state().join("runs").join(id);
    assert!(dir.join("raw.log").is_file());
    let kept = std::fs::read(dir.join("report.json")).expect("it is kept");
    let kept: Value = serde_json::from_slice(&kept).expect("JSON");
    assert_eq!(&kept, report, "what is shown is what is kept");
}

#[track_caller]
fn is_counts(counts: &Value) {
    let names = ["passed", "failed", "skipped", "total", "flaky"];
    has(counts, &names.map(|name| (name, "n")));
    let of = |name: &str| counts[name].as_u64().expect("a number");
    assert_eq!(of("total"), of("passed") + of("failed") + of("skipped"));
}

#[track_caller]
fn is_failure(failure: &Value) {
    let fields = [
        ("id", "s"),
        ("kind", "s"),
        ("kind_sure", "b"),
        ("phase", "s"),
        ("location", "o"),
        ("message", "s"),
        ("details", "s"),
        ("diff", "o"),
        ("frames", "a"),
        ("duration_ms", "n"),
        ("fingerprint", "s"),
        ("rerun", "a"),
    ];
    has(failure, &fields);
    has(&failure["location"], &[("file", "s"), ("line", "n")]);
    has(&failure["diff"], &[("left", "s"), ("right", "s")]);
    for frame in failure["frames"].as_array().expect("an array") {
        let fields = [
            ("file", "s"),
            ("line", "n"),
            ("function", "s"),
            ("user", "b"),
        ];
        has(frame, &fields);
    }
}

#[test]
fn the_documents_of_a_run() {
    if !require("bwrap") || !require("pytest") {
        return;
    }
    for fixture in ["cargo-assertion", "pytest-assertion-diff"] {
        let project = Home::new().fixture(fixture);
        let ran = project.regreen(["run", "--json"]).run();
        ran.exits(100);
        let document = ran.json();
        let fields = [
            ("schema", "n"),
            ("snapshot", "s"),
            ("outcome", "s"),
            ("exit_code", "n"),
            ("reports", "a"),
        ];
        has(&document, &fields);
        let names = document.as_object().expect("an object").len();
        assert_eq!(names, fields.len(), "nothing else: {document:#}");
        let report = &document["reports"][0];
        is_report(report, &project);
        is_failure(&report["failures"][0]);
        // `report` shows the same bare Report, with and without the id, and exits 0.
        let id = report["run"]["id"].as_str().expect("a string");
        for args in [&["report", "--json"][..], &["report", id, "--json"]] {
            let shown = project.regreen(args).run();
            shown.exits(0);
            assert_eq!(&shown.json(), report);
        }
    }
}

const STATUS: &[(&str, &str)] = &[
    ("schema", "n"),
    ("project", "s"),
    ("branch", "s?"),
    ("head", "s?"),
    ("snapshot", "s?"),
    ("verdict", "s"),
    ("activity", "s"),
    ("stale", "b"),
    ("since", "t"),
    ("suites", "a"),
    ("failures", "a"),
    ("more", "n"),
    ("flaky", "a"),
    ("loops", "a"),
    ("isolation", "o?"),
    ("left_out", "a"),
    ("daemon", "o?"),
    ("updated_at", "t"),
    ("next_update_by", "t"),
];

fn mode(path: &Path) -> u32 {
    let meta = std::fs::symlink_metadata(path);
    let meta = meta.unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
    assert_eq!(meta.uid(), rustix::process::geteuid().as_raw());
    meta.permissions().mode() & 0o777
}

#[test]
fn the_status_file_in_every_state() {
    if !require("bwrap") {
        return;
    }
    let project = Home::new().fixture("cargo-assertion");
    // Before anybody watched: the verb says so, and there is no file.
    let asked = project.regreen(["status", "--json"]).run();
    asked.exits(0).complains("is not watched");
    let nothing = asked.json();
    has(&nothing, STATUS);
    assert_eq!(nothing["verdict"], "unknown");
    assert_eq!(nothing["activity"], "idle");
    assert_eq!(nothing["stale"], true);
    assert!(nothing["daemon"].is_null());
    project.regreen(["status"]).run().exits(0).says("unknown");
    project.regreen(["status", "--exit-code"]).run().exits(69);
    assert!(!project.status_path().exists(), "a question makes nothing");

    let watching = project.regreen(["watch"]).start();
    let running = project.status_until("running", |status| status["activity"] == "running");
    has(&running, STATUS);
    has(
        &running["daemon"],
        &[("pid", "n"), ("version", "s"), ("started", "t")],
    );
    assert_eq!(running["stale"], true, "there is no verdict on this yet");
    let run = &running["suites"][0]["run"];
    has(run, &[("id", "s"), ("done", "n"), ("total", "n?")]);

    let red = project.settled();
    has(&red, STATUS);
    assert_eq!(red["verdict"], "red");
    let suite = &red["suites"][0];
    let fields = [
        ("name", "s"),
        ("verdict", "s"),
        ("activity", "s"),
        ("stale", "b"),
        ("counts", "o"),
        ("run", "o"),
    ];
    has(suite, &fields);
    is_counts(&suite["counts"]);
    is_failure(&red["failures"][0]);
    for dir in [
        project.home.state(),
        project.home.cache(),
        project.home.runtime().join("regreen"),
        project.home.state().join("runs"),
        project.git_dir().join("regreen"),
    ] {
        assert_eq!(mode(&dir), 0o700, "`{}`", dir.display());
    }
    assert_eq!(
        mode(&project.home.runtime().join("regreen/regreen.sock")),
        0o600
    );

    watching.interrupt().exits(0);
    let stopped = project.status().expect("it stays");
    has(&stopped, STATUS);
    assert!(stopped["daemon"].is_null());
    assert_eq!(stopped["activity"], "idle");
    assert_eq!(stopped["stale"], true);
    assert_eq!(stopped["verdict"], "red", "the last word stays");
    project.regreen(["status"]).run().exits(0);
    project.regreen(["status", "--exit-code"]).run().exits(100);
}

/// What one verb calls PATH and another `-C DIR` are both understood where a worktree is meant.
#[test]
fn a_worktree_is_named_the_same_way_everywhere() {
    let home = Home::new();
    let project = home.fixture("cargo-green");
    let root = project.root().to_str().expect("a readable name");
    let elsewhere = home.project("elsewhere").plain();
    for args in [
        &["status", "-C", root, "--path"][..],
        &["status", "--dir", root, "--path"],
        &["status", root, "--path"],
    ] {
        let told = elsewhere.regreen(args).run();
        told.exits(0);
        assert_eq!(
            told.stdout().trim(),
            project.status_path().to_string_lossy()
        );
    }
    for verb in ["add", "remove", "pause", "resume"] {
        // The worktree is found, the daemon is not.
        elsewhere.regreen([verb, "-C", root]).run().exits(69);
        elsewhere.regreen([verb, root, "-C", root]).run().exits(2);
    }
    for verb in ["watch", "add", "run", "fix", "trust", "status"] {
        let ran = elsewhere.regreen([verb, "-C", "no/such/place"]).run();
        ran.exits(2).complains("no/such/place");
    }
}

/// Where a worktree must not be, nobody is told to make one.
#[test]
fn the_home_directory_and_the_system_are_refused_with_the_reason() {
    let home = Home::new();
    for (place, reason) in [
        ("/", "root of the file system"),
        ("/usr", "system directory"),
        (home.path().to_str().expect("readable"), "home directory"),
    ] {
        for verb in ["watch", "add", "run"] {
            let ran = home.regreen([verb, "-C", place]).run();
            ran.exits(2).complains(reason);
            assert!(!ran.stderr().contains("git init"), "{ran}");
        }
    }
}
