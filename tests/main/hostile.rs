//! A hostile repository is watched and run: nothing of it is executed outside of the sandbox,
//! and it opens nothing.
//!
//! Each plant touches a canary that lies outside of the project, where a sandbox sees nothing.
//! A control shows first that the plant bites when the host's own tools meet it.

use crate::support::Home;
use crate::support::Project;
use crate::support::require;
use regreen::model::RunDocument;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

/// Where no sandbox reaches: beside the home, not in it.
fn canary(home: &Home) -> PathBuf {
    home.top().join("canary")
}

/// A script that sings if it can, says what a green run would say, and goes on with its
/// arguments if there are any.
fn evil(canary: &Path) -> String {
    let canary = canary.display();
    format!("#!/bin/sh\n: 2>/dev/null >'{canary}'\n[ $# -gt 0 ] && exec \"$@\"\nexit 0\n")
}

/// The same, but it never does what it was asked to.
fn impostor(canary: &Path) -> String {
    let canary = canary.display();
    format!(
        "#!/bin/sh\n: 2>/dev/null >'{canary}'\necho 'running 1 test'\necho 'test a ... ok'\n\
         echo 'test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out'\n"
    )
}

fn executable(project: &Project, path: &str, text: &str) {
    project.write(path, text);
    let mode = PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(project.path(path), mode).expect("it was just written");
}

/// The control: on the host, this command lets the canary sing.
#[track_caller]
fn bites(project: &Project, words: &[&str]) {
    let control = project.home.program(words[0], &words[1..]);
    let said = control.within_dir(project.root()).run();
    let canary = canary(&project.home);
    assert!(canary.exists(), "the plant is no threat: {said}");
    std::fs::remove_file(canary).expect("it exists");
}

/// Runs and watches the project; the canary stays silent.
#[track_caller]
fn is_harmless(project: &Project) -> RunDocument {
    let canary = canary(&project.home);
    let ran = project.regreen(["run", "--json"]).run();
    assert!(
        !canary.exists(),
        "`regreen run` ran a plant on the host: {ran}"
    );
    let document: RunDocument =
        serde_json::from_value(ran.json()).unwrap_or_else(|error| panic!("{error}\n{ran}"));

    let watch = project.regreen(["watch"]).start();
    project.status_until("a first verdict", |status| {
        status["activity"] == "idle" && status["daemon"].is_object() && status["since"].is_string()
    });
    let watched = watch.interrupt();
    assert!(
        !canary.exists(),
        "`regreen watch` ran a plant on the host: {watched}"
    );
    document
}

fn crate_in(home: &Home) -> crate::support::ProjectBuilder {
    let fixture = crate::support::fixtures().join("projects/cargo-green");
    home.project("hostile").copied_from(&fixture)
}

#[test]
fn cargo_configuration_runs_inside_only() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = crate_in(&home)
        .file(
            ".cargo/config.toml",
            "[build]\nrustc-wrapper = \"./evil.sh\"\n\n[target.'cfg(all())']\nrunner = \"./evil.sh\"\n",
        )
        .unborn();
    executable(&project, "evil.sh", &evil(&canary(&home)));
    project.commit("hostile");
    bites(
        &project,
        &["cargo", "metadata", "--format-version", "1", "--offline"],
    );
    // The project's own runner and wrapper are honoured where they can do no harm.
    let document = is_harmless(&project);
    assert_eq!(document.exit_code, 0, "{document:#?}");
}

#[test]
fn a_planted_toolchain_runs_inside_at_most_and_convinces_nobody() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = crate_in(&home).unborn();
    for program in ["cargo", "rustc", "rustdoc"] {
        let script = impostor(&canary(&home));
        executable(&project, &format!("toolchain/bin/{program}"), &script);
    }
    std::fs::create_dir_all(project.path("toolchain/lib")).expect("ours");
    let path = project.path("toolchain").display().to_string();
    project.write(
        "rust-toolchain.toml",
        format!("[toolchain]\npath = \"{path}\"\n"),
    );
    project.commit("hostile");
    if std::env::var_os("RUSTUP_TOOLCHAIN").is_none() {
        bites(&project, &["cargo", "--version"]);
    }
    believes_no_impostor(&is_harmless(&project), 3);
}

