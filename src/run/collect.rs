//! Report files that a tool writes into the project by itself (Maven's and Gradle's XML): found
//! after the run by their pattern, opened confined, regular files only, so many and so large.
//!
//! What lay there before the run is no word about it: only files that changed since count. The
//! inode's own time is asked, which no program can set.

use crate::git::Confined;
use crate::run::find;
use crate::run::find::find;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

/// Files of one run, at most.
const MOST_FILES: usize = 5_000;
/// Their bytes in all.
const MOST_BYTES: u64 = 256 << 20;

/// Which files are to be read after a run.
#[derive(Debug, Clone, Default)]
pub struct Collect {
    /// The slot's copy of the worktree.
    pub tree: PathBuf,
    /// The directory in it that the patterns start from.
    pub dir: PathBuf,
    /// `*` stands for a part of a name, `**` for any directories.
    pub patterns: Vec<String>,
}

/// The same while the run goes on.
#[derive(Debug)]
pub struct Collecting {
    wanted: Collect,
    since: SystemTime,
}

impl Collect {
    /// The run begins.
    pub fn begin(self) -> Collecting {
        Collecting {
            wanted: self,
            since: find::moment(),
        }
    }
}

impl Collecting {
    /// The run is over: name and content of each file, and the names of what was no regular
    /// file.
    pub fn end(&self) -> (Vec<(String, Vec<u8>)>, Vec<String>) {
        let mut found = Found::default();
        if self.wanted.patterns.is_empty() {
            return (found.files, found.refused);
        }
        let Ok(tree) = Confined::open(&self.wanted.tree) else {
            return (found.files, found.refused);
        };
        for pattern in &self.wanted.patterns {
            find(&tree, &self.wanted.dir, pattern, &mut |path| {
                self.take(&tree, path, &mut found);
                found.files.len() < MOST_FILES
            });
        }
        (found.files, found.refused)
    }

    fn take(&self, tree: &Confined, path: &Path, found: &mut Found) {
        let shown = path.to_string_lossy().into_owned();
        let Ok(file) = tree.open_file(path) else {
            found.refused.push(shown);
            return;
        };
        let Ok(meta) = file.metadata() else { return };
        if !find::changed_since(&meta, self.since) {
            return;
        }
        let room = MOST_BYTES.saturating_sub(found.bytes);
        if let Ok(bytes) = tree.read(path, room) {
            found.bytes += bytes.len() as u64;
            found.files.push((shown, bytes));
        }
    }
}

#[derive(Debug, Default)]
struct Found {
    files: Vec<(String, Vec<u8>)>,
    refused: Vec<String>,
    bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::time::Duration;
    use std::time::UNIX_EPOCH;

    #[test]
    fn only_what_the_run_wrote_is_read_and_nothing_through_a_link() {
        let temp = tempfile::tempdir().expect("a directory");
        let reports = temp.path().join("app/target/surefire-reports");
        std::fs::create_dir_all(&reports).expect("made");
        std::fs::write(reports.join("TEST-old.xml"), "old").expect("written");
        std::fs::write(temp.path().join("secret"), "secret").expect("written");
        let collecting = Collect {
            tree: temp.path().to_owned(),
            dir: PathBuf::new(),
            patterns: vec!["**/target/surefire-reports/TEST-*.xml".to_owned()],
        };
        // As if the run had begun just after what lies there was written.
        let written = std::fs::metadata(reports.join("TEST-old.xml")).expect("there");
        let seconds = Duration::from_secs(u64::try_from(written.ctime()).expect("after 1970"));
        let nanos = Duration::from_nanos(u64::try_from(written.ctime_nsec()).expect("positive"));
        let mut collecting = collecting.begin();
        collecting.since = UNIX_EPOCH + seconds + nanos + Duration::from_nanos(1);
        while SystemTime::now() < collecting.since + Duration::from_millis(20) {
            std::thread::yield_now();
        }
        std::fs::write(reports.join("TEST-new.xml"), "new").expect("written");
        std::fs::write(reports.join("other.txt"), "other").expect("written");
        std::os::unix::fs::symlink(temp.path().join("secret"), reports.join("TEST-link.xml"))
            .expect("linked");
        let (files, refused) = collecting.end();
        let new = "app/target/surefire-reports/TEST-new.xml";
        assert_eq!(files, [(new.to_owned(), b"new".to_vec())]);
        assert_eq!(refused, ["app/target/surefire-reports/TEST-link.xml"]);
    }
}
