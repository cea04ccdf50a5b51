//! The protocol of the reporters: what holds together, and what does not.

use super::*;
use crate::live::End;
use crate::report::Exit;
use crate::report::FailureKind;
use crate::report::Outcome;
use crate::report::Report;
use crate::text::Tail;

#[derive(Debug)]
struct Plain;

impl Dialect for Plain {
    fn framework(&self) -> &'static str {
        "jest"
    }

    fn rerun(&self, _context: &Context, test: &Named) -> Vec<String> {
        vec!["jest".to_owned(), test.file.clone(), test.id.clone()]
    }
}

/// Numbers the records, and adds the last one.
fn stream(records: &[&str], finish: bool) -> String {
    let mut all: Vec<String> =
        vec![r#""k":"session","version":1,"runner":"x","cwd":"/p"#.to_owned() + "\""];
    all.extend(records.iter().map(|record| (*record).to_owned()));
    if finish {
        all.push(format!(r#""k":"finish","records":{}"#, all.len()));
    }
    let numbered = all.iter().enumerate();
    numbered
        .map(|(n, record)| format!("{{\"n\":{n},{record}}}\n"))
        .collect()
}

fn report(text: &str, exit: Option<Exit>) -> Report {
    let mut records = Records::new(Context::rooted("/p"), Box::new(Plain));
    records.feed(text.as_bytes());
    let end = End {
        exit,
        interrupted: false,
    };
    records.report(&end, &Tail::default(), |_, _| {})
}

const START: &str = r#""k":"start","t":1,"id":"a > b","file":"/p/x.js","path":["a","b"]"#;
const PASS: &str = r#""k":"pass","t":1,"ms":3"#;
const FAIL: &str = r#""k":"fail","t":1,"kind":"assertion","error":{"name":"Error","message":"no\nmore","frames":[["/p/node_modules/e.js",1,1,"f"],["/p/x.js",7,3,"g"]],"expected":"1","actual":"2"}"#;

#[test]
fn what_began_and_ended_is_green() {
    let report = report(&stream(&[START, PASS], true), Some(Exit::code(0)));
    assert!(report.is_green(), "{report:?}");
    assert_eq!(report.counts, Counts::new(1, 0, 0));
}

#[test]
fn a_failure_has_its_innermost_user_frame_and_both_sides() {
    let report = report(&stream(&[START, FAIL], true), Some(Exit::code(1)));
    let failure = &report.failures[0];
    assert_eq!(
        (report.outcome, report.complete),
        (Outcome::Failed, true),
        "{report:?}"
    );
    assert_eq!(failure.location.as_ref().and_then(|at| at.line), Some(7));
    assert_eq!(failure.target.as_deref(), Some("x.js"));
    let diff = failure.diff.as_ref().expect("both sides");
    assert_eq!(diff.expected.as_deref(), Some("1"));
    assert_eq!(failure.message, "no");
}

#[test]
fn forged_doubled_missing_and_trailing_records_are_never_green() {
    let fine = stream(&[START, PASS], true);
    let lines: Vec<&str> = fine.lines().collect();
    let mut bad = vec![
        // A forged result in the file of somebody who does not know the number.
        fine.clone() + "{\"n\":4,\"k\":\"pass\",\"t\":2}\n",
        stream(&[START, PASS, PASS], true),
        stream(&[START, START, PASS], true),
        stream(&[PASS], true),
        stream(&[START], true),
        format!("noise\n{fine}"),
        fine.replace("\"records\":3", "\"records\":9"),
        stream(
            &[START, PASS, r#""k":"finish","records":3,"passed":2"#],
            false,
        ),
    ];
    for left_out in 0..lines.len() {
        let mut some = lines.clone();
        some.remove(left_out);
        bad.push(some.join("\n") + "\n");
        let mut doubled = lines.clone();
        doubled.insert(left_out, lines[left_out]);
        bad.push(doubled.join("\n") + "\n");
    }
    for text in bad {
        let report = report(&text, Some(Exit::code(0)));
        assert!(!report.is_green() && !report.complete, "{text}");
    }
}

#[test]
fn who_was_running_when_it_broke_off_is_named() {
    for (exit, kind) in [
        (Exit::code(0), FailureKind::Crash),
        (
            Exit {
                signal: Some(11),
                ..Exit::default()
            },
            FailureKind::Crash,
        ),
        (
            Exit {
                timed_out: true,
                ..Exit::default()
            },
            FailureKind::Timeout,
        ),
    ] {
        let report = report(&stream(&[START], false), Some(exit));
        assert_eq!(report.failures[0].id, "a > b");
        assert_eq!(report.failures[0].kind, kind);
        assert!(!report.complete);
    }
}

#[test]
fn a_status_that_nothing_explains_is_a_failure() {
    let report = report(&stream(&[START, PASS], true), Some(Exit::code(3)));
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(report.failures[0].kind, FailureKind::ExitNonzero);
}

#[test]
fn repeated_until_it_passed_is_flaky() {
    let retry = r#""k":"retry","t":1"#;
    let report = report(&stream(&[START, retry, PASS], true), Some(Exit::code(0)));
    assert_eq!((report.counts.passed, report.counts.flaky), (1, 1));
}
