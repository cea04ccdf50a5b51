//! Landing: commits moved onto a branch as it is now, without any work tree.

use crate::git::CommitInfo;
use crate::git::GitError;
use crate::git::Objects;
use crate::git::Oid;
use crate::git::Worktree;
use git2::MergeOptions;
use git2::build::CheckoutBuilder;
use std::path::PathBuf;

/// How moving commits onto another one went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebased {
    /// It went through.
    Clean {
        /// The new tip; the target itself if nothing was left to move.
        tip: Oid,
        /// Its tree.
        tree: Oid,
    },
    /// Both sides changed the same places.
    Conflict {
        /// The commit that could not be moved.
        commit: Oid,
        /// The paths in conflict, lossy where they are not UTF-8.
        paths: Vec<String>,
    },
}

impl Objects {
    /// Moves the commits from `tip` back to `base` onto `onto`, one by one, messages and
    /// authors kept. No ref is moved.
    pub fn rebase(&self, base: Oid, tip: Oid, onto: Oid) -> Result<Rebased, GitError> {
        let commits = self
            .commits_since(tip, base, 10_000)?
            .ok_or_else(|| self.malformed(tip, "no descendant of the loop's base"))?;
        let mut current = onto;
        let mut tree = self.commit_info(onto)?.tree;
        if onto == base {
            let tree = self.commit_info(tip)?.tree;
            return Ok(Rebased::Clean { tip, tree });
        }
        for commit in commits {
            match self.merge(&commit, tree)? {
                Err(paths) => {
                    return Ok(Rebased::Conflict {
                        commit: commit.id,
                        paths,
                    });
                }
                // What it did is there already.
                Ok(merged) if merged == tree => {}
                Ok(merged) => {
                    current = self.replant(&commit, merged, current)?;
                    tree = merged;
                }
            }
        }
        Ok(Rebased::Clean { tip: current, tree })
    }

    fn merge(&self, commit: &CommitInfo, ours: Oid) -> Result<Result<Oid, Vec<String>>, GitError> {
        let failed = |what| GitError::git(what, self.path());
        let repo = self.repo();
        let parent = match commit.parents.first() {
            Some(parent) => self.commit_info(*parent)?.tree,
            None => return Err(self.malformed(commit.id, "a commit without a parent")),
        };
        let find = |id| repo.find_tree(id).map_err(failed("find a tree"));
        let mut options = MergeOptions::new();
        options.find_renames(true);
        let mut index = repo
            .merge_trees(
                &find(parent)?,
                &find(ours)?,
                &find(commit.tree)?,
                Some(&options),
            )
            .map_err(failed("merge two trees"))?;
        if !index.has_conflicts() {
            return index
                .write_tree_to(repo)
                .map(Ok)
                .map_err(failed("write a merged tree"));
        }
        let mut paths = Vec::new();
        for conflict in index.conflicts().map_err(failed("read conflicts"))? {
            let conflict = conflict.map_err(failed("read conflicts"))?;
            let side = conflict.our.or(conflict.their).or(conflict.ancestor);
            if let Some(side) = side {
                paths.push(String::from_utf8_lossy(&side.path).into_owned());
            }
        }
        paths.dedup();
        Ok(Err(paths))
    }

    /// The same commit with another tree and parent.
    fn replant(&self, commit: &CommitInfo, tree: Oid, parent: Oid) -> Result<Oid, GitError> {
        let failed = |what| GitError::git(what, self.path());
        let repo = self.repo();
        let old = repo
            .find_commit(commit.id)
            .map_err(failed("read a commit"))?;
        let tree = repo.find_tree(tree).map_err(failed("find a tree"))?;
        let parent = repo.find_commit(parent).map_err(failed("read a commit"))?;
        repo.commit(
            None,
            &old.author(),
            &old.committer(),
            &commit.message,
            &tree,
            &[&parent],
        )
        .map_err(failed("make a commit"))
    }
}

impl Worktree {
    /// Brings index and files of this checkout from one tree to another. Refuses, naming the
    /// paths, if a touched one is dirty; then nothing has been changed. Only on the user's
    /// word. The objects must be in the user's repository already.
    pub fn checkout(&self, from: Oid, to: Oid) -> Result<Result<(), Vec<PathBuf>>, GitError> {
        use std::os::unix::ffi::OsStrExt;
        let failed = |what| GitError::git(what, &self.root);
        let repo = self.open()?;
        let find = |id| repo.find_tree(id).map_err(failed("find a tree"));
        let (from, to) = (find(from)?, find(to)?);
        let dirty = std::cell::RefCell::new(Vec::new());
        let mut options = CheckoutBuilder::new();
        options
            .safe()
            .recreate_missing(false)
            .overwrite_ignored(false)
            .notify_on(git2::CheckoutNotificationType::CONFLICT)
            .notify(|_, path, _, _, _| {
                if let Some(path) = path {
                    dirty.borrow_mut().push(path.to_owned());
                }
                true
            });
        let diff = repo
            .diff_tree_to_tree(Some(&from), Some(&to), None)
            .map_err(failed("compare two trees"))?;
        let mut touched = false;
        for delta in diff.deltas() {
            for file in [delta.old_file(), delta.new_file()] {
                if let Some(path) = file.path_bytes() {
                    options.path(std::ffi::OsStr::from_bytes(path));
                    touched = true;
                }
            }
        }
        if !touched {
            return Ok(Ok(()));
        }
        options.disable_pathspec_match(true);
        let answer = repo.checkout_tree(to.as_object(), Some(&mut options));
        drop(options);
        match answer {
            Ok(()) => Ok(Ok(())),
            Err(error) if error.code() == git2::ErrorCode::Conflict => Ok(Err(dirty.into_inner())),
            Err(error) => Err(failed("update the checkout")(error)),
        }
    }
}
