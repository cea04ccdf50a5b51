//! What is taken over from the real user: the toolchains, and nothing else.

use crate::support::is_root;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

/// The repository that is tested.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The virtual environment that holds pytest and ruff: `REGREEN_TEST_VENV`, else
/// `target/test-tools/venv`, where scripts/test makes it.
pub fn pytest_venv() -> Option<PathBuf> {
    let named = std::env::var_os("REGREEN_TEST_VENV").map(PathBuf::from);
    let made = repository().join("target/test-tools/venv");
    let venv = named.unwrap_or(made);
    venv.join("bin/python").exists().then_some(venv)
}

/// Where scripts/test installed the test runners of npm, each in a directory of its own:
/// `REGREEN_TEST_NODE`, else `target/test-tools/node`.
pub fn node_tools() -> PathBuf {
    let named = std::env::var_os("REGREEN_TEST_NODE").map(PathBuf::from);
    named.unwrap_or_else(|| repository().join("target/test-tools/node"))
}

/// The words to put before a command so that it runs as an ordinary user: none where this is
/// one already, else `scripts/as-user`, which makes the toolchains readable to that user in a
/// mount namespace of its own.
pub fn as_ordinary_user() -> Vec<OsString> {
    match is_root() {
        true => vec![repository().join("scripts/as-user").into()],
        false => Vec::new(),
    }
}

/// `PATH` and the variables that say where toolchains lie when `HOME` is another one.
pub fn environment() -> Vec<(OsString, OsString)> {
    let mut env = vec![("PATH".into(), path())];
    for (key, below_home) in [
        ("CARGO_HOME", ".cargo"),
        ("RUSTUP_HOME", ".rustup"),
        ("PYENV_ROOT", ".pyenv"),
    ] {
        let named = std::env::var_os(key).map(PathBuf::from);
        let found = named.or_else(|| real_home().map(|home| home.join(below_home)));
        if let Some(dir) = found.filter(|dir| dir.is_dir()) {
            env.push((key.into(), dir.into()));
        }
    }
    for key in ["RUSTUP_TOOLCHAIN", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(key) {
            env.push((key.into(), value));
        }
    }
    if let Some(venv) = pytest_venv() {
        env.push(("VIRTUAL_ENV".into(), venv.into()));
    }
    env
}

/// The user's `PATH`, with the virtual environment that holds pytest in front.
fn path() -> OsString {
    let mut dirs: Vec<PathBuf> = Vec::new();
    dirs.extend(pytest_venv().map(|venv| venv.join("bin")));
    let inherited = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    for dir in std::env::split_paths(&inherited) {
        if dir.is_absolute() && !dirs.contains(&dir) {
            dirs.push(dir);
        }
    }
    std::env::join_paths(dirs).expect("they were split from such a list")
}

fn real_home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from)
}
