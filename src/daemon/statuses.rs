//! The thread that writes status files: takes what it is handed, and writes only the newest of
//! each project. Writing never waits for anything but the disk, and nothing waits for it.

use crate::daemon::hub::Input;
use crate::git::Worktree;
use crate::model::HostEnv;
use crate::model::ProjectId;
use crate::model::status::Status;
use crate::store::StatusFile;
use crate::store::StatusFileError;
use crate::telemetry;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

/// Where a status file was removed under the writer, the directory is not made again for so
/// long: a whole worktree may be on its way out, and whoever removes it wants to find it empty.
const MOURNING: Duration = Duration::from_secs(5);

/// The writer of all status files of this process.
#[derive(Debug)]
pub(super) struct Statuses {
    inbox: Option<mpsc::Sender<Box<Status>>>,
    thread: Option<JoinHandle<()>>,
}

impl Statuses {
    pub fn start(
        host: &HostEnv,
        hub: tokio::sync::mpsc::UnboundedSender<Input>,
    ) -> std::io::Result<Statuses> {
        let (inbox, statuses) = mpsc::channel();
        let writer = Writer {
            state_dir: host.state_dir(),
            inbox: hub,
            files: BTreeMap::new(),
            gone: BTreeSet::new(),
            mourned: BTreeMap::new(),
        };
        let thread = std::thread::Builder::new()
            .name("status".to_owned())
            .spawn(move || writer.work(&statuses))?;
        Ok(Statuses {
            inbox: Some(inbox),
            thread: Some(thread),
        })
    }

    pub fn write(&self, status: Box<Status>) {
        if let Some(inbox) = &self.inbox {
            // Fails only if the thread is gone, and with it every reader's hope.
            let _ = inbox.send(status);
        }
    }

    /// Waits until everything is written.
    pub fn finish(&mut self) {
        self.inbox = None;
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has said so; there is nothing more to write.
            let _ = thread.join();
        }
    }
}

/// What the thread keeps.
struct Writer {
    state_dir: PathBuf,
    inbox: tokio::sync::mpsc::UnboundedSender<Input>,
    files: BTreeMap<ProjectId, Known>,
    /// Projects whose worktree is not where it was; that has been said.
    gone: BTreeSet<ProjectId>,
    /// When a project's status file was removed under the writer.
    mourned: BTreeMap<ProjectId, Instant>,
}

impl Writer {
    fn work(mut self, statuses: &mpsc::Receiver<Box<Status>>) {
        while let Ok(first) = statuses.recv() {
            let mut newest = BTreeMap::new();
            for status in [first].into_iter().chain(statuses.try_iter()) {
                newest.insert(status.project_id.clone(), status);
            }
            for (id, status) in newest {
                self.write_whatever_happens(&id, &status);
            }
        }
    }

    /// A panic must not end the thread: then no status would be written any more, by a daemon
    /// that lives. The next status finds everything looked at anew.
    fn write_whatever_happens(&mut self, id: &ProjectId, status: &Status) {
        let write = AssertUnwindSafe(|| {
            telemetry::provoke("status");
            self.write(id, status);
        });
        if std::panic::catch_unwind(write).is_err() {
            self.files.remove(id);
            let message = telemetry::last_panic();
            // Fails only once the hub is gone.
            let _ = self.inbox.send(Input::Panicked {
                project: Some(id.clone()),
                message: message.unwrap_or_else(|| "while a status was written".to_owned()),
            });
        }
    }

