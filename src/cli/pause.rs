//! `regreen pause`: has the daemon wait.

/// Has the daemon wait.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen pause` is not built yet")
}
