//! The report of a whole Jest run.

use crate::compose;
use crate::compose::Compose;
use crate::context::Context;
use crate::jest::JestRun;
use crate::jest::dialect;
use crate::jest::scan;
use crate::jest::text::Block;
use crate::jest::text::Group;
use crate::jest::text::Run;
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
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::text as shown;
use std::collections::BTreeMap;
use std::collections::HashSet;

/// What every stream and file came to.
struct Material {
    context: Context,
    out: scan::Found,
    err: scan::Found,
    tail: shown::Tail,
}

impl JestRun {
    /// The report of the whole run.
    pub(super) fn report(self, end: &End) -> Report {
        let material = Material {
            context: self.context,
            out: self.out.finish(),
            err: self.err.finish(),
            tail: self.tail,
        };
        if self.records.began() {
            let reader = material.reader();
            let why = reader.threshold.clone();
            let heap = material.out.text.heap || material.err.text.heap;
            let exits: Vec<Failure> = reader
                .exits
                .iter()
                .map(|exit| material.exited(exit))
                .collect();
            let report = self.records.report(end, &material.tail, |compose| {
                for failure in &mut compose.failures {
                    place_exit(failure, &exits);
                    // Tests of a worker that died have no result.
                    compose.complete &= failure.kind != FailureKind::Crash;
                }
                settle::explain(compose, end, why.as_deref(), heap);
            });
            if let Some(report) = report {
                return report;
            }
            return material.of_text(material.told(), end);
        }
        let told = material.told();
        match material.structured(&self.files, &told) {
            Some(found) => material.of_report(found, told, end),
            None => material.of_text(told, end),
        }
    }
}

/// The paths of the tests that blocks are about, by their titles in one; behind a zero those
/// that failed, where the output was cut off and their blocks may be missing.
fn names(group: &Group, cut: bool) -> BTreeMap<String, Vec<String>> {
    let mut names = BTreeMap::new();
    let titles: HashSet<&str> = group.blocks.iter().map(|b| b.title.as_str()).collect();
    if titles.is_empty() && !cut {
        return names;
    }
    let marks = group.tree.marks().enumerate();
    for (at, mark) in marks.filter(|(_, mark)| *mark != ' ') {
        let path = group.tree.path(at);
        let title = path.join(" › ");
        let owned = || path.iter().map(|title| (*title).to_owned()).collect();
        if mark == '✕' && cut {
            names.insert(format!("\u{0}{title}"), owned());
        }
        if titles.contains(title.as_str()) {
            names.insert(title, owned());
        }
    }
    names
}

/// What the text tells.
struct Told {
    failures: Vec<Failure>,
    /// The numbers of its summaries: failed, passed, skipped.
    counts: Option<(u64, u64, u64)>,
    /// Files that failed as such.
    files: u64,
    faults: Vec<Note>,
}

impl Material {
    /// The stream with the text: Jest writes it to standard error.
    fn reader(&self) -> &crate::jest::text::Reader {
        let told = |found: &scan::Found| !found.text.runs.is_empty();
        match told(&self.err) || !told(&self.out) && !self.err.text.run.groups.is_empty() {
            true => &self.err.text,
            false => &self.out.text,
        }
    }

    fn told(&self) -> Told {
        let reader = self.reader();
        let mut told = Told {
            failures: Vec::new(),
            counts: None,
            files: 0,
            faults: Vec::new(),
        };
        let believed = reader.believed();
        for run in &believed {
            self.run(&mut told, run);
        }
        if believed.is_empty() {
            self.run(&mut told, &reader.run);
        }
        told
    }

    fn run(&self, told: &mut Told, run: &Run) {
        let exists = |file: &str| {
            let file = self.context.relative(file);
            self.context.tree.may_hold(&file, None)
        };
        let (groups, agree) = run.failed(exists);
        if !agree {
            told.faults.push(compose::inconsistent(
                "more files are told to have failed than the summary counts",
            ));
        }
        if run.tests.is_some() && !run.ended {
            told.faults
                .push(Note::new("cut_off", "the output ends in its summary"));
        }
        if let Some(tests) = run.tests {
            let counts = told.counts.get_or_insert((0, 0, 0));
            counts.0 += tests.failed;
            counts.1 += tests.passed;
            counts.2 += tests.skipped;
        }
        let (mut of_run, mut tests) = self.groups(&groups, run, false);
        if run.tests.is_some_and(|said| tests < said.failed) {
            // Several tests of one name: each block is one of them.
            let apart = self.groups(&groups, run, true);
            if run.tests.is_some_and(|said| apart.1 <= said.failed) {
                (of_run, tests) = apart;
            }
        }
        let files = of_run.iter().filter(|failure| failure.target.is_none());
        told.files += files.count() as u64;
        let said = run.tests.map_or(tests, |tests| tests.failed);
        if tests > said {
            // Blocks that nobody counted were printed by a test.
            let message = format!("the summary counts {said} failed tests, {tests} are told");
            told.faults.push(compose::inconsistent(message));
        } else if tests < said && of_run.is_empty() {
            let message = format!("{said} tests failed by the summary, none is told");
            told.faults.push(Note::new("cut_off", message));
        }
        if said == 0 && run.suites.is_some_and(|suites| suites.failed == 0) {
            return;
        }
        told.failures.extend(of_run);
    }

