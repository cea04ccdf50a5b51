//! `regreen slots`: lists slots; shows drift and brings back files that tests made.

/// Lists slots; shows drift and brings back files that tests made.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen slots` is not built yet")
}
