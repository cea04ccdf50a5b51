//! One command in a container: started, read and supervised, and its end told as any backend
//! tells it.

use crate::model::Exit;
use crate::process::Chunk;
use crate::process::Ending;
use crate::process::Leader;
use crate::process::LimitHit;
use crate::process::Printed;
use crate::process::Status;
use crate::process::Stream;
use crate::process::Tree;
use crate::process::calm;
use crate::sandbox::Ended;
use crate::sandbox::Priority;
use crate::sandbox::SandboxError;
use crate::sandbox::Spec;
use crate::sandbox::bwrap::from_shell;
use crate::sandbox::bwrap::processes;
use crate::sandbox::engine::container::Container;
use crate::sandbox::engine::container::Output;
use crate::sandbox::engine::link::Kind;
use crate::sandbox::engine::link::words;
use crate::sandbox::engine::stream;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::CreateExecOptions;
use bollard::exec::StartExecOptions;
use bollard::exec::StartExecResults;
use bollard::models::ExecInspectResponse;
use rustix::process::Pid;
use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The engine tells nobody that a command has ended: as long as its output is open it is asked
/// so often, and at the output's end at once.
const LOOK: Duration = Duration::from_millis(250);
/// The first pause after the output's end.
const SOON: Duration = Duration::from_millis(1);
/// So much of the first piece of output is kept: the engine says there why nothing started.
const HEAD: usize = 2 << 10;

/// Where programs are looked for if neither the run nor its image says so.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A started command.
pub struct Exec {
    /// How its end is seen and brought about.
    pub leader: ExecLeader,
    /// What it prints.
    pub printed: ExecOutput,
    /// Its processes, once the engine has said which they are.
    pub tree: Tree,
    /// What the engine said of the end.
    pub last: Arc<Last>,
}

/// What is known of a command's end besides its status.
#[derive(Debug, Default)]
pub struct Last {
    /// The first piece of output.
    head: OnceLock<Vec<u8>>,
    /// Whether the engine ever had a process for it.
    never: OnceLock<bool>,
}

/// Starts a command.
///
/// # Errors
/// What the engine said.
pub async fn start(container: &Arc<Container>, spec: &Spec) -> Result<Exec, SandboxError> {
    let link = container.link();
    let failed = |error| link.failed("start a command", error);
    let argv = argv(container, spec).map_err(SandboxError::Start)?;
    let options = options(container, spec, argv);
    let made = link.docker.create_exec(container.id(), options);
    let id = made.await.map_err(failed)?.id;
    let started = link.docker.start_exec(&id, None::<StartExecOptions>).await;
    let last = Arc::new(Last::default());
    let (output, input) = match started {
        Ok(StartExecResults::Attached { output, input }) => (Some(output), Some(input)),
        Ok(StartExecResults::Detached) => (None, None),
        // Newer engines refuse at once what they cannot start.
        Err(Error::DockerResponseServerError {
            status_code: 400..=499,
            message,
        }) => {
            let _ = last.head.set(message.into_bytes());
            let _ = last.never.set(true);
            (None, None)
        }
        Err(error) => return Err(failed(error)),
    };
    if let Some(input) = input.filter(|_| link.facts.kind == Kind::Docker) {
        feed(input, spec.stdin.clone());
    }
    let closed = Arc::new(Notify::new());
    if output.is_none() {
        closed.notify_one();
    }
    let tree = Tree::unknown();
    let (told, ended) = oneshot::channel();
    let watch = Watch {
        container: Arc::clone(container),
        id,
        closed: Arc::clone(&closed),
        last: Arc::clone(&last),
        tree: tree.clone(),
        priority: spec.priority,
    };
    Ok(Exec {
        leader: ExecLeader {
            container: Arc::clone(container),
            ended,
            watch: tokio::spawn(watch.run(told)),
        },
        printed: ExecOutput {
            output,
            closed,
            last: Arc::clone(&last),
        },
        tree,
        last,
    })
}

/// Does for a command what Podman does not, and becomes it. `-u` is bash's word for processes,
/// `-p` that of others.
const WRAPPER: &str = r#"
if [ -n "$1" ]; then exec <"$1"; rm -f "$1"; fi
if [ -n "$2" ]; then
  ulimit -c 0; ulimit -f "$2"; if [ -n "$3" ]; then ulimit -d "$3"; fi
  ulimit -u "$4" 2>/dev/null || ulimit -p "$4"
fi
shift 4
command -v -- "$1" >/dev/null 2>&1 || {
  echo "Error: exec failed: unable to start $1: not found" >&2
  exit 127
}
exec "$@"
"#;

