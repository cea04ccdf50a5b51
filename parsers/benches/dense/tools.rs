//! Logs of nothing but result lines, as cargo, nextest, pytest, unittest, GoogleTest, CTest, the
//! JUnit tools and compilers write them.

use crate::dense::Dense;
use crate::dense::Paint;
use regreen_parsers::Format;
use std::fmt::Write;

/// Whether the test of this number fails, where so many of a hundred do.
fn fails(i: usize, failing: usize) -> bool {
    (i * 37) % 100 < failing
}

/// Every log of this file; most of these tools have colours of their own, here each line has some.
pub fn all() -> Vec<Dense> {
    vec![
        Dense::of("cargo", Format::Cargo, libtest),
        Dense::of("libtest", Format::Libtest, libtest),
        Dense::of("libtest-json", Format::Libtest, libtest_json),
        Dense::of("nextest", Format::Nextest, nextest),
        Dense::of("pytest-v", Format::Pytest, pytest_verbose),
        Dense::of("pytest-q", Format::Pytest, pytest_quiet),
        Dense::of("pytest-xdist", Format::Pytest, pytest_xdist),
        Dense::of("unittest-v", Format::Unittest, unittest_verbose),
        Dense::of("unittest", Format::Unittest, unittest_dots),
        Dense::of("gtest", Format::Gtest, gtest),
        Dense::of("ctest", Format::Ctest, ctest),
        Dense::of("ctest-V", Format::Ctest, ctest_verbose),
        Dense::of("junit-tree", Format::Junit, junit_tree),
        Dense::of("junit-xml", Format::Junit, junit_xml),
        Dense::of("cc", Format::Ctest, cc),
        Dense::of("javac", Format::Junit, javac),
        Dense::of("generic", Format::Generic, generic),
        Dense::of("auto-libtest", Format::Auto, libtest),
        Dense::of("auto-libtest-json", Format::Auto, libtest_json),
        Dense::of("auto-nextest", Format::Auto, nextest),
        Dense::of("auto-pytest-v", Format::Auto, pytest_verbose),
        Dense::of("auto-pytest-q", Format::Auto, pytest_quiet),
        Dense::of("auto-unittest-v", Format::Auto, unittest_verbose),
        Dense::of("auto-gtest", Format::Auto, gtest),
        Dense::of("auto-ctest", Format::Auto, ctest),
        Dense::of("auto-junit-tree", Format::Auto, junit_tree),
        Dense::of("auto-junit-xml", Format::Auto, junit_xml),
        Dense::of("auto-cc", Format::Auto, cc),
    ]
}

fn libtest(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = format!("\nrunning {tests} tests\n");
    let (mut blocks, mut names, mut failed) = (String::new(), String::new(), 0);
    for i in 0..tests {
        let word = if fails(i, failing) { "FAILED" } else { "ok" };
        let _ = writeln!(log, "test module_{}::tests::case_{i} ... {word}", i % 50);
        if fails(i, failing) {
            failed += 1;
            let name = format!("module_{}::tests::case_{i}", i % 50);
            let _ = writeln!(
                blocks,
                "---- {name} stdout ----\n\nthread '{name}' ({i}) panicked at src/module.rs:{}:9:\nassertion `left == right` failed\n  left: {i}\n right: 4\n",
                i + 1
            );
            let _ = writeln!(names, "    {name}");
        }
    }
    let word = match failed {
        0 => "ok",
        _ => {
            let _ = write!(log, "\nfailures:\n\n{blocks}\nfailures:\n{names}");
            "FAILED"
        }
    };
    let passed = tests - failed;
    let _ = writeln!(
        log,
        "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.07s\n"
    );
    paint.lines(log)
}

