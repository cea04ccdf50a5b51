//! Flags of `run`, and `report`, `parse`, `completions`.

use super::codes;
use super::document;
use super::only;
use crate::support::Home;
use crate::support::Project;
use crate::support::require;
use regreen::model::Outcome;

/// A crate with a passing, a failing and an ignored test.
fn mixed() -> Project {
    Home::new()
        .project("mixed")
        .file("Cargo.toml", "[package]\nname = \"mixed\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
        .file(
            "src/lib.rs",
            "#[test]\nfn good() {}\n#[test]\n#[ignore]\nfn later() {}\n#[test]\nfn bad() { assert_eq!(1 + 1, 3); }\n",
        )
        .committed()
}

#[test]
fn at_a_revision_and_back() {
    if !require("bwrap") {
        return;
    }
    let project = mixed();
    project.edit("src/lib.rs", "3", "2");
    let before = project.fingerprint();
    let (red, ran) = document(&project, &["--at", "HEAD"]);
    assert_eq!(red.exit_code, 100, "{ran}");
    assert_eq!(
        red.snapshot,
        project.git(["rev-parse", "HEAD^{tree}"]),
        "{ran}"
    );
    assert_eq!(only(&red).run.dirty, Some(false), "{ran}");
    let (green, ran) = document(&project, &[]);
    assert_eq!(green.exit_code, 0, "{ran}");
    assert_eq!(only(&green).run.dirty, Some(true), "{ran}");
    before.unchanged_in(&project);
}

#[test]
fn a_command_instead_of_the_suites() {
    if !require("bwrap") {
        return;
    }
    let project = mixed();
    let dir = project.path("sub");
    std::fs::create_dir(&dir).expect("ours");
    project.write("sub/here", "");
    let ran = project
        .regreen(["run", "--json", "--", "cat", "here"])
        .within_dir(&dir)
        .run();
    // It did what it should, but nothing that is a test ran.
    let report = &ran.json()["reports"][0];
    assert_eq!(report["run"]["exit"]["code"], 0, "{ran}");
    assert_eq!(report["run"]["framework"], "generic", "{ran}");
    // Somebody waits for it: it stands behind nothing. Field 19 is the niceness.
    let stat = std::fs::read_to_string("/proc/self/stat").expect("proc");
    let own = stat.split(' ').nth(18).expect("the niceness");
    let script = "exit $(cut -d' ' -f19 /proc/self/stat)";
    let (nice, ran) = document(&project, &["--", "sh", "-c", script]);
    let exit = only(&nice).run.exit.expect("it ended");
    let code = exit.code.map(|code| code.to_string());
    assert_eq!(code.as_deref(), Some(own), "{ran}");
    let (document, ran) = document(&project, &["--", "cargo", "test", "good"]);
    assert_eq!(document.exit_code, 0, "{ran}");
    assert_eq!(only(&document).counts.passed, 1, "{ran}");
    let ran = project.regreen(["run", "--", "no-such-program"]).run();
    ran.exits(106)
        .says("! no verdict  command · `no-such-program` could not be started · ");
    assert!(!ran.stdout().contains("FAIL"), "{ran}");
    let bare = ["run", "--backend", "none", "--", "no-such-program"];
    project
        .regreen(bare)
        .run()
        .exits(106)
        .says("! no verdict  command · `no-such-program` could not be started · ");
    let (missing, ran) = super::document(&project, &["--", "no-such-program"]);
    assert_eq!(missing.exit_code, 106, "{ran}");
    let notes = &only(&missing).notes;
    assert!(
        notes
            .iter()
            .any(|note| note.message.contains("no-such-program")),
        "{ran}"
    );
}

#[test]
fn tests_that_a_filter_left_out_are_counted() {
    if !require("bwrap") {
        return;
    }
    let project = mixed();
    let one = "note 2 tests were left out by a filter of the command or its configuration";
    let ran = project
        .regreen(["run", "--", "cargo", "test", "--lib", "good"])
        .run();
    ran.exits(0).says(one).says("1 passed");
    let ran = project.regreen(["run", "--", "cargo", "test", "nothing"]);
    let ran = ran.run();
    ran.exits(102).says("left out by a filter");
    assert!(!ran.stdout().contains("add a function"), "{ran}");
    let ran = project.regreen(["run"]).run();
    assert!(!ran.stdout().contains("left out by a filter"), "{ran}");
}

#[test]
fn where_nothing_ran_it_says_what_to_do() {
    if !require("bwrap") {
        return;
    }
    let project = mixed();
    project.write("src/lib.rs", "");
    let ran = project.regreen(["run"]).run();
    ran.exits(102)
        .says("note `cargo test` ran no test")
        .says("add a function with `#[test]`; or say in regreen.toml")
        .says("? unknown  cargo · nothing ran · ");
}

#[test]
fn without_a_sandbox_only_when_asked_and_it_says_so() {
    if !require("bwrap") {
        return;
    }
    let project = mixed();
    let (document, ran) = document(&project, &["--backend", "none"]);
    let report = only(&document);
    assert_eq!(document.exit_code, 100, "{ran}");
    let isolation = report.run.isolation.as_ref().expect("isolation");
    assert_eq!(isolation.backend, "none");
    assert!(codes(report).contains(&"no_sandbox"), "{ran}");
    assert_eq!(
        report.failures[0]
            .location
            .as_ref()
            .map(|at| at.file.as_str()),
        Some("src/lib.rs")
    );
    let ran = project.regreen(["run", "--backend", "bwarp"]).run();
    ran.exits(2).complains("--backend").complains("bwrap");
}

#[test]
fn bubblewrap_missing_is_no_reason_to_run_without() {
    let project = mixed();
    let ran = project
        .regreen(["run"])
        .env("REGREEN_BWRAP", "/nonexistent/bwrap")
        .run();
    ran.exits(106)
        .says("apt install bubblewrap")
        .says("no verdict");
}

#[test]
fn side_by_side() {
    if !require("bwrap") || !require("pytest") {
        return;
    }
    let source =
        "import os\n\n\ndef test_where():\n    assert os.path.exists('/run/regreen/inject')\n";
    let project = Home::new()
        .project("sides")
        .file("pytest.ini", "")
        .file("test_sides.py", source)
        .committed();
    let ran = project.regreen(["run", "--compare"]).run();
    ran.exits(0)
        .says("fails only outside: test_sides.py::test_where");
    let (document, ran) = document(&project, &["--compare"]);
    assert_eq!(document.outcome, Outcome::Passed, "{ran}");
    let backends: Vec<&str> = document
        .reports
        .iter()
        .filter_map(|report| report.run.isolation.as_ref())
        .map(|isolation| isolation.backend.as_str())
        .collect();
    assert_eq!(backends, ["bwrap", "none"], "{ran}");
}

#[test]
fn the_human_report() {
    if !require("bwrap") {
        return;
    }
    let project = mixed();
    let ran = project.regreen(["run"]).run();
    ran.exits(100);
    let text = ran.stdout();
    let shown: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("output:") && !line.starts_with("  used: "))
        .map(|line| {
            line.split(" · ")
                .filter(|part| !part.ends_with(" s") && !part.ends_with(" ms"))
        })
        .map(|parts| parts.collect::<Vec<_>>().join(" · "))
        .map(|line| &*line.leak())
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
      FAIL bad (mixed)  src/lib.rs:7:12
           assertion `left == right` failed
               left 2
              right 3
           again: cargo test -p mixed --lib -- --exact bad

    ✗ red  cargo · 1 failed, 1 passed, 1 skipped · bwrap
    ");
    assert!(
        !text.contains('\u{1b}'),
        "colours where nobody sees them: {ran}"
    );
    assert!(ran.stderr().is_empty(), "{ran}");
    // The same again, from what was left behind.
    let again = project.regreen(["report"]).run();
    again.exits(0).says("FAIL bad (mixed)");
    let id = project.regreen(["report", "--json"]).run().json()["run"]["id"].clone();
    let id = id.as_str().expect("an id");
    project.regreen(["report", id]).run().exits(0).says("✗ red");
    project
        .regreen(["report", "r0nothing"])
        .run()
        .exits(2)
        .complains("r0nothing");
}

