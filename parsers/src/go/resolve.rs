//! What a package came to: which of the claims about its tests hold, and who is to blame.

use crate::go::crash::Said;
use crate::go::failure;
use crate::go::frame::Ended;
use crate::go::frame::Verdict;
use crate::go::place::Code;
use crate::go::place::Defined;
use crate::go::place::Places;
use crate::go::section::Mode;
use crate::go::section::Race;
use crate::go::section::Section;
use crate::go::section::Test;
use crate::go::trace::Call;
use crate::go::trace::Goroutine;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Phase;
use crate::text;
use std::collections::BTreeSet;

/// How a test ended after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Final {
    Passed,
    Failed,
    Skipped,
    /// It was running when the lines ended.
    Running,
    /// It waits for its turn.
    Waiting,
    /// It never was.
    Ghost,
}

/// A package that is read to its end.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// Its import path.
    pub package: String,
    /// How it ended; nothing if its end is missing.
    pub ended: Option<Ended>,
    /// Tests that passed, subtests but not their parents.
    pub passed: u64,
    /// Tests that were skipped.
    pub skipped: u64,
    /// What failed.
    pub failures: Vec<Failure>,
    /// What was running when the lines ended.
    pub running: Vec<Failure>,
    /// What does not fit together.
    pub faults: Vec<String>,
    /// The result came out of go's cache.
    pub cached: bool,
    /// Only the package's own line says that tests passed.
    pub unlisted: bool,
    /// Its binary ended before all tests had run.
    pub cut_short: bool,
    /// The binary refused its arguments.
    pub usage: Option<String>,
    /// How many tests were seen.
    pub tests: usize,
    /// The go command named the binary's exit status.
    pub status: bool,
}

/// Reads a section to its end.
pub(crate) fn resolve(
    mut section: Section,
    package: &str,
    ended: Option<Ended>,
    cached: bool,
    places: &mut Places,
) -> Resolved {
    section.flush();
    if let Some(Some(goroutine)) = section
        .crash
        .as_ref()
        .map(|c| c.read().goroutines.into_iter().next())
    {
        places.learn(&goroutine.calls);
    }
    let mut resolved = Resolved {
        package: package.to_owned(),
        ended,
        cached,
        faults: std::mem::take(&mut section.faults),
        status: section.exit.is_some(),
        ..Resolved::default()
    };
    let finals = finals(&section, package, ended, places);
    if section.mode == Mode::Marked && matches!(ended, Some(Ended::Ok)) {
        let open = section.tests.iter().find(|test| test.claim.is_none());
        resolved
            .faults
            .extend(open.map(|test| format!("`{}` did not end", test.name)));
    }
    give_back(&mut section, &finals);
    resolved.tests = finals.iter().filter(|last| **last != Final::Ghost).count();
    count(&section, &finals, &mut resolved);
    match ended {
        Some(Ended::Ok) if section.tests.is_empty() && !section.no_tests => {
            resolved.passed = 1;
            resolved.unlisted = true;
        }
        Some(Ended::Ok | Ended::Nothing | Ended::Build | Ended::Setup) => {}
        Some(Ended::Fail) | None => failures(&section, &finals, &mut resolved, places),
    }
    resolved
}

/// What a subtest that never was seems to have printed is its parent's.
fn give_back(section: &mut Section, finals: &[Final]) {
    if section.mode == Mode::Marked {
        return;
    }
    for at in 0..finals.len() {
        if finals[at] != Final::Ghost || section.tests[at].out.is_none() {
            continue;
        }
        let above = section.tests[at].parent.or(section.tests[at].under);
        let parent = above.filter(|parent| finals[*parent] == Final::Failed);
        if let (Some(parent), Some(out)) = (parent, section.tests[at].out.take()) {
            out.lines()
                .into_iter()
                .for_each(|line| section.tests[parent].print(line));
        }
    }
}

