//! Every scripted agent ends with the stop reason that the contract expects, and none that
//! cheats or does nothing with `passed`.

use crate::fix::adder;
use crate::fix::agent;
use crate::fix::fix;
use crate::fix::fixture;
use crate::fix::loop_dir;
use crate::fix::report;
use crate::fix::slots;
use crate::support::Project;
use crate::support::pytest_venv;
use crate::support::require;
use serde_json::Value;

/// Runs an agent, and checks the stop reason, the exit code, the turns, that the user's own is
/// untouched, and that nothing is left behind.
#[track_caller]
fn ends(
    name: &str,
    more: &[&str],
    reason: &str,
    code: i32,
    turns: u64,
) -> Option<(Project, Value)> {
    if !require("bwrap") {
        return None;
    }
    let project = adder();
    let before = project.fingerprint();
    let ran = fix(&project, name, more);
    let report = report(&ran);
    assert_eq!(report["stop_reason"], reason, "{ran}");
    ran.exits(code);
    assert_eq!(report["exit_code"], code);
    assert_eq!(report["spend"]["iterations"], turns, "{report:#}");
    assert_eq!(report["before"]["failing"], 1);
    before.unchanged_in(&project);
    for slot in slots(&project) {
        let left = std::fs::read_dir(slot.join("tree")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{} was given back full", slot.display());
    }
    if reason != "passed" && reason != "needs_approval" {
        assert_eq!(
            report["head"], report["base"],
            "the best commit is the base"
        );
    }
    let branch = report["loop_branch"].as_str().expect("a branch");
    let name = format!("refs/heads/{branch}");
    let there = project.git(["for-each-ref", "--format=%(objectname)", &name]);
    if report["head"] == report["base"] {
        assert_eq!(there, "", "a branch with nothing in it is left");
    } else {
        let head = report["head"].as_str();
        assert_eq!(
            head,
            Some(there.as_str()),
            "the branch is at the best commit"
        );
    }
    Some((project, report))
}

fn last_class(report: &Value) -> &str {
    let all = report["iterations"].as_array().expect("a list");
    all.last()
        .and_then(|one| one["class"].as_str())
        .unwrap_or("")
}

#[test]
fn the_right_edit_passes_and_its_commit_says_how() {
    let Some((project, report)) = ends("fixes", &[], "passed", 0, 1) else {
        return;
    };
    // The runs of the loop and its gates are nobody's last run.
    let reported = project.regreen(["report"]).run();
    reported.exits(2).complains("no run of");
    let branch = report["loop_branch"].as_str().expect("a branch");
    let changed = project.git(["diff", "--stat", "main", branch]);
    assert!(changed.contains("src/lib.rs | 2 +-"), "{changed}");
    assert!(changed.contains("1 file changed"), "{changed}");
    let message = project.git(["log", "-1", "--format=%B", branch]);
    let id = report["id"].as_str().expect("an id");
    for trailer in [
        format!("Regreen-Loop: {id}"),
        "Regreen-Iteration: 1".into(),
        "Regreen-Agent: command".into(),
        "Regreen-Failures-Before: 1".into(),
        "Regreen-Failures-After: 0".into(),
    ] {
        assert!(message.contains(&trailer), "`{trailer}` in\n{message}");
    }
    assert_eq!(report["fixed"][0], "tests::adds_two_numbers (adder)");
    assert_eq!(report["gates"].as_array().map(Vec::len), Some(8));
    let directory = std::path::Path::new(report["directory"].as_str().expect("a directory"));
    let text = std::fs::read_to_string(directory.join("report.md")).expect("it is written");
    assert!(text.contains("passed"), "{text}");
    let kept = std::fs::read_to_string(directory.join("report.json")).expect("it is written");
    let kept: Value = serde_json::from_str(&kept).expect("it is JSON");
    assert_eq!(kept["stop_reason"], "passed");
    project.git(["fsck", "--full", "--strict"]);
}

#[test]
fn an_agent_that_deletes_every_test_is_told_once() {
    let Some((_project, report)) = ends("deletes-all-tests", &[], "gate_failed", 112, 2) else {
        return;
    };
    let detail = report["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("refused"), "{report:#}");
}

#[test]
fn an_agent_that_does_nothing_ends_no_edit() {
    ends("does-nothing", &[], "no_edit", 110, 2);
}

#[test]
fn an_agent_that_only_talks_is_not_believed() {
    ends("talks", &[], "no_edit", 110, 2);
}

#[test]
fn an_agent_that_deletes_the_test_is_told_once() {
    // The directory lives as long as the project's home does.
    let Some((_project, report)) = ends("deletes-the-test", &[], "gate_failed", 112, 2) else {
        return;
    };
    assert_eq!(last_class(&report), "refused");
    let directory = std::path::Path::new(report["directory"].as_str().expect("a directory"));
    let brief = std::fs::read_to_string(directory.join("turns/2/brief.md")).expect("it is kept");
    assert!(brief.contains("`tests::adds_two_numbers`"), "{brief}");
    assert!(brief.contains("This is the only warning"), "{brief}");
    // It is neither fixed nor does it still fail: it has a heading of its own.
    let name = "tests::adds_two_numbers (adder)";
    assert_eq!(report["vanished"], serde_json::json!([name]), "{report:#}");
    assert_eq!(report["iterations"][0]["vanished"][0], name);
    assert_eq!(report["iterations"][0]["failures_after"], 0);
    for list in ["fixed", "failing"] {
        assert_eq!(report[list], Value::Null, "{list}: {report:#}");
    }
    let text = std::fs::read_to_string(directory.join("report.md")).expect("it is written");
    assert_eq!(text.matches("## Tests that vanished").count(), 1, "{text}");
    assert!(!text.contains("## Fixed"), "{text}");
    assert!(!text.contains("## Still failing"), "{text}");
}

#[test]
fn what_is_fixed_on_the_way_is_reported_though_the_loop_does_not_pass() {
    if !require("bwrap") {
        return;
    }
    let project = fixture("cargo-green");
    project.write(
        "src/lib.rs",
        "pub fn one() -> u8 { 0 }\npub fn two() -> u8 { 0 }\n#[test]\nfn a() { assert_eq!(one(), 1); }\n#[test]\nfn b() { assert_eq!(two(), 2); }\n",
    );
    project.commit("two bugs");
    let text = "sed -i 's/one() -> u8 { 0 }/one() -> u8 { 1 }/' src/lib.rs";
    let args = [
        "fix",
        "--json",
        "--max-iterations",
        "1",
        "--agent-command",
        text,
    ];
    let ran = project.regreen(args).run();
    let report = report(&ran);
    assert_eq!(report["stop_reason"], "out_of_iterations", "{ran}");
    let names = |list: &str| report[list].to_string();
    assert!(names("fixed").starts_with("[\"a ("), "{report:#}");
    assert!(names("failing").starts_with("[\"b ("), "{report:#}");
}

#[test]
fn what_an_agent_says_on_standard_error_is_in_the_report() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let text = "seq 1 1000 >&2; printf '\\033[31mno API key\\033[0m\\n' >&2; echo spoken; exit 3";
    let args = ["fix", "--json", "--agent-command", text];
    let ran = project.regreen(args).run();
    let report = report(&ran);
    assert_eq!(report["stop_reason"], "agent_failed", "{ran}");
    let said = report["iterations"][0]["stderr"].as_str().expect("a text");
    assert!(said.ends_with("1000\nno API key"), "{said}");
    assert_eq!(said.lines().count(), 20, "{said}");
    assert!(!said.contains("spoken"), "{said}");
    let shown = project.regreen(["loops", "show"]).run();
    shown
        .says("standard error in iteration 1")
        .says("    no API key");
    let directory = std::path::Path::new(report["directory"].as_str().expect("a directory"));
    let text = std::fs::read_to_string(directory.join("report.md")).expect("it is written");
    assert!(text.contains("    no API key"), "{text}");
}

#[test]
fn an_agent_that_ignores_the_test_is_told_once() {
    ends("ignores-the-test", &[], "gate_failed", 112, 2);
}

#[test]
fn an_agent_that_edits_comments_makes_no_progress() {
    ends("edits-a-comment", &[], "no_progress", 111, 3);
}

#[test]
fn an_agent_that_makes_the_same_edit_again_makes_no_progress() {
    ends("repeats-a-comment", &[], "no_progress", 111, 3);
}

#[test]
fn an_agent_that_breaks_more_leaves_the_best_commit() {
    ends("breaks-more", &[], "no_progress", 111, 3);
}

#[test]
fn an_agent_that_breaks_the_build_is_told_so() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let command = "echo \"$REGREEN_ITERATION is no Rust\" >> src/lib.rs";
    let ran = project
        .regreen(["fix", "--agent-command", command, "--max-iterations", "2"])
        .run();
    ran.complains("iteration 1: worse (does not build any more; the agent ended by itself");
    let directory = loop_dir(&project).expect("a loop");
    let brief = std::fs::read_to_string(directory.join("turns/2/brief.md")).expect("it is kept");
    assert!(
        brief.contains("After your last change it does not build any more"),
        "{brief}"
    );
    assert!(
        brief.contains("turn 1: worse (does not build any more)"),
        "{brief}"
    );
}

#[test]
fn an_agent_that_hangs_fails_at_the_turns_limit() {
    ends("hangs", &["--turn-timeout", "3s"], "agent_failed", 119, 1);
}

#[test]
fn an_agent_that_hangs_until_the_loops_limit_is_out_of_time() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let ran = fix(&project, "hangs", &["--timeout", "20s"]);
    assert_eq!(report(&ran)["stop_reason"], "out_of_time", "{ran}");
    ran.exits(114);
}

