//! `regreen parse`: turns a log into a report.

use crate::cli::out;
use crate::model::EXIT_OK;
use crate::model::EXIT_USAGE;
use crate::model::Exit;
use regreen_parsers::Context;
use regreen_parsers::Files;
use regreen_parsers::Format;
use regreen_parsers::Input;
use regreen_parsers::ReportFile;
use regreen_parsers::Tree;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

/// Logs and report files are read up to this size.
const MAX_BYTES: u64 = 256 << 20;
/// Sources are looked at up to this size.
const MAX_SOURCE: u64 = 4 << 20;

/// Turns a log into a report.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How the log is to be read: auto, or one of cargo-test, libtest, nextest, pytest, unittest,
    /// go-test, jest, vitest, mocha, node-test, ctest, gtest, rspec, minitest, phpunit, bats,
    /// prove, tap, junit, generic
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    format: Format,
    /// The exit status of the command that wrote the log; negative, or 128 more, for a signal
    #[arg(long, value_name = "STATUS", allow_negative_numbers = true)]
    exit: Option<i32>,
    /// The directory that the command ran in; paths below it are shown relative to it. Without
    /// it: the working directory, if the log names it
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
        // Report files alone need no log.
        None if !args.reports.is_empty() => Ok(Vec::new()),
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
    if let Some(cwd) = args.cwd.or_else(|| named_in(&log)) {
        let cwd = cwd.canonicalize().unwrap_or(cwd);
        input.context = Context::rooted(cwd.to_string_lossy());
        let report = regreen_parsers::parse(&input);
        // A place that is not there is no place; but only where the sources are there at all.
        let files = report.failures.iter().filter_map(|it| it.location.as_ref());
        if files.clone().any(|at| cwd.join(&at.file).is_file()) {
            input.context.tree = Tree::of(Sources(cwd));
        }
    }
    out::json(&regreen_parsers::parse(&input))?;
    Ok(EXIT_OK)
}

/// The working directory, if the log names paths below it: it was written here.
fn named_in(log: &[u8]) -> Option<PathBuf> {
    let cwd = std::env::current_dir().ok()?;
    let below = format!("{}/", cwd.to_str()?);
    (below.len() > 2 && memchr::memmem::find(log, below.as_bytes()).is_some()).then_some(cwd)
}

/// The files below a directory that the user named.
#[derive(Debug)]
struct Sources(PathBuf);

impl Sources {
    /// The path of a regular file that really lies below, whatever links say.
    fn below(&self, path: &str) -> Option<PathBuf> {
        let real = self.0.join(path).canonicalize().ok()?;
        (real.starts_with(&self.0) && real.is_file()).then_some(real)
    }
}

impl Files for Sources {
    fn lines(&self, path: &str) -> Option<u32> {
        let text = self.read(path)?;
        Some(u32::try_from(text.lines().count()).unwrap_or(u32::MAX))
    }

    fn read(&self, path: &str) -> Option<String> {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(self.below(path)?).ok()?;
        file.take(MAX_SOURCE).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn list(&self, dir: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join(dir)).into_iter().flatten();
        let files = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
        let mut names: Vec<String> = files
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }
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
