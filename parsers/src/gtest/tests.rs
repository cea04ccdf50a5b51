//! What GoogleTest really prints, and what only looks like it.

use super::*;
use crate::report::Exit;
use crate::report::FailureKind;
use crate::report::Outcome;
use crate::report::Phase;
use crate::request::Places as Dirs;

fn read(log: &str, files: &[(&str, &str)], exit: Option<i32>) -> Report {
    let mut run = open(Context::rooted("/p"));
    run.feed(Stream::Log, log.as_bytes());
    for (name, text) in files {
        run.feed(Stream::File(name), text.as_bytes());
    }
    run.finish(End {
        exit: exit.map(Exit::code),
        interrupted: false,
    })
}

fn ids(report: &Report) -> Vec<&str> {
    report.failures.iter().map(|f| f.id.as_str()).collect()
}

/// A whole run with the lines of its one suite.
fn run(tests: u64, lines: &str, passed: u64, failed: &[&str]) -> String {
    let mut text = format!(
        "[==========] Running {tests} tests from 1 test suite.\n[----------] Global test environment set-up.\n[----------] {tests} tests from A\n{lines}[----------] {tests} tests from A (0 ms total)\n\n[----------] Global test environment tear-down\n[==========] {tests} tests from 1 test suite ran. (0 ms total)\n[  PASSED  ] {passed} tests.\n"
    );
    if !failed.is_empty() {
        text += &format!("[  FAILED  ] {} tests, listed below:\n", failed.len());
        for id in failed {
            text += &format!("[  FAILED  ] {id}\n");
        }
        text += &format!("\n {} FAILED TESTS\n", failed.len());
    }
    text
}

#[test]
fn a_test_that_prints_its_own_end_is_believed_at_its_real_one() {
    let lines = "[ RUN      ] A.One\n[  FAILED  ] A.One (0 ms)\n[       OK ] A.One (1 ms)\n[ RUN      ] A.Two\n[       OK ] A.Two (0 ms)\na.cc:3: Failure\nFailed\nreal\n[  FAILED  ] A.Two (0 ms)\n";
    let report = read(&run(2, lines, 1, &["A.Two"]), &[], Some(1));
    assert_eq!(ids(&report), ["A.Two"]);
    assert_eq!((report.counts.passed, report.counts.failed), (1, 1));
    assert!(report.complete, "{:?}", report.notes);
}

#[test]
fn what_fails_below_a_printed_run_is_the_test_s() {
    let ghost = "[ RUN      ] A.Ghost\nx.cc:1: Failure\nFailed\n[  FAILED  ] A.Ghost (0 ms)\n";
    let child = run(1, ghost, 0, &["A.Ghost"]);
    // Without times, as `--gtest_print_time=0` prints.
    let lines = format!(
        "[ RUN      ] A.Prints\n{child}[       OK ] A.Prints\n[ RUN      ] A.One\n{child}a.cc:9: Failure\nFailed\nreal\n[  FAILED  ] A.One\n"
    );
    let log = run(2, &lines, 1, &["A.One"]);
    let (rest, end) = log.rsplit_once(" (0 ms total)").unwrap();
    let report = read(&format!("{rest}{end}"), &[], Some(1));
    assert_eq!(ids(&report), ["A.One"]);
    assert_eq!(report.failures[0].message, "real");
    assert!(report.complete, "{:?}", report.notes);
}

#[test]
fn a_brief_run_goes_on_below_a_printed_one() {
    let ghost = "[ RUN      ] A.Ghost\nx.cc:1: Failure\nFailed\n[  FAILED  ] A.Ghost (0 ms)\n";
    let child = run(1, ghost, 0, &["A.Ghost"]);
    let log = format!(
        "a.cc:3: Failure\nFailed\none\n[  FAILED  ] A.One (0 ms)\n{child}a.cc:9: Failure\nFailed\ntwo\n[  FAILED  ] A.Two (0 ms)\na.cc:11: Failure\nFailed\nthree\n\na.cc:12: Skipped\nno more\n\n[  FAILED  ] A.Three (0 ms)\n[==========] 4 tests from 1 test suite ran. (0 ms total)\n[  PASSED  ] 1 test.\n"
    );
    let report = read(&log, &[], Some(1));
    assert_eq!(ids(&report), ["A.One", "A.Two", "A.Three"]);
    let said: Vec<&str> = report
        .failures
        .iter()
        .map(|it| it.message.as_str())
        .collect();
    assert_eq!(said, ["one", "two", "three"]);
    assert!(report.complete, "{:?}", report.notes);
}

#[test]
fn a_run_that_a_test_prints_is_its_output() {
    let child = run(
        1,
        "[ RUN      ] A.Ghost\nx.cc:1: Failure\n[  FAILED  ] A.Ghost (0 ms)\n",
        0,
        &["A.Ghost"],
    );
    let lines = format!("[ RUN      ] A.One\n{child}[       OK ] A.One (1 ms)\n");
    let report = read(&run(1, &lines, 1, &[]), &[], Some(0));
    assert!(report.is_green(), "{report:?}");
    // The same, and the test that started it dies.
    let log = format!(
        "[==========] Running 1 test from 1 test suite.\n[----------] 1 test from A\n[ RUN      ] A.One\n{child}"
    );
    let report = read(&log, &[], Some(139));
    assert_eq!(report.outcome, Outcome::Crashed);
    assert!(ids(&report).contains(&"A.One"));
}

