//! Result lines as go, TAP's producers, bats, prove, the runners of JavaScript, Ruby and PHP
//! write them.

use crate::dense::Dense;
use crate::dense::Paint;
use regreen_parsers::Format;
use std::fmt::Write;

/// Only so many failures are told at length behind the results.
const TOLD: usize = 10_000;

/// Every log of this file.
pub fn all() -> Vec<Dense> {
    vec![
        Dense::of("go-v", Format::GoTest, go_verbose),
        Dense::of("go-json", Format::GoTest, go_json),
        Dense::of("tap", Format::Tap, tap),
        Dense::of("bats-tap", Format::Bats, bats_tap),
        Dense::of("bats-pretty", Format::Bats, bats_pretty),
        Dense::of("prove", Format::Prove, prove),
        Dense::of("prove-v", Format::Prove, prove_verbose),
        Dense::of("node-tap", Format::NodeTest, node_tap),
        Dense::of("node-spec", Format::NodeTest, node_spec),
        Dense::of("mocha-spec", Format::Mocha, mocha_spec),
        Dense::of("mocha-tap", Format::Mocha, mocha_tap),
        Dense::of("rspec", Format::Rspec, rspec),
        Dense::of("minitest-v", Format::Minitest, minitest),
        Dense::of("phpunit-testdox", Format::Phpunit, phpunit_testdox),
        Dense::of("phpunit-debug", Format::Phpunit, phpunit_debug),
        Dense::of("jest-v", Format::Jest, jest),
        Dense::of("vitest-v", Format::Vitest, vitest),
        Dense::of("vitest-tree", Format::Vitest, vitest_tree),
        Dense::of("auto-go-v", Format::Auto, go_verbose),
        Dense::of("auto-go-json", Format::Auto, go_json),
        Dense::of("auto-tap", Format::Auto, tap),
        Dense::of("auto-bats-pretty", Format::Auto, bats_pretty),
        Dense::of("auto-prove-v", Format::Auto, prove_verbose),
        Dense::of("auto-node-tap", Format::Auto, node_tap),
        Dense::of("auto-node-spec", Format::Auto, node_spec),
        Dense::of("auto-mocha-spec", Format::Auto, mocha_spec),
        Dense::of("auto-rspec", Format::Auto, rspec),
        Dense::of("auto-minitest-v", Format::Auto, minitest),
        Dense::of("auto-phpunit-testdox", Format::Auto, phpunit_testdox),
        Dense::of("auto-jest-v", Format::Auto, jest),
        Dense::of("auto-vitest-v", Format::Auto, vitest),
    ]
}

/// Whether the test of this number fails, where so many of a hundred do.
fn fails(i: usize, failing: usize) -> bool {
    (i * 37) % 100 < failing
}

/// The numbers of those that fail.
fn failed(tests: usize, failing: usize) -> impl Iterator<Item = usize> + Clone {
    (0..tests).filter(move |i| fails(*i, failing))
}

fn go_verbose(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = String::new();
    let mut bad = false;
    for i in 0..tests {
        let word = if fails(i, failing) { "FAIL" } else { "PASS" };
        let _ = writeln!(log, "=== RUN   TestThing{i}");
        if fails(i, failing) {
            let _ = writeln!(log, "    thing_test.go:{}: got {i}, want 4", i % 900 + 1);
        }
        let _ = writeln!(log, "--- {word}: TestThing{i} (0.00s)");
        bad |= fails(i, failing);
        if i % 500 == 499 || i + 1 == tests {
            let package = i / 500;
            let _ = match bad {
                true => writeln!(log, "FAIL\nFAIL\texample.com/m/p{package}\t0.012s"),
                false => writeln!(log, "PASS\nok  \texample.com/m/p{package}\t0.012s"),
            };
            bad = false;
        }
    }
    paint.lines(log)
}

