//! Detection from listings that are written out here, and from one real directory.

use super::*;
use crate::config::Config;
use crate::model::HostEnv;
use std::path::Path;
use std::path::PathBuf;

fn listing(files: &[(&str, &str)]) -> Listing {
    Listing::new(files.iter().map(|(name, _)| PathBuf::from(name)), |path| {
        files
            .iter()
            .find(|(name, _)| Path::new(name) == path)
            .map(|(_, text)| (*text).to_owned())
    })
}

/// `name: command (why)`, a line a suite.
fn shown(files: &[(&str, &str)]) -> String {
    detect(&listing(files))
        .iter()
        .map(|suite| {
            format!(
                "{}: {} ({})\n",
                suite.name,
                suite.command.join(" "),
                suite.why
            )
        })
        .collect()
}

const PACKAGE: &str = "[package]\nname = \"a\"\n";

#[test]
fn a_lone_crate() {
    insta::assert_snapshot!(shown(&[("Cargo.toml", PACKAGE)]), @"cargo: cargo test (there is a `Cargo.toml` in the project's root)");
}

#[test]
fn a_workspace_is_one_suite_and_independent_crates_are_their_own() {
    let files = [
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"crates/*\"]\nexclude = [\"tools\"]\n",
        ),
        (
            "crates/one/Cargo.toml",
            "[package]\nname = \"one\"\n[dependencies]\nhidden = { path = \"../../extra/hidden\" }",
        ),
        ("crates/two/Cargo.toml", "[package]\nname = \"two\"\n"),
        ("extra/hidden/Cargo.toml", "[package]\nname = \"hidden\"\n"),
        ("tools/gen/Cargo.toml", "[package]\nname = \"gen\"\n"),
        ("fixtures/red/Cargo.toml", PACKAGE),
        ("vendor/serde/Cargo.toml", PACKAGE),
    ];
    insta::assert_snapshot!(shown(&files), @"
    cargo: cargo test --workspace (the `Cargo.toml` in the project's root has a `[workspace]` of 3 crates)
    cargo@tools/gen: cargo test (there is a `Cargo.toml` in `tools/gen`)
    ");
}

#[test]
fn nextest_where_it_is_configured() {
    let files = [("Cargo.toml", PACKAGE), (".config/nextest.toml", "")];
    insta::assert_snapshot!(shown(&files), @"nextest: cargo nextest run (there is a `Cargo.toml` in the project's root, and `.config/nextest.toml` beside it asks for nextest)");
}

#[test]
fn pytest_by_configuration_or_evidence() {
    let configured = [
        ("pyproject.toml", "[tool.pytest.ini_options]\n"),
        ("sub/pytest.ini", ""),
    ];
    insta::assert_snapshot!(shown(&configured), @"pytest: python3 -m pytest (`pyproject.toml` in the project's root configures pytest)");
    let evident = [
        ("py/setup.py", ""),
        ("py/tests/test_a.py", "def test_a(): pass"),
    ];
    insta::assert_snapshot!(shown(&evident), @"pytest@py: python3 -m pytest (`py/tests/test_a.py` holds tests that pytest collects)");
    let none = [
        ("Cargo.toml", PACKAGE),
        ("scripts/test_disk.py", "print('no test')"),
        ("pyproject.toml", "[project]"),
    ];
    assert!(!shown(&none).contains("pytest"));
}

#[test]
fn the_nearest_virtual_environment_is_used_and_carried() {
    let files = listing(&[
        ("app/pytest.ini", ""),
        (".venv/pyvenv.cfg", "home = /usr/bin"),
    ]);
    let suites = detect(&files);
    assert_eq!(suites[0].command[0], "../.venv/bin/python");
    assert_eq!(suites[0].carry, [PathBuf::from(".venv")]);
}

#[test]
fn the_configuration_changes_adds_and_disables() {
    let host = HostEnv::below(Path::new("/nonexistent"), "");
    let text = r#"
[[suite]]
name = "cargo"
command = "cargo test --all-features"
timeout = "1m"
env = { A = "b" }

[[suite]]
name = "smoke"
command = ["./smoke.sh"]

[[suite]]
name = "pytest"
enabled = false
"#;
    let config =
        Config::from_text(&host, Some((Path::new("/p/regreen.toml"), text)), &[]).expect("config");
    let files = listing(&[("Cargo.toml", PACKAGE), ("pytest.ini", "")]);
    let suites = suites(&files, &config).expect("suites");
    let names: Vec<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(names, ["cargo", "smoke"]);
    assert_eq!(suites[0].command, ["cargo", "test", "--all-features"]);
    assert_eq!(suites[0].framework, crate::model::Framework::Cargo);
    assert_eq!(suites[0].limits.wall_ms, 60_000);
    assert_eq!(suites[0].env, [("A".to_owned(), "b".to_owned())]);
    assert_eq!(suites[1].framework, crate::model::Framework::Generic);
}

#[test]
fn what_a_change_affects() {
    let files = listing(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"crates/*\"]\n[workspace.dependencies]\ncore = { path = \"crates/core\" }",
        ),
        ("crates/core/Cargo.toml", "[package]\nname = \"core\"\n"),
        (
            "crates/mid/Cargo.toml",
            "[package]\nname = \"mid\"\n[dependencies]\ncore.workspace = true",
        ),
        (
            "crates/top/Cargo.toml",
            "[package]\nname = \"top\"\n[target.'cfg(unix)'.dev-dependencies]\nmid = { path = \"../mid\" }",
        ),
        ("crates/leaf/Cargo.toml", "[package]\nname = \"leaf\"\n"),
    ]);
    let graph = CrateGraph::read(&files);
    let affected = |path: &str| {
        graph
            .affected(Path::new(""), &[PathBuf::from(path)])
            .map(|names| names.into_iter().collect::<Vec<_>>())
    };
    assert_eq!(
        affected("crates/core/src/lib.rs"),
        Some(vec!["core", "mid", "top"])
    );
    assert_eq!(affected("crates/mid/src/lib.rs"), Some(vec!["mid", "top"]));
    assert_eq!(affected("crates/leaf/tests/a.rs"), Some(vec!["leaf"]));
    assert_eq!(affected("Cargo.lock"), None);
    assert_eq!(affected("Cargo.toml"), None);
    assert_eq!(affected("README.md"), Some(vec![]));
}

