//! `regreen config` and `regreen trust`: layers, origins, and what an untrusted file may not.

use super::codes;
use super::document;
use super::only;
use crate::support::Home;
use crate::support::Project;
use crate::support::require;

const EVERYTHING: &str = r#"trigger = "commit"
backend = "none"
network = "host"
pass_env = ["SECRET"]
include = [".env"]

[[mounts]]
source = "/etc"

[limits]
timeout = "5h"
silence = "1m"
disk = "1TiB"
processes = 100000
cpu = 1.5

[[suite]]
name = "mine"
command = ["sh", "-c", "echo ok"]
carry = ["../outside", "vendor"]
timeout = "6h"

[fix]
agent = "evil"
max_iterations = 99
protected = ["secrets/**"]

[agent.evil]
command = "rm -rf /"
network = "host"

[slots]
max = 30
"#;

fn asking() -> Project {
    Home::new()
        .project("asking")
        .file("regreen.toml", EVERYTHING)
        .committed()
}

fn values(project: &Project, env: &[(&str, &str)]) -> serde_json::Value {
    let mut show = project.regreen(["config", "show", "--json"]);
    for (name, value) in env {
        show = show.env(name, value);
    }
    let ran = show.run();
    ran.exits(0);
    ran.json()
}

/// The value and origin of a key.
fn row(shown: &serde_json::Value, key: &str) -> (String, String) {
    let rows = shown["values"].as_array().expect("rows");
    let row = rows
        .iter()
        .find(|row| row["key"] == key)
        .unwrap_or_else(|| panic!("no `{key}` in {shown:#}"));
    let text = |name: &str| row[name].as_str().expect("text").to_owned();
    (text("value"), text("origin"))
}

#[test]
fn an_untrusted_file_narrows_and_does_not_open() {
    let project = asking();
    let shown = values(&project, &[]);
    let mut left_out: Vec<&str> = shown["left_out"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|it| it["key"].as_str())
        .collect();
    left_out.sort_unstable();
    assert_eq!(
        left_out,
        [
            "agent.evil",
            "backend",
            "fix.agent",
            "fix.max_iterations",
            "include",
            "limits.disk",
            "limits.processes",
            "limits.timeout",
            "mounts",
            "network",
            "pass_env",
            "slots.max",
            "suite.0.carry",
            "suite.0.timeout",
        ]
    );
    let file = project.path("regreen.toml").display().to_string();
    for (key, value, origin) in [
        ("backend", "\"bwrap\"", "default"),
        ("network", "\"none\"", "default"),
        ("limits.timeout", "\"20m\"", "default"),
        ("limits.silence", "\"1m\"", file.as_str()),
        ("limits.disk", "automatic", "default"),
        ("limits.cpu", "1.5", file.as_str()),
        ("trigger", "\"commit\"", file.as_str()),
        ("fix.protected", "[\"secrets/**\"]", file.as_str()),
    ] {
        assert_eq!(
            row(&shown, key),
            (value.to_owned(), origin.to_owned()),
            "{key}"
        );
    }
    assert_eq!(shown["left_out"][0]["line"], 2, "{shown:#}");
}

#[test]
fn trust_holds_for_exactly_one_text() {
    let project = asking();
    let said = project.regreen(["trust", "--show"]).run();
    said.exits(0).says("untrusted").says("network = \"host\"");
    assert_eq!(values(&project, &[])["trust"], "untrusted");
    project
        .regreen(["trust"])
        .run()
        .exits(0)
        .says("trusted as it is now");
    let shown = values(&project, &[]);
    assert_eq!(shown["trust"], "trusted");
    assert_eq!(shown["left_out"].as_array().map(Vec::len), Some(0));
    assert_eq!(row(&shown, "backend").0, "\"none\"");
    project.edit("regreen.toml", "max = 30", "max = 31");
    let shown = values(&project, &[]);
    assert_eq!(shown["trust"], "changed");
    assert_eq!(row(&shown, "backend").0, "\"bwrap\"");
    project.regreen(["trust"]).run().exits(0);
    project.regreen(["trust", "--revoke"]).run().exits(0);
    assert_eq!(values(&project, &[])["trust"], "untrusted");
}

#[test]
fn layers_lie_in_order() {
    let project = Home::new()
        .project("layers")
        .file("regreen.toml", "[limits]\nsilence = \"1m\"\n")
        .committed();
    project
        .home
        .user_config("trigger = \"stage\"\n[limits]\nsilence = \"2m\"\nmemory = \"1GiB\"\n");
    let user = project.home.path().join(".config/regreen/config.toml");
    let user = user.display().to_string();
    let shown = values(&project, &[("REGREEN_LIMITS_MEMORY", "512MiB")]);
    let silence = row(&shown, "limits.silence");
    assert_eq!(silence.0, "\"1m\"");
    assert_eq!(row(&shown, "trigger"), ("\"stage\"".to_owned(), user));
    let memory = row(&shown, "limits.memory");
    assert_eq!(
        memory,
        ("\"512MiB\"".to_owned(), "$REGREEN_LIMITS_MEMORY".to_owned())
    );
    let wrong = project
        .regreen(["config", "show"])
        .env("REGREEN_TRIGGER", "comit")
        .run();
    wrong
        .exits(2)
        .complains("REGREEN_TRIGGER")
        .complains("did you mean `commit`?");
}

