//! A failure of Mocha's, whatever form it was read from.

use crate::compose;
use crate::context::Context;
use crate::js::load;
use crate::js::stack;
use crate::js::thrown;
use crate::js::thrown::Thrown;
use crate::libtest::sides;
use crate::mocha::dialect;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;

/// What is known of one failure.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    /// The titles, outermost first; several may be in one where the form joins them.
    pub path: Vec<String>,
    /// The test's file, where the form names it.
    pub file: Option<String>,
    /// What was thrown.
    pub thrown: Thrown,
    /// What should have been, and what was.
    pub sides: Option<(String, String)>,
    /// Mocha's diff by lines.
    pub unified: Option<String>,
    /// Mocha's whole text.
    pub details: String,
    /// Milliseconds.
    pub ms: Option<u64>,
}

/// What Mocha calls an exception that no test was running for.
const OUTSIDE: &str = "Uncaught error outside test suite";

/// The failure, ready to be reported.
pub(crate) fn failure(part: &Part, context: &Context) -> Failure {
    let outside = part.path.last().is_some_and(|title| title == OUTSIDE);
    if outside && let Some(failure) = not_loaded(part, context) {
        return failure;
    }
    let title = part.path.last().map_or("", String::as_str);
    let mut phase = phase(title);
    if outside {
        phase = Phase::Session;
    }
    let (kind, sure) = kind(part, phase);
    let mut failure = compose::failure(part.path.join(" > "), kind, phase, part.thrown.line());
    failure.kind_sure = sure;
    thrown::place(&mut failure, &part.thrown.stack, context);
    let named = part
        .file
        .as_deref()
        .or_else(|| in_message(&part.thrown.message));
    let file = named.map(|file| context.relative(&stack::path(file)));
    let outermost = failure.frames.iter().rfind(|frame| frame.user);
    failure.target = file.or_else(|| outermost.map(|frame| frame.file.clone()));
    if failure.location.is_none() && !outside {
        failure.location = failure.target.as_ref().map(|file| Location {
            file: file.clone(),
            line: None,
            column: None,
        });
    }
    let compared =
        || thrown::compared(&part.thrown.message).filter(|_| kind != FailureKind::Timeout);
    if let Some((expected, actual)) = part.sides.clone().or_else(compared) {
        let mut diff = sides::expected_actual(Some(&expected), Some(&actual), None);
        diff.unified = part
            .unified
            .as_deref()
            .map(|text| text::cap(text, text::SIDE))
            .or(diff.unified);
        failure.diff = Some(diff);
    }
    failure.code.clone_from(&part.thrown.code);
    failure.details = text::block(&part.details, text::DETAILS);
    failure.duration_ms = part.ms;
    let target = failure.target.clone().unwrap_or_default();
    failure.rerun = dialect::rerun(context, &target, &selected(&part.path));
    compose::seal(failure)
}

/// The titles that select the test; a hook is run by the test that it names.
fn selected(path: &[String]) -> Vec<String> {
    let mut path = path.to_vec();
    let Some(hook) = path.last().filter(|title| is_hook(title)).cloned() else {
        return path;
    };
    path.pop();
    let test = hook
        .rsplit_once(" for \"")
        .and_then(|(_, test)| test.strip_suffix('"'));
    path.extend(test.map(str::to_owned));
    path
}

/// Whether a title is that of a hook, as Mocha makes it.
pub(crate) fn is_hook(title: &str) -> bool {
    [
        "\"before all\" hook",
        "\"before each\" hook",
        "\"after each\" hook",
        "\"after all\" hook",
    ]
    .iter()
    .any(|start| title.starts_with(start))
}

fn phase(title: &str) -> Phase {
    match is_hook(title) {
        true if title.starts_with("\"before") => Phase::Setup,
        true => Phase::Teardown,
        false => Phase::Call,
    }
}

fn kind(part: &Part, phase: Phase) -> (FailureKind, bool) {
    let message = &part.thrown.message;
    if message.starts_with("Timeout of ") && message.contains("ms exceeded. For async tests") {
        return (FailureKind::Timeout, true);
    }
    match phase {
        Phase::Setup => (FailureKind::SetupError, true),
        Phase::Teardown => (FailureKind::TeardownError, true),
        _ if part.thrown.is_assertion() => (FailureKind::Assertion, true),
        // Mocha leaves the name out where a chai message has words before it.
        _ if part.sides.is_some() && part.thrown.name.is_empty() => (FailureKind::Assertion, true),
        _ => (
            FailureKind::Panic,
            !part.thrown.message.is_empty() || !part.thrown.name.is_empty(),
        ),
    }
}

/// `… resolves. (/p/test/a.js)`, `… in test <a> of file /p/test/a.js` name the file.
fn in_message(message: &str) -> Option<&str> {
    let first = message.lines().next()?;
    if first.starts_with("Timeout of ") {
        let (_, file) = first.strip_suffix(')')?.rsplit_once(" (/")?;
        let from = first.len() - 1 - file.len() - 1;
        return first.get(from..first.len() - 1);
    }
    if first.starts_with("done() called multiple times in ") {
        let (_, file) = first.rsplit_once(" of file ")?;
        return Some(file.split("; in addition,").next().unwrap_or(file));
    }
    None
}

/// In parallel mode a file that cannot be loaded looks like an exception of nobody's.
fn not_loaded(part: &Part, context: &Context) -> Option<Failure> {
    let stack = &part.thrown.stack;
    let loading = [
        "Module._compile",
        "ModuleJob",
        "wrapSafe",
        "finalizeResolution",
        "Module._resolveFilename",
        "compileSourceTextModule",
    ];
    if !loading.iter().any(|word| stack.contains(word)) {
        return None;
    }
    let text = part.details.trim_start();
    let text = text.strip_prefix("Uncaught ").unwrap_or(text);
    let mut failure = load::failure(text, None, context)?;
    failure.rerun = dialect::rerun(context, &failure.id, &[]);
    Some(compose::seal(failure))
}
