//! Vitest's `tap` and `tap-flat`: TAP's own reader, with the names told apart.

use crate::compose;
use crate::context::Context;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::tap::SEPARATOR;
use crate::vitest::dialect;

/// The report of TAP as one of Vitest.
pub(crate) fn report(mut report: Report, context: &Context) -> Report {
    "vitest".clone_into(&mut report.run.framework);
    for failure in &mut report.failures {
        if failure.phase == Phase::Call {
            *failure = named(failure.clone(), context);
        }
    }
    let collect = |failure: &Failure| failure.kind == FailureKind::CollectionError;
    if report.failures.iter().any(collect) {
        report.outcome = report.outcome.min(Outcome::CollectionError);
    }
    report
}

/// The first of the titles is the file; a file that failed by itself was not loaded.
fn named(mut failure: Failure, context: &Context) -> Failure {
    let mut path: Vec<String> = failure.id.split(SEPARATOR).map(str::to_owned).collect();
    let file = context.relative(&path.remove(0));
    let message = failure.message.as_str();
    if message.starts_with("Test timed out in ") || message.starts_with("Hook timed out in ") {
        (failure.kind, failure.kind_sure) = (FailureKind::Timeout, true);
    } else if message.starts_with("Expect test to fail") {
        (failure.kind, failure.kind_sure) = (FailureKind::UnexpectedPass, true);
    }
    if message.starts_with("Hook ") && failure.kind == FailureKind::Timeout {
        failure.phase = Phase::Setup;
    }
    failure.rerun = dialect::rerun(context, &file, &path);
    if path.is_empty() {
        failure.phase = Phase::Collect;
        failure.kind = FailureKind::CollectionError;
        failure.id = file;
        failure.target = None;
    } else {
        failure.id = path.join(" > ");
        failure.target = Some(file);
    }
    compose::seal(failure)
}