/// The last word about each test.
fn finals(
    section: &Section,
    package: &str,
    ended: Option<Ended>,
    places: &mut Places,
) -> Vec<Final> {
    let green = matches!(ended, Some(Ended::Ok | Ended::Nothing));
    let mut finals: Vec<Final> = Vec::with_capacity(section.tests.len());
    for (at, test) in section.tests.iter().enumerate() {
        let mut last = one(section, at, test, &finals);
        if green && last == Final::Failed {
            last = Final::Ghost;
        }
        if green && last == Final::Running {
            // Its end stands behind something that it printed.
            last = Final::Passed;
        }
        finals.push(last);
    }
    if section.mode == Mode::Text {
        exclude(section, package, &mut finals, places);
    }
    finals
}

fn one(section: &Section, at: usize, test: &Test, before: &[Final]) -> Final {
    if section.mode == Mode::Text {
        // Without `-v` nobody is said to begin, with it everybody.
        if section.quiet() == (test.ran > 0) {
            return Final::Ghost;
        }
        let under = test.under.map(|under| &section.tests[under]);
        if test.ran > 0
            && under.is_some_and(|under| under.claim.is_some_and(|claim| claim.tick > test.ran))
        {
            return Final::Ghost;
        }
    }
    let parent = test.parent.filter(|parent| *parent != at);
    let parent_final = parent.and_then(|parent| before.get(parent).copied());
    if section.mode == Mode::Text
        && let (Some(parent), Some(parent_final)) = (parent, parent_final)
    {
        let parent_claim = section.tests[parent].claim;
        match (parent_final, test.claim, parent_claim) {
            (Final::Ghost, ..) => return Final::Ghost,
            // A subtest's end stands below its parent's.
            (_, Some(own), Some(above)) if own.tick < above.tick => return Final::Ghost,
            (_, Some(_), None) => return Final::Ghost,
            (_, None, Some(_)) if section.crash.is_none() => return Final::Ghost,
            (Final::Passed | Final::Skipped, Some(own), _) if own.verdict == Verdict::Fail => {
                return Final::Ghost;
            }
            _ => {}
        }
    }
    match test.claim.map(|claim| claim.verdict) {
        Some(Verdict::Pass) => Final::Passed,
        Some(Verdict::Fail) => Final::Failed,
        Some(Verdict::Skip) => Final::Skipped,
        None if test.waiting || test.over => Final::Waiting,
        None => Final::Running,
    }
}

/// Takes out what cannot be: tests that are not in the sources, failures at places where
/// nothing is reported, disputed ones where others are sure.
fn exclude(section: &Section, package: &str, finals: &mut [Final], places: &mut Places) {
    let failed: Vec<usize> = (0..finals.len())
        .filter(|at| matches!(finals[*at], Final::Failed | Final::Running))
        .take(5000)
        .collect();
    for at in &failed {
        let test = &section.tests[*at];
        if places.defined(package, &test.name) == Defined::Nowhere {
            finals[*at] = Final::Ghost;
        }
    }
    if section.quiet() {
        let said = |at: usize| {
            section.tests[at]
                .out
                .as_ref()
                .is_some_and(|out| !out.is_empty())
        };
        let others = failed
            .iter()
            .any(|at| finals[*at] == Final::Failed && !section.tests[*at].glued);
        for at in failed
            .iter()
            .copied()
            .filter(|_| others || section.crash.is_some())
        {
            if section.tests[at].glued && !said(at) {
                finals[at] = Final::Ghost;
            }
        }
        let doubtful: Vec<usize> = failed
            .iter()
            .copied()
            .filter(|at| {
                finals[*at] == Final::Failed && nowhere(&section.tests[*at], package, places)
            })
            .collect();
        let others = failed
            .iter()
            .any(|at| finals[*at] == Final::Failed && !doubtful.contains(at));
        for at in doubtful.into_iter().filter(|_| others) {
            finals[at] = Final::Ghost;
        }
    }
    let sure = failed
        .iter()
        .any(|at| finals[*at] == Final::Failed && !section.tests[*at].disputed);
    for at in failed.into_iter().filter(|_| sure) {
        if section.tests[at].disputed && section.tests[at].paused && finals[at] == Final::Failed {
            finals[at] = Final::Passed;
        }
    }
}

