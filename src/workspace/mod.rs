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

use crate::config::BackendName;
use crate::config::Config;
use crate::config::NetworkAccess;
use crate::git::Worktree;
use crate::model::HostEnv;
use crate::sandbox::Backend;
use crate::sandbox::Mount;
use crate::sandbox::Network;
use crate::sandbox::mirror::MirrorRules;
use crate::sandbox::toolchain::Toolchains;
use std::path::PathBuf;
use std::sync::Arc;

/// What every sandbox of a project is made of.
#[derive(Clone)]
pub struct Grounds {
    /// The machine.
    pub host: HostEnv,
    /// The user's worktree.
    pub worktree: Worktree,
    /// The configuration of the base, whatever an agent writes.
    pub config: Config,
    /// Where commands run.
    pub backend: Arc<dyn Backend>,
    /// Its name.
    pub backend_name: BackendName,
    /// The toolchains.
    pub toolchains: Toolchains,
    /// The regreen binary, for the shim.
    pub shim: PathBuf,
    /// What is mirrored.
    pub rules: MirrorRules,
}

impl Grounds {
    /// Regreen's state directory.
    pub fn state_dir(&self) -> PathBuf {
        self.host.state_dir()
    }

    /// What tests and gate commands may talk to.
    pub fn network(&self) -> Network {
        match (self.backend_name, self.config.network) {
            (BackendName::None, _) | (_, NetworkAccess::Host) => Network::Host,
            (BackendName::Bwrap | BackendName::Engine, NetworkAccess::None) => Network::None,
        }
    }

    /// The image whose programs tests and gate commands use, if they run in an engine.
    pub fn image(&self) -> Option<String> {
        let image = self.config.image.clone();
        image.filter(|_| self.backend_name == BackendName::Engine)
    }

    /// The environment of a gate command.
    pub fn env(&self) -> Vec<(String, String)> {
        match self.image() {
            Some(_) => self.toolchains.env_of_an_image(),
            None => self.toolchains.env.clone(),
        }
    }

    /// The mounts that the user configured.
    fn configured(&self) -> Vec<Mount> {
        let entries = self.config.mounts.iter();
        entries
            .map(|entry| Mount {
                source: entry.source.clone(),
                target: entry.target.clone().unwrap_or_else(|| entry.source.clone()),
                writable: entry.writable,
                optional: false,
            })
            .collect()
    }
}
