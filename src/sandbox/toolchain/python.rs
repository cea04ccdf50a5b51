//! Python: virtual environments, pyenv's versions past its shims, and the installations that
//! interpreters really lie in.

use crate::model::Note;
use crate::sandbox::toolchain::Found;
use crate::sandbox::toolchain::data;
use crate::sandbox::toolchain::in_base;
use std::path::Path;
use std::path::PathBuf;

/// Where projects keep their environment.
const LOCAL: &[&str] = &[".venv", "venv", "env"];
/// Links that an interpreter may go through.
const HOPS: usize = 10;

/// What Python needs on the search path.
#[derive(Debug, Default)]
pub(super) struct Python {
    /// What stands before everything else: the project's environment.
    pub front: Vec<PathBuf>,
    /// pyenv's directories, which hold only shims and pyenv itself.
    shims: Vec<PathBuf>,
    /// The versions' own directories, which take their place.
    pub instead_of_shims: Vec<PathBuf>,
}

impl Python {
    /// Whether an entry of `PATH` holds shims only.
    pub(super) fn replaces(&self, dir: &Path) -> bool {
        self.shims.iter().any(|shims| dir.starts_with(shims))
    }
}

/// Finds the project's environment and pyenv's versions, and exposes them.
pub(super) fn discover(found: &mut Found<'_>) -> Python {
    let mut python = Python::default();
    if let Some(environment) = environment(found) {
        expose_environment(found, &environment);
        found.env("VIRTUAL_ENV", environment.to_string_lossy());
        python.front.push(environment.join("bin"));
    } else if let Some(conda) = variable(found, "CONDA_PREFIX") {
        found.expose(&conda, "the active conda environment");
        python.front.push(conda.join("bin"));
    }
    pyenv(found, &mut python);
    python
}

/// The project's own environment, else the active one.
fn environment(found: &Found<'_>) -> Option<PathBuf> {
    let local = LOCAL.iter().map(|name| found.root.join(name));
    local
        .chain(variable(found, "VIRTUAL_ENV"))
        .find(|dir| dir.join("pyvenv.cfg").is_file() && dir.join("bin/python").exists())
}

fn variable(found: &Found<'_>, name: &str) -> Option<PathBuf> {
    let path = found.host.var(name).map(PathBuf::from)?;
    (path.is_absolute() && path.is_dir()).then_some(path)
}

/// Exposes an environment and the installation that its interpreter comes from.
pub(super) fn expose_environment(found: &mut Found<'_>, environment: &Path) {
    found.expose(environment, "a Python environment");
    expose_interpreter(found, &environment.join("bin/python"));
    if let Some(home) = pyvenv_home(environment) {
        let names = ["python3", "python"].map(|name| home.join(name));
        if let Some(python) = names.into_iter().find(|path| path.exists()) {
            expose_interpreter(found, &python);
        }
    }
}

/// `home` of pyvenv.cfg. The file may be the project's, so this is only a hint where to look.
fn pyvenv_home(environment: &Path) -> Option<PathBuf> {
    let text = data::text(&environment.join("pyvenv.cfg"))?;
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "home").then(|| PathBuf::from(value.trim()))
    })?;
    value.is_absolute().then_some(value)
}

/// Follows an interpreter link by link; every installation on the way has to be there, at the
/// path by which the link names it.
fn expose_interpreter(found: &mut Found<'_>, python: &Path) {
    let mut path = python.to_owned();
    for _ in 0..HOPS {
        if let Some(prefix) = installation(&path) {
            match prefix.canonicalize() {
                Ok(real) if real != prefix => {
                    found.expose_at(&real, &prefix, "a Python installation");
                    found.expose(&real, "a Python installation");
                }
                _ => found.expose(&prefix, "a Python installation"),
            }
        }
        let Ok(next) = std::fs::read_link(&path) else {
            return;
        };
        path = path.parent().unwrap_or(Path::new("/")).join(next);
    }
}

/// The installation that an interpreter lies in: `bin/python…` beside a standard library.
/// Anything else is not mounted, whatever a pyvenv.cfg or a link in the project says: a
/// project could point at a directory of secrets.
fn installation(python: &Path) -> Option<PathBuf> {
    let bin = python.parent()?;
    let prefix = bin.parent().filter(|_| bin.ends_with("bin"))?;
    if in_base(prefix) || prefix == Path::new("/") {
        return None;
    }
    let libraries = std::fs::read_dir(prefix.join("lib")).ok()?;
    let whole = libraries.flatten().any(|entry| {
        entry.file_name().to_string_lossy().starts_with("python")
            && entry.path().join("os.py").is_file()
    });
    whole.then(|| prefix.to_owned())
}

/// The prefixes whose packages an interpreter, or a program beside one, sees.
pub(super) fn prefixes(program: &Path) -> Vec<PathBuf> {
    let own = environment_of(program);
    let mut found: Vec<PathBuf> = own.iter().cloned().collect();
    if own.is_none_or(|environment| sees_system(&environment)) {
        let real = program.canonicalize().ok();
        let prefix = real
            .as_deref()
            .and_then(Path::parent)
            .and_then(Path::parent);
        found.extend(prefix.map(Path::to_owned));
        if prefix == Some(Path::new("/usr")) {
            found.push("/usr/local".into());
        }
    }
    found
}

