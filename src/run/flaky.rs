//! Which failures are run again alone before they are blamed, and what that proves. Pure.

use crate::model::Counts;
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
    acquit(report);
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

/// A test that was running when the process died, and that fails alone for a reason of its
/// own, is told with that reason.
pub fn sharpen(report: &mut Report, alone: Vec<Failure>) {
    for failure in alone.into_iter().filter(|it| it.kind_sure) {
        let vague = report.failures.iter_mut().find(|known| {
            suspected(known) && known.id == failure.id && known.target == failure.target
        });
        if let Some(known) = vague {
            let vague = std::mem::replace(known, failure);
            known.new = vague.new;
            known.flaky = vague.flaky;
            known.rerun = vague.rerun;
        }
    }
}

/// Whether a failure says no more than that a process died while the test was running.
fn suspected(failure: &Failure) -> bool {
    failure.kind == FailureKind::Crash && !failure.kind_sure
}

/// When a process dies, every test that was running is a suspect. Who passes alone while
/// another suspect of the same death fails alone was only standing by.
fn acquit(report: &mut Report) {
    let guilty: BTreeSet<(Option<String>, String)> = report
        .failures
        .iter()
        .filter(|failure| suspected(failure) && failure.flaky == Some(false))
        .map(|failure| (failure.target.clone(), failure.message.clone()))
        .collect();
    let before = report.failures.len();
    report.failures.retain(|failure| {
        let death = (failure.target.clone(), failure.message.clone());
        !(suspected(failure) && failure.flaky == Some(true) && guilty.contains(&death))
    });
    let innocent = (before - report.failures.len()) as u64;
    report.counts.failed = report.counts.failed.saturating_sub(innocent);
    report.counts.passed += innocent;
}

/// Puts what each test came to alone in the place of what a stream said that contradicted
/// itself. Nobody can vouch for the list of tests, so the run stays incomplete.
pub fn take_over(report: &mut Report, parts: Vec<Report>) {
    report.counts = Counts::default();
    report.failures.clear();
    report.complete = false;
    let mut outcomes = Vec::new();
    for part in parts {
        // A ghost: the stream named a test that does not exist.
        if matches!(part.outcome, Outcome::UsageError | Outcome::NoTests) {
            continue;
        }
        report.counts = report.counts.plus(part.counts);
        report.failures.extend(part.failures);
        outcomes.push(part.outcome);
    }
    report.outcome = Outcome::worst(outcomes).unwrap_or(Outcome::NoTests);
}

