//! Ten thousand failures fit into fifty megabytes, whatever tells of them, and the report of them
//! is small.

use regreen_parsers::Context;
use regreen_parsers::End;
use regreen_parsers::Exit;
use regreen_parsers::Format;
use regreen_parsers::Live;
use regreen_parsers::Stream;
use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::fmt::Write;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// So many tests fail.
const FAILURES: usize = 10_000;
/// The most that may be in use at once.
const MOST: usize = 50 << 20;

/// The system's allocator, with a count of what is in use.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = USED.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(used, Ordering::Relaxed);
        // SAFETY: the caller keeps what `GlobalAlloc::alloc` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the place comes from `alloc` above, with this layout.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A log, piece by piece, so that it is not in memory itself.
type Pieces = fn(usize) -> String;

/// What a failing test says besides.
fn loud(i: usize) -> String {
    format!("value {i} of {} is not what it was before; ", i * 7).repeat(12)
}

fn go(i: usize) -> String {
    let mut text = format!("=== RUN   TestCase{i}\n");
    let _ = writeln!(text, "    case_test.go:{}: {}", i + 1, loud(i));
    let _ = writeln!(text, "--- FAIL: TestCase{i} (0.01s)");
    if i + 1 == FAILURES {
        text.push_str("FAIL\nFAIL\texample.com/m\t1.2s\nFAIL\n");
    }
    text
}

fn go_json(i: usize) -> String {
    let test = format!("\"Package\":\"example.com/m\",\"Test\":\"TestCase{i}\"");
    let mut text = format!("{{\"Action\":\"run\",{test}}}\n");
    for line in [
        format!("=== RUN   TestCase{i}"),
        format!("    case_test.go:{}: {}", i + 1, loud(i)),
        format!("--- FAIL: TestCase{i} (0.01s)"),
    ] {
        let _ = writeln!(
            text,
            "{{\"Action\":\"output\",{test},\"Output\":\"{line}\\n\"}}"
        );
    }
    let _ = writeln!(text, "{{\"Action\":\"fail\",{test},\"Elapsed\":0.01}}");
    if i + 1 == FAILURES {
        text.push_str("{\"Action\":\"fail\",\"Package\":\"example.com/m\",\"Elapsed\":1.2}\n");
    }
    text
}

fn tap(i: usize) -> String {
    let mut text = match i {
        0 => format!("TAP version 13\n1..{FAILURES}\n"),
        _ => String::new(),
    };
    let _ = writeln!(
        text,
        "not ok {} - case {i}\n#   Failed test 'case {i}'\n#   at t/a.t line {}.\n#          got: '{}'\n#     expected: '2'",
        i + 1,
        i + 1,
        loud(i)
    );
    text
}

fn bats(i: usize) -> String {
    let mut text = match i {
        0 => format!("1..{FAILURES}\n"),
        _ => String::new(),
    };
    let _ = writeln!(
        text,
        "not ok {} case {i}\n# (in test file test/a.bats, line {})\n#   `[ {i} -eq 2 ]' failed\n# {}",
        i + 1,
        i + 1,
        loud(i)
    );
    text
}

fn node(i: usize) -> String {
    let mut text = match i {
        0 => "TAP version 13\n".to_owned(),
        _ => String::new(),
    };
    let _ = writeln!(
        text,
        "# Subtest: case {i}\nnot ok {} - case {i}\n  ---\n  duration_ms: 0.5\n  location: '/p/a.test.js:{}:1'\n  failureType: 'testCodeFailure'\n  error: '{}'\n  code: 'ERR_ASSERTION'\n  ...",
        i + 1,
        i + 1,
        loud(i)
    );
    if i + 1 == FAILURES {
        let _ = writeln!(
            text,
            "1..{FAILURES}\n# tests {FAILURES}\n# suites 0\n# pass 0\n# fail {FAILURES}\n# cancelled 0\n# skipped 0\n# todo 0\n# duration_ms 9.1"
        );
    }
    text
}

fn libtest(i: usize) -> String {
    let mut text = match i {
        0 => format!(
            "{{ \"type\": \"suite\", \"event\": \"started\", \"test_count\": {FAILURES} }}\n"
        ),
        _ => String::new(),
    };
    let _ = writeln!(
        text,
        "{{ \"type\": \"test\", \"event\": \"started\", \"name\": \"case_{i}\" }}\n{{ \"type\": \"test\", \"name\": \"case_{i}\", \"event\": \"failed\", \"stdout\": \"thread 'case_{i}' panicked at src/a.rs:{}:5:\\n{}\\n\" }}",
        i + 1,
        loud(i)
    );
    if i + 1 == FAILURES {
        let _ = writeln!(
            text,
            "{{ \"type\": \"suite\", \"event\": \"failed\", \"passed\": 0, \"failed\": {FAILURES}, \"ignored\": 0, \"measured\": 0 }}"
        );
    }
    text
}

fn records(i: usize) -> String {
    let mut text = match i {
        0 => "{\"n\":0,\"k\":\"session\",\"version\":1,\"runner\":\"jest 30\",\"cwd\":\"/p\"}\n"
            .to_owned(),
        _ => String::new(),
    };
    let n = 2 * i + 1;
    let _ = writeln!(
        text,
        "{{\"n\":{n},\"k\":\"start\",\"t\":{i},\"id\":\"suite > case {i}\",\"file\":\"/p/a.test.js\",\"path\":[\"suite\",\"case {i}\"]}}\n{{\"n\":{},\"k\":\"fail\",\"t\":{i},\"ms\":2,\"kind\":\"assertion\",\"error\":{{\"name\":\"Error\",\"message\":\"{}\"}}}}",
        n + 1,
        loud(i)
    );
    if i + 1 == FAILURES {
        let n = n + 2;
        let _ = writeln!(text, "{{\"n\":{n},\"k\":\"finish\",\"records\":{n}}}");
    }
    text
}

fn measure(name: &str, format: Format, stream: Stream<'_>, pieces: Pieces) {
    let before = USED.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let mut live = Live::new(format, Context::rooted("/p"));
    for i in 0..FAILURES {
        live.feed(stream, pieces(i).as_bytes());
    }
    let report = live.finish(End::exit(Exit::code(1)));
    let peak = PEAK.load(Ordering::Relaxed).saturating_sub(before);
    let kept = USED.load(Ordering::Relaxed).saturating_sub(before);
    assert_eq!(report.counts.failed, FAILURES as u64, "{name}");
    assert!(report.failures.len() >= 1000, "{name}");
    assert!(peak < MOST, "{name}: {peak} bytes at once");
    assert!(kept < MOST / 2, "{name}: a report of {kept} bytes");
}

#[test]
fn ten_thousand_failures_fit_into_fifty_megabytes() {
    // One after the other: the count is the whole process's.
    measure("go -v", Format::GoTest, Stream::Log, go);
    measure("go -json", Format::GoTest, Stream::Log, go_json);
    measure("tap", Format::Tap, Stream::Log, tap);
    measure("bats", Format::Bats, Stream::Log, bats);
    measure("node", Format::NodeTest, Stream::Log, node);
    measure("libtest", Format::Libtest, Stream::Stdout, libtest);
    let file = Stream::File("regreen.ndjson");
    measure("records", Format::Jest, file, records);
}
