//! One stream of a Jest run, looked through for every form at once.

use crate::jest::text::Reader;
use crate::js::documents::Document;
use crate::js::documents::Documents;
use crate::lines::Lines;
use crate::lines::Seen;

/// Everything that was found in a stream.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    lines: Lines,
    seen: Found,
    documents: Documents,
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
}

impl Scan {
    /// Takes more bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        let (seen, documents) = (&mut self.seen, &mut self.documents);
        self.lines.each(bytes, |line| seen.line(documents, line));
    }

    /// The end of the stream.
    pub fn finish(mut self) -> Found {
        if let Some(line) = self.lines.finish() {
            let line = Seen {
                bytes: &line.bytes,
                length: line.length,
                unfinished: true,
            };
            self.seen.line(&mut self.documents, line);
        }
        self.seen.json = self.documents.last();
        self.seen
    }
}

impl Found {
    fn line(&mut self, documents: &mut Documents, line: Seen<'_>) {
        if documents.line(line) {
            return;
        }
        let before = self.text.runs.len();
        self.text.line(line);
        if self.text.runs.len() > before {
            self.summary = documents.lines();
        }
    }
}
