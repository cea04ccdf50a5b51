//! The store: one SQLite database with the journal of events and what is folded from it,
//! owned by a thread of its own with group commit.
//!
//! [`Store::append`] is for the event stream: handed over and forgotten (`synchronous =
//! NORMAL`: survives the end of the process, not of the machine). [`Store::commit`] is for
//! accepted work: it answers once the disk has it (`FULL`), or says why it was refused.

mod error;
mod journal;
mod loops;
mod queries;
mod retention;
mod schema;
mod status_file;
mod thread;

#[cfg(test)]
mod tests;

pub use error::StoreError;
pub use loops::LoopRow;
pub use queries::Flake;
pub use queries::Journalled;
pub use queries::ProjectRow;
pub use queries::RunRow;
pub use retention::Keep;
pub use retention::Removed;
pub use schema::VERSION;
pub use status_file::StatusFile;
pub use status_file::StatusFileError;
pub use status_file::read as read_status;
pub use thread::Health;

use crate::model::Event;
use crate::model::LoopId;
use crate::model::ProjectId;
use rusqlite::Connection;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use thread::Message;
use thread::Writer;
use tokio::sync::oneshot;
use tokio::sync::watch;

/// The store. Cheap to clone; the database is closed when the last clone is gone.
#[derive(Debug, Clone)]
pub struct Store {
    writer: Arc<Writer>,
    dir: PathBuf,
}

/// One thing to write.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    Events(Vec<Event>),
    Loop(LoopRow),
    LoopStep {
        id: LoopId,
        step: serde_json::Value,
    },
    Checkpoint {
        project: ProjectId,
        body: serde_json::Value,
    },
}

impl Store {
    /// Opens or makes the store in `dir` (made with mode 0700 if it is missing).
    ///
    /// # Errors
    /// A store of a newer regreen is refused; an older one is copied beside itself before it is
    /// brought up to date. A directory that cannot be written to is an error that names it.
    pub fn open(dir: &Path) -> Result<Store, StoreError> {
        let connection = schema::open(dir)?;
        Ok(Store {
            writer: Arc::new(Writer::start(connection, dir.to_owned())?),
            dir: dir.to_owned(),
        })
    }

    /// Whether there is a store in a directory.
    pub fn is_in(dir: &Path) -> bool {
        dir.join(schema::FILE).exists()
    }

    /// The directory it lies in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Hands events over to the journal and does not wait. If they cannot be written they are
    /// kept in memory (bounded) and tried again; [`Store::health`] says so.
    pub fn append(&self, events: Vec<Event>) {
        if !events.is_empty() {
            self.writer.send(Message::Write {
                write: Write::Events(events),
                ack: None,
            });
        }
    }

    /// Writes events and answers once they are on the disk.
    ///
    /// # Errors
    /// When they could not be written; then none of them is.
    pub async fn commit(&self, events: Vec<Event>) -> Result<(), StoreError> {
        self.durable(Write::Events(events)).await
    }

    /// Keeps a loop's record: made or replaced, durable.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn put_loop(&self, row: LoopRow) -> Result<(), StoreError> {
        self.durable(Write::Loop(row)).await
    }

    /// Adds a step to a loop's own journal, durable.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn append_loop_step(
        &self,
        id: &LoopId,
        step: serde_json::Value,
    ) -> Result<(), StoreError> {
        self.durable(Write::LoopStep {
            id: id.clone(),
            step,
        })
        .await
    }

    /// Keeps the fold of a project's events as it stands after everything appended so far, so
    /// that a restart need not read the whole journal.
    pub fn checkpoint(&self, project: &ProjectId, body: serde_json::Value) {
        self.writer.send(Message::Write {
            write: Write::Checkpoint {
                project: project.clone(),
                body,
            },
            ack: None,
        });
    }

    /// Whether the journal can be written, as a value that can be watched.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.writer.health()
    }

    /// Waits until everything handed over so far was tried, and closes the database.
    pub async fn close(&self) {
        let (ack, done) = oneshot::channel();
        self.writer.send(Message::Close { ack });
        // The thread may be gone already; then there is nothing to wait for.
        let _ = done.await;
    }

    async fn durable(&self, write: Write) -> Result<(), StoreError> {
        let (ack, done) = oneshot::channel();
        self.writer.send(Message::Write {
            write,
            ack: Some(ack),
        });
        done.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Runs a query on the store's thread, after everything handed over so far.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (ack, done) = oneshot::channel();
        let dir = self.dir.clone();
        self.writer.send(Message::Query(Box::new(move |connection| {
            let answer = query(connection).map_err(|source| StoreError::sql("read", &dir, source));
            // Whoever asked may have given up waiting.
            let _ = ack.send(answer);
        })));
        done.await.unwrap_or(Err(StoreError::Closed))
    }
}