/// Whether all places that a test's block names are no places where anything is reported.
fn nowhere(test: &Test, package: &str, places: &mut Places) -> bool {
    let lines = test.out.as_ref().map(|out| out.lines()).unwrap_or_default();
    let logged = crate::go::logged::sort(&lines);
    let entries = logged
        .entries
        .iter()
        .filter(|entry| entry.file != "testing.go")
        .take(50);
    let mut any = false;
    for entry in entries {
        any = true;
        let file = places.file(package, &entry.file);
        let code = places.code(&file, entry.line);
        let there = places.context.tree.may_hold(&file, Some(entry.line));
        if code != Code::Nothing && there {
            return false;
        }
    }
    any
}

/// Tests with subtests do not count besides them.
fn count(section: &Section, finals: &[Final], resolved: &mut Resolved) {
    let parents: BTreeSet<usize> = section
        .tests
        .iter()
        .enumerate()
        .filter(|(at, test)| finals[*at] != Final::Ghost && test.name.contains('/'))
        .filter_map(|(_, test)| test.parent)
        .collect();
    for (at, last) in finals.iter().enumerate() {
        match last {
            Final::Passed if !parents.contains(&at) => resolved.passed += 1,
            Final::Skipped if !parents.contains(&at) => resolved.skipped += 1,
            _ => {}
        }
    }
}

fn failures(section: &Section, finals: &[Final], resolved: &mut Resolved, places: &mut Places) {
    let package = resolved.package.clone();
    let said = section.crash.as_ref().map(|crash| crash.read());
    let mut blamed = BTreeSet::new();
    let mut crashed = Vec::new();
    if let Some(said) = &said {
        crashed = blame(section, finals, said, &package, &mut blamed, places);
        resolved.cut_short = true;
    }
    let parents = failed_parents(section, finals, &blamed);
    let mut races = section.races.iter().collect::<Vec<_>>();
    let mut seen = BTreeSet::new();
    for (at, test) in section.tests.iter().enumerate() {
        if finals[at] == Final::Failed && !blamed.contains(&at) && !parents.contains(&at) {
            let race = race_of(section, at, &mut races);
            if seen.insert(test.name.as_str()) {
                resolved
                    .failures
                    .push(failure::of_test(test, race, &package, places));
            }
        }
    }
    resolved.failures.extend(crashed);
    if said.is_none() {
        left(section, finals, resolved, places);
    }
}

/// The parents of what failed.
fn failed_parents(
    section: &Section,
    finals: &[Final],
    blamed: &BTreeSet<usize>,
) -> BTreeSet<usize> {
    let mut parents = BTreeSet::new();
    for (at, test) in section.tests.iter().enumerate() {
        if finals[at] != Final::Failed && !blamed.contains(&at) {
            continue;
        }
        let mut above = test.parent;
        while let Some(parent) = above.filter(|parent| parents.insert(*parent)) {
            above = section.tests[parent].parent;
        }
    }
    parents
}

/// The race report of a failed test: attributed with `-v`, else the next whose calls name it.
fn race_of<'a>(section: &Section, at: usize, races: &mut Vec<&'a Race>) -> Option<&'a Race> {
    let name = section.tests[at].name.split('/').next().unwrap_or("");
    let word = format!(".{name}");
    let own = races.iter().position(|race| race.test == Some(at));
    let named = || {
        races.iter().position(|race| {
            race.test.is_none()
                && race.text.lines().iter().any(|line| {
                    line.trim()
                        .split_once(&word)
                        .is_some_and(|(_, rest)| rest.starts_with(['(', '.']))
                })
        })
    };
    let found = own.or_else(named)?;
    Some(races.remove(found))
}