#[test]
fn complaints_name_the_place_and_the_remedy() {
    let project = Home::new().project("wrong").file("a", "").committed();
    let file = project.path("regreen.toml").display().to_string();
    for (text, expected) in [
        (
            "\n  bakcend = 1\n",
            "line 2, column 3: unknown key `bakcend`; did you mean `backend`?",
        ),
        (
            "[limits]\ntimeout = 90\n",
            "line 2, column 11: invalid type: integer `90`, expected a duration with its unit, as \"90s\" or \"1h30m\"",
        ),
        (
            "[limits]\nmemory = \"2 gigs\"\n",
            "line 2, column 10: `2 gigs` is not a size; write a number and a unit: `512MiB`, `2GiB`, `500MB`",
        ),
        (
            "[[suite]]\nname = \"a b\"\n",
            "line 2, column 1: `a b` is no name of a suite; use letters and digits",
        ),
        (
            "[[suite]]\nname = \"a\"\n[[suite]]\nname = \"a\"\n",
            "line 4, column 1: there are two suites named `a`",
        ),
        (
            "[[suite]]\nname = \"a\"\ndir = \"../b\"\n",
            "line 3, column 1: `../b` does not lie in the project",
        ),
        (
            "[[suite]]\nname = \"a\"\ncommand = [\"cargo\", \"watch\", \"-x\", \"test\"]\n",
            "line 3, column 1: `watch` makes the command wait for changes and never end",
        ),
        (
            "[[suite]]\nname = \"a\"\ncommand = \"cargo watch -x test\"\n",
            "line 3, column 1: `watch` makes the command wait for changes and never end",
        ),
        (
            "[[suite]]\nname = \"a\"\ncommand = \"python3 -m pytest --watch\"\n",
            "line 3, column 1: `--watch` makes the command wait for changes and never end",
        ),
        (
            "[[suite]]\nname = \"a\"\nframework = \"generic\"\ncommand = \"cd b && pytest -f\"\n",
            "line 4, column 1: `-f` makes the command wait for changes and never end",
        ),
        (
            "[[suite]]\nname = \"a\"\ncommand = \"cd b && cargo test\"\n",
            "line 3, column 1: `cargo test` behind a shell could be judged by its exit status only; write the command without a shell, as a list of arguments (variables belong in `env`, the directory in `dir`), or say `framework = \"generic\"` if the exit status is enough",
        ),
        (
            "[[suite]]\nname = \"a\"\ncommand = []\n",
            "line 3, column 11: the command is empty",
        ),
    ] {
        project.write("regreen.toml", text);
        let ran = project.regreen(["config", "check"]).run();
        ran.exits(2);
        let said = ran.stderr().replace(&format!("regreen: `{file}`, "), "");
        assert_eq!(said.trim_end(), expected, "{text}");
    }
    project.write("regreen.toml", "[[suite]]\nname = \"tests\"\n");
    project
        .regreen(["config", "check"])
        .run()
        .exits(2)
        .complains("suite `tests` is not detected here, so it needs a `command` or a `framework`");
    std::fs::remove_file(project.path("regreen.toml")).expect("ours");
    std::os::unix::fs::symlink("/etc/hostname", project.path("regreen.toml")).expect("ours");
    let ran = project.regreen(["config", "check"]).run();
    ran.exits(2).complains("symbolic link");
    // Without a worktree there is one's own file, and that is said.
    let plain = project.home.project("plain").plain();
    let ran = plain.regreen(["config", "check"]).run();
    ran.exits(0)
        .says("your own configuration is well-formed")
        .says("not in a git worktree, so no regreen.toml was looked at");
    project.home.user_config("silense = 3\n");
    plain.regreen(["config", "check"]).run().exits(2);
}

