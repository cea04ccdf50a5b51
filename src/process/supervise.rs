//! A child under supervision: its output streams out under a cap, its limits are held, and
//! when it ends, or has to, its whole tree ends with it.

use crate::process::Child;
use crate::process::Chunk;
use crate::process::Status;
use crate::process::Stream;
use crate::process::Tree;
use crate::process::Usage;
use crate::process::capture::Capture;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(2);
/// How long output may still come after the tree has been killed.
const DRAIN: Duration = Duration::from_secs(2);
/// Bytes that one read takes.
const READ: usize = 64 << 10;
/// Bytes of standard error that are remembered for messages.
const TAIL: usize = 2 << 10;
/// Pieces that may wait for whoever reads the output.
const QUEUE: usize = 64;

/// What a child is held to.
#[derive(Debug)]
pub struct Supervision {
    /// Wall time, if limited.
    pub wall: Option<Duration>,
    /// Time without output or [`Heartbeat::beat`], if limited.
    pub silence: Option<Duration>,
    /// Output kept, in bytes.
    pub output_bytes: u64,
    /// Asks for the end of the tree when cancelled.
    pub stop: CancellationToken,
    /// Ends the tree with the limit that it answers: one that somebody else watches.
    pub breached: Option<oneshot::Receiver<LimitHit>>,
}

/// A limit that ended a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitHit {
    /// It ran too long.
    Wall,
    /// It was silent too long.
    Silence,
    /// It printed many times more than is kept.
    Output,
    /// It wrote more than it may.
    Disk,
    /// It wrote until next to no space was left.
    DiskSpace,
}

impl LimitHit {
    /// The word in the report.
    pub fn as_str(self) -> &'static str {
        match self {
            LimitHit::Wall => "wall",
            LimitHit::Silence => "silence",
            LimitHit::Output => "output",
            LimitHit::Disk => "disk",
            LimitHit::DiskSpace => "disk_space",
        }
    }

    /// Whether it is a limit of time.
    pub fn is_time(self) -> bool {
        matches!(self, LimitHit::Wall | LimitHit::Silence)
    }
}

/// How a supervised child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Its status.
    pub status: Status,
    /// The limit that ended it, if one did.
    pub limit: Option<LimitHit>,
    /// Whether its end was asked for.
    pub stopped: bool,
    /// Bytes that it printed.
    pub output_bytes: u64,
    /// The end of what it printed on standard error, for messages about a failed start.
    pub stderr_tail: Vec<u8>,
    /// What it used, with those below it that were waited for.
    pub usage: Option<Usage>,
}

/// Tells the supervision that the child is alive though it prints nothing.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    start: Instant,
    last_ms: Arc<AtomicU64>,
}

impl Heartbeat {
    fn new() -> Self {
        Heartbeat {
            start: Instant::now(),
            last_ms: Arc::default(),
        }
    }

    /// The child did something just now.
    pub fn beat(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.fetch_max(now, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.start + Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }
}

/// A child under supervision.
#[derive(Debug)]
pub struct Supervised {
    /// Its output, in order of arrival; has to be read, or the child waits.
    pub output: mpsc::Receiver<Chunk>,
    /// How it ended. Dropping this kills the tree.
    pub exit: oneshot::Receiver<io::Result<Ending>>,
    /// To say that it is alive.
    pub heartbeat: Heartbeat,
}

/// Whoever leads what is supervised: how its end is seen, and brought about.
pub trait Leader: Send + 'static {
    /// Waits for its end. May be dropped and called again.
    fn wait(&mut self) -> impl Future<Output = io::Result<Status>> + Send;

    /// Asks everybody to end.
    fn terminate(&mut self) -> impl Future<Output = ()> + Send;

    /// Ends everybody, the leader included.
    fn kill(&mut self) -> impl Future<Output = ()> + Send;

    /// Ends whom a leader that has ended left behind.
    fn kill_rest(&mut self) -> impl Future<Output = ()> + Send;

    /// What it used, once it has ended; nothing where nobody tells.
    fn usage(&self) -> Option<Usage> {
        None
    }
}

/// Where the output of what is supervised comes from.
pub trait Printed: Send + 'static {
    /// The next piece; `None` at the end. May be dropped and called again.
    fn next(&mut self) -> impl Future<Output = Option<Chunk>> + Send;

    /// Whether more may come.
    fn open(&self) -> bool;
}

/// Puts a child and its tree under supervision, on the current runtime.
///
/// # Errors
/// If its pipes cannot be registered.
pub fn supervise(mut child: Child, tree: Tree, terms: Supervision) -> io::Result<Supervised> {
    let [stdout, stderr] = child.take_output()?;
    let pipes = Pipes { stdout, stderr };
    Ok(supervise_any(Local { child, tree }, pipes, terms))
}

