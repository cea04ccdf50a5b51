//! How node's runner is asked for structure, and what a rerun begins with.

use crate::records::EVENTS_FILE;
use crate::records::EVENTS_VARIABLE;
use crate::request::Asked;
use crate::request::Request;

/// Our reporter, and what mends the options of commands that name a reporter themselves.
const REPORTER: &str = include_str!("../../reporters/regreen_node.cjs");
const REPORTER_NAME: &str = "regreen_node.cjs";
const OPTIONS: &str = include_str!("../../reporters/regreen_node_options.cjs");
const OPTIONS_NAME: &str = "regreen_node_options.cjs";

/// Options that are followed by a value of their own.
const WITH_VALUE: [&str; 14] = [
    "--require",
    "-r",
    "--import",
    "--loader",
    "--experimental-loader",
    "--conditions",
    "-C",
    "--env-file",
    "--test-concurrency",
    "--test-timeout",
    "--test-isolation",
    "--input-type",
    "--test-global-setup",
    "--test-shard",
];
/// Those that select tests, choose reporters, or never end.
const DROPPED: [&str; 9] = [
    "--test-name-pattern",
    "--test-skip-pattern",
    "--test-reporter",
    "--test-reporter-destination",
    "--watch",
    "--watch-path",
    "--test-only",
    "--test-shard",
    "--test-rerun-failures",
];

/// Asks for structure. Where node itself is the command its options are given to it; else what
/// is loaded into every node process starts `node --test` again with them.
pub(crate) fn request(asked: &Asked<'_>) -> Request {
    let inject = asked.places.inject;
    let kept = |word: &&String| !matches!(word.as_str(), "--watch");
    let mut argv: Vec<String> = asked.argv.to_vec();
    let mut request = Request::default();
    if direct(asked.argv) {
        argv = asked.argv.iter().filter(kept).cloned().collect();
        let own = asked.own("NODE_OPTIONS").unwrap_or("");
        let named = |option: &str| {
            let words = asked.words().chain(own.split(' '));
            words
                .filter(|word| word.split('=').next() == Some(option))
                .count()
        };
        // Reporters and destinations are paired in their order: ours come first.
        let mut options = vec![
            format!("--test-reporter={inject}/{REPORTER_NAME}"),
            "--test-reporter-destination=stderr".to_owned(),
        ];
        if named("--test-reporter") == 0 {
            options.push("--test-reporter=spec".to_owned());
        }
        if named("--test-reporter-destination") == 0 {
            options.push("--test-reporter-destination=stdout".to_owned());
        }
        argv.splice(1..1, options);
    } else {
        let own = asked.own("NODE_OPTIONS").unwrap_or("");
        let options = format!("--require \"{inject}/{OPTIONS_NAME}\" {own}");
        request = request.set("NODE_OPTIONS", options.trim_end());
    }
    request.argv = argv;
    request
        .set(
            EVENTS_VARIABLE,
            format!("{}/{EVENTS_FILE}", asked.places.events),
        )
        .file(REPORTER_NAME, REPORTER)
        .file(OPTIONS_NAME, OPTIONS)
}

fn direct(argv: &[String]) -> bool {
    let base = argv.first().and_then(|word| word.rsplit('/').next());
    matches!(base, Some("node" | "nodejs"))
}

/// What a rerun begins with: node with the options that matter. Where node is behind a script
/// its usual name has to do.
pub(crate) fn tool(argv: &[String]) -> Vec<String> {
    if !direct(argv) {
        return Vec::new();
    }
    let mut kept = vec![argv[0].clone()];
    let mut words = argv[1..].iter();
    let mut test = false;
    while let Some(word) = words.next() {
        let name = word.split('=').next().unwrap_or(word);
        let inline = word.contains('=');
        if DROPPED.contains(&name) {
            if !inline && !matches!(name, "--watch" | "--test-only") {
                words.next();
            }
        } else if !word.starts_with('-') || word == "--" {
            // What follows a script's name are its own arguments.
            if !test {
                break;
            }
        } else {
            test |= name == "--test";
            kept.push(word.clone());
            if WITH_VALUE.contains(&name) && !inline {
                kept.extend(words.next().cloned());
            }
        }
    }
    if !test {
        kept.push("--test".to_owned());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn reporters_and_destinations_are_as_many() {
        let places = crate::request::Places {
            inject: "/i",
            events: "/e",
        };
        let ask = |text: &str| {
            crate::request::request(crate::live::Format::NodeTest, &words(text), &[], places)
        };
        let ours = "--test-reporter=/i/regreen_node.cjs --test-reporter-destination=stderr";
        assert_eq!(
            ask("node --test").argv.join(" "),
            format!("node {ours} --test-reporter=spec --test-reporter-destination=stdout --test")
        );
        assert_eq!(
            ask("node --test --test-reporter dot a.js").argv.join(" "),
            format!(
                "node {ours} --test-reporter-destination=stdout --test --test-reporter dot a.js"
            )
        );
        let behind = ask("npm test");
        assert_eq!(behind.argv.join(" "), "npm test");
        assert_eq!(behind.env[0].1, "--require \"/i/regreen_node_options.cjs\"");
    }

    #[test]
    fn a_rerun_keeps_the_tool_and_drops_the_selection() {
        for (command, expected) in [
            ("node --test", "node --test"),
            (
                "node --import tsx --test --test-reporter=dot --test-name-pattern x test/a.js",
                "node --import tsx --test",
            ),
            (
                "/usr/bin/node --test-timeout=50 --test --watch a.js b.js",
                "/usr/bin/node --test-timeout=50 --test",
            ),
            ("node test/a.js --flag", "node --test"),
            ("npm test", ""),
        ] {
            assert_eq!(tool(&words(command)).join(" "), expected, "{command}");
        }
    }
}
