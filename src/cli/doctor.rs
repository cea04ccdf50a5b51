//! `regreen doctor`: checks this machine and says how to fix what fails.

/// Checks this machine and says how to fix what fails.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen doctor` is not built yet")
}
