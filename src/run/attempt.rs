//! One process of a run: started in a sandbox, read while it goes on, held to its silence
//! limit, and turned into a report.

use crate::model::Exit;
use crate::model::Note;
use crate::model::Report;
use crate::model::Used;
use crate::process::Courtesy;
use crate::run::collect::Collect;
use crate::run::collect::Collecting;
use crate::run::command::Plan;
use crate::run::tail::Tail;
use crate::sandbox::Backend;
use crate::sandbox::Chunk;
use crate::sandbox::Ended;
use crate::sandbox::Running;
use crate::sandbox::SandboxError;
use crate::sandbox::Spec;
use crate::sandbox::Stream;
use regreen_parsers::End;
use regreen_parsers::Live;
use regreen_parsers::Stream as Source;
use regreen_parsers::TestEvent;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Event files are read at most this often: every line of every test would wake us.
const BREATH: Duration = Duration::from_millis(8);
/// How much of the end of the output is kept for notes.
const TAIL_BYTES: usize = 64 << 10;

/// A test's target and id.
pub type Key = (Option<String>, String);

/// What one process came to.
#[derive(Debug)]
pub struct Attempted {
    /// What the parser made of it.
    pub report: Report,
    /// The limit that ended it, if one did.
    pub limit: Option<String>,
    /// Why the command was never started, if it was not.
    pub not_started: Option<String>,
    /// What there is to say of that limit.
    pub said: Option<String>,
    /// What its processes used.
    pub used: Option<Used>,
    /// The end of what it printed.
    pub tail: String,
    /// Every test that was seen, for a repetition one by one.
    pub seen: BTreeSet<Key>,
    /// Event files that were no regular files.
    pub refused: Vec<String>,
}

/// Where what becomes known goes.
#[derive(Debug)]
pub struct Sinks<'a> {
    /// Everything that the process prints.
    pub raw: &'a mut File,
    /// Test events, if anybody wants them.
    pub events: Option<&'a mpsc::Sender<TestEvent>>,
    /// Only failures go out: the counts of an early look are not those of the run.
    pub only_failures: bool,
}

/// What to start, and how to read it.
#[derive(Debug)]
pub struct Start<'a> {
    /// The command in its sandbox.
    pub spec: Spec,
    /// How its output is read.
    pub plan: &'a Plan,
    /// Where its event files will lie.
    pub events_dir: &'a Path,
    /// Report files that it writes into the project by itself.
    pub collect: Collect,
    /// Whether it stands back behind the user's own work until the first test.
    pub stands_back: bool,
}

/// Runs one process to its end.
pub async fn attempt(
    backend: &dyn Backend,
    start: Start<'_>,
    sinks: Sinks<'_>,
    stop: &CancellationToken,
) -> Result<Attempted, SandboxError> {
    let plan = start.plan;
    let tail = Tail::open(start.events_dir).map_err(SandboxError::Start)?;
    let limit = start.spec.limits.wall();
    let below = Collect {
        tree: start.events_dir.to_owned(),
        dir: PathBuf::new(),
        patterns: vec!["*/**/*".to_owned()],
    };
    let collecting = [start.collect.begin(), below.begin()];
    let running = backend.start(start.spec).await?;
    let courtesy = start
        .stands_back
        .then(|| Courtesy::new(running.tree.clone(), limit));
    let reader = Reader {
        live: Live::new(plan.format, plan.context.clone()),
        tail,
        sinks,
        printed: Vec::new(),
        seen: BTreeSet::new(),
        courtesy: courtesy.flatten(),
        collecting,
    };
    Ok(reader.read(running, stop).await)
}

struct Reader<'a> {
    live: Live,
    tail: Tail,
    sinks: Sinks<'a>,
    printed: Vec<u8>,
    seen: BTreeSet<Key>,
    /// Until the first test begins.
    courtesy: Option<Courtesy>,
    /// Report files in the project, and those in directories among the events.
    collecting: [Collecting; 2],
}