/// Who was running when the binary crashed.
fn blame(
    section: &Section,
    finals: &[Final],
    said: &Said,
    package: &str,
    blamed: &mut BTreeSet<usize>,
    places: &mut Places,
) -> Vec<Failure> {
    let mut found = Vec::new();
    let first = said.goroutines.first();
    let calls: Vec<Call> = first.map(|g| g.panicked().to_vec()).unwrap_or_default();
    if said.kind == FailureKind::Timeout {
        return timed_out(section, finals, said, package, blamed, places);
    }
    let suspect = said
        .goroutines
        .iter()
        .find_map(Goroutine::runs)
        .or(first.and_then(Goroutine::test));
    let own = first.and_then(Goroutine::test);
    let top = |at: usize| {
        section.tests[at]
            .name
            .split('/')
            .next()
            .unwrap_or("")
            .to_owned()
    };
    // testing itself says `--- FAIL` of a test that panics, right above the panic.
    let above = section.crash.as_ref().and_then(|crash| crash.after);
    let caught = said.text.lines().take(12).any(|line| {
        line.contains(" [recovered") || line.contains("test executed panic(nil) or runtime.Goexit")
    });
    let after = above.filter(|at| {
        finals[*at] == Final::Failed && (caught || own.is_some_and(|own| own == top(*at)))
    });
    if let Some(at) = after {
        let at = deepest(section, finals, at);
        blamed.insert(at);
        let test = &section.tests[at];
        found.push(failure::of_crash(
            &test.name,
            said,
            &calls,
            Some(test),
            package,
            places,
        ));
        return found;
    }
    let running: Vec<usize> = leaves(section, finals);
    let mut who: Vec<usize> = running
        .iter()
        .copied()
        .filter(|at| Some(top(*at).as_str()) == own.or(suspect))
        .collect();
    if who.is_empty() {
        who = running;
    }
    for at in who.iter().copied() {
        blamed.insert(at);
        let test = &section.tests[at];
        let mut failure = failure::of_crash(&test.name, said, &calls, Some(test), package, places);
        failure.kind_sure &= who.len() == 1 || own.is_some();
        found.push(failure);
    }
    if found.is_empty() {
        found.push(match own.or(suspect) {
            Some(name) => failure::of_crash(
                name,
                said,
                &dump_calls(said, &calls, name),
                None,
                package,
                places,
            ),
            None => outside(said, &calls, section, package, places),
        });
    } else if let [only] = found.as_mut_slice()
        && only.location.is_none()
    {
        let name = only.id.split('/').next().unwrap_or("").to_owned();
        only.frames = failure::frames(&dump_calls(said, &calls, &name), places);
        only.location = only
            .frames
            .iter()
            .find(|f| f.user)
            .map(|frame| crate::report::Location {
                file: frame.file.clone(),
                line: frame.line,
                column: None,
            })
            .or(only.test_location.clone());
    }
    found
}

/// The calls of the goroutine that runs a test, where the first one has no part in it.
fn dump_calls(said: &Said, first: &[Call], name: &str) -> Vec<Call> {
    if first.iter().any(|call| !call.is_go()) {
        return first.to_vec();
    }
    let own = said
        .goroutines
        .iter()
        .find(|goroutine| goroutine.test() == Some(name));
    own.map_or_else(|| first.to_vec(), |goroutine| goroutine.calls.clone())
}

/// The failed test at the bottom of one.
fn deepest(section: &Section, finals: &[Final], at: usize) -> usize {
    let start = format!("{}/", section.tests[at].name);
    let below =
        section.tests.iter().enumerate().filter(|(below, test)| {
            test.name.starts_with(&start) && finals[*below] == Final::Failed
        });
    below
        .max_by_key(|(_, test)| (test.claim.map(|claim| claim.tick), test.name.len()))
        .map_or(at, |(below, _)| below)
}

/// Running tests that have no running subtests.
fn leaves(section: &Section, finals: &[Final]) -> Vec<usize> {
    let running: Vec<usize> = (0..finals.len())
        .filter(|at| finals[*at] == Final::Running)
        .take(2000)
        .collect();
    let parents: BTreeSet<usize> = running
        .iter()
        .filter_map(|at| section.tests[*at].parent)
        .collect();
    running
        .into_iter()
        .filter(|at| !parents.contains(at))
        .collect()
}

