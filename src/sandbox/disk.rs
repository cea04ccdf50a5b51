//! How much a run writes into its slot: watched while it goes on, because no file system gives an
//! ordinary user a quota for a directory. The free space is asked often, which costs nothing; the
//! slot is walked only when more is gone than the run may take, to find out whether it was the run.

mod ledger;
mod measure;

use crate::model::Limits;
use crate::process::LimitHit;
use crate::process::Tree;
use crate::sandbox::Place;
use ledger::Ledger;
use ledger::Turn;
use measure::Measured;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;
use std::time::SystemTime;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A walk is followed by at least this many times its own length without one.
const REST: u32 = 20;

/// A run whose writing is watched.
#[derive(Debug)]
pub(super) struct Watched {
    /// Answers when the run wrote too much. Dropping it ends the watching.
    pub breached: oneshot::Receiver<LimitHit>,
    /// What there is to say of that, once it answered.
    pub said: Arc<OnceLock<String>>,
}

/// Begins to watch what the sandbox of `tree` writes into its place.
pub(super) fn watch(place: &Place, limits: &Limits, tree: Tree) -> Watched {
    let (tell, breached) = oneshot::channel();
    let said = Arc::new(OnceLock::new());
    if let Some(free) = free(&place.tree) {
        let watch = Watch {
            ledger: Ledger::new(limits.disk_bytes, free),
            place: place.clone(),
            tree,
            // File systems stamp with a coarse clock.
            begun: SystemTime::now() - Duration::from_millis(20),
            said: said.clone(),
        };
        tokio::spawn(watch.run(tell));
    }
    Watched { breached, said }
}

/// What an ordinary user may still write on the disk of a path, in bytes.
fn free(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

struct Watch {
    ledger: Ledger,
    place: Place,
    tree: Tree,
    begun: SystemTime,
    said: Arc<OnceLock<String>>,
}

impl Watch {
    async fn run(mut self, mut tell: oneshot::Sender<LimitHit>) {
        // Whoever sets a limit wants it held exactly; a walk for everybody else would be waste.
        if self.ledger.is_configured()
            && let Some(measured) = self.measure().await
        {
            self.ledger.held(measured);
        }
        let mut not_before = Instant::now();
        loop {
            let Some(free) = free(&self.place.tree) else {
                return;
            };
            let pause = match self.ledger.look(free) {
                Turn::Walk if Instant::now() >= not_before => {
                    let begun = Instant::now();
                    if let Some(hit) = self.walk().await {
                        let _ = tell.send(hit);
                        return;
                    }
                    not_before = Instant::now() + begun.elapsed() * REST;
                    ledger::SOONEST
                }
                Turn::Walk => ledger::SOONEST,
                Turn::Wait(pause) => pause,
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = tell.closed() => return,
            }
        }
    }

    /// Finds out what the run wrote; answers whether that is too much.
    async fn walk(&mut self) -> Option<LimitHit> {
        let measured = self.measure().await?;
        let free = free(&self.place.tree)?;
        let breach = self.ledger.walked(measured, free)?;
        let _ = self.said.set(breach.said(&self.place.tree));
        Some(breach.hit)
    }

    async fn measure(&self) -> Option<Measured> {
        let places: [PathBuf; 3] = [
            self.place.tree.clone(),
            self.place.home.clone(),
            self.place.tmp.clone(),
        ];
        let (tree, begun) = (self.tree.clone(), self.begun);
        let measured = tokio::task::spawn_blocking(move || {
            let members = tree.members();
            Measured::of(&places, &members, begun)
        });
        measured.await.ok()
    }
}
