//! How sandboxes end: by themselves, by a limit, by a wish, with their daemon; and that nothing
//! of them is left.

use crate::sandbox::lab::Lab;
use crate::sandbox::lab::Seen;
use crate::sandbox::lab::follow;
use crate::support::command;
use crate::support::is_root;
use crate::support::require;
use crate::support::until;
use regreen::model::Enforcement;
use regreen::model::Limits;
use regreen::sandbox::Backend;
use regreen::sandbox::Priority;
use regreen::sandbox::SandboxError;
use regreen::sandbox::Spec;
use regreen::sandbox::bwrap::Bwrap;
use regreen::sandbox::bwrap::Options;
use regreen::sandbox::cgroup::Delegated;
use regreen::sandbox::marker;
use regreen::sandbox::none::NoSandbox;
use std::io::BufRead;
use std::io::BufReader;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

/// A daemon that escapes its session, named by its sleep.
fn stray(seconds: u32) -> String {
    format!("(setsid sh -c 'setsid sleep {seconds} >/dev/null 2>&1 &' &)")
}

/// A number of seconds that no other process on the machine sleeps for: the tests of several
/// worktrees may run at once.
fn seconds(test: u32) -> u32 {
    1_000_000 + std::process::id() * 10 + test
}

/// Processes outside that sleep for just that long.
fn sleepers(seconds: u32) -> Vec<i32> {
    let wanted = format!("sleep\0{seconds}\0");
    std::fs::read_dir("/proc")
        .expect("there is a /proc")
        .flatten()
        .filter(|entry| {
            std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == wanted.as_bytes())
        })
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

fn limited(lab: &Lab, script: &str, change: impl FnOnce(&mut Limits)) -> Spec {
    let mut spec = lab.spec(["sh", "-c", script]);
    change(&mut spec.limits);
    spec
}

#[tokio::test]
async fn nothing_is_left_after_a_normal_end() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let script = format!("{}; sleep 0.1; exit 3", stray(seconds(1)));
    let seen = lab.shell(&script).await;
    assert_eq!(seen.code(), Some(3), "{seen:?}");
    assert!(
        sleepers(seconds(1)).is_empty(),
        "when the end is told, nothing is left"
    );
}

#[tokio::test]
async fn the_wall_limit_ends_the_tree() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let script = format!("{}; echo on; sleep 60", stray(seconds(2)));
    let start = Instant::now();
    let seen = lab
        .run(limited(&lab, &script, |limits| limits.wall_ms = 700))
        .await;
    assert_eq!(seen.ended.limit.as_deref(), Some("wall"), "{seen:?}");
    assert!(seen.ended.exit.timed_out && !seen.ended.stopped);
    assert_eq!(seen.ended.not_started, None);
    assert_eq!(seen.stdout, "on\n");
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(sleepers(seconds(2)).is_empty());
}

#[tokio::test]
async fn silence_ends_it_and_a_heartbeat_keeps_it() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let quiet = |limits: &mut Limits| limits.silence_ms = 500;
    let seen = lab.run(limited(&lab, "echo a; sleep 60", quiet)).await;
    assert_eq!(seen.ended.limit.as_deref(), Some("silence"), "{seen:?}");
    assert!(seen.ended.exit.timed_out);
    let running = lab.backend().start(limited(&lab, "sleep 1.5", quiet)).await;
    let running = running.expect("it starts");
    let heartbeat = running.heartbeat.clone();
    let beating = tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_millis(100));
        loop {
            every.tick().await;
            heartbeat.beat();
        }
    });
    let seen = follow(running).await;
    beating.abort();
    assert_eq!(seen.code(), Some(0), "{seen:?}");
}

#[tokio::test]
async fn term_comes_first_and_kill_after_the_grace() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let polite = "trap 'echo bye; exit 9' TERM; echo on; while :; do sleep 0.05; done";
    let seen = stopped_when_on(&lab, polite).await;
    assert_eq!(seen.stdout, "on\nbye\n", "{seen:?}");
    assert_eq!(seen.code(), Some(9));
    assert!(seen.ended.stopped && !seen.ended.exit.timed_out);
    let stubborn = "trap '' TERM; echo on; while :; do sleep 0.05; done";
    let start = Instant::now();
    let seen = stopped_when_on(&lab, stubborn).await;
    assert!(
        seen.ended.stopped && seen.ended.not_started.is_none(),
        "{seen:?}"
    );
    let took = start.elapsed();
    assert!(took > Duration::from_secs(2), "the grace was {took:?}");
    assert!(took < Duration::from_secs(10), "it took {took:?}");
}

