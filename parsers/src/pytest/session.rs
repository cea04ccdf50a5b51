//! Follows the reporter's records and checks that they hold together.
//!
//! Records are numbered, the collected ids are known before the first test begins, every test
//! begins once and ends each of its phases once, and the finish is the last. What does not fit
//! was written by something else, or is missing.

use crate::pytest::record::PhaseReport;
use crate::pytest::record::Record;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// More tests than this are not followed.
const MOST_TESTS: usize = 500_000;
/// More contradictions than this are not described.
const MOST_FAULTS: usize = 5;

/// How a test came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Result {
    /// Every phase passed.
    Passed,
    /// A phase failed.
    Failed,
    /// Skipped, failed as expected, or only set up (`--setup-plan`): its body did not run.
    Skipped,
}

#[derive(Debug, Default)]
struct Test {
    phases: Vec<String>,
    failed: bool,
    skipped: bool,
    failed_subtests: bool,
    reruns: u32,
    over: bool,
}

impl Test {
    fn result(&self) -> Result {
        if self.failed {
            Result::Failed
        } else if self.skipped || !self.phases.iter().any(|phase| phase == "call") {
            Result::Skipped
        } else {
            Result::Passed
        }
    }
}

/// What a report made known.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// Nothing new.
    Nothing,
    /// A phase failed: a failure is to be reported.
    Failed,
    /// The test is over.
    Over(Result),
    /// Both.
    FailedAndOver,
}

/// The session as the records tell it.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// Whether the first record came.
    pub began: bool,
    /// Whether the finish came.
    pub finished: bool,
    /// Pytest's exit status as the reporter saw it.
    pub status: Option<i32>,
    /// Why pytest stopped early (`-x`, `--maxfail`).
    pub stop: Option<String>,
    /// What interrupted it.
    pub interrupt: Option<String>,
    /// It was pytest itself, between two tests.
    pub orderly: bool,
    /// Tests are only collected, not run.
    pub collect_only: bool,
    /// Tests that were deselected.
    pub deselected: u64,
    next: u64,
    collected: Option<BTreeSet<String>>,
    total: u64,
    tests: BTreeMap<String, Test>,
    running: Vec<String>,
    faults: Vec<String>,
}

impl Session {
    /// Checks the number of a record that has arrived.
    pub fn number(&mut self, n: u64) {
        if n != self.next {
            self.fault(format!("record {n} came where {} belongs", self.next));
        }
        if self.finished {
            self.fault("a record came after the last".to_owned());
        }
        self.next = n.saturating_add(1);
    }

    /// Something came that is no record.
    pub fn unreadable(&mut self) {
        self.fault("a line came that is no record".to_owned());
    }

    /// Takes what is about the session as a whole.
    pub fn take(&mut self, record: &Record) {
        match record {
            Record::Session { version, .. } => {
                if self.began {
                    self.fault("the session began twice".to_owned());
                }
                if *version != 1 {
                    self.fault(format!("the reporter's version is {version}"));
                }
                self.began = true;
            }
            Record::Collected { ids, total } => {
                if self.collected.is_some() {
                    self.fault("the tests were collected twice".to_owned());
                }
                self.total = *total;
                self.collected = Some(ids.iter().take(MOST_TESTS).cloned().collect());
            }
            Record::Config { collect_only, .. } => self.collect_only = *collect_only,
            Record::Deselected { total } => {
                self.deselected = self.deselected.saturating_add(*total);
            }
            Record::Interrupt { kind, message } => {
                self.orderly = kind == "Interrupted";
                self.interrupt = Some(match message.is_empty() {
                    true => kind.clone(),
                    false => format!("{kind}: {message}"),
                });
            }
            Record::Ending { status, stop } => {
                self.status = Some(*status);
                self.stop.clone_from(stop);
            }
            Record::Finish { status, records } => {
                if records.saturating_add(1) != self.next {
                    self.fault("the last record counts the others wrongly".to_owned());
                }
                if *status != self.status {
                    self.fault("the exit status is told in two ways".to_owned());
                }
                self.finished = true;
            }
            _ => {}
        }
        if !self.began {
            self.fault("the first record is missing".to_owned());
        }
    }

