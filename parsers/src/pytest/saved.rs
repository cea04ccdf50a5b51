//! Report files whose name says nothing: the reporter's records, a plugin's, XML. The same may
//! stand in the log.

use crate::junit::Document;
use crate::lines::Seen;
use crate::pytest::place::Place;
use crate::pytest::stock::Stock;

/// The most of a file that is kept.
const MOST: usize = 64 * 1024 * 1024;
/// So much of a beginning is enough to tell what it is.
const ENOUGH: usize = 16 * 1024;

/// A file, by what it turned out to be.
#[derive(Debug)]
pub(crate) enum Saved {
    /// Not known yet.
    Unknown(Vec<u8>),
    /// The reporter's; the bytes wait to be taken.
    Events(Vec<u8>),
    /// `--report-log`.
    Lines(Vec<u8>),
    /// `--json-report`.
    Json(Vec<u8>),
    /// JUnit.
    Xml(Document),
}

impl Default for Saved {
    fn default() -> Self {
        Saved::Unknown(Vec::new())
    }
}

impl Saved {
    /// Takes more bytes while it is not known what they are.
    pub fn recognise(&mut self, name: &str, bytes: &[u8]) {
        let Saved::Unknown(kept) = self else {
            return;
        };
        kept.extend_from_slice(bytes);
        let whole = kept.contains(&b'\n') || kept.len() >= ENOUGH;
        if whole || name.ends_with(".ndjson") {
            self.decide(name);
        }
    }

    /// No more bytes come.
    pub fn end(&mut self, name: &str) {
        if matches!(self, Saved::Unknown(_)) {
            self.decide(name);
        }
    }

    fn decide(&mut self, name: &str) {
        let Saved::Unknown(kept) = self else {
            return;
        };
        let bytes = std::mem::take(kept);
        let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace());
        let begin = start.map_or(&[][..], |at| &bytes[at..]);
        let line = begin.split(|byte| *byte == b'\n').next().unwrap_or(begin);
        let has = |word: &str| memchr::memmem::find(line, word.as_bytes()).is_some();
        let record = begin.starts_with(b"{\"n\"") || begin.starts_with(b"{ \"n\"");
        *self = if name.ends_with(".ndjson") || record {
            Saved::Events(bytes)
        } else if has("\"$report_type\"") {
            Saved::Lines(bytes)
        } else if begin.starts_with(b"<") || begin.starts_with(b"\xef\xbb\xbf<") {
            let mut document = Document::default();
            document.feed(&bytes);
            Saved::Xml(document)
        } else if begin.starts_with(b"{") {
            Saved::Json(bytes)
        } else {
            Saved::Events(bytes)
        };
    }

    /// Takes more bytes of what is known.
    pub fn feed(&mut self, bytes: &[u8]) {
        match self {
            Saved::Unknown(kept) | Saved::Events(kept) | Saved::Lines(kept) | Saved::Json(kept) => {
                let room = MOST.saturating_sub(kept.len());
                kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Saved::Xml(document) => document.feed(bytes),
        }
    }
}

/// Reports that stand in the log itself.
#[derive(Debug, Default)]
pub(crate) struct Inline {
    lines: Vec<u8>,
    json: Vec<u8>,
    xml: Vec<u8>,
    within: Within,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Within {
    #[default]
    Nothing,
    Json,
    Xml,
}

impl Inline {
    /// Takes a line if it belongs to a report.
    pub fn take(&mut self, seen: Seen<'_>) -> bool {
        let bytes = seen.bytes;
        match self.within {
            Within::Json => {
                keep(&mut self.json, bytes);
                if bytes == b"}" {
                    self.within = Within::Nothing;
                }
                // It may be a test's: the text is read all the same.
                return false;
            }
            Within::Xml => {
                self.xml(bytes);
                return false;
            }
            Within::Nothing => {}
        }
        match bytes.first() {
            Some(b'{') if memchr::memmem::find(bytes, b"\"$report_type\"").is_some() => {
                keep(&mut self.lines, bytes);
                true
            }
            Some(b'{') if bytes.starts_with(b"{\"created\": ") && bytes.ends_with(b"}") => {
                self.json = bytes[..bytes.len().min(MOST)].to_vec();
                true
            }
            // The document that `--json-report-indent` makes begins so, a test's hardly ever.
            Some(b'{') if bytes == b"{" => {
                self.json.clear();
                keep(&mut self.json, bytes);
                self.within = Within::Json;
                false
            }
            Some(b'<') if bytes.starts_with(b"<?xml") || bytes.starts_with(b"<testsuite") => {
                self.xml.clear();
                self.xml(bytes);
                false
            }
            _ => false,
        }
    }

    fn xml(&mut self, bytes: &[u8]) {
        keep(&mut self.xml, bytes);
        let whole = memchr::memmem::find(bytes, b"</testsuites>").is_some();
        self.within = match whole {
            true => Within::Nothing,
            false => Within::Xml,
        };
    }

    /// The XML document, if it is whole.
    pub fn document(&mut self) -> Option<Document> {
        let whole = memchr::memmem::find(&self.xml, b"</testsuites>")?;
        let mut document = Document::default();
        document.feed(&self.xml[..whole + b"</testsuites>".len()]);
        Some(document)
    }

    /// Reads the plugins' records.
    pub fn read(&mut self, stock: &mut Stock, place: &mut Place) {
        for line in self.lines.split(|byte| *byte == b'\n') {
            if !line.is_empty() {
                stock.line(line, place);
            }
        }
        if !stock.began && !self.json.is_empty() {
            stock.document(&self.json, place);
        }
    }
}

fn keep(kept: &mut Vec<u8>, line: &[u8]) {
    if kept.len() + line.len() < MOST {
        kept.extend_from_slice(line);
        kept.push(b'\n');
    }
}