/// Starts a script and asks for its end once it has said something.
async fn stopped_when_on(lab: &Lab, script: &str) -> Seen {
    let running = lab.backend().start(lab.spec(["sh", "-c", script])).await;
    let mut running = running.expect("it starts");
    let first = running.output.recv().await.expect("it says `on`");
    running.stop.cancel();
    let mut seen = follow(running).await;
    seen.stdout
        .insert_str(0, &String::from_utf8_lossy(&first.bytes));
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_handle_kills() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let script = format!("{}; echo on; sleep 60", stray(seconds(4)));
    let running = lab.backend().start(lab.spec(["sh", "-c", &script])).await;
    let mut running = running.expect("it starts");
    running.output.recv().await.expect("it says `on`");
    until("the stray's start", Duration::from_secs(10), || {
        (sleepers(seconds(4)).len() == 1).then_some(())
    });
    drop(running);
    until("the sandbox's end", Duration::from_secs(10), || {
        sleepers(seconds(4)).is_empty().then_some(())
    });
}

#[tokio::test]
async fn endless_output_is_capped_and_ended() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let cap = |limits: &mut Limits| limits.output_bytes = 1 << 20;
    let seen = lab.run(limited(&lab, "yes", cap)).await;
    assert_eq!(seen.ended.limit.as_deref(), Some("output"));
    assert!(!seen.ended.exit.timed_out);
    assert!(seen.stdout.len() <= 1 << 20, "{} bytes", seen.stdout.len());
    assert!(seen.stderr.contains("left out"), "{}", seen.stderr);
    // No newline, not UTF-8, less than would be a flood: it ends by itself.
    let script = "head -c 4000000 /dev/zero | tr '\\0' '\\377'; exit 4";
    let seen = lab.run(limited(&lab, script, cap)).await;
    assert_eq!((seen.code(), seen.ended.limit), (Some(4), None));
}

#[tokio::test]
async fn reading_the_input_does_not_hang() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    assert_eq!(lab.shell("cat; echo end").await.stdout, "end\n");
    let mut spec = lab.spec(["cat"]);
    spec.stdin = Some(b"the brief".to_vec());
    assert_eq!(lab.run(spec).await.stdout, "the brief");
}

/// A program that never reads its input keeps nobody waiting, however much there is.
#[tokio::test]
async fn input_that_nobody_reads_does_not_hang() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    for script in ["exec 0<&-; echo end", "echo end", "sleep 0.1; echo end"] {
        let mut spec = lab.spec(["sh", "-c", script]);
        spec.stdin = Some(vec![b'x'; 4 << 20]);
        let seen = lab.run(spec).await;
        assert_eq!((seen.stdout.as_str(), seen.code()), ("end\n", Some(0)));
    }
}

/// Everybody on the machine can read command lines: what a suite's variables hold stands in
/// none of them.
#[tokio::test]
async fn variables_stand_in_no_command_line() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let secret = format!("regreen-variable-{}", seconds(8));
    let script = "echo on; test -n \"$SECRET\" && sleep 60";
    let mut spec = lab.spec(["sh", "-c", script]);
    spec.env.push(("SECRET".into(), secret.clone()));
    let mut running = lab.backend().start(spec).await.expect("it starts");
    running.output.recv().await.expect("it says `on`");
    let told = std::fs::read_dir("/proc")
        .expect("there is a /proc")
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| String::from_utf8_lossy(line).contains(&secret))
        .count();
    drop(running);
    assert_eq!(told, 0, "command lines that hold a variable's value");
}

#[tokio::test]
async fn a_fork_bomb_meets_its_limit() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let spec = limited(&lab, "", |limits| limits.processes = Some(40));
    let isolation = lab.backend().isolation(&spec);
    let held = isolation.limits["processes"];
    assert_eq!(
        held == Enforcement::None,
        is_root(),
        "reported as it is: {held:?}"
    );
    let bomb = "n=0; while [ $n -lt 200 ]; do sleep 5 & n=$((n+1)); done; echo all";
    let seen = lab
        .run(Spec {
            argv: vec!["sh".into(), "-c".into(), bomb.into()],
            ..spec
        })
        .await;
    assert_eq!(seen.stdout == "all\n", is_root(), "{seen:?}");
}

/// Threads count as processes: sixteen tests of 32 threads are an honest suite.
#[tokio::test]
async fn a_suite_of_many_threads_is_no_fork_bomb() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let many = "n=0; while [ $n -lt 600 ]; do sleep 5 & n=$((n+1)); done; echo all";
    let seen = lab.shell(many).await;
    assert_eq!(seen.stdout, "all\n", "{seen:?}");
}

