//! Submodules: where their own repositories lie, and which commit stands for their content.

use crate::git::GitError;
use crate::git::Oid;
use crate::git::Worktree;
use std::path::Path;
use std::path::PathBuf;

/// A submodule that is checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submodule {
    /// Its path in the superproject.
    pub path: PathBuf,
    /// Its own worktree.
    pub worktree: Worktree,
}

impl Submodule {
    /// The submodule at a path of a worktree, if it is checked out there.
    pub fn at(worktree: &Worktree, path: &Path) -> Option<Submodule> {
        let root = worktree.root.join(path);
        // Without a `.git` of its own the search would find the superproject.
        root.join(".git").symlink_metadata().ok()?;
        let found = Worktree::discover(&root).ok()?;
        (found.root == root).then(|| Submodule {
            path: path.to_owned(),
            worktree: found,
        })
    }

    /// The tree of one of its commits, if it has it.
    pub fn tree_of(&self, commit: Oid) -> Result<Option<Oid>, GitError> {
        let repo = self.worktree.open()?;
        Ok(repo.find_commit(commit).ok().map(|it| it.tree_id()))
    }

    /// The commit that its HEAD names.
    pub fn head(&self) -> Result<Option<Oid>, GitError> {
        let head = self.worktree.head()?.commit;
        head.map(|text| super::worktree::parse_oid(&text, &self.worktree.root))
            .transpose()
    }
}
