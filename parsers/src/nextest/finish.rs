//! The report of a whole nextest run.

use crate::cargo::package::Package;
use crate::compose;
use crate::compose::Compose;
use crate::context::Context;
use crate::junit;
use crate::libtest;
use crate::live::End;
use crate::nextest::MOST_FAILURES;
use crate::nextest::NextestRun;
use crate::nextest::State;
use crate::nextest::split;
use crate::nextest::status::Shown;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;

/// Whether a test failed by a panic, and its process did nothing unusual.
fn ordinary(shown: &Shown) -> bool {
    let panicked = |text: &str| text.contains(" panicked at ");
    let plain = |text: &str| !text.contains('(') || !text.contains("test failed with exit code");
    shown.word == "FAIL"
        && (panicked(&shown.errors) || panicked(&shown.output))
        && plain(&shown.errors)
        && plain(&shown.output)
}

impl NextestRun {
    /// The report of the whole run.
    pub fn finish(mut self, end: End) -> Report {
        let mut events = Vec::new();
        if let Some(line) = self.stdout.finish() {
            self.line(line.seen(), &mut events);
        }
        if let Some(line) = self.stderr.finish() {
            self.text_line(line.seen());
        }
        let mut compose = Compose::new();
        let tested = self.reader.began || !self.tests.is_empty();
        let reported = self.xml.is_some() && !tested;
        if tested {
            self.build.is_built();
        }
        self.build.settle_build(&mut compose);
        let source = if reported {
            Source::Report
        } else if self.tests.is_empty() {
            Source::Text
        } else {
            Source::Events
        };
        let xml = self.xml.take().map(|xml| xml.read(&self.context));
        self.settle_tests(&mut compose, xml.as_ref());
        if let Some(failed) = self.reader.list_failed.take() {
            let target = failed.split('`').nth(1).unwrap_or("nextest").to_owned();
            let failure = compose::failure(
                target,
                FailureKind::CollectionError,
                Phase::Collect,
                &failed,
            );
            compose.failed(compose::seal(failure));
        }
        self.settle_running(&mut compose, &end);
        self.settle_end(&mut compose, &end, tested, reported);
        compose.finish("nextest", source, &end)
    }

    /// Counts and failures: the summary counts, the JUnit file and the JSON lines explain.
    fn settle_tests(&mut self, compose: &mut Compose, xml: Option<&junit::Read>) {
        let count = |state| self.tests.values().filter(|s| **s == state).count() as u64;
        let (mut passed, mut failed, mut skipped) = (
            count(State::Passed),
            count(State::Failed),
            count(State::Ignored),
        );
        if let Some(summary) = &self.reader.summary {
            if !self.tests.is_empty() && (summary.passed, summary.failed) != (passed, failed) {
                let message = format!(
                    "the summary counts {} passed and {} failed, the tests' own lines {passed} and {failed}",
                    summary.passed, summary.failed
                );
                compose.incomplete(compose::inconsistent(message));
            }
            if self.doubled {
                compose.incomplete(compose::inconsistent("a test began or ended twice"));
            }
            passed = summary.passed;
            failed = failed.max(summary.failed);
            skipped = summary.skipped;
            compose.counts.flaky = summary.flaky;
        }
        if let Some(read) = xml.filter(|_| self.reader.summary.is_none() && self.tests.is_empty()) {
            // The file alone.
            passed = read.passed;
            skipped = read.skipped;
        }
        let mut failures = self.failures(xml);
        for (id, target) in xml.map(|read| read.silent.clone()).unwrap_or_default() {
            // It is counted as passed by nextest, and did not end.
            passed = passed.saturating_sub(1);
            failed += 1;
            let message = "the process exited with status 0 while this test was running";
            let mut failure = compose::failure(id, FailureKind::Crash, Phase::Call, message);
            failure.rerun = rerun(&self.context, target.as_deref(), &failure.id);
            failure.target = target;
            failures.push(compose::seal(failure));
        }
        compose.counts.passed = passed;
        compose.counts.skipped = skipped;
        compose.counts.failed = failed.max(failures.len() as u64);
        failures
            .into_iter()
            .for_each(|failure| compose.failure(failure));
        let faults = xml.map(|read| read.faults.clone()).unwrap_or_default();
        for fault in faults {
            compose.incomplete(Note::new(
                "report_unreadable",
                format!("`junit.xml`: {fault}"),
            ));
        }
    }

