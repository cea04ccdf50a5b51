//! JUnit files of Jest and Vitest, through the reader of every origin: what their own
//! conventions say besides.

use crate::context::Context;
use crate::js::raised;
use crate::js::raised::Raised;
use crate::js::results;
use crate::js::results::Found;
use crate::js::stack;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Phase;
use crate::text;
use roxmltree::Node;
use roxmltree::NodeId;
use std::collections::HashMap;

/// Larger documents are not read here.
const MOST: usize = 48 * 1024 * 1024;

/// Reads a document; nothing where it is none.
pub(crate) fn read(bytes: &[u8], context: &Context) -> Option<Found> {
    let text = String::from_utf8_lossy(bytes);
    let large = text.len() > MOST || text.matches('<').count() > 2_000_000;
    if large || crate::junit::too_deep(&text) {
        return None;
    }
    let text = text::xml(text.trim_start());
    let document = roxmltree::Document::parse(&text).ok()?;
    let root = document.root_element();
    if !["testsuites", "testsuite"].contains(&root.tag_name().name()) {
        return None;
    }
    let vitest = root.attribute("name") == Some("vitest tests");
    let mut found = Found::default();
    // What stands beside a case, once for all cases of a suite.
    let mut known: Option<(NodeId, Siblings)> = None;
    for case in root
        .descendants()
        .filter(|node| node.has_tag_name("testcase"))
    {
        let suite = case.parent().map_or(case.id(), |suite| suite.id());
        let beside = match known.take() {
            Some((id, beside)) if id == suite => beside,
            _ => Siblings::of(case),
        };
        found.case(case, &beside, vitest, context);
        known = Some((suite, beside));
    }
    let said = root
        .attribute("tests")
        .and_then(|tests| tests.parse::<u64>().ok());
    let sum = found.passed + found.failed + found.skipped;
    found.said = (found.failed, found.passed, said.unwrap_or(sum));
    Some(found)
}

/// The cases of one suite, by the titles that begin their names.
#[derive(Debug, Default)]
struct Siblings {
    /// For `a > b` of `a > b > c`: whether any of these ran.
    prefixes: HashMap<String, bool>,
    cases: u64,
    ran: u64,
}

impl Siblings {
    fn of(case: Node<'_, '_>) -> Self {
        let mut found = Siblings::default();
        let all = case.parent().into_iter().flat_map(|suite| suite.children());
        for other in all.filter(|other| other.has_tag_name("testcase")) {
            let ran = !skipped(other);
            found.cases += 1;
            found.ran += u64::from(ran);
            let name = other.attribute("name").unwrap_or("");
            for (at, _) in name.match_indices(" > ").take(20) {
                *found.prefixes.entry(name[..at].to_owned()).or_default() |= ran;
            }
        }
        found
    }

    /// Whether there are cases below these titles, and whether any of them ran.
    fn below(&self, name: &str) -> (bool, bool) {
        let found = self.prefixes.get(name);
        (found.is_some(), found.is_some_and(|ran| *ran))
    }

    /// The same of all cases but one.
    fn others(&self, case: Node<'_, '_>) -> (bool, bool) {
        let own = u64::from(!skipped(case));
        (self.cases > 1, self.ran > own)
    }
}

fn skipped(case: Node<'_, '_>) -> bool {
    case.children().any(|child| child.has_tag_name("skipped"))
}

