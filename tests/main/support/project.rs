//! A git worktree to be tested, built from inline files or from a fixture.

use crate::support::Home;
use crate::support::Invocation;
use crate::support::Ran;
use crate::support::repository;
use crate::support::until_changed;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use walkdir::WalkDir;

/// `fixtures/` of the repository.
pub fn fixtures() -> PathBuf {
    repository().join("fixtures")
}

/// A project in the making.
pub struct ProjectBuilder {
    home: Home,
    root: PathBuf,
}

impl ProjectBuilder {
    pub(super) fn new(home: Home, root: PathBuf) -> Self {
        std::fs::create_dir_all(&root).expect("the home is writable");
        ProjectBuilder { home, root }
    }

    /// With this file.
    pub fn file(self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Self {
        write(&self.root.join(path), content.as_ref());
        self
    }

    /// With everything below `from` but `expected.toml` and build products.
    pub fn copied_from(self, from: &Path) -> Self {
        copy_tree(
            from,
            &self.root,
            &["expected.toml", "target", "__pycache__"],
        );
        self
    }

    /// As a git repository with one commit of everything on `main`.
    pub fn committed(self) -> Project {
        let project = self.unborn();
        project.commit("begin");
        project
    }

    /// As a git repository without a commit.
    pub fn unborn(self) -> Project {
        let project = self.plain();
        project.git(["init", "-q"]);
        project
    }

    /// As a directory that is no git repository.
    pub fn plain(self) -> Project {
        Project {
            home: self.home,
            root: self.root,
        }
    }
}

/// A directory, mostly a git worktree, in a [`Home`].
#[derive(Clone)]
pub struct Project {
    /// The home that it belongs to.
    pub home: Home,
    root: PathBuf,
}

impl Project {
    /// A project that exists already (a linked worktree, a clone).
    pub fn at(home: &Home, root: &Path) -> Project {
        Project {
            home: home.clone(),
            root: root.to_owned(),
        }
    }

    /// Its top directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path in it.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }

    /// Begins an invocation of regreen in it.
    pub fn regreen<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Invocation {
        self.home.regreen(args).within_dir(&self.root)
    }

    /// Runs git in it; panics if git fails. Answers its output without the last line end.
    #[track_caller]
    pub fn git<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        let ran = self.try_git(args);
        ran.exits(0);
        ran.stdout().trim_end_matches('\n').to_owned()
    }

    /// Runs git in it, whatever comes of it.
    #[track_caller]
    pub fn try_git<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        self.home.program("git", args).within_dir(&self.root).run()
    }

    /// Commits everything; answers the commit's id.
    #[track_caller]
    pub fn commit(&self, message: &str) -> String {
        self.git(["add", "--all"]);
        self.git(["commit", "-q", "--allow-empty", "-m", message]);
        self.git(["rev-parse", "HEAD"])
    }

    /// Saves a file the way most editors do: a temporary file, then a rename over it.
    #[track_caller]
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        let name = path.file_name().expect("a file has a name");
        let beside = path.with_file_name(format!(".{}.swp~", name.to_string_lossy()));
        write(&beside, content.as_ref());
        std::fs::rename(&beside, &path).expect("the project is ours");
    }

    /// Saves a file in place, as `cat >` does.
    #[track_caller]
    pub fn write_in_place(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        write(&self.root.join(path), content.as_ref());
    }

    /// Replaces a piece of text in a file, which must be there exactly once.
    #[track_caller]
    pub fn edit(&self, path: impl AsRef<Path>, from: &str, to: &str) {
        let text = self.read(&path);
        let times = text.matches(from).count();
        let name = path.as_ref().display();
        assert_eq!(times, 1, "`{from}` is in `{name}` {times} times:\n{text}");
        self.write(path, text.replacen(from, to, 1));
    }

    /// A file's text.
    #[track_caller]
    pub fn read(&self, path: impl AsRef<Path>) -> String {
        let path = self.root.join(path);
        std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("failed to read `{}`: {error}", path.display()))
    }

    /// Its git directory (a linked worktree has one of its own).
    pub fn git_dir(&self) -> PathBuf {
        PathBuf::from(self.git(["rev-parse", "--absolute-git-dir"]))
    }

    /// Where the status file lies.
    pub fn status_path(&self) -> PathBuf {
        self.git_dir().join("regreen/status.json")
    }

    /// The status file now, if there is one.
    pub fn status(&self) -> Option<serde_json::Value> {
        read_status(&self.status_path())
    }

    /// Waits, at most a minute, for a status file that fulfils the condition.
    #[track_caller]
    pub fn status_until(
        &self,
        what: &str,
        holds: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        self.status_within(Duration::from_secs(60), what, holds)
    }

    /// Waits for a status file that fulfils the condition.
    #[track_caller]
    pub fn status_within(
        &self,
        bound: Duration,
        what: &str,
        holds: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let path = self.status_path();
        let dir = path.parent().expect("a file lies in a directory");
        let mut last = None;
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until_changed(dir, &format!("the status `{what}`"), bound, || {
                last = read_status(&path);
                last.clone().filter(|status| holds(status))
            })
        }));
        match found {
            Ok(status) => status,
            Err(_) => panic!("waited {bound:?} for the status `{what}`; the last was {last:#?}"),
        }
    }

    /// The git tree id of the work tree as it is now, untracked files included, by git itself.
    #[track_caller]
    pub fn tree_now(&self) -> String {
        let index = self.home.top().join("index-of-the-test");
        // The stat cache of the user's index is not needed, only what is tracked.
        let _ = std::fs::remove_file(&index);
        let git = |args: &[&str]| {
            let git = self.home.program("git", args).within_dir(&self.root);
            let ran = git.env("GIT_INDEX_FILE", &index).run();
            ran.exits(0);
            ran.stdout().trim().to_owned()
        };
        if self.try_git(["rev-parse", "-q", "--verify", "HEAD"]).code() == Some(0) {
            git(&["read-tree", "HEAD"]);
        }
        git(&["add", "--all"]);
        git(&["write-tree"])
    }

    /// Waits for a settled status that is about the work tree as it is now, and answers it.
    #[track_caller]
    pub fn settled(&self) -> serde_json::Value {
        let tree = self.tree_now();
        let what = format!("settled on tree {tree}");
        self.status_within(Duration::from_secs(90), &what, |status| {
            let suites = status["suites"].as_array().map_or(&[][..], Vec::as_slice);
            status["snapshot"] == tree.as_str()
                && status["activity"] == "idle"
                && status["stale"] == false
                && !suites.is_empty()
                && suites.iter().all(|suite| suite["tested"] == tree.as_str())
        })
    }

    /// Everything of the user's that regreen must not change.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut entries = BTreeMap::new();
        let common = PathBuf::from(self.git(["rev-parse", "--git-common-dir"]));
        let common = self.root.join(common);
        for top in [self.root.clone(), common] {
            for entry in WalkDir::new(&top).follow_links(false) {
                let entry = entry.expect("the project can be walked");
                let path = entry.path().to_owned();
                if !belongs_to_regreen(&path) {
                    let about = describe(&path);
                    entries.insert(path, about);
                }
            }
        }
        Fingerprint(entries)
    }
}

