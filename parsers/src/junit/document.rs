//! One JUnit document, or several in one text.

use crate::context::Context;
use crate::junit::case;
use crate::junit::case::Verdict;
use crate::junit::dialect;
use crate::junit::dialect::Dialect;
use crate::junit::dialect::Suite;
use crate::junit::events;
use crate::junit::sources::Sources;
use crate::junit::xml;
use crate::junit::xml::Element;
use crate::junit::xml::Reader;
use crate::junit::xml::Token;
use crate::report::Failure;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// The most of a document that is read.
const MOST: usize = 128 * 1024 * 1024;
/// Deeper nesting than any report has.
const DEEPEST: usize = 200;
/// More failures than this are counted, but not kept.
const MOST_FAILURES: usize = 20_000;

/// The bytes of a document.
#[derive(Debug, Default)]
pub(crate) struct Document {
    bytes: Vec<u8>,
    cut: bool,
}

/// What a document says.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// Whose conventions it follows.
    pub dialect: Option<Dialect>,
    /// How many tests passed.
    pub passed: u64,
    /// How many were skipped.
    pub skipped: u64,
    /// How many of the passed ones failed first.
    pub flaky: u64,
    /// What failed.
    pub failures: Vec<Failure>,
    /// Failures that belong to a test that has another one.
    pub doubles: u64,
    /// Failures beyond those that are kept.
    pub more: u64,
    /// Tests that passed but whose own output does not say so.
    pub silent: Vec<(String, Option<String>)>,
    /// Why it is not to be believed whole.
    pub faults: Vec<String>,
    /// Tests that had begun and were not over: the document says when they begin.
    pub running: Vec<(String, Option<String>)>,
    /// It breaks off.
    pub cut: bool,
    /// What is told of the case that it breaks off in.
    pub partial: Vec<Failure>,
}

impl Document {
    /// Takes more bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        let room = MOST.saturating_sub(self.bytes.len());
        self.cut |= bytes.len() > room;
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Whether it is empty so far, or begins as XML does.
    pub fn may_be_xml(&self) -> bool {
        let mut bytes = self.bytes.iter().filter(|byte| !byte.is_ascii_whitespace());
        bytes.next().is_none_or(|byte| matches!(byte, b'<' | 0xef))
    }

    /// Whether it looks like XML at all.
    pub fn is_xml(&self) -> bool {
        let head = &self.bytes[..self.bytes.len().min(4096)];
        let text = xml::text_of(head);
        let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        [
            "<?xml",
            "<testsuite",
            "<testrun",
            "<!DOCTYPE",
            "<!--",
            "<e:events",
        ]
        .iter()
        .any(|root| start.starts_with(root))
    }

    /// What is in it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads the document.
    pub fn read(&self, context: &Context) -> Read {
        self.read_with(&mut Sources::new(context.clone()))
    }

    /// The same, with what is already known of the project's sources.
    pub fn read_with(&self, sources: &mut Sources) -> Read {
        let mut text = xml::text_of(&self.bytes);
        // Captured output may hold control characters, which XML does not allow.
        let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{1b}');
        if text.contains(odd) {
            text = text.replace(odd, " ").into();
        }
        let mut walk = Walk::new(sources);
        walk.document(&text);
        let mut read = walk.over();
        if self.cut {
            read.faults
                .push("the file is too large to be read whole".to_owned());
        }
        read
    }
}

