//! What the readers of an export have to find, worked out from the report's own JSON.

use super::Case;
use regreen_parsers::Outcome;
use regreen_parsers::Report;
use regreen_parsers::export::Other;
use serde_json::Value;
use serde_json::json;

/// What a case's documents say.
pub fn of(case: &Case) -> Value {
    let each = |what: fn(&Report, &[Other]) -> Vec<Value>| {
        let reports = case.reports.iter();
        let all = reports.flat_map(|(report, others)| what(report, others));
        all.collect::<Vec<Value>>()
    };
    json!({
        "name": case.name,
        "suites": each(|report, others| vec![suite(report, others)]),
        "quickfix": each(|report, _| placed(report).iter().map(mark).collect()),
        "annotations": each(|report, _| annotations(report)),
    })
}

fn name(report: &Report) -> String {
    let name = report.run.suite.as_ref().unwrap_or(&report.run.framework);
    if name.is_empty() {
        "tests".into()
    } else {
        name.clone()
    }
}

/// The failures as JSON, each with `place`; one made up where a run is not green without any.
fn placed(report: &Report) -> Vec<Value> {
    let mut failures: Vec<Value> = report
        .failures
        .iter()
        .map(|failure| serde_json::to_value(failure).expect("JSON"))
        .collect();
    for failure in &mut failures {
        let place = failure.get("location").or(failure.get("test_location"));
        failure["place"] = place.cloned().unwrap_or_default();
    }
    if failures.is_empty() && !report.is_green() {
        let what = match report.outcome {
            Outcome::Passed => "the run is not complete".to_owned(),
            outcome => format!("the run ended as {}", outcome.as_str()),
        };
        let note = report.notes.first();
        let why = note.map_or(String::new(), |note| format!(": {}", note.message));
        failures.push(json!({
            "id": name(report), "kind": report.outcome, "unlisted": true, "place": null,
            "message": format!("{what}{why}"), "details": "",
        }));
    }
    failures
}

fn suite(report: &Report, others: &[Other]) -> Value {
    let suite = name(report);
    let found = [
        "assertion",
        "panic",
        "returned_err",
        "exit_nonzero",
        "unexpected_pass",
    ];
    let failures = placed(report).into_iter().map(|failure| {
        let kind = failure["kind"].as_str().expect("a word");
        let error = failure["unlisted"] == true || !found.contains(&kind);
        json!({
            "name": carried(&failure["id"]),
            "class": carried(failure.get("target").unwrap_or(&json!(suite))),
            "tag": if error { "error" } else { "failure" },
            "type": kind,
            "message": carried(&failure["message"]),
            "text": carried(failure.get("details").unwrap_or(&failure["message"])),
            "stdout": carried(&failure["stdout"]),
            "stderr": carried(&failure["stderr"]),
        })
    });
    let others = others.iter().map(|other| {
        json!({
            "name": carried(&json!(other.id)),
            "class": carried(&json!(other.target.as_ref().unwrap_or(&suite))),
            "tag": if other.skipped { json!("skipped") } else { Value::Null },
        })
    });
    let listed: Vec<Value> = failures.collect();
    let failed = report.counts.failed.max(listed.len() as u64);
    let counts = report.counts;
    json!({
        "name": carried(&json!(suite)),
        "tests": counts.passed + counts.skipped + failed,
        "failed": failed,
        "skipped": counts.skipped,
        "cases": listed.into_iter().chain(others).collect::<Vec<_>>(),
    })
}

/// Text as XML 1.0 can carry it.
fn carried(text: &Value) -> Value {
    let Some(text) = text.as_str() else {
        return Value::Null;
    };
    let carried = |c: char| match c {
        '\t' | '\n' | '\r' => c,
        '\0'..=' ' if c != ' ' => '\u{fffd}',
        '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        c => c,
    };
    text.chars().map(carried).collect::<String>().into()
}

/// What an editor's list holds: a place or none, and the end of the words.
fn mark(failure: &Value) -> Value {
    let mut place = failure["place"].clone();
    if let Some(file) = place.get_mut("file") {
        *file = shown(file).into();
    }
    let id = shown(&failure["id"]);
    let short = id.len() <= 600;
    json!({
        "place": place,
        "end": if short { format!(" [{id}]") } else { " ...]".into() },
    })
}

/// Runs of control characters are one blank.
fn shown(text: &Value) -> String {
    let mut shown = String::new();
    for c in text.as_str().expect("text").chars() {
        match c.is_control() {
            true if shown.ends_with(' ') => {}
            true => shown.push(' '),
            false => shown.push(c),
        }
    }
    shown
}

fn annotations(report: &Report) -> Vec<Value> {
    let suite = name(report);
    let failures = placed(report).into_iter().map(|failure| {
        let id = failure["id"].as_str().expect("a name");
        json!({
            "level": "error",
            "title": if failure["unlisted"] == true { suite.clone() } else { format!("{suite}: {id}") },
            "place": failure["place"],
            "message": failure["message"],
        })
    });
    let diagnostics = report.diagnostics.iter().map(|it| {
        json!({
            "level": match it.level.as_str() {
                "error" | "warning" => it.level.as_str(),
                _ => "notice",
            },
            "title": it.code.as_ref().filter(|it| !it.is_empty()).unwrap_or(&suite),
            "place": it.location,
            "message": it.message,
        })
    });
    failures.chain(diagnostics).collect()
}
