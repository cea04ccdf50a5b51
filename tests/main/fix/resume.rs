//! Loops that are cut short: by kill -9, by a signal, by `loops stop`, and by the user's own gc.

use crate::fix::adder;
use crate::fix::agent;
use crate::fix::loop_dir;
use crate::fix::report;
use crate::fix::slots;
use crate::support::Project;
use crate::support::Started;
use crate::support::for_end_of;
use crate::support::full_tier;
use crate::support::require;
use crate::support::until;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(120);

fn start(project: &Project, name: &str) -> Started {
    let text = agent(name);
    project
        .regreen(["fix", "--json", "--agent-command", &text])
        .start()
}

/// Waits until the agent has said something in its first turn.
fn until_the_agent_works(project: &Project) {
    until("the agent works", LONG, || {
        let log = loop_dir(project)?.join("turns/1/agent.log");
        let text = std::fs::read_to_string(log).ok()?;
        text.contains("begun 1").then_some(())
    });
}

/// How often the agent was started in each turn, by its own count.
fn starts(directory: &Path) -> Vec<usize> {
    let turns = std::fs::read_dir(directory.join("turns")).map_or(0, Iterator::count);
    (1..=turns)
        .map(|turn| {
            let log = directory.join(format!("turns/{turn}/agent.log"));
            let text = std::fs::read_to_string(log).unwrap_or_default();
            text.matches(&format!("begun {turn}")).count()
        })
        .collect()
}

fn directory(report: &Value) -> &Path {
    Path::new(report["directory"].as_str().expect("a directory"))
}

#[test]
fn a_turn_that_was_in_flight_is_not_paid_twice() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let before = project.fingerprint();
    let running = start(&project, "counts-and-hangs");
    until_the_agent_works(&project);
    running.kill_9();
    let listed = project.regreen(["loops", "list", "--json"]).run().json();
    assert_eq!(listed[0]["state"], "interrupted");
    // A kill in the middle of moving the loop's branch leaves the lock on it.
    let branch = listed[0]["loop_branch"].as_str().expect("a branch");
    std::fs::write(project.path(format!(".git/refs/heads/{branch}.lock")), "").expect("ours");
    assert_eq!(listed[0]["stop_reason"], Value::Null);
    let ran = project.regreen(["loops", "resume", "--json"]).run();
    let report = report(&ran);
    // What it had written by then was right, and that is what counts.
    assert_eq!(report["stop_reason"], "passed", "{ran}");
    assert_eq!(report["spend"]["iterations"], 1);
    assert_eq!(starts(directory(&report)), [1]);
    let branch = report["loop_branch"].as_str().expect("a branch");
    let counted = project.git(["show", &format!("{branch}:starts.txt")]);
    assert_eq!(counted, "turn 1");
    before.unchanged_in(&project);
}

#[test]
fn kill_9_at_any_moment_pays_no_turn_twice_and_loses_nothing() {
    if !require("bwrap") {
        return;
    }
    let rounds = if full_tier() { 20 } else { 2 };
    for round in 0..rounds {
        let project = adder();
        let before = project.fingerprint();
        let mut running = start(&project, "fixes-slowly");
        let mut kills = 0;
        // Each kill comes a little later than the one before; the steps differ by round.
        let ran = loop {
            let patience = Duration::from_millis(200 + 250 * kills + 67 * round);
            if for_end_of(running.pid(), patience) {
                break running.end();
            }
            running.kill_9();
            kills += 1;
            running = match loop_dir(&project).is_some_and(|dir| on_record(&project, &dir)) {
                true => project.regreen(["loops", "resume", "--json"]).start(),
                // Killed before anything was accepted.
                false => start(&project, "fixes-slowly"),
            };
        };
        // Killed between its last word on record and its last word on the screen.
        let report = match ran.stderr().contains("ended green") {
            true => project.regreen(["loops", "show", "--json"]).run().json(),
            false => report(&ran),
        };
        assert_eq!(
            report["stop_reason"], "passed",
            "after {kills} kills: {report:#}\n{ran}"
        );
        let starts = starts(directory(&report));
        assert_eq!(report["spend"]["iterations"], starts.len(), "{report:#}");
        assert!(starts.iter().all(|count| *count <= 1), "{starts:?}");
        before.unchanged_in(&project);
        project.git(["fsck", "--full"]);
        let branch = report["loop_branch"].as_str().expect("a branch");
        let text = project.git(["show", &format!("{branch}:src/lib.rs")]);
        assert!(text.contains("left + right"), "{text}");
    }
}

fn on_record(project: &Project, _: &Path) -> bool {
    let listed = project.regreen(["loops", "list", "--json"]).run().json();
    listed.as_array().is_some_and(|loops| !loops.is_empty())
}