/// Puts anybody under supervision, on the current runtime.
pub fn supervise_any(leader: impl Leader, printed: impl Printed, terms: Supervision) -> Supervised {
    let (output_tx, output) = mpsc::channel(QUEUE);
    let (exit_tx, exit) = oneshot::channel();
    let heartbeat = Heartbeat::new();
    let watch = Watch {
        leader,
        printed,
        terms,
        heartbeat: heartbeat.clone(),
        capture: Capture::new(0),
        pending: None,
        output: Some(output_tx),
        limit: None,
        stopped: false,
        stderr_tail: Vec::new(),
    };
    tokio::spawn(watch.run(exit_tx));
    Supervised {
        output,
        exit,
        heartbeat,
    }
}

/// A child of this process.
struct Local {
    child: Child,
    tree: Tree,
}

impl Local {
    /// Reads `/proc` off the runtime: on a busy machine that takes milliseconds.
    async fn on_tree(&self, act: fn(&Tree)) {
        let tree = self.tree.clone();
        let _ = tokio::task::spawn_blocking(move || act(&tree)).await;
    }
}

impl Leader for Local {
    fn usage(&self) -> Option<Usage> {
        self.child.usage()
    }

    async fn wait(&mut self) -> io::Result<Status> {
        self.child.wait().await
    }

    async fn terminate(&mut self) {
        self.on_tree(Tree::terminate).await;
    }

    async fn kill(&mut self) {
        self.on_tree(Tree::kill).await;
    }

    async fn kill_rest(&mut self) {
        self.on_tree(Tree::kill_rest).await;
    }
}

struct Pipes {
    stdout: Option<pipe::Receiver>,
    stderr: Option<pipe::Receiver>,
}

impl Printed for Pipes {
    fn open(&self) -> bool {
        self.stdout.is_some() || self.stderr.is_some()
    }

    async fn next(&mut self) -> Option<Chunk> {
        while self.open() {
            let mut out = Vec::new();
            let mut err = Vec::new();
            let (stream, bytes) = tokio::select! {
                more = read(&mut self.stdout, &mut out) => {
                    if !more { self.stdout = None }
                    (Stream::Stdout, out)
                }
                more = read(&mut self.stderr, &mut err) => {
                    if !more { self.stderr = None }
                    (Stream::Stderr, err)
                }
            };
            if !bytes.is_empty() {
                let mut bytes = bytes;
                bytes.shrink_to_fit();
                return Some(Chunk { stream, bytes });
            }
        }
        None
    }
}

/// Reads once; `false` at the end. A closed pipe never answers.
async fn read(pipe: &mut Option<pipe::Receiver>, into: &mut Vec<u8>) -> bool {
    match pipe {
        Some(pipe) => {
            into.reserve_exact(READ);
            matches!(pipe.read_buf(into).await, Ok(count) if count > 0)
        }
        None => std::future::pending().await,
    }
}

/// The state of one supervision.
struct Watch<L, P> {
    leader: L,
    printed: P,
    terms: Supervision,
    heartbeat: Heartbeat,
    capture: Capture,
    pending: Option<Chunk>,
    output: Option<mpsc::Sender<Chunk>>,
    limit: Option<LimitHit>,
    stopped: bool,
    stderr_tail: Vec<u8>,
}

/// What happened next to a child.
enum Step {
    Exited(io::Result<Status>),
    Printed(Option<Chunk>),
    Handed(bool),
    Stop,
    Breached(Option<LimitHit>),
    Abandoned,
    Time,
}

impl<L: Leader, P: Printed> Watch<L, P> {
    async fn run(mut self, mut exit: oneshot::Sender<io::Result<Ending>>) {
        self.capture = Capture::new(self.terms.output_bytes);
        let ending = self.until_exit(&mut exit).await;
        // What the leader left behind dies now, and with it the last writers of the pipes.
        self.leader.kill_rest().await;
        self.drain().await;
        self.flush(&exit).await;
        let _ = exit.send(ending.map(|status| Ending {
            status,
            limit: self.limit,
            stopped: self.stopped,
            output_bytes: self.capture.seen(),
            stderr_tail: self.stderr_tail,
            usage: self.leader.usage(),
        }));
    }

