//! Common Test Report Format (<https://ctrf.io>).

use crate::export::Exported;
use crate::export::millis;
use crate::report::Failure;
use serde_json::Value;
use serde_json::json;

/// Reports as one CTRF document.
pub fn ctrf(exported: &[Exported<'_>]) -> String {
    let mut tests = Vec::new();
    let mut sums = [0_u64; 3];
    let mut start = i64::MAX;
    let mut stop = 0;
    for one in exported {
        let counts = &one.report.counts;
        for (sum, count) in sums
            .iter_mut()
            .zip([counts.passed, counts.failed, counts.skipped])
        {
            *sum += count;
        }
        let begun = millis(one.report.run.started.as_deref());
        let took = i64::try_from(one.report.run.duration_ms.unwrap_or(0)).unwrap_or(0);
        start = start.min(begun);
        stop = stop.max(begun + took);
        tests.extend(
            one.report
                .failures
                .iter()
                .map(|failure| failed(one, failure)),
        );
        tests.extend(one.others.iter().map(|other| {
            let status = if other.skipped { "skipped" } else { "passed" };
            json!({
                "name": other.id,
                "status": status,
                "duration": 0,
                "suite": suites(one, other.target.as_deref()),
            })
        }));
    }
    let [passed, failed, skipped] = sums;
    let names: Vec<&str> = exported
        .iter()
        .map(|one| one.report.run.framework.as_str())
        .collect();
    let document = json!({
        "reportFormat": "CTRF",
        "specVersion": "0.0.0",
        "results": {
            "tool": { "name": names.join(", "), "extra": { "regreen": env!("CARGO_PKG_VERSION") } },
            "summary": {
                "tests": passed + failed + skipped,
                "passed": passed,
                "failed": failed,
                "skipped": skipped,
                "pending": 0,
                "other": 0,
                "suites": exported.len(),
                "start": if start == i64::MAX { 0 } else { start },
                "stop": stop,
                "extra": { "regreen": exported.iter().map(run).collect::<Vec<_>>() },
            },
            "tests": tests,
        },
    });
    serde_json::to_string_pretty(&document).unwrap_or_default()
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
        "name": failure.id,
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
