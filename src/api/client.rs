//! The client: how the command line talks to a daemon in another process.

use crate::model::HostEnv;
use crate::model::ProjectId;
use crate::model::RunId;
use crate::model::status::Status;
use crate::model::wire::AcceptedRuns;
use crate::model::wire::AddProject;
use crate::model::wire::Collect;
use crate::model::wire::Collected;
use crate::model::wire::Health;
use crate::model::wire::Problem;
use crate::model::wire::ProjectInfo;
use crate::model::wire::RunRecord;
use crate::model::wire::StartRuns;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::Method;
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixStream;

/// An answer takes at most this long; what takes longer is not waited for over this socket.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who is there at all says so within this time.
const GREETING: Duration = Duration::from_secs(10);

/// An answer has at most so many bytes.
const MAX_ANSWER: usize = 32 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "no regreen daemon can be reached at `{}`; start one with `regreen daemon` or \
         `regreen service install`",
        .0.display()
    )]
    Unreachable(PathBuf),
    /// Somebody listens and does not answer.
    #[error(
        "the regreen daemon (process {pid}) took the connection and has not answered for {} s; \
         if it was stopped, `kill -CONT {pid}` lets it go on; if it hangs, `kill -9 {pid}` ends \
         it, and nothing that was accepted is lost",
        GREETING.as_secs()
    )]
    Silent {
        /// Its process id.
        pid: i32,
    },
    /// The daemon said no.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// The connection broke, or the answer makes no sense.
    #[error("the daemon's answer could not be read: {0}")]
    Broken(String),
}

/// A daemon in another process.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// The daemon of this user, if one answers.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] when none does.
    pub async fn connect(host: &HostEnv) -> Result<Client, ClientError> {
        let client = Client {
            socket: host.socket(),
        };
        client.health().await?;
        Ok(client)
    }

    /// Who is there.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn health(&self) -> Result<Health, ClientError> {
        let asked = self.get("/v1/healthz");
        match tokio::time::timeout(GREETING, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(match self.listener().await {
                Some(pid) => ClientError::Silent { pid },
                None => ClientError::Broken("it takes too long".to_owned()),
            }),
        }
    }

    /// Who listens at the socket, as the kernel knows it.
    async fn listener(&self) -> Option<i32> {
        let connect = UnixStream::connect(&self.socket);
        let stream = tokio::time::timeout(Duration::from_secs(1), connect).await;
        stream.ok()?.ok()?.peer_cred().ok()?.pid()
    }

    /// What is watched.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn projects(&self) -> Result<Vec<ProjectInfo>, ClientError> {
        self.get("/v1/projects").await
    }

    /// How a project stands.
    ///
    /// # Errors
    /// When it is not watched.
    pub async fn project_status(&self, project: &ProjectId) -> Result<Status, ClientError> {
        self.get(&format!("/v1/projects/{project}")).await
    }

    /// Has a worktree watched.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn add(&self, path: &Path, foreground: bool) -> Result<ProjectInfo, ClientError> {
        let wish = AddProject {
            path: path.to_owned(),
            foreground,
        };
        self.send(Method::POST, "/v1/projects", &wish).await
    }

    /// Has a worktree forgotten.
    ///
    /// # Errors
    /// When it is not watched.
    pub async fn remove(&self, project: &ProjectId) -> Result<(), ClientError> {
        let path = format!("/v1/projects/{project}");
        self.call(Method::DELETE, &path, Bytes::new())
            .await
            .map(drop)
    }

    /// Starts no runs in a project.
    ///
    /// # Errors
    /// When it is not watched.
    pub async fn pause(&self, project: &ProjectId) -> Result<(), ClientError> {
        let path = format!("/v1/projects/{project}/pause");
        self.call(Method::POST, &path, Bytes::new()).await.map(drop)
    }

    /// Starts runs again.
    ///
    /// # Errors
    /// When it is not watched.
    pub async fn resume(&self, project: &ProjectId) -> Result<(), ClientError> {
        let path = format!("/v1/projects/{project}/resume");
        self.call(Method::POST, &path, Bytes::new()).await.map(drop)
    }

    /// Runs a project's suites, or one of them.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn start_runs(
        &self,
        project: &ProjectId,
        suite: Option<String>,
    ) -> Result<AcceptedRuns, ClientError> {
        let path = format!("/v1/projects/{project}/runs");
        self.send(Method::POST, &path, &StartRuns { suite }).await
    }

    /// A run's record.
    ///
    /// # Errors
    /// When there is none.
    pub async fn run_record(&self, run: &RunId) -> Result<RunRecord, ClientError> {
        self.get(&format!("/v1/runs/{run}")).await
    }

    /// Ends a run.
    ///
    /// # Errors
    /// When it neither waits nor goes on.
    pub async fn cancel(&self, run: &RunId) -> Result<(), ClientError> {
        let path = format!("/v1/runs/{run}");
        self.call(Method::DELETE, &path, Bytes::new())
            .await
            .map(drop)
    }

    /// Removes what is no longer needed.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn collect_garbage(&self, dry_run: bool) -> Result<Collected, ClientError> {
        self.send(Method::POST, "/v1/gc", &Collect { dry_run })
            .await
    }

    /// `GET` of any route.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        read(&self.call(Method::GET, path, Bytes::new()).await?)
    }

    /// Any route with a body.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|e| ClientError::Broken(e.to_string()))?;
        read(&self.call(method, path, body.into()).await?)
    }

    async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, ClientError> {
        tokio::time::timeout(PATIENCE, self.exchange(method, path, body))
            .await
            .unwrap_or_else(|_| Err(ClientError::Broken("it takes too long".to_owned())))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Bytes, ClientError> {
        let broken = |error: &dyn std::fmt::Display| ClientError::Broken(error.to_string());
        let stream = match UnixStream::connect(&self.socket).await {
            Ok(stream) => stream,
            Err(error) if absent(&error) => {
                return Err(ClientError::Unreachable(self.socket.clone()));
            }
            Err(error) => return Err(broken(&error)),
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(&error))?;
        // Its errors show in the answer.
        let driver = tokio::spawn(async move { drop(connection.await) });
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "regreen")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|error| broken(&error))?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(&error))?;
        let status = response.status();
        let bytes = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| broken(&error))?
            .to_bytes();
        driver.abort();
        match status.is_success() {
            true => Ok(bytes),
            false => Err(match serde_json::from_slice::<Problem>(&bytes) {
                Ok(problem) => problem.into(),
                Err(_) => broken(&format!("status {status}")),
            }),
        }
    }
}

fn absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

fn read<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, ClientError> {
    serde_json::from_slice(bytes).map_err(|error| ClientError::Broken(error.to_string()))
}
