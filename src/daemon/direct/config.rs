//! `regreen config`: what is in force, where it came from, and which suites there are.

use crate::config::Config;
use crate::config::ConfigError;
use crate::config::Flag;
use crate::daemon::Handle;
use crate::git::Worktree;
use crate::model::Suite;
use crate::run::OnceError;
use crate::suite;
use std::path::Path;
use std::path::PathBuf;

impl Handle {
    /// The worktree that a path lies in, if it lies in one.
    pub fn worktree(&self, path: &Path) -> Option<PathBuf> {
        Worktree::discover(path).ok().map(|worktree| worktree.root)
    }

    /// The configuration in force for the worktree at `path`, or without a project.
    ///
    /// # Errors
    /// When a file, a variable or a flag is wrong.
    pub fn config(&self, path: &Path, flags: &[Flag]) -> Result<Config, ConfigError> {
        Config::load(self.host(), self.worktree(path).as_deref(), flags)
    }

    /// The suites of the worktree at `path`, each with the reason why it is one.
    ///
    /// # Errors
    /// When it is no worktree, or its configuration is wrong.
    pub fn suites(&self, path: &Path) -> Result<Vec<Suite>, OnceError> {
        let worktree = Worktree::discover(path)?;
        let config = Config::load(self.host(), Some(&worktree.root), &[])?;
        Ok(suite::suites_at(&worktree.root, &config)?)
    }

    /// Why a worktree has no suite, where it has none.
    pub fn why_no_suite(&self, path: &Path) -> &'static str {
        suite::why_none(&self.config(path, &[]).unwrap_or_default())
    }
}
