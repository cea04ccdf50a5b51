//! One container: made, asked how it is, swept and destroyed. It lives as long as regreen holds
//! the other end of its first process's standard input, and not longer.

use crate::sandbox::SandboxError;
use crate::sandbox::engine::link::Link;
use crate::sandbox::engine::link::words;
use crate::sandbox::engine::plan::Plan;
use crate::sandbox::engine::stream;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::CreateExecOptions;
use bollard::exec::StartExecOptions;
use bollard::exec::StartExecResults;
use bollard::query_parameters::AttachContainerOptions;
use bollard::query_parameters::CreateContainerOptions;
use bollard::query_parameters::RemoveContainerOptions;
use futures_core::Stream;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::sync::Mutex;

/// How long a keeper may take to answer, on the busiest machine.
const ANSWER: Duration = Duration::from_secs(10);
/// How long the engine may take to end a container.
const BURIAL: Duration = Duration::from_secs(30);
/// Looks at who is left after a run: what is killed takes a moment to go.
const LOOKS: u32 = 30;
/// Every so many looks there is a blow.
const PATIENT: u32 = 6;

/// A stream of what an engine's process prints.
pub type Output = Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>;

/// How a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Processes besides the first one; the dead do not count.
    pub living: u64,
    /// Whether something lies in shared memory or a queue that outlives processes.
    pub left: bool,
    /// Processes that the kernel ended because memory ran out.
    pub oom: u64,
}

/// A container that regreen keeps alive.
pub struct Container {
    link: Link,
    id: String,
    /// What it was made as.
    pub key: String,
    /// Who runs in it.
    pub user: String,
    /// The variables of its image.
    pub env: Vec<String>,
    /// A question and its answer belong together, and the supervision of a run asks as well as
    /// whoever looks for a warm container; nobody holds it for longer than that.
    line: Mutex<Line>,
    destroyed: AtomicBool,
    vanished: AtomicBool,
}

/// The standard input and output of the keeper.
struct Line {
    input: Pin<Box<dyn AsyncWrite + Send>>,
    output: Output,
    unread: Vec<u8>,
    asked: u64,
}

impl Container {
    /// Makes and starts one.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn create(link: &Link, plan: &Plan) -> Result<Self, SandboxError> {
        let options = None::<CreateContainerOptions>;
        let made = link.docker.create_container(options, plan.body()).await;
        let id = made
            .map_err(|error| link.failed("make a container", error))?
            .id;
        let opened = open(link, &id).await;
        let line = match opened {
            Ok(line) => line,
            Err(error) => {
                remove(link, &id).await;
                return Err(error);
            }
        };
        let container = Container {
            link: link.clone(),
            id,
            key: plan.key.clone(),
            user: plan.user.clone(),
            env: plan.image.env.clone(),
            line: Mutex::new(line),
            destroyed: AtomicBool::new(false),
            vanished: AtomicBool::new(false),
        };
        if container.state().await.is_none() {
            container.destroy().await;
            return Err(SandboxError::Unavailable {
                reason: format!(
                    "the first process of a container of `{}` does not answer",
                    link.facts.kind.as_str()
                ),
                remedy: "an image needs `/bin/sh`; without `sandbox.image` the programs of this \
                         machine are used"
                    .into(),
            });
        }
        Ok(container)
    }

    /// Its engine.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// The engine's name for it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Asks how it is; `None` if it is gone.
    pub async fn state(&self) -> Option<State> {
        if self.is_destroyed() {
            return None;
        }
        let mut line = self.line.lock().await;
        let answer = tokio::time::timeout(ANSWER, line.ask()).await;
        let state = answer.ok().flatten();
        if state.is_none() && !self.is_destroyed() {
            self.vanished.store(true, Ordering::Release);
        }
        state
    }

    /// Whether it was gone before regreen ended it.
    pub fn has_vanished(&self) -> bool {
        self.vanished.load(Ordering::Acquire)
    }

    /// Ends everybody in it but its first process; answers how it is then, and nothing if
    /// somebody stays or it is gone.
    pub async fn sweep(&self) -> Option<State> {
        for look in 1..=LOOKS {
            match self.state().await {
                None => return None,
                Some(state) if state.living == 0 => return Some(state),
                // Who ends just now needs no blow.
                Some(_) if look % PATIENT != 0 => {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Some(_) => {
                    if self.signal("KILL").await.is_err() {
                        return None;
                    }
                }
            }
        }
        None
    }

    /// Sends a signal to everybody in it but its first process.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn signal(&self, name: &str) -> Result<(), Error> {
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            cmd: Some(vec![
                "/bin/sh".into(),
                "-c".into(),
                format!("kill -{name} -1"),
            ]),
            user: Some(self.user.clone()),
            working_dir: Some("/".to_owned()),
            ..CreateExecOptions::default()
        };
        let docker = &self.link.docker;
        let exec = docker.create_exec(&self.id, options).await?;
        let started = docker
            .start_exec(&exec.id, None::<StartExecOptions>)
            .await?;
        if let StartExecResults::Attached { mut output, .. } = started {
            let end = async { while stream::next(&mut output).await.is_some() {} };
            let _ = tokio::time::timeout(ANSWER, end).await;
        }
        Ok(())
    }

    /// Ends it with everybody in it, and waits until it is gone.
    pub async fn destroy(&self) {
        self.destroyed.store(true, Ordering::Release);
        remove(&self.link, &self.id).await;
    }

    /// Whether regreen has ended it.
    pub fn is_destroyed(&self) -> bool {
        self.destroyed.load(Ordering::Acquire)
    }
}

