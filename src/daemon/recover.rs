//! After whatever end of the daemon before this one: what the journal says of a project, and
//! what is left on the disk.
//!
//! What a project's last daemon left open falls into three kinds. What somebody had asked for
//! was accepted: it waits again, under its own id. What a change had asked for is asked for
//! again by the first synchronisation if it is still wanted: it is done with, as lost if it
//! was running and as superseded if it only waited.

use crate::daemon::hub::Recovered;
use crate::model::Asker;
use crate::model::HostEnv;
use crate::model::ProjectId;
use crate::model::RunState;
use crate::model::status::Fold;
use crate::run::history;
use crate::run::queue::Request;
use crate::run::rundir;
use crate::sandbox::bwrap::Bwrap;
use crate::sandbox::marker;
use crate::store::ProjectRow;
use crate::store::RunRow;
use crate::store::Store;
use crate::store::StoreError;
use std::path::Path;
use std::path::PathBuf;

/// Every project that is watched whenever a daemon runs, with what the journal says of it.
pub(super) async fn projects(
    store: &Store,
) -> Result<Vec<(ProjectId, PathBuf, Recovered)>, StoreError> {
    let mut found = Vec::new();
    let open = store.open_runs().await?;
    for ProjectRow { id, path, .. } in store.projects().await? {
        let recovered = told(store, &id, &path, &open).await?;
        found.push((id, path, recovered));
    }
    Ok(found)
}

/// What the journal says of one project.
pub(super) async fn project(
    store: &Store,
    id: &ProjectId,
    path: &Path,
) -> Result<Recovered, StoreError> {
    let open = store.open_runs().await?;
    told(store, id, path, &open).await
}

async fn told(
    store: &Store,
    id: &ProjectId,
    path: &Path,
    open: &[RunRow],
) -> Result<Recovered, StoreError> {
    let (kept, events) = store.replay(id).await?;
    let kept: Option<Fold> = kept.and_then(|body| serde_json::from_value(body).ok());
    let first = events.first().map(|event| event.at);
    let fold = match (kept, first) {
        (None, None) => None,
        (kept, first) => {
            let at = first.unwrap_or_default();
            let mut fold =
                kept.unwrap_or_else(|| Fold::new(id.clone(), &path.display().to_string(), at));
            events.iter().for_each(|event| fold.apply(event));
            Some(fold)
        }
    };
    let mut recovered = Recovered {
        fold,
        ..Recovered::default()
    };
    for run in open.iter().filter(|run| run.project == *id) {
        let request = Request {
            run: run.id.clone(),
            project: id.clone(),
            key: run.key.clone(),
            asker: run.asker,
        };
        match (run.state, run.asker) {
            (RunState::Running, Asker::Explicit) => {
                recovered.lost.push(run.id.clone());
                recovered.accepted.push(request);
            }
            (RunState::Running, _) => recovered.lost.push(run.id.clone()),
            (_, Asker::Explicit) => recovered.accepted.push(request),
            (_, _) => recovered.needless.push(run.id.clone()),
        }
    }
    Ok(recovered)
}

/// Ends what dead daemons left running, and removes what their runs left. Blocks.
pub(super) fn sweep(host: &HostEnv) {
    end_strays(host);
    rundir::tidy_dead(&history::runs_dir(&host.state_dir()));
}

/// Ends what dead daemons left running. Blocks.
pub(super) fn end_strays(host: &HostEnv) {
    // Sandboxes die with their daemon; this finds what did not, by the markers beside them.
    let swept = marker::sweep(&Bwrap::markers(host));
    if !swept.killed.is_empty() {
        tracing::warn!(pids = ?swept.killed, "ended what a dead daemon had left running");
    }
}