    /// A test begins.
    pub fn start(&mut self, id: &str) {
        if self.status.is_some() {
            self.fault(format!("`{id}` began after the end"));
        }
        let Some(collected) = &self.collected else {
            self.fault(format!("`{id}` began before the tests were collected"));
            return;
        };
        if !collected.contains(id) && collected.len() < MOST_TESTS {
            self.fault(format!("`{id}` was not collected"));
        }
        if let Some(test) = self.tests.get_mut(id) {
            // The reporter's file may have been told of a repetition, or of a forgery; only a
            // plugin that repeats says so by its own outcome.
            let again = test.reruns > 0;
            test.over = false;
            test.phases.clear();
            if !again {
                self.fault(format!("`{id}` began twice"));
            }
        } else if self.tests.len() < MOST_TESTS {
            self.tests.insert(id.to_owned(), Test::default());
        }
        if !self.running.iter().any(|running| running == id) {
            self.running.push(id.to_owned());
        }
    }

    /// A phase of a test ended.
    pub fn report(&mut self, report: &PhaseReport) -> Step {
        if self.status.is_some() {
            self.fault(format!("`{}` has a result after the end", report.id));
        }
        if !self.tests.contains_key(&report.id) {
            self.fault(format!("`{}` has a result without having begun", report.id));
            if self.tests.len() >= MOST_TESTS {
                return Step::Nothing;
            }
            self.tests.insert(report.id.clone(), Test::default());
        }
        let Some(test) = self.tests.get_mut(&report.id) else {
            return Step::Nothing;
        };
        if report.outcome == "rerun" {
            test.reruns += 1;
            test.phases.clear();
            return Step::Nothing;
        }
        if report.subtest.is_some() {
            let failed = report.outcome == "failed";
            test.failed |= failed;
            test.failed_subtests |= failed;
            return if failed { Step::Failed } else { Step::Nothing };
        }
        let wrong = out_of_order(test, &report.when);
        test.phases.push(report.when.clone());
        let failed = report.outcome == "failed";
        // A parent that fails because its subtests did is not a failure of its own.
        let child = failed && test.failed_subtests && of_subtests(report);
        test.failed |= failed;
        test.skipped |= report.outcome == "skipped";
        let over = matches!(report.when.as_str(), "teardown" | "???") && !test.over;
        test.over |= over;
        let result = test.result();
        if wrong {
            self.fault(format!(
                "`{}` has results out of order ({})",
                report.id, report.when
            ));
        }
        if over {
            self.running.retain(|running| *running != report.id);
        }
        match (failed && !child, over) {
            (true, true) => Step::FailedAndOver,
            (true, false) => Step::Failed,
            (false, true) => Step::Over(result),
            (false, false) => Step::Nothing,
        }
    }

    /// The tests that have begun and are not over, oldest first.
    pub fn running(&self) -> &[String] {
        &self.running
    }

    /// How many tests were collected.
    pub fn collected(&self) -> Option<u64> {
        self.collected.as_ref().map(|_| self.total)
    }

    /// (passed, failed, skipped) of the tests that are over.
    pub fn tally(&self) -> (u64, u64, u64) {
        let count = |result| {
            self.tests
                .values()
                .filter(|t| t.over && t.result() == result)
                .count() as u64
        };
        (
            count(Result::Passed),
            count(Result::Failed),
            count(Result::Skipped),
        )
    }

    /// How many tests were repeated and passed in the end.
    pub fn flaky(&self) -> u64 {
        self.tests
            .values()
            .filter(|t| t.over && t.reruns > 0 && t.result() == Result::Passed)
            .count() as u64
    }

    /// How many collected tests have no result.
    pub fn not_run(&self) -> u64 {
        let over = self.tests.values().filter(|test| test.over).count() as u64;
        let running = self.running.len() as u64;
        self.total.saturating_sub(over + running)
    }

