//! Which paths git ignores: `.gitignore` files, `info/exclude`, `core.excludesFile`.
//!
//! The `ignore` crate matches; what is ours is asking for one path without walking to it, and
//! reading the files confined, because a cloned repository can be hostile.

use crate::git::Confined;
use crate::git::GitError;
use crate::git::Worktree;
use ignore::Match;
use ignore::gitignore::Gitignore;
use ignore::gitignore::GitignoreBuilder;
use std::collections::HashMap;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

/// A larger file of patterns is not believed.
const MAX_FILE: u64 = 1 << 20;

/// So many compiled files are kept; each can take 100 kB.
const MAX_CACHED: usize = 256;

/// The ignore rules of one worktree, read as they are asked for.
#[derive(Debug)]
pub struct IgnoreRules {
    root: Confined,
    /// `core.excludesFile`, then `info/exclude`: the weakest ones.
    outer: Vec<Gitignore>,
    /// What each directory's `.gitignore` says, if it has one.
    dirs: HashMap<PathBuf, Option<Arc<Gitignore>>>,
}

/// The rules that hold in one directory, weakest first; made on the way down by a walk.
#[derive(Debug, Clone, Default)]
pub struct RuleStack {
    levels: Vec<(usize, Arc<Gitignore>)>,
}

impl IgnoreRules {
    /// The rules of a worktree.
    pub fn open(worktree: &Worktree) -> Result<IgnoreRules, GitError> {
        let root = Confined::open(&worktree.root).map_err(GitError::io("open", &worktree.root))?;
        IgnoreRules::open_in(worktree, root)
    }

    /// The rules of a copy of a worktree: its own `.gitignore` files, the original's outer ones.
    pub fn open_in(worktree: &Worktree, root: Confined) -> Result<IgnoreRules, GitError> {
        let excludes_file = worktree
            .open()?
            .config()
            .and_then(|config| config.get_path("core.excludesfile"))
            .ok()
            .or_else(ignore::gitignore::gitconfig_excludes_path);
        let exclude = worktree.common_dir.join("info/exclude");
        let outer = excludes_file
            .into_iter()
            .chain([exclude])
            .filter_map(|path| compile(&read_trusted(&path)?))
            .collect();
        Ok(IgnoreRules {
            root,
            outer,
            dirs: HashMap::new(),
        })
    }

    /// Whether git ignores a path, relative to the root: it or a directory above it.
    pub fn is_ignored(&mut self, path: &Path, is_dir: bool) -> bool {
        let mut stack = self.root_stack();
        let mut above = PathBuf::new();
        let parts: Vec<_> = path.components().collect();
        for (at, part) in parts.iter().enumerate() {
            above.push(part);
            let last = at + 1 == parts.len();
            if self.matches(&stack, &above, !last || is_dir) {
                return true;
            }
            if !last {
                self.descend(&mut stack, &above);
            }
        }
        false
    }

    /// The rules that hold in the root.
    pub fn root_stack(&mut self) -> RuleStack {
        let mut stack = RuleStack::default();
        self.descend(&mut stack, Path::new(""));
        stack
    }

    /// Adds the rules of a directory whose parent's are in the stack.
    pub fn descend(&mut self, stack: &mut RuleStack, dir: &Path) {
        if let Some(rules) = self.of_dir(dir) {
            stack.levels.push((dir.components().count(), rules));
        }
    }

    /// Whether the rules ignore a path whose parents they do not.
    pub fn matches(&self, stack: &RuleStack, path: &Path, is_dir: bool) -> bool {
        for (depth, rules) in stack.levels.iter().rev() {
            let mut below = path.components();
            for _ in 0..*depth {
                below.next();
            }
            match rules.matched(below.as_path(), is_dir) {
                Match::None => {}
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
            }
        }
        for rules in self.outer.iter().rev() {
            match rules.matched(path, is_dir) {
                Match::None => {}
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
            }
        }
        false
    }

    /// Forgets what was read; call it when a file of patterns changed.
    pub fn forget(&mut self) {
        self.dirs.clear();
    }

    fn of_dir(&mut self, dir: &Path) -> Option<Arc<Gitignore>> {
        if let Some(known) = self.dirs.get(dir) {
            return known.clone();
        }
        let found = self
            .root
            .read(&dir.join(".gitignore"), MAX_FILE)
            .ok()
            .and_then(|text| compile(&text))
            .map(Arc::new);
        if self.dirs.len() >= MAX_CACHED {
            self.dirs.clear();
        }
        self.dirs.insert(dir.to_owned(), found.clone());
        found
    }
}

/// A pattern that cannot be compiled is left out, as git does.
fn compile(text: &[u8]) -> Option<Gitignore> {
    let mut builder = GitignoreBuilder::new("");
    for line in String::from_utf8_lossy(text).lines() {
        let _ = builder.add_line(None, line);
    }
    builder.build().ok().filter(|rules| !rules.is_empty())
}

/// A file named by the user's configuration. `.git/config` can name a FIFO.
fn read_trusted(path: &Path) -> Option<Vec<u8>> {
    let file = std::fs::File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut text).ok()?;
    Some(text)
}
