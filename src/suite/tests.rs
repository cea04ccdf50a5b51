//! Detection from listings that are written out here, and from one real directory.

use super::*;
use crate::config::Config;
use crate::model::HostEnv;
use std::path::Path;
use std::path::PathBuf;

fn listing(files: &[(&str, &str)]) -> Listing {
    Listing::new(files.iter().map(|(name, _)| PathBuf::from(name)), |path| {
        files
            .iter()
            .find(|(name, _)| Path::new(name) == path)
            .map(|(_, text)| (*text).to_owned())
    })
}

/// `name: command (why)`, a line a suite.
fn shown(files: &[(&str, &str)]) -> String {
    detect(&listing(files))
        .iter()
        .map(|suite| {
            format!(
                "{}: {} ({})\n",
                suite.name,
                suite.command.join(" "),
                suite.why
            )
        })
        .collect()
}

const PACKAGE: &str = "[package]\nname = \"a\"\n";

#[test]
fn a_lone_crate() {
    insta::assert_snapshot!(shown(&[("Cargo.toml", PACKAGE)]), @"cargo: cargo test (there is a `Cargo.toml` in the project's root)");
}

#[test]
fn a_workspace_is_one_suite_and_independent_crates_are_their_own() {
    let files = [
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"crates/*\"]\nexclude = [\"tools\"]\n",
        ),
        (
            "crates/one/Cargo.toml",
            "[package]\nname = \"one\"\n[dependencies]\nhidden = { path = \"../../extra/hidden\" }",
        ),
        ("crates/two/Cargo.toml", "[package]\nname = \"two\"\n"),
        ("extra/hidden/Cargo.toml", "[package]\nname = \"hidden\"\n"),
        ("tools/gen/Cargo.toml", "[package]\nname = \"gen\"\n"),
        ("fixtures/red/Cargo.toml", PACKAGE),
        ("vendor/serde/Cargo.toml", PACKAGE),
    ];
    insta::assert_snapshot!(shown(&files), @"
    cargo: cargo test --workspace (the `Cargo.toml` in the project's root has a `[workspace]` of 3 crates)
    cargo@tools/gen: cargo test (there is a `Cargo.toml` in `tools/gen`)
    ");
}

#[test]
fn nextest_where_it_is_configured() {
    let files = [("Cargo.toml", PACKAGE), (".config/nextest.toml", "")];
    insta::assert_snapshot!(shown(&files), @"nextest: cargo nextest run (there is a `Cargo.toml` in the project's root, and `.config/nextest.toml` beside it asks for nextest)");
}

#[test]
fn pytest_by_configuration_or_evidence() {
    let configured = [
        ("pyproject.toml", "[tool.pytest.ini_options]\n"),
        ("sub/pytest.ini", ""),
    ];
    insta::assert_snapshot!(shown(&configured), @"pytest: python3 -m pytest (`pyproject.toml` in the project's root configures pytest)");
    let evident = [
        ("py/setup.py", ""),
        ("py/tests/test_a.py", "def test_a(): pass"),
    ];
    insta::assert_snapshot!(shown(&evident), @"pytest@py: python3 -m pytest (`py/tests/test_a.py` holds tests that pytest collects)");
    let none = [
        ("Cargo.toml", PACKAGE),
        ("scripts/test_disk.py", "print('no test')"),
        ("pyproject.toml", "[project]"),
    ];
    assert!(!shown(&none).contains("pytest"));
}

#[test]
fn the_nearest_virtual_environment_is_used_and_carried() {
    let files = listing(&[
        ("app/pytest.ini", ""),
        (".venv/pyvenv.cfg", "home = /usr/bin"),
    ]);
    let suites = detect(&files);
    assert_eq!(suites[0].command[0], "../.venv/bin/python");
    assert_eq!(suites[0].carry, [PathBuf::from(".venv")]);
}

#[test]
fn the_configuration_changes_adds_and_disables() {
    let host = HostEnv::below(Path::new("/nonexistent"), "");
    let text = r#"
[[suite]]
name = "cargo"
command = "cargo test --all-features"
timeout = "1m"
env = { A = "b" }

[[suite]]
name = "smoke"
command = ["./smoke.sh"]

[[suite]]
name = "pytest"
enabled = false
"#;
    let config =
        Config::from_text(&host, Some((Path::new("/p/regreen.toml"), text)), &[]).expect("config");
    let files = listing(&[("Cargo.toml", PACKAGE), ("pytest.ini", "")]);
    let suites = suites(&files, &config).expect("suites");
    let names: Vec<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(names, ["cargo", "smoke"]);
    assert_eq!(suites[0].command, ["cargo", "test", "--all-features"]);
    assert_eq!(suites[0].framework, crate::model::Framework::Cargo);
    assert_eq!(suites[0].limits.wall_ms, 60_000);
    assert_eq!(suites[0].env, [("A".to_owned(), "b".to_owned())]);
    assert_eq!(suites[1].framework, crate::model::Framework::Generic);
}

#[test]
fn what_a_change_affects() {
    let files = listing(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"crates/*\"]\n[workspace.dependencies]\ncore = { path = \"crates/core\" }",
        ),
        ("crates/core/Cargo.toml", "[package]\nname = \"core\"\n"),
        (
            "crates/mid/Cargo.toml",
            "[package]\nname = \"mid\"\n[dependencies]\ncore.workspace = true",
        ),
        (
            "crates/top/Cargo.toml",
            "[package]\nname = \"top\"\n[target.'cfg(unix)'.dev-dependencies]\nmid = { path = \"../mid\" }",
        ),
        ("crates/leaf/Cargo.toml", "[package]\nname = \"leaf\"\n"),
    ]);
    let graph = CrateGraph::read(&files);
    let affected = |path: &str| {
        graph
            .affected(Path::new(""), &[PathBuf::from(path)])
            .map(|names| names.into_iter().collect::<Vec<_>>())
    };
    assert_eq!(
        affected("crates/core/src/lib.rs"),
        Some(vec!["core", "mid", "top"])
    );
    assert_eq!(affected("crates/mid/src/lib.rs"), Some(vec!["mid", "top"]));
    assert_eq!(affected("crates/leaf/tests/a.rs"), Some(vec!["leaf"]));
    assert_eq!(affected("Cargo.lock"), None);
    assert_eq!(affected("Cargo.toml"), None);
    assert_eq!(affected("README.md"), Some(vec![]));
}

#[test]
fn links_and_fifos_are_not_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let outside = dir.path().join("outside.toml");
    std::fs::write(&outside, "[tool.pytest.ini_options]").expect("write");
    let root = dir.path().join("project");
    std::fs::create_dir(&root).expect("mkdir");
    std::os::unix::fs::symlink(&outside, root.join("pyproject.toml")).expect("link");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("setup.cfg"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .expect("fifo");
    std::fs::write(root.join("pytest.ini"), "").expect("write");
    let listing = Listing::read(&root).expect("a listing");
    let names: Vec<&Path> = listing.names().collect();
    assert_eq!(names, [Path::new("pytest.ini")]);
}
