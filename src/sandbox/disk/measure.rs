//! What lies in a slot, told apart by the inodes' own time, which no program can set: what was
//! there when a run began, and what it touched since. No link is followed, and nothing is opened
//! but directories.

use rustix::process::Pid;
use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// Entries that one walk looks at.
const MOST_ENTRIES: usize = 2_000_000;
/// Open files that one walk looks at.
const MOST_OPEN: usize = 50_000;
/// How long one walk may take.
const LONGEST: Duration = Duration::from_secs(20);

/// What a walk found, in bytes on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measured {
    /// In files that were touched since the run began, also in those that have no name any more.
    pub written: u64,
    /// In all others.
    pub held: u64,
    /// Whether everything could be looked at.
    pub complete: bool,
}

impl Measured {
    /// Walks directories that `members` write to.
    pub fn of(places: &[PathBuf], members: &[Pid], begun: SystemTime) -> Self {
        let mut walk = Walk {
            begun: begun.duration_since(UNIX_EPOCH).unwrap_or_default(),
            until: Instant::now() + LONGEST,
            left: MOST_ENTRIES,
            linked: HashSet::new(),
            found: Measured {
                written: 0,
                held: 0,
                complete: true,
            },
        };
        let device = places
            .first()
            .and_then(|place| Some(place.symlink_metadata().ok()?.dev()));
        for place in places {
            walk.directory(place);
        }
        if let Some(device) = device {
            walk.unnamed(members, device);
        }
        walk.found
    }
}

struct Walk {
    begun: Duration,
    until: Instant,
    left: usize,
    /// Files that were counted under another of their names.
    linked: HashSet<(u64, u64)>,
    found: Measured,
}

impl Walk {
    fn directory(&mut self, top: &Path) {
        let mut queue = vec![top.to_owned()];
        while let Some(dir) = queue.pop() {
            let entries = match std::fs::read_dir(&dir) {
                Ok(entries) => entries,
                // Removed meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                // Locked, or too deep for a path.
                Err(_) => {
                    self.found.complete = false;
                    continue;
                }
            };
            for entry in entries.flatten() {
                let more = self
                    .left
                    .checked_sub(1)
                    .filter(|_| Instant::now() < self.until);
                let Some(left) = more else {
                    self.found.complete = false;
                    return;
                };
                self.left = left;
                // Without following a link.
                match entry.metadata() {
                    Ok(meta) => {
                        if meta.is_dir() {
                            queue.push(entry.path());
                        }
                        self.count(&meta);
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(_) => self.found.complete = false,
                }
            }
        }
    }

    fn count(&mut self, meta: &std::fs::Metadata) {
        let several = meta.nlink() > 1 && !meta.is_dir();
        if several && !self.linked.insert((meta.dev(), meta.ino())) {
            return;
        }
        let seconds = Duration::from_secs(u64::try_from(meta.ctime()).unwrap_or(0));
        let nanos = Duration::from_nanos(u64::try_from(meta.ctime_nsec()).unwrap_or(0));
        let bytes = meta.blocks().saturating_mul(512);
        match seconds + nanos >= self.begun {
            true => self.found.written = self.found.written.saturating_add(bytes),
            false => self.found.held = self.found.held.saturating_add(bytes),
        }
    }

    /// Files that were removed while somebody had them open still take their space.
    fn unnamed(&mut self, members: &[Pid], device: u64) {
        let mut left = MOST_OPEN;
        for pid in members {
            let Ok(open) = std::fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())) else {
                continue;
            };
            for entry in open.flatten() {
                let Some(fewer) = left.checked_sub(1).filter(|_| Instant::now() < self.until)
                else {
                    self.found.complete = false;
                    return;
                };
                left = fewer;
                // The kernel's own link: it leads to the open file, and opens nothing.
                let Ok(meta) = std::fs::metadata(entry.path()) else {
                    continue;
                };
                let ours = meta.is_file() && meta.nlink() == 0 && meta.dev() == device;
                if ours && self.linked.insert((meta.dev(), meta.ino())) {
                    self.count(&meta);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_are_told_apart_and_links_count_once() {
        let temp = tempfile::tempdir().expect("a directory");
        let path = |name: &str| temp.path().join(name);
        std::fs::create_dir(path("below")).expect("made");
        std::fs::write(path("below/old"), vec![7; 1 << 20]).expect("written");
        let old = std::fs::metadata(path("below/old")).expect("there");
        let begun = Duration::new(
            u64::try_from(old.ctime()).expect("after 1970"),
            u32::try_from(old.ctime_nsec()).expect("less than a second") + 1,
        );
        let begun = UNIX_EPOCH + begun;
        while SystemTime::now() < begun + Duration::from_millis(20) {
            std::thread::yield_now();
        }
        std::fs::write(path("new"), vec![7; 2 << 20]).expect("written");
        std::fs::hard_link(path("new"), path("below/again")).expect("linked");
        std::os::unix::fs::symlink("/", path("root")).expect("linked");
        let places = [temp.path().to_owned()];
        let found = Measured::of(&places, &[], begun);
        let near = |bytes: u64, wanted: u64| bytes >= wanted && bytes < wanted + (128 << 10);
        assert!(near(found.held, 1 << 20), "{found:?}");
        assert!(near(found.written, 2 << 20), "{found:?}");
        assert!(found.complete);
        // One that has no name any more, in our own hands.
        let mut unnamed = tempfile::tempfile_in(temp.path()).expect("a file");
        std::io::Write::write_all(&mut unnamed, &vec![7; 3 << 20]).expect("written");
        let found = Measured::of(&places, &[rustix::process::getpid()], begun);
        // Other tests of this process may have some of their own.
        assert!(found.written >= 5 << 20, "{found:?}");
    }
}
