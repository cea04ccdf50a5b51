//! JUnit files of Jest and Vitest, through the reader of every origin: what their own
//! conventions say besides.

use crate::context::Context;
use crate::js::raised;
use crate::js::raised::Raised;
use crate::js::results;
use crate::js::results::Found;
use crate::text;
use roxmltree::Node;
use std::collections::BTreeMap;

/// Larger documents are not read here.
const MOST: usize = 48 * 1024 * 1024;

/// Reads a document; nothing where it is none.
pub(crate) fn read(bytes: &[u8], context: &Context) -> Option<Found> {
    let text = String::from_utf8_lossy(bytes);
    let large = text.len() > MOST || text.matches('<').count() > 2_000_000;
    if large || crate::junit::too_deep(&text) {
        return None;
    }
    let document = roxmltree::Document::parse(text.trim_start()).ok()?;
    let root = document.root_element();
    if !["testsuites", "testsuite"].contains(&root.tag_name().name()) {
        return None;
    }
    let vitest = root.attribute("name") == Some("vitest tests");
    let mut found = Found::default();
    let all = || {
        root.descendants()
            .filter(|node| node.has_tag_name("testcase"))
    };
    let cases = Cases(
        all()
            .filter(|_| vitest)
            .map(|case| (named(case), !skipped(case)))
            .collect(),
    );
    for case in all() {
        found.case(case, vitest, &cases, context);
    }
    let said = root
        .attribute("tests")
        .and_then(|tests| tests.parse::<u64>().ok());
    let sum = found.passed + found.failed + found.skipped;
    found.said = (found.failed, found.passed, said.unwrap_or(sum));
    Some(found)
}

impl Found {
    fn case(&mut self, case: Node<'_, '_>, vitest: bool, cases: &Cases, context: &Context) {
        let failures: Vec<Node<'_, '_>> = case
            .children()
            .filter(|child| child.has_tag_name("failure") || child.has_tag_name("error"))
            .collect();
        if failures.is_empty() {
            let skipped = skipped(case);
            self.skipped += u64::from(skipped);
            self.passed += u64::from(!skipped);
            return;
        }
        self.failed += 1;
        let file = context.relative(&file(case, vitest).unwrap_or_default());
        let path = path(case, vitest);
        let alone =
            path.len() == 1 && (path[0] == file || path[0].ends_with(&file)) && !file.is_empty();
        let (below, ran) = cases.below(case, alone);
        // A suite stands there as a case of its own where a hook failed it.
        let suite = vitest && !alone && below;
        let ran = vitest && ran;
        let mut of_case = Vec::new();
        for failure in failures {
            let body = text::clean(failure.text().unwrap_or(""));
            let body = match body.trim().is_empty() {
                true => text::clean(failure.attribute("message").unwrap_or("")),
                false => body,
            };
            let raised = Raised {
                file: &file,
                path: if alone { &[] } else { &path },
                text: body.trim_matches('\n'),
                suite,
                ran: ran && (suite || alone),
                ..Raised::default()
            };
            results::join(&mut of_case, raised::failure(&raised, context));
        }
        let seconds = case
            .attribute("time")
            .and_then(|time| time.parse::<f64>().ok());
        for failure in &mut of_case {
            failure.duration_ms = seconds
                .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
                .map(|seconds| (seconds * 1000.0) as u64);
        }
        self.failures.extend(of_case);
    }
}

/// Every case of a document: file and name, and whether it ran.
struct Cases(BTreeMap<(String, String), bool>);

impl Cases {
    /// Whether there are cases below a suite (in a file), and whether one of them ran.
    fn below(&self, case: Node<'_, '_>, alone: bool) -> (bool, bool) {
        let (file, name) = named(case);
        let start = match alone {
            true => String::new(),
            false => format!("{name} > "),
        };
        let from = (file.clone(), start.clone());
        let of = self
            .0
            .range(from..)
            .take_while(|((other, name), _)| *other == file && name.starts_with(&start));
        let mut of = of.filter(|((_, other), _)| *other != name).peekable();
        (of.peek().is_some(), of.take(1000).any(|(_, ran)| *ran))
    }
}

fn named(case: Node<'_, '_>) -> (String, String) {
    let word = |name: &str| case.attribute(name).unwrap_or("").to_owned();
    (word("classname"), word("name"))
}

fn skipped(case: Node<'_, '_>) -> bool {
    case.children().any(|child| child.has_tag_name("skipped"))
}

/// The file, where the document tells it.
fn file(case: Node<'_, '_>, vitest: bool) -> Option<String> {
    if vitest {
        return case.attribute("classname").map(str::to_owned);
    }
    let suite = case.parent_element()?;
    let file = case.attribute("file").or(suite.attribute("file"));
    file.map(str::to_owned).or_else(|| {
        // jest-junit can be told to name suites by their files.
        let name = suite.attribute("name")?;
        let looks = name.contains('.') && !name.contains(' ');
        looks.then(|| name.to_owned())
    })
}

/// The titles. jest-junit joins them by blanks, as it is told; `classname` often has those of
/// the suites.
fn path(case: Node<'_, '_>, vitest: bool) -> Vec<String> {
    let name = case.attribute("name").unwrap_or("");
    let class = case.attribute("classname").unwrap_or("");
    if vitest {
        return name.split(" > ").map(str::to_owned).collect();
    }
    for separator in [" › ", " > "] {
        if name.contains(separator) {
            return name.split(separator).map(str::to_owned).collect();
        }
    }
    // `{classname} {title}` twice is what jest-junit does without options.
    match class {
        class if class == name || class.is_empty() => vec![name.to_owned()],
        class => match name
            .strip_prefix(class)
            .and_then(|rest| rest.strip_prefix(' '))
        {
            Some(rest) => vec![class.to_owned(), rest.to_owned()],
            None if class.contains('/') || class.contains('.') => vec![name.to_owned()],
            None => vec![class.to_owned(), name.to_owned()],
        },
    }
}
