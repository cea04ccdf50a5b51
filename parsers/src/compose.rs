//! Puts a report together: counts, failures, notes, and the one word for all of it.

use crate::fingerprint;
use crate::live::End;
use crate::report::Counts;
use crate::report::Diagnostic;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::text;
use std::sync::LazyLock;

/// More failures than this are counted, but not listed.
pub(crate) const MOST_FAILURES: usize = 2000;
/// More diagnostics than this are not listed.
const MOST_DIAGNOSTICS: usize = 200;

/// A report in the making.
#[derive(Debug)]
pub(crate) struct Compose {
    /// How many tests ended how.
    pub counts: Counts,
    /// What failed.
    pub failures: Vec<Failure>,
    /// Warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// Facts about the run.
    pub notes: Vec<Note>,
    /// Whether everything has its end marker and agrees.
    pub complete: bool,
    /// Tests that a filter left out.
    pub filtered: u64,
    outcomes: Vec<Outcome>,
    dropped: usize,
}

impl Compose {
    /// An empty report in the making; complete until something says otherwise.
    pub fn new() -> Self {
        Compose {
            counts: Counts::default(),
            failures: Vec::new(),
            diagnostics: Vec::new(),
            notes: Vec::new(),
            complete: true,
            filtered: 0,
            outcomes: Vec::new(),
            dropped: 0,
        }
    }

    /// Adds a failure as it is, without counting it.
    pub fn failure(&mut self, failure: Failure) {
        if self.failures.len() >= MOST_FAILURES {
            self.dropped += 1;
            self.outcome(outcome_of(&failure));
            return;
        }
        let number = self.failures.len();
        self.failures.push(slim(failure, number));
    }

    /// Whether no more failures are listed: what comes only counts, and need not be made.
    pub fn is_full(&self) -> bool {
        self.failures.len() >= MOST_FAILURES
    }

    /// Counts a failed test that is not listed ([`Compose::is_full`]), of an ordinary kind.
    pub fn unlisted(&mut self) {
        self.counts.failed += 1;
        self.dropped += 1;
        self.outcome(Outcome::Failed);
    }

    /// Adds a failure and counts it as one failed test.
    pub fn failed(&mut self, failure: Failure) {
        self.counts.failed += 1;
        self.failure(failure);
    }

    /// Takes over the outcome of another report, where it says that something is wrong.
    pub fn outcome_of(&mut self, report: &Report) {
        if !matches!(report.outcome, Outcome::Passed | Outcome::NoTests) {
            self.outcome(report.outcome);
        }
    }

    /// Lays another report into this one, but for its outcome.
    pub fn lay_in(&mut self, report: Report) {
        self.counts.passed += report.counts.passed;
        self.counts.failed += report.counts.failed;
        self.counts.skipped += report.counts.skipped;
        self.counts.flaky += report.counts.flaky;
        self.complete &= report.complete;
        for failure in report.failures {
            self.failure(failure);
        }
        for diagnostic in report.diagnostics {
            self.diagnostic(diagnostic);
        }
        for note in report.notes {
            self.note(note);
        }
    }

