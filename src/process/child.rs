//! A started child: its pid, its pipes, its end. Dropping it kills its group.

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
use tokio::io::AsyncReadExt;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
}

/// What a small program printed and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collected {
    /// Its status.
    pub status: Status,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

async fn read_all(pipe: Option<pipe::Receiver>, cap: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What could not be read counts as not printed.
        let _ = pipe.take(cap as u64).read_to_end(&mut bytes).await;
    }
    bytes
}

/// A started child.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    pidfd: Handle,
    pipes: [Option<OwnedFd>; 3],
    ended: Option<Status>,
    usage: Option<Usage>,
    /// The memory that regreen held when it forked, which the kernel counts as the child's too.
    inherited: Option<u64>,
}

/// The pidfd, first as it comes from the spawner thread, then registered with the runtime of
/// whoever asked for the child.
#[derive(Debug)]
enum Handle {
    Raw(OwnedFd),
    Registered(AsyncFd<OwnedFd>),
    Moving,
}

impl Child {
    /// Takes over a child that std has just started.
    pub(super) fn adopt(mut child: std::process::Child) -> io::Result<Self> {
        let pid = Pid::from_child(&child);
        // Nobody else waits for the child, so its pid cannot have been given away.
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Child {
            pid,
            pidfd: Handle::Raw(pidfd),
            pipes: [
                child.stdin.take().map(OwnedFd::from),
                child.stdout.take().map(OwnedFd::from),
                child.stderr.take().map(OwnedFd::from),
            ],
            ended: None,
            usage: None,
            inherited: Usage::own().peak_memory,
        })
    }

    /// Registers the pidfd with the current runtime.
    pub(super) fn attach(mut self) -> io::Result<Self> {
        if let Handle::Raw(fd) = std::mem::replace(&mut self.pidfd, Handle::Moving) {
            let interest = tokio::io::Interest::READABLE;
            // SAFETY: the `AsyncFd` owns the descriptor and closes it only after it has been
            // taken off the runtime's list.
            let registered = unsafe { AsyncFd::register_with_interest(fd, interest)? };
            self.pidfd = Handle::Registered(registered);
        }
        Ok(self)
    }

    /// Its process id, which is also that of its group and session.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The writing end of its standard input, if it was started with one.
    ///
    /// # Errors
    /// If the pipe cannot be registered with the runtime.
    pub fn take_stdin(&mut self) -> io::Result<Option<pipe::Sender>> {
        self.pipes[0]
            .take()
            .map(pipe::Sender::from_owned_fd)
            .transpose()
    }

    pub(super) fn take_output(&mut self) -> io::Result<[Option<pipe::Receiver>; 2]> {
        let mut take = |index: usize| {
            self.pipes[index]
                .take()
                .map(pipe::Receiver::from_owned_fd)
                .transpose()
        };
        Ok([take(1)?, take(2)?])
    }

    /// Waits for its end. Cancel-safe.
    ///
    /// # Errors
    /// If the kernel refuses to say, which it never should.
    pub async fn wait(&mut self) -> io::Result<Status> {
        loop {
            if let Some(status) = self.ended {
                return Ok(status);
            }
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            match &self.pidfd {
                Handle::Registered(fd) => fd.readable().await?.clear_ready(),
                _ => return Err(io::Error::other("the child was never handed over")),
            }
        }
    }

    /// Reads everything that it prints, up to `cap` bytes of each stream, and waits for its
    /// end. For small programs of the machine; it is killed when the answer is dropped.
    ///
    /// # Errors
    /// If its pipes cannot be registered or its end cannot be learnt.
    pub async fn collect(mut self, cap: usize) -> io::Result<Collected> {
        let [stdout, stderr] = self.take_output()?;
        let (stdout, stderr) = tokio::join!(read_all(stdout, cap), read_all(stderr, cap));
        Ok(Collected {
            status: self.wait().await?,
            stdout,
            stderr,
        })
    }

    /// What it used together with those below it that were waited for, once it has ended.
    pub fn usage(&self) -> Option<Usage> {
        let usage = self.usage?;
        Some(Usage {
            peak_memory: usage
                .peak_memory
                .filter(|_| usage.peak_memory > self.inherited),
            ..usage
        })
    }

    /// How it ended, if it has.
    fn try_wait(&mut self) -> io::Result<Option<Status>> {
        let fd = match &self.pidfd {
            Handle::Raw(fd) => fd.as_fd(),
            Handle::Registered(fd) => fd.get_ref().as_fd(),
            Handle::Moving => return Ok(None),
        };
        let Some((status, usage)) = usage::reap(fd)? else {
            return Ok(None);
        };
        known().remove(&self.pid.as_raw_nonzero().get());
        self.ended = Some(status);
        self.usage = Some(usage);
        Ok(Some(status))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended.is_some() {
            return;
        }
        // Not yet waited for, so the pid and its group are still the child's.
        let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
        let _ = rustix::process::kill_process(self.pid, Signal::KILL);
        if matches!(self.try_wait(), Ok(Some(_))) {
            return;
        }
        let pid = self.pid;
        // A killed process may take a while to go; waiting for it here could block a runtime.
        let undertaker = std::thread::Builder::new().name("regreen-undertaker".into());
        let _ = undertaker.spawn(move || {
            let _ = rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
            known().remove(&pid.as_raw_nonzero().get());
        });
    }
}
