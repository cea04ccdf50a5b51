//! The thread that owns the database: takes what it is handed, in order, and commits what has
//! gathered meanwhile together.

use crate::store::StoreError;
use crate::store::Write;
use crate::store::journal;
use crate::store::loops;
use crate::store::schema;
use rusqlite::Connection;
use rusqlite::Transaction;
use rusqlite::TransactionBehavior;
use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::sync::watch;

/// At most this many messages are committed together.
const GROUP: usize = 512;
/// At most this many event batches wait in memory while the disk refuses them.
const BACKLOG: usize = 20_000;
/// How long to wait before a refused batch is tried again.
const RETRY: Duration = Duration::from_secs(2);

type Ack = oneshot::Sender<Result<(), StoreError>>;

pub(crate) enum Message {
    Write { write: Write, ack: Option<Ack> },
    Query(Box<dyn FnOnce(&mut Connection) + Send>),
    Close { ack: oneshot::Sender<()> },
}

/// Whether the journal can be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Why not, in words for the user; absent when all is well.
    pub trouble: Option<String>,
    /// Batches that wait in memory for better times.
    pub waiting: usize,
    /// Batches that had to be given up because too many waited.
    pub dropped: u64,
}

#[derive(Debug)]
pub(crate) struct Writer {
    inbox: mpsc::Sender<Message>,
    health: watch::Receiver<Health>,
}

impl Writer {
    pub(crate) fn start(connection: Connection, dir: PathBuf) -> Result<Self, StoreError> {
        let (inbox, messages) = mpsc::channel();
        let (tell, health) = watch::channel(Health::default());
        let path = dir.clone();
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                Thread {
                    connection,
                    closing: None,
                    dir,
                    backlog: VecDeque::new(),
                    dropped: 0,
                    full: false,
                    tell,
                }
                .work(messages);
            })
            .map_err(|source| StoreError::Directory { path, source })?;
        Ok(Writer { inbox, health })
    }

    pub(crate) fn send(&self, message: Message) {
        // Fails only after `close`; the message is dropped and its sender told `Closed`.
        let _ = self.inbox.send(message);
    }

    pub(crate) fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }
}

struct Thread {
    connection: Connection,
    /// Held while the connection is closed: fields go in this order.
    closing: Option<File>,
    dir: PathBuf,
    /// What was appended and could not be written yet, oldest first.
    backlog: VecDeque<Write>,
    dropped: u64,
    /// Whether `synchronous` is FULL at the moment.
    full: bool,
    tell: watch::Sender<Health>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.closing = schema::turn(&self.dir);
    }
}

impl Thread {
    fn work(mut self, messages: mpsc::Receiver<Message>) {
        loop {
            let first = if self.backlog.is_empty() {
                match messages.recv() {
                    Ok(message) => Some(message),
                    Err(_) => return,
                }
            } else {
                match messages.recv_timeout(RETRY) {
                    Ok(message) => Some(message),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => {
                        self.flush(Vec::new());
                        return;
                    }
                }
            };
            let mut group: Vec<(Write, Option<Ack>)> = Vec::new();
            let more = std::iter::from_fn(|| messages.try_recv().ok());
            for message in first.into_iter().chain(more).take(GROUP) {
                match message {
                    Message::Write { write, ack } => group.push((write, ack)),
                    Message::Query(query) => {
                        self.flush(std::mem::take(&mut group));
                        query(&mut self.connection);
                    }
                    Message::Close { ack } => {
                        self.flush(std::mem::take(&mut group));
                        drop(self);
                        // Whoever asked may have given up waiting.
                        let _ = ack.send(());
                        return;
                    }
                }
            }
            self.flush(group);
        }
    }

    /// Writes the backlog and the group in one transaction. What was only appended goes to the
    /// backlog if that fails; whoever waits is told why.
    fn flush(&mut self, group: Vec<(Write, Option<Ack>)>) {
        if group.is_empty() && self.backlog.is_empty() {
            return;
        }
        let durable = group.iter().any(|(_, ack)| ack.is_some());
        let backlog = std::mem::take(&mut self.backlog);
        let result = self
            .set_synchronous(durable)
            .and_then(|()| write_all(&mut self.connection, &backlog, &group));
        match result {
            Ok(answers) => {
                // Told first: who gets an answer sees a health that agrees with it.
                self.report(None);
                for ((_, ack), answer) in group.into_iter().zip(answers) {
                    if let Some(ack) = ack {
                        // Whoever asked may have given up waiting.
                        let _ = ack.send(answer.map_err(|e| self.error(e)));
                    }
                }
            }
            Err(source) => self.keep_for_later(backlog, group, source),
        }
    }

