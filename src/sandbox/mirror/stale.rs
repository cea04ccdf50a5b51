//! What tools would believe although it is no longer so: files that a link leads to, or led to,
//! caches of what is gone, programs whose source is gone.
//!
//! Build tools look at times, and Python at what lies beside a name. A change that gives no
//! file a new time, or takes the last file out of a directory, would not be seen.

use crate::sandbox::mirror::Mirror;
use crate::sandbox::mirror::MirrorError;
use crate::sandbox::mirror::made::Caches;
use crate::sandbox::mirror::manifest::Row;
use crate::sandbox::mirror::place::Batch;
use crate::sandbox::mirror::place::as_path;
use rustix::fs::FileType;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

const LINK: u32 = 0o120_000;

/// A longer text is no link's.
const MAX_TEXT: usize = 4_096;

/// More links than this on the way to a file are a circle, for the kernel too.
const MAX_LINKS: usize = 40;

impl Mirror {
    /// Makes tools look again where this batch changed what they would find.
    pub(crate) fn undeceive(&mut self, batch: &Batch) -> Result<(), MirrorError> {
        if batch.first {
            return Ok(());
        }
        self.renew_linked(batch)?;
        self.drop_leftovers(&batch.removed)?;
        self.drop_programs(batch)
    }

    /// Remembers where a link led that is about to go or to change.
    pub(crate) fn note_link(&self, batch: &mut Batch, old: Option<&Row>) {
        let Some(row) = old.filter(|row| row.kind == LINK && !batch.first) else {
            return;
        };
        // A link whose text nobody has any more is found by what it leads to now.
        let Ok(text) = self.objects.read_blob(row.id, MAX_TEXT) else {
            return;
        };
        let dir = as_path(&row.path).parent().unwrap_or(Path::new(""));
        let text = Path::new(OsStr::from_bytes(&text));
        batch.led_to.extend(self.resolve(dir, text));
    }

    /// Cargo and Python follow a link and see the old time of what it leads to, and not that
    /// the link is new; and cargo remembers only the file at its end. So both what a changed
    /// link leads to and what it led to have arrived with it.
    fn renew_linked(&mut self, batch: &Batch) -> Result<(), MirrorError> {
        let changed: BTreeSet<&Path> = batch.changed.iter().map(PathBuf::as_path).collect();
        let mut queue = batch.led_to.clone();
        for path in &changed {
            let row = self.manifest.get(path.as_os_str().as_bytes())?;
            if row.is_some_and(|row| row.kind == LINK) {
                queue.extend(self.resolve(Path::new(""), path));
            }
        }
        let mut seen = BTreeSet::new();
        while let Some(target) = queue.pop() {
            if !seen.insert(target.clone()) {
                continue;
            }
            let bytes = target.as_os_str().as_bytes();
            let below = self.manifest.below(bytes)?;
            for row in self.manifest.get(bytes)?.into_iter().chain(below) {
                match row.kind {
                    LINK => queue.extend(self.resolve(Path::new(""), as_path(&row.path))),
                    _ => self.renew(row, &changed)?,
                }
            }
        }
        Ok(())
    }

    fn renew(&mut self, mut row: Row, changed: &BTreeSet<&Path>) -> Result<(), MirrorError> {
        let rel = as_path(&row.path).to_owned();
        if changed.contains(rel.as_path()) || !row.is_there() || self.tree.open_file(&rel).is_err()
        {
            return Ok(());
        }
        row.slot = self.arrive(&rel, row.kind)?;
        self.manifest.put(&row)
    }

