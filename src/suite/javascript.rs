//! JavaScript: a suite for each package whose `test` script, configuration or dependencies name a
//! runner. A runner at the root of a monorepo runs its packages' tests too; where the root only
//! passes on (`turbo`, `lerna`, `npm -ws`), every package is a suite of its own.

use crate::config::guess_framework;
use crate::config::plain_words;
use crate::model::Framework;
use crate::model::Suite;
use crate::suite::Listing;
use crate::suite::from;
use crate::suite::listing::is_javascript_test;
use crate::suite::spoken;
use crate::suite::suite;
use crate::suite::words;
use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

/// Arguments that make a runner wait for changes, or open something, and never end.
const WATCH: [&str; 7] = [
    "--watch",
    "--watchAll",
    "--watch-all",
    "-w",
    "--ui",
    "watch",
    "dev",
];

/// Scripts that start scripts that start scripts.
const MOST_NESTED: usize = 5;
/// Commands of one script.
const MOST_PARTS: usize = 20;

/// The JavaScript suites of a project.
pub fn detect(listing: &Listing) -> Vec<Suite> {
    let mut found: Vec<Suite> = listing
        .dirs_with("package.json")
        .filter_map(|dir| of_package(listing, dir))
        .collect();
    // Jest and Vitest look for tests below the directory that they are started in.
    let covering: Vec<PathBuf> = found
        .iter()
        .filter(|suite| matches!(suite.framework, Framework::Jest | Framework::Vitest))
        .map(|suite| suite.dir.clone())
        .collect();
    let covered = |dir: &Path| covering.iter().any(|up| up != dir && dir.starts_with(up));
    found.retain(|suite| !covered(&suite.dir));
    let homes: Vec<PathBuf> = found.iter().map(|suite| suite.dir.clone()).collect();
    found.extend(bare_node(listing, &homes));
    found
}

fn of_package(listing: &Listing, dir: &Path) -> Option<Suite> {
    let text = listing.content(&dir.join("package.json"))?;
    let package: serde_json::Value = serde_json::from_str(text).ok()?;
    let script = package["scripts"]["test"].as_str().unwrap_or("").trim();
    let here = format!("the `test` script of `package.json` in {}", spoken(dir));
    of_script(listing, dir, script, &here)
        .or_else(|| of_nested(listing, dir, &package["scripts"], script, &here, 0))
        .or_else(|| match test_script(&package) {
            // It says something that is no runner: who reads it knows best.
            Some(_) => of_scripts_named_otherwise(listing, dir, &package),
            None => by_configuration(listing, dir, &package),
        })
}

/// The `test` script of a `package.json`, if it is not the one that `npm init` writes.
pub fn test_script(package: &serde_json::Value) -> Option<&str> {
    let script = package["scripts"]["test"].as_str()?.trim();
    (!script.is_empty() && !script.contains("no test specified")).then_some(script)
}

/// A script that starts a runner; `here` names it.
fn of_script(listing: &Listing, dir: &Path, script: &str, here: &str) -> Option<Suite> {
    if let Some(mut argv) = plain_words(script) {
        if argv.first().is_some_and(|word| word == "cross-env") {
            argv.remove(0);
            let set = argv.iter().take_while(|word| word.contains('=')).count();
            argv.drain(..set);
        }
        let framework = guess_framework(&argv);
        if is_ours(framework) {
            let (command, left_out) = to_the_end(framework, argv);
            let why = match left_out.is_empty() {
                true => format!("{here} starts it"),
                false => format!(
                    "{here} starts it; `{}` is left out, because a run has to end",
                    left_out.join(" ")
                ),
            };
            return Some(suite(framework, dir, installed(listing, dir, command), why));
        }
        if argv.first().is_some_and(|word| word == "react-scripts") && argv.get(1)? == "test" {
            let command = words("npm test -- --watchAll=false");
            let why = format!("{here} starts Jest by `react-scripts`");
            return Some(suite(Framework::Jest, dir, command, why));
        }
    }
    // More than one command, or variables: the package manager runs it, the reporter comes by
    // the environment.
    let framework = script
        .split(['&', ';', '|'])
        .filter_map(|part| {
            let argv: Vec<String> = part
                .split_whitespace()
                .skip_while(|word| *word == "cross-env" || word.contains('='))
                .map(str::to_owned)
                .collect();
            let framework = guess_framework(&argv);
            is_ours(framework).then_some(framework)
        })
        .next_back()?;
    let why = format!("{here} starts it among other commands");
    Some(suite(framework, dir, manager(listing, dir), why))
}

/// A script that starts others (`npm run lint && npm run unit`): the first of them that starts a
/// runner. What it starts besides (linters, builds) is no test, and often needs a network.
fn of_nested(
    listing: &Listing,
    dir: &Path,
    scripts: &serde_json::Value,
    script: &str,
    here: &str,
    depth: usize,
) -> Option<Suite> {
    if depth >= MOST_NESTED {
        return None;
    }
    let parts = script.split(['&', ';', '|']).filter_map(started);
    parts.take(MOST_PARTS).find_map(|(name, more)| {
        let text = scripts[name.as_str()].as_str()?;
        let here = format!("{here} runs `{name}`, which");
        let whole = format!("{} {}", text.trim(), more.join(" "));
        of_script(listing, dir, whole.trim(), &here)
            .or_else(|| of_nested(listing, dir, scripts, text, &here, depth + 1))
    })
}

