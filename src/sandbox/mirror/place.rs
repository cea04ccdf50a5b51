//! Bringing one path of the slot up to date: the file itself, its row, its edit of the tree id.

use crate::git::Edit;
use crate::git::EntryMode;
use crate::git::Oid;
use crate::sandbox::mirror::Mirror;
use crate::sandbox::mirror::MirrorError;
use crate::sandbox::mirror::Reason;
use crate::sandbox::mirror::content;
use crate::sandbox::mirror::content::Content;
use crate::sandbox::mirror::content::Source;
use crate::sandbox::mirror::content::Taken;
use crate::sandbox::mirror::credentials;
use crate::sandbox::mirror::manifest::ABSENT;
use crate::sandbox::mirror::manifest::FROM_INDEX;
use crate::sandbox::mirror::manifest::LARGE;
use crate::sandbox::mirror::manifest::Row;
use crate::sandbox::mirror::manifest::SKIPPED;
use crate::sandbox::mirror::manifest::Stamp;
use crate::sandbox::mirror::manifest::TRACKED;
use crate::sandbox::mirror::repos::Listed;
use rustix::fs::AtFlags;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::Timespec;
use rustix::fs::Timestamps;
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// What one synchronisation has done so far.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub edits: Vec<Edit>,
    /// The tree with the edits so far.
    pub tree: Option<Oid>,
    /// The tree has to be made from the rows in the end, whatever the edits are.
    pub rebuild: bool,
    /// Much was looked at: memory is given back at the end.
    pub large: bool,
    pub changed: Vec<PathBuf>,
    pub removed: Vec<PathBuf>,
    /// Where links led that are gone or lead elsewhere now.
    pub led_to: Vec<PathBuf>,
    /// The slot was empty before: times are kept.
    pub first: bool,
    /// What the slot holds cannot be trusted to be what the manifest says.
    pub distrust: bool,
    /// The user named other paths than before: untracked ones are looked at again.
    pub renamed: bool,
    /// Rows were written since the last commit.
    pub pending: usize,
}

/// A file or link on its way into the slot.
pub(crate) struct Incoming {
    pub kind: u32,
    pub perms: u32,
    pub content: Content,
    /// The id it gets, where that is known without hashing.
    pub id: Option<Oid>,
    pub flags: u32,
    pub stamp: Stamp,
    /// Its own time, kept if the slot is new (nanoseconds).
    pub mtime: Option<i64>,
    /// Whether the raw bytes are to be stored.
    pub store: bool,
}

pub(crate) fn as_path(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

pub(crate) fn now_nanos() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as i64)
}

impl Mirror {
    /// Brings one path that is not a directory up to date with the worktree. Answers `false`
    /// if it is a directory.
    pub(crate) fn bring(
        &mut self,
        batch: &mut Batch,
        path: &[u8],
        listed: Option<&Listed>,
        old: Option<Row>,
    ) -> Result<bool, MirrorError> {
        let tracked = listed.is_some() || old.as_ref().is_some_and(|row| row.has(TRACKED));
        let taken = match self.take(as_path(path))? {
            Source::Directory => return Ok(false),
            Source::Absent => {
                self.manifest.clear_left_out(path)?;
                self.vanish(batch, path, listed, old)?;
                return Ok(true);
            }
            Source::LeftOut(reason) => {
                self.leave_out(batch, path, &reason, listed, old)?;
                return Ok(true);
            }
            Source::Taken(taken) => taken,
        };
        if !tracked && let Some(reason) = self.credential(path, &taken)? {
            self.leave_out(batch, path, &reason, listed, old)?;
            return Ok(true);
        }
        self.manifest.clear_left_out(path)?;
        let now = now_nanos();
        let id = listed.and_then(|listed| listed.id_for(&taken.stamp, taken.kind));
        let large = !tracked && taken.content.len() > self.rules.large_bytes;
        let incoming = Incoming {
            kind: taken.kind,
            perms: taken.perms,
            id,
            flags: if tracked { TRACKED } else { 0 } | if large { LARGE } else { 0 },
            stamp: taken.stamp.unless_racy(now),
            mtime: Some(taken.stamp.mtime),
            store: !large,
            content: taken.content,
        };
        self.settle(batch, path, incoming, old)?;
        Ok(true)
    }