/// Whoever asks and gets nothing is told, by words and by the exit status.
#[test]
fn an_answer_that_nobody_got_is_an_error() {
    if !require("bwrap") {
        return;
    }
    let project = mixed();
    project.write("regreen.toml", "");
    project.regreen(["run"]).run().exits(100);
    for verb in [
        "report",
        "report --json",
        "report --format=junit",
        "status",
        "status --json",
        "status --path",
        "slots",
        "slots --json",
        "config show",
        "config suites",
        "config check",
        "config schema",
        "loops list --json",
        "doctor",
        "doctor --json",
        "gc --dry-run",
        "trust --show",
        "completions bash",
    ] {
        for (end, why) in [
            (">/dev/full", "standard output cannot be written: No space"),
            (">&-", "regreen: standard output is closed"),
        ] {
            let line = format!("'{}' {verb} {end}", env!("CARGO_BIN_EXE_regreen"));
            let ran = project.home.program("sh", ["-c", &line]);
            let ran = ran.within_dir(project.root()).run();
            ran.exits(1).complains(why);
            assert!(!ran.stderr().contains("panicked"), "{ran}");
        }
    }
}

#[test]
fn a_report_that_nobody_got_is_an_error() {
    if !require("bwrap") {
        return;
    }
    let project = mixed();
    for flag in ["", " --json", " --format=junit"] {
        let regreen = env!("CARGO_BIN_EXE_regreen");
        let to = |end: &str| {
            let line = format!("'{regreen}' run{flag} {end}");
            let ran = project.home.program("sh", ["-c", &line]);
            ran.within_dir(project.root()).run()
        };
        let ran = to(">/dev/full");
        ran.exits(1).complains("No space left on device");
        to(">&-").exits(1).complains("standard output is closed");
        // A reader that went away has what it wanted.
        let ran = to("| true");
        ran.exits(0);
        assert_eq!(ran.stderr(), "", "{ran}");
    }
}

