//! The content of one file on its way into the slot.

use crate::git::Confined;
use crate::git::GitError;
use crate::git::Objects;
use crate::git::Oid;
use crate::sandbox::mirror::MirrorError;
use crate::sandbox::mirror::Reason;
use crate::sandbox::mirror::manifest::Stamp;
use crate::sandbox::mirror::walk::kind_of;
use rustix::fs::AtFlags;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::path::Path;

/// Up to this size a file is held in memory on its way.
const SMALL: u64 = 1 << 20;

/// So often a file that changes while it is read is read again.
const ATTEMPTS: u32 = 5;

/// The bytes of a file, or of a link's target.
#[derive(Debug)]
pub(crate) enum Content {
    /// All of them.
    Bytes(Vec<u8>),
    /// A file without a name, positioned anywhere, that nobody else writes to.
    Big(File, u64),
}

impl Content {
    pub fn len(&self) -> u64 {
        match self {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Big(_, size) => *size,
        }
    }

    /// The first bytes.
    pub fn start(&self, count: usize) -> io::Result<Vec<u8>> {
        match self {
            Content::Bytes(bytes) => Ok(bytes[..bytes.len().min(count)].to_vec()),
            Content::Big(file, _) => {
                let mut start = Vec::new();
                let mut file = file;
                file.seek(SeekFrom::Start(0))?;
                file.take(count as u64).read_to_end(&mut start)?;
                Ok(start)
            }
        }
    }

    /// The id of the raw bytes.
    pub fn hash(&self) -> Result<Oid, GitError> {
        match self {
            Content::Bytes(bytes) => Objects::hash_blob(bytes),
            Content::Big(file, _) => Objects::hash_file(file),
        }
    }

    /// Stores the raw bytes.
    pub fn store(&self, objects: &Objects, id: Oid) -> Result<(), GitError> {
        match self {
            Content::Bytes(bytes) => objects.write_blob(bytes).map(|_| ()),
            Content::Big(file, size) => objects.write_blob_file(file, *size, id),
        }
    }

    pub fn write_to(&self, target: &File) -> io::Result<()> {
        match self {
            Content::Bytes(bytes) => io::Write::write_all(&mut &*target, bytes),
            Content::Big(file, _) => {
                let mut file = file;
                file.seek(SeekFrom::Start(0))?;
                crate::sandbox::slot::clone_or_copy(file, target)
            }
        }
    }

    /// Whether another file has the same bytes.
    pub fn equals(&self, other: &File) -> io::Result<bool> {
        if other.metadata()?.len() != self.len() {
            return Ok(false);
        }
        match self {
            Content::Bytes(bytes) => same(bytes.as_slice(), other),
            Content::Big(file, _) => {
                let mut file = file;
                file.seek(SeekFrom::Start(0))?;
                same(file, other)
            }
        }
    }
}

fn same(mut a: impl Read, mut b: impl Read) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let count = a.read(&mut left)?;
        if count == 0 {
            return Ok(b.read(&mut right[..1])? == 0);
        }
        match b.read_exact(&mut right[..count]) {
            Ok(()) if left[..count] == right[..count] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// A file or link of the user's, as it was at one moment.
#[derive(Debug)]
pub(crate) struct Taken {
    pub kind: u32,
    /// Permission bits.
    pub perms: u32,
    pub stamp: Stamp,
    pub content: Content,
}

/// What was found at a path.
#[derive(Debug)]
pub(crate) enum Source {
    Taken(Taken),
    /// Nothing, or something below a file or a link.
    Absent,
    Directory,
    /// It cannot be copied, for this reason.
    LeftOut(Reason),
}

/// Reads a file or link; reads again if it changes meanwhile. `staging` is where a large one
/// is copied to.
pub(crate) fn take(
    root: &Confined,
    path: &Path,
    staging: &Confined,
) -> Result<Source, MirrorError> {
    let (dir, name) = match root.parent(path) {
        Ok(found) => found,
        Err(error) => return Ok(absent_or_left_out(&error)),
    };
    take_at(dir.as_fd(), name, staging)
}

/// The same with the directory already open.
pub(crate) fn take_at(
    dir: BorrowedFd<'_>,
    name: &OsStr,
    staging: &Confined,
) -> Result<Source, MirrorError> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match attempt(dir, name, staging)? {
            (source, true) => return Ok(source),
            (source, false) => last = Some(source),
        }
    }
    // It changes all the time. What was read last goes in, without a stamp: it is looked at
    // again, and its writer will be heard of.
    Ok(match last {
        Some(Source::Taken(mut taken)) => {
            taken.stamp = Stamp::default();
            Source::Taken(taken)
        }
        Some(other) => other,
        None => Source::Absent,
    })
}

