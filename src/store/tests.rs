//! The store against a real SQLite on a real disk.

use crate::model::Asker;
use crate::model::Counts;
use crate::model::EnvironmentHash;
use crate::model::Event;
use crate::model::EventKind;
use crate::model::LoopId;
use crate::model::Outcome;
use crate::model::ProjectId;
use crate::model::RunId;
use crate::model::RunState;
use crate::model::SnapshotId;
use crate::model::TestRef;
use crate::model::Timestamp;
use crate::model::Trigger;
use crate::store::Keep;
use crate::store::LoopRow;
use crate::store::Store;
use crate::store::StoreError;
use std::time::Duration;

fn event(at: i64, project: &str, kind: EventKind) -> Event {
    Event {
        at: Timestamp::from_millis(at),
        project: Some(ProjectId::new(project)),
        kind,
    }
}

fn queued(at: i64, run: &str) -> Event {
    event(
        at,
        "p",
        EventKind::RunQueued {
            run: RunId::new(run),
            suite: "cargo".to_owned(),
            snapshot: SnapshotId::new("t1"),
            asker: Asker::Explicit,
            environment: Some(EnvironmentHash::new("e")),
        },
    )
}

fn started(at: i64, run: &str) -> Event {
    let run = RunId::new(run);
    event(at, "p", EventKind::RunStarted { run })
}

fn finished(at: i64, run: &str, outcome: Outcome, failed: &[&str]) -> Event {
    let failed: Vec<TestRef> = failed
        .iter()
        .map(|id| TestRef {
            target: Some("lib".to_owned()),
            id: (*id).to_owned(),
        })
        .collect();
    let kind = EventKind::RunFinished {
        run: RunId::new(run),
        outcome,
        complete: true,
        counts: Counts::new(1, failed.len() as u64, 0),
        duration_ms: 5,
        stale: false,
        failures: Vec::new(),
        more: 0,
        flaky: failed.clone(),
        failed,
        isolation: None,
        notes: Vec::new(),
    };
    event(at, "p", kind)
}

#[tokio::test]
async fn what_is_appended_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let p = ProjectId::new("p");
    let added = event(
        1,
        "p",
        EventKind::ProjectAdded {
            path: "/x y".to_owned(),
            foreground: false,
            trigger: Trigger::Stage,
        },
    );
    let events = vec![
        added.clone(),
        queued(2, "r1"),
        started(3, "r1"),
        queued(4, "r2"),
    ];
    let store = Store::open(dir.path()).unwrap();
    store.append(events.clone());
    store.close().await;
    drop(store);

    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.replay(&p).await.unwrap(), (None, events));
    let open = store.open_runs().await.unwrap();
    let states: Vec<_> = open
        .iter()
        .map(|run| (run.id.as_str(), run.state))
        .collect();
    assert_eq!(
        states,
        [("r1", RunState::Running), ("r2", RunState::Queued)]
    );
    let projects = store.projects().await.unwrap();
    assert_eq!(projects[0].path.to_str(), Some("/x y"));
    assert_eq!(projects[0].trigger, Trigger::Stage);

    store.checkpoint(&p, serde_json::json!({"a": 1}));
    let last = finished(9, "r1", Outcome::Failed, &["tests::a"]);
    store.commit(vec![last.clone()]).await.unwrap();
    let (body, since) = store.replay(&p).await.unwrap();
    assert_eq!(body, Some(serde_json::json!({"a": 1})));
    assert_eq!(since, [last]);
}

#[tokio::test]
async fn runs_failures_and_flakes_follow_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let p = ProjectId::new("p");
    store.append(vec![
        queued(1, "r1"),
        started(2, "r1"),
        finished(3, "r1", Outcome::Failed, &["a", "b"]),
    ]);
    let failed = store.last_failed(&p, "cargo").await.unwrap();
    assert_eq!(failed.len(), 2);
    let now = Timestamp::from_millis(10);
    assert_eq!(store.flakes(&p, "cargo", now).await.unwrap().len(), 2);
    let later = now.plus(Duration::from_secs(30 * 24 * 3600));
    assert_eq!(store.flakes(&p, "cargo", later).await.unwrap(), []);
    assert_eq!(store.green_runs(&p, 9).await.unwrap(), []);

    store.append(vec![
        queued(4, "r2"),
        finished(5, "r2", Outcome::Passed, &[]),
    ]);
    let green = store.green_runs(&p, 9).await.unwrap();
    assert_eq!(green[0].id.as_str(), "r2");
    assert_eq!(green[0].key.environment, Some(EnvironmentHash::new("e")));
    assert_eq!(store.last_failed(&p, "cargo").await.unwrap(), []);
    assert_eq!(store.open_runs().await.unwrap(), []);
}

