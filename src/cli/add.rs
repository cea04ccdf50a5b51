//! `regreen add`: has the daemon watch a worktree.

use crate::cli::out;
use crate::cli::place::Place;
use crate::cli::remote;

/// Has the daemon watch a worktree.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    at: Place,
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    remote::with_daemon(args.at.path(), |client, project| async move {
        let info = client.add(&project.root, false).await?;
        out::tell(format!("watching `{}`", info.path.display()));
        Ok(())
    })
}
