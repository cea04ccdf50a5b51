//! Protected paths: what the user's machine, CI or agents execute or obey, and what decides
//! how tests are run. A loop may change it, but nobody applies it unseen (pure).

use ignore::gitignore::GitignoreBuilder;

/// Why a change of this path needs a person's approval, if it does. `more` are the
/// configuration's own patterns in the syntax of `.gitignore`.
pub fn protected(path: &str, more: &[String]) -> Option<&'static str> {
    by_place(path)
        .or_else(|| by_name(path))
        .or_else(|| by_pattern(path, more))
}

/// Every dot file is some tool's configuration: `.github`, `.cargo`, `.envrc`, `.claude`,
/// `.mcp.json`, `.vscode`, `.husky`, `.npmrc`, `.gitattributes`, …
fn by_place(path: &str) -> Option<&'static str> {
    let mut parts = path.split('/').map(str::to_ascii_lowercase).peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        if part.starts_with('.') {
            return Some("dot files configure tools, CI, editors or agents");
        }
        if !last && (part == "_pytest" || part == "pytest") {
            return Some("it stands in the test runner's place");
        }
    }
    None
}

/// File names, whole, in lower case.
const NAMES: &[(&[&str], &str)] = &[
    (
        &[
            "regreen.toml",
            "pytest.ini",
            "tox.ini",
            "noxfile.py",
            "conftest.py",
            "nextest.toml",
            "pytest.py",
            "phpunit.xml",
            "phpunit.xml.dist",
        ],
        "it decides how the tests are run",
    ),
    (
        &[
            "cargo.toml",
            "cargo.lock",
            "rust-toolchain",
            "rust-toolchain.toml",
            "clippy.toml",
            "rustfmt.toml",
            "build.rs",
            "setup.py",
            "setup.cfg",
            "pyproject.toml",
            "pipfile",
            "pipfile.lock",
            "poetry.lock",
            "uv.lock",
            "pdm.lock",
            "package.json",
            "package-lock.json",
            "npm-shrinkwrap.json",
            "yarn.lock",
            "pnpm-lock.yaml",
            "pnpm-workspace.yaml",
            "bun.lockb",
            "go.mod",
            "go.sum",
            "go.work",
            "pom.xml",
            "gradlew",
            "mvnw",
            "meson.build",
            "cmakelists.txt",
            "gemfile",
            "gemfile.lock",
            "composer.json",
            "composer.lock",
            "flake.nix",
            "flake.lock",
            "default.nix",
            "shell.nix",
        ],
        "what it names is downloaded, built and executed",
    ),
    (
        &[
            "makefile",
            "gnumakefile",
            "bsdmakefile",
            "justfile",
            "rakefile",
            "vagrantfile",
            "procfile",
            "jenkinsfile",
            "tiltfile",
            "earthfile",
            "build",
            "workspace",
            "build.bazel",
            "workspace.bazel",
            "module.bazel",
            "sitecustomize.py",
            "usercustomize.py",
            "azure-pipelines.yml",
            "appveyor.yml",
            "bitbucket-pipelines.yml",
            "cloudbuild.yaml",
        ],
        "people, CI or tools execute it",
    ),
    (
        &[
            "pre-commit",
            "commit-msg",
            "prepare-commit-msg",
            "post-commit",
            "post-checkout",
            "post-merge",
            "pre-push",
            "pre-rebase",
            "post-rewrite",
        ],
        "git executes it",
    ),
    (
        &[
            "agents.md",
            "claude.md",
            "gemini.md",
            "copilot-instructions.md",
            "opencode.json",
        ],
        "coding agents obey it",
    ),
];

/// Beginnings and ends of file names, in lower case.
const AFFIXES: &[(&str, &str, &str)] = &[
    (
        "requirements",
        ".txt",
        "what it names is installed and executed",
    ),
    ("taskfile", ".yml", "people, CI or tools execute it"),
    ("taskfile", ".yaml", "people, CI or tools execute it"),
    ("dockerfile", "", "people, CI or tools execute it"),
    ("containerfile", "", "people, CI or tools execute it"),
    ("docker-compose", "", "people, CI or tools execute it"),
    ("compose", ".yaml", "people, CI or tools execute it"),
    ("compose", ".yml", "people, CI or tools execute it"),
    ("tsconfig", ".json", "it decides how the code is built"),
    ("build.gradle", "", "people, CI or tools execute it"),
    ("settings.gradle", "", "people, CI or tools execute it"),
    ("karma.conf", "", "it decides how the tests are run"),
    ("", ".code-workspace", "editors execute its tasks"),
    ("", ".pth", "python executes it at every start"),
    ("", ".mk", "people, CI or tools execute it"),
    ("", ".bzl", "people, CI or tools execute it"),
];

