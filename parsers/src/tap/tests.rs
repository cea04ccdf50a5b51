//! Unit tests of the adapter as a whole.

use super::*;
use crate::live::Format;
use crate::live::Live;
use crate::report::Exit;
use crate::report::Failure;

fn read(log: &str, code: Option<i32>) -> Report {
    let mut live = Live::new(Format::Tap, Context::rooted("/p"));
    live.feed(Stream::Log, log.as_bytes());
    live.finish(End {
        exit: code.map(Exit::code),
        interrupted: false,
    })
}

fn ids(report: &Report) -> Vec<&str> {
    report
        .failures
        .iter()
        .map(|failure| failure.id.as_str())
        .collect()
}

fn line(failure: &Failure) -> Option<(&str, Option<u32>)> {
    failure
        .location
        .as_ref()
        .map(|at| (at.file.as_str(), at.line))
}

#[test]
fn subtests_of_every_style_give_their_leaves() {
    let logs = [
        // Test::More
        "# Subtest: outer\n    ok 1 - a\n    # Subtest: mid\n        not ok 1 - deep\n        1..1\n    not ok 2 - mid\n    1..2\nnot ok 1 - outer\nok 2 - z\n1..2\n",
        // Test::More of old
        "1..2\n    # Subtest: outer\n    ok 1 - a\n        # Subtest: mid\n        not ok 1 - deep\n        1..1\n    not ok 2 - mid\n    1..2\nnot ok 1 - outer\nok 2 - z\n",
        // node:test
        "TAP version 13\n# Subtest: outer\n    # Subtest: a\n    ok 1 - a\n      ---\n      duration_ms: 1\n      ...\n    # Subtest: mid\n        # Subtest: deep\n        not ok 1 - deep\n        1..1\n    not ok 2 - mid\n      ---\n      failureType: 'subtestsFailed'\n      ...\n    1..2\nnot ok 1 - outer\n# Subtest: z\nok 2 - z\n1..2\n",
        // TAP 14
        "TAP version 14\n1..2\n    1..2\n    ok 1 - a\n        1..1\n        not ok 1 - deep\n    not ok 2 - mid\nnot ok 1 - outer\nok 2 - z\n",
        // braces
        "TAP version 13\n1..2\nnot ok 1 - outer # time=5ms {\n    1..2\n    ok 1 - a\n    not ok 2 - mid {\n        not ok 1 - deep\n        1..1\n    }\n}\nok 2 - z\n",
    ];
    for log in logs {
        let report = read(log, Some(1));
        assert_eq!(ids(&report), ["outer > mid > deep"], "{log}");
        assert_eq!(
            (report.counts.passed, report.counts.failed),
            (2, 1),
            "{log}"
        );
        assert!(report.complete, "{log}");
    }
}

#[test]
fn what_a_test_prints_is_no_subtest() {
    let report = read(
        "1..2\n    not ok 1 - ghost\n  not ok 1 - ghost\nok 1 - a\n    not ok 1 - ghost\nnot ok 2 - b\n",
        Some(1),
    );
    assert_eq!(ids(&report), ["b"]);
    let green = read(
        "TAP version 13\n1..1\n# not ok 1 ghost\nok 1 - a\n",
        Some(0),
    );
    assert!(green.is_green());
    let nine = read("1..2\nok 1 - a\nnot ok 9 - ghost\nok 2 - b\n", Some(0));
    assert!(nine.failures.is_empty() && !nine.is_green());
}

