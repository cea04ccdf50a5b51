//! Bad input: each gets a clear error that names the thing and the remedy, or a true verdict;
//! nothing hangs, and nothing outside is touched.

use crate::support::Home;
use crate::support::Project;
use crate::support::Ran;
use crate::support::fixtures;
use crate::support::is_root;
use crate::support::require;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

const GREEN: &str = "cargo-green";

fn run(project: &Project) -> Ran {
    project.regreen(["run"]).run()
}

#[test]
fn not_a_git_repository() {
    let home = Home::new();
    let project = home.project("plain").file("a.txt", "").plain();
    for verb in ["run", "watch", "add", "fix", "status"] {
        let ran = project.regreen([verb]).run();
        ran.exits(2).complains("git");
        ran.complains(&project.root().display().to_string());
    }
}

#[test]
fn a_bare_repository() {
    let home = Home::new();
    let project = home.project("bare.git").plain();
    project.git(["init", "-q", "--bare"]);
    for verb in ["run", "watch", "add", "fix", "status"] {
        project.regreen([verb]).run().exits(2).complains("bare");
    }
}

#[test]
fn an_unborn_branch() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let fixture = fixtures().join("projects").join(GREEN);
    let project = home.project("unborn").copied_from(&fixture).unborn();
    run(&project).exits(0);
    let watch = project.regreen(["watch"]).start();
    let status = project.status_until("green", |status| status["verdict"] == "green");
    assert_eq!(status["branch"], "main", "{status:#}");
    assert!(status["head"].is_null(), "{status:#}");
    watch.interrupt().exits(0);
    // A loop starts at a commit, and there is none.
    project.regreen(["fix"]).run().exits(2).complains("commit");
}

#[test]
fn a_detached_head() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = home.fixture(GREEN);
    project.git(["checkout", "-q", "--detach"]);
    run(&project).exits(0);
    let watch = project.regreen(["watch"]).start();
    let status = project.status_until("green", |status| status["verdict"] == "green");
    assert!(status["branch"].is_null(), "{status:#}");
    assert_eq!(status["head"], project.git(["rev-parse", "HEAD"]));
    watch.interrupt();
}

#[test]
fn a_broken_configuration() {
    let home = Home::new();
    let project = home.fixture(GREEN);
    for (text, line, column, hint) in [
        ("\n[limits]\nsilense = \"3s\"\n", 3, 1, "silence"),
        ("trigger = \"safe\"\n", 1, 11, "save"),
        ("debounce = \n", 1, 12, "regreen.toml"),
    ] {
        project.write("regreen.toml", text);
        for verb in [&["run"][..], &["config", "check"]] {
            let ran = project.regreen(verb).run();
            ran.exits(2).complains("regreen.toml").complains(hint);
            let told = ran.stderr();
            let places = [
                format!(":{line}:{column}"),
                format!("line {line}, column {column}"),
            ];
            assert!(
                places.iter().any(|place| told.contains(place)),
                "{places:?}: {ran}"
            );
        }
    }
}

/// Who watches waits for the file to be mended, and says so where people and programs look.
#[test]
fn a_configuration_that_breaks_while_it_is_watched() {
    if !require("bwrap") {
        return;
    }
    let project = Home::new().fixture(GREEN);
    let watch = project.regreen(["watch"]).start();
    assert_eq!(project.settled()["verdict"], "green");
    project.write("regreen.toml", "[limits]\nsilense = \"3s\"\n");
    let status = project.status_until("a note on the configuration", |status| {
        let notes = status["notes"].to_string();
        notes.contains("silense") && notes.contains("silence")
    });
    assert_ne!(
        (&status["verdict"], &status["stale"]),
        (&"green".into(), &false.into()),
        "green, about a tree that was not tested: {status:#}"
    );
    // Mended only after the next sign of life: whoever looks has had the time to see it.
    let told_at = status["updated_at"].clone();
    project.status_until("the next sign", |status| status["updated_at"] != told_at);
    project.write("regreen.toml", "[limits]\nsilence = \"2m\"\n");
    let status = project.settled();
    assert_eq!(status["verdict"], "green", "{status:#}");
    assert!(
        !status["notes"].to_string().contains("silense"),
        "{status:#}"
    );
    watch.interrupt().exits(0).says("silense");
}

