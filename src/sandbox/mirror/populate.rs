//! Making the slot hold a given tree: for `--at`, the triggers stage and commit, loops, gates.

use crate::git::EntryMode;
use crate::git::Oid;
use crate::sandbox::mirror::Mirror;
use crate::sandbox::mirror::MirrorError;
use crate::sandbox::mirror::Reason;
use crate::sandbox::mirror::content;
use crate::sandbox::mirror::content::Content;
use crate::sandbox::mirror::content::Source;
use crate::sandbox::mirror::content::Taken;
use crate::sandbox::mirror::manifest::Row;
use crate::sandbox::mirror::manifest::Stamp;
use crate::sandbox::mirror::manifest::TRACKED;
use crate::sandbox::mirror::place::Batch;
use crate::sandbox::mirror::place::Incoming;
use crate::sandbox::mirror::place::as_path;
use crate::sandbox::mirror::repos::Listed;
use crate::sandbox::mirror::repos::Table;
use crate::sandbox::mirror::walk::Walk;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// A larger file of a tree is refused; libgit2 holds it in memory whole.
const MAX_BLOB: usize = 2 << 30;

impl Mirror {
    pub(crate) fn take_tree(&mut self, batch: &mut Batch, tree: Oid) -> Result<(), MirrorError> {
        let listed = self.repos.load_all(&mut self.objects)?;
        if batch.first {
            let walked = Walk {
                root: &self.source,
                ours: false,
                repos: &mut self.repos,
                rules: &self.rules,
            }
            .all()
            .map_err(MirrorError::io("read", &self.worktree.root))?;
            self.manifest.clear_carried()?;
            for dir in &walked.carried {
                let writable = self.rules.carry_writable.contains(dir);
                self.manifest.carry(dir.as_os_str().as_bytes(), writable)?;
            }
            self.seed(&walked.caches)?;
        }
        self.manifest.clear_left_out(b"")?;
        let wanted = self.wanted(tree)?;
        let mut differing = Vec::new();
        self.manifest.each(&mut |row| {
            let same = wanted
                .find(&row.path)
                .is_some_and(|(kind, id)| *kind == row.kind && *id == row.id);
            if !same || batch.distrust {
                differing.push(row);
            }
            Ok(())
        })?;
        for row in differing {
            if wanted.find(&row.path).is_none() {
                let path = row.path.clone();
                self.untracked_vanish(batch, &path, row)?;
            }
        }
        for at in 0..wanted.len() {
            let Some((path, (kind, id))) = wanted.get(at) else {
                break;
            };
            let old = self.manifest.get(path)?;
            let same = old
                .as_ref()
                .is_some_and(|row| row.kind == *kind && row.id == *id);
            if !same || batch.distrust {
                self.place_blob(batch, path, (*kind, *id), listed.find(path), old)?;
            }
        }
        Ok(())
    }

    /// All files of a tree, those of its submodules included as far as they are here.
    fn wanted(&self, tree: Oid) -> Result<Table<(u32, Oid)>, MirrorError> {
        let mut wanted = Table::default();
        let mut queue = vec![(Vec::new(), tree)];
        while let Some((prefix, tree)) = queue.pop() {
            let mut links = Vec::new();
            self.objects.walk_tree(tree, &mut |path, mode, id| {
                let mut full = prefix.clone();
                full.extend_from_slice(path);
                if mode == EntryMode::Gitlink {
                    links.push((full.clone(), id));
                }
                wanted.push(&full, (mode.raw(), id));
                Ok(())
            })?;
            for (path, commit) in links {
                let submodule = self.repos.submodule(as_path(&path));
                let content = match submodule {
                    Some(submodule) => submodule.tree_of(commit)?,
                    None => None,
                };
                match content {
                    Some(content) => {
                        let mut prefix = path;
                        prefix.push(b'/');
                        queue.push((prefix, content));
                    }
                    None => self.manifest.leave_out(&path, &Reason::NoCommit)?,
                }
            }
        }
        wanted.sort();
        Ok(wanted)
    }

    fn untracked_vanish(
        &mut self,
        batch: &mut Batch,
        path: &[u8],
        mut row: Row,
    ) -> Result<(), MirrorError> {
        // It is not part of this state, listed or not.
        row.flags &= !TRACKED;
        if row.kind == EntryMode::Gitlink.raw() {
            return self.manifest.delete(path);
        }
        self.vanish(batch, path, None, Some(row))
    }

    /// Puts one file of a tree into the slot.
    pub(crate) fn place_blob(
        &mut self,
        batch: &mut Batch,
        path: &[u8],
        (kind, id): (u32, Oid),
        listed: Option<&Listed>,
        old: Option<Row>,
    ) -> Result<(), MirrorError> {
        if kind == EntryMode::Gitlink.raw() {
            return self.manifest.put(&Row {
                path: path.to_vec(),
                kind,
                id,
                flags: TRACKED,
                source: Stamp::default(),
                slot: Stamp::default(),
                generation: self.state.generation,
            });
        }
        let executable = kind == EntryMode::Executable.raw();
        let mut incoming = Incoming {
            kind,
            perms: if executable { 0o755 } else { 0o644 },
            content: Content::Bytes(Vec::new()),
            id: None,
            flags: TRACKED,
            stamp: Stamp::default(),
            mtime: None,
            store: false,
        };
        match self.users_copy(path, id, listed)? {
            // What the user has checked out: with filters applied, and as old as it is.
            Some((taken, by_index)) if taken.kind == kind => {
                incoming.mtime = Some(taken.stamp.mtime);
                incoming.content = taken.content;
                incoming.id = by_index.then_some(id);
            }
            _ => {
                let bytes = self.objects.read_blob(id, MAX_BLOB);
                incoming.content =
                    Content::Bytes(bytes.map_err(|error| MirrorError::NoContent {
                        path: as_path(path).to_owned(),
                        id: id.to_string(),
                        reason: format!(
                            "{error}; untracked files above the size limit are not stored, and a \
                         partial clone does not have everything"
                        ),
                    })?);
            }
        }
        self.settle(batch, path, incoming, old)
    }

    /// The user's own file, if it is this content: known by the index, or, where the content
    /// is not stored anywhere, by its hash.
    fn users_copy(
        &self,
        path: &[u8],
        id: Oid,
        listed: Option<&Listed>,
    ) -> Result<Option<(Taken, bool)>, MirrorError> {
        let by_index = listed.is_some_and(|listed| listed.id == Some(id));
        if !by_index && self.objects.contains(id) {
            return Ok(None);
        }
        let rel = as_path(path);
        let Source::Taken(taken) = content::take(&self.source, rel, &self.staging)? else {
            return Ok(None);
        };
        let known = listed.and_then(|listed| listed.id_for(&taken.stamp, taken.kind));
        if known == Some(id) {
            return Ok(Some((taken, true)));
        }
        let same = taken.content.hash()? == id;
        Ok(same.then_some((taken, false)))
    }
}

/// The last component of a path.
pub(crate) fn base_name(path: &[u8]) -> &[u8] {
    as_path(path)
        .file_name()
        .map_or(path, |name: &OsStr| name.as_bytes())
}
