//! A change: a debounced batch of touched paths.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;
use std::path::PathBuf;

/// Where a change came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A file was saved: the work tree is tested.
    Save,
    /// The index changed: the index tree is tested.
    Stage,
    /// HEAD moved: HEAD's tree is tested.
    Commit,
    /// A coding agent edited its workspace.
    Agent,
    /// Somebody asked.
    Api,
    /// A reconciling walk found it.
    Rescan,
}

/// Which tree a verdict is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Every save; the work tree is tested.
    #[default]
    Save,
    /// Every staging; the index tree is tested.
    Stage,
    /// Every commit; HEAD's tree is tested.
    Commit,
}

/// Why watching is degraded while the worktree is not where it was; nothing that is known is
/// about now then.
pub const UPROOTED: &str = "the worktree was moved or removed";

/// A debounced batch of touched paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where it came from.
    pub origin: Origin,
    /// The touched paths, relative to the worktree. Only a hint: what counts is the disk.
    pub paths: Vec<PathBuf>,
    /// The paths are not the whole story (overflow, start, resume): walk the tree.
    pub rescan: bool,
}
