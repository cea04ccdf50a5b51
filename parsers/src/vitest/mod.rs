//! Reads Vitest (1 to 4): regreen's own reporter, the `json` and `junit` reporters in the log or
//! as files, text of the styles default, verbose, basic, tree and dot, `tap` and `tap-flat`.
//!
//! A test's id is its titles joined by ` > `, its target the file. A suite that a hook failed
//! has its titles, a file that failed as such the file, an unhandled error Vitest's heading
//! (`Unhandled Rejection`) as the id. The `json` and `junit` reporters lose unhandled errors and
//! why suites failed: where the text is there, too, both are read. A rerun selects by file and
//! full title.

mod dialect;
mod finish;
mod request;
mod running;
mod scan;
mod tap;
mod text;

pub(crate) use request::request;
pub(crate) use request::tool;

use crate::context::Context;
use crate::event::TestEvent;
use crate::js::sessions::Sessions;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::report::Report;
use crate::text::Tail;
use crate::vitest::dialect::Vitest;
use crate::vitest::running::Running;
use crate::vitest::scan::Scan;
use std::collections::BTreeMap;

/// The most that is kept of report files.
const MOST_FILES: usize = 64 * 1024 * 1024;

/// Begins to read a run.
pub(crate) fn open(context: Context) -> Box<dyn Adapter> {
    Box::new(VitestRun {
        records: Sessions::new(context.clone(), || Box::new(Vitest)),
        running: Running::default(),
        out: Scan::with_tap(context.clone()),
        context,
        err: Scan::default(),
        files: BTreeMap::new(),
        kept: 0,
        tail: Tail::default(),
    })
}

#[derive(Debug)]
struct VitestRun {
    context: Context,
    records: Sessions,
    running: Running,
    out: Scan,
    err: Scan,
    files: BTreeMap<String, Vec<u8>>,
    kept: usize,
    tail: Tail,
}

impl Adapter for VitestRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        match stream {
            Stream::File(name) if name.ends_with(".ndjson") => {
                return self.records.feed(name, bytes);
            }
            Stream::File(name) if name.ends_with(".running") => self.running.feed(bytes),
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
