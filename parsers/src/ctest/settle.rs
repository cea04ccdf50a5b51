//! What a run of CTest came to.

use crate::compose;
use crate::compose::Compose;
use crate::context::Context;
use crate::ctest::CtestRun;
use crate::ctest::ask;
use crate::ctest::file;
use crate::ctest::file::Told;
use crate::ctest::line::Status;
use crate::ctest::output::Printed;
use crate::ctest::pool::Pool;
use crate::ctest::properties;
use crate::ctest::properties::Properties;
use crate::ctest::session::Session;
use crate::gtest::failure;
use crate::gtest::failure::Places;
use crate::gtest::program::Program;
use crate::gtest::settle::add_build;
use crate::gtest::settle::exit_signal;
use crate::live::End;
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

/// One test with everything that is known of it.
pub(super) struct One {
    pub(super) name: String,
    pub(super) status: Status,
    pub(super) retried: bool,
    pub(super) ms: Option<u64>,
    pub(super) reason: String,
    pub(super) printed: Printed,
    pub(super) command: Option<String>,
    pub(super) properties: Properties,
    pub(super) known: bool,
    pub(super) dir: Option<String>,
}

/// The report of everything that was read.
pub(super) fn report(mut run: CtestRun, end: &End) -> Report {
    let mut compose = Compose::new();
    let mut pool = Pool::read(&run.files);
    if run.log.is_file {
        let document = std::mem::take(&mut run.log.document);
        run.files.insert("log".to_owned(), document);
    }
    let (told, from_file) = told(&run, &mut compose);
    let broken = std::mem::take(&mut pool.broken);
    let ours: BTreeSet<String> = from_file.iter().map(|name| format!("`{name}`: ")).collect();
    for fault in broken {
        if !ours.iter().any(|start| fault.starts_with(start)) {
            compose.incomplete(Note::new("report_unreadable", text::one_line(&fault)));
        }
    }
    let sessions = std::mem::take(&mut run.sessions);
    let began = sessions.iter().any(Session::began);
    let failed = !end.exit.is_some_and(|exit| exit.success());
    let build = std::mem::take(&mut run.build).finish(&run.context);
    let errors = std::mem::take(&mut run.build_errors).finish(&run.context);
    let stopped = build.stopped || errors.stopped;
    // A build that went on to its tests although something did not compile failed all the same.
    let fatal = failed && (stopped || !began);
    add_build(&mut compose, build, fatal);
    add_build(&mut compose, errors, fatal);
    let source = match told.is_empty() {
        true => Source::Text,
        false => Source::Report,
    };
    let mut settle = Settle {
        run: &run,
        end,
        pool,
        told: BTreeMap::new(),
        nothing: run.errors.nothing || sessions.iter().any(|session| session.nothing),
        unfinished: false,
        later: Vec::new(),
    };
    let text = sessions.iter().any(|session| !session.tests.is_empty());
    let order: Vec<String> = told.iter().map(|one| one.name.clone()).collect();
    for one in told {
        settle.told.entry(one.name.clone()).or_default().push(one);
    }
    let ones = match text {
        true => settle.of_text(&mut compose, sessions),
        false => settle.of_files(order),
    };
    if !text && source == Source::Report && !run.pasted {
        compose.incomplete(Note::new("no_end", "CTest printed nothing of its tests"));
    }
    settle.tests(&mut compose, ones);
    for failure in std::mem::take(&mut settle.later) {
        compose.failed(failure);
    }
    settle.exit(&mut compose, began);
    compose.finish("ctest", source, end)
}

/// The tests of CTest's own files; a JUnit report says more than `LastTest.log`.
fn told(run: &CtestRun, compose: &mut Compose) -> (Vec<Told>, Vec<String>) {
    let mut found: Vec<Told> = Vec::new();
    let mut names = Vec::new();
    for (name, document) in &run.files {
        let (tests, broken) = match file::read(document.bytes()) {
            file::Read::Tests(tests) => (tests, None),
            file::Read::Broken(why, tests) => (tests, Some(why)),
            file::Read::Other => continue,
        };
        names.push(name.clone());
        if let Some(why) = broken {
            let message = text::one_line(&format!("`{name}`: {why}"));
            compose.incomplete(Note::new("report_unreadable", message));
        }
        if found.is_empty() {
            found = tests;
        } else {
            complete(&mut found, tests);
        }
    }
    (found, names)
}

