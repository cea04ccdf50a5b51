//! Finding a worktree and asking it where it stands. Only paths are kept: a repository handle
//! is opened for each question, so that nothing is cached behind the user's back.

use crate::git::GitError;
use crate::git::Oid;
use crate::git::PrivateDir;
use crate::model::ProjectId;
use crate::model::SnapshotId;
use git2::ErrorCode;
use git2::Repository;
use git2::RepositoryOpenFlags;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Once;

/// A git worktree: the main one, a linked one, or a submodule's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worktree {
    /// The canonical top directory, where `.git` lies.
    pub root: PathBuf,
    /// The git directory of this worktree (`.git`, `.git/worktrees/x`, `.git/modules/x`).
    pub git_dir: PathBuf,
    /// The git directory that all worktrees of the repository share.
    pub common_dir: PathBuf,
}

/// Where a worktree stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// The short branch name; lossy where it is not UTF-8.
    pub branch: Option<String>,
    /// The commit, 40 hex digits.
    pub commit: Option<String>,
    /// The commit's tree.
    pub tree: Option<SnapshotId>,
    /// HEAD names a commit and no branch.
    pub detached: bool,
    /// The branch has no commit yet.
    pub unborn: bool,
}

/// What a revision names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The commit, if it names one.
    pub commit: Option<String>,
    /// The tree.
    pub tree: SnapshotId,
}

/// The project's identity: 16 hex digits of the hash of its canonical path.
pub fn project_id(root: &Path) -> ProjectId {
    let hash = blake3::hash(root.as_os_str().as_bytes());
    ProjectId::new(&hash.to_hex()[..16])
}

/// Why a directory must not be watched, if it must not.
pub fn refuse_root(root: &Path, home: &Path) -> Option<String> {
    let home = home.canonicalize().unwrap_or_else(|_| home.to_owned());
    if root == Path::new("/") {
        return Some("it is the root of the file system".to_owned());
    }
    if home.starts_with(root) {
        return Some(if root == home {
            "it is your home directory: everything in it would be copied and tested".to_owned()
        } else {
            format!("it contains your home directory `{}`", home.display())
        });
    }
    let system = ["/usr", "/dev", "/proc", "/sys", "/etc"];
    let inside = system.iter().find(|dir| root.starts_with(dir))?;
    Some(format!("it lies in the system directory `{inside}`"))
}

/// Why a path that is in no worktree must not even become one.
pub fn refuse_path(path: &Path, home: &Path) -> Option<(PathBuf, String)> {
    let path = path.canonicalize().ok()?;
    let reason = refuse_root(&path, home)?;
    Some((path, reason))
}

impl Worktree {
    /// Finds the worktree that contains `path`. Never follows `core.worktree` elsewhere, and
    /// never looks at `GIT_DIR`.
    pub fn discover(path: &Path) -> Result<Worktree, GitError> {
        let start = path.canonicalize().map_err(GitError::io("find", path))?;
        let root = start
            .ancestors()
            .find(|dir| dir.join(".git").symlink_metadata().is_ok())
            .ok_or_else(|| outside(&start))?
            .to_owned();
        let repo = open(&root)?;
        if repo.is_bare() {
            return Err(GitError::Bare(root));
        }
        let configured = repo.workdir().unwrap_or(&root);
        let configured = configured
            .canonicalize()
            .map_err(GitError::io("find", configured))?;
        if configured != root {
            return Err(GitError::ForeignWorktree { root, configured });
        }
        let canonical = |dir: &Path| dir.canonicalize().map_err(GitError::io("find", dir));
        Ok(Worktree {
            git_dir: canonical(repo.path())?,
            common_dir: canonical(repo.commondir())?,
            root,
        })
    }

    /// The project's identity.
    pub fn id(&self) -> ProjectId {
        project_id(&self.root)
    }

    /// The tip of a branch, named without `refs/heads/`; nothing if there is none, also if no
    /// branch can have this name.
    pub fn branch_tip(&self, branch: &str) -> Result<Option<Oid>, GitError> {
        let name = format!("refs/heads/{branch}");
        match git2::Reference::is_valid_name(&name) {
            true => self.read_ref(&name),
            false => Ok(None),
        }
    }

    /// The other worktree of this repository that has a branch checked out, if one has: git
    /// moves no branch under another worktree's feet, and regreen does not either.
    pub fn other_checkout(&self, branch: &str) -> Result<Option<PathBuf>, GitError> {
        let head = format!("ref: refs/heads/{branch}");
        let here = |dir: &Path| dir == self.git_dir;
        let has = |dir: &Path| {
            std::fs::read_to_string(dir.join("HEAD")).is_ok_and(|text| text.trim_end() == head)
        };
        if !here(&self.common_dir) && has(&self.common_dir) && !self.open()?.is_bare() {
            let root = self.common_dir.parent().unwrap_or(&self.common_dir);
            return Ok(Some(root.to_owned()));
        }
        let Ok(linked) = std::fs::read_dir(self.common_dir.join("worktrees")) else {
            return Ok(None);
        };
        let mut dirs = linked.flatten().map(|entry| entry.path());
        let found = dirs.find(|dir| !here(dir) && has(dir));
        Ok(
            found.map(|dir| match std::fs::read_to_string(dir.join("gitdir")) {
                Ok(text) => PathBuf::from(text.trim_end().trim_end_matches("/.git")),
                Err(_) => dir,
            }),
        )
    }

