use regreen_parsers::*;
use std::time::Instant;
fn main_log(kind: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut i = 0u64;
    while out.len() < 100 << 20 {
        i += 1;
        let line = match kind {
            0 => format!(
                "2026-01-01T12:30:{:02}.123Z INFO server::http: request {} served in {} ms from 10.0.0.1:8080\n",
                i % 60,
                i,
                i % 97
            ),
            1 => format!(
                "gcc -O2 -Wall -Isrc/include -c src/module{}/file{}.c -o build/obj/file{}.o\n",
                i % 30,
                i,
                i
            ),
            2 => format!(
                "\x1b[32mINFO\x1b[0m step {} of \x1b[1mmany\x1b[0m: all is well with the world and nothing is to be said of it\n",
                i
            ),
            3 => format!(
                "    at Object.<anonymous> (/p/node_modules/x/lib/index.js:{}:{})\n",
                i % 900,
                i % 80
            ),
            _ => format!(
                "plain words without any number, one after the other, as programs tend to write them {}\n",
                i
            ),
        };
        out.extend_from_slice(line.as_bytes());
    }
    out
}
#[test]
fn speed() {
    for kind in 0..5 {
        let log = main_log(kind);
        for format in [Format::Generic, Format::Auto] {
            let at = Instant::now();
            let mut live = Live::new(format, Context::default());
            for piece in log.chunks(64 << 10) {
                live.feed(Stream::Log, piece);
            }
            let report = live.finish(End::exit(Exit::code(1)));
            println!(
                "SPEED {format} kind {kind}: {:.0} MB/s ({} failures)",
                log.len() as f64 / 1e6 / at.elapsed().as_secs_f64(),
                report.failures.len()
            );
        }
    }
}
