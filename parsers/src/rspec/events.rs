//! The events of regreen's reporter for RSpec.

use crate::context::Context;
use crate::records::Dialect;
use crate::records::Failed;
use crate::records::Named;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Phase;
use crate::rspec::block;
use crate::rspec::message;
use crate::ruby;
use crate::ruby::uncaught;
use crate::text;

/// What RSpec's records mean.
#[derive(Debug)]
pub(crate) struct Rspec;

impl Rspec {
    /// For [`Streams`](crate::ruby::streams::Streams).
    pub fn dialect() -> Box<dyn Dialect> {
        Box::new(Rspec)
    }
}

impl Dialect for Rspec {
    fn framework(&self) -> &'static str {
        "rspec"
    }

    /// `path` is RSpec's own id of the example, `./spec/a_spec.rb[1:2]`.
    fn rerun(&self, context: &Context, test: &Named) -> Vec<String> {
        match test.path.first().filter(|id| !id.is_empty()) {
            Some(id) => context.rerun(&["rspec"], [id.clone()]),
            None if !test.file.is_empty() => {
                context.rerun(&["rspec"], [context.in_dir(&test.file)])
            }
            None => Vec::new(),
        }
    }

    fn is_user(&self, context: &Context, file: &str) -> bool {
        ruby::is_user(context, file)
    }

    fn refine(&self, failure: &mut Failure, record: &Failed, context: &Context) {
        // Of an example in one line the description is known only at its end.
        if !record.id.is_empty() {
            failure.id = match failure.phase {
                // Files are named from the project's root, as the text's are.
                Phase::Collect => ruby::relative(context, &record.id),
                _ => record.id.clone(),
            };
        }
        ruby::shorten(&mut failure.frames);
        if failure.target.is_none() && failure.phase != Phase::Collect {
            failure.target = failure.location.as_ref().map(|at| at.file.clone());
        }
        let Some(error) = &record.error else {
            return;
        };
        if record.kind.is_some() {
            return;
        }
        if record.phase == "around" {
            (failure.kind, failure.phase) = (FailureKind::SetupError, Phase::Setup);
            failure.kind_sure = false;
        } else if failure.phase == Phase::Call {
            (failure.kind, failure.kind_sure) = message::kind(&error.name);
        }
        failure.message = match failure.kind {
            FailureKind::UnexpectedPass => text::one_line(&error.message),
            _ => message::one_line(&error.name, &error.message),
        };
        failure.diff = message::diff(&error.message);
        failure.details = text::block(&dedented(&error.stack, &error.message), text::DETAILS);
        if failure.phase == Phase::Collect {
            collected(failure, &error.name, &error.message, context);
        }
    }
}

/// A file that cannot be loaded.
fn collected(failure: &mut Failure, class: &str, said: &str, context: &Context) {
    failure.target = None;
    if class == "SyntaxError"
        && let Some((file, line)) = uncaught::syntax_place(said)
    {
        failure.location = Some(ruby::at(&ruby::relative(context, &file), Some(line)));
        failure.message = block::syntax_line(said, &failure.message);
    }
}

/// RSpec's own block without number and indentation; the message where there is none.
fn dedented(block: &str, message: &str) -> String {
    let Some((_, body)) = block.trim_start_matches('\n').split_once('\n') else {
        return format!("{block}\n{}", message.trim_matches('\n'));
    };
    let lines = body.lines().map(|line| {
        let blank = line.len() - line.trim_start().len();
        &line[blank.min(5)..]
    });
    lines.collect::<Vec<_>>().join("\n")
}
