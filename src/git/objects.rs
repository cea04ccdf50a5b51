//! [`Objects`]: regreen's own bare repository for one project, with the user's object stores
//! as alternates for reading.
//!
//! The alternates are added in memory and written nowhere, so that a second handle can ask what
//! is *really* ours: only that survives a `git gc --prune=now` of the user.

use crate::git::Confined;
use crate::git::EntryMode;
use crate::git::GitError;
use crate::git::Oid;
use crate::git::Worktree;
use crate::git::orphans;
use git2::ObjectType;
use git2::Odb;
use git2::Repository;
use git2::RepositoryInitOptions;
use rustix::fs::FlockOperation;
use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

/// Above so many loose objects the repository is renewed: libgit2 has no gc.
const RENEW_ABOVE: usize = 200_000;

/// How many objects are written between two looks at the number of loose ones.
const LOOK_EVERY: u32 = 10_000;

/// regreen's own object store for one project. One handle a thread; several processes may
/// have it open at once.
pub struct Objects {
    repo: Repository,
    path: PathBuf,
    alternates: Vec<PathBuf>,
    written: Cell<u32>,
    /// The directory that is held open by all this.
    dir: Confined,
    /// Held shared while open, so that a renewal waits for us.
    lock: File,
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objects").field("path", &self.path).finish()
    }
}

impl Objects {
    /// Opens (or makes) `<state_dir>/projects/<id>/objects.git` for a worktree.
    pub fn open(state_dir: &Path, worktree: &Worktree) -> Result<Objects, GitError> {
        let project = state_dir.join("projects").join(worktree.id().as_str());
        let mut objects = Objects::open_at(&project.join("objects.git"))?;
        orphans::mark(&project, worktree)?;
        objects.add_alternate(&worktree.common_dir.join("objects"))?;
        Ok(objects)
    }

    /// Opens (or makes) a store without alternates.
    pub fn open_at(path: &Path) -> Result<Objects, GitError> {
        crate::git::worktree::prepare();
        let parent = path.parent().unwrap_or(path);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(GitError::io("make", parent))?;
        let lock = lock_shared(path)?;
        // Two that make it at once would meet at git's own `config.lock`; one that opens what
        // the other has half made would find half of it.
        let turn = File::open(parent).map_err(GitError::io("open", parent))?;
        rustix::fs::flock(&turn, FlockOperation::LockExclusive)
            .map_err(GitError::io("lock", parent))?;
        let repo = match Repository::open_bare(path) {
            Ok(repo) => repo,
            Err(error) if error.code() == git2::ErrorCode::NotFound => init(path)?,
            // Cut short by a crash of the machine, say. All of it can be made again; what a
            // loop has there is lost either way.
            Err(error) if is_broken(&error) => {
                tracing::warn!(path = %path.display(), %error, "regreen's own objects are made anew");
                set_aside(path)?;
                init(path)?
            }
            Err(error) => return Err(GitError::git("open regreen's own objects", path)(error)),
        };
        Ok(Objects {
            repo,
            path: path.to_owned(),
            alternates: Vec::new(),
            written: Cell::new(0),
            dir: Confined::open(path).map_err(GitError::io("open", path))?,
            lock,
        })
    }

    /// Lets objects be read from another store too (the user's, a submodule's).
    pub fn add_alternate(&mut self, objects: &Path) -> Result<(), GitError> {
        if self.alternates.iter().any(|known| known == objects) {
            return Ok(());
        }
        let own = self.path.join("objects");
        // libgit2 tells stores apart by inode number alone, without the device.
        let inode = |path: &Path| path.metadata().map(|it| it.ino());
        if let (Ok(ours), Ok(theirs)) = (inode(&own), inode(objects))
            && ours == theirs
            && own.canonicalize().ok() != objects.canonicalize().ok()
        {
            return Err(GitError::Format {
                path: own,
                reason: "it has the same inode number as the user's objects: remove it".to_owned(),
            });
        }
        let text = objects.to_str().ok_or_else(|| GitError::Format {
            path: objects.to_owned(),
            reason: "libgit2 takes no alternate whose path is not UTF-8".to_owned(),
        })?;
        self.odb()?
            .add_disk_alternate(text)
            .map_err(GitError::git("add an alternate", objects))?;
        self.alternates.push(objects.to_owned());
        Ok(())
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it still lies there: what is stored in one that was removed is lost.
    pub fn is_in_place(&self) -> bool {
        self.dir.is_in_place() && self.path.join("objects").is_dir()
    }

    /// Tells it from another one that took its place: what was stored here is not there.
    pub fn identity(&self) -> Option<String> {
        let meta = std::fs::metadata(&self.path).ok()?;
        let born = meta.created().ok();
        let born = born.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let born = born.map_or(0, |at| at.as_nanos());
        // Without the device: its number may be another one after every start of the machine.
        Some(format!("{}:{born}", meta.ino()))
    }

    pub(crate) fn repo(&self) -> &Repository {
        &self.repo
    }

    pub(crate) fn odb(&self) -> Result<Odb<'_>, GitError> {
        self.repo
            .odb()
            .map_err(GitError::git("open regreen's own objects", &self.path))
    }

