//! One stream of a Vitest run, looked through for every form at once.

use crate::context::Context;
use crate::js::documents::Document;
use crate::js::documents::Documents;
use crate::lines::Lines;
use crate::lines::Seen;
use crate::live::Adapter;
use crate::live::Stream;
use crate::tap;
use crate::vitest::text::Reader;

/// The most that is kept of an XML document.
const MOST: usize = 48 * 1024 * 1024;

/// Everything that was found in a stream.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    lines: Lines,
    seen: Found,
    documents: Documents,
    open: bool,
    ended: bool,
    document: String,
    /// What paths in TAP are relative to; nothing where TAP is not looked for.
    context: Option<Context>,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Text for people.
    pub text: Reader,
    /// The last JSON document.
    pub json: Option<Document>,
    /// The number of the line with the last summary of the text.
    pub summary: u64,
    /// The last JUnit document.
    pub xml: Option<Document>,
    /// TAP.
    pub tap: Option<Box<dyn Adapter>>,
    /// Results of it came behind all summaries.
    pub is_tap: bool,
}

/// A line that only TAP has.
fn ends_a_result(line: &[u8]) -> bool {
    let starts: [&[u8]; 3] = [b"ok ", b"not ok ", b"1.."];
    starts.iter().any(|start| line.starts_with(start)) || matches!(line.trim_ascii(), b"..." | b"}")
}

impl Scan {
    /// One that reads TAP, too.
    pub fn with_tap(context: Context) -> Self {
        Scan {
            context: Some(context),
            ..Scan::default()
        }
    }

    /// Takes more bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.each(bytes, |line| self.line(line));
        self.lines = lines;
    }

    fn line(&mut self, line: Seen<'_>) {
        if self.xml_line(line.bytes) || self.documents.line(line) {
            return;
        }
        // Vitest writes all of it at the end; what tests print comes before.
        if line.bytes == b"TAP version 13" {
            self.seen.tap = self.context.clone().map(tap::open);
        }
        if let Some(tap) = &mut self.seen.tap {
            tap.feed(Stream::Log, line.bytes);
            tap.feed(Stream::Log, b"\n");
        }
        if self.seen.tap.is_some() && ends_a_result(line.bytes) {
            self.seen.is_tap = true;
        }
        let ends = self.seen.text.ends;
        self.seen.text.line(line);
        if self.seen.text.ends != ends {
            // Summaries are printed by tests, too: TAP may go on behind them.
            self.seen.is_tap = false;
        }
        if line.bytes.len() < 200 && self.seen.text.run.tests.is_some() && !self.ended {
            self.seen.summary = self.documents.lines();
        }
        self.ended = self.seen.text.run.tests.is_some();
    }

    fn xml_line(&mut self, bytes: &[u8]) -> bool {
        if !self.open {
            if !bytes.starts_with(b"<testsuites name=\"vitest tests\"") {
                return false;
            }
            self.open = true;
            self.document.clear();
        }
        if self.document.len() + bytes.len() < MOST {
            self.document.push_str(&String::from_utf8_lossy(bytes));
            self.document.push('\n');
        }
        if bytes == b"</testsuites>" {
            self.open = false;
            self.seen.xml = Some(Document {
                text: std::mem::take(&mut self.document),
                // The lines of the document are not counted: it stands behind all before it.
                line: self.documents.lines() + 1,
            });
        }
        true
    }

    /// The end of the stream.
    pub fn finish(mut self) -> Found {
        if let Some(line) = self.lines.finish() {
            self.line(Seen {
                bytes: &line.bytes,
                length: line.length,
                unfinished: true,
            });
        }
        self.seen.json = self.documents.last();
        self.seen
    }
}
