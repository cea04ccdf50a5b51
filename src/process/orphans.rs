//! Orphans of our children: the main program adopts and reaps them, so that neither zombies nor
//! strays are left where no init does it.

use crate::process::spawner::known;
use rustix::process::Pid;
use rustix::process::WaitId;
use rustix::process::WaitIdOptions;
use std::io;
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
