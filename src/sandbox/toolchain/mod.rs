//! Toolchains: which of the user's programs a sandbox needs, where they lie, and how they find
//! each other inside. Nothing is started; a project's files are read as data, never believed
//! where they could open something.

mod cargo_home;
mod data;
mod languages;
mod path;
mod python;
mod rust;

use crate::model::HostEnv;
use crate::model::Note;
use crate::sandbox::Mount;
use crate::sandbox::Place;
use cargo_home::CargoHome;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

/// What the sandbox of a project needs of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Toolchains {
    /// What is mounted at its own path, and why. What is private to a slot comes with
    /// [`Toolchains::prepare`].
    pub exposed: Vec<Exposed>,
    /// The environment inside: `PATH`, `HOME`, `CARGO_HOME`, ….
    pub env: Vec<(String, String)>,
    /// Programs that suites start, where they lie (inside as outside).
    pub programs: Vec<Program>,
    /// What is missing or was not believed, with its remedy.
    pub notes: Vec<Note>,
    cargo_home: Option<CargoHome>,
}

/// A mount and the reason for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    /// The mount.
    pub mount: Mount,
    /// Why it is there, in words for the user.
    pub why: &'static str,
}

/// A program and what tells one version of it from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its name, as `cargo`.
    pub name: String,
    /// Its path.
    pub path: PathBuf,
    /// Its version, as far as its place tells.
    pub version: Option<String>,
    /// Size in bytes of what is started in the end.
    pub size: u64,
    /// When that was last changed, in nanoseconds since 1970.
    pub modified_ns: i128,
}

/// Programs that are looked up for suites.
const PROGRAMS: &[&str] = &[
    "cargo",
    "rustc",
    "rustdoc",
    "cargo-nextest",
    "python3",
    "python",
    "pytest",
    "ruff",
    "uv",
    "node",
    "npm",
    "go",
    "ruby",
    "rspec",
    "bundle",
    "php",
    "phpunit",
    "perl",
    "prove",
    "bats",
    "java",
    "mvn",
    "gradle",
    "cmake",
    "ctest",
    "make",
    "cc",
    "git",
    "sh",
];

/// Variables of the user that change nothing but language and place, and are passed on.
const PASSED: &[&str] = &["LANG", "LC_ALL", "LC_CTYPE", "TZ", "USER", "LOGNAME"];

/// Variables that hang on no toolchain and are set by regreen.
const OWN: &[&str] = &["HOME", "SHELL", "TERM"];

/// Finds the toolchains for the project at `root`, or in a directory of it.
pub fn discover(host: &HostEnv, root: &Path) -> Toolchains {
    let mut found = Found::new(host, root);
    let rust = rust::discover(&mut found);
    let python = python::discover(&mut found);
    languages::discover(&mut found);
    let path = path::search_path(&mut found, &python);
    found.env("PATH", path.to_string_lossy());
    found.env("HOME", host.home.to_string_lossy());
    for name in PASSED {
        if let Some(value) = host.var(name) {
            found.env(name, value);
        }
    }
    found.env("SHELL", "/bin/sh");
    found.env("TERM", "dumb");
    let programs = programs(&path, &rust);
    let mut toolchains = found.done();
    toolchains.programs = programs;
    toolchains
}

impl Toolchains {
    /// Where Python finds installed packages outside of the project at `root`: git sees nothing
    /// of them, and verdicts depend on them.
    pub fn packages(&self, root: &Path) -> Vec<PathBuf> {
        let interpreters = self.programs.iter().filter(|it| it.name.starts_with("py"));
        let environments = self
            .exposed
            .iter()
            .map(|it| it.mount.source.join("bin/python"));
        let mut found: Vec<PathBuf> = interpreters
            .map(|it| it.path.clone())
            .chain(environments.filter(|it| python::environment_of(it).is_some()))
            .flat_map(|it| python::prefixes(&it))
            .filter(|prefix| !prefix.starts_with(root))
            .flat_map(|it| python::packages(&it))
            .collect();
        found.sort();
        found.dedup();
        found
    }

    /// Where Ruby finds gems outside of the project.
    pub fn gems(&self) -> Vec<PathBuf> {
        let shared = PathBuf::from("/usr/share/rubygems-integration");
        let gems = self.exposed.iter().filter(|it| it.why == languages::GEMS);
        gems.map(|it| it.mount.source.clone())
            .chain(shared.is_dir().then_some(shared))
            .collect()
    }

    /// All mounts for a sandbox in `place`, after making and seeding what is private to the
    /// slot. Blocking; a few milliseconds the first time, next to nothing later.
    ///
    /// # Errors
    /// If the slot cannot be written to.
    pub fn prepare(&self, place: &Place) -> io::Result<Vec<Mount>> {
        let mut mounts: Vec<Mount> = self
            .exposed
            .iter()
            .map(|exposed| exposed.mount.clone())
            .collect();
        if let Some(cargo_home) = &self.cargo_home {
            mounts.extend(cargo_home.prepare(place)?);
        }
        Ok(mounts)
    }

