//! What of the git directory matters: HEAD, the index, the refs of branches, and the lock
//! that says that git is at work. Watched by notify: few directories, where few read.

use crate::git::Worktree;
use crate::watch::WatchError;
use notify::EventKind;
use notify::INotifyWatcher;
use notify::RecursiveMode;
use notify::Watcher as _;
use notify::event::AccessKind;
use notify::event::AccessMode;
use rustix::event::EventfdFlags;
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;
use std::time::SystemTime;

/// An older lock was left behind by a git that was killed.
const STALE_LOCK: Duration = Duration::from_secs(60);

/// So many directories of branches are watched; with more a commit is found a little later.
const MAX_REF_DIRS: usize = 512;

/// What an event in the git directory means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GitEvent {
    /// The index was replaced.
    Index,
    /// HEAD or a branch moved.
    Head,
}

/// The watches on a git directory.
pub(crate) struct GitDir {
    watcher: INotifyWatcher,
    heard: mpsc::Receiver<notify::Event>,
    bell: Arc<OwnedFd>,
    git_dir: PathBuf,
    common_dir: PathBuf,
    refs: PathBuf,
    /// What was seen when looked at last, for file systems without events.
    stamps: Vec<Option<Stamp>>,
}

/// Inode, size, and time of the last change of a file.
type Stamp = (u64, u64, i64, i64);

impl GitDir {
    pub fn watch(worktree: &Worktree) -> Result<GitDir, WatchError> {
        let (tx, heard) = mpsc::channel();
        let bell = Arc::new(bell().map_err(|source| WatchError::Io {
            what: "make an event descriptor",
            source,
        })?);
        let ring = bell.clone();
        let handler = move |event: notify::Result<notify::Event>| match event {
            Ok(event) if changes(&event) => {
                // Whoever listened is gone: so is this watcher, soon.
                let _ = tx.send(event);
                // A bell that has rung enough already is loud enough.
                let _ = rustix::io::write(&*ring, &1_u64.to_ne_bytes());
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "notify"),
        };
        let watcher = INotifyWatcher::new(handler, notify::Config::default()).map_err(refused)?;
        let mut dir = GitDir {
            watcher,
            heard,
            bell,
            git_dir: worktree.git_dir.clone(),
            common_dir: worktree.common_dir.clone(),
            refs: worktree.common_dir.join("refs/heads"),
            stamps: Vec::new(),
        };
        for path in [&worktree.git_dir, &worktree.common_dir] {
            dir.watcher
                .watch(path, RecursiveMode::NonRecursive)
                .map_err(refused)?;
        }
        dir.watch_refs();
        dir.look();
        Ok(dir)
    }

    /// Branch names can have slashes, and so directories.
    fn watch_refs(&mut self) {
        let mut queue = vec![self.refs.clone()];
        let mut left = MAX_REF_DIRS;
        while let Some(dir) = queue.pop() {
            // Regreen's own branches are nobody's commits.
            if dir == self.refs.join("regreen") || left == 0 {
                continue;
            }
            left -= 1;
            if self
                .watcher
                .watch(&dir, RecursiveMode::NonRecursive)
                .is_err()
            {
                continue;
            }
            let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
            let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            queue.extend(dirs.map(|entry| entry.path()));
        }
    }

    /// What has been heard since the last call, each once.
    pub fn drain(&mut self) -> Vec<GitEvent> {
        let mut count = [0; 8];
        // Nothing rang: nothing to read.
        let _ = rustix::io::read(&*self.bell, &mut count);
        let events: Vec<notify::Event> = self.heard.try_iter().collect();
        let mut meanings = Vec::new();
        for event in &events {
            if event.need_rescan() {
                meanings.extend([GitEvent::Index, GitEvent::Head]);
            }
            meanings.extend(event.paths.iter().filter_map(|path| self.meaning(path)));
        }
        let below_refs = |path: &PathBuf| path.starts_with(&self.refs) && path.is_dir();
        if events.iter().flat_map(|event| &event.paths).any(below_refs) {
            self.watch_refs();
        }
        meanings.sort();
        meanings.dedup();
        meanings
    }

    fn meaning(&self, path: &Path) -> Option<GitEvent> {
        if let Ok(branch) = path.strip_prefix(&self.refs) {
            let is_lock = branch.extension().is_some_and(|end| end == "lock");
            let ours = branch.starts_with("regreen");
            return (!is_lock && !ours).then_some(GitEvent::Head);
        }
        let parent = path.parent()?;
        let here =
            |dir: &PathBuf, name: &str| parent == dir && path.file_name() == Some(OsStr::new(name));
        if here(&self.git_dir, "index") {
            Some(GitEvent::Index)
        } else if here(&self.git_dir, "HEAD") || here(&self.common_dir, "packed-refs") {
            Some(GitEvent::Head)
        } else {
            None
        }
    }

    /// For file systems without events: what moved since it was looked at last.
    pub fn look(&mut self) -> Vec<GitEvent> {
        let paths = ["index", "HEAD", "logs/HEAD"];
        let stamps: Vec<_> = paths
            .iter()
            .map(|name| stamp(&self.git_dir.join(name)))
            .collect();
        let before = std::mem::replace(&mut self.stamps, stamps);
        let moved = |at: usize| before.get(at) != self.stamps.get(at);
        let index = moved(0).then_some(GitEvent::Index);
        let head = (moved(1) || moved(2)).then_some(GitEvent::Head);
        index.into_iter().chain(head).collect()
    }

    /// Whether git holds the lock of the index. One that is old was left behind.
    pub fn is_locked(&self) -> bool {
        let Ok(meta) = self.git_dir.join("index.lock").symlink_metadata() else {
            return false;
        };
        let age = meta
            .modified()
            .ok()
            .and_then(|time| SystemTime::now().duration_since(time).ok());
        age.is_none_or(|age| age < STALE_LOCK)
    }
}

impl AsFd for GitDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

impl std::fmt::Debug for GitDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitDir")
            .field("git_dir", &self.git_dir)
            .finish()
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = path.symlink_metadata().ok()?;
    Some((meta.ino(), meta.size(), meta.ctime(), meta.ctime_nsec()))
}

/// notify 8 tells of opening too, which changes nothing.
fn changes(event: &notify::Event) -> bool {
    match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

fn bell() -> io::Result<OwnedFd> {
    Ok(rustix::event::eventfd(
        0,
        EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
    )?)
}

fn refused(error: notify::Error) -> WatchError {
    WatchError::Io {
        what: "watch the git directory",
        source: io::Error::other(error),
    }
}
