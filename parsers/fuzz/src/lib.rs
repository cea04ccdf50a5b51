//! What every target does with its bytes: a report has to come out, the same one however the
//! bytes are cut, and never a green one for a process that failed.

use regreen_parsers::Context;
use regreen_parsers::End;
use regreen_parsers::Exit;
use regreen_parsers::Format;
use regreen_parsers::Live;
use regreen_parsers::Report;
use regreen_parsers::Stream;

/// Reads the bytes as one stream of a format, whole and in pieces.
pub fn check(format: Format, stream: Stream<'_>, data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else {
        return;
    };
    let exit = match first % 4 {
        0 => None,
        1 => Some(Exit::code(0)),
        2 => Some(Exit::code(1)),
        _ => Some(Exit {
            signal: Some(11),
            ..Exit::default()
        }),
    };
    let whole = read(format, stream, bytes, usize::MAX, exit);
    let pieces = read(format, stream, bytes, 1 + usize::from(first / 4), exit);
    assert_eq!(whole, pieces, "{format}");
    // A log that says how it ended may be green without a status, never against it.
    let fails = exit.is_some_and(|exit| !exit.success());
    assert!(!(fails && whole.is_green()), "{format}");
    let counts = whole.counts;
    assert_eq!(counts.total, counts.passed + counts.failed + counts.skipped);
}

fn read(
    format: Format,
    stream: Stream<'_>,
    bytes: &[u8],
    size: usize,
    exit: Option<Exit>,
) -> Report {
    let mut live = Live::new(format, Context::rooted("/p"));
    for piece in bytes.chunks(size.min(bytes.len().max(1))) {
        live.feed(stream, piece);
    }
    live.finish(End {
        exit,
        interrupted: false,
    })
}
