//! Tables and properties of the status fold.

use crate::model::Activity;
use crate::model::Asker;
use crate::model::Counts;
use crate::model::Event;
use crate::model::EventKind;
use crate::model::Failure;
use crate::model::FailureKind;
use crate::model::Note;
use crate::model::Origin;
use crate::model::Outcome;
use crate::model::Phase;
use crate::model::ProjectId;
use crate::model::RunId;
use crate::model::SnapshotId;
use crate::model::Timestamp;
use crate::model::Verdict;
use crate::model::status::DaemonStatus;
use crate::model::status::Fold;
use crate::model::status::MAX_FAILURES;
use crate::model::status::Status;
use proptest::prelude::*;

pub(crate) fn failure(id: &str) -> Failure {
    let mut failure = Failure::new(id, FailureKind::Assertion, Phase::Call, "left != right");
    failure.target = Some("lib".to_owned());
    failure
}

fn changed() -> EventKind {
    EventKind::Changed {
        origin: Origin::Save,
        paths: 1,
        rescan: false,
    }
}

fn synced(snapshot: &str) -> EventKind {
    EventKind::Synced {
        snapshot: SnapshotId::new(snapshot),
        branch: Some("main".to_owned()),
        head: Some("c".to_owned()),
        dirty: true,
    }
}

fn suites(names: &[&str]) -> EventKind {
    EventKind::SuitesFound {
        suites: names.iter().map(|name| (*name).to_owned()).collect(),
        ignored: Vec::new(),
    }
}

fn queued(run: &str, suite: &str, snapshot: &str) -> EventKind {
    EventKind::RunQueued {
        run: RunId::new(run),
        suite: suite.to_owned(),
        snapshot: SnapshotId::new(snapshot),
        asker: Asker::Watch,
        environment: None,
    }
}

fn started(run: &str) -> EventKind {
    let run = RunId::new(run);
    EventKind::RunStarted { run }
}

fn finished(run: &str, outcome: Outcome, complete: bool, failed: &[&str]) -> EventKind {
    let passed = u64::from(outcome != Outcome::NoTests);
    EventKind::RunFinished {
        run: RunId::new(run),
        outcome,
        complete,
        counts: Counts::new(passed, failed.len() as u64, 0),
        duration_ms: 1,
        stale: false,
        failures: failed.iter().map(|id| failure(id)).collect(),
        more: 0,
        failed: Vec::new(),
        flaky: Vec::new(),
        isolation: None,
        notes: Vec::new(),
    }
}

fn reused(suite: &str, snapshot: &str) -> EventKind {
    EventKind::RunReused {
        suite: suite.to_owned(),
        snapshot: SnapshotId::new(snapshot),
        from: RunId::new("r0"),
        age_ms: 7,
        counts: Counts::new(9, 0, 2),
    }
}

/// A red suite that is green again without a run shows the counts of the run that answered.
#[test]
fn what_is_reused_brings_its_counts() {
    let red = || {
        vec![
            synced("t1"),
            queued("r1", "cargo", "t1"),
            finished("r1", Outcome::Failed, true, &["a"]),
            synced("t2"),
        ]
    };
    let mut kinds = red();
    kinds.push(reused("cargo", "t2"));
    let shown = status(kinds);
    assert_eq!(shown.verdict, Verdict::Green);
    assert_eq!(shown.suites[0].counts, Counts::new(9, 0, 2));
    assert!(shown.failures.is_empty());
    // A journal of before knew no counts: nothing is shown then, and not those of the red run.
    let old = serde_json::json!({
        "kind": "run_reused", "suite": "cargo", "snapshot": "t2", "from": "r0", "age_ms": 7
    });
    let mut told = serde_json::to_value(reused("cargo", "t2")).unwrap();
    told.as_object_mut().unwrap().remove("counts");
    assert_eq!(told, old);
    let mut kinds = red();
    kinds.push(serde_json::from_value(told).unwrap());
    assert_eq!(status(kinds).suites[0].counts, Counts::default());
}

fn daemon() -> DaemonStatus {
    DaemonStatus {
        pid: 1,
        version: "0".to_owned(),
        started: Timestamp::from_millis(0),
    }
}

fn fold(kinds: impl IntoIterator<Item = EventKind>) -> Fold {
    let project = ProjectId::new("p");
    let mut fold = Fold::new(project.clone(), "/p", Timestamp::from_millis(0));
    for (at, kind) in kinds.into_iter().enumerate() {
        fold.apply(&Event {
            at: Timestamp::from_millis(at as i64 + 1),
            project: Some(project.clone()),
            kind,
        });
    }
    fold
}