fn go_json(tests: usize, failing: usize, _: Paint) -> String {
    let mut log = String::new();
    let mut bad = false;
    for i in 0..tests {
        let head = format!(
            "{{\"Time\":\"2026-11-26T12:00:33.{:09}Z\",\"Action\":",
            i % 1_000_000_000
        );
        let package = format!("\"Package\":\"example.com/m/p{}\"", i / 500);
        if i % 500 == 0 {
            let _ = writeln!(log, "{head}\"start\",{package}}}");
        }
        let test = format!("{package},\"Test\":\"TestThing{i}\"");
        let (word, action) = match fails(i, failing) {
            true => ("FAIL", "fail"),
            false => ("PASS", "pass"),
        };
        let _ = writeln!(log, "{head}\"run\",{test}}}");
        let _ = writeln!(
            log,
            "{head}\"output\",{test},\"Output\":\"=== RUN   TestThing{i}\\n\"}}"
        );
        if fails(i, failing) {
            let _ = writeln!(
                log,
                "{head}\"output\",{test},\"Output\":\"    thing_test.go:{}: got {i}, want 4\\n\"}}",
                i % 900 + 1
            );
        }
        let _ = writeln!(
            log,
            "{head}\"output\",{test},\"Output\":\"--- {word}: TestThing{i} (0.00s)\\n\"}}"
        );
        let _ = writeln!(log, "{head}\"{action}\",{test},\"Elapsed\":0}}");
        bad |= fails(i, failing);
        if i % 500 == 499 || i + 1 == tests {
            let (line, action) = match bad {
                true => ("FAIL", "fail"),
                false => ("ok  ", "pass"),
            };
            let _ = writeln!(
                log,
                "{head}\"output\",{package},\"Output\":\"{line}\\texample.com/m/p{}\\t0.012s\\n\"}}",
                i / 500
            );
            let _ = writeln!(log, "{head}\"{action}\",{package},\"Elapsed\":0.012}}");
            bad = false;
        }
    }
    log
}

fn tap(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = format!("TAP version 13\n1..{tests}\n");
    for i in 0..tests {
        let word = if fails(i, failing) { "not ok" } else { "ok" };
        let _ = writeln!(log, "{word} {} - does the thing {i}", i + 1);
        if fails(i, failing) {
            let _ = writeln!(
                log,
                "#   Failed test 'does the thing {i}'\n#   at t/thing.t line {}.",
                i % 900 + 1
            );
        }
    }
    paint.lines(log)
}

fn bats_tap(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = format!("1..{tests}\n");
    for i in 0..tests {
        let word = if fails(i, failing) { "not ok" } else { "ok" };
        let _ = writeln!(log, "{word} {} does the thing {i}", i + 1);
        if fails(i, failing) {
            let _ = writeln!(
                log,
                "# (in test file test/a.bats, line {})\n#   `[ {i} -eq 2 ]' failed",
                i % 900 + 1
            );
        }
    }
    paint.lines(log)
}

fn bats_pretty(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = String::new();
    for i in 0..tests {
        if i % 500 == 0 {
            let _ = writeln!(log, "{}", paint.of(34, &format!("a{}.bats", i / 500)));
        }
        if fails(i, failing) {
            let line = format!(" \u{2717} does the thing {i}");
            let _ = writeln!(log, "{}", paint.of(31, &line));
            let _ = writeln!(
                log,
                "   (in test file test/a{}.bats, line {})\n     `[ {i} -eq 2 ]' failed",
                i / 500,
                i % 900 + 1
            );
        } else {
            let line = format!(" \u{2713} does the thing {i}");
            let _ = writeln!(log, "{}", paint.of(32, &line));
        }
    }
    let count = failed(tests, failing).count();
    let _ = writeln!(log, "\n{tests} tests, {count} failures");
    log
}

fn prove(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = String::new();
    for i in 0..tests {
        let _ = match fails(i, failing) {
            true => writeln!(log, "t/case_{i}.t .. Failed 1/2 subtests "),
            false => writeln!(log, "t/case_{i}.t .. {}", paint.of(32, "ok")),
        };
    }
    if failing > 0 {
        let _ = writeln!(log, "\nTest Summary Report\n-------------------");
        for i in failed(tests, failing) {
            let _ = writeln!(
                log,
                "t/case_{i}.t           (Wstat: 256 Tests: 2 Failed: 1)\n  Failed test:  1\n  Non-zero exit status: 1"
            );
        }
    }
    let word = if failing > 0 { "FAIL" } else { "PASS" };
    let _ = writeln!(
        log,
        "Files={tests}, Tests={},  4 wallclock secs ( 0.05 usr  0.01 sys +  0.39 cusr  0.07 csys =  0.52 CPU)\nResult: {word}",
        tests * 2
    );
    log
}

