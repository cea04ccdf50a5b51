//! Toolchains of this machine, found and used in a sandbox without a network.

use crate::sandbox::lab::Lab;
use crate::support::Home;
use crate::support::copy_tree;
use crate::support::fixtures;
use crate::support::pytest_venv;
use crate::support::require;
use regreen::sandbox::toolchain;
use std::path::Path;

fn lab() -> (Home, Lab) {
    let home = Home::new();
    let lab = Lab::new().with_toolchains(&home);
    (home, lab)
}

fn write(lab: &Lab, name: &str, text: &str) {
    let path = lab.tree().join(name);
    std::fs::create_dir_all(path.parent().expect("below the tree")).expect("ours");
    std::fs::write(path, text).expect("the slot is ours");
}

#[tokio::test]
async fn cargo_test_runs_offline() {
    if !require("bwrap") {
        return;
    }
    let (_home, lab) = lab();
    write(
        &lab,
        "Cargo.toml",
        "[package]\nname = \"a\"\nedition = \"2021\"\n",
    );
    write(&lab, "src/lib.rs", "#[test]\nfn t() { assert_eq!(1, 1) }\n");
    let seen = lab.run(lab.spec_with_toolchains(["cargo", "test"])).await;
    assert_eq!(seen.code(), Some(0), "{seen:?}");
    assert!(seen.stdout.contains("test t ... ok"), "{seen:?}");
}

#[tokio::test]
async fn pytest_runs_offline() {
    if !require("bwrap") || !require("pytest") {
        return;
    }
    let (_home, lab) = lab();
    write(&lab, "test_a.py", "def test_a():\n    assert 1 == 1\n");
    let argv = ["python", "-m", "pytest", "-q"];
    let seen = lab.run(lab.spec_with_toolchains(argv)).await;
    assert_eq!(seen.code(), Some(0), "{seen:?}");
    assert!(seen.stdout.contains("1 passed"), "{seen:?}");
}
