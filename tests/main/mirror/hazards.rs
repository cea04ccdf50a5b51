//! The two ways to a stale verdict that were measured, with the real tools, again and again.

use crate::mirror::Rig;
use crate::support::Home;
use crate::support::full_tier;
use std::os::unix::fs::symlink;
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

/// A tool, started in the slot.
fn ran(rig: &Rig, program: &str, args: &[&str]) -> crate::support::Ran {
    rig.project
        .home
        .program(program, args)
        .without_env("PYTHONDONTWRITEBYTECODE")
        .within_dir(rig.mirror.tree())
        .run()
}

const MANIFEST: &str = "[package]\nname = \"rs\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";
const LOCK: &str = "version = 4\n\n[[package]]\nname = \"rs\"\nversion = \"0.1.0\"\n";

/// A link that is new leads to a file that is old: cargo follows it and sees the old time.
#[test]
fn what_a_changed_link_leads_to_has_arrived_with_it() {
    let project = Home::new()
        .project("rs")
        .file("Cargo.toml", MANIFEST)
        .file("Cargo.lock", LOCK)
        .file(
            "src/main.rs",
            "mod m;\n#[path = \"../now/n.rs\"]\nmod n;\nfn main() { println!(\"{}{}\", m::V, n::V); }\n",
        )
        .file("src/m.rs", "pub const V: u8 = 1;\n")
        .file("other/m.rs", "pub const V: u8 = 2;\n")
        .file("one/n.rs", "pub const V: u8 = 3;\n")
        .file("two/n.rs", "pub const V: u8 = 4;\n")
        .file(".gitignore", "/target\n")
        .committed();
    symlink("one", project.path("now")).expect("ours");
    let mut rig = Rig::new(project);
    rig.reconcile();
    let said = |rig: &Rig| {
        let ran = ran(rig, "cargo", &["run", "-q", "--offline"]);
        ran.exits(0);
        ran.stdout().trim().to_owned()
    };
    assert_eq!(said(&rig), "13");
    let link = |rig: &Rig, to: &str, at: &str| {
        let _ = std::fs::remove_file(rig.project.path(at));
        symlink(to, rig.project.path(at)).expect("ours");
    };
    link(&rig, "../other/m.rs", "src/m.rs");
    rig.sync(["src/m.rs"]);
    assert_eq!(said(&rig), "23", "a file that became a link");
    link(&rig, "two", "now");
    rig.sync(["now"]);
    assert_eq!(said(&rig), "24", "a link to another directory");
    std::fs::remove_file(rig.project.path("src/m.rs")).expect("ours");
    rig.sync(["src/m.rs"]);
    let gone = ran(&rig, "cargo", &["run", "-q", "--offline"]);
    assert!(gone.stderr().contains("E0583"), "a link that went: {gone}");
    link(&rig, "../other/m.rs", "src/m.rs");
    rig.sync(["src/m.rs"]);
    assert_eq!(said(&rig), "24", "a link that came back");
    let absolute = rig.project.path("one");
    let before = rig.mtime("one/n.rs");
    link(&rig, absolute.to_str().expect("plain"), "two-or-one");
    link(&rig, "two-or-one", "now");
    rig.sync(["now", "two-or-one"]);
    let time = rig.mtime("one/n.rs");
    assert!(time > before, "through a link and an absolute one");
    rig.sync(["src/main.rs"]);
    assert_eq!(rig.mtime("one/n.rs"), time, "touched without reason");
    // A circle, and a way out, lead nowhere.
    link(&rig, "around", "now");
    link(&rig, "now", "around");
    link(&rig, "../../../etc", "out");
    rig.sync(["now", "around", "out"]);
    let synced = rig.reconcile();
    assert_eq!(synced.snapshot.as_str(), rig.expected());
}

