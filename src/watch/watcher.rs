//! The handle of a watcher.

use crate::git::Worktree;
use crate::model::Change;
use crate::model::Trigger;
use crate::watch::WatchError;
use crate::watch::thread::Listener;
use rustix::event::EventfdFlags;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
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
pub struct Watcher {
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
    directories: usize,
}

impl Watcher {
    /// Starts watching. When it answers, all watches are set. Every start is followed by a
    /// change with `rescan`, because nobody knows what happened before.
    pub fn start(
        worktree: Worktree,
        trigger: Trigger,
        tx: mpsc::Sender<WatchEvent>,
    ) -> Result<Watcher, WatchError> {
        let failed = |what| move |source: std::io::Error| WatchError::Io { what, source };
        let stop = rustix::event::eventfd(0, EventfdFlags::CLOEXEC)
            .map_err(std::io::Error::from)
            .map_err(failed("make an event descriptor"))?;
        let stop = Arc::new(stop);
        let listener = Listener::new(worktree, trigger, tx, stop.clone())?;
        let directories = listener.directories();
        let thread = std::thread::Builder::new()
            .name("regreen-watch".to_owned())
            .spawn(move || listener.run())
            .map_err(failed("start the watching thread"))?;
        Ok(Watcher {
            stop,
            thread: Some(thread),
            directories,
        })
    }

    /// How many directories of the worktree were watched at the start.
    pub fn directories(&self) -> usize {
        self.directories
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It cannot be full: nobody else writes to it.
        let _ = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the watching thread panicked");
        }
    }
}
