//! Configuration: defaults < user < project < environment < flags. Every value knows where it
//! came from, unknown keys are errors with a suggestion, and a project's own file may narrow
//! but not open anything until the user trusted it.

mod command;
mod cores;
mod error;
mod layer;
mod merge;
mod pairs;
mod read;
mod show;
pub mod trust;
mod units;

pub use command::assignments;
pub use command::guess_framework;
pub use command::plain_words;
pub use command::unseen_tests;
pub use cores::Cores;
pub use error::ConfigError;
pub use layer::AgentTable;
pub use layer::BackendName;
pub use layer::CommandLine;
pub use layer::Layer;
pub use layer::Matrix;
pub use layer::MountEntry;
pub use layer::NetworkAccess;
pub use layer::ReadyTable;
pub use layer::ServiceTable;
pub use layer::SuiteSetup;
pub use layer::SuiteSetupTable;
pub use layer::SuiteTable;
pub use merge::LeftOutSetting;
pub use pairs::Flag;
pub use read::PROJECT_FILE;
pub use read::nearest;
pub use show::Row;
pub use trust::Trust;
pub use units::Size;
pub use units::Time;

use crate::model::HostEnv;
use crate::model::HostRule;
use crate::model::Limits;
use crate::model::Note;
use crate::model::Trigger;
use merge::Merge;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that can be set, with its value in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Which tree is tested.
    pub trigger: Trigger,
    /// How long a burst of changes has to be quiet.
    pub debounce: Duration,
    /// Where tests run.
    pub backend: BackendName,
    /// The container image whose programs tests use, with the engine backend.
    pub image: Option<String>,
    /// What tests may talk to.
    pub network: NetworkAccess,
    /// Variables of the user's environment that tests may see.
    pub pass_env: Vec<String>,
    /// Further host directories that tests may see; absolute.
    pub mounts: Vec<MountEntry>,
    /// Files that look like credentials and go in all the same, relative to the project.
    pub include: Vec<PathBuf>,
    /// Whether suites are detected.
    pub detect: bool,
    /// The limits of a run.
    pub limits: Limits,
    /// What the configuration says about suites; `suite::suites` applies it.
    pub suites: Vec<SuiteTable>,
    /// The fix loop.
    pub fix: FixConfig,
    /// Agents by name.
    pub agents: BTreeMap<String, AgentTable>,
    /// How long the records of a run are kept.
    pub retention_age: Duration,
    /// How much disk the records of all runs may take, in bytes.
    pub retention_bytes: u64,
    /// Slots of one project at most.
    pub slots_max: u32,
    /// How much disk all slots may take, in bytes.
    pub slots_bytes: u64,
    /// What is installed before the tests.
    pub setup: SetupConfig,
    /// What an untrusted project file asked for and did not get.
    pub left_out: Vec<LeftOutSetting>,
    /// How far the project's file is believed.
    pub trust: Trust,
    /// What is not wrong, and probably not meant either.
    pub notes: Vec<Note>,
    origins: BTreeMap<String, Origin>,
}

/// `[setup]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SetupConfig {
    /// Whether set-ups that were detected run.
    pub allow: bool,
    /// Hosts that every set-up may talk to besides its tool's own.
    pub hosts: Vec<HostRule>,
    /// Wall time.
    pub timeout: Duration,
}

/// `[fix]`.
#[derive(Debug, Clone, PartialEq)]
pub struct FixConfig {
    /// The agent that edits: `fixer` or a name of `agents`.
    pub agent: String,
    /// Iterations at most.
    pub max_iterations: u32,
    /// Wall time of the whole loop.
    pub timeout: Duration,
    /// Wall time of one turn of the agent.
    pub turn_timeout: Duration,
    /// Commands that have to succeed in the sandbox before a loop has passed.
    pub gates: Vec<CommandLine>,
    /// Further patterns of paths that are never applied without approval.
    pub protected: Vec<String>,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Regreen's own default.
    Default,
    /// The user's file.
    User(PathBuf),
    /// The project's file.
    Project(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A flag on the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::User(file) | Origin::Project(file) => write!(f, "{}", file.display()),
            Origin::Environment(name) => write!(f, "${name}"),
            Origin::Flag(name) => f.write_str(name),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let budget = crate::model::Budget::default();
        Config {
            trigger: Trigger::Save,
            debounce: Duration::from_millis(30),
            backend: BackendName::Bwrap,
            image: None,
            network: NetworkAccess::None,
            pass_env: Vec::new(),
            mounts: Vec::new(),
            include: Vec::new(),
            detect: true,
            limits: Limits::default(),
            suites: Vec::new(),
            fix: FixConfig {
                agent: "fixer".to_owned(),
                max_iterations: budget.iterations,
                timeout: Duration::from_millis(budget.wall_ms),
                turn_timeout: Duration::from_millis(budget.turn_ms),
                gates: Vec::new(),
                protected: Vec::new(),
            },
            agents: BTreeMap::new(),
            retention_age: Duration::from_secs(30 * 24 * 3600),
            retention_bytes: 2 << 30,
            slots_max: 6,
            slots_bytes: 40 << 30,
            setup: SetupConfig {
                allow: false,
                hosts: Vec::new(),
                timeout: Duration::from_secs(15 * 60),
            },
            left_out: Vec::new(),
            trust: Trust::NoFile,
            notes: Vec::new(),
            origins: BTreeMap::new(),
        }
    }
}

impl Config {
    /// The configuration in force for the project at `root`, or for none.
    pub fn load(host: &HostEnv, root: Option<&Path>, flags: &[Flag]) -> Result<Self, ConfigError> {
        let project = match root {
            Some(root) => trust::subject(root)?,
            None => None,
        };
        Config::from_text(
            host,
            project
                .as_ref()
                .map(|(file, text)| (file.as_path(), text.as_str())),
            flags,
        )
    }

    /// The same with the text of the project's file handed in: a loop works with the one of
    /// its base, whatever its agent writes.
    pub fn from_text(
        host: &HostEnv,
        project: Option<(&Path, &str)>,
        flags: &[Flag],
    ) -> Result<Self, ConfigError> {
        let mut config = Config::default();
        let user = host.config_dir().join("config.toml");
        if let Some(text) = read::user_text(&user)? {
            let layer = read::layer(&user, &text)?;
            if layer.suite.is_some() {
                return Err(error::misplaced(&user, &text, "suite"));
            }
            Merge::trusted(&mut config, Origin::User(user)).layer(layer);
        }
        if let Some((file, text)) = project {
            let layer = read::layer(file, text)?;
            error::check(file, text, &layer)?;
            config.trust = trust::state(host, file, text);
            let origin = Origin::Project(file.to_owned());
            match config.trust {
                Trust::Trusted => Merge::trusted(&mut config, origin).layer(layer),
                _ => Merge::untrusted(&mut config, origin, text).layer(layer),
            }
        }
        config.notes = pairs::misspelt(host);
        for (origin, layer) in pairs::layers(host, flags)? {
            Merge::trusted(&mut config, origin).layer(layer);
        }
        Ok(config)
    }

    /// Where the value of a dotted key came from.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// The budget of a loop.
    pub fn budget(&self) -> crate::model::Budget {
        let millis = |time: Duration| Time(time).millis();
        crate::model::Budget {
            wall_ms: millis(self.fix.timeout),
            turn_ms: millis(self.fix.turn_timeout),
            iterations: self.fix.max_iterations,
            ..crate::model::Budget::default()
        }
    }

    /// The JSON Schema of both files.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Layer).to_value()
    }
}

#[cfg(test)]
mod tests;
