//! `regreen watch`: watches a worktree in the foreground, with a live view. Where a daemon runs
//! already it is asked to watch, and this only shows what it says.

use crate::api::Server;
use crate::api::client::Client;
use crate::api::client::ClientError;
use crate::cli::live;
use crate::cli::out;
use crate::cli::out::Paint;
use crate::cli::place::Place;
use crate::cli::remote;
use crate::cli::screen::Screen;
use crate::cli::status::essence;
use crate::cli::status::life;
use crate::daemon;
use crate::daemon::Audience;
use crate::daemon::Daemon;
use crate::daemon::Handle;
use crate::daemon::InstanceError;
use crate::daemon::Options;
use crate::daemon::StartError;
use crate::daemon::StatusPlace;
use crate::model::Activity;
use crate::model::EXIT_OK;
use crate::model::HostEnv;
use crate::model::Timestamp;
use crate::model::status::Status;
use std::io::IsTerminal;
use std::time::Duration;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

/// How often the status is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// A daemon that holds the lock and cannot be reached yet is tried so often.
const TRIES: u32 = 50;

/// Watches a worktree in the foreground, with a live view.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    at: Place,
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let host = HostEnv::capture();
    let local = Handle::local(host.clone());
    let (_, root) = match local.project_at(args.at.path()) {
        Ok(found) => found,
        Err(problem) => return Ok(remote::refused(&problem)),
    };
    let place = match local.status_place(&root) {
        Ok(place) => place,
        Err(problem) => return Ok(remote::refused(&problem)),
    };
    // Before the first thread: it is forked.
    let _guard = daemon::guard(&host);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let drawn = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
    let audience = match drawn {
        true => Audience::View,
        false => Audience::Person,
    };
    if drawn && let Some(warning) = daemon::warning() {
        out::tell(format!("regreen: {warning}"));
    }
    runtime.block_on(async {
        if let Some(wrong) = daemon::set_up(&host, audience) {
            out::tell(format!("regreen: {wrong}"));
        }
        let mut ends = Ends::new()?;
        loop {
            let ended = match host_or_attach(&host, &root, &place, &mut ends).await {
                Ok(ended) => ended,
                Err(Failed::Client(error)) => return Ok(remote::failed(&error)),
                Err(Failed::Other(error)) => return Err(error),
            };
            match ended {
                Ended::Asked => return Ok(EXIT_OK),
                // The daemon that watched is gone: this process takes its place.
                Ended::DaemonGone => out::tell("regreen: the daemon ended; watching here now"),
            }
        }
    })
}

/// Why the view ended.
enum Ended {
    Asked,
    DaemonGone,
}

enum Failed {
    Client(ClientError),
    Other(anyhow::Error),
}

impl From<ClientError> for Failed {
    fn from(error: ClientError) -> Self {
        Failed::Client(error)
    }
}

impl<E: Into<anyhow::Error>> From<Other<E>> for Failed {
    fn from(error: Other<E>) -> Self {
        Failed::Other(error.0.into())
    }
}

/// Any error but the client's own.
struct Other<E>(E);

/// The ways to end this from outside.
struct Ends {
    interrupt: Signal,
    terminate: Signal,
}

