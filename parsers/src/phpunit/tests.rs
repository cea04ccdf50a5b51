//! Samples of PHPUnit 10, 11 and 12, by their published forms: written by hand.

use crate::Context;
use crate::Exit;
use crate::FailureKind;
use crate::Format;
use crate::Input;
use crate::Outcome;
use crate::Report;
use crate::parse;

fn read(log: &str, code: i32) -> Report {
    parse(&Input {
        exit: Some(Exit::code(code)),
        context: Context::rooted("/p"),
        ..Input::log(Format::Phpunit, log.as_bytes())
    })
}

#[test]
fn errors_of_the_runner_and_issues_are_told_apart() {
    let report = read(
        "PHPUnit 11.2.1 by Sebastian Bergmann and contributors.\n\nRuntime:       PHP 8.3.0\n\n.F.W    4 / 4 (100%)\n\nTime: 00:00.010, Memory: 8.00 MB\n\nThere was 1 PHPUnit error:\n\n1) App\\BarTest::testRows\nThe data provider specified for App\\BarTest::testRows is invalid\nboom\n\n/p/tests/BarTest.php:9\n\n--\n\nThere was 1 failure:\n\n1) App\\FooTest::testRows with data set \"two words\" (1, 2)\nFailed asserting that 2 is identical to 1.\n\n/p/tests/FooTest.php:12\n\n--\n\n1 test triggered 1 PHP warning:\n\n1) /p/tests/FooTest.php:20\nUndefined variable $x\n\nFAILURES!\nTests: 4, Assertions: 4, PHPUnit Errors: 1, Failures: 1, Warnings: 1.\n",
        2,
    );
    let ids: Vec<(&str, FailureKind)> = report
        .failures
        .iter()
        .map(|failure| (failure.id.as_str(), failure.kind))
        .collect();
    assert_eq!(
        ids,
        [
            ("App\\BarTest::testRows", FailureKind::SetupError),
            (
                "App\\FooTest::testRows with data set \"two words\"",
                FailureKind::Assertion
            ),
        ],
        "{report:?}"
    );
    assert!(report.complete);
    assert_eq!((report.counts.passed, report.counts.failed), (3, 2));
}

