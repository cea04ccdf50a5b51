//! What only a container engine can get wrong: warm containers, engines that are down or die,
//! containers that somebody removes, and what a dead regreen leaves.

use crate::sandbox::lab::Lab;
use crate::sandbox::lab::Seen;
use crate::sandbox::lab::follow;
use crate::support::Home;
use crate::support::TestEngine;
use crate::support::command;
use crate::support::full_tier;
use crate::support::is_root;
use crate::support::say;
use crate::support::until;
use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptions;
use bollard::query_parameters::RemoveContainerOptions;
use regreen::model::DoctorReport;
use regreen::model::Health;
use regreen::sandbox::Backend;
use regreen::sandbox::SandboxError;
use regreen::sandbox::Spec;
use regreen::sandbox::attack::Trap;
use regreen::sandbox::attack::probe;
use regreen::sandbox::engine::Engine;
use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

const BOUND: Duration = Duration::from_secs(20);

/// The engines of this machine, whichever there are.
fn engines() -> Vec<&'static TestEngine> {
    let all = [TestEngine::docker(), TestEngine::podman()];
    all.into_iter().flatten().collect()
}

fn client(engine: &TestEngine) -> Docker {
    let socket = engine.socket();
    let socket = socket.to_str().expect("plain");
    Docker::connect_with_unix(
        socket,
        30,
        &bollard::ClientVersion {
            major_version: 1,
            minor_version: 41,
        },
    )
    .expect("it listens")
}

