//! `regreen resume`: has the daemon go on.

use crate::cli::out;
use crate::cli::remote;
use std::path::PathBuf;

/// Has the daemon go on.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The worktree, or a directory in it
    #[arg(default_value = ".")]
    path: PathBuf,
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    remote::with_daemon(&args.path, |client, project| async move {
        client.resume(&project.id).await?;
        out::tell("going on");
        Ok(())
    })
}
