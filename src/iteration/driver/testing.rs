//! Testing in the loop's rooms, and keeping what the tests said.

use crate::git::Oid;
use crate::iteration::driver::Driver;
use crate::iteration::driver::prepare::Where;
use crate::iteration::error::LoopError;
use crate::iteration::inventory::Inventory;
use crate::iteration::inventory::Lost;
use crate::iteration::inventory::Ran;
use crate::iteration::machine::LoopInput;
use crate::iteration::machine::Mark;
use crate::iteration::machine::Tested;
use crate::iteration::progress::Stage;
use crate::iteration::progress::standing;
use crate::model::LoopId;
use crate::model::LoopLine;
use crate::model::Report;
use crate::model::SnapshotId;
use crate::model::TestEvent;
use crate::run::Key;
use crate::workspace::Room;
use crate::workspace::Testing;
use crate::workspace::Tests;
use crate::workspace::WorkspaceError;
use crate::workspace::test;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc;

/// What a test of a tree showed.
#[derive(Debug, Clone)]
pub(crate) struct SeenNow {
    /// The reports.
    pub tests: Tests,
    /// Every test.
    pub inventory: Inventory,
}

/// The same, as it is kept in the loop's directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// The reports.
    pub reports: Vec<Report>,
    /// Every test.
    pub inventory: Inventory,
}

impl Seen {
    /// The inventory, if the suites ran to their end: otherwise tests are missing in it that
    /// the code has.
    pub(crate) fn complete_inventory(self) -> Option<Inventory> {
        let stage = standing(&self.reports, None, &self.inventory).stage;
        (stage == Stage::Ends).then_some(self.inventory)
    }
}

/// What failed, by suite.
pub(super) fn failed_in(reports: &[Report]) -> BTreeMap<String, BTreeSet<Key>> {
    reports
        .iter()
        .map(|report| {
            let keys = report.failures.iter();
            let keys = keys.map(|failure| (failure.target.clone(), failure.id.clone()));
            (report.run.suite.clone().unwrap_or_default(), keys.collect())
        })
        .collect()
}

impl Driver {
    pub(super) async fn test(
        &mut self,
        tree: &SnapshotId,
        limit_ms: u64,
    ) -> Result<LoopInput, LoopError> {
        let iteration = self.record.state.spend.iterations;
        if !self.workspace.has_work() {
            self.workspace.make_work(tree).await?;
        }
        self.workspace.work()?.ready().await?;
        let before = self.reports_of_tip()?;
        let limit = Duration::from_millis(limit_ms);
        let seen = self
            .run_suites(Where::Work, tree, None, limit, failed_in(&before))
            .await?;
        if let Some(why) = seen.tests.trouble() {
            return Ok(LoopInput::Trouble(why));
        }
        let base = self.base_inventory()?;
        let now = standing(&seen.tests.reports, base.as_ref(), &seen.inventory);
        let skipped = base.map_or(0, |base| {
            let lost = base.lost_in(&seen.inventory).into_iter();
            lost.filter(|one| matches!(one, Lost::Skipped(key) if now.lost.contains(key)))
                .count() as u64
        });
        self.keep_tests(&tests_of(iteration), &seen)?;
        let test_ms = u64::try_from(seen.tests.took.as_millis()).unwrap_or(u64::MAX);
        let runs = seen.tests.reports.iter().filter_map(|it| it.run.id.clone());
        let entry = self.iteration(iteration);
        entry.failures_after = Some(now.told_count());
        entry.outcome_after = Some(now.outcome);
        entry.newly_skipped = skipped;
        entry.vanished = now.lost.iter().map(ToString::to_string).collect();
        entry.test_ms = test_ms;
        entry.runs = runs.collect();
        Ok(LoopInput::Tested(Tested {
            standing: now,
            duration_ms: test_ms,
            cut: seen.tests.cut,
        }))
    }