/// A panic in no test: while the package was set up, in `TestMain`, or after the tests.
fn outside(
    said: &Said,
    calls: &[Call],
    section: &Section,
    package: &str,
    places: &mut Places,
) -> Failure {
    let in_main = calls.iter().any(|call| call.name() == "TestMain");
    let before = section.tests.is_empty() && section.word.is_none();
    let (kind, phase) = match (said.kind, in_main) {
        (FailureKind::Panic, true) if before => (FailureKind::SetupError, Phase::Setup),
        (FailureKind::Panic, true) => (FailureKind::TeardownError, Phase::Teardown),
        (kind, _) if before => (kind, Phase::Setup),
        (kind, _) => (kind, Phase::Session),
    };
    let mut failure = failure::of_package(package, kind, phase, &said.message, &said.text, places);
    failure.frames = failure::frames(calls, places);
    failure.location =
        failure
            .frames
            .iter()
            .find(|frame| frame.user)
            .map(|frame| crate::report::Location {
                file: frame.file.clone(),
                line: frame.line,
                column: None,
            });
    crate::compose::seal(failure)
}

/// testing's own time-out names who was running since Go 1.20; before that the goroutines do.
fn timed_out(
    section: &Section,
    finals: &[Final],
    said: &Said,
    package: &str,
    blamed: &mut BTreeSet<usize>,
    places: &mut Places,
) -> Vec<Failure> {
    let mut ids: Vec<String> = leaves(section, finals)
        .into_iter()
        .map(|at| section.tests[at].name.clone())
        .collect();
    if ids.is_empty() || !said.running.is_empty() {
        ids = said
            .running
            .iter()
            .filter(|id| {
                !said
                    .running
                    .iter()
                    .any(|other| other.starts_with(&format!("{id}/")))
            })
            .cloned()
            .collect();
    }
    let mut seen = BTreeSet::new();
    let busy = said
        .goroutines
        .iter()
        .filter(|g| !g.waits() && g.runs().is_some());
    if ids.is_empty() {
        ids = busy
            .clone()
            .filter_map(Goroutine::runs)
            .filter(|name| seen.insert(name.to_string()))
            .map(str::to_owned)
            .collect();
    }
    let mut used = BTreeSet::new();
    let mut found = Vec::new();
    for id in ids.iter().take(500) {
        let top = id.split('/').next().unwrap_or(id);
        let all: Vec<(usize, &Goroutine)> = said.goroutines.iter().enumerate().collect();
        let own = all
            .iter()
            .find(|(n, g)| !used.contains(n) && !g.waits() && g.runs() == Some(top));
        let own = own.or_else(|| {
            all.iter()
                .find(|(n, g)| !used.contains(n) && g.runs() == Some(top))
        });
        let calls = own.map(|(n, goroutine)| {
            used.insert(*n);
            goroutine.calls.clone()
        });
        let at = section.tests.iter().rposition(|test| test.name == *id);
        blamed.extend(at);
        let test = at.map(|at| &section.tests[at]);
        found.push(failure::of_crash(
            id,
            said,
            &calls.unwrap_or_default(),
            test,
            package,
            places,
        ));
    }
    if found.is_empty() {
        let mut failure = failure::of_package(
            package,
            said.kind,
            Phase::Session,
            &said.message,
            &said.text,
            places,
        );
        failure.kind_sure = true;
        found.push(failure);
    }
    found
}

