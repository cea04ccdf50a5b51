//! RSpec's text, JSON and events, case by case.

use super::*;
use crate::report::Exit;
use crate::report::FailureKind;
use crate::report::Outcome;

fn report(log: &str, exit: Option<Exit>) -> Report {
    let mut run = open(Context::rooted("/p"));
    run.feed(Stream::Log, log.as_bytes());
    run.finish(End {
        exit,
        interrupted: false,
    })
}

const HEAD: &str = "Finished in 0.01 seconds (files took 0.1 seconds to load)\n";

#[test]
fn nothing_that_ran_is_no_tests() {
    let log = format!("No examples found.\n\n\n{HEAD}0 examples, 0 failures\n\n");
    for code in [0, 1] {
        let report = report(&log, Some(Exit::code(code)));
        assert_eq!(report.outcome, Outcome::NoTests);
    }
    assert_eq!(report("", Some(Exit::code(0))).outcome, Outcome::NoTests);
}

#[test]
fn exit_in_an_example_is_a_crash() {
    let report = report(
        &format!(".\n\n{HEAD}2 examples, 0 failures\n\n"),
        Some(Exit::code(0)),
    );
    assert_eq!(report.outcome, Outcome::Crashed, "{report:?}");
    assert_eq!((report.counts.passed, report.counts.failed), (1, 1));
}

#[test]
fn green_text() {
    let log = format!("..\n\n{HEAD}2 examples, 0 failures\n\nRandomized with seed 1\n\n");
    assert!(report(&log, Some(Exit::code(0))).is_green());
    let failed = report(&log, Some(Exit::code(1)));
    assert_eq!(failed.outcome, Outcome::Failed);
    assert_eq!(failed.failures[0].kind, FailureKind::ExitNonzero);
}

#[test]
fn a_file_that_leaves_while_it_is_loaded() {
    let log = "\nWhile loading ./spec/d_spec.rb an `exit` / `raise SystemExit` occurred, RSpec will now quit.\nFailure/Error: exit 0\n\nSystemExit:\n  exit\n# ./spec/d_spec.rb:1:in `exit'\n# ./spec/d_spec.rb:1:in `<top (required)>'\n";
    let report = report(log, Some(Exit::code(0)));
    assert_eq!(report.outcome, Outcome::CollectionError);
    assert_eq!(report.failures[0].id, "spec/d_spec.rb");
}

#[test]
fn usage_errors() {
    let log = "invalid option: --nope\n\nPlease use --help for a listing of valid options\n";
    assert_eq!(
        report(log, Some(Exit::code(1))).outcome,
        Outcome::UsageError
    );
}
