//! What differs between two trees.

use crate::git::EntryMode;
use crate::git::GitError;
use crate::git::Objects;
use crate::git::Oid;
use git2::Delta;
use git2::Diff;
use git2::DiffFindOptions;
use git2::DiffFormat;
use git2::DiffOptions;

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileChangeKind {
    /// It is new.
    Added,
    /// Its content or mode changed.
    Modified,
    /// It is gone.
    Removed,
}

/// One file that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The path, bytes as git has them.
    pub path: Vec<u8>,
    /// What happened.
    pub kind: FileChangeKind,
    /// What it was.
    pub old: Option<(EntryMode, Oid)>,
    /// What it is.
    pub new: Option<(EntryMode, Oid)>,
}

impl Objects {
    /// The files that differ, sorted by path. A rename is a removal and an addition.
    pub fn changes(&self, old: Oid, new: Oid) -> Result<Vec<FileChange>, GitError> {
        let diff = self.diff(old, new, &mut DiffOptions::new())?;
        let mut changes = Vec::new();
        for delta in diff.deltas() {
            let side = |file: git2::DiffFile<'_>| {
                file.exists()
                    .then(|| (EntryMode::from_raw(u32::from(file.mode())), file.id()))
            };
            let (old, new) = (side(delta.old_file()), side(delta.new_file()));
            let kind = match delta.status() {
                Delta::Added => FileChangeKind::Added,
                Delta::Deleted => FileChangeKind::Removed,
                _ => FileChangeKind::Modified,
            };
            let file = match kind {
                FileChangeKind::Removed => delta.old_file(),
                _ => delta.new_file(),
            };
            let path = file.path_bytes().unwrap_or_default().to_vec();
            changes.push(FileChange {
                path,
                kind,
                old,
                new,
            });
        }
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(changes)
    }

    /// The difference as a unified diff, cut after `cap` bytes at the end of a line.
    pub fn patch(&self, old: Oid, new: Oid, cap: usize) -> Result<Vec<u8>, GitError> {
        let mut options = DiffOptions::new();
        options.context_lines(3).max_size(4 << 20);
        let mut diff = self.diff(old, new, &mut options)?;
        diff.find_similar(Some(DiffFindOptions::new().renames(true)))
            .map_err(GitError::git("find renames", self.path()))?;
        let mut text = Vec::new();
        let printed = diff.print(DiffFormat::Patch, |_, _, line| {
            if text.len() + line.content().len() + 1 > cap {
                return false;
            }
            if matches!(line.origin(), '+' | '-' | ' ') {
                text.push(line.origin() as u8);
            }
            text.extend_from_slice(line.content());
            true
        });
        match printed {
            Err(error) if error.code() != git2::ErrorCode::User => {
                Err(GitError::git("print a diff", self.path())(error))
            }
            _ => Ok(text),
        }
    }

    fn diff(&self, old: Oid, new: Oid, options: &mut DiffOptions) -> Result<Diff<'_>, GitError> {
        let find = |id| {
            self.repo()
                .find_tree(id)
                .map_err(GitError::git("find a tree", self.path()))
        };
        let (old, new) = (find(old)?, find(new)?);
        self.repo()
            .diff_tree_to_tree(Some(&old), Some(&new), Some(options))
            .map_err(GitError::git("compare two trees", self.path()))
    }
}
