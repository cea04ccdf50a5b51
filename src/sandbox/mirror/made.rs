//! What a run made: moved out of the copy, so that the next run starts from exactly the
//! snapshot that its verdict names. Caches stay, and lock files.

use crate::git;
use crate::git::Confined;
use crate::sandbox::mirror::Drift;
use crate::sandbox::mirror::Mirror;
use crate::sandbox::mirror::MirrorError;
use crate::sandbox::mirror::MirrorRules;
use crate::sandbox::mirror::Synced;
use crate::sandbox::mirror::drift::manifest_of;
use crate::sandbox::mirror::manifest::Manifest;
use crate::sandbox::mirror::manifest::Row;
use crate::sandbox::mirror::place::as_path;
use crate::sandbox::mirror::repos::Repos;
use crate::sandbox::mirror::walk::Walk;
use crate::sandbox::mirror::walk::has_file;
use crate::sandbox::mirror::walk::is_cache;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;

/// So many made files are kept at most; older ones make room.
const MADE_COUNT: usize = 4_096;

/// Older made files go when they take more than this.
const MADE_BYTES: i64 = 1 << 30;

/// The part of a slot that made files are kept in.
pub(crate) const MADE: &str = "made";

/// The meta entry that says that a run may have left something that nobody looked at.
const RAN: &str = "ran";

/// Tells caches, which stay between runs, from what else a run made.
pub(crate) struct Caches<'a> {
    tree: &'a Confined,
    manifest: &'a Manifest,
    dirs: HashMap<PathBuf, bool>,
}

impl<'a> Caches<'a> {
    pub fn new(tree: &'a Confined, manifest: &'a Manifest) -> Caches<'a> {
        let dirs = HashMap::new();
        Caches {
            tree,
            manifest,
            dirs,
        }
    }

    /// Whether a file is one that tools keep between runs and know the age of.
    pub fn hold(&mut self, path: &Path) -> Result<bool, MirrorError> {
        let name = path.file_name().unwrap_or_default();
        if name == ".coverage" || name.as_bytes().starts_with(b".coverage.") {
            return Ok(true);
        }
        // Python would import a compiled file whose source is gone.
        if path.extension().is_some_and(|end| end == "pyc") {
            let source = path.with_extension("py");
            let source = self.manifest.get(source.as_os_str().as_bytes())?;
            if source.is_some_and(|row| row.is_there()) {
                return Ok(true);
            }
        }
        Ok(path.parent().is_some_and(|dir| self.is_below_one(dir)))
    }

    fn is_below_one(&mut self, dir: &Path) -> bool {
        let Some(name) = dir.file_name() else {
            return false;
        };
        if let Some(known) = self.dirs.get(dir) {
            return *known;
        }
        let above = dir.parent().unwrap_or(Path::new(""));
        let found = self.is_one(dir, above, name) || self.is_below_one(above);
        self.dirs.insert(dir.to_owned(), found);
        found
    }

    fn is_one(&self, dir: &Path, above: &Path, name: &OsStr) -> bool {
        let known = [".hypothesis", ".tox", ".nox", ".eggs"];
        known.iter().any(|known| name == *known)
            || name.as_bytes().ends_with(b".egg-info")
            || (name == ".cache" && above.file_name().is_some_and(|it| it == "node_modules"))
            || is_cache(self.tree, dir, name)
            || has_file(self.tree, &dir.join("CACHEDIR.TAG"))
    }
}

/// The files that are kept in a part of a slot, with their sizes.
pub(crate) fn kept_in(
    dir: &Path,
    repos: &mut Repos,
    rules: &MirrorRules,
) -> Result<Vec<(PathBuf, i64)>, MirrorError> {
    let Ok(root) = Confined::open(dir) else {
        return Ok(Vec::new());
    };
    let mut rules = rules.clone();
    // Nothing there is to be ignored.
    rules.include = vec![PathBuf::new()];
    let walked = Walk {
        root: &root,
        ours: true,
        repos,
        rules: &rules,
    }
    .all()
    .map_err(MirrorError::io("read", dir))?;
    Ok((0..walked.files.len())
        .filter_map(|at| walked.files.get(at))
        .map(|(path, found)| (as_path(path).to_owned(), found.stamp.size))
        .collect())
}

impl Mirror {
    /// Gets the slot ready for a run: empties `/tmp`, and marks the slot until
    /// [`Mirror::mend`] has looked at it.
    pub fn begin_run(&self) -> Result<(), MirrorError> {
        self.slot.empty_tmp()?;
        self.manifest.set_meta(RAN, "1")
    }

    /// Makes the copy what it was before a run: what the run made is moved out, what it
    /// rewrote or removed is put back. Answers what it was, and where the slot stands if
    /// something was put back.
    pub fn mend(&mut self) -> Result<(Drift, Option<Synced>), MirrorError> {
        let drift = self.tidy()?;
        let synced = match drift.is_clean() {
            true => None,
            false => Some(self.repair(&drift)?),
        };
        self.manifest.set_meta(RAN, "0")?;
        Ok((drift, synced))
    }

