//! `regreen status`: reads the status file; no daemon is asked.

use crate::daemon::Handle;
use crate::daemon::site;
use crate::daemon::statuses;
use crate::git::Worktree;
use crate::iteration::records;
use crate::model::Note;
use crate::model::ProjectId;
use crate::model::Timestamp;
use crate::model::Trigger;
use crate::model::status::Fold;
use crate::model::status::LoopStatus;
use crate::model::status::Status;
use crate::model::wire::Problem;
use crate::run;
use crate::store;
use crate::store::Store;
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::process::test_kill_process;
use std::path::Path;
use std::path::PathBuf;

/// Where a project's status file can lie.
#[derive(Debug, Clone)]
pub struct StatusPlace {
    /// The worktree.
    pub root: PathBuf,
    id: ProjectId,
    /// In the git directory, and where it lies when that cannot be written.
    dirs: [PathBuf; 2],
}

impl StatusPlace {
    /// The status, and the file that it stands in; the newer one if both exist. `None` when
    /// nobody has watched the project yet; what is about another project is nobody's word.
    ///
    /// # Errors
    /// When what lies there cannot be read.
    pub fn read(&self) -> Result<Option<(Status, PathBuf)>, Problem> {
        let mut newest: Option<(Status, PathBuf)> = None;
        let mut wrong = None;
        for dir in &self.dirs {
            let path = dir.join("status.json");
            match store::read_status(dir) {
                Ok(None) => {}
                Ok(Some(text)) => match serde_json::from_slice::<Status>(&text) {
                    // It came along with a project that was copied or moved here.
                    Ok(status) if status.project_id != self.id => {}
                    Ok(status) => {
                        let newer =
                            |(known, _): &(Status, PathBuf)| known.updated_at < status.updated_at;
                        if newest.as_ref().is_none_or(newer) {
                            newest = Some((status, path));
                        }
                    }
                    Err(error) => {
                        let text = format!("`{}` is no status file: {error}", path.display());
                        wrong = Some(Problem::new(500, "status", text));
                    }
                },
                Err(error) => {
                    wrong = Some(Problem::new(500, "status", site::note("", &error).message));
                }
            }
        }
        match (newest, wrong) {
            (None, Some(problem)) => Err(problem),
            (newest, _) => Ok(newest),
        }
    }

    /// The project's id.
    pub fn id(&self) -> &ProjectId {
        &self.id
    }

    /// Whether the daemon that wrote a status is dead: the time in it has passed, or its
    /// process is gone, or only waits for its parent to ask how it ended. After a clean stop there is none, and nobody is dead.
    pub fn daemon_is_dead(&self, status: &Status) -> bool {
        let gone = |pid: u32| {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH) || is_zombie(pid))
        };
        status.daemon_is_dead(self.now())
            || status
                .daemon
                .as_ref()
                .is_some_and(|daemon| gone(daemon.pid))
    }

    /// That the files as they are saved are not what a status is about, where its trigger is
    /// another one than `save` and they differ. A daemon does not look at them then: whoever asks
    /// does. Nothing is said where they cannot be compared.
    pub fn differs(&self, status: &Status) -> Option<Note> {
        let tree = match status.trigger {
            Trigger::Save => return None,
            Trigger::Stage => None,
            Trigger::Commit => Some(status.snapshot.as_ref()?.as_str().parse().ok()?),
        };
        let worktree = Worktree::discover(&self.root).ok()?;
        let files = match worktree.differences(tree).ok()? {
            0 => return None,
            1 => "1 file".to_owned(),
            many => format!("{many} files"),
        };
        let (what, how) = match status.trigger {
            Trigger::Stage => ("the index", "stage"),
            _ => ("HEAD", "commit"),
        };
        let message = format!("the work tree differs from {what} in {files}: those are not tested");
        let remedy = format!("{how} them, or set `trigger = \"save\"`");
        Some(Note::new("work_tree_differs", message).remedy(remedy))
    }

    /// The status of a project that nobody has watched yet.
    pub fn nothing_known(&self) -> Status {
        let path = self.root.to_string_lossy();
        let now = self.now();
        Fold::new(self.id.clone(), &path, now).status(now, None)
    }

    /// The time on the wall.
    pub fn now(&self) -> Timestamp {
        run::now()
    }

    /// Where it lies if it lies where it should.
    pub fn usual(&self) -> PathBuf {
        self.dirs[0].join("status.json")
    }
}

impl Handle {
    /// The project's loops that have not ended, as they are on record: that is true of now
    /// whoever drives them, and needs no daemon. `None` when the records cannot be read.
    pub async fn open_loops(&self, place: &StatusPlace) -> Option<Vec<LoopStatus>> {
        let state_dir = self.host().state_dir();
        // Who only looks makes nothing.
        if !Store::is_in(&state_dir) {
            return Some(Vec::new());
        }
        let found = match Store::open(&state_dir) {
            Ok(store) => records::standings(&store, &state_dir, Some(&place.id)).await,
            Err(error) => Err(error.into()),
        };
        let found = found
            .inspect_err(|error| tracing::debug!(%error, "the loops on record cannot be read"))
            .ok()?;
        let open = found.into_iter().map(|(_, report)| report);
        Some(
            open.filter(|report| report.stop_reason.is_none())
                .map(LoopStatus::from)
                .collect(),
        )
    }

    /// Where the status file of the project at `path` can lie.
    ///
    /// # Errors
    /// When the path is in no worktree.
    pub fn status_place(&self, path: &Path) -> Result<StatusPlace, Problem> {
        let worktree = Worktree::discover(path)
            .map_err(|error| Problem::new(422, "not_a_worktree", site::note("", &error).message))?;
        let fallback = statuses::fallback(&self.host().state_dir(), &worktree.id());
        Ok(StatusPlace {
            dirs: [worktree.git_dir.join("regreen"), fallback],
            id: worktree.id(),
            root: worktree.root,
        })
    }
}

fn is_zombie(pid: Pid) -> bool {
    let path = format!("/proc/{}/stat", pid.as_raw_nonzero());
    // Without a word about it, it lives.
    let stat = std::fs::read_to_string(path).unwrap_or_default();
    // The name before it, in brackets, may hold anything.
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest);
    state.is_some_and(|state| state.starts_with(['Z', 'X']))
}