#[tokio::test]
async fn killing_everybody_reaches_nobody_outside() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let mut outside = command("sleep").arg("3605").spawn().expect("it starts");
    let seen = lab.shell("kill -9 -1; echo on").await;
    let alive = outside.try_wait().expect("ours").is_none();
    outside.kill().expect("ours");
    outside.wait().expect("ours");
    assert!(alive, "a process outside was killed: {seen:?}");
}

#[tokio::test]
async fn a_giant_file_meets_its_limit() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let script = "head -c 3000000 /dev/zero >big; echo $?; wc -c <big";
    let seen = lab
        .run(limited(&lab, script, |limits| limits.file_bytes = 1 << 20))
        .await;
    assert!(seen.stdout.ends_with("1048576\n"), "{seen:?}");
}

#[tokio::test]
async fn a_glutton_meets_the_limit_on_memory() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    // Without a line's end, the last line is all of it: it has to be held.
    let script = "head -c 300M /dev/zero | tail -n 1 | wc -c; echo done";
    let small = |limits: &mut Limits| limits.memory_bytes = Some(64 << 20);
    let seen = lab.run(limited(&lab, script, small)).await;
    assert!(!seen.stdout.contains("314572800"), "{seen:?}");
    let seen = lab.shell(script).await;
    assert!(seen.stdout.contains("314572800"), "{seen:?}");
}

#[tokio::test]
async fn shared_memory_is_enough_for_a_browser_or_a_database() {
    if !require("bwrap") {
        return;
    }
    let script = "head -c 200M /dev/zero > /dev/shm/x && stat -c %s /dev/shm/x";
    let seen = Lab::new().shell(script).await;
    assert!(seen.stdout.contains("209715200"), "{seen:?}");
}

#[tokio::test]
async fn a_crash_is_told_by_its_signal() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let seen = lab.shell("kill -SEGV $$").await;
    assert_eq!(seen.ended.exit.signal, Some(libc::SIGSEGV), "{seen:?}");
    assert_eq!(seen.code(), None);
}

