//! Ctrl-C: the run ends in good order and leaves nothing behind.

use crate::support::Home;
use crate::support::require;
use crate::support::until;
use std::time::Duration;

/// Processes whose command line holds this word.
fn processes(word: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc")
        .expect("a process file system")
        .flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(word) && *pid != std::process::id() && !line.contains("/deps/main-")
        })
        .collect()
}

#[test]
fn an_interrupted_run_says_so_and_leaves_no_process() {
    if !require("bwrap") {
        return;
    }
    let word = format!("interrupted-{}", std::process::id());
    let project = Home::new()
        .project("hang")
        .file(
            "regreen.toml",
            format!(
                "[[suite]]\nname = \"hang\"\ncommand = \"echo begun; exec -a {word} sleep 600\"\n"
            ),
        )
        .committed();
    project.write(
        "regreen.toml",
        format!("[[suite]]\nname = \"hang\"\ncommand = [\"bash\", \"-c\", \"echo begun; exec -a {word} sleep 600\"]\n"),
    );
    let run = project.regreen(["run", "--json"]).start();
    until("the command to run", Duration::from_secs(30), || {
        let found = processes(&format!("{word} 600"));
        (!found.is_empty()).then_some(found)
    });
    let ran = run.interrupt();
    ran.exits(105);
    let document = ran.json();
    assert_eq!(document["outcome"], "interrupted", "{ran}");
    assert_eq!(document["reports"][0]["outcome"], "interrupted", "{ran}");
    until("the command to be gone", Duration::from_secs(10), || {
        processes(&format!("{word} 600")).is_empty().then_some(())
    });
    // The slot is free and works.
    let next = project.regreen(["run", "--json", "--", "true"]).run();
    assert_eq!(
        next.json()["reports"][0]["run"]["exit"]["code"],
        0,
        "{next}"
    );
}
