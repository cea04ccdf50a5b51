//! Finds files that a run wrote, by patterns: no link is followed, so many entries are looked at,
//! and what lay there before is told apart by the inode's own time, which no program can set.

use crate::git::Confined;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// Entries of directories that are looked at for one pattern.
const MOST_ENTRIES: usize = 200_000;
/// Directories within each other.
const DEEPEST: usize = 64;
/// Directories that hold other people's files: `**` does not stand for them.
const FOREIGN: [&str; 3] = ["node_modules", ".git", ".gradle"];

/// Shows `visit` every file below `dir` that fits: `*` stands for a part of a name, `**` for any
/// directories. It answers whether to go on.
pub(super) fn find(
    tree: &Confined,
    dir: &Path,
    pattern: &str,
    visit: &mut dyn FnMut(&Path) -> bool,
) {
    let parts: Vec<&str> = pattern.split('/').collect();
    let mut finder = Finder {
        tree,
        left: MOST_ENTRIES,
        visit,
    };
    finder.walk(dir, &parts, DEEPEST);
}

/// A moment to compare files with: file systems stamp with a coarse clock.
pub(super) fn moment() -> SystemTime {
    SystemTime::now() - Duration::from_millis(20)
}

/// Whether a file was changed at that moment or later.
pub(super) fn changed_since(meta: &Metadata, since: SystemTime) -> bool {
    let seconds = Duration::from_secs(u64::try_from(meta.ctime()).unwrap_or(0));
    let nanos = Duration::from_nanos(u64::try_from(meta.ctime_nsec()).unwrap_or(0));
    UNIX_EPOCH + seconds + nanos >= since
}

struct Finder<'a> {
    tree: &'a Confined,
    left: usize,
    visit: &'a mut dyn FnMut(&Path) -> bool,
}

impl Finder<'_> {
    /// Answers whether to go on.
    fn walk(&mut self, dir: &Path, pattern: &[&str], deeper: usize) -> bool {
        let (Some((first, rest)), Some(deeper)) = (pattern.split_first(), deeper.checked_sub(1))
        else {
            return true;
        };
        if *first == "**" && !self.walk(dir, rest, deeper) {
            return false;
        }
        for (name, is_dir) in self.entries(dir) {
            let Some(left) = self.left.checked_sub(1) else {
                return false;
            };
            self.left = left;
            let path = dir.join(&name);
            let go_on = if *first == "**" {
                !is_dir || FOREIGN.contains(&name.as_str()) || self.walk(&path, pattern, deeper)
            } else if !matches(first, &name) {
                true
            } else {
                match rest.is_empty() {
                    true => is_dir || (self.visit)(&path),
                    false => !is_dir || self.walk(&path, rest, deeper),
                }
            };
            if !go_on {
                return false;
            }
        }
        true
    }

    /// Without following a link, whatever a test made of a directory.
    fn entries(&self, dir: &Path) -> Vec<(String, bool)> {
        let opened = self.tree.open_dir(dir).ok();
        let entries = opened.and_then(|fd| rustix::fs::Dir::new(fd).ok());
        let mut names: Vec<(String, bool)> = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().to_str().ok()?.to_owned();
                let dir = entry.file_type() == rustix::fs::FileType::Directory;
                (name != "." && name != "..").then_some((name, dir))
            })
            .collect();
        names.sort();
        names
    }
}

/// Whether a name fits a pattern with `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|left| {
            (0..=left.len()).any(|at| left.is_char_boundary(at) && matches(rest, &left[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_a_part_of_a_name() {
        assert!(matches("TEST-*.xml", "TEST-a.b.xml"));
        assert!(!matches("TEST-*.xml", "TEST-a.xml.bak"));
    }
}
