//! `regreen run`: runs the suites of a worktree once, in a sandbox.

use crate::cli::out;
use crate::cli::out::Paint;
use crate::cli::progress::Progress;
use crate::cli::render;
use crate::config::Flag;
use crate::daemon;
use crate::daemon::Handle;
use crate::daemon::OnceError;
use crate::model::EXIT_INTERRUPTED;
use crate::model::EXIT_NOTHING_RAN;
use crate::model::HostEnv;
use crate::model::Outcome;
use crate::model::Report;
use crate::model::RunDocument;
use crate::model::RunRequest;
use crate::model::RunUpdate;
use crate::model::SCHEMA;
use regreen_parsers::TestEvent;
use regreen_parsers::export;
use regreen_parsers::export::Exported;
use regreen_parsers::export::Other;
use std::path::PathBuf;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Runs the suites of a worktree once, in a sandbox.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this suite (see `regreen config suites`)
    suite: Option<String>,
    /// Tests the tree of this revision instead of the work tree
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    /// Prints one JSON document
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Prints the result in another format
    #[arg(long, value_enum)]
    format: Option<Export>,
    /// Where the tests run: bwrap, or none for no sandbox at all
    #[arg(long, value_name = "BACKEND")]
    backend: Option<String>,
    /// Ends a run that takes longer, as `90s` or `10m`
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// Shows each suite inside and outside the sandbox side by side
    #[arg(long, conflicts_with = "backend")]
    compare: bool,
    /// Never answers from an earlier run
    #[arg(long)]
    fresh: bool,
    /// The worktree, or a directory in it
    #[arg(short = 'C', long = "dir", value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// A command to run instead of the suites, or instead of the named suite's own
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Another format for results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Export {
    /// Common Test Report Format, JSON
    Ctrf,
    /// JUnit XML
    Junit,
    /// Annotations of GitHub Actions, a line each
    Github,
    /// `file:line:column: error: message`, for the quickfix list of an editor
    Quickfix,
}

impl Export {
    /// Reports in this format.
    pub fn write(self, exported: &[Exported<'_>]) -> String {
        match self {
            Export::Ctrf => export::ctrf(exported),
            Export::Junit => export::junit(exported),
            Export::Github => export::github(exported),
            Export::Quickfix => export::quickfix(exported),
        }
    }
}

impl Args {
    fn request(&self) -> RunRequest {
        RunRequest {
            path: self.dir.clone(),
            suite: self.suite.clone(),
            at: self.at.clone(),
            backend: self.backend.clone(),
            command: self.command.clone(),
            compare: self.compare,
            fresh: self.fresh,
        }
    }

