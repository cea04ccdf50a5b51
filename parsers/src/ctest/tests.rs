//! What CTest really prints, and what only looks like it.

use super::*;
use crate::report::Exit;
use crate::report::FailureKind;
use crate::report::Outcome;
use crate::request::Places;
use crate::tree::Files;
use crate::tree::Tree;

fn read_in(context: Context, log: &str, files: &[(&str, &str)], exit: Option<i32>) -> Report {
    let mut run = open(context);
    run.feed(Stream::Log, log.as_bytes());
    for (name, text) in files {
        run.feed(Stream::File(name), text.as_bytes());
    }
    run.finish(End {
        exit: exit.map(Exit::code),
        interrupted: false,
    })
}

fn read(log: &str, files: &[(&str, &str)], exit: Option<i32>) -> Report {
    read_in(Context::rooted("/p"), log, files, exit)
}

fn ids(report: &Report) -> Vec<&str> {
    report.failures.iter().map(|f| f.id.as_str()).collect()
}

/// A run of three tests; the second one fails and prints something.
fn three(output: &str, end: &str) -> String {
    format!(
        "Test project /p/build\n    Start 1: a\n1/3 Test #1: a .....   Passed    0.00 sec\n    Start 2: b c\n2/3 Test #2: b c ...***Failed    0.02 sec\n{output}\n    Start 3: d\n3/3 Test #3: d .....   Passed    0.00 sec\n{end}"
    )
}

const END: &str = "\n67% tests passed, 1 tests failed out of 3\n\nTotal Test time (real) =   0.03 sec\n\nThe following tests FAILED:\n\t  2 - b c (Failed)                     fast net\nErrors while running CTest\n";

#[test]
fn a_test_s_output_is_its_own() {
    for ghost in [
        "3/3 Test #3: ghost ....***Failed    0.01 sec\n",
        "3/3 Test #9: ghost ....***Failed    0.01 sec\n",
        "      Start 7: ghost\n7/9 Test #7: ghost ....***Failed    0.01 sec\n",
        END,
        "\n0% tests passed, 1 tests failed out of 1\n\nTotal Test time (real) =   0.03 sec\n\nThe following tests FAILED:\n\t  9 - ghost (Failed)\nErrors while running CTest\nTest project /p/ghost\n",
        "The following tests FAILED:\n\t  9 - ghost (Failed)\n",
        "[  FAILED  ] Ghost.One (0 ms)\nCMake Error at CMakeLists.txt:3 (ghost):\n  ghost\n\na.c:3:1: error: ghost\n",
    ] {
        let report = read(&three(ghost, END), &[], Some(8));
        assert_eq!(ids(&report), ["b c"], "{ghost}");
        assert_eq!(
            (report.counts.passed, report.counts.failed),
            (2, 1),
            "{ghost}"
        );
        assert!(report.complete, "{ghost}: {:?}", report.notes);
        assert_eq!(report.failures[0].duration_ms, Some(20));
    }
}

#[test]
fn a_log_that_is_cut_off_names_what_was_running() {
    let whole = three("some words\n", END);
    let at = whole.find("3/3").expect("the third test");
    let report = read(&whole[..at], &[], None);
    assert_eq!(ids(&report), ["b c"]);
    assert!(!report.complete);
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.message.ends_with(": d"))
    );
    let report = read(&whole[..at], &[], Some(137));
    assert_eq!(ids(&report), ["b c", "d"]);
    assert_eq!(report.failures[1].kind, FailureKind::Crash);
}

#[test]
fn a_reason_may_have_lines_and_newer_versions_add_labels() {
    let log = "Test project /p/build\n    Start 1: a\n1/1 Test #1: a .....***Failed  Required regular expression not found. Regex=[all\nfine\n]  0.01 sec\nnothing\n\n\n0% tests passed, 1 tests failed out of 1\n\nTotal Test time (real) =   0.01 sec\n\nThe following tests FAILED:\n\t  1 - a (Failed)   x\nErrors while running CTest\n";
    let report = read(log, &[], Some(8));
    assert_eq!(
        report.failures[0].message,
        "Required regular expression not found. Regex=[all fine ]"
    );
    assert_eq!(report.failures[0].kind, FailureKind::Assertion);
    assert!(report.complete, "{:?}", report.notes);
}

