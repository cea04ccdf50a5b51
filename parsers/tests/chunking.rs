//! However the bytes are cut into pieces, the report is the same; and twice as much of anything
//! takes about twice as long.

mod support;

use proptest::prelude::*;
use regreen_parsers::Context;
use regreen_parsers::End;
use regreen_parsers::Exit;
use regreen_parsers::Format;
use regreen_parsers::Live;
use regreen_parsers::Report;
use regreen_parsers::Stream;
use std::sync::LazyLock;
use support::Recording;

/// Lines of every recording: what is put together from them looks real to every reader.
static LINES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut lines: Vec<Vec<u8>> = Recording::all()
        .iter()
        .flat_map(|recording| {
            let files = recording.files.iter().map(|(_, bytes)| bytes);
            let all = files.chain([&recording.stdout, &recording.stderr]);
            all.flat_map(|bytes| bytes.split_inclusive(|byte| *byte == b'\n').take(400))
                .filter(|line| line.len() < 2000)
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        })
        .collect();
    lines.sort();
    lines.dedup();
    lines
});

/// Whether the long tests are asked for (`scripts/test --full`).
fn full() -> bool {
    std::env::var_os("REGREEN_FULL").is_some_and(|value| value == "1")
}

fn read(format: Format, stream: Stream<'_>, pieces: &[&[u8]]) -> Report {
    let mut live = Live::new(format, Context::rooted("/tmp/regreen-recordings/p"));
    for piece in pieces {
        live.feed(stream, piece);
    }
    live.finish(End::exit(Exit::code(1)))
}

fn cut(mut bytes: &[u8], sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (piece, rest) = bytes.split_at((*size).min(bytes.len()));
        pieces.push(piece.to_vec());
        bytes = rest;
    }
    pieces
}

const STREAMS: [Stream<'static>; 5] = [
    Stream::Log,
    Stream::Stdout,
    Stream::Stderr,
    Stream::File("regreen.ndjson"),
    Stream::File("report.xml"),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: if full() { 400 } else { 24 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_cut_gives_the_same_report(picks in prop::collection::vec(any::<prop::sample::Index>(), 1..120), run in 1usize..12, stream in 0usize..5, sizes in prop::collection::vec(1usize..90, 1..6)) {
        // Runs of neighbouring lines, so that blocks of one framework come out whole.
        let bytes: Vec<u8> = picks
            .iter()
            .flat_map(|pick| {
                let at = pick.index(LINES.len());
                LINES[at..(at + run).min(LINES.len())].concat()
            })
            .take(60_000)
            .collect();
        let pieces = cut(&bytes, &sizes);
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        for format in Format::ALL {
            let whole = read(format, STREAMS[stream], &[&bytes]);
            let cut = read(format, STREAMS[stream], &pieces);
            prop_assert_eq!(whole, cut, "{}", format);
        }
    }
}

/// CPU time of this thread, in nanoseconds.
fn cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("schedstat");
    let first = stat.split_whitespace().next().expect("a number");
    first.parse().expect("a number")
}

/// Makes so many of something.
type Make = Box<dyn Fn(usize) -> String>;

/// What once made readers slow: many of what is looked up, long lines, deep nesting, blocks
/// that never end.
fn nasty() -> Vec<(&'static str, Make)> {
    let many = |text: &'static str| -> Make {
        Box::new(move |n| (0..n).map(|i| text.replace("{}", &i.to_string())).collect())
    };
    vec![
        (
            "cargo",
            many(
                "test a{} ... FAILED\n---- a{} stdout ----\nthread 'a{}' panicked at src/lib.rs:3:1:\nx\n",
            ),
        ),
        (
            "pytest",
            many("FAILED tests/test_a.py::test_{} - x\n____ test_{} ____\nE   x\n"),
        ),
        (
            "go",
            many("=== RUN   T{}\n    a_test.go:3: x\n--- FAIL: T{} (0.00s)\n"),
        ),
        (
            "go-json",
            many(
                "{\"Action\":\"run\",\"Package\":\"p\",\"Test\":\"T{}\"}\n{\"Action\":\"fail\",\"Package\":\"p\",\"Test\":\"T{}\"}\n",
            ),
        ),
        (
            "jest",
            many(
                "FAIL a{}.test.js\n  \u{25cf} suite \u{203a} t{}\n    expect(received).toBe(expected)\n    Expected: 1\n    Received: 2\n      at Object.f (a.test.js:1:2)\n",
            ),
        ),
        (
            "numbered",
            many(
                "  {}) Suite t{}:\n     Failure/Error: x\n       expected: 1\n            got: 2\n     # ./spec/a_spec.rb:3\n",
            ),
        ),
        ("tap", many("not ok {} - t{}\n  ---\n  at: x\n  ...\n")),
        (
            "subtests",
            Box::new(|n| {
                let deep: String = (0..n)
                    .map(|i| format!("{}# Subtest: s{i}\n", " ".repeat(4 * (i % 40))))
                    .collect();
                deep + "1..1\n"
            }),
        ),
        (
            "records",
            many("{\"n\":{},\"k\":\"start\",\"t\":{},\"id\":\"t{}\",\"file\":\"a.js\"}\n"),
        ),
        (
            "xml",
            Box::new(|n| {
                format!(
                    "<testsuite>{}</testsuite>",
                    (0..n)
                        .map(|i| format!("<testcase name=\"t{i}\"><failure>x</failure></testcase>"))
                        .collect::<String>()
                )
            }),
        ),
        ("long", Box::new(|n| "a (b: c) [d] ".repeat(n) + "\n")),
        (
            "diagnostics",
            many("src/a{}.c:3:5: error: x{}\nIn file included from a.c:1:\n"),
        ),
        (
            "gtest",
            many(
                "[ RUN      ] A.B{}\na.cc:3: Failure\nExpected equality of these values:\n  1\n  2\n[  FAILED  ] A.B{} (0 ms)\n",
            ),
        ),
        (
            "java",
            many(
                "  JUnit Jupiter:A:b{}()\n    => org.opentest4j.AssertionFailedError: x\n       A.b(A.java:3)\n",
            ),
        ),
    ]
}

#[test]
fn nothing_takes_longer_than_its_size_explains() {
    const SMALL: usize = 800;
    const TIMES: usize = 6;
    for (name, make) in nasty() {
        let (small, large) = (make(SMALL), make(SMALL * TIMES));
        for format in Format::ALL {
            for stream in [
                Stream::Log,
                Stream::File("regreen.ndjson"),
                Stream::File("a.xml"),
            ] {
                let time = |text: &str, times: usize| {
                    let began = cpu();
                    for _ in 0..times {
                        read(format, stream, &[text.as_bytes()]);
                    }
                    cpu() - began
                };
                // The same bytes in six runs and in one: quadratic growth would be six times as
                // long. The kernel counts in ticks of some milliseconds.
                let fits = (0..4).any(|_| {
                    let (apart, whole) = (time(&small, TIMES), time(&large, 1));
                    whole < 3 * apart.max(10_000_000)
                });
                assert!(
                    fits,
                    "{format} reads {name} ({stream:?}) in more than linear time"
                );
            }
        }
    }
}
