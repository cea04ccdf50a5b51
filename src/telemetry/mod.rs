//! Logs: readable lines on standard error (made for journald where it listens), and JSON lines
//! in a bounded file of the state directory. A panic is logged with its backtrace.

mod rotate;

pub use rotate::Rotating;

use std::backtrace::Backtrace;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::path::Path;
use std::sync::Mutex;
#[cfg(debug_assertions)]
use std::sync::atomic::AtomicBool;
#[cfg(debug_assertions)]
use std::sync::atomic::Ordering;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The log file's name in the state directory's `log`.
pub const FILE: &str = "regreen.log";

/// One log file grows to this size; then it makes room for a new one.
const FILE_BYTES: u64 = 8 << 20;

/// So many older files are kept.
const FILES: u32 = 3;

/// Where logs go.
#[derive(Debug, Clone, Copy)]
pub struct Logs<'a> {
    /// The directory of the log file; none is written without.
    pub dir: Option<&'a Path>,
    /// `REGREEN_LOG`'s value: a level, or directives like `regreen=debug,warn`.
    pub filter: Option<&'a str>,
    /// What standard error gets without a filter.
    pub stderr: &'static str,
    /// Whether standard error is journald's, which adds the time itself.
    pub journal: bool,
}

/// Sets up logging and the panic hook for the whole process. Called once, by the program; a
/// second call changes nothing. Answers what is wrong, if something is: logging is no reason
/// not to start.
pub fn start(logs: Logs<'_>) -> Option<String> {
    std::panic::set_hook(Box::new(panicked));
    let mut wrong = None;
    let stderr_filter = filter(logs.filter, logs.stderr, &mut wrong);
    let stderr = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let stderr = match logs.journal {
        true => stderr.without_time().boxed(),
        false => stderr.boxed(),
    };
    let file = logs.dir.and_then(|dir| {
        let path = dir.join(FILE);
        match Rotating::open(&path, FILE_BYTES, FILES) {
            Ok(file) => Some(
                tracing_subscriber::fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_current_span(false)
                    .with_span_list(true)
                    .with_writer(Mutex::new(file))
                    .with_filter(filter(logs.filter, "info", &mut None)),
            ),
            Err(error) => {
                wrong = Some(format!("failed to log to `{}`: {error}", path.display()));
                None
            }
        }
    });
    // Fails only if it is set up already, and then it stays as it is.
    let _ = tracing_subscriber::registry()
        .with(stderr.with_filter(stderr_filter))
        .with(file)
        .try_init();
    wrong
}

fn filter(wanted: Option<&str>, usual: &str, wrong: &mut Option<String>) -> EnvFilter {
    let usual = || EnvFilter::new(usual);
    match wanted {
        None => usual(),
        Some(text) => EnvFilter::try_new(text).unwrap_or_else(|error| {
            *wrong = Some(format!("`REGREEN_LOG={text}` is not understood: {error}"));
            usual()
        }),
    }
}

/// The last panic of this process, for whoever has to tell what became of a task. A lock and
/// not a channel, because the hook runs on any thread, at any time.
static LAST: Mutex<Option<String>> = Mutex::new(None);

/// What the last panic said and where, once.
pub fn last_panic() -> Option<String> {
    LAST.lock().ok()?.take()
}

/// Panics once in this process where a test asks for it by `REGREEN_PROVOKE_PANIC`. What is
/// built for release has nothing of this.
#[cfg(debug_assertions)]
pub fn provoke(place: &str) {
    static DONE: AtomicBool = AtomicBool::new(false);
    let asked = std::env::var_os("REGREEN_PROVOKE_PANIC").is_some_and(|asked| asked == place);
    if asked && !DONE.swap(true, Ordering::Relaxed) {
        panic!("provoked in the {place}");
    }
}

/// Nothing: this is built for release.
#[cfg(not(debug_assertions))]
pub fn provoke(_place: &str) {}

fn panicked(info: &PanicHookInfo<'_>) {
    let text = info
        .payload()
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| info.payload().downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)");
    let place = info
        .location()
        .map(|place| format!(" at {}:{}", place.file(), place.line()))
        .unwrap_or_default();
    let message = format!("{text}{place}");
    let backtrace = Backtrace::force_capture();
    tracing::error!(%backtrace, "panicked: {message}");
    if let Ok(mut last) = LAST.lock() {
        *last = Some(message);
    }
}
