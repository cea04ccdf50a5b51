//! Loops are driven by whatever process was asked to; all keep their records in the one store.
//! The daemon looks at these records when another process has written to the store, and shows
//! in the status what changed.

use crate::daemon::hub::Input;
use crate::iteration::LoopFiles;
use crate::iteration::driver;
use crate::model::HostEnv;
use crate::model::status::LoopStatus;
use crate::run;
use crate::store::Store;
use crate::store::StoreError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How often the store is asked whether somebody else wrote to it: one page of memory is read.
const LOOK: Duration = Duration::from_secs(1);

/// Shows loops until the daemon ends.
pub(super) async fn watch(
    store: Store,
    host: Arc<HostEnv>,
    inbox: mpsc::UnboundedSender<Input>,
    beside: CancellationToken,
) {
    let mut due = tokio::time::interval(LOOK);
    let mut seen = None;
    loop {
        tokio::select! {
            _ = due.tick() => {}
            () = beside.cancelled() => return,
        }
        let version = store.foreign_writes().await.ok();
        if seen.is_some() && seen == version {
            continue;
        }
        seen = version;
        if let Err(error) = tell(&store, &host, &inbox).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "loops are not shown");
        }
    }
}

async fn tell(
    store: &Store,
    host: &HostEnv,
    inbox: &mpsc::UnboundedSender<Input>,
) -> Result<(), StoreError> {
    for row in store.loops(None).await? {
        let project = row.project.clone();
        // A record of another version is that version's business.
        let Ok(record) = driver::read(row) else {
            continue;
        };
        let files = LoopFiles::of(&host.state_dir(), record.id());
        let report = record.report(files.dir(), run::now());
        let status = LoopStatus {
            id: report.id,
            state: report.state,
            iteration: u32::try_from(report.iterations.len()).unwrap_or(u32::MAX),
            stop: report.stop_reason,
        };
        // Fails only once the hub is gone.
        let _ = inbox.send(Input::Loop { project, status });
    }
    Ok(())
}
