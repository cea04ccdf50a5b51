//! What detection looks at: names of manifests and tests, and the contents of a few of them.

use crate::suite::setup;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::ResolveFlags;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::path::PathBuf;

/// Manifests above this size are looked at only as far as this.
const MAX_CONTENT: u64 = 1 << 20;

/// Python test files whose contents are looked at; one with evidence is enough.
const MAX_TESTS: usize = 64;

/// What tells that something is installed in a directory that git mostly ignores.
const INSTALLED: [&str; 10] = [
    ".venv/pyvenv.cfg",
    "venv/pyvenv.cfg",
    "env/pyvenv.cfg",
    "node_modules/.bin/jest",
    "node_modules/.bin/vitest",
    "node_modules/.bin/mocha",
    "node_modules/.bin/react-scripts",
    "vendor/bin/phpunit",
    "bin/rails",
    "bin/rspec",
];

/// Directories whose crates and tests belong to somebody else, or are meant to fail.
const FOREIGN: [&str; 11] = [
    "fixtures",
    "testdata",
    "test-data",
    "test_data",
    "vendor",
    "third_party",
    "third-party",
    "node_modules",
    "site-packages",
    "target",
    ".git",
];

/// Names and contents that detection works on, all relative to the project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    names: BTreeSet<PathBuf>,
    contents: BTreeMap<PathBuf, String>,
}

impl Listing {
    /// A listing from names and a way to read the few files whose contents matter.
    pub fn new(
        names: impl IntoIterator<Item = PathBuf>,
        read: impl Fn(&Path) -> Option<String>,
    ) -> Self {
        let mut listing = Listing::default();
        let mut tests = 0;
        for name in names {
            if !wanted(&name) {
                continue;
            }
            let is_test = is_evidence(&name);
            tests += usize::from(is_test);
            if (!is_test || tests <= MAX_TESTS)
                && !is_jvm_test(&name)
                && !setup::is_input(&name)
                && let Some(content) = read(&name)
            {
                listing.contents.insert(name.clone(), content);
            }
            listing.names.insert(name);
        }
        listing
    }

