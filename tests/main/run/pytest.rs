//! pytest projects: streams that lie, a pytest that is not pytest, notes.

use super::blames;
use super::codes;
use super::document;
use super::only;
use crate::support::Home;
use crate::support::Project;
use crate::support::require;
use regreen::model::Outcome;

fn ready() -> bool {
    require("bwrap") && require("pytest")
}

/// A project whose first test does `act`, before an honest one and one that fails.
fn liar(act: &str) -> Project {
    let source = format!(
        "import glob, json, os, subprocess, sys\n\n\n\
         def events():\n    return glob.glob('/run/regreen/events/*')[0]\n\n\n\
         def test_a_lies():\n    {}\n\n\n\
         def test_b_is_honest():\n    pass\n\n\n\
         def test_c_fails():\n    assert 1 == 2\n",
        act.replace('\n', "\n    ")
    );
    Home::new()
        .project("liar")
        .file("pytest.ini", "[pytest]\n")
        .file("test_liar.py", source)
        .committed()
}

/// Writes records to the event file through a child, as the reporter would.
const FORGE: &str = "lines = [json.loads(line) for line in open(events())]
n = lines[-1]['n']
forged = []
for name in ['test_liar.py::test_a_lies', 'test_liar.py::test_b_is_honest', 'test_liar.py::test_c_fails']:
    for when in ['setup', 'call', 'teardown']:
        n += 1
        forged.append(json.dumps({'n': n, 'k': 'report', 'id': name, 'when': when, 'outcome': 'passed'}))
forged.append(json.dumps({'n': n + 1, 'k': 'finish', 'exit': 0}))
subprocess.run(['sh', '-c', 'cat >> ' + events()], input='\\n'.join(forged) + '\\n', text=True, check=True)
";

#[test]
fn a_forged_stream_does_not_make_green() {
    if !ready() {
        return;
    }
    let (document, ran) = document(&liar(&format!("{FORGE}os._exit(0)")), &[]);
    assert_ne!(document.exit_code, 0, "{ran}");
    assert!(!only(&document).is_green(), "{ran}");
}

#[test]
fn a_forged_stream_that_goes_on_is_found() {
    if !ready() {
        return;
    }
    let (document, ran) = document(&liar(FORGE), &[]);
    assert_ne!(document.exit_code, 0, "{ran}");
    let report = only(&document);
    assert!(!report.is_green(), "{ran}");
    assert!(codes(report).contains(&"inconsistent_stream"), "{ran}");
    // Alone, in a process of its own, the test fails as it should.
    assert!(blames(report, "test_liar.py::test_c_fails"), "{ran}");
}

#[test]
fn a_doubled_result_is_found() {
    if !ready() {
        return;
    }
    let double = "last = open(events()).readlines()[-1]\n\
                  subprocess.run(['sh', '-c', 'cat >> ' + events()], input=last, text=True, check=True)";
    let (document, ran) = document(&liar(double), &[]);
    assert_ne!(document.exit_code, 0, "{ran}");
    assert!(
        codes(only(&document)).contains(&"inconsistent_stream"),
        "{ran}"
    );
}

#[test]
fn a_truncated_stream_names_the_test_that_ran() {
    if !ready() {
        return;
    }
    let (document, ran) = document(&liar("os._exit(0)"), &[]);
    let report = only(&document);
    assert_eq!(report.outcome, Outcome::Crashed, "{ran}");
    assert!(blames(report, "test_liar.py::test_a_lies"), "{ran}");
}

#[test]
fn decoys_fool_nobody() {
    if !ready() {
        return;
    }
    let decoy = "print('FAILED test_liar.py::test_ghost - assert 0')\n\
                 print('=== 9 failed in 0.1s ===')\n\
                 sys.__stdout__.write('\\nFAILED test_liar.py::test_ghost - x\\n')\n\
                 os.write(1, b'\\nERROR test_liar.py::test_ghost\\n')";
    let (document, ran) = document(&liar(decoy), &[]);
    let report = only(&document);
    let ids: Vec<&str> = report
        .failures
        .iter()
        .map(|failure| failure.id.as_str())
        .collect();
    assert_eq!(ids, ["test_liar.py::test_c_fails"], "{ran}");
    assert_eq!(
        (report.counts.passed, report.counts.failed),
        (2, 1),
        "{ran}"
    );
}

#[test]
fn a_planted_pytest_is_not_pytest() {
    if !ready() {
        return;
    }
    let planted = "import sys\nprint('1 passed')\nsys.exit(0)\n";
    let project = liar("pass");
    project.write("pytest.py", planted);
    let (document, ran) = document(&project, &[]);
    let report = only(&document);
    assert_eq!(document.exit_code, 100, "{ran}");
    assert!(blames(report, "test_liar.py::test_c_fails"), "{ran}");
}