/// The containers whose slot lies in the lab.
async fn containers(engine: &TestEngine, top: &Path) -> Vec<ContainerSummary> {
    let options = ListContainersOptions {
        all: true,
        ..ListContainersOptions::default()
    };
    let docker = client(engine);
    let mut tries = 0;
    // The client knows not all words that Podman has for one that is about to go.
    let mut all = loop {
        match docker.list_containers(Some(options.clone())).await {
            Ok(all) => break all,
            Err(error) => {
                tries += 1;
                assert!(tries < 100, "{error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    let top = top.to_str().expect("plain").to_owned();
    all.retain(|container| {
        let labels = container.labels.clone().unwrap_or_default();
        labels
            .get("regreen.slot")
            .is_some_and(|slot| slot.starts_with(&top))
    });
    all
}

async fn only_container(engine: &TestEngine, top: &Path) -> String {
    let all = containers(engine, top).await;
    assert_eq!(all.len(), 1, "one warm container a slot: {all:?}");
    all[0].id.clone().expect("it has an id")
}

async fn remove(engine: &TestEngine, id: &str) {
    let options = RemoveContainerOptions {
        force: true,
        ..RemoveContainerOptions::default()
    };
    let removed = client(engine).remove_container(id, Some(options)).await;
    removed.expect("the engine removes it");
}

async fn run(backend: &Engine, spec: Spec) -> Seen {
    let running = backend.start(spec).await;
    follow(running.unwrap_or_else(|error| panic!("{error:?}"))).await
}

fn reason(error: &SandboxError) -> (String, String) {
    match error {
        SandboxError::Unavailable { reason, remedy } => (reason.clone(), remedy.clone()),
        other => panic!("no remedy: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_stays_warm_and_changes_with_its_mounts() {
    for engine in engines() {
        let lab = Lab::new();
        let backend = lab.engine(engine);
        run(&backend, lab.spec(["true"])).await;
        let first = only_container(engine, &lab.top()).await;
        assert_eq!(
            run(&backend, lab.spec(["sh", "-c", "exit 3"])).await.code(),
            Some(3)
        );
        assert_eq!(only_container(engine, &lab.top()).await, first);
        let mut other = lab.spec(["true"]);
        other.limits.file_bytes = 1 << 30;
        run(&backend, other).await;
        let second = only_container_soon(engine, &lab.top()).await;
        assert_ne!(second, first, "another limit is another container");
        drop(backend);
        gone(engine, &lab.top()).await;
    }
}

/// The one that will not do is ended while the next one runs.
async fn only_container_soon(engine: &TestEngine, top: &Path) -> String {
    let end = Instant::now() + BOUND;
    loop {
        let all = containers(engine, top).await;
        if let [one] = all.as_slice() {
            return one.id.clone().expect("it has an id");
        }
        assert!(Instant::now() < end, "{all:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Containers end with whoever holds them.
async fn gone(engine: &TestEngine, top: &Path) {
    let end = Instant::now() + BOUND;
    while !containers(engine, top).await.is_empty() {
        assert!(Instant::now() < end, "a container outlived its backend");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_of_one_slot_do_not_end_each_other() {
    for engine in engines() {
        let lab = Lab::new();
        let backend = lab.engine(engine);
        let long = backend
            .start(lab.spec(["sh", "-c", "echo on; sleep 1; echo end"]))
            .await;
        let mut long = long.expect("it starts");
        long.output.recv().await.expect("it says `on`");
        assert_eq!(
            run(&backend, lab.spec(["echo", "short"])).await.stdout,
            "short\n"
        );
        let seen = follow(long).await;
        assert_eq!(
            (seen.stdout.as_str(), seen.code()),
            ("end\n", Some(0)),
            "{seen:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_somebody_removed_is_made_anew() {
    for engine in engines() {
        let lab = Lab::new();
        let backend = lab.engine(engine);
        run(&backend, lab.spec(["true"])).await;
        let id = only_container(engine, &lab.top()).await;
        remove(engine, &id).await;
        assert_eq!(
            run(&backend, lab.spec(["echo", "well"])).await.stdout,
            "well\n"
        );
        // In the middle of a run nobody can know how it would have ended.
        let running = backend
            .start(lab.spec(["sh", "-c", "echo on; sleep 60"]))
            .await;
        let mut running = running.expect("it starts");
        running.output.recv().await.expect("it says `on`");
        let id = only_container(engine, &lab.top()).await;
        remove(engine, &id).await;
        let start = Instant::now();
        let seen = follow(running).await;
        let why = seen.ended.not_started.clone().unwrap_or_default();
        assert!(
            why.contains("container") && why.contains("removed"),
            "{seen:?}"
        );
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(
            run(&backend, lab.spec(["echo", "again"])).await.stdout,
            "again\n"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_down_is_named_with_its_remedy() {
    let lab = Lab::new();
    let mut host = lab.host.clone();
    let socket = lab.top().join("nothing.sock");
    let address = format!("unix://{}", socket.display());
    host.vars.insert("DOCKER_HOST".into(), address.into());
    let error = Engine::new(&host).start(lab.spec(["true"])).await;
    let (why, remedy) = reason(&error.expect_err("there is none"));
    assert!(
        why.contains("nothing.sock") && why.contains("not there"),
        "{why}"
    );
    assert!(
        why.contains("$DOCKER_HOST") && remedy.contains("systemctl"),
        "{why} {remedy}"
    );
    // Somebody who listens and is no engine, and never says a word.
    let silent = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let answering = std::thread::spawn(move || {
        for _ in 0..2 {
            if let Ok((stream, _)) = silent.accept() {
                drop(stream);
            }
        }
    });
    let error = Engine::new(&host).start(lab.spec(["true"])).await;
    let (why, _) = reason(&error.expect_err("that is no engine"));
    assert!(why.contains("nothing.sock"), "{why}");
    answering.join().expect("it ends");
    host.vars
        .insert("DOCKER_HOST".into(), "tcp://127.0.0.1:1".into());
    let error = Engine::new(&host).start(lab.spec(["true"])).await;
    let (why, _) = reason(&error.expect_err("no unix socket"));
    assert!(
        why.contains("tcp://127.0.0.1:1") && why.contains("unix"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_there_is_named() {
    for engine in engines() {
        let lab = Lab::new();
        let mut spec = lab.spec(["true"]);
        spec.image = Some("no-such-image:7".into());
        let error = lab.engine(engine).start(spec).await;
        let (why, remedy) = reason(&error.expect_err("it is not there"));
        assert!(
            why.contains("no-such-image:7") && why.contains("sandbox.image"),
            "{why}"
        );
        assert!(remedy.contains("pull no-such-image:7"), "{remedy}");
    }
}

/// An image of the user's, made of a shell and what it needs, with a word that only it has.
async fn import(engine: &TestEngine, top: &Path, name: &str) {
    let root = top.join("image");
    std::fs::create_dir_all(root.join("opt")).expect("ours");
    std::fs::write(root.join("opt/word"), "of the image\n").expect("ours");
    let script = r#"
        for program in /bin/sh /bin/cat /usr/bin/id; do
          mkdir -p "$1$(dirname $program)"; cp -L $program "$1$program"
          ldd $program | grep -o '/[^ ]*' | while read -r library; do
            mkdir -p "$1$(dirname $library)"; cp -L "$library" "$1$library"
          done
        done
        mkdir -p "$1/proc" "$1/sys" "$1/dev" "$1/etc" "$1/tmp"
        tar -C "$1" -cf "$1.tar" .
    "#;
    let made = command("sh").args(["-c", script, "sh"]).arg(&root).status();
    assert!(made.expect("a shell runs").success());
    let archive = std::fs::read(top.join("image.tar")).expect("it was made");
    let options = bollard::query_parameters::CreateImageOptions {
        from_src: Some("-".into()),
        repo: Some(name.into()),
        tag: Some("latest".into()),
        changes: vec!["ENV OF=image".into()],
        ..Default::default()
    };
    let body = bollard::body_full(archive.into());
    let docker = client(engine);
    let mut answers = Box::pin(docker.create_image(Some(options), Some(body), None));
    while let Some(answer) = next(&mut answers).await {
        answer.expect("the image is imported");
    }
}

async fn next<S: futures_core::Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    std::future::poll_fn(|context| std::pin::Pin::new(&mut *stream).poll_next(context)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_brings_its_own_programs() {
    for engine in engines() {
        let lab = Lab::new();
        let name = format!("regreen-test-{}", std::process::id());
        import(engine, &lab.top(), &name).await;
        let mut spec = lab.spec([
            "sh",
            "-c",
            "cat /opt/word; echo $OF; ls; echo x > made; id -u",
        ]);
        spec.env.retain(|(name, _)| name != "PATH");
        spec.image = Some(name);
        let seen = run(&lab.engine(engine), spec).await;
        let uid = rustix::process::geteuid().as_raw();
        assert_eq!(
            seen.stdout,
            format!("of the image\nimage\n{uid}\n"),
            "{seen:?}"
        );
        assert!(seen.stderr.contains("ls"), "there is no ls in it: {seen:?}");
        assert!(lab.tree().join("made").exists());
    }
}

/// Only Docker: Podman's containers need no service.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_dies_is_an_error_and_comes_back() {
    if TestEngine::docker().is_none() {
        return;
    }
    let engine = TestEngine::new_docker();
    let lab = Lab::new();
    let backend = lab.engine(&engine);
    let running = backend
        .start(lab.spec(["sh", "-c", "echo on; sleep 60"]))
        .await;
    let mut running = running.expect("it starts");
    running.output.recv().await.expect("it says `on`");
    engine.kill_9();
    let start = Instant::now();
    let seen = follow(running).await;
    let why = seen.ended.not_started.clone().unwrap_or_default();
    assert!(why.contains("docker went away"), "{seen:?}");
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    let error = backend.start(lab.spec(["true"])).await;
    let (why, remedy) = reason(&error.expect_err("it is dead"));
    assert!(why.contains("engine.sock") && !remedy.is_empty(), "{why}");
    let again = engine.again();
    assert_eq!(
        run(&backend, lab.spec(["echo", "back"])).await.stdout,
        "back\n"
    );
    drop(again);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_a_dead_regreen_of_ours_left_is_reaped() {
    for engine in engines() {
        let lab = Lab::new();
        let living = lab.engine(engine);
        run(&living, lab.spec(["true"])).await;
        let mine = containers(engine, &lab.top()).await.remove(0);
        let labels = mine.labels.clone().expect("labels");
        let image = mine.image.clone().expect("an image");
        let with = |change: &dyn Fn(&mut HashMap<String, String>)| {
            let mut labels = labels.clone();
            change(&mut labels);
            labels
        };
        let dead = |labels: &mut HashMap<String, String>| {
            let owner = labels["regreen.owner"].replacen('-', "-9", 1);
            labels.insert("regreen.owner".into(), owner);
        };
        let left = make(engine, &image, with(&dead)).await;
        let stranger = with(&|labels| {
            dead(labels);
            labels.insert("regreen.domain".into(), "somebody else".into());
        });
        let stranger = make(engine, &image, stranger).await;
        let unlabelled = make(engine, &image, HashMap::new()).await;
        // A regreen that starts.
        lab.engine(engine)
            .check()
            .await
            .expect("the engine answers");
        let docker = client(engine);
        let is_there = async |id: &str| docker.inspect_container(id, None).await.is_ok();
        assert!(
            !is_there(&left).await,
            "what a dead regreen left is still there"
        );
        assert!(is_there(&stranger).await && is_there(&unlabelled).await);
        assert!(
            is_there(mine.id.as_deref().expect("an id")).await,
            "that one is in use"
        );
        for id in [stranger, unlabelled] {
            remove(engine, &id).await;
        }
    }
}

/// A container that is made and never started.
async fn make(engine: &TestEngine, image: &str, labels: HashMap<String, String>) -> String {
    let body = ContainerCreateBody {
        image: Some(image.into()),
        cmd: Some(vec!["true".into()]),
        labels: Some(labels),
        ..ContainerCreateBody::default()
    };
    let made = client(engine).create_container(None, body).await;
    made.expect("the engine makes it").id
}

/// Not a test: the daemon that the next one kills. It holds a container in which a process has
/// left its session twice.
#[test]
fn role_of_a_daemon_with_an_engine() {
    let Some(address) = std::env::var_os("REGREEN_TEST_ENGINE") else {
        return;
    };
    let number = std::env::var("REGREEN_TEST_NUMBER").expect("a number");
    let parent = std::env::var_os("REGREEN_TEST_LABS").expect("a directory");
    let lab = Lab::below(Path::new(&parent));
    let mut host = lab.host.clone();
    host.vars.insert("DOCKER_HOST".into(), address);
    let backend = Engine::new(&host);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let stray = format!("(setsid sh -c 'setsid sleep {number} >/dev/null 2>&1 &' &)");
        let script = format!("{stray}; sleep 0.1; echo on; sleep 600");
        let running = backend.start(lab.spec(["sh", "-c", &script])).await;
        let mut running = running.expect("it starts");
        running.output.recv().await.expect("it says `on`");
        say("on");
        std::future::pending::<()>().await;
    });
}

fn sleepers(number: u32) -> usize {
    let wanted = format!("sleep\0{number}\0");
    let all = std::fs::read_dir("/proc")
        .expect("there is a /proc")
        .flatten();
    all.filter(|entry| {
        std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == wanted.as_bytes())
    })
    .count()
}

#[test]
fn nothing_outlives_a_killed_daemon_by_two_seconds() {
    let rounds = if full_tier() { 50 } else { 2 };
    for engine in engines() {
        let mut worst = Duration::ZERO;
        for round in 0..rounds {
            worst = worst.max(one_death(engine, round));
        }
        say(&format!(
            "{rounds} deaths of a daemon with an engine: gone after {worst:?} at most"
        ));
    }
}

fn one_death(engine: &TestEngine, round: u32) -> Duration {
    let number = 3_000_000 + (std::process::id() % 100_000) * 100 + round;
    let labs = tempfile::tempdir_in("/var/tmp").expect("a temporary directory");
    let mut daemon = command(std::env::current_exe().expect("this is a program"))
        .args([
            "--exact",
            "sandbox::engines::role_of_a_daemon_with_an_engine",
            "--nocapture",
        ])
        .env("REGREEN_TEST_ENGINE", engine.address())
        .env("REGREEN_TEST_NUMBER", number.to_string())
        .env("REGREEN_TEST_LABS", labs.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    until("the stray's start", Duration::from_secs(30), || {
        (sleepers(number) == 1).then_some(())
    });
    daemon.kill().expect("it runs and is ours");
    let start = Instant::now();
    daemon.wait().expect("it is ours");
    while sleepers(number) > 0 {
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "a survivor after 2 s"
        );
        std::thread::park_timeout(Duration::from_millis(10));
    }
    start.elapsed()
}

/// What a daemon tests twice is tested in one container: nothing that a run needs stands in
/// another place than before.
#[test]
fn a_daemon_keeps_its_container_from_save_to_save() {
    let Some(engine) = TestEngine::docker() else {
        return;
    };
    // A project below /tmp loses its mounts when that is emptied, and so its container.
    let home = Home::within(&not_emptied());
    home.user_config("backend = \"engine\"\n");
    let project = home.fixture("cargo-assertion");
    let watch = project.regreen(["watch"]);
    let _daemon = watch.env("DOCKER_HOST", engine.address()).start();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let container = || runtime.block_on(only_container(engine, &home.cache()));
    let settled = |wanted: &str| {
        project.status_until(wanted, |status| {
            status["verdict"] == wanted && status["activity"] == "idle"
        })
    };
    let status = settled("red");
    assert_eq!(status["isolation"]["backend"], "docker", "{status:#}");
    let first = container();
    let source = std::fs::read_to_string(project.path("src/lib.rs")).expect("there");
    project.write("src/lib.rs", source.replace("left - right", "left + right"));
    settled("green");
    assert_eq!(container(), first);
}

/// A directory that is not below one that every run empties; the checkout may be.
fn not_emptied() -> std::path::PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let emptied = ["/tmp", "/var/tmp"]
        .iter()
        .any(|dir| target.starts_with(dir));
    match std::env::var_os("HOME") {
        Some(home) if emptied => home.into(),
        _ => target.to_owned(),
    }
}

#[test]
fn a_run_by_the_command_line_has_the_engine_s_report() {
    for engine in engines() {
        let home = Home::new();
        let project = home.fixture("cargo-assertion");
        let ran = project
            .regreen(["run", "--json", "--backend", "engine"])
            .env("DOCKER_HOST", engine.address())
            .run();
        ran.exits(100);
        let said: serde_json::Value = serde_json::from_str(&ran.stdout()).expect("JSON");
        let report = &said["reports"][0];
        assert_eq!(report["complete"], true, "{report:#}");
        assert!(
            report["failures"][0]["location"]["file"].is_string(),
            "{report:#}"
        );
        let isolation = &report["run"]["isolation"];
        let backend = isolation["backend"].as_str().unwrap_or_default();
        assert!(["docker", "podman"].contains(&backend), "{isolation:#}");
        assert_eq!(isolation["limits"]["network"], "enforced");
    }
}

/// What `regreen doctor --attack` tries, within an engine. Root may make files in the container's own
/// `/dev`, which lies in memory and has to be as it was before the next run.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_gets_out_of_a_container() {
    for engine in engines() {
        let lab = Lab::new();
        let backend = lab.engine(engine);
        let regreen = Path::new(env!("CARGO_BIN_EXE_regreen"));
        let trap = Trap::lay(&lab.top(), &lab.host.home).expect("the bait is laid out");
        let answers = trap.spring(&backend, regreen, &lab.host.home).await;
        let answers = answers.expect("it is tried");
        let names: Vec<&str> = answers.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, probe::names(), "everything was tried");
        let through: Vec<_> = answers.iter().filter(|answer| !answer.held).collect();
        let known = |name: &str| is_root() && name == "write_dev";
        assert!(through.iter().all(|it| known(&it.name)), "{through:?}");
        if is_root() {
            let seen = run(
                &backend,
                lab.spec(["sh", "-c", "echo x > /dev/planted; ls /dev/planted"]),
            );
            assert_eq!(seen.await.stdout, "/dev/planted\n");
            let seen = run(&backend, lab.spec(["sh", "-c", "ls /dev/planted"])).await;
            assert_eq!(seen.code(), Some(2), "{seen:?}");
        }
    }
}

#[test]
fn the_doctor_knows_engines_and_attacks_the_one_that_is_used() {
    let Some(engine) = TestEngine::podman() else {
        return;
    };
    let home = Home::new();
    let doctor = |args: &[&str]| {
        let ran = home.regreen(["doctor", "--json"]).args(args);
        let ran = ran.env("DOCKER_HOST", engine.address()).run();
        serde_json::from_str::<DoctorReport>(&ran.stdout()).expect("a report")
    };
    let report = doctor(&[]);
    let check = report.checks.iter().find(|check| check.name == "engine");
    let check = check.expect("engines are looked for");
    assert!(
        check.message.contains("podman 4") && check.state != Health::Fail,
        "{check:?}"
    );
    home.user_config("backend = \"engine\"\n");
    let report = doctor(&["--attack"]);
    let through: Vec<_> = report.attack.iter().filter(|line| !line.held).collect();
    assert!(!report.attack.is_empty());
    assert!(
        through
            .iter()
            .all(|line| is_root() && line.property == "write_dev"),
        "{through:?}"
    );
}
