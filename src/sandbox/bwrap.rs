//! The bubblewrap backend: one sandbox a command, made by the `bwrap` of the distribution.
//!
//! bubblewrap gets its options through a sealed file, so that nothing of them shows in a
//! process list, and reads its filter from a pipe that regreen fills only when the sandbox's
//! first process has its limits, its group and its marker: the pipe is the gate in front of the
//! command ([`Gate`]).

use crate::model::Enforcement;
use crate::model::Exit;
use crate::model::HostEnv;
use crate::model::Isolation;
use crate::model::Limits;
use crate::model::Used;
use crate::process::Command;
use crate::process::Ending;
use crate::process::Heir;
use crate::process::Input;
use crate::process::LimitHit;
use crate::process::Rlimits;
use crate::process::Spawner;
use crate::process::Status;
use crate::process::Supervision;
use crate::process::Tree;
use crate::process::calm;
use crate::process::sealed_file;
use crate::process::supervise;
use crate::sandbox::Backend;
use crate::sandbox::BoxFuture;
use crate::sandbox::Ended;
use crate::sandbox::Network;
use crate::sandbox::Priority;
use crate::sandbox::Running;
use crate::sandbox::SandboxError;
use crate::sandbox::Spec;
use crate::sandbox::base::Base;
use crate::sandbox::cgroup::Delegated;
use crate::sandbox::cgroup::Group;
use crate::sandbox::cgroup::Most;
use crate::sandbox::cpus;
use crate::sandbox::disk;
use crate::sandbox::etc::Etc;
use crate::sandbox::marker::Marker;
use crate::sandbox::marker::token;
use crate::sandbox::mountpoint;
use crate::sandbox::oom;
use crate::sandbox::policy;
use crate::sandbox::remedy;
use crate::sandbox::remedy::Machine;
use crate::sandbox::seccomp;
use crate::sandbox::seccomp::Choice;
use crate::sandbox::seccomp::Gate;
use crate::sandbox::used;
use rustix::process::Pid;
use rustix::process::Resource;
use rustix::process::Rlimit;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::OnceCell;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// How long bubblewrap may take to report its child, on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a killed namespace may take to go.
const BURIAL: Duration = Duration::from_secs(10);

/// Where bubblewrap is looked for. `PATH` is not asked: a project may stand in it (an active
/// virtual environment), and this program runs outside the sandbox.
const PROGRAMS: &[&str] = &[
    "/usr/bin/bwrap",
    "/usr/local/bin/bwrap",
    "/bin/bwrap",
    "/run/current-system/sw/bin/bwrap",
];

/// The user's choices for the bubblewrap backend.
#[derive(Debug, Default)]
pub struct Options {
    /// Whether programs inside may trace one another (debuggers, leak sanitizer).
    pub ptrace: bool,
    /// The control group that the service manager handed over, if one did.
    pub cgroup: Option<Arc<Delegated>>,
}

/// The bubblewrap backend.
#[derive(Debug)]
pub struct Bwrap {
    program: Option<PathBuf>,
    options: Options,
    base: Base,
    etc: Etc,
    home: PathBuf,
    markers: PathBuf,
    checked: OnceCell<Vec<u8>>,
    pinned: OnceCell<Vec<u8>>,
}

impl Bwrap {
    /// A backend on this machine. Starts nothing; whether bubblewrap works shows at the first
    /// [`Backend::start`] or with [`Bwrap::check`].
    pub fn new(host: &HostEnv, options: Options) -> Self {
        let program = match host.var("REGREEN_BWRAP") {
            Some(path) => Some(PathBuf::from(path)).filter(|path| path.is_absolute()),
            None => PROGRAMS
                .iter()
                .map(PathBuf::from)
                .chain([host.home.join(".nix-profile/bin/bwrap")])
                .find(|path| path.is_file()),
        };
        warn_root();
        Bwrap {
            program: program.filter(|path| path.is_file()),
            options,
            base: Base::discover(),
            etc: Etc::new(host.cache_dir().join("etc")),
            home: host.home.clone(),
            markers: host.state_dir().join("sandboxes"),
            checked: OnceCell::new(),
            pinned: OnceCell::new(),
        }
    }

    /// The directory of the markers of running sandboxes, for
    /// [`sweep`](crate::sandbox::marker::sweep).
    pub fn markers(host: &HostEnv) -> PathBuf {
        host.state_dir().join("sandboxes")
    }

