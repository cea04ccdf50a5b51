//! `regreen gc`: removes what is no longer needed, and says what it was.

use crate::api::client::Client;
use crate::api::client::ClientError;
use crate::cli::out;
use crate::cli::remote;
use crate::daemon::Handle;
use crate::model::EXIT_OK;
use crate::model::HostEnv;
use crate::model::wire::Collected;

/// Removes what is no longer needed: old records of runs, copies of worktrees that are gone or
/// beyond `slots.size`, branches of loops whose work has landed.
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

/// What went, what each ref was, and which branches stay.
fn text(collected: &Collected) -> String {
    let (verb, nothing) = match collected.dry_run {
        true => ("would remove", "there is nothing to remove"),
        false => ("removed", "there was nothing to remove"),
    };
    let refs = collected.refs.len() as u64;
    let parts: Vec<String> = [
        (collected.events, "event", "events"),
        (collected.runs, "record of a run", "records of runs"),
        (
            collected.run_directories,
            "directory of a run",
            "directories of runs",
        ),
        (
            collected.slots,
            "slot (a copy of a worktree)",
            "slots (copies of worktrees)",
        ),
        (refs, "ref of a loop", "refs of loops"),
    ]
    .into_iter()
    .filter(|(number, ..)| *number > 0)
    .map(|(number, one, many)| out::count(number, one, many))
    .collect();
    let bytes = match collected.bytes {
        0 => String::new(),
        bytes => format!(", {} on the disk", out::bytes(bytes)),
    };
    let mut text = match parts.is_empty() && collected.bytes == 0 {
        true => nothing.to_owned(),
        false if parts.is_empty() => format!("{verb} {}", bytes.trim_start_matches(", ")),
        false => format!("{verb} {}{bytes}", parts.join(", ")),
    };
    for (word, refs) in [(verb, &collected.refs), ("kept", &collected.kept)] {
        for one in refs {
            let name = one.name.strip_prefix("refs/heads/").unwrap_or(&one.name);
            let commit: String = one.commit.chars().take(12).collect();
            text.push_str(&format!(
                "\n  {word} {name} ({commit}) of {}: {}",
                one.project, one.why
            ));
        }
    }
    text
}