/// What is started: the command itself, or, with Podman, a shell that comes before it. Without
/// root Podman gives a command other limits than its container's. And of a command that ends
/// before it has read all of its standard input Podman loses the output, so that the input is
/// handed over in a file.
fn argv(container: &Container, spec: &Spec) -> io::Result<Vec<String>> {
    let facts = &container.link().facts;
    let input = match &spec.stdin {
        Some(bytes) if facts.kind == Kind::Podman => input_file(spec, bytes)?,
        _ => String::new(),
    };
    if input.is_empty() && !facts.forgets_ulimits() {
        return Ok(spec.argv.clone());
    }
    let limits = &spec.limits;
    let [files, data, most] = match facts.forgets_ulimits() {
        true => [
            // In blocks, and in KiB.
            (limits.file_bytes / 512).to_string(),
            limits
                .memory_bytes
                .map_or_else(String::new, |it| (it >> 10).to_string()),
            processes(limits).to_string(),
        ],
        false => Default::default(),
    };
    let words = ["/bin/sh", "-c", WRAPPER, "sh"].map(str::to_owned);
    let all = words.into_iter().chain([input, files, data, most]);
    Ok(all.chain(spec.argv.iter().cloned()).collect())
}

/// Leaves the standard input in the slot's `/tmp`; answers the place inside. Nobody runs there
/// now, and a file is made that was not there before.
fn input_file(spec: &Spec, bytes: &[u8]) -> io::Result<String> {
    use std::os::unix::fs::OpenOptionsExt;
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!(".regreen-input-{}-{number}", std::process::id());
    let mut options = std::fs::OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600);
    made.open(spec.place.tmp.join(&name))?.write_all(bytes)?;
    Ok(format!("/tmp/{name}"))
}

fn options(container: &Container, spec: &Spec, argv: Vec<String>) -> CreateExecOptions<String> {
    let attached = spec.stdin.is_some() && container.link().facts.kind == Kind::Docker;
    let env = spec
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let given = |name: &str| spec.env.iter().any(|(known, _)| known == name);
    let path = match given("PATH") || container.env.iter().any(|it| it.starts_with("PATH=")) {
        true => None,
        false => Some(PATH.to_owned()),
    };
    let of_the_image = container.env.iter().filter(|variable| {
        let name = variable.split('=').next().unwrap_or_default();
        !given(name)
    });
    CreateExecOptions {
        attach_stdin: Some(attached),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(false),
        env: Some(of_the_image.cloned().chain(path).chain(env).collect()),
        cmd: Some(argv),
        user: Some(container.user.clone()),
        working_dir: Some(spec.cwd.to_string_lossy().into_owned()),
        ..CreateExecOptions::default()
    }
}

/// Writes the standard input and ends it. Whoever does not read it keeps nobody waiting.
fn feed(mut input: std::pin::Pin<Box<dyn AsyncWrite + Send>>, bytes: Option<Vec<u8>>) {
    let Some(bytes) = bytes else {
        return;
    };
    tokio::spawn(async move {
        // Refused once the command has ended.
        if input.write_all(&bytes).await.is_ok() {
            let _ = input.shutdown().await;
        }
    });
}

/// Sees a command's end.
struct Watch {
    container: Arc<Container>,
    id: String,
    closed: Arc<Notify>,
    last: Arc<Last>,
    tree: Tree,
    priority: Priority,
}

impl Watch {
    async fn run(self, told: oneshot::Sender<io::Result<Status>>) {
        let status = self.until_ended().await;
        let _ = told.send(status);
    }

    async fn until_ended(&self) -> io::Result<Status> {
        let mut soon = None;
        let mut found = self.priority != Priority::Low;
        loop {
            let docker = &self.container.link().docker;
            match docker.inspect_exec(&self.id).await {
                Ok(state) if state.running == Some(true) => {
                    found = found || self.found(&state);
                }
                Ok(state) => {
                    if let Some(status) = self.ended(&state) {
                        return Ok(status);
                    }
                }
                Err(_) if self.container.is_destroyed() => {
                    return Ok(Status::Signaled(libc::SIGKILL));
                }
                Err(error) => return Err(self.lost(error)),
            }
            let pause = soon.map_or(LOOK, |pause: Duration| pause.min(LOOK));
            tokio::select! {
                () = tokio::time::sleep(pause) => soon = soon.map(|pause| pause * 2),
                () = self.closed.notified(), if soon.is_none() => soon = Some(SOON),
            }
        }
    }

    /// The status of a command that runs no more; `None` if it has not begun to.
    fn ended(&self, state: &ExecInspectResponse) -> Option<Status> {
        let code = i32::try_from(state.exit_code?).ok()?;
        if self.container.link().facts.kind == Kind::Docker {
            // Podman forgets the pid of what has ended.
            let _ = self.last.never.set(state.pid.unwrap_or(0) == 0);
        }
        Some(Status::Exited(code))
    }

    /// Learns which of this machine's processes the command is. It is believed only if the
    /// kernel says that it is in this container: the engine may count pids elsewhere.
    fn found(&self, state: &ExecInspectResponse) -> bool {
        let pid = state.pid.and_then(|pid| i32::try_from(pid).ok());
        let Some(pid) = pid.filter(|pid| *pid > 1).and_then(Pid::from_raw) else {
            return false;
        };
        let groups = format!("/proc/{}/cgroup", pid.as_raw_nonzero());
        let groups = std::fs::read_to_string(groups).unwrap_or_default();
        if groups.contains(self.container.id()) {
            calm(pid);
            self.tree.found(pid);
        }
        true
    }

