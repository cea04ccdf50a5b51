//! `regreen loops`: lists, shows, stops, resumes and applies loops.

use crate::cli::fix::conclude;
use crate::cli::loop_view;
use crate::cli::loop_view::Hosting;
use crate::cli::loop_view::View;
use crate::cli::out;
use crate::daemon::FixError;
use crate::daemon::Handle;
use crate::model::EXIT_OK;
use crate::model::HostEnv;
use crate::model::Landing;
use crate::model::LoopReport;
use std::path::PathBuf;

/// Lists, shows, stops, resumes and applies loops.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Prints JSON
    #[arg(long, global = true)]
    json: bool,
    /// The worktree, or a directory in it
    #[arg(
        short = 'C',
        long = "dir",
        value_name = "DIR",
        default_value = ".",
        global = true
    )]
    dir: PathBuf,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Verb {
    /// Lists the loops of this project
    List {
        /// Lists those of all projects
        #[arg(long)]
        all: bool,
    },
    /// Shows a loop's report
    Show(Which),
    /// Ends a loop
    Stop(Which),
    /// Goes on with a loop that was cut short, or gives a stopped one more to spend
    Resume(Which),
    /// Approves a result that needs approval
    Approve(Which),
    /// Rejects a result
    Reject(Which),
    /// Moves a result onto its branch as it is now, once it is proved there
    Apply(Which),
}

#[derive(Debug, Clone, clap::Args)]
struct Which {
    /// The loop, or the beginning of its id; the newest of this project when absent
    id: Option<String>,
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    loop_view::with_runtime(answer(args))
}

async fn answer(args: Args) -> anyhow::Result<u8> {
    let handle = Handle::local(HostEnv::capture());
    match act(&handle, &args).await {
        Ok(code) => code,
        Err(error) => {
            let code = error.exit_code();
            loop_view::complain(error);
            Ok(code)
        }
    }
}

async fn act(handle: &Handle, args: &Args) -> Result<anyhow::Result<u8>, FixError> {
    let verb = args.verb.clone().unwrap_or(Verb::List { all: false });
    let which = match &verb {
        Verb::List { all } => {
            let here = (!all).then_some(args.dir.as_path());
            let loops = handle.loops(here).await?;
            return Ok(list(&loops, args.json));
        }
        Verb::Show(which)
        | Verb::Stop(which)
        | Verb::Resume(which)
        | Verb::Approve(which)
        | Verb::Reject(which)
        | Verb::Apply(which) => which,
    };
    let id = handle.find_loop(which.id.as_deref(), &args.dir).await?;
    let (watch, lines) = loop_view::watch();
    let view = View::new(args.json);
    let report = match verb {
        Verb::Resume(_) => {
            let hosting = Hosting::begin().await;
            let resumed = hosting.handle.resume_loop(&id, None, watch);
            let (report, ()) = tokio::join!(resumed, view.show(lines));
            hosting.end().await;
            return report.map(|report| conclude(handle, &report, args.json, false));
        }
        Verb::Apply(_) => {
            let (report, ()) = tokio::join!(handle.apply_loop(&id, watch), view.show(lines));
            report?
        }
        Verb::Stop(_) => {
            let report = handle.loop_report(&id).await?;
            if let (Some(reason), false) = (report.stop_reason, args.json) {
                let line = format!("loop {id} had ended already: {}", reason.as_str());
                return Ok(out::line(line).map(|()| EXIT_OK).map_err(Into::into));
            }
            let (report, ()) = tokio::join!(handle.stop_loop(&id, watch), view.show(lines));
            report?
        }
        Verb::Approve(_) => {
            let report = handle.decide_loop(&id, true).await?;
            return Ok(decided(&report, args.json));
        }
        Verb::Reject(_) => {
            let report = handle.decide_loop(&id, false).await?;
            return Ok(decided(&report, args.json));
        }
        Verb::Show(_) | Verb::List { .. } => handle.loop_report(&id).await?,
    };
    Ok(show(handle, &report, args.json))
}

fn show(handle: &Handle, report: &LoopReport, json: bool) -> anyhow::Result<u8> {
    if json {
        out::line(serde_json::to_string(report)?)?;
    } else {
        out::print(loop_view::summary(handle, report))?;
    }
    Ok(EXIT_OK)
}

/// One line: what was decided, and what can be done now.
fn decided(report: &LoopReport, json: bool) -> anyhow::Result<u8> {
    if json {
        out::line(serde_json::to_string(report)?)?;
        return Ok(EXIT_OK);
    }
    let id = &report.id;
    let at = report.decided.unwrap_or(report.updated);
    out::line(match report.landing {
        Landing::Rejected => format!(
            "loop {id}: rejected by you at {at}; nothing of it lands (its branch: `git branch -D \
             {}` removes it)",
            report.loop_branch
        ),
        _ => format!("loop {id}: approved by you at {at}; land it with regreen loops apply {id}"),
    })?;
    Ok(EXIT_OK)
}

fn list(loops: &[LoopReport], json: bool) -> anyhow::Result<u8> {
    if json {
        out::json(&loops)?;
        return Ok(EXIT_OK);
    }
    if loops.is_empty() {
        out::tell("no loops yet: start one with `regreen fix`");
    }
    for one in loops {
        let mut state = match one.stop_reason {
            Some(reason) => reason.as_str().to_owned(),
            None => one.state.clone(),
        };
        if let Some(word) = one.landing.word() {
            state.push_str(&format!(", {word}"));
        }
        out::line(format!(
            "{}  {:<24} {:>3} -> {:<3} failing  {} iterations  {}  {}",
            one.id,
            state,
            one.before.failing,
            one.after.failing,
            one.spend.iterations,
            one.created,
            one.branch.as_deref().unwrap_or("(detached)")
        ))?;
    }
    Ok(EXIT_OK)
}
