//! Synchronising with the worktree: a few named paths, or everything.

use crate::git::Edit;
use crate::git::EntryMode;
use crate::git::Oid;
use crate::sandbox::mirror::Mirror;
use crate::sandbox::mirror::MirrorError;
use crate::sandbox::mirror::manifest::ABSENT;
use crate::sandbox::mirror::manifest::FROM_INDEX;
use crate::sandbox::mirror::manifest::Row;
use crate::sandbox::mirror::manifest::SKIPPED;
use crate::sandbox::mirror::manifest::Stamp;
use crate::sandbox::mirror::manifest::TRACKED;
use crate::sandbox::mirror::place::Batch;
use crate::sandbox::mirror::place::as_path;
use crate::sandbox::mirror::repos::Listed;
use crate::sandbox::mirror::repos::Relisted;
use crate::sandbox::mirror::repos::Table;
use crate::sandbox::mirror::repos::path_hash;
use crate::sandbox::mirror::walk::Found;
use crate::sandbox::mirror::walk::Walk;
use crate::sandbox::mirror::walk::Walked;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

const GITLINK: u32 = 0o160_000;

impl Mirror {
    /// The named paths, and what git's index says anew.
    pub(crate) fn sync_paths(
        &mut self,
        batch: &mut Batch,
        paths: &[PathBuf],
    ) -> Result<(), MirrorError> {
        let relisted = self.repos.relist(&self.objects)?;
        let mut wanted: BTreeSet<Vec<u8>> = paths.iter().filter_map(|path| normal(path)).collect();
        // A directory covers what lies below it.
        let covered: Vec<Vec<u8>> = wanted
            .iter()
            .filter(|path| is_below_one_of(path, &wanted))
            .cloned()
            .collect();
        for path in covered {
            wanted.remove(&path);
        }
        for path in &wanted {
            self.sync_path(batch, path, &relisted)?;
        }
        self.take_relisted(batch, &relisted, &wanted)
    }

    fn sync_path(
        &mut self,
        batch: &mut Batch,
        path: &[u8],
        relisted: &Relisted,
    ) -> Result<(), MirrorError> {
        let rel = as_path(path);
        let old = self.manifest.get(path)?;
        let listed = relisted.changed.find(path).copied();
        if old.as_ref().is_some_and(|row| row.kind == GITLINK)
            || listed.is_some_and(|it| it.is_gitlink())
        {
            return self.sync_dir(batch, path, relisted);
        }
        let tracked = listed.is_some() || old.as_ref().is_some_and(|row| row.has(TRACKED));
        let ignored = !tracked && !self.rules.names(rel) && self.repos.is_ignored(rel, false);
        if ignored {
            self.vanish(batch, path, None, old)?;
            // Only what is ignored as a directory is done with.
            if self.repos.is_ignored(rel, true) && !self.manifest.any_below(path)? {
                return Ok(());
            }
            return self.sync_dir(batch, path, relisted);
        }
        if !self.bring(batch, path, listed.as_ref(), old)? {
            return self.sync_dir(batch, path, relisted);
        }
        // A directory that is gone or became a file.
        for row in self.manifest.below(path)? {
            self.vanish(batch, &row.path.clone(), None, Some(row))?;
        }
        Ok(())
    }

    /// Everything below a directory that exists (or does not any more).
    fn sync_dir(
        &mut self,
        batch: &mut Batch,
        dir: &[u8],
        relisted: &Relisted,
    ) -> Result<(), MirrorError> {
        if let Some(row) = self.manifest.get(dir)?
            && row.is_there()
        {
            self.vanish(batch, dir, None, Some(row))?;
        }
        let mut walked = Walk {
            root: &self.source,
            ours: false,
            repos: &mut self.repos,
            rules: &self.rules,
        }
        .below(as_path(dir));
        walked.files.sort();
        self.manifest.clear_left_out(dir)?;
        self.note(&walked)?;
        for at in 0..walked.files.len() {
            let Some((path, _)) = walked.files.get(at) else {
                break;
            };
            let listed = relisted.changed.find(path).copied();
            let old = self.manifest.get(path)?;
            self.bring(batch, path, listed.as_ref(), old)?;
        }
        for row in self.manifest.below(dir)? {
            if walked.files.find(&row.path).is_none() && row.kind != GITLINK {
                // Tracked, and so in although it is ignored; or gone.
                let path = row.path.clone();
                let gone = !row.has(TRACKED);
                match gone {
                    true => self.vanish(batch, &path, None, Some(row))?,
                    false => self.bring_or_vanish(batch, &path, None, Some(row))?,
                }
            }
        }
        Ok(())
    }

