//! The repositories of a worktree (itself and its submodules): ignore rules and indexes.
//!
//! Of an index only two hashes an entry are kept, so that a changed one tells which entries
//! changed without holding it in memory.

use crate::git::Confined;
use crate::git::IgnoreRules;
use crate::git::IndexFile;
use crate::git::Objects;
use crate::git::Oid;
use crate::git::RuleStack;
use crate::git::StatKey;
use crate::git::Submodule;
use crate::git::Worktree;
use crate::sandbox::mirror::MirrorError;
use crate::sandbox::mirror::manifest::Stamp;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;

/// What the index says of one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed {
    pub mode: u32,
    /// `None` in a conflict, or where only the intent to add is noted.
    pub id: Option<Oid>,
    stat: StatKey,
    racy: bool,
    pub skip_worktree: bool,
}

impl Listed {
    /// The index's id, if the file with this stamp is what git made the entry from.
    pub fn id_for(&self, stamp: &Stamp, kind: u32) -> Option<Oid> {
        let same_kind = self.mode & 0o170_000 == kind & 0o170_000;
        (!self.racy && same_kind && stamp.matches(&self.stat))
            .then_some(self.id)
            .flatten()
    }

    pub fn is_gitlink(&self) -> bool {
        self.mode & 0o170_000 == 0o160_000
    }
}

impl Stamp {
    fn matches(&self, index: &StatKey) -> bool {
        let parts = |nanos: i64| {
            (
                nanos.div_euclid(1_000_000_000) as u32,
                nanos.rem_euclid(1_000_000_000) as u32,
            )
        };
        let key = StatKey {
            mtime: parts(self.mtime),
            ctime: parts(self.ctime),
            ino: self.ino as u32,
            size: self.size as u32,
        };
        self.ino != 0 && key.matches(index)
    }
}

/// Paths with something attached, sorted by path, in two allocations.
#[derive(Debug)]
pub(crate) struct Table<T> {
    bytes: Vec<u8>,
    entries: Vec<(u32, u32, T)>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table {
            bytes: Vec::new(),
            entries: Vec::new(),
        }
    }
}

impl<T> Table<T> {
    pub fn push(&mut self, path: &[u8], value: T) {
        let at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(path);
        self.entries.push((at, path.len() as u32, value));
    }

    /// Sorts by path; of several entries of one path the first pushed stays.
    pub fn sort(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let path = |entry: &(u32, u32, T)| {
            let at = entry.0 as usize;
            &bytes[at..at + entry.1 as usize]
        };
        self.entries.sort_by(|a, b| path(a).cmp(path(b)));
        self.entries.dedup_by(|b, a| path(a) == path(b));
        self.bytes = bytes;
    }

    pub fn get(&self, at: usize) -> Option<(&[u8], &T)> {
        let (start, length, value) = self.entries.get(at)?;
        let start = *start as usize;
        Some((&self.bytes[start..start + *length as usize], value))
    }

