//! The report: what the parsers make of one run of one suite (schema 1).
//!
//! These are wire types: they are written as JSON to the command line, the HTTP API and the
//! run directory, and changed only with a bump of [`SCHEMA`]. Optional facts are left out
//! when they are unknown, never guessed.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;

/// The version of the report's JSON.
pub const SCHEMA: u32 = 1;

/// What one run of one suite came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Report {
    /// Version of this document, [`SCHEMA`].
    pub schema: u32,
    /// What was run, where and how.
    pub run: RunInfo,
    /// The one word for the whole run.
    pub outcome: Outcome,
    /// Every started test binary or session has its end marker, or the build or collection
    /// failure is fully reported.
    pub complete: bool,
    /// How many tests ended how.
    pub counts: Counts,
    /// What failed, in the order in which it was seen.
    pub failures: Vec<Failure>,
    /// The failures by what seems to be their cause, the most frequent first; only where one
    /// cause has several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Diagnostics that did not fail the run (warnings of a compiler, say).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
    /// Facts about the run as a whole, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// Where the complete output lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_log: Option<String>,
    /// What the suite wanted kept of the run; in no part of a report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// Only in a part of a report: what comes after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<More>,
}

/// A file that a run wrote and that is kept with its records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Artifact {
    /// Where the run wrote it, relative to the project.
    pub path: String,
    /// Where it lies now; it goes with the run's records.
    pub kept: String,
    /// Its size.
    pub bytes: u64,
}

impl Artifact {
    /// A file that is kept.
    pub fn new(path: String, kept: String, bytes: u64) -> Self {
        Artifact { path, kept, bytes }
    }
}

/// What a part of a report leaves for the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct More {
    /// How many failures come after this part.
    pub failures: u64,
    /// Where the next part begins.
    pub cursor: String,
}

/// What was run, where and how. A log that was only parsed knows little of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct RunInfo {
    /// The run's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The git tree id of what was tested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The commit that was checked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Whether the snapshot differs from the commit's tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirty: Option<bool>,
    /// The suite's name (`cargo`, `pytest@tools`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// The command, as an argv array.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// A name of `regreen parse --format`.
    pub framework: String,
    /// Where the facts come from.
    pub source: Source,
    /// When the run began, RFC 3339 UTC with milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How the process ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// How the run was kept apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// What its processes used, repetitions included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Used>,
    /// Only in a verdict that was not run again: the earlier run that it was taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused_from: Option<ReusedFrom>,
}

/// The earlier run whose verdict was taken over, and its age.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReusedFrom {
    /// The earlier run's id.
    pub run: String,
    /// Its age when it was reused, in milliseconds.
    pub age_ms: u64,
}

/// Where the facts of a report come from, best first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// An event stream that was written while the tests ran.
    Events,
    /// A report file that was written at the end.
    Report,
    /// Text meant for people.
    #[default]
    Text,
}

/// How the process of a run ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exit {
    /// The exit status, absent when a signal ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal's number, absent when it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Regreen ended it because a time limit was reached.
    #[serde(default)]
    pub timed_out: bool,
    /// The kernel ended it because memory ran out.
    #[serde(default)]
    pub oom: bool,
}

impl Exit {
    /// An exit by status.
    pub fn code(code: i32) -> Self {
        Exit {
            code: Some(code),
            ..Exit::default()
        }
    }

    /// Whether the process ended by itself with status 0.
    pub fn success(&self) -> bool {
        self.code == Some(0) && !self.timed_out && !self.oom
    }
}

/// How a run was kept apart from the user's machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Isolation {
    /// `bwrap`, `docker`, `podman` or `none`.
    pub backend: String,
    /// Each limit by name (`network`, `memory`, `pids`, `wall`, …) and how far it holds.
    pub limits: BTreeMap<String, Enforcement>,
}

/// What the processes of a run used. A fact that the kernel did not tell is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Used {
    /// The most memory at one time, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// Whose memory that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_of: Option<MemoryOf>,
    /// Time of processors in user mode, of all processes together, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_user_ms: Option<u64>,
    /// Time of processors in the kernel, of all processes together, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_system_ms: Option<u64>,
    /// Bytes read from storage; what lay in the page cache is not in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// Bytes written towards storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
}

/// Whose memory a peak is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MemoryOf {
    /// Of all processes together.
    Run,
    /// Of the largest single process.
    Process,
}

impl Used {
    /// These facts, and the other's where there is none.
    pub fn or(self, other: Used) -> Used {
        let memory = match self.peak_memory_bytes {
            Some(_) => self,
            None => other,
        };
        Used {
            peak_memory_bytes: memory.peak_memory_bytes,
            peak_memory_of: memory.peak_memory_of,
            cpu_user_ms: self.cpu_user_ms.or(other.cpu_user_ms),
            cpu_system_ms: self.cpu_system_ms.or(other.cpu_system_ms),
            read_bytes: self.read_bytes.or(other.read_bytes),
            written_bytes: self.written_bytes.or(other.written_bytes),
        }
    }

