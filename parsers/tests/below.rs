//! A suite in a directory below the project's root: places are named from the root, and what runs
//! a test again is the same command, started in that directory.

mod support;

use regreen_parsers::Context;
use regreen_parsers::Failure;
use regreen_parsers::Format;
use std::fmt::Write;
use support::Recording;

#[test]
fn places_start_at_the_root_and_reruns_in_the_directory() {
    let mut wrong = String::new();
    for recording in Recording::all() {
        let root = recording.case.root.trim_end_matches('/').to_owned();
        let Some((up, dir)) = root.rsplit_once('/').filter(|(up, _)| !up.is_empty()) else {
            continue;
        };
        let context = Context {
            dir: dir.to_owned(),
            ..Context::rooted(up)
        };
        let (there, below) = (recording.report(), recording.report_at(context, usize::MAX));
        if there.failures.len() != below.failures.len() {
            let _ = writeln!(wrong, "{}: other failures", recording.name);
            continue;
        }
        let mut pairs: Vec<(&Failure, &Failure)> =
            there.failures.iter().zip(&below.failures).collect();
        pairs.truncate(200);
        for (one, other) in pairs {
            if let Some(why) = differs(&recording, dir, one, other) {
                let _ = writeln!(wrong, "{}: {}: {why}", recording.name, one.id);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What is not as it should be of a failure, seen from the directory and from above it.
fn differs(recording: &Recording, dir: &str, one: &Failure, other: &Failure) -> Option<String> {
    let file = |failure: &Failure| failure.location.as_ref().map(|at| at.file.clone());
    let wanted = file(one).map(|file| match file.starts_with(['/', '<']) {
        true => file,
        false => format!("{dir}/{file}"),
    });
    // Where a Java file lies nobody knows without the sources, and the recordings' reporters lie
    // beside the directory.
    let exempt = |file: &Option<String>| {
        file.as_ref().is_some_and(|file| {
            !file.contains('/') && file.ends_with(".java") || file.contains("regreen_")
        })
    };
    if file(other) != wanted && !exempt(&file(other)) {
        return Some(format!("{:?} instead of {wanted:?}", file(other)));
    }
    let format: Format = recording.case.format.parse().ok()?;
    if one.rerun.is_empty() || one.rerun == other.rerun && matches!(format, Format::Generic) {
        return (one.rerun != other.rerun).then(|| format!("again {:?}", other.rerun));
    }
    let chdir = format!("--chdir={dir}");
    let again = match other.rerun.as_slice() {
        [env, to, rest @ ..] if env == "env" && *to == chdir => {
            let bare = one.rerun.strip_prefix(&["env".to_owned()][..]);
            rest == bare.unwrap_or(&one.rerun)
        }
        // These name the place instead: a manifest, a node id.
        rest => rest.iter().any(|word| word.contains(&format!("{dir}/"))),
    };
    (!again).then(|| format!("again {:?} instead of {:?}", other.rerun, one.rerun))
}