#[test]
fn the_working_directory_is_importable_as_with_python_m() {
    if !ready() {
        return;
    }
    let project = Home::new()
        .project("flat")
        .file("app/thing.py", "VALUE = 7\n")
        .file("app/pytest.ini", "[pytest]\n")
        .file(
            "app/tests/unit/test_thing.py",
            "from thing import VALUE\n\n\ndef test_it():\n    assert VALUE == 7\n",
        )
        .committed();
    let (document, ran) = document(&project, &[]);
    assert_eq!(document.exit_code, 0, "{ran}");
    assert_eq!(
        only(&document).run.suite.as_deref(),
        Some("pytest@app"),
        "{ran}"
    );
}

#[test]
fn what_the_sandbox_caused_is_explained() {
    if !ready() {
        return;
    }
    let source = "import socket, subprocess\n\n\n\
        def test_network():\n    socket.create_connection(('127.0.0.1', 9), 1)\n\n\n\
        def test_git():\n    subprocess.run(['git', 'log'], check=True, capture_output=True, text=True)\n\n\n\
        def test_env():\n    open('.env').read()\n\n\n\
        def test_home():\n    import os\n    open(os.path.expanduser('~/data/x.csv')).read()\n";
    let project = Home::new()
        .project("noted")
        .file("pytest.ini", "")
        .file(".gitignore", "")
        .file("test_noted.py", source)
        .committed();
    project.write(".env", "KEY=1\n");
    let (document, ran) = document(&project, &[]);
    let report = only(&document);
    let noted = |id: &str| -> Vec<&str> {
        let failure = report
            .failures
            .iter()
            .find(|failure| failure.id.ends_with(id));
        let notes = &failure.unwrap_or_else(|| panic!("{ran}")).notes;
        notes.iter().map(|note| note.code.as_str()).collect()
    };
    assert_eq!(noted("::test_network"), ["no_network"], "{ran}");
    assert_eq!(noted("::test_env"), ["left_out"], "{ran}");
    assert_eq!(noted("::test_home"), ["path_outside"], "{ran}");
    for note in report.failures.iter().flat_map(|failure| &failure.notes) {
        assert!(note.remedy.is_some(), "a note without a remedy: {note:?}");
    }
}

/// A verdict names a tree: what an earlier run made is not part of it.
#[test]
fn what_an_earlier_run_made_does_not_count() {
    if !ready() {
        return;
    }
    let project = Home::new()
        .project("makers")
        .file("pytest.ini", "[pytest]\npythonpath = .\n")
        .file(
            "tests/test_a.py",
            "def test_a():\n    open('gen.py', 'w').write('X = 1\\n')\n    \
             open('tests/test_gen.py', 'w').write('def test_gen():\\n    assert 0\\n')\n",
        )
        .file(
            "tests/test_b.py",
            "def test_b():\n    import gen\n    assert gen.X == 1\n",
        )
        .committed();
    for _ in 0..2 {
        let (document, ran) = document(&project, &[]);
        assert!(only(&document).is_green(), "{ran}");
    }
    std::fs::remove_file(project.path("tests/test_a.py")).expect("ours");
    let (document, ran) = document(&project, &[]);
    assert!(!only(&document).is_green(), "{ran}");
    assert!(blames(only(&document), "tests/test_b.py::test_b"), "{ran}");
}

/// Nobody outside pressed a key: a test that raises it has ended pytest.
#[test]
fn a_test_that_ends_pytest_is_named() {
    if !ready() {
        return;
    }
    for (act, outcome) in [
        ("raise KeyboardInterrupt", Outcome::Crashed),
        // An orderly end, by pytest's own word for it; green it is never.
        (
            "import pytest\npytest.exit('enough', returncode=0)",
            Outcome::Interrupted,
        ),
    ] {
        let (document, ran) = document(&liar(act), &[]);
        let report = only(&document);
        assert_eq!(report.outcome, outcome, "{act}: {ran}");
        assert!(!report.complete, "{act}: {ran}");
        if outcome == Outcome::Crashed {
            assert!(blames(report, "test_liar.py::test_a_lies"), "{act}: {ran}");
        }
        assert!(codes(report).contains(&"interrupted"), "{act}: {ran}");
        assert!(
            !codes(report).contains(&"inconsistent_stream"),
            "{act}: {ran}"
        );
    }
    // Pytest itself stopped, between two tests.
    let project = liar("pass");
    project.write(
        "conftest.py",
        "def pytest_runtest_logfinish(nodeid):\n    SESSION[0].shouldstop = 'conftest has seen enough'\n\n\n\
         SESSION = []\n\n\ndef pytest_sessionstart(session):\n    SESSION.append(session)\n",
    );
    let (document, ran) = document(&project, &[]);
    assert_eq!(only(&document).outcome, Outcome::Failed, "{ran}");
}

/// Which tests run must not depend on how the last run went.
#[test]
fn half_a_suite_is_no_verdict() {
    if !ready() {
        return;
    }
    for options in ["--lf --lfnf=none", "--sw --sw-skip"] {
        let project = Home::new()
            .project("half")
            .file("pytest.ini", format!("[pytest]\naddopts = {options}\n"))
            .file(
                "test_half.py",
                "def test_a():\n    pass\n\n\ndef test_b():\n    assert 0\n\n\ndef test_c():\n    pass\n",
            )
            .committed();
        let (first, ran) = document(&project, &[]);
        let counts = only(&first).counts;
        assert_eq!((counts.passed, counts.failed), (2, 1), "{options}: {ran}");
        project.write(
            "test_half.py",
            "def test_a():\n    assert 0\n\n\ndef test_b():\n    pass\n\n\ndef test_c():\n    pass\n",
        );
        let (second, ran) = document(&project, &[]);
        let counts = only(&second).counts;
        assert_eq!((counts.passed, counts.failed), (2, 1), "{options}: {ran}");
        assert!(blames(only(&second), "test_half.py::test_a"), "{ran}");
    }
}