    /// Everything that a sandbox sees of this machine besides the base system, one line each.
    pub fn describe(&self) -> Vec<String> {
        let exposed = self.exposed.iter().map(|exposed| {
            let mode = if exposed.mount.writable { "rw" } else { "ro" };
            format!("{mode} {}  {}", exposed.mount.target.display(), exposed.why)
        });
        let private = self.cargo_home.iter().flat_map(CargoHome::describe);
        exposed.chain(private).collect()
    }

    /// A program by name.
    pub fn program(&self, name: &str) -> Option<&Program> {
        self.programs.iter().find(|program| program.name == name)
    }

    /// What of the environment says nothing of this machine's programs: a container image has
    /// its own.
    pub fn env_of_an_image(&self) -> Vec<(String, String)> {
        let env = self.env.iter();
        env.filter(|(name, _)| PASSED.contains(&name.as_str()) || OWN.contains(&name.as_str()))
            .cloned()
            .collect()
    }

    /// A variable of [`Toolchains::env`].
    pub fn var(&self, name: &str) -> Option<&str> {
        let mut all = self.env.iter().rev();
        all.find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }
}

/// What has been found so far.
struct Found<'a> {
    host: &'a HostEnv,
    root: &'a Path,
    toolchains: Toolchains,
}

impl<'a> Found<'a> {
    fn new(host: &'a HostEnv, root: &'a Path) -> Self {
        Found {
            host,
            root,
            toolchains: Toolchains::default(),
        }
    }

    fn env(&mut self, name: &str, value: impl AsRef<str>) {
        self.toolchains
            .env
            .push((name.to_owned(), value.as_ref().to_owned()));
    }

    fn note(&mut self, note: Note) {
        if !self.toolchains.notes.contains(&note) {
            self.toolchains.notes.push(note);
        }
    }

    /// Mounts a host directory or file read-only at its own path.
    fn expose(&mut self, path: &Path, why: &'static str) {
        self.expose_at(path, path, why);
    }

    fn expose_at(&mut self, source: &Path, target: &Path, why: &'static str) {
        let seen = |exposed: &Exposed| exposed.mount.target == target;
        if in_base(target) || self.toolchains.exposed.iter().any(seen) {
            return;
        }
        if target.starts_with(self.root) {
            // The mirror carries what lies in the project.
            return;
        }
        if self.is_too_much(target) || self.is_too_much(source) {
            let message = format!(
                "`{}` is not shown to the sandbox: it holds the home directory or the project",
                target.display()
            );
            self.note(Note::new("not_mounted", message));
            return;
        }
        self.toolchains.exposed.push(Exposed {
            mount: Mount {
                source: source.to_owned(),
                target: target.to_owned(),
                writable: false,
                optional: true,
            },
            why,
        });
    }

    /// A directory that holds the home directory or the project is never mounted as a whole.
    fn is_too_much(&self, path: &Path) -> bool {
        self.host.home.starts_with(path) || self.root.starts_with(path)
    }

    fn done(self) -> Toolchains {
        let mut toolchains = self.toolchains;
        // What lies in another read-only mount is there already.
        let all: Vec<PathBuf> = toolchains
            .exposed
            .iter()
            .map(|exposed| exposed.mount.target.clone())
            .collect();
        toolchains.exposed.retain(|exposed| {
            let target = &exposed.mount.target;
            let held = |other: &PathBuf| target.starts_with(other) && target != other;
            let private = toolchains.cargo_home.as_ref();
            let cargos = private.is_some_and(|home| home.holds(target));
            !cargos && (exposed.mount.source != *target || !all.iter().any(held))
        });
        toolchains
    }
}

/// Whether the base system shows this path anyway.
fn in_base(path: &Path) -> bool {
    const BASE: [&str; 8] = [
        "/usr",
        "/bin",
        "/sbin",
        "/lib",
        "/lib64",
        "/nix/store",
        "/gnu/store",
        "/run/current-system",
    ];
    BASE.iter().any(|base| path.starts_with(base))
}

/// Looks the programs up on the final search path; cargo and its kin past rustup's proxies.
fn programs(path: &OsString, rust: &rust::Rust) -> Vec<Program> {
    let dirs: Vec<PathBuf> = std::env::split_paths(path).collect();
    let on_path = |name: &str| {
        dirs.iter()
            .map(|dir| dir.join(name))
            .find(|path| data::executable(path))
    };
    PROGRAMS
        .iter()
        .filter_map(|name| {
            let found = rust.program(name).or_else(|| on_path(name))?;
            // Another toolchain must not answer for the one that is missing.
            let missing = rust.missing && rust::PROXIED.contains(name);
            (!missing).then(|| program(name, found, rust)).flatten()
        })
        .collect()
}

fn program(name: &str, path: PathBuf, rust: &rust::Rust) -> Option<Program> {
    let stat = std::fs::metadata(&path).ok()?;
    let version = match rust::PROXIED.contains(&name) {
        true => rust.toolchain.clone(),
        false => python::version_of(&path),
    };
    Some(Program {
        name: name.to_owned(),
        path,
        version,
        size: stat.size(),
        modified_ns: i128::from(stat.mtime()) * 1_000_000_000 + i128::from(stat.mtime_nsec()),
    })
}
