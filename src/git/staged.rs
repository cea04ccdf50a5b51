//! What is staged, as a tree: for the trigger `stage`.

use crate::git::Edit;
use crate::git::EntryMode;
use crate::git::GitError;
use crate::git::IndexFile;
use crate::git::Objects;
use crate::git::Worktree;
use crate::model::SnapshotId;

/// In a conflict, our side is what a commit of this branch would be about.
const OURS: u8 = 2;

impl Objects {
    /// The tree that a commit of the index as it is now would have. Written to regreen's own
    /// objects; git's index is only read.
    ///
    /// # Errors
    /// When the index cannot be read, or an object not be written.
    pub fn index_tree(&self, worktree: &Worktree) -> Result<SnapshotId, GitError> {
        let (mut tree, mut edits) = (None, Vec::new());
        if let Some(index) = IndexFile::read(&worktree.index_path())? {
            index.each(&mut |entry| {
                let counts = matches!(entry.stage, 0 | OURS) && !entry.intent_to_add;
                if counts {
                    edits.push(Edit {
                        path: entry.path.to_owned(),
                        entry: Some((EntryMode::from_raw(entry.mode), entry.id)),
                    });
                }
                // In pieces, so that a large index needs little memory.
                if edits.len() >= 8_192 {
                    tree = Some(self.edit_tree(tree, &std::mem::take(&mut edits))?);
                }
                Ok(())
            })?;
        }
        let tree = self.edit_tree(tree, &edits)?;
        Ok(SnapshotId::new(tree.to_string()))
    }
}
