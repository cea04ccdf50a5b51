//! Texts whose tools were not run for the recordings, and traps that fit into a few lines.

use crate::Context;
use crate::Exit;
use crate::Format;
use crate::Input;
use crate::Outcome;
use crate::Report;
use crate::parse;

fn read(log: &str, exit: i32) -> Report {
    parse(&Input {
        exit: Some(Exit::code(exit)),
        context: Context::rooted("/p"),
        ..Input::log(Format::Junit, log.as_bytes())
    })
}

/// Id and line of each failure.
fn failures(report: &Report) -> Vec<(&str, Option<u32>)> {
    let line = |at: &crate::report::Location| at.line;
    report
        .failures
        .iter()
        .map(|f| (f.id.as_str(), f.location.as_ref().and_then(line)))
        .collect()
}

/// The launcher's counts of a run.
fn counts(well: u64, failed: u64) -> String {
    let mut text = "\nTest run finished after 67 ms\n".to_owned();
    for (number, label) in [
        (2, "containers found"),
        (0, "containers failed"),
        (well + failed, "tests found"),
        (well, "tests successful"),
        (failed, "tests failed"),
    ] {
        text.push_str(&format!("[{number:10} {label:22} ]\n"));
    }
    text
}

/// An entry of the block of failures.
fn entry(title: &str, method: &str, message: &str, line: u32) -> String {
    format!(
        "  JUnit Jupiter:ATest:{title}\n    MethodSource [className = 'a.ATest', methodName = '{method}', methodParameterTypes = '']\n    => org.opentest4j.AssertionFailedError: {message}\n       org.junit.jupiter.api.AssertionUtils.fail(AssertionUtils.java:38)\n       a.ATest.{method}(ATest.java:{line})\n       [...]\n"
    )
}

#[test]
fn a_message_may_hold_blocks_of_failures() {
    let ghost = format!(
        "\nFailures (1):\n{}{}",
        entry("ghost()", "ghost", "x", 3),
        counts(8, 1)
    );
    let forged = format!("own{ghost}{ghost} ==> expected: <1> but was: <2>");
    for (first, second) in [(&forged, "plain"), (&"plain".to_owned(), &forged)] {
        let log = format!(
            "\nFailures (2):\n{}{}{}",
            entry("one()", "one", first, 12),
            entry("two()", "two", second, 14),
            counts(1, 2)
        );
        let report = read(&log, 1);
        let expected = [("a.ATest.one()", Some(12)), ("a.ATest.two()", Some(14))];
        assert_eq!(failures(&report), expected);
        assert!(report.complete);
    }
}

#[test]
fn a_block_that_was_printed_before_is_none() {
    let ghost = format!(
        "\nFailures (1):\n{}{}",
        entry("ghost()", "ghost", "x", 3),
        counts(8, 1)
    );
    let log = format!("{ghost}\nThanks for using JUnit! https://junit.org/sponsoring\n");
    let report = read(&log, 0);
    assert_eq!(failures(&report), []);
    assert!(!report.is_green());
    let whole = format!("{log}{}", counts(3, 0));
    let report = read(&whole, 0);
    assert_eq!((report.outcome, report.counts.passed), (Outcome::Passed, 3));
    // It may have been a run of its own, if nobody knows how the command ended.
    let report = parse(&Input::log(Format::Junit, whole.as_bytes()));
    assert!(failures(&report).is_empty() && !report.is_green());
}

#[test]
fn a_block_that_breaks_off_is_no_whole_run() {
    let log = format!(
        "\nFailures (2):\n{}{}",
        entry("one()", "one", "x", 12),
        counts(1, 1)
    );
    assert!(!read(&log, 1).complete);
}

