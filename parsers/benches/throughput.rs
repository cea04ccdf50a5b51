//! How fast logs are read: bytes a second through the text reader of each format, plain and
//! coloured, and events a second through the protocol of our own reporters.
//!
//! A log here is what most logs are: build output and what the program prints, the lines of
//! tests that passed, and at the end the framework's own words about the failures of a real run
//! (a recording). `cargo bench -p regreen-parsers`; the goals stand in `benches/figures`.
//!
//! The groups `results…` and `failing…` have nothing but result lines (`dense`): there no line can
//! be passed over. `cargo bench -p regreen-parsers --bench throughput -- results`.

mod dense;

use criterion::BatchSize;
use criterion::Criterion;
use criterion::Throughput;
use criterion::criterion_group;
use criterion::criterion_main;
use regreen_parsers::Context;
use regreen_parsers::End;
use regreen_parsers::Exit;
use regreen_parsers::Format;
use regreen_parsers::Live;
use regreen_parsers::Stream;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

/// One log's size, in bytes.
const SIZE: usize = 8 << 20;
/// Events of one stream.
const EVENTS: usize = 10_000;

/// What a program and its build print, in turn.
const NOISE: [&str; 8] = [
    "2026-11-20T13:22:05.007Z  INFO service::http: GET /api/items/17 200 in 3 ms (cache: hit)",
    "   Compiling serde_derive v1.0.219",
    "[ 62%] Building CXX object src/CMakeFiles/core.dir/parser/lexer.cc.o",
    "debug: connection 4711 to (127.0.0.1, 5432) taken from the pool, 3 of 8 in use",
    "",
    "    {\"level\":\"info\",\"msg\":\"request finished\",\"status\":200,\"path\":\"/v1/items\"}",
    "WARN  retrying in 250 ms: the server answered 503 (attempt 2 of 5): https://example.invalid/a?b=c",
    "  row 123 | name = 'left', value = 17.25, updated = 2026-11-20",
];

/// How the format shows tests that passed.
fn passed(format: Format, i: usize) -> String {
    match format {
        Format::Cargo | Format::Libtest => format!("test module::tests::case_{i} ... ok"),
        Format::Nextest => format!("        PASS [   0.004s] a-crate module::tests::case_{i}"),
        Format::Pytest => {
            format!("tests/test_a.py::test_case[{i}] PASSED                    [ 50%]")
        }
        Format::Unittest => format!("test_case_{i} (tests.test_a.Case.test_case_{i}) ... ok"),
        Format::GoTest => format!("=== RUN   TestCase{i}\n--- PASS: TestCase{i} (0.00s)"),
        Format::Jest | Format::Vitest => format!("    \u{2713} does the thing number {i} (2 ms)"),
        Format::Mocha | Format::NodeTest => format!("    \u{2714} does the thing number {i}"),
        Format::Ctest => {
            format!("{i}/9999 Test #{i}: Suite.Case{i} .............   Passed    0.01 sec")
        }
        Format::Gtest => format!("[ RUN      ] Suite.Case{i}\n[       OK ] Suite.Case{i} (0 ms)"),
        Format::Minitest => format!("TestCase#test_thing_{i} = 0.00 s = ."),
        Format::Bats => format!(" \u{2713} does the thing number {i}"),
        Format::Prove => format!("t/case_{i}.t .. ok"),
        Format::Tap => format!("ok {i} - does the thing"),
        _ => "....................".to_owned(),
    }
}

fn log(format: Format, colours: bool, end: &[u8]) -> Vec<u8> {
    let mut log = Vec::with_capacity(SIZE + end.len());
    let mut i = 0;
    while log.len() < SIZE {
        let line = match i % 4 {
            3 => passed(format, i),
            _ => NOISE[i % NOISE.len()].to_owned(),
        };
        let line = match colours {
            true => format!(
                "\u{1b}[32m{}\u{1b}[0m {line}\n",
                &line[..line
                    .len()
                    .min(3)
                    .min(line.find(|c: char| !c.is_ascii()).unwrap_or(3))]
            ),
            false => line + "\n",
        };
        log.extend_from_slice(line.as_bytes());
        i += 1;
    }
    log.extend_from_slice(end);
    log
}

