//! Gates: what stands between a green run and `passed` (pure over facts). Each gate answers
//! pass, fail or needs-approval, with its evidence.

mod integrity;
mod protected;
mod rust_tests;
#[cfg(test)]
mod tests;

pub use integrity::*;
pub use protected::*;

use crate::iteration::inventory::Inventory;
use crate::iteration::inventory::Lost;
use crate::model::Gate;
use crate::model::GateAnswer;
use crate::model::GateVerdict;
use crate::model::Outcome;
use crate::model::Report;

/// Evidence is cut after this many lines a gate.
const EVIDENCE: usize = 20;

/// Everything that the gates decide on.
#[derive(Debug, Clone, Default)]
pub struct GateFacts {
    /// The suites that the base has, by name.
    pub suites: Vec<String>,
    /// The fresh full run at the commit, one report a suite.
    pub fresh: Vec<Report>,
    /// The tests that the base showed; absent when it did not build.
    pub base: Option<Inventory>,
    /// The tests that the fresh run showed.
    pub head: Inventory,
    /// What differs between base and head.
    pub changes: Vec<FileChange>,
    /// What manifests of base and head make executable.
    pub executed: Executed,
    /// The configuration's own protected patterns.
    pub protect: Vec<String>,
    /// The base's whole test files against the new code; absent when none of them changed.
    pub base_tests: Option<Vec<Report>>,
    /// How the runs that repeat what was fixed ended.
    pub repeats: Vec<Repeat>,
    /// How the user's own gate commands ended.
    pub commands: Vec<CommandEnd>,
}

/// One repetition of the tests that were fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeat {
    /// Whether all of them passed.
    pub green: bool,
    /// What failed, or the outcome.
    pub what: Vec<String>,
}

/// How a gate command of the user ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandEnd {
    /// The command as it was given.
    pub command: String,
    /// Whether it succeeded.
    pub success: bool,
    /// How it ended, and the end of what it said.
    pub said: Vec<String>,
}

/// How often what was fixed has to pass.
pub const REPEATS: usize = 3;

/// Asks every gate.
pub fn judge(facts: &GateFacts) -> Vec<GateAnswer> {
    Gate::ALL
        .iter()
        .map(|gate| {
            let (verdict, mut evidence) = match gate {
                Gate::FreshRun => fresh_run(facts),
                Gate::Inventory => inventory(facts),
                Gate::BaseTests => base_tests(facts),
                Gate::NonEmptyDiff => non_empty_diff(facts),
                Gate::Stable => stable(facts),
                Gate::Protected => protected_paths(facts),
                Gate::Integrity => integrity(facts),
                Gate::Commands => commands(facts),
            };
            if evidence.len() > EVIDENCE {
                let more = evidence.len() - EVIDENCE;
                evidence.truncate(EVIDENCE);
                evidence.push(format!("and {more} more"));
            }
            GateAnswer {
                gate: *gate,
                verdict,
                evidence,
            }
        })
        .collect()
}

type Said = (GateVerdict, Vec<String>);

fn pass(why: impl Into<String>) -> Said {
    (GateVerdict::Pass, vec![why.into()])
}

fn unless_any(verdict: GateVerdict, against: Vec<String>, why: impl Into<String>) -> Said {
    if against.is_empty() {
        pass(why)
    } else {
        (verdict, against)
    }
}

fn fresh_run(facts: &GateFacts) -> Said {
    let mut against = Vec::new();
    for suite in &facts.suites {
        let report = facts
            .fresh
            .iter()
            .find(|report| report.run.suite.as_ref() == Some(suite));
        match report {
            None => against.push(format!("suite `{suite}` did not run")),
            Some(report) => against.extend(not_green(suite, report)),
        }
    }
    if facts.suites.is_empty() {
        against.push("there is no suite".into());
    }
    let passed: u64 = facts.fresh.iter().map(|report| report.counts.passed).sum();
    unless_any(
        GateVerdict::Fail,
        against,
        format!("{passed} tests passed in a place that the loop never wrote to"),
    )
}