/// A package that failed without a crash's text: somebody left, or was ended from outside.
fn left(section: &Section, finals: &[Final], resolved: &mut Resolved, places: &mut Places) {
    let package = resolved.package.clone();
    let running = leaves(section, finals);
    let how = how(section);
    let free = section.free.text();
    for at in running {
        let test = &section.tests[at];
        let message = format!("{how} while this test was running");
        let said = Said {
            kind: FailureKind::Crash,
            message,
            running: Vec::new(),
            goroutines: Vec::new(),
            text: section.exit.clone().unwrap_or_default(),
        };
        let failure = failure::of_crash(&test.name, &said, &[], Some(test), &package, places);
        match resolved.ended {
            Some(_) => resolved.failures.push(failure),
            None => resolved.running.push(failure),
        }
        resolved.cut_short = true;
    }
    if resolved.ended.is_none() || !resolved.failures.is_empty() {
        return;
    }
    if let Some(usage) = usage(&free) {
        resolved.usage = Some(usage);
        return;
    }
    let failure = alone(section, finals, &how, &free, &package, places);
    resolved.cut_short |= failure.kind == FailureKind::Crash;
    resolved.failures.push(failure);
}

/// The package failed, and no test did.
fn alone(
    section: &Section,
    finals: &[Final],
    how: &str,
    free: &str,
    package: &str,
    places: &mut Places,
) -> Failure {
    if let Some(race) = section.races.first() {
        let lines = race.text.lines();
        let what = lines.get(1).map_or("", |line| line.trim_end_matches(':'));
        let message = format!("data race: {what}");
        let mut failure = failure::of_package(
            package,
            FailureKind::Assertion,
            Phase::Session,
            &message,
            &race.text.text(),
            places,
        );
        failure.frames = failure::frames(&failure::race_calls(&lines), places);
        failure.location =
            failure
                .frames
                .iter()
                .find(|f| f.user)
                .map(|frame| crate::report::Location {
                    file: frame.file.clone(),
                    line: frame.line,
                    column: None,
                });
        failure.kind_sure = false;
        return crate::compose::seal(failure);
    }
    let own = free.lines().map(str::trim).rfind(|line| {
        !line.is_empty()
            && *line != "FAIL"
            && !line.starts_with("exit status ")
            && !line.starts_with("signal: ")
    });
    let said = own.map(|line| format!(": {line}")).unwrap_or_default();
    let over =
        section.word == Some(Verdict::Pass) || finals.iter().any(|last| *last == Final::Passed);
    let has_main = matches!(places.defined(package, "TestMain"), Defined::At(_));
    let killed = section
        .exit
        .as_deref()
        .is_some_and(|exit| exit.starts_with("signal: "));
    let hints = free.to_lowercase().contains("setup") || free.contains("TestMain");
    let none_began = section.mode == Mode::Marked && section.tests.is_empty();
    let (kind, phase, when) = if killed {
        (FailureKind::Crash, Phase::Session, "")
    } else if over {
        (
            FailureKind::TeardownError,
            Phase::Teardown,
            " after the tests",
        )
    } else if none_began || has_main || hints {
        (FailureKind::SetupError, Phase::Setup, " before any test")
    } else {
        (FailureKind::Crash, Phase::Session, "")
    };
    let message = format!("{how}{when}{}", text::cut(&said, 300));
    let mut failure = failure::of_package(package, kind, phase, &message, free, places);
    failure.kind_sure = killed || none_began || over;
    if let (Defined::At(location), false) = (places.defined(package, "TestMain"), killed) {
        failure.location = Some(location);
    }
    failure
}

/// How the binary ended.
fn how(section: &Section) -> String {
    match section.exit.as_deref() {
        Some(exit) => match exit.strip_prefix("signal: ") {
            Some(signal) => format!("the test binary was ended by a signal ({signal})"),
            None => format!("the test binary left with {exit}"),
        },
        None => "the test binary left".to_owned(),
    }
}

/// What the binary says to arguments that it does not know.
fn usage(free: &str) -> Option<String> {
    let line = free.lines().find(|line| {
        line.starts_with("flag provided but not defined: ")
            || line.starts_with("testing: invalid regexp for element")
            || line.starts_with("invalid value ") && free.contains("Usage of ")
            || line.starts_with("flag needs an argument: ")
    })?;
    Some(line.to_owned())
}
