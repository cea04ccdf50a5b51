//! Reads PHPUnit: its text (default and `--testdox`), its JUnit and TeamCity files.
//!
//! PHPUnit 9 was run for this; what 8, 10, 11 and 12 print differently (errors, warnings and
//! deprecations that are the runner's own, `#x with data`, `An error occurred inside PHPUnit.`)
//! is built from their published documentation and tested on samples written by hand, which say
//! so.
//!
//! An id is what PHPUnit prints without the data: `Foo\BarTest::testRows with data set "two
//! words"`; a class's own failure is `Foo\BarTest::tearDownAfterClass`, a data provider's has the
//! method that asked for it. The target is the class. Risky tests pass, unless the run fails of
//! nothing else.
//!
//! A run is asked for the JUnit file (the best facts, written at the end) and the TeamCity file
//! (written while the tests run: who was running when the process died). A rerun is
//! `--filter '/^Class::test with data set "x"$/'` and selects exactly one test.

mod compare;
mod failure;
mod finish;
mod frames;
mod request;
mod results;
mod teamcity;
mod text;

pub(crate) use compare::sides;
pub(crate) use failure::refine;
pub(crate) use request::request;
pub(crate) use request::tool;

use crate::context::Context;
use crate::event::TestEvent;
use crate::junit::Document;
use crate::lines::Line;
use crate::lines::Lines;
use crate::lines::Seen;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::phpunit::teamcity::Messages;
use crate::phpunit::text::Reader;
use crate::report::Report;
use crate::text::Tail;

/// Begins to read a run.
pub(crate) fn open(context: Context) -> Box<dyn Adapter> {
    Box::new(PhpunitRun {
        context,
        output: Lines::default(),
        errors: Lines::default(),
        text: Reader::default(),
        error_text: Reader::default(),
        messages: Messages::default(),
        messaged: false,
        inline: Messages::default(),
        xml: None,
        tail: Tail::default(),
        error_tail: Tail::default(),
        in_xml: false,
    })
}

/// A run of PHPUnit that is being read.
#[derive(Debug)]
struct PhpunitRun {
    context: Context,
    output: Lines,
    errors: Lines,
    text: Reader,
    error_text: Reader,
    messages: Messages,
    /// A file of messages was given.
    messaged: bool,
    inline: Messages,
    xml: Option<Document>,
    tail: Tail,
    error_tail: Tail,
    in_xml: bool,
}

impl PhpunitRun {
    fn line(&mut self, seen: &Seen<'_>, events: &mut Vec<TestEvent>) {
        // Somebody saved one of the files into the log.
        if self.in_xml || seen.bytes.starts_with(b"<?xml") || seen.bytes.starts_with(b"<testsuites")
        {
            let document = self.xml.get_or_insert_default();
            document.feed(seen.bytes);
            document.feed(b"\n");
            self.in_xml = !seen.bytes.starts_with(b"</testsuites>");
            return;
        }
        if !self.inline.line(seen, &self.context, events) {
            self.text.line(seen);
        }
    }
}

impl Adapter for PhpunitRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        let mut events = Vec::new();
        match stream {
            Stream::File(name) if name.ends_with(".xml") => {
                self.xml.get_or_insert_default().feed(bytes);
            }
            Stream::File(_) => {
                self.messaged = true;
                events = self.messages.feed(bytes, &self.context);
            }
            Stream::Stderr => {
                self.tail.feed(bytes);
                self.error_tail.feed(bytes);
                let mut lines = std::mem::take(&mut self.errors);
                lines.each(bytes, |seen| self.error_text.line(&seen));
                self.errors = lines;
            }
            Stream::Stdout | Stream::Log => {
                self.tail.feed(bytes);
                let mut lines = std::mem::take(&mut self.output);
                lines.each(bytes, |seen| self.line(&seen, &mut events));
                self.output = lines;
            }
        }
        events
    }

    fn finish(mut self: Box<Self>, end: End) -> Report {
        if let Some(line) = self.output.finish() {
            self.line(&unfinished(&line), &mut Vec::new());
        }
        if let Some(line) = self.errors.finish() {
            self.error_text.line(&unfinished(&line));
        }
        // With `--stderr` all of PHPUnit's text is there.
        if !self.text.began && self.error_text.began {
            std::mem::swap(&mut self.text, &mut self.error_text);
        }
        if self.text.fatal.is_none() {
            self.text.fatal = self.error_text.fatal.take();
        }
        self.messages.close(&self.context);
        self.report(&end)
    }
}

fn unfinished(line: &Line) -> Seen<'_> {
    Seen {
        bytes: &line.bytes,
        length: line.length,
        unfinished: true,
    }
}

/// The argv that runs one test again.
pub(crate) fn rerun(id: &str, context: &Context) -> Vec<String> {
    let Some((class, method)) = id.split_once("::") else {
        return Vec::new();
    };
    let hook = method.ends_with("Class") && frames::by_name(method).is_some();
    let name = if hook {
        format!("{class}::")
    } else {
        id.to_owned()
    };
    // A hook's failure comes back with any test of its class.
    let end = if hook { "" } else { "$" };
    let mut pattern = String::new();
    for c in name.chars() {
        if ".\\+*?[^]$(){}=!<>|:-#/".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    context.rerun(
        &["phpunit"],
        ["--filter".to_owned(), format!("/^{pattern}{end}/")],
    )
}

#[cfg(test)]
mod tests;