#[test]
fn a_terminated_loop_goes_on_and_an_interrupted_one_is_cancelled() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let running = start(&project, "counts-and-hangs");
    until_the_agent_works(&project);
    let ran = running.terminate();
    ran.exits(105).complains("regreen loops resume");
    let ran = project.regreen(["loops", "resume", "--json"]).run();
    let passed = report(&ran);
    assert_eq!(passed["stop_reason"], "passed", "{ran}");
    assert_eq!(starts(directory(&passed)), [1]);

    let project = adder();
    let running = start(&project, "counts-and-hangs");
    until_the_agent_works(&project);
    let ran = running.interrupt();
    ran.exits(118);
    assert_eq!(report(&ran)["stop_reason"], "cancelled");
    for slot in slots(&project) {
        let left = std::fs::read_dir(slot.join("tree")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{} was given back full", slot.display());
    }
}

#[test]
fn another_process_can_stop_a_loop_and_a_dead_one_too() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let running = start(&project, "counts-and-hangs");
    until_the_agent_works(&project);
    let busy = project.regreen(["loops", "resume"]).run();
    busy.exits(1).complains("is being driven by process");
    let stopped = project.regreen(["loops", "stop", "--json"]).run();
    assert_eq!(report(&stopped)["stop_reason"], "cancelled", "{stopped}");
    running.end().exits(118);

    let project = adder();
    let running = start(&project, "counts-and-hangs");
    until_the_agent_works(&project);
    let status = || project.regreen(["status"]).run();
    status().exits(0).says("turn, iteration 1");
    running.kill_9();
    // No daemon has ever watched it, and the loop is shown.
    status().exits(0).says("interrupted, iteration 1");
    let shown = project.regreen(["loops", "show"]).run();
    shown.exits(0).says(": interrupted\n");
    let stopped = project.regreen(["loops", "stop", "--json"]).run();
    assert_eq!(report(&stopped)["stop_reason"], "cancelled", "{stopped}");
    assert!(!status().stdout().contains("loop l"), "{}", status());
    // It is over, and that is said.
    let again = project.regreen(["loops", "stop"]).run();
    again.exits(0).says("had ended already: cancelled");
}

/// The project's only loop in the status, once it is in this state.
#[track_caller]
fn until_the_status_says(project: &Project, state: &str) -> Value {
    let status = project.status_until(&format!("the loop is {state}"), |status| {
        status["loops"][0]["state"] == state
    });
    status["loops"][0].clone()
}

/// A daemon that watches the project.
fn watching(project: &Project) -> Started {
    let daemon = project.regreen(["daemon"]).start();
    until("the daemon listens", LONG, || {
        let ran = project.regreen(["add"]).run();
        (ran.code() == Some(0)).then_some(())
    });
    daemon
}

#[test]
fn a_daemon_shows_a_killed_loop_as_interrupted_and_starts_no_agent() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let daemon = watching(&project);
    let running = start(&project, "counts-and-hangs");
    until_the_agent_works(&project);
    let shown = until_the_status_says(&project, "turn");
    assert_eq!(shown["iteration"], 1, "{shown}");
    running.kill_9();
    let shown = until_the_status_says(&project, "interrupted");
    assert_eq!(shown["stop"], Value::Null, "{shown}");
    let resume = format!("regreen loops resume {}", shown["id"].as_str().unwrap());
    project.regreen(["status"]).run().exits(0).says(&resume);

    // Neither does one that finds it at its start.
    daemon.kill_9();
    project.regreen(["status"]).run().says(&resume);
    let daemon = project.regreen(["daemon"]).start();
    let pid = daemon.pid();
    project.status_until("the new daemon is idle", |status| {
        status["daemon"]["pid"] == pid && status["activity"] == "idle" && status["stale"] == false
    });
    until_the_status_says(&project, "interrupted");
    let listed = project.regreen(["loops", "list"]).run();
    listed.says("interrupted");
    let shown = project.regreen(["loops", "show", "--json"]).run().json();
    assert_eq!(shown["state"], "interrupted", "{shown:#}");
    assert!(
        shown["detail"].as_str().unwrap().contains(&resume),
        "{shown:#}"
    );
    assert_eq!(starts(directory(&shown)), [1]);

    let ran = project.regreen(["loops", "resume", "--json"]).run();
    let report = report(&ran);
    assert_eq!(report["stop_reason"], "passed", "{ran}");
    // At once, though the daemon is another process.
    let status = project.regreen(["status"]).run();
    assert!(!status.stdout().contains("loop l"), "{status}");
    assert_eq!(starts(directory(&report)), [1]);
    until_the_status_says(&project, "stopped");
    daemon.terminate().exits(0);
}

