//! Who is to blame when a package failed: failed tests, and who was running when the binary
//! crashed or its time was up.

use crate::compose;
use crate::go::crash::Said;
use crate::go::failure;
use crate::go::left;
use crate::go::logged;
use crate::go::place::Code;
use crate::go::place::Places;
use crate::go::resolve::Final;
use crate::go::resolve::Resolved;
use crate::go::section::Section;
use crate::go::test::Race;
use crate::go::test::Test;
use crate::go::trace::Call;
use crate::go::trace::Goroutine;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// What failed in a package that failed, or whose end is missing.
pub(crate) fn failures(
    section: &Section,
    finals: &[Final],
    resolved: &mut Resolved,
    places: &mut Places,
) {
    let package = resolved.package.clone();
    let said = section.crash.as_ref().map(|crash| crash.read());
    let mut blamed = BTreeSet::new();
    let mut crashed = Vec::new();
    if let Some(said) = &said {
        crashed = blame(section, finals, said, &package, &mut blamed, places);
        resolved.cut_short = true;
    }
    let mut failed: BTreeSet<usize> = (0..finals.len())
        .filter(|at| finals[*at] == Final::Failed && !blamed.contains(at))
        .collect();
    if said.is_some() {
        let open = leaves(section, finals).into_iter();
        let open = open.filter(|at| !blamed.contains(at));
        failed.extend(open.filter(|at| errs(&section.tests[*at], &package, places)));
    }
    let parents = failed_parents(section, &failed, &blamed);
    let mut races = section.races.iter().collect::<Vec<_>>();
    let leaves = failed.difference(&parents).copied().collect();
    for at in once(section, leaves) {
        let race = race_of(section, at, &mut races);
        let test = &section.tests[at];
        let failure = match places.many(&package, &test.name) {
            true => failure::brief(test, &package),
            false => failure::of_test(test, race, &package, places),
        };
        resolved.failures.push(failure);
    }
    resolved.failures.extend(crashed);
    if said.is_none() {
        left::left(section, finals, resolved, places);
    }
}

/// The parents of what failed.
fn failed_parents(
    section: &Section,
    failed: &BTreeSet<usize>,
    blamed: &BTreeSet<usize>,
) -> BTreeSet<usize> {
    let mut parents = BTreeSet::new();
    for at in failed.union(blamed) {
        let mut above = section.tests[*at].parent;
        while let Some(parent) = above.filter(|parent| parents.insert(*parent)) {
            above = section.tests[parent].parent;
        }
    }
    parents
}

/// Each name once. Where testing says only who ended, it is the last that counts: what a test
/// prints stands above its own end.
fn once(section: &Section, mut failed: Vec<usize>) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    let mut new = |at: &usize| seen.insert(section.tests[*at].name.as_str());
    if section.quiet() {
        failed.reverse();
    }
    failed.retain(|at| new(at));
    failed.sort_unstable();
    failed
}

/// Whether a test that was open when the binary died had surely failed before.
fn errs(test: &Test, package: &str, places: &mut Places) -> bool {
    let lines = test.out.as_ref().map(|out| out.lines()).unwrap_or_default();
    let logged = logged::sort(&lines);
    logged.entries.iter().take(200).any(|entry| {
        entry.error == Some(true) || {
            let file = places.file(package, &entry.file);
            places.code(&file, entry.line) == Code::Error
        }
    })
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
    let known = section.panicked.filter(|_| caught);
    if let Some(at) = known.or(after.map(|at| deepest(section, finals, at))) {
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
            .map(|frame| Location {
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
pub(crate) fn leaves(section: &Section, finals: &[Final]) -> Vec<usize> {
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
    failure.location = failure
        .frames
        .iter()
        .find(|frame| frame.user)
        .map(|frame| Location {
            file: frame.file.clone(),
            line: frame.line,
            column: None,
        });
    compose::seal(failure)
}

/// Parallel subtests end below their parent's end, so some that seem to run are over: those that
/// failed, where fewer goroutines run than tests.
fn over(section: &Section, said: &Said, package: &str, ids: &mut Vec<String>, places: &mut Places) {
    let top = |id: &str| id.split('/').next().unwrap_or(id).to_owned();
    let mut spare: BTreeMap<String, usize> = BTreeMap::new();
    for id in ids.iter() {
        *spare.entry(top(id)).or_default() += 1;
    }
    for (name, number) in &mut spare {
        let own = said.goroutines.iter();
        let busy = own
            .filter(|it| !it.waits() && it.runs() == Some(name))
            .count();
        *number = if busy == 0 {
            0
        } else {
            number.saturating_sub(busy)
        };
    }
    ids.retain(|id| {
        let Some(spare) = spare.get_mut(&top(id)).filter(|spare| **spare > 0) else {
            return true;
        };
        let test = section.tests.iter().rfind(|test| test.name == *id);
        let over = test.is_some_and(|test| errs(test, package, places));
        *spare -= usize::from(over);
        !over
    });
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
    if said.running.is_empty() {
        over(section, said, package, &mut ids, places);
    }
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
