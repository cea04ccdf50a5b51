//! The report of a whole run of node's tests.

use crate::compose;
use crate::compose::Compose;
use crate::context::Context;
use crate::live::End;
use crate::node::NodeRun;
use crate::node::path::Path;
use crate::node::point;
use crate::node::point::Found;
use crate::node::point::Point;
use crate::node::rerun;
use crate::node::scan::Scan;
use crate::node::tap::Said;
use crate::node::xml;
use crate::records;
use crate::report::FailureKind;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::text;
use crate::text::Tail;
use std::collections::HashSet;

/// What was read, and how far it goes.
struct Read {
    points: Vec<Point>,
    said: Option<Said>,
    ended: bool,
    /// Whether the tree is as long as the numbers say.
    agrees: bool,
    source: Source,
    late: Vec<String>,
}

impl NodeRun {
    /// The report of the whole run.
    pub(super) fn report(self, end: &End) -> Report {
        if self.records.began() {
            return self.records.report(end, &self.tail, |_, _| {});
        }
        let context = &self.context;
        let mut reads: Vec<Read> = Vec::new();
        for bytes in self.files.values() {
            let text = String::from_utf8_lossy(bytes);
            let bare = text.trim_start_matches('\u{feff}').trim_start();
            if let Some(points) = xml::read(bare, context) {
                reads.push(of_xml(points));
                continue;
            }
            let mut scan = Scan::new(context.clone());
            scan.feed(bytes);
            reads.extend(of_scan(scan, context, end));
        }
        if reads.is_empty() {
            // Standard error has only what a program printed.
            reads.extend(of_scan(self.out, context, end));
        }
        if reads.is_empty() {
            reads.extend(of_scan(self.err, context, end));
        }
        finish(reads, context, end, (self.live, &self.tail))
    }
}

fn of_xml(points: Vec<Point>) -> Read {
    Read {
        points,
        said: None,
        ended: true,
        agrees: true,
        source: Source::Report,
        late: Vec::new(),
    }
}

/// What a log comes to: a document, TAP, or text.
fn of_scan(scan: Scan, context: &Context, end: &End) -> Option<Read> {
    let found = scan.finish();
    if let Some(points) = found
        .xml
        .as_deref()
        .and_then(|text| xml::read(text, context))
    {
        return Some(of_xml(points));
    }
    if found.is_tap() {
        let said = found.tap.said();
        let late = found.tap.late.clone();
        return Some(Read {
            points: found.tap.points(),
            ended: said.ended,
            agrees: true,
            said: Some(said),
            source: Source::Report,
            late,
        });
    }
    if let Some((passed, bad)) = found.spec.dots() {
        // Signs of suites and of tests with tests of their own are among them.
        let listed = bad == 0 || found.spec.began();
        let mut points = found.spec.points(true);
        points.extend((0..passed.min(100_000)).map(|_| Point {
            path: Path::of(&[], ""),
            ..Point::default()
        }));
        return Some(Read {
            points,
            said: None,
            ended: listed && end.exit.is_some(),
            agrees: true,
            source: Source::Text,
            late: Vec::new(),
        });
    }
    if !found.spec.began() {
        return None;
    }
    let mut spec = found.spec;
    let said = spec.said();
    let late = std::mem::take(&mut spec.late);
    let failed = end.exit.is_none_or(|exit| !exit.success());
    Some(Read {
        agrees: spec.agrees(),
        points: spec.points(failed),
        ended: said.ended,
        said: Some(said),
        source: Source::Text,
        late,
    })
}

fn finish(reads: Vec<Read>, context: &Context, end: &End, (live, tail): (bool, &Tail)) -> Report {
    let mut compose = Compose::new();
    let source = reads.first().map_or(Source::Text, |read| read.source);
    let ended = !reads.is_empty() && reads.iter().all(|read| read.ended);
    for read in reads {
        let mut found = point::settle(&read.points, context);
        if let Some(said) = read.said.filter(|said| said.ended && !read.agrees) {
            // Tests have printed into the tree: node's own numbers are better.
            found.passed = said.pass.unwrap_or(found.passed);
            found.skipped = said.kept;
        }
        check(&mut compose, &read, &found);
        add(&mut compose, found);
        for late in &read.late {
            too_late(&mut compose, late, context);
        }
    }
    if !ended {
        broken_off(&mut compose, end, tail);
    }
    if live && compose.counts.passed > 0 && compose.counts.failed == 0 {
        compose.incomplete(compose::silent("node"));
    }
    settle(&mut compose, end, ended, tail);
    compose.finish("node-test", source, end)
}

/// The numbers at the end against what was read.
fn check(compose: &mut Compose, read: &Read, found: &Found) {
    let Some(said) = read.said.filter(|said| said.ended) else {
        return;
    };
    let named = found.failures.len() as u64;
    if said.bad() > 0 && named == 0 {
        compose.counts.failed += said.bad();
        compose.incomplete(Note::new(
            "cut_off",
            format!("{} tests failed, and none is named", said.bad()),
        ));
    } else if said.bad() == 0 && named > 0 {
        compose.incomplete(compose::inconsistent(format!(
            "{named} tests look failed, the last lines count none"
        )));
    }
}

