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
        if self.tap_began {
            self.tap.line(&shown, &self.context);
        } else {
            self.spec.line(&shown, &self.context);
        }
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
