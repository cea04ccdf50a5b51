//! What tools leave in a tree without anybody having edited anything (pure): it is no part of
//! what an agent made, and no part of a loop's commits.

/// Directories of caches and outputs.
const DIRECTORIES: &[&str] = &[
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
    ".tox",
    ".nox",
    ".nyc_output",
    ".aider.tags.cache.v4",
    "node_modules",
    "target",
    ".git",
];

/// Lock files that a tool makes or brings up to date by itself, and the manifest that it
/// follows.
const LOCKS: &[(&str, &str)] = &[
    ("Cargo.lock", "Cargo.toml"),
    ("package-lock.json", "package.json"),
    ("yarn.lock", "package.json"),
    ("pnpm-lock.yaml", "package.json"),
    ("poetry.lock", "pyproject.toml"),
    ("uv.lock", "pyproject.toml"),
    ("go.sum", "go.mod"),
];

/// Whether a path that is new was left by a tool.
pub fn is_junk(path: &str) -> bool {
    let mut parts: Vec<&str> = path.split('/').collect();
    let name = parts.pop().unwrap_or(path);
    parts
        .iter()
        .any(|part| DIRECTORIES.contains(part) || part.ends_with(".egg-info"))
        || name.ends_with(".pyc")
        || name.starts_with(".aider")
        || matches!(name, ".coverage" | "nohup.out" | ".DS_Store")
        || name.starts_with("core.") && name[5..].bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a changed path is a lock file although no manifest was changed with it.
pub fn is_stray_lock<'a>(path: &str, changed: impl IntoIterator<Item = &'a str>) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let Some((_, manifest)) = LOCKS.iter().find(|(lock, _)| *lock == name) else {
        return false;
    };
    // A workspace has one lock file and many manifests.
    !changed
        .into_iter()
        .any(|other| other.rsplit('/').next() == Some(manifest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_leave_is_no_edit() {
        for path in [
            "a/__pycache__/b.cpython-311.pyc",
            "target/debug/x",
            ".aider.chat.history.md",
        ] {
            assert!(is_junk(path), "{path}");
        }
        for path in ["src/target.rs", "core.py", "a.py", "src/lib.rs", "core.c"] {
            assert!(!is_junk(path), "{path}");
        }
        assert!(is_stray_lock("Cargo.lock", ["Cargo.lock", "src/lib.rs"]));
        assert!(!is_stray_lock("Cargo.lock", ["Cargo.lock", "a/Cargo.toml"]));
        assert!(!is_stray_lock("src/lib.rs", ["src/lib.rs"]));
    }
}