    /// What this and a later process of the same run used: sums, and the larger peak.
    pub fn and_then(self, later: Used) -> Used {
        let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        let larger = match later.peak_memory_bytes > self.peak_memory_bytes {
            true => later,
            false => self,
        };
        Used {
            peak_memory_bytes: larger.peak_memory_bytes,
            peak_memory_of: larger.peak_memory_of,
            cpu_user_ms: sum(self.cpu_user_ms, later.cpu_user_ms),
            cpu_system_ms: sum(self.cpu_system_ms, later.cpu_system_ms),
            read_bytes: sum(self.read_bytes, later.read_bytes),
            written_bytes: sum(self.written_bytes, later.written_bytes),
        }
    }
}

/// How far a limit holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Enforcement {
    /// For the sandbox as a whole.
    Enforced,
    /// For each process alone.
    PerProcess,
    /// Not at all.
    None,
}

/// The one word for a run. The order is that of precedence: of several, the first counts.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The runner refused its arguments or configuration.
    UsageError,
    /// Regreen or its sandbox failed, not the project.
    InfraError,
    /// Ended from outside before its end.
    Interrupted,
    /// Ended by regreen's own time limit.
    Timeout,
    /// The test process died of a signal or left without an end marker.
    Crashed,
    /// Something did not compile.
    BuildFailed,
    /// A test file could not be loaded.
    CollectionError,
    /// At least one test failed.
    Failed,
    /// Nothing ran.
    NoTests,
    /// Ended, something passed, nothing failed.
    Passed,
}

impl Outcome {
    /// The word as it stands in the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::UsageError => "usage_error",
            Outcome::InfraError => "infra_error",
            Outcome::Interrupted => "interrupted",
            Outcome::Timeout => "timeout",
            Outcome::Crashed => "crashed",
            Outcome::BuildFailed => "build_failed",
            Outcome::CollectionError => "collection_error",
            Outcome::Failed => "failed",
            Outcome::NoTests => "no_tests",
            Outcome::Passed => "passed",
        }
    }

    /// The outcome of several suites or causes together: the first in order of precedence.
    pub fn worst(outcomes: impl IntoIterator<Item = Outcome>) -> Option<Outcome> {
        outcomes.into_iter().min()
    }
}

/// How many tests ended how. `total` is `passed + failed + skipped`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Counts {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed; set-up, teardown, collection, crash and time-out failures too.
    pub failed: u64,
    /// Tests that were skipped or ignored; expected failures too.
    pub skipped: u64,
    /// Tests that failed once and passed when run again; counted besides.
    pub flaky: u64,
    /// `passed + failed + skipped`.
    pub total: u64,
}

impl Counts {
    /// Counts with the total worked out.
    pub fn new(passed: u64, failed: u64, skipped: u64) -> Self {
        Counts {
            passed,
            failed,
            skipped,
            flaky: 0,
            total: passed + failed + skipped,
        }
    }

    /// The sum of two counts.
    pub fn plus(self, other: Counts) -> Self {
        Counts {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
            flaky: self.flaky + other.flaky,
            total: self.total + other.total,
        }
    }
}

/// One thing that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Failure {
    /// The test's identity as its framework prints it (contract: `tests::a`, a pytest node id,
    /// `file:line:col code` of a compile error).
    pub id: String,
    /// The cargo target, go package or file that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// Whether the material proves the kind (`panic!("x")` and `assert!(c, "x")` look alike).
    pub kind_sure: bool,
    /// Where in the run it happened.
    pub phase: Phase,
    /// The innermost frame of the user's own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// Where the test is defined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_location: Option<Location>,
    /// One line that says what is wrong.
    pub message: String,
    /// The whole of what the framework said, capped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// The two sides of a comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<Diff>,
    /// The stack, innermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<Frame>,
    /// A compiler's code for the error (`E0308`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What the tool proposes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    /// What this test alone printed to standard output, capped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    /// What this test alone printed to standard error, capped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
    /// How long the test took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Identity of the cause across runs: stable under paths, numbers, addresses, durations.
    pub fingerprint: String,
    /// Not failing in the last complete run before this one; absent when that is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<bool>,
    /// Failed, then passed when it was run again alone; absent when it was not run again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flaky: Option<bool>,
    /// An argv array that runs just this test again, from the project's root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rerun: Vec<String>,
    /// The probable cause and its remedy, when the sandbox may have caused it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

