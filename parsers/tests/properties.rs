//! What holds for every input: no panic, and no cut, doubled, moved or forged stream is green.

mod support;

use proptest::prelude::*;
use regreen_parsers::Context;
use regreen_parsers::End;
use regreen_parsers::Exit;
use regreen_parsers::Format;
use regreen_parsers::Live;
use regreen_parsers::Report;
use regreen_parsers::Stream;
use std::sync::LazyLock;
use support::Recording;

/// Reads bytes as every stream of every format, in pieces.
fn read_as(format: Format, stream: usize, bytes: &[u8], exit: Option<Exit>) -> Report {
    let streams = [
        Stream::Log,
        Stream::Stdout,
        Stream::Stderr,
        Stream::File("1.events"),
        Stream::File("1.list"),
        Stream::File("x.ndjson"),
        Stream::File("x.xml"),
    ];
    let mut live = Live::new(format, Context::rooted("/tmp/regreen-recordings/p"));
    for piece in bytes.chunks(1000) {
        live.feed(streams[stream % streams.len()], piece);
    }
    live.finish(End {
        exit,
        interrupted: false,
    })
}

/// The recordings whose report is green: what is done to them must not stay so.
fn green() -> Vec<Recording> {
    let found: Vec<Recording> = Recording::all()
        .into_iter()
        // A command without a protocol is judged by its exit status, whatever it prints.
        .filter(|r| r.case.format != "generic" && r.report().is_green())
        .collect();
    assert!(found.len() >= 8, "{} green recordings", found.len());
    found
}

/// The streams of a recording that hold results: its files, and standard output where the
/// results are there.
fn result_streams(recording: &Recording) -> Vec<(String, Vec<u8>)> {
    let mut streams: Vec<(String, Vec<u8>)> = recording
        .files
        .iter()
        // What a worker is about to run is asked only where the end is missing.
        .filter(|(name, _)| !name.ends_with(".stderr") && !name.ends_with(".running"))
        .cloned()
        .collect();
    // Where a reporter of ours writes, the text explains at most.
    let by_events =
        ["pytest", "rspec", "minitest", "phpunit"].contains(&recording.case.format.as_str());
    let ours = recording
        .files
        .iter()
        .any(|(name, _)| name.ends_with(".ndjson"));
    let only_files = ours || by_events && !recording.files.is_empty();
    // nextest's JUnit file explains failures; its text and JSON lines count.
    streams.retain(|(name, _)| !(recording.case.format == "nextest" && name.ends_with(".xml")));
    // PHPUnit's messages and its text hold all results, too.
    streams.retain(|(name, _)| !(recording.case.format == "phpunit" && name.ends_with(".xml")));
    if recording.case.format == "nextest" {
        // Its last word stands in its text.
        streams.push(("stderr".to_owned(), recording.stderr.clone()));
    } else if !only_files {
        streams.push(("stdout".to_owned(), recording.stdout.clone()));
    }
    streams
}

fn with(recording: &Recording, stream: &str, bytes: Vec<u8>) -> Report {
    let mut changed = recording.clone();
    if stream == "stdout" {
        changed.stdout = bytes;
    } else if stream == "stderr" {
        changed.stderr = bytes;
    } else {
        let file = changed.files.iter_mut().find(|(name, _)| name == stream);
        file.expect("a file of that name").1 = bytes;
    }
    changed.report()
}

/// A run that left a stream out altogether: an older version writes no report, say.
fn without(recording: &Recording, stream: &str) -> Report {
    let mut changed = recording.clone();
    changed.files.retain(|(name, _)| name != stream);
    with(&changed, "stderr", changed.stderr.clone())
}

/// What may be missing at the end without taking anything away.
fn nothing_lost(stream: &str, lost: &str) -> bool {
    let lost = lost.trim();
    if stream == "stderr" {
        return !lost.contains("tests run");
    }
    // A suite without tests is no loss.
    if stream.ends_with(".xml") && lost.starts_with("<?xml") && !lost.contains("<testcase") {
        return true;
    }
    let words = ["test ", "running ", "Doc-tests", "Running", "{\"", "passed"];
    lost.is_empty() || (stream == "stdout" && !words.iter().any(|word| lost.contains(word)))
}

