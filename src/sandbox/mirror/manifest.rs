//! The manifest: what the slot holds, path by path, in a small SQLite file beside the tree.
//!
//! It survives restarts and `kill -9` (write-ahead log), needs two megabytes of memory whatever
//! the size of the tree, and answers in byte order of the paths, which is the index's order.

use crate::git::Oid;
use crate::sandbox::mirror::MirrorError;
use crate::sandbox::mirror::Reason;
use rusqlite::Connection;
use rusqlite::OpenFlags;
use rusqlite::OptionalExtension;
use rusqlite::params;
use rustix::fs::Stat;
use std::path::Path;
use std::path::PathBuf;

/// Counts up when the tables change; an older manifest is thrown away with its tree's rows,
/// which costs one full comparison and loses nothing.
const SCHEMA: i64 = 1;

/// The path is in the user's index.
pub(crate) const TRACKED: u32 = 1;
/// The id is the index's and need not be the hash of the raw bytes.
pub(crate) const FROM_INDEX: u32 = 2;
/// Hashed, but not stored.
pub(crate) const LARGE: u32 = 4;
/// Not on the disk and yet part of the state: left out by a sparse checkout.
pub(crate) const SKIPPED: u32 = 8;

/// By what a file is known to be unchanged. All zero: not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub size: i64,
    pub mtime: i64,
    pub ctime: i64,
    pub ino: i64,
}

impl Stamp {
    pub fn of(stat: &Stat) -> Stamp {
        let nanos =
            |seconds: i64, nanos: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos);
        Stamp {
            size: stat.st_size,
            mtime: nanos(stat.st_mtime, stat.st_mtime_nsec as i64),
            ctime: nanos(stat.st_ctime, stat.st_ctime_nsec as i64),
            ino: stat.st_ino as i64,
        }
    }

    /// What is stamped may change again within the same tick of a coarse clock: then the stamp
    /// proves nothing.
    pub fn unless_racy(self, now: i64) -> Stamp {
        if self.mtime.max(self.ctime) >= now.saturating_sub(RACY_NANOS) {
            Stamp::default()
        } else {
            self
        }
    }
}

/// The coarsest tick of a kernel clock (100 Hz), doubled.
const RACY_NANOS: i64 = 20_000_000;

/// The kinds of a row besides git's modes.
pub(crate) const ABSENT: u32 = 0;

/// One path of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub path: Vec<u8>,
    /// Git's mode, or [`ABSENT`] for a tracked path that is not on the disk.
    pub kind: u32,
    pub id: Oid,
    pub flags: u32,
    /// The user's file when it was copied.
    pub source: Stamp,
    /// The slot's file after it was written.
    pub slot: Stamp,
    /// When its content changed last.
    pub generation: i64,
}

impl Row {
    /// Whether something lies in the slot.
    pub fn is_there(&self) -> bool {
        self.kind != ABSENT && self.kind != 0o160_000
    }

    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

pub(crate) struct Manifest {
    db: Connection,
    path: PathBuf,
}

impl std::fmt::Debug for Manifest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manifest")
            .field("path", &self.path)
            .finish()
    }
}