    fn write(&mut self, id: &ProjectId, status: &Status) {
        let root = Path::new(&status.project);
        let anchor = Anchor::of(root);
        let known = self.files.get(id);
        let moved = known.is_some_and(|known| !known.file.is_in_place());
        // An idle daemon comes here every few seconds: it does not look again for a git
        // directory whose surroundings have not changed.
        let same = !moved && anchor.is_some() && known.is_some_and(|known| known.anchor == anchor);
        let found = match same {
            true => None,
            false => match git_dir(root, known.is_some()).filter(|_| !moved) {
                Some(found) => Some(found),
                None => return self.uprooted(id, root),
            },
        };
        if self
            .mourned
            .get(id)
            .is_some_and(|at| at.elapsed() < MOURNING)
        {
            return;
        }
        self.mourned.remove(id);
        self.gone.remove(id);
        let Ok(mut text) = serde_json::to_vec_pretty(status) else {
            return;
        };
        text.push(b'\n');
        // A second try with the file opened anew: its directory may have become read-only.
        for _ in 0..2 {
            let mut file = match (self.files.remove(id), &found) {
                (Some(known), _) => known.file,
                (None, found) => {
                    let Some(found) = found.clone().or_else(|| git_dir(root, false)) else {
                        return self.uprooted(id, root);
                    };
                    match StatusFile::open(&found, &fallback(&self.state_dir, id)) {
                        Ok(file) => file,
                        Err(error) => {
                            tracing::warn!(project = %id, error = &error as &dyn std::error::Error, "no place for the status file");
                            return;
                        }
                    }
                }
            };
            match file.write(&text) {
                Ok(()) => {
                    self.files.insert(id.clone(), Known { file, anchor });
                    return;
                }
                Err(error) if is_removed(&error) || !file.is_in_place() => {
                    self.mourned.insert(id.clone(), Instant::now());
                    return;
                }
                Err(error) => {
                    tracing::warn!(project = %id, error = &error as &dyn std::error::Error, "the status file could not be written");
                }
            }
        }
    }

    /// The worktree is not where it was: what is known says nothing about what may stand there
    /// now, and where it went it may be another project. The hub has it looked at anew.
    fn uprooted(&mut self, id: &ProjectId, root: &Path) {
        self.files.remove(id);
        if !self.gone.insert(id.clone()) {
            return;
        }
        self.mourned.insert(id.clone(), Instant::now());
        tracing::warn!(project = %id, path = %root.display(), "the worktree is not where it was; its status file is not written");
        // Fails only once the hub is gone.
        let project = id.clone();
        let _ = self.inbox.send(Input::Uprooted { project });
    }
}

fn is_removed(error: &StatusFileError) -> bool {
    matches!(error, StatusFileError::Removed { .. })
}

/// An open status file, and what stood around it when its place was found.
struct Known {
    file: StatusFile,
    anchor: Option<Anchor>,
}

/// What a worktree's git directory is found by: the worktree, and what `.git` in it is. A
/// directory is what it is whatever happens in it; a file (of a linked worktree or a submodule)
/// names the git directory, so its times count.
#[derive(Debug, PartialEq, Eq)]
struct Anchor {
    root: (u64, u64),
    git: (u64, u64),
    changed: Option<(i64, i64)>,
}

impl Anchor {
    fn of(root: &Path) -> Option<Anchor> {
        let top = std::fs::symlink_metadata(root).ok()?;
        let git = std::fs::symlink_metadata(root.join(".git")).ok()?;
        Some(Anchor {
            root: (top.dev(), top.ino()),
            git: (git.dev(), git.ino()),
            changed: (!git.is_dir()).then(|| (git.ctime(), git.ctime_nsec())),
        })
    }
}

/// Where the status file of a worktree lies when its git directory cannot be written.
pub(super) fn fallback(state_dir: &Path, id: &ProjectId) -> PathBuf {
    state_dir.join("projects").join(id.as_str())
}

/// The git directory of a worktree, as far as it can be found; `None` when there is no worktree
/// at its place. A repository that is broken keeps the file that it had (`known`), but gets no
/// new one: it may be half removed.
fn git_dir(root: &Path, known: bool) -> Option<PathBuf> {
    match Worktree::discover(root) {
        Ok(worktree) => (worktree.root == root).then_some(worktree.git_dir),
        Err(_) => Some(root.join(".git")).filter(|dir| known && dir.exists()),
    }
}
