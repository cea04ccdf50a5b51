//! `regreen remove`: has the daemon forget a worktree.

use crate::cli::out;
use crate::cli::remote;
use std::path::PathBuf;

/// Has the daemon forget a worktree.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The worktree, or a directory in it
    #[arg(default_value = ".")]
    path: PathBuf,
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    remote::with_daemon(&args.path, |client, project| async move {
        client.remove(&project.id).await?;
        out::tell(format!("no longer watching `{}`", project.root.display()));
        Ok(())
    })
}