/// Either it is not green, or the real tools ran and counted the real tests. Which of the two
/// depends on the machine and both are true verdicts: a distribution's cargo knows no
/// `rust-toolchain.toml`, and rustup follows it, inside. The impostor says one test, never this
/// many.
#[track_caller]
fn believes_no_impostor(document: &RunDocument, truly: u64) {
    let counted = document.reports.iter().map(|report| report.counts.passed);
    let counted: u64 = counted.sum();
    assert!(
        document.exit_code != 0 || counted == truly,
        "an impostor was believed: {document:#?}"
    );
}

#[test]
fn yarn_and_package_scripts_are_left_alone() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let script = evil(&canary(&home));
    let project = crate_in(&home)
        .file(".yarnrc.yml", "yarnPath: ./evil.sh\n")
        .file(".envrc", &script)
        .file("Makefile", "all: ; ./evil.sh\n$(shell ./evil.sh)\n")
        .file(
            "package.json",
            r#"{"name": "hostile", "scripts": {"test": "./evil.sh", "preinstall": "./evil.sh"}}"#,
        )
        .unborn();
    executable(&project, "evil.sh", &script);
    project.commit("hostile");
    assert_eq!(is_harmless(&project).exit_code, 0);
}

#[test]
fn a_planted_pytest_runs_inside_only_and_convinces_nobody() {
    if !require("bwrap") || !require("pytest") {
        return;
    }
    let home = Home::new();
    let canary = canary(&home);
    let planted = format!(
        "import contextlib\nwith contextlib.suppress(OSError):\n    open({:?}, 'w').close()\n\
         print('1 passed in 0.01s')\n",
        canary.display().to_string()
    );
    let project = home
        .project("hostile")
        .file("pytest.ini", "[pytest]\n")
        .file("pytest.py", planted)
        .file("test_a.py", "def test_a():\n    assert False\n")
        .committed();
    bites(&project, &["python", "-m", "pytest"]);
    let document = is_harmless(&project);
    assert_ne!(
        document.exit_code, 0,
        "an impostor was believed: {document:#?}"
    );
}

#[test]
fn what_git_is_configured_to_run_is_not_run() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = crate_in(&home)
        .file(".gitattributes", "* filter=evil diff=evil\n")
        .committed();
    executable(&project, "../evil.sh", &evil(&canary(&home)));
    let script = home.path().join("evil.sh").display().to_string();
    for key in [
        "core.fsmonitor",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "diff.external",
        "core.sshCommand",
        "core.editor",
        "credential.helper",
    ] {
        project.git(["config", key, &script]);
    }
    let hooks = [
        "post-index-change",
        "reference-transaction",
        "post-checkout",
    ];
    for hook in hooks.into_iter().chain(["pre-commit", "post-commit"]) {
        executable(
            &project,
            &format!(".git/hooks/{hook}"),
            &evil(&canary(&home)),
        );
    }
    bites(&project, &["git", "status"]);
    // A file whose stat is not the index's, so that the filter would be asked.
    project.edit("src/lib.rs", "Converts", "Turns");
    assert_eq!(is_harmless(&project).exit_code, 0);
}

#[test]
fn a_planted_link_for_the_status_directory_is_not_followed() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = crate_in(&home).committed();
    let victim = home.path().join("victim");
    std::fs::create_dir(&victim).expect("ours");
    std::fs::write(victim.join("status.json"), "{\"mine\": true}").expect("ours");
    std::os::unix::fs::symlink(&victim, project.path(".git/regreen")).expect("ours");

    let watch = project.regreen(["watch"]).start();
    let place = crate::support::until("a place for the status", minute(), || {
        let said = project.regreen(["status", "--path"]).run();
        let place = PathBuf::from(said.stdout().trim());
        (said.code() == Some(0) && place.is_file()).then_some(place)
    });
    watch.interrupt();
    let real = place.canonicalize().expect("it is a file");
    assert!(!real.starts_with(&victim), "it lies in {}", real.display());
    let kept = std::fs::read_to_string(victim.join("status.json")).expect("ours");
    assert_eq!(kept, "{\"mine\": true}");
    let entries = std::fs::read_dir(&victim).expect("ours").count();
    assert_eq!(entries, 1, "something was written through the link");
}

