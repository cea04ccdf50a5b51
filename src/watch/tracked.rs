//! Paths that git ignores and tracks all the same: their changes count.

use crate::git::IgnoreRules;
use crate::git::IndexFile;
use crate::git::RuleStack;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;

/// The paths of an index that the rules ignore.
#[derive(Debug, Default)]
pub(crate) struct IgnoredButTracked {
    files: BTreeSet<PathBuf>,
    /// Of the set of all paths: most changes of an index do not change it.
    fingerprint: u64,
}

impl IgnoredButTracked {
    pub fn contains(&self, path: &Path) -> bool {
        self.files.contains(path)
    }

    /// Reads the index again. Answers the directories that have to be watched because of it,
    /// or `None` if nothing changed.
    pub fn reload(&mut self, index: &Path, rules: &mut IgnoreRules) -> Option<BTreeSet<PathBuf>> {
        // A split index, or none: then such files are found by the reconciling walk only.
        let index = IndexFile::read(index).ok()??;
        let mut hasher = DefaultHasher::new();
        let hashed = index.each(&mut |entry| {
            entry.path.hash(&mut hasher);
            Ok(())
        });
        hashed.ok()?;
        let fingerprint = hasher.finish();
        if fingerprint == self.fingerprint {
            return None;
        }
        self.fingerprint = fingerprint;
        self.files.clear();
        let mut last: Option<(PathBuf, Option<RuleStack>)> = None;
        let read = index.each(&mut |entry| {
            let path = Path::new(OsStr::from_bytes(entry.path));
            let dir = path.parent().unwrap_or(Path::new(""));
            if last.as_ref().is_none_or(|(known, _)| known != dir) {
                last = Some((dir.to_owned(), stack_of(rules, dir)));
            }
            let ignored = match &last {
                Some((_, Some(stack))) => rules.matches(stack, path, false),
                _ => true,
            };
            if ignored {
                self.files.insert(path.to_owned());
            }
            Ok(())
        });
        read.ok()?;
        let mut dirs = BTreeSet::new();
        for file in &self.files {
            let above = file.ancestors().skip(1);
            dirs.extend(
                above
                    .filter(|dir| !dir.as_os_str().is_empty())
                    .map(Path::to_owned),
            );
        }
        Some(dirs)
    }
}

/// The rules that hold in a directory; `None` if it is ignored itself.
fn stack_of(rules: &mut IgnoreRules, dir: &Path) -> Option<RuleStack> {
    let mut stack = rules.root_stack();
    let mut above = PathBuf::new();
    for part in dir.components() {
        above.push(part);
        if rules.matches(&stack, &above, true) {
            return None;
        }
        rules.descend(&mut stack, &above);
    }
    Some(stack)
}