    fn lost(&self, error: Error) -> io::Error {
        let engine = self.container.link().facts.kind.as_str();
        let removed = matches!(
            &error,
            Error::DockerResponseServerError { status_code, message }
                if *status_code == 404 || message.contains("no such container")
        );
        let why = match removed {
            true => format!("the container was removed while the command ran ({engine})"),
            false => format!("{engine} went away while the command ran"),
        };
        io::Error::other(format!("{why}: {}", words(error)))
    }
}

/// How the end of a command is seen and brought about.
pub struct ExecLeader {
    container: Arc<Container>,
    ended: oneshot::Receiver<io::Result<Status>>,
    watch: JoinHandle<()>,
}

impl Drop for ExecLeader {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl Leader for ExecLeader {
    async fn wait(&mut self) -> io::Result<Status> {
        let gone = |_| Err(io::Error::other("nobody watches the command"));
        (&mut self.ended).await.unwrap_or_else(gone)
    }

    async fn terminate(&mut self) {
        if let Err(error) = self.container.signal("TERM").await {
            tracing::debug!(error = words(error), "TERM did not arrive");
        }
    }

    async fn kill(&mut self) {
        self.container.destroy().await;
    }

    async fn kill_rest(&mut self) {
        if !self.container.is_destroyed() && self.container.sweep().await.is_none() {
            self.container.destroy().await;
        }
    }
}

/// What a command prints.
pub struct ExecOutput {
    output: Option<Output>,
    closed: Arc<Notify>,
    last: Arc<Last>,
}

impl Printed for ExecOutput {
    fn open(&self) -> bool {
        self.output.is_some()
    }

    async fn next(&mut self) -> Option<Chunk> {
        loop {
            let item = stream::next(self.output.as_mut()?).await;
            let (stream, bytes) = match item {
                Some(Ok(LogOutput::StdErr { message })) => (Stream::Stderr, message),
                Some(Ok(other)) => (Stream::Stdout, other.into_bytes()),
                Some(Err(_)) | None => {
                    self.output = None;
                    self.closed.notify_one();
                    return None;
                }
            };
            if !bytes.is_empty() {
                let bytes = bytes.to_vec();
                let head = || bytes.get(..HEAD).unwrap_or(&bytes).to_vec();
                self.last.head.get_or_init(head);
                return Some(Chunk { stream, bytes });
            }
        }
    }
}

/// A command's end as any backend tells it.
pub fn conclude(ending: io::Result<Ending>, last: &Last, spec: &Spec, oom: bool) -> Ended {
    let ending = match ending {
        Ok(ending) => ending,
        Err(error) => {
            return Ended {
                exit: Exit::default(),
                limit: None,
                stopped: false,
                not_started: Some(error.to_string()),
                used: None,
                said: None,
            };
        }
    };
    let forced = ending.limit.is_some() || ending.stopped;
    let mut exit = match ending.status {
        Status::Exited(code) => from_shell(code),
        Status::Signaled(signal) => Exit {
            signal: Some(signal),
            ..Exit::default()
        },
    };
    exit.timed_out = ending.limit.is_some_and(LimitHit::is_time);
    exit.oom = oom && !forced && !exit.success();
    let limit = match exit.oom {
        true => Some("memory".to_owned()),
        false => ending.limit.map(|limit| limit.as_str().to_owned()),
    };
    Ended {
        limit,
        stopped: ending.stopped,
        not_started: last.not_started(ending.status, spec).filter(|_| !forced),
        exit,
        used: None,
        said: None,
    }
}

/// The container is gone, and not by regreen: who was killed then was not killed by a test.
pub fn taken_away(ended: &mut Ended) {
    if ended.exit.signal == Some(libc::SIGKILL) && ended.not_started.is_none() {
        let why = "the container was removed while the command ran, or its memory ran out";
        ended.not_started = Some(why.into());
    }
}

impl Last {
    /// Why a command was never started, in the words of the other backends.
    fn not_started(&self, status: Status, spec: &Spec) -> Option<String> {
        let head = self.head.get().map(Vec::as_slice).unwrap_or_default();
        let said = String::from_utf8_lossy(head).trim().to_owned();
        // Podman, which forgets the pid of what has ended, says it as the command's first output.
        let podman = said.starts_with("Error: ") && said.contains("exec failed: unable to start");
        let never = podman || self.never.get().copied().unwrap_or(false);
        if !never || !matches!(status, Status::Exited(126 | 127)) {
            return None;
        }
        let program = spec.argv.first().map_or("", String::as_str);
        Some(if said.contains("chdir") {
            let cwd = spec.cwd.display();
            format!("Can't chdir to {cwd}: No such file or directory")
        } else if said.contains("permission denied") {
            format!("execvp {program}: Permission denied")
        } else if said.contains("not found") || said.contains("no such file") {
            format!("execvp {program}: No such file or directory")
        } else {
            said
        })
    }
}
