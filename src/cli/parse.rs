//! `regreen parse`: turns a log into a report.

/// Turns a log into a report.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen parse` is not built yet")
}
