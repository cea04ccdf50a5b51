//! The report of a whole Vitest run.

use crate::compose;
use crate::compose::Compose;
use crate::context::Context;
use crate::js::argv;
use crate::js::raised;
use crate::js::raised::Raised;
use crate::js::results;
use crate::js::results::Found;
use crate::js::settle;
use crate::js::settle::Settle;
use crate::js::xml;
use crate::live::End;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::text as shown;
use crate::vitest::VitestRun;
use crate::vitest::dialect;
use crate::vitest::running::Running;
use crate::vitest::scan;
use crate::vitest::tap;
use crate::vitest::text::Block;
use crate::vitest::text::Numbers;
use crate::vitest::text::Reader;
use crate::vitest::text::Run;
use crate::vitest::text::Section;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// What every stream and file came to.
struct Material {
    context: Context,
    out: scan::Found,
    err: scan::Found,
    tail: shown::Tail,
}

/// What the text tells.
#[derive(Default)]
struct Told {
    failures: Vec<Failure>,
    counts: Option<Numbers>,
    /// Failures that are no test's.
    others: u64,
    /// Suites that a hook failed: their ids and files.
    suites: BTreeSet<(String, Option<String>)>,
    faults: Vec<Note>,
}

impl VitestRun {
    /// The report of the whole run.
    pub(super) fn report(self, end: &End) -> Report {
        let mut out = self.out.finish();
        let tap = out
            .tap
            .take()
            .filter(|_| out.is_tap && (!out.text.began || out.text.ends > 0));
        let material = Material {
            context: self.context,
            out,
            err: self.err.finish(),
            tail: self.tail,
        };
        if self.records.began() {
            let threshold = material.threshold();
            let heap = material.heap();
            let running = self.running;
            let context = material.context.clone();
            let report = self.records.report(end, &material.tail, |compose| {
                name_the_running(compose, &running, &context);
                let died = |failure: &Failure| failure.kind == FailureKind::Crash;
                compose.complete &= !compose.failures.iter().any(died);
                settle::explain(compose, end, threshold.as_deref(), heap);
            });
            if let Some(report) = report {
                return report;
            }
            return material.of_text(material.told(), end);
        }
        let told = material.told();
        match material.structured(&self.files) {
            Some(found) => material.of_report(found, told, end),
            None => match tap {
                Some(tap) => tap::report(tap.finish(end.clone()), &material.context),
                None => material.of_text(told, end),
            },
        }
    }
}

/// A file that died is told by the test that ran in it.
fn name_the_running(compose: &mut Compose, running: &Running, context: &Context) {
    for failure in &mut compose.failures {
        let died = matches!(
            failure.kind,
            FailureKind::Crash | FailureKind::Timeout | FailureKind::Oom
        );
        if !died || failure.target.is_some() || failure.phase != Phase::Call {
            continue;
        }
        let Some(path) = running.of(&failure.id, context) else {
            continue;
        };
        let file = std::mem::replace(&mut failure.id, path.join(" > "));
        failure.message = match failure.message.contains("orker") {
            true => "the worker exited unexpectedly while this test was running".to_owned(),
            false => failure.message.replace("this file was", "this test was"),
        };
        failure.rerun = dialect::rerun(context, &file, &path);
        failure.target = Some(file);
        *failure = compose::seal(failure.clone());
    }
}

impl Material {
    fn readers(&self) -> [&Reader; 2] {
        [&self.out.text, &self.err.text]
    }

    fn threshold(&self) -> Option<String> {
        self.readers()
            .into_iter()
            .find_map(|reader| reader.threshold.clone())
    }

    fn heap(&self) -> bool {
        self.readers().into_iter().any(|reader| reader.heap)
    }

    /// Vitest writes the numbers to standard output, and what failed to standard error.
    fn told(&self) -> Told {
        let mut told = Told::default();
        let (out, err) = (&self.out.text, &self.err.text);
        let mut runs: Vec<Run> = out.runs.iter().chain([&out.run]).cloned().collect();
        if let Some(last) = runs.last_mut()
            && !err.run.blocks.is_empty()
        {
            last.blocks.extend(err.run.blocks.iter().cloned());
            last.said.0 += err.run.said.0;
            last.said.1 += err.run.said.1;
        }
        let ended = runs.iter().filter(|run| run.tests.is_some()).count();
        for run in &runs {
            if run.tests.is_some() || ended == 0 {
                self.run(&mut told, run);
            }
        }
        told
    }

