//! What has to be installed before the tests of a suite: told by its lock file, or by the
//! configuration. Whether it runs is the user's word, not the project's.

use crate::config::SetupConfig;
use crate::config::SuiteSetup;
use crate::config::SuiteSetupTable;
use crate::model::Framework;
use crate::model::Setup;
use crate::model::Suite;
use crate::suite::Listing;
use std::path::Path;
use std::path::PathBuf;

/// A tool that installs from a lock file.
struct Tool {
    /// The lock file.
    lock: &'static str,
    /// How it is called.
    command: &'static [&'static str],
    /// What else its result depends on.
    inputs: &'static [&'static str],
    /// What it makes.
    provides: &'static [&'static str],
    /// What it and the tests have to be told.
    env: &'static [(&'static str, &'static str)],
    /// Where it gets things from.
    hosts: &'static [&'static str],
}

const NPM: Tool = Tool {
    lock: "package-lock.json",
    command: &["npm", "ci", "--no-audit", "--no-fund"],
    inputs: &["package.json", ".npmrc"],
    provides: &["node_modules"],
    env: &[],
    hosts: &["registry.npmjs.org"],
};
const JAVASCRIPT: [Tool; 4] = [
    NPM,
    Tool {
        lock: "npm-shrinkwrap.json",
        ..NPM
    },
    Tool {
        lock: "pnpm-lock.yaml",
        command: &["pnpm", "install", "--frozen-lockfile"],
        inputs: &["package.json", "pnpm-workspace.yaml", ".npmrc"],
        ..NPM
    },
    Tool {
        lock: "yarn.lock",
        command: &["yarn", "install", "--frozen-lockfile", "--non-interactive"],
        inputs: &["package.json", ".yarnrc"],
        hosts: &["registry.yarnpkg.com", "registry.npmjs.org"],
        ..NPM
    },
];

const UV: Tool = Tool {
    lock: "uv.lock",
    command: &["uv", "sync", "--frozen"],
    inputs: &["pyproject.toml", ".python-version"],
    provides: &[".venv"],
    env: &[],
    hosts: &["pypi.org", "files.pythonhosted.org"],
};
const PYTHON: [Tool; 4] = [
    UV,
    Tool {
        lock: "poetry.lock",
        command: &["poetry", "install", "--no-interaction"],
        env: &[("POETRY_VIRTUALENVS_IN_PROJECT", "1")],
        ..UV
    },
    Tool {
        lock: "requirements-dev.txt",
        command: &[
            "sh",
            "-c",
            "python3 -m venv .venv && .venv/bin/python -m pip install -r requirements-dev.txt",
        ],
        inputs: &["requirements.txt", ".python-version"],
        ..UV
    },
    Tool {
        lock: "requirements.txt",
        command: &[
            "sh",
            "-c",
            "python3 -m venv .venv && .venv/bin/python -m pip install -r requirements.txt",
        ],
        inputs: &[".python-version"],
        ..UV
    },
];

const GO: [Tool; 1] = [Tool {
    lock: "go.sum",
    command: &["go", "mod", "download"],
    inputs: &["go.mod"],
    provides: &["~/go/pkg/mod"],
    env: &[],
    hosts: &[
        "proxy.golang.org",
        "sum.golang.org",
        "storage.googleapis.com",
    ],
}];
const RUBY: [Tool; 1] = [Tool {
    lock: "Gemfile.lock",
    command: &["bundle", "install"],
    inputs: &["Gemfile", ".ruby-version"],
    provides: &["vendor/bundle"],
    env: &[("BUNDLE_PATH", "vendor/bundle")],
    hosts: &["rubygems.org", "index.rubygems.org"],
}];
const PHP: [Tool; 1] = [Tool {
    lock: "composer.lock",
    command: &["composer", "install", "--no-interaction", "--no-progress"],
    inputs: &["composer.json"],
    provides: &["vendor"],
    env: &[],
    hosts: &[
        "repo.packagist.org",
        "api.github.com",
        "codeload.github.com",
    ],
}];

