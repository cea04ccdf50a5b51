//! Reads `node --test` and files that use node:test by themselves (node 18 to 24): regreen's
//! own reporter, `spec`, `dot`, `tap` and `junit`.
//!
//! A test's id is its titles joined by ` > `, its target the file. Tests that have tests of
//! their own, and suites, count only where they fail by themselves: counts are of leaves, unlike
//! node's own. Tests that were cancelled because their suite's hook failed count as skipped.
//! `junit` does not tell of such a suite: there the cancelled tests are what failed. What a
//! rerun selects is told in `rerun`.

mod dialect;
mod error;
mod finish;
mod path;
mod point;
mod request;
mod rerun;
mod scan;
mod spec;
mod tap;
mod xml;

pub(crate) use request::request;
pub(crate) use request::tool;

use crate::context::Context;
use crate::event::TestEvent;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::node::dialect::Node;
use crate::node::scan::Scan;
use crate::records::Records;
use crate::report::Report;
use crate::text::Tail;
use std::collections::BTreeMap;

/// The most that is kept of report files.
const MOST_FILES: usize = 64 * 1024 * 1024;

/// Begins to read a run.
pub(crate) fn open(context: Context) -> Box<dyn Adapter> {
    Box::new(NodeRun {
        records: Records::new(context.clone(), Box::new(Node)),
        out: Scan::new(context.clone()),
        err: Scan::new(context.clone()),
        context,
        files: BTreeMap::new(),
        kept: 0,
        live: false,
        tail: Tail::default(),
    })
}

#[derive(Debug)]
struct NodeRun {
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

impl Adapter for NodeRun {
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