/// Whose conventions the beginning of a document follows.
pub(crate) fn peek(text: &str) -> Option<Dialect> {
    const MOST_CASES: usize = 200;
    let mut reader = Reader::new(text);
    let mut suites = Vec::new();
    let (mut found, mut named, mut cases) = (None, None, 0);
    while let Some(token) = reader.next() {
        match token {
            Token::Open {
                name: name @ ("testsuites" | "testsuite" | "testrun"),
                attributes,
                empty: false,
            } => {
                suites.push(Suite::of(&Element {
                    name: name.to_owned(),
                    attributes: xml::attributes(attributes),
                    ..Element::default()
                }));
                named = named.or_else(|| dialect::by_name(&suites));
            }
            Token::Close("testsuites" | "testsuite" | "testrun") => {
                suites.pop();
            }
            Token::Open {
                name: "property",
                attributes,
                ..
            } if attributes.contains("\"go.version\"") => {
                if let Some(suite) = suites.last_mut() {
                    suite.go = true;
                }
            }
            Token::Open {
                name: "testcase",
                attributes,
                empty,
            } => {
                let case = Element::read(&mut reader, "testcase", attributes, empty);
                let dialect = dialect::recognise(&suites, &case);
                found = match found {
                    None | Some(Dialect::Other) => Some(dialect),
                    Some(known) => Some(dialect::better(known, &case)),
                };
                cases += 1;
                if !found.is_some_and(Dialect::is_guess) || cases > MOST_CASES {
                    break;
                }
            }
            _ => {}
        }
    }
    found.or(named)
}

/// A document that breaks off, up to its last whole case and with all suites ended; nothing where
/// there is none. `end` is what its writer puts before the root's end.
pub(crate) fn mended(text: &str, end: &str) -> Option<String> {
    let mut reader = Reader::new(text);
    let mut open: Vec<&str> = Vec::new();
    let mut last = None;
    while let Some(token) = reader.next() {
        match token {
            Token::Open {
                name: "testcase",
                empty,
                attributes,
            } => {
                let case = Element::read(&mut reader, "testcase", attributes, empty);
                if case.open {
                    break;
                }
                last = Some((reader.at(), open.clone()));
            }
            Token::Open {
                name: name @ ("testsuites" | "testsuite" | "testrun"),
                empty: false,
                ..
            } => open.push(name),
            Token::Close("testsuites" | "testsuite" | "testrun") => {
                open.pop();
            }
            Token::Open {
                name: "system-out" | "system-err",
                empty: false,
                ..
            } => xml::skip(&mut reader),
            _ => {}
        }
        if open.len() > DEEPEST {
            return None;
        }
    }
    let (at, open) = last?;
    let mut whole = text[..at].to_owned();
    for (outer, name) in open.iter().enumerate().rev() {
        whole.push_str(if outer == 0 { end } else { "" });
        whole.push_str("</");
        whole.push_str(name);
        whole.push('>');
    }
    Some(whole)
}

/// The way through a document.
struct Walk<'a> {
    sources: &'a mut Sources,
    suites: Vec<Suite>,
    read: Read,
    failed: BTreeSet<(Option<String>, String)>,
    /// Class-wide steps that failed, by class, phase and message: every test of the class tells
    /// of the same one.
    hooks: BTreeMap<(String, String), usize>,
    any_root: bool,
    seen: u64,
    bad: u64,
    /// How many suites failed as a whole.
    suites_failed: u64,
    /// How many cases and suites have an error.
    errors: u64,
    broken: Vec<String>,
}

impl<'a> Walk<'a> {
    fn new(sources: &'a mut Sources) -> Self {
        Walk {
            sources,
            suites: Vec::new(),
            read: Read::default(),
            failed: BTreeSet::new(),
            hooks: BTreeMap::new(),
            any_root: false,
            seen: 0,
            bad: 0,
            suites_failed: 0,
            errors: 0,
            broken: Vec::new(),
        }
    }

