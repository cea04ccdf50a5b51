//! PHP: PHPUnit, where it is configured or installed.

use crate::model::Framework;
use crate::model::Suite;
use crate::suite::Listing;
use crate::suite::spoken;
use crate::suite::suite;
use crate::suite::words;
use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

/// The PHPUnit suites of a project.
pub fn detect(listing: &Listing) -> Vec<Suite> {
    let files = ["phpunit.xml", "phpunit.xml.dist", "phpunit.dist.xml"];
    let mut found: BTreeMap<PathBuf, String> = BTreeMap::new();
    for file in files {
        for dir in listing.dirs_with(file) {
            let why = format!("`{file}` in {} configures PHPUnit", spoken(dir));
            found.entry(dir.to_owned()).or_insert(why);
        }
    }
    for dir in listing.dirs_with("composer.json") {
        let text = listing.content(&dir.join("composer.json")).unwrap_or("");
        let below = found.keys().any(|home| home.starts_with(dir));
        if text.contains("\"phpunit/phpunit\"") && !below {
            let why = format!("`composer.json` in {} names PHPUnit", spoken(dir));
            found.insert(dir.to_owned(), why);
        }
    }
    found
        .into_iter()
        .map(|(dir, why)| suite(Framework::Phpunit, &dir, command(listing, &dir), why))
        .collect()
}

fn command(listing: &Listing, dir: &Path) -> Vec<String> {
    let local = listing.has(&dir.join("vendor/bin/phpunit"));
    let mut command = words(if local {
        "vendor/bin/phpunit"
    } else {
        "phpunit"
    });
    let configured = ["phpunit.xml", "phpunit.xml.dist", "phpunit.dist.xml"]
        .iter()
        .any(|file| listing.has(&dir.join(file)));
    if !configured {
        command.push("tests".to_owned());
    }
    command
}
