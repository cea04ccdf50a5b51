//! The JUnit files of `rspec_junit_formatter`: the failures' texts are RSpec's own blocks, their
//! backtraces without the usual mark.

use crate::compose;
use crate::context::Context;
use crate::junit::Document;
use crate::junit::Read;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::rspec::block;
use crate::ruby;

/// Where a document in a log ends.
const END: &[u8] = b"</testsuite";

/// Finds a document in a log.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    found: Option<Document>,
    open: bool,
}

impl Finder {
    /// Takes one line; whether it belongs to a document.
    pub fn line(&mut self, bytes: &[u8]) -> bool {
        if !self.open && !bytes.starts_with(b"<?xml ") {
            return false;
        }
        if !self.open {
            // The last one counts.
            self.found = Some(Document::default());
            self.open = true;
        }
        if let Some(document) = &mut self.found {
            document.feed(bytes);
            document.feed(b"\n");
        }
        self.open = !bytes.starts_with(END);
        true
    }

    /// The document.
    pub fn finish(self) -> Option<Document> {
        self.found
    }
}

/// Reads a document, its failures as RSpec means them.
pub(crate) fn read(document: &Document, context: &Context) -> Read {
    let mut read = document.read(context);
    let failures = std::mem::take(&mut read.failures);
    read.failures = failures
        .into_iter()
        .map(|one| refined(one, context))
        .collect();
    read
}

fn refined(mut failure: Failure, context: &Context) -> Failure {
    let body = failure.details.clone().unwrap_or_default();
    let marked: Vec<String> = body
        .lines()
        .map(|line| match ruby::traced(line) {
            Some(_) if !line.starts_with([' ', '#']) => format!("# {line}"),
            _ => line.to_owned(),
        })
        .collect();
    let lines: Vec<&str> = marked.iter().map(String::as_str).collect();
    let said = block::read(&lines);
    if said.trace.is_empty() && !said.fixed {
        // Several exceptions: the formatter says no more than that, and which class they have.
        let expectations = failure.message.contains("MultipleExpectationsNotMet");
        failure.kind = match expectations {
            true => FailureKind::Assertion,
            false => FailureKind::Panic,
        };
        failure.kind_sure = expectations;
    } else {
        let whole = marked.join("\n");
        let mut found = block::failure(context, &failure.id, &said, None, &whole);
        found.duration_ms = failure.duration_ms;
        found.stdout = failure.stdout.take();
        found.stderr = failure.stderr.take();
        found.test_location = failure.test_location.take();
        failure = found;
    }
    let file = failure.test_location.as_ref().map(|at| at.file.clone());
    if let Some(file) = file {
        let selection = [context.in_dir(&file), "-e".to_owned(), failure.id.clone()];
        failure.rerun = context.rerun(&["rspec"], selection);
        if failure.location.is_none() {
            failure.location = Some(ruby::at(&file, None));
        }
        failure.target = Some(file);
    }
    compose::seal(failure)
}
