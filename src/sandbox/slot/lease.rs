//! Leasing, listing and evicting slots.

use crate::git;
use crate::git::Worktree;
use crate::model::ProjectId;
use crate::model::Timestamp;
use crate::sandbox::Place;
use crate::sandbox::slot::SlotError;
use crate::sandbox::slot::size;
use rustix::fs::FlockOperation;
use serde::Deserialize;
use serde::Serialize;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

/// What a slot is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The watch: slot 0, never written to by a loop.
    Watch,
    /// `regreen run` beside a daemon.
    Run,
    /// A loop or an API workspace.
    Loop,
    /// A gate: thrown away afterwards, nothing flows back.
    Gate,
}

/// What the marker beside a slot says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// What it is, or was last, used for.
    pub purpose: Purpose,
    /// Which worktree it holds a copy of.
    pub root: PathBuf,
    /// The process that took it.
    pub pid: u32,
    /// When.
    pub since: Timestamp,
}

/// All slots below a cache directory.
#[derive(Debug, Clone)]
pub struct Slots {
    dir: PathBuf,
}

/// A slot that this process holds. It is free again when dropped, or when the process dies.
#[derive(Debug)]
pub struct Slot {
    dir: PathBuf,
    tree: PathBuf,
    number: u32,
    purpose: Purpose,
    /// Its flock is the lease.
    lock: File,
}

impl Drop for Slot {
    /// By its own hand: closing alone leaves the lease to a child that was forked meanwhile and
    /// has not yet executed its program.
    fn drop(&mut self) {
        // A lock that cannot be undone ends with the file.
        let _ = rustix::fs::flock(&self.lock, FlockOperation::Unlock);
    }
}

/// What a listing knows of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotInfo {
    /// Whose copy.
    pub project: ProjectId,
    /// Its number within the project.
    pub number: u32,
    /// Its directory.
    pub dir: PathBuf,
    /// What its marker says, if it can be read.
    pub lease: Option<Lease>,
    /// Whether a process holds it now.
    pub in_use: bool,
    /// Bytes on the disk, hard links counted once.
    pub bytes: u64,
}

impl Slots {
    /// So many slots a project has at most.
    pub const MOST: u32 = 32;

    /// The slots below `$XDG_CACHE_HOME/regreen`, which is made if needed, for us alone.
    pub fn open(cache_root: &Path) -> Result<Slots, SlotError> {
        let dir = cache_root.join("slots");
        for path in [cache_root, &dir] {
            make_private(path)?;
        }
        Ok(Slots { dir })
    }