#[test]
fn yaml_of_tape_and_node_tap_is_read() {
    let tape = read(
        "TAP version 13\n# a title\nok 1 fine\nnot ok 2 should be equal\n  ---\n    operator: equal\n    expected: 2\n    actual:   1\n    at: Test.<anonymous> (/p/test/a.js:5:7)\n    stack: |-\n      Error: should be equal\n          at Test.assert [as _assert] (/p/node_modules/tape/lib/test.js:314:48)\n          at Test.<anonymous> (/p/test/a.js:5:7)\n  ...\n\n1..2\n# tests 2\n# pass  1\n# fail  1\n",
        Some(1),
    );
    let failure = &tape.failures[0];
    assert_eq!(
        (failure.id.as_str(), failure.kind, failure.kind_sure),
        ("should be equal", FailureKind::Assertion, true)
    );
    assert_eq!(line(failure), Some(("test/a.js", Some(5))));
    let diff = failure.diff.clone().unwrap_or_default();
    assert_eq!(
        (diff.expected.as_deref(), diff.actual.as_deref()),
        (Some("2"), Some("1"))
    );
    let tap = read(
        "TAP version 14\n1..1\nnot ok 1 - values\n  ---\n  diff: |\n    --- expected\n    +++ actual\n    @@ -1,1 +1,1 @@\n    -2\n    +1\n  at:\n    fileName: test/b.js\n    lineNumber: 7\n    columnNumber: 3\n  compare: ===\n  ...\n",
        Some(1),
    );
    assert_eq!(line(&tap.failures[0]), Some(("test/b.js", Some(7))));
    let diff = tap.failures[0].diff.clone().unwrap_or_default();
    assert_eq!(
        (diff.expected.as_deref(), diff.actual.as_deref()),
        (Some("2"), Some("1"))
    );
}

#[test]
fn plans_decide() {
    assert!(read("ok 1\nok 2\n1..2\n", Some(0)).is_green());
    assert!(read("ok\nok\n1..2\n", Some(0)).is_green());
    for log in [
        "1..3\nok 1\nok 2\n",
        "ok 1\nok 2\n",
        "1..1\nok 1\nnot ok 2 - more\n",
    ] {
        let report = read(log, Some(1));
        assert_eq!(ids(&report), ["plan"], "{log}");
        assert_eq!(report.failures[0].kind, FailureKind::PlanMismatch);
        assert_eq!(report.outcome, Outcome::Failed);
    }
    let none = read("1..0 # SKIP not here\n", Some(0));
    assert_eq!((none.outcome, none.counts.skipped), (Outcome::NoTests, 1));
    let several = read(
        "1..1\nok 1 - a\n1..2\nok 1 - b\nnot ok 2 - c\nTAP version 13\n1..1\nnot ok 1 - d\n",
        Some(1),
    );
    assert_eq!(ids(&several), ["c", "d"]);
    assert_eq!(several.counts.passed, 2);
    let cut = read("1..3\nok 1 - a\nnot o", None);
    assert!(cut.failures.is_empty() && !cut.complete);
}

#[test]
fn directives_and_bail_out() {
    let report = read(
        "1..4\nnot ok 1 - a # TODO later\nok 2 - b # todo\nok 3 # SKIP\nnot ok 4 - d # skip x\n",
        Some(0),
    );
    assert!(report.is_green());
    assert_eq!((report.counts.passed, report.counts.skipped), (1, 3));
    let bail = read("1..3\nok 1 - a\nBail out! the server is gone\n", Some(255));
    assert_eq!(ids(&bail), ["Bail out!"]);
    assert_eq!(bail.failures[0].message, "Bail out! the server is gone");
    let perl = read(
        "1..3\nok 1 - before\ndied here at lib/H.pm line 19.\n# Looks like your test exited with 255 just after 1.\n",
        Some(255),
    );
    assert_eq!(line(&perl.failures[0]), Some(("lib/H.pm", Some(19))));
    assert_eq!(perl.failures[0].kind, FailureKind::Panic);
    assert_eq!(perl.failures.len(), 1);
}

#[test]
fn test_more_explains_before_or_after() {
    let block =
        "\n#   Failed test 'x'\n#   at t/a.t line 5.\n#          got: '1'\n#     expected: '2'\n";
    for log in [
        format!("1..2\nok 1\nnot ok 2 - x\n{block}"),
        format!("{block}1..2\nok 1\nnot ok 2 - x\n"),
    ] {
        let report = read(&log, Some(1));
        assert_eq!(line(&report.failures[0]), Some(("t/a.t", Some(5))), "{log}");
        let diff = report.failures[0].diff.clone().unwrap_or_default();
        assert_eq!(
            (diff.expected.as_deref(), diff.actual.as_deref()),
            (Some("'2'"), Some("'1'"))
        );
        assert_eq!(report.failures[0].message, "Failed test 'x'");
    }
}
