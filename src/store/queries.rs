//! What can be asked of the store.

use crate::model::Asker;
use crate::model::Counts;
use crate::model::EnvironmentHash;
use crate::model::Event;
use crate::model::Outcome;
use crate::model::ProjectId;
use crate::model::RunId;
use crate::model::RunKey;
use crate::model::RunState;
use crate::model::SnapshotId;
use crate::model::TestRef;
use crate::model::Timestamp;
use crate::model::Trigger;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::journal;
use rusqlite::OptionalExtension;
use rusqlite::Row;
use rusqlite::params;
use serde::de::DeserializeOwned;
use std::path::PathBuf;

/// An event and its place in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Journalled {
    /// Its place: grows, never used twice.
    pub seq: i64,
    /// The event.
    pub event: Event,
}

/// A project that is watched whenever a daemon runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRow {
    /// Its id.
    pub id: ProjectId,
    /// Its worktree.
    pub path: PathBuf,
    /// Which tree its verdicts are about.
    pub trigger: Trigger,
    /// Told to wait.
    pub paused: bool,
}

/// What is kept of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// Its project.
    pub project: ProjectId,
    /// What makes it the same as another.
    pub key: RunKey,
    /// Who asked for it.
    pub asker: Asker,
    /// Where it stands.
    pub state: RunState,
    /// When it was accepted.
    pub queued: Timestamp,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Its outcome.
    pub outcome: Option<Outcome>,
    /// Whether it is complete.
    pub complete: bool,
    /// Edits arrived while it ran.
    pub stale: bool,
    /// Its counts.
    pub counts: Option<Counts>,
}

/// A test that failed and passed at the same snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flake {
    /// The test.
    pub test: TestRef,
    /// How often it was seen.
    pub seen: u64,
    /// When last.
    pub last: Timestamp,
}

const RUN_COLUMNS: &str = "id, project, suite, snapshot, environment, asker, state, queued, \
                           started, ended, outcome, complete, stale, counts";

