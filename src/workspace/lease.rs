//! Leases: which slots a loop holds, and what lies in them.

use crate::git::Confined;
use crate::git::Objects;
use crate::git::Oid;
use crate::model::LoopId;
use crate::model::SnapshotId;
use crate::run::now;
use crate::sandbox::Mount;
use crate::sandbox::Place;
use crate::sandbox::mirror::Mirror;
use crate::sandbox::mirror::Synced;
use crate::sandbox::slot::Purpose;
use crate::sandbox::slot::Slot;
use crate::sandbox::slot::Slots;
use crate::workspace::Grounds;
use crate::workspace::WorkspaceError;
use serde::Deserialize;
use serde::Serialize;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use tokio::task::spawn_blocking;

/// Which slots a loop holds, as its record keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// The slot of the base, never written to by the loop's code.
    pub clean: Option<u32>,
    /// The slot that agents and their tests write to.
    pub work: Option<u32>,
}

/// What an agent left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The tree as it is now.
    pub tree: SnapshotId,
    /// The paths that differ from what was there before, gone ones included.
    pub changed: Vec<PathBuf>,
}

/// One slot with a copy of the worktree in it.
#[derive(Debug)]
pub struct Room {
    /// Absent only while something is done in the background.
    mirror: Alone<Mirror>,
    /// How its content came there.
    synced: Option<Synced>,
    number: u32,
    dir: PathBuf,
    place: Place,
}

/// What a loop works in.
pub struct Workspace {
    /// What its sandboxes are made of.
    pub grounds: Arc<Grounds>,
    id: LoopId,
    clean: Option<Room>,
    work: Option<Room>,
}

/// Something that only whoever may change it can reach, so that references to what holds it
/// go from thread to thread although a repository handle must not be shared. The lock is never
/// taken: ownership would do, but the compiler cannot see that.
#[derive(Debug)]
struct Alone<T>(Mutex<Option<T>>);

impl<T> Alone<T> {
    fn new(inner: T) -> Self {
        Alone(Mutex::new(Some(inner)))
    }

    fn take(&mut self) -> Option<T> {
        let inner = self.0.get_mut();
        inner.unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&mut self, inner: T) {
        self.0 = Mutex::new(Some(inner));
    }
}

/// What a slot's own marker is called; it names the loop and the slot's part in it.
const MARKER: &str = "loop";

impl Workspace {
    /// A workspace without any room yet.
    pub fn new(grounds: Arc<Grounds>, id: LoopId) -> Self {
        Workspace {
            grounds,
            id,
            clean: None,
            work: None,
        }
    }

    /// Takes back the rooms that the loop had before regreen was ended. What cannot be had
    /// again is absent afterwards.
    pub async fn reattach(&mut self, record: &LeaseRecord) -> Result<(), WorkspaceError> {
        self.clean = self.again(record.clean, "clean").await?;
        self.work = self.again(record.work, "work").await?;
        Ok(())
    }

    /// Which slots it holds.
    pub fn record(&self) -> LeaseRecord {
        LeaseRecord {
            clean: self.clean.as_ref().map(|room| room.number),
            work: self.work.as_ref().map(|room| room.number),
        }
    }

    /// The room of the base.
    pub fn clean(&mut self) -> Option<&mut Room> {
        self.clean.as_mut()
    }

    /// The room of the agent.
    pub fn work(&mut self) -> Result<&mut Room, WorkspaceError> {
        self.work.as_mut().ok_or(WorkspaceError::Gone)
    }

    /// Whether the agent's room is there.
    pub fn has_work(&self) -> bool {
        self.work.is_some()
    }

    /// Makes the room of the base anew: emptied first, so that nothing of an earlier loop is
    /// in it, then filled with the user's work tree as it is, build caches seeded from the
    /// user's own. Answers the room and the work tree's snapshot.
    pub async fn make_clean(&mut self) -> Result<(&mut Room, SnapshotId), WorkspaceError> {
        self.clean = None;
        let mut room = self.fresh(Purpose::Loop, "clean").await?;
        let synced = room.blocking(|mirror| Ok(mirror.reconcile()?)).await?;
        let snapshot = synced.snapshot.clone();
        room.synced = Some(synced);
        Ok((self.clean.insert(room), snapshot))
    }

    /// Makes the agent's room as a copy of the clean one.
    pub async fn make_work(&mut self, tree: &SnapshotId) -> Result<&mut Room, WorkspaceError> {
        self.work = None;
        let mut room = self.copy_of_clean(Purpose::Loop, "work").await?;
        room.set(tree).await?;
        Ok(self.work.insert(room))
    }

