//! The command line: one file a verb, each with its arguments and a `run` that answers the
//! exit code. It sees only `model`, `config`, `daemon::Handle` and `api::client`.

mod add;
mod closed;
mod completions;
mod config;
mod daemon;
mod doctor;
mod fix;
mod gc;
mod live;
mod logs;
mod loop_view;
mod loops;
mod out;
mod parse;
mod pause;
mod place;
mod progress;
mod remote;
mod remove;
mod render;
mod report;
mod resume;
mod run;
mod screen;
mod service;
mod slots;
mod status;
mod trust;
mod watch;

use crate::model::EXIT_ERROR;
use clap::Parser;
use clap::Subcommand;
use std::process::ExitCode;

/// Tests every change of a git worktree in a sandbox, and loops coding agents until the tests
/// pass.
#[derive(Debug, Parser)]
#[command(name = "regreen", version, about, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watches a worktree in the foreground, with a live view
    Watch(watch::Args),
    /// Runs the daemon
    Daemon(daemon::Args),
    /// Has the daemon watch a worktree
    Add(add::Args),
    /// Has the daemon forget a worktree
    Remove(remove::Args),
    /// Shows the verdict on a worktree
    Status(status::Args),
    /// Runs the suites of a worktree once, in a sandbox
    Run(run::Args),
    /// Shows the report of a run
    Report(report::Args),
    /// Trusts a project's regreen.toml as it is now
    Trust(trust::Args),
    /// Has the daemon wait
    Pause(pause::Args),
    /// Has the daemon go on
    Resume(resume::Args),
    /// Turns a log into a report
    Parse(parse::Args),
    /// Drives an agent until the tests of a branch pass
    Fix(fix::Args),
    /// Lists, shows, stops, resumes and applies loops
    Loops(loops::Args),
    /// Shows what the daemon logged, or the output of a run
    Logs(logs::Args),
    /// Checks this machine and says how to fix what fails
    Doctor(doctor::Args),
    /// Installs, removes and shows the systemd user service
    Service(service::Args),
    /// Removes what is no longer needed
    Gc(gc::Args),
    /// Shows and checks the configuration
    Config(config::Args),
    /// Lists slots; shows drift and brings back files that tests made
    Slots(slots::Args),
    /// Writes shell completions
    Completions(completions::Args),
}

/// Runs the command line and answers its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // Regreen's own panic must not leave with 101, which means "does not build".
    let answer = std::panic::catch_unwind(|| dispatch(cli.command));
    match answer {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => {
            complain(&error);
            ExitCode::from(EXIT_ERROR)
        }
        Err(_) => ExitCode::from(EXIT_ERROR),
    }
}

fn dispatch(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Watch(args) => watch::run(args),
        Command::Daemon(args) => daemon::run(args),
        Command::Add(args) => add::run(args),
        Command::Remove(args) => remove::run(args),
        Command::Status(args) => status::run(args),
        Command::Run(args) => run::run(args),
        Command::Report(args) => report::run(args),
        Command::Trust(args) => trust::run(args),
        Command::Pause(args) => pause::run(args),
        Command::Resume(args) => resume::run(args),
        Command::Parse(args) => parse::run(args),
        Command::Fix(args) => fix::run(args),
        Command::Loops(args) => loops::run(args),
        Command::Logs(args) => logs::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Service(args) => service::run(args),
        Command::Gc(args) => gc::run(args),
        Command::Config(args) => config::run(args),
        Command::Slots(args) => slots::run(args),
        Command::Completions(args) => completions::run(args),
    }
}

fn complain(error: &anyhow::Error) {
    use std::io::Write;
    // Nothing is left to do if even standard error is gone.
    let _ = writeln!(std::io::stderr(), "regreen: {error:#}");
}