impl Store {
    /// The projects that are watched whenever a daemon runs, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn projects(&self) -> Result<Vec<ProjectRow>, StoreError> {
        self.query(|c| {
            c.prepare("SELECT id, path, trigger, paused FROM projects ORDER BY added, id")?
                .query_map([], |row| {
                    Ok(ProjectRow {
                        id: ProjectId::new(row.get::<_, String>(0)?),
                        path: PathBuf::from(row.get::<_, String>(1)?),
                        trigger: from_word(&row.get::<_, String>(2)?).unwrap_or_default(),
                        paused: row.get(3)?,
                    })
                })?
                .collect()
        })
        .await
    }

    /// A project's last checkpoint and the events since. Events that this program does not
    /// know are left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn replay(
        &self,
        project: &ProjectId,
    ) -> Result<(Option<serde_json::Value>, Vec<Event>), StoreError> {
        let project = project.clone();
        self.query(move |c| {
            let found: Option<(i64, String)> = c
                .query_row(
                    "SELECT seq, body FROM checkpoints WHERE project = ?1",
                    [project.as_str()],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            let (after, body) = match found {
                Some((seq, body)) => (seq, serde_json::from_str(&body).ok()),
                None => (0, None),
            };
            // A checkpoint that cannot be read is worth nothing: all that is left is read.
            let after = if body.is_some() { after } else { 0 };
            let events = c
                .prepare("SELECT body FROM journal WHERE project = ?1 AND seq > ?2 ORDER BY seq")?
                .query_map(params![project.as_str(), after], |row| {
                    row.get::<_, String>(0)
                })?
                .filter_map(|body| match body {
                    Ok(body) => serde_json::from_str(&body).ok().map(Ok),
                    Err(error) => Some(Err(error)),
                })
                .collect::<rusqlite::Result<Vec<Event>>>()?;
            Ok((body, events))
        })
        .await
    }

    /// Events after `seq`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn events_after(&self, seq: i64, limit: u32) -> Result<Vec<Journalled>, StoreError> {
        self.query(move |c| {
            c.prepare("SELECT seq, body FROM journal WHERE seq > ?1 ORDER BY seq LIMIT ?2")?
                .query_map(params![seq, limit], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
                })?
                .filter_map(|row| match row {
                    Ok((seq, body)) => serde_json::from_str(&body)
                        .ok()
                        .map(|event| Ok(Journalled { seq, event })),
                    Err(error) => Some(Err(error)),
                })
                .collect()
        })
        .await
    }

    /// Runs that neither ended nor were given up: after a crash these are what was under way.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open_runs(&self) -> Result<Vec<RunRow>, StoreError> {
        self.query(|c| {
            c.prepare(&format!(
                "SELECT {RUN_COLUMNS} FROM runs WHERE state IN ('queued', 'running') ORDER BY id"
            ))?
            .query_map([], run_row)?
            .collect()
        })
        .await
    }

    /// A run by its id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn run(&self, id: &RunId) -> Result<Option<RunRow>, StoreError> {
        let id = id.clone();
        self.query(move |c| {
            c.query_row(
                &format!("SELECT {RUN_COLUMNS} FROM runs WHERE id = ?1"),
                [id.as_str()],
                run_row,
            )
            .optional()
        })
        .await
    }

    /// A project's latest runs, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn recent_runs(
        &self,
        project: &ProjectId,
        limit: u32,
    ) -> Result<Vec<RunRow>, StoreError> {
        self.runs_where(project, "project = ?1 ORDER BY id DESC", limit)
            .await
    }

    /// A project's latest green, complete runs whose whole key is known, newest first: what may
    /// answer an automatic request.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn green_runs(
        &self,
        project: &ProjectId,
        limit: u32,
    ) -> Result<Vec<RunRow>, StoreError> {
        let green = "project = ?1 AND state = 'finished' AND outcome = 'passed'
            AND complete = 1 AND environment IS NOT NULL ORDER BY ended DESC";
        self.runs_where(project, green, limit).await
    }

    /// The first runs of a project (`?1`) by a condition and an order.
    async fn runs_where(
        &self,
        project: &ProjectId,
        which: &'static str,
        limit: u32,
    ) -> Result<Vec<RunRow>, StoreError> {
        let project = project.clone();
        self.query(move |c| {
            c.prepare(&format!(
                "SELECT {RUN_COLUMNS} FROM runs WHERE {which} LIMIT ?2"
            ))?
            .query_map(params![project.as_str(), limit], run_row)?
            .collect()
        })
        .await
    }

    /// What failed in the last complete run of a suite.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn last_failed(
        &self,
        project: &ProjectId,
        suite: &str,
    ) -> Result<Vec<TestRef>, StoreError> {
        let (project, suite) = (project.clone(), suite.to_owned());
        self.query(move |c| {
            c.prepare("SELECT target, test FROM failed WHERE project = ?1 AND suite = ?2")?
                .query_map(params![project.as_str(), suite], |row| {
                    Ok(TestRef {
                        target: row.get(0)?,
                        id: row.get(1)?,
                    })
                })?
                .collect()
        })
        .await
    }

    /// A number that changes when another process has written to the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn foreign_writes(&self) -> Result<i64, StoreError> {
        self.query(|c| c.query_row("PRAGMA data_version", [], |row| row.get(0)))
            .await
    }

    /// A suite's flaky tests that have not expired at `now`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn flakes(
        &self,
        project: &ProjectId,
        suite: &str,
        now: Timestamp,
    ) -> Result<Vec<Flake>, StoreError> {
        let (project, suite) = (project.clone(), suite.to_owned());
        let since = now.millis() - journal::FLAKY_FOR.as_millis() as i64;
        self.query(move |c| {
            c.prepare(
                "SELECT target, test, seen, last FROM flakes
                 WHERE project = ?1 AND suite = ?2 AND last >= ?3 ORDER BY last DESC",
            )?
            .query_map(params![project.as_str(), suite, since], |row| {
                let target: String = row.get(0)?;
                Ok(Flake {
                    test: TestRef {
                        target: Some(target).filter(|target| !target.is_empty()),
                        id: row.get(1)?,
                    },
                    seen: row.get::<_, i64>(2)?.max(0) as u64,
                    last: Timestamp::from_millis(row.get(3)?),
                })
            })?
            .collect()
        })
        .await
    }
}

fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    let words = |index: usize| row.get::<_, String>(index);
    let moment = |index: usize| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row
            .get::<_, Option<i64>>(index)?
            .map(Timestamp::from_millis))
    };
    Ok(RunRow {
        id: RunId::new(words(0)?),
        project: ProjectId::new(words(1)?),
        key: RunKey {
            suite: words(2)?,
            snapshot: SnapshotId::new(words(3)?),
            environment: row.get::<_, Option<String>>(4)?.map(EnvironmentHash::new),
        },
        // A word of a newer program cannot be here: its store is refused.
        asker: from_word(&words(5)?).unwrap_or(Asker::Watch),
        state: from_word(&words(6)?).unwrap_or(RunState::Lost),
        queued: Timestamp::from_millis(row.get(7)?),
        started: moment(8)?,
        ended: moment(9)?,
        outcome: row
            .get::<_, Option<String>>(10)?
            .and_then(|word| from_word(&word)),
        complete: row.get(11)?,
        stale: row.get(12)?,
        counts: row
            .get::<_, Option<String>>(13)?
            .and_then(|text| serde_json::from_str(&text).ok()),
    })
}

fn from_word<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}