    /// A second handle that sees only what is stored here.
    pub(crate) fn without_alternates(&self) -> Result<Repository, GitError> {
        Repository::open_bare(&self.path)
            .map_err(GitError::git("open regreen's own objects", &self.path))
    }

    pub(crate) fn malformed(&self, id: Oid, reason: &str) -> GitError {
        GitError::Format {
            path: self.path.clone(),
            reason: format!("object {id} is {reason}"),
        }
    }

    /// Whether an object can be read, here or in an alternate.
    pub fn contains(&self, id: Oid) -> bool {
        self.odb().is_ok_and(|odb| odb.exists(id))
    }

    /// Stores an object unless it can be read already, and answers its id.
    pub fn write_object(&self, kind: ObjectType, data: &[u8]) -> Result<Oid, GitError> {
        let id =
            Oid::hash_object(kind, data).map_err(GitError::git("hash an object", &self.path))?;
        let odb = self.odb()?;
        if odb.exists_ext(id, git2::OdbLookupFlags::NO_REFRESH) {
            return Ok(id);
        }
        self.written.set(self.written.get().wrapping_add(1));
        odb.write(kind, data)
            .map_err(|error| self.not_stored("store an object", data.len() as u64, error))
    }

    /// Stores a blob of raw bytes.
    pub fn write_blob(&self, data: &[u8]) -> Result<Oid, GitError> {
        self.write_object(ObjectType::Blob, data)
    }

    /// The id that raw bytes would have.
    pub fn hash_blob(data: &[u8]) -> Result<Oid, GitError> {
        Oid::hash_object(ObjectType::Blob, data)
            .map_err(GitError::git("hash a file", Path::new("")))
    }

    /// The id that a file's raw bytes would have, whatever its position; nothing is loaded.
    pub fn hash_file(file: &File) -> Result<Oid, GitError> {
        use std::os::fd::AsRawFd;
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        Oid::hash_file(ObjectType::Blob, &path).map_err(GitError::git("hash a file", &path))
    }

    /// Stores a file's raw bytes, whose id is known, unless they can be read already.
    pub fn write_blob_file(&self, file: &File, size: u64, id: Oid) -> Result<(), GitError> {
        let odb = self.odb()?;
        if odb.exists_ext(id, git2::OdbLookupFlags::NO_REFRESH) {
            return Ok(());
        }
        self.written.set(self.written.get().wrapping_add(1));
        let mut file = file;
        file.seek(SeekFrom::Start(0))
            .map_err(GitError::io("read", &self.path))?;
        let failed = |error| self.not_stored("store a file", size, error);
        let mut writer = odb
            .writer(size as usize, ObjectType::Blob)
            .map_err(failed)?;
        std::io::copy(&mut file.take(size), &mut writer)
            .map_err(|error| failed(git2::Error::from_str(&error.to_string())))?;
        writer.finalize().map_err(failed)?;
        Ok(())
    }

    /// libgit2 drops the reason of the operating system; that the disk is full can be seen.
    fn not_stored(&self, what: &'static str, size: u64, error: git2::Error) -> GitError {
        let full = rustix::fs::statvfs(&self.path).is_ok_and(|disk| {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            // Some file systems have no number of inodes, and say zero.
            free < size.saturating_add(1 << 20) || (disk.f_files > 0 && disk.f_favail == 0)
        });
        if full {
            return GitError::NoSpace(self.path.clone());
        }
        GitError::git(what, &self.path)(error)
    }

    /// Reads a blob of at most `cap` bytes.
    pub fn read_blob(&self, id: Oid, cap: usize) -> Result<Vec<u8>, GitError> {
        let odb = self.odb()?;
        let (size, kind) = odb
            .read_header(id)
            .map_err(GitError::git("read a file's content", &self.path))?;
        if kind != ObjectType::Blob {
            return Err(self.malformed(id, "not a file's content"));
        }
        if size > cap {
            return Err(self.malformed(id, "larger than allowed here"));
        }
        let object = odb
            .read(id)
            .map_err(GitError::git("read a file's content", &self.path))?;
        Ok(object.data().to_vec())
    }

