//! A place to run: the trait [`Backend`], what is asked of it, and what comes back.
//!
//! A sandbox is made for one command and lives as long as that command. What it may see is an
//! allowlist: the slot's copy of the worktree at the user's own path, the toolchains read-only,
//! and nothing else. The policy is in `bwrap`, the reasons in docs/security.md.

pub mod attack;
pub mod base;
pub mod beneath;
pub mod bwrap;
pub mod cgroup;
mod cpus;
mod disk;
pub mod doctor;
pub mod egress;
pub mod engine;
mod etc;
pub mod marker;
pub mod mirror;
pub mod mountpoint;
pub mod none;
mod oom;
pub mod policy;
pub mod remedy;
pub mod scope;
pub mod seccomp;
mod seccomp_profile;
pub mod slot;
pub mod toolchain;
mod used;

use crate::model::Exit;
use crate::model::Isolation;
use crate::model::Limits;
use crate::model::Used;
pub use crate::process::Chunk;
pub use crate::process::Heartbeat;
pub use crate::process::Stream;
use crate::process::Tree;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A boxed future, so that backends can stand behind `dyn Backend`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A place to run commands.
pub trait Backend: Send + Sync {
    /// `bwrap`, `engine` or `none`.
    fn name(&self) -> &'static str;

    /// Which of the limits hold here, and how far.
    fn isolation(&self, spec: &Spec) -> Isolation;

    /// Whether the mounts of one run serve the next one too, so that what changes from run to
    /// run had better stand in the same directories each time.
    fn keeps_mounts(&self) -> bool {
        false
    }

    /// Starts one command in a sandbox of its own. When the future answers, the sandbox
    /// exists; when [`Running::exit`] is dropped, it is killed with everything in it.
    fn start(&self, spec: Spec) -> BoxFuture<'_, Result<Running, SandboxError>>;
}

/// One command and everything that it may touch.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Program and arguments. The program is looked up in `PATH` of `env`, inside.
    pub argv: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(String, String)>,
    /// Working directory, inside.
    pub cwd: PathBuf,
    /// Where the command finds the project.
    pub place: Place,
    /// Further mounts: toolchains, carried directories, injected reporters.
    pub mounts: Vec<Mount>,
    /// Bytes for standard input; `/dev/null` when absent.
    pub stdin: Option<Vec<u8>>,
    /// What the command may use.
    pub limits: Limits,
    /// What it may talk to.
    pub network: Network,
    /// The container image whose programs it uses, instead of this machine's. Only of the engine
    /// backend.
    pub image: Option<String>,
    /// Whose work goes first.
    pub priority: Priority,
}

/// How a command stands beside the other work of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Priority {
    /// Behind everything that a person waits for.
    #[default]
    Low,
    /// As any command in a terminal: somebody waits for it.
    Normal,
}

/// A slot as a sandbox sees it: host directories and where they appear inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The user's own absolute path of the worktree; `tree` appears there.
    pub root: PathBuf,
    /// The slot's copy of the worktree, writable inside.
    pub tree: PathBuf,
    /// The slot's home directory, kept between runs; it appears at the user's own `HOME`.
    pub home: PathBuf,
    /// The slot's `/tmp`, emptied before a run by whoever owns the slot.
    pub tmp: PathBuf,
}

/// A host path that appears inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The path on the host.
    pub source: PathBuf,
    /// The path inside.
    pub target: PathBuf,
    /// Whether the sandbox may write to it.
    pub writable: bool,
    /// Whether a missing source is an error (`false`) or simply left out (`true`).
    pub optional: bool,
}

/// What a sandbox may talk to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Network {
    /// Nothing but its own loopback.
    #[default]
    None,
    /// Whatever the host can reach. Only on the user's explicit word.
    Host,
}

/// A command in its sandbox.
#[derive(Debug)]
pub struct Running {
    /// What it prints, in order of arrival. Ends when both streams are closed. Has to be read:
    /// a full channel makes the command wait.
    pub output: mpsc::Receiver<Chunk>,
    /// Ask for its end: TERM, a grace of two seconds, KILL, for the whole tree.
    pub stop: CancellationToken,
    /// To say that it is alive though it prints nothing (an event arrived in a file).
    pub heartbeat: Heartbeat,
    /// Its processes, for whoever has to have them wait.
    pub tree: Tree,
    /// How it ended. Resolves once nothing of it is left. Dropping this kills the sandbox.
    pub exit: tokio::sync::oneshot::Receiver<Ended>,
}

/// How a sandboxed command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Status, signal, time-out, memory.
    pub exit: Exit,
    /// Which limit ended it (`wall`, `silence`, `output`, `memory`, `disk`), if one did;
    /// `disk_space` where the machine's disk was nearly full of what it wrote.
    pub limit: Option<String>,
    /// Whether `stop` was asked for.
    pub stopped: bool,
    /// The command was never started, and why: the sandbox could not be set up, or the program
    /// or working directory does not exist inside.
    pub not_started: Option<String>,
    /// What all its processes used, as far as the kernel told.
    pub used: Option<Used>,
    /// What there is to say of the limit that ended it, in words for the user: a fragment that
    /// fits after "because".
    pub said: Option<String>,
}

/// Why a sandbox could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The backend is not installed or the machine refuses it.
    #[error("{reason}")]
    Unavailable {
        /// What is missing or refused.
        reason: String,
        /// What the user can do about it.
        remedy: String,
    },
    /// The project lies where it cannot be mounted.
    #[error("`{}` cannot be tested in a sandbox: {reason}", path.display())]
    Refused {
        /// The project's path.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A mount's source is missing.
    #[error("failed to mount `{}`: {reason}", path.display())]
    Mount {
        /// The path on the host.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The command's program is not there.
    #[error("`{program}` is not in `{path}`")]
    NoProgram {
        /// The program, as it is named.
        program: String,
        /// The `PATH` in which it was looked for.
        path: String,
    },
    /// Starting the command failed.
    #[error("failed to start the sandbox")]
    Start(#[source] std::io::Error),
}
