//! A matrix of environments: each combination is a suite of its own.

use super::document;
use super::only;
use crate::support::Home;
use crate::support::Project;
use crate::support::require;
use regreen::model::Outcome;

fn project(matrix: &str, script: &str) -> Project {
    let suite =
        "[[suite]]\nname = \"script\"\nframework = \"generic\"\ncommand = [\"sh\", \"test.sh\"]\n";
    Home::new()
        .project("matrix")
        .file("test.sh", script)
        .file("regreen.toml", format!("{suite}{matrix}\n"))
        .committed()
}

#[test]
fn each_combination_is_a_suite_with_a_verdict() {
    if !require("bwrap") {
        return;
    }
    let matrix = "matrix = { MODE = [\"good\", \"bad\"], LEVEL = [\"1\"] }";
    let script = "echo \"mode $MODE, level $LEVEL\"; [ $MODE = good ] && echo '1 test passed'\n";
    let project = project(matrix, script);
    let (both, ran) = document(&project, &[]);
    let names: Vec<&str> = both
        .reports
        .iter()
        .filter_map(|it| it.run.suite.as_deref())
        .collect();
    let (good, bad) = ("script[LEVEL=1,MODE=good]", "script[LEVEL=1,MODE=bad]");
    assert_eq!(names, [good, bad], "{ran}");
    let outcomes: Vec<Outcome> = both.reports.iter().map(|it| it.outcome).collect();
    assert_eq!(outcomes, [Outcome::Passed, Outcome::Failed], "{ran}");
    let log = both.reports[1].raw_log.as_ref().expect("it printed");
    let log = std::fs::read_to_string(log).expect("kept");
    assert!(log.contains("mode bad, level 1"), "{log}");
    // One by its whole name, all by the name before.
    let (one, ran) = document(&project, &[good]);
    assert_eq!(only(&one).outcome, Outcome::Passed, "{ran}");
    let (all, _) = document(&project, &["script"]);
    assert_eq!(all.reports.len(), 2);
    let shown = project.regreen(["config", "suites"]).run();
    shown.says(&format!(
        "{bad}\n  runs  sh test.sh\n  in    .\n  why   named by `[[suite]]` in the configuration; \
         one of 2 of its `matrix`: `LEVEL` is `1`, `MODE` is `bad`\n"
    ));
}

#[test]
fn what_a_matrix_cannot_mean_is_said_with_its_line() {
    let many: Vec<String> = (0..33).map(|number| format!("\"{number}\"")).collect();
    let many = format!("matrix = {{ N = [{}] }}", many.join(", "));
    for (matrix, said) in [
        (many.as_str(), "makes 33 suites, and 32 are the most"),
        ("matrix = { N = [] }", "`N` of the matrix has no value"),
        ("matrix = {}", "the matrix is empty"),
        (
            "matrix = { \"a b\" = [\"1\"] }",
            "`a b` is no key of a matrix",
        ),
    ] {
        let project = project(matrix, "");
        let ran = project.regreen(["config", "check"]).run();
        ran.exits(2).complains(said).complains("line 5");
    }
    let project = project("matrix = { python = [\"3.12\"] }", "");
    let ran = project.regreen(["config", "check"]).run();
    ran.exits(2).complains("uses `python` of its `matrix`");
}

/// Every toolchain that rustup has here runs under its name, past the project's own choice.
#[test]
fn a_toolchain_is_chosen_by_its_name() {
    if !require("bwrap") {
        return;
    }
    let script = "echo \"in $(rustc --print sysroot)\"; echo '1 test passed'\n";
    let plain = project("", script);
    let environment = plain.home.environment();
    let of = |name: &str| {
        let found = environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| std::path::PathBuf::from(value))
    };
    let home = of("RUSTUP_HOME").or_else(|| Some(of("HOME")?.join(".rustup")));
    let installed = home.and_then(|home| std::fs::read_dir(home.join("toolchains")).ok());
    let mut names: Vec<String> = installed
        .into_iter()
        .flatten()
        .flatten()
        // One may be a link to another.
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names.truncate(2);
    if names.is_empty() {
        crate::support::say("SKIPPED a_toolchain_is_chosen_by_its_name: rustup has none here");
        return;
    }
    let matrix = format!("matrix = {{ toolchain = {names:?} }}");
    let chosen = project(&matrix, script);
    let (document, ran) = document(&chosen, &[]);
    assert_eq!(document.reports.len(), names.len(), "{ran}");
    for (report, name) in document.reports.iter().zip(&names) {
        let log = report.raw_log.as_ref().expect("it printed");
        let log = std::fs::read_to_string(log).expect("kept");
        assert!(log.contains(&format!("toolchains/{name}\n")), "{log}");
    }
}
