//! Watching a worktree: what the kernel tells becomes a [`Change`](crate::model::Change).
//!
//! The notification is only a hint: whoever gets a change looks at the disk.

mod batch;
mod clock;
mod dirs;
mod error;
mod filesystem;
mod gitdir;
mod poll;
mod thread;
mod tracked;
mod watcher;

pub mod debounce;

pub use crate::git::refuse_root;
pub use error::WatchError;
pub use watcher::WatchEvent;
pub use watcher::Watcher;
