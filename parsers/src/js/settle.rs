//! How runs of Jest and Vitest end: structure and text together, and the exit status.

use crate::compose;
use crate::compose::Compose;
use crate::js::results::Found;
use crate::live::End;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::text;
use crate::text::Tail;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// The results of several documents together.
pub(crate) fn plus(all: Option<Found>, more: Found) -> Found {
    let Some(mut all) = all else {
        return more;
    };
    all.passed += more.passed;
    all.failed += more.failed;
    all.skipped += more.skipped;
    all.flaky += more.flaky;
    all.silent += more.silent;
    all.said.0 += more.said.0;
    all.said.1 += more.said.1;
    all.said.2 += more.said.2;
    all.interrupted |= more.interrupted;
    all.failures.extend(more.failures);
    all.faults.extend(more.faults);
    all
}

/// Text has what structure loses: both sides, the place in the source, failures of suites.
pub(crate) fn complete(failures: &mut Vec<Failure>, told: &[Failure]) {
    let mut by_name: BTreeMap<String, Vec<&Failure>> = BTreeMap::new();
    for other in told {
        by_name.entry(plain(other)).or_default().push(other);
    }
    let mut phases: BTreeSet<(String, Option<String>, u8)> = BTreeSet::new();
    let mut names: BTreeSet<(String, Option<String>)> = BTreeSet::new();
    for failure in failures.iter_mut() {
        let others = by_name.get(&plain(failure)).map_or(&[][..], Vec::as_slice);
        if let Some(other) = counterpart(failure, others) {
            take_over(failure, other);
        }
        let name = (failure.id.clone(), failure.target.clone());
        names.insert(name.clone());
        phases.insert((name.0, name.1, failure.phase as u8));
    }
    // A test that failed in several phases is one entry there.
    for other in told {
        let name = (other.id.clone(), other.target.clone());
        let phase = (other.id.clone(), other.target.clone(), other.phase as u8);
        if names.contains(&name) && phases.insert(phase) {
            failures.push(other.clone());
        }
    }
}

/// A name however its titles are joined.
fn plain(failure: &Failure) -> String {
    failure.id.replace(" > ", " ").replace(" › ", " ")
}

/// The same failure in the text.
fn counterpart<'a>(failure: &Failure, others: &[&'a Failure]) -> Option<&'a Failure> {
    let of_file = |other: &&&Failure| other.target == failure.target || failure.target.is_none();
    let line = |failure: &Failure| failure.location.as_ref().map(|at| at.line);
    let known = |place: &Option<Option<u32>>| place.flatten().is_some();
    let mut same = others.iter().take(50).filter(of_file);
    // Several tests may have one name, and a hook is known by the lines around it, which only
    // text has: the line tells.
    let of_line = same.clone().find(|other| line(other) == line(failure));
    let other = of_line.or_else(|| {
        same.find(|other| {
            let both = known(&line(other)) && known(&line(failure));
            other.phase == failure.phase && !both
        })
    });
    other.copied()
}

fn take_over(failure: &mut Failure, other: &Failure) {
    failure.diff = other.diff.clone().or(failure.diff.take());
    if failure.location.as_ref().is_none_or(|at| at.line.is_none()) {
        failure.location = other.location.clone().or(failure.location.take());
    }
    let hook = matches!(
        other.kind,
        FailureKind::SetupError | FailureKind::TeardownError | FailureKind::Timeout
    );
    let unlike = matches!(failure.kind, FailureKind::Panic | FailureKind::Assertion);
    if !failure.kind_sure && other.kind_sure || hook && unlike {
        (failure.kind, failure.phase) = (other.kind, other.phase);
        failure.kind_sure = other.kind_sure;
    }
    if failure.message.is_empty() || failure.message == "no message" {
        failure.message.clone_from(&other.message);
    }
    if failure.message == "timed out" {
        failure.message.clone_from(&other.message);
    }
}

/// Puts the results of structure into a report.
pub(crate) fn add(compose: &mut Compose, found: Found) {
    compose.counts.passed += found.passed;
    compose.counts.failed += found.failed;
    compose.counts.skipped += found.skipped;
    compose.counts.flaky += found.flaky;
    for fault in found.faults {
        compose.incomplete(compose::inconsistent(fault));
    }
    if found.interrupted {
        let message = "the report says that the run was interrupted";
        compose.incomplete(Note::new("interrupted", message));
        compose.outcome(Outcome::Interrupted);
    }
    for failure in found.failures {
        compose.failure(compose::seal(failure));
    }
}

/// The titles of a failure whose id they make.
pub(crate) fn path_of(failure: &Failure) -> Vec<String> {
    match failure.target {
        Some(_) => failure.id.split(" > ").map(str::to_owned).collect(),
        None => Vec::new(),
    }
}

