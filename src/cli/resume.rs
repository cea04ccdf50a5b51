//! `regreen resume`: has the daemon go on.

use crate::cli::out;
use crate::cli::place::Place;
use crate::cli::remote;

/// Has the daemon go on.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    at: Place,
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    remote::with_daemon(args.at.path(), |client, project| async move {
        client.resume(&project.id).await?;
        out::tell("going on");
        Ok(())
    })
}
