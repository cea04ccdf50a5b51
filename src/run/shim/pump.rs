//! Carries what a test binary prints into its files, and learns how it ended.

use crate::run::shim::witness;
use regreen_parsers::cargo::shim::Header;
use regreen_parsers::cargo::shim::Trailer;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::process::ExitCode;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Instant;

/// How a binary ended.
pub struct Ended(ExitStatus);

impl Ended {
    /// An end with this status.
    pub fn new(status: ExitStatus) -> Self {
        Ended(status)
    }

    /// Whether it ended well.
    pub fn success(&self) -> bool {
        self.0.success()
    }

    /// Ends this process in the same way: by the same signal or with the same status.
    pub fn leave(&self) -> ExitCode {
        if let Some(signal) = self.0.signal() {
            // SAFETY: both calls only concern this process, which has one thread left and is
            // about to end.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                libc::kill(libc::getpid(), signal);
            }
            return ExitCode::from(128_u8.wrapping_add(signal as u8));
        }
        ExitCode::from(self.0.code().unwrap_or(1) as u8)
    }
}

/// One stream of the binary on its way into files.
struct Pipe {
    from: Option<OwnedFd>,
    to: Option<File>,
    /// Only what this process writes belongs into the file; the rest is echoed.
    only: Option<u32>,
    /// Whether the shim's own standard error gets it too.
    echo: bool,
    bytes: u64,
}

/// How standard output is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// Through a pipe: whoever has it may write.
    Plain,
    /// Through a socket that knows who writes: what the binary's children print is kept apart.
    Witnessed,
}

/// Starts the command and carries its output until it has ended.
pub fn run(
    mut command: Command,
    events: &Path,
    stem: &str,
    mut header: Header,
    carried: Carried,
) -> std::io::Result<Ended> {
    // Made before the binary starts: if it cannot be made, nothing has run twice.
    let mut record = File::create(events.join(format!("{stem}.tmp")))?;
    let begun = Instant::now();
    let witnessed = match carried {
        Carried::Witnessed => witness::pair().ok(),
        Carried::Plain => None,
    };
    let (ours, theirs) = match witnessed {
        Some((ours, theirs)) => (Some(ours), Stdio::from(theirs)),
        None => (None, Stdio::piped()),
    };
    // A test that ends its process group ends itself, not cargo and not its witness.
    command.process_group(0);
    let mut child = command.stdout(theirs).stderr(Stdio::piped()).spawn()?;
    // It holds the child's end of the socket.
    drop(command);
    header.pid = child.id();
    let line = serde_json::to_string(&header).unwrap_or_default();
    // From here on the binary runs: what cannot be written is missed by the parser, which
    // then calls the run incomplete.
    let _ = writeln!(record, "{line}");
    let _ = std::fs::rename(
        events.join(format!("{stem}.tmp")),
        events.join(format!("{stem}.events")),
    );
    let mut out = Pipe {
        only: ours.is_some().then_some(child.id()),
        from: ours.or_else(|| child.stdout.take().map(OwnedFd::from)),
        to: record.try_clone().ok(),
        echo: false,
        bytes: 0,
    };
    let mut err = Pipe {
        only: None,
        from: child.stderr.take().map(OwnedFd::from),
        to: File::create(events.join(format!("{stem}.stderr"))).ok(),
        echo: true,
        bytes: 0,
    };
    // The binary has started: from here on an error must not have it started again.
    let status = carry(&mut child, &mut out, &mut err).or_else(|_| child.wait())?;
    let trailer = Trailer::new(
        status.code(),
        status.signal(),
        out.bytes,
        u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    );
    let _ = record.write_all(&trailer.closing());
    Ok(Ended(status))
}

/// How long lines may gather before they are carried on. A harness writes two lines a test:
/// waking for each would take its processor from the next test.
const GATHER: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 2_000_000,
};

/// Reads both pipes until the binary has ended and they are dry. A grandchild that keeps a
/// pipe open is not waited for: cargo would not wait for it either.
fn carry(
    child: &mut std::process::Child,
    out: &mut Pipe,
    err: &mut Pipe,
) -> std::io::Result<ExitStatus> {
    let pid = rustix::process::Pid::from_child(child);
    let ended = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
    let mut over = false;
    let mut moved = false;
    loop {
        // Once the end is known, and while there is something, only a look; else wait.
        let bound = (over || moved).then(Timespec::default);
        let ready = {
            let mut fds = vec![PollFd::new(&ended, PollFlags::IN)];
            for pipe in [out.from.as_ref(), err.from.as_ref()].into_iter().flatten() {
                fds.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN));
            }
            match rustix::event::poll(&mut fds, bound.as_ref()) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
            let mut ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            over |= ready.remove(0);
            ready
        };
        let was_moving = std::mem::take(&mut moved);
        let mut ready = ready.into_iter();
        for pipe in [&mut *out, &mut *err] {
            if pipe.from.is_some() && ready.next() == Some(true) {
                moved |= pipe.step();
            }
        }
        if over && !moved {
            return child.wait();
        }
        if was_moving && !moved {
            // Dry for now. The binary's end cuts the wait short; errors show at the next turn.
            let _ = rustix::event::poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&GATHER));
        }
    }
}

impl Pipe {
    /// Moves what is there; says whether there was anything.
    fn step(&mut self) -> bool {
        let mut buffer = [0; 1 << 16];
        let Some(from) = &self.from else { return false };
        let read = match self.only {
            Some(_) => witness::receive(from, &mut buffer),
            None => rustix::io::retry_on_intr(|| rustix::io::read(from, &mut buffer))
                .map(|read| (read, None))
                .map_err(std::io::Error::from),
        };
        let (bytes, writer) = match read {
            Ok((read, writer)) if read > 0 => (&buffer[..read], writer),
            _ => {
                self.from = None;
                return false;
            }
        };
        let foreign = self.only.is_some() && writer != self.only;
        if !foreign {
            self.bytes += bytes.len() as u64;
            if let Some(to) = &mut self.to
                && to.write_all(bytes).is_err()
            {
                self.to = None;
            }
        }
        if self.echo || foreign {
            let _ = std::io::stderr().write_all(bytes);
        }
        true
    }
}
