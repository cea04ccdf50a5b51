//! `regreen trust`: trusts a project's regreen.toml as it is now.

/// Trusts a project's regreen.toml as it is now.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen trust` is not built yet")
}
