//! Bounded waiting for the thing itself: a file's change, a process's end. Never for time.

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::fs::inotify;
use rustix::process::Pid;
use rustix::process::PidfdFlags;
use std::os::fd::AsFd;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

/// Asks `probe` again after every change in `dir` (and at least four times a second, for what
/// is no file) until it answers. Panics after `bound`, naming `what`.
#[track_caller]
pub fn until_changed<T>(
    dir: &Path,
    what: &str,
    bound: Duration,
    mut probe: impl FnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + bound;
    loop {
        let watch = watch_nearest(dir);
        if let Some(answer) = probe() {
            return answer;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            panic!("waited {bound:?} for {what}, in vain");
        }
        readable(&watch, left.min(Duration::from_millis(250)));
    }
}

/// Asks `probe` four times a second until it answers. For what has no file to watch.
#[track_caller]
pub fn until<T>(what: &str, bound: Duration, probe: impl FnMut() -> Option<T>) -> T {
    until_changed(Path::new("/proc/self"), what, bound, probe)
}

/// Waits until the process has ended; says whether it has.
pub fn for_end_of(pid: u32, bound: Duration) -> bool {
    let pid = Pid::from_raw(pid as i32).expect("process ids are positive");
    match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => readable(&pidfd, bound),
        // It has been reaped.
        Err(_) => true,
    }
}

/// Waits for the end of a thread, or until the bound is reached.
pub fn for_thread<T>(thread: &JoinHandle<T>, bound: Duration) {
    let end = Instant::now() + bound;
    while !thread.is_finished() && Instant::now() < end {
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// An inotify watch on `dir`, or on the nearest directory above it that exists.
fn watch_nearest(dir: &Path) -> rustix::fd::OwnedFd {
    let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
    let watch = inotify::init(flags).expect("this process may make an inotify instance");
    let mask = inotify::WatchFlags::CREATE
        | inotify::WatchFlags::MOVED_TO
        | inotify::WatchFlags::CLOSE_WRITE
        | inotify::WatchFlags::DELETE;
    for place in dir.ancestors() {
        if inotify::add_watch(&watch, place, mask).is_ok() {
            break;
        }
    }
    watch
}

fn readable(fd: &impl AsFd, bound: Duration) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let bound = Timespec {
        tv_sec: bound.as_secs() as i64,
        tv_nsec: i64::from(bound.subsec_nanos()),
    };
    matches!(rustix::event::poll(&mut fds, Some(&bound)), Ok(ready) if ready > 0)
}