/// Nothing is said of suites then: nobody could look for them.
#[test]
fn a_configuration_that_is_broken_from_the_start() {
    let project = Home::new().fixture(GREEN);
    project.write("regreen.toml", "[limits]\nsilense = \"3s\"\n");
    let watch = project.regreen(["watch"]).start();
    let status = project.status_until("a note on the configuration", |status| {
        status["activity"] == "idle" && status["notes"].to_string().contains("silense")
    });
    assert_eq!(status["verdict"], "unknown", "{status:#}");
    assert!(!status["notes"].to_string().contains("suite"), "{status:#}");
    watch.interrupt().exits(0);
    // A loop's configuration is its base's, frozen at its start: what is not committed is none
    // of its business until `--dirty` makes it the base. Then it refuses, and makes nothing.
    let ran = project.regreen(["fix", "--dirty"]).run();
    ran.exits(2).complains("line 2, column 1");
    project.commit("a broken configuration");
    let ran = project.regreen(["fix"]).run();
    ran.exits(2)
        .complains("line 2, column 1")
        .complains("silence");
    project.regreen(["status"]).run().exits(0).says("silense");
}

#[test]
fn no_suite() {
    let home = Home::new();
    let project = home.project("empty").file("a.txt", "").committed();
    let ran = run(&project);
    ran.exits(102).complains("suite").complains("[[suite]]");
    let project_of = |toml: &str| {
        project.write("Cargo.toml", "[package]\nname = \"a\"\n");
        project.write("regreen.toml", toml);
        project.regreen(["config", "suites"]).run()
    };
    // Why there is none, and what to do, also where there would be one.
    for (toml, why) in [
        ("detect = false\n", "because of `detect = false`"),
        (
            "[[suite]]\nname = \"cargo\"\nenabled = false\n",
            "switches off every one (`enabled = false`)",
        ),
    ] {
        let told = project_of(toml);
        told.exits(102).says(why).says("[[suite]]");
        assert!(!told.stdout().contains("no Cargo.toml"), "{told}");
        run(&project)
            .exits(102)
            .complains(why)
            .complains("[[suite]]");
    }
    for name in ["Cargo.toml", "regreen.toml"] {
        std::fs::remove_file(project.path(name)).expect("ours");
    }
    let ran = project.regreen(["run", "--json"]).run();
    ran.exits(102);
    assert_eq!(ran.json()["outcome"], "no_tests", "{ran}");
}

#[test]
fn a_suite_that_does_not_exist() {
    let home = Home::new();
    let project = home.fixture(GREEN);
    let ran = project.regreen(["run", "carog"]).run();
    ran.exits(2).complains("carog").complains("cargo");
}

#[test]
fn a_revision_that_does_not_exist() {
    let home = Home::new();
    let project = home.fixture(GREEN);
    let ran = project.regreen(["run", "--at", "nowhere"]).run();
    ran.exits(2).complains("nowhere");
}

#[test]
fn files_that_cannot_be_read() {
    if !require("bwrap") || is_root() {
        // Root reads everything; scripts/test runs this once more as an ordinary user.
        return;
    }
    let home = Home::new();
    let project = home.fixture(GREEN);
    project.write("secret.txt", "x");
    let none = PermissionsExt::from_mode(0o000);
    std::fs::set_permissions(project.path("secret.txt"), none).expect("ours");
    // The suite does not need the file: the verdict is true, and the file is named.
    let ran = run(&project);
    ran.exits(0);
    assert!(ran.stdout().contains("secret.txt"), "{ran}");
    // Now it does.
    let none = PermissionsExt::from_mode(0o000);
    std::fs::set_permissions(project.path("src/lib.rs"), none).expect("ours");
    let ran = run(&project);
    assert_ne!(ran.code(), Some(0), "{ran}");
    assert!(
        ran.stdout().contains("`src/lib.rs` (it cannot be read"),
        "{ran}"
    );
}

