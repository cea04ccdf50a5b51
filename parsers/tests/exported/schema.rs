//! CTRF's published schema, and as much of JSON Schema (draft 7) as it uses; a keyword that is
//! not known here is a fault of its own, so that nothing is overlooked.

use regex::Regex;
use serde_json::Value;
use std::path::Path;

/// The schema as it is published.
pub fn published() -> Value {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/schemas/ctrf/ctrf-schema-0.0.json");
    let text = std::fs::read_to_string(path).expect("it is committed");
    serde_json::from_str(&text).expect("JSON")
}

/// In what a value does not fit a schema.
pub fn faults(value: &Value, schema: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(value, schema, schema, "", &mut faults);
    faults
}

fn check(value: &Value, schema: &Value, root: &Value, place: &str, faults: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        let holds = match keyword.as_str() {
            "$schema" | "title" | "description" | "definitions" => true,
            "$ref" => {
                let name = rule.as_str().and_then(|it| it.strip_prefix('#'));
                let there = name.and_then(|name| root.pointer(name));
                check(value, there.expect("a definition"), root, place, faults);
                true
            }
            "properties" => {
                for (name, schema) in rule.as_object().expect("an object") {
                    if let Some(inner) = value.get(name) {
                        check(inner, schema, root, &format!("{place}/{name}"), faults);
                    }
                }
                true
            }
            "items" => {
                for (i, inner) in value.as_array().into_iter().flatten().enumerate() {
                    check(inner, rule, root, &format!("{place}/{i}"), faults);
                }
                true
            }
            "additionalProperties" if rule.is_object() => {
                for (name, inner) in value.as_object().into_iter().flatten() {
                    check(inner, rule, root, &format!("{place}/{name}"), faults);
                }
                true
            }
            "additionalProperties" => {
                names(value).all(|name| rule != false || schema["properties"].get(name).is_some())
            }
            _ => simple(value, keyword, rule, root),
        };
        if !holds {
            faults.push(format!("{place}: {keyword} {rule}"));
        }
    }
}

fn simple(value: &Value, keyword: &str, rule: &Value, root: &Value) -> bool {
    let most =
        |length: Option<usize>| length.is_none_or(|it| it as u64 >= rule.as_u64().unwrap_or(0));
    let text = value.as_str();
    match keyword {
        "type" => match rule.as_str().expect("one type") {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            other => panic!("no type is called `{other}`"),
        },
        "const" => value == rule,
        "enum" => rule.as_array().is_some_and(|all| all.contains(value)),
        "required" => {
            let names = rule.as_array().into_iter().flatten();
            names
                .filter_map(Value::as_str)
                .all(|name| value.get(name).is_some())
        }
        "minLength" => most(text.map(|it| it.chars().count())),
        "minItems" => most(value.as_array().map(Vec::len)),
        "minimum" => value.as_f64() >= rule.as_f64(),
        "pattern" => {
            let pattern = Regex::new(rule.as_str().expect("a pattern")).expect("a known syntax");
            text.is_none_or(|it| pattern.is_match(it))
        }
        "format" => text.is_none_or(|it| formatted(it, rule.as_str().expect("a name"))),
        "anyOf" => rule.as_array().expect("a list").iter().any(|schema| {
            let mut inner = Vec::new();
            check(value, schema, root, "", &mut inner);
            inner.is_empty()
        }),
        other => panic!("`{other}` is no keyword that is known here"),
    }
}

fn formatted(text: &str, format: &str) -> bool {
    let pattern = match format {
        "uuid" => "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        "date-time" => r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
        "uri" => "^[a-z]+:[^ ]+$",
        other => panic!("`{other}` is no format that is known here"),
    };
    Regex::new(pattern).expect("a pattern").is_match(text)
}

fn names(value: &Value) -> impl Iterator<Item = &String> {
    value.as_object().into_iter().flat_map(|it| it.keys())
}
