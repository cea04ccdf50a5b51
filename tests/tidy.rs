//! The house rules that a machine can check (docs/architecture.md, "House rules"): every file
//! says what it is for, pure files stay pure, processes are started in one place, nothing
//! prints or unwraps by the way, no name of somebody's machine is committed, the top level and
//! the number of dependencies stay small.

mod house;

use house::Source;
use house::Violation;
use house::Word;
use house::all_spelled;
use house::none_of;
use house::repository;
use house::sources;
use house::words;
use std::path::Path;
use std::process::Output;

/// Our Rust, wherever it is. The fixtures are other people's projects by intent.
const OURS: &[&str] = &["src", "parsers", "tests", "benches"];
/// What is shipped.
const SHIPPED: &[&str] = &["src", "parsers/src"];

/// Pure: no async, no file system, no clock, no processes; the time is an argument.
/// A name ending in `/` is a directory, `*` stands for the rest of a file's name.
const PURE: &[&str] = &[
    "parsers/src/",
    "src/model/",
    "src/watch/debounce*",
    "src/run/queue*",
    "src/run/flaky*",
    "src/iteration/machine*",
    "src/iteration/brief*",
    "src/iteration/gate*",
    "src/iteration/progress*",
    "src/suite/detect*",
];

/// The one place of the model that looks at its process: it captures the environment once.
const READS_ENVIRONMENT: &str = "src/model/host.rs";

/// What a pure file does not say, word by word.
const IMPURE: &[&[&str]] = &[
    &["async"],
    &["await"],
    &["tokio"],
    &["std", "::", "fs"],
    &["std", "::", "net"],
    &["std", "::", "process"],
    &["std", "::", "thread"],
    &["std", "::", "env"],
    &["rustix"],
    &["libc"],
    &["Instant", "::", "now"],
    &["SystemTime", "::", "now"],
    &["Timestamp", "::", "now"],
];

/// Processes are started here only: one long-lived spawner thread, because PDEATHSIG follows
/// the thread that forked. The shim lives inside the sandbox, as a process of its own.
const MAY_SPAWN: &[&str] = &[
    "src/process/",
    "src/run/shim",
    "src/run/services/inside.rs",
    "src/sandbox/egress/inside.rs",
    "tests/",
];

const SPAWNING: &[&[&str]] = &[
    &["std", "::", "process", "::", "Command"],
    &["tokio", "::", "process", "::", "Command"],
    // Imported so, `process::Command` would not be seen.
    &["std", "::", "process", ";"],
    &["tokio", "::", "process", ";"],
    &["libc", "::", "fork"],
    &["libc", "::", "vfork"],
    &["libc", "::", "posix_spawn"],
    &["libc", "::", "execve"],
    &["libc", "::", "execvp"],
    &["libc", "::", "system"],
];

/// Shipped code does not say these outside its tests.
const FORBIDDEN: &[(&[&str], &str)] = &[
    (
        &[".", "unwrap", "("],
        "no `unwrap`: answer an error, or `expect` why it cannot fail",
    ),
    (&["dbg", "!"], "no `dbg!`"),
    (&["todo", "!"], "no `todo!`: a stub is not done"),
    (
        &["unimplemented", "!"],
        "no `unimplemented!`: a stub is not done",
    ),
    (&["println", "!"], "no stray printing: `cli::out` writes"),
    (&["print", "!"], "no stray printing: `cli::out` writes"),
    (
        &["eprintln", "!"],
        "no stray printing: `cli::out` writes, `tracing` logs",
    ),
    (
        &["eprint", "!"],
        "no stray printing: `cli::out` writes, `tracing` logs",
    ),
];

/// Longer functions are state machines that want to be a pure `step`; they are reported.
const LONG: usize = 60;
/// Longer than this is an error.
const TOO_LONG: usize = 150;

fn violation(source: &Source, word: &Word, what: impl Into<String>) -> Violation {
    Violation {
        path: source.path.clone(),
        line: word.line,
        what: what.into(),
    }
}