#[test]
fn special_files_in_the_worktree() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = home.fixture(GREEN);
    home.program("mkfifo", [project.path("pipe")])
        .run()
        .exits(0);
    let _socket = std::os::unix::net::UnixListener::bind(project.path("socket")).expect("ours");
    project
        .regreen(["run"])
        .within(Duration::from_secs(60))
        .run()
        .exits(0);
}

#[test]
fn a_link_that_points_outside() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let victim = home.path().join("victim");
    std::fs::create_dir(&victim).expect("ours");
    std::fs::write(victim.join("secret"), "the secret\n").expect("ours");
    let test = "//! Follows a planted link.\n\n#[test]\nfn the_link_leads_nowhere() {\n    \
                assert!(std::fs::symlink_metadata(\"way\").unwrap().is_symlink());\n    \
                assert!(std::fs::read(\"way/secret\").is_err());\n    \
                let _ = std::fs::write(\"way/planted\", \"\");\n}\n";
    let project = home
        .project("linked")
        .copied_from(&fixtures().join("projects").join(GREEN))
        .file("tests/link.rs", test)
        .unborn();
    std::os::unix::fs::symlink(&victim, project.path("way")).expect("ours");
    project.commit("a link");
    run(&project).exits(0);
    // A directory that turns into a link to the outside between two runs.
    let watch = project.regreen(["watch"]).start();
    project.status_until("green", |status| status["verdict"] == "green");
    std::fs::rename(project.path("src"), home.path().join("moved")).expect("ours");
    std::os::unix::fs::symlink(&victim, project.path("src")).expect("ours");
    // What is left of the crate is the test of the link, and the link is a link.
    let status = project.settled();
    assert_eq!(status["suites"][0]["counts"]["total"], 1, "{status:#}");
    watch.interrupt();
    let left: Vec<_> = std::fs::read_dir(&victim)
        .expect("ours")
        .flatten()
        .collect();
    assert_eq!(
        left.len(),
        1,
        "something was written through a link: {left:?}"
    );
}

/// Words that run the rest in a mount namespace after `set_up`, root or not.
pub fn in_mounts(set_up: &str) -> Vec<String> {
    let script = format!("{set_up} && exec \"$@\"");
    let mut words: Vec<&str> = match is_root() {
        true => vec!["unshare", "--mount", "--propagation", "private"],
        false => vec!["unshare", "--user", "--map-root-user", "--mount"],
    };
    words.extend(["sh", "-c"]);
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    words.extend([script, "sh".to_owned()]);
    words
}

#[test]
fn a_worktree_on_a_read_only_disk() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = home.fixture(GREEN);
    let root = project.root().display().to_string();
    let mounts = format!("mount --bind '{root}' '{root}' && mount -o remount,bind,ro '{root}'");
    // Nothing has to be written there: the verdict is true.
    project
        .regreen(["run"])
        .behind(in_mounts(&mounts))
        .run()
        .exits(0);
    // The status file lies elsewhere then.
    let watch = project
        .regreen(["watch"])
        .behind(in_mounts(&mounts))
        .start();
    let place = home.state().join("projects");
    crate::support::until_changed(
        &place,
        "a status elsewhere",
        Duration::from_secs(60),
        || {
            let found = walkdir::WalkDir::new(&place).into_iter().flatten();
            let mut found = found.filter(|entry| entry.file_name() == "status.json");
            let text = std::fs::read_to_string(found.next()?.path()).ok()?;
            text.contains("\"green\"").then_some(())
        },
    );
    watch.interrupt();
}

#[test]
fn state_on_a_read_only_disk() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = home.fixture(GREEN);
    let state = home.path().join(".local/state").display().to_string();
    let mounts = format!("mount --bind '{state}' '{state}' && mount -o remount,bind,ro '{state}'");
    for (verb, code) in [("run", 106), ("watch", 1), ("fix", 120)] {
        let ran = project.regreen([verb]).behind(in_mounts(&mounts)).run();
        ran.exits(code);
        clear_about(&ran, Path::new(&state), "ead-only file system");
    }
}

