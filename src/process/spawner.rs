//! The one thread that forks. It lives as long as regreen, so that the death signal of its
//! children (`PR_SET_PDEATHSIG`, per thread) means "regreen is gone" and nothing else.

use crate::process::Child;
use crate::process::Command;
use crate::process::Input;
use crate::process::Rlimits;
use rustix::fs::MemfdFlags;
use rustix::fs::SealFlags;
use rustix::io::FdFlags;
use rustix::process::Pid;
use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::process::Signal;
use std::collections::HashSet;
use std::io;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::mpsc;
use tokio::sync::oneshot;

/// Niceness of a background child: below everything that a person waits for.
const NICE: i32 = 10;
/// `ioprio_set`: best effort (class 2), lowest priority (7). The idle class could starve.
const IOPRIO: libc::c_int = (2 << 13) | 7;

/// Pids that regreen has forked and not yet waited for. Shared between the spawner, which
/// adds, and the reaper of orphans, which must leave them alone; held across a fork, so that no
/// child can be born, die and be reaped before it is known.
static KNOWN: LazyLock<Mutex<HashSet<i32>>> = LazyLock::new(Mutex::default);

pub(super) fn known() -> MutexGuard<'static, HashSet<i32>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A handle on the forking thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spawner {
    requests: mpsc::Sender<Request>,
}

struct Request {
    command: Command,
    answer: oneshot::Sender<io::Result<Child>>,
}

impl Spawner {
    /// The process's only spawner; its thread starts with the first call.
    pub fn global() -> &'static Spawner {
        static SPAWNER: OnceLock<Spawner> = OnceLock::new();
        SPAWNER.get_or_init(|| {
            let (requests, inbox) = mpsc::channel::<Request>();
            std::thread::Builder::new()
                .name("regreen-spawner".into())
                .spawn(move || serve(&inbox))
                .expect("a thread can be made while regreen starts");
            Spawner { requests }
        })
    }

    /// Starts a program. The child is killed when the answer is dropped.
    ///
    /// # Errors
    /// Whatever kept the program from starting, a missing program or directory included.
    pub async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (answer, answered) = oneshot::channel();
        let gone = || io::Error::other("the spawner thread is gone");
        self.requests
            .send(Request { command, answer })
            .map_err(|_| gone())?;
        answered.await.map_err(|_| gone())??.attach()
    }
}

fn serve(inbox: &mpsc::Receiver<Request>) {
    while let Ok(Request { command, answer }) = inbox.recv() {
        // Nobody waits any more: a child that is not handed over is killed by its own drop.
        drop(answer.send(fork(command)));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that forks; everybody else comes here"
)]
fn fork(command: Command) -> io::Result<Child> {
    let mut std_command = std::process::Command::new(&command.program);
    std_command
        .args(&command.args)
        .env_clear()
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&command.cwd)
        .stdin(match &command.input {
            Input::Null => Stdio::null(),
            Input::Bytes(bytes) => Stdio::from(sealed_file(bytes)?),
            Input::Pipe => Stdio::piped(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(name) = &command.name {
        std_command.arg0(name);
    }
    let setup = Setup {
        keep: command.keep.iter().map(AsRawFd::as_raw_fd).collect(),
        rlimits: command.rlimits,
        background: command.background,
        parent: rustix::process::getpid(),
    };
    // SAFETY: `Setup::apply` makes only system calls on memory that was allocated before the
    // fork; it neither allocates nor takes a lock.
    unsafe { std_command.pre_exec(move || setup.apply()) };
    let mut known = known();
    let child = std_command.spawn()?;
    let child = Child::adopt(child)?;
    known.insert(child.pid().as_raw_nonzero().get());
    Ok(child)
}

/// What happens in the child between fork and exec.
struct Setup {
    keep: Vec<RawFd>,
    rlimits: Rlimits,
    background: bool,
    parent: Pid,
}

impl Setup {
    fn apply(&self) -> io::Result<()> {
        rustix::process::setsid()?;
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have died before the line above; then nobody would ever signal.
        if rustix::process::getppid() != Some(self.parent) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let limits = [
            (Resource::Core, self.rlimits.core),
            (Resource::Fsize, self.rlimits.file_size),
            (Resource::Data, self.rlimits.data),
        ];
        for (resource, limit) in limits {
            lower(resource, limit)?;
        }
        if self.background {
            be_nice();
        }
        close_others(&self.keep)
    }
}

/// Sets a limit, but never above the hard one that holds already.
fn lower(resource: Resource, limit: Option<u64>) -> io::Result<()> {
    let Some(limit) = limit else { return Ok(()) };
    let hard = rustix::process::getrlimit(resource).maximum;
    let limit = hard.map_or(limit, |hard| limit.min(hard));
    let both = Rlimit {
        current: Some(limit),
        maximum: Some(limit),
    };
    Ok(rustix::process::setrlimit(resource, both)?)
}

/// Gives a running process the low priority of a background child, and with it all that it
/// starts from now on. A courtesy: where it is refused the process runs all the same.
pub fn calm(pid: Pid) {
    lower_priority(Some(pid));
}

fn lower_priority(pid: Option<Pid>) {
    let _ = rustix::process::setpriority_process(pid, NICE);
    let number = pid.map_or(0, |pid| pid.as_raw_nonzero().get());
    // SAFETY: a plain system call with numbers only (who = 1: a process, 0 the calling one).
    unsafe { libc::syscall(libc::SYS_ioprio_set, 1, number, IOPRIO) };
}

/// Low priority is a courtesy: where it is refused the child runs all the same.
fn be_nice() {
    lower_priority(None);
    // A new session is a new autogroup, and niceness counts only inside one: the group itself
    // has to be nice as well.
    if let Ok(file) = rustix::fs::open(
        c"/proc/self/autogroup",
        rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    ) {
        let _ = rustix::io::write(&file, b"10");
    }
}

/// Marks every descriptor above 2 as close-on-exec, except the chosen ones. Closing them at
/// once would take away the pipe over which std reports a failed exec.
fn close_others(keep: &[RawFd]) -> io::Result<()> {
    // SAFETY: a plain system call; it touches only this process's descriptor table.
    let done = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3u32,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    for fd in keep {
        // SAFETY: the command owns the descriptor until after the fork, so it is open here.
        let fd = unsafe { BorrowedFd::borrow_raw(*fd) };
        rustix::io::fcntl_setfd(fd, FdFlags::empty())?;
    }
    Ok(())
}

/// An unnamed file with these bytes that nobody can change any more, read from its start.
///
/// # Errors
/// If the kernel has no room for it.
pub fn sealed_file(bytes: &[u8]) -> io::Result<OwnedFd> {
    let file =
        rustix::fs::memfd_create(c"regreen", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = &rest[written..];
    }
    rustix::fs::fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(file)
}
