//! How Jest is asked for structure, and what a rerun begins with.

use crate::js::argv;
use crate::js::argv::Use;
use crate::js::inject;
use crate::request::Asked;
use crate::request::Request;

/// The reporter.
const REPORTER: &str = include_str!("../../reporters/regreen_jest.cjs");
/// Its name.
const REPORTER_NAME: &str = "regreen_jest.cjs";
/// What Jest is called.
const NAMES: [&str; 4] = ["jest", "jest.js", "jest-cli", "react-scripts"];
/// Options that let a run end early or never.
const DROP: [&str; 4] = ["--watch", "--watchAll", "--bail", "-b"];

/// Asks for structure. Every wrapper works; neither the first failure nor a changed file decides
/// when the run ends.
pub(crate) fn request(asked: &Asked<'_>) -> Request {
    inject::request(asked, &NAMES, &DROP, (REPORTER_NAME, REPORTER))
}

/// What a rerun begins with: the command without what selects tests. Where Jest is behind a
/// script nothing is known of it, and the tool's usual name has to do.
pub(crate) fn tool(argv: &[String]) -> Vec<String> {
    let mut tool = argv::tool(argv, &NAMES, sort);
    if tool
        .last()
        .is_some_and(|word| word.ends_with("react-scripts"))
    {
        tool.push("test".to_owned());
    }
    tool
}

fn sort(name: &str) -> Use {
    match name {
        "-c"
        | "--config"
        | "--rootDir"
        | "--env"
        | "--testEnvironment"
        | "--maxWorkers"
        | "-w"
        | "--preset"
        | "--runner"
        | "--testRunner"
        | "--testTimeout"
        | "--transform"
        | "--globals"
        | "--resolver"
        | "--testEnvironmentOptions"
        | "--seed"
        | "--moduleNameMapper"
        | "--cacheDirectory"
        | "--workerThreads" => Use::KeepWithValue,
        "-t"
        | "--testNamePattern"
        | "--changedSince"
        | "--shard"
        | "--outputFile"
        | "--coverageReporters"
        | "--coverageDirectory"
        | "--coverageThreshold"
        | "--coverageProvider"
        | "--filter"
        | "--reporters" => Use::DropWithValue,
        "--testPathPattern"
        | "--testPathPatterns"
        | "--testPathIgnorePatterns"
        | "--testMatch"
        | "--testRegex"
        | "--runTestsByPath"
        | "--findRelatedTests"
        | "--collectCoverageFrom"
        | "--selectProjects"
        | "--ignoreProjects"
        | "--roots" => Use::DropWithValues,
        "--projects" => Use::KeepWithValue,
        "-i"
        | "--runInBand"
        | "--ci"
        | "--no-cache"
        | "--forceExit"
        | "--detectOpenHandles"
        | "--experimental-vm-modules"
        | "--injectGlobals"
        | "--randomize"
        | "--resetMocks"
        | "--resetModules"
        | "--restoreMocks"
        | "--clearMocks"
        | "--automock" => Use::Keep,
        _ => Use::Drop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Format;
    use crate::request::Places;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_rerun_keeps_the_tool_and_drops_the_selection() {
        for (command, expected) in [
            (
                "npx jest --config a.json src/a.test.js -t name --coverage --bail",
                "npx jest --config a.json",
            ),
            (
                "node --experimental-vm-modules node_modules/jest/bin/jest.js -i --watchAll",
                "node --experimental-vm-modules node_modules/jest/bin/jest.js -i",
            ),
            ("npx jest@29 --testPathPattern a b", "npx jest@29"),
            ("react-scripts test --watchAll=false", "react-scripts test"),
            ("npm test", ""),
        ] {
            assert_eq!(tool(&words(command)).join(" "), expected, "{command}");
        }
    }

    #[test]
    fn every_node_process_is_looked_into() {
        let places = Places {
            inject: "/i n",
            events: "/e",
        };
        let own = [("NODE_OPTIONS".to_owned(), "--no-warnings".to_owned())];
        let asked = crate::request::request(
            Format::Jest,
            &words("npx jest --bail --watch a"),
            &own,
            places,
        );
        assert_eq!(asked.argv, ["npx", "jest", "a"]);
        assert_eq!(
            asked.env[0].1,
            "--require \"/i n/regreen_js.cjs\" --no-warnings"
        );
        assert_eq!(asked.env[1].1, "/e/regreen.ndjson");
        let names: Vec<&str> = asked.files.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["regreen_js.cjs", "regreen_jest.cjs"]);
    }
}
