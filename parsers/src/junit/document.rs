//! One JUnit document.

use crate::context::Context;
use crate::junit::case;
use crate::report::Failure;
use roxmltree::Node;
use roxmltree::ParsingOptions;
use std::collections::BTreeSet;

/// The most of a document that is read.
const MOST: usize = 64 * 1024 * 1024;
/// Deeper nesting than any report has; deeper documents are refused before they are parsed.
const DEEPEST: usize = 200;

/// Whose conventions a document follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// pytest's `--junitxml`.
    Pytest,
    /// nextest's.
    Nextest,
    /// Anybody else's.
    Other,
}

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
    /// What failed.
    pub failures: Vec<Failure>,
    /// Failures that belong to a test that has another one.
    pub doubles: u64,
    /// Tests that passed but whose own output does not say so.
    pub silent: Vec<(String, Option<String>)>,
    /// Why it is not to be believed whole.
    pub faults: Vec<String>,
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
        let start = self
            .bytes
            .iter()
            .position(|byte| !byte.is_ascii_whitespace());
        let start = start.map_or(&[][..], |at| &self.bytes[at..]);
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        start.starts_with(b"<?xml") || start.starts_with(b"<testsuite")
    }

    /// Reads the document.
    pub fn read(&self, context: &Context) -> Read {
        let mut read = Read::default();
        if self.cut {
            read.faults
                .push("the file is too large to be read".to_owned());
            return read;
        }
        let text = String::from_utf8_lossy(&self.bytes);
        let text = text.trim_start_matches('\u{feff}').trim_start();
        if depth(text) > DEEPEST {
            read.faults
                .push("the elements are nested too deeply".to_owned());
            return read;
        }
        // Captured output may hold control characters, which XML does not allow.
        let text: String = text
            .chars()
            .map(|c| {
                if c.is_control() && !matches!(c, '\n' | '\r' | '\t') {
                    ' '
                } else {
                    c
                }
            })
            .collect();
        let options = ParsingOptions {
            allow_dtd: false,
            nodes_limit: 4_000_000,
            ..ParsingOptions::default()
        };
        match roxmltree::Document::parse_with_options(&text, options) {
            Ok(document) => self.suites(&document, context, &mut read),
            Err(error) => read
                .faults
                .push(format!("not a whole XML document: {error}")),
        }
        read
    }

    fn suites(&self, document: &roxmltree::Document<'_>, context: &Context, read: &mut Read) {
        let root = document.root_element();
        if !matches!(
            root.tag_name().name(),
            "testsuites" | "testsuite" | "testrun"
        ) {
            read.faults
                .push(format!("`{}` is no JUnit element", root.tag_name().name()));
            return;
        }
        let dialect = dialect(root);
        read.dialect = Some(dialect);
        let mut failed_ids = BTreeSet::new();
        let mut seen = 0u64;
        for node in document
            .descendants()
            .filter(|node| node.has_tag_name("testcase"))
        {
            seen += 1;
            match case::read(node, dialect, context) {
                case::Verdict::Passed => {
                    read.passed += 1;
                    if let Some(id) = case::silent(node, dialect) {
                        read.silent.push(id);
                    }
                }
                case::Verdict::Skipped => read.skipped += 1,
                case::Verdict::Failed(failures) => {
                    for failure in failures {
                        let key = (failure.target.clone(), failure.id.clone());
                        read.doubles += u64::from(!failed_ids.insert(key));
                        read.failures.push(failure);
                    }
                }
            }
        }
        announced(root, dialect, seen, read);
    }
}

/// Compares the suites' own numbers with the cases.
fn announced(root: Node<'_, '_>, dialect: Dialect, seen: u64, read: &mut Read) {
    let total = |node: Node<'_, '_>| node.attribute("tests").and_then(|n| n.parse::<u64>().ok());
    let said = total(root).or_else(|| {
        let suites = root
            .children()
            .filter(|node| node.has_tag_name("testsuite"));
        let numbers: Vec<u64> = suites.filter_map(total).collect();
        (!numbers.is_empty()).then(|| numbers.iter().fold(0, |sum: u64, n| sum.saturating_add(*n)))
    });
    // Pytest counts each subtest and each failed phase besides the cases.
    let fits = said.is_none_or(|said| said == seen || (dialect == Dialect::Pytest && said > seen));
    if let Some(said) = said.filter(|_| !fits) {
        read.faults
            .push(format!("{said} tests are announced, {seen} are there"));
    }
}

fn dialect(root: Node<'_, '_>) -> Dialect {
    let names = std::iter::once(root).chain(
        root.children()
            .filter(|node| node.has_tag_name("testsuite")),
    );
    let mut names = names.filter_map(|node| node.attribute("name"));
    match names.next() {
        Some("nextest-run") => Dialect::Nextest,
        Some("pytest" | "pytest tests") => Dialect::Pytest,
        _ if names.next() == Some("pytest") => Dialect::Pytest,
        _ => Dialect::Other,
    }
}

/// Whether elements are nested more deeply than any report nests them.
pub(crate) fn too_deep(text: &str) -> bool {
    depth(text) > DEEPEST
}

/// An upper bound of how deeply the elements are nested.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    for (at, _) in text.match_indices('<') {
        let rest = &text.as_bytes()[at + 1..];
        match rest.first() {
            Some(b'/') => depth = depth.saturating_sub(1),
            Some(b'!' | b'?') | None => {}
            Some(_) => {
                let end = rest.iter().position(|byte| *byte == b'>');
                let closed = end.is_some_and(|end| end > 0 && rest[end - 1] == b'/');
                if !closed {
                    depth += 1;
                    deepest = deepest.max(depth);
                    if deepest > DEEPEST {
                        return deepest;
                    }
                }
            }
        }
    }
    deepest
}