impl Reader<'_> {
    async fn read(mut self, mut running: Running, stop: &CancellationToken) -> Attempted {
        let mut asked = false;
        let mut open = true;
        let mut next_look = Instant::now();
        let ended = loop {
            tokio::select! {
                chunk = running.output.recv(), if open => match chunk {
                    Some(chunk) => self.printed(chunk).await,
                    None => open = false,
                },
                () = changed(&self.tail, next_look) => {
                    if self.look().await {
                        // An event is a sign of life, whatever is printed.
                        running.heartbeat.beat();
                    }
                    next_look = Instant::now() + BREATH;
                }
                ended = &mut running.exit => break ended,
                () = due(self.courtesy.as_ref()) => self.give_way(&running).await,
                () = stop.cancelled(), if !asked => {
                    asked = true;
                    // Who is stopped hears no TERM.
                    self.courtesy = None;
                    running.stop.cancel();
                }
            }
        };
        while let Some(chunk) = running.output.recv().await {
            self.printed(chunk).await;
        }
        self.look().await;
        let found: Vec<_> = self.collecting.iter().map(Collecting::end).collect();
        for (files, refused) in found {
            self.tail.refused.extend(refused);
            for (name, bytes) in files {
                let events = self.live.feed(Source::File(&name), &bytes);
                self.tell(events).await;
            }
        }
        self.finish(ended.ok(), asked)
    }

    /// Lets the user's own work pass, as long as no test has begun.
    async fn give_way(&mut self, running: &Running) {
        self.look().await;
        if self.tail.has_files() {
            self.courtesy = None;
        } else if let Some(courtesy) = &mut self.courtesy
            && courtesy.look().await
        {
            running.heartbeat.beat();
        }
    }

    async fn printed(&mut self, chunk: Chunk) {
        // A full disk must not end the run; the report says where the log should be.
        let _ = self.sinks.raw.write_all(&chunk.bytes);
        self.printed.extend_from_slice(&chunk.bytes);
        if self.printed.len() > 2 * TAIL_BYTES {
            self.printed.drain(..self.printed.len() - TAIL_BYTES);
        }
        let source = match chunk.stream {
            Stream::Stdout => Source::Stdout,
            Stream::Stderr => Source::Stderr,
        };
        let events = self.live.feed(source, &chunk.bytes);
        self.tell(events).await;
    }

    /// Reads what was written to the event files; says whether there was anything.
    async fn look(&mut self) -> bool {
        let mut any = false;
        loop {
            let news = self.tail.read();
            if news.is_empty() {
                return any;
            }
            any = true;
            for (name, bytes) in news {
                // The binaries' standard error comes through cargo's as well.
                if name.ends_with(".events") {
                    let _ = self.sinks.raw.write_all(&bytes);
                }
                let events = self.live.feed(Source::File(&name), &bytes);
                self.tell(events).await;
            }
        }
    }

    async fn tell(&mut self, events: Vec<TestEvent>) {
        for event in events {
            match &event {
                TestEvent::Started { target, id }
                | TestEvent::Passed { target, id }
                | TestEvent::Skipped { target, id } => {
                    self.seen.insert((target.clone(), id.clone()));
                }
                TestEvent::Failed(failure) => {
                    self.seen
                        .insert((failure.target.clone(), failure.id.clone()));
                }
                _ => {}
            }
            let wanted = !self.sinks.only_failures || matches!(event, TestEvent::Failed(_));
            if wanted && let Some(sender) = self.sinks.events {
                // Nobody listens any more: the report is still wanted.
                let _ = sender.send(event).await;
            }
        }
    }

    fn finish(self, ended: Option<Ended>, asked: bool) -> Attempted {
        // A sandbox whose end nobody reports was taken away by the backend's own end.
        let ended = ended.unwrap_or(Ended {
            exit: Exit::default(),
            limit: None,
            stopped: true,
            not_started: None,
            used: None,
            said: None,
        });
        let mut exit = ended.exit;
        exit.timed_out |= matches!(ended.limit.as_deref(), Some("wall" | "silence"));
        let interrupted = (asked || ended.stopped) && !exit.timed_out && !exit.oom;
        let mut report = self.live.finish(End {
            exit: Some(exit),
            interrupted,
        });
        if self.tail.overflowed {
            report.complete = false;
            report.notes.push(overflowed());
        }
        Attempted {
            report,
            limit: ended.limit,
            not_started: ended.not_started,
            used: ended.used,
            said: ended.said,
            tail: String::from_utf8_lossy(&self.printed).into_owned(),
            seen: self.seen,
            refused: self.tail.refused,
        }
    }
}

/// Tests that write past the harness's capture do so among its events.
fn overflowed() -> Note {
    let message = "the tests wrote more than regreen reads among the harness's events, so what \
                   came after that was not seen";
    Note::new("events_overflow", message)
        .remedy("print less, or with `println!`, which the harness captures")
}

/// Waits until it is time to look at the machine; for ever if nobody stands back.
async fn due(courtesy: Option<&Courtesy>) {
    match courtesy {
        Some(courtesy) => courtesy.due().await,
        None => std::future::pending().await,
    }
}

/// Waits for news in the event files, but not before `not_before`.
async fn changed(tail: &Tail, not_before: Instant) {
    tokio::time::sleep_until(not_before).await;
    tail.changed().await;
}
