//! One result as minitest prints it: `Failure:` or `Error:`, the test, the message.

use crate::compose;
use crate::context::Context;
use crate::minitest::message;
use crate::minitest::rerun;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::ruby;
use crate::ruby::source;
use crate::ruby::source::Within;
use crate::ruby::uncaught::looks_like_a_test;
use crate::text;

/// What is printed before the test's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    /// An assertion did not hold.
    Failure,
    /// Something else was thrown.
    Error,
    /// The test was skipped; shown with `-v`.
    Skipped,
}

impl Label {
    /// The label of a line that holds nothing else.
    pub fn of(line: &str) -> Option<Label> {
        match line {
            "Failure:" => Some(Label::Failure),
            "Error:" => Some(Label::Error),
            "Skipped:" => Some(Label::Skipped),
            _ => None,
        }
    }
}

/// One result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Result {
    /// What it is.
    pub label: Label,
    /// The test, as it is printed.
    pub id: String,
    /// Where the assertion stands.
    pub place: Option<(String, u32)>,
    /// The lines below.
    pub body: String,
    /// Where the test is defined: `bin/rails test test/a_test.rb:12`.
    pub defined: Option<(String, u32)>,
}

/// `TillTest#test_a [test/a_test.rb:3]:`, `TillTest#test_a:`, of old `test_a(TillTest):`.
pub(crate) fn named(line: &str) -> Option<(String, Option<(String, u32)>)> {
    let line = line.strip_suffix(':')?;
    let (name, place) = match line
        .strip_suffix(']')
        .and_then(|line| line.rsplit_once(" ["))
    {
        Some((name, place)) => {
            let found = ruby::traced(place)?;
            (name, Some((found.file.to_owned(), found.line)))
        }
        None => (line, None),
    };
    if name.contains('#') && !name.starts_with([' ', '#']) {
        return Some((name.to_owned(), place));
    }
    let (test, class) = name.strip_suffix(')')?.rsplit_once('(')?;
    let old = test.starts_with("test") && class.starts_with(|c: char| c.is_uppercase());
    old.then(|| (format!("{class}#{test}"), place))
}

/// A test's id, and its place where it is told.
type Named = (String, Option<(String, u32)>);

/// A name that may have line ends in it, and how many lines it takes.
pub(crate) fn named_over(lines: &[&str]) -> Option<(Named, usize)> {
    let first = lines.first()?;
    if let Some(found) = named(first) {
        return Some((found, 1));
    }
    if !first.contains('#') || first.starts_with([' ', '#']) {
        return None;
    }
    // Only with a place: a message has lines that end with a colon, too.
    (2..=lines.len().min(4)).find_map(|most| {
        let found = named(&lines[..most].join("\n"))?;
        found.1.is_some().then_some((found, most))
    })
}

/// The results of a numbered block: a test and the step after it may both have failed.
pub(crate) fn results(label: Label, lines: &[&str]) -> Vec<Result> {
    let mut found: Vec<Result> = Vec::new();
    let mut label = Some(label);
    let mut passed = 0;
    for (at, line) in lines.iter().enumerate() {
        if at < passed {
            continue;
        }
        if let Some(this) = label.take() {
            let Some(((id, place), over)) = named_over(&lines[at..]) else {
                break;
            };
            passed = at + over;
            found.push(Result {
                label: this,
                id,
                place,
                body: String::new(),
                defined: None,
            });
            continue;
        }
        let next = Label::of(line).and_then(|_| named_over(&lines[at + 1..]));
        let same =
            next.is_some_and(|((id, _), _)| found.first().is_some_and(|first| first.id == id));
        if same && lines[at - 1].is_empty() && Label::of(line).is_some() {
            label = Label::of(line);
        } else if let Some(last) = found.last_mut() {
            last.body.push_str(line);
            last.body.push('\n');
        }
    }
    found
}

/// The failure of a result.
pub(crate) fn failure(context: &Context, result: &Result) -> Failure {
    let trace: Vec<&str> = match result.label {
        Label::Error => trace(&result.body),
        _ => Vec::new(),
    };
    let frames = ruby::frames(context, trace.iter().copied());
    let place = result.place.as_ref();
    let place = place.map(|(file, line)| (ruby::relative(context, file), *line));
    let location = match &place {
        Some((file, line)) => Some(ruby::at(file, Some(*line))),
        None => ruby::place(context, &frames),
    };
    let (class, said) = said(result);
    let shown = match class.as_str() {
        "" => message::one_line(&said),
        class => match text::one_line(&said).as_str() {
            "" => class.to_owned(),
            said => text::one_line(&format!("{class}: {said}")),
        },
    };
    let (kind, phase, sure) = kind(context, &class, &trace, location.as_ref());
    let mut failure = compose::failure(&result.id, kind, phase, shown);
    failure.kind_sure = sure;
    failure.diff = class.is_empty().then(|| message::diff(&said)).flatten();
    if let (Some(at), true) = (&location, frames.is_empty()) {
        // An assertion has one place, and no backtrace.
        failure.frames.push(crate::report::Frame {
            file: at.file.clone(),
            line: at.line,
            function: None,
            user: ruby::is_user(context, &at.file),
        });
    } else {
        failure.frames = frames;
    }
    failure.test_location = result
        .defined
        .as_ref()
        .map(|(file, line)| ruby::at(&context.relative(file), Some(*line)));
    failure.location = location.or_else(|| failure.test_location.clone());
    failure.details = text::block(&result.body, text::DETAILS);
    failure.target = file(&failure);
    failure.rerun = rerun::of(context, &result.id, failure.target.as_deref());
    compose::seal(failure)
}

