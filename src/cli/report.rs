//! `regreen report`: shows the report of a run, or of all runs of the last `regreen run`.

use crate::cli::out;
use crate::cli::out::Paint;
use crate::cli::render;
use crate::cli::run::Export;
use crate::daemon::Handle;
use crate::model::EXIT_OK;
use crate::model::EXIT_USAGE;
use crate::model::HostEnv;
use crate::model::Report;
use regreen_parsers::export::Exported;
use std::path::PathBuf;

/// Shows the report of a run, or of the last `regreen run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, or the beginning of it; when absent, all suites of the last `regreen run`
    run: Option<String>,
    /// Prints the report as JSON, one document a suite
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
    let found = match &args.run {
        Some(id) => handle.report(id).map(|report| vec![report]),
        None => handle.last_reports(&args.dir),
    };
    let reports = match found {
        Ok(reports) => reports,
        Err(error) if error.is_the_callers() => {
            out::tell(format!("regreen: {error}"));
            return Ok(EXIT_USAGE);
        }
        Err(error) => return Err(error.into()),
    };
    if args.json {
        reports.iter().try_for_each(out::json)?;
    } else {
        show(args.format, &reports)?;
    }
    Ok(EXIT_OK)
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
