//! Walking a tree by git's ignore rules: which files are there, what is left out, which
//! ignored directories tests need, and which are caches worth seeding.

use crate::git::Confined;
use crate::git::RuleStack;
use crate::sandbox::mirror::MirrorRules;
use crate::sandbox::mirror::Reason;
use crate::sandbox::mirror::Special;
use crate::sandbox::mirror::credentials;
use crate::sandbox::mirror::manifest::Stamp;
use crate::sandbox::mirror::repos::Repos;
use crate::sandbox::mirror::repos::Table;
use rustix::fs::AtFlags;
use rustix::fs::FileType;
use rustix::fs::Mode;
use rustix::fs::Stat;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;

/// A file or link that was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    /// Git's mode.
    pub kind: u32,
    pub stamp: Stamp,
}

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// Files and links, not sorted.
    pub files: Table<Found>,
    /// What cannot or must not be copied, and why.
    pub left_out: Vec<(PathBuf, Reason)>,
    /// Empty directories, and what is neither file nor link nor directory; not ignored.
    pub litter: Vec<PathBuf>,
    /// Ignored directories that tests need.
    pub carried: Vec<PathBuf>,
    /// Ignored directories that are build caches.
    pub caches: Vec<PathBuf>,
}

/// Walks below `start` (relative; empty for everything) in `root`.
pub(crate) struct Walk<'a> {
    pub root: &'a Confined,
    /// Everything below is regreen's own, written by a sandbox: what a test took its own rights
    /// from is opened up again, or nobody could look at it, put it back or remove it.
    pub ours: bool,
    pub repos: &'a mut Repos,
    pub rules: &'a MirrorRules,
}

struct Level {
    dir: PathBuf,
    repo: usize,
    stack: RuleStack,
    /// Everything here goes in, ignored or not: the user named it.
    named: bool,
}

impl Walk<'_> {
    /// Walks everything.
    pub fn all(&mut self) -> io::Result<Walked> {
        let mut walked = Walked::default();
        let stack = self.repos.root_stack(0);
        // The root itself must be readable; below it an error is something left out.
        self.root.open_dir(Path::new(""))?;
        self.run(
            Level {
                dir: PathBuf::new(),
                repo: 0,
                stack,
                named: false,
            },
            &mut walked,
        );
        Ok(walked)
    }

    /// Walks one directory, unless it is ignored.
    pub fn below(&mut self, dir: &Path) -> Walked {
        let mut walked = Walked::default();
        let named = self.rules.names(dir);
        if self.repos.is_ignored(dir, true) && !named {
            self.ignored_dir(dir, &mut walked);
            return walked;
        }
        let (mut repo, mut stack) = (0, self.repos.root_stack(0));
        let mut above = PathBuf::new();
        for part in dir.components() {
            above.push(part);
            match self.repos.rooted_at(&above) {
                Some(found) => (repo, stack) = (found, self.repos.root_stack(found)),
                None => self.repos.descend(repo, &mut stack, &above),
            }
        }
        let dir = dir.to_owned();
        self.run(
            Level {
                dir,
                repo,
                stack,
                named,
            },
            &mut walked,
        );
        walked
    }

    fn run(&mut self, start: Level, walked: &mut Walked) {
        let mut queue = vec![start];
        while let Some(level) = queue.pop() {
            match self.level(&level, &mut queue, walked) {
                Ok(()) => {}
                // Removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    walked
                        .left_out
                        .push((level.dir, Reason::unreadable(&error)));
                }
            }
        }
    }

    fn level(
        &mut self,
        level: &Level,
        queue: &mut Vec<Level>,
        walked: &mut Walked,
    ) -> io::Result<()> {
        let fd = self.root.open_dir(&level.dir)?;
        let mut path = level.dir.clone();
        let mut is_empty = true;
        for entry in rustix::fs::Dir::read_from(&fd)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            is_empty = false;
            if name == ".git" {
                continue;
            }
            let stat = match self.look_at(&fd, name) {
                Ok(stat) => stat,
                Err(rustix::io::Errno::NOENT) => continue,
                Err(error) => {
                    let reason = Reason::unreadable(&error.into());
                    walked.left_out.push((path.join(name), reason));
                    continue;
                }
            };
            path.push(name);
            self.entry(level, &path, &stat, queue, walked);
            path.pop();
        }
        if is_empty && !path.as_os_str().is_empty() {
            walked.litter.push(path);
        }
        Ok(())
    }

    fn look_at(&self, dir: &OwnedFd, name: &OsStr) -> rustix::io::Result<Stat> {
        let look = || rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
        let stat = look()?;
        let needed = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Mode::RWXU,
            FileType::RegularFile => Mode::RUSR,
            _ => return Ok(stat),
        };
        let mode = Mode::from_raw_mode(stat.st_mode);
        if !self.ours || mode.contains(needed) {
            return Ok(stat);
        }
        // No link: the sandbox that could have put one there has ended.
        rustix::fs::chmodat(dir, name, mode | needed, AtFlags::empty())?;
        look()
    }

    fn entry(
        &mut self,
        level: &Level,
        path: &Path,
        stat: &Stat,
        queue: &mut Vec<Level>,
        walked: &mut Walked,
    ) {
        let kind = FileType::from_raw_mode(stat.st_mode);
        let is_dir = kind == FileType::Directory;
        let named = level.named || self.rules.names(path);
        let ignored = !named && self.repos.matches(level.repo, &level.stack, path, is_dir);
        match (kind_of(stat), ignored) {
            (Ok(kind), false) => walked.files.push(
                path.as_os_str().as_bytes(),
                Found {
                    kind,
                    stamp: Stamp::of(stat),
                },
            ),
            (Err(_), false) if is_dir => queue.push(self.step(level, path, named)),
            (Err(_), true) if is_dir => {
                self.ignored_dir(path, walked);
                // The user named something below it.
                if self.rules.names_below(path) {
                    queue.push(self.step(level, path, false));
                }
            }
            (Err(kind), false) => {
                walked.litter.push(path.to_owned());
                let reason = kind.map(Reason::Special);
                walked
                    .left_out
                    .extend(reason.map(|reason| (path.to_owned(), reason)));
            }
            (Ok(_), true) => note_credential(path, walked),
            (Err(_), true) => {}
        }
    }

    fn step(&mut self, level: &Level, dir: &Path, named: bool) -> Level {
        let (repo, stack) = match self.repos.rooted_at(dir) {
            Some(repo) => (repo, self.repos.root_stack(repo)),
            None => {
                let mut stack = level.stack.clone();
                self.repos.descend(level.repo, &mut stack, dir);
                (level.repo, stack)
            }
        };
        Level {
            dir: dir.to_owned(),
            repo,
            stack,
            named,
        }
    }

    /// An ignored directory: carried, a cache, or of no interest.
    fn ignored_dir(&self, dir: &Path, walked: &mut Walked) {
        let name = dir.file_name().unwrap_or_default();
        if is_cache(self.root, dir, name) {
            walked.caches.push(dir.to_owned());
        } else if self.rules.carries(dir) || is_carried(self.root, dir, name) {
            walked.carried.push(dir.to_owned());
        }
    }
}

