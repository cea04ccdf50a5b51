//! What a command line says: whether a string needs a shell at all, whose tests it runs, and
//! which commands a shell would start.

use crate::model::Framework;

/// Words that only a shell understands.
const BUILTINS: [&str; 26] = [
    ".", ":", "alias", "case", "cd", "command", "eval", "exec", "exit", "export", "for", "if",
    "popd", "pushd", "read", "readonly", "set", "shopt", "source", "time", "trap", "type",
    "ulimit", "umask", "until", "while",
];

/// Words before a command in a script that do not change which command it is.
const BEFORE: [&str; 14] = [
    "!", "if", "then", "elif", "else", "while", "until", "do", "exec", "time", "command", "env",
    "nice", "eval",
];

/// The arguments of a string that means the same with and without a shell.
pub fn plain_words(text: &str) -> Option<Vec<String>> {
    let plain = |c: char| c.is_alphanumeric() || " \t_-./:,@%+=".contains(c);
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    let first = words.first()?;
    let shells = BUILTINS.contains(&first.as_str()) || first.contains('=');
    (text.trim().chars().all(plain) && !shells).then_some(words)
}

/// Whose tests a command runs, as far as its words say.
pub fn guess_framework(argv: &[String]) -> Framework {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let words = behind_launchers(&words);
    let Some((program, rest)) = words.split_first() else {
        return Framework::Generic;
    };
    let has = |name: &str| rest.contains(&name);
    let program = base(program);
    match program {
        "cargo" if has("nextest") => Framework::Nextest,
        "cargo" if has("test") || has("t") => Framework::Cargo,
        "pytest" | "py.test" => Framework::Pytest,
        "jest" => Framework::Jest,
        "vitest" => Framework::Vitest,
        "mocha" | "_mocha" => Framework::Mocha,
        "rspec" => Framework::Rspec,
        "phpunit" => Framework::Phpunit,
        "bats" => Framework::Bats,
        "prove" => Framework::Prove,
        "ctest" => Framework::Ctest,
        "cmake" if has("--workflow") || (has("--target") && has("test")) => Framework::Ctest,
        "go" if has("test") => Framework::GoTest,
        "rails" if has("test") => Framework::Minitest,
        "rake" if has("spec") => Framework::Rspec,
        "rake" if rest.is_empty() || has("test") => Framework::Minitest,
        "java" if rest.iter().any(|word| is_console_launcher(word)) => Framework::Junit,
        "mvn" | "mvnw" | "mvnd" | "gradle" | "gradlew" if rest.iter().any(|word| tests(word)) => {
            Framework::Junit
        }
        "node" | "nodejs" | "bun" => of_node(rest),
        "php" => of_script(rest),
        "ruby" => of_ruby(rest),
        _ if program.starts_with("python") || program.starts_with("pypy") => of_python(rest),
        _ if rest.iter().any(|word| word.starts_with("--gtest_")) => Framework::Gtest,
        _ => Framework::Generic,
    }
}

