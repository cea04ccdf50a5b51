//! The two doors of the crate: everything at once ([`parse`]) and bytes as they come ([`Live`]).

use crate::auto;
use crate::bats;
use crate::cargo::CargoRun;
use crate::context::Context;
use crate::ctest;
use crate::event::TestEvent;
use crate::generic::GenericRun;
use crate::go;
use crate::gtest;
use crate::jest;
use crate::junit;
use crate::junit::JunitRun;
use crate::junit::native;
use crate::minitest;
use crate::mocha;
use crate::nextest::NextestRun;
use crate::node;
use crate::phpunit;
use crate::prove;
use crate::pytest::PytestRun;
use crate::report::Exit;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Note;
use crate::report::Phase;
use crate::report::Report;
use crate::request::Asked;
use crate::request::Request;
use crate::rspec;
use crate::stamps::Stamps;
use crate::tap;
use crate::text;
use crate::unittest;
use crate::vitest;
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
    /// Python's unittest: text, regreen's reporter.
    Unittest,
    /// `go test`: text, `-json`.
    GoTest,
    /// Jest: text, `--json`, regreen's reporter.
    Jest,
    /// Vitest: text, its JSON and JUnit files, regreen's reporter.
    Vitest,
    /// Mocha: text, its JSON and xunit output, regreen's reporter.
    Mocha,
    /// `node --test`: spec, TAP, JUnit, regreen's reporter.
    NodeTest,
    /// CTest: text, its JUnit file, GoogleTest's files of its tests.
    Ctest,
    /// GoogleTest: text, its JSON and XML files.
    Gtest,
    /// RSpec: text, JSON, regreen's reporter.
    Rspec,
    /// minitest: text, regreen's reporter.
    Minitest,
    /// PHPUnit: text, JUnit and TeamCity files.
    Phpunit,
    /// bats: pretty text, TAP, JUnit file.
    Bats,
    /// `prove`: text, and the TAP of its tests.
    Prove,
    /// TAP 13 and 14 of any origin.
    Tap,
    /// JUnit XML of any origin, and the console launcher's text.
    Junit,
    /// Anything else: `file:line: error` lines and the exit status.
    Generic,
    /// Whichever of the others it looks like.
    Auto,
}

impl Format {
    /// Every format, in the order in which they are offered.
    pub const ALL: [Format; 21] = [
        Format::Cargo,
        Format::Libtest,
        Format::Nextest,
        Format::Pytest,
        Format::Unittest,
        Format::GoTest,
        Format::Jest,
        Format::Vitest,
        Format::Mocha,
        Format::NodeTest,
        Format::Ctest,
        Format::Gtest,
        Format::Rspec,
        Format::Minitest,
        Format::Phpunit,
        Format::Bats,
        Format::Prove,
        Format::Tap,
        Format::Junit,
        Format::Generic,
        Format::Auto,
    ];

