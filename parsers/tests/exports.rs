//! What is exported, others can read: every recording's report and a few made to be difficult,
//! as CTRF against its published schema, and in all formats through programs of other people
//! (`consumers/`): junitparser, xunitparser, junit-to-ctrf, CTRF's own validator, the Actions
//! toolkit, Vim.
#![expect(
    clippy::disallowed_methods,
    reason = "this crate stands alone: it has no process module"
)]

mod exported;
mod support;

use exported::Case;
use exported::cases;
use exported::consumers;
use exported::schema;
use regreen_parsers::Format;
use regreen_parsers::Input;
use regreen_parsers::ReportFile;
use regreen_parsers::export;
use regreen_parsers::parse;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

#[test]
fn every_report_is_ctrf_by_its_published_schema() {
    let schema = schema::published();
    for case in cases() {
        let document: Value = serde_json::from_str(&export::ctrf(&case.exported())).expect("JSON");
        let faults = schema::faults(&document, &schema);
        assert!(faults.is_empty(), "{}: {faults:#?}", case.name);
        let (results, tests) = (&document["results"], &document["results"]["tests"]);
        let status = |word: &str| {
            let tests = tests.as_array().expect("a list").iter();
            tests.filter(|test| test["status"] == word).count() as u64
        };
        let summary = |word: &str| results["summary"][word].as_u64().expect("a number");
        // What is counted and not listed is in the summary; nothing is listed and not counted.
        for word in ["passed", "failed", "skipped"] {
            assert!(status(word) <= summary(word), "{}: {word}", case.name);
        }
        let green = case.reports.iter().all(|it| it.0.is_green());
        assert_eq!(green, summary("failed") == 0, "{}", case.name);
    }
}

#[test]
fn the_schema_is_not_read_too_kindly() {
    let schema = schema::published();
    let good = export::ctrf(&Case::difficult()[0].exported());
    let good: Value = serde_json::from_str(&good).expect("JSON");
    let spoilt = |path: &str, value: Value| {
        let mut document = good.clone();
        match document.pointer_mut(path) {
            Some(place) => *place = value,
            None => document["results"]["tests"][0]["more"] = value,
        }
        schema::faults(&document, &schema).len()
    };
    assert_eq!(schema::faults(&good, &schema), Vec::<String>::new());
    for (path, value) in [
        ("/specVersion", "1.0".into()),
        ("/reportFormat", "XTRF".into()),
        ("/results/tool/name", "".into()),
        ("/results/summary/tests", "3".into()),
        ("/results/tests/0/status", "broken".into()),
        ("/results/tests/0/suite", Value::Array(Vec::new())),
        ("/results/tests/0/stdout", "text".into()),
        ("/results/tests/0/duration", 1.5.into()),
        ("/results/tests/0/unknown", true.into()),
        ("/results/summary", Value::Null),
    ] {
        assert!(spoilt(path, value) > 0, "{path}");
    }
}

/// The counts of an export are those that its own reader finds.
#[test]
fn junit_comes_back_through_our_own_reader() {
    for case in cases() {
        let xml = export::junit(&case.exported());
        let mut input = Input::log(Format::Junit, b"");
        input.files = vec![ReportFile {
            name: "report.xml",
            bytes: xml.as_bytes(),
        }];
        let read = parse(&input);
        let green = !case.reports.is_empty() && case.reports.iter().all(|it| it.0.is_green());
        let suites = roxmltree::Document::parse(&xml).expect("well-formed");
        let listed = suites
            .descendants()
            .filter(|it| it.has_tag_name("failure") || it.has_tag_name("error"))
            .count();
        assert!(green || !read.is_green(), "{}", case.name);
        assert!(read.failures.len() <= listed, "{}", case.name);
        assert_eq!(read.failures.is_empty(), listed == 0, "{}", case.name);
    }
}

#[test]
fn other_programs_read_what_is_meant() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("exports");
    let cases = cases();
    consumers::write(&dir, cases);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/consumers");
    for one in consumers::all() {
        if !one.is_here() {
            continue;
        }
        let output = Command::new(&one.command[0])
            .args(&one.command[1..])
            .arg(scripts.join(one.script))
            .env("REGREEN_EXPORTS", &dir)
            .env("REGREEN_PACKAGES", &one.packages)
            .output()
            .expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}:\n{text}", one.script);
        // A script that looked at nothing would be content as well.
        let held = format!("{} cases held", cases.len());
        assert!(text.contains(&held), "{}: no `{held}`:\n{text}", one.script);
    }
}
