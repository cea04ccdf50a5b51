//! What a configuration file may say: closed structs, every key optional. The JSON Schema in
//! docs/schemas/config.schema.json is generated from them.

use crate::config::Cores;
use crate::config::Size;
use crate::config::Time;
use crate::config::command;
use crate::model::Framework;
use crate::model::HostRule;
use crate::model::Trigger;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Configuration of regreen: `regreen.toml` in a project, or the user's own
/// `$XDG_CONFIG_HOME/regreen/config.toml`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "regreen configuration")]
pub struct Layer {
    /// Which tree is tested: every `save`, every `stage` (the index) or every `commit` (HEAD).
    pub trigger: Option<Trigger>,
    /// How long a burst of changes has to be quiet before its tree is tested. A lone save is
    /// tested at once.
    pub debounce: Option<Time>,
    /// Where tests run. Opens something: not from an untrusted project.
    pub backend: Option<BackendName>,
    /// How the sandbox of a container engine is made.
    pub sandbox: Option<SandboxTable>,
    /// What tests may talk to. Opens something: not from an untrusted project.
    pub network: Option<NetworkAccess>,
    /// Variables of the user's environment that tests may see. Opens something.
    pub pass_env: Option<Vec<String>>,
    /// Further host directories that tests may see. Opens something.
    pub mounts: Option<Vec<MountEntry>>,
    /// Untracked files that look like credentials and go into the sandbox all the same,
    /// relative to the project. Opens something.
    pub include: Option<Vec<PathBuf>>,
    /// Whether suites are detected. With `false` only the `[[suite]]` tables count.
    pub detect: Option<bool>,
    /// The limits of a run. An untrusted project may only tighten them.
    pub limits: Option<LimitsTable>,
    /// Suites of this project: changes a detected one of the same name, or adds one.
    pub suite: Option<Vec<SuiteTable>>,
    /// The fix loop.
    pub fix: Option<FixTable>,
    /// Agents by name, for `regreen fix --agent NAME`. Opens something.
    pub agent: Option<BTreeMap<String, AgentTable>>,
    /// What is kept of earlier runs. Opens something.
    pub retention: Option<RetentionTable>,
    /// The copies of the worktree in which tests run. Opens something.
    pub slots: Option<SlotsTable>,
    /// What is installed before the tests, with network. Opens something.
    pub setup: Option<SetupTable>,
}

/// Where tests run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackendName {
    /// A sandbox of bubblewrap.
    #[default]
    Bwrap,
    /// A container of Docker or Podman.
    Engine,
    /// No sandbox at all: tests can do whatever the user can.
    None,
}

impl BackendName {
    /// The word in files, flags and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            BackendName::Bwrap => "bwrap",
            BackendName::Engine => "engine",
            BackendName::None => "none",
        }
    }
}

/// `[sandbox]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SandboxTable {
    /// The container image whose programs tests use, with `backend = "engine"`. It has to be in
    /// the engine already. Without it they use this machine's. Opens something: not from an
    /// untrusted project.
    pub image: Option<String>,
}

/// What tests or agents may talk to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NetworkAccess {
    /// Nothing but their own loopback.
    #[default]
    None,
    /// Whatever the host can reach.
    Host,
}

impl NetworkAccess {
    /// The word in files and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            NetworkAccess::None => "none",
            NetworkAccess::Host => "host",
        }
    }
}

/// A host directory or file that appears in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MountEntry {
    /// The absolute path on the host.
    pub source: PathBuf,
    /// The absolute path inside; the same as outside when absent.
    pub target: Option<PathBuf>,
    /// Whether tests may write to it.
    #[serde(default)]
    pub writable: bool,
}

/// `[limits]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsTable {
    /// Wall time of one run.
    pub timeout: Option<Time>,
    /// Time without any output or test event.
    pub silence: Option<Time>,
    /// Memory of one run.
    pub memory: Option<Size>,
    /// Processes and threads of one run.
    pub processes: Option<u64>,
    /// Processors that one run may keep busy, as a number; `1.5` is one and a half.
    pub cpu: Option<Cores>,
    /// What one run may write into its copy of the project, its HOME and its /tmp.
    pub disk: Option<Size>,
    /// The size of any one file that is written.
    pub file_size: Option<Size>,
    /// Captured output; what lies beyond is dropped from the middle.
    pub output: Option<Size>,
}

/// The values of each key of a matrix.
pub type Matrix = BTreeMap<String, Vec<String>>;