#[tokio::test]
async fn two_sandboxes_do_not_see_each_other() {
    if !require("bwrap") {
        return;
    }
    let (one, two) = (Lab::new(), Lab::new());
    let running = one
        .backend()
        .start(one.spec(["sh", "-c", "echo on; sleep 3606"]))
        .await;
    let mut running = running.expect("it starts");
    running.output.recv().await.expect("it says `on`");
    let secret = one.tree().join("secret");
    std::fs::write(&secret, "x").expect("ours");
    let script = format!(
        "cat {}; cat {}/secret; grep -l '36[0]6' /proc/*/cmdline",
        secret.display(),
        one.root().display()
    );
    let seen = two.shell(&script).await;
    assert_eq!(seen.stdout, "", "{seen:?}");
    assert_eq!(seen.stderr.matches("No such file").count(), 2, "{seen:?}");
    drop(running);
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let seen = lab.run(lab.spec(["no-such-program"])).await;
    let reason = seen.ended.not_started.expect("it did not start");
    assert!(reason.contains("no-such-program"), "{reason}");
    let mut elsewhere = lab.spec(["true"]);
    elsewhere.cwd = "/no/such/place".into();
    let reason = lab.run(elsewhere).await.ended.not_started;
    assert!(reason.expect("it did not start").contains("/no/such/place"));
    let mut missing = lab.spec(["true"]);
    missing.place.tmp = "/no/such/slot".into();
    match lab.backend().start(missing).await {
        Err(SandboxError::Mount { path, .. }) => assert_eq!(path.to_str(), Some("/no/such/slot")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_missing_bubblewrap_names_the_remedy() {
    let mut lab = Lab::new();
    lab.host
        .vars
        .insert("REGREEN_BWRAP".into(), "/no/such/bwrap".into());
    match lab.backend().start(lab.spec(["true"])).await {
        Err(SandboxError::Unavailable { reason, remedy }) => {
            assert!(reason.contains("not installed"), "{reason}");
            assert!(remedy.contains("install"), "{remedy}");
        }
        other => panic!("{other:?}"),
    }
}

/// A `bwrap` of the right version that the machine refuses, as Ubuntu's AppArmor does.
#[tokio::test]
async fn a_refused_bubblewrap_says_what_it_said() {
    use std::os::unix::fs::PermissionsExt;
    let mut lab = Lab::new();
    let fake = lab.top().join("bwrap");
    let script = "#!/bin/sh\n[ \"$1\" = --version ] && { echo bubblewrap 0.9.0; exit; }\n\
                  echo 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n";
    std::fs::write(&fake, script).expect("ours");
    std::fs::set_permissions(&fake, PermissionsExt::from_mode(0o755)).expect("ours");
    lab.host.vars.insert("REGREEN_BWRAP".into(), fake.into());
    match lab.backend().start(lab.spec(["true"])).await {
        Err(error @ SandboxError::Unavailable { .. }) => {
            let text = error.to_string();
            assert!(
                text.contains("setting up uid map: Permission denied"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn without_a_sandbox_strays_are_found_and_killed() {
    let lab = Lab::new();
    let backend = NoSandbox::new(&lab.host);
    let spec = lab.spec([
        "sh",
        "-c",
        &format!("{}; sleep 0.2; exit 5", stray(seconds(7))),
    ]);
    assert!(
        backend
            .isolation(&spec)
            .limits
            .values()
            .all(|held| *held == Enforcement::None)
    );
    let seen = follow(backend.start(spec).await.expect("it starts")).await;
    assert_eq!(seen.code(), Some(5), "{seen:?}");
    assert!(sleepers(seconds(7)).is_empty());
}

/// The daemon of the next tests: a copy of this test binary that starts a sandbox with a stray
/// in it and then waits to be killed.
#[test]
fn role_of_a_daemon() {
    let Ok(asked) = std::env::var("REGREEN_TEST_DAEMON") else {
        return;
    };
    let (backend, number) = asked.split_once(' ').expect("two words");
    let number = number.parse().expect("a number");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let lab = Lab::new();
    println!("markers {}", Bwrap::markers(&lab.host).display());
    let spec = lab.spec(["sh", "-c", &format!("{}; echo on; sleep 60", stray(number))]);
    let backend: Box<dyn Backend> = match backend {
        "bwrap" => Box::new(lab.backend()),
        _ => Box::new(NoSandbox::new(&lab.host)),
    };
    // Asked for by a thread that ends at once: the sandbox must live on.
    let handle = runtime.handle().clone();
    let asking = std::thread::spawn(move || handle.block_on(backend.start(spec)));
    let mut running = asking.join().expect("it asked").expect("it starts");
    runtime.block_on(async {
        running.output.recv().await.expect("it says `on`");
        println!("started");
        let ended = running.exit.await;
        println!("ended {ended:?}");
    });
}

struct Daemon {
    process: std::process::Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    markers: std::path::PathBuf,
}

/// A daemon whose sandbox runs.
fn daemon(backend: &str, number: u32) -> Daemon {
    let mut daemon = starting(backend, number);
    let mut lines = daemon.lines.by_ref().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("started")));
    daemon
}

/// A daemon that is about to start its sandbox.
fn starting(backend: &str, number: u32) -> Daemon {
    let own = std::env::current_exe().expect("this binary");
    let mut process = command(own)
        .args([
            "--exact",
            "sandbox::ending::role_of_a_daemon",
            "--nocapture",
        ])
        .env("REGREEN_TEST_DAEMON", format!("{backend} {number}"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
    let markers = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("markers ")?.1.into()));
    Daemon {
        process,
        lines,
        markers: markers.expect("it says where"),
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // A killed daemon cannot remove its laboratory: `<lab>/state/regreen/sandboxes`.
        if let Some(lab) = self.markers.ancestors().nth(3) {
            let _ = std::fs::remove_dir_all(lab);
        }
    }
}

impl Daemon {
    fn kill(&mut self) {
        self.process.kill().expect("ours");
        self.process.wait().expect("ours");
    }
}

#[test]
fn nothing_survives_the_daemon() {
    if !require("bwrap") {
        return;
    }
    let running = |number| {
        until("the stray's start", Duration::from_secs(10), || {
            (sleepers(number).len() == 1).then_some(())
        });
    };
    let gone = |number| {
        until("the end of everything", Duration::from_secs(10), || {
            sleepers(number).is_empty().then_some(())
        });
    };
    let mut sandboxed = daemon("bwrap", seconds(8));
    running(seconds(8));
    sandboxed.kill();
    gone(seconds(8));
    // Without a sandbox the stray survives, and the next start finds it by its marker.
    let mut bare = daemon("none", seconds(9));
    running(seconds(9));
    bare.kill();
    let mut said = bare.lines.by_ref().map(|line| line.unwrap_or_default());
    assert!(
        !said.any(|line| line.contains("ended")),
        "it outlives who asked for it"
    );
    assert_eq!(sleepers(seconds(9)).len(), 1, "a stray is left to be swept");
    let swept = marker::sweep(&bare.markers);
    assert!(!swept.killed.is_empty(), "{swept:?}");
    gone(seconds(9));
    assert_eq!(marker::sweep(&bare.markers), marker::Swept::default());
}

/// Processes that have a number in their arguments, bubblewrap's own among them.
fn naming(number: u32) -> Vec<String> {
    let number = number.to_string();
    std::fs::read_dir("/proc")
        .expect("there is a /proc")
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .filter(|line| line.contains(&number) && !line.contains("role_of_a_daemon"))
        .collect()
}

/// A daemon that dies while bubblewrap is still setting the sandbox up can leave a part of it
/// behind: bubblewrap asks to die with its parent only late. The marker, which is there first,
/// lets the next start find it.
#[test]
fn a_death_in_the_middle_of_a_start_leaves_nothing_that_a_sweep_does_not_find() {
    if !require("bwrap") {
        return;
    }
    let number = seconds(7);
    let mut swept = 0;
    for round in 0..12_u64 {
        let mut dying = starting("bwrap", number);
        std::thread::park_timeout(Duration::from_micros(1500 * round));
        dying.kill();
        swept += marker::sweep(&dying.markers).killed.len();
        until("the end of everything", Duration::from_secs(10), || {
            naming(number).is_empty().then_some(())
        });
    }
    crate::support::say(&format!(
        "sandbox: 12 deaths during a start, {swept} processes swept"
    ));
}

/// A real control group of version 2, where this user may make one. A control group that is
/// delegated with controllers needs a systemd; see docs/not-tested.md.
#[tokio::test]
async fn a_control_group_ends_with_its_run() {
    let mount = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
        .map(std::path::Path::new)
        .into_iter()
        .find(|dir| dir.join("cgroup.procs").exists());
    let dir = mount.map(|mount| mount.join(format!("regreen-test-{}", std::process::id())));
    let Some(dir) = dir.filter(|dir| std::fs::create_dir(dir).is_ok()) else {
        crate::support::say("SKIPPED: no control group can be made here");
        return;
    };
    if require("bwrap") {
        let delegated = Delegated::within(dir.clone(), false).expect("it is ours");
        let options = Options {
            cgroup: Some(Arc::new(delegated)),
            ..Options::default()
        };
        let lab = Lab::new();
        let backend = Bwrap::new(&lab.host, options);
        // Killed with the sandbox, and in the group's account all the same.
        let busy = "(n=0; while :; do n=$((n+1)); done) &";
        let script = format!("{}; {busy} echo on; sleep 1", stray(seconds(6)));
        let running = backend.start(lab.spec(["sh", "-c", &script])).await;
        let running = running.expect("it starts");
        let group = std::fs::read_dir(&dir).expect("ours").flatten();
        let groups: Vec<_> = group.filter(|entry| entry.path().is_dir()).collect();
        assert_eq!(groups.len(), 1, "one group a run");
        let members = std::fs::read_to_string(groups[0].path().join("cgroup.procs"));
        assert!(
            !members.expect("readable").is_empty(),
            "the sandbox is in it"
        );
        let seen = follow(running).await;
        assert_eq!(seen.ended.not_started, None, "{seen:?}");
        let used = seen.ended.used.expect("the group's account");
        assert!(used.cpu_user_ms > Some(10), "{used:?}");
        assert!(!groups[0].path().exists(), "the group is gone with the run");
    }
    std::fs::remove_dir(&dir).expect("nothing is left in it");
}

#[tokio::test]
async fn only_what_nobody_waits_for_stands_back() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    for (priority, nice) in [(Priority::Low, "10"), (Priority::Normal, "0")] {
        // Field 19 of stat is the niceness. The group's is set after the start: an ordinary user
        // may do so only a few times a second.
        let script = format!(
            "for i in $(seq 100); do grep -qs 'nice {nice}$' /proc/self/autogroup && break; sleep 0.1; done
            cut -d' ' -f19 /proc/self/stat; cat /proc/self/autogroup 2>/dev/null"
        );
        let spec = Spec {
            priority,
            ..lab.spec(["sh", "-c", &script])
        };
        let seen = lab.run(spec).await;
        let mut lines = seen.stdout.lines();
        assert_eq!(lines.next(), Some(nice), "{priority:?}: {}", seen.stdout);
        if let Some(group) = lines.next() {
            let wanted = format!("nice {nice}");
            assert!(group.ends_with(&wanted), "{priority:?}: {group}");
        }
    }
}
