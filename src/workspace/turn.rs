//! A turn of an agent in its room: its own home and `.git`, its time, its transcript.

use crate::agent::Agent;
use crate::agent::AgentEvent;
use crate::agent::End;
use crate::agent::Job;
use crate::git;
use crate::git::Oid;
use crate::model::Limits;
use crate::model::LoopId;
use crate::sandbox::Mount;
use crate::sandbox::Network;
use crate::sandbox::Place;
use crate::workspace::Grounds;
use crate::workspace::Room;
use crate::workspace::SandboxExec;
use crate::workspace::WorkspaceError;
use rustix::fs::AtFlags;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// A transcript is kept up to this size.
const TRANSCRIPT: u64 = 16 << 20;
/// So much of the end of its standard error is kept for reports.
const STDERR: usize = 4 << 10;
/// The sandbox's own limit is this much later than ours, so that ours is the one that ends it.
const LATER: Duration = Duration::from_secs(30);

/// What a turn needs.
pub struct TurnRequest {
    /// Who works.
    pub agent: Arc<dyn Agent>,
    /// What it is told.
    pub brief: String,
    /// The loop, and which of its turns this is.
    pub id: LoopId,
    /// The iteration, counted from 1.
    pub iteration: u32,
    /// What it may talk to.
    pub network: Network,
    /// How long it may take.
    pub limit: Duration,
    /// The commit that its `.git` is at.
    pub commit: Oid,
    /// The branch that its `.git` is on.
    pub branch: String,
    /// Directories with a cargo workspace.
    pub cargo: Vec<PathBuf>,
    /// Directories with Python code.
    pub python: Vec<PathBuf>,
    /// Where its transcript goes.
    pub transcript: PathBuf,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnEnded {
    /// As far as the agent's own process shows it.
    pub end: End,
    /// Its time was up.
    pub timed_out: bool,
    /// Something in the room was written, ignored files included.
    pub touched: bool,
    /// How long it took.
    pub took: Duration,
    /// The end of what it printed on standard error, as it came.
    pub stderr: Vec<u8>,
}

/// Where the agent's `.git` finds the base's objects, inside.
const OBJECTS_INSIDE: &str = "/run/regreen/base";

impl Room {
    /// Lets an agent work. `said` gets what it prints, for whoever watches.
    pub async fn turn(
        &mut self,
        grounds: &Grounds,
        request: TurnRequest,
        said: mpsc::Sender<AgentEvent>,
        stop: &CancellationToken,
    ) -> Result<TurnEnded, WorkspaceError> {
        let exec = self.agents_exec(grounds, &request).await?;
        let tree = self.place().tree.clone();
        let started = self.remember_time().await?;
        let (events, transcript) = transcript(&request.transcript, said)?;
        let turn_stop = stop.child_token();
        let clock = Instant::now();
        let job = Job {
            cwd: grounds.worktree.root.clone(),
            tree: tree.clone(),
            brief: request.brief,
            env: vec![
                ("REGREEN_LOOP".into(), request.id.to_string()),
                ("REGREEN_ITERATION".into(), request.iteration.to_string()),
            ],
            cargo: request.cargo,
            python: request.python,
            exec: Arc::new(exec),
        };
        let work = request.agent.run(job, events, turn_stop.clone());
        tokio::pin!(work);
        let (end, timed_out) = match tokio::time::timeout(request.limit, &mut work).await {
            Ok(end) => (end, false),
            Err(_) => {
                turn_stop.cancel();
                (work.await, true)
            }
        };
        let took = clock.elapsed();
        // It ends when the last sender, which the agent held, is gone.
        let stderr = transcript.await?;
        let touched = spawn_blocking(move || written_since(&tree, started)).await?;
        self.remove_mount_point()?;
        Ok(TurnEnded {
            end,
            timed_out,
            touched,
            took,
            stderr,
        })
    }

    async fn agents_exec(
        &mut self,
        grounds: &Grounds,
        request: &TurnRequest,
    ) -> Result<SandboxExec, WorkspaceError> {
        let inside = PathBuf::from(OBJECTS_INSIDE);
        let (git, base) = self
            .make_agent_git(request.commit, request.branch.clone(), inside.clone())
            .await?;
        let (home, tmp) = (self.dir().join("agent/home"), self.dir().join("agent/tmp"));
        remove(&tmp)?;
        for dir in [&home, &tmp] {
            std::fs::create_dir_all(dir).map_err(WorkspaceError::io("make", dir))?;
        }
        let place = Place {
            home,
            tmp,
            ..self.place().clone()
        };
        // The mount point has to be there, or the sandbox makes one that looks like an edit.
        let point = place.tree.join(".git");
        remove(&point)?;
        std::fs::create_dir(&point).map_err(WorkspaceError::io("make", &point))?;
        let mut mounts = self.mounts(grounds, &place).await?;
        mounts.push(Mount {
            source: git,
            target: place.root.join(".git"),
            writable: true,
            optional: false,
        });
        mounts.push(Mount {
            source: base,
            target: inside,
            writable: false,
            optional: false,
        });
        let limit = request.limit + LATER;
        let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        Ok(SandboxExec {
            backend: grounds.backend.clone(),
            place,
            env: grounds.toolchains.env.clone(),
            mounts,
            limits: Limits {
                wall_ms: millis,
                silence_ms: millis,
                // What tests may need says nothing of what an agent's own program does.
                memory_bytes: None,
                processes: None,
                ..grounds.config.limits
            },
            network: request.network,
            // An agent is a program of this machine.
            image: None,
        })
    }

