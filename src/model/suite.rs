//! A suite: one test command and what is known of it.

use crate::model::HostRule;
use regreen_parsers::Format;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// The test frameworks that regreen drives itself.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Framework {
    /// `cargo test`.
    #[serde(rename = "cargo-test", alias = "cargo")]
    Cargo,
    /// `cargo nextest run`.
    Nextest,
    /// `python -m pytest`.
    Pytest,
    /// `python -m unittest`.
    Unittest,
    /// `go test`.
    GoTest,
    /// Jest.
    Jest,
    /// Vitest.
    Vitest,
    /// Mocha.
    Mocha,
    /// `node --test`.
    NodeTest,
    /// CTest.
    Ctest,
    /// A GoogleTest binary.
    Gtest,
    /// RSpec.
    Rspec,
    /// minitest.
    Minitest,
    /// PHPUnit.
    Phpunit,
    /// bats.
    Bats,
    /// `prove`.
    Prove,
    /// Any command that prints TAP.
    Tap,
    /// JUnit: the console launcher, Maven, Gradle; any command that writes its XML.
    Junit,
    /// Any command, judged by exit status and generic locations.
    Generic,
}

impl Framework {
    /// The word of `parse --format` and of the report.
    pub fn as_str(self) -> &'static str {
        self.format().as_str()
    }

    /// The format that its output is read in.
    pub fn format(self) -> Format {
        match self {
            Framework::Cargo => Format::Cargo,
            Framework::Nextest => Format::Nextest,
            Framework::Pytest => Format::Pytest,
            Framework::Unittest => Format::Unittest,
            Framework::GoTest => Format::GoTest,
            Framework::Jest => Format::Jest,
            Framework::Vitest => Format::Vitest,
            Framework::Mocha => Format::Mocha,
            Framework::NodeTest => Format::NodeTest,
            Framework::Ctest => Format::Ctest,
            Framework::Gtest => Format::Gtest,
            Framework::Rspec => Format::Rspec,
            Framework::Minitest => Format::Minitest,
            Framework::Phpunit => Format::Phpunit,
            Framework::Bats => Format::Bats,
            Framework::Prove => Format::Prove,
            Framework::Tap => Format::Tap,
            Framework::Junit => Format::Junit,
            Framework::Generic => Format::Generic,
        }
    }

    /// Every framework, in the order of the formats.
    pub const ALL: [Framework; 19] = [
        Framework::Cargo,
        Framework::Nextest,
        Framework::Pytest,
        Framework::Unittest,
        Framework::GoTest,
        Framework::Jest,
        Framework::Vitest,
        Framework::Mocha,
        Framework::NodeTest,
        Framework::Ctest,
        Framework::Gtest,
        Framework::Rspec,
        Framework::Minitest,
        Framework::Phpunit,
        Framework::Bats,
        Framework::Prove,
        Framework::Tap,
        Framework::Junit,
        Framework::Generic,
    ];

    /// The framework of a name, as a suite or `parse --format` has it.
    pub fn named(name: &str) -> Option<Self> {
        let format: Format = name.parse().ok()?;
        Framework::ALL
            .into_iter()
            .find(|framework| framework.format() == format)
    }

    /// Whether its tests may import what is installed for Python.
    pub fn may_use_python(self) -> bool {
        use Framework::Generic;
        use Framework::Pytest;
        use Framework::Unittest;
        matches!(self, Pytest | Unittest | Generic)
    }

    /// Whether its tests may load gems of Ruby.
    pub fn may_use_ruby(self) -> bool {
        use Framework::Generic;
        use Framework::Minitest;
        use Framework::Rspec;
        matches!(self, Rspec | Minitest | Generic)
    }

    /// Whether it is asked for structure by the environment alone, so that it does not matter what
    /// starts it.
    pub fn is_asked_by_environment(self) -> bool {
        use Framework::Cargo;
        use Framework::Generic;
        use Framework::Nextest;
        use Framework::Tap;
        !matches!(self, Cargo | Nextest | Generic | Tap)
    }

    /// Whether it compiles the project before it runs a test.
    pub fn builds(self) -> bool {
        use Framework::Cargo;
        use Framework::GoTest;
        use Framework::Nextest;
        matches!(self, Cargo | Nextest | GoTest)
    }
}

