//! `regreen report`: shows the report of a run.

/// Shows the report of a run.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen report` is not built yet")
}
