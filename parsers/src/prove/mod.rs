//! Reads `prove` and whatever else runs Perl's Test::Harness (`make test`, `./Build test`).
//!
//! # Structure
//!
//! `PERL_TEST_HARNESS_DUMP_TAP=DIR` makes the harness write the TAP of each file into
//! `DIR/path/of/the/file.t`, as it comes. The names of tests, their subtests and their order are
//! taken from there; what Test::More says about a failure goes to standard error and is put to
//! it by its name; exit statuses stand in the harness's own text. Without those files the TAP of
//! `prove -v` is read, and without that one the numbers of the summary with Test::More's words.
//!
//! # Facts
//!
//! - id: the test's description, its number where it has none, a path joined by ` > ` in
//!   subtests; target: the test file. What is wrong with a file as a whole has the file's name
//!   as its id: `panic` (it died), `collection_error` (it does not compile), `exit_nonzero`,
//!   `plan_mismatch` (what the harness calls parse errors), `crash`.
//! - rerun: the harness knows no way to run one test of a file, so it is the whole file.

mod file;
mod finish;
mod text;

use crate::context::Context;
use crate::event::TestEvent;
use crate::lines::Lines;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::prove::text::Text;
use crate::report::FailureKind;
use crate::report::Phase;
use crate::report::Report;
use crate::request::Asked;
use crate::request::Request;
use crate::tap::Diagnostics;
use crate::tap::Reader;
use crate::tap::Step;
use crate::text::Tail;
use std::collections::BTreeMap;

/// More dumped files than this are not read.
const MOST_DUMPS: usize = 20_000;

/// A run of the harness that is being read.
#[derive(Debug)]
struct ProveRun {
    context: Context,
    output: Lines,
    errors: Lines,
    text: Text,
    dumps: BTreeMap<String, (Lines, Reader)>,
    diagnostics: Diagnostics,
    tail: Tail,
}

/// Begins to read a run.
pub(crate) fn open(context: Context) -> Box<dyn Adapter> {
    Box::new(ProveRun {
        context,
        output: Lines::default(),
        errors: Lines::default(),
        text: Text::default(),
        dumps: BTreeMap::new(),
        diagnostics: Diagnostics::default(),
        tail: Tail::default(),
    })
}

fn event(file: String, step: Step) -> TestEvent {
    let target = Some(file);
    match step {
        Step::Passed(id) => TestEvent::Passed { target, id },
        Step::Skipped(id) => TestEvent::Skipped { target, id },
        Step::Planned(total) => TestEvent::Planned {
            total: u64::from(total),
        },
        Step::Failed(id) => {
            let mut failure =
                crate::compose::failure(&id, FailureKind::Assertion, Phase::Call, &id);
            failure.target = target;
            TestEvent::Failed(Box::new(crate::compose::seal(failure)))
        }
    }
}

impl Adapter for ProveRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        let mut events = Vec::new();
        match stream {
            Stream::File(name) => {
                if !self.dumps.contains_key(name) && self.dumps.len() >= MOST_DUMPS {
                    return events;
                }
                let file = self.context.relative(name);
                let (lines, reader) = self.dumps.entry(name.to_owned()).or_default();
                lines.each(bytes, |seen| {
                    if reader.wants(seen.bytes) {
                        let step = reader.line(&seen.shown());
                        events.extend(step.map(|step| event(file.clone(), step)));
                    }
                });
            }
            Stream::Stderr => {
                let (text, diagnostics) = (&mut self.text, &mut self.diagnostics);
                self.errors
                    .each(bytes, |seen| text.take_error(seen, diagnostics));
            }
            Stream::Stdout | Stream::Log => {
                self.tail.feed(bytes);
                let (text, diagnostics) = (&mut self.text, &mut self.diagnostics);
                let (context, dumped) = (&self.context, !self.dumps.is_empty());
                // Tests of one file come one after the other.
                let mut last: Option<(usize, String)> = None;
                self.output.each(bytes, |seen| {
                    if let Some((at, step)) = text.take(seen, diagnostics)
                        && !dumped
                    {
                        if last.as_ref().is_none_or(|(known, _)| *known != at) {
                            last = Some((at, context.relative(&text.files[at].name)));
                        }
                        let file = last
                            .as_ref()
                            .map_or_else(String::new, |(_, file)| file.clone());
                        events.push(event(file, step));
                    }
                });
            }
        }
        events
    }

    fn finish(self: Box<Self>, end: End) -> Report {
        ProveRun::finish(*self, &end)
    }
}

/// Asks for structure.
pub(crate) fn request(asked: &Asked<'_>) -> Request {
    let request = Request::plain(asked.argv);
    // The harness would write outside of the directory, and die of it.
    let outside = asked
        .words()
        .any(|word| word.split('/').any(|part| part == ".."));
    if outside || asked.own("PERL_TEST_HARNESS_DUMP_TAP").is_some() {
        return request;
    }
    request.set("PERL_TEST_HARNESS_DUMP_TAP", asked.places.events)
}

/// What a rerun begins with: `prove` with what the tests need to find their modules.
pub(crate) fn tool(argv: &[String]) -> Vec<String> {
    let is = |word: &String| word == "prove" || word.ends_with("/prove");
    let Some(at) = argv.iter().take(4).position(is) else {
        return Vec::new();
    };
    let mut kept: Vec<String> = argv[..=at].to_vec();
    let mut words = argv[at + 1..].iter();
    while let Some(word) = words.next() {
        if word == "::" {
            break;
        }
        let valued = ["--exec", "--include", "-I", "-e", "-M"];
        if valued.contains(&word.as_str()) {
            kept.push(word.clone());
            kept.extend(words.next().cloned());
        } else if ["--lib", "--blib"].contains(&word.as_str())
            || ["--exec=", "--include=", "-I", "-M"]
                .iter()
                .any(|start| word.starts_with(start))
        {
            kept.push(word.clone());
        } else if let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.starts_with('-')) {
            if ["j", "P", "a"].contains(&letters) {
                words.next();
            }
            // Short options may stand together: `-lvr`.
            for letter in letters.chars().take_while(|c| !"jPaIMe".contains(*c)) {
                if "lbwWtT".contains(letter) {
                    kept.push(format!("-{letter}"));
                }
            }
        } else if [
            "--jobs",
            "--formatter",
            "--harness",
            "--archive",
            "--state",
            "--ext",
            "--rc",
        ]
        .contains(&word.as_str())
        {
            words.next();
        }
    }
    kept
}

#[cfg(test)]
mod tests;
