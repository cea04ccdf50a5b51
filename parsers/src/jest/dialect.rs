//! What differs between Jest and the others that write records.

use crate::context::Context;
use crate::js::argv;
use crate::js::raised;
use crate::js::raised::Raised;
use crate::js::stack;
use crate::records::Dialect;
use crate::records::Failed;
use crate::records::Named;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Frame;
use crate::report::Phase;
use crate::text;

/// Jest's names, stacks and reruns.
#[derive(Debug)]
pub(crate) struct Jest;

impl Dialect for Jest {
    fn framework(&self) -> &'static str {
        "jest"
    }

    fn rerun(&self, context: &Context, test: &Named) -> Vec<String> {
        rerun(context, &test.file, &test.path)
    }

    fn frames(&self, text: &str) -> Vec<Frame> {
        stack::frames(text)
    }

    fn columns(&self, text: &str) -> Vec<Option<u32>> {
        stack::columns(text)
    }

    fn is_user(&self, context: &Context, file: &str) -> bool {
        stack::is_user(context, file)
    }

    fn refine(&self, failure: &mut Failure, record: &Failed, context: &Context) {
        refine(failure, record, context);
    }
}

/// The texts of a record are read as those of every other form are.
pub(crate) fn refine(failure: &mut Failure, record: &Failed, context: &Context) {
    let Some(error) = &record.error else {
        return;
    };
    let told = failure.phase;
    let alone = told == Phase::Collect || failure.target.is_none() && told != Phase::Session;
    let file = failure.target.clone().unwrap_or_else(|| match alone {
        true => failure.id.clone(),
        false => String::new(),
    });
    let path: Vec<String> = match alone {
        true => Vec::new(),
        false => vec![failure.id.clone()],
    };
    let cleaned = text::clean(&error.stack);
    let made = raised::failure(
        &Raised {
            file: &file,
            path: &path,
            text: &cleaned,
            matcher: record.kind.as_deref() == Some("assertion"),
            whole: Some((error.expected.clone(), error.actual.clone()))
                .filter(|(expected, actual)| expected.is_some() || actual.is_some()),
            ..Raised::default()
        },
        context,
    );
    if !made.frames.is_empty() {
        failure.frames = made.frames;
    }
    if made.location.is_some() {
        failure.location = made.location;
    }
    failure.message.clone_from(&made.message);
    failure.diff = made.diff;
    failure.code = made.code.or(failure.code.take());
    failure.details = made.details.or(failure.details.take());
    if record.kind.is_none() && told == Phase::Call {
        (failure.kind, failure.kind_sure, failure.phase) = (made.kind, made.kind_sure, made.phase);
        // A matcher would have been known.
        failure.kind_sure |= made.kind == FailureKind::Panic && !error.name.is_empty();
    } else if record.kind.is_none()
        && matches!(made.kind, FailureKind::Timeout | FailureKind::Crash)
    {
        failure.kind = made.kind;
    }
    if made.kind == FailureKind::Timeout && told == Phase::Call {
        failure.phase = made.phase;
    }
    if made.message.starts_with("Obsolete snapshots found") {
        failure.kind = made.kind;
    }
}

/// The argv that runs one test, or all of a file where no titles are known.
pub(crate) fn rerun(context: &Context, file: &str, path: &[String]) -> Vec<String> {
    let mut selection = Vec::new();
    if !file.is_empty() {
        selection.extend(["--runTestsByPath".to_owned(), context.in_dir(file)]);
    }
    if !path.is_empty() {
        selection.extend(["-t".to_owned(), argv::pattern(path)]);
    }
    context.rerun(&["npx", "jest"], selection)
}