#[test]
fn other_harnesses_say_where() {
    for (output, line, kind, left, right) in [
        (
            "t.cc:5: FAILED:\n  CHECK( add(1, 1) == 2 )\nwith expansion:\n  0 == 2\n\nt.cc:9: FAILED:\n",
            5,
            FailureKind::Assertion,
            "0",
            "2",
        ),
        (
            "t.cc:8: FAILED:\n  REQUIRE( a == b )\nwith expansion:\n  \"a\n  b\"\n  ==\n  \"a\n  c\"\nwith message:\n  x\n",
            8,
            FailureKind::Assertion,
            "\"a\nb\"",
            "\"a\nc\"",
        ),
        (
            "t.cc:6: FAILED:\ndue to unexpected exception with message:\n  boom\n",
            6,
            FailureKind::Panic,
            "",
            "",
        ),
        (
            "t.cc:5: ERROR: CHECK( add(1, 1) == 2 ) is NOT correct!\n  values: CHECK( 0 == 2 )\n",
            5,
            FailureKind::Assertion,
            "0",
            "2",
        ),
        (
            "t.cc:6: ERROR: test case THREW exception: boom\n",
            6,
            FailureKind::Panic,
            "",
            "",
        ),
        (
            "t.cc(3): error: in \"adds\": check 1 - 1 == 2 has failed [0 != 2]\n",
            3,
            FailureKind::Assertion,
            "0",
            "2",
        ),
        (
            "some words\nt.cc:7: check failed: x\n",
            7,
            FailureKind::Assertion,
            "",
            "",
        ),
    ] {
        let report = read(&three(output, END), &[], Some(8));
        let failure = &report.failures[0];
        let place = failure.location.as_ref().expect("a place");
        assert_eq!(
            (place.file.as_str(), place.line),
            ("t.cc", Some(line)),
            "{output}"
        );
        assert_eq!(failure.kind, kind, "{output}");
        let diff = failure.diff.clone().unwrap_or_default();
        assert_eq!(diff.left.unwrap_or_default(), left, "{output}");
        assert_eq!(diff.right.unwrap_or_default(), right, "{output}");
    }
}

#[test]
fn a_sanitizer_s_report_is_a_crash() {
    let output = "==1==ERROR: AddressSanitizer: heap-use-after-free on address 0x1 at pc 0x2\nWRITE of size 4\n    #0 0x5 in inner /p/t.cc:11:3\n    #1 0x6 in main /p/t.cc:20\n";
    let report = read(&three(output, END), &[], Some(8));
    let failure = &report.failures[0];
    assert_eq!(failure.kind, FailureKind::Crash);
    assert_eq!(failure.location.as_ref().and_then(|at| at.line), Some(11));
    assert_eq!(failure.frames.len(), 2);
}

#[derive(Debug)]
struct Build;

impl Files for Build {
    fn lines(&self, _path: &str) -> Option<u32> {
        None
    }

    fn read(&self, path: &str) -> Option<String> {
        match path {
            "build/CTestTestfile.cmake" => Some("add_test([=[a]=] \"x\")\nsubdirs(\"sub\")\n".to_owned()),
            "build/sub/CTestTestfile.cmake" => Some(
                "set_tests_properties([=[b c]=] PROPERTIES  WILL_FAIL \"ON\" _BACKTRACE_TRIPLES \"/p/sub/CMakeLists.txt;7;add_test;/p/sub/CMakeLists.txt;0;\")\n".to_owned(),
            ),
            _ => None,
        }
    }

    fn list(&self, _dir: &str) -> Vec<String> {
        Vec::new()
    }
}

#[test]
fn a_test_that_was_to_fail_is_known_by_its_properties() {
    let context = Context {
        tree: Tree::of(Build),
        ..Context::rooted("/p")
    };
    let report = read_in(context, &three("", END), &[], Some(8));
    let failure = &report.failures[0];
    assert_eq!(
        (failure.kind, failure.kind_sure),
        (FailureKind::UnexpectedPass, true)
    );
    let place = failure.test_location.as_ref().expect("a place");
    assert_eq!(
        (place.file.as_str(), place.line),
        ("sub/CMakeLists.txt", Some(7))
    );
}