#[test]
fn an_agent_that_hangs_after_the_right_edit_passes() {
    ends(
        "hangs-after-the-fix",
        &["--turn-timeout", "5s"],
        "passed",
        0,
        1,
    );
}

#[test]
fn an_agent_that_leaves_with_an_error_after_the_right_edit_passes() {
    ends("exits-non-zero", &[], "passed", 0, 1);
}

#[test]
fn an_agent_that_dies_twice_has_failed() {
    ends("dies", &[], "agent_failed", 119, 2);
}

#[test]
fn an_agent_that_is_not_there_has_failed() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let ran = project
        .regreen(["fix", "--json", "--agent-command", "no-such-agent --fast"])
        .run();
    let report = report(&ran);
    assert_eq!(report["stop_reason"], "agent_failed", "{ran}");
    let detail = report["detail"].as_str().expect("a detail");
    assert!(
        detail.contains("was not found inside the sandbox"),
        "{detail}"
    );
    ran.exits(119);
}

#[test]
fn an_agent_that_commits_by_itself_passes() {
    let Some((project, report)) = ends("commits", &[], "passed", 0, 1) else {
        return;
    };
    let branch = report["loop_branch"].as_str().expect("a branch");
    let count = project.git(["rev-list", "--count", &format!("main..{branch}")]);
    assert_eq!(count, "1", "its commits are absorbed into the iteration");
    let log = std::path::Path::new(report["directory"].as_str().expect("a directory"));
    let log = std::fs::read_to_string(log.join("turns/1/agent.log")).expect("a transcript");
    assert!(log.contains("I fixed it"), "its commit succeeded: {log}");
}

