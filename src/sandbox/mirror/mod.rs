//! The mirror: a slot's copy of a worktree, brought up to date path by path between runs.
//!
//! First population keeps times; later every path whose content changed is given the time of
//! its arrival, and what did not change is never touched. docs/mirror.md says why.

mod carry;
mod content;
mod credentials;
mod drift;
mod error;
mod finish;
mod inspect;
mod made;
mod manifest;
mod place;
mod populate;
mod repos;
mod rules;
mod stale;
mod synced;
mod update;
mod walk;

pub use error::MirrorError;
pub use inspect::Inspection;
pub use rules::Credential;
pub use rules::MirrorRules;
pub use rules::Reason;
pub use rules::Special;
pub use synced::Drift;
pub use synced::LeftOut;
pub use synced::Synced;

use crate::git::Confined;
use crate::git::Objects;
use crate::git::Oid;
use crate::git::Worktree;
use crate::model::SnapshotId;
use crate::sandbox::Place;
use crate::sandbox::slot::Slot;
use manifest::Manifest;
use place::Batch;
use repos::Repos;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::path::PathBuf;

/// A slot's copy of a worktree. All methods block. Nothing may run in the slot meanwhile.
#[derive(Debug)]
pub struct Mirror {
    worktree: Worktree,
    objects: Objects,
    slot: Slot,
    rules: MirrorRules,
    source: Confined,
    tree: Confined,
    staging: Confined,
    manifest: Manifest,
    repos: Repos,
    state: State,
    /// The directories used last, on either side.
    source_dir: Option<(PathBuf, OwnedFd)>,
    tree_dir: Option<(PathBuf, OwnedFd)>,
    staged: u64,
    /// The user chose differently since the last walk.
    rules_changed: bool,
}

/// The name by which the manifest remembers where the content of its rows was stored.
const STORED: &str = "objects";

/// What the manifest remembers besides the rows.
#[derive(Debug, Clone, Default)]
struct State {
    /// The tree of all rows, submodules unfolded; `None` if it has to be made from the rows.
    tree: Option<Oid>,
    generation: i64,
    /// The last whole second given to a Python file.
    py_second: i64,
    /// A synchronisation did not end: the slot has to be compared with the manifest.
    dirty: bool,
    /// The slot is no longer new.
    populated: bool,
    /// The slot holds a given tree, not the worktree.
    holds_tree: bool,
    /// That tree, unless the sandbox's own edits were captured since.
    given: Option<Oid>,
}

/// What the slot is a copy of after a piece of work.
enum Held {
    Worktree,
    /// A given tree; `None`: what the sandbox made of it.
    Tree(Option<Oid>),
    AsBefore,
}

impl Mirror {
    /// Takes a slot for a worktree, with what its manifest remembers.
    pub fn open(
        worktree: Worktree,
        objects: Objects,
        slot: Slot,
        rules: MirrorRules,
    ) -> Result<Mirror, MirrorError> {
        let open = |path: &Path| Confined::open(path).map_err(MirrorError::io("open", path));
        let manifest = Manifest::open(slot.dir())?;
        let root = worktree.root.to_string_lossy().into_owned();
        // A slot of another worktree: nothing in it can be believed.
        if manifest.meta("root")?.is_some_and(|known| known != root) {
            manifest.forget_all()?;
            slot.clear_tree()?;
        }
        // What the rows name was stored in objects that are gone: all of it is looked at anew.
        let stored = objects.identity().unwrap_or_default();
        if manifest.meta(STORED)?.is_some_and(|known| known != stored) {
            manifest.forget_all()?;
        }
        manifest.set_meta("root", &root)?;
        manifest.set_meta(STORED, &stored)?;
        let mut state = State {
            tree: match manifest.meta("tree")? {
                Some(text) => Oid::from_str(&text).ok(),
                None => None,
            },
            generation: manifest.number("generation")?,
            py_second: manifest.number("py_second")?,
            dirty: manifest.number("dirty")? != 0,
            populated: manifest.number("populated")? != 0,
            holds_tree: manifest.number("holds_tree")? != 0,
            given: match manifest.meta("given")? {
                Some(text) => Oid::from_str(&text).ok(),
                None => None,
            },
        };
        let used = std::fs::read_dir(slot.tree()).is_ok_and(|mut names| names.next().is_some());
        if !state.populated && used {
            // The manifest was lost, or the first population did not end: builds may have seen
            // what is there, so no time may go back.
            (state.populated, state.dirty, state.tree) = (true, true, None);
        }
        let mut mirror = Mirror {
            source: open(&worktree.root)?,
            tree: open(slot.tree())?,
            staging: open(&slot.staging())?,
            repos: Repos::open(&worktree)?,
            manifest,
            state,
            worktree,
            objects,
            slot,
            rules,
            source_dir: None,
            tree_dir: None,
            staged: 0,
            rules_changed: false,
        };
        mirror.recover_run()?;
        Ok(mirror)
    }