/// Python knows a link's compiled file by the size and second of what it leads to.
#[test]
fn a_module_that_becomes_a_link_is_compiled_again() {
    let project = Home::new()
        .project("py")
        .file("m.py", "V = 1\n")
        .file("other.py", "V = 2\n")
        .file(".gitignore", "__pycache__\n")
        .committed();
    let second = SystemTime::now() - Duration::from_secs(3600);
    for name in ["m.py", "other.py"] {
        let file = std::fs::File::options()
            .write(true)
            .open(project.path(name));
        file.expect("ours").set_modified(second).expect("ours");
    }
    let mut rig = Rig::new(project);
    rig.reconcile();
    let said = |rig: &Rig| ran(rig, "python3", &["-c", "import m; print(m.V)"]).stdout();
    assert_eq!(said(&rig).trim(), "1");
    std::fs::remove_file(rig.project.path("m.py")).expect("ours");
    symlink("other.py", rig.project.path("m.py")).expect("ours");
    rig.sync(["m.py"]);
    assert_eq!(said(&rig).trim(), "2");
}

/// Without its files a package is a directory of compiled files, which Python would import.
#[test]
fn a_package_that_is_gone_is_gone() {
    let project = Home::new()
        .project("py")
        .file("app/__init__.py", "")
        .file("app/deep/__init__.py", "V = 1\n")
        .file("kept/__init__.py", "")
        .file("kept/part.py", "")
        .file("top.py", "")
        .file(".gitignore", "__pycache__\n")
        .committed();
    let mut rig = Rig::new(project);
    rig.reconcile();
    ran(&rig, "python3", &["-c", "import app.deep, kept.part, top"]).exits(0);
    assert!(rig.slot_path("app/deep/__pycache__").exists());
    rig.project
        .git(["rm", "-q", "-r", "app", "kept/part.py", "top.py"]);
    rig.sync([
        "app/__init__.py",
        "app/deep/__init__.py",
        "kept/part.py",
        "top.py",
    ]);
    for module in ["app", "app.deep", "kept.part", "top"] {
        let ran = ran(&rig, "python3", &["-c", &format!("import {module}")]);
        assert!(
            ran.stderr().contains("ModuleNotFoundError"),
            "{module}: {}",
            ran.stderr()
        );
    }
    assert!(
        rig.slot_path("kept/__pycache__").exists(),
        "a cache in use was thrown away"
    );
    let synced = rig.reconcile();
    assert_eq!(synced.snapshot.as_str(), rig.expected());
}

/// Cargo does not remove the program of a target that is gone, and a test may start it.
#[test]
fn a_program_whose_source_is_gone_is_gone() {
    let project = Home::new()
        .project("rs")
        .file("Cargo.toml", MANIFEST)
        .file("Cargo.lock", LOCK)
        .file("src/bin/kept.rs", "fn main() {}\n")
        .file("src/bin/gone.rs", "fn main() {}\n")
        .file("examples/shown.rs", "fn main() {}\n")
        .file(".gitignore", "/target\n")
        .committed();
    let mut rig = Rig::new(project);
    rig.reconcile();
    let build = |rig: &Rig| {
        ran(
            rig,
            "cargo",
            &["build", "--offline", "--bins", "--examples"],
        )
    };
    build(&rig).exits(0);
    let built = |rig: &Rig, name: &str| rig.slot_path("target/debug").join(name).exists();
    assert!(built(&rig, "gone") && built(&rig, "examples/shown"));
    std::fs::remove_file(rig.project.path("src/bin/gone.rs")).expect("ours");
    std::fs::remove_file(rig.project.path("examples/shown.rs")).expect("ours");
    rig.sync(["src/bin/gone.rs", "examples/shown.rs"]);
    let again = build(&rig);
    again.exits(0);
    assert!(!built(&rig, "gone") && !built(&rig, "examples/shown"));
    assert!(built(&rig, "kept"), "not linked again");
    assert!(
        !again.stderr().contains("Compiling"),
        "built again: {}",
        again.stderr()
    );
    // Named by the manifest, and so gone with its line.
    rig.project.write(
        "Cargo.toml",
        format!("{MANIFEST}[[bin]]\nname = \"named\"\npath = \"src/bin/kept.rs\"\n"),
    );
    rig.sync(["Cargo.toml"]);
    build(&rig).exits(0);
    assert!(built(&rig, "named"));
    rig.project.write("Cargo.toml", MANIFEST);
    rig.sync(["Cargo.toml"]);
    build(&rig).exits(0);
    assert!(!built(&rig, "named") && built(&rig, "kept"));
}
