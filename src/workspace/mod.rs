//! Workspaces: what a loop works in. A lease is a slot with a mirror, a sandbox and a private
//! `.git` for its agent, and a second slot that no code of the loop ever writes to.
//!
//! The *clean* slot holds the base, tested: its build caches were written by the base's own
//! code only. The *work* slot begins as a copy of it; agents and their tests write there. A
//! gate works in a third slot that begins as a copy of the clean one with the commit's tree in
//! it, and is thrown away. Nothing ever flows from the work slot into another one: commits
//! carry contents, and those are looked at.

mod error;
mod exec;
mod lease;
mod test;
mod turn;

pub use error::WorkspaceError;
pub use exec::SandboxExec;
pub use lease::Captured;
pub use lease::LeaseRecord;
pub use lease::Room;
pub use lease::Workspace;
pub use test::Testing;
pub use test::Tests;
pub use test::test;
pub use turn::TurnEnded;
pub use turn::TurnRequest;
pub use turn::ended_by;

use crate::git::Worktree;
use crate::run::command::Facts;
use crate::sandbox::Backend;
use crate::sandbox::Mount;
use crate::sandbox::Network;
use crate::sandbox::mirror::MirrorRules;
use std::path::PathBuf;
use std::sync::Arc;

/// What every sandbox of a project is made of.
#[derive(Clone)]
pub struct Grounds {
    /// The user's worktree.
    pub worktree: Worktree,
    /// Regreen's state directory.
    pub state_dir: PathBuf,
    /// Regreen's cache directory.
    pub cache_dir: PathBuf,
    /// Where commands run.
    pub backend: Arc<dyn Backend>,
    /// The toolchains' environment.
    pub env: Vec<(String, String)>,
    /// The toolchains' mounts and what the user configured.
    pub mounts: Vec<Mount>,
    /// What runs need to know of machine and project.
    pub facts: Facts,
    /// What tests may talk to.
    pub network: Network,
    /// The regreen binary, for the shim.
    pub shim: PathBuf,
    /// What is mirrored.
    pub rules: MirrorRules,
}
