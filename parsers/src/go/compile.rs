//! Which build errors are real: those that the go command itself stands for.

use crate::go::build::Builds;
use crate::go::build::Error;
use crate::go::failure;
use crate::go::frame::Ended;
use crate::go::resolve::Resolved;
use crate::go::store::Store;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Phase;
use std::collections::BTreeSet;

/// Build errors that the go command stands for, and what it says of its arguments there.
pub(crate) fn builds(
    store: &mut Store,
    events: &[Resolved],
    told: &[Resolved],
) -> (Vec<Failure>, Option<String>) {
    let ran = |package: &str| {
        let mut all = events.iter().chain(told);
        all.any(|other| {
            other.package == package && matches!(other.ended, Some(Ended::Ok | Ended::Fail))
        })
    };
    let claims: Vec<(String, Ended)> = store
        .claims
        .iter()
        .filter(|(name, _)| !ran(name))
        .cloned()
        .collect();
    let nothing = events.is_empty() && told.is_empty();
    let mut groups = Vec::new();
    for (path, (builds, failed)) in std::mem::take(&mut store.built) {
        if failed
            || claims
                .iter()
                .any(|(name, _)| path.starts_with(name.as_str()))
        {
            groups.extend(builds.groups);
        }
    }
    let text: Builds = std::mem::take(&mut store.builds);
    for group in text.groups {
        let headed = !group.package.is_empty();
        let believed = match headed {
            true => !ran(&group.package) && (!claims.is_empty() || nothing),
            false => nothing && claims.is_empty(),
        };
        if believed {
            groups.push(group);
        }
    }
    let mut usage = None;
    let mut found: Vec<Failure> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut explained = BTreeSet::new();
    for group in &groups {
        explained.insert(group.package.clone());
        for error in &group.errors {
            if is_usage(error) {
                usage = usage.or(Some(error.message.clone()));
                continue;
            }
            if let Some(failure) = failure::of_build(error, &group.package, &mut store.places)
                && seen.insert((failure.id.clone(), failure.message.clone()))
            {
                found.push(failure);
            }
        }
    }
    if found.is_empty() && usage.is_none() {
        for (name, ended) in claims.iter().filter(|(name, _)| !explained.contains(name)) {
            let message = match ended {
                Ended::Setup => "the package cannot be loaded (setup failed)",
                _ => "the package does not build (build failed)",
            };
            let failure = failure::of_package(
                name,
                FailureKind::CompileError,
                Phase::Build,
                message,
                "",
                &mut store.places,
            );
            found.push(failure);
        }
    }
    store.claims = claims;
    (found, usage)
}

/// Arguments that name nothing.
fn is_usage(error: &Error) -> bool {
    let starts = |word: &str| error.message.starts_with(word);
    error.place.is_none()
        && (starts("stat ")
            || starts("pattern ")
            || starts("no Go files in ")
            || error.message.contains("is not in your go.mod"))
}
