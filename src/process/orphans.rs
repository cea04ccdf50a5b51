//! Orphans of our children: the main program adopts and reaps them, so that neither zombies nor
//! strays are left where no init does it.

use crate::process::Usage;
use crate::process::spawner::known;
use crate::process::usage;
use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::Signal;
use rustix::process::WaitId;
use rustix::process::WaitIdOptions;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

/// Makes this process the one that orphans of its children go to, and reaps them as they end.
///
/// Only a `main` may call this, once, on its runtime: every child that was not started by the
/// [`Spawner`](crate::process::Spawner) counts as an orphan and is waited for.
///
/// # Errors
/// If the kernel refuses the role or the signal cannot be watched.
pub fn adopt_orphans() -> io::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let mut ended = signal(SignalKind::child())?;
    tokio::spawn(async move {
        while ended.recv().await.is_some() {
            reap();
        }
    });
    Ok(())
}

/// A process that will come to us when its parent is gone, and whose account is wanted: the
/// reaper leaves it alone. Where this process adopts no orphans somebody else waits for it, and
/// its account is lost.
#[derive(Debug)]
pub struct Heir {
    pid: Option<i32>,
    pidfd: Option<OwnedFd>,
}

impl Heir {
    /// Names a living process.
    pub fn expect(pid: Pid) -> Self {
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok();
        let pid = pid.as_raw_nonzero().get();
        known().insert(pid);
        Heir {
            pid: Some(pid),
            pidfd,
        }
    }

    /// Kills it and waits until it is gone; answers what it and everybody below it used, or
    /// `None` where the kernel tells somebody else. An error says that it did not go.
    ///
    /// # Errors
    /// After `patience`, or when the runtime cannot wait for it.
    pub async fn bury(&mut self, patience: Duration) -> io::Result<Option<Usage>> {
        let Some(pidfd) = self.pidfd.take() else {
            return Ok(None);
        };
        let _ = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL);
        // SAFETY: the `AsyncFd` owns the descriptor and outlives its registration.
        let pidfd =
            unsafe { AsyncFd::register_with_interest(pidfd, tokio::io::Interest::READABLE)? };
        let gone = tokio::time::timeout(patience, pidfd.readable()).await;
        let _ready = gone.map_err(|_| io::ErrorKind::TimedOut)??;
        let account = usage::reap(pidfd.get_ref().as_fd());
        self.forget();
        Ok(account.ok().flatten().map(|(_, usage)| usage))
    }

    /// From now on the number may be somebody else's.
    fn forget(&mut self) {
        if let Some(pid) = self.pid.take() {
            known().remove(&pid);
        }
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        // It may have come to us, while the reaper left it alone.
        if let Some(pidfd) = self.pidfd.take() {
            let _ = usage::reap(pidfd.as_fd());
        }
        self.forget();
    }
}

/// Waits for every ended child that nobody else will wait for.
fn reap() {
    let known = known();
    for pid in children() {
        if known.contains(&pid) {
            continue;
        }
        if let Some(pid) = Pid::from_raw(pid) {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            let _ = rustix::process::waitid(WaitId::Pid(pid), options);
        }
    }
}

/// The children of all our threads.
fn children() -> Vec<i32> {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|line| {
            line.split_ascii_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<i32>>()
        })
        .collect()
}
