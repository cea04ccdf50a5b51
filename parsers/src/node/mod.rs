//! Reads `node --test` and files that use node:test by themselves (node 18 to 24).
mod dialect;
mod request;
mod rerun;

pub(crate) use request::request;
pub(crate) use request::tool;

use crate::context::Context;
use crate::event::TestEvent;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::node::dialect::Node;
use crate::records::Records;
use crate::report::Report;
use crate::text::Tail;

/// Begins to read a run.
pub(crate) fn open(context: Context) -> Box<dyn Adapter> {
    Box::new(NodeRun {
        records: Records::new(context.clone(), Box::new(Node)),
        tail: Tail::default(),
    })
}

#[derive(Debug)]
struct NodeRun {
    records: Records,
    tail: Tail,
}

impl Adapter for NodeRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        match stream {
            Stream::File(name) if name.ends_with(".ndjson") => return self.records.feed(bytes),
            Stream::File(_) => {}
            _ => self.tail.feed(bytes),
        }
        Vec::new()
    }

    fn finish(self: Box<Self>, end: End) -> Report {
        self.records.report(&end, &self.tail, |_, _| {})
    }
}
