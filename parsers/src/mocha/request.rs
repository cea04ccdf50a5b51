//! How Mocha is asked for structure, and what a rerun begins with.

use crate::records::EVENTS_FILE;
use crate::records::EVENTS_VARIABLE;
use crate::request::Asked;
use crate::request::Request;

/// The witness.
const REPORTER: &str = include_str!("../../reporters/regreen_mocha.cjs");
/// Its name.
const REPORTER_NAME: &str = "regreen_mocha.cjs";

/// Options of Mocha that are followed by a value of their own.
const WITH_VALUE: [&str; 27] = [
    "--config",
    "--package",
    "--require",
    "-r",
    "--ui",
    "-u",
    "--timeout",
    "-t",
    "--timeouts",
    "--slow",
    "-s",
    "--retries",
    "--jobs",
    "-j",
    "--extension",
    "--file",
    "--ignore",
    "--exclude",
    "--global",
    "--globals",
    "--node-option",
    "-n",
    "--import",
    "--loader",
    "--max-old-space-size",
    "--experimental-loader",
    "--stack-trace-limit",
];
/// Options that select tests or end a run early; with a value, without.
const SELECTS: [&str; 12] = [
    "--reporter",
    "-R",
    "--reporter-option",
    "--reporter-options",
    "-O",
    "--grep",
    "-g",
    "--fgrep",
    "-f",
    "--spec",
    "--watch-files",
    "--watch-ignore",
];
const ALONE: [&str; 12] = [
    "--bail",
    "-b",
    "--watch",
    "-w",
    "--invert",
    "-i",
    "--forbid-only",
    "--sort",
    "-S",
    "--dry-run",
    "--fail-zero",
    "--parallel",
];
/// Those that may take a run its meaning away.
const ENDS_EARLY: [&str; 4] = ["--bail", "-b", "--watch", "-w"];

/// Asks for structure: the witness is loaded into every node process, and found out there which
/// one is Mocha; so wrappers (`npm test`, `make`) need no flag. Neither the first failure nor a
/// changed file decides when the run ends.
pub(crate) fn request(asked: &Asked<'_>) -> Request {
    let path = format!("{}/{REPORTER_NAME}", asked.places.inject);
    let own = asked.own("NODE_OPTIONS").unwrap_or("");
    let options = format!("--require \"{path}\" {own}");
    let direct = start(asked.argv).is_some();
    let kept = |word: &&String| !direct || !ENDS_EARLY.contains(&word.as_str());
    let argv: Vec<String> = asked.argv.iter().filter(kept).cloned().collect();
    Request::plain(&argv)
        .set("NODE_OPTIONS", options.trim_end())
        .set(
            EVENTS_VARIABLE,
            format!("{}/{EVENTS_FILE}", asked.places.events),
        )
        .file(REPORTER_NAME, REPORTER)
}

/// Where Mocha's own arguments begin: behind the word `mocha`.
fn start(argv: &[String]) -> Option<usize> {
    let names = ["mocha", "_mocha", "mocha.js", "electron-mocha"];
    let base = |word: &String| {
        word.rsplit('/')
            .next()
            .is_some_and(|base| names.contains(&base))
    };
    argv.iter().take(6).position(base).map(|at| at + 1)
}

/// What a rerun begins with: the command without what selects tests. Where Mocha is behind a
/// script nothing is known of it, and the tool's usual name has to do.
pub(crate) fn tool(argv: &[String]) -> Vec<String> {
    let Some(start) = start(argv) else {
        return Vec::new();
    };
    let mut kept: Vec<String> = argv[..start].to_vec();
    let mut words = argv[start..].iter().peekable();
    while let Some(word) = words.next() {
        let name = word.split('=').next().unwrap_or(word);
        let inline = word.contains('=');
        if SELECTS.contains(&name) {
            if !inline {
                words.next();
            }
        } else if ALONE.contains(&name) || word == "--" || !word.starts_with('-') {
            continue;
        } else {
            kept.push(word.clone());
            if WITH_VALUE.contains(&name) && !inline {
                kept.extend(words.next().cloned());
            }
        }
    }
    kept
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
                "npx mocha --require ts-node/register -t 5000 test/**/*.ts -g x --bail",
                "npx mocha --require ts-node/register -t 5000",
            ),
            (
                "node_modules/.bin/mocha --grep=a --timeout=9 a.js",
                "node_modules/.bin/mocha --timeout=9",
            ),
            (
                "node --no-warnings node_modules/mocha/bin/mocha.js --recursive t",
                "node --no-warnings node_modules/mocha/bin/mocha.js --recursive",
            ),
            ("npm test", ""),
        ] {
            assert_eq!(tool(&words(command)).join(" "), expected, "{command}");
        }
    }

    #[test]
    fn the_suite_s_own_options_stay() {
        let places = Places {
            inject: "/i n",
            events: "/e",
        };
        let own = [("NODE_OPTIONS".to_owned(), "--no-warnings".to_owned())];
        let asked = crate::request::request(
            Format::Mocha,
            &words("npx mocha --bail --exit"),
            &own,
            places,
        );
        assert_eq!(asked.argv, ["npx", "mocha", "--exit"]);
        assert_eq!(
            asked.env[0].1,
            "--require \"/i n/regreen_mocha.cjs\" --no-warnings"
        );
        assert_eq!(asked.env[1].1, "/e/regreen.ndjson");
        assert_eq!(asked.files[0].0, REPORTER_NAME);
    }
}
