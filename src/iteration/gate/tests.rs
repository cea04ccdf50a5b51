//! Each gate against facts that it must refuse.

use crate::iteration::gate::CommandEnd;
use crate::iteration::gate::FileChange;
use crate::iteration::gate::GateFacts;
use crate::iteration::gate::Repeat;
use crate::iteration::gate::judge;
use crate::iteration::inventory::Inventory;
use crate::iteration::inventory::Ran;
use crate::model::Counts;
use crate::model::Gate;
use crate::model::GateVerdict;
use crate::model::Outcome;
use crate::model::Report;
use crate::model::ReusedFrom;
use crate::model::Source;

fn green() -> Report {
    let mut report = Report::new("cargo", Source::Events, Outcome::Passed);
    report.run.suite = Some("cargo".into());
    report.complete = true;
    report.counts = Counts::new(2, 0, 0);
    report
}

fn inventory(tests: &[(&str, Ran)]) -> Inventory {
    let mut all = Inventory::default();
    for (id, ran) in tests {
        all.put("cargo", Some("demo"), id, *ran);
    }
    all
}

/// Facts that every gate passes.
fn good() -> GateFacts {
    let repeat = Repeat {
        green: true,
        what: Vec::new(),
    };
    GateFacts {
        suites: vec!["cargo".into()],
        fresh: vec![green()],
        base: Some(inventory(&[("a", Ran::Passed), ("b", Ran::Failed)])),
        head: inventory(&[("a", Ran::Passed), ("b", Ran::Passed)]),
        changes: vec![FileChange {
            path: "src/lib.rs".into(),
            base: Some("fn f() -> i32 { 1 }".into()),
            head: Some("fn f() -> i32 { 2 }".into()),
            ..FileChange::default()
        }],
        repeats: vec![repeat; 3],
        ..GateFacts::default()
    }
}

fn said(facts: &GateFacts, gate: Gate) -> GateVerdict {
    let answers = judge(facts);
    assert_eq!(answers.len(), Gate::ALL.len());
    for answer in &answers {
        assert!(!answer.evidence.is_empty(), "{answer:?} has no evidence");
    }
    let others: Vec<_> = answers
        .iter()
        .filter(|one| one.gate != gate && one.verdict != GateVerdict::Pass)
        .collect();
    assert!(others.is_empty(), "only {gate:?} was to object: {others:?}");
    answers
        .iter()
        .find(|answer| answer.gate == gate)
        .map(|answer| answer.verdict)
        .expect("every gate answers")
}

#[test]
fn good_facts_pass() {
    for gate in Gate::ALL {
        assert_eq!(said(&good(), gate), GateVerdict::Pass);
    }
}

#[test]
fn a_run_that_proves_nothing_is_refused() {
    type Change = fn(&mut GateFacts);
    let changes: &[(&str, Change)] = &[
        ("red", |f| f.fresh[0].outcome = Outcome::Failed),
        ("not complete", |f| f.fresh[0].complete = false),
        ("nothing passed", |f| {
            f.fresh[0].counts = Counts::new(0, 0, 3)
        }),
        ("one failed all the same", |f| {
            f.fresh[0].counts = Counts::new(2, 1, 0)
        }),
        ("a suite is missing", |f| f.suites.push("pytest".into())),
        ("no suite at all", |f| f.suites.clear()),
        ("not run", |f| f.fresh.clear()),
        ("an earlier run", |f| {
            f.fresh[0].run.reused_from = Some(ReusedFrom {
                run: "r1".into(),
                age_ms: 1,
            });
        }),
    ];
    for (name, change) in changes {
        let mut facts = good();
        change(&mut facts);
        assert_eq!(said(&facts, Gate::FreshRun), GateVerdict::Fail, "{name}");
    }
}

#[test]
fn lost_tests_are_refused() {
    let mut facts = good();
    facts.head = inventory(&[("a", Ran::Passed), ("c", Ran::Passed)]);
    assert_eq!(said(&facts, Gate::Inventory), GateVerdict::Fail);
    facts.head = inventory(&[("a", Ran::Passed), ("b", Ran::Skipped)]);
    assert_eq!(said(&facts, Gate::Inventory), GateVerdict::Fail);
}

#[test]
fn an_empty_diff_is_refused() {
    let mut facts = good();
    facts.changes[0].head = Some("fn f() -> i32 {\n 1 }\n".into());
    assert_eq!(said(&facts, Gate::NonEmptyDiff), GateVerdict::Fail);
    facts.changes.clear();
    assert_eq!(said(&facts, Gate::NonEmptyDiff), GateVerdict::Fail);
}

#[test]
fn what_passes_only_sometimes_is_refused() {
    let mut facts = good();
    facts.repeats[1] = Repeat {
        green: false,
        what: vec!["`b` failed".into()],
    };
    assert_eq!(said(&facts, Gate::Stable), GateVerdict::Fail);
    facts.repeats.truncate(1);
    assert_eq!(said(&facts, Gate::Stable), GateVerdict::Fail);
}

#[test]
fn what_a_person_has_to_see_needs_approval() {
    let mut facts = good();
    facts.changes.push(FileChange {
        path: ".cargo/config.toml".into(),
        head: Some("[build]\nrustc-wrapper = \"./x\"\n".into()),
        ..FileChange::default()
    });
    assert_eq!(said(&facts, Gate::Protected), GateVerdict::NeedsApproval);
    let mut facts = good();
    facts.changes.push(FileChange {
        path: "tests/data.txt".into(),
        base: Some("1".into()),
        head: Some("2".into()),
        ..FileChange::default()
    });
    assert_eq!(said(&facts, Gate::Integrity), GateVerdict::NeedsApproval);
    let mut facts = good();
    let mut red = green();
    red.outcome = Outcome::Failed;
    facts.base_tests = Some(vec![red]);
    assert_eq!(said(&facts, Gate::BaseTests), GateVerdict::NeedsApproval);
}

#[test]
fn the_users_own_commands_count() {
    let mut facts = good();
    facts.commands.push(CommandEnd {
        command: "cargo clippy".into(),
        success: false,
        said: vec!["exit status 101".into()],
    });
    assert_eq!(said(&facts, Gate::Commands), GateVerdict::Fail);
}
