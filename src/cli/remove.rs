//! `regreen remove`: has the daemon forget a worktree.

/// Has the daemon forget a worktree.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen remove` is not built yet")
}
