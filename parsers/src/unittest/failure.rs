//! Makes structured failures of unittest's blocks of text, and of what the reporter says in
//! the same words.

use crate::compose;
use crate::context::Context;
use crate::python;
use crate::python::sides;
use crate::python::traceback;
use crate::python::traceback::Raised;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;
use crate::unittest::dialect;
use crate::unittest::names;
use crate::unittest::names::Name;
use crate::unittest::names::What;

/// What a doctest's message begins with.
const DOCTEST: &str = "Failed doctest test for ";

/// The first word of a block's heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Error,
    Fail,
    Unexpected,
}

/// What a block says.
pub(crate) fn of(word: Word, heading: &str, body: &str, context: &Context) -> Failure {
    let name = names::read(heading);
    if word == Word::Unexpected {
        let kind = FailureKind::UnexpectedPass;
        let mut failure = compose::failure(&name.id, kind, Phase::Call, "Unexpected success");
        failure.rerun = dialect::rerun(context, &name.id);
        return compose::seal(failure);
    }
    let (trace, out, err) = captured(body);
    if name.what == What::FailedTest {
        let mut failure = collection(&name.base, trace, context);
        failure.rerun = dialect::rerun_module(context, &name.base);
        return compose::seal(failure);
    }
    let chain = traceback::read(trace);
    let raised = chain.last().cloned().unwrap_or_default();
    let (phase, phase_sure) = phase(&name, &raised);
    let (kind, sure) = match (phase, word) {
        (Phase::Setup, _) => (FailureKind::SetupError, phase_sure),
        (Phase::Teardown, _) => (FailureKind::TeardownError, phase_sure),
        (_, Word::Fail) => (FailureKind::Assertion, true),
        _ => (FailureKind::Panic, !raised.class.is_empty()),
    };
    let mut failure = compose::failure(&name.id, kind, phase, one_line(&raised));
    failure.kind_sure = sure;
    failure.rerun = match raised.message.starts_with(DOCTEST) {
        true => dialect::rerun(context, ""),
        false => dialect::rerun(context, &name.id),
    };
    explain(&mut failure, &raised, context);
    failure.details = text::block(trace, text::DETAILS);
    failure.stdout = text::block(out, text::DETAILS);
    failure.stderr = text::block(err, text::DETAILS);
    compose::seal(failure)
}

/// Frames, place and sides of an exception.
pub(crate) fn explain(failure: &mut Failure, raised: &Raised, context: &Context) {
    failure.frames = python::frames(&raised.entries, |file| context.relative(file), context);
    // A doctest's own place is told by its message.
    failure.location = doctest_place(&raised.message, context)
        .or_else(|| python::innermost(&failure.frames))
        .or_else(|| failure.location.take());
    failure.diff = compared(raised);
}

/// The sides of an assertion that failed.
pub(crate) fn compared(raised: &Raised) -> Option<crate::report::Diff> {
    let class = python::bare_class(&raised.class);
    let asserts = class == "AssertionError" || class.ends_with("AssertionError");
    if !asserts && class != "failureException" {
        return None;
    }
    sides::of_unittest(&raised.message)
}

/// `File "/p/m.py", line 9, in m.double` in the message of a doctest.
pub(crate) fn doctest_place(message: &str, context: &Context) -> Option<Location> {
    if !message.starts_with(DOCTEST) {
        return None;
    }
    let mut places = message.lines().filter(|line| line.starts_with("File \""));
    let entry = places.find_map(traceback::entry)?;
    Some(Location {
        file: context.relative(&entry.file),
        line: entry.line,
        column: None,
    })
}

/// An exception in one line, as the reporters' records have it.
pub(crate) fn one_line(raised: &Raised) -> String {
    let class = python::bare_class(&raised.class);
    let first = text::one_line(&raised.message);
    match (class, first.as_str()) {
        ("", "") => "no message".to_owned(),
        ("AssertionError" | "", first) if !first.is_empty() => first.to_owned(),
        (class, "") => class.to_owned(),
        (class, first) => format!("{class}: {first}"),
    }
}

