//! What an attack tries, from inside: `regreen __probe` runs in the sandbox, really tries each
//! of these, and prints one line of JSON an attempt. It touches nothing that it does not put
//! back, so that it may run without a sandbox too, where most of it must succeed.

use rustix::io::Errno;
use serde::Deserialize;
use serde::Serialize;
use std::fs;
use std::io;
use std::io::Write;
use std::net::TcpStream;
use std::net::UdpSocket;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What the probe is told of the host: each is there, outside.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Bait {
    /// A word that stands in every secret.
    pub secret: String,
    /// A file with the secret in the user's home.
    pub home_file: PathBuf,
    /// A link in the working directory that points to it.
    pub link: PathBuf,
    /// A writable directory that is not the project's.
    pub outside: PathBuf,
    /// A file in the host's `/tmp`.
    pub tmp_file: PathBuf,
    /// A TCP service on the host's loopback.
    pub tcp: u16,
    /// A UDP service on the host's loopback that answers.
    pub udp: u16,
    /// An abstract unix socket.
    pub abstract_socket: String,
    /// A unix socket in the file system.
    pub path_socket: PathBuf,
    /// A process outside.
    pub pid: i32,
    /// When it started; inside, the same number names somebody else.
    pub started: u64,
}

/// The answer of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Which attempt.
    pub name: String,
    /// Whether the sandbox held.
    pub held: bool,
    /// What happened.
    pub detail: String,
}

/// What an attempt reached, or what held it back.
type Attempt = Result<String, String>;