fn prove_verbose(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = String::new();
    for i in 0..tests {
        if i % 200 == 0 {
            let _ = writeln!(log, "t/case_{}.t .. ", i / 200);
        }
        let number = i % 200 + 1;
        let line = match fails(i, failing) {
            true => paint.of(31, &format!("not ok {number} - does the thing {i}")),
            false => paint.of(32, &format!("ok {number} - does the thing {i}")),
        };
        let _ = writeln!(log, "{line}");
        if fails(i, failing) {
            let _ = writeln!(
                log,
                "#   Failed test 'does the thing {i}'\n#   at t/case_{}.t line {}.",
                i / 200,
                i % 900 + 1
            );
        }
        if number == 200 || i + 1 == tests {
            let file = i - number + 1..=i;
            let count = file.filter(|i| fails(*i, failing)).count();
            let _ = writeln!(log, "1..{number}");
            let _ = match count {
                0 => writeln!(log, "ok"),
                n => writeln!(
                    log,
                    "Dubious, test returned {n} (wstat {}, 0x{:x})\nFailed {n}/{number} subtests ",
                    n * 256,
                    n * 256
                ),
            };
        }
    }
    let word = if failing > 0 { "FAIL" } else { "PASS" };
    let _ = writeln!(
        log,
        "Files={}, Tests={tests},  4 wallclock secs ( 0.05 usr  0.01 sys +  0.39 cusr  0.07 csys =  0.52 CPU)\nResult: {word}",
        tests.div_ceil(200)
    );
    log
}

fn node_tap(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = "TAP version 13\n".to_owned();
    for i in 0..tests {
        let word = if fails(i, failing) { "not ok" } else { "ok" };
        let _ = writeln!(
            log,
            "# Subtest: does the thing {i}\n{word} {} - does the thing {i}\n  ---\n  duration_ms: 0.{}",
            i + 1,
            100_000 + i % 900_000
        );
        if fails(i, failing) {
            let _ = writeln!(
                log,
                "  location: '/p/test/a.test.js:{}:1'\n  failureType: 'testCodeFailure'\n  error: 'not the same'\n  code: 'ERR_ASSERTION'",
                i + 1
            );
        }
        let _ = writeln!(log, "  type: 'test'\n  ...");
    }
    let count = failed(tests, failing).count();
    let _ = writeln!(
        log,
        "1..{tests}\n# tests {tests}\n# suites 0\n# pass {}\n# fail {count}\n# cancelled 0\n# skipped 0\n# todo 0\n# duration_ms 941.198941",
        tests - count
    );
    paint.lines(log)
}

fn node_spec(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = String::new();
    for i in 0..tests {
        if i % 50 == 0 {
            let _ = writeln!(log, "\u{25b6} group {}", i / 50);
        }
        let time = format!("(0.{}ms)", 100_000 + i % 900_000);
        let sign = match fails(i, failing) {
            true => paint.of(31, "\u{2716}"),
            false => paint.of(32, "\u{2714}"),
        };
        let _ = writeln!(log, "  {sign} does the thing {i} {}", paint.of(90, &time));
        if i % 50 == 49 || i + 1 == tests {
            let from = i / 50 * 50;
            let sign = match (from..=i).any(|i| fails(i, failing)) {
                true => paint.of(31, "\u{2716}"),
                false => paint.of(32, "\u{2714}"),
            };
            let _ = writeln!(log, "{sign} group {} (1.44771ms)", i / 50);
        }
    }
    let count = failed(tests, failing).count();
    let _ = writeln!(
        log,
        "\u{2139} tests {tests}\n\u{2139} suites {}\n\u{2139} pass {}\n\u{2139} fail {count}\n\u{2139} cancelled 0\n\u{2139} skipped 0\n\u{2139} todo 0\n\u{2139} duration_ms 494.757908",
        tests.div_ceil(50),
        tests - count
    );
    if failing > 0 {
        let _ = writeln!(log, "\n\u{2716} failing tests:");
    }
    for i in failed(tests, failing).take(TOLD) {
        let _ = writeln!(
            log,
            "\ntest at test/a.test.js:{}:3\n\u{2716} does the thing {i} (0.444771ms)\n  Error: not the same\n      at f (/p/test/a.test.js:6:9)",
            i + 1
        );
    }
    log
}

