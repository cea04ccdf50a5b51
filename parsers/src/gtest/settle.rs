//! What a run of GoogleTest came to: results, crashes in mid-test, builds that failed, and
//! whether all of it agrees with the exit status.

use crate::cc;
use crate::cc::crash;
use crate::compose;
use crate::compose::Compose;
use crate::context::Context;
use crate::gtest::GtestRun;
use crate::gtest::Inlined;
use crate::gtest::ask;
use crate::gtest::document::Document;
use crate::gtest::failure;
use crate::gtest::failure::Places;
use crate::gtest::merge;
use crate::gtest::program::Program;
use crate::live::End;
use crate::report::Diagnostic;
use crate::report::Exit;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::text;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// The report of everything that was read.
pub(super) fn report(mut run: GtestRun, end: &End) -> Report {
    let mut compose = Compose::new();
    if run.inline.state == Inlined::Yes {
        let document = std::mem::take(&mut run.inline.document);
        log_as_file(&mut run.files, document);
    }
    let files = merge::read(&run.files);
    let asked = !files.programs.is_empty() || !files.broken.is_empty();
    let source = match files.programs.is_empty() {
        true => Source::Text,
        false => Source::Report,
    };
    let texts = std::mem::take(&mut run.reader).finish();
    let text_began = texts
        .iter()
        .any(|text| text.announced.is_some() || text.started > 0);
    let text_ended = texts
        .iter()
        .filter(|text| text.announced.is_some())
        .all(|text| text.ended);
    let (programs, faults) = merge::all(files, texts);
    for fault in faults {
        compose.incomplete(compose::inconsistent(text::one_line(&fault)));
    }
    let tests_began = programs
        .iter()
        .any(|program| program.announced.is_some() || program.started > 0);
    build(&mut run, &mut compose, end, tests_began);
    let mut places = Places::default();
    for program in &programs {
        places.learn(program.failed.iter().flat_map(|case| &case.blocks));
        places.learn(program.outside.iter().flat_map(|one| &one.blocks));
    }
    let settle = Settle {
        run: &run,
        places: &places,
        end,
    };
    settle.programs(&mut compose, &programs);
    let incomplete_text = text_began && !text_ended;
    if incomplete_text || (source == Source::Report && !run.pasted && !text_began) {
        compose.complete = false;
    }
    if run.live && tests_began && !asked && text_ended && !settle.refuses_json() {
        compose.incomplete(
            Note::new("no_report", "GoogleTest wrote no report file, although it was asked to")
                .remedy("the tests' main() has to call InitGoogleTest and to return what RUN_ALL_TESTS returns"),
        );
    }
    settle.exit(&mut compose, &programs);
    compose.finish("gtest", source, end)
}

/// A report that somebody gives as the log counts as a file.
fn log_as_file(files: &mut BTreeMap<String, Document>, document: Document) {
    if matches!(document.read(), crate::gtest::document::Read::Program(_))
        || (files.is_empty() && matches!(document.read(), crate::gtest::document::Read::Broken(_)))
    {
        files.insert("log".to_owned(), document);
    }
}

/// What compilers said: fatal if no test ran, or if the whole command failed and it said so
/// before the tests.
fn build(run: &mut GtestRun, compose: &mut Compose, end: &End, tests_began: bool) {
    let context = run.context.clone();
    let found = std::mem::take(&mut run.build).finish(&context);
    let errors = std::mem::take(&mut run.build_errors).finish(&context);
    let failed = !end.exit.is_some_and(|exit| exit.success());
    add_build(compose, found, failed);
    // Whatever the tests themselves print to standard error is no build's.
    if !tests_began {
        add_build(compose, errors, failed);
    }
}

/// Adds what a build came to; where the command succeeded its errors were not fatal.
pub(crate) fn add_build(compose: &mut Compose, found: cc::Found, failed: bool) {
    for warning in found.warnings {
        compose.diagnostic(warning);
    }
    for failure in found.failures {
        if failed {
            compose.failure(failure);
        } else {
            compose.diagnostic(Diagnostic {
                level: "error".to_owned(),
                code: failure.code,
                message: failure.message,
                location: failure.location,
            });
        }
    }
    if found.more > 0 {
        let message = format!("{} more errors of the build are not listed", found.more);
        compose.note(Note::new("failures_left_out", message));
    }
}

struct Settle<'a> {
    run: &'a GtestRun,
    places: &'a Places,
    end: &'a End,
}

