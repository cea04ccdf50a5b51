//! Reads Python's unittest: regreen's reporter, text, xmlrunner's files; also as Django,
//! `coverage run` and a project's own script start it.
//!
//! The id is what `TestCase.id()` says and what selects the test: `tests.m.C.test_x`, with the
//! words of a subtest behind a space (`tests.m.C.test_x [message] (i=1)`). Fixtures are named
//! as they are printed: `setUpClass (tests.m.C)`, `tearDownModule (tests.m)`. A module that
//! cannot be loaded has its file as the id. unittest does not say which side of a comparison
//! is expected, so that a diff has a left and a right side; doctest and mock do say it.
//!
//! # The reporter
//!
//! `PYTHONPATH=DIR REGREEN_EVENTS=FILE` is all that is asked for: DIR has a `sitecustomize`
//! that takes up the reporter (python >= 3.6) as soon as a process loads unittest, and goes on
//! with the machine's own `sitecustomize`. So every way of starting tests is reached, through
//! make, tox or a script of the project's. It switches `--failfast` off. Each run of tests, in
//! one process or several, has a file of its own: `regreen.ndjson`, `regreen.1.ndjson`, ….
//! Python started with `-I`, `-E` or `-S` is not reached; then the text has to do.
//!
//! # Reruns
//!
//! `python -m unittest tests.m.C.test_x`; where tests are discovered in another directory
//! (`discover -s DIR`) `-k '*tests.m.C.test_x'`, and `C.test_x` for a script that ends in
//! `unittest.main()`. A subtest is run again with its test. Doctests and bare functions have
//! no name by which they could be selected: the whole command is run.

mod dialect;
mod failure;
mod finish;
mod judge;
mod names;
mod text;
mod xml;

use crate::context::Context;
use crate::event::TestEvent;
use crate::junit::Document;
use crate::lines::Lines;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::records::EVENTS_FILE;
use crate::records::EVENTS_VARIABLE;
use crate::records::Records;
use crate::report::Report;
use crate::request::Asked;
use crate::request::Request;
use crate::text::Tail;
use crate::unittest::dialect::Python;
use crate::unittest::text::Reader;
use std::collections::BTreeMap;

pub(crate) use dialect::tool;

const REPORTER: &str = include_str!("../../reporters/regreen_unittest.py");
const SITECUSTOMIZE: &str = include_str!("../../reporters/regreen_sitecustomize.py");
/// More files than this are not read.
const MOST_FILES: usize = 2_000;

/// Begins to read a run.
pub(crate) fn open(context: Context) -> Box<dyn Adapter> {
    Box::new(UnittestRun {
        context,
        records: BTreeMap::new(),
        xml: BTreeMap::new(),
        inline: Document::default(),
        live: false,
        output: Lines::default(),
        errors: Lines::default(),
        text: Reader::default(),
        error_text: Reader::default(),
        tail: Tail::of(64 * 1024),
        error_tail: Tail::of(64 * 1024),
    })
}

/// Asks for structure: nothing but the environment, so that any command will do.
pub(crate) fn request(asked: &Asked<'_>) -> Request {
    let path = match asked.own("PYTHONPATH") {
        Some(own) if !own.is_empty() => format!("{}:{own}", asked.places.inject),
        _ => asked.places.inject.to_owned(),
    };
    let events = format!("{}/{EVENTS_FILE}", asked.places.events);
    Request::plain(asked.argv)
        .set("PYTHONPATH", path)
        .set(EVENTS_VARIABLE, events)
        .set("PYTHON_COLORS", "0")
        .file("regreen_unittest.py", REPORTER)
        .file("sitecustomize.py", SITECUSTOMIZE)
}

/// A run that is being read.
#[derive(Debug)]
struct UnittestRun {
    context: Context,
    records: BTreeMap<String, Records>,
    xml: BTreeMap<String, Document>,
    /// A log that is itself an XML document.
    inline: Document,
    live: bool,
    output: Lines,
    errors: Lines,
    text: Reader,
    error_text: Reader,
    tail: Tail,
    error_tail: Tail,
}

impl Adapter for UnittestRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        match stream {
            Stream::File(name) if name.ends_with(".xml") => {
                if self.xml.len() < MOST_FILES || self.xml.contains_key(name) {
                    self.xml.entry(name.to_owned()).or_default().feed(bytes);
                }
            }
            Stream::File(name) => {
                if self.records.len() < MOST_FILES || self.records.contains_key(name) {
                    let context = &self.context;
                    let records = self.records.entry(name.to_owned());
                    return records
                        .or_insert_with(|| Records::new(context.clone(), Box::new(Python)))
                        .feed(bytes);
                }
            }
            Stream::Stderr => {
                self.live = true;
                self.error_tail.feed(bytes);
                let reader = &mut self.error_text;
                self.errors.each(bytes, |line| reader.line(line));
            }
            Stream::Stdout | Stream::Log => {
                self.live |= stream == Stream::Stdout;
                self.tail.feed(bytes);
                if self.inline.may_be_xml() {
                    self.inline.feed(bytes);
                }
                let reader = &mut self.text;
                self.output.each(bytes, |line| reader.line(line));
            }
        }
        Vec::new()
    }

    fn finish(self: Box<Self>, end: End) -> Report {
        self.report(&end)
    }
}

#[cfg(test)]
mod tests;
