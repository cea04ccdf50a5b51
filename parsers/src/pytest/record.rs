//! The reporter's records.

use serde::Deserialize;

/// The number that every record has.
#[derive(Debug, Deserialize)]
pub(crate) struct Number {
    /// Counted from 0.
    pub n: u64,
}

/// One record; what is unknown in it is passed over.
#[derive(Debug, Deserialize)]
#[serde(tag = "k", rename_all = "snake_case")]
pub(crate) enum Record {
    /// The first: pytest is there.
    Session {
        #[serde(default)]
        version: u32,
    },
    /// Options are read.
    Config {
        #[serde(default)]
        rootdir: String,
        #[serde(default)]
        collect_only: bool,
    },
    /// The tests that will run.
    Collected {
        #[serde(default)]
        ids: Vec<String>,
        #[serde(default)]
        total: u64,
    },
    /// Tests that `-k`, `-m` and the like left out.
    Deselected {
        #[serde(default)]
        total: u64,
    },
    /// A test begins.
    Start { id: String },
    /// A test passed in all of its phases (setup, call, teardown; milliseconds).
    Pass {
        id: String,
        #[serde(default)]
        ms: Vec<u64>,
    },
    /// A phase of a test ended.
    Report(Box<PhaseReport>),
    /// A file could not be collected.
    CollectError {
        id: String,
        #[serde(default)]
        errors: Option<Vec<Error>>,
        #[serde(default)]
        details: String,
    },
    /// A conftest could not be loaded.
    ConftestError { path: String, error: Error },
    /// Pytest itself or a plugin failed.
    InternalError {
        #[serde(default)]
        error: Option<Error>,
        #[serde(default)]
        details: String,
    },
    /// Ctrl-C, `pytest.exit`, errors in the collection.
    Interrupt {
        #[serde(rename = "type", default)]
        kind: String,
        #[serde(default)]
        message: String,
    },
    /// A warning of Python.
    Warning {
        #[serde(default)]
        category: String,
        #[serde(default)]
        message: String,
        #[serde(default)]
        file: String,
        #[serde(default)]
        line: u32,
    },
    /// The session ends with this status.
    Ending {
        status: i32,
        #[serde(default)]
        stop: Option<String>,
    },
    /// The last.
    Finish { status: Option<i32>, records: u64 },
    /// A kind of a later reporter.
    #[serde(other)]
    Other,
}

impl Record {
    /// The id of what the record is about; empty if it is about none.
    pub fn id(&self) -> &str {
        match self {
            Record::Start { id } | Record::Pass { id, .. } | Record::CollectError { id, .. } => id,
            Record::Report(report) => &report.id,
            _ => "",
        }
    }
}

/// How one phase of one test ended.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct PhaseReport {
    /// The node id.
    pub id: String,
    /// `setup`, `call`, `teardown`; xdist says `???` for a crashed worker.
    #[serde(default)]
    pub when: String,
    /// `passed`, `failed`, `skipped`, `rerun`.
    pub outcome: String,
    /// Milliseconds.
    #[serde(default)]
    pub ms: u64,
    /// Which subtest it is.
    #[serde(default)]
    pub subtest: Option<Subtest>,
    /// File and line (from 0) of the definition.
    #[serde(default)]
    pub at: Option<(String, Option<u32>)>,
    /// Pytest's own text.
    #[serde(default)]
    pub details: String,
    /// File, line and message as pytest names them.
    #[serde(default)]
    pub crash: Option<(String, Option<u32>, String)>,
    /// The exception.
    #[serde(default)]
    pub error: Option<Error>,
    /// Captured standard output.
    #[serde(default)]
    pub out: String,
    /// Captured standard error.
    #[serde(default)]
    pub err: String,
    /// Captured logging.
    #[serde(default)]
    pub log: String,
}

/// A subtest.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Subtest {
    /// Its message.
    #[serde(default)]
    pub message: Option<String>,
    /// Its parameters.
    #[serde(default)]
    pub kwargs: std::collections::BTreeMap<String, String>,
}

/// An exception.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Error {
    /// The class's name.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The names of its base classes.
    #[serde(default)]
    pub bases: Vec<String>,
    /// Its text.
    #[serde(default)]
    pub message: String,
    /// File, line, function; innermost first.
    #[serde(default)]
    pub frames: Vec<(String, Option<u32>, String)>,
    /// Operator, left, right of the comparison that failed.
    #[serde(default)]
    pub compare: Option<(String, String, String)>,
    /// File, line, column, message of a syntax error.
    #[serde(default)]
    pub syntax: Option<(String, Option<u32>, Option<u32>, String)>,
}
