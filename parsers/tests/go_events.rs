//! Damaged event streams of `go test -json`: what is missing, doubled, trailing or forged is
//! found out, event by event.

use regreen_parsers::Exit;
use regreen_parsers::Format;
use regreen_parsers::Input;
use regreen_parsers::Report;
use regreen_parsers::parse;
use std::fs;
use std::path::Path;

/// Green runs of an old and a new Go.
fn streams() -> [String; 2] {
    let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/recordings/go-test");
    ["green-1.19", "green-1.27"].map(|name| {
        let path = recordings.join(name).join("stdout");
        fs::read_to_string(path).expect("a recording")
    })
}

fn read(text: &str, code: i32) -> Report {
    let mut input = Input::log(Format::GoTest, text.as_bytes());
    input.exit = Some(Exit::code(code));
    parse(&input)
}

#[test]
fn damaged_events_are_never_green() {
    for stream in streams() {
        let stream = stream.as_str();
        assert!(read(stream, 0).is_green());
        let lines: Vec<&str> = stream.lines().collect();
        for at in 0..lines.len() {
            let event = !lines[at].contains("\"Action\":\"output\"");
            let mut missing = lines.clone();
            missing.remove(at);
            let report = read(&missing.join("\n"), 0);
            assert!(!event || !report.is_green(), "without {}", lines[at]);
            let mut doubled = lines.clone();
            doubled.insert(at, lines[at]);
            let report = read(&doubled.join("\n"), 0);
            assert!(!event || !report.is_green(), "twice {}", lines[at]);
            let mut trailing = lines.clone();
            trailing.push(lines[at]);
            let report = read(&trailing.join("\n"), 0);
            assert!(!report.is_green(), "at the end {}", lines[at]);
        }
    }
}

#[test]
fn a_forged_failure_among_events_is_no_failure() {
    for stream in streams() {
        let stream = stream.as_str();
        let ghost = "{\"Action\":\"fail\",\"Package\":\"example.com/green\",\"Test\":\"TestGhost\",\"Elapsed\":0}";
        let mut lines: Vec<&str> = stream.lines().collect();
        lines.insert(4, ghost);
        let report = read(&lines.join("\n"), 0);
        assert!(report.failures.is_empty(), "{:?}", report.failures);
        assert!(!report.complete);
    }
}