#[test]
fn links_and_fifos_are_not_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let outside = dir.path().join("outside.toml");
    std::fs::write(&outside, "[tool.pytest.ini_options]").expect("write");
    let root = dir.path().join("project");
    std::fs::create_dir(&root).expect("mkdir");
    std::os::unix::fs::symlink(&outside, root.join("pyproject.toml")).expect("link");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("setup.cfg"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .expect("fifo");
    std::fs::write(root.join("pytest.ini"), "").expect("write");
    let listing = Listing::read(&root).expect("a listing");
    let names: Vec<&Path> = listing.names().collect();
    assert_eq!(names, [Path::new("pytest.ini")]);
}

/// A small package of npm with this `test` script.
fn package(script: &str) -> String {
    format!("{{\"name\": \"a\", \"scripts\": {{\"test\": {script:?}}}}}")
}

#[test]
fn a_script_that_wraps_a_runner_is_seen_through() {
    for (script, expected) in [
        ("jest --ci", "jest: npx jest --ci"),
        ("jest --watchAll", "jest: npx jest ("),
        ("vitest", "vitest: npx vitest run ("),
        ("NODE_ENV=test mocha -r x", "jest"),
        ("cross-env NODE_ENV=test mocha", "mocha: npx mocha ("),
        ("node --test", "node-test: node --test ("),
        ("tsc && vitest run", "vitest: npm test ("),
        ("react-scripts test", "jest: npm test -- --watchAll=false"),
        ("echo \"Error: no test specified\" && exit 1", ""),
        ("eslint .", "npm: npm test ("),
    ] {
        let text = package(script);
        let shown = shown(&[("package.json", &text)]);
        let fits = match script.starts_with("NODE_ENV") {
            true => shown.starts_with("mocha: npm test ("),
            false => shown.starts_with(expected) && shown.is_empty() == expected.is_empty(),
        };
        assert!(fits, "{script}: {shown}");
    }
    let watch = package("jest --watchAll");
    assert!(shown(&[("package.json", &watch)]).contains("`--watchAll` is left out"));
}

