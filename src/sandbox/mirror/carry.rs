//! Ignored directories that tests need: mounted from the user's worktree, or copied; and build
//! caches: copied once, and the slot's own from then on.

use crate::git;
use crate::sandbox::Mount;
use crate::sandbox::mirror::Mirror;
use crate::sandbox::mirror::MirrorError;
use crate::sandbox::mirror::place::as_path;
use crate::sandbox::slot;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

/// A larger cache is not copied, however much room there is.
const SEED_MAX: u64 = 24 << 30;

impl Mirror {
    /// The mounts of carried directories, their mount points made.
    pub(crate) fn mounts(&mut self, first: bool) -> Result<Vec<Mount>, MirrorError> {
        let mut mounts = Vec::new();
        for (path, writable) in self.manifest.carried()? {
            let rel = as_path(&path).to_owned();
            let failed = || MirrorError::io("make the mount point", &rel);
            if !self.is_real_dir(&rel) {
                continue;
            }
            self.tree.make_dirs(&rel).map_err(failed())?;
            let theirs = self.worktree.root.join(&rel);
            if writable {
                let copy = self.private_copy(&rel, first)?;
                mounts.push(mount(copy, theirs, true));
                continue;
            }
            mounts.push(mount(theirs.clone(), theirs.clone(), false));
            // Tools write here whatever the rest is; the mount point must be there already.
            let cache = rel.join(".cache");
            if self.is_real_dir(&cache) {
                let copy = self.private_copy(&cache, first)?;
                mounts.push(mount(copy, theirs.join(".cache"), true));
            }
        }
        Ok(mounts)
    }

    /// No link leads to it: it lies in the worktree, and not where a link points.
    fn is_real_dir(&self, rel: &Path) -> bool {
        self.source.open_dir(rel).is_ok()
    }

    fn private_copy(&self, rel: &Path, anew: bool) -> Result<PathBuf, MirrorError> {
        let failed = || MirrorError::io("copy", rel);
        let all = self.slot.dir().join("carried");
        let name = blake3::hash(rel.as_os_str().as_bytes()).to_hex();
        let (copy, partial) = (
            all.join(&name[..16]),
            all.join(format!("{}.new", &name[..16])),
        );
        if anew {
            git::remove_all(&copy).map_err(failed())?;
        }
        if !copy.exists() {
            std::fs::create_dir_all(&all).map_err(failed())?;
            git::remove_all(&partial).map_err(failed())?;
            slot::copy_all(&self.worktree.root.join(rel), &partial).map_err(failed())?;
            std::fs::rename(&partial, &copy).map_err(failed())?;
        }
        Ok(copy)
    }

    /// Copies the user's build caches into a new slot, times kept, so that the first verdict
    /// is a warm one. A cache that is being written is left alone: half of it would be a lie.
    pub(crate) fn seed(&mut self, caches: &[PathBuf]) -> Result<(), MirrorError> {
        if !self.rules.seed {
            return Ok(());
        }
        for cache in caches {
            let from = self.worktree.root.join(cache);
            let size = slot::on_disk(&from);
            if size > SEED_MAX || size.saturating_mul(2) > self.free_bytes() {
                tracing::info!(cache = %cache.display(), size, "too large to seed");
                continue;
            }
            // What is below another cache is there already.
            if !matches!(self.tree.stat(cache), Ok(None)) {
                continue;
            }
            self.seed_one(cache, &from)?;
        }
        Ok(())
    }

    fn seed_one(&mut self, cache: &Path, from: &Path) -> Result<(), MirrorError> {
        // A tick of a coarse clock earlier.
        let started = SystemTime::now() - Duration::from_millis(10);
        let staged = self.slot.staging().join("seed");
        git::remove_all(&staged).map_err(MirrorError::io("remove", &staged))?;
        let copied = slot::copy_all(from, &staged);
        let calm = copied.is_ok() && !written_since(from, started);
        let parent = cache.parent().unwrap_or(Path::new(""));
        let placed = if calm {
            self.tree
                .make_dirs(parent)
                .and_then(|()| std::fs::rename(&staged, self.slot.tree().join(cache)))
        } else {
            Ok(())
        };
        git::remove_all(&staged).map_err(MirrorError::io("remove", &staged))?;
        match copied.and(placed) {
            Ok(()) if calm => Ok(()),
            Ok(()) => {
                tracing::info!(cache = %cache.display(), "being written, not seeded");
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                Err(MirrorError::NoSpace(self.slot.dir().to_owned()))
            }
            // A warm start is a kindness, not a duty.
            Err(error) => {
                tracing::warn!(cache = %cache.display(), %error, "not seeded");
                Ok(())
            }
        }
    }

    fn free_bytes(&self) -> u64 {
        rustix::fs::fstatvfs(&self.tree)
            .map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

fn mount(source: PathBuf, target: PathBuf, writable: bool) -> Mount {
    Mount {
        source,
        target,
        writable,
        optional: true,
    }
}

/// Whether anything in a directory has been written since a moment.
fn written_since(dir: &Path, moment: SystemTime) -> bool {
    let mut queue = vec![dir.to_owned()];
    while let Some(path) = queue.pop() {
        let Ok(meta) = path.symlink_metadata() else {
            // Gone while we looked: somebody is at work.
            return true;
        };
        let changed = SystemTime::UNIX_EPOCH
            + Duration::new(meta.ctime().max(0) as u64, meta.ctime_nsec() as u32);
        if changed > moment {
            return true;
        }
        if meta.is_dir() {
            let names = slot::names(&path).unwrap_or_default();
            queue.extend(names.into_iter().map(|name| path.join(name)));
        }
    }
    false
}