/// One reading, and whether the file was the same before and after.
fn attempt(
    dir: BorrowedFd<'_>,
    name: &OsStr,
    staging: &Confined,
) -> Result<(Source, bool), MirrorError> {
    let look = || rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
    let before = match look() {
        Ok(stat) => stat,
        Err(error) => return Ok((absent_or_left_out(&error.into()), true)),
    };
    let stamp = Stamp::of(&before);
    let kind = match kind_of(&before) {
        Ok(kind) => kind,
        Err(None) => return Ok((Source::Directory, true)),
        Err(Some(kind)) => return Ok((Source::LeftOut(Reason::Special(kind)), true)),
    };
    let content = if kind == 0o120_000 {
        rustix::fs::readlinkat(dir, name, Vec::new())
            .map(|target| Content::Bytes(target.into_bytes()))
            .map_err(io::Error::from)
    } else {
        read_file(dir, name, staging)?
    };
    let content = match content {
        Ok(content) => content,
        Err(error)
            if matches!(
                Errno::from_io_error(&error),
                Some(Errno::LOOP | Errno::NOENT)
            ) =>
        {
            return Ok((Source::Absent, false));
        }
        Err(error) => {
            return Ok((Source::LeftOut(Reason::unreadable(&error)), true));
        }
    };
    let calm =
        look().is_ok_and(|after| Stamp::of(&after) == stamp) && content.len() == stamp.size as u64;
    let taken = Taken {
        kind,
        perms: before.st_mode & 0o777,
        stamp,
        content,
    };
    Ok((Source::Taken(taken), calm))
}

/// The inner error is the user's file's, the outer one the slot's.
fn read_file(
    dir: BorrowedFd<'_>,
    name: &OsStr,
    staging: &Confined,
) -> Result<io::Result<Content>, MirrorError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(error) => return Ok(Err(error.into())),
    };
    let size = match file.metadata() {
        Ok(meta) if meta.is_file() => meta.len(),
        Ok(_) => return Ok(Err(Errno::NOENT.into())),
        Err(error) => return Ok(Err(error)),
    };
    if size <= SMALL {
        let mut bytes = Vec::with_capacity(size as usize + 1);
        // A file that grows without end is cut here and found not calm.
        let read = (&file).take(SMALL * 2).read_to_end(&mut bytes);
        return Ok(read.map(|_| Content::Bytes(bytes)));
    }
    let failed = || MirrorError::io("copy into", staging.path());
    let copy = nameless(staging).map_err(failed())?;
    crate::sandbox::slot::clone_or_copy(&file, &copy).map_err(failed())?;
    let size = copy.metadata().map_err(failed())?.len();
    Ok(Ok(Content::Big(copy, size)))
}

/// A file without a name: it vanishes with us, whatever happens.
pub(crate) fn nameless(dir: &Confined) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, ".", flags, Mode::RUSR | Mode::WUSR) {
        Ok(fd) => Ok(File::from(fd)),
        // Not every file system can.
        Err(Errno::OPNOTSUPP | Errno::ISDIR) => tempfile::tempfile_in(dir.path()),
        Err(error) => Err(error.into()),
    }
}

fn absent_or_left_out(error: &io::Error) -> Source {
    match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Source::Absent,
        _ => Source::LeftOut(Reason::unreadable(error)),
    }
}