type Result<T> = std::result::Result<T, MirrorError>;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS file (
        path BLOB PRIMARY KEY, kind INTEGER NOT NULL, id BLOB NOT NULL, flags INTEGER NOT NULL,
        size INTEGER NOT NULL, mtime INTEGER NOT NULL, ctime INTEGER NOT NULL, ino INTEGER NOT NULL,
        ssize INTEGER NOT NULL, smtime INTEGER NOT NULL, sctime INTEGER NOT NULL, sino INTEGER NOT NULL,
        generation INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS left_out (path BLOB PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS carried (path BLOB PRIMARY KEY, writable INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS large ON file (path) WHERE flags & 4 != 0;
    CREATE INDEX IF NOT EXISTS gitlink ON file (path) WHERE kind = 57344;
";

const COLUMNS: &str =
    "path, kind, id, flags, size, mtime, ctime, ino, ssize, smtime, sctime, sino, generation";

impl Manifest {
    /// Opens or makes the manifest of a slot. A file that cannot be understood is thrown away.
    pub fn open(dir: &Path) -> Result<Manifest> {
        let path = dir.join("manifest.db");
        match Manifest::try_open(&path) {
            Ok(manifest) => Ok(manifest),
            Err(MirrorError::Manifest { source, .. }) if is_broken(&source) => {
                tracing::warn!(path = %path.display(), %source, "the slot's manifest is made anew");
                for end in ["", "-wal", "-shm"] {
                    let mut name = path.clone().into_os_string();
                    name.push(end);
                    match std::fs::remove_file(&name) {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                            return Err(MirrorError::io("remove", Path::new(&name))(error));
                        }
                        _ => {}
                    }
                }
                Manifest::try_open(&path)
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the manifest of a slot that another process may hold, for looking only.
    pub fn look(dir: &Path) -> Result<Manifest> {
        let path = dir.join("manifest.db");
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&path, flags).map_err(broken(&path))?;
        db.execute_batch("PRAGMA query_only = ON; PRAGMA busy_timeout = 2000;")
            .map_err(broken(&path))?;
        Ok(Manifest { db, path })
    }

    fn try_open(path: &Path) -> Result<Manifest> {
        let db = Connection::open(path).map_err(broken(path))?;
        let manifest = Manifest {
            db,
            path: path.to_owned(),
        };
        manifest.batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -2048;
             PRAGMA busy_timeout = 2000;",
        )?;
        let version: i64 = manifest
            .db
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(manifest.broken())?;
        if version != SCHEMA && version != 0 {
            manifest.batch(
                "DROP TABLE IF EXISTS file; DROP TABLE IF EXISTS left_out;
                 DROP TABLE IF EXISTS carried; DROP TABLE IF EXISTS meta;",
            )?;
        }
        manifest.batch(TABLES)?;
        manifest.batch(&format!("PRAGMA user_version = {SCHEMA}"))?;
        Ok(manifest)
    }

    pub fn begin(&self) -> Result<()> {
        self.batch("BEGIN IMMEDIATE")
    }

    pub fn commit(&self) -> Result<()> {
        self.batch("COMMIT")
    }

    fn batch(&self, sql: &str) -> Result<()> {
        self.db.execute_batch(sql).map_err(self.broken())
    }

    fn broken(&self) -> impl FnOnce(rusqlite::Error) -> MirrorError + use<> {
        broken(&self.path)
    }

    /// One path.
    pub fn get(&self, path: &[u8]) -> Result<Option<Row>> {
        self.db
            .prepare_cached(&format!("SELECT {COLUMNS} FROM file WHERE path = ?1"))
            .and_then(|mut statement| statement.query_row([path], read_row).optional())
            .map_err(self.broken())
    }

    /// Every path, in byte order.
    pub fn each(&self, visit: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        self.each_where("1", &[], visit)
    }

    /// Every path after one, in byte order, until the visitor answers `false`. Answers whether
    /// the end was reached.
    pub fn each_after(
        &self,
        after: &[u8],
        visit: &mut dyn FnMut(Row) -> Result<bool>,
    ) -> Result<bool> {
        let sql = format!("SELECT {COLUMNS} FROM file WHERE path > ?1 ORDER BY path");
        let mut statement = self.db.prepare_cached(&sql).map_err(self.broken())?;
        let mut rows = statement.query([after]).map_err(self.broken())?;
        while let Some(row) = rows.next().map_err(self.broken())? {
            if !visit(read_row(row).map_err(self.broken())?)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> Result<bool> {
        let found = self
            .db
            .query_row("SELECT 1 FROM file LIMIT 1", [], |_| Ok(()))
            .optional()
            .map_err(self.broken())?;
        Ok(found.is_none())
    }

    /// Everything below a directory, itself not included.
    pub fn below(&self, dir: &[u8]) -> Result<Vec<Row>> {
        let mut from = dir.to_vec();
        from.push(b'/');
        let mut to = dir.to_vec();
        // The byte after `/`.
        to.push(b'0');
        let mut rows = Vec::new();
        self.each_where("path > ?1 AND path < ?2", &[&from, &to], &mut |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Whether anything that is in the slot lies below a directory.
    pub fn any_below(&self, dir: &[u8]) -> Result<bool> {
        let mut start = dir.to_vec();
        start.push(b'/');
        let mut found = false;
        self.each_after(&start, &mut |row| {
            let is_below = row.path.starts_with(&start);
            found = is_below && row.is_there();
            Ok(is_below && !found)
        })?;
        Ok(found)
    }

    /// Every path that has one of the flags.
    pub fn with_flag(&self, flag: u32) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        self.each_where(&format!("flags & {flag} != 0"), &[], &mut |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The submodules.
    pub fn gitlinks(&self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        self.each_where("kind = 57344", &[], &mut |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    fn each_where(
        &self,
        condition: &str,
        values: &[&Vec<u8>],
        visit: &mut dyn FnMut(Row) -> Result<()>,
    ) -> Result<()> {
        let sql = format!("SELECT {COLUMNS} FROM file WHERE {condition} ORDER BY path");
        let mut statement = self.db.prepare_cached(&sql).map_err(self.broken())?;
        let mut rows = statement
            .query(rusqlite::params_from_iter(values))
            .map_err(self.broken())?;
        while let Some(row) = rows.next().map_err(self.broken())? {
            visit(read_row(row).map_err(self.broken())?)?;
        }
        Ok(())
    }

    pub fn put(&self, row: &Row) -> Result<()> {
        self.db
            .prepare_cached(&format!(
                "INSERT OR REPLACE INTO file ({COLUMNS})
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
            ))
            .and_then(|mut statement| {
                statement.execute(params![
                    row.path,
                    row.kind,
                    row.id.as_bytes(),
                    row.flags,
                    row.source.size,
                    row.source.mtime,
                    row.source.ctime,
                    row.source.ino,
                    row.slot.size,
                    row.slot.mtime,
                    row.slot.ctime,
                    row.slot.ino,
                    row.generation
                ])
            })
            .map_err(self.broken())?;
        Ok(())
    }

    pub fn delete(&self, path: &[u8]) -> Result<()> {
        self.run("DELETE FROM file WHERE path = ?1", params![path])
    }

    /// Forgets every row; the slot's files stay and are compared again.
    pub fn forget_all(&self) -> Result<()> {
        self.batch("DELETE FROM file; DELETE FROM left_out; DELETE FROM carried; DELETE FROM meta")
    }

    /// What was left out. A reason that an older regreen wrote is not understood, and found
    /// out anew by the next walk.
    pub fn left_out(&self) -> Result<Vec<(Vec<u8>, Reason)>> {
        let rows: Vec<(Vec<u8>, String)> =
            self.pairs("SELECT path, reason FROM left_out ORDER BY path")?;
        let known = rows
            .into_iter()
            .filter_map(|(path, reason)| Some((path, serde_json::from_str(&reason).ok()?)));
        Ok(known.collect())
    }

    pub fn leave_out(&self, path: &[u8], reason: &Reason) -> Result<()> {
        let reason = serde_json::to_string(reason).unwrap_or_default();
        let sql = "INSERT OR REPLACE INTO left_out (path, reason) VALUES (?1, ?2)";
        self.run(sql, params![path, reason])
    }

    /// Forgets what was left out at and below a path; everywhere if it is empty.
    pub fn clear_left_out(&self, path: &[u8]) -> Result<()> {
        if path.is_empty() {
            return self.run("DELETE FROM left_out", []);
        }
        let (mut from, mut to) = (path.to_vec(), path.to_vec());
        from.push(b'/');
        to.push(b'0');
        let sql = "DELETE FROM left_out WHERE path = ?1 OR (path > ?2 AND path < ?3)";
        self.run(sql, params![path, from, to])
    }

    pub fn carried(&self) -> Result<Vec<(Vec<u8>, bool)>> {
        self.pairs("SELECT path, writable FROM carried ORDER BY path")
    }

    pub fn carry(&self, path: &[u8], writable: bool) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO carried (path, writable) VALUES (?1, ?2)";
        self.run(sql, params![path, writable])
    }

    pub fn clear_carried(&self) -> Result<()> {
        self.run("DELETE FROM carried", [])
    }

    pub fn meta(&self, name: &str) -> Result<Option<String>> {
        self.db
            .prepare_cached("SELECT value FROM meta WHERE name = ?1")
            .and_then(|mut statement| statement.query_row([name], |row| row.get(0)).optional())
            .map_err(self.broken())
    }

    pub fn set_meta(&self, name: &str, value: &str) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)";
        self.run(sql, params![name, value])
    }

    pub fn number(&self, name: &str) -> Result<i64> {
        Ok(self
            .meta(name)?
            .and_then(|text| text.parse().ok())
            .unwrap_or(0))
    }

    fn pairs<T: rusqlite::types::FromSql>(&self, sql: &str) -> Result<Vec<(Vec<u8>, T)>> {
        self.db
            .prepare_cached(sql)
            .and_then(|mut statement| {
                statement
                    .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect()
            })
            .map_err(self.broken())
    }

    fn run(&self, sql: &str, values: impl rusqlite::Params) -> Result<()> {
        self.db
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(values))
            .map_err(self.broken())?;
        Ok(())
    }
}

fn read_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let id: Vec<u8> = row.get(2)?;
    let stamp = |first: usize| -> rusqlite::Result<Stamp> {
        Ok(Stamp {
            size: row.get(first)?,
            mtime: row.get(first + 1)?,
            ctime: row.get(first + 2)?,
            ino: row.get(first + 3)?,
        })
    };
    Ok(Row {
        path: row.get(0)?,
        kind: row.get(1)?,
        id: Oid::from_bytes(&id).unwrap_or(Oid::ZERO_SHA1),
        flags: row.get(3)?,
        source: stamp(4)?,
        slot: stamp(8)?,
        generation: row.get(12)?,
    })
}

fn is_broken(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt)
    )
}

fn broken(path: &Path) -> impl FnOnce(rusqlite::Error) -> MirrorError + use<> {
    let path = path.to_owned();
    move |source| match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => MirrorError::NoSpace(path),
        _ => MirrorError::Manifest { path, source },
    }
}
