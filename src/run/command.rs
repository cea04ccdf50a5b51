//! What is started for a suite: the user's command with the framework's request for structure
//! added, and an environment made from nothing. Pure.

use crate::model::Framework;
use crate::model::Suite;
use crate::run::shim;
use regreen_parsers::Context;
use regreen_parsers::Format;
use regreen_parsers::Places;
use regreen_parsers::Refused;
use regreen_parsers::Request;
use regreen_parsers::pytest;
use regreen_parsers::request;
use std::path::Path;
use std::path::PathBuf;

/// Paths as the command sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// The project.
    pub root: PathBuf,
    /// The regreen binary, for the shim.
    pub shim: PathBuf,
    /// The directory for events.
    pub events: PathBuf,
    /// The reporters.
    pub inject: PathBuf,
}

impl Inside {
    /// The usual places beside the project's own path.
    pub fn usual(root: &Path) -> Self {
        let at = Path::new(shim::INSIDE);
        Inside {
            root: root.to_owned(),
            shim: at.join("bin/regreen"),
            events: at.join("events"),
            inject: at.join("inject"),
        }
    }
}

/// Which tests an attempt runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// The suite.
    Whole,
    /// The suite, with a process for each test.
    Isolated,
    /// This command, from the project's root.
    Rerun(&'a [String]),
    /// This command, from the suite's directory: a build without tests.
    Build(&'a [String]),
    /// These packages of a cargo workspace.
    Packages(&'a [String]),
}

/// What the attempt needs besides its mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// What is added to the toolchains' environment; later ones win.
    pub env: Vec<(String, String)>,
    /// The working directory, as the command sees it.
    pub cwd: PathBuf,
    /// How its output is read.
    pub format: Format,
    /// What the parser has to know.
    pub context: Context,
    /// Reporters: name and content of each file to be injected.
    pub files: Vec<(&'static str, &'static str)>,
    /// Report files that the tool writes into the project, as patterns from `cwd`.
    pub collect: Vec<String>,
    /// Why the command is not started.
    pub refused: Option<Refused>,
}

/// Facts about the machine and the project that a plan depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Variables of the user's that were asked for.
    pub passed: Vec<(String, String)>,
    /// No network: cargo and npm are told, so that they fail at once and say why.
    pub offline: bool,
    /// The project's own target runner, by target triple; chained behind the shim.
    pub runners: Vec<(String, Vec<String>)>,
}

/// The plan of one attempt.
pub fn plan(suite: &Suite, inside: &Inside, facts: &Facts, part: Part<'_>) -> Plan {
    let argv = match part {
        Part::Whole | Part::Isolated => suite.command.clone(),
        Part::Rerun(argv) | Part::Build(argv) => argv.to_vec(),
        Part::Packages(names) => packages(&suite.command, names),
    };
    let dir = match part {
        Part::Rerun(_) => PathBuf::new(),
        _ => suite.dir.clone(),
    };
    let mut env = base(facts);
    let mut asked = Request::default();
    let argv = match suite.framework {
        Framework::Cargo => {
            env.extend(cargo_env(inside, facts));
            if part == Part::Isolated {
                env.push((shim::ISOLATED.to_owned(), "1".to_owned()));
            }
            // Reading debug information takes about 70 ms: not in an early look.
            if matches!(part, Part::Whole | Part::Isolated) {
                env.push(("RUST_BACKTRACE".to_owned(), "1".to_owned()));
            }
            cargo(argv)
        }
        Framework::Nextest => {
            env.push(("CARGO_TERM_COLOR".into(), "never".into()));
            env.push(("NEXTEST_EXPERIMENTAL_LIBTEST_JSON".into(), "1".into()));
            env.push(("RUST_BACKTRACE".into(), "1".into()));
            nextest(argv, inside)
        }
        Framework::Pytest => {
            env.extend(pytest_env(suite, inside));
            pytest(argv, inside)
        }
        framework => {
            let (inject, events) = (
                inside.inject.to_string_lossy(),
                inside.events.to_string_lossy(),
            );
            let places = Places {
                inject: &inject,
                events: &events,
            };
            asked = request(framework.format(), &argv, &suite.env, places);
            if framework == Framework::GoTest && facts.offline {
                // So that it fails at once and says why.
                env.push(("GOPROXY".to_owned(), "off".to_owned()));
                env.push(("GOTOOLCHAIN".to_owned(), "local".to_owned()));
            }
            env.extend(asked.env.iter().cloned());
            std::mem::take(&mut asked.argv)
        }
    };
    let mut own = suite.env.clone();
    own.retain(|(name, _)| {
        // These were merged with what the reporter needs.
        let pytest = suite.framework == Framework::Pytest
            && matches!(name.as_str(), "PYTHONPATH" | "PYTEST_ADDOPTS");
        !pytest && !asked.env.iter().any(|(known, _)| known == name)
    });
    env.extend(own);
    Plan {
        argv,
        env,
        cwd: inside.root.join(&dir),
        format: suite.framework.format(),
        context: Context {
            root: Some(inside.root.to_string_lossy().into_owned()),
            dir: context_dir(suite, part),
            command: tool(suite),
            ..Context::default()
        },
        files: asked.files,
        collect: asked.collect,
        refused: asked.refused,
    }
}