    /// Makes a room for a gate, to be thrown away: a copy of the clean one with this tree.
    pub async fn make_gate(&mut self, tree: &SnapshotId) -> Result<Room, WorkspaceError> {
        let mut room = self.copy_of_clean(Purpose::Gate, "gate").await?;
        room.set(tree).await?;
        Ok(room)
    }

    /// Gives every room back, emptied.
    pub async fn destroy(&mut self) -> Result<(), WorkspaceError> {
        for room in [self.clean.take(), self.work.take()].into_iter().flatten() {
            room.destroy().await?;
        }
        Ok(())
    }

    async fn copy_of_clean(
        &mut self,
        purpose: Purpose,
        part: &'static str,
    ) -> Result<Room, WorkspaceError> {
        match self.clean.take() {
            Some(clean) => {
                let (clean, room) = self.copied(clean, purpose, part).await?;
                self.clean = Some(clean);
                Ok(room)
            }
            None => self.fresh(purpose, part).await,
        }
    }

    async fn copied(
        &self,
        mut clean: Room,
        purpose: Purpose,
        part: &'static str,
    ) -> Result<(Room, Room), WorkspaceError> {
        let source = clean.mirror.take().ok_or(WorkspaceError::Gone)?;
        let (grounds, id) = (self.grounds.clone(), self.id.clone());
        let (source, room) = spawn_blocking(move || {
            let room = lease(&grounds, &id, purpose, part, Some(source.slot()));
            (source, room)
        })
        .await?;
        clean.mirror.put(source);
        Ok((clean, room?))
    }

    async fn fresh(&self, purpose: Purpose, part: &'static str) -> Result<Room, WorkspaceError> {
        let (grounds, id) = (self.grounds.clone(), self.id.clone());
        spawn_blocking(move || lease(&grounds, &id, purpose, part, None)).await?
    }

    async fn again(
        &self,
        number: Option<u32>,
        part: &'static str,
    ) -> Result<Option<Room>, WorkspaceError> {
        let Some(number) = number else {
            return Ok(None);
        };
        let (grounds, id) = (self.grounds.clone(), self.id.clone());
        spawn_blocking(move || {
            let slots = Slots::open(&grounds.host.cache_dir())?;
            let taken = slots.lease_again(&grounds.worktree, number, Purpose::Loop, now())?;
            let Some(slot) = taken.filter(|slot| marked(slot, &id, part)) else {
                return Ok(None);
            };
            Room::of(&grounds, slot).map(Some)
        })
        .await?
    }
}

fn lease(
    grounds: &Grounds,
    id: &LoopId,
    purpose: Purpose,
    part: &str,
    from: Option<&Slot>,
) -> Result<Room, WorkspaceError> {
    let slots = Slots::open(&grounds.host.cache_dir())?;
    let slot = slots.lease(&grounds.worktree, purpose, now())?;
    match from {
        Some(from) => slot.copy_from(from)?,
        None => slot.clear()?,
    }
    let marker = slot.dir().join(MARKER);
    std::fs::write(&marker, format!("{id} {part}\n"))
        .map_err(WorkspaceError::io("write", &marker))?;
    Room::of(grounds, slot)
}

fn marked(slot: &Slot, id: &LoopId, part: &str) -> bool {
    std::fs::read_to_string(slot.dir().join(MARKER))
        .is_ok_and(|text| text.trim() == format!("{id} {part}"))
}

async fn prepared(grounds: &Grounds, place: &Place) -> Result<Vec<Mount>, WorkspaceError> {
    let (toolchains, place) = (grounds.toolchains.clone(), place.clone());
    let home = place.home.clone();
    let prepared = spawn_blocking(move || toolchains.prepare(&place)).await?;
    prepared.map_err(WorkspaceError::io("prepare the toolchains in", &home))
}

impl Room {
    fn of(grounds: &Grounds, slot: Slot) -> Result<Room, WorkspaceError> {
        let objects = Objects::open(&grounds.state_dir(), &grounds.worktree)?;
        let number = slot.number();
        let dir = slot.dir().to_owned();
        let place = slot.place(&grounds.worktree);
        let mirror = Mirror::open(
            grounds.worktree.clone(),
            objects,
            slot,
            grounds.rules.clone(),
        )?;
        Ok(Room {
            mirror: Alone::new(mirror),
            synced: None,
            number,
            dir,
            place,
        })
    }

