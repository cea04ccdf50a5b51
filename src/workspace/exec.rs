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
use crate::sandbox::Priority;
use crate::sandbox::Running;
use crate::sandbox::SandboxError;
use crate::sandbox::Spec;
use crate::sandbox::Stream;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// So much of what a command says is kept for evidence.
const SAID: usize = 16 << 10;

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
    /// The image whose programs they use, if the user named one.
    pub image: Option<String>,
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
                image: self.image.clone(),
                priority: Priority::default(),
            };
            self.backend.start(spec).await.map(adapt).map_err(words)
        })
    }
}

impl SandboxExec {
    /// Runs a command to its end; answers whether it succeeded, and how it ended with the last
    /// lines of what it said.
    pub async fn to_its_end(
        &self,
        argv: &[String],
        cwd: &Path,
        stop: &CancellationToken,
    ) -> (bool, Vec<String>) {
        let started = self.start(Program {
            argv: argv.to_vec(),
            env: Vec::new(),
            cwd: cwd.to_owned(),
            stdin: None,
        });
        let mut process = match started.await {
            Ok(process) => process,
            Err(why) => return (false, vec![why]),
        };
        let mut said: Vec<u8> = Vec::new();
        loop {
            tokio::select! {
                output = process.output.recv() => match output {
                    Some(output) => {
                        said.extend(output.bytes);
                        let extra = said.len().saturating_sub(SAID);
                        said.drain(..extra);
                    }
                    None => break,
                },
                () = stop.cancelled(), if !process.stop.is_cancelled() => process.stop.cancel(),
            }
        }
        let end = process.exit.await;
        let success = matches!(&end, Ok(Ok(exit)) if exit.success());
        let mut lines = vec![match end {
            Ok(Ok(exit)) if exit.timed_out => "its time was up".to_owned(),
            Ok(Ok(exit)) => match (exit.code, exit.signal) {
                (Some(code), _) => format!("exit status {code}"),
                (None, Some(signal)) => format!("signal {signal}"),
                (None, None) => "no exit status".to_owned(),
            },
            Ok(Err(why)) => why,
            Err(_) => "the sandbox ended without an answer".to_owned(),
        }];
        let text = String::from_utf8_lossy(&said);
        let last: Vec<&str> = text.lines().rev().take(10).collect();
        lines.extend(last.into_iter().rev().map(str::to_owned));
        (success, lines)
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
        let answer = tokio::select! {
            answer = &mut end => answer,
            () = ended.closed() => return,
        };
        if let Ok(Some(said)) = answer.as_ref().map(|answer| &answer.said) {
            let bytes = format!("\nregreen ended it because {said}\n").into_bytes();
            // Whoever does not read has no room for it, and does not miss it.
            let _ = output.try_send(Output {
                stderr: true,
                bytes,
            });
        }
        drop(output);
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