#[test]
fn no_tests_and_wrong_usage_are_neither_green_nor_red() {
    let nothing = read(
        "Test project /p/build\nNo tests were found!!!\n",
        &[],
        Some(0),
    );
    assert_eq!(nothing.outcome, Outcome::NoTests);
    let wrong = read(
        "CMake Error: Unknown argument: --bogus\nCMake Error: Run 'ctest --help' for all supported options.\n",
        &[],
        Some(1),
    );
    assert_eq!(wrong.outcome, Outcome::UsageError);
    assert!(wrong.failures.is_empty());
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[test]
fn ctest_is_asked_for_everything_it_knows() {
    let places = Places {
        inject: "/i",
        events: "/e",
    };
    let argv = words("ctest --test-dir build -j4 -R math --stop-on-failure");
    let asked = crate::request::request(crate::Format::Ctest, &argv, &[], places);
    assert_eq!(
        asked.argv,
        words("ctest --output-on-failure --output-junit /e/ctest.xml --test-dir build -j4 -R math")
    );
    assert!(
        asked
            .env
            .contains(&("GTEST_OUTPUT".to_owned(), "json:/e/".to_owned()))
    );
    let argv = words("cmake --workflow --preset all");
    let asked = crate::request::request(crate::Format::Ctest, &argv, &[], places);
    assert_eq!(asked.argv, argv);
    assert!(
        asked
            .env
            .contains(&("CTEST_OUTPUT_ON_FAILURE".to_owned(), "1".to_owned()))
    );
}

#[test]
fn a_rerun_selects_one_test_whatever_its_name() {
    let argv = words("ctest --test-dir build -j 4 -C Debug -R math -LE slow --rerun-failed -V");
    let mut context = Context {
        command: crate::request::tool(crate::Format::Ctest, &argv),
        ..Context::rooted("/p")
    };
    assert_eq!(
        ask::rerun("a::b/c.d[1]", None, None, &context),
        words("ctest --test-dir build -j 4 -C Debug -R ^a::b/c\\.d\\[1\\]$")
    );
    context.command = Vec::new();
    context.dir = "sub".to_owned();
    assert_eq!(
        ask::rerun("unit", Some("/p/sub/build"), Some("Math.Add"), &context),
        words("env --chdir=sub GTEST_FILTER=Math.Add ctest --test-dir build -R ^unit$")
    );
}

const FILE: &str = r#"{"tests": 2, "failures": 1, "testsuites": [{"name": "A", "testsuite": [
  {"name": "One", "file": "a.cc", "line": 2, "status": "RUN", "result": "COMPLETED", "failures": [{"failure": "a.cc:3\nFailed\nreal"}]},
  {"name": "Two", "status": "RUN", "result": "COMPLETED"}]}]}"#;

#[test]
fn a_file_of_a_test_that_was_to_fail_is_nobody_s_failure() {
    // `a` passed because it was to fail; the output of what failed is shown.
    let report = read(&three("words\n", END), &[("a.json", FILE)], Some(8));
    assert_eq!(ids(&report), ["b c"]);
    // A test that shows nothing among others that do has printed nothing.
    let log = "Test project /p/build\n    Start 1: a\n1/2 Test #1: a ...***Failed    0.00 sec\nwords\n\n    Start 2: unit\n2/2 Test #2: unit ...***Failed    0.00 sec\n\n0% tests passed, 2 tests failed out of 2\n\nTotal Test time (real) =   0.03 sec\n\nThe following tests FAILED:\n\t  1 - a (Failed)\n\t  2 - unit (Failed)\nErrors while running CTest\n";
    let report = read(log, &[("unit.json", FILE)], Some(8));
    assert_eq!(ids(&report), ["a", "unit"]);
    // Where no output is shown the file tells what failed.
    let report = read(&log.replace("words\n", ""), &[("unit.json", FILE)], Some(8));
    assert_eq!(ids(&report), ["a", "A.One"]);
    assert_eq!(report.failures[1].target.as_deref(), Some("unit"));
    assert_eq!(report.counts.passed, 1);
}
