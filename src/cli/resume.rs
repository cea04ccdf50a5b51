//! `regreen resume`: has the daemon go on.

/// Has the daemon go on.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen resume` is not built yet")
}
