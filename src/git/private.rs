//! `<git dir>/regreen/`: the only place in the user's repository that regreen writes to for a
//! watch. It is reached by descriptor and without following links, because a cloned repository
//! can be hostile.

use crate::git::GitError;
use rustix::fs::AtFlags;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::path::PathBuf;

/// An open `<git dir>/regreen/`, owned by us.
#[derive(Debug)]
pub struct PrivateDir {
    fd: OwnedFd,
    path: PathBuf,
}

impl PrivateDir {
    /// Opens the directory, making it if needed; refuses a link and a directory of another owner.
    pub fn open(git_dir: &Path) -> Result<PrivateDir, GitError> {
        let path = git_dir.join("regreen");
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let parent = rustix::fs::open(git_dir, flags, Mode::empty())
            .map_err(GitError::io("open", git_dir))?;
        match rustix::fs::mkdirat(&parent, "regreen", Mode::RWXU) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(GitError::io("make", &path)(error)),
        }
        let refused = |reason: String| GitError::PrivateDir {
            path: path.clone(),
            reason,
        };
        let fd = rustix::fs::openat(&parent, "regreen", flags, Mode::empty()).map_err(|error| {
            match error {
                rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR => {
                    refused("it is a link or a file, not a directory; remove it".to_owned())
                }
                error => GitError::io("open", &path)(error),
            }
        })?;
        let owner = rustix::fs::fstat(&fd)
            .map_err(GitError::io("look at", &path))?
            .st_uid;
        let us = rustix::process::geteuid().as_raw();
        if owner != us {
            return Err(refused(format!("it belongs to user {owner}, not to {us}")));
        }
        Ok(PrivateDir { fd, path })
    }

    /// Its path, for showing.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces a file in it atomically: a reader sees the old content or the new one.
    /// Not synced to the disk; what lies here is remade at every start.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), GitError> {
        let temporary = format!(".{name}.{}", std::process::id());
        let path = self.path.join(name);
        let written = self.write_temporary(&temporary, bytes).and_then(|()| {
            rustix::fs::renameat(&self.fd, temporary.as_str(), &self.fd, name).map_err(Into::into)
        });
        written.map_err(|error| {
            // The temporary file may not exist; the first error is the one to tell.
            let _ = rustix::fs::unlinkat(&self.fd, temporary.as_str(), AtFlags::empty());
            GitError::io("write", &path)(error)
        })
    }

    fn write_temporary(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        // Left behind by a process of the same id that was killed.
        let _ = rustix::fs::unlinkat(&self.fd, name, AtFlags::empty());
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)?;
        File::from(fd).write_all(bytes)
    }

    /// Reads a small file of it, if it exists and is a regular file.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, GitError> {
        let path = self.path.join(name);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(GitError::io("open", &path)(error)),
        };
        let file = File::from(fd);
        let kind = file.metadata().map_err(GitError::io("look at", &path))?;
        if !kind.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(16 << 20)
            .read_to_end(&mut bytes)
            .map_err(GitError::io("read", &path))?;
        Ok(Some(bytes))
    }

    /// Removes a file of it, if it exists.
    pub fn remove(&self, name: &OsStr) -> Result<(), GitError> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(GitError::io("remove", &self.path.join(name))(error)),
        }
    }
}

impl AsFd for PrivateDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
