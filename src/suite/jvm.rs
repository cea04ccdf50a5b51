//! Java and its kin: the outermost Maven and Gradle builds. There is no network in a sandbox, so
//! they are told to do without.

use crate::model::Framework;
use crate::model::Suite;
use crate::suite::Listing;
use crate::suite::listing::is_jvm_test;
use crate::suite::outermost;
use crate::suite::spoken;
use crate::suite::suite;
use crate::suite::words;
use std::path::Path;

fn has_tests(listing: &Listing, dir: &Path) -> bool {
    listing
        .names()
        .any(|name| name.starts_with(dir) && is_jvm_test(name))
}

/// The Maven and Gradle suites of a project.
pub fn detect(listing: &Listing) -> Vec<Suite> {
    let maven = outermost(listing.dirs_with("pom.xml").map(Path::to_owned));
    let gradle = [
        "settings.gradle",
        "settings.gradle.kts",
        "build.gradle",
        "build.gradle.kts",
    ];
    let gradle = outermost(
        gradle
            .iter()
            .flat_map(|file| listing.dirs_with(file))
            .map(Path::to_owned),
    );
    let mut suites = Vec::new();
    for dir in &maven {
        let own = listing.has(&dir.join("mvnw"));
        let command = if own { "./mvnw -o test" } else { "mvn -o test" };
        let why = format!("there is a `pom.xml` in {}", spoken(dir));
        suites.push(suite(Framework::Junit, dir, words(command), why));
    }
    // A build without tests somewhere below is a part of something else, as of an app's package.
    let tested = |dir: &Path| {
        dir.as_os_str().is_empty() || listing.has(&dir.join("gradlew")) || has_tests(listing, dir)
    };
    for dir in gradle
        .iter()
        .filter(|dir| !maven.contains(dir) && tested(dir))
    {
        let own = listing.has(&dir.join("gradlew"));
        let command = match own {
            true => "./gradlew --offline test",
            false => "gradle --offline test",
        };
        let why = format!("there is a Gradle build in {}", spoken(dir));
        suites.push(suite(Framework::Junit, dir, words(command), why));
    }
    suites
}
