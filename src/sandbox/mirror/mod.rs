//! The mirror: a slot's copy of a worktree, brought up to date path by path between runs.
//!
//! First population keeps times; later every path whose content changed is given the time of
//! its arrival, and what did not change is never touched. docs/mirror.md says why.

mod error;
mod rules;
mod synced;

pub use error::MirrorError;
pub use rules::MirrorRules;
pub use synced::Drift;
pub use synced::LeftOut;
pub use synced::Synced;

use crate::git::Objects;
use crate::git::Worktree;
use crate::model::SnapshotId;
use crate::sandbox::Place;
use crate::sandbox::slot::Slot;
use std::path::Path;
use std::path::PathBuf;

/// A slot's copy of a worktree. All methods block.
#[derive(Debug)]
pub struct Mirror {
    worktree: Worktree,
    objects: Objects,
    slot: Slot,
    rules: MirrorRules,
}

impl Mirror {
    /// Takes a slot for a worktree, with what its manifest remembers.
    pub fn open(
        worktree: Worktree,
        objects: Objects,
        slot: Slot,
        rules: MirrorRules,
    ) -> Result<Mirror, MirrorError> {
        Ok(Mirror {
            worktree,
            objects,
            slot,
            rules,
        })
    }

    /// Brings the named paths (relative to the worktree) up to date.
    pub fn sync(&mut self, _paths: &[PathBuf]) -> Result<Synced, MirrorError> {
        Err(MirrorError::Unfinished)
    }

    /// Walks the whole worktree and brings everything up to date.
    pub fn reconcile(&mut self) -> Result<Synced, MirrorError> {
        Err(MirrorError::Unfinished)
    }

    /// Makes the slot hold a given tree instead of the work tree; what is the same stays
    /// untouched.
    pub fn populate_tree(&mut self, _tree: &SnapshotId) -> Result<Synced, MirrorError> {
        Err(MirrorError::Unfinished)
    }

    /// Takes what the sandbox wrote as the new state (an agent's edits) and answers its snapshot.
    pub fn capture(&mut self) -> Result<Synced, MirrorError> {
        Err(MirrorError::Unfinished)
    }

    /// What the sandbox did to the copied files, and which files it made.
    pub fn drift(&mut self) -> Result<Drift, MirrorError> {
        Err(MirrorError::Unfinished)
    }

    /// Puts back what drifted; the drifted content is kept aside for [`Mirror::bring_back`].
    pub fn repair(&mut self, _drift: &Drift) -> Result<(), MirrorError> {
        Err(MirrorError::Unfinished)
    }

    /// Copies files that the sandbox made or rewrote into the user's worktree, by name.
    pub fn bring_back(&mut self, _names: &[PathBuf]) -> Result<Vec<PathBuf>, MirrorError> {
        Err(MirrorError::Unfinished)
    }

    /// The slot.
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    /// The worktree that is mirrored.
    pub fn worktree(&self) -> &Worktree {
        &self.worktree
    }

    /// regreen's objects of the project.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// What is mirrored.
    pub fn rules(&self) -> &MirrorRules {
        &self.rules
    }

    /// Where a sandbox finds the copy: at the user's own path.
    pub fn place(&self) -> Place {
        self.slot.place(&self.worktree)
    }

    /// The directory of the copy.
    pub fn tree(&self) -> &Path {
        self.slot.tree()
    }
}
