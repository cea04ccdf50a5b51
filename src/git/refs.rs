//! Refs, moved by compare-and-swap only.

use crate::git::GitError;
use crate::git::Objects;
use crate::git::Oid;
use crate::git::Worktree;
use git2::ErrorCode;
use git2::Repository;
use std::path::Path;

/// One move of a ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// The full name.
    pub name: String,
    /// What it must be now; `None`: it must not exist.
    pub old: Option<Oid>,
    /// What it becomes; `None`: it is removed.
    pub new: Option<Oid>,
    /// The line for the reflog.
    pub log: String,
}

impl Objects {
    /// Reads a ref of regreen's own repository.
    pub fn read_ref(&self, name: &str) -> Result<Option<Oid>, GitError> {
        read(self.repo(), name, self.path())
    }

    /// Moves a ref of regreen's own repository, if it is what it is believed to be.
    pub fn write_ref(&self, update: &RefUpdate) -> Result<(), GitError> {
        swap(self.repo(), update, self.path())
    }

    /// The refs of regreen's own repository below a prefix, with what they name.
    pub fn refs(&self, prefix: &str) -> Result<Vec<(String, Oid)>, GitError> {
        list(self.repo(), prefix, self.path())
    }
}

/// Removes the lock that a killed regreen left on a ref of its own. The caller must know that
/// no other regreen is moving that ref.
fn forget(dir: &Path, name: &str) -> Result<(), GitError> {
    let path = dir.join(format!("{name}.lock"));
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(GitError::io("remove", &path)(error))
        }
        _ => Ok(()),
    }
}

impl Objects {
    /// Removes the lock that a killed regreen left on a ref. The caller must know that no other
    /// regreen is moving it.
    pub fn forget_lock(&self, name: &str) -> Result<(), GitError> {
        forget(self.path(), name)
    }
}

impl Worktree {
    /// The same for one of regreen's refs in the user's repository.
    pub fn forget_lock(&self, name: &str) -> Result<(), GitError> {
        if !name.starts_with("refs/heads/regreen/") {
            return Err(GitError::ForeignRef(name.to_owned()));
        }
        forget(&self.common_dir, name)
    }

    /// Reads any ref of the user's.
    pub fn read_ref(&self, name: &str) -> Result<Option<Oid>, GitError> {
        read(&self.open()?, name, &self.git_dir)
    }

    /// The user's refs below a prefix, with what they name.
    pub fn refs(&self, prefix: &str) -> Result<Vec<(String, Oid)>, GitError> {
        list(&self.open()?, prefix, &self.git_dir)
    }

    /// In how many files what stands in the worktree differs from a commit's tree, or, without
    /// one, from the index. Files that git ignores do not count. Nothing is written or started.
    pub fn differences(&self, tree: Option<Oid>) -> Result<usize, GitError> {
        let repo = self.open()?;
        let failed = || GitError::git("compare the work tree", &self.root);
        let mut options = git2::DiffOptions::new();
        options.include_untracked(true).recurse_untracked_dirs(true);
        let diff = match tree {
            Some(tree) => {
                let tree = repo.find_tree(tree).map_err(failed())?;
                repo.diff_tree_to_workdir_with_index(Some(&tree), Some(&mut options))
            }
            None => repo.diff_index_to_workdir(None, Some(&mut options)),
        };
        Ok(diff.map_err(failed())?.deltas().len())
    }

    /// A branch of the user's own that has a commit.
    pub fn branch_with(&self, commit: Oid) -> Result<Option<String>, GitError> {
        let repo = self.open()?;
        for (name, tip) in list(&repo, "refs/heads/", &self.git_dir)? {
            let Some(branch) = name.strip_prefix("refs/heads/") else {
                continue;
            };
            let has = tip == commit
                || repo
                    .graph_descendant_of(tip, commit)
                    .map_err(GitError::git("look through the history", &self.git_dir))?;
            if has && !branch.starts_with("regreen/") {
                return Ok(Some(branch.to_owned()));
            }
        }
        Ok(None)
    }

    /// Moves one of regreen's refs in the user's repository, if it is what it is believed to be.
    pub fn write_ref(&self, update: &RefUpdate) -> Result<(), GitError> {
        let ours = ["refs/heads/regreen/", "refs/regreen/"];
        if !ours.iter().any(|prefix| update.name.starts_with(prefix)) {
            return Err(GitError::ForeignRef(update.name.clone()));
        }
        swap(&self.open()?, update, &self.git_dir)
    }

    /// Moves the user's own branch: only for landing, which the user asked for.
    pub fn land_branch(&self, branch: &str, old: Oid, new: Oid, log: &str) -> Result<(), GitError> {
        let update = RefUpdate {
            name: format!("refs/heads/{branch}"),
            old: Some(old),
            new: Some(new),
            log: log.to_owned(),
        };
        swap(&self.open()?, &update, &self.git_dir)
    }
}

fn read(repo: &Repository, name: &str, path: &Path) -> Result<Option<Oid>, GitError> {
    match repo.refname_to_id(name) {
        Ok(id) => Ok(Some(id)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(GitError::git("read a ref", path)(error)),
    }
}

fn list(repo: &Repository, prefix: &str, path: &Path) -> Result<Vec<(String, Oid)>, GitError> {
    let references = repo
        .references_glob(&format!("{prefix}*"))
        .map_err(GitError::git("list the refs", path))?;
    let mut found = Vec::new();
    for reference in references {
        let reference = reference.map_err(GitError::git("list the refs", path))?;
        if let (Ok(name), Some(id)) = (reference.name(), reference.target()) {
            found.push((name.to_owned(), id));
        }
    }
    found.sort();
    Ok(found)
}

/// The lock of a libgit2 transaction is the same `<ref>.lock` that git itself takes.
fn swap(repo: &Repository, update: &RefUpdate, path: &Path) -> Result<(), GitError> {
    let mut transaction = repo
        .transaction()
        .map_err(GitError::git("begin moving a ref", path))?;
    transaction
        .lock_ref(&update.name)
        .map_err(GitError::git("lock a ref", path))?;
    let found = read(repo, &update.name, path)?;
    if found != update.old {
        let show = |id: Option<Oid>| id.map_or("nothing".to_owned(), |id| id.to_string());
        return Err(GitError::RefMoved {
            name: update.name.clone(),
            expected: show(update.old),
            found: show(found),
        });
    }
    match update.new {
        Some(new) => {
            let who = git2::Signature::now("regreen", "regreen@localhost")
                .map_err(GitError::git("sign a reflog line", path))?;
            transaction.set_target(&update.name, new, Some(&who), &update.log)
        }
        None => transaction.remove(&update.name),
    }
    .map_err(GitError::git("move a ref", path))?;
    transaction
        .commit()
        .map_err(GitError::git("move a ref", path))
}