    /// The content of one file of a tree, if there is such a file.
    pub fn read_file(
        &self,
        tree: Oid,
        path: &[u8],
        cap: usize,
    ) -> Result<Option<Vec<u8>>, GitError> {
        match self.entry_at(tree, path)? {
            Some((EntryMode::File | EntryMode::Executable | EntryMode::Link, id)) => {
                self.read_blob(id, cap).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Whether it is time for [`Objects::renew`]: cheap, looks at the disk only now and then.
    pub fn wants_renewal(&self) -> bool {
        if self.written.get() < LOOK_EVERY {
            return false;
        }
        self.written.set(0);
        self.loose_estimate() > RENEW_ABOVE
    }

    /// About how many loose objects there are, from one sixteenth of the directories.
    pub fn loose_estimate(&self) -> usize {
        let count = |byte: u8| {
            let dir = self.path.join("objects").join(format!("{byte:02x}"));
            std::fs::read_dir(dir).map_or(0, Iterator::count)
        };
        (0..16).map(count).sum::<usize>() * 16
    }

    /// Makes the repository anew with what its refs reach and the `keep` trees. Answers
    /// `false` if another process has it open; then it stays as it is.
    pub fn renew(&mut self, keep: &[Oid]) -> Result<bool, GitError> {
        // A second description of the same file: flock would deadlock on our own.
        if rustix::fs::flock(&self.lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(false);
        }
        let answer = self.renew_locked(keep);
        let shared = rustix::fs::flock(&self.lock, FlockOperation::LockShared);
        shared.map_err(GitError::io("lock", &self.path))?;
        answer.map(|()| true)
    }

    fn renew_locked(&mut self, keep: &[Oid]) -> Result<(), GitError> {
        let fresh = self.path.with_extension("new");
        let old = self.path.with_extension("old");
        for leftover in [&fresh, &old] {
            if leftover.exists() {
                std::fs::remove_dir_all(leftover).map_err(GitError::io("remove", leftover))?;
            }
        }
        let target = init(&fresh)?;
        self.copy_own_into(&target, keep)?;
        drop(target);
        std::fs::rename(&self.path, &old).map_err(GitError::io("rename", &self.path))?;
        std::fs::rename(&fresh, &self.path).map_err(GitError::io("rename", &fresh))?;
        self.repo = Repository::open_bare(&self.path)
            .map_err(GitError::git("open regreen's own objects", &self.path))?;
        self.dir = Confined::open(&self.path).map_err(GitError::io("open", &self.path))?;
        for alternate in std::mem::take(&mut self.alternates) {
            self.add_alternate(&alternate)?;
        }
        std::fs::remove_dir_all(&old).map_err(GitError::io("remove", &old))
    }
}

/// Whether its own files make no sense; never a refusal of the operating system.
fn is_broken(error: &git2::Error) -> bool {
    error.class() == git2::ErrorClass::Config && error.code() == git2::ErrorCode::GenericError
}

/// Makes room for a new one; the last broken one stays for a look.
fn set_aside(path: &Path) -> Result<(), GitError> {
    let aside = path.with_extension("broken");
    match std::fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(GitError::io("remove", &aside)(error));
        }
        _ => {}
    }
    std::fs::rename(path, &aside).map_err(GitError::io("rename", path))
}

fn init(path: &Path) -> Result<Repository, GitError> {
    // Killed between two renames of a renewal: the old one is whole.
    let old = path.with_extension("old");
    if old.exists() && !path.exists() {
        std::fs::rename(&old, path).map_err(GitError::io("rename", &old))?;
        return Repository::open_bare(path)
            .map_err(GitError::git("open regreen's own objects", path));
    }
    let mut options = RepositoryInitOptions::new();
    // No template: hooks of the user's have no business here.
    options.bare(true).external_template(false).mkpath(true);
    Repository::init_opts(path, &options).map_err(GitError::git("make regreen's own objects", path))
}

fn lock_shared(path: &Path) -> Result<File, GitError> {
    let path = path.with_extension("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(GitError::io("open", &path))?;
    rustix::fs::flock(&file, FlockOperation::LockShared).map_err(GitError::io("lock", &path))?;
    Ok(file)
}
