//! How CTest is asked for structure, and how one of its tests is run again.

use crate::context::Context;
use crate::gtest;
use crate::request::Asked;
use crate::request::Request;

/// Options with which output would be missing or tests would not run.
const HIDING: [&str; 4] = ["--stop-on-failure", "-Q", "--quiet", "--progress"];
/// Options that select, and their value is a word of its own.
const SELECT: [&str; 26] = [
    "-R",
    "--tests-regex",
    "-E",
    "--exclude-regex",
    "-L",
    "--label-regex",
    "-LE",
    "--label-exclude",
    "-I",
    "--tests-information",
    "-FA",
    "--fixture-exclude-any",
    "-FS",
    "--fixture-exclude-setup",
    "-FC",
    "--fixture-exclude-cleanup",
    "--repeat",
    "--repeat-until-fail",
    "--output-junit",
    "-O",
    "--output-log",
    "--test-output-size-passed",
    "--test-output-size-failed",
    "--max-width",
    "--stop-time",
    "--tests-from-file",
];
/// Options that select or say how it is shown, without a value.
const ALONE: [&str; 16] = [
    "--rerun-failed",
    "-U",
    "--union",
    "-V",
    "-VV",
    "--verbose",
    "--extra-verbose",
    "--output-on-failure",
    "--stop-on-failure",
    "-Q",
    "--quiet",
    "--progress",
    "--schedule-random",
    "-N",
    "--show-only",
    "-F",
];

/// Asks for structure.
pub(crate) fn request(asked: &Asked<'_>) -> Request {
    let report = format!("json:{}/", asked.places.events.trim_end_matches('/'));
    let mut argv = asked.argv.to_vec();
    if is_ctest(&argv) && !asked.has("--build-and-test") && !asked.has("-S") {
        argv.retain(|word| !HIDING.contains(&word.as_str()));
        let mut added = Vec::new();
        let tells = [
            "-V",
            "-VV",
            "--verbose",
            "--extra-verbose",
            "--output-on-failure",
        ];
        if !tells.iter().any(|option| asked.has(option)) {
            added.push("--output-on-failure".to_owned());
        }
        if !asked.has("--output-junit") {
            added.push("--output-junit".to_owned());
            added.push(format!(
                "{}/ctest.xml",
                asked.places.events.trim_end_matches('/')
            ));
        }
        argv.splice(1..1, added);
    }
    let request = gtest::environment(Request::plain(&argv), asked, &report);
    let mut request = request.set("CTEST_OUTPUT_ON_FAILURE", "1");
    if asked.own("CTEST_PROGRESS_OUTPUT").is_some() {
        request = request.set("CTEST_PROGRESS_OUTPUT", "0");
    }
    request
}

/// What a rerun begins with: CTest with the options that say what is tested. Nothing where
/// another command starts CTest; then the build directory is taken from what CTest prints.
pub(crate) fn tool(argv: &[String]) -> Vec<String> {
    if !is_ctest(argv) {
        return Vec::new();
    }
    let mut kept = Vec::new();
    let mut words = argv.iter();
    while let Some(word) = words.next() {
        let name = word.split('=').next().unwrap_or(word);
        if SELECT.contains(&name) {
            if !word.contains('=') {
                words.next();
            }
        } else if !ALONE.contains(&name) {
            kept.push(word.clone());
        }
    }
    kept
}

/// The argv that runs one test. `part` is GoogleTest's test in a binary that is one test as a
/// whole.
pub(crate) fn rerun(
    name: &str,
    dir: Option<&str>,
    part: Option<&str>,
    context: &Context,
) -> Vec<String> {
    let mut argv = Vec::new();
    if !context.dir.is_empty() || part.is_some() {
        argv.push("env".to_owned());
    }
    if !context.dir.is_empty() {
        argv.push(format!("--chdir={}", context.dir));
    }
    if let Some(part) = part {
        argv.push(format!("GTEST_FILTER={part}"));
    }
    if context.command.is_empty() {
        argv.push("ctest".to_owned());
        let build = dir
            .map(|dir| context.relative(dir))
            .filter(|dir| !dir.is_empty());
        if let Some(build) = build {
            argv.push("--test-dir".to_owned());
            argv.push(context.in_dir(&build));
        }
    } else {
        argv.extend(context.command.iter().cloned());
    }
    argv.push("-R".to_owned());
    argv.push(format!("^{}$", escaped(name)));
    argv
}

/// A name in a regular expression of CMake's.
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    for c in name.chars() {
        if matches!(
            c,
            '^' | '$' | '.' | '[' | ']' | '*' | '+' | '?' | '|' | '(' | ')' | '\\'
        ) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn is_ctest(argv: &[String]) -> bool {
    let program = argv.first().map_or("", String::as_str);
    let base = program.rsplit('/').next().unwrap_or(program);
    base.trim_end_matches(".exe") == "ctest" || base == "ctest3"
}