    /// Takes a slot for a worktree: number 0 for the watch, the first free one otherwise.
    pub fn lease(
        &self,
        worktree: &Worktree,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Slot, SlotError> {
        let project = self.dir.join(worktree.id().as_str());
        make_private(&project)?;
        let numbers = match purpose {
            Purpose::Watch => 0..1,
            _ => 1..Slots::MOST,
        };
        for number in numbers {
            let dir = project.join(number.to_string());
            make_private(&dir)?;
            let Some(lock) = try_lock(&dir)? else {
                if purpose == Purpose::Watch {
                    return Err(busy(number, &dir));
                }
                continue;
            };
            let before = read_lease(&dir);
            let lease = Lease {
                purpose,
                root: worktree.root.clone(),
                pid: std::process::id(),
                since: now,
            };
            let slot = Slot {
                tree: dir.join("tree"),
                dir,
                number,
                purpose,
                lock,
            };
            // What a loop or a gate wrote must not reach another use of the slot.
            let foreign = before.is_some_and(|old| {
                old.purpose != purpose || old.root != lease.root || purpose == Purpose::Gate
            });
            if foreign {
                slot.clear()?;
            }
            slot.write_lease(&lease)?;
            slot.make_parts()?;
            return Ok(slot);
        }
        Err(SlotError::Exhausted(Slots::MOST - 1))
    }

    /// Takes back the very slot that a loop had before regreen was killed, with all that lies
    /// in it; `None` if somebody else has it or had it since.
    pub fn lease_again(
        &self,
        worktree: &Worktree,
        number: u32,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Option<Slot>, SlotError> {
        let dir = self
            .dir
            .join(worktree.id().as_str())
            .join(number.to_string());
        if !dir.is_dir() {
            return Ok(None);
        }
        let Some(lock) = try_lock(&dir)? else {
            return Ok(None);
        };
        let same =
            read_lease(&dir).is_some_and(|old| old.purpose == purpose && old.root == worktree.root);
        if !same {
            return Ok(None);
        }
        let slot = Slot {
            tree: dir.join("tree"),
            dir,
            number,
            purpose,
            lock,
        };
        slot.write_lease(&Lease {
            purpose,
            root: worktree.root.clone(),
            pid: std::process::id(),
            since: now,
        })?;
        slot.make_parts()?;
        Ok(Some(slot))
    }

    /// Every slot, with its size; walks them all.
    pub fn list(&self) -> Result<Vec<SlotInfo>, SlotError> {
        let mut found = Vec::new();
        for project in size::names(&self.dir).map_err(SlotError::io("list", &self.dir))? {
            let project_dir = self.dir.join(&project);
            let names = size::names(&project_dir).map_err(SlotError::io("list", &project_dir))?;
            for name in names {
                let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
                    continue;
                };
                let dir = project_dir.join(&name);
                found.push(SlotInfo {
                    project: ProjectId::new(project.to_string_lossy()),
                    number,
                    lease: read_lease(&dir),
                    in_use: try_lock(&dir)?.is_none(),
                    bytes: size::on_disk(&dir),
                    dir,
                });
            }
        }
        found.sort_by(|a, b| (&a.project, a.number).cmp(&(&b.project, b.number)));
        Ok(found)
    }

    /// Removes one slot, unless it is in use.
    pub fn remove(&self, info: &SlotInfo) -> Result<bool, SlotError> {
        let Some(_lock) = try_lock(&info.dir)? else {
            return Ok(false);
        };
        remove_all(&info.dir)?;
        // Only an empty directory goes.
        let _ = info.dir.parent().map(std::fs::remove_dir);
        Ok(true)
    }

    /// Removes slots that nobody uses, longest unused first, until `max_bytes` is kept; also
    /// those of worktrees that are gone. Answers what was removed.
    pub fn evict(&self, max_bytes: u64) -> Result<Vec<SlotInfo>, SlotError> {
        let mut removed = Vec::new();
        for slot in self.evictable(max_bytes)? {
            if self.remove(&slot)? {
                removed.push(slot);
            }
        }
        Ok(removed)
    }

    /// What [`Slots::evict`] would remove now.
    pub fn evictable(&self, max_bytes: u64) -> Result<Vec<SlotInfo>, SlotError> {
        let mut slots = self.list()?;
        slots.sort_by_key(|slot| slot.lease.as_ref().map(|lease| lease.since));
        let mut total: u64 = slots.iter().map(|slot| slot.bytes).sum();
        slots.retain(|slot| {
            let orphan = slot
                .lease
                .as_ref()
                .is_none_or(|lease| !lease.root.join(".git").exists());
            let goes = !slot.in_use && (orphan || total > max_bytes);
            if goes {
                total = total.saturating_sub(slot.bytes);
            }
            goes
        });
        Ok(slots)
    }
}

impl Slot {
    /// Its number; 0 is the watch's.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What it was leased for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The copy of the worktree.
    pub fn tree(&self) -> &Path {
        &self.tree
    }

    /// The home directory inside, kept between runs.
    pub fn home(&self) -> PathBuf {
        self.dir.join("home")
    }