    /// Where a path leads from a directory of the slot, link by link, if that is in the slot.
    fn resolve(&self, dir: &Path, path: &Path) -> Option<PathBuf> {
        let (mut done, mut links) = (PathBuf::new(), 0);
        let mut rest: Vec<OsString> = self.steps(path)?;
        if path.is_relative() {
            rest.extend(reversed(dir));
        }
        while let Some(part) = rest.pop() {
            if part == ".." {
                // Above the worktree is outside.
                if !done.pop() {
                    return None;
                }
                continue;
            }
            let next = done.join(&part);
            let stat = self.tree.stat(&next).ok()??;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                done = next;
                continue;
            }
            links += 1;
            let target = self.tree.read_link(&next).ok()?;
            let target = Path::new(OsStr::from_bytes(&target));
            if target.is_absolute() {
                done = PathBuf::new();
            }
            rest.extend(self.steps(target)?);
            if links > MAX_LINKS {
                return None;
            }
        }
        (!done.as_os_str().is_empty()).then_some(done)
    }

    /// The steps of a path, the first one last; an absolute one must lie in the worktree.
    fn steps(&self, path: &Path) -> Option<Vec<OsString>> {
        Some(match path.is_absolute() {
            true => reversed(path.strip_prefix(&self.worktree.root).ok()?),
            false => reversed(path),
        })
    }

    /// A directory whose last file is gone holds nothing but caches, and would still be there:
    /// Python imports it as a package.
    fn drop_leftovers(&mut self, removed: &[PathBuf]) -> Result<(), MirrorError> {
        let dirs: BTreeSet<&Path> = removed.iter().filter_map(|path| path.parent()).collect();
        let mut empty = BTreeSet::new();
        for dir in dirs {
            for above in dir.ancestors() {
                if self.is_used(above)? || !empty.insert(above.to_owned()) {
                    break;
                }
            }
        }
        for dir in empty {
            // Something was tracked in a cache: the rest of the cache is as good as before.
            if !Caches::new(&self.tree, &self.manifest).hold(&dir.join("x"))? {
                let failed = MirrorError::io("remove from the slot", &dir);
                self.tree.remove(&dir).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Whether there is a file of the worktree below a directory, or in its place.
    fn is_used(&self, dir: &Path) -> Result<bool, MirrorError> {
        let bytes = dir.as_os_str().as_bytes();
        if bytes.is_empty() || self.manifest.any_below(bytes)? {
            return Ok(true);
        }
        Ok(self.manifest.get(bytes)?.is_some_and(|row| row.is_there()))
    }

    /// Cargo leaves `target/debug/tool` where it is when `src/bin/tool.rs` is gone, and a test
    /// that starts it by its path would not notice. Cargo links anew what is still built,
    /// without building it.
    fn drop_programs(&self, batch: &Batch) -> Result<(), MirrorError> {
        let is_rust = |path: &&PathBuf| path.extension().is_some_and(|end| end == "rs");
        let is_manifest = |path: &&PathBuf| path.file_name().is_some_and(|it| it == "Cargo.toml");
        let manifests = batch.changed.iter().chain(&batch.removed);
        let causes = batch.removed.iter().filter(is_rust);
        let dirs: BTreeSet<&Path> = causes
            .chain(manifests.filter(is_manifest))
            .flat_map(|path| path.ancestors().skip(1))
            .collect();
        for dir in dirs {
            let target = dir.join("target");
            for profile in self.profiles(&target) {
                for dir in [profile.join("examples"), profile] {
                    self.drop_files(&dir)?;
                }
            }
        }
        Ok(())
    }

    /// The directories of a target directory that cargo puts what it built into.
    fn profiles(&self, target: &Path) -> Vec<PathBuf> {
        let of = |dir: &Path| -> Vec<PathBuf> {
            let names = self.names(dir, FileType::Directory);
            names.into_iter().map(|name| dir.join(name)).collect()
        };
        let is_one = |dir: &PathBuf| matches!(self.tree.stat(&dir.join("deps")), Ok(Some(_)));
        let (mut found, others): (Vec<_>, Vec<_>) = of(target).into_iter().partition(is_one);
        // `target/<triple>/debug`
        found.extend(others.iter().flat_map(|dir| of(dir)).filter(is_one));
        found
    }

    fn drop_files(&self, dir: &Path) -> Result<(), MirrorError> {
        for name in self.names(dir, FileType::RegularFile) {
            if !name.as_bytes().starts_with(b".") {
                let path = dir.join(name);
                let failed = MirrorError::io("remove from the slot", &path);
                self.tree.remove(&path).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// The names of one kind in a directory of the slot; none if it is not there.
    fn names(&self, dir: &Path, kind: FileType) -> Vec<OsString> {
        let Ok(fd) = self.tree.open_dir(dir) else {
            return Vec::new();
        };
        let Ok(entries) = rustix::fs::Dir::read_from(&fd) else {
            return Vec::new();
        };
        let names = entries.flatten().filter_map(|entry| {
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            let is_real = name != "." && name != "..";
            let path = dir.join(name);
            let stat = self.tree.stat(&path).ok()??;
            (is_real && FileType::from_raw_mode(stat.st_mode) == kind).then(|| name.to_owned())
        });
        names.collect()
    }
}

/// The components of a path, the first one last.
fn reversed(path: &Path) -> Vec<OsString> {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    });
    let mut parts: Vec<OsString> = parts.collect();
    parts.reverse();
    parts
}
