//! As much of JSON Schema as our schema uses. A keyword that is not known here fails the test, so that
//! nothing is skipped silently.

use regex_automata::meta::Regex;
use serde_json::Value;

/// Where `value` does not follow `schema`; empty when it does.
pub fn violations(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    let Some(keywords) = schema.as_object() else {
        // `true` takes everything.
        return if schema == &Value::Bool(true) { found } else { vec![format!("{at}: nothing is allowed")] };
    };
    let mut wrong = |holds: bool, what: &str| {
        if !holds {
            found.push(format!("{at}: {value} breaks {what}"));
        }
    };
    for (keyword, rule) in keywords {
        match keyword.as_str() {
            "type" => wrong(is_type(rule, value), "type"),
            "enum" => wrong(rule.as_array().is_some_and(|it| it.contains(value)), "enum"),
            "const" => wrong(rule == value, "const"),
            "minimum" => wrong(value.as_f64() >= rule.as_f64() || !value.is_number(), "minimum"),
            "maximum" => wrong(value.as_f64() <= rule.as_f64() || !value.is_number(), "maximum"),
            "pattern" => {
                let regex = Regex::new(rule.as_str().expect("a pattern is a text")).expect("a pattern");
                wrong(value.as_str().is_none_or(|it| regex.is_match(it)), "pattern");
            }
            "minItems" => {
                wrong(value.as_array().is_none_or(|it| Some(it.len() as u64) >= rule.as_u64()), "minItems")
            }
            "maxItems" => {
                wrong(value.as_array().is_none_or(|it| Some(it.len() as u64) <= rule.as_u64()), "maxItems")
            }
            "required" => {
                for key in rule.as_array().into_iter().flatten().filter_map(Value::as_str) {
                    wrong(value.get(key).is_some() || !value.is_object(), &format!("required {key}"));
                }
            }
            "anyOf" => {
                let fits = rule
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|it| violations(root, it, value, at).is_empty());
                wrong(fits, "anyOf");
            }
            "$schema"
            | "$ref"
            | "allOf"
            | "title"
            | "description"
            | "definitions"
            | "format"
            | "default"
            | "properties"
            | "additionalProperties"
            | "items" => {}
            other => panic!("the schema uses `{other}`, which this validator does not know"),
        }
    }
    if let Some(name) = keywords.get("$ref").and_then(Value::as_str) {
        found.extend(violations(root, resolve(root, name), value, at));
    }
    for part in keywords.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        found.extend(violations(root, part, value, at));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        // A list says what stands at each place.
        let items = keywords.get("items");
        if let Some(schema) = items.and_then(|it| if it.is_array() { it.get(index) } else { Some(it) }) {
            found.extend(violations(root, schema, item, &format!("{at}/{index}")));
        }
    }
    for (key, item) in value.as_object().into_iter().flatten() {
        let known = keywords.get("properties").and_then(|it| it.get(key));
        if let Some(schema) = known.or(keywords.get("additionalProperties")) {
            let at = format!("{at}/{key}");
            match schema {
                Value::Bool(false) => found.push(format!("{at}: unknown key")),
                schema => found.extend(violations(root, schema, item, &at)),
            }
        }
    }
    found
}

/// The part of the schema that `#/definitions/Name` names.
pub fn resolve<'a>(root: &'a Value, reference: &str) -> &'a Value {
    let pointer = reference.strip_prefix('#').expect("references stay inside the schema");
    root.pointer(pointer).expect("the schema defines what it refers to")
}

fn is_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("unknown type {other}"),
    };
    match rule {
        Value::String(name) => is(name),
        _ => rule.as_array().into_iter().flatten().filter_map(Value::as_str).any(is),
    }
}
