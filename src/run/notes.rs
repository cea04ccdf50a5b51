//! Failures that the sandbox may have caused: the probable cause and its remedy. Pure.

use crate::model::Note;
use crate::model::Report;
use crate::sandbox::Network;
use std::path::Path;

/// What the notes depend on.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The project as the tests saw it.
    pub root: &'a Path,
    /// The home directory as the tests saw it.
    pub home: &'a Path,
    /// What they could talk to.
    pub network: Network,
    /// Whether there was a sandbox at all.
    pub sandboxed: bool,
}

/// One cause: words of which any betrays it, its code, what it is, what to do.
type Cause = (
    &'static [&'static str],
    &'static str,
    &'static str,
    &'static str,
);

const NETWORK: Cause = (
    &[
        "connection refused",
        "network is unreachable",
        "temporary failure in name resolution",
        "name or service not known",
        "failed to lookup address",
        "could not resolve host",
        "no address associated with hostname",
        "nodename nor servname",
        "dns error",
    ],
    "no_network",
    "the sandbox has no network, and this looks like an attempt to use it",
    "let the test start its own server, or allow the network with `network = \"host\"` in the user's config.toml",
);

const ALWAYS: [Cause; 9] = [
    (
        &["no module named pytest", "no module named 'pytest'"],
        "pytest_missing",
        "pytest is not installed for the Python that was used",
        "install it into the project's `.venv`, activate the environment that has it, or set `command` of the suite",
    ),
    (
        &["no such command: `nextest`", "no such command: nextest"],
        "nextest_missing",
        "cargo-nextest is not installed",
        "install it with `cargo install cargo-nextest --locked`, or set `framework = \"cargo\"` for the suite",
    ),
    (
        &[
            "you're using offline mode",
            "offline was specified",
            "--offline was specified",
            "attempting to make an http request, but",
            "failed to download from `",
            "failed to download `",
            "unable to update registry",
            "download of config.json failed",
        ],
        "dependency_missing",
        "a dependency is not on this machine, and the sandbox has no network to fetch it",
        "run `cargo fetch` in the project once, then run again",
    ),
    (
        &[
            "is not installed\n",
            "toolchain may not be installed",
            "no override and no default toolchain",
            "override toolchain",
        ],
        "toolchain_missing",
        "the toolchain that the project asks for is not installed",
        "install it with `rustup toolchain install` in the project",
    ),
    (
        &[
            "linker `cc` not found",
            "linker `clang` not found",
            "failed to find tool",
            "is `cc` installed",
        ],
        "compiler_missing",
        "a C compiler is missing",
        "install one (Debian, Ubuntu: `apt install build-essential`; Fedora: `dnf install gcc`; Arch: `pacman -S base-devel`)",
    ),
    (
        &["not a git repository", "could not find repository"],
        "no_git_directory",
        "the sandbox holds the project's files without their git directory",
        "let the test make a repository of its own, or skip it where there is none",
    ),
    (
        &[
            "'.env'", "`.env`", "\".env\"", "/.env'", "/.env:", "/.env\"",
        ],
        "left_out",
        "`.env` looks like credentials, so it was not copied into the sandbox",
        "name it in `include` of the user's config.toml, or commit an example for tests",
    ),
    (
        &[
            "docker.sock",
            "/var/run/",
            "dbus",
            "ssh-agent",
            "ssh_auth_sock",
            "x11-unix",
            ".s.pgsql",
        ],
        "missing_socket",
        "sockets of the host are not visible in the sandbox",
        "let the test start what it talks to, or mount the socket with `mounts` in the user's config.toml",
    ),
    (
        &["operation not permitted"],
        "not_permitted",
        "the sandbox forbids some system calls (mounts, new namespaces, tracing, kernel keys)",
        "see `regreen doctor` for what is forbidden; `--backend none` runs without a sandbox",
    ),
];

/// Adds notes to the failures of a report, and to the report as a whole where its output
/// betrays a cause.
pub fn add(report: &mut Report, output: &str, around: Surroundings<'_>) {
    for failure in &mut report.failures {
        let mut text = failure.message.clone();
        for more in [&failure.details, &failure.stdout, &failure.stderr] {
            text.push('\n');
            text.push_str(more.as_deref().unwrap_or_default());
        }
        failure.notes.extend(causes(&text, around));
    }
    let bad = !report.is_green();
    if bad
        && report
            .failures
            .iter()
            .all(|failure| failure.notes.is_empty())
    {
        for note in causes(output, around) {
            if !report.notes.iter().any(|known| known.code == note.code) {
                report.notes.push(note);
            }
        }
    }
}

