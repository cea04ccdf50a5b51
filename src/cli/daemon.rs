//! `regreen daemon`: runs the daemon.

/// Runs the daemon.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen daemon` is not built yet")
}