    fn keep_for_later(
        &mut self,
        backlog: VecDeque<Write>,
        group: Vec<(Write, Option<Ack>)>,
        source: rusqlite::Error,
    ) {
        self.backlog = backlog;
        let trouble = self.error(source);
        let mut refused = Vec::new();
        for (write, ack) in group {
            match ack {
                Some(ack) => refused.push(ack),
                None => self.backlog.push_back(write),
            }
        }
        while self.backlog.len() > BACKLOG {
            self.backlog.pop_front();
            self.dropped += 1;
        }
        self.report(Some(trouble.to_string()));
        for ack in refused {
            // Whoever asked may have given up waiting.
            let _ = ack.send(Err(again(&trouble)));
        }
    }

    fn set_synchronous(&mut self, full: bool) -> rusqlite::Result<()> {
        if full != self.full {
            let value = if full { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", value)?;
            self.full = full;
        }
        Ok(())
    }

    fn report(&self, trouble: Option<String>) {
        let health = Health {
            trouble,
            waiting: self.backlog.len(),
            dropped: self.dropped,
        };
        self.tell.send_if_modified(|known| {
            let differs = *known != health;
            if differs {
                *known = health;
            }
            differs
        });
    }

    fn error(&self, source: rusqlite::Error) -> StoreError {
        StoreError::sql("write to", &self.dir, source)
    }
}

/// The same trouble for another one who waits.
fn again(trouble: &StoreError) -> StoreError {
    match trouble {
        StoreError::Full { path } => StoreError::Full { path: path.clone() },
        StoreError::ReadOnly { path } => StoreError::ReadOnly { path: path.clone() },
        StoreError::Sql { path, source, .. } | StoreError::Damaged { path, source } => {
            StoreError::Sql {
                doing: "write to",
                path: path.clone(),
                source: rusqlite::Error::ToSqlConversionFailure(source.to_string().into()),
            }
        }
        _ => StoreError::Closed,
    }
}

type Answers = Vec<rusqlite::Result<()>>;

/// One transaction for everything; a single write that fails for a reason of its own (not the
/// disk's) is undone alone.
fn write_all(
    connection: &mut Connection,
    backlog: &VecDeque<Write>,
    group: &[(Write, Option<Ack>)],
) -> rusqlite::Result<Answers> {
    // Another process may be writing too: a lock that is asked for at once is waited for.
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for write in backlog {
        // Its trouble, if it is its own, was logged; trying it again would not help.
        let _ = write_apart(&mut transaction, write)?;
    }
    let mut answers = Vec::with_capacity(group.len());
    for (write, _) in group {
        answers.push(write_apart(&mut transaction, write)?);
    }
    transaction.commit()?;
    Ok(answers)
}

/// The outer error is the disk's and ends the transaction, the inner one the record's own.
fn write_apart(
    transaction: &mut Transaction<'_>,
    write: &Write,
) -> rusqlite::Result<rusqlite::Result<()>> {
    let savepoint = transaction.savepoint()?;
    match write_one(&savepoint, write) {
        Ok(()) => savepoint.commit().map(Ok),
        Err(error) if is_own(&error) => {
            tracing::error!(%error, "a record was refused by the store");
            savepoint.finish().map(|()| Err(error))
        }
        Err(error) => Err(error),
    }
}

/// Whether an error is about the record and not about the disk.
fn is_own(error: &rusqlite::Error) -> bool {
    !matches!(
        error.sqlite_error_code(),
        Some(
            rusqlite::ErrorCode::DiskFull
                | rusqlite::ErrorCode::ReadOnly
                | rusqlite::ErrorCode::SystemIoFailure
                | rusqlite::ErrorCode::CannotOpen
                | rusqlite::ErrorCode::DatabaseBusy
                | rusqlite::ErrorCode::DatabaseLocked
                | rusqlite::ErrorCode::NotADatabase
                | rusqlite::ErrorCode::DatabaseCorrupt
        )
    )
}

fn write_one(connection: &Connection, write: &Write) -> rusqlite::Result<()> {
    match write {
        Write::Events(events) => events
            .iter()
            .try_for_each(|event| journal::append(connection, event)),
        Write::Loop(row) => loops::put(connection, row),
        Write::LoopStep { id, step } => loops::append_step(connection, id, step),
        Write::Checkpoint { project, body } => journal::checkpoint(connection, project, body),
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Message::Write { .. } => "Write",
            Message::Query(_) => "Query",
            Message::Close { .. } => "Close",
        })
    }
}
