//! Lines in which make, npm or a shell say that they start a framework.

use crate::live::Format;

/// Which framework a command line starts: `go test ./...`, `> jest --ci`, `+ python -m pytest`.
pub(crate) fn call(line: &str) -> Option<Format> {
    let line = line
        .strip_prefix("> ")
        .or_else(|| line.strip_prefix("+ "))
        .or_else(|| line.strip_prefix("$ "))
        .unwrap_or(line);
    let mut words = line
        .split_ascii_whitespace()
        .filter(|word| !word.contains('='));
    let mut word = base(words.next()?);
    // What only starts something else.
    while matches!(
        word,
        "env"
            | "npx"
            | "bunx"
            | "bundle"
            | "exec"
            | "uv"
            | "poetry"
            | "run"
            | "yarn"
            | "pnpm"
            | "time"
    ) {
        word = base(words.next()?);
    }
    let has = |wanted: &str| words.clone().take(6).any(|word| word == wanted);
    Some(match word {
        "go" if has("test") => Format::GoTest,
        "gotestsum" => Format::GoTest,
        "pytest" | "py.test" => Format::Pytest,
        _ if word.starts_with("python") && has("pytest") => Format::Pytest,
        _ if word.starts_with("python") && has("unittest") => Format::Unittest,
        "cargo" if has("nextest") => Format::Nextest,
        "cargo" if has("test") => Format::Cargo,
        "jest" => Format::Jest,
        "vitest" => Format::Vitest,
        "mocha" => Format::Mocha,
        "node" if has("--test") => Format::NodeTest,
        "ctest" => Format::Ctest,
        "rspec" => Format::Rspec,
        "phpunit" => Format::Phpunit,
        "bats" => Format::Bats,
        "prove" => Format::Prove,
        "mvn" | "mvnw" | "gradle" | "gradlew" => Format::Junit,
        _ => return None,
    })
}

/// Whether a line may be one; cheap: by its first word.
pub(crate) fn may_call(line: &[u8]) -> bool {
    let line = match line {
        [b'>' | b'+' | b'$', b' ', rest @ ..] => rest,
        _ => line,
    };
    let end = memchr::memchr(b' ', &line[..line.len().min(80)]).unwrap_or(line.len().min(80));
    let word = &line[..end];
    let slash = memchr::memrchr(b'/', word).map_or(0, |at| at + 1);
    let word = &word[slash..];
    matches!(
        word,
        b"go"
            | b"gotestsum"
            | b"pytest"
            | b"py.test"
            | b"cargo"
            | b"jest"
            | b"vitest"
            | b"mocha"
            | b"node"
            | b"ctest"
            | b"rspec"
            | b"phpunit"
            | b"bats"
            | b"prove"
            | b"mvn"
            | b"mvnw"
            | b"gradle"
            | b"gradlew"
            | b"env"
            | b"npx"
            | b"bunx"
            | b"bundle"
            | b"uv"
            | b"poetry"
            | b"yarn"
            | b"pnpm"
            | b"time"
    ) || word.starts_with(b"python")
}

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_prose() {
        for (line, expected) in [
            ("go test ./...", Some(Format::GoTest)),
            ("> jest --ci", Some(Format::Jest)),
            ("+ ../bin/python3 -m pytest -q", Some(Format::Pytest)),
            ("env CI=1 npx vitest run", Some(Format::Vitest)),
            ("bundle exec rspec", Some(Format::Rspec)),
            ("go build ./...", None),
            ("pytesting is fun", None),
            ("we run go test", None),
        ] {
            let found = Some(line)
                .filter(|line| may_call(line.as_bytes()))
                .and_then(call);
            assert_eq!(found, expected, "{line}");
        }
    }
}