/// The command behind programs that hand on arguments, environment, working directory and exit
/// status: `npx jest`, `bundle exec rspec`, `env --chdir=web yarn jest`.
fn behind_launchers<'a>(mut words: &'a [&'a str]) -> &'a [&'a str] {
    for _ in 0..4 {
        let verb = words.get(1).copied().unwrap_or("");
        let skip = match words.first().map(|word| base(word)) {
            Some("poetry" | "uv" | "pipenv" | "pdm" | "hatch" | "rye") if verb == "run" => 2,
            Some("bundle") if verb == "exec" => 2,
            Some("npx" | "bunx") => 1,
            Some("npm") if verb == "exec" || verb == "x" => 2,
            Some("pnpm") if verb == "exec" || verb == "dlx" => 2,
            Some("yarn") if matches!(verb, "run" | "exec" | "dlx") => 2,
            Some("pnpm" | "yarn") => 1,
            Some("env") if words[1..].first().is_some_and(|word| is_chdir(word)) => {
                1 + usize::from(matches!(verb, "-C" | "--chdir")) + 1
            }
            _ => return words,
        };
        let after = words.get(skip..).unwrap_or(&[]);
        // Their own options (`npx --no jest`, `npm exec -- jest`).
        let own = after.iter().take_while(|word| word.starts_with('-'));
        words = &after[own.count()..];
    }
    words
}

fn is_chdir(word: &str) -> bool {
    word == "-C" || word == "--chdir" || word.starts_with("--chdir=")
}

fn is_console_launcher(word: &str) -> bool {
    word.contains("junit-platform-console") || word == "org.junit.platform.console.ConsoleLauncher"
}

/// Goals and tasks of Maven and Gradle that run tests.
fn tests(word: &str) -> bool {
    let task = word.rsplit(':').next().unwrap_or(word);
    matches!(
        task,
        "test" | "verify" | "check" | "install" | "package" | "build" | "integration-test"
    ) || task.ends_with("Test")
}

fn of_node(rest: &[&str]) -> Framework {
    if rest
        .iter()
        .any(|word| *word == "--test" || word.starts_with("--test-"))
    {
        return Framework::NodeTest;
    }
    of_script(rest)
}

/// The script that an interpreter is given, by its name.
fn of_script(rest: &[&str]) -> Framework {
    let script = rest.iter().find(|word| !word.starts_with('-'));
    match script.map(|word| base(word)) {
        Some("jest" | "jest.js") => Framework::Jest,
        Some("vitest" | "vitest.mjs") => Framework::Vitest,
        Some("mocha" | "_mocha" | "mocha.js") => Framework::Mocha,
        Some("phpunit" | "phpunit.phar") => Framework::Phpunit,
        _ => Framework::Generic,
    }
}

fn of_ruby(rest: &[&str]) -> Framework {
    let test = |word: &&str| {
        let name = base(word);
        name.ends_with("_test.rb") || (name.starts_with("test_") && name.ends_with(".rb"))
    };
    match rest.iter().any(|word| base(word) == "rspec") {
        true => Framework::Rspec,
        false if rest.iter().any(test) => Framework::Minitest,
        false => Framework::Generic,
    }
}

fn of_python(rest: &[&str]) -> Framework {
    let named = |name: &str| rest.iter().any(|word| base(word) == name);
    if named("pytest") {
        return Framework::Pytest;
    }
    let module = rest.windows(2).any(|pair| pair == ["-m", "unittest"]);
    let django = named("manage.py") && rest.contains(&"test");
    match module || django {
        true => Framework::Unittest,
        false => Framework::Generic,
    }
}

/// The variables that a command sets for itself, `env A=1 cargo test` or `A=1 cargo test`, and
/// the command without them. One that does more with its environment stays as it is.
pub fn assignments(argv: &[String]) -> (Vec<(String, String)>, Vec<String>) {
    let env = argv.first().is_some_and(|first| base(first) == "env");
    let rest = &argv[usize::from(env)..];
    let set = rest.iter().take_while(|word| assigns(word)).count();
    let command = rest[set..].to_vec();
    if command.first().is_none_or(|first| first.starts_with('-')) {
        return (Vec::new(), argv.to_vec());
    }
    let set = rest[..set].iter().filter_map(|word| word.split_once('='));
    let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
    (set.collect(), command)
}

/// The commands that `sh -c SCRIPT` starts, as far as its words say; none where it is no shell.
pub fn in_shell(argv: &[String]) -> Vec<Vec<String>> {
    let Some((program, rest)) = argv.split_first() else {
        return Vec::new();
    };
    if !matches!(
        base(program),
        "sh" | "bash" | "dash" | "zsh" | "ksh" | "ash"
    ) {
        return Vec::new();
    }
    let script = rest
        .iter()
        .position(|word| word.starts_with('-') && !word.starts_with("--") && word.contains('c'))
        .and_then(|at| rest.get(at + 1));
    let Some(script) = script else {
        return Vec::new();
    };
    script
        .split(['&', '|', ';', '\n', '(', ')', '{', '}', '`'])
        .map(|part| {
            part.split_whitespace()
                .map(|word| word.trim_matches(['"', '\'']).to_owned())
                .skip_while(|word| BEFORE.contains(&word.as_str()) || assigns(word))
                .collect::<Vec<_>>()
        })
        .filter(|words| !words.is_empty())
        .collect()
}

/// The tests of a known framework that a shell would start, so that only the shell's exit
/// status tells what became of them.
pub fn hidden_tests(argv: &[String]) -> Option<(String, Framework)> {
    in_shell(argv)
        .into_iter()
        .map(|words| (words.join(" "), guess_framework(&words)))
        .find(|(_, framework)| *framework != Framework::Generic)
}

/// Tests that regreen cannot see one by one, because something else starts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// What starts them, and which they are as far as that is known.
    pub why: String,
    /// How they become visible.
    pub remedy: String,
}