fn status(kinds: impl IntoIterator<Item = EventKind>) -> Status {
    fold(kinds).status(Timestamp::from_millis(1_000), Some(&daemon()))
}

fn words(status: &Status) -> String {
    let stale = if status.stale { " stale" } else { "" };
    let (verdict, activity) = (status.verdict.as_str(), status.activity.as_str());
    format!("{verdict} {activity}{stale}")
}

#[test]
fn the_way_of_a_save() {
    let mut kinds = vec![suites(&["cargo"])];
    let mut step = |kind: EventKind| {
        kinds.push(kind);
        words(&status(kinds.clone()))
    };
    assert_eq!(step(synced("t1")), "unknown idle stale");
    assert_eq!(step(queued("r1", "cargo", "t1")), "unknown queued stale");
    assert_eq!(step(started("r1")), "unknown running stale");
    assert_eq!(
        step(finished("r1", Outcome::Passed, true, &[])),
        "green idle"
    );
    assert_eq!(step(changed()), "green syncing stale");
    assert_eq!(step(synced("t2")), "green idle stale");
    assert_eq!(step(queued("r2", "cargo", "t2")), "green queued stale");
    assert_eq!(step(EventKind::Paused), "green paused stale");
    assert_eq!(step(EventKind::Resumed), "green queued stale");
    assert_eq!(step(started("r2")), "green running stale");
    assert_eq!(step(changed()), "green running stale");
    let failed = finished("r2", Outcome::Failed, true, &["a"]);
    assert_eq!(step(failed), "red syncing stale");
    assert_eq!(step(synced("t2")), "red idle");
    assert_eq!(step(changed()), "red syncing stale");
    assert_eq!(step(synced("t1")), "red idle stale");
    assert_eq!(step(reused("cargo", "t1")), "green idle");
}

#[test]
fn what_each_outcome_makes_of_a_green_suite() {
    for (outcome, complete, expected) in [
        (Outcome::Passed, true, "green idle"),
        (Outcome::Passed, false, "unknown idle"),
        (Outcome::Failed, true, "red idle"),
        (Outcome::Failed, false, "red idle"),
        (Outcome::Timeout, false, "red idle"),
        (Outcome::Crashed, false, "red idle"),
        (Outcome::BuildFailed, true, "broken idle"),
        (Outcome::CollectionError, true, "broken idle"),
        (Outcome::NoTests, true, "unknown idle"),
        (Outcome::UsageError, true, "unknown idle"),
        (Outcome::Interrupted, false, "green idle stale"),
        (Outcome::InfraError, false, "green idle stale"),
    ] {
        let shown = status([
            suites(&["cargo"]),
            synced("t1"),
            queued("r1", "cargo", "t1"),
            started("r1"),
            finished("r1", Outcome::Passed, true, &[]),
            queued("r2", "cargo", "t1"),
            started("r2"),
            finished("r2", outcome, complete, &[]),
        ]);
        assert_eq!(words(&shown), expected, "{outcome:?} complete={complete}");
    }
}

#[test]
fn the_worst_of_the_suites_stands_at_the_top() {
    let of = |a: Outcome, b: Outcome| {
        status([
            suites(&["a", "b"]),
            synced("t"),
            queued("r1", "a", "t"),
            started("r1"),
            finished("r1", a, true, &[]),
            queued("r2", "b", "t"),
            started("r2"),
            finished("r2", b, true, &[]),
        ])
        .verdict
    };
    assert_eq!(of(Outcome::Passed, Outcome::Passed), Verdict::Green);
    assert_eq!(of(Outcome::Passed, Outcome::NoTests), Verdict::Unknown);
    assert_eq!(of(Outcome::Failed, Outcome::NoTests), Verdict::Red);
    assert_eq!(of(Outcome::Failed, Outcome::BuildFailed), Verdict::Broken);
    // A suite that has not run yet keeps the whole from being green.
    let half = status([
        suites(&["a", "b"]),
        synced("t"),
        queued("r1", "a", "t"),
        queued("r2", "b", "t"),
        started("r1"),
        finished("r1", Outcome::Passed, true, &[]),
    ]);
    assert_eq!(words(&half), "unknown queued stale");
}