/// A log of cargo's text alone does not say how many sections there will be: cut between two
/// of them it looks whole. (Regreen's own runs never rest on such a log.)
fn between_sections(kept: &str) -> bool {
    let count = |start: &str, end: &str| {
        kept.lines()
            .filter(|line| line.starts_with(start) && line.contains(end))
            .count()
    };
    let began = count("running ", " test");
    began > 0 && began == count("test result: ", " filtered out")
}

#[test]
fn no_cut_stream_is_green() {
    for recording in green() {
        for (stream, bytes) in result_streams(&recording) {
            // Every place in small streams, many places in large ones.
            let step = (bytes.len() / 1500).max(1);
            for cut in (0..bytes.len()).step_by(step) {
                let lost = String::from_utf8_lossy(&bytes[cut..]).into_owned();
                let report = with(&recording, &stream, bytes[..cut].to_vec());
                let kept = String::from_utf8_lossy(&bytes[..cut]).into_owned();
                let bare_text = recording.case.log && between_sections(&kept);
                // Without any of it the others may still tell everything (text beside a report).
                let absent = cut == 0 && without(&recording, &stream).is_green();
                assert!(
                    !report.is_green() || bare_text || absent || nothing_lost(&stream, &lost),
                    "{} {stream} cut at {cut} of {} is green without {lost:?}",
                    recording.name,
                    bytes.len()
                );
            }
        }
    }
}

/// An events file whose end line fits what is now in it: what a child process writes into the
/// pipe is counted by the shim, too.
fn refit(lines: &[String]) -> Vec<u8> {
    let mut lines = lines.to_vec();
    let is_end = |line: &String| line.starts_with("{\"regreen\":\"end\"");
    let ends: Vec<usize> = lines
        .iter()
        .enumerate()
        .filter(|(_, l)| is_end(l))
        .map(|(i, _)| i)
        .collect();
    if let ([end], true) = (
        ends.as_slice(),
        lines[0].starts_with("{\"regreen\":\"target\""),
    ) {
        let bytes: usize = lines[1..*end].iter().map(|line| line.len() + 1).sum();
        let mut record: serde_json::Value =
            serde_json::from_str(&lines[*end]).expect("an end line");
        record["stdout_bytes"] = (bytes as u64).saturating_sub(1).into();
        // The words keep their order: the line is found by its beginning.
        lines[*end] = format!(
            "{{\"regreen\":\"end\",\"code\":{},\"signal\":{},\"stdout_bytes\":{},\"duration_ms\":1}}",
            record["code"], record["signal"], record["stdout_bytes"]
        );
    }
    (lines.join("\n") + "\n").into_bytes()
}