/// The test's file, as far as it shows.
fn file(failure: &Failure) -> Option<String> {
    let defined = failure.test_location.as_ref().map(|at| at.file.clone());
    let own = failure.frames.iter().rev().filter(|frame| frame.user);
    let mut test = own.filter(|frame| looks_like_a_test(&frame.file));
    defined.or_else(|| test.next().map(|frame| frame.file.clone()))
}

/// The lines of an error's backtrace, as they stand below the message.
fn trace(body: &str) -> Vec<&str> {
    let lines: Vec<&str> = body.lines().collect();
    let end = lines
        .iter()
        .rposition(|line| !line.is_empty())
        .map_or(0, |at| at + 1);
    let is_frame = |line: &&&str| {
        let frame = line
            .strip_prefix("    ")
            .filter(|rest| !rest.starts_with(' '));
        frame.is_some_and(|rest| ruby::traced(rest).is_some())
    };
    let count = lines[..end].iter().rev().take_while(is_frame).count();
    lines[end - count..end]
        .iter()
        .map(|line| line.trim())
        .collect()
}

/// Class and message of an error; the message alone of an assertion.
fn said(result: &Result) -> (String, String) {
    let body = result.body.trim_end();
    if result.label != Label::Error {
        return (String::new(), body.to_owned());
    }
    let (first, rest) = body.split_once('\n').unwrap_or((body, ""));
    let (class, message) = match first.split_once(": ") {
        Some((class, message)) => (class, message),
        None => (first.trim_end_matches(':'), ""),
    };
    let frames = trace(&result.body).len();
    let lines: Vec<&str> = rest.lines().collect();
    let rest = lines[..lines.len().saturating_sub(frames)].join("\n");
    (class.to_owned(), format!("{message}\n{rest}"))
}

fn kind(
    context: &Context,
    class: &str,
    trace: &[&str],
    location: Option<&Location>,
) -> (FailureKind, Phase, bool) {
    let step = step(trace).or_else(|| {
        let at = location?;
        // The method may be called by the test, too: only the source's own blocks count.
        source::within(context, &at.file, at.line?)
    });
    match step {
        Some(Within::Setup) => (FailureKind::SetupError, Phase::Setup, true),
        Some(Within::Teardown) => (FailureKind::TeardownError, Phase::Teardown, true),
        // In a test of the spec style nothing names the step.
        step => {
            let sure = class.is_empty() || step.is_some();
            (message::kind(class), Phase::Call, sure)
        }
    }
}

/// The step of a test that a backtrace goes through.
pub(crate) fn step(trace: &[&str]) -> Option<Within> {
    let mut found = None;
    for line in trace {
        let Some(function) = ruby::traced(line).and_then(|traced| traced.function) else {
            continue;
        };
        let name = ruby::bare(function);
        let name = name
            .rsplit_once(" in ")
            .map_or(name.as_str(), |(_, name)| name);
        match name {
            "setup" | "before_setup" | "after_setup" => found = found.or(Some(Within::Setup)),
            "teardown" | "before_teardown" | "after_teardown" => {
                found = found.or(Some(Within::Teardown));
            }
            _ if name.starts_with("test_") => return Some(Within::Test),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_anything() {
        for (line, id, place) in [
            (
                "A#test_a [/p/a.rb:3]:",
                "A#test_a",
                Some(("/p/a.rb".to_owned(), 3)),
            ),
            ("A#test_a:", "A#test_a", None),
            (
                "Till::when [full] > \"so\"#test_0001_says it: [x] [a.rb:13]:",
                "Till::when [full] > \"so\"#test_0001_says it: [x]",
                Some(("a.rb".to_owned(), 13)),
            ),
            (
                "test_a(A) [a.rb:3]:",
                "A#test_a",
                Some(("a.rb".to_owned(), 3)),
            ),
        ] {
            assert_eq!(named(line), Some((id.to_owned(), place)), "{line}");
        }
        assert_eq!(named("Expected 1 to be 2"), None);
        assert_eq!(named("note:"), None);
    }

    #[test]
    fn a_test_and_its_teardown_may_both_fail() {
        let lines = [
            "T#test_a:",
            "Expected: 1",
            "  Actual: 2",
            "",
            "Error:",
            "T#test_a:",
            "RuntimeError: broke",
            "    test/t_test.rb:25:in `teardown'",
            "",
        ];
        let found = results(Label::Failure, &lines);
        assert_eq!(found.len(), 2);
        let context = Context::default();
        let (first, second) = (failure(&context, &found[0]), failure(&context, &found[1]));
        assert_eq!(
            (first.kind, first.phase),
            (FailureKind::Assertion, Phase::Call)
        );
        assert_eq!(
            (second.kind, second.phase),
            (FailureKind::TeardownError, Phase::Teardown)
        );
        assert_eq!(second.message, "RuntimeError: broke");
        assert_eq!(second.location, Some(ruby::at("test/t_test.rb", Some(25))));
    }

    #[test]
    fn a_helper_called_setup_is_no_step() {
        let trace = ["a.rb:3:in `setup'", "a.rb:9:in `test_x'"];
        assert_eq!(step(&trace), Some(Within::Test));
        assert_eq!(step(&["a.rb:3:in 'A#setup'"]), Some(Within::Setup));
    }
}
