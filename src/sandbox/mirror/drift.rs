//! What the sandbox did to the slot: comparing, repairing, taking over, keeping aside.

use crate::git;
use crate::git::Confined;
use crate::git::Edit;
use crate::git::EntryMode;
use crate::sandbox::mirror::Drift;
use crate::sandbox::mirror::Held;
use crate::sandbox::mirror::Mirror;
use crate::sandbox::mirror::MirrorError;
use crate::sandbox::mirror::MirrorRules;
use crate::sandbox::mirror::Synced;
use crate::sandbox::mirror::content;
use crate::sandbox::mirror::content::Source;
use crate::sandbox::mirror::manifest::FROM_INDEX;
use crate::sandbox::mirror::manifest::Manifest;
use crate::sandbox::mirror::manifest::Row;
use crate::sandbox::mirror::manifest::Stamp;
use crate::sandbox::mirror::place::Batch;
use crate::sandbox::mirror::place::as_path;
use crate::sandbox::mirror::populate::base_name;
use crate::sandbox::mirror::repos::Repos;
use crate::sandbox::mirror::walk::Walk;
use crate::sandbox::mirror::walk::kind_of;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;

/// A larger rewritten file is not kept aside.
const ASIDE_MAX: u64 = 16 << 20;

/// So many rewritten files are kept aside at most.
const ASIDE_COUNT: usize = 1_000;

/// A slot being compared with its manifest.
pub(crate) struct Scan<'a> {
    pub manifest: &'a Manifest,
    pub tree: &'a Confined,
    pub source: &'a Confined,
    pub staging: &'a Confined,
    pub repos: &'a mut Repos,
    pub rules: &'a MirrorRules,
}

impl Scan<'_> {
    /// What differs, and the rows whose content is the same with another stamp.
    pub fn run(&mut self) -> Result<(Drift, Vec<Row>), MirrorError> {
        let mut walked = Walk {
            root: self.tree,
            ours: true,
            repos: self.repos,
            rules: self.rules,
        }
        .all()
        .map_err(MirrorError::io("read", self.tree.path()))?;
        walked.files.sort();
        let (mut drift, mut suspects, mut manifests) = (Drift::default(), Vec::new(), Vec::new());
        drift.litter = std::mem::take(&mut walked.litter);
        let mut known = 0;
        self.manifest.each(&mut |row| {
            while let Some((path, _)) = walked
                .files
                .get(known)
                .filter(|it| it.0 < row.path.as_slice())
            {
                drift.created.push(as_path(path).to_owned());
                known += 1;
            }
            let found = walked.files.get(known).filter(|it| it.0 == row.path);
            known += usize::from(found.is_some());
            if !row.is_there() {
                drift
                    .created
                    .extend(found.map(|it| as_path(it.0).to_owned()));
                return Ok(());
            }
            if MANIFESTS.contains(&base_name(&row.path)) {
                manifests.push((row.path.clone(), row.generation, row.source.mtime));
            }
            if !found.is_some_and(|(_, it)| it.kind == row.kind && it.stamp == row.slot) {
                suspects.push(row);
            }
            Ok(())
        })?;
        while let Some((path, _)) = walked.files.get(known) {
            drift.created.push(as_path(path).to_owned());
            known += 1;
        }
        let mut same = Vec::new();
        for row in suspects {
            let rel = as_path(&row.path).to_owned();
            match self.judge(&row)? {
                Judged::Same(stamp) => same.push(Row { slot: stamp, ..row }),
                Judged::Gone => drift.removed.push(rel),
                Judged::Rewritten if is_updated_lock(&row, &manifests) => drift.locks.push(rel),
                Judged::Rewritten => drift.rewritten.push(rel),
            }
        }
        Ok((drift, same))
    }

    fn judge(&self, row: &Row) -> Result<Judged, MirrorError> {
        let rel = as_path(&row.path);
        let failed = || MirrorError::io("look at", rel);
        let Some(stat) = self.tree.stat(rel).map_err(failed())? else {
            return Ok(Judged::Gone);
        };
        let stamp = Stamp::of(&stat);
        if kind_of(&stat) != Ok(row.kind) {
            return Ok(Judged::Rewritten);
        }
        if stamp == row.slot {
            return Ok(Judged::Same(stamp));
        }
        let Source::Taken(ours) = content::take(self.tree, rel, self.staging)? else {
            return Ok(Judged::Rewritten);
        };
        let same = if row.has(FROM_INDEX) {
            // The id is not the hash of the bytes: the user's file knows them.
            match content::take(self.source, rel, self.staging)? {
                Source::Taken(theirs) if theirs.stamp == row.source => {
                    theirs.content.hash()? == ours.content.hash()?
                }
                _ => ours.content.hash()? == row.id,
            }
        } else {
            ours.content.hash()? == row.id
        };
        Ok(if same {
            Judged::Same(stamp)
        } else {
            Judged::Rewritten
        })
    }
}