    /// Adds a diagnostic, once.
    pub fn diagnostic(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < MOST_DIAGNOSTICS && !self.diagnostics.contains(&diagnostic) {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Adds a note, once.
    pub fn note(&mut self, note: Note) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The run is not to be believed whole, and why.
    pub fn incomplete(&mut self, note: Note) {
        self.complete = false;
        self.note(note);
    }

    /// Something that decides the outcome besides the failures.
    pub fn outcome(&mut self, outcome: Outcome) {
        if !self.outcomes.contains(&outcome) {
            self.outcomes.push(outcome);
        }
    }

    /// Whether anything already says that the run is not green.
    pub fn has_fault(&self) -> bool {
        !self.failures.is_empty() || self.dropped > 0 || !self.outcomes.is_empty()
    }

    /// The finished report.
    pub fn finish(mut self, framework: &str, source: Source, end: &End) -> Report {
        if end.interrupted {
            self.outcome(Outcome::Interrupted);
            self.complete = false;
        }
        let exit = end.exit.unwrap_or_default();
        if exit.timed_out {
            self.outcome(Outcome::Timeout);
            self.complete = false;
        }
        if exit.oom {
            self.outcome(Outcome::Crashed);
            self.complete = false;
            self.note(
                Note::new(
                    "out_of_memory",
                    "the kernel ended the run because memory ran out",
                )
                .remedy("raise the suite's memory limit or make its tests need less"),
            );
        }
        self.counts.total = self.counts.passed + self.counts.failed + self.counts.skipped;
        let found = self
            .failures
            .iter()
            .map(outcome_of)
            .chain(self.outcomes.iter().copied());
        let outcome = Outcome::worst(found).unwrap_or(if self.counts.failed > 0 {
            Outcome::Failed
        } else if !self.complete && self.counts.passed > 0 {
            // Something has no end marker: whatever it was, it is not a pass.
            Outcome::Crashed
        } else if self.counts.passed > 0 {
            Outcome::Passed
        } else {
            Outcome::NoTests
        });
        if self.dropped > 0 {
            let message = format!("{} more failures are not listed", self.dropped);
            self.note(Note::new("failures_left_out", message));
        }
        if self.filtered > 0 {
            self.note(filtered_out(self.filtered));
        }
        let mut report = Report::new(framework, source, outcome);
        report.complete = self.complete;
        report.counts = self.counts;
        report.failures = self.failures;
        report.diagnostics = self.diagnostics;
        report.notes = self.notes;
        report.run.exit = end.exit;
        report.group();
        report
    }
}

/// A verdict is about the tests that ran: which ones did not is part of it.
fn filtered_out(number: u64) -> Note {
    let tests = if number == 1 {
        "test was"
    } else {
        "tests were"
    };
    let message = format!(
        "{number} {tests} left out by a filter of the command or its configuration, and did not run"
    );
    Note::new("filtered_out", message)
}

/// After the first failures each further one keeps only the beginning and the end of what it
/// says at length: nobody reads a thousand backtraces, and memory is bounded.
pub(crate) fn slim(mut failure: Failure, number: usize) -> Failure {
    const WHOLE: usize = 200;
    const SLIM: usize = 2 * 1024;
    if number >= WHOLE {
        for long in [
            &mut failure.details,
            &mut failure.stdout,
            &mut failure.stderr,
        ] {
            *long = long.take().map(|text| text::cap(&text, SLIM));
        }
        failure.frames.truncate(5);
    }
    failure
}

/// What a failure makes of the whole run.
fn outcome_of(failure: &Failure) -> Outcome {
    match failure.kind {
        // A doctest that does not compile is one failed test, not a failed build.
        FailureKind::CompileError if failure.phase == Phase::Build => Outcome::BuildFailed,
        FailureKind::CollectionError => Outcome::CollectionError,
        FailureKind::Crash | FailureKind::Oom => Outcome::Crashed,
        _ => Outcome::Failed,
    }
}

/// A failure with nothing but the necessary; its kind is taken as proved.
pub(crate) fn failure(
    id: impl Into<String>,
    kind: FailureKind,
    phase: Phase,
    message: impl AsRef<str>,
) -> Failure {
    Failure::new(id, kind, phase, text::one_line(message.as_ref()))
}

/// What an event says of a failed test when so many have failed that the report lists no more:
/// its name, and that it failed.
pub(crate) fn unlisted(id: &str, target: Option<String>) -> Failure {
    static USUAL: LazyLock<Failure> = LazyLock::new(|| {
        let words = "failed as many others did; only the first ones are explained";
        let mut usual = seal(failure("", FailureKind::Panic, Phase::Call, words));
        usual.kind_sure = false;
        usual
    });
    let mut failure = USUAL.clone();
    id.clone_into(&mut failure.id);
    failure.target = target;
    failure
}

/// Gives a failure that is otherwise ready its fingerprint.
pub(crate) fn seal(mut failure: Failure) -> Failure {
    if failure.message.is_empty() {
        failure.message = "no message".to_owned();
    }
    failure.fingerprint = fingerprint::of(&failure);
    failure
}

/// The note for a stream that contradicts itself.
pub(crate) fn inconsistent(message: impl Into<String>) -> Note {
    Note::new("inconsistent_stream", message).remedy(
        "run the tests one process each (regreen does so by itself); code that writes test \
         results to standard output or to the event file cannot be believed",
    )
}

/// The note for a live run whose own reporter said nothing: what is read of text then may be
/// what anybody wrote.
pub(crate) fn silent(runner: &str) -> Note {
    let message = format!("regreen's own reporter said nothing of this run of {runner}");
    Note::new("no_events", message)
        .remedy("see whether the command hides the runner's environment or options")
}

/// The usual name of a signal.
pub(crate) fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return format!("signal {signal}"),
    };
    format!("signal {signal} ({name})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Exit;

    #[test]
    fn nothing_at_all_is_no_tests_and_not_green() {
        let report = Compose::new().finish("cargo", Source::Text, &End::default());
        assert_eq!(report.outcome, Outcome::NoTests);
        assert!(!report.is_green());
    }

    #[test]
    fn a_time_out_is_never_complete() {
        let mut compose = Compose::new();
        compose.counts.passed = 3;
        let exit = Exit {
            timed_out: true,
            ..Exit::default()
        };
        let report = compose.finish("cargo", Source::Events, &End::exit(exit));
        assert_eq!(report.outcome, Outcome::Timeout);
        assert!(!report.complete);
    }

    #[test]
    fn failures_beyond_the_cap_still_count() {
        let mut compose = Compose::new();
        for i in 0..MOST_FAILURES + 5 {
            compose.failed(failure(
                format!("t{i}"),
                FailureKind::Panic,
                Phase::Call,
                "x",
            ));
        }
        let report = compose.finish("cargo", Source::Events, &End::default());
        assert_eq!(report.failures.len(), MOST_FAILURES);
        assert_eq!(report.counts.failed, MOST_FAILURES as u64 + 5);
        assert_eq!(report.notes[0].code, "failures_left_out");
    }
}
