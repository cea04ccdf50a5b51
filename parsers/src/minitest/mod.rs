//! Reads minitest 5 and 6: regreen's reporter, JUnit files, text, also that of Rails.
//!
//! A test's id is `Class#test_name` as minitest prints it (`TillTest#test_adds`, of the spec
//! style `Till::when open#test_0001_adds two`), its target is its file. A rerun is
//! `ruby -Ilib -Itest FILE -n ID`, or what the suite itself has in place of
//! `ruby -Ilib -Itest` (`bin/rails test`, `bundle exec ruby -w -Itest`). Where only text is at
//! hand and the assertion stands in a helper, the test's file is not known, and the rerun loads
//! every file below `test/`.
//!
//! The reporter comes by `RUBYOPT`, because nothing else goes through every way of starting
//! minitest; it waits for `Minitest.autorun`. A test that fails and whose `teardown` fails too
//! is one failed test with two failures. Whether a step before or after a test failed is read
//! from the backtrace; an assertion has none in text, so that there the source is asked.

mod block;
mod events;
mod finish;
mod message;
mod rerun;
mod text;

pub(crate) use rerun::request;
pub(crate) use rerun::tool;

use crate::context::Context;
use crate::event::TestEvent;
use crate::junit::Document;
use crate::lines::Lines;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::minitest::events::Minitest;
use crate::report::Report;
use crate::ruby::streams::Streams;
use crate::ruby::uncaught;
use crate::text::Tail;
use std::collections::BTreeMap;

/// More files than this are not read.
const MOST_FILES: usize = 10_000;

/// Begins to read a run.
pub(crate) fn open(context: Context) -> Box<dyn Adapter> {
    Box::new(Run {
        streams: Streams::new(context.clone(), Minitest::dialect),
        live: false,
        context,
        xml: BTreeMap::new(),
        lines: Lines::default(),
        errors: Lines::default(),
        text: text::Reader::default(),
        uncaught: uncaught::Reader::default(),
        tail: Tail::default(),
    })
}

/// A run of minitest that is being read.
#[derive(Debug)]
struct Run {
    context: Context,
    streams: Streams,
    /// A run of regreen's own: its reporter was asked for.
    live: bool,
    xml: BTreeMap<String, Document>,
    lines: Lines,
    errors: Lines,
    text: text::Reader,
    uncaught: uncaught::Reader,
    tail: Tail,
}

impl Adapter for Run {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        match stream {
            Stream::File(name) if name.ends_with(".ndjson") => {
                return self.streams.feed(name, bytes);
            }
            Stream::File(name) => {
                if name.ends_with(".xml")
                    && (self.xml.len() < MOST_FILES || self.xml.contains_key(name))
                {
                    self.xml.entry(name.to_owned()).or_default().feed(bytes);
                }
            }
            Stream::Stderr => {
                self.tail.feed(bytes);
                let Run {
                    errors,
                    text,
                    uncaught,
                    ..
                } = self;
                errors.each(bytes, |seen| {
                    // Only what minitest itself prints there.
                    text.interrupted |= seen.bytes == b"Interrupted. Exiting...";
                    uncaught.line(seen.bytes);
                });
            }
            Stream::Stdout | Stream::Log => {
                self.live |= stream == Stream::Stdout;
                self.tail.feed(bytes);
                let Run {
                    lines,
                    text,
                    uncaught,
                    ..
                } = self;
                lines.each(bytes, |seen| {
                    text.line(&seen);
                    uncaught.line(seen.bytes);
                });
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
