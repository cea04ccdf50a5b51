//! What differs between node's test runner and the others that write records.

use crate::context::Context;
use crate::js::load;
use crate::js::stack;
use crate::js::thrown;
use crate::js::thrown::Thrown;
use crate::node::rerun;
use crate::records::Dialect;
use crate::records::Failed;
use crate::records::Named;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Frame;
use crate::report::Phase;
use crate::text;

/// node's names, stacks and reruns.
#[derive(Debug)]
pub(crate) struct Node;

impl Dialect for Node {
    fn framework(&self) -> &'static str {
        "node-test"
    }

    fn rerun(&self, context: &Context, test: &Named) -> Vec<String> {
        rerun::argv(context, &test.file, &test.path)
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
        if failure.phase == Phase::Collect {
            file_failed(failure, &record.err, record.exit, context);
            return;
        }
        let Some(error) = &record.error else {
            return;
        };
        let assertion = thrown::is_assertion(&error.name, error.code.as_deref());
        if assertion {
            failure.message = thrown::first_line(&error.message);
        }
        if let (Some(diff), Some(own)) = (&mut failure.diff, own_diff(&error.message)) {
            diff.unified = Some(own);
        }
        if failure.kind == FailureKind::Panic {
            failure.kind_sure = sure(&record.word);
        }
    }
}

/// Whether node's word for a failure proves that something was thrown.
pub(crate) fn sure(word: &str) -> bool {
    !matches!(
        word,
        "cancelledByParent" | "parentAlreadyFinished" | "testAborted"
    )
}

/// The diff that `assert` itself makes, as it stands in the message.
pub(crate) fn own_diff(message: &str) -> Option<String> {
    let at = message.find("+ actual - expected")?;
    let (_, body) = message[at..].split_once('\n')?;
    let body = text::clean(body);
    let body = body.trim_matches('\n').trim_end();
    (!body.is_empty()).then(|| text::cap(body, text::SIDE))
}

/// A file's process failed outside of any test: what it printed says why.
pub(crate) fn file_failed(
    failure: &mut Failure,
    errors: &str,
    exit: Option<i64>,
    context: &Context,
) {
    let file = failure.id.clone();
    let errors = text::clean(errors);
    let Some(thrown) = last_error(&errors) else {
        failure.kind = FailureKind::ExitNonzero;
        failure.kind_sure = false;
        failure.phase = Phase::Session;
        if let Some(exit) = exit {
            failure.message = format!("exited with status {exit}");
        }
        return;
    };
    if let Some(found) = load::failure(thrown, Some(&file), context) {
        failure.message = found.message;
        failure.location = found.location;
        failure.frames = found.frames;
        failure.code = found.code;
        failure.details = found.details;
    }
    let body = load::below_source(thrown).trim_start();
    if Thrown::read(body).is_assertion() {
        // A script that asserts at its top is a test without a name.
        failure.kind = FailureKind::Assertion;
        failure.phase = Phase::Call;
        failure.kind_sure = false;
    }
}

/// The last uncaught error that node printed: `/p/x.js:3`, the line, `^`, the error, and
/// `Node.js v20.1.0` at the end.
pub(crate) fn last_error(errors: &str) -> Option<&str> {
    let end = errors
        .rfind("\nNode.js v")
        .map_or(errors.len(), |at| at + 1);
    let body = &errors[..end];
    let mut start = None;
    let mut from = 0;
    for line in body.split_inclusive('\n') {
        let bare = line.trim_end();
        let place = bare.rsplit_once(':').is_some_and(|(file, line)| {
            let absolute =
                file.starts_with('/') || file.starts_with("file://") || file.starts_with("node:");
            absolute
                && !line.is_empty()
                && line.bytes().all(|b| b.is_ascii_digit())
                && !file.contains(' ')
        });
        if place {
            start = Some(from);
        }
        from += line.len();
    }
    if let Some(start) = start {
        return Some(&body[start..]);
    }
    // Errors of the module loader have no source line.
    let mut from = 0;
    for line in body.split_inclusive('\n') {
        let named = Thrown::head(line.trim_end());
        if !named.name.is_empty() {
            return Some(&body[from..]);
        }
        from += line.len();
    }
    None
}