fn libtest_json(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log =
        format!("{{ \"type\": \"suite\", \"event\": \"started\", \"test_count\": {tests} }}\n");
    let mut failed = 0;
    for i in 0..tests {
        let name = format!("module_{}::tests::case_{i}", i % 50);
        let _ = writeln!(
            log,
            "{{ \"type\": \"test\", \"event\": \"started\", \"name\": \"{name}\" }}"
        );
        let _ = match fails(i, failing) {
            true => {
                failed += 1;
                writeln!(
                    log,
                    "{{ \"type\": \"test\", \"name\": \"{name}\", \"event\": \"failed\", \"exec_time\": 0.000{}, \"stdout\": \"\\nthread '{name}' ({i}) panicked at src/module.rs:{}:9:\\nassertion `left == right` failed\\n  left: {i}\\n right: 4\\n\" }}",
                    i % 9,
                    i + 1
                )
            }
            false => writeln!(
                log,
                "{{ \"type\": \"test\", \"name\": \"{name}\", \"event\": \"ok\", \"exec_time\": 0.000{} }}",
                i % 9
            ),
        };
    }
    let word = if failed > 0 { "failed" } else { "ok" };
    let passed = tests - failed;
    let _ = writeln!(
        log,
        "{{ \"type\": \"suite\", \"event\": \"{word}\", \"passed\": {passed}, \"failed\": {failed}, \"ignored\": 0, \"measured\": 0, \"filtered_out\": 0, \"exec_time\": 0.07 }}"
    );
    paint.lines(log)
}

fn nextest(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = format!(
        "────────────\n Nextest run ID ba73e1e0-90f5-482f-b687-bfc263301efe with nextest profile: default\n    Starting {tests} tests across 3 binaries\n"
    );
    let mut failed = 0;
    for i in 0..tests {
        let name = format!("module_{}::tests::case_{i}", i % 50);
        if !fails(i, failing) {
            let _ = writeln!(
                log,
                "        PASS [   0.004s] ({i:>6}/{tests}) a-crate {name}"
            );
            continue;
        }
        failed += 1;
        let _ = writeln!(
            log,
            "        FAIL [   0.010s] ({i:>6}/{tests}) a-crate {name}\n  stdout ───\n\n    running 1 test\n    test {name} ... FAILED\n\n    failures:\n\n    failures:\n        {name}\n\n    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 1 filtered out; finished in 0.00s\n\n  stderr ───\n\n    thread '{name}' ({i}) panicked at a-crate/src/lib.rs:{}:9:\n    assertion `left == right` failed\n      left: {i}\n     right: 4\n    note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
            i + 1
        );
    }
    let passed = tests - failed;
    let _ = write!(
        log,
        "────────────\n     Summary [   0.335s] {tests} tests run: {passed} passed, {failed} failed, 0 skipped\n"
    );
    paint.lines(log)
}

/// What pytest says of its failures at the end.
fn pytest_end(log: &mut String, tests: usize, failing: usize) {
    let failed: Vec<usize> = (0..tests).filter(|i| fails(*i, failing)).collect();
    if !failed.is_empty() {
        log.push_str(
            "=================================== FAILURES ===================================\n",
        );
    }
    for i in &failed {
        let _ = write!(
            log,
            "_________________________________ test_case_{i} _________________________________\n\n    def test_case_{i}():\n>       assert value() == {i}\nE       assert 3 == {i}\nE        +  where 3 = value()\n\ntests/test_{}.py:{}: AssertionError\n",
            i % 50,
            i + 1
        );
    }
    if !failed.is_empty() {
        log.push_str(
            "=========================== short test summary info ============================\n",
        );
    }
    for i in &failed {
        let _ = writeln!(
            log,
            "FAILED tests/test_{}.py::test_case_{i} - assert 3 == {i}",
            i % 50
        );
    }
    let passed = tests - failed.len();
    let _ = match failed.len() {
        0 => writeln!(
            log,
            "============================= {passed} passed in 2.03s =============================="
        ),
        failed => writeln!(
            log,
            "======================== {failed} failed, {passed} passed in 2.03s ========================="
        ),
    };
}

