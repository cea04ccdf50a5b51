//! `regreen service`: installs, removes and shows the systemd user service.

/// Installs, removes and shows the systemd user service.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and answers its exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    anyhow::bail!("`regreen service` is not built yet")
}
