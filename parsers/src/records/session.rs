//! Follows the records and checks that they hold together.
//!
//! Records are numbered, every test begins once and ends once under a number of its own, the
//! counts of the last record are those that were seen, and nothing comes after it. What does
//! not fit was written by something else, or is missing.

use crate::records::Named;
use crate::records::record::Finish;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// The protocol's version.
const VERSION: u32 = 1;
/// More tests than this are not followed.
const MOST_TESTS: usize = 500_000;
/// More contradictions than this are not described.
const MOST_FAULTS: usize = 5;

/// How a test came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Result {
    Passed,
    Failed,
    Skipped,
}

#[derive(Debug)]
struct Running {
    test: Named,
    failed: bool,
    retries: u32,
}

/// The session as the records tell it.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// Whether the first record came.
    pub began: bool,
    /// Whether the last came.
    pub finished: bool,
    /// The runner's name and version.
    pub runner: String,
    /// The exit status that the reporter foresaw.
    pub status: Option<i32>,
    /// Tests that failed, were run again, and passed.
    pub flaky: u64,
    next: u64,
    listed: Option<u64>,
    running: BTreeMap<u64, Running>,
    known: BTreeSet<u64>,
    files: Vec<String>,
    passed: u64,
    failed: u64,
    skipped: u64,
    /// Failures that are no test's: hooks, files, the run.
    others: u64,
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

    /// The first record.
    pub fn begin(&mut self, version: u32, runner: String) {
        if self.began {
            self.fault("the session began twice".to_owned());
        }
        if version != VERSION {
            self.fault(format!("the reporter's version is {version}"));
        }
        self.began = true;
        self.runner = runner;
    }

    /// Any other record.
    pub fn must_have_begun(&mut self) {
        if !self.began {
            self.fault("the first record is missing".to_owned());
        }
    }

    /// More tests are announced; all that are now.
    pub fn listed(&mut self, total: u64) -> u64 {
        self.must_have_begun();
        let sum = self.listed.unwrap_or(0).saturating_add(total);
        self.listed = Some(sum);
        sum
    }

    /// Announced tests will not run, and it is told why.
    pub fn unlisted(&mut self, total: u64) {
        self.must_have_begun();
        match self.listed.and_then(|listed| listed.checked_sub(total)) {
            Some(left) => self.listed = Some(left),
            None => self.fault("more tests are left out than were announced".to_owned()),
        }
    }

    /// A file is taken up.
    pub fn open(&mut self, file: &str) {
        self.must_have_begun();
        if self.files.len() < MOST_TESTS {
            self.files.push(file.to_owned());
        }
    }

    /// A file is done with.
    pub fn close(&mut self, file: &str) {
        match self.files.iter().position(|known| known == file) {
            Some(at) => {
                self.files.swap_remove(at);
            }
            None => self.fault(format!("`{file}` ended without having begun")),
        }
    }

    /// A test begins.
    pub fn start(&mut self, t: u64, test: Named) {
        self.must_have_begun();
        if self.finished {
            self.fault(format!("`{}` began after the end", test.id));
        }
        if self.known.len() >= MOST_TESTS {
            return;
        }
        if !self.known.insert(t) {
            self.fault(format!("`{}` began twice", test.id));
        }
        let (failed, retries) = (false, 0);
        self.running.insert(
            t,
            Running {
                test,
                failed,
                retries,
            },
        );
    }

    /// A test that is running.
    pub fn test(&self, t: u64) -> Option<&Named> {
        self.running.get(&t).map(|running| &running.test)
    }

    /// A running test failed, and goes on.
    pub fn failed(&mut self, t: u64) {
        match self.running.get_mut(&t) {
            Some(running) => running.failed = true,
            None => self.stray(t),
        }
    }

    /// A test failed and is run again.
    pub fn retry(&mut self, t: u64) {
        match self.running.get_mut(&t) {
            Some(running) => {
                running.retries += 1;
                running.failed = false;
            }
            None => self.stray(t),
        }
    }

    /// A test turns out to be a group of tests.
    pub fn group(&mut self, t: u64) {
        if self.running.remove(&t).is_none() {
            self.stray(t);
        }
    }

    /// A test is over; its name and how it came out in all.
    pub fn over(&mut self, t: u64, result: Result) -> Option<(Named, Result)> {
        let Some(running) = self.running.remove(&t) else {
            self.stray(t);
            return None;
        };
        if result == Result::Passed && running.failed {
            self.fault(format!("`{}` failed and passed", running.test.id));
        }
        let result = if running.failed {
            Result::Failed
        } else {
            result
        };
        if result == Result::Passed && running.retries > 0 {
            self.flaky += 1;
        }
        self.count(result);
        Some((running.test, result))
    }

    /// A test that had passed failed by what came after it.
    pub fn late(&mut self, t: u64) {
        let over = self.known.contains(&t) && !self.running.contains_key(&t);
        if !over || self.passed == 0 {
            self.stray(t);
            return;
        }
        self.passed -= 1;
        self.failed += 1;
    }

    /// Something that never began as a test: skipped at once, or a hook that failed.
    pub fn never_began(&mut self, result: Result) {
        self.must_have_begun();
        match result {
            Result::Failed => self.others += 1,
            result => self.count(result),
        }
    }

    fn count(&mut self, result: Result) {
        match result {
            Result::Passed => self.passed += 1,
            Result::Failed => self.failed += 1,
            Result::Skipped => self.skipped += 1,
        }
    }

    /// The last record.
    pub fn finish(&mut self, finish: &Finish) {
        self.must_have_begun();
        if finish.records.saturating_add(1) != self.next {
            self.fault("the last record counts the others wrongly".to_owned());
        }
        let failed = self.failed + self.others;
        for (said, seen, what) in [
            (finish.passed, self.passed, "passed"),
            (finish.failed, failed, "failed"),
            (finish.skipped, self.skipped, "were skipped"),
        ] {
            if said.is_some_and(|said| said != seen) {
                let said = said.unwrap_or(0);
                self.fault(format!(
                    "{said} tests {what} by the last record, {seen} seen"
                ));
            }
        }
        self.finished = true;
        self.status = finish.status;
    }

    /// The tests that have begun and are not over, oldest first; not those that are known to
    /// have failed.
    pub fn running(&self) -> Vec<Named> {
        let open = self.running.values().filter(|one| !one.failed);
        open.map(|one| one.test.clone()).collect()
    }

    /// The files that were taken up and are not done with.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// (passed, failed, skipped), failures that are no test's among the failed.
    pub fn tally(&self) -> (u64, u64, u64) {
        let open = self.running.values().filter(|one| one.failed).count() as u64;
        (self.passed, self.failed + self.others + open, self.skipped)
    }

    /// How many announced tests have no result.
    pub fn not_run(&self) -> u64 {
        let seen = self.passed + self.failed + self.skipped + self.running.len() as u64;
        self.listed.unwrap_or(0).saturating_sub(seen)
    }

    /// What contradicts itself.
    pub fn contradictions(&self) -> Vec<String> {
        let mut faults = self.faults.clone();
        if self.finished
            && let Some(running) = self.running.values().next()
        {
            faults.push(format!("`{}` never ended", running.test.id));
        }
        faults
    }

    fn stray(&mut self, t: u64) {
        self.must_have_begun();
        let again = self.known.contains(&t);
        self.fault(match again {
            true => format!("test {t} ended twice"),
            false => format!("test {t} has a result without having begun"),
        });
    }

    fn fault(&mut self, fault: String) {
        if self.faults.len() < MOST_FAULTS && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}