    fn flags(&self) -> Vec<Flag> {
        let flag = |name, key, value: &Option<String>| {
            value.clone().map(|value| Flag { name, key, value })
        };
        [
            flag("--backend", "backend", &self.backend),
            flag("--timeout", "limits.timeout", &self.timeout),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn for_people(&self) -> bool {
        !self.json && self.format.is_none()
    }
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    // Before the first thread: it is forked.
    let _guard = daemon::guard(&HostEnv::capture());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let code = runtime.block_on(answer(&args));
    // A blocked helper thread must not keep the command alive.
    runtime.shutdown_background();
    code
}

async fn answer(args: &Args) -> anyhow::Result<u8> {
    daemon::adopt_orphans();
    let handle = Handle::local(HostEnv::capture());
    let stop = CancellationToken::new();
    tokio::spawn(interrupts(stop.clone()));
    let (updates, incoming) = mpsc::channel(256);
    let request = args.request();
    let flags = args.flags();
    let run = handle.run(&request, &flags, updates, stop);
    let (document, shown) = tokio::join!(run, show(incoming, args.for_people()));
    match document {
        Ok(document) => {
            // A report that nobody got is no answer, whatever the tests came to.
            conclude(args, &document, &shown?)?;
            Ok(document.exit_code)
        }
        Err(error) => refuse(args, &error),
    }
}

/// The first Ctrl-C ends the run in good order, the second at once.
async fn interrupts(stop: CancellationToken) {
    use tokio::signal::unix::SignalKind;
    use tokio::signal::unix::signal;
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return;
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if stop.is_cancelled() {
            std::process::exit(i32::from(EXIT_INTERRUPTED));
        }
        stop.cancel();
    }
}

/// Shows what becomes known: progress on standard error, finished suites where people read.
/// Answers the tests of each report that did not fail, which reports do not list; or why a
/// report could not be written, once the run has ended all the same.
async fn show(
    mut updates: mpsc::Receiver<RunUpdate>,
    for_people: bool,
) -> anyhow::Result<Vec<Vec<Other>>> {
    let mut others = Vec::new();
    let mut written = Ok(());
    let mut current = Vec::new();
    let mut progress = Progress::new();
    let mut ticker = tokio::time::interval(std::time::Duration::from_millis(100));
    loop {
        let update = tokio::select! {
            update = updates.recv() => update,
            _ = ticker.tick() => {
                progress.draw();
                continue;
            }
        };
        let Some(update) = update else { break };
        match &update {
            RunUpdate::Ended(report) => {
                others.push(std::mem::take(&mut current));
                progress.clear();
                if for_people {
                    written = written.and(out::print(render::report(report, Paint::stdout())));
                }
            }
            RunUpdate::Test(event) => current.extend(other(event)),
            _ => {}
        }
        progress.take(&update);
    }
    progress.clear();
    written?;
    Ok(others)
}

fn other(event: &TestEvent) -> Option<Other> {
    let (target, id, skipped) = match event {
        TestEvent::Passed { target, id } => (target, id, false),
        TestEvent::Skipped { target, id } => (target, id, true),
        _ => return None,
    };
    Some(Other {
        target: target.clone(),
        id: id.clone(),
        skipped,
    })
}

fn conclude(args: &Args, document: &RunDocument, others: &[Vec<Other>]) -> anyhow::Result<()> {
    if !args.for_people() {
        tell_what_was_left_out(document);
    }
    if args.json {
        out::json(document)?;
    } else if let Some(format) = args.format {
        let reports = document.reports.iter().zip(others);
        let exported: Vec<Exported<'_>> = reports
            .map(|(report, others)| Exported { report, others })
            .collect();
        out::line(format.write(&exported))?;
    } else if args.compare {
        out::print(comparison(&document.reports))?;
    }
    Ok(())
}

/// What people have to know even where a program reads the result.
fn tell_what_was_left_out(document: &RunDocument) {
    let notes = document.reports.iter().flat_map(|report| &report.notes);
    let mut told: Vec<&str> = Vec::new();
    for note in notes.filter(|note| {
        matches!(
            note.code.as_str(),
            "untrusted_config" | "unknown_variable" | "left_out" | "unreadable" | "no_sandbox"
        )
    }) {
        if !told.contains(&note.message.as_str()) {
            let meant = match (note.code.as_str(), &note.remedy) {
                ("unknown_variable", Some(remedy)) => format!("; {remedy}"),
                _ => String::new(),
            };
            out::tell(format!("regreen: {}{meant}", note.message));
            told.push(&note.message);
        }
    }
}

fn refuse(args: &Args, error: &OnceError) -> anyhow::Result<u8> {
    let code = error.exit_code();
    if code == EXIT_NOTHING_RAN && args.json {
        out::json(&RunDocument {
            schema: SCHEMA,
            snapshot: String::new(),
            outcome: Outcome::NoTests,
            exit_code: code,
            reports: Vec::new(),
        })?;
    }
    let mut text = format!("regreen: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    out::tell(text);
    Ok(code)
}

/// What differs between the sandbox and the machine, suite by suite.
fn comparison(reports: &[Report]) -> String {
    let paint = Paint::stdout();
    let mut text = String::from("\ninside the sandbox, and outside:\n");
    for pair in reports.chunks(2) {
        let [inside, outside] = pair else { continue };
        text.push_str(&format!("  {}", render::headline(inside, paint)));
        text.push_str(&format!("  {}", render::headline(outside, paint)));
        let ids = |report: &Report| -> Vec<String> {
            report
                .failures
                .iter()
                .map(|failure| failure.id.clone())
                .collect()
        };
        let (within, without) = (ids(inside), ids(outside));
        for (word, these, others) in [
            ("only inside", &within, &without),
            ("only outside", &without, &within),
        ] {
            for id in these.iter().filter(|id| !others.contains(id)) {
                text.push_str(&format!("    fails {word}: {id}\n"));
            }
        }
        if within == without && inside.outcome == outside.outcome {
            text.push_str("    the same in both\n");
        }
    }
    text
}