/// Adds to the tests of one file what another one knows.
fn complete(found: &mut [Told], others: Vec<Told>) {
    let mut others: BTreeMap<String, Told> = others
        .into_iter()
        .map(|one| (one.name.clone(), one))
        .collect();
    for one in found {
        let Some(other) = others.remove(&one.name) else {
            continue;
        };
        one.command = one.command.take().or(other.command);
        one.ms = one.ms.or(other.ms);
        if one.output.is_empty() {
            one.output = other.output;
        }
    }
}

pub(super) struct Settle<'a> {
    pub(super) run: &'a CtestRun,
    pub(super) end: &'a End,
    pub(super) pool: Pool,
    pub(super) told: BTreeMap<String, Vec<Told>>,
    pub(super) nothing: bool,
    pub(super) unfinished: bool,
    /// Tests that were running at the end.
    pub(super) later: Vec<Failure>,
}

impl Settle<'_> {
    pub(super) fn context(&self) -> &Context {
        &self.run.context
    }

    /// The tests as the text tells them, completed by the files.
    fn of_text(&mut self, compose: &mut Compose, sessions: Vec<Session>) -> Vec<One> {
        let mut ones = Vec::new();
        for mut session in sessions {
            if session.tests.is_empty() && session.summary.is_none() {
                continue;
            }
            session.settle();
            for fault in &session.faults {
                compose.incomplete(compose::inconsistent(fault.clone()));
            }
            if !session.ended {
                self.unfinished = true;
                compose.incomplete(Note::new("no_end", "CTest's summary is missing"));
                self.running(compose, &session);
            }
            let dir = session.dir.clone();
            let known = dir
                .as_deref()
                .and_then(|dir| properties::read(dir, self.context()));
            for (_, test) in session.tests {
                let Some(status) = test.status else {
                    continue;
                };
                let told = self
                    .told
                    .get_mut(&test.name)
                    .and_then(|all| match all.is_empty() {
                        true => None,
                        false => Some(all.remove(0)),
                    });
                let told = told.unwrap_or_default();
                let output = match told.output.is_empty() {
                    true => test.output,
                    false => told.output,
                };
                let mut status = status;
                if let (Status::Failed(reason), Some(Status::Failed(other))) =
                    (&mut status, told.status)
                    && reason.is_empty()
                {
                    *reason = other;
                }
                let reason = match test.reason.is_empty() {
                    true => told.reason,
                    false => test.reason,
                };
                ones.push(One {
                    properties: properties_of(&known, &test.name),
                    known: known.is_some(),
                    name: test.name,
                    status,
                    retried: test.retried,
                    ms: test.ms.or(told.ms),
                    reason,
                    printed: output.finish(),
                    command: test.command.or(told.command),
                    dir: dir.clone(),
                });
            }
        }
        ones
    }

    /// The tests as the files alone tell them.
    fn of_files(&mut self, order: Vec<String>) -> Vec<One> {
        let mut ones = Vec::new();
        for name in order {
            let Some(told) = self
                .told
                .get_mut(&name)
                .and_then(|all| match all.is_empty() {
                    true => None,
                    false => Some(all.remove(0)),
                })
            else {
                continue;
            };
            let Some(status) = told.status else {
                self.unfinished = true;
                continue;
            };
            ones.push(One {
                name,
                status,
                retried: false,
                ms: told.ms,
                reason: told.reason,
                printed: told.output.finish(),
                command: told.command,
                properties: Properties::default(),
                known: false,
                dir: None,
            });
        }
        ones
    }

    /// CTest ended, or its output does, while tests were running.
    fn running(&mut self, compose: &mut Compose, session: &Session) {
        let running: Vec<&str> = session.running().map(|test| test.name.as_str()).collect();
        if running.is_empty() {
            return;
        }
        let exit = self.end.exit.unwrap_or_default();
        let outside = exit_signal(exit).is_some_and(|signal| [1, 2, 15].contains(&signal));
        if self.end.interrupted || self.end.exit.is_none() || outside || exit.code == Some(124) {
            let message = format!("running when the output ended: {}", running.join(", "));
            compose.note(Note::new("was_running", text::cut(&message, 2000)));
            if outside || exit.code == Some(124) {
                compose.outcome(Outcome::Interrupted);
            }
            return;
        }
        let (kind, how) = match (exit.timed_out, exit.oom) {
            (true, _) => (FailureKind::Timeout, "the time limit was reached"),
            (_, true) => (FailureKind::Oom, "memory ran out"),
            _ => (FailureKind::Crash, "CTest ended"),
        };
        for test in session.running().take(1000) {
            let message = format!("{how} while this test was running");
            let mut failure = compose::failure(&test.name, kind, Phase::Call, message);
            failure.kind_sure = running.len() == 1 && kind != FailureKind::Crash;
            let dir = session.dir.as_deref();
            failure.rerun = ask::rerun(&test.name, dir, None, self.context());
            self.later.push(compose::seal(failure));
        }
    }

    fn tests(&mut self, compose: &mut Compose, ones: Vec<One>) {
        let fixtures = broken_fixtures(&ones);
        // Where output is shown, what shows nothing has printed nothing: it is no file's.
        let hidden = !ones
            .iter()
            .any(|one| one.status.is_failure() && one.printed.is_some());
        let mut all: Vec<(One, Vec<Program>, bool)> = Vec::new();
        for mut one in ones {
            let programs = std::mem::take(&mut one.printed.programs);
            let programs: Vec<Program> = programs.into_iter().filter(Program::is_any).collect();
            let mut programs = self.pool.enrich(programs, &one.name);
            let shows = !programs.is_empty() || !one.printed.text.trim().is_empty();
            if !shows && one.status == Status::Passed {
                programs.extend(self.pool.of_passed(&one.name));
            }
            if !shows && hidden && one.status.is_failure() {
                programs.extend(self.pool.of_failed(&one.name));
            }
            let plain = matches!(&one.status, Status::Failed(reason) if reason.is_empty());
            let mute = plain && !shows && programs.is_empty();
            all.push((one, programs, mute));
        }
        // Failed tests of which nothing is shown, and files that are nobody's: perhaps the same.
        let mute = all.iter().filter(|(_, _, mute)| *mute).count();
        let mut rest = match hidden {
            true => self.pool.rest(),
            false => Vec::new(),
        };
        // What CTest does not count as failed was meant to fail, and has a file all the same.
        let explained = !rest.is_empty() && rest.len() == mute;
        if !explained {
            rest.clear();
        }
        for (one, programs, mute) in all {
            match &one.status {
                Status::Passed => {
                    compose.counts.flaky += u64::from(one.retried);
                    passed(compose, &programs);
                }
                Status::Skipped => compose.counts.skipped += 1,
                _ if mute && explained => {}
                _ => self.failed(compose, &one, &programs, &fixtures),
            }
        }
        for program in rest {
            self.of_nobody(compose, &program);
        }
    }

    /// A file whose test is not known.
    fn of_nobody(&self, compose: &mut Compose, program: &Program) {
        compose.counts.passed += program.passed;
        compose.counts.skipped += program.skipped + program.disabled;
        let places = places(std::slice::from_ref(program));
        for mut failure in failures(program, &places, self.context(), None) {
            failure.target.clone_from(&program.binary);
            compose.failed(failure);
        }
    }

    fn exit(&self, compose: &mut Compose, began: bool) {
        let exit = self.end.exit;
        if self.nothing && !compose.has_fault() && compose.counts.passed == 0 {
            let message = "CTest found no tests";
            compose.note(Note::new("no_tests", message));
            if exit.is_none_or(|exit| exit.signal.is_none()) {
                compose.outcome(Outcome::NoTests);
            }
            return;
        }
        if let Some(words) = &self.run.unknown_argument {
            compose.failures.retain(|failure| failure.id != "CMake");
            compose.outcome(Outcome::UsageError);
            compose.incomplete(Note::new("usage", words.clone()));
            return;
        }
        let Some(exit) = exit else {
            return;
        };
        if exit.timed_out || exit.oom || self.end.interrupted {
            return;
        }
        if exit.success() {
            if self.unfinished && began {
                compose.outcome(Outcome::Crashed);
            } else if !compose.failures.is_empty() {
                let message = "the command exited with status 0 although something failed";
                compose.note(Note::new("exit_disagrees", message));
            }
            return;
        }
        if !compose.has_fault() {
            self.unexplained(compose, exit);
        }
    }

    /// The command failed, and nothing that was read says why.
    fn unexplained(&self, compose: &mut Compose, exit: Exit) {
        let lines = [self.run.error_tail.lines(20), self.run.tail.lines(20)].concat();
        let last = self.run.error_tail.lines(1);
        let last = if last.is_empty() {
            self.run.tail.lines(1)
        } else {
            last
        };
        let said = last
            .first()
            .map(|line| format!(": {line}"))
            .unwrap_or_default();
        if let Some(signal) = exit_signal(exit) {
            let outside = [1, 2, 15].contains(&signal);
            compose.outcome(match outside {
                true => Outcome::Interrupted,
                false => Outcome::Crashed,
            });
            let message = format!("CTest was ended by {}", compose::signal_name(signal));
            compose.incomplete(Note::new("signal", message));
            return;
        }
        let code = exit.code.unwrap_or(-1);
        let message = format!("exited with status {code} although no test failed{said}");
        let mut failure =
            compose::failure("ctest", FailureKind::ExitNonzero, Phase::Session, message);
        failure.kind_sure = false;
        failure.details = text::block(&lines.join("\n"), text::DETAILS);
        compose.failed(compose::seal(failure));
        compose.complete = false;
    }
}

