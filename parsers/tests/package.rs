//! The crate as others get it: what is packed is what is needed and nothing else, and the
//! manifest says what a registry asks for.
#![expect(
    clippy::disallowed_methods,
    reason = "this crate stands alone: it has no process module"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// What cargo would pack.
fn packed() -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .args(["package", "--list", "--allow-dirty", "--offline"])
        .current_dir(HERE)
        .output()
        .expect("cargo starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(!error.contains("manifest has no"), "{error}");
    let list = String::from_utf8_lossy(&output.stdout);
    list.lines().map(str::to_owned).collect()
}

/// The files below a directory of the crate.
fn below(dir: &str, found: &mut BTreeSet<String>) {
    let entries = fs::read_dir(Path::new(HERE).join(dir)).expect("a directory");
    for entry in entries.flatten() {
        let name = format!("{dir}/{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => below(&name, found),
            false => {
                found.insert(name);
            }
        }
    }
}

#[test]
fn sources_and_reporters_are_packed_and_no_recordings() {
    let mut expected: BTreeSet<String> = [
        ".cargo_vcs_info.json",
        "Cargo.lock",
        "Cargo.toml",
        "Cargo.toml.orig",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "examples/ask.rs",
    ]
    .map(str::to_owned)
    .into();
    below("src", &mut expected);
    below("reporters", &mut expected);
    let mut packed = packed();
    // Not there outside of git, or while something is not committed.
    packed.insert(".cargo_vcs_info.json".into());
    assert_eq!(packed, expected);
}

/// Whoever builds the packed crate and its unit tests has nothing beside it.
#[test]
fn nothing_that_is_packed_reaches_beyond_the_crate() {
    let mut files = BTreeSet::new();
    below("src", &mut files);
    for file in &files {
        let text = fs::read_to_string(Path::new(HERE).join(file)).expect("a source");
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let up = "../".repeat(file.matches('/').count() + 1);
        for line in code {
            let included = line.contains("include_str!") || line.contains("include_bytes!");
            assert!(!(included && line.contains(&up)), "{file}: {line}");
            assert!(!line.contains("CARGO_MANIFEST_DIR"), "{file}: {line}");
        }
    }
}

#[test]
fn the_manifest_says_what_a_registry_asks_for() {
    let manifest = fs::read_to_string(Path::new(HERE).join("Cargo.toml")).expect("a manifest");
    let keys: BTreeSet<&str> = manifest
        .lines()
        .take_while(|line| *line != "[dependencies]")
        .filter_map(|line| line.split(['=', '.']).next())
        .map(str::trim)
        .collect();
    for key in [
        "description",
        "license",
        "readme",
        "documentation",
        "keywords",
        "categories",
        "rust-version",
        "include",
    ] {
        assert!(keys.contains(key), "`{key}` is missing");
    }
}
