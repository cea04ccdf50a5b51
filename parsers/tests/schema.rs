//! The committed JSON Schema is the one of the types, and every recording's report fits it.
//!
//! After a change that is meant (and a CHANGELOG line):
//! `REGREEN_UPDATE_SCHEMA=1 cargo test -p regreen-parsers --test schema`.

mod support;

use regreen_parsers::Report;
use serde_json::Value;
use std::fs;
use std::path::Path;
use support::Recording;

#[test]
fn the_committed_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas/report.schema.json");
    let current = regreen_parsers::schema();
    if std::env::var_os("REGREEN_UPDATE_SCHEMA").is_some() {
        fs::create_dir_all(path.parent().expect("a directory")).expect("docs/schemas");
        fs::write(&path, &current).expect("the schema is written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == current,
        "docs/schemas/report.schema.json is not current"
    );
}

#[test]
fn every_report_fits_the_schema_and_comes_back() {
    let schema: Value = serde_json::from_str(&regreen_parsers::schema()).expect("a schema");
    for recording in Recording::all() {
        let report = recording.report();
        let json = serde_json::to_value(&report).expect("a report is JSON");
        fits(&json, &schema, &schema, &recording.name);
        let back: Report = serde_json::from_value(json).expect("a report comes back");
        assert_eq!(back, report, "{}", recording.name);
    }
}

/// As much of JSON Schema as the generated one uses.
fn fits(value: &Value, schema: &Value, root: &Value, place: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let key = name.strip_prefix("#/$defs/").expect("a local reference");
        return fits(value, &root["$defs"][key], root, place);
    }
    if let Some(choices) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        let any = choices.iter().any(|choice| accepts(value, choice, root));
        assert!(any, "{place}: {value} fits none of {choices:?}");
        return;
    }
    assert!(
        type_fits(value, &schema["type"]),
        "{place}: {value} is no {}",
        schema["type"]
    );
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("a name");
        assert!(value.get(name).is_some(), "{place}: `{name}` is missing");
    }
    if let (Some(fields), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        for (name, field) in fields {
            let expected = known
                .get(name)
                .unwrap_or_else(|| panic!("{place}: `{name}` is unknown"));
            fits(field, expected, root, &format!("{place}.{name}"));
        }
    }
    for (i, item) in value.as_array().into_iter().flatten().enumerate() {
        fits(item, &schema["items"], root, &format!("{place}[{i}]"));
    }
}

fn accepts(value: &Value, choice: &Value, root: &Value) -> bool {
    if let Some(word) = choice.get("const") {
        return word == value;
    }
    if let Some(words) = choice["enum"].as_array() {
        return words.contains(value);
    }
    if let Some(name) = choice["$ref"].as_str() {
        let key = name.strip_prefix("#/$defs/").expect("a local reference");
        let is_object = root["$defs"][key]["type"] == "object";
        return is_object == value.is_object();
    }
    type_fits(value, &choice["type"])
}

fn type_fits(value: &Value, expected: &Value) -> bool {
    let one = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => false,
    };
    match expected {
        Value::String(name) => one(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(one),
        _ => true,
    }
}
