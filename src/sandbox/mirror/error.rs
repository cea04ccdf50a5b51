//! Why a mirror could not be brought up to date.

use crate::git::GitError;
use crate::sandbox::slot::SlotError;
use std::io;
use std::path::Path;
use std::path::PathBuf;

/// Why a mirror could not be brought up to date.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// The repository could not be read, or an object not stored.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The slot's directory could not be used.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// The content of a file of the asked-for state is nowhere to be found.
    #[error(
        "failed to find the content of `{}` ({id}): {reason}",
        path.display()
    )]
    NoContent {
        /// The file.
        path: PathBuf,
        /// Its blob.
        id: String,
        /// Why it is missing, as far as is known.
        reason: String,
    },
    /// No room is left where the slots lie.
    #[error(
        "failed to copy into `{}`: no space is left there; run `regreen gc` or free some",
        .0.display()
    )]
    NoSpace(PathBuf),
    /// The manifest could not be read or written.
    #[error("failed to use the slot's manifest `{}`", path.display())]
    Manifest {
        /// Where it lies.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// A name that is not among the files that tests made.
    #[error("`{}` is not among the files that tests made: see `regreen slots drift`", .0.display())]
    NotMade(PathBuf),
    /// The operating system refused.
    #[error("failed to {what} `{}`", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl MirrorError {
    /// A closure for `map_err`; a full disk gets its own words.
    pub(crate) fn io<E: Into<io::Error>>(
        what: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> MirrorError + use<E> {
        let path = path.to_owned();
        move |source| {
            let source = source.into();
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    MirrorError::NoSpace(path)
                }
                _ => MirrorError::Io { what, path, source },
            }
        }
    }
}
