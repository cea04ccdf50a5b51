//! A checkout that a kill cut short, brought to its end: what it had written is known from
//! both of its trees, and anything else is the user's.

use crate::git::Confined;
use crate::git::GitError;
use crate::git::Oid;
use crate::git::Worktree;
use crate::model::Timestamp;
use git2::DiffOptions;
use git2::Repository;
use git2::Tree;
use git2::build::CheckoutBuilder;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::UNIX_EPOCH;

/// A file is looked at up to this size.
const LOOKED_AT: u64 = 1 << 30;
/// A lock that a landing left behind is not older than the landing's own plan, and not younger
/// than this after it.
const LONGEST: Duration = Duration::from_secs(60);

/// The touched paths, and the blob that each has in the new tree.
type Touched = BTreeMap<PathBuf, Option<Oid>>;

impl Worktree {
    /// Brings index and files from one tree to another where an earlier
    /// [`checkout`](Worktree::checkout) of the same trees may have been killed half-way. A path
    /// that has the content of either tree, or the beginning of the new content, is taken for
    /// what that checkout left; if a path has anything else the paths are named and nothing is
    /// changed.
    pub fn settle(&self, from: Oid, to: Oid) -> Result<Result<(), Vec<PathBuf>>, GitError> {
        let failed = |what| GitError::git(what, &self.root);
        let repo = self.open()?;
        let find = |id| repo.find_tree(id).map_err(failed("find a tree"));
        let (from, to) = (find(from)?, find(to)?);
        let touched = self.touched(&repo, &from, &to)?;
        if touched.is_empty() {
            return Ok(Ok(()));
        }
        let unlike_old = self.unlike(&repo, &from, &touched)?;
        let unlike_new = self.unlike(&repo, &to, &touched)?;
        let copy = Confined::open(&self.root).map_err(GitError::io("open", &self.root))?;
        let foreign: Vec<PathBuf> = touched
            .iter()
            .filter(|(path, new)| {
                let neither = unlike_old.contains(*path) && unlike_new.contains(*path);
                in_the_way(&copy, path) || (neither && !torn(&repo, &copy, path, **new))
            })
            .map(|(path, _)| path.clone())
            .collect();
        if !foreign.is_empty() {
            return Ok(Err(foreign));
        }
        let mut options = CheckoutBuilder::new();
        options.force().disable_pathspec_match(true);
        for path in touched.keys() {
            options.path(path);
        }
        repo.checkout_tree(to.as_object(), Some(&mut options))
            .map_err(failed("update the checkout"))?;
        Ok(Ok(()))
    }

    /// Removes the locks that a landing which began at `since` and was killed left on the index
    /// and on its branch. One that another process has open, or that is of another time, stays.
    pub fn forget_landing_locks(&self, branch: &str, since: Timestamp) -> Result<(), GitError> {
        let locks = [
            self.git_dir.join("index.lock"),
            self.common_dir.join(format!("refs/heads/{branch}.lock")),
        ];
        for lock in locks {
            if left_since(&lock, since) && !is_open(&lock) {
                std::fs::remove_file(&lock).map_err(GitError::io("remove", &lock))?;
            }
        }
        Ok(())
    }

    fn touched(
        &self,
        repo: &Repository,
        from: &Tree<'_>,
        to: &Tree<'_>,
    ) -> Result<Touched, GitError> {
        let diff = repo
            .diff_tree_to_tree(Some(from), Some(to), None)
            .map_err(GitError::git("compare two trees", &self.root))?;
        let mut touched = Touched::new();
        for delta in diff.deltas() {
            let (old, new) = (delta.old_file(), delta.new_file());
            let blob = (!new.id().is_zero()).then(|| new.id());
            for (file, blob) in [(old, blob), (new, blob)] {
                if let Some(path) = file.path_bytes() {
                    touched.insert(PathBuf::from(OsStr::from_bytes(path)), blob);
                }
            }
        }
        Ok(touched)
    }

    /// Those of the touched paths that are not in the work tree as they are in the tree.
    fn unlike(
        &self,
        repo: &Repository,
        tree: &Tree<'_>,
        touched: &Touched,
    ) -> Result<BTreeSet<PathBuf>, GitError> {
        let mut options = DiffOptions::new();
        options
            .include_untracked(true)
            .recurse_untracked_dirs(true)
            .include_ignored(true)
            .recurse_ignored_dirs(true)
            .include_typechange(true)
            .disable_pathspec_match(true)
            .skip_binary_check(true);
        for path in touched.keys() {
            options.pathspec(path);
        }
        let diff = repo
            .diff_tree_to_workdir(Some(tree), Some(&mut options))
            .map_err(GitError::git("compare the work tree", &self.root))?;
        let mut unlike = BTreeSet::new();
        for delta in diff.deltas() {
            for file in [delta.old_file(), delta.new_file()] {
                if let Some(path) = file.path_bytes() {
                    unlike.insert(PathBuf::from(OsStr::from_bytes(path)));
                }
            }
        }
        Ok(unlike)
    }
}

/// Whether something that is no directory lies where the path needs one.
fn in_the_way(copy: &Confined, path: &Path) -> bool {
    let parents = path.ancestors().skip(1);
    let mut named = parents.filter(|dir| !dir.as_os_str().is_empty());
    named.any(|dir| match copy.stat(dir) {
        Ok(Some(stat)) => !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir(),
        Ok(None) => false,
        // Through a link, or not readable: not what a checkout leaves.
        Err(_) => true,
    })
}

/// Whether what lies there is what a kill in the middle of writing the blob leaves: nothing
/// yet, or the beginning of it.
fn torn(repo: &Repository, copy: &Confined, path: &Path, new: Option<Oid>) -> bool {
    match copy.stat(path) {
        Ok(None) => return true,
        Ok(Some(_)) => {}
        Err(_) => return false,
    }
    let (Some(new), Ok(there)) = (new, copy.read(path, LOOKED_AT)) else {
        return false;
    };
    repo.find_blob(new)
        .is_ok_and(|blob| blob.content().starts_with(&there))
}

fn left_since(lock: &Path, since: Timestamp) -> bool {
    let Ok(meta) = lock.symlink_metadata() else {
        return false;
    };
    let modified = meta.modified().ok();
    let age = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let Some(age) = age.and_then(|age| i64::try_from(age.as_millis()).ok()) else {
        return false;
    };
    let at = Timestamp::from_millis(age);
    meta.is_file() && at >= since && at.since(since) <= LONGEST
}

/// Whether a process that we can look at has the file open.
fn is_open(path: &Path) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return false;
    };
    let mut fds = processes
        .flatten()
        .filter_map(|process| std::fs::read_dir(process.path().join("fd")).ok())
        .flatten()
        .flatten();
    fds.any(|fd| std::fs::read_link(fd.path()).is_ok_and(|target| target == path))
}
