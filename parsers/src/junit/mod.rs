//! Reads JUnit XML of any origin, and the texts of the Java world.
//!
//! The dialects of the XML differ in where the location is (attribute, message, body) and in what
//! `classname` means; the module `dialect` says how each is recognised and which ids it gives.
//! A document of a framework that has a reader of its own is given to that (`native`).
//! Documents that break off, that hold characters which XML does not allow, or that were joined
//! in one log are read as far as they go.
//!
//! The texts are those of the console launcher, Maven, Gradle and JUnit 4's own runner (`text`).
//! Where a run left files, these are believed, and the text adds what they lose: errors of the
//! compiler, a process that died, a class's own set-up. JUnit 5.9, Surefire 2.22 and Gradle 4.4
//! were run for this; everything newer is built from the published formats, and its samples are
//! written by hand.

mod case;
mod catch;
mod compare;
mod dialect;
mod document;
mod events;
mod java;
mod kind;
pub(crate) mod native;
mod place;
mod request;
mod rerun;
mod settle;
mod sources;
mod stack;
mod text;
pub(crate) mod xml;

pub(crate) use case::body;
pub(crate) use case::joined;
pub(crate) use case::left;
pub(crate) use case::without_harness;
pub(crate) use document::Document;
pub(crate) use document::Read;
pub(crate) use java::split;
pub(crate) use request::request;
pub(crate) use request::tool;
pub(crate) use settle::add;
pub(crate) use settle::settle_exit;
pub(crate) use xml::too_deep;

use crate::context::Context;
use crate::event::TestEvent;
use crate::lines::Lines;
use crate::lines::Seen;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::report::Report;
use crate::text::Tail;
use std::collections::BTreeMap;

/// More files than this are not read.
const MOST_FILES: usize = 10_000;
/// More documents in one log than this are not told apart.
const MOST_INLINE: usize = 1_000;

/// A run of a tool of the Java world, or a set of JUnit files of anybody, that is being read.
///
/// Feed each file as [`Stream::File`]; a log may be XML, or hold it between other lines.
#[derive(Debug)]
pub struct JunitRun {
    context: Context,
    files: BTreeMap<String, Document>,
    /// The documents that stand in the log.
    inline: Vec<Document>,
    open: bool,
    inside: i64,
    declared: bool,
    data: bool,
    any_inline: bool,
    wide: bool,
    first: bool,
    output: Lines,
    errors: Lines,
    text: text::Reader,
    shadow: Option<Box<text::Reader>>,
    tail: Tail,
    error_tail: Tail,
}

impl JunitRun {
    /// Begins to read.
    pub fn new(context: Context) -> Self {
        JunitRun {
            context,
            files: BTreeMap::new(),
            inline: Vec::new(),
            open: false,
            inside: 0,
            declared: false,
            data: false,
            any_inline: false,
            wide: false,
            first: true,
            output: Lines::default(),
            errors: Lines::default(),
            text: text::Reader::default(),
            shadow: None,
            tail: Tail::default(),
            error_tail: Tail::default(),
        }
    }