/// Marks what did not fail in the run before.
pub fn mark_new(report: &mut Report, before: Option<&BTreeSet<Key>>) {
    let Some(before) = before else { return };
    for failure in &mut report.failures {
        let key = (failure.target.clone(), failure.id.clone());
        failure.new = Some(!before.contains(&key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Phase;
    use crate::model::Source;

    fn failing(ids: &[&str], kind: FailureKind) -> Report {
        let mut report = Report::new("cargo", Source::Events, Outcome::Failed);
        report.counts = Counts::new(0, ids.len() as u64, 0);
        report.failures = ids
            .iter()
            .map(|id| {
                let mut failure = Failure::new(*id, kind, Phase::Call, "m");
                failure.target = Some("t".to_owned());
                failure.fingerprint = "f".to_owned();
                failure.rerun = vec!["cargo".to_owned(), "test".to_owned()];
                failure
            })
            .collect();
        report
    }

    #[test]
    fn only_what_appeared_and_can_be_repeated_is_repeated() {
        let mut report = failing(&["a", "b", "c"], FailureKind::Assertion);
        let before = BTreeSet::from([(Some("t".to_owned()), "b".to_owned())]);
        mark_new(&mut report, Some(&before));
        report.failures[2].rerun.clear();
        assert_eq!(candidates(&report), [0]);
        assert!(candidates(&failing(&["a"], FailureKind::CompileError)).is_empty());
        let many: Vec<String> = (0..=MOST).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(candidates(&failing(&many, FailureKind::Panic)).is_empty());
        let mut ended = failing(&["a"], FailureKind::Timeout);
        ended.outcome = Outcome::Timeout;
        assert!(candidates(&ended).is_empty());
    }

    #[test]
    fn a_pass_alone_is_a_label_and_no_pass() {
        let mut report = failing(&["a", "b"], FailureKind::Panic);
        settle(&mut report, &[(0, true), (1, false)]);
        assert_eq!(report.failures[0].flaky, Some(true));
        assert_eq!(report.failures[1].flaky, Some(false));
        assert_eq!((report.counts.flaky, report.counts.failed), (1, 2));
        assert_eq!(report.outcome, Outcome::Failed);
        // An incomplete repetition proves nothing.
        let mut repetition = Report::new("cargo", Source::Events, Outcome::Passed);
        repetition.counts = Counts::new(1, 0, 0);
        assert_eq!(passed_alone(&repetition), None);
        repetition.complete = true;
        assert_eq!(passed_alone(&repetition), Some(true));
    }

    #[test]
    fn who_stood_by_when_a_process_died_is_acquitted_only_beside_a_culprit() {
        let died = || {
            let mut report = failing(&["a", "b"], FailureKind::Crash);
            for failure in &mut report.failures {
                failure.kind_sure = false;
            }
            report.outcome = Outcome::Crashed;
            report
        };
        let mut report = died();
        settle(&mut report, &[(0, true), (1, false)]);
        let ids: Vec<&str> = report
            .failures
            .iter()
            .map(|failure| failure.id.as_str())
            .collect();
        assert_eq!(ids, ["b"]);
        assert_eq!(
            (
                report.counts.passed,
                report.counts.failed,
                report.counts.flaky
            ),
            (1, 1, 0)
        );
        // Nobody confessed: both stay, as flaky.
        let mut report = died();
        settle(&mut report, &[(0, true), (1, true)]);
        assert_eq!((report.failures.len(), report.counts.flaky), (2, 2));
    }

    #[test]
    fn who_fails_alone_for_a_reason_of_its_own_is_told_with_it() {
        let mut report = failing(&["a", "b"], FailureKind::Crash);
        for failure in &mut report.failures {
            failure.kind_sure = false;
            failure.new = Some(true);
        }
        let mut alone = failing(&["b", "ghost"], FailureKind::Assertion).failures;
        alone[0].message = "1 is not 2".to_owned();
        alone[0].rerun = vec!["other".to_owned()];
        sharpen(&mut report, alone);
        let [a, b] = report.failures.as_slice() else {
            panic!("two failures");
        };
        assert_eq!((a.kind, a.kind_sure), (FailureKind::Crash, false));
        assert_eq!(
            (b.kind, b.message.as_str()),
            (FailureKind::Assertion, "1 is not 2")
        );
        assert_eq!((b.new, b.rerun[0].as_str()), (Some(true), "cargo"));
    }

    #[test]
    fn tests_run_alone_never_make_green() {
        let mut green = Report::new("pytest", Source::Events, Outcome::Passed);
        green.complete = true;
        green.counts = Counts::new(1, 0, 0);
        let ghost = Report::new("pytest", Source::Events, Outcome::UsageError);
        let mut report = failing(&["forged"], FailureKind::Panic);
        report.complete = true;
        take_over(&mut report, vec![green.clone(), ghost, green.clone()]);
        assert_eq!((report.counts.passed, report.failures.len()), (2, 0));
        assert_eq!(report.outcome, Outcome::Passed);
        assert!(!report.is_green());
        take_over(
            &mut report,
            vec![green, failing(&["c"], FailureKind::Panic)],
        );
        assert_eq!(
            (report.outcome, report.failures.len()),
            (Outcome::Failed, 1)
        );
    }
}
