//! `regreen config`: shows and checks the configuration.

/// Shows and checks the configuration.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen config` is not built yet")
}
