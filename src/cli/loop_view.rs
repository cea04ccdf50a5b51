//! Watching a loop from the command line: lines for people on standard error, JSON lines on
//! standard output.

use crate::api::Server;
use crate::cli::out;
use crate::cli::out::Paint;
use crate::cli::out::Style;
use crate::daemon;
use crate::daemon::Audience;
use crate::daemon::Daemon;
use crate::daemon::Handle;
use crate::daemon::LoopWatch;
use crate::daemon::Options;
use crate::model::EXIT_INTERRUPTED;
use crate::model::GateAnswer;
use crate::model::GateVerdict;
use crate::model::HostEnv;
use crate::model::IterationRecord;
use crate::model::Landing;
use crate::model::LoopLine;
use crate::model::LoopReport;
use crate::model::StopReason;
use crate::model::TurnClass;
use std::future::Future;
use std::io::IsTerminal;
use std::io::Write;
use std::time::Duration;
use std::time::Instant;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Signals that come within this time of the first one say the same again; a later one means
/// that ending in good order takes too long.
const SAME_WISH: Duration = Duration::from_millis(500);

/// Runs a command of its own runtime.
pub(super) fn with_runtime(
    command: impl Future<Output = anyhow::Result<u8>>,
) -> anyhow::Result<u8> {
    // Before the first thread: it is forked.
    let _guard = daemon::guard(&HostEnv::capture());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let code = runtime.block_on(command);
    // A blocked helper thread must not keep the command alive.
    runtime.shutdown_background();
    code
}

/// Where loops are driven: in this process, which is the daemon for as long as it lasts unless
/// there is one already.
pub(super) struct Hosting {
    /// The door to it.
    pub(super) handle: Handle,
    daemon: Option<(Daemon, Option<Server>)>,
}

impl Hosting {
    /// Becomes the daemon, if there is none.
    pub(super) async fn begin() -> Hosting {
        let host = HostEnv::capture();
        if let Some(wrong) = daemon::set_up(&host, Audience::Person) {
            out::tell(format!("regreen: {wrong}"));
        }
        let options = Options {
            foreground: true,
            scope: true,
            ..Options::default()
        };
        match Daemon::start(host.clone(), options).await {
            Ok(mut daemon) => {
                // Without a socket nobody can ask it anything; the loop needs none.
                let server = Server::start(daemon.handle().clone()).ok();
                daemon.begin();
                Hosting {
                    handle: daemon.handle().clone(),
                    daemon: Some((daemon, server)),
                }
            }
            // The running daemon sees the loop by its record; the loop has a lock of its own.
            Err(_) => Hosting {
                handle: Handle::local(host),
                daemon: None,
            },
        }
    }

    /// Is no daemon any more.
    pub(super) async fn end(self) {
        if let Some((daemon, server)) = self.daemon {
            if let Some(server) = server {
                server.stop().await;
            }
            daemon.stop().await;
        }
    }
}

/// Somebody who watches a loop: Ctrl-C ends it, SIGTERM leaves it to be resumed.
pub(super) fn watch() -> (LoopWatch, mpsc::Receiver<LoopLine>) {
    let (lines, receiver) = mpsc::channel(1024);
    let watch = LoopWatch {
        lines,
        cancel: CancellationToken::new(),
        suspend: CancellationToken::new(),
    };
    tokio::spawn(signals(watch.cancel.clone(), watch.suspend.clone()));
    (watch, receiver)
}

async fn signals(cancel: CancellationToken, suspend: CancellationToken) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return;
    };
    let mut wished: Option<Instant> = None;
    loop {
        let token = tokio::select! {
            _ = interrupt.recv() => &cancel,
            _ = terminate.recv() => &suspend,
        };
        match wished {
            None => {
                wished = Some(Instant::now());
                token.cancel();
            }
            // One wish may come twice: `timeout` signals its child and then its child's group.
            Some(at) if at.elapsed() < SAME_WISH => {}
            Some(_) => std::process::exit(i32::from(EXIT_INTERRUPTED)),
        }
    }
}

/// Shows a loop while it goes on.
pub(super) struct View {
    json: bool,
    terminal: bool,
    paint: Paint,
    begun: Instant,
    /// What is under way, on a terminal.
    now: String,
    drawn: bool,
}

impl View {
    /// A view of JSON lines, or for people.
    pub(super) fn new(json: bool) -> Self {
        View {
            json,
            terminal: std::io::stderr().is_terminal() && !json,
            paint: Paint::stderr(),
            begun: Instant::now(),
            now: "starting".to_owned(),
            drawn: false,
        }
    }

    /// Shows lines until there are no more.
    pub(super) async fn show(mut self, mut lines: mpsc::Receiver<LoopLine>) {
        let mut ticker = tokio::time::interval(Duration::from_millis(200));
        loop {
            let line = tokio::select! {
                line = lines.recv() => line,
                _ = ticker.tick() => {
                    self.draw();
                    continue;
                }
            };
            let Some(line) = line else { break };
            if self.json {
                // A reader that went away (`| head`) does not end the loop.
                let _ = serde_json::to_string(&line).map(out::line);
            } else {
                self.take(&line);
            }
        }
        self.clear();
    }

