//! `regreen pause`: has the daemon wait.

use crate::cli::out;
use crate::cli::place::Place;
use crate::cli::remote;

/// Has the daemon wait.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    at: Place,
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    remote::with_daemon(args.at.path(), |client, project| async move {
        client.pause(&project.id).await?;
        let text = "paused: changes are noticed, but nothing is run until `regreen resume`";
        out::tell(text);
        Ok(())
    })
}
