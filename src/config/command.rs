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
    let names: Vec<&str> = argv.iter().map(|word| base(word)).collect();
    let has = |name: &str| names.contains(&name);
    match names.first() {
        Some(&"cargo") if has("nextest") => Framework::Nextest,
        Some(&"cargo") if has("test") || has("t") => Framework::Cargo,
        Some(&("pytest" | "py.test")) => Framework::Pytest,
        Some(python) if python.starts_with("python") && has("pytest") => Framework::Pytest,
        _ => Framework::Generic,
    }
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
pub fn hidden_tests(argv: &[String]) -> Option<String> {
    in_shell(argv)
        .into_iter()
        .find(|words| guess_framework(words) != Framework::Generic)
        .map(|words| words.join(" "))
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
    fn tests_behind_a_shell_are_found() {
        let shell = |script: &str| {
            let argv = ["/bin/bash", "-ec", script].map(str::to_owned);
            hidden_tests(&argv)
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
}