    fn document(&mut self, text: &str) {
        let mut reader = Reader::new(text);
        while let Some(token) = reader.next() {
            match token {
                Token::Open {
                    name: name @ ("testsuites" | "testsuite" | "testrun"),
                    attributes,
                    empty,
                } => self.suite(name, attributes, empty),
                Token::Open {
                    name: "testcase",
                    attributes,
                    empty,
                } => {
                    let case = Element::read(&mut reader, "testcase", attributes, empty);
                    self.case(&case);
                }
                Token::Open {
                    name: name @ ("error" | "failure"),
                    attributes,
                    empty,
                } if !self.suites.is_empty() => {
                    let fault = Element::read(&mut reader, name, attributes, empty);
                    self.whole_suite(fault);
                }
                // Whatever a test printed is no part of the document.
                Token::Open {
                    name: "system-out" | "system-err",
                    empty: false,
                    ..
                } => xml::skip(&mut reader),
                Token::Open {
                    name: "events",
                    empty: false,
                    ..
                } => {
                    self.any_root = true;
                    events::read(&mut reader, self.sources, &mut self.read);
                }
                Token::Open {
                    name: "property",
                    attributes,
                    ..
                } => self.property(attributes),
                Token::Close("testsuites" | "testsuite" | "testrun") => self.suite_over(),
                _ => {}
            }
            if reader.depth() > DEEPEST {
                self.fault("the elements are nested too deeply");
                break;
            }
        }
        if !self.suites.is_empty() {
            self.fault("not a whole XML document: it breaks off");
            self.read.cut = true;
            while !self.suites.is_empty() {
                self.suite_over();
            }
        }
        if let Some(fault) = reader.fault {
            self.fault(fault);
        }
        if !self.any_root {
            self.fault("not a JUnit document");
        }
    }

    fn fault(&mut self, what: &str) {
        let what = what.to_owned();
        if self.read.faults.len() < 20 && !self.read.faults.contains(&what) {
            self.read.faults.push(what);
        }
    }

    fn suite(&mut self, name: &str, tag: &str, empty: bool) {
        if self.suites.is_empty() {
            // A new document: its numbers are its own.
            (self.seen, self.bad, self.suites_failed) = (0, 0, 0);
            self.errors = 0;
        }
        self.any_root = true;
        let suite = Suite::of(&Element {
            name: name.to_owned(),
            attributes: xml::attributes(tag),
            ..Element::default()
        });
        if !empty {
            self.suites.push(suite);
        } else if suite.tests.unwrap_or(0) > 0 {
            self.fault("a suite announces tests and has none");
        }
    }

    fn suite_over(&mut self) {
        let Some(suite) = self.suites.pop() else {
            return;
        };
        if self.suites.is_empty() {
            self.announced(&suite);
        } else if let Some(outer) = self.suites.last_mut() {
            // What the root does not announce its parts do.
            let tests = suite.tests.unwrap_or(suite.cases);
            outer.cases = outer.cases.saturating_add(tests);
        }
    }

    /// Compares a document's own numbers with its cases.
    fn announced(&mut self, root: &Suite) {
        let parts = (root.cases > 0).then_some(root.cases);
        let said = root.tests.or(parts);
        let seen = self.seen;
        let lenient = match self.read.dialect {
            // Pytest counts each subtest and each failed phase besides the cases.
            Some(Dialect::Pytest) => said > Some(seen),
            Some(dialect) => !dialect.counts_cases(),
            None => false,
        };
        // A suite that could not be run counts as one of its tests, or as none.
        let fits = |said: &u64| (seen..=seen + self.suites_failed).contains(said);
        if let Some(said) = said.filter(|said| !fits(said) && !lenient) {
            self.fault(&format!("{said} tests are announced, {seen} are there"));
        }
        // gotestsum counts packages that cannot be built, and says no more of them.
        if self.read.dialect == Some(Dialect::Go) && root.errors > self.errors {
            let message = format!(
                "{} errors are announced, {} are there",
                root.errors, self.errors
            );
            self.fault(&message);
        }
        let bad = root.bad.unwrap_or(0);
        if bad > 0 && self.bad == 0 {
            self.fault(&format!("{bad} failures are announced, none is there"));
        }
    }