    pub fn find(&self, path: &[u8]) -> Option<&T> {
        let at = self
            .entries
            .binary_search_by(|(start, length, _)| {
                let start = *start as usize;
                self.bytes[start..start + *length as usize].cmp(path)
            })
            .ok()?;
        Some(&self.entries[at].2)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

#[derive(Debug)]
struct Repo {
    /// Where it lies in the superproject; empty for the worktree itself.
    prefix: PathBuf,
    worktree: Worktree,
    rules: IgnoreRules,
    /// The index file that was read last.
    stamp: Stamp,
    /// Hash of the path, hash of the whole entry; sorted.
    seen: Vec<(u64, u64)>,
}

/// The repositories of a worktree.
#[derive(Debug)]
pub(crate) struct Repos {
    list: Vec<Repo>,
}

/// What changed in the indexes.
#[derive(Debug, Default)]
pub(crate) struct Relisted {
    /// New and changed entries.
    pub changed: Table<Listed>,
    /// Hashes of paths that are no longer listed.
    pub gone: Vec<u64>,
}

impl Repos {
    pub fn open(worktree: &Worktree) -> Result<Repos, MirrorError> {
        Ok(Repos {
            list: vec![Repo::open(PathBuf::new(), worktree.clone())?],
        })
    }

    /// The same repositories with the ignore rules of a copy.
    pub fn of_copy(&self, root: &Confined) -> Result<Repos, MirrorError> {
        let copy = |repo: &Repo| -> Result<Option<Repo>, MirrorError> {
            let Ok(root) = root.sub(&repo.prefix) else {
                return Ok(None);
            };
            Ok(Some(Repo {
                prefix: repo.prefix.clone(),
                rules: IgnoreRules::open_in(&repo.worktree, root)?,
                worktree: repo.worktree.clone(),
                stamp: Stamp::default(),
                seen: Vec::new(),
            }))
        };
        let list: Result<Vec<_>, _> = self.list.iter().map(copy).collect();
        Ok(Repos {
            list: list?.into_iter().flatten().collect(),
        })
    }

    /// The deepest repository that contains a path, and the path within it.
    fn of<'a>(&mut self, path: &'a Path) -> Option<(&mut Repo, &'a Path)> {
        let best = self
            .list
            .iter()
            .enumerate()
            .filter(|(_, repo)| path.starts_with(&repo.prefix) && path != repo.prefix)
            .max_by_key(|(_, repo)| repo.prefix.components().count())?
            .0;
        let repo = &mut self.list[best];
        let below = path.strip_prefix(&repo.prefix).ok()?;
        Some((repo, below))
    }

    pub fn is_ignored(&mut self, path: &Path, is_dir: bool) -> bool {
        self.of(path)
            .is_some_and(|(repo, below)| repo.rules.is_ignored(below, is_dir))
    }

    /// The number of the repository whose root is `dir`, if it is one.
    pub fn rooted_at(&self, dir: &Path) -> Option<usize> {
        self.list.iter().position(|repo| repo.prefix == dir)
    }

    /// For a walk: the rules in the root of a repository.
    pub fn root_stack(&mut self, repo: usize) -> RuleStack {
        self.list[repo].rules.root_stack()
    }

    /// For a walk: one directory further down.
    pub fn descend(&mut self, repo: usize, stack: &mut RuleStack, dir: &Path) {
        let repo = &mut self.list[repo];
        if let Ok(below) = dir.strip_prefix(&repo.prefix) {
            repo.rules.descend(stack, below);
        }
    }

    /// For a walk: whether a path whose parents are not ignored is.
    pub fn matches(&self, repo: usize, stack: &RuleStack, path: &Path, is_dir: bool) -> bool {
        let repo = &self.list[repo];
        match path.strip_prefix(&repo.prefix) {
            Ok(below) => repo.rules.matches(stack, below, is_dir),
            Err(_) => false,
        }
    }

    pub fn forget_rules(&mut self) {
        for repo in &mut self.list {
            repo.rules.forget();
        }
    }

    /// The submodule at a path.
    pub fn submodule(&self, path: &Path) -> Option<Submodule> {
        let repo = self
            .list
            .iter()
            .find(|repo| !repo.prefix.as_os_str().is_empty() && repo.prefix == path)?;
        Some(Submodule {
            path: path.to_owned(),
            worktree: repo.worktree.clone(),
        })
    }

    /// Reads every index whole, finding submodules on the way, and remembers it.
    pub fn load_all(&mut self, objects: &mut Objects) -> Result<Table<Listed>, MirrorError> {
        let mut table = Table::default();
        let mut known = std::mem::take(&mut self.list);
        let mut queue: Vec<Repo> = known.drain(..1).collect();
        let mut done = Vec::new();
        while let Some(mut repo) = queue.pop() {
            let links = repo.load(objects, &mut |path, listed, _| table.push(path, listed))?;
            for link in links {
                let Some(found) =
                    Submodule::at(&repo.worktree, Path::new(OsStr::from_bytes(&link)))
                else {
                    continue;
                };
                objects.add_alternate(&found.worktree.common_dir.join("objects"))?;
                queue.push(Repo::open(repo.prefix.join(&found.path), found.worktree)?);
            }
            done.push(repo);
        }
        self.list = done;
        table.sort();
        Ok(table)
    }

    /// Reads the indexes that changed since they were read last.
    pub fn relist(&mut self, objects: &Objects) -> Result<Relisted, MirrorError> {
        let mut relisted = Relisted::default();
        for repo in &mut self.list {
            if repo.index_stamp() == repo.stamp {
                continue;
            }
            let before = std::mem::take(&mut repo.seen);
            let mut kept = Vec::new();
            repo.load(objects, &mut |path, listed, hashes| match before
                .binary_search_by_key(&hashes.0, |it| it.0)
            {
                Ok(at) => {
                    kept.push(hashes.0);
                    if before[at].1 != hashes.1 {
                        relisted.changed.push(path, listed);
                    }
                }
                Err(_) => relisted.changed.push(path, listed),
            })?;
            if kept.len() < before.len() {
                kept.sort_unstable();
                let gone = before.iter().map(|it| it.0);
                relisted
                    .gone
                    .extend(gone.filter(|hash| kept.binary_search(hash).is_err()));
            }
        }
        relisted.changed.sort();
        relisted.gone.sort_unstable();
        Ok(relisted)
    }
}

/// What is done with each entry of an index: its path, and the two hashes of that.
type VisitHashed<'a> = dyn FnMut(&[u8], Listed, (u64, u64)) + 'a;

impl Repo {
    fn open(prefix: PathBuf, worktree: Worktree) -> Result<Repo, MirrorError> {
        Ok(Repo {
            rules: IgnoreRules::open(&worktree)?,
            prefix,
            worktree,
            stamp: Stamp::default(),
            seen: Vec::new(),
        })
    }