    /// Where a sandbox finds the copy.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// How its content came there, once something did.
    pub(crate) fn synced(&self) -> Result<&Synced, WorkspaceError> {
        self.synced.as_ref().ok_or(WorkspaceError::Gone)
    }

    /// The mounts of the toolchains alone; a run adds the rest itself.
    pub(crate) async fn mounts_of_toolchains(
        &self,
        grounds: &Grounds,
    ) -> Result<Vec<Mount>, WorkspaceError> {
        prepared(grounds, &self.place).await
    }

    /// What a sandbox at `place` mounts: toolchains, carried directories, what the user
    /// configured.
    pub(crate) async fn mounts(
        &self,
        grounds: &Grounds,
        place: &Place,
    ) -> Result<Vec<Mount>, WorkspaceError> {
        let mut mounts = prepared(grounds, place).await?;
        mounts.extend(self.synced()?.carried.iter().cloned());
        mounts.extend(grounds.configured());
        Ok(mounts)
    }

    /// The slot's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes it hold this tree; what is the same stays untouched.
    pub async fn set(&mut self, tree: &SnapshotId) -> Result<(), WorkspaceError> {
        let tree = tree.clone();
        let synced = self
            .blocking(move |mirror| Ok(mirror.populate_tree(&tree)?))
            .await?;
        self.synced = Some(synced);
        Ok(())
    }

    /// Makes it hold this tree and nothing that tests made or rewrote; ignored files stay.
    pub async fn restore(&mut self, tree: &SnapshotId) -> Result<(), WorkspaceError> {
        self.blocking(|mirror| {
            let mut drift = mirror.drift()?;
            // Only what an agent or a person writes moves a loop, not a tool's lock file.
            drift.rewritten.append(&mut drift.locks);
            mirror.repair(&drift)?;
            let copy =
                Confined::open(mirror.tree()).map_err(WorkspaceError::io("open", mirror.tree()))?;
            for path in &drift.created {
                copy.remove(path)
                    .map_err(WorkspaceError::io("remove", path))?;
            }
            Ok(())
        })
        .await?;
        self.set(tree).await
    }

    /// Takes what was written there as the new state.
    pub async fn capture(&mut self) -> Result<Captured, WorkspaceError> {
        let synced = self.blocking(|mirror| Ok(mirror.capture()?)).await?;
        let mut changed = synced.changed.clone();
        changed.extend(synced.removed.iter().cloned());
        changed.sort();
        changed.dedup();
        let tree = synced.snapshot.clone();
        self.synced = Some(synced);
        Ok(Captured { tree, changed })
    }

    /// Makes it usable after it was taken back: what lies in it is what is to be worked with.
    pub async fn ready(&mut self) -> Result<(), WorkspaceError> {
        if self.synced.is_none() {
            self.capture().await?;
        }
        Ok(())
    }

    /// Empties `/tmp`; before each run.
    pub async fn empty_tmp(&mut self) -> Result<(), WorkspaceError> {
        self.blocking(|mirror| Ok(mirror.slot().empty_tmp()?)).await
    }

    /// Throws everything away and gives the slot back.
    pub async fn destroy(mut self) -> Result<(), WorkspaceError> {
        self.blocking(|mirror| Ok(mirror.slot().clear()?)).await
    }

    /// Does something that blocks, with the mirror.
    pub(crate) async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Mirror) -> Result<T, WorkspaceError> + Send + 'static,
    ) -> Result<T, WorkspaceError> {
        let mut mirror = self.mirror.take().ok_or(WorkspaceError::Gone)?;
        let (mirror, answer) = spawn_blocking(move || {
            let answer = work(&mut mirror);
            (mirror, answer)
        })
        .await?;
        self.mirror.put(mirror);
        answer
    }

    /// Makes the agent's `.git` for a commit, and the read-only store that it leans on.
    /// Answers both directories.
    pub(crate) async fn make_agent_git(
        &mut self,
        commit: Oid,
        branch: String,
        objects_inside: PathBuf,
    ) -> Result<(PathBuf, PathBuf), WorkspaceError> {
        let (git, base) = (self.dir.join("agent/git"), self.dir.join("agent/base.git"));
        let answer = (git.clone(), base.join("objects"));
        self.blocking(move |mirror| {
            let store = Objects::open_at(&base)?;
            mirror.objects().copy_commit(commit, &store)?;
            store.make_agent_git(&crate::git::AgentGit {
                dir: &git,
                objects_inside: &objects_inside,
                branch: &branch,
                commit,
            })?;
            Ok(())
        })
        .await?;
        Ok(answer)
    }
}