/// The tools that install for a framework, those that say most first.
fn tools(framework: Framework) -> &'static [Tool] {
    match framework {
        Framework::Jest | Framework::Vitest | Framework::Mocha | Framework::NodeTest => &JAVASCRIPT,
        Framework::Pytest | Framework::Unittest => &PYTHON,
        Framework::GoTest => &GO,
        Framework::Rspec | Framework::Minitest => &RUBY,
        Framework::Phpunit => &PHP,
        _ => &[],
    }
}

/// Whether a name matters for set-ups only; nobody looks at its content here.
pub fn is_input(name: &Path) -> bool {
    const NAMES: [&str; 14] = [
        "package-lock.json",
        "npm-shrinkwrap.json",
        "pnpm-lock.yaml",
        "yarn.lock",
        ".yarnrc",
        ".npmrc",
        "uv.lock",
        "poetry.lock",
        "requirements.txt",
        "requirements-dev.txt",
        ".python-version",
        ".ruby-version",
        "go.sum",
        "composer.lock",
    ];
    let file = name.file_name().and_then(|file| file.to_str());
    file.is_some_and(|file| NAMES.contains(&file))
}

/// The set-up of a suite; `asked` is what the configuration says of it.
pub fn of(
    listing: &Listing,
    config: &SetupConfig,
    suite: &Suite,
    asked: Option<&SuiteSetup>,
) -> Option<Setup> {
    match asked {
        Some(SuiteSetup::Switch(false)) => None,
        Some(SuiteSetup::Command(command)) => {
            let table = SuiteSetupTable {
                command: command.clone(),
                inputs: None,
                provides: None,
                hosts: None,
            };
            Some(named(listing, config, suite, &table))
        }
        Some(SuiteSetup::Table(table)) => Some(named(listing, config, suite, table)),
        Some(SuiteSetup::Switch(true)) => detected(listing, config, suite, true),
        // Who has installed already needs nothing to be installed: it is carried in.
        None if !suite.carry.is_empty() => None,
        None => detected(listing, config, suite, config.allow),
    }
}

fn detected(
    listing: &Listing,
    config: &SetupConfig,
    suite: &Suite,
    allowed: bool,
) -> Option<Setup> {
    let (dir, tool) = found(listing, suite)?;
    let lock = dir.join(tool.lock);
    let mut setup = with(tool, config, &dir);
    setup.allowed = allowed;
    setup.why = match allowed {
        true => format!("there is `{}`", lock.display()),
        false => format!(
            "there is `{}`; allow it with `setup.allow = true` in your own config.toml",
            lock.display()
        ),
    };
    Some(setup)
}

/// The lock file of the suite's directory or of the nearest one above.
fn found(listing: &Listing, suite: &Suite) -> Option<(PathBuf, &'static Tool)> {
    suite.dir.ancestors().find_map(|dir| {
        let mut tools = tools(suite.framework).iter();
        let tool = tools.find(|tool| listing.has(&dir.join(tool.lock)))?;
        Some((dir.to_owned(), tool))
    })
}

/// A set-up of which only the configuration is known.
fn bare(config: &SetupConfig, dir: &Path) -> Setup {
    Setup {
        command: Vec::new(),
        dir: dir.to_owned(),
        inputs: Vec::new(),
        provides: Vec::new(),
        env: Vec::new(),
        hosts: config.hosts.clone(),
        timeout_ms: u64::try_from(config.timeout.as_millis()).unwrap_or(u64::MAX),
        allowed: false,
        why: String::new(),
    }
}

/// The set-up by a tool.
fn with(tool: &Tool, config: &SetupConfig, dir: &Path) -> Setup {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let inputs = std::iter::once(&tool.lock).chain(tool.inputs);
    let env = tool.env.iter();
    let hosts = tool.hosts.iter().filter_map(|host| host.parse().ok());
    Setup {
        command: owned(tool.command),
        inputs: inputs.map(|file| dir.join(file)).collect(),
        provides: owned(tool.provides),
        env: env
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        hosts: hosts.chain(config.hosts.iter().cloned()).collect(),
        ..bare(config, dir)
    }
}

