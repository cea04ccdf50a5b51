//! Carrying a landing out: what is to be moved is on record before anything moves, so that
//! after a kill at any step the next try brings files, index and branch to where all three
//! belong.
//!
//! The order is files, index, branch, record. A kill before the branch moved leaves the branch
//! as it was and perhaps some of the files new; a kill after it leaves only the record behind.

use crate::git::Objects;
use crate::git::Worktree;
use crate::iteration::driver::oid;
use crate::iteration::error::LoopError;
use crate::model::LoopId;
use crate::model::SnapshotId;
use crate::model::Timestamp;
use crate::workspace::Grounds;
use crate::workspace::WorkspaceError;
use serde::Deserialize;
use serde::Serialize;
use tokio::task::spawn_blocking;

/// A landing that was proved and is to be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LandingPlan {
    /// The branch.
    pub branch: String,
    /// What it is.
    pub onto: String,
    /// What it becomes.
    pub commit: String,
    /// The tree of `onto`.
    pub from: SnapshotId,
    /// The tree of `commit`.
    pub to: SnapshotId,
    /// When it was decided.
    pub at: Timestamp,
}

/// What is left to be done of a plan that an earlier process had on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing: the branch has moved.
    Nothing,
    /// The branch is where it was: files and index may be half-way.
    Halfway,
    /// The branch is somewhere else: the plan is void.
    Void,
}

impl LandingPlan {
    /// Moves files, index and branch. What is refused leaves everything as it was. `again`: an
    /// earlier try may have been killed in the middle.
    pub async fn carry_out(
        &self,
        grounds: &Grounds,
        id: &LoopId,
        again: bool,
    ) -> Result<(), LoopError> {
        let (plan, grounds, id) = (self.clone(), grounds.clone(), id.clone());
        let moved = spawn_blocking(move || plan.move_all(&grounds, &id, again));
        moved.await.map_err(WorkspaceError::from)?
    }

    fn move_all(&self, grounds: &Grounds, id: &LoopId, again: bool) -> Result<(), LoopError> {
        let objects = Objects::open(&grounds.state_dir(), &grounds.worktree)?;
        let worktree = &grounds.worktree;
        let (onto, commit) = (oid(&self.onto)?, oid(&self.commit)?);
        objects.copy_closure(commit, &[onto], worktree)?;
        let here = worktree.head()?.branch.as_deref() == Some(&self.branch);
        if again {
            worktree.forget_landing_locks(&self.branch, self.at)?;
        }
        if here {
            self.update_checkout(worktree, again)?;
        }
        let log = format!("regreen: loop {id} applied");
        let moved = worktree.land_branch(&self.branch, onto, commit, &log);
        let Err(error) = moved else { return Ok(()) };
        if here {
            // The branch moved under our hands: the files go back to what they were.
            let back = LandingPlan {
                from: self.to.clone(),
                to: self.from.clone(),
                ..self.clone()
            };
            back.update_checkout(worktree, again)?;
        }
        Err(LoopError::Refused(error.to_string()))
    }

    fn update_checkout(&self, worktree: &Worktree, again: bool) -> Result<(), LoopError> {
        let (from, to) = (oid(self.from.as_str())?, oid(self.to.as_str())?);
        let updated = match again {
            true => worktree.settle(from, to)?,
            false => worktree.checkout(from, to)?,
        };
        let Err(dirty) = updated else { return Ok(()) };
        let names: Vec<String> = dirty
            .iter()
            .map(|path| format!("`{}`", path.display()))
            .collect();
        Err(LoopError::Refused(format!(
            "your changes in {} would be overwritten; commit or stash them first",
            names.join(", ")
        )))
    }

    /// What an earlier try left to be done.
    pub async fn left(&self, grounds: &Grounds) -> Result<Left, LoopError> {
        let (plan, worktree) = (self.clone(), grounds.worktree.clone());
        let asked = spawn_blocking(move || {
            let tip = worktree.branch_tip(&plan.branch)?;
            Ok(match tip {
                Some(tip) if tip == oid(&plan.commit)? => Left::Nothing,
                Some(tip) if tip == oid(&plan.onto)? => Left::Halfway,
                _ => Left::Void,
            })
        });
        asked.await.map_err(WorkspaceError::from)?
    }
}