fn matches(path: &str, patterns: &[&str]) -> bool {
    patterns
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => path.starts_with(pattern),
        })
}

fn opens_with_its_purpose(source: &Source) -> Vec<Violation> {
    let purpose: String = source
        .text
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .map(|line| line.trim_start_matches("//!"))
        .collect();
    if purpose.trim().len() >= 15 {
        return Vec::new();
    }
    vec![Violation {
        path: source.path.clone(),
        line: 1,
        what: "the file does not open with `//!` and what it is for".into(),
    }]
}

fn stays_pure(source: &Source) -> Vec<Violation> {
    if !matches(&source.path, PURE) {
        return Vec::new();
    }
    let words = words(source);
    let wanted = IMPURE.iter().filter(|impure| {
        let environment = **impure == ["std", "::", "env"];
        !(environment && source.path == READS_ENVIRONMENT)
    });
    let found = wanted.flat_map(|impure| {
        let said = all_spelled(&words, impure).into_iter();
        let said = said.filter(|word| !word.in_tests);
        said.map(|word| {
            let what = format!("a pure file says `{}`", impure.concat());
            violation(source, word, what)
        })
    });
    found.collect()
}

fn spawns_nothing(source: &Source) -> Vec<Violation> {
    if matches(&source.path, MAY_SPAWN) {
        return Vec::new();
    }
    let words = words(source);
    let found = SPAWNING.iter().flat_map(|spawning| {
        let said = all_spelled(&words, spawning).into_iter();
        said.map(|word| {
            let what = format!(
                "`{}`: processes are started in `process/`",
                spawning.concat()
            );
            violation(source, word, what)
        })
    });
    found.collect()
}

fn says_nothing_forbidden(source: &Source) -> Vec<Violation> {
    let words = words(source);
    let found = FORBIDDEN.iter().flat_map(|(forbidden, why)| {
        let said = all_spelled(&words, forbidden).into_iter();
        let said = said.filter(|word| !word.in_tests);
        said.map(|word| violation(source, word, *why))
    });
    found.collect()
}

/// Tests and sources alike: `sleep` proves nothing and costs time.
fn never_sleeps(source: &Source) -> Vec<Violation> {
    let words = words(source);
    let said = all_spelled(&words, &["thread", "::", "sleep"]);
    let what = "wait for the thing itself, not for time to pass";
    said.into_iter()
        .map(|word| violation(source, word, what))
        .collect()
}

fn expects_instead_of_allowing(source: &Source) -> Vec<Violation> {
    let words = words(source);
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let attribute = at >= 2
            && words[at - 1].text == "["
            && matches!(words[at - 2].text.as_str(), "#" | "!");
        if !attribute || !matches!(word.text.as_str(), "allow" | "expect") {
            continue;
        }
        let end = words[at..].iter().position(|word| word.text == "]");
        let inside = &words[at..at + end.unwrap_or(0)];
        let says = |wanted: &str| inside.iter().any(|word| word.text == wanted);
        // Shared test modules cannot expect: not every binary uses every word of them.
        let shared = source.path.starts_with("tests/") && says("allow_attributes");
        if word.text == "allow" && !shared {
            found.push(violation(source, word, "`#[expect]`, not `#[allow]`"));
        }
        if !says("reason") {
            found.push(violation(source, word, "the attribute gives no reason"));
        }
    }
    found
}

fn imports_one_item_a_line(source: &Source) -> Vec<Violation> {
    let words = words(source);
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        // `impl Trait + use<'a>` is no import.
        let bounds = words.get(at + 1).is_some_and(|next| next.text == "<");
        if word.text != "use" || bounds {
            continue;
        }
        let import = words[at..].iter().take_while(|word| word.text != ";");
        if import.into_iter().any(|word| word.text == "{") {
            found.push(violation(
                source,
                word,
                "imports are one item a line, without braces",
            ));
        }
    }
    found
}

