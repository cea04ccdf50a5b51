//! Reads Mocha (8 to 11): regreen's own witness, `json`, `json-stream`, `xunit`, `tap`, and the
//! text of `spec`, `dot`, `list`, `min` and their kin.
//!
//! A test's id is its titles joined by ` > `, its target the file. A hook's id ends with what
//! Mocha prints for it (`suite > "before each" hook for "test"`); its rerun runs the first (for
//! hooks that come after: the last) test that needs the hook. A rerun selects by file and full
//! title; two tests of one file with one full title cannot be told apart by Mocha. The forms
//! with structure join titles by blanks: where suites cannot be told apart, one part of the id
//! has several titles.

mod block;
mod dialect;
mod finish;
mod json;
mod junit;
mod part;
mod request;
mod scan;
mod tap;
mod text;
mod trouble;
mod xunit;

pub(crate) use request::request;
pub(crate) use request::tool;

use crate::context::Context;
use crate::event::TestEvent;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::mocha::dialect::Mocha;
use crate::mocha::scan::Scan;
use crate::records::Records;
use crate::report::Report;
use crate::text::Tail;
use std::collections::BTreeMap;

/// The most that is kept of report files.
const MOST_FILES: usize = 64 * 1024 * 1024;

/// Begins to read a run.
pub(crate) fn open(context: Context) -> Box<dyn Adapter> {
    Box::new(MochaRun {
        records: Records::new(context.clone(), Box::new(Mocha)),
        context,
        out: Scan::default(),
        err: Scan::default(),
        files: BTreeMap::new(),
        kept: 0,
        live: false,
        tail: Tail::default(),
    })
}

#[derive(Debug)]
struct MochaRun {
    context: Context,
    records: Records,
    out: Scan,
    err: Scan,
    files: BTreeMap<String, Vec<u8>>,
    kept: usize,
    /// Events were to come: standard output is apart, or some of them came.
    live: bool,
    tail: Tail,
}

impl Adapter for MochaRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        match stream {
            Stream::File(name) if name.ends_with(".ndjson") => {
                self.live = true;
                return self.records.feed(bytes);
            }
            Stream::File(name) => {
                let room = MOST_FILES.saturating_sub(self.kept);
                let bytes = &bytes[..bytes.len().min(room)];
                self.kept += bytes.len();
                self.files
                    .entry(name.to_owned())
                    .or_default()
                    .extend_from_slice(bytes);
            }
            Stream::Stderr => {
                self.tail.feed(bytes);
                self.err.feed(bytes);
            }
            Stream::Stdout | Stream::Log => {
                self.live |= stream == Stream::Stdout;
                self.tail.feed(bytes);
                self.out.feed(bytes);
            }
        }
        Vec::new()
    }

    fn finish(self: Box<Self>, end: End) -> Report {
        self.report(&end)
    }
}
