//! C and C++: the outermost CMake project that registers tests, by a preset where it has one.

use crate::model::Framework;
use crate::model::Suite;
use crate::suite::Listing;
use crate::suite::outermost;
use crate::suite::spoken;
use crate::suite::suite;
use std::path::Path;

/// The CTest suites of a project.
pub fn detect(listing: &Listing) -> Vec<Suite> {
    let outer = outermost(listing.dirs_with("CMakeLists.txt").map(Path::to_owned));
    outer
        .iter()
        .filter(|dir| registers_tests(listing, dir))
        .map(|dir| of_project(listing, dir))
        .collect()
}

/// Whether any of its lists of commands makes tests.
fn registers_tests(listing: &Listing, dir: &Path) -> bool {
    let words = [
        "add_test(",
        "add_test (",
        "gtest_discover_tests",
        "gtest_add_tests",
        "catch_discover_tests",
        "doctest_discover_tests",
    ];
    listing
        .names()
        .filter(|name| name.starts_with(dir) && name.ends_with("CMakeLists.txt"))
        .filter_map(|name| listing.content(name))
        .any(|text| words.iter().any(|word| text.contains(word)))
}

fn of_project(listing: &Listing, dir: &Path) -> Suite {
    let here = format!("the CMake project in {} registers tests", spoken(dir));
    if let Some((configure, build, test)) = preset(listing, dir) {
        let script =
            format!("cmake --preset {configure} && cmake --build {build} && ctest --preset {test}");
        let why = format!("{here}, and its presets say how");
        return suite(Framework::Ctest, dir, shell(script), why);
    }
    let script = "cmake -S . -B build && cmake --build build --parallel && ctest --test-dir build"
        .to_owned();
    suite(Framework::Ctest, dir, shell(script), here)
}

fn shell(script: String) -> Vec<String> {
    vec!["sh".to_owned(), "-c".to_owned(), script]
}

/// What configures, builds and tests by the first test preset that says it all.
fn preset(listing: &Listing, dir: &Path) -> Option<(String, String, String)> {
    let text = listing.content(&dir.join("CMakePresets.json"))?;
    let presets: serde_json::Value = serde_json::from_str(text).ok()?;
    let of = |kind: &str| presets[kind].as_array().cloned().unwrap_or_default();
    of("testPresets").into_iter().find_map(|test| {
        let name = word(test["name"].as_str()?)?;
        let configure = word(test["configurePreset"].as_str()?)?;
        let build = of("buildPresets")
            .into_iter()
            .find(|build| build["configurePreset"] == test["configurePreset"])
            .and_then(|build| word(build["name"].as_str()?));
        let build = match build {
            Some(build) => format!("--preset {build}"),
            None => binary_dir(&of("configurePresets"), &configure)?,
        };
        Some((configure, build, name))
    })
}

/// Where a preset builds, if it says so plainly.
fn binary_dir(presets: &[serde_json::Value], name: &str) -> Option<String> {
    let preset = presets.iter().find(|preset| preset["name"] == name)?;
    let dir = preset["binaryDir"].as_str()?.replace("${sourceDir}/", "");
    word(&dir.replace("${presetName}", name))
}

/// A word that a shell leaves as it is.
fn word(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+".contains(c);
    (!text.is_empty() && !text.starts_with('-') && text.chars().all(plain)).then(|| text.to_owned())
}
