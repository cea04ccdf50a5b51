//! Lays one layer over what is known so far, and decides what an untrusted project may not.

use crate::config::Config;
use crate::config::FixConfig;
use crate::config::Origin;
use crate::config::Size;
use crate::config::SuiteSetup;
use crate::config::SuiteTable;
use crate::config::Time;
use crate::config::error;
use crate::config::layer;
use crate::config::layer::Layer;
use crate::config::read;
use crate::model::Limits;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;
use std::time::Duration;

/// Something that an untrusted project file asked for and did not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOutSetting {
    /// The dotted key.
    pub key: String,
    /// Its line in the file, if it could be found again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Why it was left out.
    pub reason: String,
}

/// One layer on its way into the configuration.
pub struct Merge<'a> {
    config: &'a mut Config,
    origin: Origin,
    /// The text of the file when it is not trusted.
    untrusted: Option<&'a str>,
}

const OPENS: &str = "it opens something, and this file is not trusted";
const LOOSER: &str = "it is looser than what is in force, and this file is not trusted";

impl<'a> Merge<'a> {
    /// A layer that may say anything.
    pub fn trusted(config: &'a mut Config, origin: Origin) -> Self {
        Merge {
            config,
            origin,
            untrusted: None,
        }
    }

    /// A project's file that nobody trusted.
    pub fn untrusted(config: &'a mut Config, origin: Origin, text: &'a str) -> Self {
        Merge {
            config,
            origin,
            untrusted: Some(text),
        }
    }

    /// Lays the layer over the configuration.
    pub fn layer(mut self, layer: Layer) {
        self.free("trigger", layer.trigger, |c, v| c.trigger = v);
        self.free("debounce", layer.debounce, |c, v| c.debounce = v.0);
        self.free("detect", layer.detect, |c, v| c.detect = v);
        self.opens("backend", layer.backend, |c, v| c.backend = v);
        let sandbox = layer.sandbox.unwrap_or_default();
        self.opens("sandbox.image", sandbox.image, |c, v| c.image = Some(v));
        self.opens("network", layer.network, |c, v| c.network = v);
        self.opens("pass_env", layer.pass_env, |c, v| c.pass_env = v);
        self.opens("mounts", layer.mounts, |c, v| c.mounts = v);
        self.opens("include", layer.include, |c, v| c.include = v);
        self.limits(layer.limits.unwrap_or_default());
        self.suites(layer.suite.unwrap_or_default());
        self.fix(layer.fix.unwrap_or_default());
        for (name, agent) in layer.agent.unwrap_or_default() {
            let key = format!("agent.{name}");
            self.opens(&key, Some(agent), |c, v| {
                c.agents.insert(name.clone(), v);
            });
        }
        let retention = layer.retention.unwrap_or_default();
        self.opens("retention.age", retention.age, |c, v| c.retention_age = v.0);
        self.opens("retention.size", retention.size, |c, v| {
            c.retention_bytes = v.0;
        });
        let slots = layer.slots.unwrap_or_default();
        self.opens("slots.max", slots.max, |c, v| c.slots_max = v.max(1));
        self.opens("slots.size", slots.size, |c, v| c.slots_bytes = v.0);
        let setup = layer.setup.unwrap_or_default();
        self.opens("setup.allow", setup.allow, |c, v| c.setup.allow = v);
        self.opens("setup.hosts", setup.hosts, |c, v| c.setup.hosts = v);
        self.opens("setup.timeout", setup.timeout, |c, v| c.setup.timeout = v.0);
    }

    fn limits(&mut self, limits: layer::LimitsTable) {
        let now = self.config.limits;
        let time = |value: Option<Time>| value.map(Time::millis);
        let size = |value: Option<Size>| value.map(|size| size.0);
        self.tightens(
            "limits.timeout",
            time(limits.timeout),
            Some(now.wall_ms),
            |c, v| {
                c.limits.wall_ms = v;
            },
        );
        self.tightens(
            "limits.silence",
            time(limits.silence),
            Some(now.silence_ms),
            |c, v| {
                c.limits.silence_ms = v;
            },
        );
        self.tightens(
            "limits.memory",
            size(limits.memory),
            now.memory_bytes,
            |c, v| {
                c.limits.memory_bytes = Some(v);
            },
        );
        self.tightens(
            "limits.processes",
            limits.processes,
            Some(now.processes.unwrap_or(Limits::AUTOMATIC_PROCESSES)),
            |c, v| {
                c.limits.processes = Some(v);
            },
        );
        self.tightens(
            "limits.cpu",
            limits.cpu.map(|cores| cores.0),
            now.cpu_millis,
            |c, v| {
                c.limits.cpu_millis = Some(v);
            },
        );
        self.tightens(
            "limits.disk",
            size(limits.disk),
            Some(now.disk_bytes.unwrap_or(Limits::AUTOMATIC_DISK)),
            |c, v| {
                c.limits.disk_bytes = Some(v);
            },
        );
        self.tightens(
            "limits.file_size",
            size(limits.file_size),
            Some(now.file_bytes),
            |c, v| {
                c.limits.file_bytes = v;
            },
        );
        self.tightens(
            "limits.output",
            size(limits.output),
            Some(now.output_bytes),
            |c, v| {
                c.limits.output_bytes = v;
            },
        );
    }

