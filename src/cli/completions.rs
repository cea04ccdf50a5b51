//! `regreen completions`: writes shell completions.

use crate::cli::Cli;
use crate::cli::out;
use crate::model::EXIT_OK;
use clap::CommandFactory;

/// Writes shell completions.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell that they are for
    shell: clap_complete::Shell,
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "regreen", &mut script);
    out::print(String::from_utf8_lossy(&script))?;
    Ok(EXIT_OK)
}