    /// Checks that bubblewrap is there and new enough.
    ///
    /// # Errors
    /// [`SandboxError::Unavailable`] with the remedy for this machine.
    pub async fn check(&self) -> Result<&Path, SandboxError> {
        self.filter().await?;
        self.program
            .as_deref()
            .ok_or_else(|| Machine::read().missing())
    }

    /// The filter, built once bubblewrap has been seen to be new enough.
    async fn filter(&self) -> Result<&[u8], SandboxError> {
        let build = || async {
            let program = self.program.as_ref();
            let program = program.ok_or_else(|| Machine::read().missing())?;
            let command = Command::new(program).args(["--version"]);
            let child = Spawner::global().spawn(command).await;
            let said = child.map_err(SandboxError::Start)?.collect(1 << 10).await;
            let said = said.map_err(SandboxError::Start)?.stdout;
            let said = String::from_utf8_lossy(&said);
            match remedy::version(&said) {
                Some(version) if version >= remedy::OLDEST => seccomp::filter(Choice {
                    ptrace: self.options.ptrace,
                    pinned: false,
                }),
                _ => Err(Machine::read().too_old(said.trim())),
            }
        };
        self.checked.get_or_try_init(build).await.map(Vec::as_slice)
    }

    /// The filter of a sandbox that is pinned to some processors.
    async fn pinned_filter(&self) -> Result<&[u8], SandboxError> {
        let choice = Choice {
            ptrace: self.options.ptrace,
            pinned: true,
        };
        let build = || async { seccomp::filter(choice) };
        self.pinned.get_or_try_init(build).await.map(Vec::as_slice)
    }

    /// Whole processors that a sandbox is pinned to, because no control group limits its time.
    fn pinned(&self, limits: &Limits) -> Option<usize> {
        match self.options.cgroup.as_deref() {
            Some(group) if group.cpu => None,
            _ => cpus::whole(limits.cpu_millis),
        }
    }

    async fn start(&self, spec: Spec) -> Result<Running, SandboxError> {
        if self.home == Path::new("/") {
            return Err(SandboxError::Unavailable {
                reason: "`HOME` is not set, or is `/`".into(),
                remedy: "set `HOME` to the home directory of the user who runs regreen".into(),
            });
        }
        policy::check_root(&spec.place.root, &self.home)?;
        policy::check_sources(&spec)?;
        mountpoint::ensure(&spec, &self.home)?;
        let mut filter = self.filter().await?;
        let pinned = self.pinned(&spec.limits);
        if pinned.is_some() {
            filter = self.pinned_filter().await?;
        }
        let oom_before = oom::kills();
        let group = self.group(&spec.limits);
        let name = token();
        let marker = Marker::leave(&self.markers, &name, group.as_ref().map(Group::path))
            .inspect_err(|error| tracing::warn!(%error, "no marker for this sandbox"))
            .ok();
        let launch = Launch::begin(self, &spec, name).await?;
        let (launch, first) = launch.first_process().await?;
        prepare(first, &spec.limits, spec.priority, group.as_ref());
        if let Some(Err(error)) = pinned.map(|count| cpus::pin(first, count)) {
            tracing::warn!(%error, "the sandbox is not held to its processors");
        }
        let tree = Tree::new(launch.child.pid()).sealed();
        let watched = disk::watch(&spec.place, &spec.limits, tree.clone());
        let guard = Guard {
            first: Heir::expect(first),
            group,
            _marker: marker,
            oom_before,
            said: watched.said,
        };
        // Refused only if bubblewrap has given up already; its end then says why.
        let _ = launch.gate.open(filter);
        let stop = CancellationToken::new();
        let terms = Supervision {
            breached: Some(watched.breached),
            ..supervision(&spec.limits, stop.clone())
        };
        let supervised =
            supervise(launch.child, tree.clone(), terms).map_err(SandboxError::Start)?;
        let (output, heartbeat) = (supervised.output, supervised.heartbeat);
        let calmed = (spec.priority == Priority::Low).then_some(first);
        let exit = watch(supervised.exit, launch.status, guard, calmed);
        Ok(Running {
            output,
            stop,
            heartbeat,
            tree,
            exit,
        })
    }

