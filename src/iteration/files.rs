//! A loop's directory, `$XDG_STATE_HOME/regreen/loops/<id>/`: reports, transcripts, and the
//! markers that say of a turn that it was begun and that it has ended.
//!
//! The markers are on the disk before what they speak of: a turn without `started` was not
//! paid, one with `started` and without `ended.json` was in flight when regreen was killed.

use crate::iteration::machine::TurnEnd;
use crate::model::LoopId;
use rustix::fs::FlockOperation;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;

/// A loop's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoopFiles {
    dir: PathBuf,
}

/// The right to drive a loop; given back when dropped, or when the process dies.
#[derive(Debug)]
pub struct LoopLock {
    _file: File,
}

impl LoopFiles {
    /// The directory of a loop; it need not exist.
    pub fn of(state_dir: &Path, id: &LoopId) -> Self {
        LoopFiles {
            dir: state_dir.join("loops").join(id.as_str()),
        }
    }

    /// Makes it, for us alone.
    pub fn make(&self) -> io::Result<()> {
        make(&self.dir)
    }

    /// Where it lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Takes the right to drive the loop; the other's process id if somebody has it.
    pub fn lock(&self) -> io::Result<Result<LoopLock, u32>> {
        let path = self.dir.join("lock");
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                file.set_len(0)?;
                write!(file, "{}", std::process::id())?;
                Ok(Ok(LoopLock { _file: file }))
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let text = std::fs::read_to_string(&path)?;
                Ok(Err(text.trim().parse().unwrap_or(0)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Says that the loop is to end. Answers whether anybody drives it, and so will hear it.
    pub fn wish_for_the_end(&self) -> io::Result<bool> {
        if self.lock()?.is_ok() {
            return Ok(false);
        }
        write(&self.dir.join("stop"), b"")?;
        Ok(true)
    }

    /// Whether somebody wants the loop to end.
    pub fn end_is_wished(&self) -> bool {
        self.dir.join("stop").exists()
    }

    /// Forgets that somebody wanted it to end.
    pub fn forget_the_wish(&self) -> io::Result<()> {
        match std::fs::remove_file(self.dir.join("stop")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether anybody drives the loop.
    pub fn is_driven(&self) -> bool {
        let Ok(file) = File::open(self.dir.join("lock")) else {
            return false;
        };
        let asked = rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared);
        asked == Err(rustix::io::Errno::WOULDBLOCK)
    }

    /// Waits until nobody drives the loop any more. Blocks.
    pub fn wait_for_the_end(&self) -> io::Result<()> {
        let file = File::open(self.dir.join("lock"))?;
        rustix::fs::flock(&file, FlockOperation::LockShared)?;
        Ok(())
    }

    /// A turn's directory.
    pub fn turn(&self, iteration: u32) -> TurnFiles {
        TurnFiles {
            dir: self.dir.join("turns").join(iteration.to_string()),
        }
    }

    /// Writes a document of the loop durably.
    pub fn put<T: Serialize>(&self, name: &str, document: &T) -> io::Result<()> {
        put(&self.dir.join(name), document)
    }

    /// Reads a document of the loop, if it is there and whole.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        get(&self.dir.join(name))
    }

    /// Writes a text of the loop durably.
    pub fn put_text(&self, name: &str, text: &str) -> io::Result<()> {
        write(&self.dir.join(name), text.as_bytes())
    }
}

/// A turn's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnFiles {
    dir: PathBuf,
}

impl TurnFiles {
    /// Where what the agent prints goes.
    pub fn transcript(&self) -> PathBuf {
        self.dir.join("agent.log")
    }

    /// Marks the turn as begun: from now on it is paid.
    pub fn begin(&self, brief: &str) -> io::Result<()> {
        make(&self.dir)?;
        write(&self.dir.join("brief.md"), brief.as_bytes())?;
        write(&self.dir.join("started"), b"")
    }

    /// Whether the turn was begun.
    pub fn begun(&self) -> bool {
        self.dir.join("started").exists()
    }

    /// Marks the turn as ended.
    pub fn end(&self, end: &TurnEnd) -> io::Result<()> {
        put(&self.dir.join("ended.json"), end)
    }

    /// How the turn ended, if it did.
    pub fn ended(&self) -> io::Result<Option<TurnEnd>> {
        get(&self.dir.join("ended.json"))
    }
}

fn make(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn put<T: Serialize>(path: &Path, document: &T) -> io::Result<()> {
    write(path, &serde_json::to_vec(document)?)
}

fn get<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes so that after a crash the old content is there or the new one, and after the answer
/// the new one.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let mut temporary = tempfile::NamedTempFile::new_in(parent)?;
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iteration::machine::TurnHow;
    use crate::model::SnapshotId;

    #[test]
    fn a_turn_is_begun_and_then_ended() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = LoopFiles::of(dir.path(), &LoopId::new("l1"));
        files.make().expect("made");
        let turn = files.turn(1);
        assert!(!turn.begun());
        turn.begin("do it").expect("begun");
        assert!(turn.begun());
        assert_eq!(turn.ended().expect("read"), None);
        let end = TurnEnd {
            how: TurnHow::Exited(0),
            tree: SnapshotId::new("t"),
            edited: true,
            touched: true,
            tokens: 0,
            micro_usd: 0,
            duration_ms: 3,
            changed: Vec::new(),
            stderr: String::new(),
        };
        turn.end(&end).expect("ended");
        assert_eq!(turn.ended().expect("read"), Some(end));
    }

    #[test]
    fn one_process_drives_a_loop() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = LoopFiles::of(dir.path(), &LoopId::new("l1"));
        files.make().expect("made");
        assert!(!files.is_driven());
        let first = files.lock().expect("locked");
        assert!(files.is_driven());
        assert!(first.is_ok());
        assert_eq!(files.lock().expect("asked").err(), Some(std::process::id()));
        drop(first);
        assert!(files.lock().expect("asked").is_ok());
    }
}
