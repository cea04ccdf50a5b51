//! `regreen logs`: shows what the daemon logged, or the output of a run.

use crate::cli::out;
use crate::cli::remote;
use crate::daemon::Handle;
use crate::model::EXIT_OK;
use crate::model::HostEnv;

/// Shows what the daemon logged, or the output of a run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, or the beginning of it; the daemon's log when absent
    run: Option<String>,
    /// So many lines of the daemon's log
    #[arg(short = 'n', long, default_value_t = 50)]
    lines: usize,
    /// Prints where the file lies, and nothing else
    #[arg(long = "path")]
    place: bool,
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let handle = Handle::local(HostEnv::capture());
    if let Some(run) = &args.run {
        let (text, path) = match handle.run_output(run) {
            Ok(found) => found,
            Err(problem) => return Ok(remote::refused(&problem)),
        };
        match args.place {
            true => out::line(path.display())?,
            false => out::print(text)?,
        }
        return Ok(EXIT_OK);
    }
    if args.place {
        out::line(handle.log_file().display())?;
        return Ok(EXIT_OK);
    }
    match handle.log_lines(args.lines) {
        Ok(lines) => lines.into_iter().try_for_each(out::line)?,
        Err(problem) => return Ok(remote::refused(&problem)),
    }
    Ok(EXIT_OK)
}