fn pytest_begin(tests: usize) -> String {
    format!(
        "============================= test session starts ==============================\nplatform linux -- Python 3.12.3, pytest-8.3.3, pluggy-1.5.0\nrootdir: /p\ncollected {tests} items\n\n"
    )
}

fn pytest_verbose(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = pytest_begin(tests);
    for i in 0..tests {
        let word = if fails(i, failing) {
            "FAILED"
        } else {
            "PASSED"
        };
        let _ = writeln!(
            log,
            "tests/test_{}.py::test_case_{i} {word}                         [{:>3}%]",
            i % 50,
            i * 100 / tests
        );
    }
    log.push('\n');
    pytest_end(&mut log, tests, failing);
    paint.lines(log)
}

fn pytest_quiet(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = pytest_begin(tests);
    for i in (0..tests).step_by(60) {
        let until = (i + 60).min(tests);
        let dots: String = (i..until)
            .map(|i| if fails(i, failing) { 'F' } else { '.' })
            .collect();
        let _ = writeln!(
            log,
            "tests/test_{i}.py {dots} [{:>3}%]",
            until * 100 / tests
        );
    }
    log.push('\n');
    pytest_end(&mut log, tests, failing);
    paint.lines(log)
}

fn pytest_xdist(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = pytest_begin(tests).replace(
        "collected",
        "created: 4/4 workers\n4 workers [9 items]\n\nscheduling tests via LoadScheduling\ncollected",
    );
    for i in 0..tests {
        let word = if fails(i, failing) {
            "FAILED"
        } else {
            "PASSED"
        };
        let _ = writeln!(
            log,
            "[gw{}] [{:>3}%] {word} tests/test_{}.py::test_case_{i} ",
            i % 4,
            i * 100 / tests,
            i % 50
        );
    }
    log.push('\n');
    pytest_end(&mut log, tests, failing);
    paint.lines(log)
}

fn unittest_end(log: &mut String, tests: usize, failing: usize) {
    let failed: Vec<usize> = (0..tests).filter(|i| fails(*i, failing)).collect();
    for i in &failed {
        let m = i % 50;
        let _ = writeln!(
            log,
            "======================================================================\nFAIL: test_case_{i} (tests.test_{m}.Case.test_case_{i})\n----------------------------------------------------------------------\nTraceback (most recent call last):\n  File \"/p/tests/test_{m}.py\", line {}, in test_case_{i}\n    self.assertEqual(3, {i})\nAssertionError: 3 != {i}\n",
            i + 1
        );
    }
    let _ = write!(
        log,
        "----------------------------------------------------------------------\nRan {tests} tests in 0.300s\n\n"
    );
    let _ = match failed.len() {
        0 => writeln!(log, "OK"),
        failed => writeln!(log, "FAILED (failures={failed})"),
    };
}

fn unittest_verbose(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = String::new();
    for i in 0..tests {
        let word = if fails(i, failing) { "FAIL" } else { "ok" };
        let _ = writeln!(
            log,
            "test_case_{i} (tests.test_{}.Case.test_case_{i}) ... {word}",
            i % 50
        );
    }
    log.push('\n');
    unittest_end(&mut log, tests, failing);
    paint.lines(log)
}

fn unittest_dots(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log: String = (0..tests)
        .map(|i| if fails(i, failing) { 'F' } else { '.' })
        .collect();
    log.push('\n');
    unittest_end(&mut log, tests, failing);
    paint.lines(log)
}

