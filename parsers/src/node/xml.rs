//! Node's `junit`: suites in suites, `<failure type="testCodeFailure">` with the whole error.

use crate::context::Context;
use crate::node::error;
use crate::node::path::Path;
use crate::node::point::Point;
use crate::node::tap::filtered;
use crate::node::tap::is_file;
use crate::report::Location;
use crate::text;
use roxmltree::Document;
use roxmltree::Node;

/// The points of a document; nothing where it is none of node's.
pub(crate) fn read(text: &str, context: &Context) -> Option<Vec<Point>> {
    let text = text::xml(text);
    let document = Document::parse(&text).ok()?;
    let root = document.root_element();
    if !root.has_tag_name("testsuites") {
        return None;
    }
    // Node ends with its numbers as comments.
    let numbers = root
        .children()
        .filter(Node::is_comment)
        .filter_map(|node| node.text());
    numbers
        .into_iter()
        .find(|text| text.trim().starts_with("duration_ms "))?;
    let mut points = Vec::new();
    below(root, &[], context, &mut points);
    Some(points)
}

fn below(node: Node<'_, '_>, path: &[String], context: &Context, points: &mut Vec<Point>) {
    if path.len() > 60 {
        return;
    }
    for child in node.children() {
        let Some(name) = child.attribute("name") else {
            continue;
        };
        let mut path = path.to_vec();
        path.push(unescaped(name));
        if child.has_tag_name("testsuite") {
            below(child, &path, context, points);
        } else if child.has_tag_name("testcase") {
            points.extend(case(child, &path, context));
        }
    }
}

fn case(node: Node<'_, '_>, path: &[String], context: &Context) -> Option<Point> {
    let child = |tag: &str| node.children().find(|child| child.has_tag_name(tag));
    let (last, outer) = path.split_last()?;
    let mut point = Point {
        path: Path::of(outer, last),
        ..Point::default()
    };
    if let Some(skipped) = child("skipped") {
        point.kept = true;
        point.filtered = skipped.attribute("message").is_some_and(filtered);
        return Some(point);
    }
    let name = path.first()?;
    // A file as a whole has only its name.
    let whole = path.len() == 1 && name.starts_with('/') && is_file(name);
    let file = node.attribute("file").or(whole.then_some(name.as_str()));
    let file = file.map(|file| context.relative(file));
    let is_file = file
        .as_deref()
        .is_some_and(|file| context.relative(name) == file);
    point.at = file.map(|file| Location {
        file,
        line: is_file.then_some(1),
        column: is_file.then_some(1),
    });
    let Some(failed) = child("failure") else {
        return Some(point);
    };
    point.failed = true;
    point.word = failed.attribute("type").unwrap_or("").to_owned();
    let text = failed.text().unwrap_or("").trim();
    point.details = text.to_owned();
    let cause = cause(text);
    let shown = error::read(&cause);
    point.thrown = shown.thrown;
    point.sides = shown.sides;
    if point.thrown.message.is_empty() && point.thrown.name.is_empty() {
        point.thrown.message = failed.attribute("message").unwrap_or("").to_owned();
    }
    // Each on a line of its own, or all of them on one.
    let number = |name: &str| {
        let start = [format!("\n  {name}: "), format!(", {name}: ")];
        let at = start
            .iter()
            .find_map(|start| Some(text.find(start)? + start.len()))?;
        let end = text[at..].find([',', '\n', ' ']);
        Some(text[at..][..end.unwrap_or(text.len() - at)].to_owned())
    };
    point.exit = number("exitCode").and_then(|code| code.parse().ok());
    point.signal = number("signal")
        .filter(|signal| signal != "null")
        .map(|signal| signal.trim_matches('\'').to_owned());
    Some(point)
}

/// Some versions escape names twice.
fn unescaped(name: &str) -> String {
    let name = name.replace("&quot;", "\"").replace("&lt;", "<");
    name.replace("&gt;", ">").replace("&amp;", "&")
}

/// What node's own error says is its cause, without the margin; the error itself without one.
fn cause(text: &str) -> String {
    let Some(at) = text.find("\n  cause: ") else {
        return match text.split_once(", cause: ") {
            Some((_, rest)) => rest.trim_end_matches(" }").to_owned(),
            None => text.to_owned(),
        };
    };
    let mut lines = text[at + 10..].lines();
    let mut out = lines.next().unwrap_or("").to_owned();
    for line in lines {
        if line == "}" {
            break;
        }
        out.push('\n');
        out.push_str(line.strip_prefix("  ").unwrap_or(line));
    }
    out.strip_suffix(',').map_or(out.clone(), str::to_owned)
}
