//! The thread that listens to the kernel, collects, and tells.

use crate::config::PROJECT_FILE;
use crate::git::Confined;
use crate::git::IgnoreRules;
use crate::git::Worktree;
use crate::model::Origin;
use crate::model::Trigger;
use crate::model::UPROOTED;
use crate::telemetry;
use crate::watch::WatchError;
use crate::watch::WatchEvent;
use crate::watch::batch::Batch;
use crate::watch::clock::Clock;
use crate::watch::debounce;
use crate::watch::debounce::Debounce;
use crate::watch::debounce::Input;
use crate::watch::debounce::Moment;
use crate::watch::debounce::Step;
use crate::watch::dirs::Dirs;
use crate::watch::dirs::walk_dirs;
use crate::watch::filesystem;
use crate::watch::gitdir::GitDir;
use crate::watch::gitdir::GitEvent;
use crate::watch::poll::Poll;
use crate::watch::tracked::IgnoredButTracked;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::fs::inotify;
use rustix::fs::inotify::ReadFlags;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// A walk even if everything seems well: after this time for every [`WALKED`] directories, so
/// that a large tree does not cost an idle machine more than a small one.
const RECONCILE: Duration = Duration::from_secs(5 * 60);

/// Directories of a small tree.
const WALKED: usize = 1_000;

/// A walk even of the largest tree.
const RECONCILE_LARGE: Duration = Duration::from_secs(3600);

/// A walk while not everything can be heard of.
const RECONCILE_DEGRADED: Duration = Duration::from_secs(10);

/// Wake up at least this often, to notice a suspend.
const NAP: Duration = Duration::from_secs(15);

/// How often a worktree that is not where it was is looked for.
const LOOK_FOR: Duration = Duration::from_millis(500);

/// Try again to hand over a change after this.
const RETRY: Duration = Duration::from_millis(10);

/// Everything the thread needs.
#[derive(Debug)]
pub(crate) struct Listener {
    worktree: Worktree,
    trigger: Trigger,
    tx: mpsc::Sender<WatchEvent>,
    stop: Arc<OwnedFd>,
    root: Confined,
    rules: IgnoreRules,
    tracked: IgnoredButTracked,
    dirs: Dirs,
    git: GitDir,
    poll: Option<Poll>,
    polled: Moment,
    batch: Batch,
    debounce: Debounce,
    clock: Clock,
    /// When to look at the batch again.
    wake: Option<Moment>,
    reconciled: Moment,
    /// Said and not yet heard.
    outbox: VecDeque<WatchEvent>,
    degraded: Option<String>,
    /// The directory that is watched, and whether it is not where it was.
    top: Option<(u64, u64)>,
    uprooted: bool,
    /// The index changed: tracked paths may be new.
    index_moved: bool,
}

/// One event of the kernel, with what is needed of it.
struct Heard {
    watch: i32,
    flags: ReadFlags,
    name: OsString,
}

impl Listener {
    /// Sets all watches.
    pub fn new(
        worktree: Worktree,
        trigger: Trigger,
        tx: mpsc::Sender<WatchEvent>,
        stop: Arc<OwnedFd>,
    ) -> Result<Listener, WatchError> {
        let failed = |what| move |source: io::Error| WatchError::Io { what, source };
        let clock = Clock::new();
        let mut listener = Listener {
            root: Confined::open(&worktree.root).map_err(failed("open the worktree"))?,
            rules: IgnoreRules::open(&worktree)?,
            tracked: IgnoredButTracked::default(),
            dirs: Dirs::new(&worktree.root).map_err(failed("start inotify"))?,
            git: GitDir::watch(&worktree)?,
            poll: None,
            polled: clock.now(),
            batch: Batch::default(),
            debounce: Debounce::default(),
            reconciled: clock.now(),
            clock,
            wake: None,
            outbox: VecDeque::new(),
            degraded: None,
            top: inode(&worktree.root),
            uprooted: false,
            index_moved: true,
            worktree,
            trigger,
            tx,
            stop,
        };
        if trigger == Trigger::Save {
            if let Some(name) = filesystem::without_events(&listener.worktree.root) {
                let mut poll = Poll::default();
                poll.look(&listener.root, &mut listener.rules)
                    .map_err(failed("look at the worktree"))?;
                listener.poll = Some(poll);
                listener.polled = listener.clock.now();
                listener.degrade(format!(
                    "the worktree lies on {name}, which does not tell of all changes: it is \
                     polled every {} s",
                    crate::watch::poll::INTERVAL.as_secs()
                ));
            }
            listener
                .watch_below(Path::new(""))
                .map_err(failed("watch the worktree"))?;
            listener.say_if_exhausted();
        }
        if trigger != Trigger::Save {
            // The configuration counts as it stands in the work tree, whatever is tested.
            listener
                .dirs
                .add(Path::new(""))
                .map_err(failed("watch the worktree"))?;
            listener.say_if_exhausted();
        }
        listener.batch.rescan();
        Ok(listener)
    }