/// Whether an environment lets its installation's packages through.
fn sees_system(environment: &Path) -> bool {
    let text = data::text(&environment.join("pyvenv.cfg")).unwrap_or_default();
    text.lines().any(|line| {
        line.split_once('=').is_some_and(|(key, value)| {
            key.trim() == "include-system-site-packages"
                && value.trim().eq_ignore_ascii_case("true")
        })
    })
}

/// Where packages are installed below a prefix: Debian has two names for it.
pub(super) fn packages(prefix: &Path) -> Vec<PathBuf> {
    let libraries = std::fs::read_dir(prefix.join("lib")).into_iter().flatten();
    libraries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("python"))
        .flat_map(|entry| ["site-packages", "dist-packages"].map(|name| entry.path().join(name)))
        .filter(|dir| dir.is_dir())
        .collect()
}

/// The environment that a program in a `bin` belongs to.
pub(super) fn environment_of(program: &Path) -> Option<PathBuf> {
    let environment = program.parent()?.parent()?;
    let is_one = environment.join("pyvenv.cfg").is_file();
    is_one.then(|| environment.to_owned())
}

/// The version of an interpreter, or of a program in an environment, as its place tells.
pub(super) fn version_of(program: &Path) -> Option<String> {
    if let Some(environment) = environment_of(program) {
        let text = data::text(&environment.join("pyvenv.cfg"))?;
        return text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            let known = matches!(key.trim(), "version" | "version_info");
            known.then(|| value.trim().to_owned())
        });
    }
    let name = program.file_name()?.to_str()?;
    let prefix = program
        .canonicalize()
        .ok()
        .filter(|_| name.starts_with("python"))?;
    let lib = prefix.parent()?.parent()?.join("lib");
    let mut versions: Vec<String> = std::fs::read_dir(lib)
        .ok()?
        .flatten()
        .filter(|entry| entry.path().join("os.py").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|name| name.strip_prefix("python").map(str::to_owned))
        .collect();
    versions.sort();
    versions.pop()
}

/// pyenv: its shims are shell scripts that run pyenv; the versions they would choose are put in
/// their place.
fn pyenv(found: &mut Found<'_>, python: &mut Python) {
    let named = found.host.var("PYENV_ROOT").map(PathBuf::from);
    let root = named
        .filter(|path| path.is_absolute())
        .unwrap_or_else(|| found.host.home.join(".pyenv"));
    if !root.join("versions").is_dir() {
        return;
    }
    let shims = ["shims", "bin", "plugins"].map(|name| root.join(name));
    let on_path = std::env::split_paths(&found.host.path).any(|dir| dir == shims[0]);
    python.shims = shims.into();
    if !on_path {
        return;
    }
    let (wanted, from) = wanted(found, &root);
    for name in wanted.iter().filter(|name| *name != "system") {
        match version(&root, name) {
            Some(dir) => {
                expose_version(found, &dir);
                python.instead_of_shims.push(dir.join("bin"));
            }
            None => {
                let message = format!("Python `{name}` ({from}) is not installed in pyenv");
                let note = Note::new("toolchain_missing", message);
                found.note(note.remedy(format!("run `pyenv install {name}`")));
            }
        }
    }
}

fn expose_version(found: &mut Found<'_>, dir: &Path) {
    if dir.join("pyvenv.cfg").is_file() {
        expose_environment(found, dir);
    } else {
        found.expose(dir, "a Python of pyenv's");
    }
    if let Ok(real) = dir.canonicalize() {
        found.expose(&real, "a Python of pyenv's");
    }
}

/// Which versions pyenv would use, in its order.
fn wanted(found: &Found<'_>, root: &Path) -> (Vec<String>, String) {
    if let Some(names) = found.host.var("PYENV_VERSION") {
        let names = names.split(':').filter(|name| allowed(name));
        return (names.map(str::to_owned).collect(), "PYENV_VERSION".into());
    }
    let files = found
        .root
        .ancestors()
        .map(|dir| dir.join(".python-version"));
    for file in files.chain([root.join("version")]) {
        let Some(text) = data::text(&file) else {
            continue;
        };
        let words = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or(""));
        let names: Vec<String> = words
            .flat_map(str::split_ascii_whitespace)
            .filter(|name| allowed(name))
            .map(str::to_owned)
            .collect();
        if !names.is_empty() {
            return (names, format!("from `{}`", file.display()));
        }
    }
    (vec!["system".into()], "the default".into())
}

/// A version's name, or that of an environment in it (`3.12.1/envs/app`).
fn allowed(name: &str) -> bool {
    !name.is_empty() && name.split('/').all(data::plain_name)
}

/// The directory of a version; `3.12` stands for the newest 3.12.x.
fn version(root: &Path, name: &str) -> Option<PathBuf> {
    let versions = root.join("versions");
    let exact = versions.join(name.strip_prefix("python-").unwrap_or(name));
    if exact.join("bin").is_dir() {
        return Some(exact);
    }
    let prefix = format!("{name}.");
    let mut matching: Vec<(Vec<u32>, PathBuf)> = std::fs::read_dir(&versions)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let found = entry.file_name().into_string().ok()?;
            let rest = found.strip_prefix(&prefix)?;
            let numbers: Result<Vec<u32>, _> = rest.split('.').map(str::parse).collect();
            Some((numbers.ok()?, entry.path()))
        })
        .collect();
    matching.sort();
    matching.pop().map(|(_, path)| path)
}