impl Found {
    fn case(&mut self, case: Node<'_, '_>, beside: &Siblings, vitest: bool, context: &Context) {
        let failures: Vec<Node<'_, '_>> = case
            .children()
            .filter(|child| child.has_tag_name("failure") || child.has_tag_name("error"))
            .collect();
        if failures.is_empty() {
            let skipped = case.children().any(|child| child.has_tag_name("skipped"));
            self.skipped += u64::from(skipped);
            self.passed += u64::from(!skipped);
            return;
        }
        if !vitest && let Some((file, ran)) = whole_file(case, &failures, context) {
            return self.of_file(&file, &failures, ran, context);
        }
        self.failed += 1;
        let said = file(case, vitest).unwrap_or_default();
        let file = context.relative(&said);
        let path = path(case, vitest);
        let of_file = |name: &String| *name == said || name.ends_with(&file);
        let alone = path.len() == 1 && of_file(&path[0]) && !file.is_empty();
        let name = case.attribute("name").unwrap_or("");
        let (any, ran) = match alone {
            true => beside.others(case),
            false => beside.below(name),
        };
        // A suite stands there as a case of its own where a hook failed it.
        let suite = vitest && !alone && any;
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
            let mut failure = raised::failure(&raised, context);
            if file.is_empty() && failure.target.is_none() {
                failure.target = by_frames(&failure);
            }
            results::join(&mut of_case, failure);
        }
        timed(&mut of_case, case);
        self.failures.extend(of_case);
    }

    /// jest-junit's case for a file as a whole. It may tell of it twice, in Jest's words and in
    /// the error's own properties.
    fn of_file(&mut self, file: &str, failures: &[Node<'_, '_>], ran: bool, context: &Context) {
        let mut known = self.failures.iter().rev().take(20);
        if known.any(|known| known.id == file && known.target.is_none()) {
            return;
        }
        self.failed += 1;
        let text = failures.first().and_then(|failure| failure.text());
        let text = text::clean(text.unwrap_or(""));
        let raised = Raised {
            file,
            text: &words(&text),
            ran,
            ..Raised::default()
        };
        let mut failure = raised::failure(&raised, context);
        // Jest says so of what comes after the tests; a step before them fails these.
        if ran && failure.kind == FailureKind::SetupError {
            (failure.kind, failure.phase) = (FailureKind::TeardownError, Phase::Teardown);
        }
        self.failures.push(failure);
    }
}

/// The test file that a stack begins in, where no document tells it.
fn by_frames(failure: &Failure) -> Option<String> {
    let outermost = failure.frames.iter().rfind(|frame| frame.user)?;
    let named = [".test.", ".spec.", "__tests__/"];
    let known = named.iter().any(|part| outermost.file.contains(part));
    known.then(|| outermost.file.clone())
}

/// How long a case took.
fn timed(failures: &mut [Failure], case: Node<'_, '_>) {
    let seconds = case
        .attribute("time")
        .and_then(|time| time.parse::<f64>().ok());
    for failure in failures {
        failure.duration_ms = seconds
            .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
            .map(|seconds| (seconds * 1000.0) as u64);
    }
}

/// The file of a case that is one as a whole, and whether its tests ran: one that could not be
/// loaded, or whose hooks for all tests failed.
fn whole_file(
    case: Node<'_, '_>,
    failures: &[Node<'_, '_>],
    context: &Context,
) -> Option<(String, bool)> {
    let class = case.attribute("classname")?;
    if class == "Test suite failed to run" {
        let file = case.attribute("name")?;
        return Some((context.relative(file), false));
    }
    let name = case.attribute("name").unwrap_or("");
    const EXECUTION: &str = "Test execution failure: could be caused by ";
    if !name.trim_start().starts_with(EXECUTION) {
        return None;
    }
    let known = file(case, false).map(|file| context.relative(&file));
    let known = known.or_else(|| {
        let words = words(failures.first()?.text()?);
        let mut places = words.lines().filter_map(stack::place);
        let at = places.find(|at| stack::is_user(context, &context.relative(&at.file)))?;
        Some(context.relative(&at.file))
    });
    known.map(|file| (file, true))
}

/// The words of an error whose properties are told as JSON; Jest's own block without its title
/// and its margin.
fn words(body: &str) -> String {
    if let Some(block) = results::blocks(body).into_iter().next() {
        return block.trim_matches('\n').to_owned();
    }
    let properties = serde_json::from_str::<serde_json::Value>(body.trim());
    let property = |name: &str| {
        let value = properties.as_ref().ok()?.get(name)?.as_str()?;
        (!value.is_empty()).then(|| text::clean(value))
    };
    let known = ["stack", "_originalMessage", "message"];
    known
        .iter()
        .find_map(|name| property(name))
        .unwrap_or_else(|| body.trim_matches('\n').to_owned())
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
        class if class == name || class.is_empty() => {
            // The suite has the name of the first one that holds tests.
            let suite = case
                .parent_element()
                .and_then(|suite| suite.attribute("name"));
            let suite = suite.filter(|suite| !suite.is_empty()).unwrap_or(name);
            match name
                .strip_prefix(suite)
                .and_then(|rest| rest.strip_prefix(' '))
            {
                Some(rest) => vec![suite.to_owned(), rest.to_owned()],
                None => vec![name.to_owned()],
            }
        }
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
