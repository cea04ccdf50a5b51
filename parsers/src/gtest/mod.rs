//! Reads GoogleTest: its text (whole, brief, coloured, repeated, shuffled, sharded), its JSON
//! and XML files, both together.
//!
//! Ids are `Suite.Name` as a filter selects them (`Nums/P.Even/1`, `Typed/0.Size`), without the
//! parameter's value. A test is one failure, however many of its assertions failed: the first
//! one gives kind, message, sides and place, all stand in the details. A suite whose
//! `SetUpTestSuite` or `TearDownTestSuite` fails has its own name as the id, the environment
//! `NonTestSuiteFailure`. A failed assertion in `SetUp()` is an assertion of its test,
//! unless the source can be read and shows where it stands: GoogleTest does not say it. A rerun filters (`--gtest_filter`, or `GTEST_FILTER`
//! where the binary is started by another command).

pub(crate) mod block;
pub(crate) mod document;
pub(crate) mod failure;
pub(crate) mod program;
pub(crate) mod text;

pub(crate) mod merge;
pub(crate) mod settle;

mod ask;
mod mark;
mod within;

pub(crate) use ask::environment;
pub(crate) use ask::request;
pub(crate) use ask::rerun;
pub(crate) use ask::tool;

use crate::cc;
use crate::compose;
use crate::context::Context;
use crate::event::TestEvent;
use crate::gtest::document::Document;
use crate::gtest::failure::Places;
use crate::gtest::text::News;
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

/// Begins to read a run.
pub(crate) fn open(context: Context) -> Box<dyn Adapter> {
    Box::new(GtestRun::new(context))
}

/// A run of GoogleTest that is being read.
#[derive(Debug)]
struct GtestRun {
    context: Context,
    lines: Lines,
    error_lines: Lines,
    reader: text::Reader,
    /// The build's messages before the first test; those of standard error apart, because
    /// nobody knows when they came.
    build: cc::Reader,
    build_errors: cc::Reader,
    /// A report as the log itself.
    inline: Inline,
    files: BTreeMap<String, Document>,
    tail: Tail,
    error_tail: Tail,
    /// How many failures have been told.
    told: usize,
    /// The bytes came live, so the files were asked for.
    live: bool,
    /// A log was given, perhaps an empty one: report files may be all there is.
    pasted: bool,
}

/// A report file that somebody gives as the log.
#[derive(Debug, Default)]
struct Inline {
    document: Document,
    state: Inlined,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Inlined {
    #[default]
    Unknown,
    Yes,
    No,
}

impl Inline {
    fn feed(&mut self, bytes: &[u8]) {
        if self.state == Inlined::No {
            return;
        }
        self.document.feed(bytes);
        if self.state == Inlined::Unknown {
            let kept = self.document.bytes();
            let start = kept.strip_prefix(b"\xef\xbb\xbf").unwrap_or(kept);
            let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
            self.state = match first {
                Some(b'{' | b'<') => Inlined::Yes,
                Some(b'\xef') if kept.len() < 3 => Inlined::Unknown,
                Some(_) => Inlined::No,
                None => Inlined::Unknown,
            };
            if self.state == Inlined::No {
                self.document = Document::default();
            }
        }
    }
}

impl GtestRun {
    fn new(context: Context) -> Self {
        GtestRun {
            context,
            lines: Lines::default(),
            error_lines: Lines::default(),
            reader: text::Reader::default(),
            build: cc::Reader::default(),
            build_errors: cc::Reader::default(),
            inline: Inline::default(),
            files: BTreeMap::new(),
            tail: Tail::of(64 * 1024),
            error_tail: Tail::of(64 * 1024),
            told: 0,
            live: false,
            pasted: false,
        }
    }

    fn output(&mut self, bytes: &[u8]) {
        self.inline.feed(bytes);
        self.tail.feed(bytes);
        let GtestRun {
            lines,
            reader,
            build,
            context,
            ..
        } = self;
        lines.each(bytes, |seen| line(reader, build, &seen, context));
    }

    fn errors(&mut self, bytes: &[u8]) {
        self.error_tail.feed(bytes);
        let GtestRun {
            error_lines,
            build_errors,
            context,
            ..
        } = self;
        error_lines.each(bytes, |seen| build_errors.line(&seen, context));
    }

    fn events(&mut self) -> Vec<TestEvent> {
        let context = &self.context;
        let told = &mut self.told;
        let news = self.reader.news().into_iter();
        let events = news.map(|news| match news {
            News::Planned(total) => TestEvent::Planned { total },
            News::Started(id) => TestEvent::Started { target: None, id },
            News::Passed(id) => TestEvent::Passed { target: None, id },
            News::Skipped(id) => TestEvent::Skipped { target: None, id },
            News::Failed(case) if *told >= compose::MOST_FAILURES => {
                TestEvent::Failed(Box::new(compose::unlisted(&case.id, None)))
            }
            News::Failed(case) => {
                *told += 1;
                let mut places = Places::default();
                places.learn(&case.blocks);
                let mut failure = failure::of_case(&case, &places, context);
                failure.rerun = rerun(&failure.id, context);
                TestEvent::Failed(Box::new(failure))
            }
        });
        events.collect()
    }
}

/// What the build says counts before the first test only: later it is a test that says it.
fn line(reader: &mut text::Reader, build: &mut cc::Reader, seen: &Seen<'_>, context: &Context) {
    reader.line(seen);
    if !reader.began() {
        build.line(seen, context);
    }
}

impl Adapter for GtestRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        match stream {
            Stream::File(name) => {
                if self.files.len() < MOST_FILES || self.files.contains_key(name) {
                    self.files.entry(name.to_owned()).or_default().feed(bytes);
                }
                return Vec::new();
            }
            Stream::Stderr => {
                self.live = true;
                self.errors(bytes);
            }
            Stream::Stdout => {
                self.live = true;
                self.output(bytes);
            }
            Stream::Log => {
                self.pasted = true;
                self.output(bytes);
            }
        }
        self.events()
    }

    fn finish(mut self: Box<Self>, end: End) -> Report {
        if let Some(rest) = self.lines.finish() {
            let seen = rest.seen();
            line(&mut self.reader, &mut self.build, &seen, &self.context);
        }
        if let Some(rest) = self.error_lines.finish() {
            self.build_errors.line(&rest.seen(), &self.context);
        }
        settle::report(*self, &end)
    }
}

#[cfg(test)]
mod tests;
