//! Whether files of the environments that tests use were changed in place, which touches no
//! directory. Nobody watches them, and there are many: they are looked at as often as that is
//! next to nothing for the machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

/// Looked at at most so often,
const OFTEN: Duration = Duration::from_secs(10);
/// and this many times as seldom as one look takes: 0.03 % of a processor.
const SELDOM: u32 = 3_000;
/// By so much the kernel's time of a change may be behind the clock.
const COARSE: Duration = Duration::from_millis(20);

/// What was found in each of the directories, and when it is looked at next.
#[derive(Debug, Clone)]
pub(super) struct Files {
    synchronised: SystemTime,
    known: BTreeMap<PathBuf, Known>,
}

#[derive(Debug, Clone)]
struct Known {
    due: Instant,
    newest: Option<SystemTime>,
}

/// A look at all files of a directory: when one of them was last changed, and how long it took.
#[derive(Debug)]
pub(super) struct Look {
    pub dir: PathBuf,
    pub newest: Option<SystemTime>,
    pub took: Duration,
}

impl Files {
    pub fn new() -> Files {
        Files {
            synchronised: SystemTime::now(),
            known: BTreeMap::new(),
        }
    }

    /// A synchronisation begins: runs after it see what there is now.
    pub fn synchronised(&mut self) {
        self.synchronised = SystemTime::now();
    }

    /// Whether it is time to look at a directory.
    pub fn is_due(&self, dir: &Path, now: Instant) -> bool {
        self.known.get(dir).is_none_or(|known| now >= known.due)
    }

    /// Whether a change came after the last synchronisation.
    pub fn is_later(&self, change: SystemTime) -> bool {
        change + COARSE >= self.synchronised
    }

    /// Takes in what a look found. Answers whether there was a change that the last
    /// synchronisation did not see; of each change once, also where the clock was set back since.
    pub fn looked(&mut self, look: Look, now: Instant) -> bool {
        let (due, newest) = (now + OFTEN.max(look.took * SELDOM), look.newest);
        let before = self.known.insert(look.dir, Known { due, newest });
        let known = before.is_some_and(|known| known.newest == newest);
        !known && newest.is_some_and(|newest| self.is_later(newest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_after_the_synchronisation_is_told_once() {
        let mut files = Files::new();
        let (synchronised, now) = (files.synchronised, Instant::now());
        let (before, after) = (synchronised - OFTEN, synchronised + OFTEN);
        let look = |newest, ms| Look {
            dir: "env".into(),
            newest,
            took: Duration::from_millis(ms),
        };
        let due = |files: &Files, then| files.is_due(Path::new("env"), then);
        assert!(due(&files, now));
        assert!(!files.looked(look(Some(before), 0), now));
        assert!(!due(&files, now));
        assert!(due(&files, now + OFTEN));
        assert!(files.looked(look(Some(after), 0), now));
        assert!(!files.looked(look(Some(after), 0), now));
        assert!(!files.looked(look(None, 0), now));
        // What takes long is done seldom.
        assert!(!files.looked(look(None, 10), now));
        assert!(!due(&files, now + OFTEN * 2));
        assert!(due(&files, now + OFTEN * 3));
        assert!(files.is_due(Path::new("other"), now));
    }
}