/// The file of a failure.
pub(crate) fn file_of(failure: &Failure) -> String {
    failure.target.clone().unwrap_or_else(|| failure.id.clone())
}

/// A run that its records tell, and that ended badly for another reason.
pub(crate) fn explain(compose: &mut Compose, end: &End, why: Option<&str>, heap: bool) {
    if heap {
        full_heap(compose);
    }
    let failing = end
        .exit
        .is_some_and(|exit| exit.code.is_some_and(|code| code != 0));
    if let Some(why) = why.filter(|_| failing && !compose.has_fault()) {
        let framework = "coverage";
        let mut failure =
            compose::failure(framework, FailureKind::ExitNonzero, Phase::Session, why);
        failure.kind_sure = true;
        compose.failed(compose::seal(failure));
    }
}

/// V8 ended the process because its heap was full: whoever ran then needed the memory.
fn full_heap(compose: &mut Compose) {
    for failure in &mut compose.failures {
        if failure.kind == FailureKind::Crash {
            failure.kind = FailureKind::Oom;
            failure.message = format!("the heap of node was full: {}", failure.message);
            *failure = compose::seal(failure.clone());
        }
    }
    compose.note(
        Note::new("heap_full", "node ended because its heap was full").remedy(
            "give it more with `NODE_OPTIONS=--max-old-space-size=MEGABYTES`, or make the test need less",
        ),
    );
}

/// What is known when text and files have been read.
pub(crate) struct Settle<'a> {
    /// The framework's name.
    pub framework: &'static str,
    /// The argv that runs everything again.
    pub rerun: Vec<String>,
    /// The end of what was printed.
    pub tail: &'a Tail,
    /// Why the command failed although no test did, where the framework said so.
    pub why: Option<&'a str>,
    /// The heap was full.
    pub heap: bool,
    /// The run has its end.
    pub ran: bool,
}

impl Settle<'_> {
    /// The exit status may raise the outcome, never lower it.
    pub fn settle(&self, compose: &mut Compose, end: &End) {
        self.status(compose, end);
        if self.heap {
            full_heap(compose);
            let died = compose.failures.iter().any(|f| f.kind == FailureKind::Oom);
            if !died && !self.ran {
                let message = "the heap of node was full";
                let failure = self.failure(FailureKind::Oom, message);
                compose.failed(failure);
            }
        }
    }

    fn status(&self, compose: &mut Compose, end: &End) {
        let Some(exit) = end.exit else {
            return;
        };
        if end.interrupted {
            return;
        }
        if exit.timed_out || exit.oom {
            let (kind, how) = crate::records::how(end.exit);
            let failure = self.failure(kind, &format!("{how} before the end of the run"));
            compose.failed(failure);
            return;
        }
        if let Some(signal) = exit.signal {
            let message = format!("died of {}", compose::signal_name(signal));
            compose.failed(self.failure(FailureKind::Crash, &message));
            compose.complete = false;
            return;
        }
        let code = exit.code.unwrap_or(0);
        let failed = compose.has_fault() || compose.counts.failed > 0;
        if code == 0 && failed {
            let message = "the command exited with status 0 although something failed";
            compose.note(Note::new("exit_disagrees", message));
        }
        if failed && !self.ran && code > 128 && !compose.failures.iter().any(crashed) {
            let message = format!("exited with status {code} before the end of the run");
            compose.failed(self.failure(FailureKind::Crash, &message));
        }
        if code == 0 || failed {
            return;
        }
        let ran = compose.counts.passed + compose.counts.skipped > 0;
        if self.ran && !ran {
            compose.outcome(Outcome::NoTests);
            return;
        }
        if self.ran {
            let message = format!("exited with status {code} although no test failed");
            let mut failure = self.failure(FailureKind::ExitNonzero, self.why.unwrap_or(&message));
            failure.kind_sure = self.why.is_some();
            compose.failed(failure);
            return;
        }
        let (kind, message) = match ran || code > 128 {
            true => (
                FailureKind::Crash,
                format!("exited with status {code} before the end of the run"),
            ),
            false => {
                let last = self.tail.lines(40);
                let line = last.iter().rev().find(|line| !line.trim().is_empty());
                let said = line.map(|line| format!(": {}", text::one_line(line)));
                let message = format!("exited with status {code}{}", said.unwrap_or_default());
                (FailureKind::ExitNonzero, message)
            }
        };
        let mut failure = self.failure(kind, &message);
        failure.kind_sure = false;
        compose.failed(failure);
    }

    fn failure(&self, kind: FailureKind, message: &str) -> Failure {
        let mut failure = compose::failure(self.framework, kind, Phase::Session, message);
        failure.details = text::block(&self.tail.lines(40).join("\n"), text::DETAILS);
        failure.rerun.clone_from(&self.rerun);
        compose::seal(failure)
    }
}

fn crashed(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::Crash | FailureKind::Oom)
}
