//! Making directories, links and mount points below a directory that a sandbox could write to,
//! without ever following a link that was planted there.

use crate::git;
use rustix::fs::AtFlags;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::path::Component;
use std::path::Path;

const DIR: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// What to do where a component is neither missing nor a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// It is regreen's own directory, and what stands there was planted: take it away.
    Remove,
    /// It belongs to the project: answer an error.
    Refuse,
}

/// Opens the directory `relative` below `base`, made where it is missing.
///
/// # Errors
/// If a component is in the way and must stay, or the file system refuses.
pub fn directory(base: &Path, relative: &Path, stranger: Stranger) -> io::Result<OwnedFd> {
    if stranger == Stranger::Remove {
        git::regain(base)?;
    }
    let mut dir = rustix::fs::open(base, DIR, Mode::empty())?;
    for component in relative.components() {
        let Component::Normal(name) = component else {
            return Err(io::Error::other("the path leaves its directory"));
        };
        dir = enter(dir.as_fd(), Path::new(name), stranger)?;
    }
    Ok(dir)
}

fn enter(dir: BorrowedFd<'_>, name: &Path, stranger: Stranger) -> io::Result<OwnedFd> {
    match rustix::fs::openat(dir, name, DIR, Mode::empty()) {
        Ok(entered) => return regained(entered, stranger),
        Err(Errno::NOENT) => {}
        // A test took its own rights away.
        Err(Errno::ACCESS) if stranger == Stranger::Remove => {
            rustix::fs::chmodat(dir, name, Mode::RWXU, AtFlags::empty())?;
        }
        Err(Errno::LOOP | Errno::NOTDIR) if stranger == Stranger::Remove => {
            rustix::fs::unlinkat(dir, name, AtFlags::empty())?;
        }
        Err(error) => return Err(error.into()),
    }
    match rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(rustix::fs::openat(dir, name, DIR, Mode::empty())?)
}

/// A directory of regreen's own can be written to again, whatever a test did to it.
fn regained(dir: OwnedFd, stranger: Stranger) -> io::Result<OwnedFd> {
    let mode = Mode::from_raw_mode(rustix::fs::fstat(&dir)?.st_mode);
    if stranger == Stranger::Remove && !mode.contains(Mode::RWXU) {
        rustix::fs::fchmod(&dir, mode | Mode::RWXU)?;
    }
    Ok(dir)
}

/// Makes sure that the file `relative` exists below `base` and is a plain one.
///
/// # Errors
/// As [`directory`].
pub fn file(base: &Path, relative: &Path, stranger: Stranger) -> io::Result<()> {
    let parent = relative.parent().unwrap_or(Path::new(""));
    let name = relative
        .file_name()
        .ok_or_else(|| io::Error::other("the path names no file"))?;
    let dir = directory(base, parent, stranger)?;
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let create = |dir: BorrowedFd<'_>| {
        rustix::fs::openat(
            dir,
            name,
            flags | OFlags::CREATE,
            Mode::from_raw_mode(0o644),
        )
    };
    match create(dir.as_fd()) {
        Err(Errno::LOOP | Errno::NXIO | Errno::ISDIR) if stranger == Stranger::Remove => {
            let is_dir = rustix::fs::openat(&dir, name, DIR, Mode::empty()).is_ok();
            let flags = if is_dir {
                AtFlags::REMOVEDIR
            } else {
                AtFlags::empty()
            };
            rustix::fs::unlinkat(&dir, name, flags)?;
            create(dir.as_fd())?;
        }
        other => drop(other?),
    }
    Ok(())
}

/// Whether `relative` exists below `base` without any link on the way.
pub fn exists(base: &Path, relative: &Path) -> bool {
    let Ok(mut dir) = rustix::fs::open(base, DIR, Mode::empty()) else {
        return false;
    };
    let mut components = relative.components().peekable();
    while let Some(component) = components.next() {
        let Component::Normal(name) = component else {
            return false;
        };
        if components.peek().is_none() {
            return rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| stat.st_mode & libc::S_IFMT != libc::S_IFLNK);
        }
        match rustix::fs::openat(&dir, name, DIR, Mode::empty()) {
            Ok(next) => dir = next,
            Err(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn planted_links_are_not_followed() {
        let top = tempfile::tempdir().expect("a temporary directory");
        let (base, victim) = (top.path().join("base"), top.path().join("victim"));
        std::fs::create_dir(&base).expect("made");
        std::fs::create_dir(&victim).expect("made");
        symlink(&victim, base.join("link")).expect("linked");
        let inside = Path::new("link/made");
        assert!(directory(&base, inside, Stranger::Refuse).is_err());
        assert!(file(&base, Path::new("link/file"), Stranger::Refuse).is_err());
        assert!(!exists(&base, Path::new("link")));
        directory(&base, inside, Stranger::Remove).expect("the link is taken away");
        file(&base, Path::new("link/file"), Stranger::Remove).expect("made");
        let untouched = std::fs::read_dir(&victim).expect("there").count();
        assert_eq!(untouched, 0, "the victim must stay empty");
        assert!(exists(&base, inside) && exists(&base, Path::new("link/file")));
    }

    /// Root has all rights anyway.
    #[test]
    fn what_a_test_locked_is_opened_up_or_refused() {
        use std::os::unix::fs::PermissionsExt;
        let top = tempfile::tempdir().expect("a temporary directory");
        let base = top.path().join("home");
        let inside = Path::new(".cargo/registry/src");
        for mode in [0o000, 0o400, 0o500] {
            std::fs::create_dir_all(base.join(".cargo")).expect("made");
            let lock = |path: &Path| {
                std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("ours");
            };
            lock(&base.join(".cargo"));
            let refused = directory(&base, inside, Stranger::Refuse);
            assert!(refused.is_err() || rustix::process::geteuid().is_root());
            lock(&base);
            directory(&base, inside, Stranger::Remove).expect("opened up");
            assert!(exists(&base, inside));
            std::fs::remove_dir_all(&base).expect("ours");
        }
    }

    #[test]
    fn a_file_in_the_way_is_refused_or_replaced() {
        let base = tempfile::tempdir().expect("a temporary directory");
        symlink("/etc/passwd", base.path().join("f")).expect("linked");
        assert!(file(base.path(), Path::new("f"), Stranger::Refuse).is_err());
        file(base.path(), Path::new("f"), Stranger::Remove).expect("replaced");
        let text = std::fs::read(base.path().join("f")).expect("plain");
        assert!(text.is_empty());
        assert!(directory(base.path(), Path::new("../x"), Stranger::Remove).is_err());
    }
}
