//! Exports are read back by parsers of their formats.

use super::*;
use crate::compose;
use crate::report::FailureKind;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Source;

fn sample() -> Report {
    let mut report = Report::new("pytest", Source::Events, Outcome::Failed);
    report.run.suite = Some("pytest@app".into());
    report.run.started = Some("2026-11-20T13:22:05.007Z".into());
    report.run.duration_ms = Some(1_250);
    report.counts = crate::Counts::new(1, 1, 1);
    let mut failure = compose::failure(
        "tests/test_a.py::test_x[a<b\u{1b}]",
        FailureKind::Assertion,
        Phase::Call,
        "assert 1 == \"2\" & 3",
    );
    failure.stdout = Some("line 1\nline \u{0}2 ]]>".into());
    failure.location = Some(crate::Location {
        file: "tests/test_a.py".into(),
        line: Some(7),
        column: None,
    });
    report.failures.push(compose::seal(failure));
    report
}

fn others() -> Vec<Other> {
    ["test_y", "test_z"]
        .map(|id| Other {
            target: None,
            id: id.into(),
            skipped: id == "test_z",
        })
        .into()
}

#[test]
fn junit_is_xml_whatever_tests_print() {
    let (report, others) = (sample(), others());
    let text = junit(&[Exported {
        report: &report,
        others: &others,
    }]);
    let document = roxmltree::Document::parse(&text).expect("well-formed");
    let cases: Vec<_> = document
        .descendants()
        .filter(|node| node.has_tag_name("testcase"))
        .collect();
    assert_eq!(cases.len(), 3);
    assert_eq!(
        cases[0].attribute("name"),
        Some("tests/test_a.py::test_x[a<b\u{fffd}]")
    );
    assert_eq!(cases[0].attribute("line"), Some("7"));
    let failure = cases[0]
        .descendants()
        .find(|node| node.has_tag_name("failure"))
        .expect("failure");
    assert_eq!(failure.attribute("message"), Some("assert 1 == \"2\" & 3"));
    assert!(
        cases[2]
            .descendants()
            .any(|node| node.has_tag_name("skipped"))
    );
}

#[test]
fn ctrf_lists_every_test_with_what_it_requires() {
    let (report, others) = (sample(), others());
    let text = ctrf(&[Exported {
        report: &report,
        others: &others,
    }]);
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let summary = &document["results"]["summary"];
    assert_eq!(summary["tests"], 3);
    assert_eq!(summary["start"], 1_795_180_925_007_i64);
    assert_eq!(summary["stop"], 1_795_180_926_257_i64);
    let tests = document["results"]["tests"].as_array().expect("a list");
    for test in tests {
        assert!(
            test["name"].is_string() && test["status"].is_string() && test["duration"].is_u64()
        );
    }
    assert_eq!(tests[0]["line"], 7);
    assert_eq!(tests[0]["extra"]["regreen"]["kind"], "assertion");
}

#[test]
fn annotations_are_one_line_each_whatever_tests_say() {
    let mut report = sample();
    report.failures[0].message = "50% of\nit: a,b".into();
    report.failures[0].diff = Some(crate::Diff {
        left: Some("1".into()),
        ..crate::Diff::default()
    });
    let exported = [Exported {
        report: &report,
        others: &[],
    }];
    assert_eq!(
        github(&exported),
        "::error file=tests/test_a.py,line=7,title=pytest@app%3A \
         tests/test_a.py%3A%3Atest_x[a<b\u{1b}]::50%25 of%0Ait: a,b%0Aleft: 1\n"
    );
    assert_eq!(
        quickfix(&exported),
        "tests/test_a.py:7:1: error: 50% of it: a,b [tests/test_a.py::test_x[a<b ]]\n"
    );
}

#[test]
fn a_line_of_the_quickfix_list_has_one_place_or_none() {
    let mut report = sample();
    report.failures[0].id = "x".into();
    report.failures[0].message = "\"b.py\", line 3: it \"said\" c.py:9:1: no".into();
    let shown = |report: &Report| {
        quickfix(&[Exported {
            report,
            others: &[],
        }])
    };
    assert_eq!(
        shown(&report),
        "tests/test_a.py:7:1: error: 'b.py', line 3: it 'said' c.py:9:1: no [x]\n"
    );
    report.failures[0].location = None;
    assert_eq!(
        shown(&report),
        "error: 'b.py', line 3: it 'said' c.py: 9: 1: no [x]\n"
    );
    report.failures[0].message = "\"a\" is no \"b\"".into();
    assert_eq!(shown(&report), "error: \"a\" is no \"b\" [x]\n");
}

#[test]
fn what_is_not_green_reads_as_no_success_in_any_format() {
    let mut report = Report::new("pytest", Source::Text, Outcome::NoTests);
    report.complete = true;
    report
        .notes
        .push(crate::Note::new("no_tests", "nothing ran"));
    let exported = [Exported {
        report: &report,
        others: &[],
    }];
    let said = "the run ended as no_tests: nothing ran";
    let xml = junit(&exported);
    assert!(
        xml.contains("tests=\"1\" failures=\"0\" errors=\"1\""),
        "{xml}"
    );
    assert!(
        xml.contains(&format!("<error type=\"no_tests\" message=\"{said}\"/>")),
        "{xml}"
    );
    let document: serde_json::Value = serde_json::from_str(&ctrf(&exported)).expect("JSON");
    assert_eq!(document["results"]["summary"]["failed"], 1);
    assert_eq!(document["results"]["tests"][0]["message"], said);
    assert_eq!(github(&exported), format!("::error title=pytest::{said}\n"));
    assert_eq!(quickfix(&exported), format!("error: {said} [pytest]\n"));
}
