//! Commits and refs of a loop: complete in regreen's own repository first, then copied to the
//! user's; what is left behind is kept as a rescue ref.

use crate::git::CommitSpec;
use crate::git::GitError;
use crate::git::Objects;
use crate::git::Oid;
use crate::git::RefUpdate;
use crate::git::Worktree;
use crate::iteration::driver::Driver;
use crate::iteration::error::LoopError;
use crate::iteration::machine::CommitPlan;
use crate::iteration::machine::LoopInput;
use crate::model::Note;

/// Reads an object id that regreen wrote itself.
pub(crate) fn oid(text: &str) -> Result<Oid, LoopError> {
    Oid::from_str(text).map_err(|_| {
        LoopError::Git(GitError::NoSuchRevision {
            rev: text.to_owned(),
            repo: std::path::PathBuf::new(),
        })
    })
}

/// A loop has so many commits at most.
const COMMITS: usize = 10_000;

impl Driver {
    pub(super) async fn commit(&mut self, plan: &CommitPlan) -> Result<LoopInput, LoopError> {
        let id = self.record.id().clone();
        let agent = self.record.agents.get(plan.tier as usize);
        let agent = agent.map_or_else(String::new, |agent| agent.name.clone());
        let number = plan.iteration;
        let spec = CommitSpec {
            tree: oid(plan.tree.as_str())?,
            parents: vec![oid(&plan.parent)?],
            message: format!(
                "Iteration {number} of loop {id}: {} failing -> {}",
                plan.before, plan.after
            ),
            trailers: vec![
                ("Regreen-Loop".into(), id.to_string()),
                ("Regreen-Iteration".into(), number.to_string()),
                ("Regreen-Agent".into(), agent),
                ("Regreen-Failures-Before".into(), plan.before.to_string()),
                ("Regreen-Failures-After".into(), plan.after.to_string()),
            ],
            author: ("regreen".into(), "regreen@localhost".into()),
            // The time of the decision: made again after a kill it is the same commit.
            time: self.record.state.heard,
        };
        let commit = self
            .with_objects(move |objects, _| Ok(objects.commit_tree(&spec)?))
            .await?;
        self.iteration(number).commit = Some(commit.to_string());
        self.point(&commit.to_string()).await?;
        Ok(LoopInput::Committed {
            commit: commit.to_string(),
        })
    }

    /// Sets the loop's branch to a commit, here and at the user's.
    pub(super) async fn point(&mut self, commit: &str) -> Result<(), LoopError> {
        let (Some(base), commit) = (self.base_commit()?, oid(commit)?) else {
            return Ok(());
        };
        let pointing = Pointing {
            branch: format!("refs/heads/{}", self.record.loop_branch()),
            rescue: format!("refs/regreen/rescue/{}", self.record.id()),
            base,
            commit,
            log: format!("regreen: loop {}", self.record.id()),
        };
        let moved = self
            .with_objects(move |objects, grounds| pointing.carry_out(objects, &grounds.worktree))
            .await;
        match moved {
            // Somebody works on the loop's branch: it is theirs now, and nothing is lost.
            Err(LoopError::Git(error @ GitError::RefMoved { .. })) => {
                self.note(Note::new("branch_moved", error.to_string()));
                Ok(())
            }
            other => other,
        }
    }

    /// A branch that names the base has nothing of the loop: it is taken away again.
    pub(super) async fn remove_empty_branch(&mut self) -> Result<(), LoopError> {
        let state = &self.record.state;
        let mark = state.best.as_ref().or(state.tip.as_ref());
        // From `--dirty` the base itself is a commit that nothing else names.
        let Some(tip) = mark.filter(|mark| mark.commit == self.record.tip) else {
            return Ok(());
        };
        let update = RefUpdate {
            name: format!("refs/heads/{}", self.record.loop_branch()),
            old: Some(oid(&tip.commit)?),
            new: None,
            log: format!("regreen: loop {} has no result", self.record.id()),
        };
        let removed = self
            .with_objects(move |_, grounds| Ok(grounds.worktree.write_ref(&update)?))
            .await;
        match removed {
            // Gone already, or somebody works there: it is theirs now.
            Err(LoopError::Git(GitError::RefMoved { .. })) => Ok(()),
            other => other,
        }
    }

    fn base_commit(&self) -> Result<Option<Oid>, LoopError> {
        let state = &self.record.state;
        let mark = state.base.as_ref().or(state.tip.as_ref());
        mark.map(|mark| oid(&mark.commit)).transpose()
    }
}

struct Pointing {
    branch: String,
    rescue: String,
    base: Oid,
    commit: Oid,
    log: String,
}

impl Pointing {
    fn carry_out(&self, objects: &Objects, worktree: &Worktree) -> Result<(), LoopError> {
        objects.adopt_since(self.commit, &[self.base])?;
        let ours = objects.read_ref(&self.branch)?;
        self.swap(ours, |update| objects.write_ref(update), objects)?;
        objects.copy_closure(self.commit, &[self.base], worktree)?;
        // What was written there by an earlier commit of this loop, or nothing.
        let theirs = worktree.read_ref(&self.branch)?;
        if theirs.is_some_and(|id| !objects.contains(id)) {
            return Err(LoopError::Git(GitError::RefMoved {
                name: self.branch.clone(),
                expected: ours.map_or("nothing".to_owned(), |id| id.to_string()),
                found: theirs.map_or("nothing".to_owned(), |id| id.to_string()),
            }));
        }
        self.swap(theirs, |update| worktree.write_ref(update), objects)?;
        // A gc of the user's between the copy and the ref would have taken the objects.
        objects.copy_closure(self.commit, &[self.base], worktree)?;
        Ok(())
    }

    fn swap(
        &self,
        old: Option<Oid>,
        write: impl Fn(&RefUpdate) -> Result<(), GitError>,
        objects: &Objects,
    ) -> Result<(), LoopError> {
        if old == Some(self.commit) {
            return Ok(());
        }
        if let Some(old) = old
            && old != self.base
            && !self.descends_from(old, objects)?
        {
            let name = format!("{}/{}", self.rescue, &old.to_string()[..12]);
            let rescue = RefUpdate {
                name,
                old: None,
                new: Some(old),
                log: self.log.clone(),
            };
            match write(&rescue) {
                // Rescued before.
                Ok(()) | Err(GitError::RefMoved { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(write(&RefUpdate {
            name: self.branch.clone(),
            old,
            new: Some(self.commit),
            log: self.log.clone(),
        })?)
    }

    fn descends_from(&self, old: Oid, objects: &Objects) -> Result<bool, LoopError> {
        let mut next = self.commit;
        for _ in 0..COMMITS {
            if next == old {
                return Ok(true);
            }
            if next == self.base {
                return Ok(false);
            }
            match objects.commit_info(next)?.parents.first() {
                Some(parent) => next = *parent,
                None => return Ok(false),
            }
        }
        Ok(false)
    }
}
