//! `regreen logs`: the daemon's log, and the output of a run.

use crate::daemon::Handle;
use crate::model::status::printable;
use crate::model::wire::Problem;
use crate::run::history;
use crate::telemetry;
use std::fs::File;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::path::Path;
use std::path::PathBuf;

/// So much of the end of a log is looked at.
const TAIL: u64 = 512 << 10;

/// A run's output is shown up to this size; its path is told besides.
const OUTPUT: u64 = 64 << 20;

impl Handle {
    /// The log file.
    pub fn log_file(&self) -> PathBuf {
        self.host().state_dir().join("log").join(telemetry::FILE)
    }

    /// The last `lines` lines of the daemon's log, readable.
    ///
    /// # Errors
    /// When there is no log.
    pub fn log_lines(&self, lines: usize) -> Result<Vec<String>, Problem> {
        let path = self.log_file();
        let text = tail(&path).map_err(|error| {
            let text = format!("failed to read `{}`: {error}", path.display());
            Problem::new(404, "no_log", text).remedy("it is written by `regreen daemon`")
        })?;
        let all: Vec<&str> = text.lines().collect();
        let first = all.len().saturating_sub(lines);
        Ok(all[first..].iter().map(|line| readable(line)).collect())
    }

    /// What a run printed, without control sequences, and where all of it lies.
    ///
    /// # Errors
    /// When there is no such run, or its output is gone.
    pub fn run_output(&self, run: &str) -> Result<(String, PathBuf), Problem> {
        let runs = history::runs_dir(&self.host().state_dir());
        let id = history::find(&runs, run).map_err(|candidates| {
            let (text, remedy) = match candidates.is_empty() {
                true => (
                    format!("there is no run `{run}`"),
                    "`regreen status --json` names the last run of each suite".to_owned(),
                ),
                false => (
                    format!("`{run}` is the beginning of several runs"),
                    format!("say which: {}", candidates.join(", ")),
                ),
            };
            Problem::new(404, "no_such_run", text).remedy(remedy)
        })?;
        let path = runs.join(id.as_str()).join("raw.log");
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(OUTPUT).read_to_end(&mut bytes))
            .map_err(|error| {
                let text = format!("failed to read `{}`: {error}", path.display());
                Problem::new(404, "no_output", text)
            })?;
        Ok((printable(&String::from_utf8_lossy(&bytes)), path))
    }
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // The first line is cut where the file was longer.
    Ok(match from {
        0 => text,
        _ => text
            .split_once('\n')
            .map_or(String::new(), |(_, rest)| rest.to_owned()),
    })
}

/// A JSON line of the log as a person reads it; what is none stays as it is.
fn readable(line: &str) -> String {
    let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_str(line) else {
        return printable(line);
    };
    let mut take = |name: &str| match fields.remove(name) {
        Some(serde_json::Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let (at, level, message) = (take("timestamp"), take("level"), take("message"));
    take("target");
    let spans = match fields.remove("spans") {
        Some(serde_json::Value::Array(spans)) => spans,
        _ => Vec::new(),
    };
    let mut text = format!("{at} {level:>5} ");
    for span in spans {
        let named = |name: &str| span.get(name).and_then(|v| v.as_str()).unwrap_or_default();
        text.push_str(&format!("{}[{}] ", named("name"), named("id")));
    }
    text.push_str(&message);
    for (name, value) in fields {
        match value {
            // A backtrace is many lines.
            serde_json::Value::String(value) if value.contains('\n') => {
                text.push_str(&format!("\n{name}:\n{value}"));
            }
            serde_json::Value::String(value) => text.push_str(&format!(" {name}={value}")),
            value => text.push_str(&format!(" {name}={value}")),
        }
    }
    printable(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_are_readable_and_harmless() {
        let line = r#"{"timestamp":"T","level":"INFO","message":"run ended","outcome":"passed","target":"x","spans":[{"id":"p1","name":"project"},{"id":"r1","name":"run"}]}"#;
        assert_eq!(
            readable(line),
            "T  INFO project[p1] run[r1] run ended outcome=passed"
        );
        assert_eq!(readable("\u{1b}[31mred"), "red");
    }
}