/// Programs that start the command that their arguments name.
const STARTERS: [&str; 21] = [
    "env",
    "nice",
    "ionice",
    "chrt",
    "taskset",
    "time",
    "timeout",
    "stdbuf",
    "setsid",
    "xvfb-run",
    "dbus-run-session",
    "direnv",
    "mise",
    "nix",
    "poetry",
    "pdm",
    "uv",
    "pipenv",
    "hatch",
    "rye",
    "coverage",
];

/// Programs that start what a file of theirs says.
const RUNNERS: [&str; 17] = [
    "make",
    "gmake",
    "just",
    "task",
    "ninja",
    "meson",
    "tox",
    "nox",
    "invoke",
    "inv",
    "npm",
    "npx",
    "yarn",
    "pnpm",
    "rake",
    "bazel",
    "pre-commit",
];

/// Why a command is judged by its exit status only, where its words tell.
pub fn unseen_tests(argv: &[String]) -> Option<Unseen> {
    if let Some((tests, framework)) = hidden_tests(argv) {
        return Some(Unseen {
            why: format!("`{tests}` runs behind a shell"),
            remedy: match framework.is_asked_by_environment() {
                true => set(framework),
                false => "give the test command itself, without `sh`".to_owned(),
            },
        });
    }
    let program = base(argv.first()?);
    if RUNNERS.contains(&program) {
        return Some(Unseen {
            why: format!("what `{}` starts cannot be seen", argv.join(" ")),
            remedy:
                "give the test command that it starts (such as `cargo test`) as `command` of the \
                     suite, or name whose tests they are (`framework = \"jest\"`, say)"
                    .to_owned(),
        });
    }
    if !STARTERS.contains(&program) {
        return None;
    }
    let mut ends = (1..argv.len()).filter_map(|at| argv.get(at..));
    let inner = ends.find(|inner| guess_framework(inner) != Framework::Generic)?;
    let remedy = match (program, guess_framework(inner)) {
        ("env", _) => {
            "put the variables into `env` of the suite, and the rest into its `command`".to_owned()
        }
        // The reporter is named by the environment, which goes through.
        (_, framework) if framework.is_asked_by_environment() => set(framework),
        _ => format!("give the test command itself, without `{program}`"),
    };
    Some(Unseen {
        why: format!("`{}` runs behind `{program}`", inner.join(" ")),
        remedy,
    })
}

fn set(framework: Framework) -> String {
    format!("set `framework = \"{}\"` for the suite", framework.as_str())
}