fn gtest(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = format!(
        "[==========] Running {tests} tests from 1 test suite.\n[----------] Global test environment set-up.\n[----------] {tests} tests from Suite\n"
    );
    let mut failed = String::new();
    let mut count = 0;
    for i in 0..tests {
        let _ = writeln!(log, "[ RUN      ] Suite.Case{i}");
        if fails(i, failing) {
            count += 1;
            let _ = writeln!(
                log,
                "/p/tests/suite.cc:{}: Failure\nExpected equality of these values:\n  value()\n    Which is: 3\n  {i}\n\n[  FAILED  ] Suite.Case{i} (0 ms)",
                i + 1
            );
            let _ = writeln!(failed, "[  FAILED  ] Suite.Case{i}");
        } else {
            let _ = writeln!(log, "[       OK ] Suite.Case{i} (0 ms)");
        }
    }
    let passed = tests - count;
    let _ = write!(
        log,
        "[----------] {tests} tests from Suite (15 ms total)\n\n[----------] Global test environment tear-down\n[==========] {tests} tests from 1 test suite ran. (15 ms total)\n[  PASSED  ] {passed} tests.\n"
    );
    if count > 0 {
        let _ = write!(
            log,
            "[  FAILED  ] {count} tests, listed below:\n{failed}\n{count} FAILED TESTS\n"
        );
    }
    paint.lines(log)
}

fn ctest_end(log: &mut String, tests: usize, failing: usize) {
    let failed: Vec<usize> = (0..tests).filter(|i| fails(*i, failing)).collect();
    let rate = 100 - failed.len() * 100 / tests;
    let _ = write!(
        log,
        "\n{rate}% tests passed, {} tests failed out of {tests}\n\nTotal Test time (real) =   0.52 sec\n",
        failed.len()
    );
    if !failed.is_empty() {
        log.push_str("\nThe following tests FAILED:\n");
        for i in failed {
            let _ = writeln!(log, "\t{:>6} - Suite.Case{i} (Failed)", i + 1);
        }
        log.push_str("Errors while running CTest\n");
    }
}

fn ctest(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = "Test project /p/build\n".to_owned();
    for i in 0..tests {
        let n = i + 1;
        let word = if fails(i, failing) {
            "***Failed "
        } else {
            "   Passed "
        };
        let _ = writeln!(log, "      Start {n:>5}: Suite.Case{i}");
        let _ = writeln!(
            log,
            "{n:>5}/{tests} Test #{n:>5}: Suite.Case{i} ....................{word}   0.01 sec"
        );
    }
    ctest_end(&mut log, tests, failing);
    paint.lines(log)
}

fn ctest_verbose(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = "Test project /p/build\n".to_owned();
    for i in 0..tests {
        let n = i + 1;
        let word = if fails(i, failing) {
            "***Failed "
        } else {
            "   Passed "
        };
        let _ = write!(
            log,
            "test {n}\n      Start {n:>5}: Suite.Case{i}\n\n{n}: Test command: /p/build/unit \"--gtest_filter=Suite.Case{i}\"\n{n}: Working Directory: /p/build\n{n}: Test timeout computed to be: 10000000\n{n}: Running main() from gtest_main.cc\n{n}: [ RUN      ] Suite.Case{i}\n"
        );
        let _ = match fails(i, failing) {
            true => write!(
                log,
                "{n}: /p/unit.cc:{n}: Failure\n{n}: Expected equality of these values:\n{n}:   value()\n{n}:     Which is: 3\n{n}:   {i}\n{n}: [  FAILED  ] Suite.Case{i} (0 ms)\n"
            ),
            false => writeln!(log, "{n}: [       OK ] Suite.Case{i} (0 ms)"),
        };
        let _ = writeln!(
            log,
            "{n:>5}/{tests} Test #{n:>5}: Suite.Case{i} ....................{word}   0.01 sec"
        );
    }
    ctest_end(&mut log, tests, failing);
    paint.lines(log)
}