#[tokio::test]
async fn a_full_disk_refuses_accepted_work_and_keeps_the_stream() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let limit = |pages: u32| {
        store.query(move |c| {
            c.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
        })
    };
    limit(1).await.unwrap();
    let mut run = 0;
    let error = loop {
        run += 1;
        match store.commit(vec![queued(run, &format!("r{run:05}"))]).await {
            Ok(()) => assert!(run < 20_000, "the limit was never reached"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.to_string().contains("is full"), "{error}");
    let mut health = store.health();
    assert!(health.borrow_and_update().trouble.is_some());

    store.append(vec![queued(90_000, "r90000")]);
    let refused = RunId::new(format!("r{run:05}"));
    assert_eq!(store.run(&refused).await.unwrap(), None);
    limit(100_000).await.unwrap();
    // The backlog is tried again with the next message.
    store.append(vec![queued(90_001, "r90001")]);
    assert!(store.run(&RunId::new("r90000")).await.unwrap().is_some());
    assert!(store.run(&RunId::new("r90001")).await.unwrap().is_some());
    assert_eq!(health.borrow_and_update().trouble, None);
}

#[tokio::test]
async fn loops_keep_their_record_and_their_steps() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let id = LoopId::new("l1");
    let mut row = LoopRow {
        id: id.clone(),
        project: ProjectId::new("p"),
        state: "turn".to_owned(),
        created: Timestamp::from_millis(1),
        updated: Timestamp::from_millis(1),
        record: serde_json::json!({"branch": "main"}),
    };
    store.put_loop(row.clone()).await.unwrap();
    let steps = [serde_json::json!({"n": 1}), serde_json::json!({"n": 2})];
    for step in &steps {
        store.append_loop_step(&id, step.clone()).await.unwrap();
    }
    row.state = "stopped".to_owned();
    store.put_loop(row.clone()).await.unwrap();
    store.close().await;
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.loops(None).await.unwrap(), [row.clone()]);
    let other = ProjectId::new("q");
    assert_eq!(store.loops(Some(&other)).await.unwrap(), []);
    assert_eq!(store.loop_row(&id).await.unwrap(), Some(row));
    assert_eq!(store.loop_steps(&id).await.unwrap(), steps);
}

#[tokio::test]
async fn retention_removes_what_is_old_and_never_what_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    let store = Store::open(dir.path()).unwrap();
    let mut events = vec![queued(1, "r000")];
    for n in 1..=100 {
        let run = format!("r{n:03}");
        events.push(queued(n + 1, &run));
        events.push(finished(n + 1, &run, Outcome::Passed, &[]));
        let place = runs.join(&run);
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("raw.log"), [0; 1000]).unwrap();
    }
    store.append(events);
    store.checkpoint(&ProjectId::new("p"), serde_json::json!({}));
    let keep = Keep {
        runs: 50,
        run_bytes: 30_000,
        ..Keep::default()
    };
    let now = Timestamp::from_millis(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_millis() as i64,
    );
    let would = store.retain(keep, &runs, now, true).await.unwrap();
    // The events' times are of 1970: all old; the runs' too, but the newest 20 stay.
    assert_eq!((would.runs, would.events), (80, 201));
    assert_eq!((would.directories, would.bytes), (70, 70_000));
    assert_eq!(std::fs::read_dir(&runs).unwrap().count(), 100);
    let did = store.retain(keep, &runs, now, false).await.unwrap();
    assert_eq!(did, would);
    let left = store.recent_runs(&ProjectId::new("p"), 999).await.unwrap();
    assert_eq!(left.len(), 21);
    assert!(left.iter().any(|run| run.id.as_str() == "r000"));
    assert_eq!(std::fs::read_dir(&runs).unwrap().count(), 30);
}

#[test]
fn a_store_that_others_open_and_close_is_never_locked() {
    let dir = tempfile::tempdir().unwrap();
    let work = &|number: i64| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        for round in 0..25 {
            let store = Store::open(dir.path()).unwrap();
            let wrote = store.commit(vec![queued(round, &format!("r{number}-{round}"))]);
            runtime.block_on(wrote).unwrap();
            runtime.block_on(store.close());
        }
    };
    std::thread::scope(|scope| {
        for number in 0..3 {
            scope.spawn(move || work(number));
        }
    });
}
