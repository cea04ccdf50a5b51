//! Reads bats: its extended stream, TAP, TAP 13, JUnit document and pretty text.
//!
//! # Structure
//!
//! bats has a formatter `cat` that it does not advertise: it shows the stream that its own
//! formatters read, with `suite FILE` before a file and `begin N name` before a test. That one
//! is asked for as the report (`--report-formatter cat --output DIR`), beside whatever the
//! command prints; behind a wrapper `BATS_FORMATTER=cat` asks for it on standard output.
//!
//! # Facts
//!
//! - id: the test's name as bats prints it; target: its file. What stands around tests is called
//!   as bats calls it (`setup_file failed`, `setup_suite`), a file that the shell cannot read is
//!   a collection error with the file as its id.
//! - In bats every command that fails fails the test, so a failure is an `assertion`; sure only
//!   where the command is one (`[`, `assert_…`, `run -0`). `exit` in a test is `exit_nonzero`.
//! - A process of a test that was killed has no result: with the extended stream it is named,
//!   in plain TAP there is only bats's own complaint about it.
//! - rerun: `bats -f '^name$' FILE`; for what stands around tests, the file.

pub(crate) mod block;
mod finish;
mod result;
mod text;
mod xml;

use crate::bats::text::Reader;
use crate::bats::xml::Xml;
use crate::context::Context;
use crate::event::TestEvent;
use crate::lines::Lines;
use crate::lines::Seen;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::report::Report;
use crate::request::Asked;
use crate::request::Request;
use crate::text::Tail;

/// A run of bats that is being read.
#[derive(Debug)]
struct BatsRun {
    context: Context,
    output: Lines,
    errors: Lines,
    events: Lines,
    text: Reader,
    /// What stands in the report of the formatter `cat`.
    extended: Reader,
    xml: Option<Xml>,
    /// A document that begins in the log is not over.
    in_xml: bool,
    tail: Tail,
    /// The output ends with a line end.
    tail_is_whole: bool,
    /// Something stands in the stream that was asked for.
    streamed: bool,
    told: usize,
}

/// Begins to read a run.
pub(crate) fn open(context: Context) -> Box<dyn Adapter> {
    Box::new(BatsRun {
        context,
        output: Lines::default(),
        errors: Lines::default(),
        events: Lines::default(),
        text: Reader::default(),
        extended: Reader::default(),
        xml: None,
        in_xml: false,
        tail: Tail::default(),
        tail_is_whole: true,
        streamed: false,
        told: 0,
    })
}

impl BatsRun {
    fn line(&mut self, seen: Seen<'_>) {
        if self.in_xml {
            let whole = self.xml.get_or_insert_default().line(seen.bytes);
            self.in_xml = !whole;
            return;
        }
        if seen.bytes.starts_with(b"<?xml ") || seen.bytes.starts_with(b"<testsuites") {
            self.in_xml = true;
            self.xml.get_or_insert_default().line(seen.bytes);
            return;
        }
        if self.text.wants(seen.bytes) {
            self.text.raw(seen.bytes, &seen.shown(), &self.context);
        }
    }

    /// What became known since the last time.
    fn news(&mut self) -> Vec<TestEvent> {
        let reader = match self.extended.told() {
            true => &self.extended,
            false => &self.text,
        };
        // The last one may still be explained.
        let ready = reader.results.len().saturating_sub(1);
        let from = self.told.min(ready);
        self.told = ready;
        // Tests of one file come one after the other.
        let mut last: Option<(&str, String)> = None;
        reader.results[from..ready]
            .iter()
            .map(|result| {
                let target = result.file.as_deref().map(|file| {
                    if last.as_ref().is_none_or(|(known, _)| *known != file) {
                        last = Some((file, self.context.relative(file)));
                    }
                    last.as_ref()
                        .map_or_else(String::new, |(_, file)| file.clone())
                });
                let id = result.name.clone();
                match result.verdict {
                    result::Verdict::Passed => TestEvent::Passed { target, id },
                    result::Verdict::Skipped => TestEvent::Skipped { target, id },
                    _ => TestEvent::Failed(Box::new(result.failure(&self.context))),
                }
            })
            .collect()
    }
}

impl Adapter for BatsRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        match stream {
            Stream::File(name) if name.ends_with(".xml") => {
                self.xml.get_or_insert_default().feed(bytes);
                return Vec::new();
            }
            Stream::File(_) => {
                self.streamed |= !bytes.is_empty();
                let mut lines = std::mem::take(&mut self.events);
                lines.each(bytes, |seen| {
                    if self.extended.wants(seen.bytes) {
                        self.extended.raw(seen.bytes, &seen.shown(), &self.context);
                    }
                });
                self.events = lines;
            }
            Stream::Stderr => {
                let mut lines = std::mem::take(&mut self.errors);
                lines.each(bytes, |seen| self.line(seen));
                self.errors = lines;
            }
            Stream::Stdout | Stream::Log => {
                self.tail.feed(bytes);
                if let Some(last) = bytes.last() {
                    self.tail_is_whole = *last == b'\n';
                }
                let mut lines = std::mem::take(&mut self.output);
                lines.each(bytes, |seen| self.line(seen));
                self.output = lines;
            }
        }
        self.news()
    }

    fn finish(self: Box<Self>, end: End) -> Report {
        BatsRun::finish(*self, &end)
    }
}

/// Asks for structure.
pub(crate) fn request(asked: &Asked<'_>) -> Request {
    let mut request = Request::plain(asked.argv);
    let Some(at) = program(asked.argv) else {
        return request.set("BATS_FORMATTER", "cat");
    };
    // A verdict is about all tests.
    request.argv.retain(|word| word != "--abort");
    let own = asked.has("--report-formatter");
    let options: &[&str] = match own {
        // The user's own report stays; the stream is then what is printed.
        true => &["--formatter", "cat"],
        false => &["--report-formatter", "cat", "--output", asked.places.events],
    };
    let end = request.argv.len();
    // The last formatter counts, so ours stands behind the others.
    let place = if own { end } else { at + 1 };
    let options = options.iter().map(|word| (*word).to_owned());
    request.argv.splice(place..place, options);
    request
}

/// Where bats itself stands in a command.
fn program(argv: &[String]) -> Option<usize> {
    let is = |word: &String| word == "bats" || word.ends_with("/bats");
    let first = argv.first()?;
    if is(first) {
        return Some(0);
    }
    let base = first.rsplit('/').next().unwrap_or(first);
    let wraps = ["npx", "bash", "sh", "yarn", "pnpm", "bunx", "timeout"].contains(&base);
    // `bash test/bats` may be a script of the user's; what follows its name decides.
    argv.iter().take(4).position(is).filter(|_| wraps)
}

/// What a rerun begins with: bats itself, with what it needs to find its files.
pub(crate) fn tool(argv: &[String]) -> Vec<String> {
    let Some(at) = program(argv) else {
        return Vec::new();
    };
    let mut kept: Vec<String> = argv[..=at].to_vec();
    let mut words = argv[at + 1..].iter();
    while let Some(word) = words.next() {
        if word == "--setup-suite-file" {
            kept.push(word.clone());
            kept.extend(words.next().cloned());
        }
    }
    kept
}

#[cfg(test)]
mod tests;
