//! Samples of many writers' files, each by its documented shape or shortened from a real one:
//! written by hand.

use crate::Context;
use crate::Failure;
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
            name: "report.xml",
            bytes: xml.as_bytes(),
        }],
        context: Context::rooted("/p"),
        ..Input::log(Format::Junit, b"")
    })
}

fn one(xml: &str) -> Failure {
    let report = read(xml);
    assert!(report.complete, "{report:?}");
    assert_eq!(report.failures.len(), 1, "{report:?}");
    report.failures[0].clone()
}

/// Id, target, kind, file, line, expected, actual.
type Facts<'a> = (
    &'a str,
    Option<&'a str>,
    FailureKind,
    Option<(&'a str, u32)>,
    Option<(&'a str, &'a str)>,
);

fn facts(failure: &Failure) -> Facts<'_> {
    let place = failure
        .location
        .as_ref()
        .and_then(|at| Some((at.file.as_str(), at.line?)));
    let diff = failure
        .diff
        .as_ref()
        .and_then(|diff| Some((diff.expected.as_deref()?, diff.actual.as_deref()?)));
    (
        failure.id.as_str(),
        failure.target.as_deref(),
        failure.kind,
        place,
        diff,
    )
}

use FailureKind::Assertion;
use FailureKind::Panic;

