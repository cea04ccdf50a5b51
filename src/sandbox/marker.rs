//! Marker files: one beside every sandbox that runs, gone with it. After a hard end of regreen
//! they name what may have been left behind, also if the journal's last commit was lost.

use crate::process::Tree;
use crate::process::start_time;
use rustix::process::Pid;
use serde::Deserialize;
use serde::Serialize;
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;

/// Ending of the files' names.
const ENDING: &str = "sandbox";

/// A process, named for good: pids are given away again, and start at 1 after a reboot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Name {
    pid: i32,
    started: u64,
    boot: String,
}

impl Name {
    fn of(pid: Pid) -> Option<Self> {
        Some(Name {
            pid: pid.as_raw_nonzero().get(),
            started: start_time(pid)?,
            boot: boot_id(),
        })
    }

    /// The process, if it still lives.
    fn alive(&self) -> Option<Pid> {
        let pid = Pid::from_raw(self.pid)?;
        (self.boot == boot_id() && start_time(pid) == Some(self.started)).then_some(pid)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    owner: Name,
    leader: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cgroup: Option<PathBuf>,
}

/// A marker file; removed when dropped.
#[derive(Debug)]
pub struct Marker {
    path: PathBuf,
}

impl Marker {
    /// Leaves a marker in `dir` for a process and what comes of it: `token` is the variable
    /// that its children carry, `cgroup` the group that they are in, where there is one.
    ///
    /// # Errors
    /// If the file cannot be written, or the process is gone already.
    pub fn leave(
        dir: &Path,
        leader: Pid,
        token: Option<&str>,
        cgroup: Option<&Path>,
    ) -> io::Result<Self> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let content = Content {
            owner: Name::of(rustix::process::getpid()).ok_or_else(gone)?,
            leader: Name::of(leader).ok_or_else(gone)?,
            token: token.map(str::to_owned),
            cgroup: cgroup.map(Path::to_owned),
        };
        let name = format!("{}-{}.{ENDING}", content.leader.pid, content.leader.started);
        let path = dir.join(name);
        let text = serde_json::to_vec(&content)?;
        if let Err(error) = std::fs::write(&path, &text) {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(dir)?;
            std::fs::write(&path, &text)?;
        }
        Ok(Marker { path })
    }
}

impl Drop for Marker {
    fn drop(&mut self) {
        // Left behind it costs nothing: the next sweep finds its process gone.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Processes of dead owners that were still alive and are killed now.
    pub killed: Vec<i32>,
    /// Marker files that were removed.
    pub markers: usize,
}

/// Kills what owners that are gone left behind, and removes their markers. What belongs to a
/// living regreen stays. Blocking.
pub fn sweep(dir: &Path) -> Swept {
    let mut swept = Swept::default();
    let Ok(entries) = std::fs::read_dir(dir) else {
        return swept;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension() != Some(OsStr::new(ENDING)) {
            continue;
        }
        let content = std::fs::read(&path)
            .ok()
            .and_then(|text| serde_json::from_slice::<Content>(&text).ok());
        // Half written: its owner died before the command could start.
        if let Some(content) = content {
            if content.owner.alive().is_some() {
                continue;
            }
            reap(&content, &mut swept);
        }
        swept.markers += usize::from(std::fs::remove_file(&path).is_ok());
    }
    swept
}

fn reap(content: &Content, swept: &mut Swept) {
    let Some(leader) = Pid::from_raw(content.leader.pid) else {
        return;
    };
    let alive = content.leader.alive();
    let mut tree = Tree::new(leader);
    if let Some(token) = &content.token {
        tree = tree.with_token(OsStr::new(token));
    }
    // A dead leader's pid may be somebody else's by now; only its token still names its own.
    let members = match (alive, &content.token) {
        (Some(_), _) => tree.members(),
        (None, Some(_)) => tree.token_members(),
        (None, None) => Vec::new(),
    };
    for pid in members {
        if rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok() {
            swept.killed.push(pid.as_raw_nonzero().get());
        }
    }
    if let Some(group) = &content.cgroup {
        crate::sandbox::cgroup::remove_left_over(group);
    }
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker_of(dir: &Path, owner: Name, leader: Name) {
        let content = Content {
            owner,
            leader,
            token: None,
            cgroup: None,
        };
        let text = serde_json::to_vec(&content).expect("plain data");
        std::fs::write(dir.join("1-1.sandbox"), text).expect("written");
    }

    #[test]
    fn a_living_owner_keeps_its_own() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let marker = Marker::leave(dir.path(), rustix::process::getpid(), None, None)
            .expect("a marker for ourselves");
        assert_eq!(sweep(dir.path()), Swept::default());
        assert!(marker.path.exists());
        drop(marker);
        assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 0);
    }

    #[test]
    fn a_pid_that_was_given_away_again_is_spared() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let own = Name::of(rustix::process::getpid()).expect("we live");
        let other_start = Name {
            started: own.started + 1,
            ..own.clone()
        };
        marker_of(dir.path(), other_start.clone(), other_start);
        // Killing the wrong process would end this very test.
        let expected = Swept {
            killed: vec![],
            markers: 1,
        };
        assert_eq!(sweep(dir.path()), expected);
        let other_boot = Name {
            boot: "another".into(),
            ..own
        };
        marker_of(dir.path(), other_boot.clone(), other_boot);
        assert_eq!(sweep(dir.path()), expected);
    }
}
