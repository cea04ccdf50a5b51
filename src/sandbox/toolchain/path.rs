//! The search path inside: the user's own, without what belongs to the project or is only a
//! shim, and with what its entries need mounted.

use crate::model::Note;
use crate::sandbox::toolchain::Found;
use crate::sandbox::toolchain::in_base;
use crate::sandbox::toolchain::python;
use crate::sandbox::toolchain::python::Python;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

/// Where every system keeps its programs.
const SYSTEM: &[&str] = &[
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Links that are followed in one directory of programs, at most.
const MOST_LINKS: usize = 500;

/// Builds the search path and exposes what its entries need.
pub(super) fn search_path(found: &mut Found<'_>, python: &Python) -> OsString {
    let mut dirs: Vec<PathBuf> = python.front.clone();
    let entries: Vec<PathBuf> = std::env::split_paths(&found.host.path).collect();
    for dir in entries {
        if python.replaces(&dir) {
            dirs.extend(python.instead_of_shims.iter().cloned());
        } else if usable(found, &dir) {
            expose(found, &dir);
            dirs.push(dir);
        }
    }
    dirs.extend(SYSTEM.iter().map(PathBuf::from));
    let mut unique: Vec<PathBuf> = Vec::new();
    for dir in dirs {
        // A colon cannot be said in PATH; a project's own directory may hold one.
        let sayable = std::env::join_paths([&dir]).is_ok();
        if sayable && !unique.contains(&dir) && dir.is_dir() {
            unique.push(dir);
        }
    }
    std::env::join_paths(unique).unwrap_or_default()
}

/// Whether an entry of the user's `PATH` has a place inside. Relative ones and those in the
/// project mean something else for every project; the project's own environments are found
/// otherwise.
fn usable(found: &mut Found<'_>, dir: &Path) -> bool {
    if !dir.is_absolute() || dir.starts_with(found.root) || !dir.is_dir() {
        return false;
    }
    if found.host.home.starts_with(dir) {
        let message = format!(
            "`{}` in PATH holds the home directory and is left out in the sandbox",
            dir.display()
        );
        found.note(Note::new("not_mounted", message));
        return false;
    }
    true
}

fn expose(found: &mut Found<'_>, dir: &Path) {
    if in_base(dir) {
        return;
    }
    match installation(found, dir) {
        Some(prefix) if prefix.join("pyvenv.cfg").exists() => {
            python::expose_environment(found, &prefix);
        }
        Some(prefix) => found.expose(&prefix, "an installation whose programs are in PATH"),
        None => found.expose(dir, "a directory in PATH"),
    }
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten().take(MOST_LINKS) {
        if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
            follow(found, &entry.path());
        }
    }
}

/// The installation that a directory of programs belongs to, if it is one of its own: a
/// directory with `bin` and `lib` that is not simply the home directory or `~/.local`.
fn installation(found: &Found<'_>, bin: &Path) -> Option<PathBuf> {
    let prefix = bin
        .parent()
        .filter(|_| bin.file_name() == Some("bin".as_ref()))?;
    let home = &found.host.home;
    let general = home.starts_with(prefix)
        || prefix == home.join(".local")
        || found.root.starts_with(prefix)
        || prefix == Path::new("/opt");
    let parts = ["lib", "lib64", "libexec", "pyvenv.cfg"];
    let whole = parts.iter().any(|part| prefix.join(part).exists());
    (whole && !general).then(|| prefix.to_owned())
}

/// A program that is a link out of its directory (pipx, uv, npm): what it points to has to be
/// there too, at its own path.
fn follow(found: &mut Found<'_>, link: &Path) {
    let Ok(target) = link.canonicalize() else {
        return;
    };
    let same = link.parent().is_some_and(|dir| target.starts_with(dir));
    if in_base(&target) || same || !target.is_file() {
        return;
    }
    if let Some(environment) = python::environment_of(&target) {
        python::expose_environment(found, &environment);
        return;
    }
    let bin = target.parent().unwrap_or(&target);
    match installation(found, bin) {
        Some(prefix) => found.expose(&prefix, "an installation whose programs are in PATH"),
        None => found.expose(&target, "a program in PATH"),
    }
}
