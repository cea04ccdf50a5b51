//! `regreen service`: installs, removes and shows the systemd user service.

use crate::cli::out;
use crate::cli::remote;
use crate::daemon::Handle;
use crate::model::EXIT_ERROR;
use crate::model::EXIT_OK;
use crate::model::HostEnv;

/// Installs, removes and shows the systemd user service.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Writes the unit file for this program, enables and starts the service
    Install,
    /// Stops and disables the service and removes its unit file
    Uninstall,
    /// Shows what systemd says of it
    Status,
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let handle = Handle::local(HostEnv::capture());
    remote::small_runtime()?.block_on(async {
        match args.verb {
            Verb::Install => {
                let path = handle.install_service().await?;
                out::line(format!("installed `{}` and started it", path.display()))?;
                out::line("`regreen add PATH` has it watch a worktree")?;
                out::line("to have it run without a login: `loginctl enable-linger`")?;
            }
            Verb::Uninstall => match handle.uninstall_service().await? {
                true => out::line("stopped and removed")?,
                false => out::line("it is not installed")?,
            },
            Verb::Status => {
                let state = handle.service_state().await?;
                match &state.unit {
                    Some(path) => out::line(format!("unit     {}", path.display()))?,
                    None => out::line("unit     not installed: `regreen service install`")?,
                }
                out::line(format!("active   {}", state.active))?;
                out::line(format!("enabled  {}", state.enabled))?;
                if !state.text.is_empty() {
                    out::line(format!("says     {}", state.text))?;
                }
                if state.active != "active" {
                    return Ok(EXIT_ERROR);
                }
            }
        }
        Ok(EXIT_OK)
    })
}
