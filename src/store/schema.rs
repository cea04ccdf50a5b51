//! The database's tables, how an older one is brought up to date, and why a newer one is left
//! alone. The version stands in SQLite's `user_version`.

use crate::store::StoreError;
use rusqlite::Connection;
use rusqlite::Transaction;
use rusqlite::TransactionBehavior;
use rustix::fs::FlockOperation;
use std::fs;
use std::fs::File;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// The version of the tables that this program reads and writes.
pub const VERSION: u32 = MIGRATIONS.len() as u32;

/// Step *n* leads from version *n* to *n + 1*. Steps that were ever released never change.
const MIGRATIONS: &[&str] = &[
    // 1: the first form.
    "CREATE TABLE journal (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        project TEXT,
        body TEXT NOT NULL
     );
     CREATE INDEX journal_project ON journal (project, seq);
     CREATE TABLE projects (
        id TEXT PRIMARY KEY,
        path TEXT NOT NULL,
        added INTEGER NOT NULL,
        trigger TEXT NOT NULL,
        paused INTEGER NOT NULL DEFAULT 0
     );
     CREATE TABLE runs (
        id TEXT PRIMARY KEY,
        project TEXT NOT NULL,
        suite TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        environment TEXT,
        asker TEXT NOT NULL,
        state TEXT NOT NULL,
        queued INTEGER NOT NULL,
        started INTEGER,
        ended INTEGER,
        outcome TEXT,
        complete INTEGER NOT NULL DEFAULT 0,
        stale INTEGER NOT NULL DEFAULT 0,
        counts TEXT
     );
     CREATE INDEX runs_key ON runs (project, suite, snapshot);
     CREATE INDEX runs_state ON runs (state);
     CREATE TABLE failed (
        project TEXT NOT NULL,
        suite TEXT NOT NULL,
        target TEXT,
        test TEXT NOT NULL
     );
     CREATE INDEX failed_suite ON failed (project, suite);
     CREATE TABLE loops (
        id TEXT PRIMARY KEY,
        project TEXT NOT NULL,
        state TEXT NOT NULL,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL,
        record TEXT NOT NULL
     );
     CREATE TABLE loop_steps (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        loop TEXT NOT NULL,
        body TEXT NOT NULL
     );
     CREATE INDEX loop_steps_loop ON loop_steps (loop, seq);
     CREATE TABLE checkpoints (
        project TEXT PRIMARY KEY,
        seq INTEGER NOT NULL,
        body TEXT NOT NULL
     );",
    // 2: which tests fail and pass at the same snapshot, with an expiry by time of last sight.
    "CREATE TABLE flakes (
        project TEXT NOT NULL,
        suite TEXT NOT NULL,
        target TEXT NOT NULL,
        test TEXT NOT NULL,
        seen INTEGER NOT NULL,
        last INTEGER NOT NULL,
        PRIMARY KEY (project, suite, target, test)
     );",
];

/// The database's name in the store's directory.
pub(crate) const FILE: &str = "store.sqlite";

pub(crate) fn open(dir: &Path) -> Result<Connection, StoreError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| StoreError::Directory {
            path: dir.to_owned(),
            source,
        })?;
    let path = dir.join(FILE);
    let _turn = turn(dir);
    let connection = Connection::open(&path).map_err(|e| StoreError::sql("open", dir, e))?;
    prepare(connection, dir, &path)
}

fn prepare(mut connection: Connection, dir: &Path, path: &Path) -> Result<Connection, StoreError> {
    let sql = |source| StoreError::sql("open", dir, source);
    // Only one daemon writes, but `loops list` and the like may read beside it.
    connection
        .busy_timeout(Duration::from_secs(2))
        .map_err(sql)?;
    let found = version(&connection).map_err(sql)?;
    if found > VERSION {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known: VERSION,
        });
    }
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .map_err(sql)?;
    connection
        .pragma_update(None, "synchronous", "NORMAL")
        .map_err(sql)?;
    if found < VERSION {
        if found > 0 {
            back_up(&connection, dir, found)?;
        }
        migrate(&mut connection).map_err(|e| StoreError::sql("migrate", dir, e))?;
    }
    Ok(connection)
}

/// Copies the database as it is to `store.sqlite.v<N>.backup` before anything is changed.
fn back_up(connection: &Connection, dir: &Path, found: u32) -> Result<(), StoreError> {
    let copy = dir.join(format!("{FILE}.v{found}.backup"));
    // A copy left by an attempt that died half-way is worth nothing.
    if copy.exists() {
        fs::remove_file(&copy).map_err(|source| StoreError::Directory {
            path: copy.clone(),
            source,
        })?;
    }
    connection
        .execute("VACUUM INTO ?1", [copy.to_string_lossy()])
        .map_err(|e| StoreError::sql("back up", dir, e))?;
    Ok(())
}

/// The turn to open or to close: whoever closes a database last locks it for a moment while it
/// tidies up, and to whoever opens it then SQLite says at once that it is busy, however long it
/// was told to wait. Nobody waits for the turn itself: `None` where it is taken or no file can be
/// made.
pub(crate) fn turn(dir: &Path) -> Option<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(dir.join("store.lock"))
        .ok()?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(file)
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    // Another process may have done it meanwhile.
    let found = version(&transaction)?;
    for step in MIGRATIONS.iter().skip(found as usize) {
        transaction.execute_batch(step)?;
    }
    set_version(&transaction)?;
    transaction.commit()
}

fn set_version(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.pragma_update(None, "user_version", VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_store_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()).unwrap());
        let path = dir.path().join(FILE);
        let raw = Connection::open(&path).unwrap();
        raw.pragma_update(None, "user_version", VERSION + 1)
            .unwrap();
        drop(raw);
        let error = open(dir.path()).unwrap_err();
        assert!(matches!(error, StoreError::Newer { .. }), "{error}");
        assert!(error.to_string().contains("update regreen"), "{error}");
    }

    #[test]
    fn an_older_store_is_backed_up_and_then_migrated() {
        let dir = tempfile::tempdir().unwrap();
        let raw = Connection::open(dir.path().join(FILE)).unwrap();
        raw.execute_batch(MIGRATIONS[0]).unwrap();
        raw.execute("INSERT INTO projects VALUES ('p', '/x', 1, 'save', 0)", [])
            .unwrap();
        raw.pragma_update(None, "user_version", 1).unwrap();
        drop(raw);
        let now = open(dir.path()).unwrap();
        let count = |c: &Connection, table: &str| -> rusqlite::Result<i64> {
            c.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0))
        };
        assert_eq!(count(&now, "projects").unwrap(), 1);
        assert_eq!(count(&now, "flakes").unwrap(), 0);
        let old = Connection::open(dir.path().join("store.sqlite.v1.backup")).unwrap();
        assert_eq!(count(&old, "projects").unwrap(), 1);
        assert!(count(&old, "flakes").is_err());
    }

    #[test]
    fn what_is_no_database_is_said_to_be_damaged() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), vec![b'x'; 8192]).unwrap();
        let error = open(dir.path()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    }
}