#[test]
fn marks_go_on_behind_a_run_that_a_test_prints() {
    let ghost = "PHPUnit 9.6.7 by Sebastian Bergmann and contributors.\n\nF    1 / 1 (100%)\n\nTime: 00:00.002, Memory: 6.00 MB\n\nThere was 1 failure:\n\n1) GhostTest::testDies\nFailed asserting that 1 matches expected 2.\n\n/p/tests/Ghost.php:3\n\nFAILURES!\nTests: 1, Assertions: 1, Failures: 1.\n";
    let rule = "\u{1b}[31m│\u{1b}[0m";
    let item = |title: &str, line: u32| {
        format!(
            " \u{1b}[31m✘\u{1b}[0m {title}\n   \u{1b}[31m┐\u{1b}[0m\n   \u{1b}[31m├\u{1b}[0m Failed asserting that two strings are equal.\n   \u{1b}[31m┊\u{1b}[0m ---·Expected\n   \u{1b}[31m┊\u{1b}[0m +++·Actual\n   \u{1b}[31m┊\u{1b}[0m @@ @@\n   \u{1b}[31m┊\u{1b}[0m -'a·b'\n   \u{1b}[31m┊\u{1b}[0m +'a·c'\n   {rule}\n   \u{1b}[31m╵\u{1b}[0m /p/tests/ATest.php:{line}\n   \u{1b}[31m┴\u{1b}[0m\n\n"
        )
    };
    let items = [
        item("One", 5),
        ghost.to_owned(),
        item(
            "Rows\u{1b}[2m with data set \u{1b}[22m\u{1b}[36m0\u{1b}[0m",
            6,
        ),
        item(
            "Rows\u{1b}[2m with \u{1b}[22m\u{1b}[36mtwo\u{1b}[2m·\u{1b}[22mwords\u{1b}[0m",
            7,
        ),
    ]
    .concat();
    let report = read(
        &format!(
            "PHPUnit 9.6.7 by Sebastian Bergmann and contributors.\n\nA\n{items}Time: 00:00.010, Memory: 8.00 MB\n\nSummary of non-successful tests:\n\nA\n{}FAILURES!\nTests: 3, Assertions: 3, Failures: 3.\n",
            items.replace(ghost, "")
        ),
        1,
    );
    let found = report.failures.iter().map(|failure| {
        let at = failure.location.as_ref().and_then(|at| at.line);
        let diff = failure.diff.clone().unwrap_or_default();
        (failure.id.as_str(), at, diff.expected, diff.actual)
    });
    let sides = || (Some("'a b'".to_owned()), Some("'a c'".to_owned()));
    let expected = [
        ("ATest::testOne", Some(5)),
        ("ATest::testRows with data set #0", Some(6)),
        ("ATest::testRows with data set \"two words\"", Some(7)),
    ];
    let expected = expected.map(|(id, at)| (id, at, sides().0, sides().1));
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn issues_alone_are_no_failures() {
    let report = read(
        "PHPUnit 10.5.0 by Sebastian Bergmann and contributors.\n\n.D    2 / 2 (100%)\n\nTime: 00:00.010, Memory: 8.00 MB\n\n1 test triggered 1 deprecation:\n\n1) /p/src/a.php:3\nold\n\nOK, but there were issues!\nTests: 2, Assertions: 2, Deprecations: 1.\n",
        0,
    );
    assert!(report.is_green(), "{report:?}");
}

#[test]
fn what_phpunit_itself_could_not_load_is_a_collection_error() {
    let report = read(
        "PHPUnit 11.0.0 by Sebastian Bergmann and contributors.\n\nAn error occurred inside PHPUnit.\n\nMessage:  syntax error, unexpected token \";\"\nLocation: /p/tests/ATest.php:6\n\n#0 /p/vendor/phpunit/phpunit/src/Runner/TestSuiteLoader.php(1): x()\n",
        255,
    );
    assert_eq!(report.outcome, Outcome::CollectionError, "{report:?}");
    assert_eq!(report.failures[0].id, "tests/ATest.php");
}

#[test]
fn a_log_that_was_cut_blames_nobody() {
    let mut input = Input::log(
        Format::Phpunit,
        b"PHPUnit 9.6.7 by Sebastian Bergmann and contributors.\n\n..F",
    );
    input.exit = None;
    let report = parse(&input);
    assert!(
        report.failures.is_empty() && !report.complete && !report.is_green(),
        "{report:?}"
    );
}

#[test]
fn whole_files_beside_a_text_without_its_end_are_not_green() {
    let xml = b"<testsuites><testsuite name=\"A\" tests=\"1\"><testcase name=\"testA\" class=\"A\" classname=\"A\" file=\"/p/A.php\" line=\"3\" assertions=\"1\"/></testsuite></testsuites>";
    let messages = "##teamcity[testSuiteStarted name='A' flowId='1']\n##teamcity[testStarted name='testA' locationHint='php_qn:///p/A.php::\\A::testA' flowId='1']\n##teamcity[testFinished name='testA' flowId='1']\n##teamcity[testSuiteFinished name='A' flowId='1']\n";
    let text = "PHPUnit 9.6.7 by Sebastian Bergmann and contributors.\n\n.\n\nTime: 00:00.1, Memory: 6.00 MB\n\nOK (1 test, 1 assertion)\n";
    let read = |text: &str, messages: &str| {
        parse(&Input {
            exit: Some(Exit::code(0)),
            files: vec![
                crate::ReportFile {
                    name: "junit.xml",
                    bytes: xml,
                },
                crate::ReportFile {
                    name: "teamcity.txt",
                    bytes: messages.as_bytes(),
                },
            ],
            ..Input::log(Format::Phpunit, text.as_bytes())
        })
    };
    assert!(read(text, messages).is_green());
    assert!(
        !read(&text[..60], messages).is_green(),
        "the text breaks off"
    );
    for at in 1..messages.len() - 1 {
        assert!(
            !read(text, &messages[..at]).is_green(),
            "messages cut at {at}"
        );
    }
}
