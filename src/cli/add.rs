//! `regreen add`: has the daemon watch a worktree.

/// Has the daemon watch a worktree.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen add` is not built yet")
}
