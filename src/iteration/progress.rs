//! Progress: measured on the set of what fails and on how far the suites came, never on what
//! was edited (pure).

use crate::iteration::inventory::Inventory;
use crate::iteration::inventory::Lost;
use crate::iteration::inventory::TestKey;
use crate::iteration::inventory::stable;
use crate::model::Counts;
use crate::model::Failure;
use crate::model::FailureKind;
use crate::model::Outcome;
use crate::model::Report;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeSet;

/// How far the suites came, the least far of them counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Something does not compile or cannot be collected.
    NotBuilt,
    /// It builds; the tests did not come to their end.
    Builds,
    /// The tests ran to their end.
    Ends,
}

/// Where a tree stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// How far it comes.
    pub stage: Stage,
    /// What fails: tests, or compile errors without their line numbers. Tests of the base that
    /// are gone or newly skipped fail too.
    pub failing: BTreeSet<TestKey>,
    /// Those of them that are gone or newly skipped.
    #[serde(default)]
    pub lost: BTreeSet<TestKey>,
    /// Every suite is green by the report's own rule.
    pub green: bool,
    /// The outcome of all suites together.
    pub outcome: Outcome,
    /// The counts of all suites together.
    pub counts: Counts,
}

impl Standing {
    /// What fails, as it is told: what was lost has a place of its own, and a suite without
    /// tests has none that fails.
    pub fn told(&self) -> impl Iterator<Item = &TestKey> {
        let none = format!("({})", Outcome::NoTests.as_str());
        self.failing.iter().filter(move |key| {
            let empty = key.target.is_empty() && key.id == none;
            !empty && !self.lost.contains(*key)
        })
    }

    /// How much fails, as it is told.
    pub fn told_count(&self) -> u64 {
        self.told().count() as u64
    }
}

/// How a tree compares with the best one so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// It comes further, or less fails.
    Better,
    /// Just as much fails.
    Same,
    /// It does not come as far, or more fails.
    Worse,
}

/// The standing that the reports of one snapshot make. With the base's inventory and this
/// run's, tests that were lost count as failing, so that removing a test is never progress.
pub fn standing(reports: &[Report], base: Option<&Inventory>, head: &Inventory) -> Standing {
    let outcome =
        Outcome::worst(reports.iter().map(|report| report.outcome)).unwrap_or(Outcome::NoTests);
    let stage = reports.iter().map(stage_of).min().unwrap_or(Stage::Builds);
    let mut failing: BTreeSet<TestKey> = reports.iter().flat_map(failing_of).collect();
    // What does not build or was cut short shows no tests, or too few: there nothing can be
    // said about lost ones.
    let lost: BTreeSet<TestKey> = match base {
        Some(base) if stage == Stage::Ends || outcome == Outcome::NoTests => {
            base.lost_in(head).iter().map(Lost::key).cloned().collect()
        }
        _ => BTreeSet::new(),
    };
    failing.extend(lost.iter().cloned());
    Standing {
        stage,
        failing,
        lost,
        green: !reports.is_empty() && reports.iter().all(Report::is_green),
        outcome,
        counts: reports
            .iter()
            .fold(Counts::default(), |sum, report| sum.plus(report.counts)),
    }
}

/// How `new` compares with `best`.
pub fn compare(new: &Standing, best: &Standing) -> Compared {
    if new.green && !best.green {
        return Compared::Better;
    }
    match new.stage.cmp(&best.stage) {
        std::cmp::Ordering::Greater => Compared::Better,
        std::cmp::Ordering::Less => Compared::Worse,
        std::cmp::Ordering::Equal => by_failures(new, best),
    }
}

fn by_failures(new: &Standing, best: &Standing) -> Compared {
    // A compiler stops at its first failing phase: when every old error is gone the code came
    // further, however many the next phase reports.
    if new.stage == Stage::NotBuilt
        && !new.failing.is_empty()
        && new.failing.is_disjoint(&best.failing)
    {
        return Compared::Better;
    }
    match new.failing.len().cmp(&best.failing.len()) {
        std::cmp::Ordering::Less => Compared::Better,
        std::cmp::Ordering::Equal => Compared::Same,
        std::cmp::Ordering::Greater => Compared::Worse,
    }
}

fn stage_of(report: &Report) -> Stage {
    match report.outcome {
        Outcome::BuildFailed | Outcome::CollectionError | Outcome::UsageError => Stage::NotBuilt,
        Outcome::Passed | Outcome::Failed if report.complete => Stage::Ends,
        _ => Stage::Builds,
    }
}

