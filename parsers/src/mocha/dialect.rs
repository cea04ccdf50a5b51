//! What differs between Mocha and the others that write records.

use crate::context::Context;
use crate::js::load;
use crate::js::stack;
use crate::js::thrown;
use crate::records::Dialect;
use crate::records::Failed;
use crate::records::Named;
use crate::report::Failure;
use crate::report::Frame;
use crate::report::Phase;

/// Mocha's names, stacks and reruns.
#[derive(Debug)]
pub(crate) struct Mocha;

impl Dialect for Mocha {
    fn framework(&self) -> &'static str {
        "mocha"
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
        let Some(error) = &record.error else {
            return;
        };
        refine(failure, &error.name, &error.message, &error.stack, context);
    }
}

/// What V8's own texts tell besides: the place of a syntax error, the line after `…equal:`.
pub(crate) fn refine(
    failure: &mut Failure,
    name: &str,
    message: &str,
    stack: &str,
    context: &Context,
) {
    if failure.phase == Phase::Collect
        && let Some(found) = load::failure(stack, Some(&failure.id), context)
    {
        failure.location = found.location;
    }
    if failure.diff.is_none() && thrown::is_assertion(name, failure.code.as_deref()) {
        let sides = thrown::compared(message);
        failure.diff =
            sides.and_then(|(expected, actual)| thrown::diff(Some(&expected), Some(&actual)));
    }
    if matches!(name, "" | "Error") || name.starts_with("AssertionError") {
        failure.message = thrown::first_line(message);
    }
}

/// The argv that runs one test, or all of a file where no titles are known.
pub(crate) fn rerun(context: &Context, file: &str, path: &[String]) -> Vec<String> {
    let mut selection = Vec::new();
    if !file.is_empty() {
        selection.push(context.in_dir(file));
    }
    if !path.is_empty() {
        selection.extend(["-g".to_owned(), format!("^{}$", escaped(&path.join(" ")))]);
    }
    context.rerun(&["npx", "mocha"], selection)
}

/// Titles as a regular expression of JavaScript. Line ends are written so that the argument
/// stays one line; what no class of characters knows stands for itself.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\\' | '^' | '$' | '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|'
            | '/' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
