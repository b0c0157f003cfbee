//! `docs/reference/configuration.md` is made from the schema, so that it names every key.

use std::fmt::Write as _;

use serde_json::Value;
use tidegate::config::schema;

use super::validator::resolve;

#[test]
fn reference_is_what_the_schema_says() {
    let schema = schema();
    let path = super::package("docs/reference/configuration.md");
    let text = super::read(&path);
    let (prose, _) = text.split_once(BEGIN).expect("the prose ends with a marker");
    super::matches_file(&path, &format!("{prose}{BEGIN}{}", tables(&schema)));
}

const BEGIN: &str = "<!-- From here on made from the schema by `UPDATE=1 cargo test --test config`. -->\n";

/// Every key of the schema, once.
pub fn keys(schema: &Value) -> Vec<String> {
    let mut keys: Vec<String> = sections(schema)
        .into_iter()
        .flat_map(|it| it.part.get("properties").and_then(Value::as_object).into_iter().flatten())
        .map(|(key, _)| key.clone())
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

/// A map of the file.
struct Section<'a> {
    /// Where it stands; empty for the main file.
    places: Vec<String>,
    /// Reference to its part of the schema.
    name: String,
    part: &'a Value,
}

/// The maps of the file in the order in which one meets them.
fn sections(schema: &Value) -> Vec<Section<'_>> {
    let mut found = vec![Section { places: vec![String::new()], name: String::new(), part: schema }];
    let mut next = 0;
    while next < found.len() {
        let (place, part) = (found[next].places[0].clone(), found[next].part);
        for (key, value) in part.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let mut names = Vec::new();
            references(value, &mut names);
            for (name, nested) in names {
                let part = resolve(schema, &name);
                let dot = if place.is_empty() { "" } else { "." };
                let here = format!("{place}{dot}{key}{}", if nested { ".*" } else { "" });
                match found.iter_mut().find(|it| it.name == name) {
                    Some(known) => known.places.push(here),
                    None if part.get("properties").is_none() => {}
                    None => found.push(Section { places: vec![here], name, part }),
                }
            }
        }
        next += 1;
    }
    found
}

/// The definitions that a value may have, and whether they stand below names or in a list.
fn references(value: &Value, names: &mut Vec<(String, bool)>) {
    if let Some(name) = value.get("$ref").and_then(Value::as_str) {
        names.push((name.to_string(), false));
    }
    for key in ["anyOf", "allOf"] {
        value.get(key).and_then(Value::as_array).into_iter().flatten().for_each(|it| references(it, names));
    }
    for key in ["additionalProperties", "items"] {
        let mut below = Vec::new();
        value.get(key).into_iter().for_each(|it| references(it, &mut below));
        names.extend(below.into_iter().map(|it| (it.0, true)));
    }
}

fn tables(schema: &Value) -> String {
    let mut out = String::new();
    let included = "#/definitions/Included";
    let last = Section { places: Vec::new(), name: included.into(), part: resolve(schema, included) };
    for section in sections(schema).into_iter().chain([last]) {
        let part = section.part;
        match section.places.first().map(String::as_str) {
            None => out.push_str("\n## An included file\n\n"),
            Some("") => out.push_str("\n## The main file\n\n"),
            Some(_) => {
                let places: Vec<String> = section.places.iter().map(|it| format!("`{it}`")).collect();
                let about = part.get("description").and_then(Value::as_str).unwrap_or_default();
                let _ = write!(out, "\n## {}\n\n{}\n\n", places.join(", "), one_line(about));
            }
        }
        out.push_str("| key | value | meaning |\n|---|---|---|\n");
        for (key, value) in part.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let meaning = value.get("description").and_then(Value::as_str).unwrap_or_default();
            let kind = kinds(value).join(", ");
            let _ = writeln!(out, "| `{key}` | {kind} | {} |", one_line(meaning).replace('|', "\\|"));
        }
    }
    out
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What may stand there, in a few words.
fn kinds(value: &Value) -> Vec<String> {
    let mut kinds = Vec::new();
    let mut add = |kind: String| {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    };
    if let Some(name) = value.get("$ref").and_then(Value::as_str) {
        match name.rsplit('/').next().unwrap_or_default() {
            "Duration" => add("duration".into()),
            "Size" => add("size".into()),
            "Percent" => add("share".into()),
            "Text" => add("text".into()),
            "RetryReason" => add("reason".into()),
            _ => add("map".into()),
        }
    }
    if let Some(choices) = value.get("enum").and_then(Value::as_array) {
        choices.iter().filter_map(Value::as_str).for_each(|it| add(format!("`{it}`")));
    } else if let Some(kind) = value.get("type").and_then(Value::as_str) {
        add(match kind {
            "string" => "text".into(),
            "integer" => "number".into(),
            "boolean" => "`true`, `false`".into(),
            "object" => "map".into(),
            "array" => "list".into(),
            other => other.to_string(),
        });
    }
    for key in ["anyOf", "allOf"] {
        value.get(key).and_then(Value::as_array).into_iter().flatten().flat_map(kinds_of).for_each(&mut add);
    }
    kinds
}

fn kinds_of(value: &Value) -> Vec<String> {
    kinds(value)
}
