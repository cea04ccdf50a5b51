//! Tests of the configuration as a whole.

use super::*;

#[test]
fn a_misspelt_variable_is_named_with_what_was_meant() {
    let told = |name: &str| -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let mut host = HostEnv::below(dir.path(), "");
        host.vars.insert(name.into(), "90s".into());
        let config = Config::from_text(&host, None, &[]).unwrap();
        let notes = config.notes.into_iter();
        notes.filter_map(|note| note.remedy).collect()
    };
    let meant = "did you mean `REGREEN_LIMITS_TIMEOUT`?";
    assert_eq!(told("REGREEN_LIMIT_TIMEOUT"), [meant]);
    assert_eq!(
        told("REGREEN_BACKENDS"),
        ["did you mean `REGREEN_BACKEND`?"]
    );
    for name in [
        "REGREEN_LIMITS_TIMEOUT",
        "REGREEN_LOG",
        "REGREEN_TEST_VENV",
        "REGREEN_REQUIRE",
        "REGREEN_FULL",
        "REGREEN_KEEP",
        "REGREEN_SEED",
        "LIMIT_TIMEOUT",
    ] {
        assert_eq!(told(name), [] as [String; 0], "{name}");
    }
}

/// The name of a service becomes that of a file on the host, and a project's file says it.
#[test]
fn a_service_has_a_plain_name() {
    let says = |service: &str| {
        let text =
            format!("[[suite]]\nname = \"s\"\ncommand = \"./x\"\n[[suite.service]]\n{service}");
        let layer: Layer = toml::from_str(&text).expect("it is read");
        error::check(Path::new("regreen.toml"), &text, &layer)
            .err()
            .map(|error| error.to_string())
    };
    let rest = "command = \"./db\"\nready = { tcp = 1 }\n";
    assert_eq!(says(&format!("name = \"db_1\"\n{rest}")), None);
    for name in ["../db", "a/b", "", "ü", ".."] {
        let wrong = says(&format!("name = \"{name}\"\n{rest}")).expect(name);
        assert!(wrong.contains("no name of a service"), "{wrong}");
    }
    let twice = format!("name = \"a\"\n{rest}[[suite.service]]\nname = \"a\"\n{rest}");
    assert!(says(&twice).expect("twice").contains("two services"));
    let url = "name = \"a\"\ncommand = \"./db\"\nready = { http = \"https://x\" }\n";
    assert!(says(url).expect("a scheme").contains("http://"));
}
