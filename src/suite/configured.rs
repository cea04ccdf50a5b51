//! The suites in force: what was detected, with the configuration laid over it.

use crate::config::Config;
use crate::config::ReadyTable;
use crate::config::ServiceTable;
use crate::config::SuiteTable;
use crate::config::Time;
use crate::config::assignments;
use crate::config::guess_framework;
use crate::config::nearest;
use crate::model::Framework;
use crate::model::Ready;
use crate::model::Service;
use crate::model::Suite;
use crate::suite::Listing;
use crate::suite::detect;
use crate::suite::matrix;
use crate::suite::python;
use crate::suite::setup;
use std::path::Path;
use std::path::PathBuf;

/// Why the suites of a project cannot be worked out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// A new suite says neither how it runs nor which framework it has.
    #[error(
        "suite `{name}` is not detected here, so it needs a `command` or a `framework` in regreen.toml"
    )]
    Unknown {
        /// The suite's name.
        name: String,
    },
    /// A suite whose framework has no usual command has none.
    #[error("suite `{name}` has framework `{}`, so it needs a `command` in regreen.toml", framework.as_str())]
    NoCommand {
        /// The suite's name.
        name: String,
        /// Its framework.
        framework: Framework,
    },
    /// A suite is switched off that nobody switched on.
    #[error(
        "regreen.toml switches off the suite `{name}` (`enabled = false`), which is not detected here{hint}"
    )]
    NothingToDisable {
        /// The suite's name.
        name: String,
        /// Which was probably meant.
        hint: String,
    },
    /// A key of a matrix changes nothing.
    #[error(
        "regreen.toml: nothing in suite `{name}` uses `{key}` of its `matrix`: say `{{{key}}}` in its \
         `command`, `env` or `carry`, or write it in capitals for a variable"
    )]
    UnusedKey {
        /// The suite's name.
        name: String,
        /// The key.
        key: String,
    },
    /// The directory of a suite is not there.
    #[error("regreen.toml: `dir = \"{}\"` of the suite `{name}` is no directory of the project", dir.display())]
    NoDirectory {
        /// The suite's name.
        name: String,
        /// Its directory.
        dir: PathBuf,
    },
    /// The project's directory cannot be read.
    #[error("failed to read `{}`", path.display())]
    Unreadable {
        /// The project's directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The suites of the project at `root`, whose directories are all there.
pub fn suites_at(root: &Path, config: &Config) -> Result<Vec<Suite>, SuiteError> {
    let listing = Listing::read(root).map_err(|source| SuiteError::Unreadable {
        path: root.to_owned(),
        source,
    })?;
    let suites = suites(&listing, config)?;
    match suites.iter().find(|suite| !root.join(&suite.dir).is_dir()) {
        Some(lost) => Err(SuiteError::NoDirectory {
            name: lost.name.clone(),
            dir: lost.dir.clone(),
        }),
        None => Ok(suites),
    }
}

/// The suites of a project.
pub fn suites(listing: &Listing, config: &Config) -> Result<Vec<Suite>, SuiteError> {
    let mut suites = if config.detect {
        detect(listing)
    } else {
        Vec::new()
    };
    for suite in &mut suites {
        suite.limits = config.limits;
    }
    let detected: Vec<String> = suites.iter().map(|suite| suite.name.clone()).collect();
    for table in &config.suites {
        let known = suites.iter().position(|suite| suite.name == table.name);
        match known {
            Some(at) if table.enabled == Some(false) => {
                suites.remove(at);
            }
            None if table.enabled == Some(false) => nothing_to_disable(config, table, &detected)?,
            Some(at) => change(&mut suites[at], table),
            None => suites.push(add(listing, config, table)?),
        }
    }
    for suite in &mut suites {
        let mut tables = config.suites.iter().rev();
        let asked = tables.find(|table| table.name == suite.name && table.setup.is_some());
        let asked = asked.and_then(|table| table.setup.as_ref());
        let services = config
            .suites
            .iter()
            .filter(|table| table.name == suite.name);
        suite.services = services
            .flat_map(|table| table.service.iter().flatten())
            .map(service)
            .collect();
        suite.setup = setup::of(listing, &config.setup, suite, asked);
    }
    with_matrices(suites, config)
}

/// Puts the combinations in the place of each suite that has a matrix; of several tables about
/// it the last one counts.
fn with_matrices(suites: Vec<Suite>, config: &Config) -> Result<Vec<Suite>, SuiteError> {
    let mut all = Vec::new();
    for suite in suites {
        let tables = config.suites.iter().rev();
        let mut matrices = tables
            .filter(|table| table.name == suite.name)
            .filter_map(|table| table.matrix.as_ref());
        match matrices.next() {
            Some(matrix) => all.extend(matrix::expand(&suite, matrix)?),
            None => all.push(suite),
        }
    }
    Ok(all)
}

/// How long a service may take to get ready where nobody says.
const SERVICE_MS: u64 = 30_000;

fn service(table: &ServiceTable) -> Service {
    Service {
        name: table.name.clone(),
        command: table.command.0.clone(),
        env: table.env.clone().unwrap_or_default().into_iter().collect(),
        ready: match &table.ready {
            ReadyTable::Tcp(port) => Ready::Tcp(*port),
            ReadyTable::Http(url) => Ready::Http(url.clone()),
            ReadyTable::Log(text) => Ready::Log(text.clone()),
            ReadyTable::Command(command) => Ready::Command(command.0.clone()),
        },
        timeout_ms: table.timeout.map_or(SERVICE_MS, Time::millis),
    }
}

/// Whoever switches off what is not there most likely mistyped what should not run. A suite of
/// the configuration's own may be switched off, and without detection nothing can be missed.
fn nothing_to_disable(
    config: &Config,
    table: &SuiteTable,
    detected: &[String],
) -> Result<(), SuiteError> {
    if !config.detect || table.command.is_some() || table.framework.is_some() {
        return Ok(());
    }
    let known: Vec<&str> = detected.iter().map(String::as_str).collect();
    let hint = match nearest(&table.name, &known) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if known.is_empty() => String::new(),
        None => format!("; there is `{}`", known.join("`, `")),
    };
    Err(SuiteError::NothingToDisable {
        name: table.name.clone(),
        hint,
    })
}

