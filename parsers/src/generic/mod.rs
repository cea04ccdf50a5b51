//! Reads anything: what compilers and linters say, the runs of test frameworks that a script or
//! make starts, the end of the log, the exit status.
//!
//! - A command without a protocol counts as one test, judged by its exit status; what
//!   `lint` reads is why it failed.
//! - Where a framework's own lines stand in the output (`mixed`), its own reader reads
//!   them, and the report is that framework's; of several the counts are summed, the report is
//!   complete if all of them are, and what compilers said between them stands beside.
//! - The exit status may raise the outcome, never lower it: a framework that says `2 failed` is
//!   not green because make was told to ignore it.

mod settle;

use crate::auto;
use crate::auto::Owned;
use crate::context::Context;
use crate::event::TestEvent;
use crate::lines::Lines;
use crate::lint;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Format;
use crate::live::Stream;
use crate::mixed::Cuts;
use crate::mixed::Readers;
use crate::mixed::Stretch;
use crate::mixed::Watch;
use crate::report::Outcome;
use crate::report::Report;
use crate::text::Tail;

/// So much is kept until it is known whether a framework speaks in it.
const MOST: usize = 8 << 20;

/// Which frameworks speak, and in which parts of which stream.
#[derive(Debug)]
struct Plan {
    formats: Vec<Format>,
    runs: Vec<(Owned, Vec<Stretch>)>,
}

/// A run of any command that is being read.
#[derive(Debug)]
pub struct GenericRun {
    context: Context,
    tail: Tail,
    watch: Watch,
    kept: Vec<(Owned, Vec<u8>)>,
    bytes: usize,
    /// How much of each stream is kept no more.
    gone: Vec<(Owned, u64)>,
    /// What reads each stream for compilers and linters.
    lints: Vec<(Owned, Lines, lint::Reader)>,
    readers: Option<Readers>,
}

impl GenericRun {
    /// Begins to read a run.
    pub fn new(context: Context) -> Self {
        GenericRun {
            context,
            tail: Tail::default(),
            watch: Watch::default(),
            kept: Vec::new(),
            bytes: 0,
            gone: Vec::new(),
            lints: Vec::new(),
            readers: None,
        }
    }

    /// Takes more bytes of one stream. Whether something failed is known only at the end.
    pub fn feed(&mut self, stream: Stream<'_>, mut bytes: &[u8]) -> Vec<TestEvent> {
        self.tail.feed(bytes);
        while !bytes.is_empty() {
            if let Some(readers) = &mut self.readers {
                if let Some(last) = readers.last() {
                    readers.feed(last, stream, bytes);
                }
                return Vec::new();
            }
            // Decided after so many bytes, in however many pieces they come.
            let (now, rest) = bytes.split_at(bytes.len().min(MOST - self.bytes));
            self.keep(stream, now);
            self.watch.feed(stream, now);
            if self.bytes >= MOST {
                self.overflow();
            }
            bytes = rest;
        }
        Vec::new()
    }

    fn keep(&mut self, stream: Stream<'_>, bytes: &[u8]) {
        self.bytes += bytes.len();
        let name = Owned::of(stream);
        match self.kept.last_mut() {
            Some((last, kept)) if *last == name => kept.extend_from_slice(bytes),
            _ => self.kept.push((name, bytes.to_vec())),
        }
    }

    /// No more can be kept: either it is known by now whose it is, or the older half goes.
    fn overflow(&mut self) {
        if self.decide() {
            return;
        }
        let mut left = if self.watch.is_empty() {
            MOST
        } else {
            MOST / 2
        };
        for (stream, bytes) in std::mem::take(&mut self.kept) {
            let (old, young) = bytes.split_at(left.min(bytes.len()));
            left -= old.len();
            self.bytes -= old.len();
            let before = self.pass(&stream, old.len());
            self.lint(&stream, old);
            self.watch.forget(&stream, before + old.len() as u64);
            if !young.is_empty() {
                self.kept.push((stream, young.to_vec()));
            }
        }
    }

    /// Counts bytes of a stream that are kept no more; how many there were before.
    fn pass(&mut self, stream: &Owned, length: usize) -> u64 {
        let known = self.gone.iter().position(|(name, _)| name == stream);
        let at = known.unwrap_or_else(|| {
            self.gone.push((stream.clone(), 0));
            self.gone.len() - 1
        });
        let before = self.gone[at].1;
        self.gone[at].1 += length as u64;
        before
    }

