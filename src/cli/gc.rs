//! `regreen gc`: removes what is no longer needed.

/// Removes what is no longer needed.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen gc` is not built yet")
}
