//! Preparing: the base's commit, complete in regreen's own repository, the loop's branch in
//! the user's, and a clean room; then the baseline.

use crate::git::CommitSpec;
use crate::git::Oid;
use crate::git::RefUpdate;
use crate::iteration::driver::Driver;
use crate::iteration::driver::commits::oid;
use crate::iteration::driver::testing::Seen;
use crate::iteration::error::LoopError;
use crate::iteration::inventory::Inventory;
use crate::iteration::machine::LoopInput;
use crate::iteration::machine::Tested;
use crate::iteration::progress::standing;
use crate::iteration::record::Start;
use crate::model::Note;
use crate::model::SnapshotId;
use crate::model::Suite;
use crate::suite;
use crate::workspace::WorkspaceError;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

impl Driver {
    pub(super) async fn prepare(&mut self) -> Result<LoopInput, LoopError> {
        let (_, work_tree) = self.workspace.make_clean().await?;
        let tip = oid(&self.record.tip)?;
        let tip_tree = self
            .with_objects(move |objects, _| Ok(objects.commit_info(tip)?.tree))
            .await?;
        let tip_tree = SnapshotId::new(tip_tree.to_string());
        let dirty = self.record.start == Start::Dirty;
        let differs = work_tree != tip_tree;
        let (commit, tree) = if dirty && differs {
            (self.commit_work_tree(&work_tree).await?, work_tree)
        } else {
            (tip, tip_tree)
        };
        if !dirty && self.record.checked_out && differs {
            let message = "the work tree differs from the branch's tip, where the loop starts";
            self.note(
                Note::new("work_tree_differs", message)
                    .remedy("commit the changes, or start from them with `--dirty`"),
            );
        }
        self.adopt_base(commit).await?;
        let room = self.workspace.clean().ok_or(WorkspaceError::Gone)?;
        room.set(&tree).await?;
        let files = room.place().tree.clone();
        if self.record.suites.is_empty() {
            self.record.suites = self.suites_in(files).await?;
        }
        Ok(LoopInput::Prepared {
            commit: commit.to_string(),
            tree,
        })
    }

    /// The suites that the base's files have, by the base's configuration.
    async fn suites_in(&self, files: PathBuf) -> Result<Vec<Suite>, LoopError> {
        let grounds = self.deps.grounds.clone();
        let found = tokio::task::spawn_blocking(move || {
            suite::suites_at(&files, &grounds.config).map_err(LoopError::from)
        });
        found.await.map_err(WorkspaceError::from)?
    }

    /// The work tree as it is, as a commit on top of the branch's tip.
    async fn commit_work_tree(&self, tree: &SnapshotId) -> Result<Oid, LoopError> {
        let spec = CommitSpec {
            tree: oid(tree.as_str())?,
            parents: vec![oid(&self.record.tip)?],
            message: "The work tree as it was when the loop began".to_owned(),
            trailers: vec![("Regreen-Loop".to_owned(), self.record.id().to_string())],
            author: ("regreen".to_owned(), "regreen@localhost".to_owned()),
            time: self.record.created,
        };
        self.with_objects(move |objects, _| Ok(objects.commit_tree(&spec)?))
            .await
    }

    /// Keeps the base complete on our side, and reachable on the user's, so that no `git gc`
    /// of theirs takes the ground from under the loop.
    async fn adopt_base(&self, base: Oid) -> Result<(), LoopError> {
        let name = format!("refs/heads/{}", self.record.loop_branch());
        let (tip, id) = (oid(&self.record.tip)?, self.record.id().clone());
        self.with_objects(move |objects, grounds| {
            objects.adopt(base)?;
            if base != tip {
                objects.copy_closure(base, &[tip], &grounds.worktree)?;
            }
            let log = format!("regreen: loop {id} begins");
            for (old, ours) in [
                (objects.read_ref(&name)?, true),
                (grounds.worktree.read_ref(&name)?, false),
            ] {
                if old == Some(base) {
                    continue;
                }
                let update = RefUpdate {
                    name: name.clone(),
                    old,
                    new: Some(base),
                    log: log.clone(),
                };
                if ours {
                    objects.write_ref(&update)?;
                } else {
                    grounds.worktree.write_ref(&update)?;
                }
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn baseline(&mut self, limit_ms: u64) -> Result<LoopInput, LoopError> {
        let base = self.tip()?;
        if self.workspace.clean().is_none() {
            // Lost with the cache directory: made again.
            self.workspace.make_clean().await?;
        }
        let room = self.workspace.clean().ok_or(WorkspaceError::Gone)?;
        room.restore(&base.tree).await?;
        if self.record.suites.is_empty() {
            return Ok(LoopInput::Trouble(
                "no test suite was found at the base: name one with `[[suite]]` in regreen.toml"
                    .to_owned(),
            ));
        }
        let seen = self
            .run_suites(
                Where::Clean,
                &base.tree,
                Some(base.commit.clone()),
                Duration::from_millis(limit_ms),
                BTreeMap::new(),
            )
            .await?;
        if let Some(why) = seen.tests.trouble() {
            return Ok(LoopInput::Trouble(why));
        }
        let now = standing(&seen.tests.reports, None, &seen.inventory);
        self.keep_tests("base.json", &seen)?;
        // What the base's own tests left behind is no edit of any agent.
        let room = self.workspace.clean().ok_or(WorkspaceError::Gone)?;
        room.restore(&base.tree).await?;
        Ok(LoopInput::Baselined(Tested {
            standing: now,
            duration_ms: u64::try_from(seen.tests.took.as_millis()).unwrap_or(u64::MAX),
            cut: seen.tests.cut,
        }))
    }

    /// The base's tests by the stored run, if it built.
    pub(super) fn base_inventory(&self) -> Result<Option<Inventory>, LoopError> {
        let kept: Option<Seen> = self.kept_tests("base.json")?;
        Ok(kept.and_then(|seen| seen.complete_inventory()))
    }
}

/// Which room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    /// The base's.
    Clean,
    /// The agent's.
    Work,
}
