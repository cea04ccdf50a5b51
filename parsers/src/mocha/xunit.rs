//! Mocha's `xunit`: JUnit's elements, with the whole error as the text of `<failure>`.

use crate::context::Context;
use crate::mocha::block;
use crate::mocha::json;
use crate::mocha::json::Found;
use crate::mocha::part;
use crate::mocha::part::Part;
use crate::text;
use roxmltree::Document;
use roxmltree::Node;
use std::collections::BTreeSet;

/// Reads a document; nothing where it is not Mocha's own.
pub(crate) fn read(text: &str, context: &Context) -> Option<Found> {
    let text = text::xml(text);
    let document = Document::parse(&text).ok()?;
    let root = document.root_element();
    let number = |name: &str| root.attribute(name)?.parse::<u64>().ok();
    if !root.has_tag_name("testsuite") || root.attribute("failures")? != "0" {
        return None;
    }
    let errors = number("errors")?;
    let mut found = Found::default();
    let parents: BTreeSet<(String, String)> = root
        .children()
        .filter_map(|case| {
            Some((
                file(case).unwrap_or_default(),
                case.attribute("classname")?.to_owned(),
            ))
        })
        .collect();
    for case in root.children().filter(|node| node.has_tag_name("testcase")) {
        let child = |tag: &str| case.children().find(|node| node.has_tag_name(tag));
        if let Some(failed) = child("failure") {
            found.failed += 1;
            json::push(
                &mut found,
                part::failure(&one(case, failed, &parents), context),
            );
        } else if child("skipped").is_some() {
            found.skipped += 1;
        } else {
            found.passed += 1;
        }
    }
    // A test that failed after it had passed stands there twice, both times as failed.
    let kept = found.failures.len() as u64;
    if (kept..=found.failed).contains(&errors) {
        found.passed += found.failed - errors;
        found.failed = errors;
    } else {
        found
            .faults
            .push("the suite's numbers are not those of its cases".to_owned());
    }
    Some(found)
}

fn file(case: Node<'_, '_>) -> Option<String> {
    let file = case.attribute("file").filter(|file| *file != "undefined")?;
    Some(file.to_owned())
}

fn one(case: Node<'_, '_>, failed: Node<'_, '_>, parents: &BTreeSet<(String, String)>) -> Part {
    let text = failed.text().unwrap_or("");
    let class = case.attribute("classname").unwrap_or("");
    let name = case.attribute("name").unwrap_or("");
    let mut path = json::suites(class, &file(case).unwrap_or_default(), parents);
    path.push(name.to_owned());
    let (message, sides, unified, stack) = error(text);
    let seconds = case
        .attribute("time")
        .and_then(|time| time.parse::<f64>().ok());
    Part {
        path,
        file: file(case),
        thrown: json::thrown(&message, &stack),
        sides,
        unified,
        details: text.to_owned(),
        ms: seconds
            .filter(|s| s.is_finite() && *s >= 0.0)
            .map(|s| (s * 1000.0) as u64),
    }
}

type Sides = Option<(String, String)>;

/// Message, diff and stack, one behind the other; the stack begins with the message again.
fn error(text: &str) -> (String, Sides, Option<String>, String) {
    if let Some((message, rest)) = text.split_once("\n\n      + expected - actual\n") {
        let stack = rest.find(&format!(": {message}"));
        let from = stack.and_then(|at| rest[..at].rfind('\n'));
        let (diff, stack) = match from {
            Some(at) => (&rest[..=at], &rest[at + 1..]),
            None => (rest, stack.map_or("", |_| rest)),
        };
        // Written as a failure's block, the diff is read as one.
        let block = block::read(
            &format!("x:\n\n      x\n      + expected - actual\n{diff}"),
            Some("x"),
        );
        return (
            message.to_owned(),
            block.sides,
            block.unified,
            stack.to_owned(),
        );
    }
    let first = text.lines().next().unwrap_or("");
    let mut from = 0;
    for line in text.split_inclusive('\n').take(2000) {
        from += line.len();
        let rest = &text[from..];
        let head = rest.lines().next().unwrap_or("");
        let again = head.find(first).filter(|at| *at < 80 && !first.is_empty());
        let message = text[..from].trim_end_matches('\n');
        if again.is_some_and(|at| rest[at..].starts_with(message)) {
            return (message.to_owned(), None, None, rest.to_owned());
        }
    }
    (String::new(), None, None, text.to_owned())
}
