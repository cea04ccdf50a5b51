//! Common Test Report Format (<https://ctrf.io>).

use crate::export::Exported;
use crate::export::millis;
use crate::report::Failure;
use serde_json::Value;
use serde_json::json;

/// The version of the specification that these documents follow.
const SPEC: &str = "0.0.0";

/// Reports as one CTRF document.
pub fn ctrf(exported: &[Exported<'_>]) -> String {
    let mut names: Vec<&str> = exported
        .iter()
        .map(|one| one.report.run.framework.as_str())
        .filter(|name| !name.is_empty())
        .collect();
    names.dedup();
    let name = match names.is_empty() {
        true => "regreen".to_owned(),
        false => names.join(", "),
    };
    let document = json!({
        "reportFormat": "CTRF",
        "specVersion": SPEC,
        "generatedBy": format!("regreen {}", env!("CARGO_PKG_VERSION")),
        "results": {
            "tool": { "name": name },
            "summary": summary(exported),
            "tests": exported.iter().flat_map(tests).collect::<Vec<_>>(),
        },
    });
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

fn summary(exported: &[Exported<'_>]) -> Value {
    let sum = |count: fn(&Exported<'_>) -> u64| exported.iter().map(count).sum::<u64>();
    let passed = sum(|one| one.report.counts.passed);
    let skipped = sum(|one| one.report.counts.skipped);
    let failed = sum(|one| one.failed());
    let begun = |one: &Exported<'_>| millis(one.report.run.started.as_deref());
    let took = |one: &Exported<'_>| {
        i64::try_from(one.report.run.duration_ms.unwrap_or(0)).unwrap_or(i64::MAX)
    };
    let ends = exported
        .iter()
        .map(|one| begun(one).saturating_add(took(one)));
    json!({
        "tests": passed + failed + skipped,
        "passed": passed,
        "failed": failed,
        "skipped": skipped,
        "pending": 0,
        "other": 0,
        "flaky": sum(|one| one.report.counts.flaky),
        "suites": exported.len(),
        "start": exported.iter().map(begun).min().unwrap_or(0),
        "stop": ends.max().unwrap_or(0),
        "extra": { "regreen": exported.iter().map(run).collect::<Vec<_>>() },
    })
}

/// The tests of one run: what failed, what is to be said where nothing did, and the others.
fn tests(one: &Exported<'_>) -> Vec<Value> {
    let failures = one.report.failures.iter();
    let mut tests: Vec<Value> = failures.map(|failure| failed(one, failure)).collect();
    tests.extend(one.unlisted().map(|message| {
        json!({
            "name": one.suite(),
            "status": "failed",
            "duration": 0,
            "suite": suites(one, None),
            "message": message,
            "rawStatus": one.report.outcome,
        })
    }));
    tests.extend(one.others.iter().map(|other| {
        json!({
            "name": named(&other.id, one),
            "status": if other.skipped { "skipped" } else { "passed" },
            "duration": 0,
            "suite": suites(one, other.target.as_deref()),
        })
    }));
    tests
}

/// A test has to have a name.
fn named<'a>(id: &'a str, one: &'a Exported<'_>) -> &'a str {
    if id.is_empty() { one.suite() } else { id }
}

fn suites(one: &Exported<'_>, target: Option<&str>) -> Vec<String> {
    [Some(one.suite()), target]
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect()
}

fn run(one: &Exported<'_>) -> Value {
    json!({
        "suite": one.suite(),
        "outcome": one.report.outcome,
        "complete": one.report.complete,
        "snapshot": one.report.run.snapshot,
        "isolation": one.report.run.isolation,
    })
}

fn failed(one: &Exported<'_>, failure: &Failure) -> Value {
    let frames: Vec<String> = failure
        .frames
        .iter()
        .map(|frame| {
            let line = frame.line.map_or(String::new(), |line| format!(":{line}"));
            format!(
                "{}{line} {}",
                frame.file,
                frame.function.as_deref().unwrap_or("")
            )
        })
        .collect();
    let trace = match frames.is_empty() {
        true => failure.details.clone(),
        false => Some(frames.join("\n")),
    };
    let mut test = json!({
        "name": named(&failure.id, one),
        "status": "failed",
        "duration": failure.duration_ms.unwrap_or(0),
        "suite": suites(one, failure.target.as_deref()),
        "message": failure.message,
        "rawStatus": failure.kind,
        "extra": { "regreen": failure },
    });
    let at = failure.test_location.as_ref().or(failure.location.as_ref());
    let lines = |text: &Option<String>| -> Option<Vec<String>> {
        Some(text.as_ref()?.lines().map(str::to_owned).collect())
    };
    let optional = [
        ("trace", json!(trace)),
        ("filePath", json!(at.map(|at| &at.file))),
        ("line", json!(at.and_then(|at| at.line))),
        ("flaky", json!(failure.flaky)),
        ("stdout", json!(lines(&failure.stdout))),
        ("stderr", json!(lines(&failure.stderr))),
    ];
    for (key, value) in optional {
        if !value.is_null() {
            test[key] = value;
        }
    }
    test
}
