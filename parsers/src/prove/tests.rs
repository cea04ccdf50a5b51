//! Unit tests of the adapter as a whole.

use super::*;
use crate::live::Format;
use crate::live::Live;
use crate::report::Exit;
use crate::report::Outcome;
use crate::request::Places;

fn read(log: &str, code: Option<i32>) -> Report {
    let mut live = Live::new(Format::Prove, Context::rooted("/p"));
    live.feed(Stream::Log, log.as_bytes());
    live.finish(End {
        exit: code.map(Exit::code),
        interrupted: false,
    })
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[test]
fn tap_is_asked_for_by_the_environment() {
    let places = Places {
        inject: "/i",
        events: "/e",
    };
    let asked = crate::request(Format::Prove, &words("make test"), &[], places);
    assert_eq!(
        asked.env,
        [("PERL_TEST_HARNESS_DUMP_TAP".to_owned(), "/e".to_owned())]
    );
    let outside = crate::request(Format::Prove, &words("prove ../t"), &[], places);
    assert!(outside.env.is_empty());
    assert_eq!(
        tool(&words("prove -lvr -j 4 -I inc t/a.t")),
        words("prove -l -I inc")
    );
    assert_eq!(
        tool(&words("perl /usr/bin/prove -Ilib --timer t :: x")),
        words("perl /usr/bin/prove -Ilib")
    );
    assert!(tool(&words("make test")).is_empty());
}

#[test]
fn the_numbers_of_the_summary_are_named_by_test_more() {
    let log = "
#   Failed test 'two'
#   at t/a.t line 4.
#          got: '1'
#     expected: '2'

#   Failed test at lib/H.pm line 9.
# Looks like you failed 2 tests of 5.
t/a.t .. \nDubious, test returned 2 (wstat 512, 0x200)
Failed 2/5 subtests \nt/b.t .. ok
t/ghost.t .. Failed 1/1 subtests

Test Summary Report
-------------------
t/a.t (Wstat: 512 (exited 2) Tests: 5 Failed: 2)
  Failed tests:  2, 4
  Non-zero exit status: 2
Files=2, Tests=8,  0 wallclock secs ( 0.02 usr)
Result: FAIL
";
    let report = read(log, Some(1));
    let ids: Vec<&str> = report
        .failures
        .iter()
        .map(|failure| failure.id.as_str())
        .collect();
    assert_eq!(ids, ["two", "4"]);
    assert_eq!((report.counts.passed, report.counts.failed), (6, 2));
    let at = report.failures[1].location.as_ref().expect("a place");
    assert_eq!((at.file.as_str(), at.line), ("lib/H.pm", Some(9)));
    assert_eq!(report.failures[0].target.as_deref(), Some("t/a.t"));
    assert_eq!(report.outcome, Outcome::Failed);
    // The ghost makes it doubtful.
    assert!(!report.complete);
}

#[test]
fn green_has_its_last_line() {
    let log =
        "t/a.t .. ok\nAll tests successful.\nFiles=1, Tests=2,  0 wallclock secs\nResult: PASS\n";
    assert!(read(log, Some(0)).is_green());
    assert!(!read("t/a.t .. ok\nAll tests successful.\n", Some(0)).is_green());
    let none = read(
        "t/a.t .. skipped: no\nFiles=1, Tests=0,  0 wallclock secs\nResult: NOTESTS\n",
        Some(0),
    );
    assert_eq!((none.outcome, none.counts.skipped), (Outcome::NoTests, 1));
    let verbose = read(
        "t/a.t .. \n1..2\nok 1 - a\nok 2 - b\nok\nAll tests successful.\nFiles=1, Tests=2,  0 wallclock secs\nResult: PASS\n",
        Some(0),
    );
    assert!(verbose.is_green());
    assert_eq!(verbose.counts.passed, 2);
    assert_eq!(
        read("Cannot detect source of 't/none.t'! at x line 1\n", Some(2)).outcome,
        Outcome::UsageError
    );
}