#[test]
fn the_report_of_all_suites() {
    if !require("bwrap") {
        return;
    }
    let project = mixed();
    let of = |command: &str, name: &str| {
        format!(
            "[[suite]]\nname = \"{name}\"\nframework = \"generic\"\ncommand = [\"sh\", \"-c\", \"{command}\"]\n"
        )
    };
    let table = "detect = false\n".to_owned() + &of("exit 3", "red") + &of("true", "fine");
    project.write("regreen.toml", &table);
    let ran = project.regreen(["run"]).run();
    let again = project.regreen(["report"]).run();
    again.exits(0);
    assert_eq!(without_heads(&again.stdout()), ran.stdout(), "{again}");
    assert_ne!(ran.code(), Some(0), "the worst counts: {ran}");
    let shown = project.regreen(["report", "--json"]).run();
    let text = shown.stdout();
    let reports = serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Value>();
    let suites: Vec<String> = reports
        .map(|report| report.expect("a report")["run"]["suite"].to_string())
        .collect();
    assert_eq!(suites, ["\"red\"", "\"fine\""], "{shown}");
    // The last invocation counts, not the last run of every suite.
    let only = project.regreen(["run", "fine"]).run();
    let again = project.regreen(["report"]).run();
    assert_eq!(without_heads(&again.stdout()), only.stdout(), "{again}");
}

