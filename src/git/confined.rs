//! Paths below a directory, resolved by the kernel so that no link and no `..` leads out of it.
//!
//! Everything that a sandbox or an agent could have written is read through here: regular files
//! only, without blocking on a FIFO, and never more than a cap.

use rustix::fs::AtFlags;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::ResolveFlags;
use rustix::fs::Stat;
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;

/// Resolution that stays below and follows no link, not even in the last component.
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

/// An open directory that paths are resolved below.
#[derive(Debug)]
pub struct Confined {
    fd: OwnedFd,
    path: PathBuf,
}

impl Confined {
    /// Opens the directory itself; `path` is trusted.
    pub fn open(path: &Path) -> io::Result<Confined> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Confined {
            fd,
            path: path.to_owned(),
        })
    }

    /// Its path on the host, for showing.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this directory still is what lies at its path: one that was removed can be
    /// held on to, and nobody finds what is made in it.
    pub fn is_in_place(&self) -> bool {
        let ours = rustix::fs::fstat(&self.fd);
        let there = rustix::fs::stat(&self.path);
        matches!((ours, there), (Ok(ours), Ok(there))
            if (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino))
    }

    /// Opens a regular file for reading. Anything else is an error, and nothing blocks.
    pub fn open_file(&self, path: &Path) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat2(&self.fd, path, flags, Mode::empty(), RESOLVE)?;
        let file = File::from(fd);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        Ok(file)
    }

    /// Reads a regular file of at most `cap` bytes.
    pub fn read(&self, path: &Path, cap: u64) -> io::Result<Vec<u8>> {
        read_all(self.open_file(path)?, cap)
    }

    /// Opens a directory below; the empty path is this directory.
    pub fn open_dir(&self, path: &Path) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat2(
            &self.fd,
            path,
            flags,
            Mode::empty(),
            RESOLVE,
        )?)
    }

    /// A directory below as a confined root of its own.
    pub fn sub(&self, path: &Path) -> io::Result<Confined> {
        Ok(Confined {
            fd: self.open_dir(path)?,
            path: self.path.join(path),
        })
    }

    /// Opens the directory that `path` lies in and answers it with the last component.
    pub fn parent<'a>(&self, path: &'a Path) -> io::Result<(OwnedFd, &'a std::ffi::OsStr)> {
        let name = path.file_name().ok_or(Errno::INVAL)?;
        let parent = path.parent().unwrap_or(Path::new(""));
        Ok((self.open_dir(parent)?, name))
    }

    /// What lies at `path`, not following a link; `None` if nothing does.
    pub fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        let found = self
            .parent(path)
            .and_then(|(dir, name)| Ok(rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)?));
        match found {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Where a link points.
    pub fn read_link(&self, path: &Path) -> io::Result<Vec<u8>> {
        let (dir, name) = self.parent(path)?;
        Ok(rustix::fs::readlinkat(&dir, name, Vec::new())?.into_bytes())
    }

    /// Makes the directories of `path`, as far as they are missing.
    pub fn make_dirs(&self, path: &Path) -> io::Result<()> {
        let mut made = PathBuf::new();
        for part in path.components() {
            let (dir, name) = (self.open_dir(&made)?, part.as_os_str());
            match rustix::fs::mkdirat(&dir, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            made.push(name);
        }
        Ok(())
    }

    /// Removes a directory if it is empty.
    pub fn remove_empty_dir(&self, path: &Path) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        Ok(rustix::fs::unlinkat(&dir, name, AtFlags::REMOVEDIR)?)
    }

    /// Removes whatever lies at `path`, with everything below it. Nothing there is no error.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        match self.parent(path) {
            Ok((dir, name)) => remove_at(dir.as_fd(), name),
            Err(error) if absent(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Confined {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Gives a directory, which is ours, the owner's rights back that a sandbox took from it.
pub fn regain(path: &Path) -> io::Result<()> {
    let stat = rustix::fs::lstat(path)?;
    let mode = Mode::from_raw_mode(stat.st_mode);
    let is_dir = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir();
    if is_dir && !mode.contains(Mode::RWXU) {
        rustix::fs::chmod(path, mode | Mode::RWXU)?;
    }
    Ok(())
}

/// Removes whatever lies at `path`, which is ours, with everything below it, also where a
/// sandbox took its own rights away. Nothing there is no error.
pub fn remove_all(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    match Confined::open(parent) {
        Ok(parent) => parent.remove(Path::new(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes everything in the directory `path`, which is ours; the directory itself stays the same
/// one, for whoever has it mounted. Makes it where it is missing, or something else stands there.
pub fn empty_dir(path: &Path) -> io::Result<()> {
    if !path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        remove_all(path)?;
        let mut builder = std::fs::DirBuilder::new();
        return builder.recursive(true).mode(0o700).create(path);
    }
    rustix::fs::chmod(path, Mode::RWXU)?;
    for entry in std::fs::read_dir(path)? {
        remove_all(&entry?.path())?;
    }
    Ok(())
}

/// Reads a regular file below `root` of at most `cap` bytes: for report files and the like.
pub fn read_capped(root: &Path, path: &Path, cap: u64) -> io::Result<Vec<u8>> {
    Confined::open(root)?.read(path, cap)
}

fn read_all(file: File, cap: u64) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len();
    let too_large = || {
        io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {cap} bytes"),
        )
    };
    if size > cap {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(size as usize);
    // It may grow while it is read.
    file.take(cap.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > cap {
        return Err(too_large());
    }
    Ok(bytes)
}

/// Nothing is there, or something else than a directory (a link, say) stands in the way.
fn absent(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
    )
}

/// How deep a tree is removed; deeper ones were made to exhaust somebody.
const MAX_DEPTH: usize = 2_000;

fn remove_at(dir: BorrowedFd<'_>, name: &std::ffi::OsStr) -> io::Result<()> {
    remove_below(dir, name, 0)
}

fn remove_below(dir: BorrowedFd<'_>, name: &std::ffi::OsStr, depth: usize) -> io::Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(Errno::ACCESS) if depth == 0 => {}
        Err(error) => return Err(error.into()),
    }
    if depth > MAX_DEPTH {
        return Err(io::Error::other("directories are nested too deep"));
    }
    // A test may have taken its own rights away.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(dir, name, flags, Mode::empty());
    let below = match open() {
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(dir, name, Mode::RWXU, AtFlags::empty())?;
            open()?
        }
        other => other?,
    };
    let mode = Mode::from_raw_mode(rustix::fs::fstat(&below)?.st_mode);
    if !mode.contains(Mode::RWXU) {
        // Without the right to search nothing can be listed, without that to write unlinked.
        rustix::fs::fchmod(&below, Mode::RWXU)?;
    }
    for name in list(below.as_fd())? {
        remove_below(below.as_fd(), &name, depth + 1)?;
    }
    match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn list(dir: BorrowedFd<'_>) -> io::Result<Vec<std::ffi::OsString>> {
    use std::os::unix::ffi::OsStrExt;
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(std::ffi::OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_fifos_and_giants_are_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let outside = tempfile::tempdir().expect("a directory");
        std::fs::write(outside.path().join("secret"), "s").expect("write");
        symlink(outside.path(), dir.path().join("out")).expect("link");
        symlink(outside.path().join("secret"), dir.path().join("leaf")).expect("link");
        std::fs::write(dir.path().join("big"), vec![b'x'; 100]).expect("write");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            dir.path().join("fifo"),
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .expect("a FIFO");
        let root = Confined::open(dir.path()).expect("open");
        for path in [
            "out/secret",
            "leaf",
            "../x",
            "/etc/passwd",
            "fifo",
            "missing",
        ] {
            assert!(root.read(Path::new(path), 1000).is_err(), "{path} was read");
        }
        let error = root.read(Path::new("big"), 99).expect_err("too large");
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(root.read(Path::new("big"), 100).expect("fits").len(), 100);
    }

    #[test]
    fn removal_does_not_follow_links() {
        let dir = tempfile::tempdir().expect("a directory");
        let outside = tempfile::tempdir().expect("a directory");
        std::fs::write(outside.path().join("keep"), "k").expect("write");
        std::fs::create_dir_all(dir.path().join("a/b")).expect("directories");
        symlink(outside.path(), dir.path().join("a/b/out")).expect("link");
        let root = Confined::open(dir.path()).expect("open");
        root.remove(Path::new("a")).expect("removed");
        assert!(!dir.path().join("a").exists());
        assert!(outside.path().join("keep").exists());
        root.remove(Path::new("a/never")).expect("nothing to do");
    }
}
