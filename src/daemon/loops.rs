//! Loops are driven by whatever process was asked to; all keep their records in the one store.
//! The daemon looks at these records when another process has written to the store or a loop's
//! driver has come or gone, and shows in the status what changed. It drives none by itself.

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
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How often the store is asked whether somebody else wrote to it: one page of memory is read.
const LOOK: Duration = Duration::from_secs(1);

/// A loop that has not ended, and whether somebody drives it.
type Open = (LoopId, bool);

/// Shows loops until the daemon ends.
pub(super) async fn watch(
    store: Store,
    host: Arc<HostEnv>,
    inbox: mpsc::UnboundedSender<Input>,
    beside: CancellationToken,
) {
    let mut due = tokio::time::interval(LOOK);
    let mut seen: Option<(Option<i64>, Vec<Open>)> = None;
    loop {
        tokio::select! {
            _ = due.tick() => {}
            () = beside.cancelled() => return,
        }
        let version = store.foreign_writes().await.ok();
        if let Some((known, open)) = &seen
            && *known == version
            && same_drivers(&host, open)
        {
            continue;
        }
        match tell(&store, &host, &inbox).await {
            Ok(open) => seen = Some((version, open)),
            Err(LoopError::Store(StoreError::Closed)) => return,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "loops are not shown");
            }
        }
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
        let status = LoopStatus {
            id: report.id,
            state: report.state,
            iteration: report.spend.iterations,
            stop: report.stop_reason,
        };
        // Fails only once the hub is gone.
        let _ = inbox.send(Input::Loop { project, status });
    }
    Ok(open)
}
