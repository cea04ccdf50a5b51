//! Loops on record: read, kept, and as they stand now. A loop without an end that nobody drives
//! was cut short: what was written last about it is no word about now.

use crate::iteration::error::LoopError;
use crate::iteration::files::LoopFiles;
use crate::iteration::record::LoopRecord;
use crate::model::INTERRUPTED;
use crate::model::LoopId;
use crate::model::LoopReport;
use crate::model::ProjectId;
use crate::run::now;
use crate::store::LoopRow;
use crate::store::Store;
use std::path::Path;

/// A loop's record.
///
/// # Errors
/// When there is none, or it cannot be read.
pub async fn load(store: &Store, id: &LoopId) -> Result<LoopRecord, LoopError> {
    let row = store
        .loop_row(id)
        .await?
        .ok_or_else(|| LoopError::Unknown(id.clone()))?;
    read(row)
}

/// The record in a row of the store.
///
/// # Errors
/// When it is not one.
pub fn read(row: LoopRow) -> Result<LoopRecord, LoopError> {
    let id = row.id;
    serde_json::from_value(row.record).map_err(|source| LoopError::Record { id, source })
}

/// Keeps a record, durable.
///
/// # Errors
/// When the store cannot.
pub async fn keep(store: &Store, record: &LoopRecord) -> Result<(), LoopError> {
    let id = record.id().clone();
    let body = serde_json::to_value(record).map_err(|source| LoopError::Record {
        id: id.clone(),
        source,
    })?;
    let row = LoopRow {
        id,
        project: record.project.clone(),
        state: record.state.phase.as_str().to_owned(),
        created: record.created,
        updated: now(),
        record: body,
    };
    Ok(store.put_loop(row).await?)
}

/// What was cut short of a loop that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    /// Cleaning up after it.
    End,
    /// A landing that was begun.
    Landing,
}

/// The loops that have ended and of which something was cut short.
///
/// # Errors
/// When the store cannot be read.
pub async fn unfinished(store: &Store) -> Result<Vec<(LoopId, Unfinished)>, LoopError> {
    let rows = store.loops(None).await?;
    let records = rows.into_iter().filter_map(|row| read(row).ok());
    let ended = records.filter(|record| record.state.stop.is_some());
    Ok(ended
        .filter_map(|record| {
            let what = match (record.plan.is_some(), record.state.pending.is_empty()) {
                (true, _) => Unfinished::Landing,
                (false, false) => Unfinished::End,
                (false, true) => return None,
            };
            Some((record.id().clone(), what))
        })
        .collect())
}

/// A loop as it stands now.
///
/// # Errors
/// When there is no such loop, or its record cannot be read.
pub async fn standing(
    store: &Store,
    state_dir: &Path,
    id: &LoopId,
) -> Result<LoopReport, LoopError> {
    let record = load(store, id).await?;
    seen(store, state_dir, record).await
}

/// The loops as they stand now, newest first; only those of one project if it is named. A
/// record that another version of regreen wrote is that version's business and left out.
///
/// # Errors
/// When the store cannot be read.
pub async fn standings(
    store: &Store,
    state_dir: &Path,
    project: Option<&ProjectId>,
) -> Result<Vec<(ProjectId, LoopReport)>, LoopError> {
    let mut found = Vec::new();
    for row in store.loops(project).await? {
        let project = row.project.clone();
        match read(row) {
            Ok(record) => found.push((project, seen(store, state_dir, record).await?)),
            Err(error) => tracing::warn!(%error, "a loop is not shown"),
        }
    }
    Ok(found)
}

async fn seen(
    store: &Store,
    state_dir: &Path,
    mut record: LoopRecord,
) -> Result<LoopReport, LoopError> {
    let files = LoopFiles::of(state_dir, record.id());
    let mut interrupted = record.state.stop.is_none() && !files.is_driven();
    if interrupted {
        // It may have come to its end between the two looks.
        record = load(store, record.id()).await?;
        interrupted = record.state.stop.is_none();
    }
    let mut report = record.report(files.dir(), now());
    if interrupted {
        report.detail = Some(format!(
            "cut short in the state `{}`, and nobody drives it now: `regreen loops resume {id}` \
             goes on with it, `regreen loops stop {id}` ends it",
            report.state,
            id = report.id
        ));
        report.state = INTERRUPTED.to_owned();
    }
    Ok(report)
}
