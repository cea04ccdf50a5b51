//! Starting programs for an agent: the sandbox behind [`agent::Exec`](crate::agent::Exec).

use crate::agent::BoxFuture;
use crate::agent::Exec;
use crate::agent::Output;
use crate::agent::Process;
use crate::agent::Program;
use crate::model::Limits;
use crate::sandbox::Backend;
use crate::sandbox::Mount;
use crate::sandbox::Network;
use crate::sandbox::Place;
use crate::sandbox::Running;
use crate::sandbox::SandboxError;
use crate::sandbox::Spec;
use crate::sandbox::Stream;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

/// Starts programs in the workspace, each in a sandbox of its own.
#[derive(Clone)]
pub struct SandboxExec {
    /// Where they run.
    pub backend: Arc<dyn Backend>,
    /// Where they find the project.
    pub place: Place,
    /// The toolchains' environment.
    pub env: Vec<(String, String)>,
    /// What they see besides.
    pub mounts: Vec<Mount>,
    /// What they may use.
    pub limits: Limits,
    /// What they may talk to.
    pub network: Network,
}

impl Exec for SandboxExec {
    fn start(&self, program: Program) -> BoxFuture<'_, Result<Process, String>> {
        Box::pin(async move {
            // Later ones win, as in a shell.
            let mut env = self.env.clone();
            for (name, value) in program.env {
                env.retain(|(known, _)| *known != name);
                env.push((name, value));
            }
            let spec = Spec {
                argv: program.argv,
                env,
                cwd: program.cwd,
                place: self.place.clone(),
                mounts: self.mounts.clone(),
                stdin: program.stdin,
                limits: self.limits,
                network: self.network,
            };
            self.backend.start(spec).await.map(adapt).map_err(words)
        })
    }
}

/// The error with its cause and remedy in one line.
pub(crate) fn words(error: SandboxError) -> String {
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
    let remedy = match &error {
        SandboxError::Unavailable { remedy, .. } => format!(" ({remedy})"),
        _ => String::new(),
    };
    format!("{error}{}{remedy}", cause.unwrap_or_default())
}

/// The sandbox's words in the agent's.
fn adapt(running: Running) -> Process {
    let (output, receiver) = mpsc::channel(64);
    let (ended, exit) = oneshot::channel();
    let stop = running.stop.clone();
    tokio::spawn(async move {
        let Running {
            output: mut chunks,
            exit: mut end,
            ..
        } = running;
        let mut ended = ended;
        loop {
            tokio::select! {
                chunk = chunks.recv() => match chunk {
                    Some(chunk) => {
                        let output_now = Output {
                            stderr: chunk.stream == Stream::Stderr,
                            bytes: chunk.bytes,
                        };
                        // Nobody has to listen, and the program must not wait for them.
                        let _ = output.send(output_now).await;
                    }
                    None => break,
                },
                // Dropping the process ends it: `end` goes with this task.
                () = ended.closed() => return,
            }
        }
        drop(output);
        let answer = tokio::select! {
            answer = &mut end => answer,
            () = ended.closed() => return,
        };
        if let Ok(answer) = answer {
            // Nobody has to listen.
            let _ = ended.send(match answer.not_started {
                Some(why) => Err(why),
                None => Ok(answer.exit),
            });
        }
    });
    Process {
        output: receiver,
        stop,
        exit,
    }
}
