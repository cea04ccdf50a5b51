//! pytest: one suite where it is configured, or where test files give evidence of it.

use crate::model::Framework;
use crate::model::Suite;
use crate::suite::Listing;
use crate::suite::listing::is_python_test;
use crate::suite::spoken;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

/// The pytest suites of a project.
pub fn detect(listing: &Listing) -> Vec<Suite> {
    let mut found: BTreeMap<PathBuf, String> = BTreeMap::new();
    for name in listing.names() {
        let dir = name.parent().unwrap_or(Path::new(""));
        if let Some(why) = configured(listing, name) {
            found.entry(dir.to_owned()).or_insert(why);
        }
    }
    // A configured directory tests all that lies below it.
    let outer: Vec<PathBuf> = found.keys().cloned().collect();
    found.retain(|dir, _| !outer.iter().any(|up| up != dir && dir.starts_with(up)));
    let django: Vec<&Path> = listing
        .dirs_with("manage.py")
        .filter(|dir| is_django(listing, dir))
        .collect();
    for name in listing.names().filter(|name| evident(listing, name)) {
        if django.iter().any(|dir| name.starts_with(dir)) {
            continue;
        }
        if !found.keys().any(|dir| name.starts_with(dir)) {
            let dir = home(listing, name);
            let why = format!("`{}` holds tests that pytest collects", name.display());
            found.retain(|below, _| !below.starts_with(&dir));
            found.insert(dir, why);
        }
    }
    let suites = found.into_iter().map(|(dir, why)| suite(listing, dir, why));
    let django = django.into_iter().map(|dir| of_django(listing, dir));
    suites.chain(django).collect()
}

/// Whether a directory's tests want Django's own runner: nothing configures pytest there.
fn is_django(listing: &Listing, dir: &Path) -> bool {
    let configured = listing
        .names()
        .any(|name| name.parent() == Some(dir) && configured(listing, name).is_some());
    !configured && listing.has(&dir.join("manage.py"))
}

/// The suite of a `manage.py`.
fn of_django(listing: &Listing, dir: &Path) -> Suite {
    let (mut command, venv) = default_command(listing, dir);
    command.truncate(1);
    command.extend(["manage.py".to_owned(), "test".to_owned()]);
    let why = format!("there is Django's `manage.py` in {}", spoken(dir));
    Suite {
        carry: venv.into_iter().collect(),
        artifacts: Vec::new(),
        ..crate::suite::suite(Framework::Unittest, dir, command, why)
    }
}

/// Why a file configures pytest.
fn configured(listing: &Listing, path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let has = |section: &str| {
        listing
            .content(path)
            .is_some_and(|text| text.lines().any(|line| line.trim().starts_with(section)))
    };
    let yes = match file {
        "pytest.ini" | ".pytest.ini" | "pytest.toml" => true,
        "pyproject.toml" => has("[tool.pytest"),
        "setup.cfg" => has("[tool:pytest]"),
        "tox.ini" => has("[pytest]"),
        _ => false,
    };
    let dir = spoken(path.parent()?);
    yes.then(|| format!("`{file}` in {dir} configures pytest"))
}

/// Whether a file proves by its content that there are tests for pytest.
fn evident(listing: &Listing, path: &Path) -> bool {
    if !is_python_test(path) || passed_by(path) {
        return false;
    }
    listing.content(path).is_some_and(|text| {
        text.lines().map(str::trim_start).any(|line| {
            line.starts_with("def test")
                || line.starts_with("async def test")
                || line.starts_with("class Test")
                || line.starts_with("import pytest")
                || line.starts_with("from pytest")
                || line.contains("TestCase)")
        })
    })
}

/// Whether pytest does not look into a directory above the file, unless it is told to.
fn passed_by(path: &Path) -> bool {
    let dirs = path.parent().unwrap_or(Path::new(""));
    dirs.iter()
        .filter_map(OsStr::to_str)
        .any(|dir| dir.starts_with('.') || matches!(dir, "build" | "dist") || dir.ends_with(".egg"))
}

/// The directory from which a test file is run: the nearest one that looks like a Python
/// project, else the root.
fn home(listing: &Listing, test: &Path) -> PathBuf {
    test.ancestors()
        .skip(1)
        .find(|dir| {
            ["pyproject.toml", "setup.py", "setup.cfg", "tox.ini"]
                .iter()
                .any(|file| listing.has(&dir.join(file)))
        })
        .unwrap_or(Path::new(""))
        .to_owned()
}

/// The virtual environment of a directory: its own or the nearest above.
fn environment(listing: &Listing, dir: &Path) -> Option<PathBuf> {
    dir.ancestors().find_map(|up| {
        [".venv", "venv", "env"]
            .iter()
            .map(|name| up.join(name))
            .find(|venv| listing.has(&venv.join("pyvenv.cfg")))
    })
}

/// The command where nobody named one.
pub fn default_command(listing: &Listing, dir: &Path) -> (Vec<String>, Option<PathBuf>) {
    let venv = environment(listing, dir);
    let python = match &venv {
        Some(venv) => {
            let ups =
                dir.components().count() - venv.parent().map_or(0, |up| up.components().count());
            let venv = venv.file_name().unwrap_or_default().to_string_lossy();
            format!("{}{venv}/bin/python", "../".repeat(ups))
        }
        None => "python3".to_owned(),
    };
    (vec![python, "-m".to_owned(), "pytest".to_owned()], venv)
}

fn suite(listing: &Listing, dir: PathBuf, why: String) -> Suite {
    let (command, venv) = default_command(listing, &dir);
    let why = match &venv {
        Some(venv) => format!("{why}; Python comes from `{}`", venv.display()),
        None => why,
    };
    Suite {
        carry: venv.into_iter().collect(),
        artifacts: Vec::new(),
        ..crate::suite::suite(Framework::Pytest, &dir, command, why)
    }
}