/// A set-up that the configuration names; what it does not say is that of the suite's tool.
fn named(listing: &Listing, config: &SetupConfig, suite: &Suite, table: &SuiteSetupTable) -> Setup {
    let mut setup = match found(listing, suite) {
        Some((dir, tool)) => with(tool, config, &dir),
        None => bare(config, &suite.dir),
    };
    setup.command.clone_from(&table.command.0);
    setup.dir.clone_from(&suite.dir);
    if let Some(inputs) = &table.inputs {
        setup.inputs = inputs.iter().map(|path| suite.dir.join(path)).collect();
    }
    if let Some(provides) = &table.provides {
        setup.provides.clone_from(provides);
    }
    if let Some(hosts) = &table.hosts {
        setup.hosts = hosts.iter().chain(&config.hosts).cloned().collect();
    }
    setup.allowed = true;
    setup.why = "named by `[[suite]]` in the configuration".to_owned();
    setup
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CommandLine;
    use crate::model::HostRule;
    use crate::suite::detect;

    fn config(allow: bool) -> SetupConfig {
        SetupConfig {
            allow,
            hosts: vec!["npm.corp".parse().expect("a host")],
            timeout: std::time::Duration::from_secs(60),
        }
    }

    fn listing(names: &[&str]) -> Listing {
        Listing::new(names.iter().map(PathBuf::from), |name| {
            let json = r#"{"scripts": {"test": "jest"}}"#;
            name.ends_with("package.json").then(|| json.to_owned())
        })
    }

    #[test]
    fn every_lock_file_is_looked_for() {
        let all = [&JAVASCRIPT[..], &PYTHON, &GO, &PHP];
        for tool in all.iter().flat_map(|tools| tools.iter()) {
            assert!(is_input(Path::new(tool.lock)), "{}", tool.lock);
            assert!(
                tool.hosts
                    .iter()
                    .all(|host| host.parse::<HostRule>().is_ok())
            );
        }
    }

    #[test]
    fn the_nearest_lock_file_counts_and_waits_for_a_word() {
        let listing = listing(&[
            "package-lock.json",
            "a/package.json",
            "b/package.json",
            "b/yarn.lock",
        ]);
        let suites = detect(&listing);
        let of = |at: usize, allow| of(&listing, &config(allow), &suites[at], None).expect("one");
        let (a, b) = (of(0, false), of(1, true));
        assert_eq!(a.inputs[0], PathBuf::from("package-lock.json"));
        assert_eq!((a.allowed, a.dir), (false, PathBuf::new()));
        assert_eq!((b.allowed, b.dir), (true, PathBuf::from("b")));
        assert_eq!(b.command[0], "yarn");
        assert!(b.hosts.iter().any(|host| host.to_string() == "npm.corp"));
    }

    #[test]
    fn what_is_asked_for_counts_more_than_what_is_found() {
        let listing = listing(&["package.json", "package-lock.json"]);
        let suite = &mut detect(&listing)[0];
        let command = CommandLine(vec!["make".into(), "deps".into()]);
        let own = of(
            &listing,
            &config(false),
            suite,
            Some(&SuiteSetup::Command(command)),
        );
        let own = own.expect("a set-up");
        assert_eq!((own.command[0].as_str(), own.allowed), ("make", true));
        assert_eq!(own.provides, ["node_modules"]);
        assert_eq!(own.inputs.len(), 3, "one that is not there may come");
        assert_eq!(
            of(
                &listing,
                &config(true),
                suite,
                Some(&SuiteSetup::Switch(false))
            ),
            None
        );
        suite.carry.push("node_modules".into());
        assert_eq!(
            of(&listing, &config(true), suite, None),
            None,
            "it is installed"
        );
    }
}
