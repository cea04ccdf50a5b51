//! Every project below `fixtures/projects` holds one known fault; `regreen run --json` has to
//! find exactly that, as its `expected.toml` says.

use crate::support::Home;
use crate::support::Project;
use crate::support::fixtures;
use crate::support::full_tier;
use crate::support::node_tools;
use crate::support::require;
use regreen::model::Failure;
use regreen::model::FailureKind;
use regreen::model::Outcome;
use regreen::model::Phase;
use regreen::model::Report;
use regreen::model::RunDocument;
use serde::Deserialize;
use std::path::Path;

/// `expected.toml`. What is left out is not checked, except that no other failures may be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    outcome: Outcome,
    exit_code: u8,
    complete: Option<bool>,
    counts: Option<ExpectedCounts>,
    #[serde(default)]
    failures: Vec<ExpectedFailure>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedCounts {
    passed: u64,
    failed: u64,
    skipped: u64,
    #[serde(default)]
    flaky: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedFailure {
    id: String,
    target: Option<String>,
    kind: FailureKind,
    kind_sure: Option<bool>,
    phase: Phase,
    file: Option<String>,
    line: Option<u32>,
    code: Option<String>,
    /// A part of the message.
    message: String,
    left: Option<String>,
    right: Option<String>,
    expected: Option<String>,
    actual: Option<String>,
    flaky: Option<bool>,
    #[serde(default)]
    rerun: Rerun,
}

/// What the failure's own command does when it is run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Rerun {
    /// It runs this test and no other, and the test fails again.
    #[default]
    Exact,
    /// The runner cannot select so finely: it fails again among others.
    Coarse,
    /// It does not fail alone (order, chance), or there is no test to run.
    Unstable,
}

/// Runs the fixture once and compares everything.
fn check(name: &str) {
    let needed: &[&str] = match name.starts_with("pytest") {
        true => &["bwrap", "pytest"],
        false => &["bwrap"],
    };
    if needed.iter().all(|part| require(part)) {
        compare_all(name, &Home::new().fixture(name));
    }
}

/// Every fixture of a framework, the commands of its failures included.
fn check_framework(framework: &str, needed: &[&str]) {
    if !["bwrap"].iter().chain(needed).all(|part| require(part)) {
        return;
    }
    let names = of(framework);
    assert!(!names.is_empty(), "there is no fixture of `{framework}`");
    for name in names {
        let project = Home::new().fixture(&name);
        lend_modules(framework, &project);
        let report = compare_all(&name, &project);
        check_reruns(&name, &project, &report);
    }
}

/// The names of a framework's fixtures.
fn of(framework: &str) -> Vec<String> {
    let entries = std::fs::read_dir(fixtures().join("projects")).expect("fixtures");
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names
        .filter(|name| {
            name.strip_prefix(framework)
                .is_some_and(|rest| rest.starts_with('-'))
        })
        .collect();
    names.sort();
    names
}

/// What `npm install` would have put there: the runner from where scripts/test installed it.
fn lend_modules(framework: &str, project: &Project) {
    if matches!(framework, "jest" | "vitest" | "mocha") {
        let modules = node_tools().join(framework).join("node_modules");
        let words = [
            Path::new("-a"),
            Path::new("--reflink=auto"),
            &modules,
            project.root(),
        ];
        project.home.program("cp", words).run().exits(0);
    }
}

/// Runs the commands by which failures are run again: each one fails again, and but for what
/// `expected.toml` excepts nothing else runs.
fn check_reruns(name: &str, project: &Project, report: &Report) {
    let expected = expected_of(name);
    // Each costs a sandbox: in the fast tier the first few stand for the others.
    let most = if full_tier() { usize::MAX } else { 4 };
    let mut checked = 0;
    for failure in &report.failures {
        let want = expected.failures.iter().find(|want| want.id == failure.id);
        let how = want.map_or(Rerun::Exact, |want| want.rerun);
        // What does not build has no test that could be run.
        let builds = failure.phase == Phase::Build;
        if builds || how == Rerun::Unstable || checked == most {
            continue;
        }
        checked += 1;
        let id = &failure.id;
        assert!(!failure.rerun.is_empty(), "{name}: `{id}` has no rerun");
        let suite = report.run.suite.as_deref().unwrap_or_default();
        let args = ["run", "--json", suite, "--"].map(str::to_owned);
        let ran = project
            .regreen(args.into_iter().chain(failure.rerun.clone()))
            .run();
        let document: RunDocument = serde_json::from_value(ran.json())
            .unwrap_or_else(|error| panic!("{name}: rerun of `{id}`: {error}\n{ran}"));
        let again = &document.reports[0];
        let same = again.failures.iter().filter(|it| it.id == *id);
        let told = format!("{name}: {:?}: {ran}", failure.rerun);
        assert!(same.count() >= 1, "`{id}` did not fail again: {told}");
        if how == Rerun::Exact {
            let others = again.failures.iter().filter(|it| it.id != *id).count();
            assert_eq!((others, again.counts.passed), (0, 0), "not alone: {told}");
        }
    }
}