    /// A suite failed, and no case of it: it could not be loaded, or not be run.
    fn whole_suite(&mut self, fault: Element) {
        let name = self.suites.last().map_or("", |suite| suite.name.as_str());
        let case = Element {
            name: "testcase".to_owned(),
            attributes: vec![("classname".to_owned(), name.to_owned())],
            open: fault.open,
            children: vec![fault],
            ..Element::default()
        };
        let dialect = match self.read.dialect {
            None => dialect::recognise(&self.suites, &case),
            Some(dialect) => dialect,
        };
        self.read.dialect = Some(dialect);
        self.bad += 1;
        self.suites_failed += 1;
        self.errors += 1;
        let verdict = case::read(&case, &self.suites, dialect, self.sources);
        let failures = match verdict {
            Verdict::Failed(failures) => failures,
            Verdict::ClassStep { failure, .. } => vec![*failure],
            _ => return,
        };
        for failure in failures {
            self.failure(case::of_suite(failure));
        }
    }

    fn property(&mut self, tag: &str) {
        let attributes = xml::attributes(tag);
        let go = attributes
            .iter()
            .any(|(name, value)| name == "name" && value == "go.version");
        if go && let Some(suite) = self.suites.last_mut() {
            suite.go = true;
        }
    }

    fn case(&mut self, case: &Element) {
        let dialect = match self.read.dialect {
            // A later case may tell what the ones before it did not.
            None | Some(Dialect::Other) => dialect::recognise(&self.suites, case),
            Some(known) => dialect::better(known, case),
        };
        self.read.dialect = Some(dialect);
        let verdict = case::read(case, &self.suites, dialect, self.sources);
        // Whether it passed is not known where the document breaks off inside of it.
        if case.open && !matches!(verdict, Verdict::Failed(_)) {
            let (id, _) = dialect::identity(case, &self.suites, dialect);
            self.broken.push(id);
            return;
        }
        // What failed around a class is counted as none of its tests.
        let around = case.get("classname") == Some(dialect::AROUND);
        self.seen += u64::from(!around);
        self.suites_failed += u64::from(around);
        self.errors += u64::from(case.child("error").is_some());
        match verdict {
            Verdict::Passed { flaky } => {
                self.read.passed += 1;
                self.read.flaky += u64::from(flaky);
                self.bad += u64::from(flaky);
                if let Some(id) = case::silent(case, &self.suites, dialect) {
                    self.read.silent.push(id);
                }
            }
            Verdict::Skipped => self.read.skipped += 1,
            Verdict::Risky => {
                self.bad += 1;
                self.read.passed += 1;
            }
            Verdict::Failed(failures) => {
                self.bad += 1;
                if case.open {
                    self.read.partial.clone_from(&failures);
                }
                self.failed(failures);
            }
            Verdict::ClassStep { failure, passed } => {
                self.bad += 1;
                self.class_step(*failure, passed);
            }
        }
    }

    /// What failed of one case. Python's writers give a test that failed and whose teardown
    /// failed, too, two cases; cases of one name are tests of their own elsewhere.
    fn failed(&mut self, failures: Vec<Failure>) {
        let python = matches!(self.read.dialect, Some(Dialect::Pytest | Dialect::Unittest));
        let mut first = true;
        for failure in failures {
            let key = (failure.target.clone(), failure.id.clone());
            let again = !self.failed.insert(key);
            self.read.doubles += u64::from(again && (python || !first));
            first = false;
            self.failure(failure);
        }
    }

    fn failure(&mut self, failure: Failure) {
        if self.read.failures.len() < MOST_FAILURES {
            self.read.failures.push(failure);
        } else {
            self.read.more += 1;
        }
    }

    /// A class's own step failed; the tests of the class only tell of it.
    fn class_step(&mut self, failure: Failure, passed: bool) {
        self.read.passed += u64::from(passed);
        let key = (failure.id.clone(), failure.message.clone());
        if let Some(times) = self.hooks.get_mut(&key) {
            *times += 1;
            return;
        }
        self.hooks.insert(key, 1);
        self.failure(failure);
    }

    fn over(mut self) -> Read {
        if let Some(id) = self.broken.first() {
            let message = format!("it breaks off inside of `{}`", crate::text::cut(id, 200));
            self.fault(&message);
        }
        self.read
    }
}
