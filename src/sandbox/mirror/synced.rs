//! What a synchronisation did.

use crate::model::SnapshotId;
use crate::sandbox::Mount;
use crate::sandbox::mirror::Reason;
use std::path::PathBuf;

/// Something of the worktree that is not in the slot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeftOut {
    /// The path, relative to the worktree.
    pub path: PathBuf,
    /// Why, and what would bring it in.
    pub reason: Reason,
}

impl LeftOut {
    /// Left out not by a rule, but because regreen may not read it: what was tested is not all
    /// that the user has.
    pub fn is_unreadable(&self) -> bool {
        matches!(self.reason, Reason::Unreadable(_))
    }
}

/// What a synchronisation did, and where the slot stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// The state that the slot holds.
    pub snapshot: SnapshotId,
    /// Paths whose content or mode changed in the slot, new ones included, sorted. Empty if
    /// the slot is new (`first`): then it is everything.
    pub changed: Vec<PathBuf>,
    /// Paths that are gone, sorted.
    pub removed: Vec<PathBuf>,
    /// What is not in the slot, and why; the whole list, sorted.
    pub left_out: Vec<LeftOut>,
    /// Ignored directories that are mounted from the user's worktree.
    pub carried: Vec<Mount>,
    /// Untracked files above the limit: in the slot, in the snapshot id, but not stored.
    pub large: Vec<PathBuf>,
    /// Counts up whenever the slot's content changes.
    pub generation: u64,
    /// The slot was empty before.
    pub first: bool,
}

/// What the sandbox did to the slot's copy of the worktree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drift {
    /// Copied files whose content, mode or kind changed.
    pub rewritten: Vec<PathBuf>,
    /// Copied files that are gone.
    pub removed: Vec<PathBuf>,
    /// Files that git does not ignore and that were not copied: what tests made.
    pub created: Vec<PathBuf>,
    /// Lock files that a tool brought up to date with an edited manifest: no drift.
    pub locks: Vec<PathBuf>,
    /// Empty directories, sockets and the like: nothing that could be brought back.
    pub litter: Vec<PathBuf>,
}

impl Drift {
    /// Whether what was copied is no longer what it was.
    pub fn is_clean(&self) -> bool {
        self.rewritten.is_empty() && self.removed.is_empty()
    }
}