    fn bring_or_vanish(
        &mut self,
        batch: &mut Batch,
        path: &[u8],
        listed: Option<&Listed>,
        old: Option<Row>,
    ) -> Result<(), MirrorError> {
        if !self.bring(batch, path, listed, old.clone())? {
            self.vanish(batch, path, listed, old)?;
        }
        Ok(())
    }

    /// Index entries that changed: mostly an id or a stat, with the file as it was.
    fn take_relisted(
        &mut self,
        batch: &mut Batch,
        relisted: &Relisted,
        done: &BTreeSet<Vec<u8>>,
    ) -> Result<(), MirrorError> {
        for at in 0..relisted.changed.len() {
            let Some((path, listed)) = relisted.changed.get(at) else {
                break;
            };
            if done.contains(path) && !listed.is_gitlink() {
                continue;
            }
            let old = self.manifest.get(path)?;
            self.take_listed(batch, path, listed, old, Seen::Heard)?;
        }
        if relisted.gone.is_empty() {
            return Ok(());
        }
        for row in self.manifest.with_flag(TRACKED)? {
            if relisted.gone.binary_search(&path_hash(&row.path)).is_ok() {
                self.untrack(batch, row)?;
            }
        }
        Ok(())
    }

    /// A path that the index does not list any more: in as far as it is not ignored.
    fn untrack(&mut self, batch: &mut Batch, mut row: Row) -> Result<(), MirrorError> {
        let path = row.path.clone();
        if row.kind == GITLINK {
            self.manifest.delete(&path)?;
            return Ok(());
        }
        let was_skipped = row.has(SKIPPED);
        row.flags &= !(TRACKED | SKIPPED);
        if !row.is_there() {
            self.manifest.delete(&path)?;
            if was_skipped {
                batch.edits.push(Edit { path, entry: None });
            }
            return Ok(());
        }
        self.manifest.put(&row)?;
        let rel = as_path(&path);
        if self.repos.is_ignored(rel, false) && !self.rules.names(rel) {
            return self.vanish(batch, &path, None, Some(row));
        }
        self.bring_or_vanish(batch, &path, None, Some(row))
    }

    /// Brings one listed path up to date.
    fn take_listed(
        &mut self,
        batch: &mut Batch,
        path: &[u8],
        listed: &Listed,
        old: Option<Row>,
        seen: Seen,
    ) -> Result<(), MirrorError> {
        if listed.is_gitlink() {
            return self.take_gitlink(path, listed, old);
        }
        let fresh = match seen {
            Seen::Heard => true,
            Seen::Walked(found) => old
                .as_ref()
                .zip(found)
                .is_some_and(|(row, found)| row.source == found.stamp && row.kind == found.kind),
        };
        match old {
            Some(mut row) if row.is_there() && fresh && !batch.distrust => {
                match listed.id_for(&row.source, row.kind) {
                    Some(id) if id == row.id && row.has(TRACKED) => Ok(()),
                    Some(id) => {
                        if id != row.id {
                            row.flags |= FROM_INDEX;
                            batch.edits.push(Edit {
                                path: path.to_vec(),
                                entry: Some((EntryMode::from_raw(row.kind), id)),
                            });
                        }
                        row.id = id;
                        row.flags |= TRACKED;
                        self.manifest.put(&row)
                    }
                    // The index does not know better; a walk saw that nothing changed.
                    None if matches!(seen, Seen::Walked(_)) && row.has(TRACKED) => Ok(()),
                    None => self.bring_or_vanish(batch, path, Some(listed), Some(row)),
                }
            }
            old => self.bring_or_vanish(batch, path, Some(listed), old),
        }
    }

