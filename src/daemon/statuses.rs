//! The thread that writes status files: takes what it is handed, and writes only the newest of
//! each project. Writing never waits for anything but the disk, and nothing waits for it.

use crate::git::Worktree;
use crate::model::HostEnv;
use crate::model::ProjectId;
use crate::model::status::Status;
use crate::store::StatusFile;
use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;

/// The writer of all status files of this process.
#[derive(Debug)]
pub(super) struct Statuses {
    inbox: Option<mpsc::Sender<Box<Status>>>,
    thread: Option<JoinHandle<()>>,
}

impl Statuses {
    pub fn start(host: &HostEnv) -> std::io::Result<Statuses> {
        let (inbox, statuses) = mpsc::channel();
        let state_dir = host.state_dir();
        let thread = std::thread::Builder::new()
            .name("status".to_owned())
            .spawn(move || work(&statuses, &state_dir))?;
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

fn work(statuses: &mpsc::Receiver<Box<Status>>, state_dir: &Path) {
    let mut files: BTreeMap<ProjectId, StatusFile> = BTreeMap::new();
    while let Ok(first) = statuses.recv() {
        let mut newest = BTreeMap::new();
        for status in [first].into_iter().chain(statuses.try_iter()) {
            newest.insert(status.project_id.clone(), status);
        }
        for (id, status) in newest {
            write(&mut files, state_dir, &id, &status);
        }
    }
}

fn write(
    files: &mut BTreeMap<ProjectId, StatusFile>,
    state_dir: &Path,
    id: &ProjectId,
    status: &Status,
) {
    let Ok(mut text) = serde_json::to_vec_pretty(status) else {
        return;
    };
    text.push(b'\n');
    // A second try with the file opened anew: its directory may have been replaced, or have
    // become read-only.
    for _ in 0..2 {
        let file = match files.remove(id) {
            Some(file) => file,
            None => match StatusFile::open(
                &git_dir(Path::new(&status.project)),
                &fallback(state_dir, id),
            ) {
                Ok(file) => file,
                Err(error) => {
                    tracing::warn!(project = %id, error = &error as &dyn std::error::Error, "no place for the status file");
                    return;
                }
            },
        };
        match file.write(&text) {
            Ok(()) => {
                files.insert(id.clone(), file);
                return;
            }
            Err(error) => {
                tracing::warn!(project = %id, error = &error as &dyn std::error::Error, "the status file could not be written");
            }
        }
    }
}

/// Where the status file of a worktree lies when its git directory cannot be written.
pub(super) fn fallback(state_dir: &Path, id: &ProjectId) -> PathBuf {
    state_dir.join("projects").join(id.as_str())
}

/// The git directory of a worktree, as far as it can be found.
fn git_dir(root: &Path) -> PathBuf {
    match Worktree::discover(root) {
        Ok(worktree) => worktree.git_dir,
        Err(_) => root.join(".git"),
    }
}
