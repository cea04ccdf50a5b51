//! What is mirrored beyond what git does not ignore.

use std::path::PathBuf;

/// The user's choices for a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorRules {
    /// Paths (relative to the worktree) that go in although they look like credentials or are
    /// ignored.
    pub include: Vec<PathBuf>,
    /// Ignored directories to carry besides the well-known ones.
    pub carry: Vec<PathBuf>,
    /// Of the carried directories, those that tests must write to: private copies.
    pub carry_writable: Vec<PathBuf>,
    /// Untracked files above this size are hashed and not stored.
    pub large_bytes: u64,
    /// Whether build caches are seeded from the user's own.
    pub seed: bool,
}

impl Default for MirrorRules {
    fn default() -> Self {
        MirrorRules {
            include: Vec::new(),
            carry: Vec::new(),
            carry_writable: Vec::new(),
            large_bytes: 16 << 20,
            seed: true,
        }
    }
}
