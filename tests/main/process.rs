//! Children on this machine: what they inherit, how they end, and whose death they share.

use crate::support::command;
use crate::support::until;
use regreen::process::Command;
use regreen::process::Input;
use regreen::process::Rlimits;
use regreen::process::Spawner;
use regreen::process::Status;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

async fn output(command: Command) -> (Status, String) {
    let child = Spawner::global().spawn(command).await.expect("it starts");
    let collected = child.collect(1 << 20).await.expect("it ends");
    let text = [collected.stdout, collected.stderr].concat();
    (
        collected.status,
        String::from_utf8_lossy(&text).into_owned(),
    )
}

fn shell(script: &str) -> Command {
    Command::new("/bin/sh").args(["-c", script])
}

#[tokio::test]
async fn nothing_is_inherited() {
    let open = std::fs::File::open("/etc/passwd").expect("readable");
    rustix::io::fcntl_setfd(&open, rustix::io::FdFlags::empty()).expect("ours");
    let script = "ls /proc/self/fd; /usr/bin/env; pwd; cat; ulimit -c";
    let command = Command {
        rlimits: Rlimits {
            core: Some(0),
            ..Rlimits::default()
        },
        ..shell(script).env("ONLY", "this")
    };
    let (status, text) = output(command).await;
    assert_eq!(status, Status::Exited(0), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    // 3 is the directory that `ls` lists.
    assert_eq!(lines[..4], ["0", "1", "2", "3"], "{text}");
    assert!(
        text.contains("ONLY=this") && !text.contains("HOME="),
        "{text}"
    );
    assert!(text.ends_with("/\n0\n"), "{text}");
}

#[tokio::test]
async fn chosen_descriptors_and_input_arrive() {
    use std::os::fd::AsRawFd;
    let mut file = tempfile::tempfile().expect("a temporary file");
    std::io::Write::write_all(&mut file, b"kept").expect("ours");
    std::io::Seek::rewind(&mut file).expect("ours");
    let script = format!("cat; cat /proc/self/fd/{}", file.as_raw_fd());
    let command = Command {
        keep: vec![file.into()],
        ..shell(&script).input(Input::Bytes(b"input ".to_vec()))
    };
    assert_eq!(output(command).await.1, "input kept");
}

#[tokio::test]
async fn a_child_has_its_own_session_and_low_priority() {
    let script = "cat /proc/self/stat; cat /proc/self/autogroup 2>/dev/null; true";
    let command = Command {
        background: true,
        ..shell(script)
    };
    let child = Spawner::global().spawn(command).await.expect("it starts");
    let pid = child.pid().as_raw_nonzero().to_string();
    let text = child.collect(1 << 20).await.expect("it ends").stdout;
    let text = String::from_utf8_lossy(&text).into_owned();
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    assert_eq!(
        (fields[4], fields[5]),
        (&*pid, &*pid),
        "group and session: {text}"
    );
    assert_eq!(fields[18], "10", "niceness: {text}");
    if let Some(group) = text.lines().find(|line| line.starts_with("/autogroup")) {
        assert!(group.ends_with("nice 10"), "{group}");
    }
}

#[tokio::test]
async fn a_missing_program_is_an_error_and_a_signal_a_status() {
    let missing = Spawner::global()
        .spawn(Command::new("/no/such/program"))
        .await;
    assert_eq!(
        missing.expect_err("it cannot start").kind(),
        std::io::ErrorKind::NotFound
    );
    let (status, _) = output(shell("kill -9 $$")).await;
    assert_eq!(status, Status::Signaled(9));
}

#[tokio::test]
async fn a_dropped_child_is_killed_and_reaped() {
    let child = Spawner::global()
        .spawn(Command::new("/bin/sleep").args(["600"]))
        .await
        .expect("it starts");
    let pid = child.pid();
    drop(child);
    until("its end", Duration::from_secs(10), || {
        rustix::process::test_kill_process(pid)
            .is_err()
            .then_some(())
    });
}

#[tokio::test]
async fn many_children_at_once_end_each_for_itself() {
    let mut all = tokio::task::JoinSet::new();
    for number in 0..60 {
        all.spawn(async move {
            let (status, text) = output(shell(&format!("echo {number}; exit {number}"))).await;
            assert_eq!(
                (status, text),
                (Status::Exited(number), format!("{number}\n"))
            );
        });
    }
    while let Some(done) = all.join_next().await {
        done.expect("each is right");
    }
}

/// The parent of the next test: asks for a child in a thread that ends, then waits.
#[test]
fn role_of_a_parent() {
    if std::env::var_os("REGREEN_TEST_PARENT").is_none() {
        return;
    }
    let asking = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let child =
            runtime.block_on(Spawner::global().spawn(Command::new("/bin/sleep").args(["600"])));
        let child = child.expect("it starts");
        let pid = child.pid();
        // Forgotten on purpose: only the thread that asked ends here.
        std::mem::forget(child);
        pid
    });
    println!(
        "child {}",
        asking.join().expect("it asked").as_raw_nonzero()
    );
    let _ = std::io::stdin().read(&mut [0]);
}

/// PR_SET_PDEATHSIG follows the thread that forked, not the process.
#[test]
fn a_child_survives_the_thread_that_asked_and_dies_with_the_process() {
    let own = std::env::current_exe().expect("this binary");
    let mut parent = command(own)
        .args(["--exact", "process::role_of_a_parent", "--nocapture"])
        .env("REGREEN_TEST_PARENT", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let lines = BufReader::new(parent.stdout.take().expect("piped")).lines();
    let pid = lines
        .map_while(Result::ok)
        .find_map(|line| line.split_once("child ")?.1.trim().parse::<i32>().ok());
    let pid = rustix::process::Pid::from_raw(pid.expect("it names its child")).expect("a pid");
    let state = || {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        text.ok().filter(|text| !text.contains(") Z "))
    };
    // The thread is gone by now: had the child shared its death, it would be dead or dying. A
    // second child's whole life gives that time to show.
    let _ = command("true").status();
    assert!(
        state().is_some(),
        "the child died with the thread that asked"
    );
    parent.kill().expect("ours");
    parent.wait().expect("ours");
    until("the child's end", Duration::from_secs(10), || {
        state().is_none().then_some(())
    });
}

/// The main program of the next test: adopts orphans, and has a child that makes one.
#[test]
fn role_of_a_main() {
    if std::env::var_os("REGREEN_TEST_MAIN").is_none() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        regreen::process::adopt_orphans().expect("the role is given");
        for _ in 0..20 {
            // The grandchild outlives its parent by a moment, and ends as an orphan.
            let (status, _) = output(shell("(setsid sleep 0.2 >/dev/null 2>&1 &) ; exit 3")).await;
            assert_eq!(
                status,
                Status::Exited(3),
                "known children are left to their waiters"
            );
        }
    });
    println!("ready");
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn orphans_are_adopted_and_reaped() {
    let own = std::env::current_exe().expect("this binary");
    let mut main = command(own)
        .args(["--exact", "process::role_of_a_main", "--nocapture"])
        .env("REGREEN_TEST_MAIN", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(main.stdout.take().expect("piped")).lines();
    let ready = lines.any(|line| line.is_ok_and(|line| line.contains("ready")));
    assert!(ready, "its assertions held");
    let children = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", main.id())).expect("it lives");
        tasks
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
            .map(|line| line.split_ascii_whitespace().count())
            .sum::<usize>()
    };
    until("the last orphan's end", Duration::from_secs(10), || {
        (children() == 0).then_some(())
    });
    main.kill().expect("ours");
    main.wait().expect("ours");
}
