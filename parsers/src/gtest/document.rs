//! GoogleTest's report files, JSON and XML.
//!
//! GoogleTest 1.12 forgets a comma in its JSON before the environment's failures; it is put
//! back, and text that is not ASCII, which it writes byte by byte, is made readable. A suite's own failures are in neither file: only the text has them.

use crate::gtest::block::Block;
use crate::gtest::program::Case;
use crate::gtest::program::Ended;
use crate::gtest::program::Outside;
use crate::gtest::program::Program;
use crate::text;
use roxmltree::Node;
use roxmltree::ParsingOptions;
use serde::Deserialize;
use std::collections::BTreeSet;

/// The most of a file that is read.
const MOST: usize = 64 * 1024 * 1024;
/// More assertions of one test than this are not kept.
const MOST_BLOCKS: usize = 50;

/// The bytes of a report file.
#[derive(Debug, Default)]
pub(crate) struct Document {
    bytes: Vec<u8>,
    cut: bool,
}

/// What a file says.
#[derive(Debug)]
pub(crate) enum Read {
    /// A report of GoogleTest.
    Program(Box<Program>),
    /// Whatever it is, it is not GoogleTest's.
    Other,
    /// It is GoogleTest's or may be, but not whole.
    Broken(String),
}

#[derive(Debug, Deserialize)]
struct Root {
    tests: u64,
    failures: u64,
    #[serde(default)]
    testsuites: Vec<Suite>,
}

#[derive(Debug, Deserialize)]
struct Suite {
    #[serde(default)]
    name: String,
    #[serde(default)]
    testsuite: Vec<Test>,
}

#[derive(Debug, Default, Deserialize)]
struct Test {
    #[serde(default)]
    name: String,
    file: Option<String>,
    line: Option<u32>,
    #[serde(default)]
    status: String,
    #[serde(default)]
    result: String,
    time: Option<String>,
    #[serde(default)]
    failures: Vec<Failed>,
}

#[derive(Debug, Deserialize)]
struct Failed {
    #[serde(default)]
    failure: String,
}

impl Document {
    /// Takes more bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        let room = MOST.saturating_sub(self.bytes.len());
        self.cut |= bytes.len() > room;
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// The bytes so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it says.
    pub fn read(&self) -> Read {
        if self.cut {
            return Read::Broken("the file is too large to be read".to_owned());
        }
        let text = String::from_utf8_lossy(&self.bytes);
        let text = text.trim_start_matches('\u{feff}').trim();
        match text.as_bytes().first() {
            Some(b'{') => json(text),
            Some(b'<') => xml(text),
            Some(_) => Read::Other,
            None => Read::Broken("the file is empty".to_owned()),
        }
    }
}

fn json(text: &str) -> Read {
    if !text.contains("\"testsuites\"") && text.len() > 1000 {
        return Read::Other;
    }
    let read = serde_json::from_str::<Root>(text)
        .or_else(|error| serde_json::from_str::<Root>(&with_commas(text)).map_err(|_| error));
    match read {
        Ok(root) => {
            let cases = root.testsuites.into_iter().flat_map(|suite| {
                let name = suite.name;
                suite
                    .testsuite
                    .into_iter()
                    .map(move |test| (name.clone(), test))
            });
            Read::Program(Box::new(program(root.tests, root.failures, cases)))
        }
        Err(error) if error.is_eof() || text.contains("\"testsuites\"") => {
            Read::Broken(format!("not a whole JSON document: {error}"))
        }
        Err(_) => Read::Other,
    }
}

/// GoogleTest writes each byte above 127 as `\u00XX`: the bytes together are UTF-8.
fn readable(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let bytes: Option<Vec<u8>> = text
        .chars()
        .map(|c| u8::try_from(u32::from(c)).ok())
        .collect();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_else(|| text.to_owned())
}

/// The text with a comma between each `}` and the `{` after it, outside of strings.
fn with_commas(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let (mut quoted, mut escaped, mut closed) = (false, false, false);
    for c in text.chars() {
        if quoted {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => quoted = false,
                _ => {}
            }
        } else {
            match c {
                '{' if closed => out.push(','),
                '"' => quoted = true,
                _ => {}
            }
            if !c.is_whitespace() {
                closed = c == '}';
            }
        }
        out.push(c);
    }
    out
}