    fn failures(&mut self, xml: Option<&junit::Read>) -> Vec<Failure> {
        if let Some(read) = xml.filter(|read| !read.failures.is_empty() && read.faults.is_empty()) {
            return read
                .failures
                .iter()
                .map(|failure| {
                    let mut failure = failure.clone();
                    failure.rerun = rerun(&self.context, failure.target.as_deref(), &failure.id);
                    failure
                })
                .collect();
        }
        if self.failed.is_empty() {
            let shown = self.reader.failed();
            let shown = shown.into_iter().enumerate();
            return shown
                .map(|(number, mut shown)| {
                    // Behind those that are listed only the kind is asked for.
                    if number >= MOST_FAILURES && ordinary(&shown) {
                        shown.output.clear();
                        shown.errors.clear();
                    }
                    self.shown(shown)
                })
                .collect();
        }
        self.reader.stop();
        let words = &self.reader.shown;
        let word_of = |failure: &Failure| {
            words
                .values()
                .find(|shown| shown.name == failure.id && target(&shown.binary) == failure.target)
        };
        let mut failures = std::mem::take(&mut self.failed);
        // Of several tries the last one counts.
        failures.reverse();
        let mut kept: Vec<Failure> = Vec::new();
        for failure in failures {
            let again = |known: &Failure| known.id == failure.id && known.target == failure.target;
            if !kept.iter().any(again) {
                let word = word_of(&failure)
                    .map(|shown| shown.word.clone())
                    .unwrap_or_default();
                kept.push(with_word(failure, &word));
            }
        }
        kept.reverse();
        kept
    }

    fn shown(&self, mut shown: Shown) -> Failure {
        // nextest's own last word, in brackets.
        let word = own_word(&mut shown.errors).or_else(|| own_word(&mut shown.output));
        let output = junit::joined(&shown.output, &shown.errors);
        let mut failure = failed(&shown.name, target(&shown.binary), &output, &self.context);
        let code = word.as_deref().and_then(|word| {
            let code = word.strip_prefix("test failed with exit code ")?;
            code.parse().ok()
        });
        if let Some(code) = code {
            junit::left(&mut failure, code, &shown.output);
        }
        with_word(failure, long(&shown.word))
    }

    /// Tests that never ended.
    fn settle_running(&mut self, compose: &mut Compose, end: &End) {
        let running: Vec<&String> = self
            .tests
            .iter()
            .filter(|(_, state)| **state == State::Running)
            .map(|(name, _)| name)
            .collect();
        let exit = end.exit.unwrap_or_default();
        // An ignored test is announced and never ends.
        if self.reader.summary.is_some() || end.interrupted || running.is_empty() {
            return;
        }
        let (kind, how) = if exit.timed_out {
            (FailureKind::Timeout, "the time limit was reached")
        } else if exit.oom {
            (FailureKind::Oom, "memory ran out")
        } else {
            (FailureKind::Crash, "nextest ended")
        };
        for name in &running {
            let (target, id) = split(name);
            let message = format!("{how} while this test was running");
            let mut failure = compose::failure(id, kind, Phase::Call, message);
            failure.kind_sure = running.len() == 1;
            failure.rerun = rerun(&self.context, target.as_deref(), &failure.id);
            failure.target = target;
            compose.failed(compose::seal(failure));
        }
    }

    fn settle_end(&mut self, compose: &mut Compose, end: &End, tested: bool, reported: bool) {
        // JSON lines that were saved alone end with the end of a suite.
        let json = self.log && !self.reader.began && self.suite_ended;
        let running = self.tests.values().any(|state| *state == State::Running);
        if tested && self.reader.summary.is_none() && (running || !json) {
            compose.incomplete(Note::new("no_end", "nextest's summary is missing"));
        }
        let exit = end.exit.unwrap_or_default();
        if let (Some(4), false) = (exit.code, compose.has_fault()) {
            compose.outcome(Outcome::NoTests);
            return;
        }
        if !tested && !reported && end.exit.is_none() && !compose.has_fault() {
            compose.incomplete(Note::new(
                "nothing_read",
                "the log holds no result that is known",
            ));
        }
        junit::settle_exit(compose, end, &self.tail, "nextest");
    }
}

/// The failure of a test by its own output.
pub(crate) fn failed(id: &str, target: Option<String>, output: &str, context: &Context) -> Failure {
    let package = Package::new(context.clone(), &context.dir);
    let mut failure = libtest::failure::of(id, output, None, &package);
    failure.rerun = rerun(context, target.as_deref(), id);
    failure.target = target;
    wordless(&mut failure, output);
    compose::seal(failure)
}