    fn run(&self, told: &mut Told, run: &Run) {
        let base = self.base(run);
        for block in run.blocks.iter().filter(|b| b.section == Section::Suites) {
            for name in &block.names {
                let (file, path) = self.named(name, &base);
                told.suites.insert((path.join(" > "), file));
            }
        }
        let mut failures = self.blocks(run, &base, false);
        let mut tests = told.tests(&failures);
        if run.tests.is_some_and(|said| tests < said.failed) {
            // Several tests of one name: each block is one of them.
            let apart = self.blocks(run, &base, true);
            let count = apart.iter().filter(|failure| told.is_test(failure)).count() as u64;
            if run.tests.is_some_and(|said| count == said.failed) {
                (failures, tests) = (apart, count);
            }
        }
        if run.tests.is_some() && !run.ended {
            told.faults
                .push(Note::new("cut_off", "the output ends in its summary"));
        }
        if let Some(numbers) = run.tests {
            let counts = told.counts.get_or_insert_default();
            counts.failed += numbers.failed;
            counts.passed += numbers.passed;
            counts.skipped += numbers.skipped;
            if tests > numbers.failed {
                let said = numbers.failed;
                let message = format!("the summary counts {said} failed tests, {tests} are told");
                told.faults.push(compose::inconsistent(message));
                failures.retain(|failure| numbers.failed > 0 || !told.is_test(failure));
            } else if tests < numbers.failed && tests == 0 {
                let message = format!(
                    "{} tests failed by the summary, none is told",
                    numbers.failed
                );
                told.faults.push(Note::new("cut_off", message));
                self.marked(&mut failures, run, &base);
            }
        } else {
            self.marked(&mut failures, run, &base);
        }
        told.others += failures
            .iter()
            .filter(|failure| !told.is_test(failure))
            .count() as u64;
        told.failures.extend(failures);
    }

    /// Failed tests that only the progress names.
    fn marked(&self, failures: &mut Vec<Failure>, run: &Run, base: &str) {
        let mut known: BTreeSet<(Option<String>, String)> = failures
            .iter()
            .map(|failure| (failure.target.clone(), failure.id.clone()))
            .collect();
        for mark in &run.marks {
            let (file, path) = self.named(mark, base);
            let Some(file) = file.filter(|_| !path.is_empty()) else {
                continue;
            };
            let id = path.join(" > ");
            if !known.insert((Some(file.clone()), id.clone())) {
                continue;
            }
            let message = "the output ends before the reason";
            let mut failure = compose::failure(&id, FailureKind::Panic, Phase::Call, message);
            failure.kind_sure = false;
            failure.rerun = dialect::rerun(&self.context, &file, &path);
            failure.target = Some(file);
            failures.push(compose::seal(failure));
        }
    }

    /// The directory that a run's files are relative to.
    fn base(&self, run: &Run) -> String {
        let Some(root) = &run.root else {
            return self.context.dir.clone();
        };
        let base = self.context.relative_from("", root);
        match base.starts_with('/') {
            true => self.context.dir.clone(),
            false => base,
        }
    }

    /// File and titles of `|project| a.test.js > x > y`, `a.test.js [ a.test.js ]`.
    fn named(&self, name: &str, base: &str) -> (Option<String>, Vec<String>) {
        let mut name = name.trim_start();
        if let Some((_, rest)) = name
            .strip_prefix('|')
            .and_then(|rest| rest.split_once("| "))
        {
            name = rest.trim_start();
        }
        let mut parts = name.split(" > ");
        let first = parts.next().unwrap_or(name);
        let file = match first.split_once(" [ ") {
            Some((file, rest)) if rest.ends_with(" ]") => file,
            _ => first,
        };
        // The name of a project stands before the file in some versions.
        let file = match file.trim_start().rsplit_once("  ") {
            Some((_, file)) => file,
            None => file.trim_start(),
        };
        let path = parts.map(str::to_owned).collect();
        (Some(self.context.relative_from(base, file)), path)
    }

    /// The failures of a run; those of one name and phase together, or apart.
    fn blocks(&self, run: &Run, base: &str, apart: bool) -> Vec<Failure> {
        let mut failures = Vec::new();
        for block in &run.blocks {
            let mut of_block = Vec::new();
            self.block(&mut of_block, block, base, run);
            for mut failure in of_block {
                if failure.phase == Phase::Session {
                    number(&mut failure, &failures);
                    failures.push(failure);
                } else if apart {
                    failures.push(failure);
                } else {
                    results::join(&mut failures, failure);
                }
            }
        }
        failures
    }

