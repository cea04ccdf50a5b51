//! The two doors of the crate: everything at once ([`parse`]) and bytes as they come ([`Live`]).

use crate::cargo::CargoRun;
use crate::context::Context;
use crate::event::TestEvent;
use crate::generic::GenericRun;
use crate::junit::JunitRun;
use crate::nextest::NextestRun;
use crate::pytest::PytestRun;
use crate::report::Exit;
use crate::report::Report;
use std::fmt;
use std::str::FromStr;

/// A format that can be read; its name is that of `regreen parse --format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `cargo test`: text, JSON messages, both mixed, and the runner shim's files.
    Cargo,
    /// One test binary of Rust's own harness: text or `--format json`.
    Libtest,
    /// `cargo nextest run`: text, `libtest-json-plus`, JUnit file.
    Nextest,
    /// pytest: text, regreen's reporter, JUnit file.
    Pytest,
    /// JUnit XML of any origin.
    Junit,
    /// Anything else: `file:line: error` lines and the exit status.
    Generic,
}

impl Format {
    /// Every format, in the order in which they are offered.
    pub const ALL: [Format; 6] = [
        Format::Cargo,
        Format::Libtest,
        Format::Nextest,
        Format::Pytest,
        Format::Junit,
        Format::Generic,
    ];

    /// The format's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Cargo => "cargo",
            Format::Libtest => "libtest",
            Format::Nextest => "nextest",
            Format::Pytest => "pytest",
            Format::Junit => "junit",
            Format::Generic => "generic",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error of a name that is no [`Format`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFormat(
    /// The name that was asked for.
    pub String,
);

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Format::ALL.map(Format::as_str).join(", ");
        write!(f, "unknown format `{}` (known: {known})", self.0)
    }
}

impl std::error::Error for UnknownFormat {}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Format::ALL
            .into_iter()
            .find(|format| format.as_str() == name)
            .ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// A file that a run left behind.
#[derive(Debug, Clone, Copy)]
pub struct ReportFile<'a> {
    /// Its name; only the last part counts.
    pub name: &'a str,
    /// Its content.
    pub bytes: &'a [u8],
}

/// Everything that a finished run left behind.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// How to read it.
    pub format: Format,
    /// What the command printed, standard output and standard error in one.
    pub log: &'a [u8],
    /// Report and event files.
    pub files: Vec<ReportFile<'a>>,
    /// How the command ended, where that is known.
    pub exit: Option<Exit>,
    /// What paths are relative to.
    pub context: Context,
}

impl<'a> Input<'a> {
    /// A log and nothing else.
    pub fn log(format: Format, log: &'a [u8]) -> Self {
        Input {
            format,
            log,
            files: Vec::new(),
            exit: None,
            context: Context::default(),
        }
    }
}

/// Where bytes of a live run come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream<'a> {
    /// The command's standard output.
    Stdout,
    /// The command's standard error.
    Stderr,
    /// Both in one, as in a saved log.
    Log,
    /// An event or report file, by name; the bytes are what was appended to it.
    File(&'a str),
}

/// How a live run ended.
#[derive(Debug, Clone, Default)]
pub struct End {
    /// How the command ended; absent when nobody knows (a pasted log).
    pub exit: Option<Exit>,
    /// Regreen or a person ended it from outside, for a reason other than time or memory.
    pub interrupted: bool,
}

impl End {
    /// The end of a command that ended by itself.
    pub fn exit(exit: Exit) -> Self {
        End {
            exit: Some(exit),
            interrupted: false,
        }
    }
}

/// A run whose bytes are read while they come.
#[derive(Debug)]
#[non_exhaustive]
pub enum Live {
    /// See [`CargoRun`].
    Cargo(Box<CargoRun>),
    /// See [`NextestRun`].
    Nextest(Box<NextestRun>),
    /// See [`PytestRun`].
    Pytest(Box<PytestRun>),
    /// See [`JunitRun`].
    Junit(Box<JunitRun>),
    /// See [`GenericRun`].
    Generic(Box<GenericRun>),
}

impl Live {
    /// Begins to read a run in `format`.
    pub fn new(format: Format, context: Context) -> Self {
        match format {
            Format::Cargo => Live::Cargo(Box::new(CargoRun::new(context))),
            Format::Libtest => Live::Cargo(Box::new(CargoRun::libtest(context))),
            Format::Nextest => Live::Nextest(Box::new(NextestRun::new(context))),
            Format::Pytest => Live::Pytest(Box::new(PytestRun::new(context))),
            Format::Junit => Live::Junit(Box::new(JunitRun::new(context))),
            Format::Generic => Live::Generic(Box::new(GenericRun::new(context))),
        }
    }

    /// Takes more bytes of one stream; says what became known by them.
    pub fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        match self {
            Live::Cargo(run) => run.feed(stream, bytes),
            Live::Nextest(run) => run.feed(stream, bytes),
            Live::Pytest(run) => run.feed(stream, bytes),
            Live::Junit(run) => run.feed(stream, bytes),
            Live::Generic(run) => run.feed(stream, bytes),
        }
    }

    /// The report of the whole run.
    pub fn finish(self, end: End) -> Report {
        match self {
            Live::Cargo(run) => run.finish(end),
            Live::Nextest(run) => run.finish(end),
            Live::Pytest(run) => run.finish(end),
            Live::Junit(run) => run.finish(end),
            Live::Generic(run) => run.finish(end),
        }
    }
}

/// Reads everything that a finished run left behind.
pub fn parse(input: &Input<'_>) -> Report {
    let mut live = Live::new(input.format, input.context.clone());
    live.feed(Stream::Log, input.log);
    for file in &input.files {
        live.feed(Stream::File(file.name), file.bytes);
    }
    live.finish(End {
        exit: input.exit,
        interrupted: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_known_by_its_name() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        let error = "cargoo".parse::<Format>().expect_err("no such format");
        assert!(
            error
                .to_string()
                .contains("`cargoo` (known: cargo, libtest")
        );
    }
}
