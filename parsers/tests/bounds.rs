//! However much comes in, little is kept and the report stays small.

use regreen_parsers::Context;
use regreen_parsers::End;
use regreen_parsers::Exit;
use regreen_parsers::Format;
use regreen_parsers::Live;
use regreen_parsers::Report;
use regreen_parsers::Stream;
use std::fs;

/// This process's memory now, in bytes.
fn memory() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("statm");
    let pages: u64 = statm
        .split(' ')
        .nth(1)
        .and_then(|n| n.parse().ok())
        .expect("pages");
    pages * 4096
}

fn finish(live: Live) -> (Report, usize) {
    let report = live.finish(End::exit(Exit::code(101)));
    let size = serde_json::to_string(&report).expect("JSON").len();
    (report, size)
}

#[test]
fn an_endless_line_and_an_endless_log_are_bounded() {
    for format in Format::ALL {
        for stream in [
            Stream::Log,
            Stream::Stdout,
            Stream::Stderr,
            Stream::File("1.events"),
            Stream::File("1.ndjson"),
        ] {
            let before = memory();
            let mut live = Live::new(format, Context::default());
            let chunk = vec![b'x'; 1 << 20];
            for _ in 0..12 {
                live.feed(stream, &chunk);
            }
            let lines = b"error: something\n  --> src/lib.rs:1:1\ntest a ... FAILED\nFAILED a.py::b - c\nrunning 3 tests\n".repeat(2000);
            for _ in 0..3 {
                live.feed(stream, &lines);
            }
            let grown = memory().saturating_sub(before);
            assert!(grown < 96 << 20, "{format} {stream:?}: {grown} bytes");
            let (report, size) = finish(live);
            assert!(!report.is_green());
            assert!(
                size < 4 << 20,
                "{format} {stream:?}: a report of {size} bytes"
            );
        }
    }
}

#[test]
fn many_loud_failures_give_a_report_that_can_be_read() {
    let mut live = Live::new(Format::Libtest, Context::default());
    let (loud, quiet) = ("y".repeat(1 << 20), "y".repeat(1 << 14));
    live.feed(
        Stream::Stdout,
        b"{ \"type\": \"suite\", \"event\": \"started\", \"test_count\": 300 }\n",
    );
    for i in 0..300 {
        let out = if i % 20 == 0 { &loud } else { &quiet };
        live.feed(
            Stream::Stdout,
            format!("{{ \"type\": \"test\", \"event\": \"started\", \"name\": \"t{i}\" }}\n")
                .as_bytes(),
        );
        live.feed(Stream::Stdout, format!("{{ \"type\": \"test\", \"name\": \"t{i}\", \"event\": \"failed\", \"stdout\": \"{out}\" }}\n").as_bytes());
    }
    live.feed(Stream::Stdout, b"{ \"type\": \"suite\", \"event\": \"failed\", \"passed\": 0, \"failed\": 300, \"ignored\": 0, \"measured\": 0 }\n");
    let (report, size) = finish(live);
    assert_eq!((report.counts.failed, report.complete), (300, true));
    assert!(size < 12 << 20, "a report of {size} bytes");
}