    fn block(&self, failures: &mut Vec<Failure>, block: &Block, base: &str, run: &Run) {
        if matches!(block.section, Section::Unhandled | Section::Startup) {
            failures.push(self.unhandled(block, base));
            return;
        }
        for name in &block.names {
            let (file, path) = self.named(name, base);
            let file = file.unwrap_or_default();
            let suite = block.section == Section::Suites;
            let ran = suite && path.is_empty() && self.has_passed(run, &file);
            let mut failure = raised::failure(
                &Raised {
                    file: &file,
                    path: &path,
                    text: block.body.trim_matches('\n'),
                    suite: suite && !path.is_empty(),
                    ran,
                    ..Raised::default()
                },
                &self.context,
            );
            let selected = match suite && !path.is_empty() {
                true => argv::below(&path),
                false => path,
            };
            failure.rerun = dialect::rerun(&self.context, &file, &selected);
            if block.body.trim().is_empty() && !block.whole {
                failure.message = "the output ends before the reason".to_owned();
                failure.kind_sure = false;
            }
            failures.push(compose::seal(failure));
        }
    }

    /// Whether a test of a file is told to have failed as such: then the file was loaded.
    fn has_passed(&self, run: &Run, file: &str) -> bool {
        let of_file = |mark: &String| mark.starts_with(&format!("{file} > "));
        run.marks.iter().any(of_file)
    }

    /// What was thrown while nobody looked.
    fn unhandled(&self, block: &Block, base: &str) -> Failure {
        let heading = block.names.first().map_or("", String::as_str);
        let (body, about) = match block.body.find("This error originated in \"") {
            Some(at) => block.body.split_at(at),
            None => (block.body.as_str(), ""),
        };
        let file = about
            .strip_prefix("This error originated in \"")
            .and_then(|rest| rest.split('"').next());
        let path = [heading.to_owned()];
        let mut failure = raised::failure(
            &Raised {
                path: &path,
                text: body.trim_matches('\n'),
                ..Raised::default()
            },
            &self.context,
        );
        failure.phase = Phase::Session;
        unhandled_kind(&mut failure);
        if let Some(file) = started(body).map(|file| self.context.relative(file)) {
            failure.id.clone_from(&file);
            failure.kind = FailureKind::CollectionError;
            failure.phase = Phase::Collect;
            failure.location = Some(Location {
                file: file.clone(),
                line: None,
                column: None,
            });
            failure.rerun = dialect::rerun(&self.context, &file, &[]);
        } else {
            let file = file.map(|file| self.context.relative_from(base, file));
            failure.rerun = dialect::rerun(&self.context, file.as_deref().unwrap_or(""), &[]);
            failure.target = file;
        }
        failure.details = shown::block(&block.body, shown::DETAILS);
        compose::seal(failure)
    }

    /// Report files first, then what stands in the log.
    fn structured(&self, files: &BTreeMap<String, Vec<u8>>) -> Option<Found> {
        let mut all: Option<Found> = None;
        for bytes in files.values() {
            let text = String::from_utf8_lossy(bytes);
            let bare = text.trim_start_matches('\u{feff}').trim_start();
            let read = match bare.as_bytes().first() {
                Some(b'{') => results::read(bare, &self.context),
                Some(b'<') => xml::read(bytes, &self.context),
                _ => None,
            };
            if let Some(read) = read {
                all = Some(settle::plus(all, read));
            }
        }
        if all.is_some() {
            return all;
        }
        let streams = [&self.out, &self.err];
        let found = streams.into_iter().find_map(|stream| {
            let document = stream.json.as_ref()?;
            // Where the text has its numbers, a document above them was printed by a test.
            let late = stream.summary == 0 || document.line > stream.summary;
            late.then(|| results::read(&document.text, &self.context))
                .flatten()
        });
        found.or_else(|| {
            let document = self.out.xml.as_ref()?;
            let late = self.out.summary == 0 || document.line > self.out.summary;
            late.then(|| xml::read(document.text.as_bytes(), &self.context))
                .flatten()
        })
    }

    fn of_report(&self, mut found: Found, told: Told, end: &End) -> Report {
        let mut compose = Compose::new();
        settle::complete(&mut found.failures, &told.failures);
        self.add_untold(&mut found, &told);
        for failure in &mut found.failures {
            if failure.rerun.is_empty() {
                let path = settle::path_of(failure);
                let file = settle::file_of(failure);
                failure.rerun = dialect::rerun(&self.context, &file, &path);
            }
        }
        settle::add(&mut compose, found);
        self.settle(&mut compose, end, true);
        compose.finish("vitest", Source::Report, end)
    }

