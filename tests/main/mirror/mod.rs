//! The mirror against real git: what lies in the slot, with which times, under which id.

mod filters;
mod garbage;
mod hazards;
mod hostile;
mod large;
mod loops;
mod population;
mod random;
mod sync;
mod tests_wrote;

use crate::support::Home;
use crate::support::Project;
use regreen::git::Objects;
use regreen::git::Worktree;
use regreen::model::Timestamp;
use regreen::sandbox::mirror::Mirror;
use regreen::sandbox::mirror::MirrorRules;
use regreen::sandbox::mirror::Synced;
use regreen::sandbox::slot::Purpose;
use regreen::sandbox::slot::Slots;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

/// A project with a mirror of it.
struct Rig {
    project: Project,
    mirror: Mirror,
}

impl Rig {
    fn new(project: Project) -> Rig {
        Rig::with(project, MirrorRules::default())
    }

    fn with(project: Project, rules: MirrorRules) -> Rig {
        let mirror = open(&project, Purpose::Watch, rules);
        Rig { project, mirror }
    }

    /// The same again, as after a restart of the process.
    fn restarted(self) -> Rig {
        let (project, rules) = (self.project, self.mirror.rules().clone());
        drop(self.mirror);
        Rig::with(project, rules)
    }

    fn reconcile(&mut self) -> Synced {
        self.mirror.reconcile().expect("the mirror follows")
    }

    fn sync<const N: usize>(&mut self, paths: [&str; N]) -> Synced {
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        self.mirror.sync(&paths).expect("the mirror follows")
    }

    fn slot_path(&self, path: &str) -> PathBuf {
        self.mirror.tree().join(path)
    }

    fn in_slot(&self, path: &str) -> Option<String> {
        let bytes = std::fs::read(self.slot_path(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Modification time in the slot, nanoseconds.
    fn mtime(&self, path: &str) -> i64 {
        mtime(&self.slot_path(path))
    }

    /// The snapshot is git's tree, and the slot holds exactly its files.
    #[track_caller]
    fn agrees(&mut self, synced: &Synced) {
        assert_eq!(synced.snapshot.as_str(), self.expected());
        let expected = self.worktree_files();
        assert_eq!(files(self.mirror.tree()), expected);
        let drift = self.mirror.drift().expect("the slot can be walked");
        assert!(drift.is_clean() && drift.created.is_empty(), "{drift:?}");
    }

    /// What git would have in a commit of everything: its index as it is, and the rest added.
    fn expected(&self) -> String {
        let index = self.project.home.top().join("index-copy");
        let _ = std::fs::remove_file(&index);
        let theirs = self.project.git_dir().join("index");
        if std::fs::copy(&theirs, &index).is_ok() {
            // Git takes an entry for changed that is not older than its index: a younger copy
            // would hide an edit of equal length in the same second.
            let time = theirs.metadata().and_then(|meta| meta.modified());
            let copy = std::fs::File::options().write(true).open(&index);
            let copy = copy.expect("ours");
            copy.set_modified(time.expect("a time")).expect("ours");
        }
        let git = |args: &[&str]| {
            let git = self
                .project
                .home
                .program("git", args)
                .within_dir(self.project.root());
            let ran = git.env("GIT_INDEX_FILE", &index).run();
            ran.exits(0);
            ran.stdout().trim().to_owned()
        };
        git(&["add", "--all"]);
        git(&["write-tree"])
    }

    /// What git would commit, read from the work tree.
    fn worktree_files(&self) -> BTreeMap<Vec<u8>, (u32, Vec<u8>)> {
        let listed = self
            .project
            .git(["ls-files", "-z", "-co", "--exclude-standard"]);
        listed
            .split('\0')
            .filter(|name| !name.is_empty())
            .filter_map(|name| Some((name.into(), describe(&self.project.path(name))?)))
            .collect()
    }
}

fn open(project: &Project, purpose: Purpose, rules: MirrorRules) -> Mirror {
    let worktree = Worktree::discover(project.root()).expect("a worktree");
    let objects = Objects::open(&project.home.state(), &worktree).expect("a store");
    let slots = Slots::open(&project.home.cache()).expect("the cache is ours");
    let slot = slots
        .lease(&worktree, purpose, Timestamp::from_millis(1))
        .expect("a free slot");
    Mirror::open(worktree, objects, slot, rules).expect("a mirror")
}

fn mtime(path: &Path) -> i64 {
    let meta = path.symlink_metadata().expect("it is there");
    meta.mtime() * 1_000_000_000 + meta.mtime_nsec()
}

fn describe(path: &Path) -> Option<(u32, Vec<u8>)> {
    let meta = path.symlink_metadata().ok()?;
    if meta.is_symlink() {
        let target = std::fs::read_link(path).expect("a link");
        return Some((0o120_000, target.as_os_str().as_bytes().to_vec()));
    }
    let executable = if meta.mode() & 0o100 == 0 {
        0o100_644
    } else {
        0o100_755
    };
    if !meta.is_file() {
        return None;
    }
    Some((executable, std::fs::read(path).expect("readable")))
}

/// Every file and link below a directory, with mode and content.
fn files(dir: &Path) -> BTreeMap<Vec<u8>, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in walkdir::WalkDir::new(dir) {
        let entry = entry.expect("it can be walked");
        if let Some(about) = describe(entry.path()) {
            let name = entry.path().strip_prefix(dir).expect("below");
            found.insert(name.as_os_str().as_bytes().to_vec(), about);
        }
    }
    found
}

fn demo() -> Project {
    Home::new()
        .project("demo")
        .file("src/lib.rs", "pub fn one() -> u8 { 1 }\n")
        .file("tests/test_a.py", "def test(): pass\n")
        .file(".gitignore", "/target\n*.log\n")
        .committed()
}
