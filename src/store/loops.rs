//! Loops: a record each, whose form is the iteration layer's business, and its own journal.

use crate::model::LoopId;
use crate::model::ProjectId;
use crate::model::Timestamp;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::journal::text;
use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::Row;
use rusqlite::params;

/// What is kept of a loop.
#[derive(Debug, Clone, PartialEq)]
pub struct LoopRow {
    /// Its id.
    pub id: LoopId,
    /// Its project.
    pub project: ProjectId,
    /// Its state's name; `stopped` once it has ended.
    pub state: String,
    /// When it was accepted.
    pub created: Timestamp,
    /// When this record was written.
    pub updated: Timestamp,
    /// The rest, in the form of the iteration layer.
    pub record: serde_json::Value,
}

pub(crate) fn put(connection: &Connection, row: &LoopRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO loops (id, project, state, created, updated, record)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO UPDATE SET state = ?3, updated = ?5, record = ?6",
        )?
        .execute(params![
            row.id.as_str(),
            row.project.as_str(),
            row.state,
            row.created.millis(),
            row.updated.millis(),
            text(&row.record)?
        ])
        .map(|_| ())
}

pub(crate) fn append_step(
    connection: &Connection,
    id: &LoopId,
    step: &serde_json::Value,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO loop_steps (loop, body) VALUES (?1, ?2)")?
        .execute(params![id.as_str(), text(step)?])
        .map(|_| ())
}

const COLUMNS: &str = "id, project, state, created, updated, record";

impl Store {
    /// All loops, newest first; only a project's own if it is named.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn loops(&self, project: Option<&ProjectId>) -> Result<Vec<LoopRow>, StoreError> {
        let project = project.map(|id| id.as_str().to_owned());
        self.query(move |c| {
            c.prepare(&format!(
                "SELECT {COLUMNS} FROM loops WHERE ?1 IS NULL OR project = ?1 ORDER BY id DESC"
            ))?
            .query_map([project], row)?
            .collect()
        })
        .await
    }

    /// A loop by its id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn loop_row(&self, id: &LoopId) -> Result<Option<LoopRow>, StoreError> {
        let id = id.clone();
        self.query(move |c| {
            c.query_row(
                &format!("SELECT {COLUMNS} FROM loops WHERE id = ?1"),
                [id.as_str()],
                row,
            )
            .optional()
        })
        .await
    }

    /// A loop's own journal, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn loop_steps(&self, id: &LoopId) -> Result<Vec<serde_json::Value>, StoreError> {
        let id = id.clone();
        self.query(move |c| {
            c.prepare("SELECT body FROM loop_steps WHERE loop = ?1 ORDER BY seq")?
                .query_map([id.as_str()], |row| row.get::<_, String>(0))?
                .map(|body| body.map(|body| json(&body)))
                .collect()
        })
        .await
    }
}

fn row(row: &Row<'_>) -> rusqlite::Result<LoopRow> {
    Ok(LoopRow {
        id: LoopId::new(row.get::<_, String>(0)?),
        project: ProjectId::new(row.get::<_, String>(1)?),
        state: row.get(2)?,
        created: Timestamp::from_millis(row.get(3)?),
        updated: Timestamp::from_millis(row.get(4)?),
        record: json(&row.get::<_, String>(5)?),
    })
}

fn json(text: &str) -> serde_json::Value {
    // Written by this table's own `put`; what is damaged is shown as nothing.
    serde_json::from_str(text).unwrap_or(serde_json::Value::Null)
}