/// Every function of the shipped sources outside tests, with its length in lines.
fn functions(source: &Source) -> Vec<(String, usize, usize)> {
    let words = words(source);
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if word.text != "fn" || word.in_tests {
            continue;
        }
        let name = words.get(at + 1).map(|word| word.text.clone());
        if let Some((first, last)) = body(&words[at..]) {
            found.push((name.unwrap_or_default(), word.line, last + 1 - first));
        }
    }
    found
}

/// The lines of the first `{ … }` before a `;`, counted from the first word.
fn body(words: &[Word]) -> Option<(usize, usize)> {
    let mut depth = 0usize;
    let mut nested = 0usize;
    for word in words {
        match word.text.as_str() {
            "(" | "[" if depth == 0 => nested += 1,
            ")" | "]" if depth == 0 => nested = nested.saturating_sub(1),
            ";" if depth == 0 && nested == 0 => return None,
            "{" => depth += 1,
            "}" => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some((words[0].line, word.line));
                }
            }
            _ => {}
        }
    }
    None
}

fn holds_in(dirs: &[&str], rule: fn(&Source) -> Vec<Violation>) {
    let present: Vec<&str> = dirs
        .iter()
        .copied()
        .filter(|dir| repository().join(dir).is_dir())
        .collect();
    none_of(sources(&present).iter().flat_map(rule).collect());
}

#[test]
fn every_file_opens_with_its_purpose() {
    holds_in(OURS, opens_with_its_purpose);
}

#[test]
fn pure_files_stay_pure() {
    holds_in(SHIPPED, stays_pure);
}

#[test]
fn processes_are_started_in_one_place() {
    holds_in(SHIPPED, spawns_nothing);
}

#[test]
fn nothing_unwraps_or_prints_by_the_way() {
    holds_in(SHIPPED, says_nothing_forbidden);
}

#[test]
fn nobody_sleeps() {
    holds_in(OURS, never_sleeps);
}

#[test]
fn lints_are_expected_with_a_reason() {
    holds_in(OURS, expects_instead_of_allowing);
}

#[test]
fn imports_are_one_item_a_line() {
    holds_in(OURS, imports_one_item_a_line);
}

#[test]
fn functions_are_short() {
    let mut too_long = Vec::new();
    for source in sources(SHIPPED) {
        for (name, line, length) in functions(&source) {
            let what = format!("`{name}` has {length} lines");
            if length > LONG {
                println!("{}:{line}: {what}", source.path);
            }
            if length > TOO_LONG {
                let path = source.path.clone();
                too_long.push(Violation { path, line, what });
            }
        }
    }
    none_of(too_long);
}

/// (rule, file, source, whether the rule holds)
type Planted = (
    fn(&Source) -> Vec<Violation>,
    &'static str,
    &'static str,
    bool,
);

