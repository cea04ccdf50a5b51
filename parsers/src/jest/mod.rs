//! Reads Jest (27 to 30): regreen's own reporter, `--json` in the log or as a file, JUnit files
//! of jest-junit, text.
//!
//! A test's id is its titles joined by ` > `, its target the file; what is a file's own (it
//! cannot be loaded, an `afterAll` failed, its worker died) has the file as its id. Text joins
//! titles by ` › `: a title that holds that is taken apart unless the tree of `--verbose` tells
//! better. A rerun selects by file and full title; two tests of one file with one full title
//! cannot be told apart by Jest. A failing `beforeAll` fails every test below it, as Jest has it.

mod dialect;
mod finish;
mod request;
mod scan;
mod text;
mod tree;

pub(crate) use dialect::refine;
pub(crate) use request::request;
pub(crate) use request::tool;

use crate::context::Context;
use crate::event::TestEvent;
use crate::jest::dialect::Jest;
use crate::jest::scan::Scan;
use crate::js::sessions::Sessions;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::report::Report;
use crate::text::Tail;
use std::collections::BTreeMap;

/// The most that is kept of report files.
const MOST_FILES: usize = 64 * 1024 * 1024;

/// Begins to read a run.
pub(crate) fn open(context: Context) -> Box<dyn Adapter> {
    Box::new(JestRun {
        records: Sessions::new(context.clone(), || Box::new(Jest)),
        context,
        out: Scan::default(),
        err: Scan::default(),
        files: BTreeMap::new(),
        kept: 0,
        tail: Tail::default(),
    })
}

#[derive(Debug)]
struct JestRun {
    context: Context,
    records: Sessions,
    out: Scan,
    err: Scan,
    files: BTreeMap<String, Vec<u8>>,
    kept: usize,
    tail: Tail,
}

impl Adapter for JestRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        match stream {
            Stream::File(name) if name.ends_with(".ndjson") => {
                return self.records.feed(name, bytes);
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
