//! `regreen fix`: drives an agent until the tests of a branch pass.

use crate::cli::loop_view;
use crate::cli::loop_view::Hosting;
use crate::cli::loop_view::View;
use crate::cli::out;
use crate::config::Flag;
use crate::daemon::Handle;
use crate::model::EXIT_ERROR;
use crate::model::FixRequest;
use crate::model::Landing;
use crate::model::LoopReport;
use crate::model::StopReason;
use std::path::PathBuf;

/// Drives an agent until the tests of a branch pass.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The branch to start from; the checked-out one when absent
    branch: Option<String>,
    /// The agent, by name (`fixer` or one of `[agent.NAME]`); named again, the next to try
    #[arg(long = "agent", value_name = "NAME")]
    agents: Vec<String>,
    /// A shell command that is the agent: its brief comes on standard input, the project is
    /// its working directory
    #[arg(long, value_name = "CMD")]
    agent_command: Option<String>,
    /// Iterations at most
    #[arg(long, value_name = "N")]
    max_iterations: Option<String>,
    /// Wall time of the whole loop, as `90s` or `30m`
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// Wall time of one turn of the agent
    #[arg(long, value_name = "DURATION")]
    turn_timeout: Option<String>,
    /// Tokens at most
    #[arg(long, value_name = "N")]
    tokens: Option<u64>,
    /// Dollars at most
    #[arg(long, value_name = "X", value_parser = dollars)]
    usd: Option<u64>,
    /// Starts from the work tree as it is instead of the branch's tip
    #[arg(long)]
    dirty: bool,
    /// Moves the branch to the result when the loop passed and it is proved there
    #[arg(long)]
    apply: bool,
    /// Prints JSON lines; the last one is the report
    #[arg(long)]
    json: bool,
    /// Where agents and tests run: bwrap, or none for no sandbox at all
    #[arg(long, value_name = "BACKEND")]
    backend: Option<String>,
    /// The worktree, or a directory in it
    #[arg(short = 'C', long = "dir", value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// Dollars as millionths of them.
fn dollars(text: &str) -> Result<u64, String> {
    let amount: f64 = text
        .trim_start_matches('$')
        .parse()
        .map_err(|_| "not a number of dollars".to_owned())?;
    if !amount.is_finite() || !(0.0..=1e9).contains(&amount) {
        return Err("not a number of dollars".to_owned());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be between 0 and 10^15"
    )]
    let micros = (amount * 1e6).round() as u64;
    Ok(micros)
}

impl Args {
    fn request(&self) -> FixRequest {
        FixRequest {
            path: self.dir.clone(),
            branch: self.branch.clone(),
            agents: self.agents.clone(),
            agent_command: self.agent_command.clone(),
            tokens: self.tokens,
            micro_usd: self.usd,
            dirty: self.dirty,
            apply: self.apply,
            backend: self.backend.clone(),
            ..FixRequest::default()
        }
    }

    fn flags(&self) -> Vec<Flag> {
        let flag = |name, key, value: &Option<String>| {
            value.clone().map(|value| Flag { name, key, value })
        };
        [
            flag("--backend", "backend", &self.backend),
            flag(
                "--max-iterations",
                "fix.max_iterations",
                &self.max_iterations,
            ),
            flag("--timeout", "fix.timeout", &self.timeout),
            flag("--turn-timeout", "fix.turn_timeout", &self.turn_timeout),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    loop_view::with_runtime(answer(args))
}

async fn answer(args: Args) -> anyhow::Result<u8> {
    let (watch, lines) = loop_view::watch();
    let hosting = Hosting::begin().await;
    let handle = hosting.handle.clone();
    let request = args.request();
    let flags = args.flags();
    let fix = handle.fix(&request, &flags, watch);
    let (report, ()) = tokio::join!(fix, View::new(args.json).show(lines));
    hosting.end().await;
    match report {
        Ok(report) => conclude(&handle, &report, args.json, args.apply),
        Err(error) => {
            let code = error.exit_code();
            loop_view::complain(error);
            Ok(code)
        }
    }
}

/// Prints the report and answers the exit code.
pub(super) fn conclude(
    handle: &Handle,
    report: &LoopReport,
    json: bool,
    apply: bool,
) -> anyhow::Result<u8> {
    if json {
        out::line(serde_json::to_string(report)?)?;
    } else {
        out::print(loop_view::summary(handle, report))?;
    }
    let passed = report.stop_reason == Some(StopReason::Passed);
    if apply && passed && report.landing != Landing::Applied {
        return Ok(EXIT_ERROR);
    }
    Ok(report.exit_code.unwrap_or(EXIT_ERROR))
}