    /// Takes more bytes of one stream; a JUnit file says nothing before its end.
    pub fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        match stream {
            Stream::File(name) => {
                if self.files.len() < MOST_FILES || self.files.contains_key(name) {
                    self.files.entry(name.to_owned()).or_default().feed(bytes);
                }
            }
            Stream::Stderr => {
                self.tail.feed(bytes);
                self.error_tail.feed(bytes);
                let mut lines = std::mem::take(&mut self.errors);
                lines.each(bytes, |seen| self.text.line(&seen));
                self.errors = lines;
            }
            Stream::Stdout | Stream::Log => {
                self.tail.feed(bytes);
                let mut lines = std::mem::take(&mut self.output);
                lines.each(bytes, |seen| self.line(&seen));
                self.output = lines;
            }
        }
        Vec::new()
    }

    /// One line of standard output: of a document that was saved into the log, or text.
    fn line(&mut self, seen: &Seen<'_>) {
        let bytes = seen.bytes;
        if std::mem::take(&mut self.first) {
            self.wide = matches!(
                bytes,
                [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'<', 0, ..] | [0, b'<', ..]
            );
        }
        let head = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let outside = !self.wide && self.inside <= 0 && !begins(head);
        if outside {
            self.text.line(seen);
        }
        // What looks like a document may be a test's output: the text is read as if there were
        // none, too, in case that it is no whole one.
        if let Some(shadow) = &mut self.shadow {
            shadow.line(seen);
        } else if !outside && !self.wide {
            let mut shadow = Box::new(self.text.clone());
            shadow.line(seen);
            self.shadow = Some(shadow);
        }
        if outside {
            return;
        }
        self.any_inline = true;
        if self.inside <= 0 {
            // The declaration counts as one that is open until the root is over.
            self.declared = head.starts_with(b"<?xml");
            self.inside = i64::from(self.declared);
            self.data = false;
        }
        self.inside += depth(head, &mut self.data);
        if self.inside <= i64::from(self.declared) && !self.data && ends(head) {
            self.inside = 0;
        }
        if !self.open && (self.inline.len() < MOST_INLINE && !self.wide || self.inline.is_empty()) {
            self.inline.push(Document::default());
        }
        self.open = true;
        if let Some(document) = self.inline.last_mut() {
            document.feed(bytes);
            document.feed(b"\n");
        }
        if self.inside <= 0 && ends(head) {
            self.open = false;
        }
    }

    /// The report of all files and of the text together.
    pub fn finish(mut self, end: End) -> Report {
        if let Some(line) = self.output.finish() {
            let seen = Seen {
                bytes: &line.bytes,
                length: line.length,
                unfinished: true,
            };
            self.line(&seen);
        }
        if let Some(line) = self.errors.finish() {
            let seen = Seen {
                bytes: &line.bytes,
                length: line.length,
                unfinished: true,
            };
            self.text.line(&seen);
        }
        self.report(&end)
    }
}

/// Whether a line begins a document.
fn begins(line: &[u8]) -> bool {
    line.first() == Some(&b'<')
        && [
            "<?xml",
            "<testsuite",
            "<testrun",
            "<e:events",
            "<!DOCTYPE testsuite",
        ]
        .iter()
        .any(|start| line.starts_with(start.as_bytes()))
}

/// How many roots a line opens more than it closes; `data` where character data is open, in which
/// tests may have printed anything.
fn depth(mut line: &[u8], data: &mut bool) -> i64 {
    const OPEN: &[u8] = b"<![CDATA[";
    const CLOSE: &[u8] = b"]]>";
    let mut open = 0;
    loop {
        let mark = if *data { CLOSE } else { OPEN };
        let at = memchr::memmem::find(line, mark);
        if !*data {
            open += roots(&line[..at.unwrap_or(line.len())]);
        }
        let Some(at) = at else {
            return open;
        };
        *data = !*data;
        line = &line[at + mark.len()..];
    }
}

/// The same for a piece without character data.
fn roots(line: &[u8]) -> i64 {
    let count = |needle: &str| memchr::memmem::find_iter(line, needle.as_bytes()).count() as i64;
    if memchr::memchr(b'<', line).is_none() {
        return 0;
    }
    let mut open = 0;
    for start in ["<testsuite", "<testrun", "<e:events"] {
        for at in memchr::memmem::find_iter(line, start.as_bytes()) {
            let rest = &line[at..];
            let end = memchr::memchr(b'>', rest);
            let closed = end.is_some_and(|end| rest[end - 1] == b'/');
            open += i64::from(!closed);
        }
    }
    open - count("</testsuite") - count("</testrun") - count("</e:events")
}

/// Whether a line closes a root.
fn ends(line: &[u8]) -> bool {
    ["</testsuite", "</testrun", "</e:events"]
        .iter()
        .any(|end| memchr::memmem::find(line, end.as_bytes()).is_some())
}

impl Adapter for JunitRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        JunitRun::feed(self, stream, bytes)
    }

    fn finish(self: Box<Self>, end: End) -> Report {
        JunitRun::finish(*self, end)
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod dialects;
