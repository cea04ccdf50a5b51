//! Which failures are run again alone before they are blamed, and what that proves. Pure.

use crate::model::Failure;
use crate::model::FailureKind;
use crate::model::Note;
use crate::model::Outcome;
use crate::model::Report;
use crate::run::attempt::Key;
use std::collections::BTreeSet;

/// More failures than this at once have a common cause; running each again proves nothing.
pub const MOST: usize = 8;

/// The failures that appeared and can be run again alone, by index.
pub fn candidates(report: &Report) -> Vec<usize> {
    let settled = matches!(
        report.outcome,
        Outcome::Timeout | Outcome::Interrupted | Outcome::InfraError | Outcome::UsageError
    );
    let fresh: Vec<usize> = report
        .failures
        .iter()
        .enumerate()
        .filter(|(_, failure)| failure.new != Some(false) && repeatable(failure))
        .map(|(at, _)| at)
        .collect();
    if settled || fresh.len() > MOST {
        return Vec::new();
    }
    fresh
}

fn repeatable(failure: &Failure) -> bool {
    let of_a_test = !matches!(
        failure.kind,
        FailureKind::CompileError
            | FailureKind::CollectionError
            | FailureKind::NoTests
            | FailureKind::PlanMismatch
    );
    of_a_test && !failure.rerun.is_empty()
}

/// Whether the repetition of one test passed; `None` when it proves nothing.
pub fn passed_alone(repetition: &Report) -> Option<bool> {
    match repetition.outcome {
        Outcome::Passed if repetition.is_green() => Some(true),
        Outcome::Failed | Outcome::Crashed => Some(false),
        _ => None,
    }
}

/// Writes into the report what the repetitions proved.
pub fn settle(report: &mut Report, proofs: &[(usize, bool)]) {
    for (at, passed) in proofs {
        if let Some(failure) = report.failures.get_mut(*at) {
            failure.flaky = Some(*passed);
        }
    }
    let flaky = report
        .failures
        .iter()
        .filter(|failure| failure.flaky == Some(true));
    let flaky: BTreeSet<(&Option<String>, &str)> = flaky
        .map(|failure| (&failure.target, failure.id.as_str()))
        .collect();
    report.counts.flaky = flaky.len() as u64;
    if !flaky.is_empty() {
        let names: Vec<&str> = flaky.iter().map(|(_, id)| *id).collect();
        let message = format!(
            "failed, then passed when run again alone: {}",
            names.join(", ")
        );
        report
            .notes
            .push(Note::new("flaky", message).remedy(
                "find what the test depends on besides its code: time, order, other tests",
            ));
    }
}

/// Marks what did not fail in the run before.
pub fn mark_new(report: &mut Report, before: Option<&BTreeSet<Key>>) {
    let Some(before) = before else { return };
    for failure in &mut report.failures {
        let key = (failure.target.clone(), failure.id.clone());
        failure.new = Some(!before.contains(&key));
    }
}
