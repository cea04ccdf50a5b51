//! Dialects that no recording here has, by their documented shape.

use crate::Context;
use crate::FailureKind;
use crate::Format;
use crate::Input;
use crate::Outcome;
use crate::Report;
use crate::ReportFile;
use crate::parse;

fn read(xml: &str) -> Report {
    parse(&Input {
        files: vec![ReportFile {
            name: "TEST-x.xml",
            bytes: xml.as_bytes(),
        }],
        context: Context::rooted("/p"),
        ..Input::log(Format::Junit, b"")
    })
}

#[test]
fn surefire_is_read() {
    let report = read(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="com.example.CalcTest" tests="3" errors="1" skipped="0" failures="1" time="0.05">
  <testcase name="adds" classname="com.example.CalcTest" time="0.012">
    <failure message="expected: &lt;3&gt; but was: &lt;4&gt;" type="org.opentest4j.AssertionFailedError"><![CDATA[org.opentest4j.AssertionFailedError: expected: <3> but was: <4>
	at com.example.CalcTest.adds(CalcTest.java:12)
	at java.base/java.lang.reflect.Method.invoke(Method.java:568)]]></failure>
  </testcase>
  <testcase name="divides" classname="com.example.CalcTest" time="0.001">
    <error message="/ by zero" type="java.lang.ArithmeticException">java.lang.ArithmeticException: / by zero</error>
  </testcase>
  <testcase name="works" classname="com.example.CalcTest" time="0.0"/>
</testsuite>"#,
    );
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(report.complete);
    assert_eq!((report.counts.passed, report.counts.failed), (1, 2));
    let first = &report.failures[0];
    assert_eq!(
        (first.kind, first.kind_sure),
        (FailureKind::Assertion, true)
    );
    assert_eq!(first.target.as_deref(), Some("com.example.CalcTest"));
    let at = first
        .location
        .as_ref()
        .map(|at| (at.file.as_str(), at.line));
    assert_eq!(at, Some(("CalcTest.java", Some(12))));
    let diff = first
        .diff
        .as_ref()
        .map(|diff| (diff.expected.as_deref(), diff.actual.as_deref()));
    assert_eq!(diff, Some((Some("3"), Some("4"))));
    assert_eq!(report.failures[1].kind, FailureKind::Panic);
}

#[test]
fn gtest_s_disabled_tests_are_skipped() {
    let report = read(
        r#"<testsuites tests="2" failures="0" disabled="1" errors="0" name="AllTests">
<testsuite name="Nums" tests="2"><testcase name="A" status="run" classname="Nums"/>
<testcase name="B" status="notrun" classname="Nums"/></testsuite></testsuites>"#,
    );
    assert_eq!(
        (report.outcome, report.counts.passed, report.counts.skipped),
        (Outcome::Passed, 1, 1)
    );
}

#[test]
fn missing_cases_are_noticed() {
    for xml in [
        r#"<testsuite name="a.FooTest" tests="2"><testcase name="a" classname="a.FooTest"/></testsuite>"#,
        r#"<testsuite name="x" tests="2"></testsuite>"#,
    ] {
        let report = read(xml);
        assert!(!report.complete && !report.is_green(), "{xml}");
    }
}

#[test]
fn what_a_writer_counts_may_not_be_its_cases() {
    for xml in [
        // node's tests outside of all suites.
        r#"<testsuites><testcase name="top" time="0.1" classname="test"/><testsuite name="d" tests="1" failures="0"><testcase name="a" classname="test"/></testsuite><!-- tests 2 --><!-- duration_ms 9.1 --></testsuites>"#,
        // Catch2's assertions.
        r#"<testsuites><testsuite name="t" errors="0" failures="0" tests="2"><testcase classname="t.global" name="ok" status="run"/><system-out/></testsuite></testsuites>"#,
        // mocha-junit-reporter's pending tests.
        r#"<testsuites name="Mocha Tests" tests="3" failures="0" skipped="2"><testsuite name="Root Suite" tests="0"></testsuite><testsuite name="s" tests="3" file="/p/t/a.js"><testcase name="s ok" classname="ok"></testcase></testsuite></testsuites>"#,
        // jest-junit's tests that are still to be written.
        r#"<testsuites name="jest tests" tests="1" failures="0" errors="0"><testsuite name="undefined" tests="1" skipped="0"><testcase classname="d t" name="d t"></testcase><testcase classname="d ok" name="d ok"></testcase></testsuite></testsuites>"#,
        // Nobody knows who.
        r#"<testsuite name="x" tests="2"><testcase name="a"/></testsuite>"#,
    ] {
        let report = read(xml);
        assert!(report.is_green(), "{xml}: {report:?}");
        assert!(!read(&xml[..xml.len() - 9]).is_green(), "{xml}");
    }
}

