//! What is exported: the reports of all recordings, and some made to be difficult.

pub mod consumers;
pub mod expected;
pub mod schema;

use crate::support::Recording;
use regreen_parsers::Outcome;
use regreen_parsers::Report;
use regreen_parsers::Source;
use regreen_parsers::export::Exported;
use regreen_parsers::export::Other;
use serde_json::json;
use std::sync::LazyLock;

/// One document's worth: reports, each with the tests that did not fail.
pub struct Case {
    pub name: String,
    pub reports: Vec<(Report, Vec<Other>)>,
}

impl Case {
    /// As the exports take it.
    pub fn exported(&self) -> Vec<Exported<'_>> {
        let reports = self.reports.iter();
        reports
            .map(|(report, others)| Exported { report, others })
            .collect()
    }

    /// Reports as bad as any: the first is full, the last has no report at all.
    pub fn difficult() -> Vec<Case> {
        let case = |name: &str, reports| Case {
            name: format!("difficult/{name}"),
            reports,
        };
        let plain = |outcome, complete| {
            let mut report = Report::new("", Source::Text, outcome);
            report.complete = complete;
            (report, Vec::new())
        };
        let mut cut = plain(Outcome::Passed, false);
        cut.0.counts = regreen_parsers::Counts::new(3, 0, 0);
        let mut more = odd(HOSTILE);
        more.0.counts = regreen_parsers::Counts::new(1, 50, 1);
        vec![
            case("hostile", vec![odd(HOSTILE)]),
            case("long", vec![odd(&long())]),
            case("odd", vec![odd(ODD)]),
            case("blank", vec![odd("")]),
            case(
                "many",
                vec![odd(ODD), plain(Outcome::NoTests, true), odd("x")],
            ),
            case("counted", vec![more]),
            case("cut", vec![cut]),
            case("nothing", vec![plain(Outcome::NoTests, true)]),
            case("usage", vec![plain(Outcome::UsageError, true)]),
            case("empty", Vec::new()),
        ]
    }
}

/// Everything that is exported in these tests.
pub fn cases() -> &'static [Case] {
    static CASES: LazyLock<Vec<Case>> = LazyLock::new(all);
    &CASES
}

fn all() -> Vec<Case> {
    let recorded = Recording::all().into_iter().map(|recording| Case {
        reports: vec![(recording.report(), Vec::new())],
        name: recording.name,
    });
    recorded.chain(Case::difficult()).collect()
}

/// What the formats themselves are made of.
const HOSTILE: &str = "50% of\r\nit: a,b::c %0A ]]> <![CDATA[ &amp; <b att=\"x\">'y'</b> -- \
                       \"z.py\", line 3: {\"k\":1}\n::error file=x.py,line=1::no\n  b.py:9:1: error: no\n";
/// Characters of every sort.
const ODD: &str = "\u{1b}[31mred\u{1b}[0m \u{0}\u{7}\u{8}\u{b}\u{c}\u{1f}\u{7f}\u{80}\u{85}\u{9f}\u{a0}\u{ad}\
                   \u{200b}\u{2028}\u{202e}\u{d7ff}\u{e000}\u{fdd0}\u{feff}\u{fffd}\u{fffe}\u{ffff}\u{10ffff} \
                   \u{1f600} e\u{301} \u{f6}\ttab\rback\r\nnext \\ end";

/// 100 kB, of several bytes a character and many lines.
fn long() -> String {
    let line = "\u{e4}\u{1f600} <line> 100 % \"long\" & more\n";
    line.repeat(100 * 1024 / line.len())
}

/// A report in which every text is this one.
fn odd(text: &str) -> (Report, Vec<Other>) {
    let at = json!({ "file": "src/a b,c%d#e\t(5).py", "line": 7, "column": 2 });
    let place = |line| json!({ "file": "tests/a, b%.py", "line": line });
    let failure = |id: String, kind: &str, place: serde_json::Value| {
        json!({
            "id": id, "target": text, "kind": kind, "kind_sure": true, "phase": "call",
            "location": place, "message": text, "details": text, "stdout": text, "stderr": text,
            "diff": { "left": text, "right": text, "expected": text, "actual": text },
            "frames": [{ "file": text, "line": 3, "function": text, "user": true }],
            "duration_ms": 1234, "fingerprint": text, "flaky": false, "rerun": [text],
            "notes": [{ "code": text, "message": text }],
        })
    };
    let failures = [
        failure(format!("first {text}"), "assertion", place(3)),
        failure(format!("{text} second"), "setup_error", json!(null)),
        failure(text.to_owned(), "panic", place(9)),
        failure("fourth".into(), "compile_error", at),
    ];
    let report = json!({
        "schema": 1, "outcome": "failed", "complete": true,
        "run": { "framework": "pytest", "suite": text, "source": "text",
                 "started": "2026-11-20T13:22:05.007Z", "duration_ms": 1250 },
        "counts": { "passed": 1, "failed": 4, "skipped": 1, "flaky": 1, "total": 6 },
        "failures": failures,
        "diagnostics": [
            { "level": "warning", "code": text, "message": text, "location": place(4) },
            { "level": text, "message": text },
        ],
    });
    let others = [false, true].map(|skipped| Other {
        target: skipped.then(|| text.to_owned()),
        id: format!("{text}{skipped}"),
        skipped,
    });
    let report = serde_json::from_value(report).expect("a report");
    (report, others.into())
}
