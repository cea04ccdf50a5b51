//! What the verbs have in common that talk to a running daemon.

use crate::api::client::Client;
use crate::api::client::ClientError;
use crate::cli::out;
use crate::daemon::Handle;
use crate::model::EXIT_ERROR;
use crate::model::EXIT_OK;
use crate::model::EXIT_UNREACHABLE;
use crate::model::EXIT_USAGE;
use crate::model::HostEnv;
use crate::model::ProjectId;
use crate::model::wire::Problem;
use std::future::Future;
use std::path::Path;
use std::path::PathBuf;

/// A project, as a path on the command line names it.
#[derive(Debug, Clone)]
pub struct Named {
    /// Its id.
    pub id: ProjectId,
    /// Its worktree.
    pub root: PathBuf,
}

/// Runs `work` with the running daemon and the project at `path`. What the user has to know
/// is said; the answer is the exit code.
pub fn with_daemon<F>(path: &Path, work: impl FnOnce(Client, Named) -> F) -> anyhow::Result<u8>
where
    F: Future<Output = Result<(), ClientError>>,
{
    let handle = Handle::local(HostEnv::capture());
    let (id, root) = match handle.project_at(path) {
        Ok(found) => found,
        Err(problem) => return Ok(refused(&problem)),
    };
    small_runtime()?.block_on(async {
        let done = match Client::connect(handle.host()).await {
            Ok(client) => {
                let path = root.clone();
                let done = work(client, Named { id, root }).await;
                done.map_err(|error| by_path(error, &path))
            }
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => Ok(EXIT_OK),
            Err(error) => Ok(failed(&error)),
        }
    })
}

/// A project that is not watched, by its path instead of the id that the daemon knows it by.
pub fn by_path(error: ClientError, root: &Path) -> ClientError {
    match error {
        ClientError::Refused(mut problem) if problem.code() == "no_such_project" => {
            problem.title = format!("`{}` is not watched", root.display());
            problem.remedy = Some(format!("`regreen add {}` has it watched", root.display()));
            ClientError::Refused(problem)
        }
        other => other,
    }
}

/// Says what a daemon's refusal is, and answers the exit code.
pub fn failed(error: &ClientError) -> u8 {
    match error {
        ClientError::Unreachable(_) | ClientError::Silent { .. } => {
            out::tell(format!("regreen: {error}"));
            EXIT_UNREACHABLE
        }
        ClientError::Refused(problem) => refused(problem),
        ClientError::Broken(_) => {
            out::tell(format!("regreen: {error}"));
            EXIT_ERROR
        }
    }
}

/// Says why something was refused, and answers the exit code: what is wrong with the request
/// is the caller's.
pub fn refused(problem: &Problem) -> u8 {
    out::tell(format!("regreen: {problem}"));
    match problem.status {
        400..=499 => EXIT_USAGE,
        _ => EXIT_ERROR,
    }
}

/// A runtime for a verb that asks and ends.
pub fn small_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
