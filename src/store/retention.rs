//! What is kept, and for how long: by age and by size, never what is still open.

use crate::git;
use crate::model::RunId;
use crate::model::Timestamp;
use crate::store::Store;
use crate::store::StoreError;
use rusqlite::Connection;
use rusqlite::TransactionBehavior;
use rusqlite::params;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Events, runs and their directories, at most this old.
    pub age: Duration,
    /// Events at most.
    pub events: u64,
    /// Runs at most, per project.
    pub runs: u64,
    /// The runs' directories together, in bytes.
    pub run_bytes: u64,
}

impl Default for Keep {
    /// Two weeks, 200,000 events, 500 runs a project, 2 GiB of logs.
    fn default() -> Self {
        Keep {
            age: Duration::from_secs(14 * 24 * 3600),
            events: 200_000,
            runs: 500,
            run_bytes: 2 << 30,
        }
    }
}

/// What was removed, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Events.
    pub events: u64,
    /// Runs.
    pub runs: u64,
    /// Directories of runs.
    pub directories: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A project's newest runs and whatever is open stay, whatever their age.
const NEWEST: u64 = 20;

const OLD_RUNS: &str = "
    SELECT id FROM (
        SELECT id, queued, state,
               row_number() OVER (PARTITION BY project ORDER BY id DESC) AS place
        FROM runs)
    WHERE state NOT IN ('queued', 'running') AND place > ?1 AND (queued < ?2 OR place > ?3)";

// Events that a restart still needs (since the project's checkpoint) stay.
const OLD_EVENTS: &str = "
    FROM journal WHERE (at < ?1 OR seq <= (SELECT coalesce(max(seq), 0) FROM journal) - ?2)
      AND (project IS NULL
           OR seq <= coalesce((SELECT seq FROM checkpoints c WHERE c.project = journal.project),
                              0)
           OR project NOT IN (SELECT id FROM projects))";

impl Store {
    /// Removes what is older than `keep.age` or beyond the numbers, in the database and in
    /// `runs`, the directory of the runs' directories. With `dry_run` it only counts.
    ///
    /// # Errors
    /// When the store cannot be read or written. A directory that cannot be removed is logged
    /// and left for the next time.
    pub async fn retain(
        &self,
        keep: Keep,
        runs: &Path,
        now: Timestamp,
        dry_run: bool,
    ) -> Result<Removed, StoreError> {
        let before = now.millis() - keep.age.as_millis() as i64;
        let (mut removed, known) = self
            .query(move |c| {
                let removed = trim(c, keep, before, dry_run)?;
                Ok((removed, known_runs(c)?))
            })
            .await?;
        let runs = runs.to_owned();
        let swept = tokio::task::spawn_blocking(move || {
            sweep(&runs, &known, keep.run_bytes, now, keep.age, dry_run)
        })
        .await
        .unwrap_or_default();
        removed.directories = swept.directories;
        removed.bytes = swept.bytes;
        Ok(removed)
    }
}

fn trim(c: &mut Connection, keep: Keep, before: i64, dry: bool) -> rusqlite::Result<Removed> {
    let behavior = match dry {
        true => TransactionBehavior::Deferred,
        false => TransactionBehavior::Immediate,
    };
    let transaction = c.transaction_with_behavior(behavior)?;
    let (newest, events) = (NEWEST as i64, keep.events as i64);
    let runs = params![newest, before, (keep.runs.max(NEWEST)) as i64];
    let removed = Removed {
        runs: count(
            &transaction,
            &format!("SELECT count(*) FROM ({OLD_RUNS})"),
            runs,
        )?,
        events: count(
            &transaction,
            &format!("SELECT count(*) {OLD_EVENTS}"),
            params![before, events],
        )?,
        ..Removed::default()
    };
    if !dry {
        transaction.execute(&format!("DELETE FROM runs WHERE id IN ({OLD_RUNS})"), runs)?;
        transaction.execute(&format!("DELETE {OLD_EVENTS}"), params![before, events])?;
        transaction.execute("DELETE FROM flakes WHERE last < ?1", [before])?;
    }
    transaction.commit()?;
    Ok(removed)
}

fn count(c: &Connection, sql: &str, values: impl rusqlite::Params) -> rusqlite::Result<u64> {
    c.query_row(sql, values, |row| row.get::<_, i64>(0))
        .map(|count| count.max(0) as u64)
}

fn known_runs(c: &Connection) -> rusqlite::Result<Vec<(RunId, bool)>> {
    c.prepare("SELECT id, state IN ('queued', 'running') FROM runs ORDER BY id DESC")?
        .query_map([], |row| {
            Ok((RunId::new(row.get::<_, String>(0)?), row.get(1)?))
        })?
        .collect()
}

/// Removes the directories of runs that are too old or, oldest first, beyond the size. Runs of
/// `regreen run` are not in the database: their directories are judged by age and size alone.
fn sweep(
    runs: &Path,
    known: &[(RunId, bool)],
    limit: u64,
    now: Timestamp,
    age: Duration,
    dry: bool,
) -> Removed {
    let mut removed = Removed::default();
    let Ok(entries) = fs::read_dir(runs) else {
        return removed;
    };
    let mut directories: Vec<(String, u64, Duration)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            let meta = entry.metadata().ok().filter(fs::Metadata::is_dir)?;
            let modified = meta.modified().ok()?.duration_since(std::time::UNIX_EPOCH);
            let at = Timestamp::from_millis(modified.ok()?.as_millis() as i64);
            Some((name, size(&entry.path()), now.since(at)))
        })
        .collect();
    directories.sort_by(|a, b| b.0.cmp(&a.0));
    let mut kept = 0u64;
    for (name, bytes, old) in directories {
        let open = known.iter().any(|(id, open)| *open && id.as_str() == name);
        kept += bytes;
        if open || (old <= age && kept <= limit) {
            continue;
        }
        kept -= bytes;
        if !dry && let Err(error) = git::remove_all(&runs.join(&name)) {
            tracing::warn!(run = name, %error, "the directory of an old run could not be removed");
            continue;
        }
        removed.directories += 1;
        removed.bytes += bytes;
    }
    removed
}

/// The size of a directory of plain files. Only what a suite wanted kept has levels, and not more
/// than these.
fn size(dir: &Path) -> u64 {
    fn below(dir: &Path, depth: u32) -> u64 {
        let Ok(entries) = fs::read_dir(dir) else {
            return 0;
        };
        entries
            .flatten()
            .filter_map(|entry| Some((entry.path(), fs::symlink_metadata(entry.path()).ok()?)))
            .map(|(path, meta)| match meta.is_dir() {
                true if depth > 0 => below(&path, depth - 1),
                true => 0,
                false => meta.len(),
            })
            .sum()
    }
    below(dir, 32)
}
