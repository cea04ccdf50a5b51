//! What the sandbox holds back: every test tries to get out.

use crate::sandbox::lab::Lab;
use crate::support::require;
use regreen::sandbox::attack::Trap;
use regreen::sandbox::attack::probe;
use regreen::sandbox::bwrap::Bwrap;
use regreen::sandbox::none::NoSandbox;
use std::path::Path;

#[tokio::test]
async fn a_command_runs_at_the_users_own_path() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    std::fs::write(lab.tree().join("a.txt"), "from the slot").expect("ours");
    let seen = lab.shell("pwd; cat a.txt; echo made >b.txt; exit 7").await;
    let expected = format!("{}\nfrom the slot", lab.root().display());
    assert_eq!(seen.stdout, expected, "{seen:?}");
    assert_eq!(seen.code(), Some(7));
    assert_eq!(seen.ended.not_started, None);
    let made = std::fs::read_to_string(lab.tree().join("b.txt")).expect("it went to the slot");
    assert_eq!(made, "made\n");
    assert!(
        !lab.root().join("b.txt").exists(),
        "the user's tree is untouched"
    );
    let markers = std::fs::read_dir(Bwrap::markers(&lab.host)).expect("it was made");
    assert_eq!(markers.count(), 0, "the marker is gone with the sandbox");
}

fn regreen() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_regreen"))
}

/// Every attempt of the attack is held. A variable of this very process carries the secret, as
/// a daemon's API keys would.
#[tokio::test]
async fn every_attempt_of_the_attack_is_held() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let trap = Trap::lay(&lab.top(), &lab.host.home).expect("the bait is laid out");
    let leak = leak_descriptors(&lab);
    let answers = trap
        .spring(&lab.backend(), regreen(), &lab.host.home)
        .await
        .expect("the probe runs to its end");
    drop(leak);
    let names: Vec<&str> = answers.iter().map(|answer| answer.name.as_str()).collect();
    assert_eq!(names, probe::names(), "every attempt was made");
    let broken: Vec<_> = answers.iter().filter(|answer| !answer.held).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    let outside = std::fs::read_dir(lab.top().join("outside")).expect("there");
    assert_eq!(outside.count(), 1, "only the socket lies outside");
}

/// Descriptors that are open in the daemon without close-on-exec.
fn leak_descriptors(lab: &Lab) -> Vec<std::fs::File> {
    let open = || {
        let file = std::fs::File::open(lab.host.home.join(".regreen-bait")).expect("the bait");
        rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).expect("ours");
        file
    };
    vec![open(), open()]
}

/// The probe can fail: without a sandbox nearly all of the attempts succeed.
#[tokio::test]
async fn without_a_sandbox_the_attack_succeeds() {
    let lab = Lab::new();
    let trap = Trap::lay(&lab.top(), &lab.host.home).expect("the bait is laid out");
    let none = NoSandbox::new(&lab.host);
    let answers = trap.spring(&none, regreen(), &lab.host.home).await;
    let answers = answers.expect("the probe runs to its end");
    // What an ordinary user may not do anywhere, and what this kernel may lack.
    let anyway = [
        "shadow",
        "write_usr",
        "write_etc",
        "write_root",
        "write_dev",
        "kernel_settings",
        "mount",
        "new_mount_api",
        "bpf",
        "perf",
        "userfaultfd",
        "open_by_handle",
        "x32_calls",
        "nested_namespaces",
        "clone_new_user",
        "vsock",
        "io_uring",
        "keyctl",
        "devices",
        "environment",
        "descriptors",
        "core_dumps",
        "shm_size",
        "ptrace",
    ];
    for answer in answers.iter().filter(|answer| answer.held) {
        assert!(anyway.contains(&answer.name.as_str()), "{answer:?}");
    }
    let reached = answers.iter().filter(|answer| !answer.held).count();
    assert!(reached >= 12, "only {reached} of {} reached", answers.len());
}
