//! What mocha-junit-reporter writes: one suite for every `describe` that holds tests, the whole
//! title as `name` and the last one as `classname`, the error with Mocha's diff as the text.

use crate::context::Context;
use crate::js::thrown::Thrown;
use crate::mocha::block;
use crate::mocha::json;
use crate::mocha::json::Found;
use crate::mocha::part;
use crate::mocha::part::Part;
use crate::text;
use roxmltree::Document;
use roxmltree::Node;
use std::collections::BTreeSet;

/// What begins Mocha's diff behind the stack.
const DIFF: &str = "\n\n      + expected - actual\n";

/// Reads a document; nothing where it is none of this reporter's.
pub(crate) fn read(text: &str, context: &Context) -> Option<Found> {
    let text = text::xml(text);
    if crate::junit::too_deep(&text) {
        return None;
    }
    let document = Document::parse(&text).ok()?;
    let root = document.root_element();
    if !root.has_tag_name("testsuites") || root.attribute("name")? != "Mocha Tests" {
        return None;
    }
    let mut found = Found::default();
    let cases = cases(root);
    let parents: BTreeSet<(String, String)> = cases
        .iter()
        .map(|(case, file)| (file.clone().unwrap_or_default(), titles(*case).0))
        .filter(|(_, parent)| !parent.is_empty())
        .collect();
    for (case, file) in &cases {
        let child = |tag: &str| case.children().find(|node| node.has_tag_name(tag));
        if let Some(failed) = child("failure").or(child("error")) {
            found.failed += 1;
            let part = one(*case, failed, file.as_deref(), &parents);
            json::push(&mut found, part::failure(&part, context));
        } else if child("skipped").is_some() {
            found.skipped += 1;
        } else {
            found.passed += 1;
        }
    }
    let announced = root
        .attribute("failures")
        .and_then(|n| n.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > 0) && found.failed == 0 {
        found
            .faults
            .push("failures are announced, none is there".to_owned());
    }
    Some(found)
}

/// All cases, each with the file that its suite or the root suite before it names.
fn cases<'a, 'b>(root: Node<'a, 'b>) -> Vec<(Node<'a, 'b>, Option<String>)> {
    let mut found = Vec::new();
    let mut last = None;
    for suite in root
        .children()
        .filter(|node| node.has_tag_name("testsuite"))
    {
        let own = suite.attribute("file").map(str::to_owned);
        if own.is_some() {
            last = own;
        }
        let cases = suite
            .children()
            .filter(|node| node.has_tag_name("testcase"));
        found.extend(cases.map(|case| {
            let file = case.attribute("file").map(str::to_owned);
            (case, file.or_else(|| last.clone()))
        }));
    }
    found
}

/// The titles of the suites in one, and the test's; the reporter can be told to change places.
fn titles(case: Node<'_, '_>) -> (String, String) {
    let name = case.attribute("name").unwrap_or("");
    let class = case.attribute("classname").unwrap_or("");
    for (whole, title) in [(name, class), (class, name)] {
        if let Some(outer) = whole.strip_suffix(title)
            && !title.is_empty()
            && (outer.is_empty() || outer.ends_with(' '))
        {
            return (outer.trim_end().to_owned(), title.to_owned());
        }
    }
    (class.to_owned(), name.to_owned())
}

fn one(
    case: Node<'_, '_>,
    failed: Node<'_, '_>,
    file: Option<&str>,
    parents: &BTreeSet<(String, String)>,
) -> Part {
    let text: String = failed.children().filter_map(|node| node.text()).collect();
    let (outer, title) = titles(case);
    let mut path = match outer.as_str() {
        "" => Vec::new(),
        outer => json::suites(outer, file.unwrap_or(""), parents),
    };
    path.push(title);
    let (error, diff) = match text.rfind(DIFF) {
        Some(at) => (&text[..at], Some(&text[at + DIFF.len()..])),
        None => (text.as_str(), None),
    };
    // Written as a failure's block, the diff is read as one.
    let block = diff.map(|diff| {
        let diff = format!("x:\n\n      x\n      + expected - actual\n{diff}");
        block::read(&diff, Some("x"))
    });
    let mut thrown = Thrown::read(error);
    if thrown.message.is_empty()
        && let Some(message) = failed.attribute("message")
    {
        message.clone_into(&mut thrown.message);
    }
    let seconds = case
        .attribute("time")
        .and_then(|time| time.parse::<f64>().ok());
    Part {
        path,
        file: file.map(str::to_owned),
        thrown,
        sides: block.as_ref().and_then(|block| block.sides.clone()),
        unified: block.and_then(|block| block.unified),
        details: text,
        ms: seconds
            .filter(|s| s.is_finite() && *s >= 0.0)
            .map(|s| (s * 1000.0) as u64),
    }
}