/// What `report` says before each report: which it is.
fn without_heads(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("run r"));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_report_is_about_the_worktree_where_it_is_asked_for() {
    if !require("bwrap") {
        return;
    }
    let project = mixed();
    let ran = project.regreen(["run", "--json"]).run();
    ran.exits(100);
    let id = ran.json()["reports"][0]["run"]["id"].clone();
    let id = id.as_str().expect("an id");
    let commit = project.git(["rev-parse", "HEAD"]);
    let root = project.root().canonicalize().expect("it is there");
    let root = root.to_str().expect("a plain name");
    let sub = project.path("sub");
    std::fs::create_dir(&sub).expect("ours");
    let shown = project.regreen(["report"]).within_dir(&sub).run();
    let head = format!("run {id} · {root} · ");
    let commit = format!(" s ago · commit {} · tree ", &commit[..12]);
    shown.exits(0).says(&head).says(&commit);
    // Another project's run is nobody's answer.
    let other = project.home.project("other").file("a", "").committed();
    other
        .regreen(["report"])
        .run()
        .exits(2)
        .complains("no run of");
    let nowhere = project.home.path().join("nowhere");
    std::fs::create_dir(&nowhere).expect("ours");
    let outside = project.regreen(["report"]).within_dir(&nowhere).run();
    outside.exits(2).complains("is not in a git worktree");
    assert_eq!(outside.stdout(), "");
    let missing = project.regreen(["report", "-C", "/nonexist"]).run();
    missing.exits(2).complains("/nonexist");
    // By its id a run is shown anywhere, with the project that it is about.
    let shown = project.regreen(["report", id]).within_dir(&nowhere).run();
    shown.exits(0).says(&head);
}

#[test]
fn other_formats() {
    if !require("bwrap") {
        return;
    }
    let project = mixed();
    let ran = project.regreen(["run", "--format", "ctrf"]).run();
    ran.exits(100);
    let ctrf = ran.json();
    assert_eq!(ctrf["results"]["summary"]["tests"], 3, "{ran}");
    let mut names: Vec<&str> = ctrf["results"]["tests"]
        .as_array()
        .expect("tests")
        .iter()
        .filter_map(|test| test["name"].as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["bad", "good", "later"], "{ran}");
    let ran = project.regreen(["run", "--format", "junit"]).run();
    ran.exits(100)
        .says("<testcase classname=\"mixed\" name=\"bad\"");
    // What regreen writes, regreen reads.
    let parsed = project
        .regreen(["parse", "--format", "junit", "--report"])
        .args([junit_file(&project, &ran.stdout())])
        .run();
    parsed.exits(0);
    assert_eq!(parsed.json()["counts"]["failed"], 1, "{parsed}");
}

fn junit_file(project: &Project, text: &str) -> std::path::PathBuf {
    let path = project.home.path().join("junit.xml");
    std::fs::write(&path, text).expect("the home is ours");
    path
}

#[test]
fn a_time_out_ends_it() {
    if !require("bwrap") {
        return;
    }
    let project = mixed();
    project.edit(
        "src/lib.rs",
        "fn good() {}",
        "fn good() { std::thread::park(); }",
    );
    let (document, ran) = document(&project, &["--timeout", "8s"]);
    assert_eq!(document.exit_code, 103, "{ran}");
    let report = only(&document);
    assert!(codes(report).contains(&"limit"), "{ran}");
    assert!(
        report.failures.iter().any(|failure| failure.id == "good"),
        "{ran}"
    );
    let ran = project.regreen(["run", "--timeout", "8"]).run();
    ran.exits(2)
        .complains("--timeout")
        .complains("`8` is not a duration");
}

#[test]
fn a_log_becomes_a_report() {
    let home = Home::new();
    let log = "running 1 test\ntest a ... FAILED\n\nfailures:\n\n---- a stdout ----\n\nthread 'a' (7) panicked at /w/src/lib.rs:4:5:\nboom\n\n\nfailures:\n    a\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
    let ran = home
        .regreen(["parse", "--format", "cargo", "--exit", "101"])
        .input(log)
        .run();
    ran.exits(0);
    assert_eq!(ran.json()["outcome"], "failed", "{ran}");
    let missing = home
        .regreen(["parse", "--format", "cargo", "nowhere.log"])
        .run();
    missing.exits(2).complains("nowhere.log");
    let unknown = home.regreen(["parse", "--format", "carog"]).run();
    unknown.exits(2).complains("known: cargo");
}

#[test]
fn completions_for_every_shell() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        home.regreen(["completions", shell])
            .run()
            .exits(0)
            .says("regreen");
    }
    home.regreen(["completions", "tcsh"]).run().exits(2);
}