    /// Runs the suites in one of the rooms.
    pub(super) async fn run_suites(
        &mut self,
        place: Where,
        tree: &SnapshotId,
        commit: Option<String>,
        limit: Duration,
        failed_before: BTreeMap<String, BTreeSet<Key>>,
    ) -> Result<SeenNow, LoopError> {
        let testing = Testing {
            suites: self.record.suites.clone(),
            snapshot: tree.clone(),
            commit,
            limit,
            failed_before,
        };
        let room = match place {
            Where::Clean => self.workspace.clean().ok_or(WorkspaceError::Gone)?,
            Where::Work => self.workspace.work()?,
        };
        let watch = Watch {
            lines: self.deps.lines.clone(),
        };
        let grounds = self.deps.grounds.clone();
        watch.test(room, &grounds, testing, &self.stop).await
    }

    pub(super) fn keep_tests(&self, name: &str, seen: &SeenNow) -> Result<(), LoopError> {
        let kept = Seen {
            reports: seen.tests.reports.clone(),
            inventory: seen.inventory.clone(),
        };
        self.files
            .put(name, &kept)
            .map_err(LoopError::io("write to", self.files.dir()))
    }

    pub(super) fn kept_tests(&self, name: &str) -> Result<Option<Seen>, LoopError> {
        self.files
            .get(name)
            .map_err(LoopError::io("read from", self.files.dir()))
    }

    /// The commit that the loop stands on.
    pub(super) fn tip(&self) -> Result<Mark, LoopError> {
        self.record
            .state
            .tip
            .clone()
            .ok_or_else(|| LoopError::State {
                id: LoopId::new(self.record.id().as_str()),
                reason: "has no commit to stand on".to_owned(),
            })
    }

    /// What the tests said of the commit that the loop stands on.
    pub(super) fn reports_of_tip(&self) -> Result<Vec<Report>, LoopError> {
        let tip = self.tip()?;
        let iteration = self
            .record
            .iterations
            .iter()
            .find(|entry| entry.commit.as_ref() == Some(&tip.commit))
            .map(|entry| entry.iteration);
        let name = iteration.map_or("base.json".to_owned(), tests_of);
        let kept = match self.kept_tests(&name)? {
            Some(kept) => Some(kept),
            None => self.kept_tests("base.json")?,
        };
        Ok(kept.map_or_else(Vec::new, |seen| seen.reports))
    }
}

fn tests_of(iteration: u32) -> String {
    format!("tests-{iteration}.json")
}

/// Runs suites while somebody may be watching.
pub(crate) struct Watch {
    /// Who watches.
    pub lines: mpsc::Sender<LoopLine>,
}

impl Watch {
    /// Runs suites in a room, collects every test, and tells how far they are.
    pub(crate) async fn test(
        &self,
        room: &mut Room,
        grounds: &crate::workspace::Grounds,
        testing: Testing,
        stop: &tokio_util::sync::CancellationToken,
    ) -> Result<SeenNow, LoopError> {
        let (sender, receiver) = mpsc::channel(256);
        let collect = tokio::spawn(collect(receiver, self.lines.clone()));
        let tests = test(room, grounds, testing, &sender, stop).await;
        drop(sender);
        let inventory = collect.await.map_err(WorkspaceError::from)?;
        Ok(SeenNow {
            tests: tests?,
            inventory,
        })
    }
}

async fn collect(
    mut events: mpsc::Receiver<(String, TestEvent)>,
    lines: mpsc::Sender<LoopLine>,
) -> Inventory {
    let mut inventory = Inventory::default();
    let mut suites: BTreeMap<String, (Option<u64>, Inventory)> = BTreeMap::new();
    while let Some((suite, event)) = events.recv().await {
        inventory.note(&suite, &event);
        let (total, seen) = suites.entry(suite.clone()).or_default();
        if let TestEvent::Planned { total: known } = event {
            *total = Some(known);
        }
        seen.note(&suite, &event);
        // Whoever watches may be slow or gone.
        let _ = lines.try_send(LoopLine::Tests {
            suite,
            done: seen.len() as u64,
            total: *total,
            failed: seen.that(Ran::Failed).count() as u64,
        });
    }
    inventory
}

/// A commit's tree, as the rooms name it.
pub(super) fn snapshot(tree: Oid) -> SnapshotId {
    SnapshotId::new(tree.to_string())
}