/// One test command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Suite {
    /// `cargo`, `pytest`, `cargo@tools`.
    pub name: String,
    /// Who runs the tests.
    pub framework: Framework,
    /// Its directory, relative to the worktree; empty for the root.
    pub dir: PathBuf,
    /// The command as the user would type it; regreen adds its own flags and environment.
    pub command: Vec<String>,
    /// Environment that the configuration adds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    /// Ignored directories to carry in, relative to the worktree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carry: Vec<PathBuf>,
    /// What runs beside the tests, in their sandbox.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
    /// What is installed before the tests, with a network that these do not get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<Setup>,
    /// Files to keep with each run, as patterns from its directory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<String>,
    /// The limits of one run.
    pub limits: Limits,
    /// Why this suite exists, in words for the user.
    pub why: String,
}

/// A process that tests need: it is started before them in the same sandbox, waited for, and ends
/// with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// Its name, which its log has too.
    pub name: String,
    /// The command; it stays in the foreground, or ends with status 0 when what it started stays.
    pub command: Vec<String>,
    /// Environment to add.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    /// When the tests may begin.
    pub ready: Ready,
    /// How long that may take, in milliseconds.
    pub timeout_ms: u64,
}

/// How a service shows that it is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ready {
    /// It accepts a connection at this port of 127.0.0.1.
    Tcp(u16),
    /// It answers `GET http://127.0.0.1:PORT/…` with a status below 400.
    Http(String),
    /// It has printed this.
    Log(String),
    /// This command exits with status 0.
    Command(Vec<String>),
}

/// A command that installs what tests need. It runs in a sandbox of its own, before the tests and
/// only when its inputs have changed; what it provides lies read-only under them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Setup {
    /// The command.
    pub command: Vec<String>,
    /// Its directory, relative to the worktree.
    pub dir: PathBuf,
    /// The files that its result depends on, relative to the worktree.
    pub inputs: Vec<PathBuf>,
    /// Names of directories that it makes, wherever in the worktree (`node_modules`,
    /// `vendor/bundle`), or in the home directory (`~/go/pkg/mod`).
    pub provides: Vec<String>,
    /// Environment of its own, which the tests get too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    /// The hosts that it may talk to.
    pub hosts: Vec<HostRule>,
    /// Wall time, in milliseconds.
    pub timeout_ms: u64,
    /// Whether somebody allowed it. It does not run otherwise.
    pub allowed: bool,
    /// Where it comes from, in words for the user.
    pub why: String,
}

/// The limits of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// Wall time, in milliseconds.
    pub wall_ms: u64,
    /// Time without any output or event, in milliseconds.
    pub silence_ms: u64,
    /// Memory in bytes, if limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Processes and threads at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// Processors that it may keep busy, in thousandths, if limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u64>,
    /// What it may write into its slot, in bytes; automatic when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
    /// One file's size at most, in bytes.
    pub file_bytes: u64,
    /// Captured output at most, in bytes; what lies beyond is dropped from the middle.
    pub output_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            wall_ms: 20 * 60 * 1000,
            silence_ms: 5 * 60 * 1000,
            memory_bytes: None,
            processes: None,
            cpu_millis: None,
            disk_bytes: None,
            file_bytes: 8 << 30,
            output_bytes: 64 << 20,
        }
    }
}

impl Limits {
    /// What a run may write into its slot at least where nobody says, in bytes.
    pub const AUTOMATIC_DISK: u64 = 64 << 30;
    /// Processes and threads that a run may have at least where nobody says.
    pub const AUTOMATIC_PROCESSES: u64 = 4096;

    /// The wall-time limit.
    pub fn wall(&self) -> Duration {
        Duration::from_millis(self.wall_ms)
    }

    /// The silence limit.
    pub fn silence(&self) -> Duration {
        Duration::from_millis(self.silence_ms)
    }
}
