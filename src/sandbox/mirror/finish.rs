//! The end of a synchronisation: the tree id, and what it all amounts to.

use crate::git::Edit;
use crate::git::EntryMode;
use crate::git::Oid;
use crate::model::SnapshotId;
use crate::sandbox::mirror::LeftOut;
use crate::sandbox::mirror::Mirror;
use crate::sandbox::mirror::MirrorError;
use crate::sandbox::mirror::Synced;
use crate::sandbox::mirror::manifest::LARGE;
use crate::sandbox::mirror::manifest::SKIPPED;
use crate::sandbox::mirror::place::Batch;
use crate::sandbox::mirror::place::as_path;

impl Mirror {
    /// Computes the snapshot, remembers where the slot stands, and clears the mark.
    pub(crate) fn finish(&mut self, batch: &mut Batch) -> Result<Synced, MirrorError> {
        self.undeceive(batch)?;
        let tree = self.new_tree(batch)?;
        let snapshot = self.fold(tree)?;
        if batch.first || !batch.changed.is_empty() || !batch.removed.is_empty() {
            self.state.generation += 1;
        }
        self.state.tree = Some(tree);
        self.state.populated = true;
        let carried = self.mounts(batch.first)?;
        let number = |flag: bool| if flag { "1" } else { "0" };
        for (name, value) in [
            ("tree", tree.to_string().as_str()),
            ("snapshot", snapshot.to_string().as_str()),
            ("generation", self.state.generation.to_string().as_str()),
            ("py_second", self.state.py_second.to_string().as_str()),
            ("populated", "1"),
            ("holds_tree", number(self.state.holds_tree)),
            (
                "given",
                self.state
                    .given
                    .map_or(String::new(), |id| id.to_string())
                    .as_str(),
            ),
            ("dirty", "0"),
        ] {
            self.manifest.set_meta(name, value)?;
        }
        self.state.dirty = false;
        batch.changed.sort();
        batch.removed.sort();
        self.renew_objects(tree, snapshot);
        Ok(Synced {
            snapshot: SnapshotId::new(snapshot.to_string()),
            changed: std::mem::take(&mut batch.changed),
            removed: std::mem::take(&mut batch.removed),
            left_out: self.left_out()?,
            carried,
            large: self
                .manifest
                .with_flag(LARGE)?
                .iter()
                .map(|row| as_path(&row.path).to_owned())
                .collect(),
            generation: self.state.generation as u64,
            first: batch.first,
        })
    }

    fn left_out(&self) -> Result<Vec<LeftOut>, MirrorError> {
        let rows = self.manifest.left_out()?;
        Ok(rows
            .into_iter()
            .map(|(path, reason)| LeftOut {
                path: as_path(&path).to_owned(),
                reason,
            })
            .collect())
    }

    /// Applies the edits so far, so that they need no memory.
    pub(crate) fn flush_edits(&self, batch: &mut Batch) {
        let edits = std::mem::take(&mut batch.edits);
        if batch.rebuild {
            return;
        }
        match self.objects.edit_tree(batch.tree, &edits) {
            Ok(tree) => batch.tree = Some(tree),
            // The user's repository was cleaned of a tree that the last one shared.
            Err(error) => {
                tracing::info!(%error, "the snapshot is made anew");
                batch.rebuild = true;
            }
        }
    }

    fn new_tree(&self, batch: &mut Batch) -> Result<Oid, MirrorError> {
        self.flush_edits(batch);
        match batch.tree.filter(|_| !batch.rebuild) {
            Some(tree) => Ok(tree),
            None => self.tree_of_rows(),
        }
    }

    fn tree_of_rows(&self) -> Result<Oid, MirrorError> {
        let (mut tree, mut edits) = (None, Vec::new());
        self.manifest.each(&mut |row| {
            if row.is_there() || row.has(SKIPPED) {
                let kind = if row.is_there() { row.kind } else { 0o100_644 };
                edits.push(Edit {
                    entry: Some((EntryMode::from_raw(kind), row.id)),
                    path: row.path,
                });
            }
            if edits.len() >= 8_192 {
                tree = Some(self.objects.edit_tree(tree, &std::mem::take(&mut edits))?);
            }
            Ok(())
        })?;
        Ok(self.objects.edit_tree(tree, &edits)?)
    }

    /// The tree as git would have it: a submodule whose content is a commit's is a link to
    /// that commit; one that is dirty stays unfolded, so that the id tells it apart.
    fn fold(&self, tree: Oid) -> Result<Oid, MirrorError> {
        if let Some(given) = self.state.given {
            return Ok(given);
        }
        let mut links = self.manifest.gitlinks()?;
        links.sort_by_key(|row| std::cmp::Reverse(row.path.len()));
        let mut tree = tree;
        for row in links {
            let link = match self.objects.entry_at(tree, &row.path)? {
                None => Some(row.id),
                Some((EntryMode::Tree, content)) => self.commit_of(&row.path, row.id, content)?,
                Some(_) => None,
            };
            if let Some(link) = link.filter(|link| !link.is_zero()) {
                let edit = Edit {
                    path: row.path,
                    entry: Some((EntryMode::Gitlink, link)),
                };
                tree = self.objects.edit_tree(Some(tree), &[edit])?;
            }
        }
        Ok(tree)
    }

    fn commit_of(
        &self,
        path: &[u8],
        linked: Oid,
        content: Oid,
    ) -> Result<Option<Oid>, MirrorError> {
        let Some(submodule) = self.repos.submodule(as_path(path)) else {
            return Ok(None);
        };
        for commit in [Some(linked), submodule.head()?].into_iter().flatten() {
            if submodule.tree_of(commit)? == Some(content) {
                return Ok(Some(commit));
            }
        }
        Ok(None)
    }

    fn renew_objects(&mut self, tree: Oid, snapshot: Oid) {
        if !self.objects.wants_renewal() {
            return;
        }
        // Not being able to is no reason to fail a synchronisation.
        match self.objects.renew(&[tree, snapshot]) {
            Ok(true) => tracing::info!("regreen's objects were renewed"),
            Ok(false) => tracing::debug!("regreen's objects are in use, renewal waits"),
            Err(error) => tracing::warn!(%error, "regreen's objects could not be renewed"),
        }
    }
}