fn by_name(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    for (names, why) in NAMES {
        if names.contains(&name.as_str()) {
            return Some(why);
        }
    }
    for (start, end, why) in AFFIXES {
        if name.starts_with(start) && name.ends_with(end) {
            return Some(why);
        }
    }
    // jest.config.js, vitest.config.ts, eslint.config.mjs, …
    let script = [".js", ".ts", ".mjs", ".cjs", ".mts", ".cts", ".json"]
        .iter()
        .any(|end| name.ends_with(end));
    (script && name.contains(".config.")).then_some("it decides how the code is built or tested")
}

fn by_pattern(path: &str, more: &[String]) -> Option<&'static str> {
    if more.is_empty() {
        return None;
    }
    let mut patterns = GitignoreBuilder::new("");
    for pattern in more {
        // A pattern that cannot be read protects nothing; `config check` complains about it.
        let _ = patterns.add_line(None, pattern);
    }
    let patterns = patterns.build().ok()?;
    patterns
        .matched_path_or_any_parents(path, false)
        .is_ignore()
        .then_some("the configuration protects it")
}

/// What a manifest makes executable besides the files that are protected by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Executed {
    /// Directories whose code runs in the compiler (`proc-macro = true`), with a `/` at the
    /// end; empty for the root.
    pub proc_macros: Vec<String>,
    /// Build scripts with a name of their own.
    pub build_scripts: Vec<String>,
}

impl Executed {
    /// Takes in a `Cargo.toml` that lies in `dir` (empty for the root).
    pub fn read_manifest(&mut self, dir: &str, text: &str) {
        let Ok(manifest) = text.parse::<toml::Table>() else {
            return;
        };
        let here = if dir.is_empty() {
            String::new()
        } else {
            format!("{dir}/")
        };
        let library = manifest.get("lib").and_then(toml::Value::as_table);
        let is_macro = library.is_some_and(|library| {
            ["proc-macro", "proc_macro"]
                .iter()
                .any(|key| library.get(*key).and_then(toml::Value::as_bool) == Some(true))
        });
        if is_macro {
            self.proc_macros.push(here.clone());
        }
        let script = manifest
            .get("package")
            .and_then(|package| package.get("build"))
            .and_then(toml::Value::as_str);
        if let Some(script) = script {
            self.build_scripts.push(format!("{here}{script}"));
        }
    }

    /// Why a change of this path needs approval, if it does.
    pub fn why(&self, path: &str) -> Option<&'static str> {
        if self.build_scripts.iter().any(|script| script == path) {
            return Some("cargo executes it while building");
        }
        self.proc_macros
            .iter()
            .any(|dir| path.starts_with(dir.as_str()) && path.ends_with(".rs"))
            .then_some("the compiler executes it (procedural macro)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_executed_or_obeyed_is_protected() {
        for path in [
            "build.rs",
            "crates/a/build.rs",
            ".cargo/config.toml",
            "a/.cargo/config",
            ".github/workflows/ci.yml",
            "regreen.toml",
            "conftest.py",
            "tests/conftest.py",
            "Makefile",
            ".envrc",
            ".vscode/tasks.json",
            ".claude/settings.json",
            ".mcp.json",
            "CLAUDE.md",
            "package.json",
            "web/jest.config.ts",
            "pyproject.toml",
            "Cargo.toml",
            "sub/Cargo.lock",
            "git/hooks/pre-commit",
            "requirements-dev.txt",
            "evil.pth",
            "pytest.py",
            "Dockerfile.test",
        ] {
            assert!(protected(path, &[]).is_some(), "{path}");
        }
    }

    #[test]
    fn code_is_not() {
        for path in [
            "src/lib.rs",
            "src/build.py",
            "calc.py",
            "docs/guide.md",
            "a/compose.rs",
        ] {
            assert_eq!(protected(path, &[]), None, "{path}");
        }
    }

    #[test]
    fn the_configuration_can_protect_more() {
        let more = ["migrations/".to_owned(), "*.sql".to_owned()];
        assert!(protected("migrations/1.py", &more).is_some());
        assert!(protected("a/b.sql", &more).is_some());
        assert_eq!(protected("src/lib.rs", &more), None);
    }

    #[test]
    fn manifests_name_what_the_compiler_executes() {
        let mut executed = Executed::default();
        executed.read_manifest("derive", "[lib]\nproc-macro = true\n");
        executed.read_manifest("", "[package]\nname = \"a\"\nbuild = \"tools/gen.rs\"\n");
        assert!(executed.why("derive/src/lib.rs").is_some());
        assert!(executed.why("tools/gen.rs").is_some());
        assert_eq!(executed.why("src/lib.rs"), None);
    }
}
