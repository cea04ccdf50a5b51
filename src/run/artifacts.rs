//! What a suite wants kept of a run (coverage, reports, screenshots): copied out of the slot into
//! the run's directory. Opened confined, regular files only, so many and so large; what the run did
//! not write is none of its.

use crate::git::Confined;
use crate::model::Artifact;
use crate::model::Note;
use crate::run::find;
use crate::run::find::find;
use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

/// Files of one run, at most.
const MOST_FILES: usize = 2_000;
/// One file's bytes, at most.
const MOST_OF_ONE: u64 = 128 << 20;
/// All files' bytes, at most.
const MOST_BYTES: u64 = 512 << 20;
/// Directories within each other, at most.
const DEEPEST: usize = 24;
/// How many that were left out are named.
const NAMED: usize = 5;

/// What is to be kept of a run.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// The slot's copy of the worktree.
    pub tree: PathBuf,
    /// The directory in it that the patterns start from.
    pub dir: PathBuf,
    /// The suite's patterns.
    pub patterns: Vec<String>,
    /// Where the files go.
    pub to: PathBuf,
    /// When the run began.
    pub since: SystemTime,
}

/// What was kept, and what there is to say of the rest.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The files.
    pub files: Vec<Artifact>,
    /// What was left out, and patterns that nothing fits.
    pub notes: Vec<Note>,
}

/// Copies what is wanted. It blocks.
pub(super) fn keep(wanted: &Wanted) -> Kept {
    let mut keeping = Keeping {
        wanted,
        files: Vec::new(),
        bytes: 0,
        left_out: Vec::new(),
        unwritable: None,
    };
    let mut idle = Vec::new();
    if let Ok(tree) = Confined::open(&wanted.tree) {
        for pattern in &wanted.patterns {
            let mut any = false;
            find(&tree, &wanted.dir, &whole(pattern), &mut |path| {
                any = true;
                keeping.take(&tree, path);
                keeping.unwritable.is_none()
            });
            if !any {
                idle.push(format!("`{pattern}`"));
            }
        }
    }
    keeping.done(&idle)
}

/// A pattern that ends in `**` means every file below.
fn whole(pattern: &str) -> String {
    match pattern == "**" || pattern.ends_with("/**") {
        true => format!("{pattern}/*"),
        false => pattern.to_owned(),
    }
}

struct Keeping<'a> {
    wanted: &'a Wanted,
    files: Vec<Artifact>,
    bytes: u64,
    left_out: Vec<String>,
    unwritable: Option<io::Error>,
}

impl Keeping<'_> {
    fn take(&mut self, tree: &Confined, path: &Path) {
        let shown = path.to_string_lossy().into_owned();
        if self.files.iter().any(|known| known.path == shown) {
            return;
        }
        let Ok(file) = tree.open_file(path) else {
            return self.left_out.push(format!("`{shown}` (no regular file)"));
        };
        let Ok(meta) = file.metadata() else { return };
        if !find::changed_since(&meta, self.wanted.since) {
            return;
        }
        let why = if self.files.len() >= MOST_FILES {
            "too many files"
        } else if meta.len() > MOST_OF_ONE {
            "too large"
        } else if self.bytes.saturating_add(meta.len()) > MOST_BYTES {
            "too much in all"
        } else if path.components().count() > DEEPEST {
            "too deep"
        } else {
            ""
        };
        if !why.is_empty() {
            return self.left_out.push(format!("`{shown}` ({why})"));
        }
        let kept = self.wanted.to.join(path);
        match copy(file, &kept, meta.len()) {
            Ok(bytes) => {
                self.bytes += bytes;
                let kept = kept.to_string_lossy().into_owned();
                self.files.push(Artifact::new(shown, kept, bytes));
            }
            Err(error) => self.unwritable = Some(error),
        }
    }

    fn done(self, idle: &[String]) -> Kept {
        let mut notes = Vec::new();
        if let Some(error) = self.unwritable {
            let to = self.wanted.to.display();
            let message = format!("artifacts could not be written to `{to}`: {error}");
            let remedy = "free disk space, or run `regreen gc`";
            notes.push(Note::new("artifacts_not_written", message).remedy(remedy));
        }
        if !self.left_out.is_empty() {
            let named = self.left_out.iter().take(NAMED).cloned();
            let named = named.collect::<Vec<_>>().join(", ");
            let more = match self.left_out.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let message = format!("artifacts that were not kept: {named}{more}");
            let remedy = format!(
                "kept are regular files, {MOST_FILES} at most, {} MiB each and {} MiB in all: name \
                 fewer in `artifacts`",
                MOST_OF_ONE >> 20,
                MOST_BYTES >> 20
            );
            notes.push(Note::new("artifacts_left_out", message).remedy(remedy));
        }
        if !idle.is_empty() {
            let message = format!("no file fits {} of `artifacts`", idle.join(", "));
            let remedy = "patterns start from the suite's directory; `*` is a part of a name, `**` \
                          any directories";
            notes.push(Note::new("no_artifact", message).remedy(remedy));
        }
        Kept {
            files: self.files,
            notes,
        }
    }
}

/// Not more than it was when it was looked at: nobody writes to it any more, and if somebody
/// does, the account stays right.
fn copy(from: File, to: &Path, most: u64) -> io::Result<u64> {
    if let Some(dir) = to.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut from.take(most), &mut file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(tree: &Path, to: &Path, patterns: &[&str]) -> (Vec<String>, Vec<Note>) {
        let kept = keep(&Wanted {
            tree: tree.to_owned(),
            dir: PathBuf::new(),
            patterns: patterns.iter().map(|it| (*it).to_owned()).collect(),
            to: to.to_owned(),
            since: find::moment(),
        });
        let paths = kept.files.into_iter().map(|file| file.path);
        (paths.collect(), kept.notes)
    }

    #[test]
    fn regular_files_are_kept_and_nothing_else() {
        let temp = tempfile::tempdir().expect("a directory");
        let tree = temp.path().join("tree");
        let path = |name: &str| tree.join(name);
        std::fs::create_dir_all(path("coverage/html")).expect("made");
        std::fs::write(temp.path().join("secret"), "secret").expect("written");
        let secret = temp.path().join("secret");
        std::os::unix::fs::symlink(&secret, path("coverage/link")).expect("linked");
        std::os::unix::fs::symlink(temp.path(), path("coverage/up")).expect("linked");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("coverage/fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .expect("made");
        let giant = File::create(path("coverage/giant")).expect("made");
        giant.set_len(MOST_OF_ONE + 1).expect("sparse");
        std::fs::write(path("coverage/html/index.html"), "<p>").expect("written");
        std::fs::write(path("coverage/lcov.info"), "TN:").expect("written");
        let to = temp.path().join("kept");
        let (files, notes) = kept(&tree, &to, &["coverage/**", "coverage/*.info", "no/*"]);
        assert_eq!(files, ["coverage/lcov.info", "coverage/html/index.html"]);
        let codes: Vec<&str> = notes.iter().map(|note| note.code.as_str()).collect();
        assert_eq!(codes, ["artifacts_left_out", "no_artifact"]);
        for word in [
            "link` (no regular",
            "fifo` (no regular",
            "giant` (too large)",
        ] {
            assert!(notes[0].message.contains(word), "{notes:?}");
        }
        assert!(!notes[0].message.contains("up/"), "{notes:?}");
        let text = std::fs::read_to_string(to.join("coverage/html/index.html"));
        assert_eq!(text.expect("kept"), "<p>");
    }
}