fn failing_of(report: &Report) -> Vec<TestKey> {
    let suite = report.run.suite.clone().unwrap_or_default();
    let failed: Vec<TestKey> = report
        .failures
        .iter()
        .filter(|failure| failure.flaky != Some(true))
        .map(|failure| key_of(&suite, failure))
        .collect();
    if failed.is_empty() && !report.is_green() {
        // A suite that is not green without naming a failure still fails as a whole.
        return vec![TestKey {
            suite,
            target: String::new(),
            id: format!("({})", report.outcome.as_str()),
        }];
    }
    failed
}

/// A failure's identity for progress. Compile errors lose line and column, which move with
/// every edit above them.
pub fn key_of(suite: &str, failure: &Failure) -> TestKey {
    let id = if failure.kind == FailureKind::CompileError {
        let file = failure
            .location
            .as_ref()
            .map_or("", |location| location.file.as_str());
        let code = failure.code.as_deref().unwrap_or_default();
        format!("{file} {code} {}", failure.message)
    } else {
        failure.id.clone()
    };
    stable(&TestKey {
        suite: suite.to_owned(),
        target: failure.target.clone().unwrap_or_default(),
        id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iteration::inventory::Ran;
    use crate::model::Source;

    fn at(stage: Stage, failing: &[&str]) -> Standing {
        Standing {
            stage,
            failing: failing
                .iter()
                .map(|id| TestKey {
                    suite: "cargo".into(),
                    target: String::new(),
                    id: (*id).into(),
                })
                .collect(),
            lost: BTreeSet::new(),
            green: stage == Stage::Ends && failing.is_empty(),
            outcome: Outcome::Failed,
            counts: Counts::default(),
        }
    }

    #[test]
    fn fewer_failures_or_a_later_stage_is_progress() {
        use Compared::Better;
        use Compared::Same;
        use Compared::Worse;
        type Row<'a> = (Stage, &'a [&'a str], Stage, &'a [&'a str], Compared);
        let table: &[Row<'_>] = &[
            (Stage::Ends, &["a"], Stage::Ends, &["a", "b"], Better),
            (Stage::Ends, &["a", "b"], Stage::Ends, &["a", "b"], Same),
            (Stage::Ends, &["a", "c"], Stage::Ends, &["a", "b"], Same),
            (Stage::Ends, &["a", "b", "c"], Stage::Ends, &["a"], Worse),
            (
                Stage::Ends,
                &["a", "b", "c"],
                Stage::NotBuilt,
                &["e"],
                Better,
            ),
            (Stage::NotBuilt, &["e"], Stage::Ends, &["a", "b"], Worse),
            (
                Stage::NotBuilt,
                &["x", "y"],
                Stage::NotBuilt,
                &["e"],
                Better,
            ),
            (Stage::NotBuilt, &["e", "y"], Stage::NotBuilt, &["e"], Worse),
            (Stage::NotBuilt, &["e"], Stage::NotBuilt, &["e"], Same),
            (Stage::Builds, &["a"], Stage::NotBuilt, &["e"], Better),
        ];
        for (stage, failing, best_stage, best, expected) in table {
            let new = at(*stage, failing);
            let best = at(*best_stage, best);
            assert_eq!(compare(&new, &best), *expected, "{new:?} against {best:?}");
        }
    }

    #[test]
    fn a_removed_test_is_no_progress() {
        let mut base = Inventory::default();
        base.put("cargo", None, "a", Ran::Passed);
        base.put("cargo", None, "b", Ran::Failed);
        let mut head = Inventory::default();
        head.put("cargo", None, "a", Ran::Passed);
        let mut report = Report::new("cargo", Source::Events, Outcome::Passed);
        report.run.suite = Some("cargo".into());
        report.complete = true;
        report.counts = Counts::new(1, 0, 0);
        let after = standing(&[report], Some(&base), &head);
        assert!(after.green);
        assert_eq!(after.failing.len(), 1, "the removed test still fails");
        assert_eq!(after.told_count(), 0, "and is told as vanished");
    }

    #[test]
    fn a_suite_without_tests_has_none_that_fails() {
        let mut report = Report::new("cargo", Source::Events, Outcome::NoTests);
        report.run.suite = Some("cargo".into());
        let now = standing(&[report], None, &Inventory::default());
        assert_eq!(now.failing.len(), 1, "it is not green");
        assert_eq!(now.told_count(), 0);
    }

    #[test]
    fn a_red_suite_without_a_named_failure_still_fails() {
        let mut report = Report::new("cargo", Source::Events, Outcome::Timeout);
        report.run.suite = Some("cargo".into());
        let now = standing(&[report], None, &Inventory::default());
        assert_eq!(now.failing.len(), 1);
        assert!(!now.green);
    }

    #[test]
    fn no_report_is_not_green() {
        assert!(!standing(&[], None, &Inventory::default()).green);
    }
}