    /// Reads bytes of a stream for what compilers and linters say.
    fn lint(&mut self, stream: &Owned, bytes: &[u8]) {
        let known = self.lints.iter().position(|(name, ..)| name == stream);
        let at = known.unwrap_or_else(|| {
            let reader = lint::Reader::new(&self.context);
            self.lints.push((stream.clone(), Lines::default(), reader));
            self.lints.len() - 1
        });
        let context = &self.context;
        let (_, lines, reader) = &mut self.lints[at];
        lines.each(bytes, |seen| reader.line(&seen, context));
    }

    /// The frameworks that speak in what is kept, and where.
    fn plan(&self) -> Option<Plan> {
        let mut runs = self.watch.runs();
        let mut all = runs.iter().flat_map(|(_, runs)| runs);
        let first = all.next().map(|run| run.format);
        if all.any(|run| Some(run.format) != first) {
            believe(&mut runs, auto::recognise(&self.kept), Stretch::is_whole);
        }
        let mut formats: Vec<Format> = Vec::new();
        for run in runs.iter().flat_map(|(_, runs)| runs) {
            if !formats.contains(&run.format) {
                formats.push(run.format);
            }
        }
        // A whole report says more than any text beside it, and the same.
        let mut kept = self.kept.iter();
        if kept.any(|(name, bytes)| document(name, bytes).is_some()) {
            formats = vec![auto::recognise(&self.kept)];
            formats.retain(|one| !matches!(one, Format::Generic | Format::Auto));
        }
        (!formats.is_empty()).then_some(Plan { formats, runs })
    }

    /// Hands what is kept to the readers of the frameworks that speak in it; whether there are.
    fn decide(&mut self) -> bool {
        let Some(plan) = self.plan() else {
            return false;
        };
        self.readers = Some(self.hand(&plan));
        self.between(&plan.runs, false);
        self.kept.clear();
        true
    }

    /// The reports of the frameworks, all of whose output is at hand. The exit status of one
    /// alone is told where it explains what is not fine by its own words.
    fn reports(&mut self, end: &End) -> Vec<Report> {
        let Some(plan) = self.plan() else {
            return Vec::new();
        };
        let mut reports = self.hand(&plan).finish(end, None);
        let code = end
            .exit
            .and_then(|exit| exit.code)
            .filter(|code| *code != 0);
        if let ([one], [format], Some(code)) = (&reports[..], &plan.formats[..], code)
            && !one.complete
            && one.outcome != Outcome::Interrupted
        {
            let code = self.meant(*format, code);
            reports = self.hand(&plan).finish(end, Some(code));
        }
        let fine = reports.iter().all(|one| one.outcome == Outcome::Passed);
        self.between(&plan.runs, fine);
        self.kept.clear();
        reports
    }

    /// The exit status as a framework means it: behind make pytest's own is lost.
    fn meant(&self, format: Format, code: i32) -> i32 {
        let mut command = self.context.command.iter();
        let direct = command.any(|word| word.contains("pytest"));
        match (format, code) {
            (Format::Pytest, 2..=5) if !direct => 1,
            _ => code,
        }
    }

    /// One framework reads everything; of several each reads its own part.
    fn hand(&self, plan: &Plan) -> Readers {
        let (formats, runs) = (&plan.formats[..], &plan.runs);
        let mut readers = Readers::new(formats, &self.context);
        let mut places = self.gone.clone();
        // One stream behind the other: their pieces may end in the middle of a line.
        let late = |name: &Owned| matches!(name, Owned::Stderr);
        let (last, first): (Vec<_>, Vec<_>) = self.kept.iter().partition(|(name, _)| late(name));
        let mut ended = true;
        for (name, bytes) in first.into_iter().chain(last) {
            if late(name) && !ended {
                formats
                    .iter()
                    .for_each(|format| readers.feed(*format, Stream::Log, b"\n"));
            }
            ended = bytes.ends_with(b"\n") || late(name);
            let from = step(&mut places, name, bytes.len());
            let own = runs.iter().find(|(stream, _)| stream == name);
            match (formats, own) {
                ([only], _) => readers.feed(*only, name.stream(), bytes),
                (_, Some((_, runs))) => Cuts::of(runs).each(from, bytes, |format, piece| {
                    readers.feed(format, name.stream(), piece);
                }),
                (_, None) => {
                    if let Some(format) = document(name, bytes) {
                        readers.feed(format, name.stream(), bytes);
                    }
                }
            }
        }
        readers
    }

