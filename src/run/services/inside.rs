//! The runner inside the sandbox: starts the services, waits for each, starts the command, and
//! ends them with it. `regreen __services LIST DIR COMMAND…`.

use crate::model::Service;
use crate::run::services::Gone;
use crate::run::services::STATE;
use crate::run::services::State;
use crate::run::services::log_name;
use crate::run::services::ready;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::Signal;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitCode;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

/// How often it is looked whether a service is ready.
const LOOK: Duration = Duration::from_millis(25);
/// After TERM a service has so long before the sandbox takes it.
const GRACE: Duration = Duration::from_secs(2);
/// The status where the command was never started. What it means stands in the state.
const NEVER: u8 = 125;

/// The binary's door.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    match run(args) {
        Ok(code) => code,
        Err(error) => {
            use std::io::Write;
            let _ = writeln!(io::stderr(), "regreen: services: {error}");
            ExitCode::from(NEVER)
        }
    }
}

/// A service that was started.
struct Started<'a> {
    service: &'a Service,
    child: Child,
    log: PathBuf,
}

fn run(mut args: impl Iterator<Item = OsString>) -> io::Result<ExitCode> {
    let usage = || io::Error::other("usage: __services LIST DIR COMMAND…");
    let list = std::fs::read(args.next().ok_or_else(usage)?)?;
    let dir = PathBuf::from(args.next().ok_or_else(usage)?);
    let argv: Vec<OsString> = args.collect();
    let (program, words) = argv.split_first().ok_or_else(usage)?;
    let services: Vec<Service> = serde_json::from_slice(&list)?;
    let mut state = State::default();
    let mut started = Vec::new();
    for service in &services {
        match start(service, &dir) {
            Ok(one) => started.push(one),
            Err(error) => {
                let why = format!("`{}` was not started: {error}", service.command.join(" "));
                return Ok(given_up(state, &dir, &service.name, why, started));
            }
        }
        let last = started.len() - 1;
        if let Err(why) = wait_for(&mut started[last]) {
            return Ok(given_up(state, &dir, &service.name, why, started));
        }
    }
    let spawned = command(program).args(words).spawn();
    match spawned {
        Ok(mut child) => {
            state.ready = true;
            write(&dir, &state)?;
            let status = child.wait()?;
            state.ended = started.iter_mut().filter_map(gone).collect();
            write(&dir, &state)?;
            end_all(started);
            Ok(leave_as(status))
        }
        Err(error) => {
            state.not_started = Some(format!("execvp {}: {error}", program.display()));
            write(&dir, &state)?;
            end_all(started);
            Ok(ExitCode::from(NEVER))
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the parent of services and command inside the sandbox, which ends them all"
)]
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(program)
}

fn start<'a>(service: &'a Service, dir: &Path) -> io::Result<Started<'a>> {
    let log = dir.join(log_name(&service.name));
    let out = File::options().create(true).append(true).open(&log)?;
    let (program, words) = service
        .command
        .split_first()
        .ok_or_else(|| io::Error::other("its command is empty"))?;
    let child = command(program)
        .args(words)
        .envs(service.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stderr(out.try_clone()?)
        .stdout(out)
        // So that all of it can be ended, whatever it started.
        .process_group(0)
        .spawn()?;
    Ok(Started {
        service,
        child,
        log,
    })
}

/// Waits until a service is ready; why not, otherwise.
fn wait_for(one: &mut Started<'_>) -> Result<(), String> {
    let begun = Instant::now();
    let limit = Duration::from_millis(one.service.timeout_ms);
    loop {
        let ask = |argv: &[String]| succeeds(argv, limit.saturating_sub(begun.elapsed()));
        // Before its end is looked for: a command may start a daemon and be done.
        if ready::look(&one.service.ready, &one.log, ask) {
            return Ok(());
        }
        let well = matches!(one.child.try_wait(), Ok(Some(status)) if status.success());
        if let Some(gone) = gone(one).filter(|_| !well) {
            return Err(gone.why);
        }
        if begun.elapsed() >= limit {
            let seconds = limit.as_secs_f64();
            return Err(format!("it was not ready after {seconds} s"));
        }
        pause(&one.child, LOOK);
    }
}

/// Whether a command succeeds in time.
fn succeeds(argv: &[String], limit: Duration) -> bool {
    let Some((program, words)) = argv.split_first() else {
        return false;
    };
    let quiet = command(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    let Ok(mut child) = quiet else { return false };
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if begun.elapsed() < limit => pause(&child, LOOK),
            _ => break,
        }
    }
    signal(&child, Signal::KILL);
    let _ = child.wait();
    false
}

/// Waits until a child ends, but only so long.
fn pause(child: &Child, time: Duration) {
    let timeout = Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(time.subsec_nanos()),
    };
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let held = pid.and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
    let mut fds: Vec<PollFd<'_>> = Vec::new();
    // Who has ended already wakes at once: then the time has to pass without it.
    if let Some(held) = &held {
        let mut probe = [PollFd::new(held, PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        if matches!(rustix::event::poll(&mut probe, Some(&now)), Ok(0)) {
            fds.push(PollFd::new(held, PollFlags::IN));
        }
    }
    let _ = rustix::event::poll(&mut fds, Some(&timeout));
}

/// How a service ended, if it has.
fn gone(one: &mut Started<'_>) -> Option<Gone> {
    let status = one.child.try_wait().ok()??;
    let why = match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, signal) => format!("was ended by signal {}", signal.unwrap_or(0)),
    };
    Some(Gone {
        name: one.service.name.clone(),
        why,
    })
}

fn given_up(
    mut state: State,
    dir: &Path,
    name: &str,
    why: String,
    started: Vec<Started<'_>>,
) -> ExitCode {
    state.failed = Some(Gone {
        name: name.to_owned(),
        why,
    });
    let _ = write(dir, &state);
    end_all(started);
    ExitCode::from(NEVER)
}

/// Whole or not at all: the host may look at any moment.
fn write(dir: &Path, state: &State) -> io::Result<()> {
    let new = dir.join("state.new");
    std::fs::write(&new, serde_json::to_vec(state)?)?;
    std::fs::rename(new, dir.join(STATE))
}

/// Asks all services to end, those that were started last first. Who does not is ended with the
/// sandbox.
fn end_all(mut started: Vec<Started<'_>>) {
    for one in started.iter().rev() {
        signal(&one.child, Signal::TERM);
    }
    let begun = Instant::now();
    for one in started.iter_mut().rev() {
        while matches!(one.child.try_wait(), Ok(None)) && begun.elapsed() < GRACE {
            pause(&one.child, LOOK);
        }
        signal(&one.child, Signal::KILL);
    }
}

/// To everybody in a child's process group.
fn signal(child: &Child, signal: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}

/// Ends as the command ended: a signal that ended it is a fact of the tests.
fn leave_as(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal().and_then(Signal::from_named_raw) {
        // The first SIGSEGV or SIGBUS ends at Rust's own handler, which then goes away.
        for _ in 0..2 {
            let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
        }
        return ExitCode::from(NEVER);
    }
    status.code().map_or(ExitCode::from(NEVER), |code| {
        ExitCode::from(u8::try_from(code).unwrap_or(NEVER))
    })
}