    /// The file system's own idea of now, which agents cannot set back.
    async fn remember_time(&self) -> Result<(i64, i64), WorkspaceError> {
        let path = self.dir().join("agent/turn");
        spawn_blocking(move || {
            std::fs::write(&path, b"")
                .and_then(|()| path.metadata())
                .map(|meta| (meta.ctime(), meta.ctime_nsec()))
                .map_err(WorkspaceError::io("write", &path))
        })
        .await?
    }

    /// Nothing but the empty mount point is left of the agent's `.git` in the tree.
    fn remove_mount_point(&self) -> Result<(), WorkspaceError> {
        remove(&self.place().tree.join(".git"))
    }
}

/// Ends a turn that regreen's own end cut short: what is in the tree stays.
pub fn ended_by(room: &Room) -> Result<(), WorkspaceError> {
    room.remove_mount_point()
}

/// Removes what an agent could write to, also where it took its own rights away.
fn remove(path: &Path) -> Result<(), WorkspaceError> {
    git::remove_all(path).map_err(WorkspaceError::io("remove", path))
}

/// Takes what an agent says; ends with the sender, and answers the end of its standard error.
type Transcript = tokio::task::JoinHandle<Vec<u8>>;

/// Writes what an agent says to a file and hands it on.
fn transcript(
    path: &Path,
    said: mpsc::Sender<AgentEvent>,
) -> Result<(mpsc::Sender<AgentEvent>, Transcript), WorkspaceError> {
    // Appended: a turn that was begun twice would show.
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(WorkspaceError::io("make", path))?;
    let (sender, mut receiver) = mpsc::channel::<AgentEvent>(64);
    let task = tokio::spawn(async move {
        let mut left = TRANSCRIPT;
        let mut stderr = Vec::new();
        while let Some(event) = receiver.recv().await {
            let bytes = match &event {
                AgentEvent::Output(output) => output.bytes.clone(),
                AgentEvent::Started(what) => format!("$ {what}\n").into_bytes(),
                AgentEvent::Said(what) => format!("{what}\n").into_bytes(),
            };
            if matches!(&event, AgentEvent::Output(output) if output.stderr) {
                stderr.extend_from_slice(&bytes);
                stderr.drain(..stderr.len().saturating_sub(STDERR));
            }
            let kept = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            left -= kept as u64;
            // A transcript that cannot be written must not end the turn.
            let _ = file.write_all(&bytes[..kept]);
            // Whoever watches may be slow or gone; the agent does not wait for them.
            let _ = said.try_send(event);
        }
        stderr
    });
    Ok((sender, task))
}

/// Whether anything below `tree` was written, made or removed after `since`, by the change
/// time, which no program can set.
fn written_since(tree: &Path, since: (i64, i64)) -> bool {
    let mut queue = vec![tree.to_owned()];
    while let Some(dir) = queue.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else {
            continue;
        };
        for entry in entries.flatten() {
            if dir == tree && entry.file_name() == ".git" {
                continue;
            }
            let Ok(stat) =
                rustix::fs::statat(rustix::fs::CWD, entry.path(), AtFlags::SYMLINK_NOFOLLOW)
            else {
                continue;
            };
            #[expect(
                clippy::unnecessary_cast,
                reason = "the types of these fields differ between architectures"
            )]
            let changed = (stat.st_ctime as i64, stat.st_ctime_nsec as i64);
            if changed > since {
                return true;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                queue.push(entry.path());
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_with_an_old_time_is_noticed() {
        let dir = tempfile::tempdir().expect("a directory");
        let tree = dir.path().join("tree");
        std::fs::create_dir_all(tree.join("target/debug")).expect("made");
        std::fs::create_dir_all(tree.join(".git")).expect("made");
        std::fs::write(tree.join("target/debug/t"), "old").expect("written");
        let wait_for_the_clock = || {
            let mark = dir.path().join("mark");
            std::fs::write(&mark, "").expect("written");
            let meta = mark.metadata().expect("there");
            (meta.ctime(), meta.ctime_nsec())
        };
        let since = wait_for_the_clock();
        while wait_for_the_clock() == since {}
        std::fs::write(tree.join(".git/index"), "x").expect("written");
        assert!(!written_since(&tree, since));
        let planted = File::options()
            .write(true)
            .open(tree.join("target/debug/t"))
            .expect("there");
        (&planted).write_all(b"new").expect("written");
        planted
            .set_modified(std::time::SystemTime::UNIX_EPOCH)
            .expect("set back");
        assert!(written_since(&tree, since));
    }
}