    /// Reads what lies before, between and behind the runs for compilers and linters.
    fn between(&mut self, runs: &[(Owned, Vec<Stretch>)], fine: bool) {
        let kept = std::mem::take(&mut self.kept);
        let mut places = self.gone.clone();
        for (name, bytes) in &kept {
            let from = step(&mut places, name, bytes.len());
            let to = from + bytes.len() as u64;
            let none = Vec::new();
            let own = runs.iter().find(|(stream, _)| stream == name);
            let own = own.map_or(&none, |(_, runs)| runs);
            // What tests print to another stream than their runner is no compiler's.
            if own.is_empty() && !matches!(name, Owned::Stdout | Owned::Log) {
                continue;
            }
            let mut at = from;
            for run in own {
                if let Some(begin) = run.begin() {
                    self.lint(name, part(bytes, from, at, begin.clamp(at, to)));
                }
                at = at.max(run.to.min(to));
            }
            // Behind a run that failed stands what its tests had still to print.
            if own.is_empty() || fine {
                self.lint(name, part(bytes, from, at, to));
            }
        }
        self.kept = kept;
    }

    /// The report of the whole run.
    pub fn finish(mut self, end: End) -> Report {
        self.watch.end();
        let reports = match self.readers.take() {
            // A long run: its end is all that is known now.
            Some(readers) => readers.finish(&end, None),
            None => self.reports(&end),
        };
        for (stream, bytes) in std::mem::take(&mut self.kept) {
            self.lint(&stream, &bytes);
        }
        let mut said = Vec::new();
        for (_, mut lines, mut reader) in std::mem::take(&mut self.lints) {
            if let Some(line) = lines.finish() {
                reader.line(&line.seen(), &self.context);
            }
            said.push(reader.finish(&self.context));
        }
        settle::report(
            &self.context,
            &self.tail,
            settle::merge(said),
            reports,
            &end,
        )
    }
}

/// Of several frameworks those are believed that begin and end, or whose command is told, beside
/// the one for which most speaks: what a test prints may stand behind the end of its run.
pub(crate) fn believe(
    runs: &mut [(Owned, Vec<Stretch>)],
    best: Format,
    whole: impl Fn(&Stretch) -> bool,
) {
    let all = || runs.iter().flat_map(|(_, runs)| runs);
    let Some(first) = all().next().map(|run| run.format) else {
        return;
    };
    let known = all().any(|run| run.format == best);
    let main = if known { best } else { first };
    for (_, runs) in runs {
        runs.retain(|run| run.format == main || whole(run) || run.is_called());
    }
}

/// A whole document that only one framework writes.
fn document(name: &Owned, bytes: &[u8]) -> Option<Format> {
    match name {
        Owned::File(_) | Owned::Log | Owned::Stdout => auto::document(bytes),
        Owned::Stderr => None,
    }
}

/// The place at which a piece of a stream begins.
fn step(places: &mut Vec<(Owned, u64)>, name: &Owned, length: usize) -> u64 {
    match places.iter_mut().find(|(own, _)| own == name) {
        Some((_, at)) => {
            let before = *at;
            *at += length as u64;
            before
        }
        None => {
            places.push((name.clone(), length as u64));
            0
        }
    }
}

/// The bytes of a piece, which begins at `start`, from one place to another.
fn part(bytes: &[u8], start: u64, from: u64, to: u64) -> &[u8] {
    let index = |place: u64| usize::try_from(place.saturating_sub(start)).unwrap_or(usize::MAX);
    let to = index(to).min(bytes.len());
    &bytes[index(from).min(to)..to]
}

