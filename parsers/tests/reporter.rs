//! The pytest reporter in real runs of pytest: what it writes is read right, and whatever goes
//! wrong in it, the run is the same as without it.
#![expect(
    clippy::disallowed_methods,
    reason = "this crate stands alone: it has no process module"
)]

use regreen_parsers::Context;
use regreen_parsers::End;
use regreen_parsers::Exit;
use regreen_parsers::Format;
use regreen_parsers::Live;
use regreen_parsers::Outcome;
use regreen_parsers::Report;
use regreen_parsers::Stream;
use regreen_parsers::pytest::EVENTS_VARIABLE;
use regreen_parsers::pytest::REPORTER;
use regreen_parsers::pytest::REPORTER_NAME;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

/// A python with pytest, or none and a loud word; `REGREEN_REQUIRE=pytest` makes that a failure.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("REGREEN_TEST_VENV").map(PathBuf::from);
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-tools/venv");
    let python = named.unwrap_or(usual).join("bin/python");
    let works = Command::new(&python).args(["-c", "import pytest"]).output();
    if works.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    let required = std::env::var("REGREEN_REQUIRE").unwrap_or_default();
    assert!(
        !required.split_whitespace().any(|word| word == "pytest"),
        "no pytest in {}",
        python.display()
    );
    say(&python);
    None
}

#[expect(clippy::print_stderr, reason = "nothing is skipped in silence")]
fn say(python: &Path) {
    eprintln!(
        "SKIPPED: needs pytest (REGREEN_TEST_VENV), none in {}",
        python.display()
    );
}

struct Project {
    dir: PathBuf,
    python: PathBuf,
}

impl Project {
    /// A project of these files; none without pytest.
    fn new(name: &str, files: &[(&str, &str)]) -> Option<Project> {
        let python = python()?;
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("reporter-{name}"));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("inject")).expect("a directory");
        fs::create_dir_all(dir.join("p")).expect("a directory");
        fs::write(dir.join(format!("inject/{REPORTER_NAME}.py")), REPORTER).expect("the reporter");
        for (file, text) in files {
            let path = dir.join("p").join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, text).expect("a file");
        }
        let dir = dir.canonicalize().expect("a path");
        Some(Project { dir, python })
    }

    fn command(&self, args: &[&str], events: Option<&Path>) -> Output {
        let mut command = Command::new(&self.python);
        command
            .args(["-m", "pytest", "-p", "no:cacheprovider", "-q"])
            .args(args)
            .current_dir(self.dir.join("p"));
        command
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env_remove("PYTEST_ADDOPTS");
        if let Some(events) = events {
            command.env("PYTHONPATH", self.dir.join("inject"));
            command
                .env("PYTEST_ADDOPTS", format!("-p {REPORTER_NAME}"))
                .env(EVENTS_VARIABLE, events);
        }
        command.output().expect("python starts")
    }

    fn run(&self, args: &[&str]) -> Report {
        let events = self.dir.join("events.ndjson");
        let _ = fs::remove_file(&events);
        let output = self.command(args, Some(&events));
        let mut live = Live::new(
            Format::Pytest,
            Context::rooted(self.dir.join("p").to_string_lossy()),
        );
        live.feed(Stream::Stdout, &output.stdout);
        live.feed(Stream::Stderr, &output.stderr);
        live.feed(
            Stream::File("events.ndjson"),
            &fs::read(&events).unwrap_or_default(),
        );
        live.finish(End::exit(Exit {
            code: output.status.code(),
            signal: output.status.signal(),
            ..Exit::default()
        }))
    }
}

/// What pytest prints, without the time it took.
fn printed(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().map(|line| {
        line.split(" in 0.")
            .next()
            .unwrap_or(line)
            .trim_end_matches('=')
    });
    lines.collect::<Vec<_>>().join("\n")
}

const GREEN: (&str, &str) = (
    "test_a.py",
    "def test_a():\n    pass\n\ndef test_b():\n    pass\n",
);

