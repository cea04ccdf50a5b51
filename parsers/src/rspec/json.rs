//! RSpec's `--format json`: in a file, or as a line of the log behind whatever the examples
//! printed.

use crate::compose;
use crate::compose::Compose;
use crate::context::Context;
use crate::lines::Seen;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::rspec::block;
use crate::rspec::message;
use crate::rspec::text::Reader;
use crate::ruby;
use crate::text;
use memchr::memmem;
use serde::Deserialize;

/// A longer document is not read.
const LONGEST: usize = 256 * 1024 * 1024;

/// The document, as far as it matters.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Document {
    #[serde(default)]
    messages: Vec<String>,
    #[serde(default)]
    examples: Vec<Example>,
    summary: Option<Summary>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Summary {
    #[serde(default)]
    example_count: u64,
    #[serde(default)]
    failure_count: u64,
    #[serde(default)]
    pending_count: u64,
    #[serde(default)]
    errors_outside_of_examples_count: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Example {
    #[serde(default)]
    id: String,
    #[serde(default)]
    full_description: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    file_path: String,
    #[serde(default)]
    line_number: Option<u32>,
    #[serde(default)]
    run_time: Option<f64>,
    #[serde(default)]
    pending_message: Option<String>,
    #[serde(default)]
    exception: Option<Thrown>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Thrown {
    #[serde(default)]
    class: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    backtrace: Option<Vec<String>>,
}

/// The document of a whole file.
pub(crate) fn of_file(bytes: &[u8]) -> Option<Document> {
    let at = memchr::memchr(b'{', bytes)?;
    parse(&bytes[at..])
}

fn parse(bytes: &[u8]) -> Option<Document> {
    // What an `at_exit` prints stands right behind it.
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<Document>();
    let document = values.next()?.ok()?;
    document.summary.is_some().then_some(document)
}

/// Finds documents in a log.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    /// A document on lines of its own, as `jq` prints it.
    pretty: Vec<u8>,
    found: Option<Document>,
    /// After how many other lines the last one was found.
    at: u64,
    /// A document began, and the log ends within.
    broken: bool,
}

impl Finder {
    /// Takes one line; whether it belongs to a document.
    pub fn line(&mut self, seen: &Seen<'_>, before: u64) -> bool {
        let bytes = seen.bytes;
        if !self.pretty.is_empty() {
            return self.more(bytes, before);
        }
        if bytes == b"{" {
            self.pretty.extend_from_slice(b"{\n");
            return true;
        }
        if bytes.len() < 40 || memchr::memchr(b'{', bytes).is_none() {
            return false;
        }
        let Some(at) = memmem::find(bytes, b"{\"version\":\"") else {
            return false;
        };
        match parse(&bytes[at..]) {
            // The last one counts: what came before was printed by an example.
            Some(document) => (self.found, self.at) = (Some(document), before),
            None => self.broken |= memmem::find(bytes, b"\"examples\":[").is_some(),
        }
        false
    }

    fn more(&mut self, bytes: &[u8], before: u64) -> bool {
        let second = self.pretty.len() == 2;
        if second && memmem::find(bytes, b"\"version\"").is_none() || self.pretty.len() > LONGEST {
            self.pretty.clear();
            return false;
        }
        self.pretty.extend_from_slice(bytes);
        self.pretty.push(b'\n');
        if bytes.first() == Some(&b'}') {
            let whole = std::mem::take(&mut self.pretty);
            if let Some(document) = parse(&whole) {
                (self.found, self.at) = (Some(document), before);
            }
        }
        true
    }

    /// The last document with the number of other lines before it, and whether one broke off.
    pub fn finish(self) -> (Option<(Document, u64)>, bool) {
        let found = self.found.map(|document| (document, self.at));
        (found, self.broken || self.pretty.len() > 2)
    }
}

impl Document {
    /// Lays what it says into a report.
    pub fn add(&self, compose: &mut Compose, context: &Context) {
        for example in &self.examples {
            match example.status.as_str() {
                "passed" => compose.counts.passed += 1,
                "pending" => compose.counts.skipped += 1,
                "failed" => compose.failed(self::failure(example, context)),
                _ => {
                    compose.failed(left(example, context));
                    compose.complete = false;
                }
            }
        }
        self.outside(compose, context);
        self.check(compose);
    }

    fn outside(&self, compose: &mut Compose, context: &Context) {
        let mut reader = Reader::default();
        for message in &self.messages {
            for line in message.lines() {
                reader.line(&Seen {
                    bytes: line.as_bytes(),
                    length: line.len() as u64 + 1,
                    unfinished: false,
                });
            }
        }
        let (_, found) = reader.unfinished();
        let said = self.summary.as_ref();
        let said = said.map_or(0, |summary| summary.errors_outside_of_examples_count);
        let quit = found
            .iter()
            .filter(|(heading, _)| heading.starts_with("While loading "));
        let quit = quit.count() as u64;
        for (heading, body) in &found {
            let lines: Vec<&str> = body.lines().collect();
            compose.failed(block::outside(context, heading, &block::read(&lines), body));
        }
        if found.len() as u64 - quit < said {
            let message = format!("{said} errors occurred outside of examples");
            let failure = compose::failure("rspec", FailureKind::Panic, Phase::Session, message);
            compose.failed(compose::seal(failure));
            compose.complete = false;
        }
    }

    fn check(&self, compose: &mut Compose) {
        let Some(summary) = &self.summary else {
            compose.complete = false;
            return;
        };
        let count = |status: &str| {
            let with = self.examples.iter().filter(|one| one.status == status);
            with.count() as u64
        };
        let agrees = summary.example_count == self.examples.len() as u64
            && summary.failure_count == count("failed")
            && summary.pending_count == count("pending");
        if !agrees {
            let message = "the summary counts other examples than are listed";
            compose.incomplete(compose::inconsistent(message));
        }
    }
}

impl Example {
    fn defined(&self, context: &Context) -> Location {
        ruby::at(&context.relative(&self.file_path), self.line_number)
    }

    fn name(&self) -> &str {
        &self.full_description
    }
}

fn ready(mut failure: Failure, example: &Example, context: &Context) -> Failure {
    let file = example
        .id
        .rsplit_once('[')
        .map_or(example.file_path.as_str(), |(file, _)| file);
    failure.target = Some(context.relative(file));
    failure.test_location = Some(example.defined(context));
    failure.duration_ms = example
        .run_time
        .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
        .map(|seconds| (seconds * 1000.0) as u64);
    if !example.id.is_empty() {
        failure.rerun = context.rerun(&["rspec"], [example.id.clone()]);
    }
    compose::seal(failure)
}

fn failure(example: &Example, context: &Context) -> Failure {
    let thrown = example.exception.clone().unwrap_or_default();
    let class = thrown.class.unwrap_or_default();
    let said = thrown.message.unwrap_or_default();
    let trace = thrown.backtrace.unwrap_or_default();
    let (mut kind, mut sure) = message::kind(&class);
    let mut phase = Phase::Call;
    // An aggregate is thrown by a hook around the example.
    let aggregate = class.ends_with("MultipleExpectationsNotMetError");
    if kind != FailureKind::UnexpectedPass && !aggregate {
        match step(&trace) {
            Step::Setup => (kind, phase) = (FailureKind::SetupError, Phase::Setup),
            Step::Teardown => (kind, phase) = (FailureKind::TeardownError, Phase::Teardown),
            Step::Around => (kind, phase, sure) = (FailureKind::SetupError, Phase::Setup, false),
            Step::Call => {}
        }
    }
    let shown = match kind {
        FailureKind::UnexpectedPass => format!(
            "Expected pending '{}' to fail. No error was raised.",
            example.pending_message.as_deref().unwrap_or("")
        ),
        _ => message::one_line(&class, &said),
    };
    let mut failure = compose::failure(example.name(), kind, phase, shown);
    failure.kind_sure = sure;
    failure.frames = frames(&class, &said, &trace, context);
    failure.location = ruby::place(context, &failure.frames);
    if failure.location.is_none() {
        failure.location = Some(example.defined(context));
    }
    failure.diff = message::diff(&said);
    failure.details = text::block(&details(&class, &said, &failure), text::DETAILS);
    if class == "RSpec::Core::MultipleExceptionError" {
        // Only the messages are joined in it; the first is the example's own.
        let expected = said.trim_start().starts_with("expected");
        (failure.kind, failure.kind_sure) = match expected {
            true => (FailureKind::Assertion, true),
            false => (FailureKind::Panic, false),
        };
    }
    ready(failure, example, context)
}

/// An aggregate's frames are those of its first part: its message ends with the place.
fn frames(
    class: &str,
    said: &str,
    trace: &[String],
    context: &Context,
) -> Vec<crate::report::Frame> {
    let own = ruby::frames(context, trace.iter().map(String::as_str));
    if !class.ends_with("MultipleExpectationsNotMetError") {
        return own;
    }
    let first = message::parts(said).into_iter().next().unwrap_or_default();
    let mut inner = ruby::frames(context, first.lines());
    inner.extend(own.into_iter().filter(|frame| frame.user));
    inner.dedup();
    inner
}

/// The exception as RSpec would print it, without the source that is not here.
fn details(class: &str, said: &str, failure: &Failure) -> String {
    let mut text = match class.contains("RSpec") || class.is_empty() {
        true => said.trim_matches('\n').to_owned(),
        false => format!("{class}:\n{}", said.trim_matches('\n')),
    };
    for frame in failure.frames.iter().filter(|frame| frame.user) {
        let line = frame.line.unwrap_or(0);
        text.push_str(&format!("\n# {}:{line}", frame.file));
        if let Some(function) = &frame.function {
            text.push_str(&format!(":in '{function}'"));
        }
    }
    text
}

/// An example without a result: `exit` in it ends the run, and RSpec counts no failure.
fn left(example: &Example, context: &Context) -> Failure {
    let message = "the process was left in mid-example";
    let mut failure = compose::failure(example.name(), FailureKind::Crash, Phase::Call, message);
    failure.location = Some(example.defined(context));
    ready(failure, example, context)
}

enum Step {
    Setup,
    Call,
    Around,
    Teardown,
}

/// The step of RSpec's own that stands innermost in a backtrace.
fn step(trace: &[String]) -> Step {
    let own = trace.iter().filter(|line| line.contains("/rspec/core/"));
    for line in own {
        let name = ruby::traced(line)
            .and_then(|traced| traced.function)
            .map(ruby::bare);
        match name.as_deref() {
            Some("run_before_example" | "run_before_context_hooks") => return Step::Setup,
            Some("run_after_example" | "run_after_context_hooks") => return Step::Teardown,
            Some("execute_with") => return Step::Around,
            Some("block in run" | "verify_mocks") => return Step::Call,
            _ => {}
        }
    }
    Step::Call
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(bytes: &[u8]) -> Seen<'_> {
        Seen {
            bytes,
            length: bytes.len() as u64 + 1,
            unfinished: false,
        }
    }

    const ONE: &str = r#"{"version":"3.12.0","examples":[{"id":"./spec/f_spec.rb[1:1]","description":"a","full_description":"x a","status":"","file_path":"./spec/f_spec.rb","line_number":1,"run_time":0.1,"pending_message":null}],"summary":{"duration":0.1,"example_count":1,"failure_count":0,"pending_count":0,"errors_outside_of_examples_count":0},"summary_line":"1 example, 0 failures"}"#;

    #[test]
    fn a_document_stands_anywhere_in_a_line() {
        for line in [ONE.to_owned(), format!("hello {{ x }}{ONE}bye\n")] {
            let mut finder = Finder::default();
            finder.line(
                &seen(b"{\"version\":\"1\"} something else that is long enough"),
                0,
            );
            finder.line(&seen(line.as_bytes()), 0);
            let (found, broken) = finder.finish();
            assert!(found.is_some() && !broken, "{line}");
        }
        let mut finder = Finder::default();
        finder.line(&seen(&ONE.as_bytes()[..ONE.len() - 20]), 0);
        assert!(finder.finish().1);
    }

    #[test]
    fn a_document_may_have_many_lines() {
        let value: serde_json::Value = serde_json::from_str(ONE).expect("JSON");
        let pretty = serde_json::to_string_pretty(&value).expect("JSON");
        // `jq` keeps the order of the keys.
        let pretty = pretty.replacen("{\n", "{\n  \"version\": \"3\",\n", 1);
        let mut finder = Finder::default();
        for line in pretty.lines() {
            finder.line(&seen(line.as_bytes()), 0);
        }
        // The version twice is no document for the strict reader, but one for ours.
        assert!(finder.finish().0.is_some());
    }

    #[test]
    fn an_example_without_a_status_was_left() {
        let document = of_file(ONE.as_bytes()).expect("a document");
        let mut compose = Compose::new();
        document.add(&mut compose, &Context::default());
        assert_eq!(compose.failures[0].kind, FailureKind::Crash);
        assert_eq!(compose.failures[0].id, "x a");
        assert!(!compose.complete);
    }
}
