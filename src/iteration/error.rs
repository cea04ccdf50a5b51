//! Why a loop could not be driven or landed.

use crate::git::GitError;
use crate::model::LoopId;
use crate::store::StoreError;
use crate::suite::SuiteError;
use crate::workspace::WorkspaceError;
use std::io;
use std::path::Path;

/// Why a loop could not be driven or landed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoopError {
    /// There is no such loop.
    #[error("there is no loop `{0}`: see `regreen loops list`")]
    Unknown(LoopId),
    /// Another process drives it.
    #[error("loop `{id}` is being driven by process {pid}")]
    Busy {
        /// The loop.
        id: LoopId,
        /// The process.
        pid: u32,
    },
    /// Its record cannot be read.
    #[error("failed to read the record of loop `{id}`")]
    Record {
        /// The loop.
        id: LoopId,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// It is not in the right state for what was asked.
    #[error("loop `{id}` {reason}")]
    State {
        /// The loop.
        id: LoopId,
        /// What stands against it, and what can be done.
        reason: String,
    },
    /// Landing was refused, and nothing was changed.
    #[error("nothing was applied: {0}")]
    Refused(String),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A repository could not be used.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The configured suites are wrong.
    #[error(transparent)]
    Suite(#[from] SuiteError),
    /// The workspace could not be used.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// Regreen is being ended; the loop goes on when it is started again.
    #[error("suspended: `regreen loops resume {0}` goes on with it")]
    Suspended(LoopId),
}

impl LoopError {
    /// A closure for `map_err`; what the operating system refuses has one home, the workspace's.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let refused = WorkspaceError::io(what, path);
        move |source| refused(source).into()
    }

    /// The error with all its causes, in one line.
    pub fn whole(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        text
    }
}
