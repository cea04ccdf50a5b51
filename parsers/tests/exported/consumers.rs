//! The programs of other people that read the exports, and the files that they are given.

use super::Case;
use super::expected;
use regreen_parsers::export;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// A script of ours around programs of others.
pub struct Consumer {
    pub script: &'static str,
    /// Starts the script, which is the last argument.
    pub command: Vec<String>,
    /// Where the packages of npm lie.
    pub packages: PathBuf,
    probe: Vec<String>,
}

impl Consumer {
    /// Whether its program and packages are here. If not: a loud word, and a failure where
    /// `REGREEN_REQUIRE` names `consumers`.
    pub fn is_here(&self) -> bool {
        let output = Command::new(&self.probe[0]).args(&self.probe[1..]).output();
        let here = output.is_ok_and(|output| output.status.success());
        let required = std::env::var("REGREEN_REQUIRE").unwrap_or_default();
        let required = required.split_whitespace().any(|word| word == "consumers");
        assert!(here || !required, "`{}` fails", self.probe.join(" "));
        if !here {
            say(self.script);
        }
        here
    }
}

#[expect(clippy::print_stderr, reason = "nothing is skipped in silence")]
fn say(script: &str) {
    eprintln!("SKIPPED {script}: its programs are missing (scripts/test installs them)");
}

/// All of them.
pub fn all() -> Vec<Consumer> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-tools");
    let named = |variable: &str, usual: &str| {
        std::env::var_os(variable).map_or(tools.join(usual), PathBuf::from)
    };
    let python = named("REGREEN_TEST_VENV", "venv").join("bin/python");
    let packages = named("REGREEN_TEST_NODE", "node").join("exports/node_modules");
    let consumer = |script: &'static str, command: &[&str], probe: &[&str]| Consumer {
        script,
        command: command.iter().map(|it| (*it).to_owned()).collect(),
        packages: packages.clone(),
        probe: probe.iter().map(|it| (*it).to_owned()).collect(),
    };
    let python = python.to_string_lossy();
    let core = packages
        .join("@actions/core")
        .to_string_lossy()
        .into_owned();
    vec![
        consumer(
            "junit.py",
            &[&python],
            &[&python, "-c", "import junitparser, xunitparser"],
        ),
        consumer("others.mjs", &["node"], &["test", "-d", &core]),
        consumer(
            "quickfix.vim",
            &["vim", "-N", "-es", "-u", "NONE", "-i", "NONE", "-S"],
            &[
                "vim",
                "-N",
                "-es",
                "-u",
                "NONE",
                "-c",
                "call getqflist()",
                "-c",
                "q",
            ],
        ),
    ]
}

/// Writes every case's exports and what is to be found in them, a directory each.
pub fn write(dir: &Path, cases: &[Case]) {
    let _ = fs::remove_dir_all(dir);
    for (i, case) in cases.iter().enumerate() {
        let place = dir.join(format!("{i:04}"));
        fs::create_dir_all(&place).expect("a directory");
        let exported = case.exported();
        for (name, text) in [
            ("ctrf.json", export::ctrf(&exported)),
            ("junit.xml", export::junit(&exported)),
            ("github.txt", export::github(&exported)),
            ("quickfix.txt", export::quickfix(&exported)),
            ("expected.json", expected::of(case).to_string()),
        ] {
            fs::write(place.join(name), text).expect("a file");
        }
    }
}
