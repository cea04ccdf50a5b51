//! The records that the runner shim adds to a test binary's output; both sides use these types.

use serde::Deserialize;
use serde::Serialize;

/// The version of the files' format.
pub const VERSION: u32 = 1;

/// The first line of an events file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Always `target`.
    pub regreen: String,
    /// [`VERSION`].
    pub version: u32,
    /// The binary as cargo named it.
    pub binary: String,
    /// `CARGO_PKG_NAME`.
    #[serde(default)]
    pub package: Option<String>,
    /// `CARGO_MANIFEST_DIR`.
    #[serde(default)]
    pub manifest_dir: Option<String>,
    /// The arguments that cargo passed on to the binary.
    #[serde(default)]
    pub args: Vec<String>,
    /// The process id of the binary.
    #[serde(default)]
    pub pid: u32,
    /// What kind of harness the binary has.
    pub harness: Harness,
    /// Whether a list file was written before.
    #[serde(default)]
    pub listed: bool,
}

impl Header {
    /// A header of the current version.
    pub fn new(binary: impl Into<String>, harness: Harness) -> Self {
        Header {
            regreen: "target".to_owned(),
            version: VERSION,
            binary: binary.into(),
            package: None,
            manifest_dir: None,
            args: Vec::new(),
            pid: 0,
            harness,
            listed: false,
        }
    }
}

/// The kind of harness in a test binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Harness {
    /// Rust's own.
    Libtest,
    /// A program of the project (`harness = false`).
    Custom,
}

/// The last line of an events file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailer {
    /// Always `end`.
    pub regreen: String,
    /// The exit status, absent when a signal ended the binary.
    #[serde(default)]
    pub code: Option<i32>,
    /// The signal, absent when it exited.
    #[serde(default)]
    pub signal: Option<i32>,
    /// How many bytes the binary wrote to its standard output.
    pub stdout_bytes: u64,
    /// How long it ran, in milliseconds.
    #[serde(default)]
    pub duration_ms: u64,
}

impl Trailer {
    /// The end of a binary that wrote `stdout_bytes` bytes.
    pub fn new(
        code: Option<i32>,
        signal: Option<i32>,
        stdout_bytes: u64,
        duration_ms: u64,
    ) -> Self {
        Trailer {
            regreen: "end".to_owned(),
            code,
            signal,
            stdout_bytes,
            duration_ms,
        }
    }

    /// The bytes that close an events file: the added line feed and the end line.
    pub fn closing(&self) -> Vec<u8> {
        let line = serde_json::to_string(self).unwrap_or_default();
        format!("\n{line}\n").into_bytes()
    }
}