    pub fn directories(&self) -> usize {
        self.dirs.len()
    }

    /// Listens until told to stop, or until nobody is there to tell.
    pub fn run(mut self) {
        self.pend();
        loop {
            if self.index_moved && self.trigger == Trigger::Save {
                self.index_moved = false;
                self.reload_tracked();
            }
            self.act();
            match self.deliver() {
                Ok(()) => {}
                Err(Closed) => return,
            }
            match self.wait() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(%error, "watching ended");
                    return;
                }
            }
            self.look_at_clocks();
        }
    }

    /// Waits for an event or the next moment; `false` is the order to stop.
    fn wait(&mut self) -> io::Result<bool> {
        let (stopped, worktree, git) = {
            let mut fds = [
                PollFd::new(&self.stop, PollFlags::IN),
                PollFd::new(&self.dirs, PollFlags::IN),
                PollFd::new(&self.git, PollFlags::IN),
            ];
            let timeout = self.timeout();
            match rustix::event::poll(&mut fds, Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let [stop, worktree, git] = fds.map(|fd| !fd.revents().is_empty());
            (stop, worktree, git)
        };
        if stopped {
            return Ok(false);
        }
        if git {
            let events = self.git.drain();
            self.hear_git(&events);
        }
        if worktree {
            telemetry::provoke("watch");
            self.hear_worktree()?;
        }
        Ok(true)
    }

    fn timeout(&self) -> Timespec {
        let now = self.clock.now();
        let mut left = NAP.min((self.reconciled + self.interval()).saturating_sub(now));
        if let Some(poll) = &self.poll {
            left = left.min((self.polled + poll.interval()).saturating_sub(now));
        }
        if self.uprooted {
            left = left.min(LOOK_FOR);
        }
        if let Some(wake) = self.wake {
            left = left.min(wake.saturating_sub(now));
        }
        if !self.outbox.is_empty() {
            left = left.min(RETRY);
        }
        Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        }
    }

    fn interval(&self) -> Duration {
        match (&self.degraded, &self.poll) {
            // What is polled is looked at all the time anyway.
            (Some(_), None) => RECONCILE_DEGRADED,
            _ => reconcile_after(self.dirs.len()),
        }
    }

    fn hear_worktree(&mut self) -> io::Result<()> {
        for heard in read_events(&self.dirs)? {
            self.hear(heard);
        }
        Ok(())
    }

    fn hear(&mut self, heard: Heard) {
        if heard.flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            self.overflow();
            return;
        }
        let Some(dir) = self.dirs.path_of(heard.watch).map(Path::to_owned) else {
            return;
        };
        if heard.flags.contains(ReadFlags::IGNORED) {
            self.dirs.forget(heard.watch);
            return;
        }
        if heard.name.is_empty() {
            // The directory itself went. Its parent tells too, except of the root.
            let gone = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT;
            if dir.as_os_str().is_empty() && heard.flags.intersects(gone) {
                self.uprooted = true;
                self.degrade(UPROOTED.to_owned());
                self.batch.rescan();
                self.pend();
            }
            return;
        }
        let path = dir.join(&heard.name);
        let is_dir = heard.flags.contains(ReadFlags::ISDIR);
        let is_config = path == Path::new(PROJECT_FILE);
        if self.trigger != Trigger::Save && !is_config {
            return;
        }
        if is_dir
            && heard
                .flags
                .intersects(ReadFlags::MOVED_FROM | ReadFlags::DELETE)
        {
            self.dirs.remove(&path);
        }
        if heard.name == ".git" || !(is_config || self.concerns(&path, is_dir)) {
            return;
        }
        if is_dir
            && heard
                .flags
                .intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO)
        {
            self.new_dir(&path);
        } else if is_dir
            && !heard
                .flags
                .intersects(ReadFlags::MOVED_FROM | ReadFlags::DELETE)
        {
            // Rights of a directory.
            return;
        }
        if heard.name == ".gitignore" {
            self.new_rules();
        }
        let begun = ReadFlags::MODIFY | ReadFlags::CREATE;
        let ended = ReadFlags::CLOSE_WRITE
            | ReadFlags::MOVED_TO
            | ReadFlags::MOVED_FROM
            | ReadFlags::DELETE;
        let open = !is_dir && heard.flags.intersects(begun) && !heard.flags.intersects(ended);
        self.batch.touch(&path, open);
        self.pend();
    }

    fn concerns(&mut self, path: &Path, is_dir: bool) -> bool {
        !self.rules.is_ignored(path, is_dir)
            || self.tracked.contains(path)
            || (is_dir && self.dirs.contains(path))
    }

    fn new_dir(&mut self, path: &Path) {
        if self.trigger != Trigger::Save {
            return;
        }
        if let Err(error) = self.watch_below(path) {
            self.degrade(format!("`{}` cannot be watched: {error}", path.display()));
        }
        self.say_if_exhausted();
    }

    /// Watches a directory and what is below it.
    fn watch_below(&mut self, start: &Path) -> io::Result<()> {
        let dirs = &mut self.dirs;
        walk_dirs(&self.root, &mut self.rules, start, &mut |dir| dirs.add(dir))
    }

    /// Other directories are ignored now, or not any more.
    fn new_rules(&mut self) {
        self.rules.forget();
        self.index_moved = true;
        self.new_dir(Path::new(""));
    }

    fn reload_tracked(&mut self) {
        let index = self.worktree.index_path();
        let reloaded = self.tracked.reload(&index, &mut self.rules);
        crate::git::give_back_memory();
        let Some(dirs) = reloaded else {
            return;
        };
        for dir in dirs {
            if self.dirs.contains(&dir) {
                continue;
            }
            if let Err(error) = self.dirs.add(&dir) {
                self.degrade(format!("`{}` cannot be watched: {error}", dir.display()));
            }
        }
        self.say_if_exhausted();
    }

    fn hear_git(&mut self, events: &[GitEvent]) {
        for event in events {
            self.index_moved |= *event == GitEvent::Index;
            let wanted = match self.trigger {
                Trigger::Save => true,
                Trigger::Stage => *event == GitEvent::Index,
                Trigger::Commit => *event == GitEvent::Head,
            };
            if wanted {
                self.batch.git();
                self.pend();
            }
        }
    }

    /// On a file system without events: looks whether something changed.
    fn look_around(&mut self, now: Moment) {
        let Some(poll) = &mut self.poll else {
            return;
        };
        if now < self.polled + poll.interval() {
            return;
        }
        let looked = poll.look(&self.root, &mut self.rules);
        self.polled = self.clock.now();
        let events = self.git.look();
        self.hear_git(&events);
        let looked = match looked {
            Ok(looked) => looked,
            Err(error) => {
                self.degrade(format!("the worktree cannot be read: {error}"));
                return;
            }
        };
        if looked.removed {
            self.batch.rescan();
            self.pend();
        }
        for (path, is_dir) in looked.touched {
            if is_dir && !self.dirs.contains(&path) {
                self.new_dir(&path);
            }
            if path.file_name().is_some_and(|name| name == ".gitignore") {
                self.new_rules();
            }
            self.batch.touch(&path, false);
            self.pend();
        }
    }

    /// Events were lost: whatever appeared meanwhile is not watched.
    fn overflow(&mut self) {
        let before = self.degraded.is_some();
        self.degrade(
            "too many changes at once, some were not heard: the tree is walked".to_owned(),
        );
        self.rules.forget();
        self.new_dir(Path::new(""));
        self.index_moved = true;
        self.batch.rescan();
        self.pend();
        if !before && !self.dirs.exhausted {
            self.recover();
        }
    }

    fn say_if_exhausted(&mut self) {
        if self.dirs.exhausted && self.degraded.is_none() {
            self.degrade(format!(
                "the limit of inotify watches is reached after {} directories, the rest is walked \
                 every {} s: raise it with `sysctl fs.inotify.max_user_watches=524288`",
                self.dirs.len(),
                RECONCILE_DEGRADED.as_secs()
            ));
        }
    }

    fn degrade(&mut self, reason: String) {
        if self.degraded.as_ref() != Some(&reason) {
            self.degraded = Some(reason.clone());
            self.outbox.push_back(WatchEvent::Degraded(reason));
        }
    }

    fn recover(&mut self) {
        self.degraded = None;
        self.outbox.push_back(WatchEvent::Recovered);
    }

    fn look_at_clocks(&mut self) {
        let slept = self.clock.slept();
        let now = self.clock.now();
        self.look_around(now);
        self.look_for_worktree();
        if !slept && now < self.reconciled + self.interval() {
            return;
        }
        self.reconciled = now;
        if self.trigger == Trigger::Save {
            self.try_for_more();
        }
        self.batch.rescan();
        self.pend();
    }

    /// The watches go with the directory: where it is back they are good again. Where another
    /// one took its place, the project is opened anew.
    fn look_for_worktree(&mut self) {
        if !self.uprooted || self.top.is_none() || inode(&self.worktree.root) != self.top {
            return;
        }
        self.uprooted = false;
        self.recover();
        self.say_if_exhausted();
        self.rules.forget();
        self.new_dir(Path::new(""));
        self.index_moved = true;
        self.batch.rescan();
        self.pend();
    }

    /// Watches that the kernel refused may be granted now.
    fn try_for_more(&mut self) {
        if !self.dirs.exhausted {
            return;
        }
        self.dirs.exhausted = false;
        let tried = self.watch_below(Path::new(""));
        if tried.is_ok() && !self.dirs.exhausted {
            self.recover();
        }
    }

    /// Something is in the batch.
    fn pend(&mut self) {
        let input = Input::Events {
            paths: self.batch.len(),
            open: self.batch.has_open(),
        };
        if let Step::Wait(until) = debounce::step(&mut self.debounce, input, self.clock.now()) {
            self.wake = Some(until);
        }
    }

    /// Looks whether the batch is a change by now.
    fn act(&mut self) {
        let now = self.clock.now();
        if self.wake.is_none_or(|wake| now < wake) {
            return;
        }
        let input = Input::Time {
            locked: self.git.is_locked(),
        };
        match debounce::step(&mut self.debounce, input, now) {
            Step::Wait(until) => self.wake = Some(until),
            Step::Idle => self.wake = None,
            Step::Fire => {
                self.wake = None;
                let origin = match self.trigger {
                    Trigger::Save => Origin::Save,
                    Trigger::Stage => Origin::Stage,
                    Trigger::Commit => Origin::Commit,
                };
                let change = self.batch.take(origin);
                self.outbox.push_back(WatchEvent::Changed(change));
            }
        }
    }

    /// Tells what is to be told, as far as somebody takes it.
    fn deliver(&mut self) -> Result<(), Closed> {
        while let Some(event) = self.outbox.pop_front() {
            match self.tx.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Closed(_)) => return Err(Closed),
                Err(TrySendError::Full(WatchEvent::Changed(change))) => {
                    // It grows with what comes meanwhile.
                    self.batch.put_back(change);
                    self.pend();
                    self.wake = Some(self.clock.now() + RETRY);
                    return Ok(());
                }
                Err(TrySendError::Full(event)) => {
                    self.outbox.push_front(event);
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Nobody listens any more.
struct Closed;

fn inode(path: &Path) -> Option<(u64, u64)> {
    let meta = path.symlink_metadata().ok()?;
    Some((meta.dev(), meta.ino()))
}

/// How long a tree of so many directories goes without a walk while all seems well.
fn reconcile_after(directories: usize) -> Duration {
    let times = u32::try_from(directories.div_ceil(WALKED)).unwrap_or(u32::MAX);
    RECONCILE.saturating_mul(times.max(1)).min(RECONCILE_LARGE)
}

/// All events that are there now.
fn read_events(fd: impl AsFd) -> io::Result<Vec<Heard>> {
    let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
    let mut reader = inotify::Reader::new(fd, &mut buffer);
    let mut heard = Vec::new();
    loop {
        match reader.next() {
            Ok(event) => heard.push(Heard {
                watch: event.wd(),
                flags: event.events(),
                name: event
                    .file_name()
                    .map(|name| OsStr::from_bytes(name.to_bytes()).to_owned())
                    .unwrap_or_default(),
            }),
            Err(Errno::WOULDBLOCK | Errno::INTR) => return Ok(heard),
            Err(error) => return Err(error.into()),
        }
        if heard.len() >= 8_192 && reader.is_buffer_empty() {
            return Ok(heard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_tree_is_walked_less_often() {
        for (directories, minutes) in [(0, 5), (1_000, 5), (1_001, 10), (5_102, 30)] {
            let expected = Duration::from_secs(60 * minutes);
            assert_eq!(reconcile_after(directories), expected, "{directories}");
        }
        assert_eq!(reconcile_after(usize::MAX), RECONCILE_LARGE);
    }
}
