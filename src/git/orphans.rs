//! Object stores of worktrees that are gone.

use crate::git::GitError;
use crate::git::Worktree;
use crate::model::ProjectId;
use rustix::fs::FlockOperation;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;

/// The file that says which worktree a project's directory is about.
const ROOT: &str = "root";

/// A project's directory whose worktree is gone. Nobody opens its store while this lives.
#[derive(Debug)]
pub struct Orphan {
    /// The directory, all of which nobody needs.
    pub dir: PathBuf,
    _lock: File,
}

/// Says whose directory it is, for [`orphans`].
pub(crate) fn mark(dir: &Path, worktree: &Worktree) -> Result<(), GitError> {
    let (path, root) = (dir.join(ROOT), worktree.root.as_os_str().as_bytes());
    if std::fs::read(&path).is_ok_and(|known| known == root) {
        return Ok(());
    }
    std::fs::write(&path, root).map_err(GitError::io("write", &path))
}

/// The worktree that a project's directory below a state directory is about.
pub fn worktree_of(state_dir: &Path, project: &ProjectId) -> Option<PathBuf> {
    let dir = state_dir.join("projects").join(project.as_str());
    let root = std::fs::read(dir.join(ROOT)).ok()?;
    Some(PathBuf::from(OsStr::from_bytes(&root)))
}

/// The projects below a state directory whose worktree is gone, that nobody uses, and whose
/// store keeps nothing by a ref. One that does not say whose it is stays.
pub fn orphans(state_dir: &Path) -> Vec<Orphan> {
    let Ok(projects) = std::fs::read_dir(state_dir.join("projects")) else {
        return Vec::new();
    };
    projects
        .flatten()
        .filter_map(|entry| orphan(entry.path()))
        .collect()
}

fn orphan(dir: PathBuf) -> Option<Orphan> {
    let root = std::fs::read(dir.join(ROOT)).ok()?;
    let git = Path::new(OsStr::from_bytes(&root)).join(".git");
    // Only what is certainly not there: not what cannot be looked at.
    let gone = git.symlink_metadata().err()?.kind() == std::io::ErrorKind::NotFound;
    let store = dir.join("objects.git");
    if !gone || keeps_something(&store) {
        return None;
    }
    let lock = File::open(store.with_extension("lock")).ok()?;
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(Orphan { dir, _lock: lock })
}

/// Whether a store has a ref: what a loop made, and nobody has taken over.
fn keeps_something(store: &Path) -> bool {
    let mut queue = vec![store.join("refs")];
    while let Some(dir) = queue.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => queue.push(entry.path()),
                _ => return true,
            }
        }
    }
    store.join("packed-refs").exists()
}