/// The cases of a file as the program they are of.
fn program(tests: u64, failures: u64, cases: impl Iterator<Item = (String, Test)>) -> Program {
    let mut program = Program {
        announced: Some(tests),
        ended: true,
        ..Program::default()
    };
    let (mut seen, mut failed) = (0u64, 0u64);
    let mut ran: BTreeSet<String> = BTreeSet::new();
    for (suite, test) in cases {
        let blocks: Vec<Block> = test
            .failures
            .iter()
            .take(MOST_BLOCKS)
            .map(|failed| Block::of_report(&readable(&failed.failure)))
            .collect();
        if test.name.is_empty() {
            outside(&mut program, suite, blocks);
            continue;
        }
        seen += 1;
        let skipped = test.result.eq_ignore_ascii_case("skipped");
        let off = test.status.eq_ignore_ascii_case("notrun")
            || test.result.eq_ignore_ascii_case("suppressed");
        if blocks.is_empty() {
            match (off, skipped) {
                (true, _) => program.disabled += 1,
                (_, true) => program.skipped += 1,
                _ => program.passed += 1,
            }
            if !off && !skipped {
                ran.insert(suite);
            }
            continue;
        }
        failed += 1;
        ran.insert(suite.clone());
        program.started += 1;
        program.failed.push(Case {
            id: format!("{suite}.{}", test.name),
            ended: Ended::Failed,
            blocks,
            output: String::new(),
            defined: test.file.zip(test.line),
            ms: test.time.as_deref().and_then(milliseconds),
        });
    }
    if seen != tests || failed != failures {
        program.faults.push(format!(
            "{tests} tests and {failures} failures are announced, {seen} and {failed} are there"
        ));
    }
    // Where set-up fails no test of it runs.
    for one in &mut program.outside {
        one.after = match &one.suite {
            Some(suite) => ran.contains(suite),
            None => !ran.is_empty(),
        };
    }
    program
}

/// The environment's failures stand in a suite of their own, without a name of a test.
fn outside(program: &mut Program, suite: String, blocks: Vec<Block>) {
    if blocks.is_empty() || program.outside.len() >= 1000 {
        return;
    }
    program.outside.push(Outside {
        suite: (suite != "NonTestSuiteFailure").then_some(suite),
        after: false,
        blocks,
    });
}

/// `0.003s` or `0.003`.
fn milliseconds(time: &str) -> Option<u64> {
    let seconds: f64 = time.trim_end_matches('s').parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then_some((seconds * 1000.0).round() as u64)
}

fn xml(text: &str) -> Read {
    // Another tool's XML is not refused for being broken.
    let ours = text.contains("<testsuites ") && text.contains(" status=\"");
    let text = text::xml(text);
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: 4_000_000,
        ..ParsingOptions::default()
    };
    if crate::junit::too_deep(&text) {
        return Read::Other;
    }
    match roxmltree::Document::parse_with_options(&text, options) {
        Ok(document) => suites(document.root_element()),
        Err(error) if ours || text.len() < 200 => Read::Broken(text::one_line(&format!(
            "not a whole XML document: {error}"
        ))),
        Err(_) => Read::Other,
    }
}

fn suites(root: Node<'_, '_>) -> Read {
    let number = |name: &str| root.attribute(name).and_then(|n| n.parse::<u64>().ok());
    let cases: Vec<Node<'_, '_>> = root
        .descendants()
        .filter(|node| node.has_tag_name("testcase"))
        .collect();
    let ours = root.has_tag_name("testsuites")
        && root.attribute("disabled").is_some()
        && cases.iter().all(|case| case.attribute("status").is_some());
    let (Some(tests), Some(failures), true) = (number("tests"), number("failures"), ours) else {
        return Read::Other;
    };
    let cases = cases.into_iter().map(|case| {
        let suite = case
            .parent_element()
            .and_then(|suite| suite.attribute("name"));
        (suite.unwrap_or("").to_owned(), test(case))
    });
    Read::Program(Box::new(program(tests, failures, cases)))
}

fn test(case: Node<'_, '_>) -> Test {
    let text = |name: &str| case.attribute(name).unwrap_or("").to_owned();
    let failures = case
        .children()
        .filter(|child| child.has_tag_name("failure"));
    Test {
        name: text("name"),
        file: case.attribute("file").map(str::to_owned),
        line: case.attribute("line").and_then(|line| line.parse().ok()),
        status: text("status"),
        result: text("result"),
        time: case.attribute("time").map(str::to_owned),
        failures: failures
            .map(|child| Failed {
                // The attribute has everything; the body may hold what XML cannot.
                failure: child
                    .attribute("message")
                    .filter(|text| text.contains('\n'))
                    .or(child.text())
                    .unwrap_or("")
                    .to_owned(),
            })
            .collect(),
    }
}
