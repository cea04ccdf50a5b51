//! `regreen completions`: writes shell completions.

/// Writes shell completions.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen completions` is not built yet")
}
