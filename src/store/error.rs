//! What can go wrong with the store, in words for the user.

use rusqlite::ErrorCode;
use std::path::Path;
use std::path::PathBuf;

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It was written by a newer regreen.
    #[error(
        "`{}` was written by a newer regreen (format {found}, this one knows {known}); \
         update regreen, or move the file away to start afresh",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The version found in it.
        found: u32,
        /// The version that this program writes.
        known: u32,
    },
    /// The file is no database.
    #[error("`{}` is damaged; move it away to start afresh", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// No space is left.
    #[error("the disk that holds `{}` is full; free some space (`regreen gc` helps)", path.display())]
    Full {
        /// The store's directory.
        path: PathBuf,
    },
    /// It cannot be written to.
    #[error("`{}` cannot be written to; check its owner, mode and mount", path.display())]
    ReadOnly {
        /// The store's directory.
        path: PathBuf,
    },
    /// The directory cannot be made or used.
    #[error("failed to use `{}` as the state directory", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Anything else that SQLite says.
    #[error("failed to {doing} the store in `{}`", path.display())]
    Sql {
        /// What was being done.
        doing: &'static str,
        /// The store's directory.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(crate) fn sql(doing: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Full { path },
            // What SQLite shares between processes cannot grow: it calls that an I/O error.
            Some(ErrorCode::SystemIoFailure) if is_full(&path) => StoreError::Full { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                StoreError::ReadOnly { path }
            }
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                StoreError::Damaged { path, source }
            }
            _ => StoreError::Sql {
                doing,
                path,
                source,
            },
        }
    }
}

/// Whether less is left on the disk of this directory than a change of the store takes.
fn is_full(dir: &Path) -> bool {
    const NEEDED: u64 = 256 << 10;
    rustix::fs::statvfs(dir).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < NEEDED)
}
