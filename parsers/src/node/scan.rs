//! One stream of a run of node's tests, looked through for every form at once.

use crate::context::Context;
use crate::lines::Lines;
use crate::lines::Seen;
use crate::node::spec::Spec;
use crate::node::tap::Tap;

/// The most that is kept of a document inside of a log.
const MOST_DOCUMENT: usize = 48 * 1024 * 1024;

/// Everything that was found in a stream.
#[derive(Debug)]
pub(crate) struct Scan {
    lines: Lines,
    seen: Found,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Text for people.
    pub spec: Spec,
    /// TAP.
    pub tap: Tap,
    /// The last whole document of `junit`.
    pub xml: Option<String>,
    context: Context,
    document: Option<String>,
    tap_began: bool,
    /// How many lines there were, and at which the forms began and ended.
    number: u64,
    tap_lines: (u64, u64),
    spec_lines: (u64, u64),
}

impl Scan {
    /// Begins to read.
    pub fn new(context: Context) -> Self {
        Scan {
            lines: Lines::default(),
            seen: Found {
                spec: Spec::default(),
                tap: Tap::default(),
                xml: None,
                context,
                document: None,
                tap_began: false,
                number: 0,
                tap_lines: (0, 0),
                spec_lines: (0, 0),
            },
        }
    }

    /// Takes more bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        let seen = &mut self.seen;
        self.lines.each(bytes, |line| seen.line(line));
    }

    /// The end of the stream.
    pub fn finish(mut self) -> Found {
        if let Some(line) = self.lines.finish() {
            self.seen.line(Seen {
                bytes: &line.bytes,
                length: line.length,
                unfinished: true,
            });
        }
        self.seen
    }
}

/// Remembers when a form began, and when it last ended.
fn note(lines: &mut (u64, u64), number: u64, began: bool, ends: bool) {
    if began && lines.0 == 0 {
        lines.0 = number;
    }
    if ends {
        lines.1 = number;
    }
}

impl Found {
    fn line(&mut self, seen: Seen<'_>) {
        if self.document.is_some() {
            self.keep(seen.bytes);
            return;
        }
        if seen.bytes.starts_with(b"<testsuites>") || seen.bytes.starts_with(b"<?xml ") {
            self.document = Some(String::new());
            self.keep(seen.bytes);
            return;
        }
        self.tap_began |= seen.bytes == b"TAP version 13";
        let shown = seen.shown();
        self.number += 1;
        if self.tap_began {
            self.tap.line(&shown, &self.context);
            note(
                &mut self.tap_lines,
                self.number,
                self.tap.began(),
                shown.starts_with("# duration_ms "),
            );
        }
        self.spec.line(&shown, &self.context);
        note(
            &mut self.spec_lines,
            self.number,
            self.spec.began(),
            shown.starts_with("ℹ duration_ms "),
        );
    }

    /// Whether TAP is what node wrote: its end is the later one, or it began first where
    /// neither has an end.
    pub fn is_tap(&self) -> bool {
        let (tap, spec) = (self.tap_lines, self.spec_lines);
        self.tap.began() && (tap.1 > spec.1 || (tap.1 == spec.1 && (spec.0 == 0 || tap.0 < spec.0)))
    }

    fn keep(&mut self, bytes: &[u8]) {
        let Some(document) = &mut self.document else {
            return;
        };
        if document.len() + bytes.len() < MOST_DOCUMENT {
            document.push_str(&String::from_utf8_lossy(bytes));
            document.push('\n');
        }
        if bytes == b"</testsuites>" {
            self.xml = self.document.take();
        }
    }
}