fn mocha_spec(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = "\n\n".to_owned();
    let mut number = 0;
    for i in 0..tests {
        if i % 50 == 0 {
            let _ = writeln!(log, "  group {}", i / 50);
        }
        if fails(i, failing) {
            number += 1;
            let line = format!("{number}) does the thing {i}");
            let _ = writeln!(log, "    {}", paint.of(31, &line));
        } else {
            let (sign, title) = (paint.of(32, "\u{2714}"), format!("does the thing {i}"));
            let _ = writeln!(log, "    {sign} {}", paint.of(90, &title));
        }
        if i % 50 == 49 {
            log.push('\n');
        }
    }
    let _ = writeln!(log, "\n\n  {} passing (4s)", tests - number);
    if number > 0 {
        let _ = writeln!(log, "  {number} failing\n");
    }
    for (at, i) in failed(tests, failing).take(TOLD).enumerate() {
        let _ = writeln!(
            log,
            "  {}) group {}\n       does the thing {i}:\n     Error: not the same\n      at Context.<anonymous> (test/a.test.js:{}:30)\n",
            at + 1,
            i / 50,
            i + 1
        );
    }
    log
}

fn mocha_tap(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = String::new();
    for i in 0..tests {
        let word = if fails(i, failing) { "not ok" } else { "ok" };
        let _ = writeln!(log, "{word} {} group {} does the thing {i}", i + 1, i / 50);
        if fails(i, failing) {
            let _ = writeln!(
                log,
                "  not the same\n  Error: not the same\n      at Context.<anonymous> (test/a.test.js:{}:30)",
                i + 1
            );
        }
    }
    let count = failed(tests, failing).count();
    let _ = writeln!(
        log,
        "# tests {tests}\n# pass {}\n# fail {count}\n1..{tests}",
        tests - count
    );
    paint.lines(log)
}

fn rspec(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = String::new();
    let mut number = 0;
    for i in 0..tests {
        if i % 50 == 0 {
            let _ = writeln!(log, "\nThing {}", i / 50);
        }
        if fails(i, failing) {
            number += 1;
            let line = format!("  does the thing {i} (FAILED - {number})");
            let _ = writeln!(log, "{}", paint.of(31, &line));
        } else {
            let _ = writeln!(log, "{}", paint.of(32, &format!("  does the thing {i}")));
        }
    }
    if number > 0 {
        let _ = writeln!(log, "\nFailures:");
    }
    for (at, i) in failed(tests, failing).take(TOLD).enumerate() {
        let _ = writeln!(
            log,
            "\n  {}) Thing {} does the thing {i}\n     Failure/Error: expect({i}).to eq(2)\n\n       expected: 2\n            got: {i}\n\n       (compared using ==)\n     # ./spec/thing_spec.rb:{}:in `block (2 levels) in <top (required)>'",
            at + 1,
            i / 50,
            i + 1
        );
    }
    let _ = writeln!(
        log,
        "\nFinished in 0.01 seconds (files took 0.1 seconds to load)\n{tests} examples, {number} failures"
    );
    if number > 0 {
        let _ = writeln!(log, "\nFailed examples:\n");
    }
    for i in failed(tests, failing).take(TOLD) {
        let _ = writeln!(
            log,
            "rspec ./spec/thing_spec.rb:{} # Thing {} does the thing {i}",
            i + 1,
            i / 50
        );
    }
    log
}