#[test]
fn a_failing_test_is_shown_while_the_run_goes_on() {
    let test_failed = |run: &str, id: &str| EventKind::TestFailed {
        run: RunId::new(run),
        failure: Box::new(failure(id)),
    };
    let mut kinds = vec![
        suites(&["cargo"]),
        synced("t1"),
        queued("r1", "cargo", "t1"),
        started("r1"),
        finished("r1", Outcome::Failed, true, &["a", "b"]),
        synced("t2"),
        queued("r2", "cargo", "t2"),
        started("r2"),
        test_failed("r2", "c"),
        test_failed("r2", "b"),
        test_failed("r2", "b"),
    ];
    let shown = |status: &Status| -> Vec<(String, bool, i64)> {
        let of = |f: &crate::model::status::StatusFailure| {
            (f.failure.id.clone(), f.stale, f.since.millis())
        };
        status.failures.iter().map(of).collect()
    };
    let expected = [
        ("c".to_owned(), false, 9),
        ("b".to_owned(), false, 5),
        ("a".to_owned(), true, 5),
    ];
    assert_eq!(shown(&status(kinds.clone())), expected);
    kinds.push(finished("r2", Outcome::Failed, true, &["b", "c"]));
    let expected = [("c".to_owned(), false, 12), ("b".to_owned(), false, 5)];
    assert_eq!(shown(&status(kinds)), expected);
}

#[test]
fn failures_are_capped_and_counted() {
    let ids: Vec<String> = (0..MAX_FAILURES + 7).map(|n| format!("t{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let shown = status([
        suites(&["cargo"]),
        synced("t1"),
        queued("r1", "cargo", "t1"),
        started("r1"),
        finished("r1", Outcome::Failed, true, &ids),
    ]);
    assert_eq!((shown.failures.len(), shown.more), (MAX_FAILURES, 7));
    assert_eq!(shown.failures[0].failure.id, "t0");
}

#[test]
fn trouble_keeps_the_verdict_and_makes_it_stale() {
    let trouble = |blocks| EventKind::Trouble {
        note: Note::new("sync", "disk \u{1b}[31mfull"),
        blocks,
    };
    let base = [
        suites(&["cargo"]),
        synced("t1"),
        queued("r1", "cargo", "t1"),
        started("r1"),
        finished("r1", Outcome::Passed, true, &[]),
    ];
    let with = |more: &[EventKind]| status(base.iter().chain(more).cloned());
    assert_eq!(words(&with(&[trouble(true)])), "green idle stale");
    let beside = with(&[trouble(false)]);
    assert_eq!(words(&beside), "green idle");
    assert_eq!(beside.notes[0].message, "disk full");
    let code = "sync".to_owned();
    let over = with(&[trouble(true), EventKind::TroubleOver { code }]);
    assert_eq!((words(&over).as_str(), over.notes.len()), ("green idle", 0));
}

#[test]
fn a_clean_stop_leaves_no_daemon() {
    let fold = fold([
        suites(&["cargo"]),
        synced("t1"),
        queued("r1", "cargo", "t1"),
        started("r1"),
        finished("r1", Outcome::Passed, true, &[]),
    ]);
    let left = fold.status(Timestamp::from_millis(9), None);
    assert_eq!(words(&left), "green idle stale");
    assert_eq!(left.suites[0].activity, Activity::Idle);
    assert!(!left.daemon_is_dead(Timestamp::from_millis(i64::MAX)));
    let alive = fold.status(Timestamp::from_millis(9), Some(&daemon()));
    assert!(!alive.daemon_is_dead(Timestamp::from_millis(15_009)));
    assert!(alive.daemon_is_dead(Timestamp::from_millis(15_010)));
}

fn any_kind() -> impl Strategy<Value = EventKind> {
    let run = prop::sample::select(vec!["r1", "r2", "r3", "r4"]);
    let suite = prop::sample::select(vec!["a", "b"]);
    let tree = prop::sample::select(vec!["t1", "t2"]);
    let outcome = prop::sample::select(vec![
        Outcome::Passed,
        Outcome::Passed,
        Outcome::Passed,
        Outcome::Failed,
        Outcome::NoTests,
        Outcome::InfraError,
        Outcome::BuildFailed,
    ]);
    prop_oneof![
        1 => Just(changed()),
        3 => tree.clone().prop_map(synced),
        1 => prop::sample::select(vec![&["a", "b"][..], &["a"][..], &["b"][..]]).prop_map(suites),
        4 => (run.clone(), suite.clone(), tree.clone()).prop_map(|(r, s, t)| queued(r, s, t)),
        2 => run.clone().prop_map(started),
        5 => (run.clone(), outcome, prop::bool::weighted(0.8), 0..3_usize).prop_map(
            |(r, outcome, complete, failed)| {
                let failed = if outcome == Outcome::Passed && failed < 2 { 0 } else { failed };
                finished(r, outcome, complete, &["x", "y"][..failed])
            }
        ),
        1 => run.clone().prop_map(|r| EventKind::RunLost { run: RunId::new(r) }),
        1 => run.prop_map(|r| EventKind::RunSuperseded { run: RunId::new(r) }),
        1 => (suite, tree).prop_map(|(s, t)| reused(s, t)),
        1 => Just(EventKind::Paused),
        1 => Just(EventKind::Resumed),
        1 => Just(EventKind::DaemonStarted { pid: 1, version: "0".to_owned() }),
    ]
}

