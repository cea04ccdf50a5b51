//! The configuration as `regreen config show` prints it: key, value, origin.

use crate::config::Config;
use crate::config::Cores;
use crate::config::Size;
use crate::config::Time;
use serde::Serialize;
use std::time::Duration;

/// One line of `config show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The dotted key.
    pub key: String,
    /// The value in force, as it could be written in a file.
    pub value: String,
    /// Where it came from.
    pub origin: String,
}

impl Config {
    /// Every key with its value and origin, in the order of the documentation.
    pub fn rows(&self) -> Vec<Row> {
        let time = |time: Duration| quoted(&Time(time).to_string());
        let millis = |millis: u64| time(Duration::from_millis(millis));
        let size = |bytes: u64| quoted(&Size(bytes).to_string());
        let limits = &self.limits;
        let mut rows = vec![
            self.row("trigger", json(&self.trigger)),
            self.row("debounce", time(self.debounce)),
            self.row("backend", quoted(self.backend.as_str())),
            self.row(
                "sandbox.image",
                self.image.as_deref().map_or("none".into(), quoted),
            ),
            self.row("network", quoted(self.network.as_str())),
            self.row("pass_env", json(&self.pass_env)),
            self.row("mounts", json(&self.mounts)),
            self.row("include", json(&self.include)),
            self.row("detect", json(&self.detect)),
            self.row("limits.timeout", millis(limits.wall_ms)),
            self.row("limits.silence", millis(limits.silence_ms)),
            self.row(
                "limits.memory",
                limits.memory_bytes.map_or("unlimited".into(), size),
            ),
            self.row(
                "limits.processes",
                limits
                    .processes
                    .map_or("automatic".into(), |n| n.to_string()),
            ),
            self.row(
                "limits.cpu",
                limits
                    .cpu_millis
                    .map_or("unlimited".into(), |millis| Cores(millis).to_string()),
            ),
            self.row(
                "limits.disk",
                limits.disk_bytes.map_or("automatic".into(), size),
            ),
            self.row("limits.file_size", size(limits.file_bytes)),
            self.row("limits.output", size(limits.output_bytes)),
            self.row("fix.agent", quoted(&self.fix.agent)),
            self.row("fix.max_iterations", self.fix.max_iterations.to_string()),
            self.row("fix.timeout", time(self.fix.timeout)),
            self.row("fix.turn_timeout", time(self.fix.turn_timeout)),
            self.row("fix.gates", json(&self.fix.gates)),
            self.row("fix.protected", json(&self.fix.protected)),
            self.row("retention.age", time(self.retention_age)),
            self.row("retention.size", size(self.retention_bytes)),
            self.row("slots.max", self.slots_max.to_string()),
            self.row("slots.size", size(self.slots_bytes)),
            self.row("setup.allow", json(&self.setup.allow)),
            self.row("setup.hosts", json(&self.setup.hosts)),
            self.row("setup.timeout", time(self.setup.timeout)),
        ];
        for (name, agent) in &self.agents {
            rows.push(self.row(&format!("agent.{name}"), json(agent)));
        }
        for suite in &self.suites {
            let what = suite
                .command
                .as_ref()
                .map_or("(the detected command)".to_owned(), json);
            rows.push(self.row(&format!("suite.{}", suite.name), what));
        }
        rows
    }

    fn row(&self, key: &str, value: String) -> Row {
        Row {
            key: key.to_owned(),
            value,
            origin: self.origin(key).to_string(),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
