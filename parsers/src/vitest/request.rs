//! How Vitest is asked for structure, and what a rerun begins with.

use crate::js::argv;
use crate::js::argv::Use;
use crate::js::inject;
use crate::request::Asked;
use crate::request::Request;

/// The reporter.
const REPORTER: &str = include_str!("../../reporters/regreen_vitest.mjs");
/// Its name.
const REPORTER_NAME: &str = "regreen_vitest.mjs";
/// What Vitest is called.
const NAMES: [&str; 2] = ["vitest", "vitest.mjs"];
/// Options that let a run end early or never.
const DROP: [&str; 6] = ["--watch", "-w", "--ui", "--bail", "--update", "-u"];

/// Asks for structure. Every wrapper works; neither the first failure nor a changed file decides
/// when the run ends.
pub(crate) fn request(asked: &Asked<'_>) -> Request {
    inject::request(asked, &NAMES, &DROP, (REPORTER_NAME, REPORTER))
}

/// What a rerun begins with: the command without what selects tests, as one that ends. Where
/// Vitest is behind a script nothing is known of it, and the tool's usual name has to do.
pub(crate) fn tool(argv: &[String]) -> Vec<String> {
    let mut tool = argv::tool(argv, &NAMES, sort);
    if let Some(at) = argv::start(&tool, &NAMES) {
        tool.insert(at, "run".to_owned());
    }
    tool
}

fn sort(name: &str) -> Use {
    match name {
        "-c" | "--config" | "-r" | "--root" | "--dir" | "--environment" | "--pool" | "--mode"
        | "--workspace" | "--testTimeout" | "--hookTimeout" | "--maxWorkers" | "--minWorkers"
        | "--configLoader" => Use::KeepWithValue,
        "-t" | "--testNamePattern" | "--shard" | "--outputFile" | "--reporter" | "--project"
        | "--exclude" | "--changed" | "--bail" | "--retry" | "--tags-filter" => Use::DropWithValue,
        name if name.starts_with("--coverage") || name.starts_with("--outputFile") => Use::Drop,
        "--globals"
        | "--dom"
        | "--no-isolate"
        | "--isolate"
        | "--no-file-parallelism"
        | "--fileParallelism"
        | "--browser" => Use::Keep,
        name if name.starts_with("--pool") || name.starts_with("--no-file") => Use::Keep,
        _ => Use::Drop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_rerun_keeps_the_tool_and_drops_the_selection() {
        for (command, expected) in [
            (
                "npx vitest --config a.ts src/a.test.ts -t name --coverage",
                "npx vitest run --config a.ts",
            ),
            (
                "pnpm vitest run --reporter=dot --globals",
                "pnpm vitest run --globals",
            ),
            ("npx vitest watch a", "npx vitest run"),
            ("npm test", ""),
        ] {
            assert_eq!(tool(&words(command)).join(" "), expected, "{command}");
        }
    }
}