/// Whether the last thing that the events say of a suite is a complete, passed, fresh run (or
/// one that was taken over) at `snapshot`; told by a way of its own.
fn is_proved(kinds: &[EventKind], suite: &str, snapshot: &SnapshotId) -> bool {
    let mut open: Vec<(RunId, String, SnapshotId)> = Vec::new();
    let mut proof = None;
    for kind in kinds {
        match kind {
            EventKind::RunQueued {
                run,
                suite: name,
                snapshot,
                ..
            } => {
                open.retain(|(id, ..)| id != run);
                open.push((run.clone(), name.clone(), snapshot.clone()));
            }
            EventKind::RunSuperseded { run } | EventKind::RunLost { run } => {
                open.retain(|(id, ..)| id != run);
            }
            EventKind::RunFinished {
                run,
                outcome,
                complete,
                counts,
                ..
            } => {
                let Some(at) = open.iter().position(|(id, ..)| id == run) else {
                    continue;
                };
                let (_, name, tree) = open.remove(at);
                if name == suite {
                    let good = *outcome == Outcome::Passed
                        && *complete
                        && counts.passed > 0
                        && counts.failed == 0;
                    proof = good.then_some(tree);
                }
            }
            EventKind::RunReused {
                suite: name,
                snapshot,
                ..
            } if name == suite => proof = Some(snapshot.clone()),
            // A suite that is gone and comes back has to prove itself again; the fold may
            // demand that, and so must not be blamed for knowing more.
            _ => {}
        }
    }
    proof.as_ref() == Some(snapshot)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn never_green_without_proof(kinds in prop::collection::vec(any_kind(), 0..40)) {
        let shown = status(kinds.clone());
        for suite in shown.suites.iter().filter(|s| s.verdict == Verdict::Green && !s.stale) {
            let snapshot = shown.snapshot.as_ref().expect("fresh without a snapshot");
            prop_assert!(is_proved(&kinds, &suite.name, snapshot), "{suite:?}");
        }
        if shown.verdict == Verdict::Green && !shown.stale {
            prop_assert!(!shown.suites.is_empty());
            prop_assert!(shown.suites.iter().all(|s| s.verdict == Verdict::Green && !s.stale));
            prop_assert!(shown.failures.is_empty() || shown.activity == Activity::Running);
        }
    }

    #[test]
    fn the_top_is_the_worst_of_the_parts(kinds in prop::collection::vec(any_kind(), 0..40)) {
        let shown = status(kinds);
        let verdicts = shown.suites.iter().map(|s| s.verdict);
        prop_assert_eq!(verdicts.min().unwrap_or_default(), shown.verdict);
        prop_assert!(shown.suites.iter().all(|s| s.activity >= shown.activity));
        prop_assert!(shown.stale || shown.suites.iter().all(|s| !s.stale));
        prop_assert!(shown.since <= shown.updated_at);
    }

    #[test]
    fn a_fold_that_was_kept_goes_on_as_if_nothing_had_been(
        before in prop::collection::vec(any_kind(), 0..20),
        after in prop::collection::vec(any_kind(), 0..20),
    ) {
        let whole = fold(before.iter().chain(&after).cloned());
        let kept = serde_json::to_string(&fold(before.clone())).unwrap();
        let mut resumed: Fold = serde_json::from_str(&kept).unwrap();
        for (at, kind) in after.into_iter().enumerate() {
            resumed.apply(&Event {
                at: Timestamp::from_millis((before.len() + at) as i64 + 1),
                project: None,
                kind,
            });
        }
        prop_assert_eq!(resumed, whole);
    }
}
