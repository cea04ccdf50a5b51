//! What to start: a complete description, nothing is inherited.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// A program to start. Everything that the child gets is named here.
#[derive(Debug)]
pub struct Command {
    /// The program's absolute path; no search takes place.
    pub program: PathBuf,
    /// What it sees as its own name; the program's path when absent.
    pub name: Option<OsString>,
    /// Its arguments, without the program's own name.
    pub args: Vec<OsString>,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory.
    pub cwd: PathBuf,
    /// Standard input.
    pub input: Input,
    /// Descriptors that stay open in the child, under the numbers that they have here. All
    /// others but 0, 1 and 2 are closed.
    pub keep: Vec<OwnedFd>,
    /// Resource limits, set before the program starts.
    pub rlimits: Rlimits,
    /// Whether it runs with low CPU and I/O priority.
    pub background: bool,
}

/// Where standard input comes from.
#[derive(Debug, Default)]
pub enum Input {
    /// `/dev/null`.
    #[default]
    Null,
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// A pipe that the caller writes to: [`Child::take_stdin`](crate::process::Child::take_stdin).
    Pipe,
}

/// Resource limits of a child; absent ones stay as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rlimits {
    /// Size of a core dump, in bytes.
    pub core: Option<u64>,
    /// Size of any one file that it writes, in bytes.
    pub file_size: Option<u64>,
    /// Data segment of each process, in bytes.
    pub data: Option<u64>,
}

impl Command {
    /// A start of `program` in `/` with an empty environment and no input.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Command {
            program: program.into(),
            name: None,
            args: Vec::new(),
            env: Vec::new(),
            cwd: PathBuf::from("/"),
            input: Input::Null,
            keep: Vec::new(),
            rlimits: Rlimits::default(),
            background: false,
        }
    }

    /// With these arguments after the ones before.
    pub fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// With this variable added to the environment.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// In this directory.
    pub fn cwd(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cwd = dir.into();
        self
    }

    /// With this standard input.
    pub fn input(mut self, input: Input) -> Self {
        self.input = input;
        self
    }
}
