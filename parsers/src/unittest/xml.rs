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
    failure.target = None;
    let details = failure.details.clone().unwrap_or_default();
    // The module's packages stand in the class.
    if let Some(module) = failure.id.strip_prefix("unittest.loader._FailedTest") {
        let module = module.trim_start_matches('.');
        let made = failure::collection(module, &details, context);
        *failure = compose::seal(Failure {
            rerun: dialect::rerun_module(context, module),
            duration_ms: failure.duration_ms,
            ..made
        });
        return;
    }
    failure.rerun = dialect::rerun(context, &failure.id);
    let chain = traceback::read(&details);
    let Some(raised) = chain.last() else {
        return;
    };
    // `tests.m.C.test_a (i=1)`, `setUpClass (tests.m.C)`.
    let name = failure.id.split(' ').next().unwrap_or("");
    let name = name.rsplit('.').next().unwrap_or(name);
    let (phase, sure) = match name {
        "setUpClass" | "setUpModule" => (Phase::Setup, true),
        "tearDownClass" | "tearDownModule" => (Phase::Teardown, true),
        name => failure::phase_of(name, raised),
    };
    failure.phase = phase;
    failure.kind = match phase {
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
    *failure = compose::seal(failure.clone());
}