#[test]
fn what_may_fail_is_skipped() {
    let report = read(
        r#"<testsuites><testsuite name="t" errors="0" failures="2" tests="4"><testcase classname="t.global" name="may" status="run"><skipped message="TEST_CASE tagged with !mayfail"/><failure message="1 == 2" type="CHECK">FAILED:
  CHECK( 1 == 2 )
at t.cpp:13</failure></testcase><testcase classname="t.global" name="no" status="run"><failure message="1 == 2" type="CHECK">FAILED:
  CHECK( 1 == 2 )
at t.cpp:15</failure></testcase></testsuite></testsuites>"#,
    );
    let counts = (report.counts.failed, report.counts.skipped);
    assert_eq!((counts, report.complete), ((1, 1), true), "{report:?}");
    assert_eq!(report.failures[0].id, "t.global.no");
}

#[test]
fn hostile_documents_are_only_unreadable() {
    let deep = "<a>".repeat(500_000);
    let bomb = r#"<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><testsuite>&b;</testsuite>"#;
    for xml in [deep.as_str(), bomb, "<testsuite", "", "\u{0}", "<html/>"] {
        let report = read(xml);
        assert!(!report.complete, "{}", &xml[..xml.len().min(40)]);
        assert_eq!(report.outcome, Outcome::NoTests);
    }
}

#[test]
fn an_exit_status_raises_the_outcome() {
    let xml = r#"<testsuite name="x" tests="1"><testcase name="a"/></testsuite>"#;
    let mut input = Input::log(Format::Junit, xml.as_bytes());
    assert!(parse(&input).is_green());
    input.exit = Some(crate::Exit::code(1));
    let report = parse(&input);
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(report.failures[0].kind, FailureKind::ExitNonzero);
}

#[test]
fn a_suite_that_could_not_be_run_is_told() {
    let report = read(
        r#"<testsuite errors="1" failures="0" name="com.acme.Nope" tests="1"><properties/><error message="com.acme.Nope" type="java.lang.ClassNotFoundException">java.lang.ClassNotFoundException: com.acme.Nope
	at java.base/java.lang.Class.forName(Class.java:467)
</error><system-out>
<testcase name="ghost"><failure/></testcase>
</system-out></testsuite>"#,
    );
    assert_eq!(report.outcome, Outcome::CollectionError);
    assert!(report.complete, "{report:?}");
    assert_eq!(report.failures.len(), 1);
    assert_eq!(report.failures[0].id, "com.acme.Nope");
    assert_eq!(report.failures[0].kind, FailureKind::CollectionError);
    assert_eq!(report.counts.failed, 1);
}

#[test]
fn packages_that_cannot_be_built_make_no_green() {
    let report = read(
        r#"<testsuites tests="1" failures="0" errors="1"><testsuite tests="1" failures="0" name="m/a"><properties><property name="go.version" value="go1.19"/></properties><testcase classname="m/a" name="TestA"/></testsuite></testsuites>"#,
    );
    assert!(!report.complete && !report.is_green(), "{report:?}");
}

#[test]
fn what_tests_printed_into_a_document_in_a_log_does_not_end_it() {
    let log = "<testsuites>\n<testsuite name=\"a\" tests=\"1\"><testcase name=\"x\" classname=\"a.B\"><system-out><![CDATA[\n<testsuite>\n</testsuite></testsuite></testsuites>\n]]></system-out></testcase></testsuite>\n<testsuite name=\"b\" tests=\"1\" failures=\"1\"><testcase name=\"y\" classname=\"a.C\"><failure>no</failure></testcase></testsuite>\n</testsuites>\nthe end\n";
    let report = parse(&Input::log(Format::Junit, log.as_bytes()));
    let counts = (report.counts.passed, report.counts.failed);
    assert_eq!((counts, report.complete), ((1, 1), true), "{report:?}");
}