impl Ends {
    fn new() -> std::io::Result<Self> {
        Ok(Ends {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

async fn host_or_attach(
    host: &HostEnv,
    root: &std::path::Path,
    place: &StatusPlace,
    ends: &mut Ends,
) -> Result<Ended, Failed> {
    let options = Options {
        foreground: true,
        scope: true,
        ..Options::default()
    };
    let mut tries = 0;
    loop {
        let mut daemon = match Daemon::start(host.clone(), options.clone()).await {
            Ok(daemon) => daemon,
            Err(StartError::Instance(InstanceError::Taken { pid })) => {
                match Client::connect(host).await {
                    Ok(client) => return attach(&client, pid, root, place, ends).await,
                    Err(error @ ClientError::Silent { .. }) => return Err(error.into()),
                    // It is just starting, or just ending.
                    Err(_) if tries < TRIES => {
                        tries += 1;
                        tokio::time::sleep(LOOK).await;
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(Other(error).into()),
        };
        let server = Server::start(daemon.handle().clone()).map_err(Other)?;
        daemon.begin();
        let added = daemon.handle().add(root, true).await;
        if added.is_ok() {
            view(place, ends, None).await.map_err(Other)?;
        }
        server.stop().await;
        daemon.stop().await;
        return match added {
            Ok(_) => Ok(Ended::Asked),
            Err(problem) => Err(ClientError::Refused(problem).into()),
        };
    }
}

/// Shows what a daemon in another process says. What was not watched before is watched only as
/// long as this goes on.
async fn attach(
    client: &Client,
    pid: u32,
    root: &std::path::Path,
    place: &StatusPlace,
    ends: &mut Ends,
) -> Result<Ended, Failed> {
    let known = client.projects().await?;
    let watched = known.iter().any(|project| project.path == root);
    let info = client.add(root, true).await?;
    out::tell(format!("regreen: attached to the daemon (process {pid})"));
    let ended = view(place, ends, Some(client)).await.map_err(Other)?;
    if matches!(ended, Ended::Asked) && !watched {
        client.remove(&info.id).await?;
    }
    Ok(ended)
}

/// The live view, until somebody ends it or the daemon is gone.
async fn view(
    place: &StatusPlace,
    ends: &mut Ends,
    client: Option<&Client>,
) -> anyhow::Result<Ended> {
    let mut ticks = tokio::time::interval(LOOK);
    let mut screen = Screen::new();
    let mut shown: Option<Status> = None;
    let mut looks = 0_u32;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = ends.asked() => {
                screen.leave()?;
                return Ok(Ended::Asked);
            }
        }
        looks += 1;
        // Once a second: a daemon that was killed says nothing any more.
        if let Some(client) = client
            && looks.is_multiple_of(10)
            && matches!(client.health().await, Err(ClientError::Unreachable(_)))
        {
            screen.leave()?;
            return Ok(Ended::DaemonGone);
        }
        let Ok(Some((status, _))) = place.read() else {
            continue;
        };
        // What an earlier daemon wrote says nothing about now.
        if status.daemon.is_none() {
            continue;
        }
        let new = essence(&status);
        let changed = shown.as_ref() != Some(&new);
        let moving = status.activity == Activity::Running && looks.is_multiple_of(5);
        if changed || (screen.is_terminal() && (moving || looks.is_multiple_of(50))) {
            draw(&mut screen, &status, shown.as_ref(), place.now())?;
            shown = Some(new);
        }
    }
}

fn draw(
    screen: &mut Screen,
    status: &Status,
    before: Option<&Status>,
    now: Timestamp,
) -> anyhow::Result<()> {
    let paint = Paint::stdout();
    if screen.is_terminal() {
        let lines: Vec<String> = life(status, status.daemon_is_dead(now), paint)
            .into_iter()
            .chain(live::text(status, now, paint))
            .collect();
        screen.draw(&lines)?;
        return Ok(());
    }
    // On a pipe: a line for each step, what is wrong, and the failures once a verdict is made.
    let step = |status: &Status| (status.verdict, status.activity, status.stale);
    if before.map(step) != Some(step(status)) {
        out::line(live::headline(status, now, paint))?;
    }
    let known = before.map_or(&[][..], |before| &before.notes);
    for note in status.notes.iter().filter(|note| !known.contains(note)) {
        out::line(live::note(note, paint))?;
    }
    let failures = |status: &Status| -> Vec<String> {
        let ids = status.failures.iter().filter(|failure| !failure.stale);
        ids.map(|failure| failure.failure.id.clone()).collect()
    };
    let new = failures(status);
    if !new.is_empty() && before.map(failures) != Some(new) {
        for line in live::text(status, now, paint).into_iter().skip(2) {
            out::line(line)?;
        }
    }
    Ok(())
}
