//! `regreen gc`: removes what is no longer needed.

use crate::api::client::Client;
use crate::api::client::ClientError;
use crate::cli::out;
use crate::cli::remote;
use crate::daemon::Handle;
use crate::model::EXIT_OK;
use crate::model::HostEnv;
use crate::model::wire::Collected;

/// Removes what is no longer needed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Removes nothing, and says what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let handle = Handle::local(HostEnv::capture());
    remote::small_runtime()?.block_on(async {
        let done = match Client::connect(handle.host()).await {
            Ok(client) => client.collect_garbage(args.dry_run).await,
            Err(ClientError::Unreachable(_)) => handle
                .collect_garbage(args.dry_run)
                .await
                .map_err(ClientError::Refused),
            Err(error) => Err(error),
        };
        match done {
            Ok(collected) => {
                match args.json {
                    true => out::json(&collected)?,
                    false => out::line(text(&collected))?,
                }
                Ok(EXIT_OK)
            }
            Err(error) => Ok(remote::failed(&error)),
        }
    })
}

fn text(collected: &Collected) -> String {
    let verb = match collected.dry_run {
        true => "would remove",
        false => "removed",
    };
    format!(
        "{verb} {}, {}, {} of runs and {}: {} MiB",
        out::count(collected.events, "event", "events"),
        out::count(collected.runs, "record of a run", "records of runs"),
        out::count(collected.run_directories, "directory", "directories"),
        out::count(collected.slots, "slot", "slots"),
        collected.bytes >> 20
    )
}