fn minitest(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = "Run options: -v --seed 26125\n\n# Running:\n\n".to_owned();
    for i in 0..tests {
        let sign = match fails(i, failing) {
            true => paint.of(31, "F"),
            false => paint.of(32, "."),
        };
        let _ = writeln!(
            log,
            "ThingTest{}#test_does_it_{i} = 0.00 s = {sign}",
            i / 50
        );
    }
    let count = failed(tests, failing).count();
    let _ = writeln!(
        log,
        "\nFinished in 0.000876s, 4568.7082 runs/s, 3426.5312 assertions/s.\n"
    );
    for (at, i) in failed(tests, failing).take(TOLD).enumerate() {
        let _ = writeln!(
            log,
            "  {}) Failure:\nThingTest{}#test_does_it_{i} [test/thing_test.rb:{}]:\nExpected: 1\n  Actual: {i}\n",
            at + 1,
            i / 50,
            i + 1
        );
    }
    let _ = writeln!(
        log,
        "{tests} runs, {tests} assertions, {count} failures, 0 errors, 0 skips"
    );
    log
}

fn phpunit_testdox(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = "PHPUnit 9.6.7 by Sebastian Bergmann and contributors.\n\n".to_owned();
    for i in 0..tests {
        if i % 50 == 0 {
            let _ = writeln!(log, "Thing{} (App\\Tests\\Thing{})", i / 50, i / 50);
        }
        if fails(i, failing) {
            let bar = "\u{2502}";
            let _ = writeln!(
                log,
                " {} Does the thing {i}\n   {bar}\n   {bar} Failed asserting that {i} matches expected 1.\n   {bar}\n   {bar} /p/tests/ThingTest.php:{}\n   {bar}\n",
                paint.of(31, "\u{2718}"),
                i % 900 + 1
            );
        } else {
            let _ = writeln!(log, " {} Does the thing {i}", paint.of(32, "\u{2714}"));
        }
        if i % 50 == 49 {
            log.push('\n');
        }
    }
    let count = failed(tests, failing).count();
    let _ = writeln!(log, "\nTime: 00:00.017, Memory: 6.00 MB\n");
    let _ = match count {
        0 => writeln!(log, "OK ({tests} tests, {tests} assertions)"),
        n => writeln!(
            log,
            "FAILURES!\nTests: {tests}, Assertions: {tests}, Failures: {n}."
        ),
    };
    log
}

fn phpunit_debug(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = "PHPUnit 9.6.7 by Sebastian Bergmann and contributors.\n\n".to_owned();
    for i in 0..tests {
        let _ = writeln!(
            log,
            "Test 'App\\Tests\\Thing{}Test::testDoesIt{i}' started\nTest 'App\\Tests\\Thing{}Test::testDoesIt{i}' ended",
            i / 50,
            i / 50
        );
    }
    let count = failed(tests, failing).count();
    let _ = writeln!(log, "\n\nTime: 00:00.017, Memory: 6.00 MB\n");
    if count > 0 {
        let _ = writeln!(log, "There were {count} failures:\n");
    }
    for (at, i) in failed(tests, failing).enumerate() {
        let _ = writeln!(
            log,
            "{}) App\\Tests\\Thing{}Test::testDoesIt{i}\nFailed asserting that {i} matches expected 1.\n\n/p/tests/ThingTest.php:{}\n",
            at + 1,
            i / 50,
            i % 900 + 1
        );
    }
    let _ = match count {
        0 => writeln!(log, "OK ({tests} tests, {tests} assertions)"),
        n => writeln!(
            log,
            "FAILURES!\nTests: {tests}, Assertions: {tests}, Failures: {n}."
        ),
    };
    paint.lines(log)
}

