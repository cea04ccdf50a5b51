//! What differs between Vitest and the others that write records.

use crate::context::Context;
use crate::jest;
use crate::js::argv;
use crate::js::stack;
use crate::records::Dialect;
use crate::records::Failed;
use crate::records::Named;
use crate::report::Failure;
use crate::report::Frame;

/// Vitest's names, stacks and reruns.
#[derive(Debug)]
pub(crate) struct Vitest;

impl Dialect for Vitest {
    fn framework(&self) -> &'static str {
        "vitest"
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
        jest::refine(failure, record, context);
    }
}

/// The argv that runs one test, or all of a file where no titles are known.
pub(crate) fn rerun(context: &Context, file: &str, path: &[String]) -> Vec<String> {
    let mut selection = Vec::new();
    if !file.is_empty() {
        selection.push(context.in_dir(file));
    }
    if !path.is_empty() {
        selection.extend(["-t".to_owned(), argv::pattern(path)]);
    }
    context.rerun(&["npx", "vitest", "run"], selection)
}