    /// The failures of a run, and how many tests they are about.
    fn groups(&self, groups: &[Group], run: &Run, apart: bool) -> (Vec<Failure>, u64) {
        let mut failures: Vec<Failure> = Vec::new();
        let mut tests = 0;
        for group in groups {
            let before = failures.len();
            self.group(&mut failures, group, run.tests.is_none(), apart);
            tests += match apart {
                false => distinct(&failures[before..]),
                true => failures[before..]
                    .iter()
                    .filter(|f| f.target.is_some())
                    .count() as u64,
            };
        }
        (failures, tests)
    }

    fn group(&self, failures: &mut Vec<Failure>, group: &Group, cut: bool, apart: bool) {
        let file = self.context.relative(&group.file);
        let names = names(group, cut);
        let ran = !group.tree.is_empty() || group.blocks.iter().any(Block::is_test);
        for block in &group.blocks {
            if block.title == "Console" {
                continue;
            }
            let path: Vec<String> = match (block.is_test(), names.get(&block.title)) {
                (false, _) => Vec::new(),
                (true, Some(path)) => path.clone(),
                (true, None) => block.title.split(" › ").map(str::to_owned).collect(),
            };
            let mut failure = raised::failure(
                &Raised {
                    file: &file,
                    path: &path,
                    text: block.body.trim_matches('\n'),
                    ran: ran && !block.is_test(),
                    printed: true,
                    ..Raised::default()
                },
                &self.context,
            );
            failure.rerun = dialect::rerun(&self.context, &file, &path);
            if failure.message.is_empty() && block.body.trim().is_empty() {
                failure.message = "the output ends before the reason".to_owned();
                failure.kind_sure = false;
            }
            match apart {
                true => failures.push(compose::seal(failure)),
                false => results::join(failures, compose::seal(failure)),
            }
        }
        if !cut {
            return;
        }
        // The tree names failing tests whose blocks did not come any more.
        for (name, path) in &names {
            let Some(title) = name.strip_prefix('\u{0}') else {
                continue;
            };
            if !group.blocks.iter().any(|block| block.title == title) {
                failures.push(self.marked(&file, path));
            }
        }
    }

    fn marked(&self, file: &str, path: &[String]) -> Failure {
        let mut failure = compose::failure(
            path.join(" > "),
            FailureKind::Panic,
            Phase::Call,
            "the output ends before the reason",
        );
        failure.kind_sure = false;
        failure.target = Some(file.to_owned());
        failure.rerun = dialect::rerun(&self.context, file, path);
        compose::seal(failure)
    }

    /// Report files first, then the last document in the log.
    fn structured(&self, files: &BTreeMap<String, Vec<u8>>, told: &Told) -> Option<Found> {
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
        all.or_else(|| self.inline(told))
    }

    /// A document inside of the log: where a summary stands there, too, both have to agree.
    fn inline(&self, told: &Told) -> Option<Found> {
        let streams = [&self.out, &self.err];
        let found = streams.into_iter().find_map(|stream| {
            let document = stream.json.as_ref()?;
            Some((
                results::read(&document.text, &self.context)?,
                document,
                stream,
            ))
        });
        let (found, document, stream) = found?;
        let Some((failed, passed, _)) = told.counts else {
            return Some(found);
        };
        // Jest writes it when all is over: what a test prints comes before the summary.
        if stream.summary > 0 && document.line > stream.summary {
            return Some(found);
        }
        let names = |failures: &[Failure]| {
            let mut names: Vec<String> = failures
                .iter()
                .map(|failure| failure.id.replace(" > ", " › "))
                .collect();
            names.sort();
            names.dedup();
            names
        };
        let same = (found.said.0, found.said.1) == (failed, passed)
            && names(&found.failures) == names(&told.failures);
        same.then_some(found)
    }

