//! Reads RSpec 3: regreen's reporter, `--format json`, JUnit files, text.
//!
//! An example's id is its full description as RSpec prints it (`Calculator adds two`), its
//! target is the spec file; two examples may have one description. A rerun names RSpec's own id
//! (`./spec/a_spec.rb[1:2]`), which selects exactly one example; of text alone the place that
//! `Failed examples:` prints, and for an example of a shared group the file with
//! `-e DESCRIPTION`. A file that cannot be loaded has its path as the id; hooks of the suite and
//! `after(:context)` are called `after(:context) hook`: RSpec names nothing else.
//!
//! The parts of an `aggregate_failures` are one failure, told by its first part. Where a hook
//! after a failed example fails too, that is a failure of its own, as far as the material shows
//! that it was a hook: the reporter's backtraces and JSON do, of text the source does, or the
//! line that stands above the example. `exit` in an example ends RSpec with that status and
//! without a failure; the reporter and JSON show the example that has no result, and of text the
//! missing progress mark, where nothing else was printed.

mod block;
mod events;
mod finish;
mod json;
mod message;
mod request;
mod text;
mod xml;

pub(crate) use block::syntax_line;
pub(crate) use finish::explain;
pub(crate) use request::SHARED;
pub(crate) use request::request;
pub(crate) use request::tool;

use crate::context::Context;
use crate::event::TestEvent;
use crate::junit::Document as Xml;
use crate::lines::Lines;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::report::Report;
use crate::rspec::events::Rspec;
use crate::ruby::streams::Streams;
use crate::ruby::uncaught;
use crate::text::Tail;
use std::collections::BTreeMap;

/// More of a file is not kept.
const MOST_FILE: usize = 128 * 1024 * 1024;
/// More files than this are not read.
const MOST_FILES: usize = 1000;

/// Begins to read a run.
pub(crate) fn open(context: Context) -> Box<dyn Adapter> {
    Box::new(Run {
        streams: Streams::new(context.clone(), Rspec::dialect),
        context,
        ..Run::empty()
    })
}

/// A run of RSpec that is being read.
#[derive(Debug)]
struct Run {
    context: Context,
    streams: Streams,
    /// A run of regreen's own: its reporter was asked for.
    live: bool,
    files: BTreeMap<String, Vec<u8>>,
    lines: Lines,
    errors: Lines,
    text: text::Reader,
    json: json::Finder,
    xml: xml::Finder,
    uncaught: uncaught::Reader,
    tail: Tail,
}

impl Run {
    fn empty() -> Self {
        Run {
            context: Context::default(),
            streams: Streams::new(Context::default(), Rspec::dialect),
            live: false,
            files: BTreeMap::new(),
            lines: Lines::default(),
            errors: Lines::default(),
            text: text::Reader::default(),
            json: json::Finder::default(),
            xml: xml::Finder::default(),
            uncaught: uncaught::Reader::default(),
            tail: Tail::default(),
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        let Run {
            lines,
            text,
            json,
            xml,
            uncaught,
            ..
        } = self;
        lines.each(bytes, |seen| {
            if !xml.line(seen.bytes) && !json.line(&seen, text.count) {
                text.line(&seen);
                uncaught.line(seen.bytes);
            }
        });
    }

    fn read_errors(&mut self, bytes: &[u8]) {
        let Run {
            errors,
            text,
            uncaught,
            ..
        } = self;
        errors.each(bytes, |seen| {
            // Only what RSpec itself prints there.
            if seen.bytes.starts_with(b"invalid option: ") || seen.bytes.starts_with(b"RSpec is ") {
                text.line(&seen);
            }
            uncaught.line(seen.bytes);
        });
    }

    fn file(&mut self, name: &str, bytes: &[u8]) {
        if self.files.len() >= MOST_FILES && !self.files.contains_key(name) {
            return;
        }
        let kept = self.files.entry(name.to_owned()).or_default();
        let room = MOST_FILE.saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// The files that are no events: a JSON document, JUnit XML.
    fn documents(&mut self) -> (Option<json::Document>, Vec<Xml>) {
        let (mut document, mut xml) = (None, Vec::new());
        for bytes in std::mem::take(&mut self.files).into_values() {
            match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
                Some(b'<') => {
                    let mut one = Xml::default();
                    one.feed(&bytes);
                    xml.push(one);
                }
                _ => document = json::of_file(&bytes).or(document),
            }
        }
        (document, xml)
    }
}

impl Adapter for Run {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        match stream {
            Stream::File(name) if name.ends_with(".ndjson") => {
                return self.streams.feed(name, bytes);
            }
            Stream::File(name) => self.file(name, bytes),
            Stream::Stderr => {
                self.tail.feed(bytes);
                self.read_errors(bytes);
            }
            Stream::Stdout | Stream::Log => {
                self.live |= stream == Stream::Stdout;
                self.tail.feed(bytes);
                self.read(bytes);
            }
        }
        Vec::new()
    }

    fn finish(self: Box<Self>, end: End) -> Report {
        finish::finish(*self, &end)
    }
}

#[cfg(test)]
mod tests;