    fn group(&self, limits: &Limits) -> Option<Group> {
        let delegated = self.options.cgroup.as_ref()?;
        let most = Most {
            memory: limits.memory_bytes,
            pids: Some(processes(limits)),
            cpu_millis: limits.cpu_millis,
        };
        delegated
            .group(most)
            .inspect_err(|error| tracing::warn!(%error, "no control group for this run"))
            .ok()
    }
}

/// Limits, group and priority of the sandbox's first process, while it waits at the gate: the
/// set-up before it is regreen's own work, for which a person waits.
fn prepare(first: Pid, limits: &Limits, priority: Priority, group: Option<&Group>) {
    let most = processes(limits);
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    // Counted per user namespace, so it has to be set inside; lowering is always allowed.
    if let Err(error) = rustix::process::prlimit(Some(first), Resource::Nproc, limit) {
        tracing::debug!(%error, "the limit on processes was not set");
    }
    if priority == Priority::Low {
        calm(first);
    }
    if let Some(Err(error)) = group.map(|group| group.add(first)) {
        tracing::warn!(%error, "the sandbox is not in its control group");
    }
}

impl Backend for Bwrap {
    fn name(&self) -> &'static str {
        "bwrap"
    }

    fn isolation(&self, spec: &Spec) -> Isolation {
        let root = rustix::process::geteuid().is_root();
        let delegated = self.options.cgroup.as_deref();
        let whole = |held: bool, otherwise: Enforcement| match held {
            true => Enforcement::Enforced,
            false => otherwise,
        };
        let memory = match spec.limits.memory_bytes {
            Some(_) => Enforcement::PerProcess,
            None => Enforcement::None,
        };
        let limited = spec.limits.memory_bytes.is_some();
        let counted = delegated.is_some_and(|group| group.pids);
        let limits = [
            ("filesystem", Enforcement::Enforced),
            (
                "network",
                whole(spec.network == Network::None, Enforcement::None),
            ),
            ("syscalls", Enforcement::Enforced),
            (
                "memory",
                whole(
                    limited && delegated.is_some_and(|group| group.memory),
                    memory,
                ),
            ),
            (
                "cpu",
                whole(
                    self.pinned(&spec.limits).is_some()
                        || spec.limits.cpu_millis.is_some()
                            && delegated.is_some_and(|group| group.cpu),
                    Enforcement::None,
                ),
            ),
            // RLIMIT_NPROC does not bind root.
            ("processes", whole(counted || !root, Enforcement::None)),
            ("file_size", Enforcement::PerProcess),
            ("shm", Enforcement::Enforced),
            ("disk", Enforcement::Enforced),
            ("wall", Enforcement::Enforced),
            ("silence", Enforcement::Enforced),
            ("output", Enforcement::Enforced),
        ];
        Isolation {
            backend: self.name().into(),
            limits: limits.map(|(name, held)| (name.to_owned(), held)).into(),
        }
    }

    fn start(&self, spec: Spec) -> BoxFuture<'_, Result<Running, SandboxError>> {
        Box::pin(Bwrap::start(self, spec))
    }
}

/// That root escapes some of the limits, if this is root.
pub fn root_warning() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some(
        "regreen runs as root: the limit on processes does not bind a sandbox; run it as an \
         ordinary user",
    )
}

/// Says that once.
fn warn_root() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    if let Some(warning) = root_warning() {
        ONCE.call_once(|| tracing::warn!("{warning}"));
    }
}

/// Processes and threads that a sandbox may have. Threads count, so honest suites need many.
pub(super) fn processes(limits: &Limits) -> u64 {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let automatic = Limits::AUTOMATIC_PROCESSES.max(256 * cores);
    limits.processes.unwrap_or(automatic)
}

pub(super) fn supervision(limits: &Limits, stop: CancellationToken) -> Supervision {
    Supervision {
        wall: Some(limits.wall()),
        silence: Some(limits.silence()),
        output_bytes: limits.output_bytes,
        stop,
        breached: None,
    }
}

/// bubblewrap on its way, before the command.
struct Launch {
    child: crate::process::Child,
    status: pipe::Receiver,
    gate: Gate,
}