fn add(compose: &mut Compose, found: Found) {
    compose.counts.passed += found.passed;
    compose.counts.skipped += found.skipped;
    compose.filtered += found.filtered;
    let mut seen: HashSet<(String, Option<String>, Option<u32>)> = HashSet::new();
    for failure in found.failures {
        let line = failure
            .test_location
            .as_ref()
            .or(failure.location.as_ref())
            .and_then(|at| at.line);
        let key = (failure.id.clone(), failure.target.clone(), line);
        if line.is_some() && !seen.insert(key) {
            continue;
        }
        compose.failed(failure);
    }
}

/// `Error: Test "fine" at late.test.js:2:1 generated asynchronous activity after the test ended.
/// This activity created the error "Error: late" and …`.
fn too_late(compose: &mut Compose, text: &str, context: &Context) {
    let made = text
        .split_once("created the error \"")
        .map_or("", |(_, rest)| rest);
    let made = made.split("\" and would have").next().unwrap_or(made);
    let made = made.split("\" which triggered").next().unwrap_or(made);
    let named = text.split_once("Test \"").map(|(_, rest)| rest);
    let (id, at) = match named.and_then(|rest| rest.split_once("\" at ")) {
        Some((id, rest)) => (
            id,
            rest.split(' ')
                .next()
                .and_then(|at| point::place(at, context)),
        ),
        None => ("asynchronous activity after the test ended", None),
    };
    let kind = match made.starts_with("AssertionError") {
        true => FailureKind::Assertion,
        false => FailureKind::Panic,
    };
    let mut failure = compose::failure(id, kind, Phase::Call, made);
    failure.target = at.as_ref().map(|at| at.file.clone());
    failure.location.clone_from(&at);
    failure.test_location = at;
    failure.details = text::block(text, text::DETAILS);
    let selected = named.map(|_| vec![id.to_owned()]).unwrap_or_default();
    failure.rerun = rerun::argv(context, failure.target.as_deref().unwrap_or(""), &selected);
    // The file fails by this alone: it is not told twice.
    let file = failure.target.clone();
    let same = |known: &crate::report::Failure| {
        Some(&known.id) == file.as_ref()
            && matches!(
                known.kind,
                FailureKind::ExitNonzero | FailureKind::Crash | FailureKind::CollectionError
            )
    };
    if let Some(at) = compose.failures.iter().position(same) {
        compose.failures.remove(at);
        compose.counts.failed -= 1;
    }
    compose.failed(compose::seal(failure));
}

/// The last lines are missing.
fn broken_off(compose: &mut Compose, end: &End, tail: &Tail) {
    compose.incomplete(Note::new("cut_off", "the output has no end of a run"));
    let Some(exit) = end.exit else {
        return;
    };
    if end.interrupted || exit.signal.is_some() {
        return;
    }
    let seen = compose.counts.passed + compose.counts.failed + compose.counts.skipped;
    let (mut kind, how) = records::how(end.exit);
    let last = tail.lines(40);
    let mut message = format!("{how} before the end of the run");
    if seen == 0 && kind == FailureKind::Crash {
        if exit.code == Some(0) {
            return;
        }
        let line = last
            .last()
            .map(|line| format!(": {}", text::one_line(line)));
        message = format!("{how}{}", line.unwrap_or_default());
        kind = FailureKind::ExitNonzero;
        if last.iter().any(|line| line.starts_with("Could not find ")) {
            compose.outcome(Outcome::NoTests);
            compose.note(Note::new("no_test_files", text::one_line(&last.join(" "))));
            return;
        }
        if exit.code == Some(9) {
            compose.outcome(Outcome::UsageError);
            compose.note(Note::new("usage", message));
            return;
        }
    }
    let mut failure = compose::failure("node-test", kind, Phase::Session, message);
    failure.kind_sure = kind != FailureKind::ExitNonzero;
    failure.details = text::block(&last.join("\n"), text::DETAILS);
    compose.failed(compose::seal(failure));
}

/// The exit status may raise the outcome, never lower it.
fn settle(compose: &mut Compose, end: &End, ended: bool, tail: &Tail) {
    let Some(exit) = end.exit else {
        return;
    };
    if exit.timed_out || exit.oom || end.interrupted {
        return;
    }
    if let Some(signal) = exit.signal {
        let message = format!("died of {}", compose::signal_name(signal));
        let mut failure =
            compose::failure("node-test", FailureKind::Crash, Phase::Session, message);
        failure.details = text::block(&tail.lines(40).join("\n"), text::DETAILS);
        compose.failed(compose::seal(failure));
        compose.complete = false;
        return;
    }
    let code = exit.code.unwrap_or(0);
    let failed = compose.has_fault() || compose.counts.failed > 0;
    if code == 0 && failed {
        let message = "the command exited with status 0 although something failed";
        compose.note(Note::new("exit_disagrees", message));
    }
    if code == 0 || failed || !ended {
        return;
    }
    if compose.counts.passed + compose.counts.skipped == 0 {
        compose.outcome(Outcome::NoTests);
        return;
    }
    let message = format!("exited with status {code} although no test failed");
    let mut failure = compose::failure(
        "node-test",
        FailureKind::ExitNonzero,
        Phase::Session,
        message,
    );
    failure.kind_sure = false;
    failure.details = text::block(&tail.lines(30).join("\n"), text::DETAILS);
    compose.failed(compose::seal(failure));
}
