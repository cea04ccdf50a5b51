//! What `regreen slots` shows.

use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;

/// One slot: a copy of a worktree with its build caches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SlotView {
    /// The project's identity.
    pub project: String,
    /// Its number within the project; 0 is the watch's.
    pub number: u32,
    /// The worktree that it is a copy of, if its marker can be read.
    pub root: Option<PathBuf>,
    /// `watch`, `run`, `loop`, `gate`.
    pub purpose: Option<String>,
    /// Whether a process holds it now.
    pub in_use: bool,
    /// Bytes on the disk.
    pub bytes: u64,
    /// Where it lies.
    pub dir: PathBuf,
}

/// What tests did to a slot. Paths relative to the worktree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DriftView {
    /// Which slot.
    pub slot: u32,
    /// Files that tests made; can be brought back.
    pub created: Vec<String>,
    /// Copied files that tests rewrote; what they wrote is kept aside and can be brought back.
    pub rewritten: Vec<String>,
    /// Copied files that tests removed.
    pub removed: Vec<String>,
    /// Lock files that a tool brought up to date; can be brought back.
    pub locks: Vec<String>,
}