    /// Serves the child until it has exited.
    async fn until_exit(
        &mut self,
        exit: &mut oneshot::Sender<io::Result<Ending>>,
    ) -> io::Result<Status> {
        let mut kill_at: Option<Instant> = None;
        loop {
            match self.step(kill_at, exit).await {
                Step::Exited(status) => return status,
                Step::Printed(Some(chunk)) => self.take(chunk),
                Step::Printed(None) => {}
                Step::Handed(open) => self.handed(open),
                Step::Abandoned => return self.end_at_once().await,
                Step::Stop => {
                    self.stopped = true;
                    kill_at = Some(self.ask_to_end().await);
                }
                Step::Breached(hit) => {
                    // Watched no longer, whatever the answer is.
                    self.terms.breached = None;
                    if hit.is_some() && kill_at.is_none() {
                        self.limit = hit;
                        kill_at = Some(self.ask_to_end().await);
                    }
                }
                Step::Time if kill_at.is_some() => return self.end_at_once().await,
                Step::Time => {
                    self.limit = self.limit.or_else(|| self.limit_reached());
                    if self.limit.is_some() {
                        kill_at = Some(self.ask_to_end().await);
                    }
                }
            }
            if self.capture.flooded() && kill_at.is_none() {
                self.limit = Some(LimitHit::Output);
                kill_at = Some(self.ask_to_end().await);
            }
        }
    }

    async fn step(
        &mut self,
        kill_at: Option<Instant>,
        exit: &mut oneshot::Sender<io::Result<Ending>>,
    ) -> Step {
        let deadline = kill_at.or_else(|| self.next_deadline());
        let asked = kill_at.is_some();
        let reading = self.pending.is_none() && self.printed.open();
        tokio::select! {
            status = self.leader.wait() => Step::Exited(status),
            chunk = self.printed.next(), if reading => Step::Printed(chunk),
            permit = permit(self.output.as_ref()), if self.pending.is_some() => {
                match permit {
                    Some(permit) => {
                        if let Some(chunk) = self.pending.take() { permit.send(chunk) }
                        Step::Handed(true)
                    }
                    None => Step::Handed(false),
                }
            }
            () = self.terms.stop.cancelled(), if !asked && !self.stopped => Step::Stop,
            hit = breach(self.terms.breached.as_mut()) => Step::Breached(hit),
            () = exit.closed() => Step::Abandoned,
            () = until(deadline) => Step::Time,
        }
    }

    fn take(&mut self, chunk: Chunk) {
        self.heartbeat.beat();
        if chunk.stream == Stream::Stderr {
            self.stderr_tail.extend_from_slice(&chunk.bytes);
            let surplus = self.stderr_tail.len().saturating_sub(TAIL);
            self.stderr_tail.drain(..surplus);
        }
        self.pending = self.capture.push(chunk);
    }

    /// A piece was handed over, or nobody reads any more.
    fn handed(&mut self, open: bool) {
        if !open {
            self.pending = None;
            self.output = None;
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let wall = self.terms.wall.map(|wall| self.heartbeat.start + wall);
        let silence = self.terms.silence.map(|time| self.heartbeat.last() + time);
        wall.into_iter().chain(silence).min()
    }

    fn limit_reached(&self) -> Option<LimitHit> {
        let past = |since: Instant, limit: Option<Duration>| {
            limit.is_some_and(|limit| Instant::now() >= since + limit)
        };
        if past(self.heartbeat.start, self.terms.wall) {
            Some(LimitHit::Wall)
        } else if past(self.heartbeat.last(), self.terms.silence) {
            Some(LimitHit::Silence)
        } else {
            None
        }
    }

    /// TERM to the whole tree; answers when KILL is due.
    async fn ask_to_end(&mut self) -> Instant {
        self.leader.terminate().await;
        Instant::now() + GRACE
    }

    async fn end_at_once(&mut self) -> io::Result<Status> {
        self.leader.kill().await;
        self.leader.wait().await
    }

    /// Reads what is still in the pipes; a stranger that holds one open is not waited for.
    async fn drain(&mut self) {
        loop {
            if let Some(chunk) = self.pending.take() {
                self.hand(chunk).await;
            }
            match tokio::time::timeout(DRAIN, self.printed.next()).await {
                Ok(Some(chunk)) => self.take(chunk),
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Hands over what was held back.
    async fn flush(&mut self, exit: &oneshot::Sender<io::Result<Ending>>) {
        if exit.is_closed() {
            return;
        }
        if let Some(chunk) = self.pending.take() {
            self.hand(chunk).await;
        }
        while let Some(chunk) = self.capture.next_held() {
            self.hand(chunk).await;
        }
        self.output = None;
    }

    async fn hand(&mut self, chunk: Chunk) {
        if let Some(output) = &self.output
            && output.send(chunk).await.is_err()
        {
            self.output = None;
        }
    }
}

/// Room for a piece of output; `None` when nobody reads.
async fn permit(output: Option<&mpsc::Sender<Chunk>>) -> Option<mpsc::Permit<'_, Chunk>> {
    output?.reserve().await.ok()
}

/// What somebody else found; `None` when nobody watches any more.
async fn breach(watched: Option<&mut oneshot::Receiver<LimitHit>>) -> Option<LimitHit> {
    match watched {
        Some(watched) => watched.await.ok(),
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