    fn take_gitlink(
        &mut self,
        path: &[u8],
        listed: &Listed,
        old: Option<Row>,
    ) -> Result<(), MirrorError> {
        let id = listed.id.unwrap_or(Oid::ZERO_SHA1);
        if old
            .as_ref()
            .is_some_and(|row| row.kind == GITLINK && row.id == id)
        {
            return Ok(());
        }
        self.manifest.put(&Row {
            path: path.to_vec(),
            kind: GITLINK,
            id,
            flags: TRACKED,
            source: Stamp::default(),
            slot: Stamp::default(),
            generation: self.state.generation,
        })
    }

    /// Everything: the walk, the index and the manifest, side by side in the order of paths.
    pub(crate) fn sync_all(&mut self, batch: &mut Batch) -> Result<(), MirrorError> {
        self.repos.forget_rules();
        let listed = self.repos.load_all(&mut self.objects)?;
        let mut walked = Walk {
            root: &self.source,
            ours: false,
            repos: &mut self.repos,
            rules: &self.rules,
        }
        .all()
        .map_err(MirrorError::io("read", &self.worktree.root))?;
        walked.files.sort();
        self.manifest.clear_left_out(b"")?;
        self.manifest.clear_carried()?;
        self.note(&walked)?;
        if batch.first {
            self.seed(&walked.caches)?;
        }
        // What the user named, or does not name any more, may look like a credential.
        let named = self.rules.named();
        batch.renamed = self.manifest.meta(NAMED)?.as_deref() != Some(named.as_str());
        let mut cursor = Cursor::default();
        while !cursor.done {
            for (path, row) in self.compare(batch, &walked.files, &listed, &mut cursor)? {
                let found = walked.files.find(&path);
                match (listed.find(&path), row) {
                    (Some(entry), old) => {
                        let seen = Seen::Walked(found.copied());
                        self.take_listed(batch, &path, entry, old, seen)?;
                    }
                    (None, Some(row)) if row.has(TRACKED) => self.untrack(batch, row)?,
                    (None, old) if found.is_some() => {
                        self.bring_or_vanish(batch, &path, None, old)?;
                    }
                    (None, old) => self.vanish(batch, &path, None, old)?,
                }
            }
        }
        self.manifest.set_meta(NAMED, &named)
    }

    /// The next paths, from where the cursor stands, where walk, index and manifest do not
    /// agree. A few thousand at a time: memory stays small whatever happened.
    fn compare(
        &self,
        batch: &Batch,
        found: &Table<Found>,
        listed: &Table<Listed>,
        cursor: &mut Cursor,
    ) -> Result<Vec<Differing>, MirrorError> {
        let mut differing = Vec::new();
        let after = cursor.after.clone();
        let ended = self.manifest.each_after(&after, &mut |row| {
            cursor.new_before(Some(&row.path), found, listed, &mut differing);
            if differing.len() >= CHUNK {
                // This row is met again.
                return Ok(false);
            }
            let seen = at(found, &mut cursor.found, &row.path);
            let entry = at(listed, &mut cursor.listed, &row.path);
            cursor.after.clone_from(&row.path);
            let asked = batch.distrust || (batch.renamed && entry.is_none());
            if asked || !agrees(&row, seen, entry) {
                differing.push((row.path.clone(), Some(row)));
            }
            Ok(differing.len() < CHUNK)
        })?;
        if ended {
            cursor.new_before(None, found, listed, &mut differing);
            cursor.done = differing.len() < CHUNK;
        }
        Ok(differing)
    }

