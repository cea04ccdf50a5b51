//! Why a slot could not be had.

use std::io;
use std::path::Path;
use std::path::PathBuf;

/// Why a slot could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SlotError {
    /// The watch's slot is held by another process.
    #[error("slot {number} of this project is in use by process {pid} ({purpose})")]
    Busy {
        /// Its number.
        number: u32,
        /// Who holds it, as its marker says.
        pid: u32,
        /// What for.
        purpose: String,
    },
    /// All slots of a project are in use.
    #[error("all {0} slots of this project are in use")]
    Exhausted(u32),
    /// The directory belongs to somebody else.
    #[error("refused to use `{}`: {reason}", path.display())]
    Refused {
        /// The directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
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

impl SlotError {
    /// A closure for `map_err`.
    pub(crate) fn io<E: Into<io::Error>>(
        what: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> SlotError + use<E> {
        let path = path.to_owned();
        move |source| SlotError::Io {
            what,
            path,
            source: source.into(),
        }
    }
}
