//! The committed JSON Schema of the status file is the one of the code.

use regreen::model::Status;

#[test]
fn the_committed_schema_is_the_one_of_the_code() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/schemas/status.schema.json"
    );
    let schema = schemars::schema_for!(Status);
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    if std::env::var_os("REGREEN_BLESS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == text,
        "`docs/schemas/status.schema.json` is not what the code says; \
         if the change is meant, run this test with REGREEN_BLESS=1"
    );
}