    /// Brings the named paths (relative to the worktree) up to date, and what git's index says
    /// anew. Falls back to [`Mirror::reconcile`] where that is not enough.
    pub fn sync(&mut self, paths: &[PathBuf]) -> Result<Synced, MirrorError> {
        let rules_changed = paths.iter().any(|path| {
            let name = path.file_name().unwrap_or_default();
            name == ".gitignore" || name == ".gitmodules" || path.as_os_str().is_empty()
        });
        let state = &self.state;
        if rules_changed
            || self.rules_changed
            || state.dirty
            || !state.populated
            || state.holds_tree
        {
            return self.reconcile();
        }
        self.transact(&mut |mirror, batch| {
            mirror.sync_paths(batch, paths)?;
            Ok(Held::Worktree)
        })
    }

    /// Walks the whole worktree and brings everything up to date.
    pub fn reconcile(&mut self) -> Result<Synced, MirrorError> {
        self.transact(&mut |mirror, batch| {
            batch.large = true;
            mirror.sync_all(batch)?;
            mirror.rules_changed = false;
            Ok(Held::Worktree)
        })
    }

    /// Makes the slot hold a given tree instead of the work tree; what is the same stays
    /// untouched.
    pub fn populate_tree(&mut self, tree: &SnapshotId) -> Result<Synced, MirrorError> {
        let tree = crate::git::worktree::parse_oid(tree.as_str(), &self.worktree.root)?;
        self.transact(&mut |mirror, batch| {
            batch.large = true;
            mirror.take_tree(batch, tree)?;
            Ok(Held::Tree(Some(tree)))
        })
    }

    /// Takes other choices of the user's. The next synchronisation walks everything if they
    /// are different.
    pub fn set_rules(&mut self, rules: MirrorRules) {
        self.rules_changed |= rules != self.rules;
        self.rules = rules;
    }

    /// The slot.
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    /// The worktree that is mirrored.
    pub fn worktree(&self) -> &Worktree {
        &self.worktree
    }

    /// regreen's objects of the project.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// What is mirrored.
    pub fn rules(&self) -> &MirrorRules {
        &self.rules
    }

    /// Where a sandbox finds the copy: at the user's own path.
    pub fn place(&self) -> Place {
        self.slot.place(&self.worktree)
    }

    /// The directory of the copy.
    pub fn tree(&self) -> &Path {
        self.slot.tree()
    }

    /// Whether slot and objects still are where they were taken: who removes them leaves us
    /// with something that nobody else finds.
    pub fn is_in_place(&self) -> bool {
        self.holds_slot() && self.objects.is_in_place()
    }

    /// Whether the slot is ours still, and the copy in it.
    pub fn holds_slot(&self) -> bool {
        self.slot.is_in_place() && self.tree.is_in_place() && self.staging.is_in_place()
    }

    /// Gives the slot back.
    pub fn into_slot(self) -> Slot {
        self.slot
    }

    /// Does the work between a mark on the disk that it began and the commit that it ended.
    fn transact(
        &mut self,
        work: &mut dyn FnMut(&mut Mirror, &mut Batch) -> Result<Held, MirrorError>,
    ) -> Result<Synced, MirrorError> {
        let mut batch = Batch {
            first: !self.state.populated,
            distrust: self.state.dirty && self.state.populated,
            tree: self.state.tree,
            rebuild: self.state.tree.is_none() && !self.manifest.is_empty()?,
            ..Batch::default()
        };
        self.manifest.set_meta("dirty", "1")?;
        self.state.dirty = true;
        self.manifest.begin()?;
        let done = work(self, &mut batch).and_then(|held| {
            (self.state.holds_tree, self.state.given) = match held {
                Held::Worktree => (false, None),
                Held::Tree(given) => (true, given),
                Held::AsBefore => (self.state.holds_tree, self.state.given),
            };
            self.finish(&mut batch)
        });
        self.source_dir = None;
        self.tree_dir = None;
        if done.is_err() {
            self.state.tree = None;
        }
        // The rows of what was written are true either way.
        self.manifest.commit()?;
        if batch.large {
            crate::git::give_back_memory();
        }
        done
    }
}

/// A mirror goes from thread to thread: callers use `spawn_blocking`.
const _: () = {
    const fn goes_between_threads<T: Send>() {}
    goes_between_threads::<Mirror>();
};
