//! The project's files as the parsers may ask for them: in the slot, where a test may have put
//! anything, so confined, regular files only, and so much of them.

use crate::git::Confined;
use regreen_parsers::Files;
use regreen_parsers::Tree;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;

/// Larger files are not sources.
const MOST_BYTES: u64 = 4 << 20;
/// Names of one directory, at most.
const MOST_NAMES: usize = 10_000;

/// The files below a directory.
#[derive(Debug)]
pub struct Sources {
    root: Confined,
    /// Asked for every failure, mostly for the same few files. One owner would have to answer
    /// through a channel what is a number.
    lines: Mutex<HashMap<String, Option<u32>>>,
}

impl Sources {
    /// What parsers may ask; nothing if the directory cannot be opened.
    pub fn tree(root: &Path) -> Tree {
        match Confined::open(root) {
            Ok(root) => Tree::of(Sources {
                root,
                lines: Mutex::default(),
            }),
            Err(_) => Tree::default(),
        }
    }
}

impl Files for Sources {
    fn lines(&self, path: &str) -> Option<u32> {
        let mut known = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lines) = known.get(path) {
            return *lines;
        }
        let bytes = self.root.read(Path::new(path), MOST_BYTES).ok();
        let lines = bytes.map(|bytes| {
            let ends = memchr::memchr_iter(b'\n', &bytes).count();
            let rest = usize::from(bytes.last().is_some_and(|last| *last != b'\n'));
            u32::try_from(ends + rest).unwrap_or(u32::MAX)
        });
        known.insert(path.to_owned(), lines);
        lines
    }

    fn read(&self, path: &str) -> Option<String> {
        let bytes = self.root.read(Path::new(path), MOST_BYTES).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn list(&self, dir: &str) -> Vec<String> {
        let Ok(fd) = self.root.open_dir(Path::new(dir)) else {
            return Vec::new();
        };
        let Ok(entries) = rustix::fs::Dir::new(fd) else {
            return Vec::new();
        };
        let files = entries
            .flatten()
            .filter(|entry| entry.file_type() == rustix::fs::FileType::RegularFile);
        let names = files.filter_map(|entry| Some(entry.file_name().to_str().ok()?.to_owned()));
        let mut names: Vec<String> = names.take(MOST_NAMES).collect();
        names.sort();
        names
    }
}
