//! `regreen report`: shows the report of a run, or those that the verdict on the worktree
//! comes from.

use crate::cli::out;
use crate::cli::out::Paint;
use crate::cli::out::Style;
use crate::cli::render;
use crate::cli::run::Export;
use crate::daemon::Handle;
use crate::daemon::Reported;
use crate::model::EXIT_OK;
use crate::model::EXIT_USAGE;
use crate::model::HostEnv;
use regreen_parsers::export::Exported;
use std::path::PathBuf;

/// Shows the report of a run, or those that the verdict on this worktree comes from.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, or the beginning of it; when absent, the runs behind the verdict of the
    /// daemon that watches this worktree, else those of its last `regreen run`
    run: Option<String>,
    /// Prints the report as JSON, one document a suite
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Prints the report in another format (only failures are listed one by one)
    #[arg(long, value_enum)]
    format: Option<Export>,
    /// With `--json`: the part of it that is about so long, in bytes; `more.cursor` names the next
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<usize>,
    /// With `--json`: the part that begins at this cursor
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// The worktree that is meant, or a directory in it
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
    if args.max_bytes.is_some() || args.after.is_some() {
        return part(&args, &reports);
    }
    if args.json {
        reports.iter().try_for_each(|it| out::json(&it.report))?;
    } else {
        show(args.format, &reports)?;
    }
    Ok(EXIT_OK)
}

/// A part of a report, for readers whose room is small.
fn part(args: &Args, reports: &[Reported]) -> anyhow::Result<u8> {
    const MOST: usize = 32 * 1024;
    if !args.json {
        out::tell("regreen: `--max-bytes` and `--after` are parts of `--json`: add it");
        return Ok(EXIT_USAGE);
    }
    let [reported] = reports else {
        let ids: Vec<&str> = reports
            .iter()
            .filter_map(|it| it.report.run.id.as_deref())
            .collect();
        out::tell(format!(
            "regreen: a part is of one run: name it (`regreen report {}`)",
            ids.join("` or `regreen report ")
        ));
        return Ok(EXIT_USAGE);
    };
    let most = args.max_bytes.unwrap_or(MOST);
    match reported.report.part(args.after.as_deref(), most) {
        Ok(part) => {
            out::json(&part)?;
            Ok(EXIT_OK)
        }
        Err(error) => {
            out::tell(format!("regreen: {error}"));
            Ok(EXIT_USAGE)
        }
    }
}

fn show(format: Option<Export>, reports: &[Reported]) -> anyhow::Result<()> {
    if let Some(format) = format {
        let exported: Vec<Exported<'_>> = reports
            .iter()
            .map(|reported| Exported {
                report: &reported.report,
                others: &[],
            })
            .collect();
        out::line(format.write(&exported))?;
        return Ok(());
    }
    let paint = Paint::stdout();
    for reported in reports {
        out::line(paint.style(Style::Dim, about(reported)))?;
        out::print(render::report(&reported.report, paint))?;
    }
    Ok(())
}

/// Which run it is: its id, of which project and tree, and how long ago.
fn about(reported: &Reported) -> String {
    let run = &reported.report.run;
    let short = |id: &str| id.chars().take(12).collect::<String>();
    let commit = run.commit.as_deref().map(|commit| match run.dirty {
        Some(true) => format!("changes on commit {}", short(commit)),
        _ => format!("commit {}", short(commit)),
    });
    let parts = [
        run.id.as_ref().map(|id| format!("run {id}")),
        reported
            .project
            .as_ref()
            .map(|root| root.display().to_string()),
        reported.age().map(|age| format!("{} ago", out::age(age))),
        commit,
        run.snapshot
            .as_deref()
            .map(|tree| format!("tree {}", short(tree))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}