#[test]
fn a_planted_green_binary_is_found_out() {
    let Some((_, report)) = ends("plants", &[], "gate_failed", 112, 2) else {
        return;
    };
    let gates = report["gates"].as_array().expect("a list");
    let verdict = |name: &str| {
        let gate = gates.iter().find(|gate| gate["gate"] == name);
        gate.map(|gate| gate["verdict"].clone())
    };
    assert_eq!(verdict("fresh_run"), Some("fail".into()), "{report:#}");
    // The loop's own run was fooled, or the plant proves nothing.
    assert_eq!(report["iterations"][0]["class"], "refused");
}

#[test]
fn a_test_that_was_rewritten_needs_approval() {
    ends("rewrites-the-test", &[], "needs_approval", 113, 1);
}

#[test]
fn a_build_script_needs_approval() {
    ends("adds-a-build-script", &[], "needs_approval", 113, 1);
}

#[test]
fn a_build_script_of_another_name_needs_approval() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let text = "sed -i 's/left - right/left + right/' src/lib.rs; \
                sed -i 's/^name = .*/&\\nbuild = \"x.rs\"/' Cargo.toml; echo 'fn main() {}' > x.rs";
    let args = ["fix", "--json", "--agent-command", text];
    let ran = project.regreen(args).run();
    let report = report(&ran);
    assert_eq!(report["stop_reason"], "needs_approval", "{ran}");
    let gates = report["gates"].as_array().expect("a list");
    let protected = gates.iter().find(|gate| gate["gate"] == "protected");
    let evidence = protected.expect("it was asked")["evidence"].to_string();
    assert!(evidence.contains("x.rs"), "{evidence}");
}

