//! Why a worktree cannot be watched.

use crate::git::GitError;
use std::io;

/// Why a worktree cannot be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The repository could not be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The operating system refused.
    #[error("failed to {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}
