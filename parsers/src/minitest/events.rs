//! The events of regreen's reporter for minitest.

use crate::context::Context;
use crate::minitest::message;
use crate::minitest::rerun;
use crate::records::Dialect;
use crate::records::Failed;
use crate::records::Named;
use crate::report::Failure;
use crate::report::Phase;
use crate::ruby;
use crate::text;

/// What minitest's records mean.
#[derive(Debug)]
pub(crate) struct Minitest;

impl Minitest {
    /// For [`Streams`](crate::ruby::streams::Streams).
    pub fn dialect() -> Box<dyn Dialect> {
        Box::new(Minitest)
    }
}

impl Dialect for Minitest {
    fn framework(&self) -> &'static str {
        "minitest"
    }

    fn rerun(&self, context: &Context, test: &Named) -> Vec<String> {
        let file = (!test.file.is_empty()).then_some(test.file.as_str());
        rerun::of(context, &test.id, file)
    }

    fn is_user(&self, context: &Context, file: &str) -> bool {
        ruby::is_user(context, file)
    }

    fn refine(&self, failure: &mut Failure, record: &Failed, _context: &Context) {
        ruby::shorten(&mut failure.frames);
        let Some(error) = &record.error else {
            return;
        };
        if record.kind.is_some() {
            return;
        }
        if failure.phase == Phase::Call {
            failure.kind = message::kind(&error.name);
        }
        if error.name == "Minitest::Assertion" {
            failure.message = message::one_line(&error.message);
            failure.diff = message::diff(&error.message);
        }
        // Label and name stand elsewhere.
        let body = error.stack.splitn(3, '\n').nth(2);
        failure.details = text::block(body.unwrap_or(&error.message), text::DETAILS);
    }
}