fn junit_tree(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = "\n╷\n├─ JUnit Jupiter ✔\n".to_owned();
    let mut details = String::new();
    let mut failed = 0;
    for i in 0..tests {
        if i % 50 == 0 {
            let _ = writeln!(log, "│  ├─ Case{}Test ✔", i / 50);
        }
        if fails(i, failing) {
            failed += 1;
            let _ = writeln!(log, "│  │  ├─ does{i}() ✘ expected: <3> but was: <{i}>");
            let class = format!("Case{}Test", i / 50);
            let _ = write!(
                details,
                "  JUnit Jupiter:{class}:does{i}()\n    MethodSource [className = '{class}', methodName = 'does{i}', methodParameterTypes = '']\n    => org.opentest4j.AssertionFailedError: expected: <3> but was: <{i}>\n       org.junit.jupiter.api.AssertionFailureBuilder.build(AssertionFailureBuilder.java:151)\n       org.junit.jupiter.api.Assertions.assertEquals(Assertions.java:1142)\n       {class}.does{i}({class}.java:{})\n       [...]\n",
                i + 1
            );
        } else {
            let _ = writeln!(log, "│  │  ├─ does{i}() ✔");
        }
    }
    let passed = tests - failed;
    if failed > 0 {
        let _ = write!(log, "\nFailures ({failed}):\n{details}");
    }
    let _ = write!(
        log,
        "\nTest run finished after 5 ms\n[         1 containers found      ]\n[         0 containers skipped    ]\n[         1 containers started    ]\n[         0 containers aborted    ]\n[         1 containers successful ]\n[         0 containers failed     ]\n[{tests:>10} tests found           ]\n[         0 tests skipped         ]\n[{tests:>10} tests started         ]\n[         0 tests aborted         ]\n[{passed:>10} tests successful      ]\n[{failed:>10} tests failed          ]\n\n"
    );
    paint.lines(log)
}

fn junit_xml(tests: usize, failing: usize, paint: Paint) -> String {
    let failed = (0..tests).filter(|i| fails(*i, failing)).count();
    let mut log = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"CaseTest\" tests=\"{tests}\" failures=\"{failed}\" errors=\"0\" skipped=\"0\" time=\"0.5\">\n"
    );
    for i in 0..tests {
        let _ = match fails(i, failing) {
            true => writeln!(
                log,
                "  <testcase name=\"does{i}()\" classname=\"a.b.CaseTest\" time=\"0.001\">\n    <failure message=\"expected: &lt;3&gt; but was: &lt;{i}&gt;\" type=\"org.opentest4j.AssertionFailedError\">org.opentest4j.AssertionFailedError: expected: &lt;3&gt; but was: &lt;{i}&gt;\n\tat a.b.CaseTest.does{i}(CaseTest.java:{})\n</failure>\n  </testcase>",
                i + 1
            ),
            false => writeln!(
                log,
                "  <testcase name=\"does{i}()\" classname=\"a.b.CaseTest\" time=\"0.001\"/>"
            ),
        };
    }
    log.push_str("</testsuite>\n");
    paint.lines(log)
}

fn cc(errors: usize, _: usize, paint: Paint) -> String {
    let mut log = String::new();
    for i in 0..errors {
        let n = i + 1;
        let _ = write!(
            log,
            "src/file_{}.cc: In function 'int f{i}()':\nsrc/file_{}.cc:{n}:25: error: 'missing_{i}' was not declared in this scope\n{n:>5} | inline int f{i}() {{ return missing_{i}; }}\n      |                         ^~~~~~~\n",
            i % 50,
            i % 50
        );
    }
    paint.lines(log)
}

fn javac(errors: usize, _: usize, paint: Paint) -> String {
    let mut log = String::new();
    for i in 0..errors {
        let _ = write!(
            log,
            "src/main/java/a/b/File{}.java:{}: error: cannot find symbol\n    int f{i} = missing{i};\n             ^\n  symbol:   variable missing{i}\n  location: class File{}\n",
            i % 50,
            i + 1,
            i % 50
        );
    }
    let _ = writeln!(log, "{errors} errors");
    paint.lines(log)
}

fn generic(errors: usize, _: usize, paint: Paint) -> String {
    let mut log = String::new();
    for i in 0..errors {
        let _ = writeln!(
            log,
            "src/file_{}.x:{}:7: error: something {i} is wrong",
            i % 50,
            i + 1
        );
    }
    paint.lines(log)
}