const PLANTED: &[Planted] = &[
    (
        opens_with_its_purpose,
        "src/a.rs",
        "//! What this file is for.\n",
        true,
    ),
    (opens_with_its_purpose, "src/a.rs", "//! x\n", false),
    (opens_with_its_purpose, "src/a.rs", "fn f() {}\n", false),
    (
        stays_pure,
        "src/model/a.rs",
        "use std::time::Duration;",
        true,
    ),
    (
        stays_pure,
        "src/model/a.rs",
        "/// No std::fs here.\nfn f() {}",
        true,
    ),
    (stays_pure, "src/model/a.rs", "use std::fs;", false),
    (stays_pure, "src/run/queue.rs", "async fn f() {}", false),
    (stays_pure, "src/run/execute.rs", "async fn f() {}", true),
    (
        stays_pure,
        "src/watch/debounce.rs",
        "fn f() { Instant::now(); }",
        false,
    ),
    (
        stays_pure,
        "src/model/a.rs",
        "#[cfg(test)]\nmod tests { use std::fs; }",
        true,
    ),
    (
        stays_pure,
        "src/model/a.rs",
        "mod tests { use std::fs; }",
        false,
    ),
    (
        spawns_nothing,
        "src/git/a.rs",
        "use std::process::Command;",
        false,
    ),
    (spawns_nothing, "src/git/a.rs", "use std::process;", false),
    (
        spawns_nothing,
        "src/git/a.rs",
        "use crate::process::Command;",
        true,
    ),
    (
        spawns_nothing,
        "src/git/a.rs",
        "use std::process::ExitCode;",
        true,
    ),
    (
        spawns_nothing,
        "src/process/a.rs",
        "use std::process::Command;",
        true,
    ),
    (
        says_nothing_forbidden,
        "src/a.rs",
        "fn f() { g().unwrap(); }",
        false,
    ),
    (
        says_nothing_forbidden,
        "src/a.rs",
        "fn f() { g().unwrap_or(1); }",
        true,
    ),
    (
        says_nothing_forbidden,
        "src/a.rs",
        "fn f() { println!(\"x\"); }",
        false,
    ),
    (
        says_nothing_forbidden,
        "src/a.rs",
        "const A: &str = \"dbg!(1)\";",
        true,
    ),
    (
        says_nothing_forbidden,
        "src/a.rs",
        "#[cfg(test)]\n#[expect(dead_code, reason = \"\")]\nmod tests { fn f() { g().unwrap(); } }",
        true,
    ),
    (
        never_sleeps,
        "tests/a.rs",
        "fn f() { std::thread::sleep(d); }",
        false,
    ),
    (
        expects_instead_of_allowing,
        "src/a.rs",
        "#[allow(dead_code)]\nfn f() {}",
        false,
    ),
    (
        expects_instead_of_allowing,
        "src/a.rs",
        "#![allow(dead_code, reason = \"r\")]",
        false,
    ),
    (
        expects_instead_of_allowing,
        "src/a.rs",
        "#[expect(dead_code)]\nfn f() {}",
        false,
    ),
    (
        expects_instead_of_allowing,
        "src/a.rs",
        "#[expect(dead_code, reason = \"r\")]\nfn f() {}",
        true,
    ),
    (
        imports_one_item_a_line,
        "src/a.rs",
        "use std::fs;\nfn f() {}",
        true,
    ),
    (
        imports_one_item_a_line,
        "src/a.rs",
        "use std::{fs, io};",
        false,
    ),
];

#[test]
fn the_rules_see_planted_violations() {
    for (rule, path, text, holds) in PLANTED {
        let source = Source {
            path: (*path).into(),
            text: (*text).into(),
        };
        let found = rule(&source);
        assert_eq!(found.is_empty(), *holds, "{path}: {text}\n{found:?}");
    }
    let source = Source {
        path: "src/a.rs".into(),
        text: "fn f(a: [u8; 2]) -> u8 {\n    g()\n}\ntrait T { fn h(); }\n".into(),
    };
    assert_eq!(functions(&source), [("f".into(), 1, 3)]);
}

#[test]
fn the_binary_is_a_door_and_nothing_else() {
    let main = std::fs::read_to_string(repository().join("src/main.rs")).expect("it exists");
    let lines = main.lines().count();
    assert!(lines <= 30, "src/main.rs has {lines} lines");
}