/// Cargo and pytest name what they run from the root; others are started in their directory,
/// which the rerun's own words (`env --chdir`) say.
fn context_dir(suite: &Suite, part: Part<'_>) -> String {
    let from_root = matches!(
        suite.framework,
        Framework::Cargo | Framework::Nextest | Framework::Pytest | Framework::Generic
    );
    match part {
        Part::Rerun(_) if from_root => String::new(),
        _ => suite.dir.to_string_lossy().into_owned(),
    }
}

fn base(facts: &Facts) -> Vec<(String, String)> {
    let mut env = vec![("CI".to_owned(), "1".to_owned())];
    if facts.offline {
        // `npx jest` that is not installed would ask for the registry for minutes.
        env.push(("npm_config_offline".to_owned(), "true".to_owned()));
    }
    env.extend(facts.passed.iter().cloned());
    env
}

fn cargo_env(inside: &Inside, facts: &Facts) -> Vec<(String, String)> {
    let mut env: Vec<(String, String)> = [
        ("CARGO_TERM_COLOR", "never"),
        ("CARGO_TERM_PROGRESS_WHEN", "never"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    if facts.offline {
        env.push(("CARGO_NET_OFFLINE".to_owned(), "true".to_owned()));
    }
    let shim = format!("{} __runner", inside.shim.display());
    for triple in triples(facts) {
        let name = triple.to_ascii_uppercase().replace(['-', '.'], "_");
        let own = facts.runners.iter().position(|(known, _)| *known == triple);
        let runner = match own {
            Some(index) => format!("{shim} {}{index}", shim::CHAIN_ARG),
            None => shim.clone(),
        };
        env.push((format!("CARGO_TARGET_{name}_RUNNER"), runner));
    }
    let events = inside.events.to_string_lossy().into_owned();
    env.push((shim::EVENTS.to_owned(), events));
    if !facts.runners.is_empty() {
        let chains: Vec<Vec<String>> = facts
            .runners
            .iter()
            .map(|(_, chain)| absolute(chain, &inside.root))
            .collect();
        let chains = serde_json::to_string(&chains).unwrap_or_default();
        env.push((shim::CHAINS.to_owned(), chains));
    }
    env
}

/// A runner whose program is a path in the project.
fn absolute(chain: &[String], root: &Path) -> Vec<String> {
    let mut chain = chain.to_vec();
    if let Some(program) = chain.first_mut()
        && program.contains('/')
    {
        *program = root.join(&*program).to_string_lossy().into_owned();
    }
    chain
}

/// The targets that test binaries may be built for: this machine's, and those of the runners.
fn triples(facts: &Facts) -> Vec<String> {
    let arch = std::env::consts::ARCH;
    let mut triples: Vec<String> = ["gnu", "musl"]
        .iter()
        .map(|libc| format!("{arch}-unknown-linux-{libc}"))
        .collect();
    triples.extend(facts.runners.iter().map(|(triple, _)| triple.clone()));
    triples.sort();
    triples.dedup();
    triples
}

/// The name of nextest's configuration among what is injected.
pub const NEXTEST_CONFIG: &str = "nextest.toml";

/// Nextest's configuration: a JUnit file among the events, with the output of tests that
/// passed, which shows whether the harness said so.
pub fn nextest_config(events: &Path) -> String {
    let path = toml::Value::String(events.join("nextest.xml").to_string_lossy().into_owned());
    format!("[profile.default.junit]\npath = {path}\nstore-success-output = true\n")
}

/// Adds what makes cargo go through to the end and speak JSON.
fn cargo(argv: Vec<String>) -> Vec<String> {
    let verb = verb(&argv, &["test", "t"]);
    let Some(verb) = verb else { return argv };
    let has = |word: &str| {
        own_words(&argv).any(|arg| arg == word || arg.starts_with(&format!("{word}=")))
    };
    let mut added = Vec::new();
    if !has("--no-fail-fast") {
        added.push("--no-fail-fast".to_owned());
    }
    if !has("--message-format") {
        added.push("--message-format=json".to_owned());
    }
    insert(argv, verb + 1, added)
}

/// Adds what makes nextest go through to the end and speak JSON and JUnit.
fn nextest(argv: Vec<String>, inside: &Inside) -> Vec<String> {
    let Some(verb) = verb(&argv, &["run", "r"]) else {
        return argv;
    };
    let has = |word: &str| {
        own_words(&argv).any(|arg| arg == word || arg.starts_with(&format!("{word}=")))
    };
    let mut added = Vec::new();
    if !has("--no-fail-fast") && !has("--fail-fast") {
        added.push("--no-fail-fast".to_owned());
    }
    if !has("--message-format") {
        added.push("--message-format=libtest-json-plus".to_owned());
    }
    let config = inside.inject.join(NEXTEST_CONFIG);
    added.push(format!("--tool-config-file=regreen:{}", config.display()));
    insert(argv, verb + 1, added)
}

/// The words before `--`, which are cargo's own.
fn own_words(argv: &[String]) -> impl Iterator<Item = &str> {
    argv.iter()
        .map(String::as_str)
        .take_while(|arg| *arg != "--")
}

/// Where the verb of a cargo command stands; `None` when this is no cargo command.
fn verb(argv: &[String], verbs: &[&str]) -> Option<usize> {
    let program = argv.first()?.rsplit('/').next()?;
    if program != "cargo" && program != "cargo-nextest" {
        return None;
    }
    own_words(argv)
        .skip(1)
        .position(|arg| verbs.contains(&arg))
        .map(|at| at + 1)
}

fn insert(mut argv: Vec<String>, at: usize, added: Vec<String>) -> Vec<String> {
    argv.splice(at..at, added);
    argv
}

fn pytest_env(suite: &Suite, inside: &Inside) -> Vec<(String, String)> {
    let own = |name: &str| {
        let value = suite.env.iter().rev().find(|(key, _)| key == name);
        value.map(|(_, value)| value.as_str())
    };
    let inject = inside.inject.to_string_lossy();
    let path = match own("PYTHONPATH") {
        Some(path) => format!("{inject}:{path}"),
        None => inject.into_owned(),
    };
    let reporter = format!("-p {}", pytest::REPORTER_NAME);
    let options = match own("PYTEST_ADDOPTS") {
        Some(options) => format!("{reporter} {options}"),
        None => reporter,
    };
    let events = inside.events.join("pytest.ndjson");
    vec![
        ("PYTHONPATH".to_owned(), path),
        ("PYTEST_ADDOPTS".to_owned(), options),
        (
            pytest::EVENTS_VARIABLE.to_owned(),
            events.to_string_lossy().into_owned(),
        ),
    ]
}

/// `python -m pytest ARGS` through the launcher, so that no `./pytest.py` stands in its place.
fn pytest(argv: Vec<String>, inside: &Inside) -> Vec<String> {
    let module = argv.windows(2).position(|pair| pair == ["-m", "pytest"]);
    // The interpreter may stand behind `uv run` and its like, and before options of its own.
    let python = |at: usize| argv[..at].iter().any(|word| is_python(Some(word)));
    match module {
        Some(at) if python(at) => {
            let launcher = inside.inject.join("launch.py");
            let mut argv = argv;
            argv.splice(at..at + 2, [launcher.to_string_lossy().into_owned()]);
            argv
        }
        _ => argv,
    }
}

fn is_python(program: Option<&String>) -> bool {
    program
        .and_then(|program| program.rsplit('/').next())
        .is_some_and(|name| name.starts_with("python") || name.starts_with("pypy"))
}

/// The command without any selection of tests: what a rerun begins with.
pub fn tool(suite: &Suite) -> Vec<String> {
    let argv = &suite.command;
    match suite.framework {
        Framework::Cargo | Framework::Nextest => cargo_tool(suite),
        Framework::Pytest => {
            let at = argv.iter().position(|word| {
                word == "pytest" || word.ends_with("/pytest") || word == "py.test"
            });
            // A virtual environment is named relative to the suite's directory.
            let mut tool = at.map_or(Vec::new(), |at| argv[..=at].to_vec());
            if let Some(program) = tool.first_mut()
                && program.contains('/')
                && !program.starts_with('/')
            {
                let from_root = lexical(&suite.dir.join(program.as_str()));
                *program = from_root.to_string_lossy().into_owned();
            }
            tool
        }
        framework => regreen_parsers::tool(framework.format(), argv),
    }
}

/// Flags of cargo that a rerun keeps, and whether they take a value.
const KEPT: [(&str, bool); 11] = [
    ("--all-features", false),
    ("--no-default-features", false),
    ("--features", true),
    ("-F", true),
    ("--release", false),
    ("-r", false),
    ("--profile", true),
    ("--target", true),
    ("--locked", false),
    ("--config", true),
    ("-Z", true),
];

fn cargo_tool(suite: &Suite) -> Vec<String> {
    let verbs: &[&str] = match suite.framework {
        Framework::Nextest => &["run", "r"],
        _ => &["test", "t"],
    };
    let Some(verb) = verb(&suite.command, verbs) else {
        return Vec::new();
    };
    let mut tool = suite.command[..=verb].to_vec();
    if !suite.dir.as_os_str().is_empty() {
        let manifest = suite.dir.join("Cargo.toml");
        tool.push("--manifest-path".to_owned());
        tool.push(manifest.to_string_lossy().into_owned());
    }
    let mut rest = own_words(&suite.command[verb + 1..]);
    while let Some(word) = rest.next() {
        for (flag, valued) in KEPT {
            if word == flag {
                tool.push(word.to_owned());
                tool.extend(rest.by_ref().take(usize::from(valued)).map(str::to_owned));
                break;
            } else if valued && word.starts_with(&format!("{flag}=")) {
                tool.push(word.to_owned());
            }
        }
    }
    tool
}

/// The suite's command for some packages only.
fn packages(command: &[String], names: &[String]) -> Vec<String> {
    let end = command
        .iter()
        .position(|word| word == "--")
        .unwrap_or(command.len());
    let mut argv: Vec<String> = command[..end]
        .iter()
        .filter(|word| !matches!(word.as_str(), "--workspace" | "--all"))
        .cloned()
        .collect();
    for name in names {
        argv.extend(["-p".to_owned(), name.clone()]);
    }
    argv.extend_from_slice(&command[end..]);
    argv
}

fn lexical(path: &Path) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                whole.pop();
            }
            std::path::Component::CurDir => {}
            part => whole.push(part),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Limits;

    fn suite(framework: Framework, dir: &str, command: &str) -> Suite {
        Suite {
            name: "s".into(),
            framework,
            dir: dir.into(),
            command: command.split(' ').map(str::to_owned).collect(),
            env: vec![("PYTHONPATH".into(), "lib".into())],
            carry: Vec::new(),
            services: Vec::new(),
            setup: None,
            artifacts: Vec::new(),
            limits: Limits::default(),
            why: String::new(),
        }
    }

    fn inside() -> Inside {
        Inside {
            root: "/p".into(),
            shim: "/run/regreen/bin/regreen".into(),
            events: "/run/regreen/events".into(),
            inject: "/run/regreen/inject".into(),
        }
    }

    fn planned(framework: Framework, dir: &str, command: &str, part: Part<'_>) -> Plan {
        plan(
            &suite(framework, dir, command),
            &inside(),
            &Facts::default(),
            part,
        )
    }

    #[test]
    fn cargo_is_asked_for_structure_before_the_binaries_arguments() {
        for (command, expected) in [
            (
                "cargo test",
                "cargo test --no-fail-fast --message-format=json",
            ),
            (
                "cargo +nightly test --workspace -- --test-threads 1 --no-fail-fast",
                "cargo +nightly test --no-fail-fast --message-format=json --workspace -- --test-threads 1 --no-fail-fast",
            ),
            (
                "cargo test --message-format=short",
                "cargo test --no-fail-fast --message-format=short",
            ),
            ("make test", "make test"),
        ] {
            let plan = planned(Framework::Cargo, "", command, Part::Whole);
            assert_eq!(plan.argv.join(" "), expected);
        }
    }

    #[test]
    fn python_s_module_is_started_through_the_launcher() {
        let plan = planned(
            Framework::Pytest,
            "app",
            "../.venv/bin/python -X dev -m pytest -q",
            Part::Whole,
        );
        assert_eq!(
            plan.argv.join(" "),
            "../.venv/bin/python -X dev /run/regreen/inject/launch.py -q"
        );
        assert_eq!(plan.cwd, Path::new("/p/app"));
        assert_eq!(
            plan.context.command,
            [".venv/bin/python", "-X", "dev", "-m", "pytest"]
        );
        let path = plan.env.iter().rev().find(|(name, _)| name == "PYTHONPATH");
        assert_eq!(
            path.map(|(_, path)| path.as_str()),
            Some("/run/regreen/inject:lib")
        );
        let plan = planned(Framework::Pytest, "", "pytest -q", Part::Whole);
        assert_eq!(plan.argv.join(" "), "pytest -q");
    }

    #[test]
    fn a_rerun_keeps_features_and_drops_selections() {
        let plan = planned(
            Framework::Cargo,
            "tools",
            "cargo test --workspace --features a -p b --all-features name -- --ignored",
            Part::Whole,
        );
        assert_eq!(
            plan.context.command.join(" "),
            "cargo test --manifest-path tools/Cargo.toml --features a --all-features"
        );
    }

    #[test]
    fn packages_stand_in_for_the_workspace() {
        let names = ["a".to_owned(), "b".to_owned()];
        let plan = planned(
            Framework::Cargo,
            "",
            "cargo test --workspace -- -q",
            Part::Packages(&names),
        );
        assert_eq!(
            plan.argv.join(" "),
            "cargo test --no-fail-fast --message-format=json -p a -p b -- -q"
        );
    }

    #[test]
    fn nothing_that_names_an_agent_or_bootstraps_rustc_is_set() {
        for framework in [Framework::Cargo, Framework::Pytest, Framework::Nextest] {
            let plan = planned(framework, "", "cargo test", Part::Whole);
            for (name, _) in plan.env {
                assert!(!["RUSTC_BOOTSTRAP", "AI_AGENT", "CLAUDECODE"].contains(&name.as_str()));
            }
        }
    }
}
