//! Cargo projects: streams that lie, runners of the project's own, early looks.

use super::blames;
use super::codes;
use super::document;
use super::only;
use crate::support::Home;
use crate::support::Project;
use crate::support::require;
use regreen::model::FailureKind;
use regreen::model::Outcome;

const MANIFEST: &str = "[package]\nname = \"liar\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";

/// A crate whose first test does `act`, between two honest ones, one of which fails.
fn liar(act: &str) -> Project {
    let source = format!(
        r##"//! Lies.
#[cfg(test)]
mod tests {{
    fn child(text: &str) {{
        let script = format!("printf '%s\\n' '{{text}}'");
        let status = std::process::Command::new("sh").args(["-c", &script]).status();
        assert!(status.is_ok());
    }}

    #[test]
    fn a_lies() {{
        child("");
        {act}
    }}

    #[test]
    fn b_is_honest() {{}}

    #[test]
    fn c_fails() {{
        panic!("as it should");
    }}
}}
"##
    );
    Home::new()
        .project("liar")
        .file("Cargo.toml", MANIFEST)
        .file(".cargo/config.toml", "[env]\nRUST_TEST_THREADS = \"1\"\n")
        .file("src/lib.rs", source)
        .committed()
}

/// What the forger wants to be believed.
const FORGED: &str = r##"
        child(r#"{ "type": "test", "name": "tests::a_lies", "event": "ok", "exec_time": 0.1 }"#);
        child(r#"{ "type": "test", "event": "started", "name": "tests::b_is_honest" }"#);
        child(r#"{ "type": "test", "name": "tests::b_is_honest", "event": "ok", "exec_time": 0.1 }"#);
        child(r#"{ "type": "test", "event": "started", "name": "tests::c_fails" }"#);
        child(r#"{ "type": "test", "name": "tests::c_fails", "event": "ok", "exec_time": 0.1 }"#);
        child(r#"{ "type": "suite", "event": "ok", "passed": 3, "failed": 0, "ignored": 0, "measured": 0, "filtered_out": 0, "exec_time": 0.1 }"#);
"##;

#[test]
fn a_forged_stream_does_not_make_green() {
    if !require("bwrap") {
        return;
    }
    // Everything that libtest would have said comes from a child, and the process leaves with
    // status 0 before the failing test has run.
    let project = liar(&format!("{FORGED} std::process::exit(0);"));
    let (document, ran) = document(&project, &[]);
    let report = only(&document);
    assert_ne!(document.exit_code, 0, "{ran}");
    assert_eq!(report.outcome, Outcome::Crashed, "{ran}");
    assert!(blames(report, "tests::a_lies"), "{ran}");
}

/// What a child writes is no event: the result is as if it had been silent.
#[track_caller]
fn is_as_if_nothing_was_said(act: &str) {
    let (document, ran) = document(&liar(act), &[]);
    let report = only(&document);
    assert_eq!(document.exit_code, 100, "{ran}");
    assert!(report.complete, "{ran}");
    assert_eq!(
        (report.counts.passed, report.counts.failed),
        (2, 1),
        "{ran}"
    );
    assert!(blames(report, "tests::c_fails"), "{ran}");
}

#[test]
fn a_forged_stream_that_goes_on_changes_nothing() {
    if require("bwrap") {
        is_as_if_nothing_was_said(FORGED);
    }
}

#[test]
fn a_doubled_result_changes_nothing() {
    if require("bwrap") {
        is_as_if_nothing_was_said(
            r##"child(r#"{ "type": "test", "name": "tests::b_is_honest", "event": "ok", "exec_time": 0.1 }"#);"##,
        );
    }
}

#[test]
fn a_process_that_contradicts_itself_is_run_again_test_by_test() {
    if !require("bwrap") {
        return;
    }
    // No child: the test process itself writes past the harness.
    let act = r##"use std::io::Write;
        use std::os::fd::FromRawFd;
        let mut out = std::mem::ManuallyDrop::new(unsafe { std::fs::File::from_raw_fd(1) });
        out.write_all(b"{ \"type\": \"test\", \"name\": \"tests::c_fails\", \"event\": \"ok\", \"exec_time\": 0.1 }\n").unwrap();"##;
    let (document, ran) = document(&liar(act), &[]);
    let report = only(&document);
    assert_ne!(document.exit_code, 0, "{ran}");
    assert!(codes(report).contains(&"inconsistent_stream"), "{ran}");
    assert!(blames(report, "tests::c_fails"), "{ran}");
    let seen = report
        .failures
        .iter()
        .filter(|failure| failure.id == "tests::c_fails");
    assert_eq!(seen.count(), 1, "{ran}");
}

#[test]
fn a_truncated_stream_names_the_test_that_ran() {
    if !require("bwrap") {
        return;
    }
    let (document, ran) = document(&liar("std::process::exit(0);"), &[]);
    let report = only(&document);
    assert_eq!(report.outcome, Outcome::Crashed, "{ran}");
    assert_eq!(document.exit_code, 104, "{ran}");
    assert!(blames(report, "tests::a_lies"), "{ran}");
}

/// The signal reaches the test process, neither cargo nor who watches it.
#[test]
fn a_test_that_ends_its_process_group_is_named() {
    if !require("bwrap") {
        return;
    }
    let act = "unsafe extern \"C\" { fn kill(pid: i32, signal: i32) -> i32; }
        unsafe { kill(0, 9); }";
    let project = liar(act);
    project.write("tests/after.rs", "#[test]\nfn still_runs() {}\n");
    let (document, ran) = document(&project, &[]);
    let report = only(&document);
    assert_eq!(report.outcome, Outcome::Crashed, "{ran}");
    assert!(blames(report, "tests::a_lies"), "{ran}");
    assert_eq!(report.counts.passed, 1, "the next target: {ran}");
}

/// Two tests were running; the one that fails by itself is told with its own reason.
#[test]
fn who_stood_by_is_told_with_its_own_failure() {
    if !require("bwrap") {
        return;
    }
    let source = "use std::sync::Barrier;\nstatic BOTH: Barrier = Barrier::new(2);\n\n\
        fn alone() -> bool {\n    std::env::args().any(|arg| arg == \"--exact\")\n}\n\n\
        #[test]\nfn ends() {\n    if !alone() {\n        BOTH.wait();\n    }\n    \
        std::process::exit(0);\n}\n\n\
        #[test]\nfn fails() {\n    if !alone() {\n        BOTH.wait();\n        \
        loop {\n            std::thread::park();\n        }\n    }\n    assert_eq!(1, 2);\n}\n";
    let project = Home::new()
        .project("two")
        .file("Cargo.toml", MANIFEST)
        .file("src/lib.rs", "//! Two.\n")
        .file("tests/two.rs", source)
        .committed();
    let (document, ran) = document(&project, &[]);
    let report = only(&document);
    assert_eq!(report.outcome, Outcome::Crashed, "{ran}");
    let kind = |id: &str| {
        let failure = report.failures.iter().find(|failure| failure.id == id);
        failure.map(|failure| failure.kind)
    };
    assert_eq!(kind("ends"), Some(FailureKind::Crash), "{ran}");
    assert_eq!(kind("fails"), Some(FailureKind::Assertion), "{ran}");
}

#[test]
fn decoys_fool_nobody() {
    if !require("bwrap") {
        return;
    }
    let decoy = r##"println!("test tests::ghost ... FAILED\n\nfailures:\n    tests::ghost\n\ntest result: FAILED. 0 passed; 9 failed");
        eprintln!("error[E0999]: ghost\n --> src/ghost.rs:1:1");
        child("test tests::ghost ... FAILED"); child("error: test failed, to rerun pass `--lib`");"##;
    let (document, ran) = document(&liar(decoy), &[]);
    let report = only(&document);
    let ids: Vec<&str> = report
        .failures
        .iter()
        .map(|failure| failure.id.as_str())
        .collect();
    assert_eq!(ids, ["tests::c_fails"], "{ran}");
    assert_eq!(
        (report.counts.passed, report.counts.failed),
        (2, 1),
        "{ran}"
    );
    assert!(report.complete, "{ran}");
}

#[test]
fn the_projects_own_runner_is_kept() {
    if !require("bwrap") {
        return;
    }
    let project = Home::new()
        .project("chained")
        .file("Cargo.toml", MANIFEST.replace("liar", "chained"))
        .file(
            ".cargo/config.toml",
            "[target.'cfg(unix)']\nrunner = [\"sh\", \"tools/run.sh\", \"--loud\"]\n",
        )
        .file("tools/run.sh", "shift\nRAN_BY=the-runner exec \"$@\"\n")
        .file(
            "src/lib.rs",
            "#[test]\nfn by_the_runner() { assert_eq!(std::env::var(\"RAN_BY\").as_deref(), Ok(\"the-runner\")); }\n",
        )
        .committed();
    let (document, ran) = document(&project, &[]);
    assert_eq!(document.exit_code, 0, "{ran}");
    assert_eq!(only(&document).counts.passed, 1, "{ran}");
}

#[test]
fn what_the_tests_see_of_the_environment() {
    if !require("bwrap") {
        return;
    }
    let source = r#"
#[test]
fn nothing_leaks() {
    for name in ["CLAUDECODE", "AI_AGENT", "AWS_SECRET_ACCESS_KEY", "RUSTC_BOOTSTRAP_X", "SSH_AUTH_SOCK"] {
        assert!(std::env::var_os(name).is_none(), "{name}");
    }
    assert_eq!(std::env::var("CI").as_deref(), Ok("1"));
    assert_eq!(std::env::current_dir().unwrap().to_str(), Some(env!("CARGO_MANIFEST_DIR")));
}
#[test]
fn no_terminal_and_no_input() {
    use std::io::IsTerminal;
    use std::io::Read;
    assert!(!std::io::stdout().is_terminal());
    assert_eq!(std::io::stdin().read(&mut [0; 8]).unwrap(), 0);
}
"#;
    let project = Home::new()
        .project("surroundings")
        .file("Cargo.toml", MANIFEST)
        .file("src/lib.rs", source)
        .committed();
    let secrets = project
        .regreen(["run", "--json"])
        .env("CLAUDECODE", "1")
        .env("AI_AGENT", "x")
        .env("AWS_SECRET_ACCESS_KEY", "x")
        .env("SSH_AUTH_SOCK", "/x")
        .run();
    secrets.exits(0);
    assert_eq!(
        secrets.json()["reports"][0]["counts"]["passed"],
        2,
        "{secrets}"
    );
}

#[test]
fn a_known_failure_is_not_new_and_a_fixed_one_is_gone() {
    if !require("bwrap") {
        return;
    }
    let project = Home::new()
        .project("known")
        .file("Cargo.toml", MANIFEST)
        .file(
            "src/lib.rs",
            "pub fn two() -> u8 { 3 }\n#[test]\nfn adds() { assert_eq!(two(), 2); }\n",
        )
        .committed();
    let (first, ran) = document(&project, &[]);
    let failure = &only(&first).failures[0];
    assert_eq!((failure.new, failure.flaky), (None, Some(false)), "{ran}");
    let (second, ran) = document(&project, &[]);
    let failure = &only(&second).failures[0];
    // Nothing is repeated for a failure that was there before.
    assert_eq!((failure.new, failure.flaky), (Some(false), None), "{ran}");
    // It was looked at first, alone, before the whole suite.
    let log = only(&second).raw_log.as_deref().expect("a log");
    let log = std::fs::read_to_string(log).expect("it is there");
    let starts: Vec<bool> = log
        .lines()
        // Standard error may stand before it, in the same line.
        .filter(|line| line.contains(r#"{"regreen":"target""#))
        .map(|line| line.contains(r#""args":["--exact","adds"]"#))
        .collect();
    assert_eq!(starts, [true, false], "{log}");
    project.edit("src/lib.rs", "{ 3 }", "{ 2 }");
    let (third, ran) = document(&project, &[]);
    assert!(only(&third).is_green(), "{ran}");
    assert_eq!(only(&third).run.dirty, Some(true), "{ran}");
    assert_ne!(first.snapshot, third.snapshot);
}

#[test]
fn a_dependency_that_is_not_here_is_named_with_its_remedy() {
    if !require("bwrap") {
        return;
    }
    let project = Home::new()
        .project("needy")
        .file(
            "Cargo.toml",
            format!("{MANIFEST}[dependencies]\nno-such-crate-of-regreen-tests = \"7\"\n"),
        )
        .file("src/lib.rs", "")
        .committed();
    let (document, ran) = document(&project, &[]);
    let report = only(&document);
    assert_ne!(document.exit_code, 0, "{ran}");
    let notes = report
        .notes
        .iter()
        .chain(report.failures.iter().flat_map(|it| &it.notes));
    let remedies: Vec<&str> = notes
        .filter(|note| note.code == "dependency_missing")
        .filter_map(|note| note.remedy.as_deref())
        .collect();
    assert!(
        remedies.iter().any(|remedy| remedy.contains("cargo fetch")),
        "{ran}"
    );
}

#[test]
fn nextest_where_it_is_configured() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    if home.program("cargo-nextest", ["--version"]).run().code() != Some(0) {
        crate::support::say("SKIPPED nextest_where_it_is_configured: cargo-nextest is not here");
        return;
    }
    let project = home
        .project("nexted")
        .file("Cargo.toml", MANIFEST)
        .file(".config/nextest.toml", "")
        .file(
            "src/lib.rs",
            "#[test]\nfn good() {}\n#[test]\n#[ignore]\nfn later() {}\n#[test]\nfn bad() { assert_eq!(1 + 1, 3); }\n\
             #[test]\nfn leaves() { std::process::exit(0); }\n",
        )
        .committed();
    let (document, ran) = document(&project, &[]);
    let report = only(&document);
    assert_eq!(report.run.framework, "nextest", "{ran}");
    assert_ne!(document.exit_code, 0, "{ran}");
    assert!(blames(report, "bad") && blames(report, "leaves"), "{ran}");
    assert_eq!(
        (report.counts.passed, report.counts.skipped),
        (1, 1),
        "{ran}"
    );
}

/// What a build script wrote into the sources is moved out after the run; cargo, which knows
/// its cache only, has to make it again.
#[test]
fn what_a_build_script_made_is_made_again() {
    if !require("bwrap") {
        return;
    }
    let project = Home::new()
        .project("generated")
        .file(
            "Cargo.toml",
            "[package]\nname = \"generated\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
        )
        .file(".gitignore", "/target\n")
        .file(
            "build.rs",
            "fn main() {\n    println!(\"cargo:rerun-if-changed=build.rs\");\n    \
             std::fs::write(\"src/made.rs\", \"pub const X: u8 = 1;\\n\").unwrap();\n}\n",
        )
        .file(
            "src/lib.rs",
            "mod made;\n#[test]\nfn one() { assert_eq!(made::X, 1) }\n",
        )
        .committed();
    for _ in 0..3 {
        let (document, ran) = document(&project, &[]);
        assert!(only(&document).is_green(), "{ran}");
    }
}

/// Cargo stops at the first broken target, and which one that is differs from run to run.
#[test]
fn every_broken_target_is_told() {
    if !require("bwrap") {
        return;
    }
    let project = Home::new()
        .project("broken")
        .file("Cargo.toml", MANIFEST)
        .file("src/lib.rs", "")
        .file("tests/one.rs", "#[test]\nfn one() { first() }\n")
        .file("tests/two.rs", "#[test]\nfn two() { second() }\n")
        .file("tests/three.rs", "#[test]\nfn three( {}\n")
        .file("tests/well.rs", "#[test]\nfn well() {}\n")
        .committed();
    let (document, ran) = document(&project, &[]);
    let report = only(&document);
    assert_eq!(report.outcome, Outcome::BuildFailed, "{ran}");
    let mut files: Vec<String> = report
        .failures
        .iter()
        .filter_map(|failure| Some(failure.location.as_ref()?.file.clone()))
        .collect();
    files.sort();
    assert_eq!(
        files,
        ["tests/one.rs", "tests/three.rs", "tests/two.rs"],
        "{ran}"
    );
}

/// Unlocking libtest's events must not reach cargo, build scripts, rustdoc or doctests: they
/// would be built anew, and differently.
#[test]
fn only_test_binaries_see_that_nightly_is_played() {
    if !require("bwrap") {
        return;
    }
    let project = Home::new()
        .project("stable")
        .file("Cargo.toml", MANIFEST)
        .file(
            "build.rs",
            "fn main() {\n    println!(\"cargo::rerun-if-env-changed=RUSTC_BOOTSTRAP\");\n    \
             assert!(std::env::var_os(\"RUSTC_BOOTSTRAP\").is_none());\n}\n",
        )
        .file(
            "src/lib.rs",
            "/// ```\n/// assert!(std::env::var_os(\"RUSTC_BOOTSTRAP\").is_none());\n/// ```\n\
             /// ```compile_fail\n/// #![feature(never_type)]\n/// let never: fn() -> ! = || loop {};\n/// ```\n\
             pub fn f() {}\n\n#[test]\nfn runs() {}\n",
        )
        .file(
            "tests/own.rs",
            "fn main() {\n    assert!(std::env::var_os(\"RUSTC_BOOTSTRAP\").is_none());\n}\n",
        )
        .committed();
    let manifest = format!("{MANIFEST}[[test]]\nname = \"own\"\nharness = false\n");
    project.write("Cargo.toml", manifest);
    let (document, ran) = document(&project, &[]);
    assert!(only(&document).is_green(), "{ran}");
    assert_eq!(only(&document).counts.passed, 4, "{ran}");
}

/// A test that cannot be repeated alone is neither flaky nor known to fail: the argv that the
/// report gives selects that test. Rustdoc would take a doctest's id apart; its item's path
/// remains, of which others may have a part.
#[test]
fn every_rerun_of_the_report_runs_its_test() {
    if !require("bwrap") {
        return;
    }
    let doctest = "/// ```\n/// assert_eq!(reruns::doubled(), 2);\n/// ```\n";
    let project = Home::new()
        .project("reruns")
        .file("Cargo.toml", MANIFEST.replace("liar", "reruns"))
        .file(
            "src/lib.rs",
            format!(
                "{doctest}pub fn doubled() -> u8 {{ 1 }}\npub struct S;\nimpl std::fmt::Display for S {{\n\
                 {doctest}    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{ Ok(()) }}\n}}\n\
                 #[cfg(test)]\nmod größe {{\n    #[test]\n    fn f() {{ assert_eq!(1, 2) }}\n    #[test]\n    fn ff() {{}}\n}}\n"
            ),
        )
        .file("src/bin/tool.rs", "fn main() {}\n#[test]\nfn f() { panic!() }\n")
        .file("tests/it.rs", "#[test]\nfn f() { panic!() }\n")
        .committed();
    let (document, ran) = document(&project, &[]);
    let failures = &only(&document).failures;
    assert_eq!(failures.len(), 5, "{ran}");
    for failure in failures {
        // regreen repeated each alone: none passed, and none could not be found.
        assert_eq!(failure.flaky, Some(false), "{}: {ran}", failure.id);
        let cargo = project.home.program(&failure.rerun[0], &failure.rerun[1..]);
        let alone = cargo.within_dir(project.root()).run();
        assert_eq!(alone.code(), Some(101), "{:?}: {alone}", failure.rerun);
        let said = alone.stdout();
        assert!(
            said.contains("test result: FAILED. 0 passed; 1 failed"),
            "{alone}"
        );
        assert!(
            said.contains(&format!("test {} ... FAILED", failure.id)),
            "{alone}"
        );
    }
}