/// A document, and what it says of its one failure.
const CASES: &[(&str, Facts<'_>)] = &[
    (
        r#"<testsuites name="jest tests" tests="1" failures="1"><testsuite name="Calc" tests="1" failures="1" errors="0"><testcase classname="Calc adds" name="Calc adds" time="0.01" file="src/calc.test.js"><failure>Error: expect(received).toBe(expected) // Object.is equality

Expected: 3
Received: 4
    at Object.toBe (/p/src/calc.test.js:5:19)
    at Promise.then.completed (/p/node_modules/jest-circus/build/utils.js:298:28)</failure></testcase></testsuite></testsuites>"#,
        (
            "Calc > adds",
            Some("src/calc.test.js"),
            Assertion,
            Some(("src/calc.test.js", 5)),
            Some(("3", "4")),
        ),
    ),
    (
        r#"<testsuites name="vitest tests" tests="1" failures="1"><testsuite name="a.test.js" tests="1" failures="1"><testcase classname="a.test.js" name="Calc &gt; adds" time="0.1"><failure message="expected 4 to be 3 // Object.is equality" type="AssertionError">AssertionError: expected 4 to be 3 // Object.is equality

- Expected
+ Received

- 3
+ 4

 ❯ a.test.js:5:19</failure></testcase></testsuite></testsuites>"#,
        (
            "Calc > adds",
            Some("a.test.js"),
            Assertion,
            Some(("a.test.js", 5)),
            Some(("3", "4")),
        ),
    ),
    (
        r#"<testsuites name="Mocha Tests" tests="1" failures="1"><testsuite name="Calc" file="/p/test/a.js" tests="1" failures="1"><testcase name="Calc adds" classname="adds" time="0"><failure message="expected 4 to equal 3" type="AssertionError"><![CDATA[AssertionError: expected 4 to equal 3
    at Context.<anonymous> (test/a.js:7:14)

      + expected - actual

      -4
      +3
      ]]></failure></testcase></testsuite></testsuites>"#,
        (
            "Calc > adds",
            Some("test/a.js"),
            Assertion,
            Some(("test/a.js", 7)),
            Some(("3", "4")),
        ),
    ),
    (
        r#"<testsuites><testsuite name="Calc" tests="1" failures="1"><testcase name="adds" time="0.1" classname="test" file="/p/a.test.js"><failure type="testCodeFailure" message="Expected values to be strictly equal:&#10;&#10;4 !== 3&#10;">
[Error [ERR_TEST_FAILURE]: Expected values to be strictly equal:

4 !== 3
] { code: 'ERR_TEST_FAILURE', failureType: 'testCodeFailure', cause: AssertionError [ERR_ASSERTION]: Expected values to be strictly equal:
    at TestContext.&lt;anonymous&gt; (file:///p/a.test.js:6:10)
</failure></testcase></testsuite></testsuites>"#,
        (
            "Calc > adds",
            Some("a.test.js"),
            Assertion,
            Some(("a.test.js", 6)),
            Some(("3", "4")),
        ),
    ),
    (
        r#"<testsuites tests="1" failures="1"><testsuite name="example.com/calc" tests="1" failures="1"><properties><property name="go.version" value="go1.19"/></properties><testcase classname="example.com/calc" name="TestAdd/two" time="0"><failure message="Failed" type="">=== RUN   TestAdd/two
    calc_test.go:12: got 4, want 3
--- FAIL: TestAdd/two (0.00s)
</failure></testcase></testsuite></testsuites>"#,
        (
            "TestAdd/two",
            Some("example.com/calc"),
            Assertion,
            Some(("calc_test.go", 12)),
            Some(("3", "4")),
        ),
    ),
    (
        r#"<testsuites tests="1" failures="1" name="AllTests"><testsuite name="Nums/P" tests="1" failures="1"><testcase name="Even/1" value_param="3" status="run" result="completed" time="0" classname="Nums/P"><failure message="/p/unit.cc:9&#x0A;Value of: x&#x0A;  Actual: false&#x0A;Expected: true" type=""><![CDATA[/p/unit.cc:9
Value of: x
  Actual: false
Expected: true]]></failure></testcase></testsuite></testsuites>"#,
        (
            "Nums/P.Even/1",
            None,
            Assertion,
            Some(("unit.cc", 9)),
            Some(("true", "false")),
        ),
    ),
    (
        r#"<testsuites time="0.1"><testsuite name="calc.bats" tests="1" failures="1" errors="0" skipped="0"><testcase classname="calc.bats" name="adds two" time="0"><failure type="failure">(in test file calc.bats, line 4)
  `[ "$result" -eq 3 ]' failed</failure></testcase></testsuite></testsuites>"#,
        (
            "adds two",
            Some("calc.bats"),
            Assertion,
            Some(("calc.bats", 4)),
            None,
        ),
    ),
    (
        r#"<testsuite name="rspec" tests="1" failures="1" errors="0"><testcase classname="spec.calc_spec" name="Calc adds" file="./spec/calc_spec.rb" time="0.01"><failure message="expected: 3&#10;     got: 4&#10;&#10;(compared using ==)&#10;" type="RSpec::Expectations::ExpectationNotMetError">Failure/Error: expect(4).to eq(3)

  expected: 3
       got: 4

  (compared using ==)
./spec/calc_spec.rb:5:in `block (2 levels)'</failure></testcase></testsuite>"#,
        (
            "Calc adds",
            Some("spec/calc_spec.rb"),
            Assertion,
            Some(("spec/calc_spec.rb", 5)),
            Some(("3", "4")),
        ),
    ),
    (
        r#"<testsuites><testsuite name="CalcTest" filepath="test/calc_test.rb" tests="1" failures="1" errors="0"><testcase name="test_adds" lineno="4" classname="CalcTest" assertions="1" time="0" file="test/calc_test.rb"><failure type="Minitest::Assertion" message="Expected: 3&#10;  Actual: 4">Failure:
test_adds(CalcTest) [test/calc_test.rb:5]:
Expected: 3
  Actual: 4</failure></testcase></testsuite></testsuites>"#,
        (
            "CalcTest#test_adds",
            Some("test/calc_test.rb"),
            Assertion,
            Some(("test/calc_test.rb", 5)),
            Some(("3", "4")),
        ),
    ),
    (
        r#"<testsuites id="" name="" tests="1" failures="1"><testsuite name="a.spec.ts" tests="1" failures="1" hostname="chromium"><testcase name="Calc › adds" classname="a.spec.ts" time="1"><failure message="a.spec.ts:4:7 adds" type="FAILURE"><![CDATA[  [chromium] › a.spec.ts:4:7 › Calc › adds

    Error: expect(received).toBe(expected) // Object.is equality

    Expected: 3
    Received: 4

       5 |     expect(4).toBe(3);

        at /p/a.spec.ts:5:15
]]></failure></testcase></testsuite></testsuites>"#,
        (
            "Calc > adds",
            Some("a.spec.ts"),
            Assertion,
            Some(("a.spec.ts", 5)),
            Some(("3", "4")),
        ),
    ),
    (
        r#"<testsuites><testsuite name="Calc.Tests.dll" tests="1" failures="1" errors="0"><testcase classname="Calc.Tests.CalcTest" name="Adds" time="0.1"><failure type="failure" message="Assert.Equal() Failure&#xA;Expected: 3&#xA;Actual:   4">   at Calc.Tests.CalcTest.Adds() in /p/CalcTest.cs:line 12</failure></testcase></testsuite></testsuites>"#,
        (
            "Calc.Tests.CalcTest.Adds",
            Some("Calc.Tests.CalcTest"),
            Assertion,
            Some(("CalcTest.cs", 12)),
            Some(("3", "4")),
        ),
    ),
    (
        r#"<testsuite name="com.example.FooTest" tests="1" failures="1" errors="0"><testcase name="bar(int)[2]" classname="com.example.FooTest" time="0.01"><failure message="java.lang.AssertionError: expected:&lt;1&gt; but was:&lt;2&gt;" type="java.lang.AssertionError">java.lang.AssertionError: expected:&lt;1&gt; but was:&lt;2&gt;
	at org.junit.Assert.fail(Assert.java:89)
	at com.example.FooTest.bar(FooTest.java:14)
</failure></testcase><system-out><![CDATA[]]></system-out></testsuite>"#,
        (
            "com.example.FooTest.bar(int)[2]",
            Some("com.example.FooTest"),
            Assertion,
            Some(("FooTest.java", 14)),
            Some(("1", "2")),
        ),
    ),
    (
        r#"<testsuites><testsuite name="nextest" tests="1" failures="1"><testcase name="adds" classname="tests" time="0"><failure type="cargo test" message="failed tests::adds">thread 'tests::adds' panicked at src/lib.rs:7:9:
no</failure></testcase></testsuite></testsuites>"#,
        (
            "tests::adds",
            Some("nextest"),
            Assertion,
            Some(("src/lib.rs", 7)),
            None,
        ),
    ),
    (
        r#"<testsuites><testsuite package="org.eslint" name="/p/a.js" tests="1" errors="1" failures="0"><testcase time="0" name="org.eslint.no-undef" classname="/p/a"><failure message="'x' is not defined."><![CDATA[line 3, col 5, Error - 'x' is not defined. (no-undef)]]></failure></testcase></testsuite></testsuites>"#,
        (
            "a.js:3:5 no-undef",
            None,
            Assertion,
            Some(("a.js", 3)),
            None,
        ),
    ),
    (
        r#"<testsuite name="s" tests="1" errors="1"><testcase classname="some.thing" name="works"><error message="ValueError: no" type="ValueError">Traceback
  File "/p/x.py", line 3, in works
ValueError: no</error></testcase></testsuite>"#,
        (
            "some.thing.works",
            Some("some.thing"),
            Panic,
            Some(("x.py", 3)),
            None,
        ),
    ),
];