    /// Reads a project's directory: what git does not ignore, without following any link, and
    /// the marks of virtual environments, which git usually ignores.
    pub fn read(root: &Path) -> std::io::Result<Self> {
        let dir = open_dir(root)?;
        let walk = ignore::WalkBuilder::new(root)
            .hidden(false)
            .follow_links(false)
            .require_git(false)
            .git_global(false)
            .filter_entry(|entry| !is_foreign(entry.file_name()))
            .build();
        // What cannot be read is no evidence; the mirror reports it.
        let mut names: BTreeSet<PathBuf> = walk
            .flatten()
            .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
            .filter_map(|entry| Some(entry.path().strip_prefix(root).ok()?.to_owned()))
            .filter(|name| wanted(name))
            .collect();
        let dirs: BTreeSet<PathBuf> = names
            .iter()
            .filter_map(|name| name.parent().map(Path::to_owned))
            .chain([PathBuf::new()])
            .collect();
        for dir in dirs {
            for mark in INSTALLED.iter().map(|mark| dir.join(mark)) {
                if root.join(&mark).is_file() {
                    names.insert(mark);
                }
            }
        }
        Ok(Listing::new(names, |name| read_confined(&dir, name)))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &Path> {
        self.names.iter().map(PathBuf::as_path)
    }

    /// Whether the name is there.
    pub fn has(&self, name: &Path) -> bool {
        self.names.contains(name)
    }

    /// The content of a manifest.
    pub fn content(&self, name: &Path) -> Option<&str> {
        self.contents.get(name).map(String::as_str)
    }

    /// The directories that hold a file of this name.
    pub fn dirs_with<'a>(&'a self, file: &'a str) -> impl Iterator<Item = &'a Path> {
        self.names()
            .filter(move |name| name.file_name() == Some(OsStr::new(file)))
            .filter_map(Path::parent)
    }
}

/// Whether a name can matter for detection.
fn wanted(name: &Path) -> bool {
    if INSTALLED.iter().any(|mark| name.ends_with(mark)) {
        return true;
    }
    if name.iter().any(is_foreign) {
        return false;
    }
    let Some(file) = name.file_name().and_then(OsStr::to_str) else {
        return false;
    };
    matches!(
        file,
        "Cargo.toml"
            | "package.json"
            | "pnpm-workspace.yaml"
            | "go.mod"
            | "go.work"
            | "CMakeLists.txt"
            | "CMakePresets.json"
            | "Gemfile"
            | "Gemfile.lock"
            | "Rakefile"
            | ".rspec"
            | "composer.json"
            | "phpunit.xml"
            | "phpunit.xml.dist"
            | "phpunit.dist.xml"
            | "pom.xml"
            | "mvnw"
            | "gradlew"
            | "build.gradle"
            | "build.gradle.kts"
            | "settings.gradle"
            | "settings.gradle.kts"
            | "Makefile"
            | "GNUmakefile"
            | "makefile"
            | "justfile"
            | "Justfile"
            | ".justfile"
            | "manage.py"
            | "noxfile.py"
            | "Makefile.PL"
            | "Build.PL"
            | "cpanfile"
            | "dist.ini"
            | "pyproject.toml"
            | "pytest.ini"
            | ".pytest.ini"
            | "pytest.toml"
            | "setup.cfg"
            | "setup.py"
            | "tox.ini"
            | "conftest.py"
            | "pyvenv.cfg"
    ) || name.ends_with(".config/nextest.toml")
        || name.ends_with(".cargo/config.toml")
        || is_config_of(
            file,
            &[
                "jest.config.",
                "vitest.config.",
                "vitest.workspace.",
                ".mocharc.",
            ],
        )
        || is_evidence(name)
        || is_jvm_test(name)
        || setup::is_input(name)
}

fn is_config_of(file: &str, starts: &[&str]) -> bool {
    starts.iter().any(|start| file.starts_with(start))
}

/// Whether a file's name says that it is a test, so that its content may prove whose.
fn is_evidence(name: &Path) -> bool {
    let Some(file) = name.file_name().and_then(OsStr::to_str) else {
        return false;
    };
    let ends = [
        "_test.go", "_spec.rb", "_test.rb", ".bats", ".t", "Test.php",
    ];
    let ruby = file.starts_with("test_") && file.ends_with(".rb");
    is_python_test(name)
        || ruby
        || ends.iter().any(|end| file.ends_with(end))
        || is_javascript_test(file)
}

/// A source below `src/test`, `src/integrationTest` and the like, as Maven and Gradle lay them out.
pub fn is_jvm_test(name: &Path) -> bool {
    let kind = name.extension().and_then(OsStr::to_str);
    let source = kind.is_some_and(|kind| matches!(kind, "java" | "kt" | "groovy" | "scala"));
    let of_tests =
        |set: &OsStr| set == "test" || set.to_str().is_some_and(|set| set.ends_with("Test"));
    let mut parts = name.iter().skip_while(|part| *part != "src").skip(1);
    source && parts.next().is_some_and(of_tests)
}

/// `a.test.js`, `a.spec.ts`: what Jest, Vitest and Node's own runner look for.
pub fn is_javascript_test(file: &str) -> bool {
    let Some((stem, kind)) = file.rsplit_once('.') else {
        return false;
    };
    let language = matches!(
        kind,
        "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx"
    );
    language && (stem.ends_with(".test") || stem.ends_with(".spec") || stem.ends_with("_test"))
}

fn is_foreign(name: &OsStr) -> bool {
    FOREIGN.iter().any(|foreign| name == OsStr::new(foreign))
}

/// Whether pytest would collect a file of this name.
pub fn is_python_test(name: &Path) -> bool {
    name.file_name()
        .and_then(OsStr::to_str)
        .is_some_and(|file| {
            file.strip_suffix(".py")
                .is_some_and(|stem| stem.starts_with("test_") || stem.ends_with("_test"))
        })
}

fn open_dir(root: &Path) -> std::io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
    Ok(rustix::fs::open(root, flags, Mode::empty())?)
}

/// The beginning of a regular file below `dir`, without following any link.
fn read_confined(dir: &OwnedFd, name: &Path) -> Option<String> {
    let fd = rustix::fs::openat2(
        dir,
        name,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    )
    .ok()?;
    let file = std::fs::File::from(fd);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MAX_CONTENT).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
