//! What the sandbox holds back: every test tries to get out.

use crate::sandbox::lab::Lab;
use crate::sandbox::lab::follow;
use crate::support::require;
use crate::support::say;
use regreen::sandbox::Backend;
use regreen::sandbox::Mount;
use regreen::sandbox::SandboxError;
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

/// What ran in the slot before may have put links where mount points belong. bubblewrap would
/// follow them while it still sees the host.
#[tokio::test]
async fn links_planted_at_mount_points_lead_nowhere() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let victim = lab.top().join("victim");
    std::fs::create_dir(&victim).expect("ours");
    let shown = lab.top().join("shown");
    std::fs::create_dir(&shown).expect("ours");
    let plant = |place: &str| {
        let old = Path::new("/oldroot").join(victim.strip_prefix("/").expect("absolute"));
        let _ = std::fs::remove_file(lab.top().join(place));
        std::os::unix::fs::symlink(old, lab.top().join(place)).expect("ours");
    };
    let spec = |target: &Path| {
        let mut spec = lab.spec(["true"]);
        spec.mounts = vec![Mount {
            source: shown.clone(),
            target: target.join("made/here"),
            writable: false,
            optional: false,
        }];
        spec
    };
    // In the slot's home the link is regreen's to remove; in the project it is not.
    plant("slot/home/link");
    let seen = lab.run(spec(&lab.host.home.join("link"))).await;
    assert_eq!(seen.code(), Some(0), "{seen:?}");
    plant("slot/tree/link");
    let refused = lab.backend().start(spec(&lab.root().join("link"))).await;
    assert!(
        matches!(refused, Err(SandboxError::Mount { .. })),
        "{refused:?}"
    );
    let left = std::fs::read_dir(&victim).expect("there").count();
    assert_eq!(left, 0, "something was made in a directory of the host");
}

/// Projects in `/tmp`, in the home directory, and elsewhere: none hides what another needs.
#[tokio::test]
async fn projects_anywhere_see_home_tmp_and_themselves() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let home = lab.host.home.clone();
    std::fs::write(lab.tree().join("here"), "").expect("ours");
    let shown = lab.top().join("shown");
    std::fs::create_dir(&shown).expect("ours");
    std::fs::write(shown.join("tool"), "").expect("ours");
    for root in [
        "/tmp/regreen-x",
        "/tmp/a/b",
        "/srv/x",
        "/mnt/x y",
        "HOME/deep/er/x",
    ] {
        let root = root.replace("HOME", &home.display().to_string());
        let script = "test -e here && test -e ~/.cargo/bin/tool && touch /tmp/t ~/h && \
                      ! touch ~/.cargo/bin/new";
        let mut spec = lab.spec(["sh", "-c", script]);
        spec.place.root = root.clone().into();
        spec.cwd = root.clone().into();
        spec.mounts = vec![Mount {
            source: shown.clone(),
            target: home.join(".cargo/bin"),
            writable: false,
            optional: false,
        }];
        let seen = lab.run(spec).await;
        assert_eq!(seen.code(), Some(0), "`{root}`: {seen:?}");
    }
    assert!(lab.top().join("slot/home/h").exists());
    assert!(lab.top().join("slot/tmp/t").exists());
    for root in ["/", "/etc/x", "/usr/src/x"] {
        let mut spec = lab.spec(["true"]);
        spec.place.root = root.into();
        match lab.backend().start(spec).await {
            Err(SandboxError::Refused { path, .. }) => assert_eq!(path.to_str(), Some(root)),
            other => panic!("{other:?}"),
        }
    }
}

/// How long a sandbox takes, printed for whoever wants to know; the bound only catches a
/// sandbox that waits for something.
#[tokio::test]
async fn starting_takes_milliseconds() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    let backend = lab.backend();
    let mut times = Vec::new();
    for _ in 0..20 {
        let start = std::time::Instant::now();
        let running = backend.start(lab.spec(["true"])).await.expect("it starts");
        let started = start.elapsed();
        assert_eq!(follow(running).await.code(), Some(0));
        times.push((started, start.elapsed()));
    }
    times.sort();
    let (started, ended) = times[times.len() / 2];
    say(&format!(
        "sandbox: started in {started:?}, `true` ended in {ended:?} (median)"
    ));
    assert!(ended < std::time::Duration::from_secs(2), "{ended:?}");
}

/// bubblewrap's options are told apart by NUL, and a configuration may hold any character.
#[tokio::test]
async fn a_variable_cannot_smuggle_options_in() {
    let lab = Lab::new();
    let mut spec = lab.spec(["cat", "/host/etc/shadow"]);
    let value = "x\0--ro-bind\0/\0/host\0--setenv\0A\0B";
    spec.env.push(("SMUGGLED".into(), value.into()));
    match lab.backend().start(spec).await {
        Err(SandboxError::Start(error)) => {
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        }
        // Where there is no bubblewrap nothing is smuggled either.
        Err(SandboxError::Unavailable { .. }) => {}
        other => panic!("{other:?}"),
    }
    let mut spec = lab.spec(["true"]);
    spec.mounts = vec![Mount {
        source: "/".into(),
        target: "/srv/../host".into(),
        writable: false,
        optional: false,
    }];
    let refused = lab.backend().start(spec).await;
    assert!(
        matches!(refused, Err(SandboxError::Mount { .. })),
        "{refused:?}"
    );
}
