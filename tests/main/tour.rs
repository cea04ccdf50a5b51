//! The README's tour and status file are what the commands really print, word for word up to
//! times, ids and places.

use crate::support::Home;
use crate::support::Project;
use crate::support::Ran;
use crate::support::fixtures;
use crate::support::repository;
use crate::support::require;
use crate::support::until;
use regex::Regex;
use serde_json::Value;
use std::time::Duration;

/// The text of the README's first block of a language.
fn block(language: &str) -> String {
    let readme = std::fs::read_to_string(repository().join("README.md")).expect("it is there");
    let (_, rest) = readme
        .split_once(&format!("```{language}\n"))
        .unwrap_or_else(|| panic!("the README has no block of {language}"));
    let (block, _) = rest.split_once("```\n").expect("a block ends");
    block.to_owned()
}

/// The commands of the tour, each with what it is said to print.
fn tour() -> Vec<(String, Vec<String>)> {
    let block = block("console");
    let mut steps: Vec<(String, Vec<String>)> = Vec::new();
    for line in block.lines() {
        match line.strip_prefix("$ ") {
            Some(command) => {
                let command = command.split("   #").next().unwrap_or(command);
                steps.push((command.trim().to_owned(), Vec::new()));
            }
            None => steps
                .last_mut()
                .expect("a command first")
                .1
                .push(plain(line)),
        }
    }
    for (_, lines) in &mut steps {
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
    }
    steps
}

/// A line without what differs from run to run.
fn plain(line: &str) -> String {
    let mut line = line.trim_end().to_owned();
    for (pattern, word) in [
        (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
        (r"\b\d+(\.\d+)? (ms|s|min|h)\b", "LONG"),
        (r"LONG( LONG)+", "LONG"),
        (r"\b\d+(\.\d+)? [KMG]iB\b", "SIZE"),
        // What is in the page cache is not read, and what is small is not told.
        (r", SIZE (read|written)", ""),
        (r"\b[rl]1[0-9a-z]{13}\b", "ID"),
        (r"\b[0-9a-f]{40}\b", "HASH"),
        (r"running \d+/(\d+|\?)", "running N/M"),
    ] {
        let pattern = Regex::new(pattern).expect("it is well-formed");
        line = pattern.replace_all(&line, word).into_owned();
    }
    line
}

/// What was printed, line by line, with the home directory called as the README calls it.
fn printed(project: &Project, text: &str) -> Vec<String> {
    let home = project.home.path().to_string_lossy().into_owned();
    let lines = text.lines().filter(|line| !line.contains(" WARN "));
    lines
        .map(|line| plain(&line.replace(&home, "/home/you")))
        .collect()
}

/// Panics unless the lines are those that the README has; `…` there stands for the rest.
#[track_caller]
fn same(command: &str, said: &[String], printed: &[String]) {
    let (said, printed) = match said.split_last() {
        Some((last, said)) if last == "…" => (said, &printed[..said.len().min(printed.len())]),
        _ => (said, printed),
    };
    assert_eq!(
        said.join("\n"),
        printed.join("\n"),
        "the README's tour is not what `{command}` prints"
    );
}

/// Runs a command of the tour as it stands there.
fn typed(project: &Project, command: &str) -> Ran {
    let regreen = std::path::Path::new(env!("CARGO_BIN_EXE_regreen"));
    let dir = regreen.parent().expect("a file lies in a directory");
    let line = format!("PATH='{}':\"$PATH\"; {command}", dir.display());
    let shell = project.home.program("sh", ["-c", &line]);
    shell.within_dir(project.root()).run()
}

/// What is only on the way may be over before it is looked at, or come in another order.
fn steady(lines: &[String]) -> Vec<String> {
    let moving = |line: &&String| {
        ["· syncing", "· queued", "· running", "  cargo  "]
            .iter()
            .any(|word| line.contains(word))
    };
    let mut lines: Vec<String> = lines.iter().filter(|line| !moving(line)).cloned().collect();
    lines.sort();
    lines
}

/// Watches, has the crate mended, and answers the status while it was red.
fn watched(project: &Project, said: &[String]) -> Value {
    let file = project.home.top().join("watched");
    let line = format!(
        "exec '{}' watch > '{}'",
        env!("CARGO_BIN_EXE_regreen"),
        file.display()
    );
    let shell = project.home.program("sh", ["-c", &line]);
    let watching = shell.within_dir(project.root()).start();
    let shows = |line: &str| {
        until(
            &format!("`{line}` is shown"),
            Duration::from_secs(90),
            || {
                let text = std::fs::read_to_string(&file).ok()?;
                let shown = |shown: &str| plain(shown) == line;
                text.lines().any(shown).then_some(())
            },
        );
    };
    let red = project.settled();
    shows("✗ red  1 failed  1 passed  · red for LONG");
    project.edit("src/lib.rs", "left - right", "left + right");
    shows("✓ green  2 passed  · green for LONG");
    watching.interrupt().exits(0);
    let text = std::fs::read_to_string(&file).expect("it was shown");
    let printed = printed(project, &text);
    same("regreen watch", &steady(said), &steady(&printed));
    // A run takes longer than a look.
    let running: Vec<&String> = said.iter().filter(|it| it.contains("· running")).collect();
    assert_eq!(running.len(), 2, "{said:#?}");
    for line in running {
        assert!(printed.contains(line), "no `{line}` in {printed:#?}");
    }
    red
}

#[test]
fn the_tour_is_what_the_commands_print() {
    if !require("bwrap") {
        return;
    }
    let project = Home::new()
        .project("src/adder")
        .copied_from(&fixtures().join("projects/cargo-assertion"))
        .committed();
    let steps = tour();
    let commands: Vec<&str> = steps.iter().map(|(command, _)| command.as_str()).collect();
    let [run, watch, fix] = commands.as_slice() else {
        panic!("the tour has other commands than these tests: {commands:#?}");
    };
    let ran = typed(&project, run);
    same(
        run,
        &steps[0].1,
        &printed(&project, ran.exits(100).stdout().as_str()),
    );

    assert_eq!(*watch, "regreen watch | cat");
    let red = watched(&project, &steps[1].1);
    let said: Value = serde_json::from_str(&block("json")).expect("the README's status is JSON");
    part_of(&said, &red, &project, "");

    let ran = typed(&project, fix);
    let both = format!("{}{}", ran.exits(0).stderr(), ran.stdout());
    same(fix, &steps[2].1, &printed(&project, &both));
}

/// Panics unless everything that the README's status has is in the real one.
#[track_caller]
fn part_of(said: &Value, real: &Value, project: &Project, place: &str) {
    match (said, real) {
        (Value::Object(said), Value::Object(_)) => {
            for (name, said) in said {
                let place = format!("{place}/{name}");
                let varies = ["pid", "duration_ms"].contains(&name.as_str());
                match &real[name] {
                    Value::Number(_) if varies => {}
                    real => part_of(said, real, project, &place),
                }
            }
        }
        (Value::Array(said), Value::Array(real)) => {
            assert_eq!(said.len(), real.len(), "{place}");
            for (said, real) in said.iter().zip(real) {
                part_of(said, real, project, place);
            }
        }
        (Value::String(said), Value::String(real)) => {
            let real = printed(project, real).concat();
            assert_eq!(plain(said), real, "the README's status has another {place}");
        }
        _ => assert_eq!(said, real, "the README's status has another {place}"),
    }
}