/// Failures with one fingerprint and one place, and so probably one cause: a message such as
/// "assertion failed" alone says too little.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Cause {
    /// Their fingerprint.
    pub fingerprint: String,
    /// How many of the listed failures have it.
    pub count: u64,
    /// Their kind.
    pub kind: FailureKind,
    /// The message of the first.
    pub message: String,
    /// Where the first happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The ids of the first few.
    pub ids: Vec<String>,
}

/// What kind of failure it is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// An assertion did not hold.
    Assertion,
    /// A panic or an uncaught exception.
    Panic,
    /// A fixture or set-up step failed.
    SetupError,
    /// A teardown step failed.
    TeardownError,
    /// Something did not compile.
    CompileError,
    /// A test file could not be loaded.
    CollectionError,
    /// A time limit was reached.
    Timeout,
    /// The process died of a signal or left in mid-test.
    Crash,
    /// Memory ran out.
    Oom,
    /// A process that is itself the test left with a non-zero status.
    ExitNonzero,
    /// The test returned an error value.
    ReturnedErr,
    /// A test that was expected to fail passed.
    UnexpectedPass,
    /// Nothing ran.
    NoTests,
    /// The number of tests is not the announced one.
    PlanMismatch,
}

/// Where in the run a failure happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// While compiling.
    Build,
    /// While finding tests.
    Collect,
    /// Before the test's body.
    Setup,
    /// In the test's body.
    Call,
    /// After the test's body.
    Teardown,
    /// While the session ended.
    Session,
}

/// A place in a file. Paths are relative to the project where they lie in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Location {
    /// The file.
    pub file: String,
    /// The line, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
}

/// The two sides of a comparison: left/right where the framework does not say which one is
/// expected, expected/actual where it does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Diff {
    /// The left operand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
    /// The right operand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<String>,
    /// What should have been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// A diff by lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unified: Option<String>,
}

/// One frame of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Frame {
    /// The file, relative to the project where it lies in it.
    pub file: String,
    /// The line, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The function's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Whether it is the user's own code and not a library's.
    pub user: bool,
}

/// A message of a compiler or linter that did not fail the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Diagnostic {
    /// `warning`, `note`, …
    pub level: String,
    /// The tool's code for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// One line that says what it is.
    pub message: String,
    /// Where it points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

/// A fact for people, with what to do about it where something can be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// A stable word for the kind of note (`no_network`, `inconsistent_stream`, …).
    pub code: String,
    /// What is the matter.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Failure {
    /// A failure of which no more is known.
    pub fn new(
        id: impl Into<String>,
        kind: FailureKind,
        phase: Phase,
        message: impl Into<String>,
    ) -> Self {
        Failure {
            id: id.into(),
            target: None,
            kind,
            kind_sure: true,
            phase,
            location: None,
            test_location: None,
            message: message.into(),
            details: None,
            diff: None,
            frames: Vec::new(),
            code: None,
            suggestion: None,
            stdout: None,
            stderr: None,
            duration_ms: None,
            fingerprint: String::new(),
            new: None,
            flaky: None,
            rerun: Vec::new(),
            notes: Vec::new(),
        }
    }
}

impl Note {
    /// A note without a remedy.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Note {
            code: code.into(),
            message: message.into(),
            remedy: None,
        }
    }

    /// The same note with what to do about it.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl Report {
    /// An empty report of `framework`, to be filled in.
    pub fn new(framework: impl Into<String>, source: Source, outcome: Outcome) -> Self {
        Report {
            schema: SCHEMA,
            run: RunInfo {
                framework: framework.into(),
                source,
                ..RunInfo::default()
            },
            outcome,
            complete: false,
            counts: Counts::default(),
            failures: Vec::new(),
            causes: Vec::new(),
            diagnostics: Vec::new(),
            notes: Vec::new(),
            raw_log: None,
            artifacts: Vec::new(),
            more: None,
        }
    }

    /// Groups the failures by their fingerprints anew.
    pub fn group(&mut self) {
        self.causes = causes(&self.failures);
    }

    /// The part of the report that begins at `cursor` (its beginning where there is none) and is
    /// about so many bytes of JSON. One failure at least is in every part, what it says at length
    /// cut to its head and tail if need be; diagnostics stand in the first part only.
    pub fn part(&self, cursor: Option<&str>, most: usize) -> Result<Report, BadCursor> {
        let from = match cursor {
            None => 0,
            Some(cursor) => cursor
                .parse::<usize>()
                .ok()
                .filter(|from| *from <= self.failures.len())
                .ok_or_else(|| BadCursor(cursor.to_owned()))?,
        };
        let mut part = Report {
            failures: Vec::new(),
            artifacts: Vec::new(),
            more: None,
            ..self.clone()
        };
        if from > 0 {
            part.diagnostics.clear();
        }
        let mut left = most.saturating_sub(size(&part));
        for failure in &self.failures[from..] {
            let mut failure = failure.clone();
            if size(&failure) > left && part.failures.is_empty() {
                shorten(&mut failure, most / 8);
            }
            let size = size(&failure);
            if size > left && !part.failures.is_empty() {
                break;
            }
            left = left.saturating_sub(size);
            part.failures.push(failure);
        }
        let next = from + part.failures.len();
        let rest = self.failures.len() - next;
        part.more = (rest > 0).then(|| More {
            failures: rest as u64,
            cursor: next.to_string(),
        });
        Ok(part)
    }

    /// Green is more than an outcome: it needs the complete run.
    pub fn is_green(&self) -> bool {
        self.outcome == Outcome::Passed
            && self.complete
            && self.counts.passed > 0
            && self.counts.failed == 0
    }
}