    fn index_stamp(&self) -> Stamp {
        match rustix::fs::stat(self.worktree.index_path()) {
            Ok(stat) => Stamp::of(&stat),
            Err(_) => Stamp::default(),
        }
    }

    /// Visits every entry with its full path and its two hashes; answers the submodules' paths
    /// within this repository.
    fn load(
        &mut self,
        objects: &Objects,
        visit: &mut VisitHashed<'_>,
    ) -> Result<Vec<Vec<u8>>, MirrorError> {
        // Taken first: a change during the reading shows as a change afterwards.
        self.stamp = self.index_stamp();
        let mut full = self.prefix.as_os_str().as_bytes().to_vec();
        if !full.is_empty() {
            full.push(b'/');
        }
        let length = full.len();
        let (mut seen, mut links) = (Vec::new(), Vec::new());
        let mut last = None;
        let mut take = |path: &[u8], listed: Listed| {
            full.truncate(length);
            full.extend_from_slice(path);
            let hashes = (path_hash(&full), listed.hash());
            // The stages of a conflict share their path.
            if last.replace(hashes.0) != Some(hashes.0) {
                seen.push(hashes);
                if listed.is_gitlink() {
                    links.push(path.to_vec());
                }
                visit(&full, listed, hashes);
            }
        };
        if let Err(error) = self.each_listed(&mut take) {
            tracing::warn!(%error, "the index is not understood, everything is hashed instead");
            self.each_in_head(objects, &mut take)?;
        }
        seen.sort_unstable();
        self.seen = seen;
        Ok(links)
    }

    fn each_listed(&self, take: &mut dyn FnMut(&[u8], Listed)) -> Result<(), MirrorError> {
        let Some(index) = IndexFile::read(&self.worktree.index_path())? else {
            return Ok(());
        };
        // Twice, so that nothing was taken from an index that turns out to be split.
        index.each(&mut |_| Ok(()))?;
        index.each(&mut |entry| {
            let known = entry.stage == 0 && !entry.intent_to_add;
            take(
                entry.path,
                Listed {
                    mode: entry.mode,
                    id: known.then_some(entry.id),
                    stat: entry.stat,
                    racy: index.is_racy(&entry.stat),
                    skip_worktree: entry.skip_worktree,
                },
            );
            Ok(())
        })?;
        Ok(())
    }

    /// Without an index that can be read, what HEAD has is tracked, and its ids prove nothing.
    fn each_in_head(
        &self,
        objects: &Objects,
        take: &mut dyn FnMut(&[u8], Listed),
    ) -> Result<(), MirrorError> {
        let Some(tree) = self.worktree.head()?.tree else {
            return Ok(());
        };
        let Ok(tree) = Oid::from_str(tree.as_str()) else {
            return Ok(());
        };
        objects.walk_tree(tree, &mut |path, mode, id| {
            take(
                path,
                Listed {
                    mode: mode.raw(),
                    id: Some(id),
                    stat: StatKey::default(),
                    racy: true,
                    skip_worktree: false,
                },
            );
            Ok(())
        })?;
        Ok(())
    }
}

impl Listed {
    fn hash(&self) -> u64 {
        let mut hash = Hash::default();
        hash.bytes(self.id.as_ref().map_or(&[], |id| id.as_bytes()));
        let stat = &self.stat;
        for number in [
            self.mode,
            stat.mtime.0,
            stat.mtime.1,
            stat.ctime.0,
            stat.ctime.1,
            stat.ino,
            stat.size,
            u32::from(self.racy),
            u32::from(self.skip_worktree),
        ] {
            hash.number(u64::from(number));
        }
        hash.0
    }
}

pub(crate) fn path_hash(path: &[u8]) -> u64 {
    let mut hash = Hash::default();
    hash.bytes(path);
    hash.0
}

/// A quick hash of trusted bytes: the user's own index.
#[derive(Default)]
struct Hash(u64);

impl Hash {
    fn number(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(23) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 29;
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut eight = [0; 8];
            eight[..chunk.len()].copy_from_slice(chunk);
            self.number(u64::from_le_bytes(eight));
        }
    }
}
