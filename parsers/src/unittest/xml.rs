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
    // The module's packages stand in the class.
    if let Some(packages) = class.strip_prefix("unittest.loader._FailedTest") {
        let module = format!("{packages}.{method}");
        let module = module.trim_start_matches('.');
        let made = failure::collection(module, &details, context);
        *failure = compose::seal(Failure {
            rerun: dialect::rerun_module(context, module),
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
        _ if class.is_empty() || class.starts_with("unittest.case.FunctionTestCase") => {
            method.clone()
        }
        _ => format!("{class}.{method}"),
    };
    let chain = traceback::read(&details);
    let Some(raised) = chain.last() else {
        return;
    };
    let name = method.split(' ').next().unwrap_or(&method);
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
    failure.rerun = dialect::rerun(context, &failure.id);
    *failure = compose::seal(failure.clone());
}