/// Why there is no suite where there is none: what was looked for, and the remedy.
pub fn why_none(config: &Config) -> &'static str {
    let off = |table: &SuiteTable| table.enabled == Some(false);
    match (config.detect, config.suites.iter().any(off)) {
        (_, true) => {
            "its regreen.toml switches off every one (`enabled = false`): take that out, or name \
             another one with `[[suite]]`"
        }
        (false, _) => {
            "nothing was looked for, because of `detect = false`, and no `[[suite]]` is named: take \
             that out, or name one with `[[suite]]` in regreen.toml"
        }
        (true, _) => {
            "nothing that says how to test was found (Cargo.toml, pytest, package.json, go.mod, \
             CMake, Gemfile, PHPUnit, Maven, Gradle, bats, prove, a `test` target of a Makefile); \
             name one with `[[suite]]` in regreen.toml"
        }
    }
}

fn change(suite: &mut Suite, table: &SuiteTable) {
    if let Some(command) = &table.command {
        let (set, command) = assignments(&command.0);
        suite.framework = guess_framework(&command);
        suite.command = command;
        suite.env.extend(set);
    }
    if let Some(framework) = table.framework {
        suite.framework = framework;
    }
    if let Some(dir) = &table.dir {
        suite.dir.clone_from(dir);
    }
    if let Some(carry) = &table.carry {
        suite.carry.extend(carry.iter().cloned());
    }
    if let Some(artifacts) = &table.artifacts {
        suite.artifacts.clone_from(artifacts);
    }
    for (name, value) in table.env.iter().flatten() {
        suite.env.push((name.clone(), value.clone()));
    }
    suite.limits.wall_ms = table.timeout.map_or(suite.limits.wall_ms, Time::millis);
    suite.limits.silence_ms = table.silence.map_or(suite.limits.silence_ms, Time::millis);
    suite.why = format!("{}; changed by `[[suite]]` in the configuration", suite.why);
}

fn add(listing: &Listing, config: &Config, table: &SuiteTable) -> Result<Suite, SuiteError> {
    let dir = table.dir.clone().unwrap_or_default();
    let by_name = table.name.split('@').next().and_then(Framework::named);
    let by_command = table
        .command
        .as_ref()
        .map(|argv| guess_framework(&assignments(&argv.0).1));
    let framework =
        table
            .framework
            .or(by_command)
            .or(by_name)
            .ok_or_else(|| SuiteError::Unknown {
                name: table.name.clone(),
            })?;
    let (command, venv) = match (&table.command, framework) {
        (Some(command), _) => (assignments(&command.0).1, None),
        (None, Framework::Pytest) => python::default_command(listing, &dir),
        (None, framework) => match usual(framework) {
            Some(command) => (words(command), None),
            None => {
                return Err(SuiteError::NoCommand {
                    name: table.name.clone(),
                    framework,
                });
            }
        },
    };
    let mut suite = Suite {
        name: table.name.clone(),
        framework,
        dir,
        command: Vec::new(),
        env: Vec::new(),
        carry: venv.into_iter().collect(),
        services: Vec::new(),
        setup: None,
        artifacts: Vec::new(),
        limits: config.limits,
        why: String::new(),
    };
    change(&mut suite, table);
    suite.command = command;
    suite.framework = framework;
    suite.why = "named by `[[suite]]` in the configuration".to_owned();
    Ok(suite)
}

/// The command that runs all tests of a framework where nobody says how.
fn usual(framework: Framework) -> Option<&'static str> {
    Some(match framework {
        Framework::Cargo => "cargo test",
        Framework::Nextest => "cargo nextest run",
        Framework::Pytest => "python3 -m pytest",
        Framework::Unittest => "python3 -m unittest",
        Framework::GoTest => "go test ./...",
        Framework::Jest => "npx jest",
        Framework::Vitest => "npx vitest run",
        Framework::Mocha => "npx mocha",
        Framework::NodeTest => "node --test",
        Framework::Ctest => "ctest --test-dir build",
        Framework::Rspec => "rspec",
        Framework::Minitest => "rake test",
        Framework::Phpunit => "phpunit",
        Framework::Bats => "bats test",
        Framework::Prove => "prove -r",
        Framework::Gtest | Framework::Tap | Framework::Junit | Framework::Generic => return None,
    })
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}