/// What a dead daemon left in the file is no word about a loop: its record is.
#[test]
fn the_record_of_a_loop_wins_over_the_file_of_a_dead_daemon() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let daemon = watching(&project);
    let running = start(&project, "counts-and-hangs");
    until_the_agent_works(&project);
    until_the_status_says(&project, "turn");
    daemon.kill_9();
    running.kill_9();
    let left = project.status().expect("it is there");
    assert_eq!(left["loops"][0]["state"], "turn", "{left:#}");
    let status = || project.regreen(["status", "--json"]).run().json();
    let told = status();
    assert_eq!(told["loops"][0]["state"], "interrupted", "{told:#}");
    assert_eq!(told["loops"][0]["id"], left["loops"][0]["id"]);
    project.regreen(["loops", "stop"]).run().exits(0);
    let told = status();
    assert_eq!(told["loops"], serde_json::json!([]), "{told:#}");
}

#[test]
fn a_clean_end_of_the_daemon_says_what_became_of_the_loop() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let daemon = watching(&project);
    let running = start(&project, "counts-and-hangs");
    until_the_agent_works(&project);
    until_the_status_says(&project, "turn");
    running.terminate().exits(105);
    daemon.terminate().exits(0);
    let status = project.status().expect("it is written");
    assert_eq!(status["daemon"], Value::Null, "{status:#}");
    assert_eq!(status["loops"][0]["state"], "interrupted", "{status:#}");
}

#[test]
fn a_resumed_loop_is_cancelled_by_ctrl_c_too() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let text = "echo \"begun $REGREEN_ITERATION\"; sleep 100";
    let running = project
        .regreen(["fix", "--json", "--agent-command", text])
        .start();
    until_the_agent_works(&project);
    running.kill_9();
    let resumed = project.regreen(["loops", "resume", "--json"]).start();
    until("the agent works again", LONG, || {
        let log = loop_dir(&project)?.join("turns/2/agent.log");
        let text = std::fs::read_to_string(log).ok()?;
        text.contains("begun 2").then_some(())
    });
    // As `timeout` does it: the process, and then its whole group.
    resumed.signal(rustix::process::Signal::INT);
    let ran = resumed.interrupt();
    ran.exits(118);
    assert_eq!(report(&ran)["stop_reason"], "cancelled", "{ran}");
}

#[test]
fn a_stopped_loop_can_be_given_more_to_spend() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let text = agent("counts");
    let args = [
        "fix",
        "--json",
        "--max-iterations",
        "1",
        "--agent-command",
        &text,
    ];
    let ran = project.regreen(args).run();
    assert_eq!(report(&ran)["stop_reason"], "out_of_iterations", "{ran}");
    let ran = project.regreen(["loops", "resume", "--json"]).run();
    let again = report(&ran);
    assert_eq!(again["budget"]["iterations"], 2, "{again:#}");
    // The second turn starts from the best commit, the base: it counts from one again.
    assert_eq!(again["spend"]["iterations"], 2, "{again:#}");
}

#[test]
fn a_gc_in_mid_loop_loses_nothing() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    // Two iterations with commits, and the user's gc in the middle of the second turn; the
    // branch that it started from is gone by then.
    let text = "echo \"$REGREEN_ITERATION\" > step.txt\n\
                if [ \"$REGREEN_ITERATION\" = 2 ]; then echo begun; \
                while [ ! -e go ]; do sleep 0.05; done; rm go; \
                sed -i 's/left - right/left + right/' src/lib.rs; fi";
    project.git(["checkout", "-q", "-b", "work"]);
    project.commit("on a branch of its own");
    let running = project
        .regreen(["fix", "--json", "--agent-command", text])
        .start();
    until("the second turn", LONG, || {
        let log = loop_dir(&project)?.join("turns/2/agent.log");
        let text = std::fs::read_to_string(log).ok()?;
        text.contains("begun").then_some(())
    });
    project.git(["checkout", "-q", "main"]);
    project.git(["branch", "-q", "-D", "work"]);
    project.git([
        "reflog",
        "expire",
        "--expire=now",
        "--expire-unreachable=now",
        "--all",
    ]);
    project.git(["gc", "-q", "--prune=now", "--aggressive"]);
    let tree = slots(&project)
        .into_iter()
        .map(|slot| slot.join("tree"))
        .find(|tree| tree.join("step.txt").exists())
        .expect("the agent's workspace");
    std::fs::write(tree.join("go"), "").expect("it is ours");
    let ran = running.end();
    let report = report(&ran);
    assert_eq!(report["stop_reason"], "passed", "{ran}");
    project.git(["fsck", "--full", "--strict"]);
    let branch = report["loop_branch"].as_str().expect("a branch");
    let count = project.git(["rev-list", "--count", &format!("main..{branch}")]);
    assert_eq!(count, "3", "the base and both iterations");
}
