//! The worktree that a verb is about: PATH, or `-C DIR` as the verbs say it that have other
//! words to take.

use std::path::Path;
use std::path::PathBuf;

/// The worktree that a verb is about.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// The worktree, or a directory in it
    #[arg(default_value = ".")]
    path: PathBuf,
    /// The same as PATH, as other commands have it
    #[arg(short = 'C', long = "dir", value_name = "DIR", conflicts_with = "path")]
    dir: Option<PathBuf>,
}

impl Place {
    /// The path, whichever way it was named.
    pub fn path(&self) -> &Path {
        self.dir.as_deref().unwrap_or(&self.path)
    }
}
