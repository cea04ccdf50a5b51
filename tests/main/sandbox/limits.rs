//! Limits that hold for a sandbox as a whole: what it writes, which processors it keeps busy, and
//! the memory that its control group allows.

use crate::sandbox::lab::Lab;
use crate::sandbox::lab::Seen;
use crate::sandbox::lab::follow;
use crate::support::require;
use regreen::model::Enforcement;
use regreen::model::Limits;
use regreen::sandbox::Backend;
use regreen::sandbox::bwrap::Bwrap;
use regreen::sandbox::bwrap::Options;
use regreen::sandbox::cgroup::Delegated;
use std::sync::Arc;

async fn limited(lab: &Lab, script: &str, change: impl FnOnce(&mut Limits)) -> Seen {
    let mut spec = lab.spec(["sh", "-c", script]);
    change(&mut spec.limits);
    lab.run(spec).await
}

fn small(limits: &mut Limits) {
    limits.disk_bytes = Some(24 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_writes_too_much_is_ended() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let zeros = |to: &str| format!("head -c 16M /dev/zero {to}");
    let everywhere = format!(
        "echo on; {}; {}; {}; sleep 60",
        zeros("> here"),
        zeros("> $HOME/there"),
        zeros("> /tmp/everywhere")
    );
    // What has no name any more takes its space all the same.
    let unnamed = format!(
        "echo on; exec 3>f; rm f; {}; {}; sleep 60",
        zeros(">&3"),
        zeros(">&3")
    );
    // Where no path reaches.
    let deep = format!(
        "echo on; name=$(printf 'd%.0s' $(seq 200)); n=0
         while [ $n -lt 30 ]; do mkdir $name && cd $name; n=$((n+1)); done
         {}; {}; sleep 60",
        zeros("> a"),
        zeros("> b")
    );
    for script in [everywhere, unnamed, deep] {
        let seen = limited(&lab, &script, small).await;
        assert_eq!(seen.ended.limit.as_deref(), Some("disk"), "{seen:?}");
        assert!(!seen.ended.exit.timed_out && !seen.ended.stopped);
        assert_eq!(seen.stdout, "on\n", "what it said is kept");
        let said = seen.ended.said.expect("it says how much");
        assert!(said.contains("where 24.0 MiB are allowed"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_writing_is_not_ended() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    std::fs::write(lab.tree().join("old"), vec![1; 30 << 20]).expect("ours");
    // In place, linked anew, and removed again: none of it is growth.
    let script = "head -c 30M /dev/zero | dd of=old conv=notrunc bs=1M 2>/dev/null; ln old again
                  for n in 1 2 3 4; do head -c 16M /dev/zero > new; rm new; done
                  sleep 0.5; echo done";
    let seen = limited(&lab, script, small).await;
    assert_eq!((seen.stdout.as_str(), seen.ended.limit), ("done\n", None));
    // Neither is what somebody else writes meanwhile.
    let mut spec = lab.spec(["sh", "-c", "echo on; sleep 1; echo done"]);
    small(&mut spec.limits);
    let mut running = lab.backend().start(spec).await.expect("it starts");
    running.output.recv().await.expect("it says `on`");
    std::fs::write(lab.top().join("others"), vec![1; 64 << 20]).expect("ours");
    let seen = follow(running).await;
    assert_eq!((seen.stdout.as_str(), seen.ended.limit), ("done\n", None));
}

/// Processors are counted as tests count them, and a test cannot take back those it was not
/// given. In a sandbox without the limit both attempts work, where there is more than one.
#[tokio::test]
async fn processors_are_held_to_their_number() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let script = format!("nproc; taskset -c 0-{} nproc 2>&1 || echo refused", all - 1);
    let seen = limited(&lab, &script, |_| ()).await;
    assert_eq!(seen.stdout, format!("{all}\n{all}\n"), "{seen:?}");
    let seen = limited(&lab, &script, |limits| limits.cpu_millis = Some(1500)).await;
    let lines: Vec<&str> = seen.stdout.lines().collect();
    assert_eq!(lines[0], "1", "{seen:?}");
    if all > 1 {
        assert_eq!(lines.last(), Some(&"refused"), "{seen:?}");
        assert!(seen.stdout.contains("Operation not permitted"), "{seen:?}");
    }
    let held = |millis: u64| {
        let mut spec = lab.spec(["true"]);
        spec.limits.cpu_millis = Some(millis);
        lab.backend().isolation(&spec).limits["cpu"]
    };
    // A part of a processor needs a control group's clock.
    assert_eq!(held(1500), Enforcement::Enforced);
    assert_eq!(held(500), Enforcement::None);
}

/// The control group's files are imitated, because no test machine has one with the controller
/// `memory` (docs/not-tested.md): what is shown is how its word is taken.
#[tokio::test]
async fn an_end_by_the_groups_memory_is_named() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let dir = lab.top().join("groups");
    std::fs::create_dir(&dir).expect("ours");
    let delegated = Delegated::within(dir.clone(), false).expect("ours");
    let options = Options {
        cgroup: Some(Arc::new(delegated)),
        ..Options::default()
    };
    let backend = Bwrap::new(&lab.host, options);
    for (events, oom, limit) in [
        ("oom 1\noom_kill 1\n", true, Some("memory")),
        ("oom 0\noom_kill 1\n", true, None),
        ("oom 0\noom_kill 0\n", false, None),
    ] {
        let mut spec = lab.spec(["sh", "-c", "echo on; sleep 0.3; exit 101"]);
        spec.limits.memory_bytes = Some(64 << 20);
        let mut running = backend.start(spec).await.expect("it starts");
        running.output.recv().await.expect("it says `on`");
        let below = std::fs::read_dir(&dir).expect("ours").flatten();
        let group = below.map(|entry| entry.path()).find(|path| path.is_dir());
        let group = group.expect("one group a run");
        std::fs::write(group.join("memory.events"), events).expect("ours");
        let seen = follow(running).await;
        assert_eq!(seen.ended.exit.oom, oom, "{events}: {seen:?}");
        assert_eq!(seen.ended.limit.as_deref(), limit, "{events}: {seen:?}");
        // The kernel's own files would go with the directory.
        std::fs::remove_dir_all(group).expect("ours");
    }
}