    fn of_report(&self, mut found: Found, told: Told, end: &End) -> Report {
        let mut compose = Compose::new();
        settle::complete(&mut found.failures, &told.failures);
        for failure in &mut found.failures {
            if failure.rerun.is_empty() {
                let path = settle::path_of(failure);
                let file = settle::file_of(failure);
                failure.rerun = dialect::rerun(&self.context, &file, &path);
            }
        }
        settle::add(&mut compose, found);
        self.settle(&mut compose, end, true);
        compose.finish("jest", Source::Report, end)
    }

    fn of_text(&self, told: Told, end: &End) -> Report {
        let mut compose = Compose::new();
        let reader = self.reader();
        let ran = told.counts.is_some();
        for fault in told.faults {
            compose.incomplete(fault);
        }
        match told.counts {
            Some((failed, passed, skipped)) => {
                compose.counts.failed = failed + told.files;
                compose.counts.passed = passed;
                compose.counts.skipped = skipped;
                for failure in told.failures {
                    compose.failure(failure);
                }
            }
            None => {
                let groups = reader.run.groups.iter();
                for mark in groups.flat_map(|group| group.tree.marks()) {
                    compose.counts.passed += u64::from(mark == '✓' || mark == '√');
                    compose.counts.skipped += u64::from(mark == '○' || mark == '✎');
                }
                for failure in told.failures {
                    compose.failed(failure);
                }
            }
        }
        if !ran {
            self.without_end(&mut compose);
        }
        let died = |failure: &Failure| failure.kind == FailureKind::Crash;
        compose.complete &= !compose.failures.iter().any(died);
        self.settle(&mut compose, end, ran);
        compose.finish("jest", Source::Text, end)
    }

    /// There is no summary.
    fn without_end(&self, compose: &mut Compose) {
        let readers = [&self.err.text, &self.out.text];
        if readers.iter().any(|reader| reader.nothing) && !compose.has_fault() {
            compose.outcome(Outcome::NoTests);
            return;
        }
        let refused = readers.iter().find_map(|reader| reader.refused.clone());
        let anything = readers.iter().any(|reader| !reader.run.groups.is_empty());
        if let Some(refused) = refused.filter(|_| !anything) {
            compose.outcome(Outcome::UsageError);
            compose.incomplete(Note::new("usage", shown::one_line(&refused)));
            return;
        }
        for exit in readers.iter().flat_map(|reader| &reader.exits) {
            let failure = self.exited(exit);
            let same = |known: &Failure| known.id == failure.id && known.kind == failure.kind;
            if !compose.failures.iter().any(same) {
                compose.failed(failure);
            }
        }
        compose.incomplete(Note::new("cut_off", "the output has no summary"));
    }

    /// `process.exit called with "3"`: the place is told, the test is not.
    fn exited(&self, block: &Block) -> Failure {
        let mut failure = raised::failure(
            &Raised {
                text: block.body.trim_matches('\n'),
                ..Raised::default()
            },
            &self.context,
        );
        let file = failure.location.as_ref().map(|at| at.file.clone());
        failure.id = file.clone().unwrap_or_else(|| "jest".to_owned());
        failure.kind = FailureKind::Crash;
        failure.kind_sure = true;
        failure.phase = Phase::Call;
        failure.message = block.title.trim().to_owned();
        failure.rerun = dialect::rerun(&self.context, file.as_deref().unwrap_or(""), &[]);
        compose::seal(failure)
    }

    fn settle(&self, compose: &mut Compose, end: &End, ran: bool) {
        let heap = self.out.text.heap || self.err.text.heap;
        let threshold = &self.reader().threshold;
        Settle {
            framework: "jest",
            rerun: dialect::rerun(&self.context, "", &[]),
            tail: &self.tail,
            why: threshold.as_deref(),
            heap,
            ran,
        }
        .settle(compose, end);
    }
}

/// A test that ended the process itself is told where.
fn place_exit(failure: &mut Failure, exits: &[Failure]) {
    if failure.kind != FailureKind::Crash || failure.location.is_some() {
        return;
    }
    let of_file = |exit: &&Failure| Some(&exit.id) == failure.target.as_ref();
    let Some(exit) = exits.iter().find(of_file) else {
        return;
    };
    failure.location.clone_from(&exit.location);
    failure.frames.clone_from(&exit.frames);
    failure.message = format!("{}: {}", exit.message, failure.message);
    failure.kind_sure = true;
    *failure = compose::seal(failure.clone());
}

/// How many tests have failures among these.
fn distinct(failures: &[Failure]) -> u64 {
    let mut ids: Vec<&str> = failures
        .iter()
        .filter(|failure| failure.target.is_some())
        .map(|failure| failure.id.as_str())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len() as u64
}
