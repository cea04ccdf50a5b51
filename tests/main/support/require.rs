//! What a test needs of the machine. Nothing is skipped in silence.

use crate::support::command;
use crate::support::node_tools;
use crate::support::pytest_venv;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

/// Whether `part` is here. If it is not: panics where `REGREEN_REQUIRE` names it, and else
/// says so past the test harness's capture.
///
/// The words are those of docs/contract.md: bwrap pytest systemd fuse docker podman node go
/// chromium agents; and those of test frameworks: node-tools cmake rspec phpunit bats perl java
/// nextest.
#[track_caller]
pub fn require(part: &str) -> bool {
    let Err(reason) = probe(part) else {
        return true;
    };
    let required = std::env::var("REGREEN_REQUIRE").unwrap_or_default();
    assert!(
        !required.split_whitespace().any(|word| word == part),
        "`{part}` is required by REGREEN_REQUIRE and missing: {reason}"
    );
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    say(&format!("SKIPPED {test}: needs `{part}`: {reason}"));
    false
}

/// Whether the long tests are asked for (`scripts/test --full`).
pub fn full_tier() -> bool {
    std::env::var_os("REGREEN_FULL").is_some_and(|value| value == "1")
}

/// Whether this process is root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Writes a line to standard error that the test harness does not swallow.
pub fn say(line: &str) {
    // Nothing is left to do if even standard error is gone.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// JUnit's console launcher, as Debian has it.
const CONSOLE_LAUNCHER: &str = "/usr/share/java/junit-platform-console-standalone.jar";

fn probe(part: &str) -> Result<(), String> {
    match part {
        "bwrap" => runs(&[
            "bwrap",
            "--unshare-all",
            "--ro-bind",
            "/",
            "/",
            "--proc",
            "/proc",
            "true",
        ]),
        "pytest" => {
            let python = pytest_venv().ok_or("no virtual environment (scripts/test makes one)")?;
            let python = python.join("bin/python");
            runs(&[&python.to_string_lossy(), "-c", "import pytest"])
        }
        "systemd" => systemd(),
        "fuse" => {
            runs(&["bindfs", "--version"])?;
            // It may be there and be for root only.
            openable("/dev/fuse")
        }
        "docker" => docker(),
        "podman" => podman(),
        "node" => runs(&["node", "--version"]),
        "go" => runs(&["go", "version"]),
        "node-tools" => ["jest", "vitest", "mocha"]
            .into_iter()
            .try_for_each(|name| {
                exists(
                    &node_tools()
                        .join(name)
                        .join("node_modules")
                        .to_string_lossy(),
                )
            }),
        "cmake" => runs(&["cmake", "--version"])
            .and_then(|()| runs(&["c++", "--version"]))
            .and_then(|()| exists("/usr/include/gtest/gtest.h")),
        "rspec" => {
            runs(&["rspec", "--version"]).and_then(|()| runs(&["ruby", "-e", "require 'minitest'"]))
        }
        "phpunit" => runs(&["phpunit", "--version"]),
        "bats" => runs(&["bats", "--version"]),
        "perl" => runs(&["prove", "--version"]),
        "java" => runs(&["javac", "-version"]).and_then(|()| exists(CONSOLE_LAUNCHER)),
        "nextest" => runs(&["cargo-nextest", "nextest", "--version"]),
        "chromium" => runs(&["chromium", "--version"]),
        "agents" => runs(&["claude", "--version"]).and_then(|()| runs(&["codex", "--version"])),
        other => panic!("`{other}` is no word of REGREEN_REQUIRE"),
    }
}

/// A real systemd is booted in namespaces of its own, which only root may do.
fn systemd() -> Result<(), String> {
    exists("/lib/systemd/systemd")?;
    if !is_root() {
        return Err("only root can boot a systemd of its own".into());
    }
    runs(&[
        "unshare", "-m", "-C", "-p", "-u", "-i", "-n", "--fork", "true",
    ])
}

/// The tests start a Docker of their own, which only root may do.
fn docker() -> Result<(), String> {
    if !is_root() {
        return Err("only root can start a Docker of its own".into());
    }
    runs(&["dockerd", "--version"])?;
    runs(&["runc", "--version"])
}

/// And a Podman, which an ordinary user may start who has subordinate ids.
fn podman() -> Result<(), String> {
    runs(&["podman", "--version"])?;
    runs(&["runc", "--version"])?;
    if !is_root() {
        let subordinate = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
        let user = runs(&["newuidmap"]).err().unwrap_or_default();
        if subordinate.trim().is_empty() || user.contains("does not start") {
            return Err("this user has no subordinate ids, or `newuidmap` is missing".into());
        }
    }
    Ok(())
}

fn exists(path: &str) -> Result<(), String> {
    match Path::new(path).exists() {
        true => Ok(()),
        false => Err(format!("`{path}` does not exist")),
    }
}

fn openable(path: &str) -> Result<(), String> {
    let opened = std::fs::File::options().read(true).write(true).open(path);
    opened
        .map(|_| ())
        .map_err(|error| format!("`{path}` cannot be opened: {error}"))
}

fn runs(words: &[&str]) -> Result<(), String> {
    let output = command(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "`{}` ended with {}: {}",
            words.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Err(format!("`{}` does not start: {error}", words[0])),
    }
}
