//! minitest's text and events, case by case.

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

const HEAD: &str = "Run options: --seed 1\n\n# Running:\n\n";
const RATE: &str = "Finished in 0.01s, 3.9 runs/s, 3.7 assertions/s.\n\n";

#[test]
fn green_and_nothing() {
    let green = format!("{HEAD}..\n\n{RATE}2 runs, 2 assertions, 0 failures, 0 errors, 0 skips\n");
    assert!(report(&green, Some(Exit::code(0))).is_green());
    assert_eq!(report(&green, Some(Exit::code(1))).outcome, Outcome::Failed);
    let none = format!("{HEAD}\n\n{RATE}0 runs, 0 assertions, 0 failures, 0 errors, 0 skips\n");
    for code in [0, 1] {
        assert_eq!(
            report(&none, Some(Exit::code(code))).outcome,
            Outcome::NoTests
        );
    }
    assert_eq!(report("", Some(Exit::code(0))).outcome, Outcome::NoTests);
}

#[test]
fn a_run_without_its_counts_is_a_crash() {
    let report = report(&format!("{HEAD}.."), Some(Exit::code(1)));
    assert_eq!((report.outcome, report.complete), (Outcome::Crashed, false));
    assert_eq!(report.failures[0].kind, FailureKind::Crash);
}

#[test]
fn a_file_that_cannot_be_loaded() {
    let log = "<internal:/usr/lib/ruby/vendor_ruby/rubygems/core_ext/kernel_require.rb>:85:in `require': cannot load such file -- nope (LoadError)\n\tfrom <internal:/usr/lib/ruby/vendor_ruby/rubygems/core_ext/kernel_require.rb>:85:in `require'\n\tfrom /p/lib/a.rb:2:in `<top (required)>'\n\tfrom /p/test/a_test.rb:1:in `<top (required)>'\n\tfrom /usr/share/rake/rake_test_loader.rb:21:in `<main>'\nrake aborted!\nCommand failed with status (1)\n";
    let report = report(log, Some(Exit::code(1)));
    assert_eq!(report.outcome, Outcome::CollectionError);
    let failure = &report.failures[0];
    assert_eq!(failure.id, "test/a_test.rb");
    let place = failure.location.as_ref().expect("a place");
    assert_eq!((place.file.as_str(), place.line), ("lib/a.rb", Some(2)));
    assert_eq!(failure.message, "LoadError: cannot load such file -- nope");
}

#[test]
fn counts_that_nothing_explains_make_no_ghosts() {
    let log = format!("{HEAD}F\n\n{RATE}1 runs, 1 assertions, 1 failures, 0 errors, 0 skips\n");
    let report = report(&log, Some(Exit::code(1)));
    assert_eq!((report.outcome, report.complete), (Outcome::Failed, false));
    assert_eq!((report.failures.len(), report.counts.failed), (0, 1));
}