impl Adapter for GenericRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        GenericRun::feed(self, stream, bytes)
    }

    fn finish(self: Box<Self>, end: End) -> Report {
        GenericRun::finish(*self, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Exit;
    use crate::report::FailureKind;

    fn report(log: &str, exit: Option<Exit>) -> Report {
        let mut run = GenericRun::new(Context::rooted("/p"));
        run.feed(Stream::Log, log.as_bytes());
        run.finish(End {
            exit,
            interrupted: false,
        })
    }

    #[test]
    fn many_tools_name_file_and_line() {
        let log = "/p/src/a.c:3:5: error: expected ';' before 'x'
src/b.c:10: fatal error: b.h: No such file
src/c.ts(4,7): error TS2304: Cannot find name 'x'.
a/d.py:5:1: F401 `os` imported but unused
e.py:7: error: Incompatible types  [assignment]
src/a.c:9:1: warning: unused variable 'y' [-Wunused-variable]
12:30:01 error: not a place
test.sh: line 3: error: no number
";
        let report = report(log, Some(Exit::code(2)));
        let ids: Vec<&str> = report
            .failures
            .iter()
            .map(|failure| failure.id.as_str())
            .collect();
        assert_eq!(
            ids,
            [
                "src/c.ts:4:7 TS2304",
                "a/d.py:5:1 F401",
                "e.py:7 assignment",
                "src/a.c:3:5",
                "src/b.c:10"
            ]
        );
        assert_eq!(report.outcome, Outcome::BuildFailed);
        assert_eq!(report.counts.failed, 1);
        assert_eq!(report.diagnostics.len(), 1);
    }

    #[test]
    fn the_exit_status_decides() {
        let fine = report("a.c:1: error: expected by the test\n", Some(Exit::code(0)));
        assert!(fine.is_green());
        assert_eq!(fine.diagnostics[0].level, "error");
        let bad = report("all fine\nor so it says\n", Some(Exit::code(7)));
        assert_eq!((bad.outcome, bad.counts.failed), (Outcome::Failed, 1));
        assert_eq!(
            bad.failures[0].message,
            "exited with status 7: or so it says"
        );
        assert!(!bad.failures[0].kind_sure);
        let unknown = report("all fine\n", None);
        assert_eq!(
            (unknown.outcome, unknown.complete),
            (Outcome::NoTests, false)
        );
    }

    #[test]
    fn what_make_did_not_do_is_no_test() {
        for log in [
            "make: 'test' is up to date.\n",
            "make[1]: Entering directory '/p'\nmake[1]: Nothing to be done for 'test'.\nmake[1]: Leaving directory '/p'\n",
        ] {
            let report = report(log, Some(Exit::code(0)));
            assert_eq!(report.outcome, Outcome::NoTests, "{report:#?}");
            assert!(!report.is_green());
        }
        let more = "ok\nmake: 'all' is up to date.\n";
        assert!(report(more, Some(Exit::code(0))).is_green());
    }

    #[test]
    fn a_signal_is_a_crash() {
        let exit = Exit {
            signal: Some(11),
            ..Exit::default()
        };
        let report = report("", Some(exit));
        assert_eq!(report.outcome, Outcome::Crashed);
        assert_eq!(report.failures[0].message, "died of signal 11 (SIGSEGV)");
    }

    fn ids(report: &Report) -> Vec<&str> {
        let all = report.failures.iter();
        all.map(|failure| failure.id.as_str()).collect()
    }

    const PYTEST: &str =
        "============================= test session starts ==============================
collected 2 items

test_a.py .F                                                             [100%]

=================================== FAILURES ===================================
____________________________________ test_b ____________________________________

    def test_b():
>       assert 1 == 2
E       assert 1 == 2

test_a.py:5: AssertionError
=========================== short test summary info ============================
FAILED test_a.py::test_b - assert 1 == 2
========================= 1 failed, 1 passed in 0.02s ==========================
";
    const GO: &str = "--- FAIL: TestA (0.00s)
    a_test.go:6: bad
FAIL
FAIL\texample.com/a\t0.002s
ok  \texample.com/b\t0.001s
FAIL
";

    #[test]
    fn a_framework_behind_make_is_read_as_its_own() {
        let log = format!("pytest\n{PYTEST}make: *** [Makefile:2: test] Error 1\n");
        let report = report(&log, Some(Exit::code(2)));
        assert_eq!(report.run.framework, "pytest");
        assert_eq!(ids(&report), ["test_a.py::test_b"]);
        assert_eq!((report.outcome, report.complete), (Outcome::Failed, true));
        assert_eq!((report.counts.passed, report.counts.failed), (1, 1));
    }

    #[test]
    fn a_framework_that_nobody_asked_for_structure_is_believed_by_its_text() {
        let start = format!("{:=^80}", " test session starts ");
        let end = format!("{:=^80}", " 1 passed in 0.02s ");
        let pytest = format!(
            "{start}\ncollected 1 item\n\ntest_a.py .                            [100%]\n\n{end}\n"
        );
        let unittest = ".\n----------------------------------------------------------------------\nRan 1 test in 0.000s\n\nOK\n";
        for (name, stream, text) in [
            ("pytest", Stream::Stdout, pytest.as_str()),
            ("unittest", Stream::Stderr, unittest),
        ] {
            let mut run = GenericRun::new(Context::rooted("/p"));
            run.feed(Stream::Stdout, b"make: Entering directory");
            run.feed(Stream::Stdout, b" '/p'\n");
            run.feed(stream, text.as_bytes());
            let report = run.finish(End {
                exit: Some(Exit::code(0)),
                interrupted: false,
            });
            assert!(report.is_green(), "{report:#?}");
            assert_eq!(
                (report.run.framework.as_str(), report.counts.passed),
                (name, 1)
            );
        }
    }

    #[test]
    fn what_a_framework_says_is_not_made_green_by_the_exit_status() {
        let report = report(PYTEST, Some(Exit::code(0)));
        assert!(!report.is_green());
        assert_eq!(ids(&report), ["test_a.py::test_b"]);
    }

    #[test]
    fn two_frameworks_are_summed() {
        let log =
            format!("go test ./...\n{GO}pytest\n{PYTEST}make: *** [Makefile:2: test] Error 1\n");
        let both = report(&log, Some(Exit::code(2)));
        assert_eq!(both.run.framework, "generic");
        assert_eq!(ids(&both), ["TestA", "test_a.py::test_b"]);
        assert_eq!((both.counts.failed, both.outcome), (2, Outcome::Failed));
        let cut = &log[..log.len() - 150];
        let cut = report(cut, Some(Exit::code(2)));
        assert!(!cut.complete);
    }

    #[test]
    fn compilers_before_tests_are_told_beside_them() {
        let log = format!("src/a.ts(3,5): error TS2304: Cannot find name 'x'.\n{PYTEST}");
        let report = report(&log, Some(Exit::code(1)));
        assert_eq!(ids(&report), ["src/a.ts:3:5 TS2304", "test_a.py::test_b"]);
        assert_eq!(report.outcome, Outcome::BuildFailed);
    }

    #[test]
    fn what_fails_after_the_tests_is_a_failure_of_the_command() {
        let fine = PYTEST
            .replace("1 failed, 1 passed", "2 passed")
            .replace("F  ", ".  ")
            .replace("FAILED test_a.py::test_b - assert 1 == 2\n", "");
        let start = fine.find("====== FAILURES").expect("a part") - 30;
        let end = fine
            .find("=========================== short")
            .expect("a part");
        let last = fine.rfind("=========================").expect("a part") - 24;
        let fine = format!("{}{}", &fine[..start], &fine[last..].trim_start());
        let _ = end;
        let log =
            format!("{fine}ruff: command not found\nmake: *** [Makefile:3: lint] Error 127\n");
        let report = report(&log, Some(Exit::code(2)));
        assert_eq!(report.failures.len(), 1, "{report:#?}");
        assert_eq!(report.failures[0].kind, FailureKind::ExitNonzero);
        assert_eq!((report.counts.passed, report.outcome), (2, Outcome::Failed));
    }

    #[test]
    fn prose_about_tests_is_no_framework() {
        let log = "running 3 tests
0 errors, 2 warnings
error handling test: ok
FAILED attempts: 0
3 tests, 1 failure tolerated
2 failed in the last hour
Ran 3 tests in total
Tests: 3
1..3
ok
test result: fine
OK
";
        let fine = report(log, Some(Exit::code(0)));
        assert!(fine.is_green());
        assert!(fine.failures.is_empty());
        let bad = report(log, Some(Exit::code(1)));
        assert_eq!(bad.failures.len(), 1);
        assert_eq!(bad.run.framework, "generic");
    }
}