enum Judged {
    Same(Stamp),
    Gone,
    Rewritten,
}

const MANIFESTS: [&[u8]; 7] = [
    b"Cargo.toml",
    b"package.json",
    b"pyproject.toml",
    b"Pipfile",
    b"go.mod",
    b"Gemfile",
    b"composer.json",
];

/// The name of the manifest that a lock file belongs to, if it is one.
pub(crate) fn manifest_of(path: &[u8]) -> Option<&'static [u8]> {
    Some(match base_name(path) {
        b"Cargo.lock" => b"Cargo.toml",
        b"package-lock.json" | b"yarn.lock" | b"pnpm-lock.yaml" => b"package.json",
        b"poetry.lock" | b"uv.lock" | b"pdm.lock" => b"pyproject.toml",
        b"Pipfile.lock" => b"Pipfile",
        b"go.sum" => b"go.mod",
        b"Gemfile.lock" => b"Gemfile",
        b"composer.lock" => b"composer.json",
        _ => return None,
    })
}

/// Whether a tool brought a lock file up to date with a manifest that was edited later.
fn is_updated_lock(row: &Row, manifests: &[(Vec<u8>, i64, i64)]) -> bool {
    let Some(of) = manifest_of(&row.path) else {
        return false;
    };
    let dir = as_path(&row.path).parent().unwrap_or(Path::new(""));
    // Files of one checkout are written within seconds, in any order.
    let later = row.source.mtime.saturating_add(10_000_000_000);
    manifests.iter().any(|(path, generation, mtime)| {
        base_name(path) == of
            && as_path(path).starts_with(dir)
            && (*generation > row.generation || (row.source.mtime != 0 && *mtime > later))
    })
}

impl Mirror {
    /// What the sandbox did to the copied files, and which files it made.
    pub fn drift(&mut self) -> Result<Drift, MirrorError> {
        // Before anything in it is read.
        git::regain(self.tree.path()).map_err(MirrorError::io("open up", self.tree.path()))?;
        let mut repos = self.repos.of_copy(&self.tree)?;
        let (drift, same) = Scan {
            manifest: &self.manifest,
            tree: &self.tree,
            source: &self.source,
            staging: &self.staging,
            repos: &mut repos,
            rules: &self.rules,
        }
        .run()?;
        self.manifest.begin()?;
        let put = same.iter().try_for_each(|row| self.manifest.put(row));
        self.manifest.commit()?;
        crate::git::give_back_memory();
        put.map(|()| drift)
    }

    /// Puts back what drifted, as the worktree (or the given tree) has it; the drifted content
    /// is kept aside for [`Mirror::bring_back`].
    pub fn repair(&mut self, drift: &Drift) -> Result<Synced, MirrorError> {
        let paths: Vec<PathBuf> = drift
            .rewritten
            .iter()
            .chain(&drift.removed)
            .cloned()
            .collect();
        for path in drift.rewritten.iter().take(ASIDE_COUNT) {
            self.keep_aside(path)?;
        }
        if self.state.dirty {
            return match self.state.given {
                Some(tree) => self.populate_tree(&crate::model::SnapshotId::new(tree.to_string())),
                None => self.reconcile(),
            };
        }
        self.transact(&mut |mirror, batch| {
            batch.distrust = true;
            for path in &paths {
                mirror.put_back(batch, path.as_os_str().as_bytes())?;
            }
            Ok(Held::AsBefore)
        })
    }