/// The harness never leaves without a word about a test that failed: a process without one
/// died, also where nobody says of what.
fn wordless(failure: &mut Failure, output: &str) {
    let says = |words: &str| output.contains(words);
    let unwound = says("thread caused non-unwinding panic. aborting.");
    let overflow = says(" has overflowed its stack");
    let told = says(" panicked at ")
        || says("note: ")
        || output.trim_start().starts_with("Error: ")
        || says("\nError: ");
    if failure.kind != FailureKind::Panic || (told && !unwound && !overflow) {
        return;
    }
    failure.kind = FailureKind::Crash;
    failure.kind_sure = unwound || overflow;
    failure.message = match (overflow, unwound) {
        (true, _) => "the process died: stack overflow",
        (_, true) => "the process died: a panic could not unwind",
        _ => "the process ended without a word of the harness",
    }
    .to_owned();
}

/// `(test aborted with signal 6: SIGABRT)` at the end of an output, taken out of it.
fn own_word(output: &mut String) -> Option<String> {
    let kept = output.trim_end();
    let at = kept.rfind('\n').map_or(0, |at| at + 1);
    let word = kept[at..].strip_prefix("(test ")?.strip_suffix(')')?;
    let word = format!("test {word}");
    output.truncate(at);
    Some(word)
}

/// The word of a status, in full: with a number of tries before it there is room for four
/// letters only.
fn long(word: &str) -> &str {
    match word {
        "ABRT" => "SIGABRT",
        "SEGV" => "SIGSEGV",
        "KILL" => "SIGKILL",
        "TRAP" => "SIGTRAP",
        "TERM" => "SIGTERM",
        "ILL" => "SIGILL",
        "BUS" => "SIGBUS",
        "FPE" => "SIGFPE",
        "TMT" => "TIMEOUT",
        word => word,
    }
}

/// Adds what only the status line says: signals and time-outs.
fn with_word(mut failure: Failure, word: &str) -> Failure {
    if word.starts_with("SIG") || word == "ABORT" {
        failure.kind = FailureKind::Crash;
        failure.kind_sure = true;
        let words = failure
            .stdout
            .as_deref()
            .or(failure.details.as_deref())
            .unwrap_or("");
        let overflow = words.contains("has overflowed its stack");
        let more = if overflow { ": stack overflow" } else { "" };
        failure.message = format!("the process died of {word}{more}");
    } else if word == "TIMEOUT" || word == "TERMINATING" {
        failure.kind = FailureKind::Timeout;
        failure.kind_sure = true;
        failure.message = "nextest's time limit was reached".to_owned();
    }
    compose::seal(failure)
}

/// The target in a binary's id: `leaf`, `leaf::whole`, `leaf::bin/tool`.
fn target(binary: &str) -> Option<String> {
    let last = binary.rsplit("::").next()?.rsplit('/').next()?;
    (!last.is_empty()).then(|| last.to_owned())
}

/// The filter that selects exactly one test, whatever its name holds.
fn rerun(context: &Context, target: Option<&str>, id: &str) -> Vec<String> {
    let program = context.command.first().map_or("cargo", String::as_str);
    let mut argv = vec![program.to_owned(), "nextest".to_owned(), "run".to_owned()];
    if !context.dir.is_empty() {
        argv.push("--manifest-path".to_owned());
        argv.push(format!("{}/Cargo.toml", context.dir));
    }
    argv.push("-E".to_owned());
    let name = escaped(id);
    argv.push(match target {
        Some(target) => format!("binary(={}) & test(={name})", escaped(target)),
        None => format!("test(={name})"),
    });
    argv
}

/// Escapes what ends or begins something in nextest's filter language.
fn escaped(word: &str) -> String {
    let mut out = String::new();
    for c in word.chars() {
        if matches!(c, '(' | ')' | ',' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rerun_is_a_filter() {
        let argv = rerun(&Context::default(), Some("whole"), "a::b(c)");
        assert_eq!(
            argv,
            [
                "cargo",
                "nextest",
                "run",
                "-E",
                r"binary(=whole) & test(=a::b\(c\))"
            ]
        );
    }

    #[test]
    fn binaries_name_their_targets() {
        let targets = ["leaf", "leaf::whole", "leaf::bin/tool"]
            .map(|binary| target(binary).unwrap_or_default());
        assert_eq!(targets, ["leaf", "whole", "tool"]);
    }
}