/// Git's mode of what a stat describes, or what it is instead (`None`: a directory).
pub(crate) fn kind_of(stat: &Stat) -> Result<u32, Option<Special>> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if stat.st_mode & 0o100 != 0 => Ok(0o100_755),
        FileType::RegularFile => Ok(0o100_644),
        FileType::Symlink => Ok(0o120_000),
        FileType::Directory => Err(None),
        FileType::Fifo => Err(Some(Special::Fifo)),
        FileType::Socket => Err(Some(Special::Socket)),
        _ => Err(Some(Special::Device)),
    }
}

/// The user may wonder why tests do not see it.
fn note_credential(path: &Path, walked: &mut Walked) {
    let name = path.file_name().unwrap_or_default().as_bytes();
    if let Some(what) = credentials::by_name(name) {
        walked
            .left_out
            .push((path.to_owned(), Reason::Credential(what)));
    }
}

/// Directories of dependencies that tests read and do not write.
fn is_carried(root: &Confined, dir: &Path, name: &OsStr) -> bool {
    let known = [
        "node_modules",
        "bower_components",
        "vendor",
        "Pods",
        ".yarn",
    ];
    known.iter().any(|known| name == *known) || has_file(root, &dir.join("pyvenv.cfg"))
}

/// Build caches: worth seeding, and written in place afterwards.
pub(crate) fn is_cache(root: &Confined, dir: &Path, name: &OsStr) -> bool {
    let known = [".mypy_cache", ".pytest_cache", ".ruff_cache", "__pycache__"];
    known.iter().any(|known| name == *known)
        || (name == "target" && has_file(root, &dir.join("CACHEDIR.TAG")))
        || (name == "target" && has_file(root, &dir.with_file_name("Cargo.toml")))
}

pub(crate) fn has_file(root: &Confined, path: &Path) -> bool {
    matches!(root.stat(path), Ok(Some(stat)) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
}

impl MirrorRules {
    /// Whether the user named a path or a directory above it.
    pub(crate) fn names(&self, path: &Path) -> bool {
        self.include.iter().any(|named| path.starts_with(named))
    }

    fn names_below(&self, dir: &Path) -> bool {
        self.include.iter().any(|named| named.starts_with(dir))
    }

    fn carries(&self, dir: &Path) -> bool {
        let mut all = self.carry.iter().chain(&self.carry_writable);
        all.any(|carried| carried == dir)
    }
}
