//! Reads `go test`: text of every style, `-json` (Go 1.19 to 1.27, alone or among plain lines,
//! also from a file), gotestsum's summary and JUnit file, and what `go vet` and `go build`
//! print.
//!
//! Ids are test names as go prints them (`TestA/sub`), the target is the package's import path.
//! A failure of a package as a whole (`TestMain`, `init`, an exit between tests) has the import
//! path as its id; a build error `file:line:col`. Only leaves fail: a parent whose subtest
//! failed is no failure of its own.
//!
//! Without `-v` go does not say how many tests a package has: each `ok` then counts as one.
//! Reruns select exactly one test, example or fuzz seed; after a build error they build the
//! package, after a failure of the package they run all of it.

mod blame;
mod build;
mod clip;
mod compile;
mod crash;
mod diff;
mod event;
mod failure;
mod finish;
mod frame;
mod left;
mod listed;
mod logged;
mod marked;
mod place;
mod reader;
mod request;
mod rerun;
mod resolve;
mod section;
mod store;
mod sum;
mod test;
#[cfg(test)]
mod tests;
mod trace;

use crate::context::Context;
use crate::event::TestEvent;
use crate::go::reader::Reader;
use crate::go::store::Store;
use crate::junit;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::report::Report;
use crate::text::Tail;
use std::collections::BTreeMap;

pub(crate) use request::request;
pub(crate) use request::tool;

/// More files than this are not read.
const MOST_FILES: usize = 200;

/// Begins to read a run.
pub(crate) fn open(context: Context) -> Box<dyn Adapter> {
    Box::new(GoRun::new(context))
}

/// A run of `go test` that is being read.
#[derive(Debug)]
struct GoRun {
    store: Store,
    output: Reader,
    errors: Reader,
    files: BTreeMap<String, File>,
    tail: Tail,
}

/// A file that was left behind.
#[derive(Debug)]
enum File {
    /// Nothing but white space yet.
    Unknown,
    /// Events or text.
    Lines(Box<Reader>),
    /// JUnit.
    Xml(junit::Document),
}

impl GoRun {
    fn new(context: Context) -> Self {
        GoRun {
            store: Store::new(context),
            output: Reader::new(false),
            errors: Reader::new(true),
            files: BTreeMap::new(),
            tail: Tail::default(),
        }
    }

    fn file(&mut self, name: &str, bytes: &[u8], events: &mut Vec<TestEvent>) {
        if self.files.len() >= MOST_FILES && !self.files.contains_key(name) {
            return;
        }
        let file = self.files.entry(name.to_owned()).or_insert(File::Unknown);
        if matches!(file, File::Unknown) {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
                None => return,
                Some(b'<') => *file = File::Xml(junit::Document::default()),
                Some(_) => *file = File::Lines(Box::new(Reader::new(false))),
            }
        }
        match file {
            File::Unknown => {}
            File::Xml(document) => document.feed(bytes),
            File::Lines(reader) => reader.feed(bytes, &mut self.store, events),
        }
    }
}

impl Adapter for GoRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        let mut events = Vec::new();
        match stream {
            Stream::File(name) => self.file(name, bytes, &mut events),
            Stream::Stderr => {
                self.tail.feed(bytes);
                self.errors.feed(bytes, &mut self.store, &mut events);
            }
            Stream::Stdout | Stream::Log => {
                self.tail.feed(bytes);
                self.output.feed(bytes, &mut self.store, &mut events);
            }
        }
        events
    }

    fn finish(self: Box<Self>, end: End) -> Report {
        finish::report(*self, &end)
    }
}
