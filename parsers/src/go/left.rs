//! A test binary that failed without a word of its own: somebody left, or ended it from outside.

use crate::compose;
use crate::go::blame;
use crate::go::crash::Said;
use crate::go::failure;
use crate::go::frame::Verdict;
use crate::go::place::Defined;
use crate::go::place::Places;
use crate::go::resolve::Final;
use crate::go::resolve::Resolved;
use crate::go::section::Mode;
use crate::go::section::Section;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;

/// A package that failed without a crash's text: somebody left, or was ended from outside.
pub(crate) fn left(
    section: &Section,
    finals: &[Final],
    resolved: &mut Resolved,
    places: &mut Places,
) {
    let package = resolved.package.clone();
    let running = blame::leaves(section, finals);
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
        failure.location = failure
            .frames
            .iter()
            .find(|f| f.user)
            .map(|frame| Location {
                file: frame.file.clone(),
                line: frame.line,
                column: None,
            });
        failure.kind_sure = false;
        return compose::seal(failure);
    }
    let own = free.lines().map(str::trim).rfind(|line| {
        !line.is_empty()
            && *line != "FAIL"
            && !line.starts_with("exit status ")
            && !line.starts_with("signal: ")
    });
    let said = own.map(|line| format!(": {line}")).unwrap_or_default();
    let over = section.word == Some(Verdict::Pass) || finals.contains(&Final::Passed);
    let has_main = matches!(places.defined(package, "TestMain"), Defined::At(_));
    let killed = section
        .exit
        .as_deref()
        .is_some_and(|exit| exit.starts_with("signal: "));
    let hints = free.to_lowercase().contains("setup") || free.contains("TestMain");
    let told = section.mode == Mode::Marked || section.verbose;
    let none_began = told && section.tests.is_empty();
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
