//! How PHPUnit is asked for structure.

use crate::request::Asked;
use crate::request::Request;

/// The words that start PHPUnit or what wraps it with its options.
fn is_phpunit(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    let bare = name.strip_suffix(".phar").unwrap_or(name);
    matches!(bare, "phpunit" | "simple-phpunit" | "paratest" | "pest")
        || bare
            .strip_prefix("phpunit-")
            .is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
}

/// Options of ours, or that end a run early, or only say how it looks; with their values.
const DROPPED: [(&str, bool); 24] = [
    ("--log-junit", true),
    ("--log-teamcity", true),
    ("--teamcity", false),
    ("--testdox", false),
    ("--debug", false),
    ("--verbose", false),
    ("-v", false),
    ("--no-progress", false),
    ("--no-output", false),
    ("--no-results", false),
    ("--printer", true),
    ("--stop-on-defect", false),
    ("--stop-on-error", false),
    ("--stop-on-failure", false),
    ("--stop-on-warning", false),
    ("--stop-on-risky", false),
    ("--stop-on-skipped", false),
    ("--stop-on-incomplete", false),
    ("--stop-on-deprecation", false),
    ("--stop-on-notice", false),
    ("--colors", false),
    ("--cache-result", false),
    ("--do-not-cache-result", false),
    ("--no-logging", false),
];
/// Options that choose tests.
const SELECTIONS: [(&str, bool); 5] = [
    ("--filter", true),
    ("--exclude-filter", true),
    ("--group", true),
    ("--exclude-group", true),
    ("--testsuite", true),
];

fn without(words: &[String], dropped: &[(&str, bool)]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let name = word.split('=').next().unwrap_or(word);
        match dropped.iter().find(|(known, _)| *known == name) {
            Some((_, true)) if !word.contains('=') => at += 2,
            Some(_) => at += 1,
            None => {
                kept.push(word.clone());
                at += 1;
            }
        }
    }
    kept
}

/// Asks for the JUnit file, and for TeamCity's messages, which are written while the tests run.
pub(crate) fn request(asked: &Asked<'_>) -> Request {
    let Some(at) = asked.argv.iter().position(|word| is_phpunit(word)) else {
        return through(asked);
    };
    let (before, after) = asked.argv.split_at(at + 1);
    let mut request = Request::plain(before);
    request.argv.extend(ours(asked));
    let name = before.last().map_or("", String::as_str);
    if name.contains("phpunit") {
        // Results of an earlier run do not choose or order the tests.
        request.argv.push("--do-not-cache-result".to_owned());
    }
    request.argv.extend(without(after, &DROPPED));
    request
}

fn ours(asked: &Asked<'_>) -> Vec<String> {
    let events = asked.places.events;
    vec![
        "--colors=never".to_owned(),
        format!("--log-junit={events}/junit.xml"),
        format!("--log-teamcity={events}/teamcity.txt"),
    ]
}

/// `composer test` and `php artisan test` pass on what stands behind `--`.
fn through(asked: &Asked<'_>) -> Request {
    let names: Vec<&str> = asked
        .argv
        .iter()
        .map(|word| word.rsplit('/').next().unwrap_or(word))
        .collect();
    let mut request = Request::plain(asked.argv);
    if names
        .first()
        .is_some_and(|name| name.starts_with("composer"))
    {
        if !names.contains(&"--") {
            request.argv.push("--".to_owned());
        }
        request.argv.extend(ours(asked));
    } else if names.contains(&"artisan") {
        request.argv.extend(ours(asked));
    }
    request
}

/// The command without a selection of tests. Directories and files stay: without them and without
/// a configuration PHPUnit runs nothing, and the filter of a rerun is exact.
pub(crate) fn tool(argv: &[String]) -> Vec<String> {
    let Some(at) = argv.iter().position(|word| is_phpunit(word)) else {
        return Vec::new();
    };
    let (before, after) = argv.split_at(at + 1);
    let kept = without(&without(after, &DROPPED), &SELECTIONS);
    before.iter().cloned().chain(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Places;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn asked(text: &str) -> String {
        let argv = words(text);
        let places = Places {
            inject: "/i",
            events: "/e",
        };
        let asked = Asked {
            argv: &argv,
            own: &[],
            places,
        };
        request(&asked).argv.join(" ")
    }

    #[test]
    fn flags_stand_behind_the_program() {
        let ours = "--colors=never --log-junit=/e/junit.xml --log-teamcity=/e/teamcity.txt";
        assert_eq!(
            asked("php vendor/bin/phpunit --stop-on-failure --log-junit x.xml tests"),
            format!("php vendor/bin/phpunit {ours} --do-not-cache-result tests")
        );
        assert_eq!(asked("composer test"), format!("composer test -- {ours}"));
        assert_eq!(asked("make test"), "make test");
    }

    #[test]
    fn a_rerun_keeps_what_finds_the_tests() {
        let argv = words("phpunit -c ci.xml --filter x --group slow --testdox tests");
        assert_eq!(tool(&argv), words("phpunit -c ci.xml tests"));
    }
}