#[test]
fn pytest_is_known_whatever_its_suite_is_called() {
    let xml = r#"<testsuites><testsuite name="unit" errors="0" failures="1" tests="2"><testcase classname="tests.test_a.TestX" name="test_ok" time="0.1"/><testcase classname="tests.test_a.TestX" name="test_b" time="0.1"><failure message="assert 1 == 2">    def test_b(self):
&gt;       assert 1 == 2
E       assert 1 == 2

tests/test_a.py:5: AssertionError</failure></testcase></testsuite></testsuites>"#;
    let report = read(xml);
    assert!(report.complete, "{report:?}");
    let failure = &report.failures[0];
    assert_eq!(failure.id, "tests/test_a.py::TestX::test_b");
    let diff = failure.diff.as_ref().expect("sides");
    assert_eq!(diff.left.as_deref(), Some("1"));
    for format in [Format::Auto, Format::Junit] {
        let report = parse(&Input::log(format, xml.as_bytes()));
        assert_eq!(report.failures[0].id, "tests/test_a.py::TestX::test_b");
    }
}

#[test]
fn a_framework_s_document_that_breaks_off_is_read_by_its_own_reader() {
    let xml = r#"<testsuites name="vitest tests" tests="3" failures="2"><testsuite name="a.test.js" tests="3" failures="2"><testcase classname="a.test.js" name="a"/><testcase classname="a.test.js" name="b"><failure message="expected 1 to be 2" type="AssertionError">AssertionError: expected 1 to be 2 // Object.is equality

- Expected
+ Received

- 2
+ 1

 ❯ a.test.js:5:19</failure></testcase><testcase classname="a.test.js" name="c"><failure message="no" type="Error">Error: no
 ❯ a.test.js:9:3</failure></testcase></testsuite></testsuites>"#;
    let third = xml.rfind("<testcase").expect("a case");
    let inside = xml.rfind("</failure>").expect("its end");
    for (at, failures) in [(third, 1), (third + 60, 1), (inside, 2)] {
        let report = read(&xml[..at]);
        assert!(!report.complete, "{at}");
        assert_eq!(report.failures.len(), failures, "{at}: {report:?}");
        let first = &report.failures[0];
        assert_eq!(first.location.as_ref().and_then(|at| at.line), Some(5));
        let diff = first.diff.as_ref().expect("sides");
        assert_eq!(diff.expected.as_deref(), Some("2"));
        assert_eq!(
            (report.counts.passed, report.counts.failed),
            (1, failures as u64)
        );
    }
}

#[test]
fn documents_of_several_frameworks_in_one_log_are_each_read_by_their_own() {
    let log = r#"testing
<testsuites name="jest tests" tests="1" failures="1" errors="0">
  <testsuite name="d" errors="0" failures="1" skipped="0" tests="1">
    <testcase classname="d t" name="d t" time="0"><failure>Error: expect(received).toBe(expected) // Object.is equality

Expected: 3
Received: 4
    at Object.toBe (/p/src/calc.test.js:5:19)</failure></testcase>
  </testsuite>
</testsuites>
<?xml version="1.0"?>
<testsuites name="pytest tests"><testsuite name="pytest" tests="1" failures="1"><testcase classname="test_a" name="test_b"><failure message="assert 1 == 2">    def test_b():
&gt;       assert 1 == 2
E       assert 1 == 2

test_a.py:2: AssertionError</failure></testcase></testsuite></testsuites>
the end
"#;
    for format in [Format::Junit, Format::Auto] {
        let report = parse(&Input::log(format, log.as_bytes()));
        let ids: Vec<&str> = report.failures.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["d > t", "test_a.py::test_b"], "{report:?}");
        assert!(report.complete && report.failures.iter().all(|it| it.diff.is_some()));
    }
}