/// Regreen may add `<git dir>/regreen/`, and for loops objects and refs of its own.
fn belongs_to_regreen(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let Some((_, inside)) = text.split_once("/.git/") else {
        // The directories whose own times change when regreen adds its own beside them.
        return text.ends_with("/.git");
    };
    let inside = match inside.strip_prefix("worktrees/") {
        Some(rest) => rest.split_once('/').map_or("", |(_, rest)| rest),
        None => inside,
    };
    ["regreen", "objects", "refs/regreen", "refs/heads/regreen"]
        .iter()
        .any(|own| inside == *own || inside.starts_with(&format!("{own}/")))
        || ["logs/refs/heads/regreen", "logs/refs/regreen"]
            .iter()
            .any(|own| inside.starts_with(own))
}

/// What a path was: type, mode, content; for files the time of the last change too.
fn describe(path: &Path) -> String {
    let Ok(meta) = path.symlink_metadata() else {
        return "gone".into();
    };
    let mode = meta.permissions().mode();
    if meta.is_symlink() {
        let target = std::fs::read_link(path).unwrap_or_default();
        return format!("link {mode:o} {}", target.display());
    }
    if meta.is_dir() {
        return format!("dir {mode:o}");
    }
    let modified = meta.modified().expect("this file system has times");
    let content = match meta.is_file() {
        true => std::fs::read(path).map(|bytes| format!("{:?}", String::from_utf8_lossy(&bytes))),
        false => Ok("(special)".into()),
    };
    let content = content.unwrap_or_else(|error| error.to_string());
    format!("file {mode:o} {modified:?} {content}")
}

/// What was there, byte for byte: work tree, index, HEAD, refs, config, hooks.
#[derive(Debug, PartialEq, Eq)]
pub struct Fingerprint(BTreeMap<PathBuf, String>);

impl Fingerprint {
    /// Panics, naming each path, if anything is not as it was.
    #[track_caller]
    pub fn unchanged_in(&self, project: &Project) {
        let now = project.fingerprint();
        let paths = self.0.keys().chain(now.0.keys());
        let mut differences: Vec<String> = paths
            .filter(|path| self.0.get(*path) != now.0.get(*path))
            .map(|path| {
                let (was, is) = (self.0.get(path), now.0.get(path));
                format!("{}\n  was {was:?}\n  is  {is:?}", path.display())
            })
            .collect();
        differences.sort();
        differences.dedup();
        assert!(
            differences.is_empty(),
            "changed behind the user's back:\n{}",
            differences.join("\n")
        );
    }
}

/// Copies a tree, without the entries of these names.
pub fn copy_tree(from: &Path, to: &Path, without: &[&str]) {
    assert!(from.is_dir(), "`{}` is no directory", from.display());
    let walk = WalkDir::new(from).min_depth(1).into_iter();
    let wanted = |name: &OsStr| !without.iter().any(|other| OsStr::new(other) == name);
    for entry in walk.filter_entry(|entry| wanted(entry.file_name())) {
        let entry = entry.expect("a fixture can be read");
        let below = entry.path().strip_prefix(from).expect("it lies below");
        let place = to.join(below);
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(&place).expect("the copy is ours");
        } else {
            std::fs::copy(entry.path(), &place).expect("the copy is ours");
        }
    }
}

fn read_status(path: &Path) -> Option<serde_json::Value> {
    let bytes = std::fs::read(path).ok()?;
    let status = serde_json::from_slice(&bytes);
    Some(status.unwrap_or_else(|error| {
        panic!(
            "`{}` is not valid JSON ({error}), so it is not written atomically",
            path.display()
        )
    }))
}

fn write(path: &Path, content: &[u8]) {
    let dir = path.parent().expect("a file lies in a directory");
    std::fs::create_dir_all(dir).expect("the project is ours");
    std::fs::write(path, content)
        .unwrap_or_else(|error| panic!("failed to write `{}`: {error}", path.display()));
}
