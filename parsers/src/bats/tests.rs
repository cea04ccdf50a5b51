//! Unit tests of the adapter as a whole.

use super::*;
use crate::live::Format;
use crate::live::Live;
use crate::report::Exit;
use crate::report::FailureKind;
use crate::report::Outcome;
use crate::request::Places;

const PLACES: Places<'_> = Places {
    inject: "/i",
    events: "/e",
};

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn read(log: &str, code: Option<i32>) -> Report {
    let mut live = Live::new(Format::Bats, Context::rooted("/p"));
    live.feed(Stream::Log, log.as_bytes());
    live.finish(End {
        exit: code.map(Exit::code),
        interrupted: false,
    })
}

#[test]
fn the_stream_is_asked_for() {
    let asked = crate::request(Format::Bats, &words("bats -r test"), &[], PLACES);
    assert_eq!(
        asked.argv,
        words("bats --report-formatter cat --output /e -r test")
    );
    let own = crate::request(
        Format::Bats,
        &words("./bats/bin/bats --report-formatter junit t"),
        &[],
        PLACES,
    );
    assert_eq!(
        own.argv,
        words("./bats/bin/bats --report-formatter junit t --formatter cat")
    );
    let made = crate::request(Format::Bats, &words("make test"), &[], PLACES);
    assert_eq!(made.argv, words("make test"));
    assert_eq!(made.env, [("BATS_FORMATTER".to_owned(), "cat".to_owned())]);
    assert_eq!(
        tool(&words("npx bats -r -f x --tap test")),
        words("npx bats")
    );
    assert!(tool(&words("make test")).is_empty());
}

#[test]
fn a_file_that_cannot_be_read_is_a_collection_error() {
    let report = read(
        "1..3\nok 1 fine\nnot ok 2 setup_file failed\n# /p/test/s.bats: line 8: syntax error near unexpected token `}'\n# bats warning: Executed 2 instead of expected 3 tests\n",
        Some(1),
    );
    assert_eq!(report.outcome, Outcome::CollectionError);
    let failure = &report.failures[0];
    assert_eq!(
        (failure.id.as_str(), failure.kind),
        ("test/s.bats", FailureKind::CollectionError)
    );
    assert_eq!(failure.location.as_ref().and_then(|at| at.line), Some(8));
    let double = read(
        "Error: Duplicate test name(s) in file \"/p/t/b.bats\": test_a\n",
        Some(1),
    );
    assert_eq!(double.failures[0].id, "t/b.bats");
    let usage = read(
        "Error: Bad command line option '--zzz'\nUsage: bats\n",
        Some(1),
    );
    assert_eq!(usage.outcome, Outcome::UsageError);
}

#[test]
fn green_is_the_whole_plan() {
    assert!(read("1..2\nok 1 a\nok 2 b\n", Some(0)).is_green());
    assert!(read("a.bats\n ✓ a\n ✓ b\n\n2 tests, 0 failures\n", Some(0)).is_green());
    assert!(!read("1..2\nok 1 a\n", Some(0)).is_green());
    assert!(!read("a.bats\n ✓ a\n ✓ b\n", Some(0)).is_green());
    assert_eq!(read("1..0\n", Some(0)).outcome, Outcome::NoTests);
    assert_eq!(read("1..1\nok 1 a\n", Some(1)).outcome, Outcome::Failed);
}
