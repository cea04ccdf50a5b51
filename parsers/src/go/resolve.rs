//! What a package came to: which of the claims about its tests hold, and who is to blame.

use crate::go::blame;
use crate::go::frame::Ended;
use crate::go::frame::Verdict;
use crate::go::place::Code;
use crate::go::place::Defined;
use crate::go::place::Places;
use crate::go::section::Mode;
use crate::go::section::Section;
use crate::go::test::Test;
use crate::report::Failure;
use std::collections::BTreeSet;

/// How a test ended after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Final {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It was skipped.
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
        Some(Ended::Fail) | None => blame::failures(&section, &finals, &mut resolved, places),
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
    let missing: Vec<usize> = failed
        .iter()
        .copied()
        .filter(|at| places.defined(package, &section.tests[*at].name) == Defined::Nowhere)
        .collect();
    // Where none is in the sources they are not the ones that ran.
    if missing.len() < failed.len() || section.crash.is_some() {
        missing.into_iter().for_each(|at| finals[at] = Final::Ghost);
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
        // A helper without `t.Helper` that lies nobody knows where.
        let helper = !entry.file.ends_with("_test.go") && places.elsewhere(&file);
        if helper || code != Code::Nothing && there {
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
