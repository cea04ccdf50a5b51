//! What one failed test of CTest's came to: the failures of its harness, or its own.

use crate::cc::crash;
use crate::compose;
use crate::compose::Compose;
use crate::ctest::ask;
use crate::ctest::line::Status;
use crate::ctest::other;
use crate::ctest::settle::One;
use crate::ctest::settle::Settle;
use crate::ctest::settle::failures;
use crate::ctest::settle::places;
use crate::gtest::program::Program;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Phase;
use crate::text;
use std::collections::BTreeSet;

impl Settle<'_> {
    pub(super) fn failed(
        &self,
        compose: &mut Compose,
        one: &One,
        programs: &[Program],
        fixtures: &BTreeSet<String>,
    ) {
        let places = places(programs);
        let single = programs.len() == 1 && programs.iter().all(Program::is_single);
        let mut found = Vec::new();
        for program in programs {
            if !single {
                compose.counts.passed += program.passed;
                compose.counts.skipped += program.skipped + program.disabled;
            }
            for fault in &program.faults {
                compose.incomplete(compose::inconsistent(text::one_line(fault)));
            }
            if !program.ended && !program.is_single() && program.announced.is_some() {
                compose.complete = false;
            }
            found.extend(failures(program, &places, self.context(), Some(one)));
        }
        if found.is_empty() {
            let failure = self.own(one, programs, fixtures);
            compose.failed(failure);
            return;
        }
        for mut failure in found {
            if single && !failure.id.contains('.') {
                // The test that was to run failed with its suite.
                let filter = programs.iter().find_map(|program| program.filter.clone());
                let plain = filter.filter(|filter| !filter.contains(['*', '?', ':', '-']));
                failure.id = plain.unwrap_or_else(|| one.name.clone());
            }
            self.identify(&mut failure, one, programs, single);
            compose.failed(failure);
        }
    }

    /// Target and rerun of a test of GoogleTest's.
    fn identify(&self, failure: &mut Failure, one: &One, programs: &[Program], single: bool) {
        let dir = one.dir.as_deref();
        let binary = programs.iter().find_map(|program| program.binary.clone());
        let binary = binary.or_else(|| one.command.as_deref().and_then(binary_of));
        failure.target = match single || failure.id == one.name {
            true => binary.or_else(|| (failure.id != one.name).then(|| one.name.clone())),
            false => Some(one.name.clone()),
        };
        let whole = !single && failure.id.contains('.');
        let part = whole.then_some(failure.id.as_str());
        failure.rerun = ask::rerun(&one.name, dir, part, self.context());
        if single {
            failure.duration_ms = failure.duration_ms.or(one.ms);
        }
    }

    /// The failure of a test that is no harness's, or whose harness says nothing.
    fn own(&self, one: &One, programs: &[Program], fixtures: &BTreeSet<String>) -> Failure {
        let output = &one.printed.text;
        let words = crash::words(output, self.context());
        let fatal = words.as_ref().filter(|words| !words.harmless);
        let (kind, sure, message) = self.kind(one, programs, fatal);
        let mut failure = compose::failure(&one.name, kind, Phase::Call, message);
        failure.kind_sure = sure;
        if let Some(words) = fatal.filter(|_| kind != FailureKind::Timeout) {
            words.place(&mut failure);
        }
        if matches!(kind, FailureKind::ExitNonzero | FailureKind::Crash)
            && fatal.is_none()
            && let Some(check) = other::first(output, self.context())
        {
            if kind == FailureKind::ExitNonzero {
                failure.message = check.message;
                if check.kind != FailureKind::ExitNonzero {
                    failure.kind = check.kind;
                    failure.kind_sure = check.diff.is_some() || check.kind == FailureKind::Panic;
                }
            }
            failure.location = check.location;
            failure.diff = check.diff;
        }
        self.fixture(&mut failure, one, fixtures);
        failure.details = text::block(output, text::DETAILS);
        failure.stdout = failure.details.clone();
        failure.test_location.clone_from(&one.properties.defined);
        failure.duration_ms = one.ms;
        failure.rerun = ask::rerun(&one.name, one.dir.as_deref(), None, self.context());
        compose::seal(failure)
    }

    fn kind(
        &self,
        one: &One,
        programs: &[Program],
        words: Option<&crash::Words>,
    ) -> (FailureKind, bool, String) {
        let said = words.map(|words| words.message.clone());
        match &one.status {
            Status::Timeout => {
                let after = one
                    .ms
                    .map(|ms| format!(" after {:.2} s", ms as f64 / 1000.0));
                let message = format!(
                    "CTest's time limit was reached{}",
                    after.unwrap_or_default()
                );
                (FailureKind::Timeout, true, message)
            }
            Status::Exception(how) => {
                let died = match one.status.signal() {
                    Some(signal) => format!("died of {}", compose::signal_name(signal)),
                    None => format!("ended by an exception: {how}"),
                };
                (FailureKind::Crash, true, said.unwrap_or(died))
            }
            Status::NotRun => not_run(match one.reason.is_empty() {
                true => self.run.required.as_deref().unwrap_or(""),
                false => &one.reason,
            }),
            Status::Failed(reason) if !reason.trim().is_empty() => {
                let words: Vec<&str> = reason.split_whitespace().collect();
                (FailureKind::Assertion, true, words.join(" "))
            }
            _ if one.properties.will_fail => (
                FailureKind::UnexpectedPass,
                true,
                "the test was to fail (WILL_FAIL), and passed".to_owned(),
            ),
            _ if words.is_some_and(|words| words.sanitizer) => {
                (FailureKind::Crash, true, said.unwrap_or_default())
            }
            _ => {
                let passed = !programs.is_empty() && programs.iter().all(|program| program.ended);
                if passed && said.is_none() && !one.known {
                    let message = "all of its tests passed, and CTest counts it as failed";
                    return (FailureKind::UnexpectedPass, false, message.to_owned());
                }
                let last = one
                    .printed
                    .text
                    .lines()
                    .rfind(|line| !line.trim().is_empty());
                let last = last
                    .map(|line| format!(": {}", line.trim()))
                    .unwrap_or_default();
                let message = said.unwrap_or_else(|| format!("the test failed{last}"));
                (FailureKind::ExitNonzero, one.known, message)
            }
        }
    }

    fn fixture(&self, failure: &mut Failure, one: &One, fixtures: &BTreeSet<String>) {
        if failure.kind == FailureKind::CollectionError {
            failure.phase = Phase::Collect;
            return;
        }
        if failure.kind == FailureKind::SetupError {
            failure.phase = Phase::Setup;
            return;
        }
        let plain = failure.kind == FailureKind::ExitNonzero;
        if one.properties.setup || fixtures.contains(&one.name) {
            failure.phase = Phase::Setup;
            if plain {
                (failure.kind, failure.kind_sure) = (FailureKind::SetupError, true);
            }
        } else if one.properties.cleanup {
            failure.phase = Phase::Teardown;
            if plain {
                (failure.kind, failure.kind_sure) = (FailureKind::TeardownError, true);
            }
        }
    }
}

fn not_run(reason: &str) -> (FailureKind, bool, String) {
    let dependency =
        reason.starts_with("Failed test dep") || reason.starts_with("Fixture dependency");
    let required =
        reason.starts_with("Unable to find required") || reason.starts_with("Required Files");
    let message = match reason.is_empty() {
        true => "the test could not be run".to_owned(),
        false => reason.to_owned(),
    };
    match dependency || required {
        true => (FailureKind::SetupError, true, message),
        false => (FailureKind::CollectionError, !reason.is_empty(), message),
    }
}

/// The program of a command line as `-V` and `LastTest.log` print it.
fn binary_of(command: &str) -> Option<String> {
    let first = match command.strip_prefix('"') {
        Some(rest) => rest.split('"').next()?,
        None => command.split(' ').next()?,
    };
    let name = first.rsplit('/').next()?;
    (!name.is_empty()).then(|| name.to_owned())
}
