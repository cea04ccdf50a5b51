//! `regreen slots`: lists slots; shows drift and brings back files that tests made.

use crate::cli::out;
use crate::cli::out::Paint;
use crate::cli::out::Style;
use crate::daemon::Handle;
use crate::model::DriftView;
use crate::model::EXIT_OK;
use crate::model::HostEnv;
use crate::model::SlotView;
use std::path::PathBuf;

/// Lists slots (copies of worktrees in which tests run, with their build caches); shows what
/// tests changed in one, and brings files that they made back.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// The worktree, or a directory in it
    #[arg(
        short = 'C',
        long = "dir",
        value_name = "DIR",
        default_value = ".",
        global = true
    )]
    dir: PathBuf,
    /// Which slot of the worktree; the watch's by default
    #[arg(long, value_name = "NUMBER", global = true)]
    slot: Option<u32>,
    /// Prints a JSON document
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Lists the slots of all worktrees with their sizes
    List,
    /// Shows what tests made, rewrote and removed in the copy of this worktree
    Drift,
    /// Copies files that tests made or rewrote into this worktree
    BringBack {
        /// Paths as `drift` shows them, relative to the worktree
        #[arg(required = true, value_name = "PATH")]
        names: Vec<PathBuf>,
    },
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let handle = Handle::local(HostEnv::capture());
    match args.what {
        None | Some(What::List) => list(&handle.slots()?, args.json)?,
        Some(What::Drift) => drift(&handle.drift(&args.dir, args.slot)?, args.json)?,
        Some(What::BringBack { names }) => {
            let back = handle.bring_back(&args.dir, args.slot, &names)?;
            let names: Vec<String> = back.iter().map(|it| it.display().to_string()).collect();
            if args.json {
                out::json(&names)?;
            } else {
                for name in names {
                    out::line(format!("brought back {name}"))?;
                }
            }
        }
    }
    Ok(EXIT_OK)
}

fn list(slots: &[SlotView], json: bool) -> anyhow::Result<()> {
    if json {
        return out::json(&slots);
    }
    if slots.is_empty() {
        out::line("there are no slots yet: the first `regreen run`, `watch` or `fix` makes one")?;
    }
    let paint = Paint::stdout();
    for slot in slots {
        let root = match &slot.root {
            Some(root) => root.display().to_string(),
            None => slot.project.clone(),
        };
        let use_now = if slot.in_use { ", in use" } else { "" };
        let purpose = slot.purpose.as_deref().unwrap_or("unknown");
        let about = format!("slot {} ({purpose}{use_now})", slot.number);
        let size = format!("{:>10}", out::bytes(slot.bytes));
        out::line(format!(
            "{size}  {}  {about}",
            paint.style(Style::Strong, root)
        ))?;
    }
    let total = slots.iter().map(|slot| slot.bytes).sum();
    if slots.len() > 1 {
        out::line(format!(
            "{:>10}  in all; `regreen gc` removes those of worktrees that are gone, and the longest \
             unused ones beyond `slots.size`",
            out::bytes(total)
        ))?;
    }
    Ok(())
}

fn drift(drift: &DriftView, json: bool) -> anyhow::Result<()> {
    if json {
        return out::json(drift);
    }
    let paint = Paint::stdout();
    let mut any = false;
    for (word, paths) in [
        ("made", &drift.created),
        ("rewritten", &drift.rewritten),
        ("removed", &drift.removed),
        ("lock updated", &drift.locks),
    ] {
        for path in paths {
            any = true;
            let word = paint.style(Style::Dim, format!("{word:>12}"));
            out::line(format!("{word}  {path}"))?;
        }
    }
    match any {
        true => out::tell("`regreen slots bring-back PATH…` copies files into the worktree"),
        false => out::line(format!("tests left nothing behind in slot {}", drift.slot))?,
    }
    Ok(())
}
