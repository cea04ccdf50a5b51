//! JSON documents of results inside of a log: on one line, or with indentation.

use crate::js::results;
use crate::lines::Seen;

/// The most that is kept of one document.
const MOST: usize = 48 * 1024 * 1024;

/// Finds the documents of one stream.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    last: Option<Document>,
    line: u64,
    open: Open,
    document: String,
}

/// A document, and where it stood.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// Its text.
    pub text: String,
    /// The number of its last line in the stream.
    pub line: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Open {
    #[default]
    Nothing,
    /// A line `{`: the next one decides.
    Brace,
    Inside,
}

impl Documents {
    /// Takes a line; whether it is part of a document.
    pub fn line(&mut self, seen: Seen<'_>) -> bool {
        let bytes = seen.bytes;
        self.line += 1;
        match self.open {
            Open::Nothing if bytes == b"{" => {
                self.open = Open::Brace;
                false
            }
            Open::Nothing => self.whole(seen),
            Open::Brace => {
                let key = bytes.trim_ascii_start().starts_with(b"\"num");
                self.open = if key { Open::Inside } else { Open::Nothing };
                if key {
                    self.document.clear();
                    self.document.push_str("{\n");
                    self.keep(bytes);
                }
                key || self.whole(seen)
            }
            Open::Inside => {
                self.keep(bytes);
                if bytes == b"}" {
                    self.open = Open::Nothing;
                    self.take();
                } else if !bytes.starts_with(b" ") && !bytes.starts_with(b"\t") {
                    // Every line of it is indented: another one shows that it broke off.
                    self.open = Open::Nothing;
                    return false;
                }
                true
            }
        }
    }

    /// A document on one line; something may stand before it.
    fn whole(&mut self, seen: Seen<'_>) -> bool {
        let bytes = seen.bytes;
        if bytes.len() < 60 || bytes.last() != Some(&b'}') {
            return false;
        }
        let Some(at) = memchr::memmem::find(bytes, b"{\"num") else {
            return false;
        };
        if !results::may_be(&bytes[at..]) || seen.cut() {
            return false;
        }
        self.found(String::from_utf8_lossy(&bytes[at..]).into_owned());
        true
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.document.len() + bytes.len() < MOST {
            self.document.push_str(&String::from_utf8_lossy(bytes));
            self.document.push('\n');
        }
    }

    fn take(&mut self) {
        let document = std::mem::take(&mut self.document);
        if results::may_be(document.as_bytes()) {
            self.found(document);
        }
    }

    fn found(&mut self, text: String) {
        self.last = Some(Document {
            text,
            line: self.line,
        });
    }

    /// How many lines came.
    pub fn lines(&self) -> u64 {
        self.line
    }

    /// The last document of all.
    pub fn last(self) -> Option<Document> {
        self.last
    }
}
