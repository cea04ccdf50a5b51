//! The fixer: the agent that costs nothing. It applies what the compiler, clippy and ruff are
//! sure of, and nothing else.

use crate::agent::Agent;
use crate::agent::AgentEvent;
use crate::agent::BoxFuture;
use crate::agent::End;
use crate::agent::Job;
use crate::agent::Output;
use crate::agent::Program;
use crate::agent::drive;
use crate::agent::suggestions::Heed;
use crate::agent::suggestions::apply;
use crate::agent::suggestions::suggestions;
use std::path::Path;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// One fix can uncover the next; so many times at most.
const ROUNDS: usize = 12;
/// The compiler's messages are kept up to this size.
const MESSAGES: usize = 64 << 20;

/// Applies machine-applicable suggestions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fixer;

impl Agent for Fixer {
    fn run(
        &self,
        job: Job,
        events: mpsc::Sender<AgentEvent>,
        stop: CancellationToken,
    ) -> BoxFuture<'_, End> {
        Box::pin(async move {
            let turn = Turn { job, events, stop };
            turn.run().await
        })
    }
}

struct Turn {
    job: Job,
    events: mpsc::Sender<AgentEvent>,
    stop: CancellationToken,
}

impl Turn {
    async fn run(&self) -> End {
        for dir in &self.job.cargo {
            if let Err(end) = self.rust(dir).await {
                return end;
            }
        }
        for dir in &self.job.python {
            if let Err(end) = self.ruff(dir).await {
                return end;
            }
        }
        End::Exited(0)
    }

    /// Errors first, tests included, until none is left that has a sure remedy. Only where
    /// there was none at all, what clippy is sure of, outside of tests.
    async fn rust(&self, dir: &Path) -> Result<(), End> {
        let check = ["cargo", "check", "--workspace", "--all-targets"];
        if self.rounds(dir, &check, Heed::Errors).await? == 0 {
            let clippy = ["cargo", "clippy", "--workspace"];
            self.rounds(dir, &clippy, Heed::All).await?;
        }
        Ok(())
    }

    async fn rounds(&self, dir: &Path, command: &[&str], heed: Heed) -> Result<usize, End> {
        let mut total = 0;
        for _ in 0..ROUNDS {
            let argv = [
                command,
                &["--message-format=json", "--offline", "--keep-going"],
            ]
            .concat();
            let (end, messages) = self.program(dir, &argv).await?;
            if matches!(end, End::NotStarted(_) | End::Stopped) {
                return if end == End::Stopped {
                    Err(end)
                } else {
                    Ok(total)
                };
            }
            let mut applied = 0;
            for (path, all) in suggestions(&messages, heed, &self.job.cwd, dir) {
                match apply(&self.job.tree, &path, &all) {
                    Ok(0) => {}
                    Ok(count) => {
                        applied += count;
                        self.say(format!("{count} in `{}`", path.display())).await;
                    }
                    Err(error) => self.say(format!("`{}`: {error}", path.display())).await,
                }
            }
            total += applied;
            if applied == 0 {
                break;
            }
        }
        Ok(total)
    }

    /// `ruff check --fix`, where there is a ruff; tests are left alone.
    async fn ruff(&self, dir: &Path) -> Result<(), End> {
        let argv = [
            "ruff",
            "check",
            "--fix",
            "--exit-zero",
            "--no-cache",
            "--extend-exclude",
            "tests,test,test_*.py,*_test.py,conftest.py",
            ".",
        ];
        match self.program(dir, &argv).await? {
            (End::Stopped, _) => Err(End::Stopped),
            _ => Ok(()),
        }
    }

    async fn program(&self, dir: &Path, argv: &[&str]) -> Result<(End, Vec<u8>), End> {
        if self.stop.is_cancelled() {
            return Err(End::Stopped);
        }
        let started = self.job.exec.start(Program {
            argv: argv.iter().map(|&part| part.to_owned()).collect(),
            env: self.job.env.clone(),
            cwd: self.job.cwd.join(dir),
            stdin: None,
        });
        let process = match started.await {
            Ok(process) => process,
            Err(why) => {
                self.say(why.clone()).await;
                return Ok((End::NotStarted(why), Vec::new()));
            }
        };
        // Nobody has to listen.
        let _ = self.events.send(AgentEvent::Started(argv.join(" "))).await;
        let mut messages = Vec::new();
        let keep = |output: &Output| {
            if !output.stderr && messages.len() < MESSAGES {
                messages.extend_from_slice(&output.bytes);
            }
        };
        let end = drive(process, &self.events, &self.stop, keep).await;
        Ok((end, messages))
    }

    async fn say(&self, text: String) {
        // Nobody has to listen.
        let _ = self.events.send(AgentEvent::Said(text)).await;
    }
}
