//! Agents: something that edits. The trait [`Agent`] has one method, a turn.
//!
//! An agent is believed nothing: what a turn came to is judged outside, from the tree and from
//! regreen's own run. Agents do not know what a sandbox is; [`Job::exec`] starts programs for
//! them, inside.

mod command;
mod fixer;
mod suggestions;

pub use command::Command;
pub use fixer::Fixer;

use crate::model::Exit;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// A boxed future, so that agents can stand behind `dyn Agent`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that edits a workspace.
pub trait Agent: Send + Sync {
    /// One turn. Ends by itself, or soon after `stop` was cancelled. Whatever it edited stays.
    fn run(
        &self,
        job: Job,
        events: mpsc::Sender<AgentEvent>,
        stop: CancellationToken,
    ) -> BoxFuture<'_, End>;
}

/// One turn's task.
#[derive(Clone)]
pub struct Job {
    /// The working directory, inside: the project's root.
    pub cwd: PathBuf,
    /// The same directory on the host.
    pub tree: PathBuf,
    /// What it is told.
    pub brief: String,
    /// Variables besides those of the toolchains.
    pub env: Vec<(String, String)>,
    /// Directories with a cargo workspace, relative to the root.
    pub cargo: Vec<PathBuf>,
    /// Directories with Python code, relative to the root.
    pub python: Vec<PathBuf>,
    /// Starts programs, inside.
    pub exec: Arc<dyn Exec>,
}

/// Starts a program where the agent may work.
pub trait Exec: Send + Sync {
    /// Starts it; the answer says why not, in words for the user.
    fn start(&self, program: Program) -> BoxFuture<'_, Result<Process, String>>;
}

/// A program to be started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Variables besides those of the toolchains.
    pub env: Vec<(String, String)>,
    /// Working directory, inside.
    pub cwd: PathBuf,
    /// Bytes for standard input.
    pub stdin: Option<Vec<u8>>,
}

/// A program that was started. Dropping it ends the program.
#[derive(Debug)]
pub struct Process {
    /// What it prints.
    pub output: mpsc::Receiver<Output>,
    /// Ends it.
    pub stop: CancellationToken,
    /// How it ended, or why it was never started.
    pub exit: oneshot::Receiver<Result<Exit, String>>,
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// It was printed to standard error.
    pub stderr: bool,
    /// The bytes as they came.
    pub bytes: Vec<u8>,
}

/// What an agent lets be known in mid-turn.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentEvent {
    /// A program was started.
    Started(String),
    /// It printed something.
    Output(Output),
    /// Something for people.
    Said(String),
}

/// How a turn ended, as far as the agent's own process shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// By itself, with this status.
    Exited(i32),
    /// By a signal.
    Signalled(i32),
    /// Because it was asked to.
    Stopped,
    /// It could not be started, for this reason.
    NotStarted(String),
}

/// Runs a program to its end and hands its output on.
async fn drive(
    mut process: Process,
    events: &mpsc::Sender<AgentEvent>,
    stop: &CancellationToken,
    mut keep: impl FnMut(&Output),
) -> End {
    let mut stopped = false;
    loop {
        tokio::select! {
            chunk = process.output.recv() => match chunk {
                Some(output) => {
                    keep(&output);
                    // Nobody has to listen.
                    let _ = events.send(AgentEvent::Output(output)).await;
                }
                None => break,
            },
            () = stop.cancelled(), if !stopped => {
                stopped = true;
                process.stop.cancel();
            }
        }
    }
    match process.exit.await {
        Ok(Err(why)) => End::NotStarted(why),
        _ if stopped || stop.is_cancelled() => End::Stopped,
        Ok(Ok(exit)) => match exit {
            Exit {
                timed_out: true, ..
            } => End::Stopped,
            Exit {
                code: Some(code), ..
            } => End::Exited(code),
            Exit {
                signal: Some(signal),
                ..
            } => End::Signalled(signal),
            _ => End::NotStarted("it ended without a status".into()),
        },
        Err(_) => End::NotStarted("the sandbox ended without an answer".into()),
    }
}