    /// Where HEAD stands now.
    pub fn head(&self) -> Result<Head, GitError> {
        let repo = self.open()?;
        let symbolic = repo
            .find_reference("HEAD")
            .map_err(GitError::git("read HEAD", &self.git_dir))?;
        let name = symbolic.symbolic_target_bytes().map(branch_name);
        let reference = match repo.head() {
            Ok(reference) => reference,
            Err(error) if error.code() == ErrorCode::UnbornBranch => {
                return Ok(Head {
                    branch: name,
                    unborn: true,
                    ..Head::default()
                });
            }
            Err(source) => return Err(GitError::git("read HEAD", &self.git_dir)(source)),
        };
        let commit = reference
            .peel_to_commit()
            .map_err(GitError::git("read the commit of HEAD", &self.git_dir))?;
        Ok(Head {
            detached: name.is_none(),
            branch: name,
            commit: Some(commit.id().to_string()),
            tree: Some(SnapshotId::new(commit.tree_id().to_string())),
            unborn: false,
        })
    }

    /// What a revision names.
    pub fn resolve(&self, rev: &str) -> Result<Resolved, GitError> {
        let repo = self.open()?;
        let missing = || GitError::NoSuchRevision {
            rev: rev.to_owned(),
            repo: self.root.clone(),
        };
        let object = repo.revparse_single(rev).map_err(|_| missing())?;
        let tree = object.peel_to_tree().map_err(|_| missing())?;
        Ok(Resolved {
            commit: object.peel_to_commit().ok().map(|it| it.id().to_string()),
            tree: SnapshotId::new(tree.id().to_string()),
        })
    }

    /// The tree of a revision.
    pub fn tree_of(&self, rev: &str) -> Result<SnapshotId, GitError> {
        Ok(self.resolve(rev)?.tree)
    }

    /// The user's index file; it need not exist.
    pub fn index_path(&self) -> PathBuf {
        self.git_dir.join("index")
    }

    /// Opens `<git dir>/regreen/`, making it if needed.
    pub fn private_dir(&self) -> Result<PrivateDir, GitError> {
        PrivateDir::open(&self.git_dir)
    }

    /// A handle for reading.
    pub(crate) fn open(&self) -> Result<Repository, GitError> {
        open(&self.root)
    }
}

/// Reads the printed form of an object id.
pub(crate) fn parse_oid(text: &str, repo: &Path) -> Result<Oid, GitError> {
    Oid::from_str(text).map_err(|_| GitError::NoSuchRevision {
        rev: text.to_owned(),
        repo: repo.to_owned(),
    })
}

fn branch_name(full: &[u8]) -> String {
    let short = full.strip_prefix(b"refs/heads/").unwrap_or(full);
    OsStr::from_bytes(short).to_string_lossy().into_owned()
}

fn open(root: &Path) -> Result<Repository, GitError> {
    prepare();
    let none: [&OsStr; 0] = [];
    Repository::open_ext(root, RepositoryOpenFlags::NO_SEARCH, none).map_err(|source| match source
        .code()
    {
        ErrorCode::Owner => GitError::Owner(root.to_owned()),
        ErrorCode::NotFound => GitError::NotARepository(root.to_owned()),
        _ => GitError::git("open the repository", root)(source),
    })
}

/// Tells a bare repository from no repository at all.
fn outside(path: &Path) -> GitError {
    prepare();
    match Repository::discover(path) {
        Ok(repo) if repo.is_bare() => GitError::Bare(path.to_owned()),
        _ => GitError::NotARepository(path.to_owned()),
    }
}

/// Sets libgit2's process-wide options, once.
pub(crate) fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Trees may name blobs that are hashed and not stored.
        git2::opts::strict_object_creation(false);
        // Every tree of a large repository would stay in memory after one walk; a save needs a
        // handful of them, which cost microseconds each.
        git2::opts::enable_caching(false);
        // A partial clone is only read; a blob that is missing is an error of its own.
        // SAFETY: `Once` makes this the only writer, and it runs before any repository is
        // opened by this module, which is the only one that opens repositories.
        let set = unsafe { git2::opts::set_extensions(&["partialclone", "relativeworktrees"]) };
        if let Err(error) = set {
            tracing::warn!(%error, "partial clones will be refused");
        }
    });
}
