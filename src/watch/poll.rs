//! Polling, for file systems without events. Two hashes a file are kept (notify's polling
//! watcher keeps whole paths and compares whole seconds, so it misses the second save).

use crate::git::Confined;
use crate::git::IgnoreRules;
use crate::watch::dirs::visit_entries;
use rustix::fs::FileType;
use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

/// How often the tree is looked at, if that is quick.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// Of the time, at most one part in so many is spent looking.
const SHARE: u32 = 20;

/// What a tree looked like.
#[derive(Debug, Default)]
pub(crate) struct Poll {
    /// Hash of the path, hash of the stat; sorted.
    seen: Vec<(u64, u64)>,
    /// How long looking took.
    took: Duration,
}

/// What is different.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// New and changed paths, with whether they are directories.
    pub touched: Vec<(PathBuf, bool)>,
    /// Something is gone.
    pub removed: bool,
}

impl Poll {
    /// Until the next look.
    pub fn interval(&self) -> Duration {
        INTERVAL.max(self.took * SHARE)
    }

    /// Looks at everything that git does not ignore.
    pub fn look(&mut self, root: &Confined, rules: &mut IgnoreRules) -> io::Result<Looked> {
        let started = Instant::now();
        let mut looked = Looked::default();
        let mut now = Vec::with_capacity(self.seen.len());
        visit_entries(root, rules, &mut |path, stat| {
            let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            let state = if is_dir {
                1
            } else {
                let mtime = (stat.st_mtime, stat.st_mtime_nsec);
                let ctime = (stat.st_ctime, stat.st_ctime_nsec);
                hash(&(stat.st_size, mtime, ctime, stat.st_ino, stat.st_mode))
            };
            let entry = (hash(path), state);
            now.push(entry);
            if self.seen.binary_search(&entry).is_err() {
                looked.touched.push((path.to_owned(), is_dir));
            }
        })?;
        now.sort_unstable();
        let still = |hash: u64| now.binary_search_by_key(&hash, |entry| entry.0).is_ok();
        looked.removed = self.seen.iter().any(|(path, _)| !still(*path));
        self.seen = now;
        self.took = started.elapsed();
        Ok(looked)
    }
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
