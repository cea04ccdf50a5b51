//! Tests of the whole reader: forged and damaged streams, and lines written by hand.

use crate::context::Context;
use crate::live::End;
use crate::live::Format;
use crate::live::Live;
use crate::live::Stream;
use crate::report::Exit;
use crate::report::FailureKind;
use crate::report::Outcome;
use crate::report::Report;
use crate::tree::Files;
use crate::tree::Tree;

/// A project in memory.
#[derive(Debug)]
struct Project(&'static [(&'static str, &'static str)]);

impl Files for Project {
    fn lines(&self, path: &str) -> Option<u32> {
        self.read(path)?.lines().count().try_into().ok()
    }

    fn read(&self, path: &str) -> Option<String> {
        let found = self.0.iter().find(|(name, _)| *name == path);
        found.map(|(_, text)| (*text).to_owned())
    }

    fn list(&self, dir: &str) -> Vec<String> {
        let inside = self.0.iter().filter_map(|(name, _)| {
            let (above, base) = name.rsplit_once('/').unwrap_or(("", name));
            (above == dir).then(|| base.to_owned())
        });
        inside.collect()
    }
}

fn read(text: &str, exit: Option<i32>, context: Context) -> Report {
    let mut live = Live::new(Format::GoTest, context);
    live.feed(Stream::Log, text.as_bytes());
    live.finish(End {
        exit: exit.map(Exit::code),
        interrupted: false,
    })
}

fn log(text: &str, exit: i32) -> Report {
    read(text, Some(exit), Context::rooted("/p"))
}

fn with_tree(text: &str, exit: i32, files: &'static [(&'static str, &'static str)]) -> Report {
    let context = Context {
        tree: Tree::of(Project(files)),
        ..Context::rooted("/p")
    };
    read(text, Some(exit), context)
}

fn ids(report: &Report) -> Vec<&str> {
    report
        .failures
        .iter()
        .map(|failure| failure.id.as_str())
        .collect()
}

#[test]
fn text_that_no_frame_precedes_is_checked_against_the_sources() {
    const FILES: &[(&str, &str)] = &[
        ("go.mod", "module a.b/m\n"),
        (
            "m_test.go",
            "package m\n\nimport \"testing\"\n\nfunc TestReal(t *testing.T) {\n\tt.Log(\"got here\")\n\tt.Error(\"boom\")\n}\n",
        ),
    ];
    let text = "--- FAIL: TestGhost (0.00s)\n    ghost_test.go:3: got 1, want 2\nFAIL\ta.b/ghost\t0.1s\n--- FAIL: TestReal (0.00s)\n    m_test.go:6: got here\n    m_test.go:7: boom\nFAIL\nFAIL\ta.b/m\t0.004s\nFAIL\n";
    let report = with_tree(text, 1, FILES);
    assert_eq!(ids(&report), ["TestReal"]);
    assert_eq!(report.failures[0].message, "boom");
    let place = report.failures[0].location.as_ref().expect("a place");
    assert_eq!((place.file.as_str(), place.line), ("m_test.go", Some(7)));
    let test = report.failures[0]
        .test_location
        .as_ref()
        .expect("a definition");
    assert_eq!(test.line, Some(5));
}

#[test]
fn a_module_in_a_subdirectory_is_rerun_there() {
    const FILES: &[(&str, &str)] = &[
        ("svc/api/go.mod", "module a.b/svc/api // here\n"),
        (
            "svc/api/x/x_test.go",
            "package x\n\nfunc TestX(t *testing.T) { t.Error(1) }\n",
        ),
    ];
    let text =
        "--- FAIL: TestX (0.00s)\n    x_test.go:3: 1\nFAIL\nFAIL\ta.b/svc/api/x\t0.004s\nFAIL\n";
    let report = with_tree(text, 1, FILES);
    assert_eq!(
        report.failures[0].rerun,
        [
            "env",
            "--chdir=svc/api",
            "go",
            "test",
            "-count=1",
            "-run=^TestX$",
            "a.b/svc/api/x"
        ]
    );
    assert_eq!(
        report.failures[0]
            .location
            .as_ref()
            .map(|at| at.file.as_str()),
        Some("svc/api/x/x_test.go")
    );
}

#[test]
fn colours_and_carriage_returns_change_nothing() {
    let plain = "=== RUN   TestA\n    a_test.go:3: got 1, want 2\n--- FAIL: TestA (0.00s)\nFAIL\nexit status 1\nFAIL\ta.b/m\t0.004s\n";
    let returns = plain.replace('\n', "\r\n");
    let coloured: String = plain
        .lines()
        .map(|line| format!("\u{1b}[31m{line}\u{1b}[0m\n"))
        .collect();
    let expected = log(plain, 1);
    assert_eq!(ids(&expected), ["TestA"]);
    for other in [returns, coloured] {
        assert_eq!(log(&other, 1), expected);
    }
}

#[test]
fn a_log_that_is_cut_names_who_was_running() {
    let report = read(
        "=== RUN   TestA\n--- PASS: TestA (0.00s)\n=== RUN   TestB\n=== RUN   TestB/x\n",
        None,
        Context::default(),
    );
    assert_eq!(ids(&report), ["TestB/x"]);
    assert_eq!(
        (report.failures[0].kind, report.complete),
        (FailureKind::Crash, false)
    );
    assert!(!report.failures[0].kind_sure);
}

#[test]
fn fuzzing_names_its_input() {
    let text = "fuzz: elapsed: 0s, gathering baseline coverage: 0/1 completed\n--- FAIL: FuzzX (0.02s)\n    --- FAIL: FuzzX (0.00s)\n        x_test.go:9: bad\n    \n    Failing input written to testdata/fuzz/FuzzX/582528ddfad69eb5\n    To re-run:\n    go test -run=FuzzX/582528ddfad69eb5\nFAIL\nexit status 1\nFAIL\ta.b/m\t0.030s\n";
    let report = log(text, 1);
    assert_eq!(ids(&report), ["FuzzX"]);
    let failure = &report.failures[0];
    assert_eq!(failure.message, "bad");
    assert_eq!(failure.rerun[3], "-run=^FuzzX$/^582528ddfad69eb5$");
}

#[test]
fn a_benchmark_has_no_time() {
    let text = "goos: linux\n--- FAIL: BenchmarkX\n    x_test.go:5: slow\nBenchmarkY-8   \t1000\t12 ns/op\nFAIL\nexit status 1\nFAIL\ta.b/m\t0.030s\n";
    let report = log(text, 1);
    assert_eq!(ids(&report), ["BenchmarkX"]);
    assert_eq!(
        report.failures[0].rerun[3..5],
        ["-run=^$", "-bench=^BenchmarkX$"]
    );
}

#[test]
fn nothing_to_test_is_not_green() {
    for text in [
        "?   \ta.b/m\t[no test files]\n",
        "testing: warning: no tests to run\nPASS\nok  \ta.b/m\t0.002s [no tests to run]\n",
        "go: warning: \"./...\" matched no packages\nno packages to test\n",
    ] {
        let report = log(text, i32::from(text.starts_with("go:")));
        assert_eq!(report.outcome, Outcome::NoTests, "{text}");
        assert!(report.failures.is_empty());
    }
}

#[test]
fn modules_that_cannot_be_had_do_not_build() {
    let report = log(
        "go: github.com/x/y@v1.0.0: module lookup disabled by GOPROXY=off\n",
        1,
    );
    assert_eq!(
        (report.outcome, ids(&report)),
        (Outcome::BuildFailed, vec!["go.mod"])
    );
}

#[test]
fn a_binary_started_by_itself_ends_with_its_word() {
    let report = log(
        "=== RUN   TestA\n    a_test.go:3: x\n--- FAIL: TestA (0.00s)\nFAIL\n",
        1,
    );
    assert_eq!((ids(&report), report.complete), (vec!["TestA"], true));
    assert!(log("=== RUN   TestA\n--- PASS: TestA (0.00s)\nPASS\n", 0).is_green());
}

#[test]
fn a_log_of_another_project_is_read_all_the_same() {
    const FILES: &[(&str, &str)] = &[("go.mod", "module a.b/m\n"), ("m_test.go", "package m\n")];
    let text = "--- FAIL: TestX (0.00s)\n    x_test.go:3: boom\nFAIL\nFAIL\tc.d/other/x\t0.100s\n--- FAIL: TestY (0.00s)\n    y_test.go:3: boom\nFAIL\nFAIL\tc.d/other/y\t0.100s\nFAIL\n";
    let report = with_tree(text, 1, FILES);
    assert_eq!(ids(&report), ["TestX", "TestY"]);
    assert_eq!(report.failures[1].target.as_deref(), Some("c.d/other/y"));
}

#[test]
fn with_a_count_the_tests_come_round_again() {
    let round = "=== RUN   TestA\n=== RUN   TestA/x\n    a_test.go:3: boom\n--- FAIL: TestA (0.00s)\n    --- FAIL: TestA/x (0.00s)\n=== RUN   TestB\n--- PASS: TestB (0.00s)\n";
    let report = log(
        &format!("{round}{round}FAIL\nFAIL\ta.b/m\t0.100s\nFAIL\n"),
        1,
    );
    assert_eq!(ids(&report), ["TestA/x"]);
    assert_eq!((report.counts.passed, report.complete), (2, true));
}

#[test]
fn a_helper_lies_in_the_package_that_is_imported() {
    let files: &[(&str, &str)] = &[
        ("go.mod", "module a.b/m\n"),
        (
            "calc/calc_test.go",
            "package calc\n\nimport (\n\t\"testing\"\n\n\t\"a.b/m/mid\"\n)\n\nfunc TestA(t *testing.T) { mid.Check(t) }\nfunc TestB(t *testing.T) { other.Check(t) }\nfunc TestC(t *testing.T) { t.Error(1) }\n",
        ),
        (
            "mid/mid.go",
            "package mid\n\nimport \"a.b/m/internal/th\"\n",
        ),
        (
            "internal/th/th.go",
            "package th\n\nfunc Equal(t T) {\n\tt.Errorf(\"no\")\n}\n",
        ),
    ];
    let text = "--- FAIL: TestA (0.00s)\n    th.go:4: no\n--- FAIL: TestB (0.00s)\n    foreign.go:4: no\n--- FAIL: TestC (0.00s)\n    calc_test.go:11: 1\nFAIL\nFAIL\ta.b/m/calc\t0.002s\nFAIL\n";
    let report = with_tree(text, 1, files);
    assert_eq!(ids(&report), ["TestA", "TestB", "TestC"]);
    let at = |at: usize| {
        let location = report.failures[at].location.as_ref();
        location.map(|it| (it.file.as_str(), it.line))
    };
    assert_eq!(at(0), Some(("internal/th/th.go", Some(4))));
    // Nobody knows where this one is: the test is what is known.
    assert_eq!(at(1), Some(("calc/calc_test.go", Some(10))));
}

#[test]
fn what_had_failed_before_the_time_was_up_is_no_time_out() {
    let files: &[(&str, &str)] = &[
        ("go.mod", "module a.b/m\n"),
        (
            "a_test.go",
            "package m\n\nfunc TestA(t *testing.T) {\n\tt.Error(\"early\")\n\tselect {}\n}\n",
        ),
    ];
    let text = "=== RUN   TestA\n=== RUN   TestA/b\n=== PAUSE TestA/b\n=== RUN   TestA/c\n=== PAUSE TestA/c\n=== CONT  TestA/b\n=== CONT  TestA/c\n    a_test.go:4: early\n=== CONT  TestA/b\npanic: test timed out after 3s\n\trunning tests:\n\t\tTestA/b (3s)\n\ngoroutine 5 [running]:\ntesting.(*M).startAlarm.func1()\n\t/usr/lib/go/src/testing/testing.go:2036 +0x8e\nFAIL\ta.b/m\t3.016s\nFAIL\n";
    let report = with_tree(text, 1, files);
    let kinds: Vec<(&str, FailureKind)> = report
        .failures
        .iter()
        .map(|failure| (failure.id.as_str(), failure.kind))
        .collect();
    assert_eq!(
        kinds,
        [
            ("TestA/c", FailureKind::Assertion),
            ("TestA/b", FailureKind::Timeout)
        ]
    );
}
