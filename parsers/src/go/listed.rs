//! Failed tests of which only names and outputs are known: gotestsum's list and JUnit file.

use crate::compose;
use crate::go::crash;
use crate::go::crash::Crash;
use crate::go::failure;
use crate::go::frame;
use crate::go::frame::Ended;
use crate::go::place::Places;
use crate::go::resolve;
use crate::go::resolve::Resolved;
use crate::go::section::Mode;
use crate::go::section::Section;
use crate::go::store::Store;
use crate::go::sum::Listed;
use crate::go::test::Test;
use crate::junit;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Phase;

/// gotestsum's JUnit file has each test's output; parents are cases of their own there.
pub(crate) fn files(documents: &[junit::Document], all: &mut Vec<Resolved>, places: &mut Places) {
    let mut found = Resolved {
        ended: Some(Ended::Fail),
        ..Resolved::default()
    };
    for document in documents {
        let context = places.context.clone();
        let read = document.read(&context);
        found.passed += read.passed;
        found.skipped += read.skipped;
        // gotestsum lists a package's own failure, but does not count it.
        let extra = read
            .failures
            .iter()
            .any(|failure| failure.id == "TestMain" || failure.id.is_empty());
        let faults = read
            .faults
            .iter()
            .filter(|fault| !extra || !fault.contains(" are announced, "));
        found.faults.extend(faults.cloned());
        let names: Vec<&str> = read
            .failures
            .iter()
            .filter_map(|failure| failure.target.as_deref())
            .collect();
        places.suggest(names.into_iter());
        for failure in &read.failures {
            let package = failure.target.clone().unwrap_or_default();
            let parent = read.failures.iter().any(|other| {
                other.target == failure.target
                    && other
                        .id
                        .strip_prefix(&failure.id)
                        .is_some_and(|rest| rest.starts_with('/'))
            });
            if parent {
                continue;
            }
            let body = failure.details.clone().unwrap_or_default();
            let name = if frame::is_test(&failure.id) && failure.id != "TestMain" {
                failure.id.as_str()
            } else {
                ""
            };
            let mut made = lone(&package, name, body.lines(), None, places);
            made.duration_ms = failure.duration_ms.or(made.duration_ms);
            found.failures.push(made);
        }
    }
    found.cut_short = found.failures.iter().any(died);
    // The file knows every test; the text may know more of those that failed.
    let text: Vec<Resolved> = std::mem::take(all);
    let known = |failure: &Failure, list: &[Failure]| {
        list.iter()
            .any(|other| other.id == failure.id && other.target == failure.target)
    };
    for mut resolved in text {
        resolved.passed = 0;
        resolved.skipped = 0;
        resolved.unlisted = false;
        let covered = resolved
            .failures
            .iter()
            .all(|failure| known(failure, &found.failures));
        if covered {
            // The text has the whole of it, traces included.
            for failure in std::mem::take(&mut resolved.failures) {
                if let Some(at) = found
                    .failures
                    .iter()
                    .position(|other| other.id == failure.id && other.target == failure.target)
                {
                    found.failures[at] = failure;
                }
            }
        }
        all.push(resolved);
    }
    all.push(found);
}

/// One failed test of which only the output is known.
fn lone<'a>(
    package: &str,
    name: &str,
    lines: impl Iterator<Item = &'a str>,
    ms: Option<u64>,
    places: &mut Places,
) -> Failure {
    let mut section = Section::new(Mode::Text);
    let mut crash: Option<Crash> = None;
    let mut test = Test::named(name);
    test.ms = ms;
    for line in lines {
        if let Some(crash) = &mut crash {
            crash.text.push(line);
        } else if crash::begins(line) {
            crash = Some(Crash::new(line, None));
        } else if frame::may_be(line.as_bytes()) && frame::of(line).is_some() {
            if let Some(frame::Frame::End { ms, .. }) = frame::of(line) {
                test.ms = ms;
            }
        } else if name.is_empty() {
            section.free.push(line);
        } else {
            test.print(line);
        }
    }
    if name.is_empty() {
        section.crash = crash;
        let mut resolved = resolve::resolve(section, package, Some(Ended::Fail), false, places);
        if let Some(failure) = resolved.failures.pop() {
            return failure;
        }
        let message = resolved
            .usage
            .unwrap_or_else(|| "the package failed".to_owned());
        return failure::of_package(
            package,
            FailureKind::SetupError,
            Phase::Setup,
            &message,
            "",
            places,
        );
    }
    if let Some(crash) = crash {
        let said = crash.read();
        let own = said
            .goroutines
            .iter()
            .find(|g| g.runs().is_some() && !g.waits());
        let first = match said.kind {
            FailureKind::Timeout => own,
            _ => said.goroutines.first(),
        };
        let calls = first
            .map(|goroutine| goroutine.panicked().to_vec())
            .unwrap_or_default();
        return failure::of_crash(name, &said, &calls, Some(&test), package, places);
    }
    let silent = test
        .out
        .as_ref()
        .is_none_or(|out| !out.lines().iter().any(|line| line.contains(".go:")));
    let mut made = failure::of_test(&test, None, package, places);
    if silent && test.ms.is_none() && !name.starts_with("Example") {
        made.kind = FailureKind::Crash;
        made.message = "the test binary left while this test was running".to_owned();
        made = compose::seal(made);
    }
    made
}

/// gotestsum's own list, where nothing else names what failed.
pub(crate) fn summary(store: &mut Store, all: &mut Vec<Resolved>) {
    if !store.sum.holds() {
        return;
    }
    let Some(done) = store.sum.done else {
        return;
    };
    let mut found = Resolved {
        ended: Some(if done.failures > 0 {
            Ended::Fail
        } else {
            Ended::Ok
        }),
        passed: done.tests.saturating_sub(done.failures + done.skipped),
        skipped: done.skipped,
        ..Resolved::default()
    };
    let listed: Vec<Listed> = std::mem::take(&mut store.sum.listed);
    for one in &listed {
        let parent = listed.iter().any(|other| {
            other.package == one.package
                && other
                    .name
                    .strip_prefix(&one.name)
                    .is_some_and(|rest| !one.name.is_empty() && rest.starts_with('/'))
        });
        let built = one
            .out
            .lines()
            .iter()
            .any(|line| line.ends_with("[build failed]") || line.ends_with("[setup failed]"));
        if parent || built {
            continue;
        }
        let package = store.places.whole(&one.package);
        found.failures.push(lone(
            &package,
            &one.name,
            one.out.lines().into_iter(),
            one.ms,
            &mut store.places,
        ));
    }
    found.cut_short = found.failures.iter().any(died);
    all.push(found);
}

/// Whether a failure ended its whole binary.
fn died(failure: &Failure) -> bool {
    matches!(
        failure.kind,
        FailureKind::Crash | FailureKind::Panic | FailureKind::Timeout
    )
}
