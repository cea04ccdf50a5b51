//! The thread that listens.

use crate::git::Worktree;
use crate::model::Change;
use crate::model::Trigger;
use crate::watch::WatchError;
use tokio::sync::mpsc;

/// What a watcher tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// Something was touched.
    Changed(Change),
    /// Watching does not work as it should (limit, overflow, a file system without events);
    /// the reason is for the user. Changes still come, later.
    Degraded(String),
    /// It works as it should again.
    Recovered,
}

/// Watches a worktree from a thread of its own, until dropped.
#[derive(Debug)]
pub struct Watcher {}

impl Watcher {
    /// Starts watching. When it answers, all watches are set. Every start is followed by a
    /// change with `rescan`, because nobody knows what happened before.
    pub fn start(
        worktree: Worktree,
        trigger: Trigger,
        tx: mpsc::Sender<WatchEvent>,
    ) -> Result<Watcher, WatchError> {
        let _ = (worktree, trigger, tx);
        Err(WatchError::Io {
            what: "start: not built yet",
            source: std::io::ErrorKind::Unsupported.into(),
        })
    }
}
