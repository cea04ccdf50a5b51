//! `regreen status`: shows the verdict on a worktree.

/// Shows the verdict on a worktree.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen status` is not built yet")
}
