//! The journal, and the tables that are folded from it in the same transaction.

use crate::model::Event;
use crate::model::EventKind;
use crate::model::ProjectId;
use crate::model::RunId;
use crate::model::RunState;
use crate::model::TestRef;
use crate::model::Timestamp;
use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::params;
use serde::Serialize;
use std::time::Duration;

/// A test that was flaky is forgotten when it was not seen flaky for so long.
pub(crate) const FLAKY_FOR: Duration = Duration::from_secs(14 * 24 * 3600);

pub(crate) fn append(connection: &Connection, event: &Event) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO journal (at, project, body) VALUES (?1, ?2, ?3)")?
        .execute(params![
            event.at.millis(),
            event.project.as_ref().map(ProjectId::as_str),
            text(event)?,
        ])?;
    let Some(project) = &event.project else {
        return Ok(());
    };
    fold(connection, project, event.at, &event.kind)
}

/// What the tables learn from an event. Upserts throughout: an event may be seen again after
/// a backlog was written twice, and a lost run is queued again under its own id.
fn fold(
    connection: &Connection,
    project: &ProjectId,
    at: Timestamp,
    kind: &EventKind,
) -> rusqlite::Result<()> {
    match kind {
        EventKind::ProjectAdded {
            path,
            foreground: false,
            trigger,
        } => execute(
            connection,
            "INSERT INTO projects (id, path, added, trigger) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET path = ?2, trigger = ?4",
            params![project.as_str(), path, at.millis(), word(trigger)?],
        ),
        EventKind::ProjectRemoved => execute(
            connection,
            "DELETE FROM projects WHERE id = ?1",
            params![project.as_str()],
        ),
        EventKind::Paused | EventKind::Resumed => execute(
            connection,
            "UPDATE projects SET paused = ?2 WHERE id = ?1",
            params![project.as_str(), matches!(kind, EventKind::Paused)],
        ),
        EventKind::RunQueued {
            run,
            suite,
            snapshot,
            asker,
            environment,
        } => execute(
            connection,
            "INSERT INTO runs (id, project, suite, snapshot, environment, asker, state, queued)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'queued', ?7)
             ON CONFLICT (id) DO UPDATE SET
               snapshot = ?4, environment = ?5, asker = ?6, state = 'queued', started = NULL",
            params![
                run.as_str(),
                project.as_str(),
                suite,
                snapshot.as_str(),
                environment.as_ref().map(|hash| hash.as_str()),
                word(asker)?,
                at.millis()
            ],
        ),
        EventKind::RunStarted { run } => execute(
            connection,
            "UPDATE runs SET state = 'running', started = ?2 WHERE id = ?1",
            params![run.as_str(), at.millis()],
        ),
        EventKind::RunFinished { run, .. } => finished(connection, project, run, at, kind),
        EventKind::RunDigested { run, environment } => execute(
            connection,
            "UPDATE runs SET environment = ?2 WHERE id = ?1",
            params![run.as_str(), environment.as_str()],
        ),
        EventKind::RunSuperseded { run } => ended(connection, run, at, RunState::Superseded),
        EventKind::RunCancelled { run } => ended(connection, run, at, RunState::Cancelled),
        EventKind::RunLost { run } => ended(connection, run, at, RunState::Lost),
        _ => Ok(()),
    }
}

fn ended(
    connection: &Connection,
    run: &RunId,
    at: Timestamp,
    state: RunState,
) -> rusqlite::Result<()> {
    execute(
        connection,
        "UPDATE runs SET state = ?2, ended = ?3 WHERE id = ?1",
        params![run.as_str(), word(&state)?, at.millis()],
    )
}

fn finished(
    connection: &Connection,
    project: &ProjectId,
    run: &RunId,
    at: Timestamp,
    kind: &EventKind,
) -> rusqlite::Result<()> {
    let EventKind::RunFinished {
        outcome,
        complete,
        counts,
        stale,
        failed,
        flaky,
        ..
    } = kind
    else {
        return Ok(());
    };
    execute(
        connection,
        "UPDATE runs SET state = 'finished', ended = ?2, outcome = ?3, complete = ?4,
                         stale = ?5, counts = ?6 WHERE id = ?1",
        params![
            run.as_str(),
            at.millis(),
            outcome.as_str(),
            complete,
            stale,
            text(counts)?
        ],
    )?;
    let suite: Option<String> = connection
        .prepare_cached("SELECT suite FROM runs WHERE id = ?1")?
        .query_row([run.as_str()], |row| row.get(0))
        .optional()?;
    let Some(suite) = suite else {
        return Ok(());
    };
    if *complete {
        replace_failed(connection, project, &suite, failed)?;
    }
    flaky
        .iter()
        .try_for_each(|test| saw_flaky(connection, project, &suite, test, at))
}

fn replace_failed(
    connection: &Connection,
    project: &ProjectId,
    suite: &str,
    failed: &[TestRef],
) -> rusqlite::Result<()> {
    execute(
        connection,
        "DELETE FROM failed WHERE project = ?1 AND suite = ?2",
        params![project.as_str(), suite],
    )?;
    failed.iter().try_for_each(|test| {
        execute(
            connection,
            "INSERT INTO failed (project, suite, target, test) VALUES (?1, ?2, ?3, ?4)",
            params![project.as_str(), suite, test.target, test.id],
        )
    })
}

fn saw_flaky(
    connection: &Connection,
    project: &ProjectId,
    suite: &str,
    test: &TestRef,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let forgotten = at.millis() - FLAKY_FOR.as_millis() as i64;
    execute(
        connection,
        "INSERT INTO flakes (project, suite, target, test, seen, last)
         VALUES (?1, ?2, ?3, ?4, 1, ?5)
         ON CONFLICT (project, suite, target, test) DO UPDATE SET
           seen = CASE WHEN last < ?6 THEN 1 ELSE seen + 1 END, last = ?5",
        params![
            project.as_str(),
            suite,
            test.target.as_deref().unwrap_or(""),
            test.id,
            at.millis(),
            forgotten
        ],
    )
}

pub(crate) fn checkpoint(
    connection: &Connection,
    project: &ProjectId,
    body: &serde_json::Value,
) -> rusqlite::Result<()> {
    execute(
        connection,
        "INSERT INTO checkpoints (project, seq, body)
         VALUES (?1, (SELECT coalesce(max(seq), 0) FROM journal), ?2)
         ON CONFLICT (project) DO UPDATE SET seq = excluded.seq, body = ?2",
        params![project.as_str(), text(body)?],
    )
}

fn execute(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(values).map(|_| ())
}

/// A value as JSON.
pub(crate) fn text(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// A one-word enum as its word.
pub(crate) fn word(value: &impl Serialize) -> rusqlite::Result<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        Ok(other) => Ok(other.to_string()),
        Err(error) => Err(rusqlite::Error::ToSqlConversionFailure(error.into())),
    }
}