#[test]
fn a_monorepo_has_a_suite_for_each_part_that_needs_one() {
    let (turbo, jest, vitest) = (
        package("turbo run test"),
        package("jest"),
        package("vitest"),
    );
    let files = [
        ("package.json", turbo.as_str()),
        ("packages/a/package.json", jest.as_str()),
        ("packages/b/package.json", vitest.as_str()),
        ("node_modules/.bin/jest", ""),
        ("service/go.mod", "module x\n"),
        ("service/a_test.go", ""),
        ("service/tools/go.mod", "module y\n"),
        ("rust/Cargo.toml", PACKAGE),
        ("ml/pytest.ini", ""),
        ("Makefile", "test:\n\tmake -C rust test\n"),
    ];
    insta::assert_snapshot!(shown(&files), @r#"
    cargo@rust: cargo test (there is a `Cargo.toml` in `rust`)
    pytest@ml: python3 -m pytest (`pytest.ini` in `ml` configures pytest)
    jest@packages/a: ../../node_modules/.bin/jest (the `test` script of `package.json` in `packages/a` starts it)
    vitest@packages/b: npx vitest run (the `test` script of `package.json` in `packages/b` starts it)
    go-test@service: go test ./... (there is a `go.mod` in `service`, with tests)
    "#);
    let covered = [
        ("package.json", jest.as_str()),
        ("packages/a/package.json", jest.as_str()),
    ];
    assert_eq!(detect(&listing(&covered)).len(), 1);
}

#[test]
fn other_ecosystems_by_their_manifests() {
    let files = [
        (
            "go.work",
            "go 1.22\nuse (\n\t./a // first\n\t./b\n)\nuse ./c\n",
        ),
        ("a/go.mod", "module a\n"),
        ("a/x_test.go", ""),
        ("b/go.mod", "module b\n"),
        ("c/go.mod", "module c\n"),
        ("c/y_test.go", ""),
        ("gem/Gemfile.lock", "GEM\n  specs:\n    rspec (3.12)\n"),
        ("gem/spec/x_spec.rb", ""),
        ("gem/test/y_test.rb", ""),
        ("web/phpunit.xml.dist", ""),
        ("web/vendor/bin/phpunit", ""),
        ("java/pom.xml", ""),
        ("java/core/pom.xml", ""),
        ("kotlin/settings.gradle.kts", ""),
        ("kotlin/gradlew", ""),
        ("kotlin/app/build.gradle.kts", ""),
        ("native/CMakeLists.txt", "add_subdirectory(test)"),
        ("native/test/CMakeLists.txt", "add_test(NAME x COMMAND x)"),
        ("cli/test/a.bats", "@test \"x\" { true; }"),
        ("perl/t/a.t", "use Test::More;"),
        ("site/manage.py", ""),
        ("site/app/test_x.py", "class X(TestCase): pass"),
    ];
    insta::assert_snapshot!(shown(&files), @r#"
    unittest@site: python3 manage.py test (there is Django's `manage.py` in `site`)
    go-test: go test ./a/... ./c/... (the `go.work` in the project's root uses 2 modules with tests)
    rspec@gem: bundle exec rspec (`gem/spec/x_spec.rb` is a spec in `gem`)
    minitest@gem: ruby -Ilib -Itest -e Dir.glob('test/**/{*_test,test_*}.rb').sort.each { |f| require File.expand_path(f) } (`gem/test/y_test.rb` is a test in `gem`)
    phpunit@web: vendor/bin/phpunit (`phpunit.xml.dist` in `web` configures PHPUnit)
    junit@java: mvn -o test (there is a `pom.xml` in `java`)
    junit@kotlin: ./gradlew --offline test (there is a Gradle build in `kotlin`)
    ctest@native: sh -c cmake -S . -B build && cmake --build build --parallel && ctest --test-dir build (the CMake project in `native` registers tests)
    bats: bats -r cli/test (`cli/test/a.bats` is a test of bats)
    prove@perl: prove -lr t (there is a directory `t` with tests of Perl in `perl`)
    "#);
}

#[test]
fn presets_say_how_to_build() {
    let presets = r#"{"configurePresets": [{"name": "dev", "binaryDir": "${sourceDir}/out/dev"}],
        "testPresets": [{"name": "dev-tests", "configurePreset": "dev"}]}"#;
    let files = [
        ("CMakeLists.txt", "add_test(NAME x COMMAND x)"),
        ("CMakePresets.json", presets),
    ];
    let suites = detect(&listing(&files));
    assert_eq!(
        suites[0].command[2],
        "cmake --preset dev && cmake --build out/dev && ctest --preset dev-tests"
    );
}

#[test]
fn a_makefile_is_the_last_resort() {
    insta::assert_snapshot!(shown(&[("Makefile", "test := x\ncheck: all\n\t./check\n")]), @"make: make check (`Makefile` has a target `check`, and nothing else says how to test)");
    insta::assert_snapshot!(shown(&[("Justfile", "test *args:\n  ./t\n")]), @"just: just test (`Justfile` has a recipe `test`, and nothing else says how to test)");
    assert_eq!(shown(&[("Makefile", "tester:\n")]), "");
    let with_crate = [("Makefile", "test:\n"), ("Cargo.toml", PACKAGE)];
    assert!(!shown(&with_crate).contains("make"));
}

#[test]
fn scripts_that_start_scripts_are_seen_through() {
    let nested = r#"{"scripts":{"test":"npm run lint && pnpm run test:vitest run","lint":"eslint .","test:vitest":"vitest --coverage"}}"#;
    insta::assert_snapshot!(shown(&[("package.json", nested)]), @"vitest: npx vitest --coverage run (the `test` script of `package.json` in the project's root runs `test:vitest`, which starts it)");
    // Of another package, in a circle, and nowhere.
    let none = r#"{"scripts":{"test":"pnpm -r test && npm run a && npm run gone","a":"npm run b","b":"npm run a"}}"#;
    insta::assert_snapshot!(shown(&[("package.json", none)]), @"npm: npm test (`package.json` has a `test` script, and nothing else says how to test)");
}

#[test]
fn what_only_looks_like_tests_is_no_suite() {
    let android = [
        ("CMakeLists.txt", "enable_testing()"),
        ("support/build.gradle", ""),
    ];
    assert!(!shown(&android).contains("gradle"));
    let tested = [
        ("app/build.gradle", ""),
        ("app/lib/src/test/kotlin/ATest.kt", ""),
    ];
    assert!(shown(&tested).contains("gradle --offline test"));
    let hidden = [(".github/scripts/test_a.py", "def test_a(): pass")];
    assert_eq!(shown(&hidden), "");
}

#[test]
fn a_rakefile_may_know_tests_of_other_names() {
    let files = [
        ("Rakefile", "require 'rake/testtask'\nRake::TestTask.new"),
        ("test/spec_builder.rb", ""),
    ];
    insta::assert_snapshot!(shown(&files), @"minitest: rake test (the `Rakefile` in the project's root has a task of tests)");
}