    fn take(&mut self, path: &Path) -> Result<Source, MirrorError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(Source::Directory);
        };
        // Most paths of a walk share their directory with the one before.
        if self
            .source_dir
            .as_ref()
            .is_none_or(|(dir, _)| dir != parent)
        {
            self.source_dir = match self.source.open_dir(parent) {
                Ok(fd) => Some((parent.to_owned(), fd)),
                Err(_) => return content::take(&self.source, path, &self.staging),
            };
        }
        match &self.source_dir {
            Some((_, fd)) => content::take_at(fd.as_fd(), name, &self.staging),
            None => Ok(Source::Absent),
        }
    }

    /// Why an untracked file must not go in.
    fn credential(&self, path: &[u8], taken: &Taken) -> Result<Option<Reason>, MirrorError> {
        if self.rules.names(as_path(path)) || taken.kind == 0o120_000 {
            return Ok(None);
        }
        let name = as_path(path).file_name().unwrap_or_default();
        if let Some(what) = credentials::by_name(name.as_bytes()) {
            return Ok(Some(Reason::Credential(what)));
        }
        let start = taken
            .content
            .start(credentials::SNIFF)
            .map_err(MirrorError::io("read", as_path(path)))?;
        Ok(credentials::by_content(&start).map(Reason::Credential))
    }

    /// Puts a file or link into the slot, unless the slot has the same content already.
    pub(crate) fn settle(
        &mut self,
        batch: &mut Batch,
        path: &[u8],
        incoming: Incoming,
        old: Option<Row>,
    ) -> Result<(), MirrorError> {
        let rel = as_path(path);
        let old = old.filter(Row::is_there);
        let mut raw = None;
        let same = self.is_same(batch, rel, &incoming, old.as_ref(), &mut raw)?;
        let (id, flags) = match (incoming.id, &old) {
            (Some(id), _) => (id, incoming.flags | FROM_INDEX),
            // Not changed since it had the index's id: the index will be told by git.
            (None, Some(old)) if same && old.has(FROM_INDEX) => {
                (old.id, incoming.flags | FROM_INDEX)
            }
            (None, _) => {
                let id = match raw {
                    Some(id) => id,
                    None => incoming.content.hash()?,
                };
                if incoming.store {
                    incoming.content.store(&self.objects, id)?;
                }
                (id, incoming.flags)
            }
        };
        let mut row = Row {
            path: path.to_vec(),
            kind: incoming.kind,
            id,
            flags,
            source: incoming.stamp,
            slot: old.as_ref().map_or(Stamp::default(), |old| old.slot),
            generation: old.as_ref().map_or(0, |old| old.generation),
        };
        let mode_changed = old.as_ref().is_none_or(|old| old.kind != row.kind);
        if same {
            row.slot = self.keep(rel, &incoming)?;
        } else {
            self.note_link(batch, old.as_ref());
            row.slot = self.install(batch, rel, &incoming, old.as_ref())?;
            row.generation = self.state.generation + 1;
        }
        // In a new slot it would be everything.
        if !batch.first && (!same || mode_changed) {
            batch.changed.push(rel.to_owned());
        }
        if old
            .as_ref()
            .is_none_or(|old| old.id != row.id || old.kind != row.kind)
        {
            batch.edits.push(Edit {
                path: path.to_vec(),
                entry: Some((EntryMode::from_raw(row.kind), row.id)),
            });
        }
        self.manifest.put(&row)?;
        self.count(batch)
    }

    /// Whether the slot holds this content already.
    fn is_same(
        &mut self,
        batch: &Batch,
        rel: &Path,
        incoming: &Incoming,
        old: Option<&Row>,
        raw: &mut Option<Oid>,
    ) -> Result<bool, MirrorError> {
        let is_link = |kind: u32| kind == 0o120_000;
        let known = old.filter(|_| !batch.distrust);
        if let Some(old) = known {
            if is_link(old.kind) != is_link(incoming.kind) {
                return Ok(false);
            }
            if !old.has(FROM_INDEX) {
                let id = incoming.content.hash()?;
                *raw = Some(id);
                return Ok(id == old.id);
            }
        } else if batch.first {
            return Ok(false);
        }
        let failed = || MirrorError::io("compare", rel);
        if is_link(incoming.kind) {
            let target = self.tree.read_link(rel);
            return Ok(matches!((target, &incoming.content),
                (Ok(target), Content::Bytes(bytes)) if target == *bytes));
        }
        match self.tree.open_file(rel) {
            Ok(file) => incoming.content.equals(&file).map_err(failed()),
            Err(_) => Ok(false),
        }
    }

    /// The content stays; only the permissions follow.
    fn keep(&self, rel: &Path, incoming: &Incoming) -> Result<Stamp, MirrorError> {
        let failed = || MirrorError::io("look at", rel);
        let (dir, name) = self.tree.parent(rel).map_err(failed())?;
        let look = || rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW);
        let stat = look().map_err(MirrorError::io("look at", rel))?;
        if incoming.kind == 0o120_000 || stat.st_mode & 0o777 == incoming.perms {
            return Ok(Stamp::of(&stat));
        }
        let file = self.tree.open_file(rel).map_err(failed())?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(incoming.perms))
            .map_err(MirrorError::io("chmod", rel))?;
        Ok(Stamp::of(&look().map_err(MirrorError::io("look at", rel))?))
    }

    /// Writes the content beside the tree and renames it to its place.
    fn install(
        &mut self,
        batch: &Batch,
        rel: &Path,
        incoming: &Incoming,
        old: Option<&Row>,
    ) -> Result<Stamp, MirrorError> {
        self.staged += 1;
        let temporary = format!("in.{}", self.staged);
        let failed = || MirrorError::io("copy into the slot", rel);
        let stage = || -> io::Result<()> {
            let staging = self.staging.as_fd();
            // Left by a process that was killed.
            match rustix::fs::unlinkat(staging, temporary.as_str(), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
            if let (0o120_000, Content::Bytes(target)) = (incoming.kind, &incoming.content) {
                rustix::fs::symlinkat(OsStr::from_bytes(target), staging, temporary.as_str())?;
                return Ok(());
            }
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let mode = Mode::from_raw_mode(incoming.perms);
            let file = File::from(rustix::fs::openat(
                staging,
                temporary.as_str(),
                flags,
                Mode::RUSR | Mode::WUSR,
            )?);
            incoming.content.write_to(&file)?;
            rustix::fs::fchmod(&file, mode)?;
            Ok(())
        };
        let staged = stage().and_then(|()| {
            if let Some(time) = self.arrival(batch, rel, incoming, old) {
                let times = Timestamps {
                    last_access: time,
                    last_modification: time,
                };
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                rustix::fs::utimensat(&self.staging, temporary.as_str(), &times, flags)?;
            }
            self.move_in(&temporary, rel)
        });
        match staged {
            Ok(stamp) => Ok(stamp),
            Err(error) => {
                let unlinked = rustix::fs::unlinkat(&self.staging, &temporary, AtFlags::empty());
                if let Err(error) = unlinked {
                    tracing::debug!(%error, "nothing was staged");
                }
                Err(failed()(error))
            }
        }
    }

    /// The time that a file gets: its own in a new slot; otherwise that of its arrival, which
    /// is what it has from being written, except that Python's compiled files are told apart
    /// by the whole second (and the size) of their source.
    fn arrival(
        &mut self,
        batch: &Batch,
        rel: &Path,
        incoming: &Incoming,
        old: Option<&Row>,
    ) -> Option<Timespec> {
        let own = incoming.mtime.filter(|_| batch.first);
        if let Some(own) = own {
            return Some(Timespec {
                tv_sec: own.div_euclid(1_000_000_000),
                tv_nsec: own.rem_euclid(1_000_000_000),
            });
        }
        let before = old.map_or(0, |old| old.slot.mtime.div_euclid(1_000_000_000));
        self.python_second(rel, incoming.kind, before)
    }

    /// A whole second that no Python file of this slot has had.
    fn python_second(&mut self, rel: &Path, kind: u32, before: i64) -> Option<Timespec> {
        let is_python = matches!(rel.extension(), Some(end) if end == "py" || end == "pyw");
        if !is_python || kind == 0o120_000 {
            return None;
        }
        let now = now_nanos().div_euclid(1_000_000_000);
        let second = now.max(self.state.py_second + 1).max(before + 1);
        self.state.py_second = second;
        Some(Timespec {
            tv_sec: second,
            tv_nsec: 0,
        })
    }

    /// Gives a file that the sandbox wrote the time of its arrival, whatever it has.
    pub(crate) fn arrive(&mut self, rel: &Path, kind: u32) -> Result<Stamp, MirrorError> {
        let failed = MirrorError::io::<io::Error>("set the time of", rel);
        let mut touch = || -> io::Result<Stamp> {
            let (dir, name) = self.tree.parent(rel)?;
            let now = Timespec {
                tv_sec: 0,
                tv_nsec: rustix::fs::UTIME_NOW,
            };
            let time = self.python_second(rel, kind, 0).unwrap_or(now);
            let times = Timestamps {
                last_access: time,
                last_modification: time,
            };
            rustix::fs::utimensat(&dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
            let stat = rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
            Ok(Stamp::of(&stat))
        };
        touch().map_err(failed)
    }

    fn move_in(&mut self, temporary: &str, rel: &Path) -> io::Result<Stamp> {
        let name = rel.file_name().ok_or(Errno::INVAL)?;
        let parent = rel.parent().unwrap_or(Path::new(""));
        if self.tree_dir.as_ref().is_none_or(|(dir, _)| dir != parent) {
            self.tree_dir = Some((parent.to_owned(), self.slot_dir(parent)?));
        }
        let Some((_, dir)) = &self.tree_dir else {
            return Err(Errno::NOENT.into());
        };
        let moved = match rustix::fs::renameat(&self.staging, temporary, dir, name) {
            // A directory became a file.
            Err(Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY) => {
                self.tree.remove(rel)?;
                rustix::fs::renameat(&self.staging, temporary, dir, name)
            }
            other => other,
        };
        moved?;
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Stamp::of(&stat))
    }

    /// Opens a directory of the slot, making it; what stands in its way is removed.
    fn slot_dir(&self, dir: &Path) -> io::Result<std::os::fd::OwnedFd> {
        match self.tree.open_dir(dir) {
            Ok(fd) => return Ok(fd),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => {
                let mut above = PathBuf::new();
                for part in dir.components() {
                    above.push(part);
                    let found = self.tree.stat(&above)?;
                    let is_dir = found.is_some_and(|stat| {
                        rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir()
                    });
                    if !is_dir {
                        self.tree.remove(&above)?;
                        break;
                    }
                }
            }
        }
        self.tree.make_dirs(dir)?;
        self.tree.open_dir(dir)
    }

    /// The path is gone from the worktree.
    pub(crate) fn vanish(
        &mut self,
        batch: &mut Batch,
        path: &[u8],
        listed: Option<&Listed>,
        old: Option<Row>,
    ) -> Result<(), MirrorError> {
        let tracked = listed.is_some() || old.as_ref().is_some_and(|row| row.has(TRACKED));
        let skipped = listed
            .filter(|listed| listed.skip_worktree)
            .and_then(|listed| listed.id.map(|id| (listed.mode, id)));
        let was_there = old.as_ref().is_some_and(Row::is_there);
        if was_there {
            self.note_link(batch, old.as_ref());
            self.drop_file(as_path(path))?;
            batch.removed.push(as_path(path).to_owned());
        }
        let entry = skipped.map(|(mode, id)| (EntryMode::from_raw(mode), id));
        let before = old
            .as_ref()
            .filter(|row| row.has(SKIPPED))
            .map(|row| row.id);
        if was_there || entry.map(|it| it.1) != before {
            batch.edits.push(Edit {
                path: path.to_vec(),
                entry,
            });
        }
        if tracked {
            let flags = TRACKED | if entry.is_some() { SKIPPED } else { 0 };
            self.manifest.put(&Row {
                path: path.to_vec(),
                kind: ABSENT,
                id: entry.map_or(Oid::ZERO_SHA1, |it| it.1),
                flags,
                source: Stamp::default(),
                slot: Stamp::default(),
                generation: self.state.generation,
            })?;
        } else if old.is_some() {
            self.manifest.delete(path)?;
        }
        self.count(batch)
    }

    fn leave_out(
        &mut self,
        batch: &mut Batch,
        path: &[u8],
        reason: &Reason,
        listed: Option<&Listed>,
        old: Option<Row>,
    ) -> Result<(), MirrorError> {
        self.vanish(batch, path, listed, old)?;
        self.manifest.leave_out(path, reason)
    }

    /// Removes a file of the slot, and the directories that it leaves empty.
    fn drop_file(&mut self, rel: &Path) -> Result<(), MirrorError> {
        self.tree_dir = None;
        // A directory of that name that has arrived already.
        if self.manifest.any_below(rel.as_os_str().as_bytes())? {
            return Ok(());
        }
        self.tree
            .remove(rel)
            .map_err(MirrorError::io("remove from the slot", rel))?;
        self.prune(rel.parent());
        Ok(())
    }

    /// Removes a directory of the slot and those above it, as far as they are empty and the
    /// worktree does not have them.
    pub(crate) fn prune(&self, dir: Option<&Path>) {
        let mut above = dir;
        while let Some(dir) = above.filter(|dir| !dir.as_os_str().is_empty()) {
            let kept = !matches!(self.source.stat(dir), Ok(None));
            if kept || self.tree.remove_empty_dir(dir).is_err() {
                break;
            }
            above = dir.parent();
        }
    }

    /// Commits now and then, so that a kill in a long first population loses little.
    pub(crate) fn count(&mut self, batch: &mut Batch) -> Result<(), MirrorError> {
        batch.pending += 1;
        if batch.edits.len() >= 8_192 {
            batch.large = true;
            self.flush_edits(batch);
        }
        if batch.pending < 4_096 {
            return Ok(());
        }
        batch.pending = 0;
        self.manifest.commit()?;
        self.manifest.begin()
    }
}