    /// The documents lack failures of suites and unhandled errors; the text has them.
    fn add_untold(&self, found: &mut Found, told: &Told) {
        for failure in told
            .failures
            .iter()
            .filter(|failure| !told.is_test(failure))
        {
            let same = |known: &Failure| known.id == failure.id && known.target == failure.target;
            if found.failures.iter().any(same) {
                continue;
            }
            // It explains a file that failed without a reason.
            let file = failure.target.clone().unwrap_or_default();
            let unexplained = |known: &Failure| known.id == file && !known.kind_sure;
            match found.failures.iter().position(unexplained) {
                Some(at) => found.failures[at] = failure.clone(),
                None => {
                    found.failures.push(failure.clone());
                    found.failed += 1;
                }
            }
        }
    }

    fn of_text(&self, told: Told, end: &End) -> Report {
        let mut compose = Compose::new();
        let ran = told.counts.is_some();
        for fault in told.faults {
            compose.incomplete(fault);
        }
        if let Some(counts) = told.counts {
            compose.counts.failed = counts.failed + told.others;
            compose.counts.passed = counts.passed;
            compose.counts.skipped = counts.skipped;
        } else {
            compose.counts.failed = told.failures.len() as u64;
            compose.counts.passed = self.readers().into_iter().map(|r| r.run.passed).sum();
        }
        for failure in told.failures {
            // Tests of a worker that died have no result.
            compose.complete &= failure.kind != FailureKind::Crash;
            compose.failure(failure);
        }
        if !ran {
            self.without_end(&mut compose);
        }
        self.settle(&mut compose, end, ran);
        compose.finish("vitest", Source::Text, end)
    }

    /// There are no numbers.
    fn without_end(&self, compose: &mut Compose) {
        let readers = self.readers();
        let refused = readers.iter().find_map(|reader| reader.refused.clone());
        let startup = |reader: &&Reader| {
            let blocks = reader.run.blocks.iter();
            blocks
                .clone()
                .any(|block| block.section == Section::Startup)
        };
        let startup = readers.iter().any(startup);
        if startup || refused.is_some() && compose.failures.is_empty() {
            let said = refused.or_else(|| compose.failures.first().map(|f| f.message.clone()));
            compose.failures.clear();
            compose.counts.failed = 0;
            compose.outcome(Outcome::UsageError);
            let said = said.unwrap_or_default();
            compose.incomplete(Note::new("usage", shown::one_line(&said)));
            return;
        }
        if readers.iter().any(|reader| reader.run.nothing) && compose.failures.is_empty() {
            compose.outcome(Outcome::NoTests);
            return;
        }
        compose.incomplete(Note::new("cut_off", "the output has no summary"));
    }

    fn settle(&self, compose: &mut Compose, end: &End, ran: bool) {
        let threshold = self.threshold();
        Settle {
            framework: "vitest",
            rerun: dialect::rerun(&self.context, "", &[]),
            tail: &self.tail,
            why: threshold.as_deref(),
            heap: self.heap(),
            ran,
        }
        .settle(compose, end);
    }
}

/// The kind of what nobody caught.
pub(super) fn unhandled_kind(failure: &mut Failure) {
    let details = failure.details.as_deref().unwrap_or("");
    let died = details.contains("Worker exited unexpectedly")
        || details.contains("ERR_WORKER_OUT_OF_MEMORY")
        || details.contains("Channel closed")
        || details.contains("Timeout terminating ");
    failure.kind = match died {
        true => FailureKind::Crash,
        false if failure.kind == FailureKind::Assertion => FailureKind::Assertion,
        false => FailureKind::Panic,
    };
}

/// The file that a worker could not begin with.
fn started(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("worker for test files ")?;
    let file = rest.lines().next()?.trim_end().trim_end_matches('.');
    (!file.contains(", ")).then_some(file)
}

/// Errors of one heading and file are told apart by numbers.
fn number(failure: &mut Failure, before: &[Failure]) {
    let of_file = |other: &&Failure| {
        other.phase == Phase::Session
            && other.target == failure.target
            && other.id.starts_with(&failure.id)
    };
    let same = before.iter().rev().take(200).filter(of_file).count();
    if same > 0 {
        failure.id = format!("{} {}", failure.id, same + 1);
    }
}

impl Told {
    /// How many tests failures are about.
    fn tests(&self, failures: &[Failure]) -> u64 {
        let tests = failures.iter().filter(|failure| self.is_test(failure));
        let names: BTreeSet<_> = tests.map(|f| (&f.target, &f.id)).collect();
        names.len() as u64
    }

    /// Whether a failure is one of those that the numbers of tests count.
    fn is_test(&self, failure: &Failure) -> bool {
        failure.target.is_some()
            && !matches!(failure.phase, Phase::Session | Phase::Collect)
            && !self
                .suites
                .contains(&(failure.id.clone(), failure.target.clone()))
    }
}