/// Compares everything that `expected.toml` says with what a run says.
fn compare_all(name: &str, project: &Project) -> Report {
    let expected = expected_of(name);
    let before = project.fingerprint();
    let (report, code) = run(project);
    before.unchanged_in(project);
    let told = format!(
        "{name}: {}",
        serde_json::to_string_pretty(&report).expect("a report is JSON")
    );

    assert_eq!(report.outcome, expected.outcome, "{told}");
    assert_eq!(code, i32::from(expected.exit_code), "{told}");
    if let Some(complete) = expected.complete {
        assert_eq!(report.complete, complete, "{told}");
    }
    if let Some(counts) = &expected.counts {
        let have = report.counts;
        let have = (have.passed, have.failed, have.skipped, have.flaky);
        let want = (counts.passed, counts.failed, counts.skipped, counts.flaky);
        assert_eq!(have, want, "(passed, failed, skipped, flaky) of {told}");
    }
    assert_eq!(
        report.counts.total,
        report.counts.passed + report.counts.failed + report.counts.skipped,
        "{told}"
    );
    let ids: Vec<&str> = report.failures.iter().map(|f| f.id.as_str()).collect();
    let mut wanted: Vec<&str> = expected.failures.iter().map(|f| f.id.as_str()).collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(sorted, wanted, "the failing ids of {told}");
    for want in &expected.failures {
        let have = report.failures.iter().find(|have| have.id == want.id);
        compare(have.expect("just compared"), want, project, &told);
    }
    report
}

fn compare(have: &Failure, want: &ExpectedFailure, project: &Project, told: &str) {
    let id = &want.id;
    assert_eq!(have.kind, want.kind, "kind of `{id}` in {told}");
    assert_eq!(have.phase, want.phase, "phase of `{id}` in {told}");
    if let Some(sure) = want.kind_sure {
        assert_eq!(have.kind_sure, sure, "kind_sure of `{id}` in {told}");
    }
    if want.target.is_some() {
        assert_eq!(have.target, want.target, "target of `{id}` in {told}");
    }
    let location = have.location.as_ref();
    if let Some(file) = &want.file {
        let have = location.map(|location| location.file.as_str());
        assert_eq!(have, Some(file.as_str()), "file of `{id}` in {told}");
        let line = location.and_then(|location| location.line);
        assert_eq!(line, want.line, "line of `{id}` in {told}");
    }
    // A place that is named exists, in the user's own tree.
    if let Some(location) = location {
        let text = project.read(&location.file);
        let line = location.line.unwrap_or(1) as usize;
        assert!((1..=text.lines().count()).contains(&line), "{told}");
    }
    if want.code.is_some() {
        assert_eq!(have.code, want.code, "code of `{id}` in {told}");
    }
    let message = have.message.contains(&want.message);
    assert!(message, "no `{}` in the message of {told}", want.message);
    assert!(
        !have.message.trim().is_empty(),
        "an empty message in {told}"
    );
    assert!(!have.fingerprint.is_empty(), "no fingerprint in {told}");
    let diff = have.diff.clone().unwrap_or_default();
    if want.left.is_some() {
        assert_eq!(diff.left, want.left, "left of `{id}` in {told}");
    }
    if want.right.is_some() {
        assert_eq!(diff.right, want.right, "right of `{id}` in {told}");
    }
    if want.expected.is_some() {
        assert_eq!(diff.expected, want.expected, "expected of `{id}` in {told}");
    }
    if want.actual.is_some() {
        assert_eq!(diff.actual, want.actual, "actual of `{id}` in {told}");
    }
    if want.flaky.is_some() {
        assert_eq!(have.flaky, want.flaky, "flaky of `{id}` in {told}");
    }
}