/// `[[suite]]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuiteTable {
    /// Its name: a detected one (`cargo`, `pytest@tools`) to change, or a new one.
    pub name: String,
    /// Who runs the tests; guessed from the command when absent.
    pub framework: Option<Framework>,
    /// Its directory, relative to the project.
    pub dir: Option<PathBuf>,
    /// The command; a list of arguments, or one string, which goes to `sh -c` only if it needs
    /// a shell.
    pub command: Option<CommandLine>,
    /// Environment to add.
    pub env: Option<BTreeMap<String, String>>,
    /// Ignored directories that the tests need, relative to the project.
    pub carry: Option<Vec<PathBuf>>,
    /// What runs beside the tests, in their sandbox.
    pub service: Option<Vec<ServiceTable>>,
    /// What is installed before the tests, with network. Opens something.
    pub setup: Option<SuiteSetup>,
    /// Environments to run it in: each combination of values is a suite of its own. A key in
    /// capitals is a variable; any other one stands where the suite says `{key}`; `toolchain` is
    /// rustup's, `python` the interpreter's version.
    pub matrix: Option<Matrix>,
    /// Files to keep with each run (coverage, reports), as patterns from the suite's directory:
    /// `*` is a part of a name, `**` any directories.
    pub artifacts: Option<Vec<String>>,
    /// Wall time of one run.
    pub timeout: Option<Time>,
    /// Time without any output or test event.
    pub silence: Option<Time>,
    /// With `false` the suite does not run.
    pub enabled: Option<bool>,
}

/// `[fix]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FixTable {
    /// The agent that edits: `fixer` or a name of `[agent.NAME]`. Opens something.
    pub agent: Option<String>,
    /// Iterations at most.
    pub max_iterations: Option<u32>,
    /// Wall time of the whole loop.
    pub timeout: Option<Time>,
    /// Wall time of one turn of the agent.
    pub turn_timeout: Option<Time>,
    /// Commands that have to succeed in the sandbox before a loop has passed.
    pub gates: Option<Vec<CommandLine>>,
    /// Further patterns of paths that are never applied without approval.
    pub protected: Option<Vec<String>>,
}

/// `[agent.NAME]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentTable {
    /// The program that edits; its brief comes on standard input.
    pub command: CommandLine,
    /// What it may talk to.
    #[serde(default)]
    pub network: NetworkAccess,
}

/// `[retention]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionTable {
    /// How long the records of a run are kept.
    pub age: Option<Time>,
    /// How much disk the records of all runs may take.
    pub size: Option<Size>,
}

/// `[slots]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlotsTable {
    /// Slots of one project at most.
    pub max: Option<u32>,
    /// How much disk all slots may take.
    pub size: Option<Size>,
}

/// `[setup]`: what is installed before the tests, in a sandbox of its own.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetupTable {
    /// Whether set-ups that were detected from lock files run.
    pub allow: Option<bool>,
    /// Hosts that every set-up may talk to, besides the usual registries of its tool.
    pub hosts: Option<Vec<HostRule>>,
    /// Wall time of a set-up.
    pub timeout: Option<Time>,
}

/// `[[suite.service]]`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceTable {
    /// Its name; letters, digits, `-` and `_`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,40}$"))]
    pub name: String,
    /// The command.
    pub command: CommandLine,
    /// Environment to add.
    pub env: Option<BTreeMap<String, String>>,
    /// When the tests may begin.
    pub ready: ReadyTable,
    /// How long that may take.
    pub timeout: Option<Time>,
}

/// `ready` of a service: one of these.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ReadyTable {
    /// It accepts a connection at this port of 127.0.0.1.
    Tcp(u16),
    /// It answers this address, `http://127.0.0.1:8080/health`, with a status below 400.
    Http(String),
    /// It has printed this.
    Log(String),
    /// This command exits with status 0.
    Command(CommandLine),
}

/// The set-up of a suite: `false`, a command, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SuiteSetup {
    /// `false`: none; `true`: the detected one.
    Switch(bool),
    /// The command; inputs and what it provides are those of its tool.
    Command(CommandLine),
    /// All of it.
    Table(SuiteSetupTable),
}

/// `[suite.setup]`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuiteSetupTable {
    /// The command.
    pub command: CommandLine,
    /// The files that its result depends on, relative to the suite's directory.
    pub inputs: Option<Vec<PathBuf>>,
    /// Names of the directories that it makes.
    pub provides: Option<Vec<String>>,
    /// The hosts that it may talk to.
    pub hosts: Option<Vec<HostRule>>,
}

/// A command: a list of arguments, or one string, which goes to `sh -c` only if it needs a shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CommandLine(pub Vec<String>);

impl<'de> Deserialize<'de> for CommandLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = CommandLine;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of arguments or one string")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<CommandLine, E> {
                if text.trim().is_empty() {
                    return Err(E::custom("the command is empty"));
                }
                let shell = || vec!["sh".into(), "-c".into(), text.into()];
                Ok(CommandLine(
                    command::plain_words(text).unwrap_or_else(shell),
                ))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut items: A,
            ) -> Result<CommandLine, A::Error> {
                let mut argv = Vec::new();
                while let Some(item) = items.next_element::<String>()? {
                    argv.push(item);
                }
                if argv.first().is_none_or(String::is_empty) {
                    return Err(serde::de::Error::custom("the command is empty"));
                }
                Ok(CommandLine(argv))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for CommandLine {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Command")
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "a list of arguments, or one string, which goes to `sh -c` only if it needs a shell",
            "oneOf": [
                { "type": "string", "minLength": 1 },
                { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            ],
        })
    }
}