/// Whether a word before a command sets a variable.
fn assigns(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn plain_strings_need_no_shell() {
        assert_eq!(
            plain_words(" cargo  test --features=a,b\t-p x@1.0 "),
            Some(words("cargo test --features=a,b -p x@1.0"))
        );
        for text in [
            "cargo test && true",
            "cargo test | cat",
            "cargo test > log",
            "cargo test; true",
            "cargo test\ntrue",
            "cargo test 'a b'",
            "cargo test \"a\"",
            "cargo test a\\ b",
            "pytest test_*.py",
            "pytest test_?.py",
            "pytest [a].py",
            "pytest $FILES",
            "pytest `ls`",
            "pytest ~/a",
            "pytest {a,b}",
            "cargo test # all",
            "A=1 cargo test",
            "cd sub",
            "! true",
        ] {
            assert_eq!(plain_words(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_set_before_a_command_is_taken_off_and_a_runner_is_looked_through() {
        let of = |text: &str| {
            let (set, command) = assignments(&words(text));
            let set: Vec<String> = set.iter().map(|(n, v)| format!("{n}={v}")).collect();
            (set.join(","), guess_framework(&command), command.join(" "))
        };
        let is = |set: &str, framework, rest: &str| (set.to_owned(), framework, rest.to_owned());
        for (text, expected) in [
            (
                "env A=1 B=x=y cargo test -q",
                is("A=1,B=x=y", Framework::Cargo, "cargo test -q"),
            ),
            (
                "/usr/bin/env python -m pytest",
                is("", Framework::Pytest, "python -m pytest"),
            ),
            ("A=1 pytest", is("A=1", Framework::Pytest, "pytest")),
            (
                "env -i A=1 pytest",
                is("", Framework::Generic, "env -i A=1 pytest"),
            ),
            ("env A=1", is("", Framework::Generic, "env A=1")),
            (
                "poetry run pytest -x",
                is("", Framework::Pytest, "poetry run pytest -x"),
            ),
            (
                "env CI=1 uv run python -m pytest",
                is("CI=1", Framework::Pytest, "uv run python -m pytest"),
            ),
            (
                "uv pip install pytest",
                is("", Framework::Generic, "uv pip install pytest"),
            ),
            ("pdm run lint", is("", Framework::Generic, "pdm run lint")),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn tests_behind_a_shell_are_found() {
        let shell = |script: &str| {
            let argv = ["/bin/bash", "-ec", script].map(str::to_owned);
            hidden_tests(&argv).map(|(tests, _)| tests)
        };
        for (script, expected) in [
            ("cargo test", "cargo test"),
            ("cd sub && cargo +nightly test -q", "cargo +nightly test -q"),
            ("set -e\nA=1 python3 -m pytest x", "python3 -m pytest x"),
            ("if ! env A=b pytest; then exit 1; fi", "pytest"),
            ("(\"cargo\" nextest run)", "cargo nextest run"),
            ("out=$(cargo test)", "cargo test"),
        ] {
            assert_eq!(shell(script).as_deref(), Some(expected), "{script}");
        }
        for script in ["cargo build && ./smoke", "echo ok", "./cargo-test.sh"] {
            assert_eq!(shell(script), None, "{script}");
        }
        assert_eq!(hidden_tests(&words("cargo test")), None);
        assert_eq!(hidden_tests(&words("sh test.sh")), None);
    }

    #[test]
    fn whose_tests_a_command_runs() {
        for (command, expected) in [
            ("npx --no jest --ci", "jest"),
            ("yarn vitest run", "vitest"),
            ("pnpm exec mocha", "mocha"),
            ("node_modules/.bin/jest", "jest"),
            ("node --test", "node-test"),
            ("node node_modules/vitest/vitest.mjs run", "vitest"),
            ("env --chdir=web npx jest a.js -t ^x$", "jest"),
            ("env -C web node --test", "node-test"),
            ("bundle exec rspec", "rspec"),
            ("bundle exec rake test", "minitest"),
            ("bin/rails test", "minitest"),
            ("ruby -Itest test/a_test.rb", "minitest"),
            ("vendor/bin/phpunit -c x.xml", "phpunit"),
            ("php vendor/bin/phpunit", "phpunit"),
            ("go test ./...", "go-test"),
            ("go build ./...", "generic"),
            ("ctest --test-dir build", "ctest"),
            ("build/unit --gtest_filter=A.B", "gtest"),
            ("./mvnw -q verify", "junit"),
            ("./gradlew :app:test", "junit"),
            (
                "java -jar junit-platform-console-standalone.jar --scan-classpath",
                "junit",
            ),
            ("python3 -m unittest discover", "unittest"),
            ("python manage.py test app", "unittest"),
            ("poetry run python -m pytest", "pytest"),
            ("uv pip install pytest", "generic"),
            ("prove -r t", "prove"),
            ("bats test", "bats"),
            ("npm test", "generic"),
            ("npx", "generic"),
        ] {
            assert_eq!(
                guess_framework(&words(command)).as_str(),
                expected,
                "{command}"
            );
        }
    }

    #[test]
    fn tests_behind_other_programs_are_explained() {
        for (command, why, remedy) in [
            (
                "env A=1 cargo test -q",
                "`cargo test -q` runs behind `env`",
                "`env` of the suite",
            ),
            (
                "poetry run pytest -q",
                "`pytest -q` runs behind `poetry`",
                "framework = \"pytest\"",
            ),
            (
                "uv run python -m pytest",
                "`python -m pytest` runs",
                "framework = \"pytest\"",
            ),
            (
                "nice -n 5 cargo test",
                "`cargo test` runs behind `nice`",
                "without `nice`",
            ),
            (
                "/usr/bin/make test",
                "what `/usr/bin/make test` starts",
                "as `command`",
            ),
            ("npm run test", "what `npm run test` starts", "as `command`"),
            (
                "sh -c pytest",
                "`pytest` runs behind a shell",
                "framework = \"pytest\"",
            ),
        ] {
            let unseen = unseen_tests(&words(command)).expect(command);
            assert!(unseen.why.contains(why), "{unseen:?}");
            assert!(unseen.remedy.contains(remedy), "{unseen:?}");
        }
        for command in ["cargo test", "./smoke", "env A=1 ./smoke", "sh test.sh"] {
            assert_eq!(unseen_tests(&words(command)), None, "{command}");
        }
    }
}