#[test]
fn suites_explain_themselves() {
    let project = Home::new()
        .project("explained")
        .file(
            "Cargo.toml",
            "[package]\nname = \"a\"\nversion = \"0.1.0\"\n",
        )
        .file("py/pytest.ini", "")
        .committed();
    let ran = project.regreen(["config", "suites"]).run();
    ran.exits(0);
    insta::assert_snapshot!(ran.stdout(), @r"
    cargo
      runs  cargo test
      in    .
      why   there is a `Cargo.toml` in the project's root
    pytest@py
      runs  python3 -m pytest
      in    py
      why   `pytest.ini` in `py` configures pytest
    to change one, name it in regreen.toml: `[[suite]]` with the same `name` and a `command`, `dir`,
    `env`, `timeout`, or `enabled = false`; see docs/configuration.md
    ");
    let json = project.regreen(["config", "suites", "--json"]).run().json();
    assert_eq!(json[1]["name"], "pytest@py");
}

#[test]
fn a_run_says_what_it_did_not_get() {
    if !require("bwrap") {
        return;
    }
    let project = asking();
    let (document, ran) = document(&project, &[]);
    let report = only(&document);
    assert!(codes(report).contains(&"untrusted_config"), "{ran}");
    let backend = report.run.isolation.as_ref().map(|it| it.backend.as_str());
    assert_eq!(backend, Some("bwrap"), "{ran}");
}

#[test]
fn schemas_are_committed() {
    let home = Home::new();
    let schema = home.regreen(["config", "schema"]).run();
    schema.exits(0);
    let run = serde_json::to_string_pretty(&schemars::schema_for!(regreen::model::RunDocument));
    for (name, text) in [
        ("config.schema.json", schema.stdout()),
        ("run.schema.json", run.expect("a schema is JSON") + "\n"),
    ] {
        let path = crate::support::repository().join("docs/schemas").join(name);
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        if committed != text {
            std::fs::write(&path, &text).expect("the repository is writable");
            panic!("docs/schemas/{name} was out of date; it is written anew, commit it");
        }
    }
}

#[test]
fn every_key_is_documented_with_its_default() {
    let home = Home::new();
    let shown = home.regreen(["config", "show", "--json"]).run().json();
    let path = crate::support::repository().join("docs/configuration.md");
    let text = std::fs::read_to_string(path).expect("it is committed");
    for row in shown["values"].as_array().expect("rows") {
        let key = row["key"].as_str().expect("text");
        let value = row["value"].as_str().expect("text");
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("| `{key}` |")))
            .unwrap_or_else(|| panic!("docs/configuration.md does not explain `{key}`"));
        let default = line.split(" | ").nth(1).expect("a second column");
        assert_eq!(
            default.trim_matches('`'),
            value,
            "`{key}` in docs/configuration.md"
        );
    }
}

#[test]
fn a_command_in_one_string_keeps_its_framework() {
    if !require("bwrap") {
        return;
    }
    let project = Home::new()
        .project("worded")
        .file(
            "Cargo.toml",
            "[package]\nname = \"worded\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
        )
        .file("src/lib.rs", "")
        .file(
            "regreen.toml",
            "[[suite]]\nname = \"cargo\"\ncommand = \"cargo test\"\n",
        )
        .committed();
    let (none, ran) = document(&project, &[]);
    assert_eq!(only(&none).run.framework, "cargo-test", "{ran}");
    assert_eq!(only(&none).counts.passed, 0, "{ran}");
    assert_eq!(
        none.exit_code, 102,
        "nothing ran, so nothing is green: {ran}"
    );
    // Behind a shell it is recognised by what it prints.
    let (seen, ran) = document(&project, &["--", "sh", "-c", "cargo test"]);
    assert_eq!(only(&seen).run.framework, "cargo-test", "{ran}");
    assert_eq!(seen.exit_code, 102, "{ran}");
    assert!(!codes(only(&seen)).contains(&"exit_status_only"), "{ran}");
    // Where it prints nothing a shell is a shell, and the report says what that means.
    let silent = "cargo test >/dev/null 2>&1";
    let (shell, ran) = document(&project, &["--", "sh", "-c", silent]);
    assert_eq!(only(&shell).run.framework, "generic", "{ran}");
    assert!(codes(only(&shell)).contains(&"exit_status_only"), "{ran}");
}

#[test]
fn suites_that_are_not_there() {
    let project = Home::new()
        .project("absent")
        .file(
            "Cargo.toml",
            "[package]\nname = \"a\"\nversion = \"0.1.0\"\n",
        )
        .committed();
    for (text, code, check, expected) in [
        (
            "[[suite]]\nname = \"smoke\"\ncommand = \"./smoke.sh\"\ndir = \"nope\"\n",
            2,
            2,
            "regreen.toml: `dir = \"nope\"` of the suite `smoke` is no directory of the project",
        ),
        (
            "[[suite]]\nname = \"carg\"\nenabled = false\n",
            2,
            2,
            "switches off the suite `carg` (`enabled = false`), which is not detected here; did you mean `cargo`?",
        ),
        (
            "[[suite]]\nname = \"cargo\"\nenabled = false\n",
            102,
            0,
            "regreen.toml switches off every one (`enabled = false`)",
        ),
    ] {
        project.write("regreen.toml", text);
        let ran = project.regreen(["run"]).run();
        ran.exits(code).complains(expected);
        let checked = project.regreen(["config", "check"]).run();
        checked.exits(check);
    }
    let listed = project.regreen(["config", "suites"]).run();
    listed.exits(102).says("switches off every one");
    // One's own suite may be switched off.
    project.write(
        "regreen.toml",
        "[[suite]]\nname = \"own\"\ncommand = \"./own.sh\"\nenabled = false\n",
    );
    project.regreen(["config", "check"]).run().exits(0);
}