    /// The format's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Cargo => "cargo-test",
            Format::Libtest => "libtest",
            Format::Nextest => "nextest",
            Format::Pytest => "pytest",
            Format::Unittest => "unittest",
            Format::GoTest => "go-test",
            Format::Jest => "jest",
            Format::Vitest => "vitest",
            Format::Mocha => "mocha",
            Format::NodeTest => "node-test",
            Format::Ctest => "ctest",
            Format::Gtest => "gtest",
            Format::Rspec => "rspec",
            Format::Minitest => "minitest",
            Format::Phpunit => "phpunit",
            Format::Bats => "bats",
            Format::Prove => "prove",
            Format::Tap => "tap",
            Format::Junit => "junit",
            Format::Generic => "generic",
            Format::Auto => "auto",
        }
    }

    /// A name that means the same.
    fn short(self) -> Option<&'static str> {
        match self {
            Format::Cargo => Some("cargo"),
            Format::GoTest => Some("go"),
            Format::NodeTest => Some("node"),
            _ => None,
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
            .find(|format| format.as_str() == name || format.short() == Some(name))
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
#[non_exhaustive]
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

/// What reads one format.
pub(crate) trait Adapter: fmt::Debug + Send {
    /// Takes more bytes of one stream; says what became known by them.
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent>;

    /// The report of the whole run.
    fn finish(self: Box<Self>, end: End) -> Report;
}

/// A run whose bytes are read while they come.
#[derive(Debug)]
pub struct Live {
    adapter: Box<dyn Adapter>,
    /// Times before the lines of a saved log.
    stamps: Stamps,
    /// The last line of the text, which has not ended.
    open: Vec<u8>,
}

/// So much is kept of a line that has not ended.
const OPEN: usize = 8 << 10;

/// So much of a log is looked through for times at once.
const LOOKED_THROUGH: usize = 1 << 20;

impl Live {
    /// Begins to read a run in `format`.
    pub fn new(format: Format, context: Context) -> Self {
        Live {
            adapter: open(format, context),
            stamps: Stamps::default(),
            open: Vec::new(),
        }
    }

    /// Takes more bytes of one stream; says what became known by them.
    pub fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        if !matches!(stream, Stream::File(_)) {
            let line = match memchr::memrchr(b'\n', bytes) {
                Some(end) => {
                    self.open.clear();
                    &bytes[end + 1..]
                }
                None => bytes,
            };
            let room = OPEN - self.open.len();
            self.open.extend_from_slice(&line[..line.len().min(room)]);
        }
        // That a log is empty is said, too.
        if stream != Stream::Log || bytes.is_empty() {
            return self.adapter.feed(stream, bytes);
        }
        let mut events = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.stamps.plain() {
                events.extend(self.adapter.feed(stream, rest));
                break;
            }
            let (piece, after) = rest.split_at(rest.len().min(LOOKED_THROUGH));
            events.extend(self.adapter.feed(stream, &self.stamps.take(piece)));
            rest = after;
        }
        events
    }

    /// The report of the whole run.
    pub fn finish(self, end: End) -> Report {
        self.end(end).0
    }

    /// The report, and whether the text ends within a name.
    fn end(mut self, end: End) -> (Report, bool) {
        let rest = self.stamps.finish();
        if !rest.is_empty() {
            self.adapter.feed(Stream::Log, &rest);
        }
        // Who ended by itself has said all of its last line.
        let whole = end.exit.is_some_and(|exit| exit.code.is_some());
        let line = if whole {
            String::new()
        } else {
            visible(&self.open)
        };
        let mut report = self.adapter.finish(end);
        let complete = report.complete;
        let cut = |failure: &Failure| half_named(&line, failure, complete);
        let before = report.failures.len();
        report.failures.retain(|failure| !cut(failure));
        let named = report.failures.len() == before;
        (report, !named)
    }
}

/// The text of a line that has not ended.
fn visible(line: &[u8]) -> String {
    text::clean(&text::shown(line))
}

/// Whether a failure is known only by a name at the end of a line that was cut off: who knows how
/// the name goes on. It stays counted.
fn half_named(line: &str, failure: &Failure, complete: bool) -> bool {
    // A complete run may end with a name: a point of TAP, say. A file that did not load never
    // stands at the end without its reason.
    (!complete || failure.phase == Phase::Collect)
        // Which test was running is worth half a name.
        && !matches!(failure.kind, FailureKind::Crash | FailureKind::Timeout)
        && failure.phase != Phase::Session
        && failure.details.is_none()
        && failure.location.as_ref().is_none_or(|it| it.line.is_none())
        && !line.is_empty()
        && line.ends_with(&failure.id)
}

pub(crate) fn open(format: Format, context: Context) -> Box<dyn Adapter> {
    match format {
        Format::Cargo => Box::new(CargoRun::new(context)),
        Format::Libtest => Box::new(CargoRun::libtest(context)),
        Format::Nextest => Box::new(NextestRun::new(context)),
        Format::Pytest => Box::new(PytestRun::new(context)),
        Format::Unittest => unittest::open(context),
        Format::GoTest => go::open(context),
        Format::Jest => jest::open(context),
        Format::Vitest => vitest::open(context),
        Format::Mocha => mocha::open(context),
        Format::NodeTest => node::open(context),
        Format::Ctest => ctest::open(context),
        Format::Gtest => gtest::open(context),
        Format::Rspec => rspec::open(context),
        Format::Minitest => minitest::open(context),
        Format::Phpunit => phpunit::open(context),
        Format::Bats => bats::open(context),
        Format::Prove => prove::open(context),
        Format::Tap => tap::open(context),
        Format::Junit => Box::new(JunitRun::new(context)),
        Format::Generic => Box::new(GenericRun::new(context)),
        Format::Auto => auto::open(context),
    }
}

/// Asks the tool of a format for structure.
pub(crate) fn ask(format: Format, asked: &Asked<'_>) -> Request {
    match format {
        Format::Unittest => unittest::request(asked),
        Format::GoTest => go::request(asked),
        Format::Jest => jest::request(asked),
        Format::Vitest => vitest::request(asked),
        Format::Mocha => mocha::request(asked),
        Format::NodeTest => node::request(asked),
        Format::Ctest => ctest::request(asked),
        Format::Gtest => gtest::request(asked),
        Format::Rspec => rspec::request(asked),
        Format::Minitest => minitest::request(asked),
        Format::Phpunit => phpunit::request(asked),
        Format::Bats => bats::request(asked),
        Format::Prove => prove::request(asked),
        Format::Junit => junit::request(asked),
        // Cargo's needs a runner shim, pytest's a launcher: regreen itself adds them.
        Format::Cargo
        | Format::Libtest
        | Format::Nextest
        | Format::Pytest
        | Format::Tap
        | Format::Generic
        | Format::Auto => Request::plain(asked.argv),
    }
}

