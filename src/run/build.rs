//! What else does not build. `cargo test` stops at the first broken target, and which one that
//! is differs from run to run; `cargo build --keep-going` tells of all. Pure.

use crate::model::FailureKind;
use crate::model::Framework;
use crate::model::Outcome;
use crate::model::Report;
use crate::model::Suite;

/// A report does not grow beyond this many failures by it.
const MOST: usize = 100;

/// Flags of `cargo test` that decide what is built and how, and whether they take a value.
const KEPT: [(&str, bool); 26] = [
    ("--workspace", false),
    ("--all", false),
    ("--package", true),
    ("-p", true),
    ("--exclude", true),
    ("--lib", false),
    ("--bins", false),
    ("--bin", true),
    ("--tests", false),
    ("--test", true),
    ("--examples", false),
    ("--example", true),
    ("--all-targets", false),
    ("--all-features", false),
    ("--no-default-features", false),
    ("--features", true),
    ("-F", true),
    ("--release", false),
    ("-r", false),
    ("--profile", true),
    ("--target", true),
    ("--manifest-path", true),
    ("--locked", false),
    ("--frozen", false),
    ("--config", true),
    ("-Z", true),
];

/// Flags among them that name targets.
const TARGETS: [&str; 8] = [
    "--lib",
    "--bins",
    "--bin",
    "--tests",
    "--test",
    "--examples",
    "--example",
    "--all-targets",
];

/// The command that builds everything that the suite's tests need, errors or not; `None` where
/// the suite is not cargo's, or where its words are not known to be a selection of targets.
pub fn everything(suite: &Suite) -> Option<Vec<String>> {
    let argv = &suite.command;
    let program = argv.first()?;
    if suite.framework != Framework::Cargo || program.rsplit('/').next() != Some("cargo") {
        return None;
    }
    let own: Vec<&String> = argv.iter().take_while(|word| *word != "--").collect();
    let verb = own
        .iter()
        .position(|word| matches!(word.as_str(), "test" | "t"))?;
    let mut built: Vec<String> = own[..verb].iter().map(ToString::to_string).collect();
    built.extend(["build", "--keep-going", "--message-format=json"].map(str::to_owned));
    let mut rest = own[verb + 1..].iter();
    let mut selected = false;
    while let Some(word) = rest.next() {
        let name = word.split('=').next().unwrap_or(word);
        let Some((flag, valued)) = KEPT.iter().find(|(flag, _)| *flag == name) else {
            continue;
        };
        selected |= TARGETS.contains(flag);
        built.push(word.to_string());
        if *valued && name == word.as_str() {
            built.extend(rest.next().map(ToString::to_string));
        }
    }
    if !selected {
        built.push("--tests".to_owned());
    }
    Some(built)
}

/// Whether there may be more errors than the report has.
pub fn is_broken(report: &Report) -> bool {
    report.outcome == Outcome::BuildFailed
        && report
            .failures
            .iter()
            .any(|it| it.kind == FailureKind::CompileError)
}

/// Adds the compiler's errors that the report does not have.
pub fn add(report: &mut Report, all: Report) {
    for failure in all.failures {
        // The same line can be compiled for several targets.
        let known = report.failures.iter().any(|it| it.id == failure.id);
        // Only what is in a file: the rest is about a command that the user did not give.
        let said = failure.kind == FailureKind::CompileError && failure.location.is_some();
        if said && !known && report.failures.len() < MOST {
            report.failures.push(failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(command: &str, framework: Framework) -> Suite {
        Suite {
            name: "x".into(),
            framework,
            dir: "".into(),
            command: command.split(' ').map(str::to_owned).collect(),
            env: Vec::new(),
            carry: Vec::new(),
            services: Vec::new(),
            setup: None,
            artifacts: Vec::new(),
            limits: crate::model::Limits::default(),
            why: String::new(),
        }
    }

    #[test]
    fn what_decides_the_build_is_kept_and_what_selects_tests_is_not() {
        let built = |command: &str| {
            let argv = everything(&suite(command, Framework::Cargo));
            argv.map(|argv| argv.join(" "))
        };
        let all = "build --keep-going --message-format=json";
        assert_eq!(built("cargo test"), Some(format!("cargo {all} --tests")));
        assert_eq!(
            built(
                "/x/cargo +nightly test --workspace --exclude a -F=b --no-fail-fast name -- --test c"
            ),
            Some(format!(
                "/x/cargo +nightly {all} --workspace --exclude a -F=b --tests"
            ))
        );
        assert_eq!(
            built("cargo t --lib --test one --doc --release"),
            Some(format!("cargo {all} --lib --test one --release"))
        );
        assert_eq!(built("sh -c cargo"), None);
        assert_eq!(built("cargo run --bin x"), None);
        assert_eq!(everything(&suite("cargo test", Framework::Nextest)), None);
    }
}