fn properties_of(known: &Option<BTreeMap<String, Properties>>, name: &str) -> Properties {
    let found = known.as_ref().and_then(|known| known.get(name));
    found.cloned().unwrap_or_default()
}

/// A test that passed counts as the tests in it, where they are known.
fn passed(compose: &mut Compose, programs: &[Program]) {
    let single = programs.iter().all(Program::is_single);
    let failed = programs.iter().any(Program::has_failures);
    let tests: u64 = programs.iter().map(|program| program.passed).sum();
    if programs.is_empty() || single || failed || tests == 0 {
        compose.counts.passed += 1;
        return;
    }
    for program in programs.iter().filter(|program| !program.repeat) {
        compose.counts.passed += program.passed;
        compose.counts.skipped += program.skipped + program.disabled;
    }
}

/// The tests whose failure kept others from running.
fn broken_fixtures(ones: &[One]) -> BTreeSet<String> {
    let names = ones
        .iter()
        .filter_map(|one| one.reason.strip_prefix("Failed test dependencies: "));
    names
        .flat_map(|names| names.split_whitespace().map(str::to_owned))
        .collect()
}

pub(super) fn places(programs: &[Program]) -> Places {
    let mut places = Places::default();
    for program in programs {
        places.learn(program.failed.iter().flat_map(|case| &case.blocks));
        places.learn(program.outside.iter().flat_map(|one| &one.blocks));
    }
    places
}

/// What failed in one binary.
pub(super) fn failures(
    program: &Program,
    places: &Places,
    context: &Context,
    one: Option<&One>,
) -> Vec<Failure> {
    let cases = program
        .failed
        .iter()
        .map(|case| failure::of_case(case, places, context));
    let outside = program
        .outside
        .iter()
        .map(|one| failure::of_outside(one, places, context));
    let mut found: Vec<Failure> = cases.chain(outside).collect();
    if let (Some(running), Some(one)) = (&program.running, one) {
        let (kind, how) = match &one.status {
            Status::Timeout => (
                FailureKind::Timeout,
                "CTest's time limit was reached".to_owned(),
            ),
            status => match status.signal() {
                Some(signal) => (
                    FailureKind::Crash,
                    format!("the process died of {}", compose::signal_name(signal)),
                ),
                None => (FailureKind::Crash, "the process ended".to_owned()),
            },
        };
        let how = format!("{how} while this test was running");
        let mut failure = failure::of_running(running, kind, &how, "", places, context);
        failure.duration_ms = one.ms.filter(|_| program.is_single());
        found.push(failure);
    }
    found
}
