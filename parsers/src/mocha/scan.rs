//! One stream of a Mocha run, looked through for every form at once.

use crate::lines::Lines;
use crate::lines::Seen;
use crate::mocha::json;
use crate::mocha::tap::Tap;
use crate::mocha::text::Reader;
use crate::mocha::trouble::Trouble;

/// The most that is kept of documents inside of a log.
const MOST_DOCUMENT: usize = 48 * 1024 * 1024;

/// Everything that was found in a stream.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    lines: Lines,
    seen: Found,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Text for people.
    pub text: Reader,
    /// The lines of `json-stream`.
    pub stream: json::Stream,
    /// TAP.
    pub tap: Tap,
    /// The last whole document of `json`, and the one that is being read.
    pub json: Option<String>,
    /// The last whole document of `xunit`.
    pub xml: Option<String>,
    /// Errors outside of any reporter.
    pub trouble: Trouble,
    /// At which line each form last came to its end.
    pub ends: Ends,
    number: u64,
    open: Open,
    document: String,
}

/// At which line each form last came to its end; 0 where it never did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ends {
    /// The epilogue of text.
    pub text: u64,
    /// The document of `json`.
    pub json: u64,
    /// The last line of `json-stream`.
    pub stream: u64,
    /// The document of `xunit`.
    pub xml: u64,
    /// The last lines of TAP.
    pub tap: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Open {
    #[default]
    Nothing,
    /// A line that ended with `{`: the next one decides.
    Brace,
    Json,
    Xml,
}

impl Scan {
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
        self.seen.text.finish();
        self.seen
    }
}

impl Found {
    fn line(&mut self, seen: Seen<'_>) {
        self.number += 1;
        if self.open != Open::Nothing && self.document_line(seen) {
            return;
        }
        match seen.bytes.first() {
            Some(b'[')
                if seen.bytes.starts_with(b"[\"")
                    && self.stream.line(&String::from_utf8_lossy(seen.bytes)) =>
            {
                self.ends.stream = self.number;
                return;
            }
            Some(b'<') if seen.bytes.starts_with(b"<testsuite name=") => {
                self.begin(Open::Xml, seen.bytes);
                return;
            }
            Some(b'o' | b'n' | b'#' | b'1') if tap(seen.bytes) => {
                self.ends.tap = self.number;
                self.tap.line(&seen.shown());
            }
            Some(b' ') if self.tap.began() => self.tap.line(&seen.shown()),
            _ => {}
        }
        if seen.bytes.last() == Some(&b'{') {
            self.open = Open::Brace;
        }
        let begun = self.text.begun;
        self.text.line(seen);
        if self.text.begun > begun {
            self.ends.text = self.number;
        }
        self.trouble.line(seen);
    }

    /// A line inside of a document, or the one that decides whether it is one.
    fn document_line(&mut self, seen: Seen<'_>) -> bool {
        let bytes = seen.bytes;
        match self.open {
            Open::Brace if bytes == b"  \"stats\": {" => {
                self.begin(Open::Json, b"{");
                self.keep(bytes);
                true
            }
            Open::Brace => {
                self.open = Open::Nothing;
                false
            }
            Open::Json if bytes.first() == Some(&b'}') => {
                self.keep(b"}");
                self.json = Some(std::mem::take(&mut self.document));
                self.ends.json = self.number;
                self.open = Open::Nothing;
                true
            }
            Open::Xml if bytes == b"</testsuite>" => {
                self.keep(bytes);
                self.xml = Some(std::mem::take(&mut self.document));
                self.ends.xml = self.number;
                self.open = Open::Nothing;
                true
            }
            // Every line of the document is indented: another one shows that it broke off.
            Open::Json if bytes.first() != Some(&b' ') => {
                self.open = Open::Nothing;
                false
            }
            Open::Json | Open::Xml => {
                self.keep(bytes);
                true
            }
            Open::Nothing => false,
        }
    }

    fn begin(&mut self, open: Open, bytes: &[u8]) {
        self.document.clear();
        self.open = open;
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.document.len() + bytes.len() < MOST_DOCUMENT {
            self.document.push_str(&String::from_utf8_lossy(bytes));
            self.document.push('\n');
        }
    }
}

fn tap(bytes: &[u8]) -> bool {
    [&b"ok "[..], b"not ok ", b"# ", b"1.."]
        .iter()
        .any(|start| bytes.starts_with(start))
}
