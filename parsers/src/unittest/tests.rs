//! unittest's text, case by case.

use crate::Context;
use crate::Exit;
use crate::FailureKind;
use crate::Format;
use crate::Input;
use crate::Outcome;
use crate::Phase;
use crate::Report;
use crate::parse;

fn read(log: &str, exit: Option<i32>) -> Report {
    parse(&Input {
        exit: exit.map(Exit::code),
        context: Context::rooted("/p"),
        ..Input::log(Format::Unittest, log.as_bytes())
    })
}

fn rule(c: char) -> String {
    c.to_string().repeat(70)
}

fn block(word: &str, name: &str, file: &str, function: &str, error: &str) -> String {
    format!(
        "{}\n{word}: {name}\n{}\nTraceback (most recent call last):\n  File \"/p/{file}\", line 5, in {function}\n    code()\n{error}\n\n",
        rule('='),
        rule('-')
    )
}

fn end(ran: u64, last: &str) -> String {
    let tests = if ran == 1 { "test" } else { "tests" };
    format!("{}\nRan {ran} {tests} in 0.001s\n\n{last}\n", rule('-'))
}

/// A whole run that a test prints, with a line or with a letter.
fn printed(progress: &str) -> String {
    let ghost = block(
        "FAIL",
        "test_ghost (m.Ghost.test_ghost)",
        "m.py",
        "test_ghost",
        "AssertionError: 9 != 8",
    );
    format!("{progress}\n{ghost}{}", end(1, "FAILED (failures=1)"))
}

#[test]
fn whole_runs_that_tests_print_are_none() {
    let fail = |name: &str| {
        let heading = format!("test_{name} (m.C.test_{name})");
        let error = "AssertionError: 1 != 2";
        block("FAIL", &heading, "m.py", &format!("test_{name}"), error)
    };
    let ghost = printed("test_ghost (m.Ghost.test_ghost) ... FAIL");
    let blocks = format!("{}{}", fail("a"), fail("b"));
    let last = end(5, "FAILED (failures=2)");
    let dotted = format!("\n{ghost}.\n{ghost}F\n{ghost}F..\n{blocks}{last}");
    let lines = format!(
        "test_x (m.C.test_x) ... \n{ghost}ok\ntest_a (m.C.test_a) ... \n{ghost}FAIL\ntest_b (m.C.test_b) ... FAIL\ntest_y (m.C.test_y) ... ok\ntest_z (m.C.test_z) ... ok\n\n{blocks}{last}"
    );
    let captured = format!(
        "test_x (m.C.test_x) ... ok\ntest_a (m.C.test_a) ... FAIL\ntest_b (m.C.test_b) ... FAIL\ntest_y (m.C.test_y) ... ok\ntest_z (m.C.test_z) ... ok\n\n{}\nStdout:\n{ghost}\nStderr:\n{ghost}\n{}{last}",
        fail("a").trim_end_matches('\n').to_owned() + "\n",
        fail("b")
    );
    let quiet = format!("{ghost}{ghost}{ghost}{blocks}{last}");
    for text in [dotted, lines, captured, quiet] {
        let report = read(&text, Some(1));
        let ids: Vec<&str> = report.failures.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["m.C.test_a", "m.C.test_b"], "{text}");
        assert_eq!((report.counts.passed, report.counts.failed), (3, 2));
    }
}

#[test]
fn a_plain_run_is_read() {
    let fail = block(
        "FAIL",
        "test_a (tests.m.C)",
        "tests/m.py",
        "test_a",
        "AssertionError: 1 != 2",
    );
    let error = block(
        "ERROR",
        "test_b (tests.m.C.test_b)",
        "tests/m.py",
        "setUp",
        "OSError: no",
    );
    let text = format!(
        "FE.\n{error}{fail}{}",
        end(3, "FAILED (failures=1, errors=1)")
    );
    let report = read(&text, Some(1));
    assert_eq!(
        (report.outcome, report.complete),
        (Outcome::Failed, true),
        "{report:#?}"
    );
    assert_eq!((report.counts.passed, report.counts.failed), (1, 2));
    let ids: Vec<&str> = report.failures.iter().map(|f| f.id.as_str()).collect();
    assert_eq!(ids, ["tests.m.C.test_b", "tests.m.C.test_a"]);
    assert_eq!(report.failures[0].kind, FailureKind::SetupError);
    assert_eq!(report.failures[0].phase, Phase::Setup);
    let diff = report.failures[1].diff.as_ref().expect("two sides");
    assert_eq!(
        (diff.left.as_deref(), diff.right.as_deref()),
        (Some("1"), Some("2"))
    );
}

