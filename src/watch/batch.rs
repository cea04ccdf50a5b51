//! The paths that were touched since the last change.

use crate::model::Change;
use crate::model::Origin;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

/// With more paths than this a walk is as quick, and the memory stays small.
const MAX_PATHS: usize = 20_000;

/// What has been touched since the last change.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    paths: BTreeSet<PathBuf>,
    /// Of these, those that were written to and not closed yet.
    open: BTreeSet<PathBuf>,
    /// Walk everything.
    rescan: bool,
    /// Something in the git directory moved.
    git: bool,
}

impl Batch {
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    pub fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// A path was touched; `open`: its writer is not done.
    pub fn touch(&mut self, path: &Path, open: bool) {
        match open {
            true => self.open.insert(path.to_owned()),
            false => self.open.remove(path),
        };
        self.paths.insert(path.to_owned());
        if self.paths.len() > MAX_PATHS {
            self.paths.clear();
            self.open.clear();
            self.rescan = true;
        }
    }

    pub fn rescan(&mut self) {
        self.rescan = true;
    }

    pub fn git(&mut self) {
        self.git = true;
    }

    /// The change that this is, leaving nothing behind.
    pub fn take(&mut self, origin: Origin) -> Change {
        let batch = std::mem::take(self);
        let only_rescan = batch.rescan && batch.paths.is_empty() && !batch.git;
        Change {
            origin: if only_rescan { Origin::Rescan } else { origin },
            paths: batch.paths.into_iter().collect(),
            rescan: batch.rescan,
        }
    }

    /// A change that nobody could take yet comes back.
    pub fn put_back(&mut self, change: Change) {
        self.rescan |= change.rescan;
        self.git = true;
        self.paths.extend(change.paths);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_becomes_a_walk() {
        let mut batch = Batch::default();
        for number in 0..=MAX_PATHS {
            batch.touch(Path::new(&number.to_string()), true);
        }
        assert!(!batch.has_open());
        let change = batch.take(Origin::Save);
        assert!(change.rescan && change.paths.is_empty());
        assert_eq!(batch.len(), 0);
    }

    #[test]
    fn what_is_put_back_is_not_lost() {
        let mut batch = Batch::default();
        batch.touch(Path::new("a"), false);
        let change = batch.take(Origin::Save);
        batch.touch(Path::new("b"), false);
        batch.put_back(change);
        let change = batch.take(Origin::Save);
        assert_eq!(change.paths, [PathBuf::from("a"), PathBuf::from("b")]);
    }
}
