//! What other languages keep outside of the project: Go's modules, Ruby's gems, Maven's
//! repository. Read-only, and never what holds credentials beside them (`~/.gem/credentials`,
//! `~/.m2/settings.xml`, `~/.bundle/config`).

use crate::sandbox::toolchain::Found;
use std::path::PathBuf;

/// Why a directory of gems is mounted.
pub(super) const GEMS: &str = "Ruby's gems";

/// Exposes what is there.
pub(super) fn discover(found: &mut Found<'_>) {
    go(found);
    ruby(found);
    maven(found);
}

fn go(found: &mut Found<'_>) {
    let named = variable(found, "GOMODCACHE");
    if let Some(cache) = &named {
        found.env("GOMODCACHE", cache.to_string_lossy());
    }
    let path = found.host.var("GOPATH").map(PathBuf::from);
    let path = path.filter(|path| path.is_absolute());
    let usual = path.unwrap_or_else(|| found.host.home.join("go"));
    let cache = named.unwrap_or_else(|| usual.join("pkg/mod"));
    if cache.is_dir() {
        if found.host.var("GOPATH").is_some() && !usual.starts_with(found.root) {
            found.env("GOPATH", usual.to_string_lossy());
        }
        found.expose(&cache, "Go's modules");
    }
}

fn ruby(found: &mut Found<'_>) {
    for name in ["GEM_HOME", "BUNDLE_PATH"] {
        if let Some(dir) = variable(found, name) {
            found.env(name, dir.to_string_lossy());
            found.expose(&dir, GEMS);
        }
    }
    let home = found.host.home.clone();
    let usual = [
        home.join(".local/share/gem/ruby"),
        home.join(".gem/ruby"),
        PathBuf::from("/var/lib/gems"),
    ];
    for dir in usual.iter().filter(|dir| dir.is_dir()) {
        found.expose(dir, GEMS);
    }
}

fn maven(found: &mut Found<'_>) {
    let repository = found.host.home.join(".m2/repository");
    if repository.is_dir() {
        found.expose(&repository, "Maven's repository");
    }
}

/// A directory that a variable of the user's names, outside of the project.
fn variable(found: &Found<'_>, name: &str) -> Option<PathBuf> {
    let path = found.host.var(name).map(PathBuf::from)?;
    let elsewhere = path.is_absolute() && !path.starts_with(found.root);
    (elsewhere && path.is_dir()).then_some(path)
}
