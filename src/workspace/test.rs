//! Testing what lies in a room: the same runs as everywhere else.

use crate::model::Outcome;
use crate::model::Report;
use crate::model::RunId;
use crate::model::SnapshotId;
use crate::model::Suite;
use crate::model::TestEvent;
use crate::run::Ground;
use crate::run::Job;
use crate::run::Key;
use crate::run::entropy;
use crate::run::execute;
use crate::run::now;
use crate::run::select::Early;
use crate::sandbox::Mount;
use crate::workspace::Grounds;
use crate::workspace::Room;
use crate::workspace::WorkspaceError;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What is to be tested.
#[derive(Debug, Clone)]
pub struct Testing {
    /// The suites, one after the other.
    pub suites: Vec<Suite>,
    /// The tree that lies in the room.
    pub snapshot: SnapshotId,
    /// The commit that it is the tree of.
    pub commit: Option<String>,
    /// How long all of them may take.
    pub limit: Duration,
    /// What failed last, by suite: only what is new is run again alone.
    pub failed_before: BTreeMap<String, BTreeSet<Key>>,
}

/// What it came to.
#[derive(Debug, Clone)]
pub struct Tests {
    /// One report a suite.
    pub reports: Vec<Report>,
    /// The time was up before the end.
    pub cut: bool,
    /// How long it took.
    pub took: Duration,
}

/// Runs suites in a room. Every event of a test goes to `events` with its suite's name.
pub async fn test(
    room: &mut Room,
    grounds: &Grounds,
    testing: Testing,
    events: &mpsc::Sender<(String, TestEvent)>,
    stop: &CancellationToken,
) -> Result<Tests, WorkspaceError> {
    let clock = tokio::time::Instant::now();
    let deadline = clock + testing.limit;
    let mut tests = Tests {
        reports: Vec::new(),
        cut: false,
        took: Duration::ZERO,
    };
    for suite in &testing.suites {
        if stop.is_cancelled() || tests.cut {
            break;
        }
        room.empty_tmp().await?;
        let mounts = room.mounts_of_toolchains(grounds).await?;
        let job = job(room, grounds, &mounts, &testing, suite)?;
        let run_stop = stop.child_token();
        let (sender, forward) = forward(&suite.name, events.clone());
        let run = execute(job, grounds.backend.as_ref(), sender, run_stop.clone());
        tokio::pin!(run);
        let report = match tokio::time::timeout_at(deadline, &mut run).await {
            Ok(report) => report,
            Err(_) => {
                run_stop.cancel();
                tests.cut = true;
                run.await
            }
        };
        // It ends with the sender, which the run held.
        forward.await?;
        tests.reports.push(report);
    }
    tests.took = clock.elapsed();
    Ok(tests)
}

impl Tests {
    /// Why nothing is known of the project: the sandbox or regreen failed.
    pub fn trouble(&self) -> Option<String> {
        let report = self
            .reports
            .iter()
            .find(|report| report.outcome == Outcome::InfraError)?;
        let notes: Vec<String> = report
            .notes
            .iter()
            .map(|note| match &note.remedy {
                Some(remedy) => format!("{} ({remedy})", note.message),
                None => note.message.clone(),
            })
            .collect();
        Some(if notes.is_empty() {
            "the sandbox failed".to_owned()
        } else {
            notes.join("; ")
        })
    }
}

fn job(
    room: &Room,
    grounds: &Grounds,
    mounts: &[Mount],
    testing: &Testing,
    suite: &Suite,
) -> Result<Job, WorkspaceError> {
    let project = grounds.worktree.id();
    let ground = Ground {
        host: &grounds.host,
        project: &project,
        config: &grounds.config,
        snapshot: &testing.snapshot,
        commit: testing.commit.as_deref(),
        dirty: testing.commit.is_none(),
        place: room.place(),
        synced: room.synced()?,
        toolchains: &grounds.toolchains,
        mounts,
        shim: &grounds.shim,
    };
    let run = RunId::make(now(), entropy());
    let mut job = ground.job(run, suite, grounds.backend_name);
    // What the watch knows of the work tree says nothing about a loop's tree.
    job.early = Early::default();
    job.failed_before = testing.failed_before.get(&suite.name).cloned();
    Ok(job)
}

type Forward = tokio::task::JoinHandle<()>;

/// Puts the suite's name to each event.
fn forward(
    suite: &str,
    to: mpsc::Sender<(String, TestEvent)>,
) -> (mpsc::Sender<TestEvent>, Forward) {
    let (sender, mut receiver) = mpsc::channel(256);
    let suite = suite.to_owned();
    let task = tokio::spawn(async move {
        while let Some(event) = receiver.recv().await {
            if to.send((suite.clone(), event)).await.is_err() {
                // Whoever wanted them is gone; the run goes on.
                receiver.close();
            }
        }
    });
    (sender, task)
}