    fn take(&mut self, line: &LoopLine) {
        match line {
            LoopLine::State {
                state, iteration, ..
            } => self.state(state, *iteration),
            LoopLine::Note { note } => {
                let remedy = note.remedy.as_ref().map(|remedy| format!(" ({remedy})"));
                let text = format!("note: {}{}", note.message, remedy.unwrap_or_default());
                self.tell(Style::Warn, &text);
            }
            LoopLine::Tests {
                suite,
                done,
                total,
                failed,
            } => {
                let total = total.map_or(String::new(), |total| format!("/{}", total.max(*done)));
                self.now = format!("{suite}  {done}{total} tests, {failed} failed");
            }
            LoopLine::Agent { text } => self.now = format!("agent: {text}"),
            LoopLine::Iteration { iteration } => self.iteration(iteration),
            LoopLine::Gates { gates } => self.gates(gates),
        }
    }

    fn state(&mut self, state: &str, iteration: u32) {
        let text = match state {
            "preparing" => "preparing a workspace".to_owned(),
            "baseline" => "testing where it starts".to_owned(),
            "turn" => format!("iteration {iteration}: the agent works"),
            "testing" => format!("iteration {iteration}: testing"),
            "landing" => "landing: proving it on the branch as it is now".to_owned(),
            "gating" => format!("iteration {iteration}: green; asking the gates"),
            _ => return,
        };
        self.tell(Style::Dim, &text);
        self.now = text;
    }

    fn iteration(&mut self, one: &IterationRecord) {
        let after = one.in_words();
        let style = match one.class {
            TurnClass::Fixed | TurnClass::Progress => Style::Good,
            _ => Style::Bad,
        };
        let text = format!(
            "iteration {}: {} ({after}; the agent {}, {})",
            one.iteration,
            one.class.as_str(),
            one.ended,
            out::duration(one.turn_ms)
        );
        self.tell(style, &text);
    }

    /// What stands against it, gate by gate; the report names those that passed.
    fn gates(&mut self, gates: &[GateAnswer]) {
        let passed = gates
            .iter()
            .filter(|gate| gate.verdict == GateVerdict::Pass)
            .count();
        let style = style_of(GateVerdict::Pass);
        let sign_of_pass = sign(GateVerdict::Pass);
        let text = format!("  {sign_of_pass} {passed} of {} gates pass", gates.len());
        self.tell(style, &text);
        for gate in gates {
            if gate.verdict == GateVerdict::Pass {
                continue;
            }
            let style = style_of(gate.verdict);
            let first = gate.evidence.first().map_or("", String::as_str);
            let text = format!("  {} {}: {first}", sign(gate.verdict), gate.gate.as_str());
            self.tell(style, &text);
        }
    }

    fn tell(&mut self, style: Style, text: &str) {
        self.clear();
        out::tell(self.paint.style(style, text));
    }

    fn draw(&mut self) {
        if !self.terminal {
            return;
        }
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let time = out::duration(millis);
        let room = out::width().saturating_sub(time.len() + 5);
        let now: String = self.now.chars().take(room).collect();
        let mut stderr = std::io::stderr().lock();
        // A terminal that went away needs no progress.
        let _ = write!(stderr, "\r\x1b[K  {now}  {time}").and_then(|()| stderr.flush());
        self.drawn = true;
    }

    fn clear(&mut self) {
        if self.drawn {
            let mut stderr = std::io::stderr().lock();
            let _ = stderr.write_all(b"\r\x1b[K").and_then(|()| stderr.flush());
            self.drawn = false;
        }
    }
}

fn style_of(verdict: GateVerdict) -> Style {
    match verdict {
        GateVerdict::Pass => Style::Good,
        GateVerdict::NeedsApproval => Style::Warn,
        GateVerdict::Fail => Style::Bad,
    }
}

fn sign(verdict: GateVerdict) -> &'static str {
    match verdict {
        GateVerdict::Pass => "✓",
        GateVerdict::NeedsApproval => "?",
        GateVerdict::Fail => "✗",
    }
}

/// An error with its causes, on standard error.
pub(super) fn complain(error: impl Into<anyhow::Error>) {
    let error: anyhow::Error = error.into();
    out::tell(format!("regreen: {error:#}"));
}

/// What people read at the end.
pub(super) fn summary(handle: &Handle, report: &LoopReport) -> String {
    let mut text = handle.loop_markdown(report);
    text.push('\n');
    match (report.stop_reason, report.landing) {
        (_, Landing::Applied) => text.push_str(&format!(
            "It is on the branch. `git branch -D {}` removes the loop's own one.\n",
            report.loop_branch
        )),
        (_, Landing::Rejected) => text.push_str(&format!(
            "It was rejected. `git branch -D {}` removes its branch.\n",
            report.loop_branch
        )),
        (Some(StopReason::Passed), _) | (_, Landing::Approved) => {
            text.push_str(&format!("To land it: regreen loops apply {}\n", report.id));
        }
        (Some(StopReason::NeedsApproval), Landing::None) => text.push_str(&format!(
            "To see it: git diff {}...{}\nThen: regreen loops approve {}\n",
            report.branch.as_deref().unwrap_or("HEAD"),
            report.loop_branch,
            report.id
        )),
        _ => {}
    }
    text
}