impl Launch {
    async fn begin(bwrap: &Bwrap, spec: &Spec, name: String) -> Result<Self, SandboxError> {
        let program = bwrap.program.as_ref();
        let program = program.ok_or_else(|| Machine::read().missing())?;
        let (gate, seccomp) = Gate::new().map_err(SandboxError::Start)?;
        let (status, report) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(started)?;
        let etc = bwrap.etc.of(&bwrap.base.etc());
        let context = policy::Context {
            base: &bwrap.base,
            etc: etc.as_ref(),
            home: &bwrap.home,
            root: rustix::process::geteuid().is_root(),
            seccomp: seccomp.as_raw_fd(),
            status: report.as_raw_fd(),
        };
        let options = options_file(&policy::options(spec, &context))?;
        let command = Command {
            // By this name the processes are found again if regreen dies before bubblewrap has
            // asked to die with it.
            name: Some(name.into()),
            args: arguments(&options, &spec.argv),
            keep: vec![options, seccomp, report],
            input: spec.stdin.clone().map_or(Input::Null, Input::Bytes),
            rlimits: Rlimits {
                core: Some(0),
                file_size: Some(spec.limits.file_bytes),
                data: spec.limits.memory_bytes,
            },
            ..Command::new(program)
        };
        let child = Spawner::global().spawn(command).await;
        Ok(Launch {
            child: child.map_err(SandboxError::Start)?,
            status: pipe::Receiver::from_owned_fd(status).map_err(SandboxError::Start)?,
            gate,
        })
    }

    /// Waits until bubblewrap names the first process of the new namespace.
    async fn first_process(mut self) -> Result<(Self, Pid), SandboxError> {
        let line = tokio::time::timeout(PATIENCE, first_line(&mut self.status)).await;
        let report = line.ok().and_then(|line| StatusLine::parse(&line));
        match report.and_then(|report| Pid::from_raw(report.child_pid?)) {
            Some(pid) => Ok((self, pid)),
            None => {
                // Without the gate bubblewrap cannot be waiting for anything of ours.
                drop(self.gate);
                let end = tokio::time::timeout(PATIENCE, self.child.collect(4 << 10)).await;
                let end = end.map_err(|_| started(rustix::io::Errno::TIMEDOUT))?;
                let said = end.map_err(SandboxError::Start)?.stderr;
                Err(Machine::read().refused(&String::from_utf8_lossy(&said)))
            }
        }
    }
}

fn started(errno: rustix::io::Errno) -> SandboxError {
    SandboxError::Start(errno.into())
}

fn options_file(options: &[OsString]) -> Result<OwnedFd, SandboxError> {
    let mut bytes = Vec::new();
    for option in options {
        // The options are told apart by NUL: one in a variable of an untrusted configuration
        // would smuggle in options of its own.
        if option.as_bytes().contains(&0) {
            let reason = "a NUL byte in the command's environment or in a path";
            let error = std::io::Error::new(ErrorKind::InvalidInput, reason);
            return Err(SandboxError::Start(error));
        }
        bytes.extend_from_slice(option.as_bytes());
        bytes.push(0);
    }
    sealed_file(&bytes).map_err(SandboxError::Start)
}

fn arguments(options: &OwnedFd, argv: &[String]) -> Vec<OsString> {
    let number = options.as_raw_fd().to_string();
    ["--args", &number, "--"]
        .into_iter()
        .chain(argv.iter().map(String::as_str))
        .map(OsString::from)
        .collect()
}

/// One line of `--json-status-fd`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct StatusLine {
    child_pid: Option<i32>,
    exit_code: Option<i32>,
}

impl StatusLine {
    fn parse(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }
}

/// Reads up to the first line's end. Nothing follows it before the gate is open.
async fn first_line(status: &mut pipe::Receiver) -> Vec<u8> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        if !matches!(status.read_buf(&mut line).await, Ok(count) if count > 0) {
            break;
        }
    }
    line
}

/// What has to go when a sandbox ends.
struct Guard {
    first: Heir,
    group: Option<Group>,
    _marker: Option<Marker>,
    oom_before: u64,
    /// What there is to say of a limit on the disk.
    said: Arc<OnceLock<String>>,
}

impl Guard {
    /// Waits until the first process of the namespace is gone: the kernel lets it go only after
    /// everybody else in there. bubblewrap asks for its death together with its own, but only
    /// late in its set-up; so it is killed here once more. Answers what all of them used.
    async fn bury(&mut self) -> Used {
        let used = match self.first.bury(BURIAL).await {
            Ok(used) => used.map(used::of_tree).unwrap_or_default(),
            Err(error) => {
                tracing::error!(%error, "a sandbox did not go away after KILL");
                Used::default()
            }
        };
        match &self.group {
            Some(group) => group.used().or(used),
            None => used,
        }
    }