#[test]
fn there_is_one_crate_besides_the_root() {
    let text = std::fs::read_to_string(repository().join("Cargo.toml")).expect("it exists");
    let manifest: toml::Table = text.parse().expect("cargo reads it too");
    let list = |key: &str| {
        let array = manifest["workspace"][key].as_array().expect("an array");
        let words = array.iter().map(|word| word.as_str().expect("a string"));
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(list("members"), ["parsers"]);
    assert_eq!(
        list("default-members"),
        [".", "parsers"],
        "plain `cargo test` runs all"
    );
    assert_eq!(
        list("exclude"),
        ["fixtures", "parsers/fuzz"],
        "fixtures are projects of their own, and cargo-fuzz builds the fuzz targets alone"
    );
}

#[test]
fn every_fixture_says_what_is_expected_of_it() {
    let dir = repository().join("fixtures/projects");
    let mut count = 0;
    for entry in std::fs::read_dir(&dir)
        .expect("there are fixtures")
        .flatten()
    {
        let expected = entry.path().join("expected.toml");
        assert!(expected.is_file(), "`{}` is missing", expected.display());
        count += 1;
    }
    assert!(count >= 12, "only {count} fixture projects");
}

/// Names of machines and of their private places. In pieces, or this file would hold them.
const PRIVATE: &[(&str, &str)] = &[
    ("/wo", "rk/"),
    ("/ro", "ot/."),
    ("/opt/whe", "els"),
    (".libra", "ry/"),
    ("plan", ".md"),
    ("reque", "sts.md"),
    ("/shared/fa", "cts"),
];

#[test]
fn nothing_names_somebodys_machine() {
    let mut found = Vec::new();
    for path in tracked_files() {
        let Ok(text) = std::fs::read_to_string(repository().join(&path)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            for (left, right) in PRIVATE {
                let name = format!("{left}{right}");
                if line.contains(&name) {
                    found.push(Violation {
                        path: path.clone(),
                        line: number + 1,
                        what: format!("names `{name}`"),
                    });
                }
            }
        }
    }
    none_of(found);
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    let mut found = Vec::new();
    for path in tracked_files() {
        if !path.ends_with(".md") {
            continue;
        }
        let place = repository().join(&path);
        let text = std::fs::read_to_string(&place).unwrap_or_default();
        let dir = place.parent().expect("a file lies in a directory");
        for (number, line) in text.lines().enumerate() {
            for target in line.split("](").skip(1) {
                let target = target.split([')', '#']).next().unwrap_or_default();
                let elsewhere = target.is_empty() || target.contains("://");
                if !elsewhere && !dir.join(target).exists() {
                    let what = format!("the link to `{target}` leads nowhere");
                    let line = number + 1;
                    let path = path.clone();
                    found.push(Violation { path, line, what });
                }
            }
        }
    }
    none_of(found);
}

/// What a tool left behind for somebody to look at, and nobody did.
const LEFTOVERS: [&str; 5] = [".snap.new", ".pending-snap", ".orig", ".rej", "~"];

#[test]
fn no_tools_leftovers_are_tracked() {
    let left = |path: &String| LEFTOVERS.iter().any(|end| path.ends_with(end));
    let found: Vec<String> = tracked_files().into_iter().filter(left).collect();
    assert!(found.is_empty(), "remove {found:?}");
}

/// What git tracks, or, in a copy without git, what lies there.
fn tracked_files() -> Vec<String> {
    if let Some(output) = output_of("git", &["ls-files", "-z"]) {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let names = text.split('\0').filter(|name| !name.is_empty());
        return names.map(str::to_owned).collect();
    }
    let walk = walkdir::WalkDir::new(repository()).into_iter();
    let walk = walk.filter_entry(|entry| entry.file_name() != "target");
    let files = walk.flatten().filter(|entry| entry.file_type().is_file());
    let below = files.filter_map(|entry| {
        let path = entry.path().strip_prefix(repository()).ok()?;
        Some(path.to_string_lossy().into_owned())
    });
    below.collect()
}

#[test]
fn the_dependencies_stay_few() {
    let arguments = "tree -e normal,build --target x86_64-unknown-linux-gnu --prefix none";
    let mut arguments: Vec<&str> = arguments.split(' ').collect();
    arguments.extend(["--offline", "--locked"]);
    let output = output_of(env!("CARGO"), &arguments).expect("`cargo tree` answers");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let names = text
        .lines()
        .map(|line| line.split(" (").next().unwrap_or(line));
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    println!("{} packages", names.len());
    assert!(names.len() > 20, "`cargo tree` says too little:\n{text}");
    assert!(
        names.len() <= 380,
        "{} packages; the cap is 380",
        names.len()
    );
}

#[expect(clippy::disallowed_methods, reason = "a test asks git and cargo")]
fn output_of(program: &str, arguments: &[&str]) -> Option<Output> {
    let output = std::process::Command::new(Path::new(program))
        .args(arguments)
        .current_dir(repository())
        .output()
        .ok()?;
    output.status.success().then_some(output)
}