/// The error of a cursor that is none of this report's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadCursor(
    /// What was given.
    pub String,
);

impl std::fmt::Display for BadCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is no cursor of this report", self.0)
    }
}

impl std::error::Error for BadCursor {}

fn size(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |bytes| bytes.len())
}

/// Cuts everything long to its head and tail.
fn shorten(failure: &mut Failure, most: usize) {
    let diff = failure.diff.iter_mut().flat_map(|diff| {
        [
            &mut diff.left,
            &mut diff.right,
            &mut diff.expected,
            &mut diff.actual,
            &mut diff.unified,
        ]
    });
    let long = [
        &mut failure.details,
        &mut failure.stdout,
        &mut failure.stderr,
        &mut failure.suggestion,
    ];
    for text in diff.chain(long) {
        *text = text.take().map(|text| crate::text::cap(&text, most));
    }
    failure.frames.truncate(5);
}

/// Groups of at least two failures with one fingerprint and place, the largest first.
fn causes(failures: &[Failure]) -> Vec<Cause> {
    const MOST: usize = 100;
    const IDS: usize = 10;
    let mut found: BTreeMap<_, Cause> = BTreeMap::new();
    for failure in failures {
        let place = failure.location.as_ref().map(|at| (&at.file, at.line));
        let key = (failure.fingerprint.as_str(), place);
        let cause = found.entry(key).or_insert_with(|| Cause {
            fingerprint: failure.fingerprint.clone(),
            count: 0,
            kind: failure.kind,
            message: failure.message.clone(),
            location: failure.location.clone(),
            ids: Vec::new(),
        });
        cause.count += 1;
        if cause.ids.len() < IDS {
            cause.ids.push(failure.id.clone());
        }
    }
    let mut causes: Vec<Cause> = found.into_values().filter(|one| one.count > 1).collect();
    causes.sort_by(|a, b| {
        let by_size = b.count.cmp(&a.count);
        by_size.then_with(|| (&a.fingerprint, &a.ids).cmp(&(&b.fingerprint, &b.ids)))
    });
    causes.truncate(MOST);
    causes
}

/// The JSON Schema of [`Report`], as it is committed in `docs/schemas/report.schema.json`.
pub fn schema() -> String {
    let schema = schemars::schema_for!(Report);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose;

    fn many() -> Report {
        let mut report = Report::new("pytest", Source::Events, Outcome::Failed);
        for i in 0..50 {
            let mut failure = compose::failure(
                format!("test_{i}"),
                FailureKind::Panic,
                Phase::Call,
                "no connection",
            );
            failure.details = Some("x".repeat(1000 + 40 * i));
            failure.location = Some(Location {
                file: "helper.py".into(),
                line: Some(3),
                column: None,
            });
            report.failures.push(compose::seal(failure));
        }
        report.group();
        report
    }

    #[test]
    fn parts_make_the_whole_and_none_is_much_too_large() {
        let report = many();
        for most in [1, 3_000, 20_000, 1_000_000] {
            let (mut ids, mut cursor) = (Vec::new(), None);
            for _ in 0..100 {
                let part = report
                    .part(cursor.as_deref(), most)
                    .expect("its own cursor");
                assert!(!part.failures.is_empty());
                if part.failures.len() > 1 {
                    assert!(size(&part) < most + 500);
                }
                ids.extend(part.failures.into_iter().map(|failure| failure.id));
                cursor = part.more.map(|more| more.cursor);
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(ids.len(), 50, "{most}");
        }
        assert!(report.part(Some("51"), 10).is_err());
        assert!(report.part(Some("x"), 10).is_err());
    }

    #[test]
    fn one_cause_is_told_once() {
        let mut report = many();
        let causes = &report.causes;
        assert_eq!((causes.len(), causes[0].count), (1, 50));
        // The same words at another place are another cause.
        for (line, failure) in report.failures.iter_mut().enumerate() {
            if let Some(at) = &mut failure.location {
                at.line = u32::try_from(line).ok();
            }
        }
        report.group();
        assert!(report.causes.is_empty());
    }
}