    /// Whether memory ran out because the run met its limit, and not because the machine has no
    /// more.
    fn met_memory(&self) -> bool {
        self.group.as_ref().is_some_and(Group::met_its_limit)
    }

    fn oom(&self, exit: &Exit) -> bool {
        match &self.group {
            Some(group) if group.oom_kills() > 0 => true,
            _ => exit.signal == Some(libc::SIGKILL) && oom::kills() > self.oom_before,
        }
    }
}

/// Follows a sandbox to its end.
fn watch(
    ended: oneshot::Receiver<std::io::Result<Ending>>,
    mut status: pipe::Receiver,
    mut guard: Guard,
    calmed: Option<Pid>,
) -> oneshot::Receiver<Ended> {
    let (mut answer, exit) = oneshot::channel();
    tokio::spawn(async move {
        let calming = async {
            if let Some(first) = calmed {
                nice_session(first).await;
            }
            std::future::pending().await
        };
        let ending = tokio::select! {
            ending = ended => ending,
            ending = calming => ending,
            // Dropping `ended` kills bubblewrap.
            () = answer.closed() => {
                guard.bury().await;
                return;
            }
        };
        let used = guard.bury().await;
        let mut report = Vec::new();
        let _ = (&mut status).take(1 << 10).read_to_end(&mut report).await;
        let code = StatusLine::parse(&report).and_then(|line| line.exit_code);
        let ended = match ending {
            Ok(Ok(ending)) => conclude(ending, code, &guard),
            _ => lost(),
        };
        let ended = Ended {
            used: Some(used).filter(|used| *used != Used::default()),
            ..ended
        };
        drop(guard);
        let _ = answer.send(ended);
    });
    exit
}

/// bubblewrap's new session is an autogroup of its own, in which the niceness that it inherited
/// counts for nothing against other groups: the group has to be nice as well.
async fn nice_session(first: Pid) {
    let mut refused = 0;
    for _ in 0..100 {
        match rustix::process::getsid(Some(first)) {
            Ok(session) if session == first => {
                let file = format!("/proc/{}/autogroup", first.as_raw_nonzero());
                match std::fs::write(file, "10") {
                    // To ordinary users the kernel allows it ten times a second, all together.
                    Err(error) if error.kind() == ErrorKind::WouldBlock && refused < 30 => {
                        refused += 1;
                        tokio::time::sleep(Duration::from_millis(110)).await;
                    }
                    _ => return,
                }
            }
            // Still on its way from the gate to `setsid`.
            Ok(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(_) => return,
        }
    }
}

/// bubblewrap reports a status only if the command was started; it gives 128 + n for signal n.
fn conclude(ending: Ending, code: Option<i32>, guard: &Guard) -> Ended {
    let forced = ending.limit.is_some() || ending.stopped;
    let mut exit = match (code, ending.status) {
        (Some(code), _) | (None, Status::Exited(code)) => from_shell(code),
        (None, Status::Signaled(signal)) => Exit {
            signal: Some(signal),
            ..Exit::default()
        },
    };
    exit.timed_out = ending.limit.is_some_and(LimitHit::is_time);
    exit.oom = !forced && guard.oom(&exit);
    let not_started = (code.is_none() && !forced).then(|| {
        let said = String::from_utf8_lossy(&ending.stderr_tail);
        said.trim().trim_start_matches("bwrap: ").to_owned()
    });
    let limit = match exit.oom {
        true => guard.met_memory().then(|| "memory".to_owned()),
        false => ending.limit.map(|limit| limit.as_str().to_owned()),
    };
    Ended {
        exit,
        limit,
        stopped: ending.stopped,
        not_started,
        used: None,
        said: guard.said.get().cloned(),
    }
}

pub(super) fn from_shell(code: i32) -> Exit {
    match code - 128 {
        signal @ 1..=31 => Exit {
            signal: Some(signal),
            ..Exit::default()
        },
        _ => Exit::code(code),
    }
}

pub(super) fn lost() -> Ended {
    Ended {
        exit: Exit::default(),
        limit: None,
        stopped: false,
        not_started: Some("regreen lost sight of the process".into()),
        used: None,
        said: None,
    }
}
