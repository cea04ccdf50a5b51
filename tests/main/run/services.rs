//! Services that tests need: started beside them, waited for, ended with them; and what is said
//! where they are not there.

use super::codes;
use super::document;
use super::only;
use crate::support::Home;
use crate::support::Project;
use crate::support::require;
use regreen::model::Outcome;

/// Answers at a port after a while, and says so.
const SERVER: &str = "import http.server, os, sys, time\n\
    time.sleep(float(os.environ.get('AFTER', '0.2')))\n\
    class H(http.server.BaseHTTPRequestHandler):\n\
    \x20 def do_GET(self):\n\
    \x20   self.send_response(200); self.end_headers(); self.wfile.write(b'hello')\n\
    \x20 def log_message(self, *a): pass\n\
    s = http.server.HTTPServer(('127.0.0.1', 8123), H)\n\
    print('listening', flush=True)\n\
    s.serve_forever()\n";

const ASK: &str = "import urllib.request\n\
    def test_it():\n\
    \x20   assert urllib.request.urlopen('http://127.0.0.1:8123/').read() == b'hello'\n";

fn project(home: &Home, service: &str) -> Project {
    let toml = format!(
        "[[suite]]\nname = \"pytest\"\ncommand = [\"python3\", \"-m\", \"pytest\"]\n\
         [[suite.service]]\nname = \"web\"\ncommand = [\"python3\", \"server.py\"]\n{service}\n"
    );
    home.project("served")
        .file("regreen.toml", &toml)
        .file("server.py", SERVER)
        .file("test_ask.py", ASK)
        .committed()
}

#[test]
fn tests_begin_when_their_service_is_ready() {
    if !require("bwrap") || !require("pytest") {
        return;
    }
    for ready in [
        "ready = { tcp = 8123 }",
        "ready = { http = \"http://127.0.0.1:8123/health\" }",
        "ready = { log = \"listening\" }",
        "ready = { command = [\"python3\", \"-c\", \"import socket; socket.create_connection(('127.0.0.1', 8123))\"] }",
    ] {
        let home = Home::new();
        let project = project(&home, ready);
        let (served, ran) = document(&project, &[]);
        let report = only(&served);
        assert_eq!(report.outcome, Outcome::Passed, "{ready}: {ran}");
        assert_eq!(report.counts.passed, 1, "{ready}");
        let log = report
            .raw_log
            .as_ref()
            .expect("a log")
            .replace("raw.log", "service-web.log");
        let log = std::fs::read_to_string(log).expect("the service's log is kept");
        assert_eq!(log, "listening\n");
    }
}

/// A service that is not there is no failing test.
#[test]
fn a_service_that_does_not_get_ready_is_no_failing_test() {
    if !require("bwrap") || !require("pytest") {
        return;
    }
    for (service, why) in [
        (
            "ready = { tcp = 8123 }\ntimeout = \"500ms\"\nenv = { AFTER = \"60\" }",
            "not ready after 0.5 s",
        ),
        (
            "ready = { tcp = 8123 }\nenv = { AFTER = \"soon\" }",
            "ended with status 1",
        ),
    ] {
        let home = Home::new();
        let project = project(&home, service);
        let (missed, ran) = document(&project, &[]);
        let report = only(&missed);
        assert_eq!(
            (report.outcome, missed.exit_code),
            (Outcome::InfraError, 106),
            "{ran}"
        );
        assert!(report.failures.is_empty(), "{report:#?}");
        let note = report
            .notes
            .iter()
            .find(|note| note.code == "service_not_ready");
        let note = note.unwrap_or_else(|| panic!("{report:#?}"));
        assert!(note.message.contains(why), "{note:?}");
        assert!(note.message.contains("`web`"), "{note:?}");
    }
}

/// What the tests come to is theirs: status, crash by a signal, a program that is not there; and a
/// service that dies among them is named.
#[test]
fn the_tests_own_end_is_theirs() {
    if !require("bwrap") || !require("pytest") {
        return;
    }
    let home = Home::new();
    let project = project(&home, "ready = { log = \"listening\" }");
    project.write(
        "test_ask.py",
        "import os, signal\ndef test_dies():\n    os.kill(os.getpid(), signal.SIGSEGV)\n",
    );
    let (crashed, ran) = document(&project, &[]);
    let report = only(&crashed);
    assert_eq!(report.outcome, Outcome::Crashed, "{ran}");
    assert_eq!(
        report.run.exit.expect("an exit").signal,
        Some(11),
        "{report:#?}"
    );
    project.write("test_ask.py", "import os, signal\ndef test_kills():\n    os.system(\"pkill -KILL -f server.py || kill -9 $(pgrep -f server.py)\")\n    import time; time.sleep(0.2)\n    assert False\n");
    let (killed, ran) = document(&project, &[]);
    assert!(
        codes(only(&killed)).contains(&"service_ended"),
        "{ran}\n{killed:#?}"
    );
    let toml = "[[suite]]\nname = \"other\"\nframework = \"generic\"\ncommand = [\"no-such-program\"]\n\
        [[suite.service]]\nname = \"web\"\ncommand = [\"python3\", \"server.py\"]\nready = { log = \"listening\" }\n";
    project.write("regreen.toml", format!("detect = false\n{toml}"));
    let (lost, ran) = document(&project, &[]);
    assert_eq!(lost.exit_code, 106, "{ran}");
    assert!(codes(only(&lost)).contains(&"no_program"), "{lost:#?}");
}
