//! Perl's `prove` and bats: directories of scripts that print TAP.

use crate::model::Framework;
use crate::model::Suite;
use crate::suite::Listing;
use crate::suite::outermost;
use crate::suite::spoken;
use crate::suite::suite;
use crate::suite::words;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

/// The suites of bats and `prove` of a project.
pub fn detect(listing: &Listing) -> Vec<Suite> {
    let mut suites: Vec<Suite> = bats(listing).into_iter().collect();
    suites.extend(prove(listing));
    suites
}

fn ends(name: &Path, end: &str) -> bool {
    let file = name.file_name().and_then(OsStr::to_str);
    file.is_some_and(|file| file.ends_with(end))
}

/// One suite for the whole project, that names every directory with tests.
fn bats(listing: &Listing) -> Option<Suite> {
    let files: Vec<&Path> = listing.names().filter(|name| ends(name, ".bats")).collect();
    let proves = |name: &&&Path| {
        listing
            .content(name)
            .is_some_and(|text| text.contains("@test"))
    };
    let first = files.iter().find(proves)?;
    let dirs = outermost(
        files
            .iter()
            .filter_map(|name| name.parent())
            .map(Path::to_owned),
    );
    let mut command = words("bats -r");
    command.extend(dirs.iter().map(|dir| match dir.as_os_str().is_empty() {
        true => ".".to_owned(),
        false => dir.display().to_string(),
    }));
    let why = format!("`{}` is a test of bats", first.display());
    Some(suite(Framework::Bats, Path::new(""), command, why))
}

/// A suite for each directory that holds a directory `t` with scripts of Perl.
fn prove(listing: &Listing) -> Vec<Suite> {
    let perl = |text: &str| {
        ["Test::", "use strict", "perl"]
            .iter()
            .any(|word| text.contains(word))
    };
    let homes: BTreeSet<PathBuf> = listing
        .names()
        .filter(|name| ends(name, ".t") && listing.content(name).is_some_and(perl))
        .filter_map(|name| {
            let up = name.ancestors().skip(1);
            let dir = up
                .filter(|up| up.file_name() == Some(OsStr::new("t")))
                .last()?;
            dir.parent().map(Path::to_owned)
        })
        .collect();
    // Within a distribution's directory only what is a distribution of its own: examples are none.
    let own = |dir: &Path| {
        ["Makefile.PL", "Build.PL", "cpanfile", "dist.ini"]
            .iter()
            .any(|file| listing.has(&dir.join(file)))
    };
    let within = |dir: &Path| homes.iter().any(|up| up != dir && dir.starts_with(up));
    homes
        .iter()
        .filter(|dir| own(dir) || !within(dir))
        .map(|dir| {
            let why = format!(
                "there is a directory `t` with tests of Perl in {}",
                spoken(dir)
            );
            suite(Framework::Prove, dir, words("prove -lr t"), why)
        })
        .collect()
}