/// Why a report is not the green one that a gate wants.
fn not_green(suite: &str, report: &Report) -> Vec<String> {
    if report.is_green() && report.run.reused_from.is_none() {
        return Vec::new();
    }
    if report.run.reused_from.is_some() {
        return vec![format!(
            "suite `{suite}` was not run, an earlier run was taken"
        )];
    }
    if report.outcome == Outcome::Passed {
        return vec![format!(
            "suite `{suite}` is not complete, or nothing passed in it"
        )];
    }
    let mut lines = vec![format!(
        "suite `{suite}` ended {} in a place that the loop never wrote to ({} of {} failed)",
        report.outcome.as_str(),
        report.counts.failed,
        report.counts.total
    )];
    lines.extend(
        report
            .failures
            .iter()
            .map(|failure| format!("`{}`: {}", failure.id, first_line(&failure.message))),
    );
    lines
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn inventory(facts: &GateFacts) -> Said {
    let mut against: Vec<String> = facts.changes.iter().flat_map(|c| examine(c).lost).collect();
    let Some(base) = &facts.base else {
        return unless_any(
            GateVerdict::Fail,
            against,
            "the base does not build, so its tests were compared in the source: none is gone \
             or newly ignored",
        );
    };
    against.extend(base.lost_in(&facts.head).iter().map(Lost::to_string));
    unless_any(
        GateVerdict::Fail,
        against,
        format!("all {} tests of the base are still run", base.len()),
    )
}

fn base_tests(facts: &GateFacts) -> Said {
    let Some(reports) = &facts.base_tests else {
        return pass("no test file of the base was changed");
    };
    let against: Vec<String> = reports
        .iter()
        .filter(|report| !report.is_green())
        .flat_map(|report| {
            let suite = report.run.suite.clone().unwrap_or_default();
            let failing = report
                .failures
                .iter()
                .map(|failure| format!("`{}`: {}", failure.id, first_line(&failure.message)));
            std::iter::once(format!(
                "with the base's test files suite `{suite}` ends {}",
                report.outcome.as_str()
            ))
            .chain(failing)
            .collect::<Vec<_>>()
        })
        .collect();
    unless_any(
        GateVerdict::NeedsApproval,
        against,
        "the base's test files hold against the new code",
    )
}

fn non_empty_diff(facts: &GateFacts) -> Said {
    let count = facts
        .changes
        .iter()
        .filter(|change| change.matters())
        .count();
    if count == 0 {
        return (
            GateVerdict::Fail,
            vec!["nothing besides white space was changed, yet the tests pass".into()],
        );
    }
    pass(match count {
        1 => "1 file was changed".to_owned(),
        many => format!("{many} files were changed"),
    })
}

fn stable(facts: &GateFacts) -> Said {
    if facts.repeats.len() < REPEATS {
        let why = format!("repeated {} of {REPEATS} times only", facts.repeats.len());
        return (GateVerdict::Fail, vec![why]);
    }
    let against = facts
        .repeats
        .iter()
        .filter(|repeat| !repeat.green)
        .flat_map(|repeat| repeat.what.clone())
        .collect();
    unless_any(
        GateVerdict::Fail,
        against,
        format!("what was fixed passed {REPEATS} times"),
    )
}

fn protected_paths(facts: &GateFacts) -> Said {
    let against = facts
        .changes
        .iter()
        .filter(|change| change.matters())
        .filter_map(|change| {
            let why = protected(&change.path, &facts.protect)
                .or_else(|| facts.executed.why(&change.path))?;
            Some(format!("`{}`: {why}", change.path))
        })
        .collect();
    unless_any(
        GateVerdict::NeedsApproval,
        against,
        "nothing was changed that the user's machine, CI or agents execute or obey",
    )
}

fn integrity(facts: &GateFacts) -> Said {
    let against = facts
        .changes
        .iter()
        .flat_map(|change| examine(change).approvals)
        .collect();
    unless_any(
        GateVerdict::NeedsApproval,
        against,
        "no existing test was changed",
    )
}

fn commands(facts: &GateFacts) -> Said {
    let against = facts
        .commands
        .iter()
        .filter(|command| !command.success)
        .flat_map(|command| {
            std::iter::once(format!("`{}` failed", command.command)).chain(command.said.clone())
        })
        .collect();
    let why = match facts.commands.len() {
        0 => "no gate commands are configured".to_owned(),
        count => format!("{count} gate commands succeeded"),
    };
    unless_any(GateVerdict::Fail, against, why)
}
