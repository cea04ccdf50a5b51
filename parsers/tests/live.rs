//! What a live run says while it goes on, and at its end when that comes from outside.

mod support;

use regreen_parsers::Context;
use regreen_parsers::End;
use regreen_parsers::Exit;
use regreen_parsers::FailureKind;
use regreen_parsers::Format;
use regreen_parsers::Live;
use regreen_parsers::Outcome;
use regreen_parsers::Stream;
use regreen_parsers::TestEvent;
use regreen_parsers::cargo::shim::Harness;
use regreen_parsers::cargo::shim::Header;
use regreen_parsers::cargo::shim::Trailer;
use support::Recording;

/// The order in which a run's bytes come: the build, then the binaries, then the doctests.
fn events_of(name: &str) -> Vec<TestEvent> {
    let recording = Recording::named(name);
    let format: Format = recording.case.format.parse().expect("a format");
    let mut live = Live::new(format, Context::rooted(&recording.case.root));
    let text = String::from_utf8_lossy(&recording.stdout).into_owned();
    let built = text
        .find("build-finished")
        .map_or(0, |at| at + text[at..].find('\n').unwrap_or(0) + 1);
    let mut events = live.feed(Stream::Stdout, &recording.stdout[..built]);
    for (name, bytes) in &recording.files {
        events.extend(live.feed(Stream::File(name), bytes));
    }
    events.extend(live.feed(Stream::Stdout, &recording.stdout[built..]));
    events
}

#[test]
fn every_test_is_told_of_when_it_ends() {
    for (name, passed, failed) in [
        ("cargo/kinds", 3, 15),
        ("pytest/kinds-9", 3, 27),
        ("pytest/green-9", 5, 0),
    ] {
        let events = events_of(name);
        let count =
            |wanted: fn(&TestEvent) -> bool| events.iter().filter(|event| wanted(event)).count();
        assert_eq!(
            count(|e| matches!(e, TestEvent::Passed { .. })),
            passed,
            "{name}"
        );
        assert_eq!(
            count(|e| matches!(e, TestEvent::Failed(_))),
            failed,
            "{name}"
        );
        assert!(matches!(events[0], TestEvent::Planned { .. }), "{name}");
    }
}

#[test]
fn a_failure_is_told_of_before_the_next_test_begins() {
    let events = events_of("cargo/leaf-fails");
    let failed = events
        .iter()
        .position(|event| matches!(event, TestEvent::Failed(_)))
        .expect("a failure");
    let TestEvent::Failed(failure) = &events[failed] else {
        panic!("a failure");
    };
    assert_eq!(failure.id, "leaf_is_whole");
    assert_eq!(failure.target.as_deref(), Some("whole"));
    assert!(!failure.fingerprint.is_empty() && !failure.rerun.is_empty());
    assert!(failed + 1 < events.len(), "the doctests come after it");
}

/// A binary of three tests of which two run when it ends.
fn half_done(closing: &[u8], stderr: &str, end: End) -> regreen_parsers::Report {
    let mut header = Header::new(
        "/p/target/debug/deps/demo-0123456789abcdef",
        Harness::Libtest,
    );
    header.listed = true;
    let body = "{ \"type\": \"suite\", \"event\": \"started\", \"test_count\": 3 }
{ \"type\": \"test\", \"event\": \"started\", \"name\": \"a\" }
{ \"type\": \"test\", \"event\": \"started\", \"name\": \"b\" }
";
    let mut live = Live::new(Format::Cargo, Context::rooted("/p"));
    live.feed(
        Stream::Stdout,
        b"{\"reason\":\"build-finished\",\"success\":true}\n",
    );
    live.feed(Stream::File("1.list"), b"a: test\nb: test\nc: test\n");
    live.feed(Stream::File("1.stderr"), stderr.as_bytes());
    let head = serde_json::to_string(&header).expect("JSON") + "\n" + body;
    live.feed(Stream::File("1.events"), head.as_bytes());
    let trailer = closing.to_vec();
    live.feed(Stream::File("1.events"), &trailer);
    live.finish(end)
}

fn body_length() -> u64 {
    let lines = [
        "{ \"type\": \"suite\", \"event\": \"started\", \"test_count\": 3 }\n",
        "{ \"type\": \"test\", \"event\": \"started\", \"name\": \"a\" }\n",
        "{ \"type\": \"test\", \"event\": \"started\", \"name\": \"b\" }\n",
    ];
    lines.iter().map(|line| line.len() as u64).sum()
}

#[test]
fn of_two_running_tests_neither_is_surely_the_culprit() {
    let closing = Trailer::new(None, Some(11), body_length(), 5).closing();
    let report = half_done(&closing, "", End::exit(Exit::code(101)));
    assert_eq!((report.outcome, report.complete), (Outcome::Crashed, false));
    let named: Vec<(&str, bool)> = report
        .failures
        .iter()
        .map(|f| (f.id.as_str(), f.kind_sure))
        .collect();
    assert_eq!(named, [("a", false), ("b", false)]);
    assert!(report.notes.iter().any(|note| note.code == "not_run"));
}

#[test]
fn standard_error_may_name_the_culprit() {
    let closing = Trailer::new(None, Some(6), body_length(), 5).closing();
    let said = "\nthread 'b' (7) has overflowed its stack\nfatal runtime error: stack overflow, aborting\n";
    let report = half_done(&closing, said, End::exit(Exit::code(101)));
    let named: Vec<(&str, bool)> = report
        .failures
        .iter()
        .map(|f| (f.id.as_str(), f.kind_sure))
        .collect();
    assert_eq!(named, [("b", true)]);
    assert!(report.failures[0].message.ends_with("stack overflow"));
    assert!(report.notes.iter().any(|note| note.code == "was_running"));
}

#[test]
fn ends_from_outside_are_told_apart() {
    let killed = Exit {
        signal: Some(9),
        ..Exit::default()
    };
    let timed_out = Exit {
        timed_out: true,
        ..killed
    };
    let oom = Exit {
        oom: true,
        ..killed
    };
    let report = half_done(b"", "", End::exit(timed_out));
    assert_eq!(
        (report.outcome, report.failures[0].kind),
        (Outcome::Timeout, FailureKind::Timeout)
    );
    let report = half_done(b"", "", End::exit(oom));
    assert_eq!(
        (report.outcome, report.failures[0].kind),
        (Outcome::Crashed, FailureKind::Oom)
    );
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.code == "out_of_memory" && note.remedy.is_some())
    );
    let stopped = End {
        exit: Some(killed),
        interrupted: true,
    };
    let report = half_done(b"", "", stopped);
    assert_eq!(
        (report.outcome, report.failures.len()),
        (Outcome::Interrupted, 0)
    );
    assert!(report.notes.iter().any(|note| note.code == "was_running"));
}