#[test]
fn the_feed_of_tests_is_read() {
    let log = format!(
        "\u{1f49a} Thanks for using JUnit! Support its development at https://junit.org/sponsoring\n
JUnit Jupiter > FeedTest > passes() :: STARTED
JUnit Jupiter > FeedTest > passes() :: SUCCESSFUL
JUnit Jupiter > FeedTest > multi() :: STARTED
said by the test
JUnit Jupiter > FeedTest > multi() :: FAILED
\torg.opentest4j.AssertionFailedError: expected: <a
\tb> but was: <a
\tc>
\t\tat org.junit.jupiter.api.Assertions.assertEquals(Assertions.java:1141)
\t\tat com.acme.FeedTest.multi(FeedTest.java:12)
JUnit Jupiter > FeedTest > Inner one > rows(int) > [2] 2 :: STARTED
JUnit Jupiter > FeedTest > Inner one > rows(int) > [2] 2 :: FAILED
\tjava.lang.IllegalStateException: boom
\t\tat com.acme.Helper.boom(Helper.java:5)
\t\tat com.acme.FeedTest$Inner.rows(FeedTest.java:20)
\tCaused by: java.io.IOException: disk
\t\t... 3 more
JUnit Vintage > OldTest > old :: STARTED
JUnit Vintage > OldTest > old :: FAILED
\tjava.lang.AssertionError: expected:<1> but was:<2>
\t\tat com.acme.OldTest.old(OldTest.java:7)
{}",
        counts(1, 3)
    );
    let report = read(&log, 1);
    let expected = [
        ("com.acme.FeedTest.multi()", Some(12)),
        ("com.acme.FeedTest$Inner.rows(int)[2]", Some(5)),
        ("com.acme.OldTest.old", Some(7)),
    ];
    assert_eq!(failures(&report), expected);
    assert!(report.complete);
    let diff = report.failures[0].diff.clone().unwrap_or_default();
    assert_eq!(diff.expected.as_deref(), Some("a\nb"));
    // Cut off, the test that was running is the one that broke it.
    let cut = log.find("JUnit Vintage > OldTest > old :: FAILED");
    let report = read(&log[..cut.unwrap_or(0)], 137);
    let last = report.failures.last().map(|f| f.id.as_str());
    assert_eq!(last, Some("JUnit Vintage > OldTest > old"));
    assert!(!report.complete);
}

/// A module of Maven whose one class prints something.
fn maven(printed: &str, class: &str, end: &str) -> String {
    format!(
        "[INFO] Scanning for projects...\n[INFO]  T E S T S\n[INFO] Running a.ATest\n{printed}{class}[INFO] \n[INFO] Results:\n[INFO] \n{end}"
    )
}

#[test]
fn trees_that_a_test_prints_make_no_launcher_of_maven() {
    for tree in [
        "\u{251c}\u{2500} src\n\u{2514}\u{2500} target\n",
        "+-- src\n'-- target\n",
    ] {
        let log = maven(
            tree,
            "[ERROR] Tests run: 2, Failures: 1, Errors: 0, Skipped: 0, Time elapsed: 0.1 s <<< FAILURE! - in a.ATest\n[ERROR] fails  Time elapsed: 0.08 s  <<< FAILURE!\norg.opentest4j.AssertionFailedError: expected: <want> but was: <got>\n\tat a.ATest.fails(ATest.java:12)\n\n",
            "[ERROR] Failures: \n[ERROR]   ATest.fails:12 expected: <want> but was: <got>\n[INFO] \n[ERROR] Tests run: 2, Failures: 1, Errors: 0, Skipped: 0\n[INFO] BUILD FAILURE\n",
        );
        let report = read(&log, 1);
        assert_eq!(failures(&report), [("a.ATest.fails", Some(12))]);
        assert!(report.complete);
        assert_eq!(report.counts.passed, 1);
    }
}

#[test]
fn results_that_a_test_prints_are_not_maven_s() {
    let ghost = "[INFO] Running GhostTest\n[ERROR] Tests run: 1, Failures: 1, Errors: 0, Skipped: 0, Time elapsed: 0.1 s <<< FAILURE! - in GhostTest\n[ERROR] ghost  Time elapsed: 0.1 s  <<< FAILURE!\njava.lang.AssertionError: x\n\tat GhostTest.ghost(GhostTest.java:3)\n\n[INFO] Results:\n[ERROR] Failures: \n[ERROR]   GhostTest.ghost:3 x\n[ERROR] Tests run: 1, Failures: 1, Errors: 0, Skipped: 0\n";
    let log = maven(
        ghost,
        "[INFO] Tests run: 3, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 0.6 s - in a.ATest\n",
        "[INFO] Tests run: 3, Failures: 0, Errors: 0, Skipped: 0\n[INFO] BUILD SUCCESS\n",
    );
    let report = read(&log, 0);
    assert_eq!(failures(&report), []);
    assert!(report.is_green());
    assert_eq!(report.counts.passed, 3);
}

#[test]
fn the_first_of_several_exceptions_is_the_test_s_own() {
    let log = "com.acme.LifeTest > b FAILED\n    java.lang.AssertionError: both\n        at org.junit.Assert.fail(Assert.java:89)\n        at com.acme.LifeTest.b(LifeTest.java:19)\n\n    java.lang.IllegalStateException: aft\n        at com.acme.LifeTest.tidy(LifeTest.java:10)\n\n1 test completed, 1 failed\n\nBUILD FAILED in 3s\n";
    let report = read(log, 1);
    assert_eq!(failures(&report), [("com.acme.LifeTest.b", Some(19))]);
    assert_eq!(report.failures[0].message, "both");
}
