//! Looking into a slot from outside, also while a daemon holds it, and bringing files back
//! into the user's worktree: the only writing there, and only by name on command.

use crate::git::Confined;
use crate::git::Worktree;
use crate::sandbox::mirror::Drift;
use crate::sandbox::mirror::Mirror;
use crate::sandbox::mirror::MirrorError;
use crate::sandbox::mirror::MirrorRules;
use crate::sandbox::mirror::content;
use crate::sandbox::mirror::content::Source;
use crate::sandbox::mirror::content::Taken;
use crate::sandbox::mirror::drift::Scan;
use crate::sandbox::mirror::made::Caches;
use crate::sandbox::mirror::made::MADE;
use crate::sandbox::mirror::made::kept_in;
use crate::sandbox::mirror::manifest::Manifest;
use crate::sandbox::mirror::repos::Repos;
use rustix::fs::AtFlags;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;

/// A slot as somebody sees it who does not hold it.
#[derive(Debug)]
pub struct Inspection {
    worktree: Worktree,
    source: Confined,
    tree: Confined,
    staging: Confined,
    aside: PathBuf,
    made: PathBuf,
    manifest: Manifest,
    rules: MirrorRules,
}

impl Inspection {
    /// Opens the slot in `dir` of a worktree for looking.
    pub fn open(worktree: &Worktree, dir: &Path, rules: MirrorRules) -> Result<Self, MirrorError> {
        let open = |path: PathBuf| Confined::open(&path).map_err(MirrorError::io("open", &path));
        Ok(Inspection {
            source: open(worktree.root.clone())?,
            tree: open(dir.join("tree"))?,
            staging: open(dir.join("staging"))?,
            aside: dir.join("aside"),
            made: dir.join(MADE),
            manifest: Manifest::look(dir)?,
            worktree: worktree.clone(),
            rules,
        })
    }

    /// What the sandbox did to the slot, with what was repaired and kept aside. Caches are not
    /// worth naming.
    pub fn drift(&self) -> Result<Drift, MirrorError> {
        let mut repos = self.repos()?;
        let (mut drift, _) = Scan {
            manifest: &self.manifest,
            tree: &self.tree,
            source: &self.source,
            staging: &self.staging,
            repos: &mut repos,
            rules: &self.rules,
        }
        .run()?;
        let mut caches = Caches::new(&self.tree, &self.manifest);
        let mut created = self.made(&mut repos)?;
        for path in drift.created {
            if !caches.hold(&path)? {
                created.push(path);
            }
        }
        created.sort();
        created.dedup();
        drift.created = created;
        let aside = kept_in(&self.aside, &mut repos, &self.rules)?;
        drift.rewritten.extend(aside.into_iter().map(|it| it.0));
        drift.rewritten.sort();
        drift.rewritten.dedup();
        Ok(drift)
    }

    fn repos(&self) -> Result<Repos, MirrorError> {
        Repos::open(&self.worktree)?.of_copy(&self.tree)
    }

    /// What runs made and is no longer in the copy, unless the user has it now.
    fn made(&self, repos: &mut Repos) -> Result<Vec<PathBuf>, MirrorError> {
        let mut made = Vec::new();
        for (path, _) in kept_in(&self.made, repos, &self.rules)? {
            let row = self.manifest.get(path.as_os_str().as_bytes())?;
            if !row.is_some_and(|row| row.is_there()) {
                made.push(path);
            }
        }
        Ok(made)
    }

    /// Copies files that the sandbox made or rewrote into the user's worktree, by name.
    /// Answers what was written. Nothing outside the worktree is touched, no link followed.
    pub fn bring_back(&self, names: &[PathBuf]) -> Result<Vec<PathBuf>, MirrorError> {
        let drift = self.drift()?;
        let open = |dir: &Path| Confined::open(dir).ok();
        let (aside, moved) = (open(&self.aside), open(&self.made));
        // All names first: half a bring-back helps nobody.
        let mut files = Vec::new();
        for name in names {
            let made = drift.created.contains(name) || drift.locks.contains(name);
            let rewritten = drift.rewritten.contains(name);
            if !made && !rewritten {
                return Err(MirrorError::NotMade(name.clone()));
            }
            let in_slot = |root: &Confined| content::take(root, name, &self.staging);
            let kept = match if rewritten { &aside } else { &moved } {
                Some(kept) => in_slot(kept)?,
                None => Source::Absent,
            };
            let found = match kept {
                Source::Taken(taken) => Source::Taken(taken),
                _ => in_slot(&self.tree)?,
            };
            match found {
                Source::Taken(taken) if taken.kind != 0o120_000 => files.push((name, taken)),
                _ => return Err(MirrorError::NotMade(name.clone())),
            }
        }
        for (name, taken) in &files {
            write_back(&self.source, name, taken).map_err(MirrorError::io("write", name))?;
        }
        Ok(files.into_iter().map(|(name, _)| name.clone()).collect())
    }
}

impl Mirror {
    /// Copies files that the sandbox made or rewrote into the user's worktree, by name.
    pub fn bring_back(&mut self, names: &[PathBuf]) -> Result<Vec<PathBuf>, MirrorError> {
        Inspection::open(&self.worktree, self.slot.dir(), self.rules.clone())?.bring_back(names)
    }
}

/// Writes beside the target and renames, so that an editor never sees half a file.
fn write_back(root: &Confined, name: &Path, taken: &Taken) -> io::Result<()> {
    let parent = name.parent().unwrap_or(Path::new(""));
    root.make_dirs(parent)?;
    let (dir, file_name) = root.parent(name)?;
    let temporary = format!(".regreen.{}", std::process::id());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(taken.perms);
    let file = File::from(rustix::fs::openat(&dir, temporary.as_str(), flags, mode)?);
    let written = taken.content.write_to(&file).and_then(|()| {
        // A link that stands there is replaced, not followed; a directory is an error.
        rustix::fs::renameat(&dir, temporary.as_str(), &dir, file_name)?;
        Ok(())
    });
    if written.is_err() {
        let removed = rustix::fs::unlinkat(&dir, temporary.as_str(), AtFlags::empty());
        if let Err(error) = removed {
            tracing::warn!(%error, "a temporary file was left in the worktree");
        }
    }
    written
}
