//! Loops are driven by whatever process was asked to; all keep their records in the one store.
//! The daemon looks at these records when another process has written to the store or a loop's
//! driver has come or gone, and shows in the status what changed. It drives none by itself. The
//! kernel tells when the store's files change: a daemon without a loop that is driven does not
//! look.

use crate::daemon::hub::Input;
use crate::iteration::LoopError;
use crate::iteration::LoopFiles;
use crate::iteration::records;
use crate::model::HostEnv;
use crate::model::INTERRUPTED;
use crate::model::LoopId;
use crate::model::status::LoopStatus;
use crate::store::Store;
use crate::store::StoreError;
use rustix::fs::inotify;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The store is asked at most this often whether somebody else wrote to it: the daemon's own
/// writes change its files as well.
const LOOK: Duration = Duration::from_secs(1);
/// And while a loop is driven: what it came to is not to be old news.
const GLANCE: Duration = Duration::from_millis(200);
/// How often it is asked though nothing was heard.
const SAFETY: Duration = Duration::from_secs(30);

/// A loop that has not ended, and whether somebody drives it.
type Open = (LoopId, bool);

/// Shows loops until the daemon ends.
pub(super) async fn watch(
    store: Store,
    host: Arc<HostEnv>,
    inbox: mpsc::UnboundedSender<Input>,
    beside: CancellationToken,
) {
    let shown = async {
        let writes = Writes::hear(store.dir())
            .inspect_err(|error| tracing::debug!(%error, "the store is looked at all the time"))
            .ok();
        let mut seen: Option<(Option<i64>, Vec<Open>)> = None;
        loop {
            let version = store.foreign_writes().await.ok();
            let same = seen
                .as_ref()
                .is_some_and(|(known, open)| *known == version && same_drivers(&host, open));
            if !same {
                match tell(&store, &host, &inbox).await {
                    Ok(open) => seen = Some((version, open)),
                    Err(LoopError::Store(StoreError::Closed)) => return,
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "loops are not shown");
                    }
                }
            }
            let driven = seen
                .as_ref()
                .is_some_and(|(_, open)| open.iter().any(|(_, driven)| *driven));
            tokio::time::sleep(if driven { GLANCE } else { LOOK }).await;
            // A driver that dies writes nothing.
            let calm = seen
                .as_ref()
                .is_some_and(|(_, open)| open.iter().all(|(_, driven)| !driven));
            if calm && let Some(writes) = &writes {
                // Whatever the end of the waiting is, the store is asked next.
                let _ = tokio::time::timeout(SAFETY, writes.next()).await;
            }
        }
    };
    tokio::select! {
        () = shown => {}
        () = beside.cancelled() => {}
    }
}

/// What the kernel says of writes to the store's files. What it said while nobody listened is
/// kept, so that no write is missed.
struct Writes(AsyncFd<OwnedFd>);

impl Writes {
    fn hear(dir: &Path) -> std::io::Result<Writes> {
        let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let mask = inotify::WatchFlags::MODIFY
            | inotify::WatchFlags::CREATE
            | inotify::WatchFlags::MOVED_TO;
        inotify::add_watch(&fd, dir, mask)?;
        // SAFETY: the descriptor is owned by the `AsyncFd`, never replaced, and closed with it.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        Ok(Writes(fd?))
    }

    /// Waits for a write after the last time.
    async fn next(&self) -> std::io::Result<()> {
        let read = |fd: &OwnedFd| {
            let mut buffer = [0_u8; 4096];
            Ok(rustix::io::read(fd, &mut buffer)?)
        };
        self.0.async_io(Interest::READABLE, read).await?;
        // The rest of what one commit makes.
        while read(self.0.get_ref()).is_ok_and(|count| count > 0) {}
        Ok(())
    }
}

/// Whether every loop without an end is driven as it was before, or as little.
fn same_drivers(host: &HostEnv, open: &[Open]) -> bool {
    let state_dir = host.state_dir();
    open.iter()
        .all(|(id, driven)| LoopFiles::of(&state_dir, id).is_driven() == *driven)
}

/// Tells the hub how every loop stands. Answers those without an end, and whether they are
/// driven.
pub(super) async fn tell(
    store: &Store,
    host: &HostEnv,
    inbox: &mpsc::UnboundedSender<Input>,
) -> Result<Vec<Open>, LoopError> {
    let mut open = Vec::new();
    for (project, report) in records::standings(store, &host.state_dir(), None).await? {
        if report.stop_reason.is_none() {
            let driven = report.state != INTERRUPTED;
            open.push((report.id.clone(), driven));
        }
        let status = LoopStatus::from(report);
        // Fails only once the hub is gone.
        let _ = inbox.send(Input::Loop { project, status });
    }
    Ok(open)
}