#[test]
fn the_summary_settles_what_cannot_both_be() {
    let lines = "[ RUN      ] A.One\n[       OK ] A.One (1 ms)\n";
    // The list names a test whose end is not there.
    let report = read(&run(2, lines, 1, &["A.Lost"]), &[], Some(1));
    assert_eq!(ids(&report), ["A.Lost"]);
    assert!(!report.complete);
    // Status 0, and nothing ended.
    let report = read(
        "[==========] Running 2 tests from 1 test suite.\n",
        &[],
        Some(0),
    );
    assert_eq!((report.outcome, report.complete), (Outcome::Crashed, false));
}

#[test]
fn older_versions_and_other_compilers_are_read() {
    let lines = "[ RUN      ] A.One\na.cc:10: Failure\n      Expected: 4\nTo be equal to: add(2, 2)\n      Which is: 0\n[  FAILED  ] A.One (0 ms)\n[ RUN      ] A.Two\na.cc:11: Failure\nValue of: add(2, 2)\n  Actual: 0\nExpected: 4\n[  FAILED  ] A.Two (0 ms)\n[ RUN      ] A.Three\nC:\\p\\a.cc(12): error: Expected equality of these values:\n  1\n  2\n[  FAILED  ] A.Three (0 ms)\n";
    let text = run(3, lines, 0, &["A.One", "A.Two", "A.Three"]);
    let text = text
        .replace("test suite", "test case")
        .replace('\n', "\r\n");
    let report = read(&text, &[], Some(1));
    assert!(report.complete, "{:?}", report.notes);
    for (at, line) in [(0, 10), (1, 11)] {
        let failure = &report.failures[at];
        let diff = failure.diff.clone().expect("two sides");
        assert_eq!(diff.expected.as_deref(), Some("4"));
        assert_eq!(diff.actual.as_deref(), Some("0"));
        let place = failure.location.as_ref().expect("a place");
        assert_eq!((place.file.as_str(), place.line), ("a.cc", Some(line)));
    }
    let diff = report.failures[2].diff.clone().expect("two sides");
    assert_eq!(
        (diff.left.as_deref(), diff.right.as_deref()),
        (Some("1"), Some("2"))
    );
    let place = report.failures[2].location.as_ref().expect("a place");
    assert_eq!(place.line, Some(12));
}

#[test]
fn where_an_exception_was_thrown_is_its_phase() {
    for (place, kind, phase) in [
        ("the test body", FailureKind::Panic, Phase::Call),
        ("SetUp()", FailureKind::SetupError, Phase::Setup),
        (
            "the test fixture's constructor",
            FailureKind::SetupError,
            Phase::Setup,
        ),
        ("TearDown()", FailureKind::TeardownError, Phase::Teardown),
        (
            "the test fixture's destructor",
            FailureKind::TeardownError,
            Phase::Teardown,
        ),
    ] {
        let lines = format!(
            "[ RUN      ] A.One\nunknown file: Failure\nC++ exception with description \"boom\" thrown in {place}.\n[  FAILED  ] A.One (0 ms)\n"
        );
        let report = read(&run(1, &lines, 0, &["A.One"]), &[], Some(1));
        let failure = &report.failures[0];
        assert_eq!((failure.kind, failure.phase), (kind, phase), "{place}");
        assert!(failure.message.contains("boom"));
        assert_eq!(failure.location, None);
    }
}

const ENVIRONMENT: &str = r#"{"tests": 1, "failures": 0, "disabled": 0, "testsuites": [
  {"name": "A", "tests": 1, "testsuite": [{"name": "One", "status": "RUN", "result": "SKIPPED"}]}
  {"name": "NonTestSuiteFailure", "testsuite": [{"name": "", "status": "RUN", "failures": [
    {"failure": "a.cc:3\nFailed\ngr\u00C3\u00B6\u00C3\u009F } {", "type": ""}]}]}
]}"#;

#[test]
fn the_comma_that_googletest_forgets_is_put_back() {
    let report = read("", &[("unit.json", ENVIRONMENT)], Some(1));
    assert!(report.complete, "{:?}", report.notes);
    let failure = &report.failures[0];
    assert_eq!(failure.id, "NonTestSuiteFailure");
    assert_eq!(failure.message, "größ } {");
    assert_eq!(
        (failure.kind, failure.target.as_deref()),
        (FailureKind::SetupError, Some("unit"))
    );
}