    /// `/tmp` inside.
    pub fn tmp(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// Where files are made before they are renamed into the tree: the same file system.
    pub fn staging(&self) -> PathBuf {
        self.dir.join("staging")
    }

    /// What a sandbox needs to know of the slot.
    pub fn place(&self, worktree: &Worktree) -> Place {
        Place {
            root: worktree.root.clone(),
            tree: self.tree.clone(),
            home: self.home(),
            tmp: self.tmp(),
        }
    }

    /// Whether the lease still holds: who removes the slot's directory removes the lock too,
    /// and then the next one finds the slot free.
    pub fn is_in_place(&self) -> bool {
        let at = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
        let ours = self.lock.metadata().map(at);
        let there = self.dir.join("lock").symlink_metadata().map(at);
        matches!((ours, there), (Ok(ours), Ok(there)) if ours == there)
    }

    /// Bytes on the disk, hard links counted once; walks all of it.
    pub fn bytes(&self) -> u64 {
        size::on_disk(&self.dir)
    }

    /// Empties `/tmp`; call it before each run.
    pub fn empty_tmp(&self) -> Result<(), SlotError> {
        let tmp = self.tmp();
        git::empty_dir(&tmp).map_err(SlotError::io("empty", &tmp))?;
        make_private(&tmp)?;
        regain(&self.home())
    }

    /// Throws away everything in the slot; the lease stays.
    pub fn clear(&self) -> Result<(), SlotError> {
        for name in size::names(&self.dir).map_err(SlotError::io("list", &self.dir))? {
            if name != "lock" {
                remove_all(&self.dir.join(name))?;
            }
        }
        self.make_parts()
    }

    /// Throws away the copy of the worktree and what is carried; home stays.
    pub fn clear_tree(&self) -> Result<(), SlotError> {
        for part in ["tree", "carried", "aside", "made", "staging"] {
            remove_all(&self.dir.join(part))?;
        }
        self.make_parts()
    }

    /// Makes this slot a copy of another one: tree, build caches, home and manifest, times
    /// kept. What happens here never flows back.
    pub fn copy_from(&self, other: &Slot) -> Result<(), SlotError> {
        for name in size::names(&self.dir).map_err(SlotError::io("list", &self.dir))? {
            if name != "lock" && name != "lease.json" {
                remove_all(&self.dir.join(name))?;
            }
        }
        for name in size::names(&other.dir).map_err(SlotError::io("list", &other.dir))? {
            // SQLite makes its shared memory anew.
            let own = ["lock", "lease.json", "tmp", "staging", "manifest.db-shm"];
            if !own.iter().any(|own| name == *own) {
                size::copy_all(&other.dir.join(&name), &self.dir.join(&name))
                    .map_err(SlotError::io("copy", &other.dir.join(&name)))?;
            }
        }
        self.make_parts()
    }

    fn make_parts(&self) -> Result<(), SlotError> {
        for part in [&self.tree, &self.home(), &self.tmp(), &self.staging()] {
            make_private(part)?;
            regain(part)?;
        }
        Ok(())
    }

    fn write_lease(&self, lease: &Lease) -> Result<(), SlotError> {
        let path = self.dir.join("lease.json");
        let temporary = self.dir.join("lease.json.new");
        let text = serde_json::to_vec(lease).map_err(SlotError::io("write", &path))?;
        std::fs::write(&temporary, text)
            .and_then(|()| std::fs::rename(&temporary, &path))
            .map_err(SlotError::io("write", &path))
    }
}

fn read_lease(dir: &Path) -> Option<Lease> {
    let mut text = Vec::new();
    let file = File::open(dir.join("lease.json")).ok()?;
    file.take(1 << 16).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn busy(number: u32, dir: &Path) -> SlotError {
    let lease = read_lease(dir);
    SlotError::Busy {
        number,
        pid: lease.as_ref().map_or(0, |lease| lease.pid),
        purpose: lease.map_or("unknown".to_owned(), |lease| {
            format!("{:?}", lease.purpose).to_lowercase()
        }),
    }
}

fn try_lock(dir: &Path) -> Result<Option<File>, SlotError> {
    let path = dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(SlotError::io("open", &path))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(SlotError::io("lock", &path)(error)),
    }
}

/// Makes a directory for us alone, or checks that it is one.
fn make_private(path: &Path) -> Result<(), SlotError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(SlotError::io("make", path))?;
    let meta = path
        .symlink_metadata()
        .map_err(SlotError::io("look at", path))?;
    let us = rustix::process::geteuid().as_raw();
    if !meta.is_dir() || meta.uid() != us {
        return Err(SlotError::Refused {
            path: path.to_owned(),
            reason: format!("it is not a directory of user {us}"),
        });
    }
    Ok(())
}

/// A test may have taken the owner's rights from what is its home or its project.
fn regain(path: &Path) -> Result<(), SlotError> {
    git::regain(path).map_err(SlotError::io("open up", path))
}

fn remove_all(path: &Path) -> Result<(), SlotError> {
    git::remove_all(path).map_err(SlotError::io("remove", path))
}