/// The probable causes that a text betrays.
fn causes(text: &str, around: Surroundings<'_>) -> Vec<Note> {
    let lower = text.to_lowercase();
    let mut found: Vec<Note> = Vec::new();
    let sandbox_only = [
        "no_git_directory",
        "left_out",
        "missing_socket",
        "not_permitted",
    ];
    for cause in &ALWAYS {
        if (around.sandboxed || !sandbox_only.contains(&cause.1)) && betrayed(&lower, cause) {
            found.push(note(cause));
        }
    }
    if around.sandboxed && around.network == Network::None && betrayed(&lower, &NETWORK) {
        // A missing dependency says "could not resolve host" too, and explains more.
        if !found.iter().any(|note| note.code == "dependency_missing") {
            found.push(note(&NETWORK));
        }
    }
    if around.sandboxed
        && let Some(path) = outside(text, around)
    {
        found.push(
            Note::new(
                "path_outside",
                format!("`{path}` lies outside the project and does not exist in the sandbox"),
            )
            .remedy("copy what the test needs into the project, or mount it with `mounts` in the user's config.toml"),
        );
    }
    found
}

fn betrayed(lower: &str, cause: &Cause) -> bool {
    let named = |word: &&str| lower.contains(*word);
    match cause.1 {
        // The name alone says nothing: it has to be missing.
        "left_out" | "missing_socket" => {
            cause.0.iter().any(named)
                && [
                    "no such file",
                    "not found",
                    "does not exist",
                    "refused",
                    "cannot connect",
                    "could not",
                ]
                .iter()
                .any(named)
        }
        _ => cause.0.iter().any(named),
    }
}

fn note(cause: &Cause) -> Note {
    Note::new(cause.1, cause.2).remedy(cause.3)
}

/// A path below the home directory, outside the project, that was not found.
fn outside(text: &str, around: Surroundings<'_>) -> Option<String> {
    if let Some(manifest) = manifest_outside(text, around) {
        return Some(manifest);
    }
    let line = text.lines().find(|line| {
        let lower = line.to_lowercase();
        lower.contains("no such file") || lower.contains("filenotfounderror")
    })?;
    line.split(['\'', '"', '`', ' ', ','])
        .map(|word| word.trim_end_matches([':', '.', ')']))
        .find(|word| {
            let path = Path::new(word);
            path.starts_with(around.home) && path != around.home && !path.starts_with(around.root)
        })
        .map(str::to_owned)
}

/// The directory of a path dependency, beside the project, that cargo did not find.
fn manifest_outside(text: &str, around: Surroundings<'_>) -> Option<String> {
    let (_, rest) = text.split_once("failed to read `")?;
    let manifest = Path::new(rest.split('`').next()?);
    let names_one = manifest.is_absolute() && manifest.ends_with("Cargo.toml");
    let dir = manifest.parent().filter(|_| names_one)?;
    (!dir.starts_with(around.root)).then(|| dir.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str, sandboxed: bool) -> Vec<String> {
        let around = Surroundings {
            root: Path::new("/home/ada/p"),
            home: Path::new("/home/ada"),
            network: Network::None,
            sandboxed,
        };
        causes(text, around)
            .into_iter()
            .map(|note| note.code)
            .collect()
    }

    #[test]
    fn each_cause_is_recognised_and_others_are_not() {
        for (text, expected) in [
            (
                "ConnectionRefusedError: [Errno 111] Connection refused",
                "no_network",
            ),
            (
                "error: failed to download from `https://index.crates.io/config.json`\nCould not resolve host: index.crates.io",
                "dependency_missing",
            ),
            (
                "error: toolchain '1.70.0-x86_64-unknown-linux-gnu' is not installed\nhelp:",
                "toolchain_missing",
            ),
            ("/usr/bin/python3: No module named pytest", "pytest_missing"),
            (
                "FileNotFoundError: [Errno 2] No such file or directory: '/home/ada/data/x.csv'",
                "path_outside",
            ),
            (
                "error: failed to load manifest for dependency `dep`\n\nCaused by:\n  failed to read `/srv/dep/Cargo.toml`\n\nCaused by:\n  No such file or directory (os error 2)",
                "path_outside",
            ),
            (
                "FileNotFoundError: [Errno 2] No such file or directory: '.env'",
                "left_out",
            ),
            (
                "dial unix /var/run/docker.sock: connect: no such file or directory",
                "missing_socket",
            ),
            (
                "PermissionError: [Errno 1] Operation not permitted",
                "not_permitted",
            ),
            (
                "fatal: not a git repository (or any of the parent directories): .git",
                "no_git_directory",
            ),
        ] {
            assert_eq!(codes(text, true), [expected], "{text}");
        }
        for text in [
            "assertion failed: left == right",
            "No such file or directory: '/home/ada/p/data.csv'",
            "failed to read `/home/ada/p/dep/Cargo.toml`\n\nCaused by:\n  No such file or directory",
            "reads .env and docker.sock",
        ] {
            assert!(codes(text, true).is_empty(), "{text}");
        }
    }

    #[test]
    fn without_a_sandbox_only_what_is_missing_on_the_machine_counts() {
        assert!(codes("Connection refused", false).is_empty());
        assert!(codes("Operation not permitted", false).is_empty());
        assert_eq!(codes("No module named pytest", false), ["pytest_missing"]);
    }
}
