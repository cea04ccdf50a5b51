//! Reports in the formats of other tools. Native facts that a format has no place for go under
//! a key of regreen's own, or are left out.

mod annotations;
mod ctrf;
mod junit;

pub use annotations::github;
pub use annotations::quickfix;
pub use ctrf::ctrf;
pub use junit::junit;

use crate::report::Outcome;
use crate::report::Report;

/// A test that did not fail: reports list only failures, these formats want every test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// The target that holds it.
    pub target: Option<String>,
    /// The test's id.
    pub id: String,
    /// Skipped, else passed.
    pub skipped: bool,
}

/// A report and the tests of it that did not fail, as far as somebody kept them.
#[derive(Debug, Clone, Copy)]
pub struct Exported<'a> {
    /// The report.
    pub report: &'a Report,
    /// Tests that passed or were skipped.
    pub others: &'a [Other],
}

impl Exported<'_> {
    fn suite(&self) -> &str {
        let run = &self.report.run;
        let name = run.suite.as_deref().unwrap_or(&run.framework);
        // Not every format can bear an empty name.
        if name.is_empty() { "tests" } else { name }
    }

    /// How many entries are failures: those listed, of which one test may have several and an
    /// error of a compiler is no test, and those that are counted only.
    fn failed(&self) -> u64 {
        let listed = self.report.failures.len() as u64 + u64::from(self.unlisted().is_some());
        self.report.counts.failed.max(listed)
    }

    /// What has to be said of a run that is not green though no failure is listed (nothing ran,
    /// the arguments were refused, the end is missing): whoever reads these formats takes a
    /// document without failures for a success.
    fn unlisted(&self) -> Option<String> {
        let report = self.report;
        if report.is_green() || !report.failures.is_empty() {
            return None;
        }
        let what = match report.outcome {
            Outcome::Passed => "the run is not complete".to_owned(),
            outcome => format!("the run ended as {}", outcome.as_str()),
        };
        Some(match report.notes.first() {
            Some(note) => format!("{what}: {}", note.message),
            None => what,
        })
    }
}

/// Milliseconds since the epoch of an RFC 3339 time in UTC; 0 when it is none.
fn millis(text: Option<&str>) -> i64 {
    parse_time(text.unwrap_or_default()).unwrap_or(0)
}

fn parse_time(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let millis = number(20..23).unwrap_or(0);
    // Days since the epoch by the proleptic Gregorian calendar, with years that begin in March.
    let shifted = if month > 2 { year } else { year - 1 };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + millis)
}

#[cfg(test)]
mod tests;
