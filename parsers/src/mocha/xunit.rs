//! Mocha's `xunit`: JUnit's elements, with the whole error as the text of `<failure>`.

use crate::context::Context;
use crate::js::stack;
use crate::mocha::block;
use crate::mocha::json::Found;
use crate::mocha::part;
use crate::mocha::part::Part;
use roxmltree::Document;
use roxmltree::Node;

/// Reads a document; nothing where it is not Mocha's own.
pub(crate) fn read(text: &str, context: &Context) -> Option<Found> {
    let document = Document::parse(text).ok()?;
    let root = document.root_element();
    let number = |name: &str| root.attribute(name)?.parse::<u64>().ok();
    if !root.has_tag_name("testsuite") || root.attribute("failures")? != "0" {
        return None;
    }
    let errors = number("errors")?;
    let mut found = Found::default();
    for case in root.children().filter(|node| node.has_tag_name("testcase")) {
        let child = |tag: &str| case.children().find(|node| node.has_tag_name(tag));
        if let Some(failed) = child("failure") {
            found.failed += 1;
            found
                .failures
                .push(part::failure(&one(case, failed), context));
        } else if child("skipped").is_some() {
            found.skipped += 1;
        } else {
            found.passed += 1;
        }
    }
    if found.failed != errors {
        found
            .faults
            .push("the suite's numbers are not those of its cases".to_owned());
    }
    Some(found)
}

fn one(case: Node<'_, '_>, failed: Node<'_, '_>) -> Part {
    let text = failed.text().unwrap_or("");
    let class = case.attribute("classname").unwrap_or("");
    let name = case.attribute("name").unwrap_or("");
    let mut path = vec![name.to_owned()];
    if !class.is_empty() {
        path.insert(0, class.to_owned());
    }
    let (message, sides, unified, stack) = error(text);
    let seconds = case
        .attribute("time")
        .and_then(|time| time.parse::<f64>().ok());
    Part {
        path,
        file: case
            .attribute("file")
            .filter(|file| *file != "undefined")
            .map(str::to_owned),
        thrown: crate::mocha::json::thrown(&message, &stack),
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
        // Written as a failure's block, the diff is read as one.
        let block = block::read(
            &format!("x:\n\n      x\n      + expected - actual\n{rest}"),
            Some("x"),
        );
        let stack = rest.find(&format!(": {message}"));
        let stack = stack.map_or("", |at| {
            let from = rest[..at].rfind('\n').map_or(0, |at| at + 1);
            &rest[from..]
        });
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
        if stack::place(line.trim_end()).is_some() {
            break;
        }
    }
    (String::new(), None, None, text.to_owned())
}
