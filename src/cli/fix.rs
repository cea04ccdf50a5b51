//! `regreen fix`: drives an agent until the tests of a branch pass.

/// Drives an agent until the tests of a branch pass.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen fix` is not built yet")
}