    fn suites(&mut self, suites: Vec<SuiteTable>) {
        for (index, mut suite) in suites.into_iter().enumerate() {
            if self.untrusted.is_some() {
                self.narrow(index, &mut suite);
            }
            let key = format!("suite.{}", suite.name);
            self.config.origins.insert(key, self.origin.clone());
            self.config.suites.push(suite);
        }
    }

    /// Takes from a suite what an untrusted file may not ask for.
    fn narrow(&mut self, index: usize, suite: &mut SuiteTable) {
        let limits = self.config.limits;
        let looser = |time: Option<Time>, now: u64| time.is_some_and(|time| time.millis() > now);
        if looser(suite.timeout, limits.wall_ms) {
            suite.timeout = None;
            self.leave_out(&format!("suite.{index}.timeout"), LOOSER);
        }
        if looser(suite.silence, limits.silence_ms) {
            suite.silence = None;
            self.leave_out(&format!("suite.{index}.silence"), LOOSER);
        }
        if !matches!(suite.setup, None | Some(SuiteSetup::Switch(false))) {
            suite.setup = None;
            self.leave_out(&format!("suite.{index}.setup"), OPENS);
        }
        if let Some(carry) = &mut suite.carry
            && carry.iter().any(|path| !error::inside(path))
        {
            carry.retain(|path| error::inside(path));
            self.leave_out(
                &format!("suite.{index}.carry"),
                "it reaches outside the project, and this file is not trusted",
            );
        }
    }

    fn fix(&mut self, fix: layer::FixTable) {
        let FixConfig {
            max_iterations,
            timeout,
            turn_timeout,
            ..
        } = self.config.fix.clone();
        self.opens("fix.agent", fix.agent, |c, v| c.fix.agent = v);
        self.tightens(
            "fix.max_iterations",
            fix.max_iterations,
            Some(max_iterations),
            |c, v| {
                c.fix.max_iterations = v;
            },
        );
        let time = |value: Option<Time>| value.map(|time| time.0);
        self.tightens::<Duration>("fix.timeout", time(fix.timeout), Some(timeout), |c, v| {
            c.fix.timeout = v;
        });
        self.tightens(
            "fix.turn_timeout",
            time(fix.turn_timeout),
            Some(turn_timeout),
            |c, v| {
                c.fix.turn_timeout = v;
            },
        );
        // Gates and protected paths only narrow what passes: a layer adds to those below it.
        self.free("fix.gates", fix.gates, |c, v| c.fix.gates.extend(v));
        self.free("fix.protected", fix.protected, |c, v| {
            c.fix.protected.extend(v)
        });
    }

    fn free<T>(&mut self, key: &str, value: Option<T>, set: impl FnOnce(&mut Config, T)) {
        if let Some(value) = value {
            set(self.config, value);
            self.config
                .origins
                .insert(key.to_owned(), self.origin.clone());
        }
    }

    fn opens<T>(&mut self, key: &str, value: Option<T>, set: impl FnOnce(&mut Config, T)) {
        match value {
            Some(_) if self.untrusted.is_some() => self.leave_out(key, OPENS),
            value => self.free(key, value, set),
        }
    }

    /// `now` is the limit in force; `None` means unlimited.
    fn tightens<T: PartialOrd>(
        &mut self,
        key: &str,
        value: Option<T>,
        now: Option<T>,
        set: impl FnOnce(&mut Config, T),
    ) {
        let looser = value
            .as_ref()
            .zip(now.as_ref())
            .is_some_and(|(value, now)| value > now);
        if looser && self.untrusted.is_some() {
            self.leave_out(key, LOOSER);
        } else {
            self.free(key, value, set);
        }
    }

    fn leave_out(&mut self, key: &str, reason: &str) {
        let line = self.untrusted.and_then(|text| read::line_of(text, key));
        self.config.left_out.push(LeftOutSetting {
            key: key.to_owned(),
            line: line.and_then(|line| u32::try_from(line).ok()),
            reason: reason.to_owned(),
        });
    }
}
