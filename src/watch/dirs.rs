//! The directories that are watched, each by one inotify watch of its own.
//!
//! The kernel is asked directly (through rustix) and not through notify 8, because notify's
//! mask includes opening: every file that a test, an indexer or a compiler reads would wake the
//! daemon, measured as up to a fifth of a core.

use crate::git::Confined;
use crate::git::IgnoreRules;
use crate::git::RuleStack;
use rustix::fs::AtFlags;
use rustix::fs::FileType;
use rustix::fs::Stat;
use rustix::fs::inotify;
use rustix::fs::inotify::WatchFlags;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

/// What wakes us: contents, names and rights; never opening, reading or closing after it.
const MASK: WatchFlags = WatchFlags::MODIFY
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::DONT_FOLLOW)
    .union(WatchFlags::EXCL_UNLINK);

/// The watches of one worktree. Paths are relative to it.
#[derive(Debug)]
pub(crate) struct Dirs {
    fd: OwnedFd,
    root: PathBuf,
    by_watch: HashMap<i32, Arc<Path>>,
    by_path: BTreeMap<Arc<Path>, i32>,
    /// The kernel allows no more watches.
    pub exhausted: bool,
}

impl Dirs {
    pub fn new(root: &Path) -> io::Result<Dirs> {
        let fd = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
        Ok(Dirs {
            fd,
            root: root.to_owned(),
            by_watch: HashMap::new(),
            by_path: BTreeMap::new(),
            exhausted: false,
        })
    }

    pub fn path_of(&self, watch: i32) -> Option<&Path> {
        self.by_watch.get(&watch).map(AsRef::as_ref)
    }

    pub fn contains(&self, dir: &Path) -> bool {
        self.by_path.contains_key(dir)
    }

    pub fn len(&self) -> usize {
        self.by_path.len()
    }

    /// Watches one directory. A directory that is gone is no error.
    pub fn add(&mut self, dir: &Path) -> io::Result<()> {
        let watch = match inotify::add_watch(&self.fd, self.root.join(dir), MASK) {
            Ok(watch) => watch,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP) => return Ok(()),
            Err(Errno::NOSPC | Errno::NOMEM) => {
                self.exhausted = true;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let dir: Arc<Path> = dir.into();
        if let Some(old) = self.by_watch.insert(watch, dir.clone())
            && old != dir
        {
            self.by_path.remove(&old);
        }
        self.by_path.insert(dir, watch);
        Ok(())
    }

    /// Stops watching a directory and everything below it.
    pub fn remove(&mut self, dir: &Path) {
        let below: Vec<Arc<Path>> = self
            .by_path
            .range::<Path, _>((std::ops::Bound::Included(dir), std::ops::Bound::Unbounded))
            .take_while(|(path, _)| path.starts_with(dir))
            .map(|(path, _)| path.clone())
            .collect();
        for path in below {
            if let Some(watch) = self.by_path.remove(&path) {
                self.by_watch.remove(&watch);
                // The kernel may have removed it already, with the directory.
                let _ = inotify::remove_watch(&self.fd, watch);
            }
        }
    }

    /// The kernel removed a watch.
    pub fn forget(&mut self, watch: i32) {
        if let Some(path) = self.by_watch.remove(&watch)
            && self.by_path.get(&path) == Some(&watch)
        {
            self.by_path.remove(&path);
        }
    }
}

impl AsFd for Dirs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Visits a directory and all directories below it that git does not ignore. The visit comes
/// before the listing: what appears in between is told by the new watch.
pub(crate) fn walk_dirs(
    root: &Confined,
    rules: &mut IgnoreRules,
    start: &Path,
    visit: &mut dyn FnMut(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let mut stack = rules.root_stack();
    let mut above = PathBuf::new();
    for part in start.components() {
        above.push(part);
        rules.descend(&mut stack, &above);
    }
    let mut queue: Vec<(PathBuf, RuleStack)> = vec![(start.to_owned(), stack)];
    while let Some((dir, stack)) = queue.pop() {
        visit(&dir)?;
        // Gone, or not ours to read: the mirror says so.
        let Ok(names) = child_dirs(root, &dir) else {
            continue;
        };
        for name in names {
            let path = dir.join(name);
            if !rules.matches(&stack, &path, true) {
                let mut stack = stack.clone();
                rules.descend(&mut stack, &path);
                queue.push((path, stack));
            }
        }
    }
    Ok(())
}

/// Visits every file and directory that git does not ignore, with its stat.
pub(crate) fn visit_entries(
    root: &Confined,
    rules: &mut IgnoreRules,
    visit: &mut dyn FnMut(&Path, &Stat),
) -> io::Result<()> {
    let mut queue = vec![(PathBuf::new(), rules.root_stack())];
    while let Some((dir, stack)) = queue.pop() {
        let found = each_name(root, &dir, &mut |fd, name, _| {
            let path = dir.join(name);
            let Ok(stat) = rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) else {
                return;
            };
            let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if rules.matches(&stack, &path, is_dir) {
                return;
            }
            visit(&path, &stat);
            if is_dir {
                let mut stack = stack.clone();
                rules.descend(&mut stack, &path);
                queue.push((path, stack));
            }
        });
        // Of the root it says that there is nothing to look at; below, something else will.
        if dir.as_os_str().is_empty() {
            found?;
        }
    }
    Ok(())
}

fn child_dirs(root: &Confined, dir: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    each_name(root, dir, &mut |fd, name, kind| {
        let kind = match kind {
            FileType::Unknown => rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_or(FileType::Unknown, |stat| {
                    FileType::from_raw_mode(stat.st_mode)
                }),
            kind => kind,
        };
        if kind == FileType::Directory {
            names.push(name.to_owned());
        }
    })?;
    Ok(names)
}

/// Visits the names in a directory, except git's.
fn each_name(
    root: &Confined,
    dir: &Path,
    visit: &mut dyn FnMut(BorrowedFd<'_>, &OsStr, FileType),
) -> io::Result<()> {
    let fd = root.open_dir(dir)?;
    for entry in rustix::fs::Dir::read_from(&fd)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." && name != ".git" {
            visit(fd.as_fd(), name, entry.file_type());
        }
    }
    Ok(())
}