impl Settle<'_> {
    fn context(&self) -> &Context {
        &self.run.context
    }

    fn programs(&self, compose: &mut Compose, programs: &[Program]) {
        // An iteration fails the same tests again; they are told once.
        let mut told: BTreeSet<String> = BTreeSet::new();
        let once = !programs.iter().any(|program| program.repeat);
        for (at, program) in programs.iter().enumerate() {
            if !program.repeat {
                told.clear();
                compose.counts.passed += program.passed;
                compose.counts.skipped += program.skipped + program.disabled;
                compose.counts.failed += program.more;
            }
            for fault in &program.faults {
                compose.incomplete(compose::inconsistent(text::one_line(fault)));
            }
            for case in &program.failed {
                // What is not listed need not be made, unless an iteration tells it again.
                if once && compose.is_full() {
                    if told.insert(format!("{:?} {}", Phase::Call, case.id)) {
                        compose.unlisted();
                    }
                    continue;
                }
                let failure = failure::of_case(case, self.places, self.context());
                self.add(compose, failure, program, &mut told);
            }
            for outside in &program.outside {
                let failure = failure::of_outside(outside, self.places, self.context());
                self.add(compose, failure, program, &mut told);
            }
            if !program.ended && program.announced.is_some() {
                compose.complete = false;
            }
            let last = at + 1 == programs.len();
            if let Some(running) = &program.running
                && let Some(failure) = self.died(running, last)
            {
                self.add(compose, failure, program, &mut told);
            }
        }
    }

    fn add(
        &self,
        compose: &mut Compose,
        mut failure: Failure,
        program: &Program,
        told: &mut BTreeSet<String>,
    ) {
        let key = format!("{:?} {}", failure.phase, failure.id);
        if !told.insert(key) {
            return;
        }
        if program.repeat {
            // It passed in an iteration before, and was counted there.
            compose.counts.passed = compose.counts.passed.saturating_sub(1);
        }
        failure.target.clone_from(
            &program
                .binary
                .as_ref()
                .filter(|name| *name != "log")
                .cloned(),
        );
        failure.rerun = ask::rerun(&failure.id, self.context());
        compose.failed(failure);
    }

    /// The failure of the test that was running when its process ended.
    fn died(&self, running: &crate::gtest::program::Case, last: bool) -> Option<Failure> {
        if self.end.interrupted {
            return None;
        }
        let exit = self.end.exit.unwrap_or_default();
        let (kind, how) = how(self.end.exit, last);
        let errors = match last {
            true => self.run.error_tail.lines(400).join("\n"),
            false => String::new(),
        };
        let mut failure =
            failure::of_running(running, kind, &how, &errors, self.places, self.context());
        failure.kind_sure = self.end.exit.is_some() && (last || exit.signal.is_none());
        if last {
            failure.stderr = text::block(&self.run.error_tail.lines(200).join("\n"), text::DETAILS);
        }
        Some(failure)
    }

    /// Old versions know no JSON and say so.
    fn refuses_json(&self) -> bool {
        let lines = self
            .run
            .error_tail
            .lines(400)
            .into_iter()
            .chain(self.run.tail.lines(400));
        lines
            .into_iter()
            .any(|line| line.contains("unrecognized output format \"json\""))
    }

    fn exit(&self, compose: &mut Compose, programs: &[Program]) {
        let Some(exit) = self.end.exit else {
            if !compose.has_fault() && compose.counts.passed == 0 {
                compose.complete = false;
            }
            return;
        };
        if exit.timed_out || exit.oom || self.end.interrupted {
            return;
        }
        let running = programs.iter().any(|program| program.running.is_some());
        if exit.success() {
            self.succeeded(compose, programs, running);
            return;
        }
        if running {
            return;
        }
        if compose.failures.is_empty() {
            self.unexplained(compose, exit, programs);
        } else if exit_signal(exit).is_some() {
            self.after_tests(compose, exit);
        } else if let Some(words) = self.leak() {
            self.session(
                compose,
                FailureKind::ExitNonzero,
                words.message.clone(),
                Some(&words),
            );
        }
    }

    /// Status 0: nothing may have failed, and what began has ended.
    fn succeeded(&self, compose: &mut Compose, programs: &[Program], running: bool) {
        let unfinished = programs
            .iter()
            .any(|program| !program.ended && program.announced.is_some());
        if unfinished && !running {
            compose.outcome(Outcome::Crashed);
            compose.incomplete(Note::new("no_end", "GoogleTest's last word is missing"));
        }
        if !compose.failures.is_empty() && !running {
            let message = "the command exited with status 0 although something failed";
            compose.note(Note::new("exit_disagrees", message));
        }
    }

    /// Something failed, and no test says what.
    fn unexplained(&self, compose: &mut Compose, exit: Exit, programs: &[Program]) {
        let words = self.leak();
        if let Some(signal) = exit_signal(exit) {
            if exit.signal.is_some() && [1, 2, 15].contains(&signal) {
                compose.outcome(Outcome::Interrupted);
                let message = format!("the tests were ended by {}", compose::signal_name(signal));
                compose.incomplete(Note::new("signal", message));
                return;
            }
            self.after_tests(compose, exit);
            return;
        }
        let code = exit.code.unwrap_or(-1);
        if programs.is_empty() && self.usage(compose) {
            return;
        }
        let message = match &words {
            Some(words) => words.message.clone(),
            None => {
                let last = self.last_line();
                format!("exited with status {code} although no test failed{last}")
            }
        };
        self.session(compose, FailureKind::ExitNonzero, message, words.as_ref());
        if words.is_none() {
            compose.complete = false;
        }
    }

    fn usage(&self, compose: &mut Compose) -> bool {
        let lines = self
            .run
            .error_tail
            .lines(5)
            .into_iter()
            .chain(self.run.tail.lines(5));
        let missing = lines.into_iter().find(|line| {
            line.ends_with(": not found")
                || line.ends_with(": No such file or directory")
                || line.ends_with("command not found")
        });
        let Some(line) = missing else {
            return false;
        };
        compose.outcome(Outcome::UsageError);
        compose.incomplete(Note::new("usage", text::one_line(&line)));
        true
    }

    fn last_line(&self) -> String {
        let errors = self.run.error_tail.lines(1);
        let lines = match errors.is_empty() {
            true => self.run.tail.lines(1),
            false => errors,
        };
        lines
            .first()
            .map(|line| format!(": {}", text::one_line(line)))
            .unwrap_or_default()
    }

    /// What the program said as it died or at its very end.
    fn leak(&self) -> Option<crash::Words> {
        let errors = self.run.error_tail.lines(400).join("\n");
        let words = crash::words(&errors, self.context()).filter(|words| !words.harmless);
        words.or_else(|| {
            let lines = self.run.tail.lines(400);
            // Before its summary a test says it, not the program.
            let from = lines
                .iter()
                .rposition(|line| line.starts_with("[  PASSED  ] "))?;
            crash::words(&lines[from..].join("\n"), self.context()).filter(|words| !words.harmless)
        })
    }

    /// A signal outside of any test.
    fn after_tests(&self, compose: &mut Compose, exit: Exit) {
        let signal = exit_signal(exit).unwrap_or(0);
        let words = self.leak();
        let message = match &words {
            Some(words) => words.message.clone(),
            None => format!(
                "died of {} outside of its tests",
                compose::signal_name(signal)
            ),
        };
        self.session(compose, FailureKind::Crash, message, words.as_ref());
        compose.complete = false;
    }

    fn session(
        &self,
        compose: &mut Compose,
        kind: FailureKind,
        message: String,
        words: Option<&crash::Words>,
    ) {
        let mut failure = compose::failure(self.name(), kind, Phase::Session, message);
        failure.kind_sure = kind == FailureKind::Crash;
        if let Some(words) = words {
            words.place(&mut failure);
        }
        failure.stderr = text::block(&self.run.error_tail.lines(200).join("\n"), text::DETAILS);
        if failure.stderr.is_none() {
            failure.details = text::block(&self.run.tail.lines(60).join("\n"), text::DETAILS);
        }
        failure.rerun = self.context().rerun::<String>(&[], []);
        compose.failed(compose::seal(failure));
    }

    /// The program's name.
    fn name(&self) -> String {
        let command = &self.context().command;
        let program = match ask::wraps(command) {
            true => "",
            false => command.first().map_or("", String::as_str),
        };
        let base = program.rsplit('/').next().unwrap_or(program);
        match base.is_empty() {
            true => "gtest".to_owned(),
            false => base.to_owned(),
        }
    }
}

/// How the process of the running test ended.
fn how(exit: Option<Exit>, last: bool) -> (FailureKind, String) {
    let Some(exit) = exit.filter(|_| last) else {
        return (
            FailureKind::Crash,
            "the output ends while this test was running".to_owned(),
        );
    };
    if exit.timed_out {
        return (
            FailureKind::Timeout,
            "the time limit was reached while this test was running".to_owned(),
        );
    }
    if exit.oom {
        return (
            FailureKind::Oom,
            "memory ran out while this test was running".to_owned(),
        );
    }
    let how = match (exit_signal(exit), exit.code) {
        (Some(signal), _) => format!("the process died of {}", compose::signal_name(signal)),
        (None, Some(code)) => format!("the process exited with status {code}"),
        (None, None) => "the output ends".to_owned(),
    };
    (
        FailureKind::Crash,
        format!("{how} while this test was running"),
    )
}

/// The signal, also where a shell has made a status of it.
pub(crate) fn exit_signal(exit: Exit) -> Option<i32> {
    exit.signal.or_else(|| {
        let code = exit.code?;
        (129..=128 + 31).contains(&code).then_some(code - 128)
    })
}