/// What a rerun of a format begins with.
pub(crate) fn tool(format: Format, argv: &[String]) -> Vec<String> {
    match format {
        Format::Unittest => unittest::tool(argv),
        Format::GoTest => go::tool(argv),
        Format::Jest => jest::tool(argv),
        Format::Vitest => vitest::tool(argv),
        Format::Mocha => mocha::tool(argv),
        Format::NodeTest => node::tool(argv),
        Format::Ctest => ctest::tool(argv),
        Format::Gtest => gtest::tool(argv),
        Format::Rspec => rspec::tool(argv),
        Format::Minitest => minitest::tool(argv),
        Format::Phpunit => phpunit::tool(argv),
        Format::Bats => bats::tool(argv),
        Format::Prove => prove::tool(argv),
        Format::Junit => junit::tool(argv),
        Format::Generic => argv.to_vec(),
        _ => Vec::new(),
    }
}

/// So much of a log is read at a time.
const PIECE: usize = 64 * 1024;

/// Reads everything that a finished run left behind.
pub fn parse(input: &Input<'_>) -> Report {
    let (mut report, cut) = read(input, input.log);
    if cut {
        // What hangs on half a name is not known either.
        let end = memchr::memrchr(b'\n', input.log).map_or(0, |end| end + 1);
        report = read(input, &input.log[..end]).0;
        report.complete = false;
    }
    report.notes.extend(mistaken(input, &report));
    report
}

/// Reads a log and the files of a run; says whether the log ends within a name.
fn read(input: &Input<'_>, log: &[u8]) -> (Report, bool) {
    let mut live = Live::new(input.format, input.context.clone());
    let whole = native::is_file(input.format, log);
    let (text, document) = if whole {
        (&b""[..], log)
    } else {
        (log, &b""[..])
    };
    // Nobody looks at the events: they are forgotten piece by piece.
    for piece in text.chunks(PIECE) {
        live.feed(Stream::Log, piece);
    }
    if text.is_empty() {
        live.feed(Stream::Log, text);
    }
    if whole {
        live.feed(Stream::File("log.xml"), document);
    }
    for file in &input.files {
        live.feed(Stream::File(file.name), file.bytes);
    }
    live.end(End {
        exit: input.exit,
        interrupted: false,
    })
}

/// A word on a format that nothing was read in, where the log is plainly another one's.
fn mistaken(input: &Input<'_>, report: &Report) -> Option<Note> {
    let told = report.counts.passed + report.counts.skipped > 0
        || report.failures.iter().any(|failure| failure.kind_sure);
    if told || matches!(input.format, Format::Auto | Format::Generic) {
        return None;
    }
    // No more than decides where nobody names a format.
    let looked_at = &input.log[..input.log.len().min(auto::MOST)];
    let log = (auto::Owned::Log, looked_at.to_vec());
    let files = input.files.iter().map(|file| {
        let name = auto::Owned::File(file.name.to_owned());
        (name, file.bytes.to_vec())
    });
    let other = auto::recognise(&std::iter::once(log).chain(files).collect::<Vec<_>>());
    // TAP and JUnit are how many of them write.
    let shared = matches!(other, Format::Generic | Format::Tap | Format::Junit);
    if other == input.format || shared {
        return None;
    }
    let message = format!(
        "nothing was read as {}; it looks like {other}",
        input.format
    );
    Some(Note::new("other_format", message).remedy(format!("`--format {other}`")))
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
                .contains("`cargoo` (known: cargo-test, libtest")
        );
    }

    /// A log that is cut within a name tells of no test of half the name, unless the
    /// command is known to have ended by itself.
    #[test]
    fn half_a_name_is_no_test() {
        let pytest = b"F\n=== short test summary info ===\nFAILED t/test_a.py::test_one - boom\n\
            FAILED t/test_a.py::test_tw";
        let report = parse(&Input::log(Format::Pytest, pytest));
        let ids: Vec<&str> = report.failures.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["t/test_a.py::test_one"]);
        assert!(!report.complete);
        let mut input = Input::log(Format::Pytest, pytest);
        input.exit = Some(Exit::code(1));
        assert_eq!(parse(&input).failures.len(), 2);
    }
}
