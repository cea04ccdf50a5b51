//! The directory of one run, `$XDG_STATE_HOME/regreen/runs/<id>`: the report, the complete
//! output, and, while the run goes on, what is mounted into its sandbox.

use crate::git;
use crate::model::ProjectId;
use crate::model::Report;
use regreen_parsers::pytest;
use rustix::fs::FlockOperation;
use std::fs::DirBuilder;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;

/// Starts pytest without believing a `pytest.py` of the project.
const LAUNCHER: &str = include_str!("inject/launch.py");

/// The directory of what the suite wants kept.
const ARTIFACTS: &str = "artifacts";

/// The file that says which project a run is of.
const PROJECT: &str = "project";

/// The directory of one run.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// The directory, locked while the run goes on: the lock goes with the process, however it
    /// ends, so that [`tidy_dead`] knows what nobody needs any more.
    alive: Option<File>,
    /// Where what is mounted lies, if not in the run's own directory: the same place for all
    /// runs of a slot, whose mounts stay.
    exchange: Option<PathBuf>,
}

impl RunDir {
    /// The directory of a run that may not exist yet.
    pub fn at(path: &Path) -> Self {
        RunDir {
            path: path.to_owned(),
            alive: None,
            exchange: None,
        }
    }

    /// Makes the directory and what is mounted from it.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        RunDir::create_in(path, None)
    }

    /// The same, with what is mounted in `exchange`, of which the sandbox has the directories
    /// mounted already. One run at a time.
    pub fn create_with(path: &Path, exchange: &Path) -> std::io::Result<Self> {
        RunDir::create_in(path, Some(exchange.to_owned()))
    }

    fn create_in(path: &Path, exchange: Option<PathBuf>) -> std::io::Result<Self> {
        let mut dir = RunDir {
            exchange,
            ..RunDir::at(path)
        };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path)?;
        // Before there is anything in it that could be taken for a dead run's.
        dir.alive = lock(path);
        git::empty_dir(&dir.inject())?;
        let reporter = format!("{}.py", pytest::REPORTER_NAME);
        std::fs::write(dir.inject().join(reporter), pytest::REPORTER)?;
        std::fs::write(dir.inject().join("launch.py"), LAUNCHER)?;
        Ok(dir)
    }

    /// Remembers which project it is a run of.
    pub fn of(&self, project: &ProjectId) -> std::io::Result<()> {
        std::fs::write(self.path.join(PROJECT), project.as_str())
    }

    /// Reporters, mounted read-only.
    pub fn inject(&self) -> PathBuf {
        self.exchange.as_ref().unwrap_or(&self.path).join("inject")
    }

    /// Writes one more file to be injected.
    pub fn inject_file(&self, name: &str, text: &str) -> std::io::Result<()> {
        std::fs::write(self.inject().join(name), text)
    }

    /// A fresh directory for the events of one attempt, mounted writable.
    pub fn events(&self, attempt: u32) -> std::io::Result<PathBuf> {
        let path = self.events_at(attempt);
        git::empty_dir(&path)?;
        Ok(path)
    }

    /// What tools write into an installation that is read-only otherwise.
    pub fn scratch(&self) -> PathBuf {
        self.path.join("scratch")
    }

    /// A fresh directory for the services of one attempt, mounted writable.
    pub fn services(&self, attempt: u32) -> std::io::Result<PathBuf> {
        let path = self.path.join(format!("services.{attempt}"));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where what the suite wants kept goes; only there if there is something.
    pub fn artifacts(&self) -> PathBuf {
        self.path.join(ARTIFACTS)
    }

    fn events_at(&self, attempt: u32) -> PathBuf {
        match &self.exchange {
            Some(exchange) => exchange.join("events"),
            None => self.path.join(format!("events.{attempt}")),
        }
    }

    /// Where the complete output lies.
    pub fn raw_log(&self) -> PathBuf {
        self.path.join("raw.log")
    }

    /// Opens the complete output for writing.
    pub fn open_raw_log(&self) -> std::io::Result<File> {
        use std::os::unix::fs::OpenOptionsExt;
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(self.raw_log())
    }

    /// Writes the report, whole or not at all.
    pub fn write_report(&self, report: &Report) -> std::io::Result<()> {
        write_whole(
            &self.path.join("report.json"),
            &serde_json::to_vec_pretty(report)?,
        )
    }

    /// Removes what was only there for the sandbox.
    pub fn tidy(&self, attempts: u32) {
        if self.exchange.is_some() {
            // The next run of the slot empties what could not be emptied now.
            let _ = git::empty_dir(&self.inject());
            let _ = git::empty_dir(&self.events_at(0));
            return;
        }
        // What cannot be removed now goes with the directory, by its age.
        let _ = git::remove_all(&self.inject());
        let _ = git::remove_all(&self.scratch());
        for attempt in 0..attempts {
            let _ = git::remove_all(&self.path.join(format!("events.{attempt}")));
            let _ = git::remove_all(&self.path.join(format!("services.{attempt}")));
        }
    }
}