/// The script of the same package that a command starts, and what it hands on to it.
fn started(command: &str) -> Option<(String, Vec<String>)> {
    let mut words = command.split_whitespace();
    let manager = words.next()?;
    let mut name = words.next()?;
    let verb = matches!(name, "run" | "run-script");
    if verb {
        name = words.next()?;
    }
    // `npm` alone needs the verb, but for scripts that have one of their own.
    let known = match manager {
        "npm" | "bun" => verb || matches!(name, "test" | "t"),
        "pnpm" | "yarn" => true,
        _ => false,
    };
    // `-r`, `-C dir`, `--filter x` start those of other packages.
    if !known || name.starts_with('-') {
        return None;
    }
    let more = words.filter(|word| *word != "--").map(str::to_owned);
    Some((name.to_owned(), more.collect()))
}

/// `test:unit` and its like, where `test` itself starts no runner that is known.
fn of_scripts_named_otherwise(
    listing: &Listing,
    dir: &Path,
    package: &serde_json::Value,
) -> Option<Suite> {
    let scripts = package["scripts"].as_object()?;
    scripts
        .iter()
        .filter(|(name, _)| matches!(name.as_str(), "test:unit" | "unit" | "test:ci"))
        .find_map(|(name, script)| {
            let here = format!("the `{name}` script of `package.json` in {}", spoken(dir));
            of_script(listing, dir, script.as_str()?, &here)
        })
}

/// No script, but a runner's configuration or the runner among the dependencies, and tests.
fn by_configuration(listing: &Listing, dir: &Path, package: &serde_json::Value) -> Option<Suite> {
    let here: Vec<&str> = listing
        .names()
        .filter(|name| name.parent() == Some(dir))
        .filter_map(|name| name.file_name().and_then(OsStr::to_str))
        .collect();
    let runners = [
        (Framework::Vitest, "vitest", "vitest.config.", "vitest run"),
        (Framework::Jest, "jest", "jest.config.", "jest"),
        (Framework::Mocha, "mocha", ".mocharc.", "mocha"),
    ];
    for (framework, name, config, command) in runners {
        let configured = here.iter().find(|file| file.starts_with(config));
        let depends = ["dependencies", "devDependencies"]
            .iter()
            .any(|kind| package[*kind][name].is_string());
        let why = match configured {
            Some(file) => format!("there is `{file}` in {}", spoken(dir)),
            None if depends || package[name].is_object() => {
                format!("`package.json` in {} names `{name}`", spoken(dir))
            }
            None => continue,
        };
        let command = installed(listing, dir, words(command));
        return Some(suite(framework, dir, command, why));
    }
    None
}

/// Tests of Node's own runner that no package's script starts.
fn bare_node(listing: &Listing, homes: &[PathBuf]) -> Option<Suite> {
    let mut tests = listing.names().filter(|name| {
        let file = name.file_name().and_then(OsStr::to_str);
        file.is_some_and(is_javascript_test)
            && !homes.iter().any(|home| name.starts_with(home))
            && listing
                .content(name)
                .is_some_and(|text| text.contains("'node:test'") || text.contains("\"node:test\""))
    });
    let first = tests.next()?;
    let dir = first
        .ancestors()
        .skip(1)
        .filter(|dir| listing.has(&dir.join("package.json")))
        .last()
        .unwrap_or(Path::new(""));
    let why = format!("`{}` uses Node's own test runner", first.display());
    Some(suite(Framework::NodeTest, dir, words("node --test"), why))
}

fn is_ours(framework: Framework) -> bool {
    matches!(
        framework,
        Framework::Jest | Framework::Vitest | Framework::Mocha | Framework::NodeTest
    )
}

/// The command without what makes it wait for ever, and what that was.
fn to_the_end(framework: Framework, argv: Vec<String>) -> (Vec<String>, Vec<String>) {
    let mut left_out = Vec::new();
    let mut kept: Vec<String> = Vec::new();
    for (at, word) in argv.into_iter().enumerate() {
        let name = word.split('=').next().unwrap_or("");
        let off = word.ends_with("=false");
        if at > 0 && WATCH.contains(&name) && !off {
            left_out.push(word);
        } else {
            kept.push(word);
        }
    }
    // Alone, `vitest` watches wherever it finds a terminal.
    if framework == Framework::Vitest && !kept.iter().any(|word| word == "run" || word == "--run") {
        let at = kept.iter().position(|word| word.ends_with("vitest"));
        kept.insert(at.map_or(kept.len(), |at| at + 1), "run".to_owned());
    }
    (kept, left_out)
}

/// The runner where it is installed: starting a package manager takes longer than many a test.
fn installed(listing: &Listing, dir: &Path, mut command: Vec<String>) -> Vec<String> {
    let Some(program) = command.first().cloned() else {
        return command;
    };
    if !matches!(program.as_str(), "jest" | "vitest" | "mocha") {
        return command;
    }
    let below = Path::new("node_modules/.bin").join(&program);
    let found = dir
        .ancestors()
        .map(|up| up.join(&below))
        .find(|path| listing.has(path));
    match found {
        Some(path) => command[0] = from(dir, &path),
        None => command.insert(0, "npx".to_owned()),
    }
    command
}

/// `npm test` by whichever manager the package has.
fn manager(listing: &Listing, dir: &Path) -> Vec<String> {
    let workspace = dir
        .ancestors()
        .any(|up| listing.has(&up.join("pnpm-workspace.yaml")));
    words(if workspace { "pnpm test" } else { "npm test" })
}