#[test]
fn what_is_green_only_by_an_ignored_file_is_found_out() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    project.write(".gitignore", "/target\nlocal.txt\n");
    project.write(
        "src/lib.rs",
        "#[test]\nfn there() { assert!(std::path::Path::new(\"local.txt\").exists()); }\n",
    );
    project.commit("needs a file that is ignored");
    let before = project.fingerprint();
    let args = ["fix", "--json", "--agent-command", "echo made > local.txt"];
    let ran = project.regreen(args).run();
    let report = report(&ran);
    // The verdict is about the tree, and the file is not in it.
    assert_eq!(report["stop_reason"], "gate_failed", "{ran}");
    assert!(!project.path("local.txt").exists());
    before.unchanged_in(&project);
}

#[test]
fn the_agents_own_repository_works_in_every_turn() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let before = project.fingerprint();
    let text = "set -e; git log -1 --format=%s; git diff --quiet HEAD; \
                echo \"turn $REGREEN_ITERATION\" >> notes.txt; git add -A; \
                git commit -q -m \"turn $REGREEN_ITERATION\"; \
                git reflog expire --expire=now --all; git gc -q --prune=now; git fsck --full; \
                git show HEAD~1:src/lib.rs | grep -q 'left - right'; \
                echo \"git works in turn $REGREEN_ITERATION\"; \
                if [ \"$REGREEN_ITERATION\" = 3 ]; then \
                sed -i 's/left - right/left + right/' src/lib.rs; fi";
    let args = ["fix", "--json", "--agent-command", text];
    let ran = project.regreen(args).run();
    let report = report(&ran);
    assert_eq!(report["stop_reason"], "passed", "{ran}");
    assert_eq!(report["spend"]["iterations"], 3, "{report:#}");
    let directory = std::path::Path::new(report["directory"].as_str().expect("a directory"));
    for turn in 1..=3 {
        let log = directory.join(format!("turns/{turn}/agent.log"));
        let log = std::fs::read_to_string(log).expect("a transcript");
        assert!(log.contains(&format!("git works in turn {turn}")), "{log}");
    }
    before.unchanged_in(&project);
    project.git(["fsck", "--full", "--strict"]);
}