#[test]
fn a_file_and_a_text_that_differ_are_not_believed() {
    let file = r#"{"tests": 1, "failures": 1, "testsuites": [{"name": "A", "testsuite": [
      {"name": "One", "file": "a.cc", "line": 2, "status": "RUN", "result": "COMPLETED", "failures": [{"failure": "a.cc:3\nFailed\nreal"}]}]}]}"#;
    let text = run(1, "[ RUN      ] A.One\n[       OK ] A.One (1 ms)\n", 1, &[]);
    let report = read(&text, &[("unit.json", file)], Some(0));
    assert_eq!(ids(&report), ["A.One"]);
    assert!(!report.complete);
    // A file that is cut off, and text that is whole.
    let report = read(&text, &[("unit.json", &file[..60])], Some(0));
    assert!(!report.is_green());
    // The file as the log itself.
    let report = read(file, &[], Some(1));
    assert_eq!((ids(&report), report.complete), (vec!["A.One"], true));
    assert_eq!(
        report.failures[0]
            .test_location
            .as_ref()
            .and_then(|at| at.line),
        Some(2)
    );
}

#[test]
fn what_is_printed_without_a_line_end_stands_before_the_place() {
    let lines = "[ RUN      ] A.One\na.cc:3: Failure\nFailed\n[  FAILED  ] A.One (0 ms)\n[ RUN      ] A.Two\n50% donea.cc:9: Failure\nFailed\nno end[  FAILED  ] A.Two (0 ms)\n";
    let report = read(&run(2, lines, 0, &["A.One", "A.Two"]), &[], Some(1));
    let place = report.failures[1].location.as_ref().expect("a place");
    assert_eq!((place.file.as_str(), place.line), ("a.cc", Some(9)));
}

#[test]
fn strings_hold_what_separates_them() {
    let lines = "[ RUN      ] A.One\na.cc:3: Failure\nExpected: (a) != (b), actual: \"x vs y\" vs \"x vs y\"\n[  FAILED  ] A.One, where GetParam() = \"a (0 ms)\" (3 ms)\n";
    let text = run(1, lines, 0, &["A.One, where GetParam() = \"a (0 ms)\""]);
    let report = read(&text, &[], Some(1));
    assert_eq!(ids(&report), ["A.One"]);
    let diff = report.failures[0].diff.clone().expect("two sides");
    assert_eq!(diff.left.as_deref(), Some("\"x vs y\""));
    assert_eq!(report.failures[0].duration_ms, Some(3));
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[test]
fn the_report_is_asked_for_and_a_rerun_selects_one_test() {
    let argv = words("./build/unit --gtest_filter=A.* --gtest_brief=1 --gtest_fail_fast --size=3");
    let places = Dirs {
        inject: "/i",
        events: "/e",
    };
    let asked = crate::request::request(crate::Format::Gtest, &argv, &[], places);
    assert_eq!(
        asked.argv,
        words("./build/unit --gtest_filter=A.* --size=3 --gtest_output=json:/e/ --gtest_color=no")
    );
    assert!(asked.env.is_empty());
    let mut context = Context {
        command: crate::request::tool(crate::Format::Gtest, &argv),
        dir: "sub".to_owned(),
        ..Context::rooted("/p")
    };
    assert_eq!(
        rerun("Nums/P.Even/1", &context),
        words("env --chdir=sub ./build/unit --size=3 --gtest_filter=Nums/P.Even/1")
    );
    let argv = words("sh -c ./unit");
    let asked = crate::request::request(crate::Format::Gtest, &argv, &[], places);
    assert_eq!(asked.argv, argv);
    assert_eq!(
        asked.env[0],
        ("GTEST_OUTPUT".to_owned(), "json:/e/".to_owned())
    );
    context.command = crate::request::tool(crate::Format::Gtest, &argv);
    assert_eq!(
        rerun("A.One", &context),
        words("env --chdir=sub GTEST_FILTER=A.One sh -c ./unit")
    );
    let forever = crate::request::request(
        crate::Format::Gtest,
        &words("./unit --gtest_repeat=-1"),
        &[],
        places,
    );
    assert!(forever.refused.is_some());
}

#[test]
fn a_value_may_have_lines_that_look_like_an_expression() {
    let lines = "[ RUN      ] A.One\na.cc:3: Failure\nExpected equality of these values:\n  W{1}\n    Which is: W {\n  x = 1\n}\n  W{2}\n    Which is: W {\n  x = 2\n}\nand words\n[  FAILED  ] A.One (3 ms)\n";
    let report = read(&run(1, lines, 0, &["A.One"]), &[], Some(1));
    let failure = &report.failures[0];
    let diff = failure.diff.clone().expect("two sides");
    assert_eq!(diff.left.as_deref(), Some("W {\n  x = 1\n}"));
    assert_eq!(diff.right.as_deref(), Some("W {\n  x = 2\n}"));
    assert!(
        failure.message.ends_with("; and words"),
        "{}",
        failure.message
    );
}

#[test]
fn what_a_test_prints_is_no_assertion_of_another_file() {
    let lines = "[ RUN      ] A.One\nother.cc:5: Failure\nnot a failure\na.cc:9: Failure\nFailed\nreal\n[  FAILED  ] A.One (3 ms)\n";
    let report = read(&run(1, lines, 0, &["A.One"]), &[], Some(1));
    let failure = &report.failures[0];
    assert_eq!(failure.message, "real");
    assert_eq!(
        failure.location.as_ref().map(|at| at.file.as_str()),
        Some("a.cc")
    );
}