/// The daemon's own store has no room: SQLite's words for that are not the user's.
#[test]
fn a_full_disk_below_the_store() {
    let home = Home::new();
    let project = home.fixture(GREEN);
    let state = home.path().join(".local/state");
    let mounts = format!(
        "mount -t tmpfs -o size=64k,mode=700 tmpfs '{}'",
        state.display()
    );
    for verb in ["watch", "fix"] {
        let ran = project.regreen([verb]).behind(in_mounts(&mounts)).run();
        clear_about(&ran, &state, "full");
    }
}

#[test]
fn a_full_disk() {
    if !require("bwrap") {
        return;
    }
    for below in [".cache", ".local/state"] {
        let home = Home::new();
        let project = home.fixture(GREEN);
        project.write("large.bin", noise(3 << 20));
        let place = home.path().join(below);
        let text = place.display();
        let mounts = format!("mount -t tmpfs -o size=64k,mode=700 tmpfs '{text}'");
        let ran = project.regreen(["run"]).behind(in_mounts(&mounts)).run();
        clear_about(&ran, &place, "no space");
    }
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    });
    bytes.take(length).collect()
}

/// It failed as infrastructure does, naming the place and the cause.
#[track_caller]
fn clear_about(ran: &Ran, place: &Path, cause: &str) {
    let infrastructure = [Some(1), Some(106), Some(120)];
    assert!(infrastructure.contains(&ran.code()), "{ran}");
    ran.complains(&place.display().to_string()).complains(cause);
    let panicked = ran.stderr().contains("panicked");
    assert!(!panicked, "a panic is no clear error: {ran}");
}

#[test]
fn a_report_that_is_a_pipe_or_enormous() {
    let home = Home::new();
    let pipe = home.path().join("pipe.xml");
    home.program("mkfifo", [&pipe]).run().exits(0);
    let sparse = home.path().join("sparse.xml");
    let file = std::fs::File::create(&sparse).expect("ours");
    file.set_len(10 << 30).expect("a sparse file takes no room");
    for report in [&pipe, &sparse] {
        let ran = home
            .regreen(["parse", "--format", "junit", "--report"])
            .args([report])
            .within(Duration::from_secs(20))
            .run();
        assert_ne!(ran.code(), Some(0), "{ran}");
        let name = report
            .file_name()
            .expect("named")
            .to_string_lossy()
            .into_owned();
        ran.complains(&name);
    }
}

/// What a test of the project does to the files by which its results are reported.
fn tampered(name: &str, with: &str) {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let test = format!(
        r#"//! Tampers with whatever its results are written to.

use std::process::Command;

#[test]
fn tampers() {{
    let script = r"for f in $(find /run/regreen -type f -writable 2>/dev/null); do {with}; done";
    let _ = Command::new("sh").args(["-c", script]).status();
}}
"#
    );
    let project = home
        .project(name)
        .copied_from(&fixtures().join("projects").join(GREEN))
        .file("tests/tamper.rs", test)
        .file(
            "regreen.toml",
            "[limits]\nsilence = \"10s\"\ntimeout = \"60s\"\n",
        )
        .committed();
    let ran = project
        .regreen(["run", "--json"])
        .within(Duration::from_secs(100))
        .run();
    // Green is possible only if the results could not be reached at all.
    let report = &ran.json()["reports"][0];
    let true_counts = report["counts"]["passed"] == 4 && report["complete"] == true;
    assert!(ran.code() != Some(0) || true_counts, "{ran}");
    assert_ne!(ran.code(), Some(1), "no clear verdict: {ran}");
}

#[test]
fn results_replaced_by_a_pipe() {
    tampered("pipe", "rm -f $f; mkfifo $f");
}

#[test]
fn results_replaced_by_an_enormous_file() {
    tampered("sparse", "truncate -s 10G $f");
}

#[test]
fn results_replaced_by_a_link() {
    tampered("link", "rm -f $f; ln -s /etc/passwd $f");
}

#[test]
fn results_removed() {
    tampered("removed", "rm -f $f");
}
