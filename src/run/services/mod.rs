//! Services that tests need: started in the same sandbox before the command, waited for, and
//! ended with it. [`inside`] does that; this is the side of the host: what is handed in, and what
//! is read back.

pub mod inside;
mod ready;

use crate::git;
use crate::model::Note;
use crate::model::Service;
use serde::Deserialize;
use serde::Serialize;
use std::io;
use std::path::Path;
use std::path::PathBuf;

/// The name of the list of services among what is injected.
pub const LIST: &str = "services.json";
/// Where the services' logs lie, inside.
pub const INSIDE: &str = "/run/regreen/services";
/// What the runner says of them, beside their logs.
const STATE: &str = "state.json";

/// So much of a log is kept with the run.
const MOST_LOG: u64 = 4 << 20;
/// So much of the end of a log stands in a note.
const TAIL: usize = 2 << 10;

/// What became of the services of one attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// All were ready, and the command was started.
    pub ready: bool,
    /// Which was not, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Gone>,
    /// Why the command could not be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_started: Option<String>,
    /// Which ended while the tests ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<Gone>,
}

/// A service that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: String,
}

/// The words before a command that is started beside services.
pub fn words(shim: &Path, inject: &Path) -> Vec<String> {
    [
        shim,
        Path::new("__services"),
        &inject.join(LIST),
        Path::new(INSIDE),
    ]
    .iter()
    .map(|word| word.to_string_lossy().into_owned())
    .collect()
}

/// What the runner is handed.
pub fn list(services: &[Service]) -> String {
    serde_json::to_string(services).unwrap_or_default()
}

/// Reads what the runner said. The directory is the sandbox's: what is missing or no record says
/// that nothing was started.
pub fn read(dir: &Path) -> State {
    let text = git::read_capped(dir, Path::new(STATE), 1 << 20);
    let state = text
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok());
    state.unwrap_or_default()
}

/// Keeps the services' logs with the run.
///
/// # Errors
/// If the disk refuses.
pub fn keep_logs(dir: &Path, run: &Path, services: &[Service]) -> io::Result<()> {
    for service in services {
        let log = git::read_capped(dir, &log_name(&service.name), MOST_LOG);
        if let Some(log) = log.ok().filter(|log| !log.is_empty()) {
            std::fs::write(run.join(format!("service-{}.log", service.name)), log)?;
        }
    }
    Ok(())
}

/// What a person is told of a service that did not get ready; the tests never ran.
pub fn not_ready(dir: &Path, gone: &Gone) -> Note {
    let message = format!(
        "the service `{}` did not get ready: {}{}",
        gone.name,
        gone.why,
        said(dir, &gone.name)
    );
    Note::new("service_not_ready", message)
        .remedy("check its `command` and `ready` in regreen.toml; its log lies beside the run's")
}

/// What a person is told of services that ended while the tests ran.
pub fn ended(dir: &Path, gone: &Gone) -> Note {
    let log = said(dir, &gone.name);
    let message = format!(
        "the service `{}` {} while the tests ran{log}",
        gone.name, gone.why
    );
    Note::new("service_ended", message)
}

/// The end of a service's log, in words.
fn said(dir: &Path, name: &str) -> String {
    let log = git::read_capped(dir, &log_name(name), MOST_LOG).unwrap_or_default();
    let tail = String::from_utf8_lossy(&log[log.len().saturating_sub(TAIL)..]).into_owned();
    match regreen_parsers::clean(&tail).trim() {
        "" => "; it printed nothing".to_owned(),
        text => format!("; it printed:\n{text}"),
    }
}

fn log_name(name: &str) -> PathBuf {
    PathBuf::from(format!("{name}.log"))
}
