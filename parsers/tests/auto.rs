//! What is recognised alone: every recording as one log, without its format's name, has to give
//! what the format's own reader gives. Where it cannot be known whose output it is, nothing may be
//! called green that is not.

mod support;

use regreen_parsers::Context;
use regreen_parsers::Format;
use regreen_parsers::Input;
use regreen_parsers::Report;
use regreen_parsers::parse;
use regreen_parsers::tool;
use support::Recording;

/// Logs that hold nothing of their framework's: dots, a usage error of any program, a loader's.
const UNKNOWN: usize = 50;
#[test]
fn the_format_is_recognised() {
    let mut other = Vec::new();
    for recording in Recording::all() {
        let format: Format = recording.case.format.parse().expect("a format");
        let (own, auto) = (read(&recording, format), read(&recording, Format::Auto));
        if auto.is_green() && !own.is_green() {
            panic!("{} is green: {auto:?}", recording.name);
        }
        // What is no framework's may be the compiler's or the runner's that is known.
        if format != Format::Generic && outcome(&own) != outcome(&auto) {
            other.push(format!("{} {}", recording.name, auto.run.framework));
        }
    }
    assert!(other.len() <= UNKNOWN, "{}\n{other:#?}", other.len());
}

/// Who names the wrong format is told so, and nobody else.
#[test]
fn a_mistaken_format_is_named() {
    let noted = |report: &Report| {
        let mut notes = report.notes.iter();
        notes.find(|note| note.code == "other_format").cloned()
    };
    for recording in Recording::all() {
        let format: Format = recording.case.format.parse().expect("a format");
        let note = noted(&read(&recording, format));
        assert_eq!(note, None, "{}", recording.name);
    }
    let log = "=== 1 failed in 0.01s ===\nFAILED tests/test_a.py::test_b - assert 1 == 2\n";
    let wrong = parse(&Input::log(Format::Jest, log.as_bytes()));
    let note = noted(&wrong).expect("a note");
    assert_eq!(note.remedy.as_deref(), Some("`--format pytest`"));
}

fn read(recording: &Recording, format: Format) -> Report {
    let mut log = recording.stdout.clone();
    if !recording.case.log {
        log.extend(&recording.stderr);
    }
    let own: Format = recording.case.format.parse().expect("a format");
    let mut input = Input::log(format, &log);
    input.context = Context {
        command: tool(own, &recording.case.command),
        ..Context::rooted(&recording.case.root)
    };
    input.exit = Some(recording.case.exit);
    parse(&input)
}

/// What a report comes to, in short.
fn outcome(report: &Report) -> String {
    let failures: Vec<_> = report.failures.iter().map(|it| (&it.id, it.kind)).collect();
    format!("{:?} {:?} {failures:?}", report.outcome, report.counts)
}
