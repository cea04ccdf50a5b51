//! The unix socket: in a directory of mode 0700, and every caller's user is checked besides.

use crate::api::routes;
use crate::daemon::Handle;
use crate::model::HostEnv;
use axum::serve::Listener;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio::net::unix::SocketAddr;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Requests that go on when the daemon ends get this long.
const GRACE: Duration = Duration::from_secs(2);

/// Why the socket cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The directory is somebody else's.
    #[error("`{}` does not belong to this user; remove it", .0.display())]
    Foreign(PathBuf),
    /// The system refused.
    #[error("failed to listen on `{}`", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A served socket; removed by [`Server::stop`].
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves the hub behind `handle`. The caller holds the instance lock: a socket that lies
    /// there already belongs to nobody.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn start(handle: Handle) -> Result<Server, ServeError> {
        let path = handle.host().socket();
        let listener = listen(handle.host(), &path)?;
        let stop = CancellationToken::new();
        let asked = stop.clone();
        let serving = axum::serve(OwnUser(listener), routes::router(handle))
            .with_graceful_shutdown(async move { asked.cancelled().await });
        let task = tokio::spawn(async move {
            // Never ends with an error: what fails, fails for one caller.
            let _ = serving.await;
        });
        Ok(Server { path, stop, task })
    }

    /// Takes no more callers, lets those be answered that are there, and removes the socket.
    pub async fn stop(self) {
        // Removed first: whoever looks for a daemon now finds none.
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "the socket was gone already");
        }
        self.stop.cancel();
        // A caller that keeps its connection open is left alone after the grace.
        let _ = tokio::time::timeout(GRACE, self.task).await;
    }
}

fn listen(host: &HostEnv, path: &Path) -> Result<UnixListener, ServeError> {
    let io = |source| ServeError::Io {
        path: path.to_owned(),
        source,
    };
    let dir = host.runtime_dir();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&dir)
        .map_err(io)?;
    let meta = std::fs::symlink_metadata(&dir).map_err(io)?;
    if !meta.is_dir() || meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(ServeError::Foreign(dir));
    }
    // It may have been made by hand, with other rights.
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&dir, private).map_err(io)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(io)?;
    // The directory keeps others out already; whoever looks at the socket alone sees it too.
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(path, own).map_err(io)?;
    Ok(listener)
}

/// A listener that hangs up on other users.
struct OwnUser(UnixListener);

impl Listener for OwnUser {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        let own = rustix::process::geteuid().as_raw();
        loop {
            // `Listener` waits out errors like "too many open files".
            let (stream, from) = Listener::accept(&mut self.0).await;
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == own => return (stream, from),
                Ok(peer) => tracing::warn!(uid = peer.uid(), "hung up on another user"),
                Err(error) => tracing::warn!(%error, "hung up on an unknown user"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
