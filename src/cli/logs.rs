//! `regreen logs`: shows what the daemon logged, or the output of a run.

/// Shows what the daemon logged, or the output of a run.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen logs` is not built yet")
}