fn jest(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = String::new();
    let mut bad = 0;
    for file in 0..tests.div_ceil(100) {
        let all = file * 100..tests.min(file * 100 + 100);
        let word = match all.clone().any(|i| fails(i, failing)) {
            true => paint.of(31, "FAIL"),
            false => paint.of(32, "PASS"),
        };
        bad += usize::from(all.clone().any(|i| fails(i, failing)));
        let _ = writeln!(log, "{word} src/thing{file}.test.js\n  group {file}");
        for i in all {
            let sign = match fails(i, failing) {
                true => paint.of(31, "\u{2715}"),
                false => paint.of(32, "\u{2713}"),
            };
            let title = paint.of(2, &format!("does the thing {i} (2 ms)"));
            let _ = writeln!(log, "    {sign} {title}");
        }
        log.push('\n');
    }
    for i in failed(tests, failing).take(TOLD) {
        let _ = writeln!(
            log,
            "  \u{25cf} group {} \u{203a} does the thing {i}\n\n    expect(received).toBe(expected) // Object.is equality\n\n    Expected: 1\n    Received: {i}\n\n      at Object.toBe (src/thing{}.test.js:{}:21)\n",
            i / 100,
            i / 100,
            i % 100 + 1
        );
    }
    let (count, files) = (failed(tests, failing).count(), tests.div_ceil(100));
    let _ = writeln!(
        log,
        "Test Suites: {bad} failed, {} passed, {files} total\nTests:       {count} failed, {} passed, {tests} total\nSnapshots:   0 total\nTime:        0.312 s\nRan all test suites.",
        files - bad,
        tests - count
    );
    log
}

fn vitest(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = "\n RUN  v4.1.12 /p\n\n".to_owned();
    for i in 0..tests {
        let sign = match fails(i, failing) {
            true => paint.of(31, "\u{d7}"),
            false => paint.of(32, "\u{2713}"),
        };
        let sep = paint.of(2, " > ");
        let _ = writeln!(
            log,
            " {sign} src/thing{}.test.js{sep}group {}{sep}does the thing {i}{}",
            i / 100,
            i / 100,
            paint.of(32, " 1ms")
        );
        if fails(i, failing) {
            let _ = writeln!(
                log,
                "   \u{2192} expected {i} to be 2 // Object.is equality"
            );
        }
    }
    vitest_end(&mut log, tests, failing);
    log
}

fn vitest_tree(tests: usize, failing: usize, paint: Paint) -> String {
    let mut log = "\n RUN  v4.1.12 /p\n\n".to_owned();
    for i in 0..tests {
        if i % 100 == 0 {
            let all = i..tests.min(i + 100);
            let sign = match all.clone().any(|i| fails(i, failing)) {
                true => paint.of(31, "\u{276f}"),
                false => paint.of(32, "\u{2713}"),
            };
            let _ = writeln!(
                log,
                " {sign} src/thing{}.test.js ({} tests) 23ms\n   {} group {} ({})",
                i / 100,
                all.len(),
                paint.of(32, "\u{2713}"),
                i / 100,
                all.len()
            );
        }
        let sign = match fails(i, failing) {
            true => paint.of(31, "\u{d7}"),
            false => paint.of(32, "\u{2713}"),
        };
        let _ = writeln!(
            log,
            "     {sign} does the thing {i}{}",
            paint.of(32, " 1ms")
        );
        if fails(i, failing) {
            let _ = writeln!(
                log,
                "       \u{2192} expected {i} to be 2 // Object.is equality"
            );
        }
    }
    vitest_end(&mut log, tests, failing);
    log
}

fn vitest_end(log: &mut String, tests: usize, failing: usize) {
    let count = failed(tests, failing).count();
    let line = "\u{23af}".repeat(30);
    if count > 0 {
        let _ = writeln!(log, "\n{line} Failed Tests {count} {line}\n");
    }
    for (at, i) in failed(tests, failing).take(TOLD).enumerate() {
        let _ = writeln!(
            log,
            " FAIL  src/thing{}.test.js > group {} > does the thing {i}\nAssertionError: expected {i} to be 2 // Object.is equality\n\n- Expected\n+ Received\n\n- 2\n+ {i}\n\n \u{276f} src/thing{}.test.js:{}:11\n\n{line}[{}/{count}]\u{23af}\n",
            i / 100,
            i / 100,
            i / 100,
            i % 100 + 1,
            at + 1
        );
    }
    let files = tests.div_ceil(100);
    let bad = (0..files)
        .filter(|file| {
            let all = file * 100..tests.min(file * 100 + 100);
            all.into_iter().any(|i| fails(i, failing))
        })
        .count();
    let _ = writeln!(
        log,
        "\n Test Files  {bad} failed | {} passed ({files})\n      Tests  {count} failed | {} passed ({tests})\n   Start at  13:13:54\n   Duration  641ms (transform 23ms)\n",
        files - bad,
        tests - count
    );
}