fn lines_of(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The streams in which every line counts, one recording each.
fn event_streams() -> Vec<(Recording, String, Vec<String>)> {
    let mut found = Vec::new();
    for recording in green() {
        for (stream, bytes) in result_streams(&recording) {
            let counts = stream.ends_with(".events")
                || stream.ends_with(".ndjson")
                || (stream == "stdout" && recording.case.format == "libtest");
            let lines = lines_of(&bytes);
            let has_tests = lines
                .iter()
                .any(|line| line.contains("\"test\"") || line.contains("\"start\""));
            if counts && has_tests {
                found.push((recording.clone(), stream, lines));
            }
        }
    }
    assert!(found.len() >= 8, "{} event streams", found.len());
    found
}

static STREAMS: LazyLock<Vec<(Recording, String, Vec<String>)>> = LazyLock::new(event_streams);
static ALL: LazyLock<Vec<Recording>> = LazyLock::new(Recording::all);

fn is_record(line: &str) -> bool {
    line.contains("\"type\"") || line.contains("\"k\"")
}

/// Found by fuzzing to be said nowhere: a status may be missing, but never be overruled.
#[test]
fn no_failing_status_is_green() {
    let ended_by = |signal| Exit {
        signal: Some(signal),
        ..Exit::default()
    };
    for recording in green() {
        for exit in [Exit::code(1), Exit::code(255), ended_by(9), ended_by(11)] {
            let mut failing = recording.clone();
            failing.case.exit = exit;
            failing.case.unknown_exit = false;
            assert!(!failing.report().is_green(), "{}: {exit:?}", recording.name);
        }
    }
}

#[test]
fn no_doubled_line_is_green() {
    for (recording, stream, lines) in STREAMS.iter() {
        for at in (0..lines.len()).filter(|at| is_record(&lines[*at])) {
            for place in [at, lines.len() - 1, 1.min(lines.len() - 1)] {
                let mut doubled = lines.clone();
                doubled.insert(place, lines[at].clone());
                let report = with(recording, stream, refit(&doubled));
                assert!(
                    !report.is_green() && !report.complete,
                    "{} {stream}: {} twice",
                    recording.name,
                    lines[at]
                );
            }
        }
    }
}

#[test]
fn no_missing_line_is_green() {
    for (recording, stream, lines) in STREAMS.iter() {
        for at in (0..lines.len()).filter(|at| is_record(&lines[*at])) {
            let mut missing = lines.clone();
            missing.remove(at);
            let report = with(recording, stream, refit(&missing));
            assert!(
                !report.is_green(),
                "{} {stream} without {}",
                recording.name,
                lines[at]
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_give_a_report(bytes in prop::collection::vec(any::<u8>(), 0..4000), stream in 0usize..7, code in prop::option::of(-1i32..110)) {
        for format in Format::ALL {
            let report = read_as(format, stream, &bytes, code.map(Exit::code));
            if code.is_none() {
                prop_assert!(!report.is_green());
            }
        }
    }

    #[test]
    fn any_damage_gives_a_report(which in any::<prop::sample::Index>(), part in any::<prop::sample::Index>(), stream in 0usize..7, edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let recording = which.get(&ALL);
        let mut sources: Vec<Vec<u8>> = recording.files.iter().map(|(_, bytes)| bytes.clone()).collect();
        sources.push(recording.stdout.clone());
        sources.push(recording.stderr.clone());
        let mut bytes = part.get(&sources).clone();
        bytes.truncate(60_000);
        if !bytes.is_empty() {
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                match byte % 3 {
                    0 => bytes[at] = byte,
                    1 => { bytes.remove(at); if bytes.is_empty() { break; } }
                    _ => bytes.insert(at, byte),
                }
            }
        }
        for format in Format::ALL {
            read_as(format, stream, &bytes, Some(recording.case.exit));
        }
    }

    #[test]
    fn no_moved_line_changes_a_green_report(which in any::<prop::sample::Index>(), from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let (recording, stream, lines) = which.get(&STREAMS);
        let (from, to) = (from.index(lines.len()), to.index(lines.len()));
        let mut moved = lines.clone();
        let line = moved.remove(from);
        moved.insert(to, line);
        prop_assume!(moved != *lines);
        let report = with(recording, stream, refit(&moved));
        // Numbered records have one order. libtest's have not: two tests may begin in either
        // order, and then the report is the same.
        if stream.ends_with(".ndjson") {
            prop_assert!(!report.is_green());
        } else if report.is_green() {
            prop_assert_eq!(report.counts, recording.report().counts);
            prop_assert!(moved.iter().rfind(|line| line.contains("\"type\"")).is_some_and(|line| line.contains("\"suite\"")));
        }
    }

    #[test]
    fn no_forged_line_is_green(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), name in "[a-z:_]{1,12}", word in prop::sample::select(vec!["ok", "failed", "started", "ignored"]), number in 0u64..40, pair in any::<bool>()) {
        let (recording, stream, lines) = which.get(&STREAMS);
        let forged = if stream.ends_with(".ndjson") {
            format!("{{\"n\": {number}, \"k\": \"report\", \"id\": \"{name}\", \"when\": \"call\", \"outcome\": \"passed\"}}")
        } else {
            format!("{{ \"type\": \"test\", \"name\": \"{name}\", \"event\": \"{word}\" }}")
        };
        let mut with_forged = lines.clone();
        let at = 1 + at.index(lines.len());
        with_forged.insert(at, forged);
        // A careful forger writes both ends of a test that does not exist.
        if pair && !stream.ends_with(".ndjson") {
            with_forged.insert(at, format!("{{ \"type\": \"test\", \"event\": \"started\", \"name\": \"{name}\" }}"));
        }
        let report = with(recording, stream, refit(&with_forged));
        prop_assert!(!report.is_green() && !report.complete);
    }
}