/// Locks a run's directory; `None` while another process has it.
fn lock(path: &Path) -> Option<File> {
    let dir = File::open(path).ok()?;
    rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(dir)
}

/// Removes what was only there for the sandbox from the runs of processes that are gone; what
/// a living process still runs stays. Blocking.
pub fn tidy_dead(runs: &Path) {
    let Ok(entries) = std::fs::read_dir(runs) else {
        return;
    };
    for run in entries.flatten().map(|entry| entry.path()) {
        let left = left_in(&run);
        if left.is_empty() {
            continue;
        }
        let Some(_ours) = lock(&run) else {
            continue;
        };
        for path in left {
            if let Err(error) = git::remove_all(&path) {
                tracing::warn!(path = %path.display(), %error, "left by a lost run, and stays");
            }
        }
    }
}

/// What a run that ended in good order would have removed.
fn left_in(run: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(run) else {
        return Vec::new();
    };
    let left = entries.flatten().filter(|entry| {
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        // A part of them, without a report that names them, is nobody's.
        let kept = entry.file_name() == ARTIFACTS && run.join("report.json").exists();
        (is_dir && !kept) || entry.file_name().to_string_lossy().starts_with(".tmp")
    });
    left.map(|entry| entry.path()).collect()
}

/// Writes a file so that a reader sees the old one or the new one.
pub fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// Reads the report of a run.
pub fn read_report(dir: &Path) -> std::io::Result<Report> {
    let bytes = std::fs::read(dir.join("report.json"))?;
    serde_json::from_slice(&bytes).map_err(std::io::Error::other)
}

/// The project that a run is of.
pub fn read_project(dir: &Path) -> Option<ProjectId> {
    let id = std::fs::read_to_string(dir.join(PROJECT)).ok()?;
    Some(ProjectId::new(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_dead_runs_left_is_removed() {
        let runs = tempfile::tempdir().expect("a temporary directory");
        let living = RunDir::create(&runs.path().join("living")).expect("made");
        let dead = RunDir::create(&runs.path().join("dead")).expect("made");
        dead.events(0).expect("made");
        std::fs::create_dir(dead.artifacts()).expect("made");
        let whole = RunDir::create(&runs.path().join("whole")).expect("made");
        std::fs::create_dir(whole.artifacts()).expect("made");
        std::fs::write(whole.path.join("report.json"), "{}").expect("written");
        let (lost, kept) = (dead.artifacts(), whole.artifacts());
        drop(whole);
        std::fs::write(dead.raw_log(), "said").expect("written");
        let (inject, events, log) = (dead.inject(), dead.path.join("events.0"), dead.raw_log());
        drop(dead);
        tidy_dead(runs.path());
        assert!(living.inject().exists());
        assert!(!inject.exists() && !events.exists());
        assert!(log.exists());
        assert!(kept.exists() && !lost.exists());
    }
}
