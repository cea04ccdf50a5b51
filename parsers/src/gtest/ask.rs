//! How GoogleTest is asked for its report, and how a test is run again.

use crate::context::Context;
use crate::request::Asked;
use crate::request::Refused;
use crate::request::Request;

/// Flags that are no part of a rerun: selections, reports, how it is shown, stopping early.
const DROPPED: [&str; 14] = [
    "filter",
    "output",
    "repeat",
    "shuffle",
    "random_seed",
    "color",
    "brief",
    "print_time",
    "fail_fast",
    "break_on_failure",
    "throw_on_failure",
    "list_tests",
    "stream_result_to",
    "recreate_environments_when_repeating",
];
/// Flags with which not everything would run or be told.
const HIDING: [&str; 5] = ["output", "color", "brief", "fail_fast", "break_on_failure"];

/// Asks for the report.
pub(crate) fn request(asked: &Asked<'_>) -> Request {
    let repeat = asked.words().find_map(|word| value(word, "repeat"));
    let repeat = repeat.or(asked.own("GTEST_REPEAT"));
    if repeat.is_some_and(|times| times.trim_start().starts_with('-')) {
        let mut request = Request::plain(asked.argv);
        request.refused = Some(Refused {
            why: "a negative `--gtest_repeat` runs the tests for ever".to_owned(),
            remedy: "name how often they are to run, or leave the option out".to_owned(),
        });
        return request;
    }
    let report = format!("json:{}/", asked.places.events.trim_end_matches('/'));
    if wraps(asked.argv) {
        return environment(Request::plain(asked.argv), asked, &report);
    }
    let mut argv: Vec<String> = asked
        .argv
        .iter()
        .filter(|word| !HIDING.iter().any(|flag| is_flag(word, flag)))
        .cloned()
        .collect();
    argv.push(format!("--gtest_output={report}"));
    argv.push("--gtest_color=no".to_owned());
    let mut request = Request::plain(&argv);
    for name in ["GTEST_FAIL_FAST", "GTEST_BREAK_ON_FAILURE", "GTEST_BRIEF"] {
        if asked.own(name).is_some() {
            request = request.set(name, "0");
        }
    }
    request
}

/// The same by the environment alone, for a command that starts the binary somewhere.
pub(crate) fn environment(mut request: Request, asked: &Asked<'_>, report: &str) -> Request {
    request = request.set("GTEST_OUTPUT", report).set("GTEST_COLOR", "no");
    for name in ["GTEST_FAIL_FAST", "GTEST_BREAK_ON_FAILURE", "GTEST_BRIEF"] {
        if asked.own(name).is_some() {
            request = request.set(name, "0");
        }
    }
    request
}

/// What a rerun begins with: the binary with its own options, or the whole command that
/// starts it.
pub(crate) fn tool(argv: &[String]) -> Vec<String> {
    if wraps(argv) {
        return argv.to_vec();
    }
    let kept = argv
        .iter()
        .filter(|word| !DROPPED.iter().any(|flag| is_flag(word, flag)));
    kept.cloned().collect()
}

/// The argv that runs one test; nothing where nobody knows the binary.
pub(crate) fn rerun(id: &str, context: &Context) -> Vec<String> {
    if context.command.is_empty() {
        return Vec::new();
    }
    let filter = match id.contains('.') {
        true => id.to_owned(),
        // A suite's set-up runs with any test of it.
        false if id != super::failure::ENVIRONMENT => format!("{id}.*"),
        false => "*".to_owned(),
    };
    if !wraps(&context.command) {
        return context.rerun(&[], [format!("--gtest_filter={filter}")]);
    }
    let mut argv = vec!["env".to_owned()];
    if !context.dir.is_empty() {
        argv.push(format!("--chdir={}", context.dir));
    }
    argv.push(format!("GTEST_FILTER={filter}"));
    argv.extend(context.command.iter().cloned());
    argv
}

/// Whether the command starts the binary by way of something else, which may not take its flags.
pub(crate) fn wraps(argv: &[String]) -> bool {
    let program = argv.first().map_or("", String::as_str);
    let base = program.rsplit('/').next().unwrap_or(program);
    let known = [
        "sh", "bash", "dash", "zsh", "ksh", "busybox", "make", "gmake", "ninja", "cmake", "ctest",
        "bazel", "bazelisk", "meson", "just", "npm", "yarn", "pnpm", "python", "python3", "tox",
        "nox", "scons", "xmake", "buck2", "nix", "docker", "podman", "task", "rake", "cargo",
    ];
    known.contains(&base) || base.ends_with(".sh") || base.ends_with(".py")
}

fn is_flag(word: &str, flag: &str) -> bool {
    bare(word).is_some_and(|rest| {
        rest.strip_prefix(flag)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    })
}

fn bare(word: &str) -> Option<&str> {
    word.strip_prefix("--gtest_")
        .or_else(|| word.strip_prefix("-gtest_"))
        .or_else(|| word.strip_prefix("/gtest_"))
}

fn value<'a>(word: &'a str, flag: &str) -> Option<&'a str> {
    bare(word)?.strip_prefix(flag)?.strip_prefix('=')
}