fn expected_of(name: &str) -> Expected {
    let path = fixtures().join("projects").join(name).join("expected.toml");
    let text = std::fs::read_to_string(&path).expect("every fixture has one");
    toml::from_str(&text).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()))
}

fn run(project: &Project) -> (Report, i32) {
    let ran = project.regreen(["run", "--json"]).run();
    let code = ran
        .code()
        .unwrap_or_else(|| panic!("no exit status: {ran}"));
    let document: RunDocument = serde_json::from_value(ran.json())
        .unwrap_or_else(|error| panic!("not the document of the contract: {error}\n{ran}"));
    assert_eq!(i32::from(document.exit_code), code, "{ran}");
    let [report] = document.reports.as_slice() else {
        panic!("not one report: {ran}");
    };
    assert_eq!(report.outcome, document.outcome, "{ran}");
    let snapshot = report.run.snapshot.as_deref();
    assert_eq!(snapshot, Some(document.snapshot.as_str()), "{ran}");
    // A clean tree is tested as what it is: HEAD's tree, to the letter.
    assert_eq!(document.snapshot, project.git(["rev-parse", "HEAD^{tree}"]));
    let isolation = report.run.isolation.as_ref();
    assert_eq!(
        isolation.map(|i| i.backend.as_str()),
        Some("bwrap"),
        "{ran}"
    );
    (report.clone(), code)
}

macro_rules! each {
    ($($test:ident => $fixture:literal,)*) => {
        $(
            #[test]
            fn $test() {
                check($fixture);
            }
        )*

        #[test]
        fn every_fixture_has_a_test() {
            let listed = [$($fixture),*];
            for entry in std::fs::read_dir(fixtures().join("projects")).expect("fixtures").flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let grouped = FRAMEWORKS.iter().any(|it| of(it).contains(&name));
                assert!(grouped || listed.contains(&name.as_str()), "`{name}` is tested by nobody");
                expected_of(&name);
            }
        }
    };
}

each! {
    cargo_assertion => "cargo-assertion",
    cargo_compile_error => "cargo-compile-error",
    cargo_crash_signal => "cargo-crash-signal",
    cargo_doctest => "cargo-doctest",
    cargo_flaky => "cargo-flaky",
    cargo_green => "cargo-green",
    cargo_hang => "cargo-hang",
    cargo_harness_false => "cargo-harness-false",
    cargo_no_tests => "cargo-no-tests",
    cargo_panic_in_helper => "cargo-panic-in-helper",
    cargo_returned_err => "cargo-returned-err",
    cargo_workspace_broken_leaf => "cargo-workspace-broken-leaf",
    ctest_build => "ctest-build",
    ctest_green => "ctest-green",
    ctest_kinds => "ctest-kinds",
    gtest_crash => "gtest-crash",
    gtest_kinds => "gtest-kinds",
    pytest_assertion_diff => "pytest-assertion-diff",
    pytest_crash_exit => "pytest-crash-exit",
    pytest_fixture_error => "pytest-fixture-error",
    pytest_hang => "pytest-hang",
    pytest_import_error => "pytest-import-error",
    pytest_no_tests => "pytest-no-tests",
    pytest_parametrised => "pytest-parametrised",
    pytest_skip_xfail => "pytest-skip-xfail",
}

macro_rules! frameworks {
    ($($test:ident => $framework:literal needs $needed:expr,)*) => {
        /// Whose fixtures are tested together, a test a framework.
        const FRAMEWORKS: &[&str] = &[$($framework),*];

        $(
            #[test]
            fn $test() {
                check_framework($framework, &$needed);
            }
        )*
    };
}

frameworks! {
    framework_unittest => "unittest" needs ["pytest"],
    framework_go_test => "go" needs ["go"],
    framework_jest => "jest" needs ["node", "node-tools"],
    framework_vitest => "vitest" needs ["node", "node-tools"],
    framework_mocha => "mocha" needs ["node", "node-tools"],
    framework_node_test => "node" needs ["node"],
    framework_ctest => "ctest" needs ["cmake"],
    framework_gtest => "gtest" needs ["cmake"],
    framework_rspec => "rspec" needs ["rspec"],
    framework_minitest => "minitest" needs ["rspec"],
    framework_phpunit => "phpunit" needs ["phpunit"],
    framework_bats => "bats" needs ["bats"],
    framework_prove => "prove" needs ["perl"],
    framework_junit => "junit" needs ["java"],
    framework_tap => "tap" needs ["bwrap"],
}