/// The traceback, and below it what the test printed (`-b`).
fn captured(body: &str) -> (&str, &str, &str) {
    const OUT: &str = "\n\nStdout:\n";
    const ERR: &str = "\n\nStderr:\n";
    let out = body.find(OUT);
    let err = match out {
        Some(out) => body[out..].rfind(ERR).map(|at| out + at),
        None => body.find(ERR),
    };
    let end = out.or(err).unwrap_or(body.len());
    let printed = out.map_or("", |at| &body[at + OUT.len()..err.unwrap_or(body.len())]);
    let errors = err.map_or("", |at| &body[at + ERR.len()..]);
    (&body[..end], printed, errors)
}

/// In which part of a test an exception was raised: the outermost function of the user's
/// tells it.
fn phase(name: &Name, raised: &Raised) -> (Phase, bool) {
    match name.what {
        What::SetUp => (Phase::Setup, true),
        What::TearDown => (Phase::Teardown, true),
        What::FailedTest => (Phase::Collect, true),
        What::Test => phase_of(&name.method, raised),
    }
}

/// The same for a test's method.
pub(crate) fn phase_of(method: &str, raised: &Raised) -> (Phase, bool) {
    let user = raised
        .entries
        .iter()
        .filter(|entry| !python::of_python(&entry.file) && !entry.file.starts_with('<'));
    let functions: Vec<&str> = user
        .filter_map(|entry| entry.function.as_deref())
        .map(|function| function.rsplit('.').next().unwrap_or(function))
        .collect();
    let Some(outermost) = functions.first() else {
        return (Phase::Call, true);
    };
    let is_test = |function: &str| {
        function == method || function.starts_with("test") || function == "runTest"
    };
    match *outermost {
        "setUp" | "asyncSetUp" => (Phase::Setup, true),
        "tearDown" | "asyncTearDown" => (Phase::Teardown, true),
        _ if functions.iter().any(|function| is_test(function)) => (Phase::Call, true),
        // A decorator of the project's, or a cleanup: both are called by unittest itself.
        wrapper
            if wrapper.contains("wrap")
                || wrapper.contains("inner")
                || wrapper.starts_with('<') =>
        {
            (Phase::Call, false)
        }
        _ => (Phase::Teardown, false),
    }
}

/// A module that could not be loaded. The id is its file, the place that of the error at the
/// bottom of it.
pub(crate) fn collection(module: &str, details: &str, context: &Context) -> Failure {
    let chain = traceback::read(details);
    let raised = chain.last().cloned().unwrap_or_else(|| headline(details));
    let message = one_line(&raised);
    let mut failure = compose::failure("", FailureKind::CollectionError, Phase::Collect, message);
    failure.frames = python::frames(&raised.entries, |file| context.relative(file), context);
    failure.location = python::innermost(&failure.frames);
    let file = failure.frames.iter().rev().find(|frame| frame.user);
    let imports = details.contains("Failed to import test module")
        || details.contains("Failed to call load_tests");
    let known = match imports || file.is_some() {
        true => module_file(module, &raised),
        // A name that is none: no file is to blame.
        false => module.to_owned(),
    };
    failure.id = match file.map(|frame| frame.file.clone()) {
        // A path that is not below the root says less than the module does.
        Some(file) if file.starts_with('/') && file.ends_with(&format!("/{known}")) => known,
        Some(file) => file,
        None => known,
    };
    failure.details = text::block(details, text::DETAILS);
    failure
}

/// Without a stack the first line is all there is: `AttributeError: module 'm' has no …`.
fn headline(details: &str) -> Raised {
    let line = details.lines().find(|line| !line.trim().is_empty());
    let (class, message) = line.and_then(traceback::exception).unwrap_or_default();
    Raised {
        class: class.to_owned(),
        message: message.to_owned(),
        entries: Vec::new(),
    }
}

/// The file of a module; where only the end of its name is told, the error has all of it.
fn module_file(module: &str, raised: &Raised) -> String {
    let missing = raised.message.strip_prefix("No module named '");
    let missing = missing.and_then(|rest| rest.split('\'').next());
    let whole = missing.filter(|missing| missing.ends_with(&format!(".{module}")));
    python::module_file(whole.unwrap_or(module))
}
