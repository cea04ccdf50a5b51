//! `regreen report`: shows the report of a run, or of all runs of the last `regreen run`.

use crate::cli::out;
use crate::cli::out::Paint;
use crate::cli::render;
use crate::cli::run::Export;
use crate::daemon::Handle;
use crate::model::EXIT_OK;
use crate::model::HostEnv;
use crate::model::Report;
use regreen_parsers::export::Exported;
use std::path::PathBuf;

/// Shows the report of a run, or of the last `regreen run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, or the beginning of it; when absent, all suites of the last `regreen run`,
    /// whose exit code is answered again
    run: Option<String>,
    /// Prints the report as JSON; without RUN the document of `regreen run --json`
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
    let document = match &args.run {
        Some(id) => {
            let report = handle.report(id)?;
            if args.json {
                out::json(&report)?;
            } else {
                show(args.format, std::slice::from_ref(&report))?;
            }
            return Ok(EXIT_OK);
        }
        None => handle.last_reports(&args.dir)?,
    };
    if args.json {
        out::json(&document)?;
    } else {
        show(args.format, &document.reports)?;
    }
    Ok(document.exit_code)
}

fn show(format: Option<Export>, reports: &[Report]) -> anyhow::Result<()> {
    if let Some(format) = format {
        let exported: Vec<Exported<'_>> = reports
            .iter()
            .map(|report| Exported {
                report,
                others: &[],
            })
            .collect();
        out::line(format.write(&exported))?;
        return Ok(());
    }
    for report in reports {
        out::print(render::report(report, Paint::stdout()))?;
    }
    Ok(())
}
