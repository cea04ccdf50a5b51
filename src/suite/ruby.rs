//! Ruby: RSpec and minitest, by their files and by what the Gemfile names.

use crate::model::Framework;
use crate::model::Suite;
use crate::suite::Listing;
use crate::suite::spoken;
use crate::suite::suite;
use crate::suite::words;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

/// The Ruby suites of a project.
pub fn detect(listing: &Listing) -> Vec<Suite> {
    let mut suites: Vec<Suite> = homes(listing, "spec", |file| file.ends_with("_spec.rb"))
        .into_iter()
        .map(|(dir, test)| rspec(listing, &dir, &test))
        .collect();
    let minitest = |file: &str| {
        file.ends_with("_test.rb") || (file.starts_with("test_") && file.ends_with(".rb"))
    };
    let tests = homes(listing, "test", minitest);
    let by_rake: Vec<PathBuf> = listing
        .dirs_with("Rakefile")
        .filter(|dir| !tests.iter().any(|(home, _)| home == dir))
        .filter(|dir| has_test_task(listing, dir))
        .map(Path::to_owned)
        .collect();
    suites.extend(
        tests
            .into_iter()
            .map(|(dir, test)| of_minitest(listing, &dir, &test)),
    );
    suites.extend(by_rake.into_iter().map(|dir| {
        let why = format!("the `Rakefile` in {} has a task of tests", spoken(&dir));
        suite(Framework::Minitest, &dir, rake(listing, &dir), why)
    }));
    suites
}

/// The directories that hold a directory of tests, with one of the tests.
fn homes(listing: &Listing, name: &str, is_test: impl Fn(&str) -> bool) -> Vec<(PathBuf, PathBuf)> {
    let mut found: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for path in listing.names() {
        let file = path.file_name().and_then(OsStr::to_str);
        if !file.is_some_and(&is_test) {
            continue;
        }
        // Specs may hold fixtures with specs of their own: the outer directory counts.
        let up = path.ancestors().skip(1);
        let tests = up
            .filter(|up| up.file_name() == Some(OsStr::new(name)))
            .last();
        if let Some(home) = tests.and_then(Path::parent) {
            found
                .entry(home.to_owned())
                .or_insert_with(|| path.to_owned());
        }
    }
    found.into_iter().collect()
}

/// Whether the bundle that is locked above a directory has a gem.
fn bundled(listing: &Listing, dir: &Path, gem: &str) -> bool {
    dir.ancestors()
        .filter_map(|up| listing.content(&up.join("Gemfile.lock")))
        .any(|lock| lock.lines().any(|line| line.trim_start().starts_with(gem)))
}

fn rspec(listing: &Listing, dir: &Path, test: &Path) -> Suite {
    let command = match bundled(listing, dir, "rspec") {
        true => "bundle exec rspec",
        false => "rspec",
    };
    let why = format!("`{}` is a spec in {}", test.display(), spoken(dir));
    suite(Framework::Rspec, dir, words(command), why)
}

/// Whether `rake test` runs files of tests, by rake's own or by minitest's task.
fn has_test_task(listing: &Listing, dir: &Path) -> bool {
    let rakefile = listing.content(&dir.join("Rakefile"));
    rakefile.is_some_and(|text| text.contains("TestTask"))
}

fn rake(listing: &Listing, dir: &Path) -> Vec<String> {
    match bundled(listing, dir, "rake") {
        true => words("bundle exec rake test"),
        false => words("rake test"),
    }
}

fn of_minitest(listing: &Listing, dir: &Path, test: &Path) -> Suite {
    let why = format!("`{}` is a test in {}", test.display(), spoken(dir));
    let command = if listing.has(&dir.join("bin/rails")) {
        words("bin/rails test")
    } else if has_test_task(listing, dir) {
        rake(listing, dir)
    } else {
        let every =
            "Dir.glob('test/**/{*_test,test_*}.rb').sort.each { |f| require File.expand_path(f) }";
        let mut command = match bundled(listing, dir, "minitest") {
            true => words("bundle exec ruby -Ilib -Itest -e"),
            false => words("ruby -Ilib -Itest -e"),
        };
        command.push(every.to_owned());
        command
    };
    suite(Framework::Minitest, dir, command, why)
}