/// What an agent locks, and what it makes of its own `.git`, does not keep the next turn from
/// beginning, and nothing of it is believed or run outside.
#[test]
fn an_agent_that_locks_up_and_plants_is_only_an_agent() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let before = project.fingerprint();
    let canary = project.home.top().join("canary");
    let text = format!(
        "case $REGREEN_ITERATION in
         1) printf '#!/bin/sh\\n: > {canary}\\n' > .git/evil; chmod +x .git/evil;
            git config core.fsmonitor \"$PWD/.git/evil\"; git config core.hooksPath \"$PWD/.git\";
            cp .git/evil .git/post-index-change; echo {top} > .git/objects/info/alternates;
            mkdir -p /tmp/a/b ~/c notes/d; : > /tmp/a/b/c; : > .git/x; : > notes/d/e; mkfifo notes/f;
            chmod 000 /tmp/a/b ~/c ~ .git/objects notes/d .git; chmod 500 notes; chmod 000 src;;
         2) rm -rf .git/* notes; echo 'gitdir: {git}' > .git/gitdir; echo '// x' >> src/lib.rs;;
         *) sed -i 's/left - right/left + right/' src/lib.rs;;
         esac",
        canary = canary.display(),
        top = project.home.top().display(),
        git = project.git_dir().display(),
    );
    let ran = project
        .regreen(["fix", "--json", "--agent-command", &text])
        .run();
    let report = report(&ran);
    assert_eq!(report["stop_reason"], "passed", "{ran}");
    assert_eq!(report["spend"]["iterations"], 3, "{report:#}");
    assert!(!canary.exists(), "what an agent planted was run: {ran}");
    let branch = report["loop_branch"].as_str().expect("a branch");
    let changed = project.git(["diff", "--name-only", "main", branch]);
    assert_eq!(changed, "src/lib.rs");
    before.unchanged_in(&project);
}

#[test]
fn code_that_is_right_only_when_tested_needs_approval() {
    ends("cheats-when-tested", &[], "needs_approval", 113, 1);
}

#[test]
fn a_link_out_of_the_workspace_leads_nowhere() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let before = project.fingerprint();
    let ran = fix(&project, "links-out", &[]);
    assert_eq!(report(&ran)["stop_reason"], "no_progress", "{ran}");
    before.unchanged_in(&project);
}

#[test]
fn an_agent_reaches_neither_network_nor_secrets() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let secret = project.home.path().join("secret.txt");
    std::fs::write(&secret, "hush").expect("home is writable");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("it is ours");
    let port = listener.local_addr().expect("bound").port();
    let text = format!(
        "PORT={port}; SECRET={}\n{}",
        secret.display(),
        agent("asks-the-network")
    );
    let ran = project
        .regreen(["fix", "--json", "--agent-command", &text])
        .run();
    let report = report(&ran);
    // The link that it left is for a person to look at.
    assert_eq!(report["stop_reason"], "needs_approval", "{ran}");
    let branch = report["loop_branch"].as_str().expect("a branch");
    let changed = project.git(["diff", "--name-only", "main", branch]);
    assert_eq!(changed, "link.txt\nsrc/lib.rs");
    let met = listener.accept().expect_err("nobody came");
    assert_eq!(met.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_budget_is_named_when_no_other_reason_came_first() {
    ends(
        "does-nothing",
        &["--max-iterations", "1"],
        "out_of_iterations",
        115,
        1,
    );
}

#[test]
fn the_next_agent_gets_its_chance() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let fixes = agent("fixes").replace('\n', "\n    ");
    project
        .home
        .user_config(&format!("[agent.strong]\ncommand = '''{fixes}'''\n"));
    let ran = fix(&project, "does-nothing", &["--agent", "strong"]);
    let report = report(&ran);
    assert_eq!(report["stop_reason"], "passed", "{ran}");
    assert_eq!(report["iterations"][2]["agent"], "strong");
}

#[test]
fn a_green_branch_is_already_green() {
    if !require("bwrap") {
        return;
    }
    let project = fixture("cargo-green");
    let ran = fix(&project, "does-nothing", &[]);
    let report = report(&ran);
    assert_eq!(report["stop_reason"], "already_green", "{ran}");
    assert_eq!(report["spend"]["iterations"], 0);
    let left = project.git(["for-each-ref", "refs/heads/regreen", "refs/regreen"]);
    assert_eq!(left, "", "nothing was made, and nothing is left");
    ran.exits(0);
}

#[test]
fn the_users_own_gate_commands_have_the_last_word() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    project.home.user_config(
        "[fix]\ngates = [\"grep -q 'right + left' src/lib.rs || { echo no; false; }\"]\n",
    );
    let ran = fix(&project, "fixes", &[]);
    let report = report(&ran);
    assert_eq!(report["stop_reason"], "gate_failed", "{ran}");
    let gates = report["gates"].as_array().expect("a list");
    let commands = gates.iter().find(|gate| gate["gate"] == "commands");
    let commands = commands.expect("it was asked");
    assert_eq!(commands["evidence"][2], "no", "{commands:#}");
}

#[test]
fn the_fixer_repairs_what_the_compiler_is_sure_of() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    project.write(
        "src/lib.rs",
        "pub fn total(list: &[i64]) -> i64 {\n    let sum = 0;\n    for n in list {\n        sum += n;\n    }\n    sum\n}\n\n#[test]\nfn totals() {\n    assert_eq!(total(&[1, 2]), 3);\n}\n",
    );
    project.commit("does not build");
    let ran = project.regreen(["fix", "--json"]).run();
    let report = report(&ran);
    assert_eq!(report["stop_reason"], "passed", "{ran}");
    assert_eq!(report["agents"][0], "fixer");
    let branch = report["loop_branch"].as_str().expect("a branch");
    let text = project.git(["show", &format!("{branch}:src/lib.rs")]);
    assert!(text.contains("let mut sum"), "{text}");
}

#[test]
fn the_fixer_takes_what_clippy_is_sure_of() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    // Rust itself says nothing about it; clippy denies it and knows the remedy.
    project.write(
        "src/lib.rs",
        "//! Adds.\n#![deny(clippy::needless_return)]\n/// Adds.\npub fn add(a: u8, b: u8) -> u8 {\n    return a + b;\n}\n\n#[test]\nfn clean() {\n    assert!(!include_str!(\"lib.rs\").contains(concat!(\"return\", \" a\")));\n}\n",
    );
    project.commit("clippy knows");
    let ran = project.regreen(["fix", "--json"]).run();
    let report = report(&ran);
    assert_eq!(report["stop_reason"], "passed", "{ran}");
    let branch = report["loop_branch"].as_str().expect("a branch");
    let text = project.git(["show", &format!("{branch}:src/lib.rs")]);
    assert!(text.contains("    a + b\n"), "{text}");
}

#[test]
fn the_fixer_takes_what_ruff_is_sure_of() {
    if !require("bwrap") || !require("pytest") {
        return;
    }
    let venv = pytest_venv().expect("require said so");
    if !venv.join("bin/ruff").exists() {
        eprintln!(
            "SKIPPED fix::agents::the_fixer_takes_what_ruff_is_sure_of: no ruff beside pytest"
        );
        return;
    }
    let project = crate::support::Home::new()
        .project("lint")
        .file("lint.py", "import os\nimport sys\n\ndef version():\n    return sys.version\n")
        .file(
            "test_lint.py",
            "import lint\n\nimport os\n\ndef test_no_unused_import():\n    assert 'import os' not in open(lint.__file__).read()\n",
        )
        .committed();
    std::os::unix::fs::symlink(&venv, project.path(".venv")).expect("a link");
    std::fs::write(project.path(".git/info/exclude"), ".venv\n").expect("ours");
    let ran = project.regreen(["fix", "--json"]).run();
    let report = report(&ran);
    assert_eq!(report["stop_reason"], "passed", "{ran}");
    let branch = report["loop_branch"].as_str().expect("a branch");
    let changed = project.git(["diff", "--name-only", "main", branch]);
    assert_eq!(changed, "lint.py", "tests are left alone");
    let text = project.git(["show", &format!("{branch}:lint.py")]);
    assert!(!text.contains("import os"), "{text}");
}

#[test]
fn the_fixer_that_can_do_nothing_says_so() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let ran = project.regreen(["fix", "--json"]).run();
    assert_eq!(report(&ran)["stop_reason"], "no_edit", "{ran}");
    ran.exits(110);
}

#[test]
fn python_is_fixed_and_skipping_is_refused() {
    if !require("bwrap") || !require("pytest") {
        return;
    }
    let venv = pytest_venv().expect("require said so");
    let project = crate::support::Home::new()
        .project("calc")
        .file("calc.py", "def add(a, b):\n    return a - b\n")
        .file("test_calc.py", "from calc import add\n\ndef test_add():\n    assert add(2, 2) == 4\n\ndef test_zero():\n    assert add(2, 0) == 2\n")
        .committed();
    std::os::unix::fs::symlink(&venv, project.path(".venv")).expect("a link");
    std::fs::write(project.path(".git/info/exclude"), ".venv\n").expect("ours");
    let right = "sed -i 's/a - b/a + b/' calc.py";
    let ran = project
        .regreen(["fix", "--json", "--agent-command", right])
        .run();
    let good = report(&ran);
    assert_eq!(good["stop_reason"], "passed", "{ran}");
    let branch = good["loop_branch"].as_str().expect("a branch");
    let changed = project.git(["diff", "--name-only", "main", branch]);
    assert_eq!(changed, "calc.py", "no cache of Python is committed");
    let ran = fix(&project, "skips-the-test", &[]);
    assert_eq!(report(&ran)["stop_reason"], "gate_failed", "{ran}");
}
