//! `regreen status`: shows the verdict on a worktree. Reads the status file; a daemon that is
//! dead is seen by the time in it.

use crate::cli::live;
use crate::cli::out;
use crate::cli::out::Paint;
use crate::cli::out::Style;
use crate::cli::place::Place;
use crate::cli::remote;
use crate::daemon::Handle;
use crate::daemon::StatusPlace;
use crate::model::Activity;
use crate::model::EXIT_OK;
use crate::model::EXIT_UNREACHABLE;
use crate::model::HostEnv;
use crate::model::INTERRUPTED;
use crate::model::Timestamp;
use crate::model::Verdict;
use crate::model::status::Status;
use crate::model::verdict_exit_code;
use std::time::Duration;

/// How often `--follow` looks at the file.
const LOOK: Duration = Duration::from_millis(200);

/// Shows the verdict on a worktree.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    at: Place,
    /// Prints the status file, with the loops as they are on record; with --follow one JSON line
    /// a change
    #[arg(long)]
    json: bool,
    /// Prints where the status file lies, and nothing else
    #[arg(long = "path", conflicts_with_all = ["json", "follow"])]
    place: bool,
    /// Goes on showing changes until interrupted
    #[arg(long)]
    follow: bool,
    /// Exits with the verdict's code: 0 green, 100 red, 101 broken, 102 unknown; a green that
    /// is not about now leaves 102, or 69 when no daemon watches
    #[arg(long)]
    exit_code: bool,
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let handle = Handle::local(HostEnv::capture());
    let place = match handle.status_place(args.at.path()) {
        Ok(place) => place,
        Err(problem) => return Ok(remote::refused(&problem)),
    };
    let found = match place.read() {
        Ok(found) => found,
        Err(problem) => return Ok(remote::refused(&problem)),
    };
    if args.place {
        let path = found.map_or_else(|| place.usual(), |(_, path)| path);
        out::line(path.display())?;
        return Ok(EXIT_OK);
    }
    if args.follow {
        return remote::small_runtime()?.block_on(follow(&handle, &place, args.json));
    }
    let (status, dead) = match found {
        Some((status, _)) => {
            let dead = place.daemon_is_dead(&status);
            // The file as it is, but for what its daemon cannot know.
            let mut status = match args.json {
                true => status,
                false => believed(&handle, &status, dead),
            };
            status.notes.extend(place.differs(&status));
            let status = remote::small_runtime()?.block_on(with_loops(&handle, &place, status));
            show(&status, dead, place.now(), args.json)?;
            (status, dead)
        }
        None => {
            let status = with_loops(&handle, &place, place.nothing_known());
            let status = remote::small_runtime()?.block_on(status);
            never_watched(&status, place.now(), args.json)?;
            (status, false)
        }
    };
    Ok(match args.exit_code {
        true => exit_code(&status, dead),
        false => EXIT_OK,
    })
}

fn never_watched(status: &Status, now: Timestamp, json: bool) -> anyhow::Result<()> {
    out::tell(format!(
        "regreen: `{}` is not watched; `regreen watch` watches it here, `regreen add` has the \
         daemon watch it",
        status.project
    ));
    match json {
        true => out::json(status),
        false => {
            let paint = Paint::stdout();
            out::line(live::headline(status, now, paint))?;
            for line in live::loops(status, paint) {
                out::line(line)?;
            }
            Ok(())
        }
    }
}

/// The status with its loops as they are on record: one that ended a moment ago has ended, and
/// one that was never told to a daemon is shown.
async fn with_loops(handle: &Handle, place: &StatusPlace, mut status: Status) -> Status {
    if let Some(open) = handle.open_loops(place).await {
        status.loops.retain(|one| one.stop.is_some());
        status.loops.extend(open);
    }
    status
}

/// The verdict's code. Only a green that is about now is a reason to go on.
fn exit_code(status: &Status, dead: bool) -> u8 {
    let unwatched = dead || status.daemon.is_none();
    match status.verdict {
        Verdict::Green | Verdict::Unknown if unwatched => EXIT_UNREACHABLE,
        Verdict::Green if status.stale => verdict_exit_code(Verdict::Unknown),
        verdict => verdict_exit_code(verdict),
    }
}

fn show(status: &Status, dead: bool, now: Timestamp, json: bool) -> anyhow::Result<()> {
    if json {
        return out::json(status);
    }
    let paint = Paint::stdout();
    for line in life(status, dead, paint)
        .into_iter()
        .chain(live::text(status, now, paint))
    {
        out::line(line)?;
    }
    Ok(())
}

/// What can be believed of a status: what a dead daemon left says nothing about now, and
/// nothing is being done.
fn believed(handle: &Handle, status: &Status, dead: bool) -> Status {
    let mut status = status.clone();
    if dead || status.daemon.is_none() {
        // A loop that was driven by the process that died may be driven by another one by now.
        for one in &mut status.loops {
            if one.stop.is_none() && !handle.loop_is_driven(&one.id) {
                one.state = INTERRUPTED.to_owned();
            }
        }
    }
    if dead {
        status.stale = true;
        status.activity = Activity::Idle;
        for suite in &mut status.suites {
            suite.stale = true;
            suite.activity = Activity::Idle;
        }
    }
    status
}

/// Whether somebody still keeps the status true.
pub fn life(status: &Status, dead: bool, paint: Paint) -> Option<String> {
    let text = match &status.daemon {
        None => "no daemon watches this now; what follows is the last word of the one before",
        Some(_) if dead => {
            "the daemon that wrote this is dead; start it again with `regreen daemon`, \
             `regreen watch`, or `systemctl --user restart regreen` (where another one runs, \
             `regreen add` has it watched)"
        }
        Some(_) => return None,
    };
    Some(paint.style(Style::Warn, text))
}

/// What is worth a line: everything but the time.
pub fn essence(status: &Status) -> Status {
    let mut essence = status.clone();
    essence.updated_at = Timestamp::default();
    essence.next_update_by = Timestamp::default();
    for suite in &mut essence.suites {
        if let Some(reused) = &mut suite.reused_from {
            reused.age_ms = 0;
        }
    }
    essence
}

async fn follow(handle: &Handle, place: &StatusPlace, json: bool) -> anyhow::Result<u8> {
    let mut ticks = tokio::time::interval(LOOK);
    let mut shown: Option<Status> = None;
    let mut told_dead = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = tokio::signal::ctrl_c() => return Ok(EXIT_OK),
        }
        // While it is replaced or not there yet: the next look will see it.
        let Ok(Some((status, _))) = place.read() else {
            continue;
        };
        let now = place.now();
        let dead = place.daemon_is_dead(&status);
        if dead && !told_dead {
            out::tell("regreen: the daemon is dead");
        }
        told_dead = dead;
        let mut status = match json {
            true => status,
            false => believed(handle, &status, dead),
        };
        let new = essence(&status);
        if shown.as_ref() == Some(&new) {
            continue;
        }
        if json && (dead || status.daemon.is_none()) {
            status = with_loops(handle, place, status).await;
        }
        match json {
            true => out::line(serde_json::to_string(&status)?)?,
            false => out::line(live::headline(&status, now, Paint::stdout()))?,
        }
        shown = Some(new);
    }
}