    fn put_back(&mut self, batch: &mut Batch, path: &[u8]) -> Result<(), MirrorError> {
        let Some(row) = self.manifest.get(path)? else {
            return Ok(());
        };
        if self.state.holds_tree {
            return self.place_blob(batch, path, (row.kind, row.id), None, Some(row));
        }
        if !self.bring(batch, path, None, Some(row.clone()))? {
            self.vanish(batch, path, None, Some(row))?;
        }
        Ok(())
    }

    fn keep_aside(&mut self, path: &Path) -> Result<(), MirrorError> {
        let small = self.tree.open_file(path).and_then(|file| file.metadata());
        if !small.is_ok_and(|meta| meta.len() <= ASIDE_MAX) {
            return Ok(());
        }
        self.set_aside("aside", path)
    }

    /// Takes what the sandbox wrote as the new state (an agent's edits) and answers its
    /// snapshot. Only files and links are taken; what git would ignore is not.
    pub fn capture(&mut self) -> Result<Synced, MirrorError> {
        let drift = self.drift()?;
        let gone = drift.removed;
        let edited = [drift.rewritten, drift.created].concat();
        // A lock file that a mere run made or updated is nobody's edit; it is one together
        // with its manifest.
        let is_edit = |path: &PathBuf| {
            let path = path.as_os_str().as_bytes();
            manifest_of(path).is_none_or(|manifest| {
                let mut names = edited.iter().map(|it| it.as_os_str().as_bytes());
                names.any(|name| base_name(name) == manifest)
            })
        };
        let all = edited.iter().chain(&drift.locks);
        let written: Vec<PathBuf> = all.filter(|path| is_edit(path)).cloned().collect();
        self.transact(&mut |mirror, batch| {
            for path in &gone {
                mirror.capture_removal(batch, path)?;
            }
            for path in &written {
                mirror.capture_file(batch, path)?;
            }
            let given = mirror
                .state
                .given
                .filter(|_| gone.is_empty() && written.is_empty());
            Ok(Held::Tree(given))
        })
    }

    fn capture_removal(&mut self, batch: &mut Batch, path: &Path) -> Result<(), MirrorError> {
        let bytes = path.as_os_str().as_bytes();
        self.note_link(batch, self.manifest.get(bytes)?.as_ref());
        self.manifest.delete(bytes)?;
        batch.removed.push(path.to_owned());
        batch.edits.push(Edit {
            path: bytes.to_vec(),
            entry: None,
        });
        Ok(())
    }

    fn capture_file(&mut self, batch: &mut Batch, path: &Path) -> Result<(), MirrorError> {
        let bytes = path.as_os_str().as_bytes();
        let taken = match content::take(&self.tree, path, &self.staging)? {
            Source::Taken(taken) => taken,
            Source::LeftOut(reason) => {
                self.manifest.leave_out(bytes, &reason)?;
                return self.capture_removal(batch, path);
            }
            _ => return self.capture_removal(batch, path),
        };
        let id = taken.content.hash()?;
        taken.content.store(&self.objects, id)?;
        let slot = self.arrive(path, taken.kind)?;
        self.note_link(batch, self.manifest.get(bytes)?.as_ref());
        self.manifest.put(&Row {
            path: bytes.to_vec(),
            kind: taken.kind,
            id,
            flags: 0,
            source: Stamp::default(),
            slot,
            generation: self.state.generation + 1,
        })?;
        batch.changed.push(path.to_owned());
        batch.edits.push(Edit {
            path: bytes.to_vec(),
            entry: Some((EntryMode::from_raw(taken.kind), id)),
        });
        self.count(batch)
    }
}
