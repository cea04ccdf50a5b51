//! `regreen add`: has the daemon watch a worktree.

use crate::cli::out;
use crate::cli::remote;
use std::path::PathBuf;

/// Has the daemon watch a worktree.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The worktree, or a directory in it
    #[arg(default_value = ".")]
    path: PathBuf,
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    remote::with_daemon(&args.path, |client, project| async move {
        let info = client.add(&project.root, false).await?;
        out::tell(format!("watching `{}`", info.path.display()));
        Ok(())
    })
}
