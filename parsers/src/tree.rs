//! What a parser may ask about the project's files. The crate itself opens none: whoever uses
//! it says how.

use std::fmt;
use std::sync::Arc;

/// Answers questions about the files of a project. Paths are relative to its root.
pub trait Files: fmt::Debug + Send + Sync {
    /// How many lines a regular file has; nothing if there is none, or it may not be read.
    fn lines(&self, path: &str) -> Option<u32>;

    /// The text of a small regular file (manifests, sources).
    fn read(&self, path: &str) -> Option<String>;

    /// The names of the regular files in a directory.
    fn list(&self, dir: &str) -> Vec<String>;
}

/// The project's files, or nothing where nobody can look.
#[derive(Debug, Clone, Default)]
pub struct Tree(Option<Arc<dyn Files>>);

impl Tree {
    /// A tree that can be asked.
    pub fn of(files: impl Files + 'static) -> Self {
        Tree(Some(Arc::new(files)))
    }

    /// Whether a place can be there: `true` where nobody knows, and for what lies outside.
    pub(crate) fn may_hold(&self, path: &str, line: Option<u32>) -> bool {
        let Some(files) = &self.0 else {
            return true;
        };
        if path.is_empty() || path.starts_with(['/', '<']) || path.starts_with("../") {
            return true;
        }
        files
            .lines(path)
            .is_some_and(|lines| line.is_none_or(|line| line <= lines.max(1)))
    }

    /// Whether a file is surely there.
    #[expect(dead_code, reason = "for the formats to come")]
    pub(crate) fn holds(&self, path: &str) -> bool {
        let files = self.0.as_ref();
        files.is_some_and(|files| files.lines(path).is_some())
    }

    /// The text of a small file.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        self.0.as_ref()?.read(path)
    }

    /// The names of the files in a directory.
    #[expect(dead_code, reason = "for the formats to come")]
    pub(crate) fn list(&self, dir: &str) -> Vec<String> {
        self.0
            .as_ref()
            .map_or_else(Vec::new, |files| files.list(dir))
    }
}

/// Two trees are one if they ask the same.
impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

impl Eq for Tree {}
