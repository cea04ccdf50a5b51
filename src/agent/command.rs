//! Any program as an agent: the brief on its standard input, the project as its working
//! directory.

use crate::agent::Agent;
use crate::agent::AgentEvent;
use crate::agent::BoxFuture;
use crate::agent::End;
use crate::agent::Job;
use crate::agent::Program;
use crate::agent::drive;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A program that edits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
}

impl Command {
    /// A line for the shell.
    pub fn shell(line: &str) -> Self {
        Command {
            argv: vec!["sh".into(), "-c".into(), line.into()],
        }
    }
}

impl Agent for Command {
    fn run(
        &self,
        job: Job,
        events: mpsc::Sender<AgentEvent>,
        stop: CancellationToken,
    ) -> BoxFuture<'_, End> {
        Box::pin(async move {
            let started = job.exec.start(Program {
                argv: self.argv.clone(),
                env: job.env.clone(),
                cwd: job.cwd.clone(),
                stdin: Some(job.brief.clone().into_bytes()),
            });
            let process = match started.await {
                Ok(process) => process,
                Err(why) => return End::NotStarted(why),
            };
            match drive(process, &events, &stop, |_| {}).await {
                // What a shell says of a program that is not there or cannot be run.
                End::Exited(status @ (126 | 127)) => End::NotStarted(format!(
                    "`{}` was not found inside the sandbox or cannot be executed there (exit \
                     status {status})",
                    self.argv.join(" ")
                )),
                end => end,
            }
        })
    }
}
