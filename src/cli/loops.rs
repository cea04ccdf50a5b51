//! `regreen loops`: lists, shows, stops, resumes and applies loops.

/// Lists, shows, stops, resumes and applies loops.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen loops` is not built yet")
}
