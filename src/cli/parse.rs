//! `regreen parse`: turns a log into a report.

use crate::cli::out;
use crate::model::EXIT_OK;
use crate::model::EXIT_USAGE;
use crate::model::Exit;
use regreen_parsers::Context;
use regreen_parsers::Format;
use regreen_parsers::Input;
use regreen_parsers::ReportFile;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

/// Logs and report files are read up to this size.
const MAX_BYTES: u64 = 256 << 20;

/// Turns a log into a report.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How the log is to be read: cargo, libtest, nextest, pytest, junit, generic
    #[arg(long, value_name = "FORMAT")]
    format: Format,
    /// The exit status of the command that wrote the log
    #[arg(long, value_name = "STATUS", allow_negative_numbers = true)]
    exit: Option<i32>,
    /// The directory that the command ran in; paths below it are shown relative to it
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// A report or event file that the command left behind
    #[arg(long = "report", value_name = "FILE")]
    reports: Vec<PathBuf>,
    /// The log; standard input when absent or `-`
    #[arg(value_name = "LOG")]
    log: Option<PathBuf>,
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let log = match args.log.as_deref() {
        Some(path) if path != Path::new("-") => file(path),
        // A junit document alone needs no log.
        None if args.format == Format::Junit && !args.reports.is_empty() => Ok(Vec::new()),
        _ => read(std::io::stdin().lock(), "standard input"),
    };
    let reports: Result<Vec<(String, Vec<u8>)>, String> = args
        .reports
        .iter()
        .map(|path| Ok((path.to_string_lossy().into_owned(), file(path)?)))
        .collect();
    let (log, reports) = match (log, reports) {
        (Ok(log), Ok(reports)) => (log, reports),
        (Err(error), _) | (_, Err(error)) => {
            out::tell(format!("regreen: {error}"));
            return Ok(EXIT_USAGE);
        }
    };
    let mut input = Input::log(args.format, &log);
    input.files = reports
        .iter()
        .map(|(name, bytes)| ReportFile { name, bytes })
        .collect();
    input.exit = args.exit.map(exit);
    if let Some(cwd) = args.cwd {
        let cwd = cwd.canonicalize().unwrap_or(cwd);
        input.context = Context::rooted(cwd.to_string_lossy());
    }
    out::json(&regreen_parsers::parse(&input))?;
    Ok(EXIT_OK)
}

/// A status as a shell says it: above 128 it was a signal, negative as Python says it.
fn exit(status: i32) -> Exit {
    match status {
        129..=192 => Exit {
            signal: Some(status - 128),
            ..Exit::default()
        },
        ..0 => Exit {
            signal: Some(-status),
            ..Exit::default()
        },
        code => Exit::code(code),
    }
}

fn file(path: &Path) -> Result<Vec<u8>, String> {
    use std::os::unix::fs::OpenOptionsExt;
    let name = path.display().to_string();
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| format!("failed to read `{name}`: {error}"))?;
    match file.metadata() {
        Ok(meta) if meta.is_file() => read(file, &name),
        Ok(_) => Err(format!(
            "failed to read `{name}`: it is no regular file; use `-` for a pipe"
        )),
        Err(error) => Err(format!("failed to read `{name}`: {error}")),
    }
}

fn read(from: impl Read, name: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("failed to read `{name}`: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!(
            "failed to read `{name}`: it is larger than 256 MiB"
        ));
    }
    Ok(bytes)
}
