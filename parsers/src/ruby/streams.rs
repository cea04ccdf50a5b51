//! The files of regreen's reporters: one process, one file. `rake` starts a process for each of
//! its tasks, `parallel_tests` one for each core.

use crate::compose::Compose;
use crate::context::Context;
use crate::event::TestEvent;
use crate::live::End;
use crate::records::Dialect;
use crate::records::Records;
use crate::report::Report;
use crate::text::Tail;
use std::collections::BTreeMap;

/// More processes than this are not followed.
const MOST: usize = 500;

/// The records of every process.
#[derive(Debug)]
pub(crate) struct Streams {
    context: Context,
    dialect: fn() -> Box<dyn Dialect>,
    files: BTreeMap<String, Records>,
}

impl Streams {
    /// Begins to read.
    pub fn new(context: Context, dialect: fn() -> Box<dyn Dialect>) -> Self {
        Streams {
            context,
            dialect,
            files: BTreeMap::new(),
        }
    }

    /// Takes more bytes of one file.
    pub fn feed(&mut self, name: &str, bytes: &[u8]) -> Vec<TestEvent> {
        if !self.files.contains_key(name) && self.files.len() >= MOST {
            return Vec::new();
        }
        let (context, dialect) = (&self.context, self.dialect);
        let records = self
            .files
            .entry(name.to_owned())
            .or_insert_with(|| Records::new(context.clone(), dialect()));
        records.feed(bytes)
    }

    /// Whether anything came.
    pub fn fed(&self) -> bool {
        !self.files.is_empty()
    }

    /// Whether every process wrote its last record.
    pub fn finished(&self) -> bool {
        self.files.values().all(Records::finished)
    }

    /// The report of all processes together. `add` lays more into it before it is closed.
    pub fn report(
        mut self,
        end: &End,
        errors: &Tail,
        add: impl FnOnce(&mut Compose, bool),
    ) -> Report {
        if self.files.len() <= 1 {
            let records = self
                .files
                .pop_first()
                .map(|(_, records)| records)
                .unwrap_or_else(|| Records::new(self.context.clone(), (self.dialect)()));
            return records.report(end, errors, |compose, records| {
                add(compose, records.finished());
            });
        }
        let finished = self.finished();
        // How the one ended is not how the others did.
        let alone = match end.exit {
            Some(exit) if exit.timed_out || exit.oom => end.clone(),
            _ => End {
                exit: None,
                interrupted: end.interrupted,
            },
        };
        let mut reports = self
            .files
            .into_values()
            .map(|records| records.report(&alone, &Tail::default(), |_, _| {}));
        let mut compose = Compose::new();
        let mut framework = String::new();
        for report in reports.by_ref() {
            framework.clone_from(&report.run.framework);
            merge(&mut compose, report);
        }
        add(&mut compose, finished);
        crate::junit::settle_exit(&mut compose, end, errors, &framework);
        compose.finish(&framework, crate::report::Source::Events, end)
    }
}

/// Lays a report into another one in the making.
pub(crate) fn merge(compose: &mut Compose, report: Report) {
    let counts = report.counts;
    compose.counts.passed += counts.passed;
    compose.counts.failed += counts.failed;
    compose.counts.skipped += counts.skipped;
    compose.counts.flaky += counts.flaky;
    compose.complete &= report.complete;
    if report.outcome != crate::report::Outcome::NoTests
        && report.outcome != crate::report::Outcome::Passed
    {
        compose.outcome(report.outcome);
    }
    report
        .failures
        .into_iter()
        .for_each(|failure| compose.failure(failure));
    report
        .diagnostics
        .into_iter()
        .for_each(|one| compose.diagnostic(one));
    report.notes.into_iter().for_each(|note| compose.note(note));
}