#[test]
fn each_dialect_gives_its_facts() {
    let mut wrong = Vec::new();
    for (xml, expected) in CASES {
        let failure = one(xml);
        if facts(&failure) != *expected {
            wrong.push(format!("{:?}\n{expected:?}", facts(&failure)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_passed_at_last_is_flaky() {
    let report = read(
        r#"<testsuite name="a.FooTest" tests="2" errors="0" skipped="0" failures="1" flakes="1"><testcase name="x" classname="a.FooTest"><flakyFailure message="no" type="java.lang.AssertionError"><stackTrace>java.lang.AssertionError: no</stackTrace></flakyFailure></testcase><testcase name="y" classname="a.FooTest"><failure message="no" type="java.lang.AssertionError">java.lang.AssertionError: no
	at a.FooTest.y(FooTest.java:3)</failure><rerunFailure message="no" type="java.lang.AssertionError"/></testcase></testsuite>"#,
    );
    let counts = (
        report.counts.passed,
        report.counts.failed,
        report.counts.flaky,
    );
    assert_eq!(
        (counts, report.outcome),
        ((1, 1, 1), Outcome::Failed),
        "{report:?}"
    );
}

#[test]
fn what_breaks_off_is_read_as_far_as_it_goes() {
    let whole = r#"<testsuite name="a.FooTest" tests="3" failures="1"><testcase name="x" classname="a.FooTest"/><testcase name="y" classname="a.FooTest"><failure message="no" type="java.lang.AssertionError">java.lang.AssertionError: no
	at a.FooTest.y(FooTest.java:3)
</failure></testcase><testcase name="z" classname="a.FooTest"/></testsuite>"#;
    assert!(read(whole).complete);
    let from = whole.find("message").expect("a message");
    for at in 0..whole.len() {
        let report = read(&whole[..at]);
        assert!(!report.complete && !report.is_green(), "{at}");
        if at > from + 60 {
            assert_eq!(report.failures.len(), 1, "{at}: {report:?}");
        }
    }
}

#[test]
fn several_documents_in_one_log_are_added_up() {
    let log = b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<testsuite name=\"a\" tests=\"1\"><testcase name=\"x\" classname=\"a.B\"/></testsuite>\nand <so> on\n<testsuite name=\"b\" tests=\"1\" failures=\"1\">\n<testcase name=\"y\" classname=\"a.C\"><failure>no</failure></testcase>\n</testsuite>\nthe end\n";
    let report = parse(&Input::log(Format::Junit, log));
    assert_eq!(
        (report.counts.passed, report.counts.failed),
        (1, 1),
        "{report:?}"
    );
    assert!(report.complete);
}

#[test]
fn open_test_reporting_names_who_was_running() {
    let xml = r#"<e:events xmlns:e="x"><e:started id="1" name="FooTest"><metadata><junit:type>CONTAINER</junit:type></metadata><sources><java:classSource className="a.FooTest"/></sources></e:started><e:started id="2" parentId="1" name="bar()"><metadata><junit:legacyReportingName>bar()</junit:legacyReportingName><junit:type>TEST</junit:type></metadata><sources><java:methodSource className="a.FooTest" methodName="bar" methodParameterTypes=""/></sources></e:started><e:finished id="2"><result status="FAILED"><java:throwable assertionError="true" type="org.opentest4j.AssertionFailedError">org.opentest4j.AssertionFailedError: expected: &lt;1&gt; but was: &lt;2&gt;
	at a.FooTest.bar(FooTest.java:9)</java:throwable></result></e:finished><e:started id="3" parentId="1" name="baz()"><metadata><junit:type>TEST</junit:type></metadata><sources><java:methodSource className="a.FooTest" methodName="baz" methodParameterTypes=""/></sources></e:started>"#;
    let report = read(xml);
    let ids: Vec<(&str, FailureKind)> = report
        .failures
        .iter()
        .map(|f| (f.id.as_str(), f.kind))
        .collect();
    assert_eq!(
        ids,
        [
            ("a.FooTest.bar()", FailureKind::Assertion),
            ("a.FooTest.baz()", FailureKind::Crash)
        ],
        "{report:?}"
    );
    assert!(!report.complete);
}