#[test]
fn a_reporter_that_cannot_write_changes_nothing() {
    let Some(project) = Project::new(
        "unwritable",
        &[GREEN, ("test_b.py", "def test_c():\n    assert 1 == 2\n")],
    ) else {
        return;
    };
    let bare = project.command(&[], None);
    let places = ["/no/such/place/events", "/dev/full", "/", ""];
    for place in places {
        let output = project.command(&[], Some(Path::new(place)));
        assert_eq!(output.status.code(), bare.status.code(), "{place}");
        assert_eq!(printed(&output), printed(&bare), "{place}");
        assert!(
            output.stderr.is_empty(),
            "{place}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn a_reporter_that_works_changes_nothing_either() {
    let files = [
        GREEN,
        (
            "test_b.py",
            "import warnings\n\ndef test_c():\n    warnings.warn('x')\n    assert [1, 2] == [1, 3]\n",
        ),
    ];
    let Some(project) = Project::new("same", &files) else {
        return;
    };
    for args in [
        &[][..],
        &["-v"],
        &["-W", "error"],
        &["--import-mode=importlib"],
        &["-x"],
    ] {
        let events = project.dir.join("events.ndjson");
        let bare = project.command(args, None);
        let output = project.command(args, Some(&events));
        assert_eq!(printed(&output), printed(&bare), "{args:?}");
        assert_eq!(output.status.code(), bare.status.code(), "{args:?}");
    }
}

/// A child that a test forks goes on with its copy of everything, unless it takes care.
#[test]
fn a_forked_child_adds_no_word_of_its_own() {
    let test = "import os\n\ndef test_a():\n    child = os.fork()\n    if child:\n        \
                assert os.waitpid(child, 0)[1] == 0\n\ndef test_b():\n    pass\n";
    let Some(project) = Project::new("forked", &[("test_f.py", test)]) else {
        return;
    };
    let report = project.run(&[]);
    assert!(report.is_green(), "{report:#?}");
    assert_eq!((report.counts.passed, report.counts.total), (2, 2));
    let events = fs::read_to_string(project.dir.join("events.ndjson")).expect("events");
    assert_eq!(events.matches("\"k\":\"pass\"").count(), 2, "{events}");
    assert_eq!(events.matches("\"finish\"").count(), 1, "{events}");
}

/// What the interpreter keeps of the reporter until after its modules are gone makes its end
/// slower by 5 ms: a callback for forks is such a thing.
#[test]
fn the_interpreter_keeps_nothing_of_the_reporter() {
    let Some(project) = Project::new("kept", &[GREEN]) else {
        return;
    };
    // Loaded by the interpreter itself, before anybody could have registered anything.
    let witness = "import os, sys\nkeep = os.register_at_fork\ndef register(**what):\n    \
                   by = sys._getframe(1).f_globals.get('__name__')\n    \
                   print('registered by', by, file=sys.stderr)\n    \
                   return keep(**what)\nos.register_at_fork = register\n";
    fs::write(project.dir.join("inject/sitecustomize.py"), witness).expect("a file");
    let events = project.dir.join("events.ndjson");
    let _ = fs::remove_file(&events);
    let output = project.command(&[], Some(&events));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(events.exists());
    // The standard library registers some of its own: that is how one sees that it is watched.
    assert!(said.contains("registered by random"), "{said}");
    let own = format!("registered by {REPORTER_NAME}");
    assert!(!said.contains(&own), "{said}");
}

#[test]
fn hostile_objects_do_not_break_the_run() {
    let text = r#"
import sys
import pytest

class Evil:
    def __repr__(self):
        raise SystemError("no repr")
    def __eq__(self, other):
        return False

class Long:
    def __repr__(self):
        return "x" * 10_000_000

class BadError(Exception):
    def __str__(self):
        raise ValueError("no str")

def test_evil():
    assert Evil() == Evil()

def test_long():
    assert Long() == 1

def test_bad_error():
    raise BadError()

def test_surrogates():
    assert "\ud800" == "\x1b[31m\u202e"

def test_recursion():
    def deep():
        deep()
    deep()

def test_group():
    if sys.version_info < (3, 11):
        pytest.skip("no groups")
    raise ExceptionGroup("several", [ValueError("one"), KeyError("two")])

@pytest.mark.parametrize("value", ["\ud800", "a\nb", "x" * 5000])
def test_ids(value):
    assert value
"#;
    let Some(project) = Project::new("hostile", &[("test_h.py", text)]) else {
        return;
    };
    let report = project.run(&[]);
    assert_eq!(
        (report.outcome, report.complete),
        (Outcome::Failed, true),
        "{:?}",
        report.notes
    );
    assert_eq!(report.counts.total, 9);
    let size = serde_json::to_string(&report).expect("JSON").len();
    assert!(size < 400_000, "the report has {size} bytes");
    for failure in &report.failures {
        let shown = format!("{failure:?}");
        assert!(
            !shown.contains('\u{1b}') && !shown.contains('\u{202e}'),
            "{}",
            failure.id
        );
        assert!(failure.location.is_some(), "{} has no place", failure.id);
    }
}

#[test]
fn subtests_are_failures_of_their_own() {
    let text = r#"
import unittest

class T(unittest.TestCase):
    def test_parts(self):
        for i in range(3):
            with self.subTest(i=i):
                self.assertEqual(i % 2, 0)
"#;
    let fixture = "def test_fixture(subtests):\n    for i in range(2):\n        with subtests.test('part', i=i):\n            assert i == 0\n";
    let Some(project) = Project::new("subtests", &[("test_s.py", text), ("test_f.py", fixture)])
    else {
        return;
    };
    let report = project.run(&[]);
    let ids: Vec<&str> = report
        .failures
        .iter()
        .map(|failure| failure.id.as_str())
        .collect();
    if ids.contains(&"test_s.py::T::test_parts") {
        // Before version 9 subtests need a plugin: without it the test fails as a whole.
        assert_eq!(report.counts.failed, 2);
        return;
    }
    assert!(ids.contains(&"test_s.py::T::test_parts (i=1)"), "{ids:?}");
    // The fixture is pytest's own since version 9; before that it is a set-up error.
    if !ids.contains(&"test_f.py::test_fixture") {
        assert_eq!(ids.len(), 2, "{ids:?}");
        assert!(
            ids.contains(&"test_f.py::test_fixture [part] (i=1)"),
            "{ids:?}"
        );
    }
    assert_eq!(report.counts.failed, 2);
    assert!(report.complete, "{:?}", report.notes);
}

#[test]
fn a_project_below_the_root_has_paths_from_the_root() {
    let files = [
        (
            "tools/pyproject.toml",
            "[tool.pytest.ini_options]\naddopts = '-q'\n",
        ),
        (
            "tools/tests/test_t.py",
            "def test_t():\n    assert 1 == 2\n",
        ),
    ];
    let Some(project) = Project::new("below", &files) else {
        return;
    };
    let report = project.run(&["tools"]);
    let failure = &report.failures[0];
    assert_eq!(failure.id, "tests/test_t.py::test_t");
    let file = failure.location.as_ref().map(|at| at.file.as_str());
    assert_eq!(file, Some("tools/tests/test_t.py"));
    assert_eq!(failure.rerun, ["pytest", "tools/tests/test_t.py::test_t"]);
    let again = project.command(&[&failure.rerun[1]], None);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        printed(&again).contains("FAILED tools/tests/test_t.py::test_t - "),
        "{}",
        printed(&again)
    );
}

#[test]
fn every_rerun_selects_one_test() {
    let text = "import pytest\n\n@pytest.mark.parametrize('v', ['a b', 'x::y', 'p - q', '[z]', 'ü', 'n\\nl'])\ndef test_v(v):\n    assert v is None\n\nclass TestC:\n    def test_m(self):\n        assert 0\n";
    let Some(project) = Project::new("rerun", &[("test_r.py", text)]) else {
        return;
    };
    let report = project.run(&[]);
    assert_eq!(report.failures.len(), 7);
    for failure in &report.failures {
        let again = project.run(&[&failure.rerun[1]]);
        assert_eq!(again.failures.len(), 1, "{}", failure.id);
        assert_eq!(
            (&again.failures[0].id, again.counts.total),
            (&failure.id, 1)
        );
        assert_eq!(
            again.failures[0].fingerprint, failure.fingerprint,
            "{}",
            failure.id
        );
    }
}

#[test]
fn a_deleted_events_file_is_never_green() {
    let text = "import glob, os\n\ndef test_a():\n    for fd in glob.glob('/proc/self/fd/*'):\n        try:\n            if os.readlink(fd).endswith('.ndjson'):\n                os.remove(os.readlink(fd))\n        except OSError:\n            pass\n";
    let Some(project) = Project::new("deleted", &[("test_d.py", text)]) else {
        return;
    };
    let report = project.run(&[]);
    assert!(!report.is_green() && !report.complete);
    assert_ne!(report.outcome, Outcome::Passed);
}
