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
