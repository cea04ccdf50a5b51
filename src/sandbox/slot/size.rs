//! Walking, copying and removing whole directories of a slot. What lies in them was written
//! by tests: no link is followed.

use rustix::fs::AtFlags;
use rustix::fs::Timespec;
use rustix::fs::Timestamps;
use std::collections::HashMap;
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

/// The names in a directory; none if it is not there.
pub(crate) fn names(dir: &Path) -> io::Result<Vec<OsString>> {
    match std::fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| Ok(entry?.file_name())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Bytes on the disk; a file with several links is counted once.
pub(crate) fn on_disk(path: &Path) -> u64 {
    let mut seen = HashSet::new();
    let mut queue = vec![path.to_owned()];
    let mut bytes = 0;
    while let Some(path) = queue.pop() {
        let Ok(meta) = path.symlink_metadata() else {
            continue;
        };
        if meta.nlink() > 1 && !meta.is_dir() && !seen.insert((meta.dev(), meta.ino())) {
            continue;
        }
        bytes += meta.blocks() * 512;
        if meta.is_dir() {
            let below = names(&path).unwrap_or_default();
            queue.extend(below.into_iter().map(|name| path.join(name)));
        }
    }
    bytes
}

/// Copies a file or a whole directory: times, modes, links and hard links kept, blocks shared
/// where the file system can. Sockets, FIFOs and devices are left out.
pub(crate) fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    let mut links = HashMap::new();
    copy_entry(from, to, &mut links)
}

fn copy_entry(from: &Path, to: &Path, links: &mut HashMap<(u64, u64), PathBuf>) -> io::Result<()> {
    let meta = match from.symlink_metadata() {
        Ok(meta) => meta,
        // Whoever writes there (the user's own build) removed it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if meta.is_dir() {
        let made = std::fs::DirBuilder::new().mode(0o700).create(to);
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        for name in unless_locked(names(from))? {
            copy_entry(&from.join(&name), &to.join(&name), links)?;
        }
        std::fs::set_permissions(to, meta.permissions())?;
    } else if meta.is_symlink() {
        std::os::unix::fs::symlink(std::fs::read_link(from)?, to)?;
    } else if meta.is_file() {
        let key = (meta.dev(), meta.ino());
        if let Some(first) = links.get(&key) {
            return std::fs::hard_link(first, to);
        }
        if unless_locked(copy_file(from, to, &meta).map(Some))?.is_none() {
            return Ok(());
        }
        if meta.nlink() > 1 {
            links.insert(key, to.to_owned());
        }
    } else {
        return Ok(());
    }
    set_times(to, &meta)
}

/// What a test locked, no owner can read, and nothing that runs as the owner misses it.
fn unless_locked<T: Default>(read: io::Result<T>) -> io::Result<T> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(T::default()),
        other => other,
    }
}

fn copy_file(from: &Path, to: &Path, meta: &std::fs::Metadata) -> io::Result<()> {
    let source = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
        .open(from)?;
    let target = File::options()
        .write(true)
        .create_new(true)
        .mode(meta.mode() & 0o777)
        .open(to)?;
    clone_or_copy(&source, &target)?;
    Ok(())
}

/// Shares the blocks where the file system can, and copies otherwise.
pub(crate) fn clone_or_copy(mut source: &File, mut target: &File) -> io::Result<()> {
    if rustix::fs::ioctl_ficlone(target, source).is_ok() {
        return Ok(());
    }
    io::copy(&mut source, &mut target)?;
    Ok(())
}

fn set_times(to: &Path, meta: &std::fs::Metadata) -> io::Result<()> {
    let time = Timespec {
        tv_sec: meta.mtime(),
        tv_nsec: meta.mtime_nsec(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(rustix::fs::CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}