#[test]
fn green_needs_the_end_and_something_that_ran() {
    let green = format!("..\n{}", end(2, "OK"));
    assert!(read(&green, Some(0)).is_green());
    assert!(read(&green, None).is_green());
    for cut in 0..green.len() - 2 {
        assert!(!read(&green[..cut], Some(0)).is_green(), "{cut}");
    }
    let empty = format!("\n{}", end(0, "NO TESTS RAN"));
    for exit in [None, Some(0), Some(5)] {
        assert_eq!(read(&empty, exit).outcome, Outcome::NoTests, "{exit:?}");
    }
    assert_eq!(
        read(&green, Some(1)).failures[0].kind,
        FailureKind::ExitNonzero
    );
}

#[test]
fn what_a_test_prints_is_no_result() {
    let ghost = block(
        "FAIL",
        "test_ghost (tests.m.Ghost.test_ghost)",
        "tests/ghost.py",
        "test_ghost",
        "AssertionError: 9 != 8",
    );
    let own = block(
        "FAIL",
        "test_a (tests.m.C.test_a)",
        "tests/m.py",
        "test_a",
        "AssertionError: 1 != 2",
    );
    let ghost_end = end(1, "FAILED (failures=1)");
    let own_end = end(3, "FAILED (failures=1)");
    for text in [
        // A block, or a whole run, within the progress.
        format!("..\n{ghost}F\n{own}{own_end}"),
        format!(".\n{ghost}{ghost_end}.F\n{own}{own_end}"),
        format!("F\n{ghost}{ghost_end}..\n{own}{own_end}"),
        // Standard output comes last where it is no terminal.
        format!("..F\n{own}{own_end}{ghost}{ghost_end}"),
        format!("..F\n{own}{own_end}\n{}", end(9, "OK")),
    ] {
        let report = read(&text, Some(1));
        let ids: Vec<&str> = report.failures.iter().map(|f| f.id.as_str()).collect();
        assert_eq!(ids, ["tests.m.C.test_a"], "{text}");
        assert_eq!(
            (report.counts.passed, report.counts.failed),
            (2, 1),
            "{text}"
        );
    }
    let green = format!(".\n{ghost}{ghost_end}.\n{}", end(2, "OK"));
    let report = read(&green, Some(0));
    assert!(report.is_green(), "{report:#?}");
}

#[test]
fn two_runs_in_one_log_are_both_read() {
    let fail = block(
        "FAIL",
        "test_a (tests.m.C.test_a)",
        "tests/m.py",
        "test_a",
        "AssertionError",
    );
    let text = format!(
        "..\n{}.F\n{fail}{}",
        end(2, "OK"),
        end(2, "FAILED (failures=1)")
    );
    let report = read(&text, Some(1));
    assert_eq!((report.counts.passed, report.counts.failed), (3, 1));
}

#[test]
fn a_cut_off_run_names_who_was_running() {
    let text = "test_a (m.C.test_a) ... ok\ntest_b (m.C.test_b) ... FAIL\ntest_c (m.C.test_c)\nThe documentation. ... ";
    let report = read(text, None);
    assert!(!report.complete);
    let found: Vec<(&str, FailureKind)> = report
        .failures
        .iter()
        .map(|f| (f.id.as_str(), f.kind))
        .collect();
    assert_eq!(
        found,
        [
            ("m.C.test_b", FailureKind::Assertion),
            ("m.C.test_c", FailureKind::Crash)
        ]
    );
    assert_eq!(report.counts.passed, 1);
}

#[test]
fn a_fault_names_the_test() {
    let text = "..Fatal Python error: Segmentation fault\n\nCurrent thread 0x00007f (most recent call first):\n  File \"/usr/lib/python3.11/ctypes/__init__.py\", line 517 in string_at\n  File \"/p/tests/test_a.py\", line 22 in test_b\n  File \"/usr/lib/python3.11/unittest/case.py\", line 579 in _callTestMethod\n";
    let report = parse(&Input {
        exit: Some(Exit {
            signal: Some(11),
            ..Exit::default()
        }),
        context: Context::rooted("/p"),
        ..Input::log(Format::Unittest, text.as_bytes())
    });
    assert_eq!(report.outcome, Outcome::Crashed);
    let failure = &report.failures[0];
    assert_eq!(failure.id, "tests.test_a.test_b");
    let at = failure.location.as_ref().expect("a place");
    assert_eq!((at.file.as_str(), at.line), ("tests/test_a.py", Some(22)));
}

#[test]
fn refused_arguments_are_a_usage_error() {
    let text = "usage: python -m unittest [-h] [-v]\npython -m unittest: error: unrecognized arguments: --nope\n";
    assert_eq!(read(text, Some(2)).outcome, Outcome::UsageError);
}

#[test]
fn a_script_that_cannot_be_loaded_is_a_collection_error() {
    let text = "Traceback (most recent call last):\n  File \"/p/test_a.py\", line 3, in <module>\n    import nothing_like_it\nModuleNotFoundError: No module named 'nothing_like_it'\n";
    let report = read(text, Some(1));
    assert_eq!(report.outcome, Outcome::CollectionError);
    assert_eq!(report.failures[0].id, "test_a.py");
}
