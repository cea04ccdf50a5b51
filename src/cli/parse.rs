//! `regreen parse`: turns a log into a report.

use crate::cli::out;
use crate::model::EXIT_OK;
use crate::model::EXIT_USAGE;
use crate::model::Exit;
use regreen_parsers::Context;
use regreen_parsers::Files;
use regreen_parsers::Format;
use regreen_parsers::Input;
use regreen_parsers::Report;
use regreen_parsers::ReportFile;
use regreen_parsers::Tree;
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

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
    #[arg(long, value_name = "STATUS", allow_negative_numbers = true,
          value_parser = clap::value_parser!(i32).range(-64..=255))]
    exit: Option<i32>,
    /// The directory that the command ran in; paths below it are shown relative to it. Without
    /// it: the working directory, if the log or a report names it
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
    let named = || {
        let mut texts = std::iter::once(&log).chain(reports.iter().map(|(_, bytes)| bytes));
        texts.find_map(|text| named_in(text))
    };
    let report = match args.cwd {
        Some(cwd) => parse_in(cwd.canonicalize().unwrap_or(cwd), input),
        None => named()
            .and_then(|cwd| parse_here(cwd, &input))
            .unwrap_or_else(|| regreen_parsers::parse(&input)),
    };
    out::json(&report)?;
    Ok(EXIT_OK)
}

/// The working directory, if a log or report names paths below it: it was written here.
fn named_in(log: &[u8]) -> Option<PathBuf> {
    let cwd = std::env::current_dir().ok()?;
    let below = format!("{}/", cwd.to_str()?);
    (below.len() > 2 && memchr::memmem::find(log, below.as_bytes()).is_some()).then_some(cwd)
}

/// Reads what a command left that ran in a directory. A place that is not there is no place; but
/// only where the sources are there at all: where none was found of those that were looked for,
/// all is read once more without them.
fn parse_in(cwd: PathBuf, mut input: Input<'_>) -> Report {
    let (report, found) = parse_with(cwd, &mut input);
    if found.hits() > 0 || found.misses() == 0 {
        return report;
    }
    input.context.tree = Tree::default();
    regreen_parsers::parse(&input)
}

/// The same where nobody said that it ran here. A log may name the directory although its project
/// lies somewhere below: then most of what is looked for is not here.
fn parse_here(cwd: PathBuf, input: &Input<'_>) -> Option<Report> {
    let (report, found) = parse_with(cwd, &mut input.clone());
    (found.hits() > found.misses()).then_some(report)
}

fn parse_with(cwd: PathBuf, input: &mut Input<'_>) -> (Report, Arc<Found>) {
    input.context = Context::rooted(cwd.to_string_lossy());
    let found = Arc::new(Found::default());
    input.context.tree = Tree::of(Sources {
        top: cwd,
        found: Arc::clone(&found),
        counted: Mutex::default(),
    });
    (regreen_parsers::parse(input), found)
}

/// How many of the files that were looked for are there.
#[derive(Debug, Default)]
struct Found {
    hits: AtomicU32,
    misses: AtomicU32,
}

impl Found {
    fn note(&self, there: bool) {
        let counter = if there { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn hits(&self) -> u32 {
        self.hits.load(Ordering::Relaxed)
    }

    fn misses(&self) -> u32 {
        self.misses.load(Ordering::Relaxed)
    }
}

/// The files below a directory that the user named.
#[derive(Debug)]
struct Sources {
    top: PathBuf,
    found: Arc<Found>,
    /// Thousands of failures may lie in one file. A lock, because a tree may be asked from
    /// anywhere; here nobody else asks.
    counted: Mutex<HashMap<String, Option<u32>>>,
}

impl Sources {
    /// The path of a regular file that really lies below, whatever links say.
    fn below(&self, path: &str) -> Option<PathBuf> {
        let real = self.top.join(path).canonicalize().ok()?;
        (real.starts_with(&self.top) && real.is_file()).then_some(real)
    }
}

impl Files for Sources {
    fn lines(&self, path: &str) -> Option<u32> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = counted.get(path) {
            return *known;
        }
        let text = self.read(path);
        let lines = text.map(|text| u32::try_from(text.lines().count()).unwrap_or(u32::MAX));
        counted.insert(path.to_owned(), lines);
        lines
    }

    fn read(&self, path: &str) -> Option<String> {
        let read = || {
            let mut bytes = Vec::new();
            let file = std::fs::File::open(self.below(path)?).ok()?;
            file.take(MAX_SOURCE).read_to_end(&mut bytes).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let text = read();
        self.found.note(text.is_some());
        text
    }

    fn list(&self, dir: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.top.join(dir)).into_iter().flatten();
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

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &[u8] = b"
running 2 tests
test tests::adds ... FAILED
test tests::works ... ok

failures:

---- tests::adds stdout ----

thread 'tests::adds' (17) panicked at src/lib.rs:9:5:
assertion failed: 1 == 2

failures:
    tests::adds

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    fn place(dir: &Path) -> Option<u32> {
        let input = Input::log(Format::Cargo, LOG);
        let report = parse_in(dir.canonicalize().expect("a directory"), input);
        let [failure] = &report.failures[..] else {
            panic!("one failure: {report:?}");
        };
        failure.location.as_ref().and_then(|at| at.line)
    }

    #[test]
    fn places_are_held_to_the_sources_where_there_are_any() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(place(dir.path()), Some(9), "no sources at all");
        std::fs::create_dir(dir.path().join("src")).expect("a directory");
        let source = dir.path().join("src/lib.rs");
        std::fs::write(&source, "\n".repeat(20)).expect("a file");
        assert_eq!(place(dir.path()), Some(9), "the line is there");
    }
}
