//! A second process that waits for the end of this one, whatever end, and then cleans up.
//!
//! bubblewrap asks to die with its parent only late in its set-up: whoever is killed while it
//! starts a sandbox leaves a part of it behind, and nobody but another process can end that.
//! The guard is forked off while this process has one thread and next to no memory, shares its
//! pages, holds none of its descriptors, and sleeps until the kernel says that it is gone.

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::Signal;
use rustix::process::WaitOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::panic::AssertUnwindSafe;

/// Signals that are meant for the process that is guarded: a service manager or a terminal
/// sends them to all there are.
const DEAF: [libc::c_int; 5] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGPIPE,
];

/// The guard of this process. Dropping it ends it: who ends in good order cleans up itself.
#[derive(Debug)]
pub struct Guard {
    pid: Pid,
}

impl Guard {
    /// Has `clean_up` done by another process once this one is gone. Only for a `main`, before
    /// it starts a thread.
    ///
    /// # Errors
    /// If there are other threads already, or the kernel has no room for another process.
    pub fn stand(clean_up: impl FnOnce()) -> io::Result<Guard> {
        // Of another thread's locks a fork would inherit the locked state.
        if std::fs::read_dir("/proc/self/task")?.count() != 1 {
            return Err(io::Error::other("threads were started already"));
        }
        let own = rustix::process::getpid();
        let guarded = rustix::process::pidfd_open(own, PidfdFlags::empty())?;
        // SAFETY: this is the only thread, so that the child may do whatever this one may.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => keep_watch(&guarded, clean_up),
            pid => {
                let pid = Pid::from_raw(pid);
                pid.map(|pid| Guard { pid })
                    .ok_or_else(|| io::ErrorKind::Other.into())
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A panic is no good order.
        if std::thread::panicking() {
            return;
        }
        // Refused only if it is gone: whoever reaps orphans here has then seen to it.
        let _ = rustix::process::kill_process(self.pid, Signal::KILL);
        let _ = rustix::process::waitpid(Some(self.pid), WaitOptions::empty());
    }
}

/// The guard's whole life.
fn keep_watch(guarded: &OwnedFd, clean_up: impl FnOnce()) -> ! {
    let done = std::panic::catch_unwind(AssertUnwindSafe(|| {
        withdraw(guarded)?;
        await_end(guarded)?;
        clean_up();
        Ok::<(), Errno>(())
    }));
    let code = i32::from(!matches!(done, Ok(Ok(()))));
    // SAFETY: ends this process only; what the parent would do at its exit is not done twice.
    unsafe { libc::_exit(code) }
}

/// Lets go of everything that the guarded process shares with others: its session, its
/// directory, its descriptors. Whoever reads its output must not wait for the guard.
fn withdraw(guarded: &OwnedFd) -> Result<(), Errno> {
    rustix::process::setsid()?;
    rustix::process::chdir(c"/")?;
    for signal in DEAF {
        // SAFETY: ignoring a signal installs no code.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    // For whoever reads a list of processes; a failure changes nothing else.
    let _ = rustix::thread::set_name(c"regreen-guard");
    let null = rustix::fs::open(c"/dev/null", OFlags::RDWR, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    // Closed by its owner, before everything else is closed under everybody's.
    drop(null);
    let kept = guarded.as_raw_fd() as libc::c_uint;
    close_range(3, kept - 1);
    close_range(kept + 1, libc::c_uint::MAX);
    Ok(())
}

fn close_range(first: libc::c_uint, last: libc::c_uint) {
    if first <= last {
        // SAFETY: nothing of this process, which only polls and cleans up, uses them again.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    }
}

/// Waits until every thread of the guarded process is gone: then the kernel has also sent its
/// death to the children that asked for it.
fn await_end(guarded: &OwnedFd) -> Result<(), Errno> {
    loop {
        let mut fds = [PollFd::new(guarded, PollFlags::IN)];
        match rustix::event::poll(&mut fds, None) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}
