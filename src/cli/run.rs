//! `regreen run`: runs the suites of a worktree once, in a sandbox.

/// Runs the suites of a worktree once, in a sandbox.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen run` is not built yet")
}