/// The text of a real run with failures.
fn recorded(format: Format) -> Option<Vec<u8>> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/recordings");
    let short = match format {
        Format::Cargo => "cargo",
        format => format.as_str(),
    };
    let mut cases: Vec<_> = fs::read_dir(top.join(short)).ok()?.flatten().collect();
    cases.sort_by_key(|case| case.file_name());
    cases
        .into_iter()
        .filter(|case| case.file_name().to_string_lossy().contains("text"))
        .filter_map(|case| fs::read(case.path().join("stdout")).ok())
        .max_by_key(|text| text.len().min(200_000))
}

fn read(format: Format, log: &[u8]) -> u64 {
    let mut live = Live::new(format, Context::rooted("/p"));
    for chunk in log.chunks(64 * 1024) {
        live.feed(Stream::Log, chunk);
    }
    live.finish(End::exit(Exit::code(1))).counts.failed
}

/// Result lines alone: plain, coloured, with the line ends of Windows, and with tests that fail,
/// so many of a hundred. They are many, and each is measured for a short time only.
fn results(criterion: &mut Criterion) {
    let groups = [
        ("results", 0, false, false),
        ("results-coloured", 0, true, false),
        ("results-crlf", 0, false, true),
        ("failing-25", 25, false, false),
    ];
    for (name, failing, colours, windows) in groups {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        group.warm_up_time(Duration::from_millis(200));
        group.measurement_time(Duration::from_millis(500));
        for dense in dense::all() {
            let mut log = dense.log(SIZE, failing, colours);
            if windows {
                log = log.replace('\n', "\r\n");
            }
            group.throughput(Throughput::Bytes(log.len() as u64));
            group.bench_function(dense.name, |bencher| {
                bencher.iter(|| black_box(read(dense.format, black_box(log.as_bytes()))));
            });
        }
        group.finish();
    }
}

fn text(criterion: &mut Criterion) {
    for colours in [false, true] {
        let name = if colours { "coloured" } else { "plain" };
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        for format in Format::ALL {
            let end = recorded(format).unwrap_or_default();
            let log = log(format, colours, &end);
            group.throughput(Throughput::Bytes(log.len() as u64));
            group.bench_function(format.as_str(), |bencher| {
                bencher.iter(|| black_box(read(format, black_box(&log))));
            });
        }
        group.finish();
    }
}

/// The records of a run in which every test passes.
fn records() -> String {
    let mut text =
        "{\"n\":0,\"k\":\"session\",\"version\":1,\"runner\":\"jest 30\",\"cwd\":\"/p\"}\n"
            .to_owned();
    let mut n = 1;
    for t in 0..EVENTS / 2 {
        text.push_str(&format!("{{\"n\":{n},\"k\":\"start\",\"t\":{t},\"id\":\"suite > case {t}\",\"file\":\"/p/a.test.js\",\"path\":[\"suite\",\"case {t}\"]}}\n"));
        text.push_str(&format!(
            "{{\"n\":{},\"k\":\"pass\",\"t\":{t},\"ms\":2}}\n",
            n + 1
        ));
        n += 2;
    }
    text.push_str(&format!("{{\"n\":{n},\"k\":\"finish\",\"records\":{n}}}\n"));
    text
}

fn events(criterion: &mut Criterion) {
    let text = records();
    let mut group = criterion.benchmark_group("events");
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.bench_function("records", |bencher| {
        bencher.iter_batched(
            || Live::new(Format::Jest, Context::rooted("/p")),
            |mut live| {
                let mut seen = 0;
                for chunk in text.as_bytes().chunks(4096) {
                    seen += live.feed(Stream::File("regreen.ndjson"), chunk).len();
                }
                black_box(seen)
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, text, results, events);
criterion_main!(benches);