    /// What contradicts itself.
    pub fn contradictions(&self) -> Vec<String> {
        let mut faults = self.faults.clone();
        let failed = self.tally().1;
        // What pytest was stopped in the middle of is told by itself.
        if self.finished && self.status == Some(0) && self.interrupt.is_none() {
            if failed > 0 {
                faults.push(format!("{failed} tests failed and the status is 0"));
            }
            if self.not_run() > 0 && !self.collect_only {
                faults.push(format!("{} collected tests have no result", self.not_run()));
            }
            if let Some(name) = self.running.first() {
                faults.push(format!("`{name}` never ended"));
            }
            if self.collected.is_none() {
                faults.push("no list of tests came".to_owned());
            }
        }
        faults
    }

    fn fault(&mut self, fault: String) {
        if self.faults.len() < MOST_FAULTS && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}

/// A phase that came already, or one whose predecessor is missing.
fn out_of_order(test: &Test, when: &str) -> bool {
    let has = |phase: &str| test.phases.iter().any(|known| known == phase);
    match when {
        "setup" => !test.phases.is_empty(),
        "call" => !has("setup") || has("call") || has("teardown"),
        "teardown" => !has("setup") || has("teardown"),
        // A crashed worker's test.
        "???" => false,
        _ => true,
    }
}

fn of_subtests(report: &PhaseReport) -> bool {
    let error = report
        .error
        .as_ref()
        .map_or("", |error| error.message.as_str());
    [error, report.details.as_str()]
        .iter()
        .any(|text| text.contains("contains ") && text.contains(" failed subtest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(id: &str, when: &str, outcome: &str) -> PhaseReport {
        PhaseReport {
            id: id.into(),
            when: when.into(),
            outcome: outcome.into(),
            ..PhaseReport::default()
        }
    }

    fn begun() -> Session {
        let mut session = Session::default();
        session.take(&Record::Session { version: 1 });
        session.take(&Record::Collected {
            ids: vec!["a".into(), "b".into()],
            total: 2,
        });
        session
    }

    #[test]
    fn a_test_is_over_with_its_teardown() {
        let mut session = begun();
        session.start("a");
        assert_eq!(
            session.report(&phase("a", "setup", "passed")),
            Step::Nothing
        );
        assert_eq!(session.report(&phase("a", "call", "failed")), Step::Failed);
        assert_eq!(
            session.report(&phase("a", "teardown", "passed")),
            Step::Over(Result::Failed)
        );
        assert_eq!(session.tally(), (0, 1, 0));
        assert_eq!(session.not_run(), 1);
        assert!(session.contradictions().is_empty());
    }

    #[test]
    fn ghosts_doubles_and_strays_are_found() {
        let mut session = begun();
        session.start("ghost");
        session.report(&phase("b", "call", "passed"));
        session.start("a");
        session.report(&phase("a", "setup", "passed"));
        session.report(&phase("a", "setup", "passed"));
        let faults = session.contradictions().join("; ");
        for expected in [
            "`ghost` was not collected",
            "`b` has a result without",
            "out of order",
        ] {
            assert!(faults.contains(expected), "{faults}");
        }
    }

    #[test]
    fn a_test_that_was_only_set_up_has_not_passed() {
        let mut session = begun();
        session.start("a");
        session.report(&phase("a", "setup", "passed"));
        let over = session.report(&phase("a", "teardown", "passed"));
        assert_eq!(over, Step::Over(Result::Skipped));
        assert_eq!(session.tally(), (0, 0, 1));
    }

    #[test]
    fn a_repeated_test_that_passes_is_flaky() {
        let mut session = begun();
        session.start("a");
        session.report(&phase("a", "setup", "passed"));
        session.report(&phase("a", "call", "rerun"));
        session.report(&phase("a", "setup", "passed"));
        session.report(&phase("a", "call", "passed"));
        session.report(&phase("a", "teardown", "passed"));
        assert_eq!((session.tally(), session.flaky()), ((1, 0, 0), 1));
        assert!(session.contradictions().is_empty());
    }
}
