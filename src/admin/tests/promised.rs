//! Whether a problem is what the document of the interface says of it.

use std::sync::OnceLock;

use serde_json::Value;

use super::super::{openapi, problems};

/// Holds a problem to what is told of this path and method.
#[track_caller]
pub(super) fn check(path: &str, method: &str, status: u16, body: &str) {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    let root = DOCUMENT.get_or_init(openapi::document);
    let problem: Value = serde_json::from_str(body).unwrap_or_else(|it| panic!("{path}: {it}: {body}"));
    let operation = &root["paths"][path][method.to_lowercase()];
    let responses = &operation["responses"];
    let told = match (&responses[status.to_string()], &responses["default"]) {
        (Value::Null, Value::Null) => &root["components"]["responses"]["Problem"],
        (Value::Null, other) => resolved(root, other),
        (told, _) => resolved(root, told),
    };
    let schema = &told["content"]["application/problem+json"]["schema"];
    assert!(schema.is_object(), "{method} {path} {status} has no schema");
    let mut wrong = Vec::new();
    compare(root, schema, &problem, "", &mut wrong);
    assert!(wrong.is_empty(), "{method} {path} {status}: {wrong:#?}\n{problem:#}");
    assert_eq!(problem["status"], status);
    let code = problem["code"].as_str().unwrap_or_default();
    let (_, usual, _) =
        problems::of(code).unwrap_or_else(|| panic!("{method} {path}: `{code}` is not told of"));
    if operation.is_object() {
        let among = resolved(root, &responses[usual.to_string()])["description"].as_str().unwrap_or_default();
        assert!(
            among.contains(&format!("`{code}`: ")),
            "{method} {path}: {usual} is not told of with `{code}`"
        );
    }
}

fn resolved<'a>(root: &'a Value, at: &'a Value) -> &'a Value {
    match at["$ref"].as_str() {
        Some(to) => root.pointer(to.trim_start_matches('#')).expect("every reference leads somewhere"),
        None => at,
    }
}

/// What of a value its schema does not say. Members that are not told of are wrong, too.
fn compare(root: &Value, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
    let schema = resolved(root, schema);
    if let Some(any) = schema["anyOf"].as_array() {
        let fits = |it: &Value| {
            let mut wrong = Vec::new();
            compare(root, it, value, at, &mut wrong);
            wrong.is_empty()
        };
        if !any.iter().any(fits) {
            wrong.push(format!("{at}: {value} is nothing of {any:?}"));
        }
        return;
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(it) if it.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is = |it: &Value| it == kind || (it == "number" && kind == "integer");
    let fits = match &schema["type"] {
        Value::Null => true,
        Value::Array(kinds) => kinds.iter().any(is),
        one => is(one),
    };
    if !fits || schema["enum"].as_array().is_some_and(|it| !it.contains(value)) {
        wrong.push(format!("{at}: {value} is no {schema}"));
    }
    for element in value.as_array().into_iter().flatten() {
        compare(root, &schema["items"], element, &format!("{at}[]"), wrong);
    }
    let Some(members) = value.as_object() else { return };
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    wrong.extend(required.filter(|it| !members.contains_key(*it)).map(|it| format!("{at}.{it} is missing")));
    for (name, member) in members.iter().filter(|_| schema["properties"].is_object()) {
        match &schema["properties"][name] {
            Value::Null => wrong.push(format!("{at}.{name} is not told of")),
            told => compare(root, told, member, &format!("{at}.{name}"), wrong),
        }
    }
}

#[test]
fn what_is_not_told_of_is_found() {
    let problem = |more: &str| {
        let text = r#"{"type": "urn:tidegate:problem:token_needed", "title": "Unauthorized", "status": 401,
            "code": "token_needed", "detail": "say who you are", MORE}"#;
        text.replace("MORE", more)
    };
    let check = |more: &str| check("/api/v1/status", "GET", 401, &problem(more));
    check(r#""role": "read""#);
    for wrong in
        [r#""rolle": "read""#, r#""role": 7"#, r#""known": "a""#, r#""status": 403"#, r#""code": "busy""#]
    {
        assert!(std::panic::catch_unwind(|| check(wrong)).is_err(), "{wrong}");
    }
}

/// Whatever any part of this room puts into a problem.
#[test]
fn every_member_of_a_problem_is_told_of() {
    let document = openapi::document();
    let told = &document["components"]["schemas"]["ProblemWire"]["properties"];
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/admin"))];
    let mut found = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.ends_with("script.rs") {
                // A house of cards, for tests alone.
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for name in code.split(".with(\"").skip(1).filter_map(|it| it.split('"').next()) {
                found += 1;
                assert!(told[name].is_object(), "{}: `{name}` is not told of", path.display());
            }
        }
    }
    assert!(found > 5, "{found}");
}
