//! The event stream of Open Test Reporting, as JUnit's `OpenTestReportGeneratingListener` writes
//! it while the tests run (`junit.platform.reporting.open.xml.enabled=true`).
//!
//! After the published schema (core and events 0.1.0, JUnit 5.9 and later); Debian's build of
//! JUnit lacks a class for it, so it was never run here, and the samples of the tests are written
//! by hand. Every test has a `started` and a `finished` element, so that what was running when
//! the process died has a name.

use crate::compose;
use crate::junit::dialect::Dialect;
use crate::junit::document::Read;
use crate::junit::java;
use crate::junit::java::Thrown;
use crate::junit::rerun;
use crate::junit::sources::Sources;
use crate::junit::xml::Element;
use crate::junit::xml::Reader;
use crate::junit::xml::Token;
use crate::report::Phase;
use crate::text;
use std::collections::BTreeMap;

/// More tests at once than this are not followed.
const MOST: usize = 200_000;

/// Something that began.
#[derive(Debug, Clone, Default)]
struct Begun {
    id: String,
    class: String,
    name: String,
    types: String,
    test: bool,
    out: String,
    err: String,
}

/// Reads all events; the root's tag was just read.
pub(crate) fn read(reader: &mut Reader<'_>, sources: &mut Sources, read: &mut Read) {
    read.dialect = Some(Dialect::Java);
    let mut running: BTreeMap<String, Begun> = BTreeMap::new();
    let mut parents: BTreeMap<String, (String, String)> = BTreeMap::new();
    loop {
        match reader.next() {
            None => {
                read.faults
                    .push("not a whole XML document: it breaks off".to_owned());
                break;
            }
            Some(Token::Close("events")) => break,
            Some(Token::Open {
                name,
                attributes,
                empty,
            }) => {
                let element = Element::read(reader, name, attributes, empty);
                event(&element, &mut running, &mut parents, sources, read);
            }
            Some(_) => {}
        }
    }
    let left = running.into_values().filter(|begun| begun.test);
    read.running = left.map(|begun| (begun.id, Some(begun.class))).collect();
}

fn event(
    element: &Element,
    running: &mut BTreeMap<String, Begun>,
    parents: &mut BTreeMap<String, (String, String)>,
    sources: &mut Sources,
    read: &mut Read,
) {
    let key = element.get("id").unwrap_or("").to_owned();
    match element.name.as_str() {
        "started" if running.len() < MOST => {
            let parent = element.get("parentId").and_then(|id| parents.get(id));
            let begun = begun(element, parent);
            parents.insert(key.clone(), (begun.class.clone(), begun.name.clone()));
            running.insert(key, begun);
        }
        "reported" => {
            if let Some(begun) = running.get_mut(&key) {
                captured(element, begun);
            }
        }
        "finished" if !element.open => {
            let begun = running.remove(&key).unwrap_or_default();
            finished(element, &begun, sources, read);
        }
        _ => {}
    }
}

fn find<'a>(element: &'a Element, name: &str) -> Option<&'a Element> {
    let mut queue = vec![element];
    while let Some(next) = queue.pop() {
        if next.name == name {
            return Some(next);
        }
        queue.extend(next.children.iter());
    }
    None
}

fn begun(element: &Element, parent: Option<&(String, String)>) -> Begun {
    let text = |name: &str| find(element, name).map_or("", |found| found.text.trim());
    let legacy = text("legacyReportingName").to_owned();
    let shown = element.get("name").unwrap_or("").to_owned();
    let method = find(element, "methodSource");
    let class = find(element, "classSource").or(method);
    let class = class.and_then(|source| source.get("className"));
    let class = class
        .or(parent.map(|(class, _)| class.as_str()))
        .unwrap_or("")
        .to_owned();
    let types = method.and_then(|source| source.get("methodParameterTypes"));
    let name = if legacy.is_empty() { shown } else { legacy };
    let test = text("type") == "TEST" || text("type").is_empty() && method.is_some();
    let id = match test {
        true => format!("{class}.{name}"),
        false => class.clone(),
    };
    Begun {
        id,
        class,
        types: types.unwrap_or("").to_owned(),
        name,
        test,
        ..Begun::default()
    }
}

fn captured(element: &Element, begun: &mut Begun) {
    let mut queue = vec![element];
    while let Some(next) = queue.pop() {
        match (next.name.as_str(), next.get("key")) {
            ("entry", Some("stdout")) => begun.out.push_str(&next.text),
            ("entry", Some("stderr")) => begun.err.push_str(&next.text),
            _ => queue.extend(next.children.iter()),
        }
    }
}

fn finished(element: &Element, begun: &Begun, sources: &mut Sources, read: &mut Read) {
    let result = find(element, "result");
    let status = result.and_then(|result| result.get("status")).unwrap_or("");
    match status {
        "SUCCESSFUL" if begun.test => read.passed += 1,
        "SKIPPED" | "ABORTED" if begun.test => read.skipped += 1,
        "FAILED" | "ERRORED" => {
            let throwable = result.and_then(|result| find(result, "throwable"));
            let body = throwable.map_or("", |thrown| thrown.text.as_str());
            let (named, said) = java::split(java::first_line(body));
            let end = java::trace_start(body);
            let whole = body[..end].split_once(": ").map_or(said, |(_, rest)| rest);
            let thrown = Thrown {
                class: throwable
                    .and_then(|thrown| thrown.get("type"))
                    .unwrap_or(named),
                message: whole,
                body,
            };
            let method = if begun.test { begun.name.as_str() } else { "" };
            let (mut failure, _) = java::failure(&begun.id, &begun.class, method, &thrown, sources);
            failure.target = Some(begun.class.clone());
            failure.stdout = text::block(&begun.out, text::DETAILS);
            failure.stderr = text::block(&begun.err, text::DETAILS);
            failure.test_location = sources.definition(&begun.class, method);
            if failure.phase == Phase::Call && failure.location.is_none() {
                failure.location.clone_from(&failure.test_location);
            }
            let name = rerun::Method {
                class: &begun.class,
                name: method,
                types: Some(&begun.types),
            };
            failure.rerun = rerun::method(&name, sources.context());
            read.failures.push(compose::seal(failure));
        }
        _ => {}
    }
}
