//! What can go wrong with a repository, in words that name the thing, the place, the remedy.

use std::io;
use std::path::Path;
use std::path::PathBuf;

/// Why something could not be read from or written to a repository.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// No `.git` here or above.
    #[error("`{}` is not in a git worktree: go into one, or run `git init`", .0.display())]
    NotARepository(PathBuf),
    /// A repository without a work tree.
    #[error("`{}` is a bare repository, which has no files to test: name a worktree of it", .0.display())]
    Bare(PathBuf),
    /// The repository belongs to somebody else.
    #[error(
        "`{}` belongs to another user: if you trust it, run `git config --global --add safe.directory {}`",
        .0.display(), .0.display()
    )]
    Owner(PathBuf),
    /// `core.worktree` points to another place than the one where `.git` lies.
    #[error(
        "`{}` has `core.worktree` set to `{}`: regreen tests only the directory that `.git` lies in",
        root.display(), configured.display()
    )]
    ForeignWorktree {
        /// Where `.git` lies.
        root: PathBuf,
        /// Where the configuration points.
        configured: PathBuf,
    },
    /// `<git dir>/regreen` is not a directory of ours.
    #[error("refused to use `{}`: {reason}", path.display())]
    PrivateDir {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No room is left where regreen keeps its objects.
    #[error("failed to store an object in `{}`: no space is left there", .0.display())]
    NoSpace(PathBuf),
    /// A revision that names nothing.
    #[error("`{rev}` names no commit or tree of `{}`", repo.display())]
    NoSuchRevision {
        /// What was asked for.
        rev: String,
        /// Where.
        repo: PathBuf,
    },
    /// A file of the repository is in a form that is not supported.
    #[error("failed to understand `{}`: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A ref that regreen must not touch.
    #[error(
        "refused to write `{0}`: only refs below `refs/heads/regreen/` and `refs/regreen/` are regreen's"
    )]
    ForeignRef(String),
    /// A ref moved meanwhile.
    #[error("`{name}` has moved: expected {expected}, found {found}")]
    RefMoved {
        /// The ref.
        name: String,
        /// What it was believed to be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Something in a repository written by an agent that has no business there.
    #[error("refused to read `{}`: {reason}", path.display())]
    Hostile {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// libgit2 refused.
    #[error("failed to {what} (`{}`)", path.display())]
    Git {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Its reason.
        #[source]
        source: git2::Error,
    },
    /// The operating system refused.
    #[error("failed to {what} `{}`", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Its reason.
        #[source]
        source: io::Error,
    },
}

impl GitError {
    /// Whether the disk is what fails, and not what was asked for.
    pub fn is_the_disks(&self) -> bool {
        let disk = [
            io::ErrorKind::ReadOnlyFilesystem,
            io::ErrorKind::StorageFull,
            io::ErrorKind::QuotaExceeded,
        ];
        match self {
            GitError::NoSpace(_) => true,
            GitError::Io { source, .. } => disk.contains(&source.kind()),
            _ => false,
        }
    }

    /// A closure for `map_err` on results of libgit2.
    pub(crate) fn git(
        what: &'static str,
        path: &Path,
    ) -> impl FnOnce(git2::Error) -> GitError + use<> {
        let path = path.to_owned();
        move |source| GitError::Git { what, path, source }
    }

    /// A closure for `map_err` on results of the operating system.
    pub(crate) fn io<E: Into<io::Error>>(
        what: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> GitError + use<E> {
        let path = path.to_owned();
        move |source| GitError::Io {
            what,
            path,
            source: source.into(),
        }
    }
}
