//! The status file, replaced atomically.
//!
//! The git directory belongs to the user, but what lies in it may have come with a hostile
//! clone: `regreen` in it could be a symbolic link. So the directory is opened by descriptor
//! without following links, its owner is checked, and everything happens below the descriptor.

use rustix::fs::AtFlags;
use rustix::fs::FileType;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::path::PathBuf;

/// Why a status file could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusFileError {
    /// A place in its path is not what it should be.
    #[error("`{}` is not a directory of this user; remove it", path.display())]
    Planted {
        /// The place.
        path: PathBuf,
    },
    /// It was removed, and the directory around it may be on its way out too.
    #[error("`{}` was removed", path.display())]
    Removed {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("failed to write `{}`", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A project's status file: where it lies and how it is replaced.
#[derive(Debug)]
pub struct StatusFile {
    dir: OwnedFd,
    path: PathBuf,
    /// Whether the git directory could not be used.
    fallback: Option<String>,
    /// It was written by this; nobody but somebody who removes it all takes it away.
    written: bool,
}

const NAME: &str = "status.json";

/// One writer a project (single instance), so that one name does; what a dead one left is
/// simply replaced.
const TEMPORARY: &str = "status.json.new";

const MODE: Mode = Mode::from_raw_mode(0o644);

/// No status file is larger; what is, is none.
const MAX_BYTES: u64 = 16 << 20;

impl StatusFile {
    /// In `<git dir>/regreen`, or, where that cannot be written, in `fallback` (made if
    /// missing).
    ///
    /// # Errors
    /// When neither can be used.
    pub fn open(git_dir: &Path, fallback: &Path) -> Result<StatusFile, StatusFileError> {
        let first = git_dir.join("regreen");
        match open_dir(git_dir, OsStr::new("regreen")).and_then(|dir| {
            probe(&dir, &first)?;
            Ok(dir)
        }) {
            Ok(dir) => Ok(StatusFile {
                dir,
                path: first.join(NAME),
                fallback: None,
                written: false,
            }),
            Err(error) => {
                let reason = match &error {
                    StatusFileError::Io { source, .. } => format!("{error}: {source}"),
                    _ => error.to_string(),
                };
                let io = |source| StatusFileError::Io {
                    path: fallback.to_owned(),
                    source,
                };
                std::fs::create_dir_all(fallback).map_err(io)?;
                let (Some(parent), Some(name)) = (fallback.parent(), fallback.file_name()) else {
                    return Err(error);
                };
                Ok(StatusFile {
                    dir: open_dir(parent, name)?,
                    path: fallback.join(NAME),
                    fallback: Some(reason),
                    written: false,
                })
            }
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its directory still stands where it was opened: a file must not follow its
    /// project's directory to where that is another project's.
    pub fn is_in_place(&self) -> bool {
        let Some(dir) = self.path.parent() else {
            return false;
        };
        let (Ok(ours), Ok(there)) = (rustix::fs::fstat(&self.dir), rustix::fs::lstat(dir)) else {
            return false;
        };
        (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)
    }

    /// Why it does not lie in the git directory, if it does not.
    pub fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    /// Replaces the file. Not synced to the disk: after a power cut a reader sees by
    /// `next_update_by` that the daemon is dead.
    ///
    /// # Errors
    /// When the system refuses; the old file is then still whole. When what was written before
    /// is gone: a file that comes up under the hands of whoever removes the directory keeps
    /// that from being done.
    pub fn write(&mut self, text: &[u8]) -> Result<(), StatusFileError> {
        if self.written && !(self.is_in_place() && self.stands()) {
            let path = self.path.clone();
            return Err(StatusFileError::Removed { path });
        }
        let io = |source: std::io::Error| StatusFileError::Io {
            path: self.path.clone(),
            source,
        };
        let named = match self.unnamed(text) {
            Ok(Some(file)) => self.name(&file),
            // Not every file system has files without a name.
            Ok(None) => self.named(text),
            Err(error) => Err(error),
        };
        named.map_err(io)?;
        if self.written && !self.stands() {
            self.withdraw();
            let path = self.path.clone();
            return Err(StatusFileError::Removed { path });
        }
        if let Err(errno) = rustix::fs::renameat(&self.dir, TEMPORARY, &self.dir, NAME) {
            self.withdraw();
            return Err(io(errno.into()));
        }
        self.written = true;
        Ok(())
    }

    /// The text in a file that has no name yet: whoever removes the directory meanwhile finds
    /// nothing more in it. `None` where there is no such thing.
    fn unnamed(&self, text: &[u8]) -> std::io::Result<Option<File>> {
        let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.dir, ".", flags, MODE);
        let mut file = match opened {
            Ok(file) => File::from(file),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        file.write_all(text)?;
        Ok(Some(file))
    }

    /// Gives an unnamed file the temporary name.
    fn name(&self, file: &File) -> std::io::Result<()> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let link = || {
            let follow = AtFlags::SYMLINK_FOLLOW;
            rustix::fs::linkat(rustix::fs::CWD, &path, &self.dir, TEMPORARY, follow)
        };
        match link() {
            Err(Errno::EXIST) => {
                self.withdraw();
                Ok(link()?)
            }
            other => Ok(other?),
        }
    }

    /// The text in a file of the temporary name.
    fn named(&self, text: &[u8]) -> std::io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(&self.dir, TEMPORARY, flags | OFlags::NOFOLLOW, MODE);
        let file = match open() {
            Err(Errno::EXIST) => {
                self.withdraw();
                open()
            }
            other => other,
        }?;
        let written = File::from(file).write_all(text);
        if written.is_err() {
            self.withdraw();
        }
        written
    }

    /// Nothing more can be done about a leftover on a disk that refuses this.
    fn withdraw(&self) {
        let _ = rustix::fs::unlinkat(&self.dir, TEMPORARY, AtFlags::empty());
    }

    fn stands(&self) -> bool {
        rustix::fs::statat(&self.dir, NAME, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }
}

/// Reads a status file that lies in `dir`, without following a link at `dir` or at the file.
/// `None` when there is none.
///
/// # Errors
/// When there is something that is no status file of this user, or the system refuses.
pub fn read(dir: &Path) -> Result<Option<Vec<u8>>, StatusFileError> {
    let path = dir.join(NAME);
    let io = |errno: Errno| StatusFileError::Io {
        path: path.clone(),
        source: errno.into(),
    };
    let planted = || StatusFileError::Planted { path: path.clone() };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = match rustix::fs::open(dir, flags | OFlags::DIRECTORY, Mode::empty()) {
        Ok(opened) => opened,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP | Errno::NOTDIR) => return Err(planted()),
        Err(errno) => return Err(io(errno)),
    };
    let file = match rustix::fs::openat(&opened, NAME, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Err(planted()),
        Err(errno) => return Err(io(errno)),
    };
    let meta = rustix::fs::fstat(&file).map_err(io)?;
    if !FileType::from_raw_mode(meta.st_mode).is_file() {
        return Err(planted());
    }
    let mut text = Vec::new();
    File::from(file)
        .take(MAX_BYTES)
        .read_to_end(&mut text)
        .map_err(|source| StatusFileError::Io {
            path: path.clone(),
            source,
        })?;
    Ok(Some(text))
}

/// Opens `parent/name` as a directory of this user without following a link at `name`; makes
/// it when it is missing.
fn open_dir(parent: &Path, name: &OsStr) -> Result<OwnedFd, StatusFileError> {
    let path = parent.join(name);
    let io = |path: &Path, errno: Errno| StatusFileError::Io {
        path: path.to_owned(),
        source: errno.into(),
    };
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
    let above =
        rustix::fs::open(parent, flags, Mode::empty()).map_err(|errno| io(parent, errno))?;
    match rustix::fs::mkdirat(&above, name, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(io(&path, errno)),
    }
    let dir = match rustix::fs::openat(&above, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(dir) => dir,
        Err(Errno::LOOP | Errno::NOTDIR) => return Err(StatusFileError::Planted { path }),
        Err(errno) => return Err(io(&path, errno)),
    };
    let meta = rustix::fs::fstat(&dir).map_err(|errno| io(&path, errno))?;
    if meta.st_uid != rustix::process::geteuid().as_raw() {
        return Err(StatusFileError::Planted { path });
    }
    Ok(dir)
}

/// Finds out now, and not at the first verdict, whether files can be made here.
fn probe(dir: &OwnedFd, path: &Path) -> Result<(), StatusFileError> {
    let name = "status.json.probe";
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o600))
        .and_then(|_| rustix::fs::unlinkat(dir, name, AtFlags::empty()))
        .map_err(|errno| StatusFileError::Io {
            path: path.to_owned(),
            source: errno.into(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn places() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let git = dir.path().join("repo/.git");
        fs::create_dir_all(&git).unwrap();
        let fallback = dir.path().join("state/projects/p1");
        (dir, git, fallback)
    }

    #[test]
    fn is_replaced_and_leaves_nothing_beside_it() {
        let (_dir, git, fallback) = places();
        let mut file = StatusFile::open(&git, &fallback).unwrap();
        fs::write(git.join("regreen/status.json.new"), "left by a dead one").unwrap();
        file.write(b"one").unwrap();
        file.write(b"two").unwrap();
        assert_eq!(fs::read(file.path()).unwrap(), b"two");
        assert_eq!(fs::read_dir(git.join("regreen")).unwrap().count(), 1);
        assert!(!fallback.exists());
    }

    #[test]
    fn a_directory_that_moved_is_another_place() {
        let (dir, git, fallback) = places();
        let file = StatusFile::open(&git, &fallback).unwrap();
        assert!(file.is_in_place());
        fs::rename(dir.path().join("repo"), dir.path().join("moved")).unwrap();
        assert!(!file.is_in_place());
        fs::create_dir_all(git.join("regreen")).unwrap();
        assert!(!file.is_in_place());
    }

    #[test]
    fn what_somebody_removes_does_not_come_up_again() {
        let dir = tempfile::tempdir().unwrap();
        let git = dir.path().join(".git");
        fs::create_dir(&git).unwrap();
        let mut file = StatusFile::open(&git, &dir.path().join("fallback")).unwrap();
        file.write(b"one").unwrap();
        fs::remove_file(file.path()).unwrap();
        let error = file.write(b"two").unwrap_err();
        assert!(matches!(error, StatusFileError::Removed { .. }), "{error}");
        fs::remove_dir(git.join("regreen")).unwrap();
        let error = file.write(b"three").unwrap_err();
        assert!(matches!(error, StatusFileError::Removed { .. }), "{error}");
        assert_eq!(fs::read_dir(&git).unwrap().count(), 0);
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let (dir, git, fallback) = places();
        let victim = dir.path().join("victim");
        fs::create_dir(&victim).unwrap();
        symlink(&victim, git.join("regreen")).unwrap();
        let mut file = StatusFile::open(&git, &fallback).unwrap();
        file.write(b"x").unwrap();
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
        assert_eq!(file.path(), fallback.join("status.json"));
        assert!(
            file.fallback()
                .unwrap()
                .contains("not a directory of this user")
        );
    }

    #[test]
    fn a_planted_temporary_link_is_not_followed() {
        let (dir, git, fallback) = places();
        let victim = dir.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        let mut file = StatusFile::open(&git, &fallback).unwrap();
        symlink(&victim, git.join("regreen/status.json.new")).unwrap();
        file.write(b"x").unwrap();
        symlink(&victim, git.join("regreen/status.json.new")).unwrap();
        fs::remove_file(file.path()).unwrap();
        symlink(&victim, file.path()).unwrap();
        file.write(b"y").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert_eq!(fs::read(file.path()).unwrap(), b"y");
        assert!(!file.path().is_symlink());
    }
}
