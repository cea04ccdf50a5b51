//! What an ended process used, together with everybody that was waited for below it: the kernel's
//! own account (getrusage(2)), which it hands out to whoever waits for the process.

use crate::process::Status;
use rustix::io::Errno;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// What a process and its waited-for descendants used. A descendant whose parent ignores its
/// children's ends is not in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The most memory that any one of the processes held, in bytes; `None` where that is not told
    /// apart from what regreen held when it forked.
    pub peak_memory: Option<u64>,
    /// Time in user mode, of all together.
    pub user: Duration,
    /// Time in the kernel, of all together.
    pub system: Duration,
    /// Bytes that were read from storage; what the page cache had is not in it.
    pub read: u64,
    /// Bytes that were written towards storage.
    pub written: u64,
}

impl Usage {
    fn of(usage: &libc::rusage) -> Self {
        let time = |time: libc::timeval| {
            let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0));
            seconds + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
        };
        // Linux counts memory in KiB here, and storage in blocks of 512 bytes.
        let count = |number: libc::c_long, unit: u64| {
            u64::try_from(number).unwrap_or(0).saturating_mul(unit)
        };
        Usage {
            peak_memory: Some(count(usage.ru_maxrss, 1024)),
            user: time(usage.ru_utime),
            system: time(usage.ru_stime),
            read: count(usage.ru_inblock, 512),
            written: count(usage.ru_oublock, 512),
        }
    }

    /// What this process itself has used so far.
    pub(super) fn own() -> Self {
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: the kernel writes a whole `rusage` to memory of ours; zeroed memory is a valid
        // one in case it refuses.
        let usage = unsafe {
            libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
            usage.assume_init()
        };
        Usage::of(&usage)
    }
}

/// Waits for a child that has ended, by its pidfd; `None` while it lives.
///
/// # Errors
/// `ECHILD` if it is not a child of this process, or was waited for already.
pub(super) fn reap(child: BorrowedFd<'_>) -> io::Result<Option<(Status, Usage)>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: a plain system call that writes one `siginfo_t` and one `rusage` to memory of
        // ours. libc's own `waitid` has no fifth argument; the kernel's has.
        let done = unsafe {
            libc::syscall(
                libc::SYS_waitid,
                libc::P_PIDFD,
                child.as_raw_fd(),
                info.as_mut_ptr(),
                libc::WEXITED | libc::WNOHANG,
                usage.as_mut_ptr(),
            )
        };
        if done == 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(Errno::INTR.raw_os_error()) {
            return Err(error);
        }
    }
    // SAFETY: both were zeroed, which is valid for them, and the kernel wrote nothing else.
    let (info, usage) = unsafe { (info.assume_init(), usage.assume_init()) };
    // Without a child that has ended the kernel leaves the pid zero.
    // SAFETY: of a child's end these are the fields that are filled in.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    let status = match info.si_code {
        libc::CLD_EXITED => Status::Exited(status),
        _ => Status::Signaled(status),
    };
    Ok(Some((status, Usage::of(&usage))))
}

#[cfg(test)]
mod tests {
    use crate::process::Command;
    use crate::process::Spawner;
    use crate::process::Usage;

    async fn used(script: &str) -> Usage {
        let command = Command::new("/bin/sh").args(["-c", script]);
        let mut child = Spawner::global().spawn(command).await.expect("it starts");
        child.wait().await.expect("it ends");
        child.usage().expect("it was waited for")
    }

    #[tokio::test]
    async fn what_a_grandchild_used_is_in_it() {
        let idle = used("exit 0").await;
        let loud = "n=0; while [ $n -lt 200000 ]; do n=$((n+1)); done";
        let busy = used(&format!("sh -c '({loud}); :'; :")).await;
        let time = |usage: Usage| usage.user + usage.system;
        assert!(time(busy) > 4 * time(idle), "{busy:?} against {idle:?}");
        let hungry = used("head -c 96M /dev/zero | tail -n 1 | wc -c").await;
        assert!(hungry.peak_memory > Some(96 << 20), "{hungry:?}");
    }
}
