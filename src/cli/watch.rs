//! `regreen watch`: watches a worktree in the foreground, with a live view.

/// Watches a worktree in the foreground, with a live view.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen watch` is not built yet")
}
