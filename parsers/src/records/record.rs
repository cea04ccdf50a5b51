//! The records, as they stand in the file. What is unknown in one is passed over.

use serde::Deserialize;

/// The number that every record has.
#[derive(Debug, Deserialize)]
pub(crate) struct Number {
    /// Counted from 0.
    pub n: u64,
}

/// One record.
#[derive(Debug, Deserialize)]
#[serde(tag = "k", rename_all = "snake_case")]
pub(crate) enum Record {
    Session {
        #[serde(default)]
        version: u32,
        #[serde(default)]
        runner: String,
        #[serde(default)]
        cwd: String,
    },
    Listed {
        total: u64,
    },
    Unlisted {
        total: u64,
        #[serde(default)]
        why: String,
    },
    Open {
        file: String,
    },
    Close {
        file: String,
    },
    Start {
        t: u64,
        id: String,
        #[serde(default)]
        file: String,
        #[serde(default)]
        path: Vec<String>,
    },
    Pass {
        t: u64,
    },
    Skip {
        #[serde(default)]
        t: Option<u64>,
        #[serde(default)]
        id: String,
        #[serde(default)]
        file: String,
    },
    Retry {
        t: u64,
    },
    Group {
        t: u64,
    },
    Fail(Box<Failed>),
    End {
        t: u64,
    },
    Note {
        code: String,
        #[serde(default)]
        message: String,
        #[serde(default)]
        remedy: Option<String>,
    },
    Warning {
        #[serde(default)]
        message: String,
        #[serde(default)]
        file: String,
        #[serde(default)]
        line: Option<u32>,
        #[serde(default)]
        code: Option<String>,
    },
    Finish(Finish),
    /// A kind of a later reporter.
    #[serde(other)]
    Other,
}

impl Record {
    /// The id of what the record is about; empty if it is about none.
    pub fn id(&self) -> &str {
        match self {
            Record::Start { id, .. } | Record::Skip { id, .. } => id,
            Record::Fail(failed) => &failed.id,
            _ => "",
        }
    }
}

/// The last record.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Finish {
    /// How many records came before.
    pub records: u64,
    /// Tests that passed, as the framework counts.
    #[serde(default)]
    pub passed: Option<u64>,
    /// Tests and hooks that failed.
    #[serde(default)]
    pub failed: Option<u64>,
    /// Tests that did not run.
    #[serde(default)]
    pub skipped: Option<u64>,
    /// The exit status to come, where the reporter knows it.
    #[serde(default)]
    pub status: Option<i32>,
}

/// Something that failed.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Failed {
    /// The test's number; absent for hooks, files and the run as a whole.
    #[serde(default)]
    pub t: Option<u64>,
    /// Its id, where it has no number.
    #[serde(default)]
    pub id: String,
    /// Its file, where it has no number.
    #[serde(default)]
    pub file: String,
    /// Its titles, where it has no number.
    #[serde(default)]
    pub path: Vec<String>,
    /// `setup`, `call`, `teardown`, `collect`, `session`.
    #[serde(default)]
    pub phase: String,
    /// A word of [`FailureKind`](crate::FailureKind), where the reporter knows it.
    #[serde(default)]
    pub kind: Option<String>,
    /// What was thrown.
    #[serde(default)]
    pub error: Option<Error>,
    /// Where the test is defined: file, line, column.
    #[serde(default)]
    pub at: Option<(String, Option<u32>, Option<u32>)>,
    /// What it printed to standard output.
    #[serde(default)]
    pub out: String,
    /// What it printed to standard error.
    #[serde(default)]
    pub err: String,
    /// Milliseconds.
    #[serde(default)]
    pub ms: Option<f64>,
    /// The framework's own word for what happened.
    #[serde(default, rename = "type")]
    pub word: String,
    /// The exit status of the process that held it.
    #[serde(default)]
    pub exit: Option<i64>,
    /// The test had passed already, and failed by what came later.
    #[serde(default)]
    pub late: bool,
    /// The test is not over by this: more of it may fail, `end` will come.
    #[serde(default)]
    pub open: bool,
}

/// File, line, column, function.
pub(crate) type StackFrame = (String, Option<u32>, Option<u32>, Option<String>);

/// What was thrown.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Error {
    /// The class's name.
    #[serde(default)]
    pub name: String,
    /// Its message.
    #[serde(default)]
    pub message: String,
    /// The framework's or runtime's text of it.
    #[serde(default)]
    pub stack: String,
    /// File, line, column, function; innermost first.
    #[serde(default)]
    pub frames: Vec<StackFrame>,
    /// What should have been.
    #[serde(default)]
    pub expected: Option<String>,
    /// What was.
    #[serde(default)]
    pub actual: Option<String>,
    /// The left side, where the framework does not say which is expected.
    #[serde(default)]
    pub left: Option<String>,
    /// The right side.
    #[serde(default)]
    pub right: Option<String>,
    /// The framework's own diff by lines.
    #[serde(default)]
    pub unified: Option<String>,
    /// The error's code (`ERR_ASSERTION`).
    #[serde(default)]
    pub code: Option<String>,
    /// What began it.
    #[serde(default)]
    pub cause: Option<Box<Error>>,
}