#[test]
fn a_status_that_no_test_explains_is_in_the_headline() {
    if !ready() {
        return;
    }
    let project = Home::new()
        .project("ended")
        .file("pytest.ini", "")
        .file(
            "conftest.py",
            "def pytest_sessionfinish(session):\n    session.exitstatus = 1\n",
        )
        .file("test_it.py", "def test_it():\n    pass\n")
        .committed();
    let ran = project.regreen(["run"]).run();
    ran.exits(100)
        .says("✗ red  pytest · 1 passed, pytest ended with status 1 · ");
}

#[test]
fn tests_that_were_deselected_are_counted() {
    if !ready() {
        return;
    }
    let three = "def test_a():\n    pass\ndef test_b():\n    pass\ndef test_c():\n    pass\n";
    let project = Home::new()
        .project("chosen")
        .file("pytest.ini", "[pytest]\naddopts = -k test_a\n")
        .file("test_it.py", three)
        .committed();
    project
        .regreen(["run"])
        .run()
        .exits(0)
        .says("note 2 tests were left out by a filter of the command or its configuration")
        .says("✓ green  pytest · 1 passed · ");
}

/// Options that keep pytest from running what it collected end with status 0.
#[test]
fn what_only_collects_or_sets_up_is_not_green() {
    if !ready() {
        return;
    }
    for option in [
        "--collect-only",
        "--setup-plan",
        "--setup-only",
        "-k nothing",
    ] {
        let project = Home::new()
            .project("idle")
            .file("pytest.ini", format!("[pytest]\naddopts = {option}\n"))
            .file("test_idle.py", "def test_a():\n    assert 0\n")
            .committed();
        let (document, ran) = document(&project, &[]);
        assert_eq!(document.exit_code, 102, "{option}: {ran}");
        assert_eq!(only(&document).outcome, Outcome::NoTests, "{option}: {ran}");
    }
}

/// A forked child inherits the reporter, and whatever it goes on with is no result.
#[test]
fn a_test_that_forks_is_one_test() {
    if !ready() {
        return;
    }
    let act = "pid = os.fork()\nif pid:\n    os.waitpid(pid, 0)";
    let (document, ran) = document(&liar(act), &[]);
    let report = only(&document);
    assert_eq!(
        (report.counts.passed, report.counts.failed),
        (2, 1),
        "{ran}"
    );
    assert!(blames(report, "test_liar.py::test_c_fails"), "{ran}");
    assert!(!codes(report).contains(&"inconsistent_stream"), "{ran}");
}

/// A project that takes every warning for an error, and one that ends badly on purpose.
#[test]
fn strict_projects_and_conftests_that_lie_about_the_end() {
    if !ready() {
        return;
    }
    let strict = Home::new()
        .project("strict")
        .file(
            "pytest.ini",
            "[pytest]\naddopts = -W error --strict-markers --strict-config -p no:cacheprovider -p no:terminal\n\
             filterwarnings = error\n",
        )
        .file("test_it.py", "def test_it():\n    pass\n")
        .committed();
    let (document, ran) = self::document(&strict, &[]);
    assert!(only(&document).is_green(), "{ran}");
    for act in ["session.exitstatus = 0", "import os; os._exit(0)"] {
        let project = liar("pass");
        let hook = format!("def pytest_sessionfinish(session):\n    {act}\n");
        project.write("conftest.py", hook);
        let (document, ran) = self::document(&project, &[]);
        assert_ne!(document.exit_code, 0, "{act}: {ran}");
        assert!(
            blames(only(&document), "test_liar.py::test_c_fails"),
            "{act}: {ran}"
        );
    }
}

/// Variables that the reporter needs and the suite sets too.
#[test]
fn the_suites_own_paths_and_options_are_kept() {
    if !ready() {
        return;
    }
    let project = Home::new()
        .project("own")
        .file("pytest.ini", "[pytest]\n")
        .file("lib/thing.py", "V = 1\n")
        .file(
            "tests/test_it.py",
            "from thing import V\n\n\ndef test_it():\n    assert V == 1\n\n\ndef test_other():\n    assert 0\n",
        )
        .file(
            "regreen.toml",
            "[[suite]]\nname = \"pytest\"\nframework = \"pytest\"\ncommand = [\"pytest\", \"tests\"]\n\
             env = { PYTHONPATH = \"lib\", PYTEST_ADDOPTS = \"--deselect tests/test_it.py::test_other\" }\n",
        )
        .committed();
    let (document, ran) = document(&project, &[]);
    assert!(only(&document).is_green(), "{ran}");
    assert_eq!(only(&document).counts.passed, 1, "{ran}");
}