    /// Remembers what a walk left out and what is carried.
    fn note(&mut self, walked: &Walked) -> Result<(), MirrorError> {
        for (path, reason) in &walked.left_out {
            self.manifest
                .leave_out(path.as_os_str().as_bytes(), reason)?;
        }
        for dir in &walked.carried {
            let writable = self.rules.carry_writable.contains(dir);
            self.manifest.carry(dir.as_os_str().as_bytes(), writable)?;
        }
        Ok(())
    }
}

/// A path where walk, index and manifest do not agree, and its row in the manifest.
type Differing = (Vec<u8>, Option<Row>);
/// The meta entry that says which paths the user had named when everything was walked last.
const NAMED: &str = "named";

/// So many differing paths are held at once.
const CHUNK: usize = 2_048;

/// How far a comparison has come.
#[derive(Default)]
struct Cursor {
    found: usize,
    listed: usize,
    /// The last path that was dealt with.
    after: Vec<u8>,
    done: bool,
}

impl Cursor {
    /// What walk or index have before `until`, and the manifest does not.
    fn new_before(
        &mut self,
        until: Option<&[u8]>,
        found: &Table<Found>,
        listed: &Table<Listed>,
        differing: &mut Vec<(Vec<u8>, Option<Row>)>,
    ) {
        while differing.len() < CHUNK {
            let before = |path: &&[u8]| until.is_none_or(|until| *path < until);
            let walked = found.get(self.found).map(|it| it.0).filter(before);
            let entry = listed.get(self.listed).map(|it| it.0).filter(before);
            let Some(path) = walked.into_iter().chain(entry).min() else {
                return;
            };
            self.found += usize::from(walked == Some(path));
            self.listed += usize::from(entry == Some(path));
            self.after = path.to_vec();
            differing.push((path.to_vec(), None));
        }
    }
}

/// What is known of a listed file's present state.
#[derive(Clone, Copy)]
enum Seen {
    /// Nothing new was heard of it.
    Heard,
    /// A walk looked at it.
    Walked(Option<Found>),
}

/// The table's entry for exactly this path, stepping over it.
fn at<'a, T>(table: &'a Table<T>, index: &mut usize, path: &[u8]) -> Option<&'a T> {
    let (found, value) = table.get(*index)?;
    match found.cmp(path) {
        Ordering::Equal => {
            *index += 1;
            Some(value)
        }
        _ => None,
    }
}

/// Whether a row is still what walk and index say.
fn agrees(row: &Row, found: Option<&Found>, listed: Option<&Listed>) -> bool {
    if listed.is_some() != row.has(TRACKED) {
        return false;
    }
    if row.kind == GITLINK {
        return listed.is_some_and(|entry| entry.is_gitlink() && entry.id == Some(row.id));
    }
    let Some(found) = found else {
        // An ignored and tracked file was not walked: it is looked at.
        return row.kind == ABSENT
            && listed.is_some_and(|entry| {
                let kept = entry.skip_worktree.then_some(entry.id).flatten();
                row.has(SKIPPED) == kept.is_some() && kept.is_none_or(|id| id == row.id)
            })
            && row.has(TRACKED);
    };
    let same = row.kind == found.kind && row.source == found.stamp;
    same && listed.is_none_or(|entry| {
        entry
            .id_for(&found.stamp, found.kind)
            .is_none_or(|id| id == row.id)
    })
}

/// A path as git has it, relative and below; `None` for what is never mirrored.
fn normal(path: &Path) -> Option<Vec<u8>> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) if name == ".git" => return None,
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            _ => return None,
        }
    }
    let bytes = clean.as_os_str().as_bytes();
    (!bytes.is_empty()).then(|| bytes.to_vec())
}

fn is_below_one_of(path: &[u8], wanted: &BTreeSet<Vec<u8>>) -> bool {
    let mut above = Path::new(OsStr::from_bytes(path)).parent();
    while let Some(dir) = above {
        if wanted.contains(dir.as_os_str().as_bytes()) {
            return true;
        }
        above = dir.parent();
    }
    false
}
