//! The two ways to a stale verdict that were measured, with the real tools, again and again.

use crate::mirror::Rig;
use crate::support::Home;
use crate::support::full_tier;
use std::time::Duration;
use std::time::SystemTime;

fn rounds(full: usize) -> usize {
    if full_tier() { full } else { full / 10 }
}

/// Two saves of the same size within a second, Python run after each: its compiled file knows
/// its source by the whole second and the size.
#[test]
fn python_never_sees_an_old_compiled_file() {
    let project = Home::new()
        .project("py")
        .file("mod.py", "VALUE = 100\n")
        .committed();
    let mut rig = Rig::new(project);
    rig.reconcile();
    let mut stale = Vec::new();
    for round in 0..rounds(50) {
        let value = 101 + round % 800;
        rig.project.write("mod.py", format!("VALUE = {value}\n"));
        rig.sync(["mod.py"]);
        let ran = rig
            .project
            .home
            .program("python3", ["-c", "import mod; print(mod.VALUE)"])
            .without_env("PYTHONDONTWRITEBYTECODE")
            .within_dir(rig.mirror.tree())
            .run();
        ran.exits(0);
        if ran.stdout().trim() != value.to_string() {
            stale.push((value, ran.stdout().trim().to_owned()));
        }
    }
    assert!(
        rig.slot_path("__pycache__").exists(),
        "nothing was compiled: this tests nothing"
    );
    assert!(stale.is_empty(), "stale: {stale:?}");
}

/// A file arrives with a time older than the last build of the mirror.
#[test]
fn cargo_never_believes_an_old_time() {
    let project = Home::new()
        .project("rs")
        .file(
            "Cargo.toml",
            "[package]\nname = \"rs\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
        )
        .file(
            "Cargo.lock",
            "version = 4\n\n[[package]]\nname = \"rs\"\nversion = \"0.1.0\"\n",
        )
        .file("src/main.rs", "fn main() { println!(\"start\"); }\n")
        .file(".gitignore", "/target\n")
        .committed();
    let mut rig = Rig::new(project);
    rig.reconcile();
    let run = |rig: &Rig| {
        let ran = rig
            .project
            .home
            .program("cargo", ["run", "-q", "--offline"])
            .within_dir(rig.mirror.tree())
            .run();
        ran.exits(0);
        ran.stdout().trim().to_owned()
    };
    assert_eq!(run(&rig), "start");
    for round in 0..rounds(50) {
        let text = format!("fn main() {{ println!(\"round {round}\"); }}\n");
        rig.project.write("src/main.rs", text);
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        let file = std::fs::File::options()
            .write(true)
            .open(rig.project.path("src/main.rs"));
        file.expect("ours").set_modified(hour_ago).expect("ours");
        rig.sync(["src/main.rs"]);
        assert_eq!(run(&rig), format!("round {round}"));
    }
}
