//! Why a workspace could not do what was asked.

use crate::git::GitError;
use crate::sandbox::mirror::MirrorError;
use crate::sandbox::slot::SlotError;
use std::io;
use std::path::Path;
use std::path::PathBuf;

/// Why a workspace could not do what was asked. None of it is the agent's or the project's doing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkspaceError {
    /// A repository could not be used.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A slot could not be used.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// A slot's content could not be made or read.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// The operating system refused.
    #[error("failed to {what} `{}`", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Work in the background panicked.
    #[error("work in the background came to no end")]
    Lost(#[from] tokio::task::JoinError),
    /// The room is not there: it was given back, or an earlier step failed.
    #[error("the workspace is gone")]
    Gone,
}

impl WorkspaceError {
    /// A closure for `map_err`.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| WorkspaceError::Io { what, path, source }
    }
}