async fn open(link: &Link, id: &str) -> Result<Line, SandboxError> {
    let options = AttachContainerOptions {
        stream: true,
        stdin: true,
        stdout: true,
        ..AttachContainerOptions::default()
    };
    let failed = |error| link.failed("start a container", error);
    let attached = link.docker.attach_container(id, Some(options)).await;
    let attached = attached.map_err(failed)?;
    let started = link.docker.start_container(id, None).await;
    started.map_err(failed)?;
    Ok(Line {
        input: attached.input,
        output: attached.output,
        unread: Vec::new(),
        asked: 0,
    })
}

/// Ends and removes a container. One that is gone already is as good.
pub async fn remove(link: &Link, id: &str) {
    let options = RemoveContainerOptions {
        force: true,
        v: true,
        ..RemoveContainerOptions::default()
    };
    let removing = link.docker.remove_container(id, Some(options));
    match tokio::time::timeout(BURIAL, removing).await {
        Ok(Ok(())) => {}
        // Gone, or on its way: the engine removes it by itself.
        Ok(Err(Error::DockerResponseServerError {
            status_code: 404 | 409,
            ..
        })) => {}
        Ok(Err(error)) => {
            tracing::warn!(container = id, error = words(error), "a container stays");
        }
        Err(_) => tracing::warn!(container = id, "the engine does not end a container"),
    }
}

impl Line {
    /// One question and its answer.
    async fn ask(&mut self) -> Option<State> {
        self.asked += 1;
        let question = format!("{}\n", self.asked);
        self.input.write_all(question.as_bytes()).await.ok()?;
        self.input.flush().await.ok()?;
        loop {
            let line = self.read_line().await?;
            // An answer that came too late is not this one.
            if let Some(state) = answer(&line, self.asked) {
                return Some(state);
            }
        }
    }

    async fn read_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line).into_owned());
            }
            let more = stream::next(&mut self.output).await?.ok()?;
            self.unread.extend_from_slice(&more.into_bytes());
        }
    }
}

/// `question living left oom`.
fn answer(line: &str, asked: u64) -> Option<State> {
    let mut words = line.split_ascii_whitespace().map(str::parse::<u64>);
    let mut next = || words.next()?.ok();
    (next()? == asked).then_some(())?;
    Some(State {
        living: next()?,
        left: next()? != 0,
        oom: next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_the_question_counts() {
        let state = State {
            living: 2,
            left: true,
            oom: 3,
        };
        assert_eq!(answer("7 2 1 3\n", 7), Some(state));
        for other in ["6 2 1 3\n", "7 2\n", "what\n", "7 2 1 x\n"] {
            assert_eq!(answer(other, 7), None, "{other}");
        }
    }
}