#[test]
fn a_project_that_asks_for_everything_gets_nothing() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    std::fs::create_dir(home.path().join(".ssh")).expect("ours");
    std::fs::write(home.path().join(".ssh/id_ed25519"), "the key").expect("ours");
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    let top = home.top().display().to_string();
    let project = crate_in(&home)
        .file(".gitignore", "/target\n.env\n")
        .file(".env", "TOKEN=from the file\n")
        .file("regreen.toml", asks_for_everything(&top))
        .file("tests/attack.rs", attack(&home, port))
        .committed();
    let before = project.fingerprint();
    let ran = project
        .regreen(["run", "--json"])
        .env("REGREEN_TEST_SECRET", "from the environment")
        .run();
    before.unchanged_in(&project);
    assert!(!canary(&home).exists(), "{ran}");
    let document: RunDocument = serde_json::from_value(ran.json()).expect("a document");
    assert_eq!(document.exit_code, 0, "an attack went through: {ran}");
    let isolation = document.reports[0].run.isolation.as_ref().expect("known");
    assert_eq!(isolation.backend, "bwrap", "{ran}");

    // What was asked for and not granted is told, on the command line and in the status.
    ran.complains("network")
        .complains("backend")
        .complains("mounts");
    let watch = project.regreen(["watch"]).start();
    let status = project.status_until("what was left out", |status| {
        let left_out = status["ignored"].to_string();
        let ended = status["activity"] == "idle" && status["isolation"].is_object();
        ["backend", "network", "mounts", "pass_env"]
            .iter()
            .all(|key| left_out.contains(key))
            && ended
    });
    assert_eq!(status["isolation"]["backend"], "bwrap", "{status:#}");
    watch.interrupt();
}

fn asks_for_everything(top: &str) -> String {
    format!(
        "backend = \"none\"\nnetwork = \"host\"\npass_env = [\"REGREEN_TEST_SECRET\"]\n\
         include = [\".env\"]\n\
         mounts = [{{ source = \"{top}\", writable = true }}, {{ source = \"/\", target = \"/host\" }}]\n\
         [agent.evil]\ncommand = \"./evil.sh\"\nnetwork = \"host\"\n[fix]\nagent = \"evil\"\n\
         [retention]\nage = \"1s\"\n[slots]\nmax = 1000\n"
    )
}

/// A test that passes only if everything that it tries is refused.
fn attack(home: &Home, port: u16) -> String {
    let canary = canary(home).display().to_string();
    let key = home.path().join(".ssh/id_ed25519").display().to_string();
    format!(
        r#"//! Tries what it should not be able to do.

use std::path::Path;

#[test]
fn the_canary_cannot_be_reached() {{
    let _ = std::fs::write({canary:?}, "");
    let _ = std::fs::write(Path::new("/host").join(&{canary:?}[1..]), "");
}}

#[test]
fn keys_cannot_be_read() {{
    assert!(std::fs::read({key:?}).is_err());
    assert!(std::fs::read(Path::new("/host").join(&{key:?}[1..])).is_err());
    assert!(std::fs::read("/etc/shadow").is_err());
}}

#[test]
fn credentials_are_not_there() {{
    assert!(!Path::new(".env").exists());
    assert!(std::env::var_os("REGREEN_TEST_SECRET").is_none());
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {{
        let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let environ = String::from_utf8_lossy(&environ).into_owned();
        assert!(!environ.contains("from the environment"), "{{:?}}", entry.path());
    }}
}}

#[test]
fn the_hosts_loopback_is_out_of_reach() {{
    assert!(std::net::TcpStream::connect(("127.0.0.1", {port})).is_err());
}}
"#
    )
}

fn minute() -> std::time::Duration {
    std::time::Duration::from_secs(60)
}
