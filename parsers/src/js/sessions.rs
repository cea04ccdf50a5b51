//! The records of one command: a script may start its runner several times, one after the
//! other (`jest unit && jest e2e`), and each start writes a file of its own.

use crate::compose::Compose;
use crate::context::Context;
use crate::event::TestEvent;
use crate::live::End;
use crate::records::Dialect;
use crate::records::Records;
use crate::report::Outcome;
use crate::report::Report;
use crate::text::Tail;
use std::collections::BTreeMap;

/// More starts than this are not followed.
const MOST: usize = 200;

/// The records of every start.
#[derive(Debug)]
pub(crate) struct Sessions {
    context: Context,
    dialect: fn() -> Box<dyn Dialect>,
    all: BTreeMap<String, Records>,
}

impl Sessions {
    /// Begins to read.
    pub fn new(context: Context, dialect: fn() -> Box<dyn Dialect>) -> Self {
        Sessions {
            context,
            dialect,
            all: BTreeMap::new(),
        }
    }

    /// Takes more bytes of one file.
    pub fn feed(&mut self, name: &str, bytes: &[u8]) -> Vec<TestEvent> {
        let new = !self.all.contains_key(name);
        if bytes.is_empty() || new && self.all.len() >= MOST {
            return Vec::new();
        }
        let new = || Records::new(self.context.clone(), (self.dialect)());
        let records = self.all.entry(name.to_owned()).or_insert_with(new);
        records.feed(bytes)
    }

    /// Whether a runner wrote anything: whatever it is, it is not passed over.
    pub fn began(&self) -> bool {
        !self.all.is_empty()
    }

    /// The report of all starts together.
    pub fn report(self, end: &End, errors: &Tail, add: impl Fn(&mut Compose)) -> Option<Report> {
        let all: Vec<Records> = self.all.into_values().collect();
        let several = all.len() > 1;
        // The command's end is that of the start that has none itself, if there is one.
        let open = all.iter().any(|records| !records.finished());
        let failed = all.iter().any(|records| !records.failures().is_empty());
        let mut left = all.len();
        let reports = all.into_iter().map(|records| {
            left -= 1;
            let theirs = match (several, open) {
                (false, _) => true,
                (true, true) => !records.finished(),
                (true, false) => left == 0 && !failed,
            };
            let of = match theirs {
                true => end.clone(),
                false => End::default(),
            };
            records.report(&of, errors, |compose, _| {
                if theirs {
                    add(compose);
                }
            })
        });
        let mut whole = reports.reduce(plus)?;
        whole.run.exit = end.exit;
        whole.group();
        Some(whole)
    }
}

/// Two reports as one.
fn plus(mut one: Report, two: Report) -> Report {
    one.outcome = match (one.outcome, two.outcome) {
        (Outcome::NoTests, Outcome::Passed) | (Outcome::Passed, Outcome::NoTests) => {
            Outcome::Passed
        }
        (first, second) => first.min(second),
    };
    one.complete &= two.complete;
    one.counts = one.counts.plus(two.counts);
    one.failures.extend(two.failures);
    one.diagnostics.extend(two.diagnostics);
    one.notes.extend(two.notes);
    one
}
