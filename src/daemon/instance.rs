//! Single instance by flock: whoever holds `$XDG_STATE_HOME/regreen/lock` is the daemon. The
//! kernel lets go of it when the process dies, however it dies; the text in the file only says
//! who it is.

use crate::model::HostEnv;
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use std::fs::DirBuilder;
use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// The right to be the daemon of this user; given back when dropped.
#[derive(Debug)]
pub struct Instance {
    _lock: File,
}

/// Why this process cannot be the daemon.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstanceError {
    /// Another one is.
    #[error(
        "a regreen daemon is running already (process {pid}); use it, or end it with \
         `kill {pid}` or `systemctl --user stop regreen`"
    )]
    Taken {
        /// Its process id; 0 if it has not said so yet.
        pid: u32,
    },
    /// The lock file cannot be used.
    #[error("failed to lock `{}`", path.display())]
    Io {
        /// The lock file or its directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Instance {
    /// Takes the lock, without waiting.
    ///
    /// # Errors
    /// When another process holds it, or the state directory cannot be used.
    pub fn take(host: &HostEnv) -> Result<Instance, InstanceError> {
        let dir = host.state_dir();
        let io = |path: &PathBuf| {
            let path = path.clone();
            move |source| InstanceError::Io { path, source }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(io(&dir))?;
        let path = dir.join("lock");
        let mut lock = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(io(&path))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(InstanceError::Taken { pid: holder(lock) });
            }
            Err(errno) => return Err(io(&path)(errno.into())),
        }
        lock.set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(io(&path))?;
        Ok(Instance { _lock: lock })
    }
}

fn holder(lock: File) -> u32 {
    let mut text = String::new();
    // Who cannot be read is unknown; that somebody holds it is certain.
    let _ = lock.take(32).read_to_string(&mut text);
    text.trim().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let host = HostEnv::below(dir.path(), "");
        let first = Instance::take(&host).unwrap();
        let error = Instance::take(&host).unwrap_err();
        let pid = std::process::id();
        assert!(
            matches!(error, InstanceError::Taken { pid: holder } if holder == pid),
            "{error}"
        );
        assert!(
            error.to_string().contains(&format!("kill {pid}")),
            "{error}"
        );
        drop(first);
        Instance::take(&host).unwrap();
    }
}
