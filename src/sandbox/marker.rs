//! Marker files: one beside every sandbox that runs, gone with it. After a hard end of regreen
//! they name what may have been left behind, also if the journal's last commit was lost.

use crate::process::Tree;
use crate::process::start_time;
use rustix::process::Pid;
use rustix::process::Signal;
use serde::Deserialize;
use serde::Serialize;
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Looks for what a dead owner left, at most: a killed process takes a moment to go.
const LOOKS: u32 = 500;

/// What every token begins with; the owner's pid and start follow.
const PREFIX: &str = "regreen-sandbox-";

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
    token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cgroup: Option<PathBuf>,
}

/// A word that names one sandbox of this process: it goes into the marker and into the processes
/// themselves.
pub(super) fn token() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let own = rustix::process::getpid();
    let started = start_time(own).unwrap_or_default();
    format!("{PREFIX}{}-{started}-{number}", own.as_raw_nonzero())
}

/// A marker file; removed when dropped.
#[derive(Debug)]
pub struct Marker {
    path: PathBuf,
}

impl Marker {
    /// Leaves a marker in `dir`, before anything is started: `token` is what the processes will
    /// carry, as a variable or as their name, `cgroup` the group that they will be in.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn leave(dir: &Path, token: &str, cgroup: Option<&Path>) -> io::Result<Self> {
        let own = Name::of(rustix::process::getpid());
        let content = Content {
            owner: own.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?,
            token: token.to_owned(),
            cgroup: cgroup.map(Path::to_owned),
        };
        let name = token.rsplit('=').next().unwrap_or(token);
        let path = dir.join(format!("{name}.{ENDING}"));
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
        match content {
            Some(content) if content.owner.alive().is_some() => continue,
            Some(content) => reap(&content, &mut swept),
            None if being_written(&path) => continue,
            // Half written: its owner died before the command could start.
            None => {}
        }
        swept.markers += usize::from(std::fs::remove_file(&path).is_ok());
    }
    swept
}

/// Whether whoever began to write this marker lives and will end it: its name names them too.
fn being_written(path: &Path) -> bool {
    let name = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    let mut words = name.strip_prefix(PREFIX).unwrap_or_default().split('-');
    let pid = words.next().and_then(|word| word.parse().ok());
    let started: Option<u64> = words.next().and_then(|word| word.parse().ok());
    let alive = pid.and_then(Pid::from_raw).and_then(start_time);
    alive.is_some() && alive == started
}

fn reap(content: &Content, swept: &mut Swept) {
    // Who is seen while it is being born may have been born twice: looked at until two looks in
    // a row find nobody.
    let mut clean = 0;
    for _ in 0..LOOKS {
        // Pids are given away again; the token names its own and nobody else.
        let living = Tree::of_token(OsStr::new(&content.token));
        if living.is_empty() {
            clean += 1;
            if clean == 2 {
                break;
            }
            continue;
        }
        clean = 0;
        for pid in living {
            let number = pid.as_raw_nonzero().get();
            let killed = rustix::process::kill_process(pid, Signal::KILL).is_ok();
            if killed && !swept.killed.contains(&number) {
                swept.killed.push(number);
            }
        }
        std::thread::yield_now();
    }
    if let Some(group) = &content.cgroup {
        crate::sandbox::cgroup::remove_left_over(group);
    }
}

pub(super) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker_of(dir: &Path, owner: Name) {
        let content = Content {
            owner,
            token: "regreen-sandbox-of-nobody".into(),
            cgroup: None,
        };
        let text = serde_json::to_vec(&content).expect("plain data");
        std::fs::write(dir.join("1.sandbox"), text).expect("written");
    }

    #[test]
    fn a_living_owner_keeps_its_own() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let marker = Marker::leave(dir.path(), &token(), None).expect("a marker of our own");
        assert_eq!(sweep(dir.path()), Swept::default());
        assert!(marker.path.exists());
        drop(marker);
        assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 0);
    }

    #[test]
    fn what_is_just_being_written_stays() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let of_the_living = dir.path().join(format!("{}.{ENDING}", token()));
        let of_the_dead = dir.path().join(format!("{PREFIX}1-0-0.{ENDING}"));
        for path in [&of_the_living, &of_the_dead] {
            std::fs::write(path, "{\"owner\":").expect("written");
        }
        sweep(dir.path());
        assert!(of_the_living.exists() && !of_the_dead.exists());
    }

    #[test]
    fn an_owner_whose_pid_was_given_away_again_is_dead() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let own = Name::of(rustix::process::getpid()).expect("we live");
        let other_start = Name {
            started: own.started + 1,
            ..own.clone()
        };
        marker_of(dir.path(), other_start);
        let expected = Swept {
            killed: vec![],
            markers: 1,
        };
        assert_eq!(sweep(dir.path()), expected);
        let other_boot = Name {
            boot: "another".into(),
            ..own
        };
        marker_of(dir.path(), other_boot);
        assert_eq!(sweep(dir.path()), expected);
    }
}