/// Its name in the table of docs/security.md, and what it does.
type Named = (&'static str, fn(&Bait) -> Attempt);

const ATTEMPTS: &[Named] = &[
    ("home_secrets", |bait| read(&bait.home_file)),
    ("planted_link", |bait| read(&bait.link)),
    ("shadow", |_| read("/etc/shadow".as_ref())),
    ("host_tmp", |bait| read(&bait.tmp_file)),
    ("environment", environment),
    ("descriptors", |_| descriptors()),
    ("write_outside", |bait| create(&bait.outside.join("probe"))),
    ("write_usr", |_| create("/usr/.regreen-probe".as_ref())),
    ("write_etc", |_| create("/etc/.regreen-probe".as_ref())),
    ("write_root", |_| create("/.regreen-probe".as_ref())),
    ("write_dev", |_| create("/dev/.regreen-probe".as_ref())),
    ("tcp", |bait| {
        let address = ([127, 0, 0, 1], bait.tcp).into();
        said(TcpStream::connect_timeout(&address, Duration::from_secs(1)))
    }),
    ("udp", udp),
    ("abstract_socket", |bait| {
        let address = SocketAddr::from_abstract_name(&bait.abstract_socket);
        said(address.and_then(|address| UnixStream::connect_addr(&address)))
    }),
    ("path_socket", |bait| {
        said(UnixStream::connect(&bait.path_socket))
    }),
    ("host_process", host_process),
    ("kernel_settings", |_| {
        writable("/proc/sys/kernel/core_pattern").or_else(|_| writable("/proc/sysrq-trigger"))
    }),
    ("devices", |_| devices()),
    ("capabilities", |_| capabilities()),
    ("shm_size", |_| shm()),
    ("core_dumps", |_| core_dumps()),
    ("nested_namespaces", |_| {
        call(libc::SYS_unshare, [libc::CLONE_NEWUSER as u64, 0, 0, 0, 0])
    }),
    ("mount", |_| call(libc::SYS_mount, [0, 0, 0, 0, 0])),
    ("new_mount_api", |_| call(libc::SYS_fsopen, [0, 0, 0, 0, 0])),
    ("setns", |_| call(libc::SYS_setns, [u64::MAX, 0, 0, 0, 0])),
    ("clone_new_user", |_| clone_new_user()),
    ("clone3", |_| call(libc::SYS_clone3, [0, 0, 0, 0, 0])),
    ("io_uring", |_| {
        call(libc::SYS_io_uring_setup, [1, 0, 0, 0, 0])
    }),
    ("bpf", |_| call(libc::SYS_bpf, [u64::MAX, 0, 0, 0, 0])),
    ("perf", |_| call(libc::SYS_perf_event_open, [0, 0, 0, 0, 0])),
    ("keyctl", |_| {
        call(libc::SYS_keyctl, [0, u64::MAX - 2, 0, 0, 0])
    }),
    ("add_key", |_| call(libc::SYS_add_key, [0, 0, 0, 0, 0])),
    // A request that does not exist, for a process that does not: nobody is stopped.
    ("ptrace", |_| {
        call(libc::SYS_ptrace, [u64::from(u32::MAX), 0, 0, 0, 0])
    }),
    ("process_vm", |_| {
        call(libc::SYS_process_vm_readv, [1, 0, 0, 0, 0])
    }),
    ("userfaultfd", |_| {
        call(libc::SYS_userfaultfd, [u64::MAX, 0, 0, 0, 0])
    }),
    ("open_by_handle", |_| {
        call(libc::SYS_open_by_handle_at, [0, 0, 0, 0, 0])
    }),
    ("terminal_input", |_| {
        call(libc::SYS_ioctl, [0, 0x5412, 0, 0, 0])
    }),
    // The kernel looks at the lower half only; a filter that looks at all of it is passed.
    ("terminal_input_wide", |_| {
        call(libc::SYS_ioctl, [0, 0xffff_ffff_0000_5412, 0, 0, 0])
    }),
    ("vsock", |_| {
        call(libc::SYS_socket, [libc::AF_VSOCK as u64, 1, 0, 0, 0])
    }),
    #[cfg(target_arch = "x86_64")]
    ("x32_calls", |_| {
        call(0x4000_0000 + libc::SYS_keyctl, [0, u64::MAX - 2, 0, 0, 0])
    }),
];

/// Runs every attempt with the bait that standard input names.
pub fn main() -> ExitCode {
    let Ok(bait) = serde_json::from_reader::<_, Bait>(io::stdin()) else {
        return ExitCode::from(2);
    };
    for (name, attempt) in ATTEMPTS {
        let (held, detail) = match attempt(&bait) {
            Ok(reached) => (false, reached),
            Err(held_by) => (true, held_by),
        };
        let answer = Answer {
            name: (*name).to_owned(),
            held,
            detail,
        };
        let line = serde_json::to_string(&answer).unwrap_or_default();
        if writeln!(io::stdout(), "{line}").is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// The names of all attempts, for whoever checks that none was left out.
pub fn names() -> Vec<&'static str> {
    ATTEMPTS.iter().map(|(name, _)| *name).collect()
}

fn said<T>(result: io::Result<T>) -> Attempt {
    match result {
        Ok(_) => Ok("it was possible".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn read(path: &std::path::Path) -> Attempt {
    said(fs::read(path))
}

fn create(path: &std::path::Path) -> Attempt {
    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path);
    if made.is_ok() {
        let _ = fs::remove_file(path);
    }
    said(made)
}

fn writable(path: &str) -> Attempt {
    said(fs::OpenOptions::new().write(true).open(path))
}

fn done(answer: i64) -> Attempt {
    match answer {
        -1 => Err(io::Error::last_os_error().to_string()),
        _ => Ok("it was possible".into()),
    }
}

/// A system call that the filter must answer; any other answer comes from behind it.
fn call(number: libc::c_long, args: [u64; 5]) -> Attempt {
    let [a, b, c, d, e] = args;
    // SAFETY: every call above is harmless with these arguments: null pointers and impossible
    // descriptors, which the kernel refuses, or namespaces of this short-lived process.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e) };
    let errno = Errno::from_io_error(&io::Error::last_os_error());
    match (answer, errno) {
        (-1, Some(Errno::PERM | Errno::NOSYS)) => Err("the kernel refuses the call".into()),
        (-1, errno) => Ok(format!("the kernel looked at it: {errno:?}")),
        _ => Ok("it was possible".into()),
    }
}

fn clone_new_user() -> Attempt {
    let flags = (libc::CLONE_NEWUSER | libc::SIGCHLD) as u64;
    // SAFETY: a fork by another name; the child does nothing but leave.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0u64, 0u64, 0u64, 0u64) };
    match pid {
        -1 => Err(io::Error::last_os_error().to_string()),
        // SAFETY: the child; it leaves without running anything of ours.
        0 => unsafe { libc::_exit(0) },
        pid => {
            // SAFETY: waits for our own child.
            unsafe { libc::waitpid(pid as i32, std::ptr::null_mut(), 0) };
            Ok("it was possible".into())
        }
    }
}

/// Signal 0 only asks whether a process is there.
fn host_process(bait: &Bait) -> Attempt {
    // SAFETY: sends nothing.
    let answer = done(unsafe { libc::kill(bait.pid, 0) }.into())?;
    let pid = rustix::process::Pid::from_raw(bait.pid);
    match pid.and_then(crate::process::start_time) {
        Some(started) if started == bait.started => Ok(answer),
        _ => Err("the number names somebody inside".into()),
    }
}

/// The secret in the environment or the command line of any process that can be seen.
fn environment(bait: &Bait) -> Attempt {
    let mut seen = 0;
    for entry in fs::read_dir("/proc")
        .map_err(|error| error.to_string())?
        .flatten()
    {
        for file in ["environ", "cmdline"] {
            let Ok(bytes) = fs::read(entry.path().join(file)) else {
                continue;
            };
            seen += 1;
            let secret = bait.secret.as_bytes();
            if bytes.windows(secret.len()).any(|window| window == secret) {
                return Ok(format!(
                    "it stands in {}",
                    entry.path().join(file).display()
                ));
            }
        }
    }
    Err(format!("{seen} files looked at"))
}

fn descriptors() -> Attempt {
    let own = fs::read_dir("/proc/self/fd").map_err(|error| error.to_string())?;
    let extra: Vec<String> = own
        .flatten()
        .filter(|entry| {
            let number = entry.file_name().to_string_lossy().parse::<i32>();
            number.is_ok_and(|number| number > 2)
        })
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        // The descriptor that lists them.
        .filter(|target| !target.starts_with("/proc"))
        .map(|target| target.display().to_string())
        .collect();
    match extra.is_empty() {
        true => Err("only 0, 1 and 2 are open".into()),
        false => Ok(format!("open: {}", extra.join(", "))),
    }
}

fn udp(bait: &Bait) -> Attempt {
    let ask = || {
        let socket = UdpSocket::bind(("127.0.0.1", 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(500)))?;
        socket.connect(("127.0.0.1", bait.udp))?;
        socket.send(b"?")?;
        socket.recv(&mut [0; 8])
    };
    said(ask())
}

fn devices() -> Attempt {
    let found = ["/dev/kvm", "/dev/fuse", "/dev/mem", "/dev/sda", "/dev/vda"]
        .into_iter()
        .find(|path| std::path::Path::new(path).exists());
    match found {
        Some(path) => Ok(format!("`{path}` is there")),
        None => Err("none is there".into()),
    }
}

fn capabilities() -> Attempt {
    let status = fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let value = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or("").trim().to_owned()
    };
    let state = (
        value("CapEff:"),
        value("CapBnd:"),
        value("NoNewPrivs:"),
        value("Seccomp:"),
    );
    let zero = |text: &str| !text.is_empty() && text.chars().all(|c| c == '0');
    match zero(&state.0) && zero(&state.1) && state.2 == "1" && state.3 == "2" {
        true => Err("none, no new privileges, filter on".into()),
        false => Ok(format!(
            "effective, bounding, no new privileges, filter: {state:?}"
        )),
    }
}

/// Asks for more than the limit in one piece, which is refused before anything is used.
fn shm() -> Attempt {
    let size = rustix::fs::statvfs("/dev/shm").map_err(|error| error.to_string())?;
    let bytes = size.f_blocks * size.f_frsize;
    match bytes <= 1 << 30 {
        true => Err(format!("limited to {} MiB", bytes >> 20)),
        false => Ok(format!("{} MiB may be filled", bytes >> 20)),
    }
}

fn core_dumps() -> Attempt {
    match rustix::process::getrlimit(rustix::process::Resource::Core).maximum {
        Some(0) => Err("switched off".into()),
        other => Ok(format!("up to {other:?} bytes")),
    }
}
