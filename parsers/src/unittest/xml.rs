//! What xmlrunner (unittest-xml-reporting) writes: one JUnit file a class.

use crate::compose;
use crate::context::Context;
use crate::python;
use crate::python::traceback;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Phase;
use crate::unittest::dialect;
use crate::unittest::failure;

/// Brings a case of the file into unittest's own words.
pub(crate) fn refine(failure: &mut Failure, context: &Context) {
    let class = failure.target.take().unwrap_or_default();
    let details = failure.details.clone().unwrap_or_default();
    let method = failure.id.clone();
    if class.ends_with("_FailedTest") || class == "unittest.loader" {
        let made = failure::collection(&method, &details, context);
        *failure = compose::seal(Failure {
            rerun: dialect::rerun_module(context, &method),
            duration_ms: failure.duration_ms,
            ..made
        });
        return;
    }
    failure.id = match method.split_once(" (") {
        // Fixtures: `setUpClass (tests.m.C)`.
        Some((word, _)) if word.starts_with("setUp") || word.starts_with("tearDown") => {
            method.clone()
        }
        _ if class.is_empty() => method.clone(),
        _ => format!("{class}.{method}"),
    };
    let chain = traceback::read(&details);
    let Some(raised) = chain.last() else {
        return;
    };
    let name = method.split(' ').next().unwrap_or(&method);
    let (phase, sure) = failure::phase_of(name, raised);
    let fixture = failure.id == method;
    failure.phase = phase;
    failure.kind = match phase {
        _ if fixture && method.starts_with("setUp") => FailureKind::SetupError,
        _ if fixture && method.starts_with("tearDown") => FailureKind::TeardownError,
        Phase::Setup => FailureKind::SetupError,
        Phase::Teardown => FailureKind::TeardownError,
        _ if python::bare_class(&raised.class).ends_with("AssertionError") => {
            FailureKind::Assertion
        }
        _ => FailureKind::Panic,
    };
    failure.kind_sure = sure;
    failure.message = failure::one_line(raised);
    failure::explain(failure, raised, context);
    failure.rerun = dialect::rerun(context, &failure.id);
    *failure = compose::seal(failure.clone());
}