    /// After a process that ended while tests ran: nobody looked at what they did.
    pub(crate) fn recover_run(&mut self) -> Result<(), MirrorError> {
        if self.manifest.number(RAN)? == 0 {
            return Ok(());
        }
        if !self.tidy()?.is_clean() {
            self.state.dirty = true;
            self.manifest.set_meta("dirty", "1")?;
        }
        self.manifest.set_meta(RAN, "0")
    }

    /// Finds out what a run did, and moves out what it made.
    fn tidy(&mut self) -> Result<Drift, MirrorError> {
        let mut drift = self.drift()?;
        self.move_out(&drift)?;
        // What a made ignore file hid.
        let hid = |path: &PathBuf| path.file_name().is_some_and(|name| name == ".gitignore");
        if drift.created.iter().any(hid) {
            let more = self.drift()?;
            self.move_out(&more)?;
            drift.created.extend(more.created);
            drift.created.sort();
            drift.created.dedup();
        }
        Ok(drift)
    }

    fn move_out(&mut self, drift: &Drift) -> Result<(), MirrorError> {
        let mut out = Vec::new();
        let mut caches = Caches::new(&self.tree, &self.manifest);
        for path in &drift.created {
            let is_lock = manifest_of(path.as_os_str().as_bytes()).is_some();
            if !is_lock && !caches.hold(path)? {
                out.push(path);
            }
        }
        if !out.is_empty() {
            tracing::info!(files = out.len(), first = %out[0].display(), "made by tests");
            self.make_room(out.len())?;
        }
        for (at, path) in out.iter().enumerate() {
            if at < MADE_COUNT {
                self.set_aside(MADE, path)?;
            } else {
                let failed = MirrorError::io::<io::Error>("remove from the slot", path);
                self.tree.remove(path).map_err(failed)?;
            }
            self.prune(path.parent());
        }
        let mut caches = Caches::new(&self.tree, &self.manifest);
        for path in &drift.litter {
            if caches.hold(&path.join("x"))? {
                continue;
            }
            let found = self.tree.stat(path);
            let found = found.map_err(MirrorError::io("look at", path))?;
            let is_dir = found.is_some_and(|stat| {
                rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory
            });
            if is_dir {
                self.prune(Some(path));
            } else {
                let failed = MirrorError::io::<io::Error>("remove from the slot", path);
                self.tree.remove(path).map_err(failed)?;
                self.prune(path.parent());
            }
        }
        let out: Vec<PathBuf> = out.into_iter().cloned().collect();
        self.build_again(&out)
    }

    fn make_room(&self, coming: usize) -> Result<(), MirrorError> {
        let dir = self.slot.dir().join(MADE);
        let mut repos = self.repos.of_copy(&self.tree)?;
        let kept = kept_in(&dir, &mut repos, &self.rules)?;
        let bytes: i64 = kept.iter().map(|(_, size)| size).sum();
        if kept.len() + coming > MADE_COUNT || bytes > MADE_BYTES {
            git::remove_all(&dir).map_err(MirrorError::io("remove", &dir))?;
        }
        Ok(())
    }

    /// A build script may have made what is gone now, and cargo would not run it again.
    fn build_again(&mut self, gone: &[PathBuf]) -> Result<(), MirrorError> {
        let dirs: BTreeSet<&Path> = gone
            .iter()
            .flat_map(|path| path.ancestors().skip(1))
            .collect();
        let mut rows: Vec<Row> = Vec::new();
        for dir in dirs {
            let row = |name: &str| self.manifest.get(dir.join(name).as_os_str().as_bytes());
            if row("Cargo.toml")?.is_some_and(|row| row.is_there()) {
                rows.extend(row("build.rs")?.filter(Row::is_there));
            }
        }
        for mut row in rows {
            let rel = as_path(&row.path).to_owned();
            // If it is gone too it is put back, with the time of that.
            if self.tree.open_file(&rel).is_ok() {
                row.slot = self.arrive(&rel, row.kind)?;
                self.manifest.put(&row)?;
            }
        }
        Ok(())
    }

    /// Moves a file or link of the copy to the same path in a part of the slot, in place of
    /// what is there.
    pub(crate) fn set_aside(&self, part: &str, path: &Path) -> Result<(), MirrorError> {
        let dir = self.slot.dir().join(part);
        let moved = || -> io::Result<()> {
            std::fs::create_dir_all(&dir)?;
            let part = Confined::open(&dir)?;
            let parent = path.parent().unwrap_or(Path::new(""));
            for above in parent.ancestors().filter(|it| !it.as_os_str().is_empty()) {
                if part.open_dir(above).is_err() {
                    // An older file where now a directory is.
                    part.remove(above)?;
                }
            }
            part.remove(path)?;
            part.make_dirs(parent)?;
            let (from, name) = self.tree.parent(path)?;
            let (to, _) = part.parent(path)?;
            Ok(rustix::fs::renameat(&from, name, &to, name)?)
        };
        moved().map_err(MirrorError::io("keep aside", path))
    }
}
