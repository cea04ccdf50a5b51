//! `regreen report`: shows the report of a run.

use crate::cli::out;
use crate::cli::out::Paint;
use crate::cli::render;
use crate::cli::run::Export;
use crate::daemon::Handle;
use crate::model::EXIT_OK;
use crate::model::HostEnv;
use regreen_parsers::export::Exported;
use std::path::PathBuf;

/// Shows the report of a run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, or the beginning of it; the last run when absent
    run: Option<String>,
    /// Prints the report as JSON
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Prints the report in another format (only failures are listed one by one)
    #[arg(long, value_enum)]
    format: Option<Export>,
    /// The worktree whose last run is meant
    #[arg(short = 'C', long = "dir", value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let handle = Handle::local(HostEnv::capture());
    let report = handle.report(args.run.as_deref(), &args.dir)?;
    if args.json {
        out::json(&report)?;
    } else if let Some(format) = args.format {
        let exported = Exported {
            report: &report,
            others: &[],
        };
        out::line(format.write(&[exported]))?;
    } else {
        out::print(render::report(&report, Paint::stdout()))?;
    }
    Ok(EXIT_OK)
}
