//! JSON Schema (draft-07) for editors, and with it the reference: the file as written, as types.
//!
//! The readers do not use these types: they report all mistakes of a file at once, which serde does not.
//! Tests hold both together: the same keys, and the same verdict on every example.

mod defaults;
mod units;
mod written;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use written::{File, Included};

pub(super) use defaults::documented_defaults;

/// The schema of the main file. The one of an included file is its part `Included`.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft07().for_deserialize().into_generator();
    // Named only so that it is part of the definitions.
    let _ = generator.subschema_for::<Included>();
    let mut schema = generator.into_root_schema_for::<File>().to_value();
    without_null(&mut schema);
    schema
}

/// Optional keys are left out, never null: `key:` with nothing behind it is refused by the readers.
fn without_null(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|it| it != "null");
                if let [only] = &types[..] {
                    let only = only.clone();
                    map.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(choices)) = map.get_mut("enum") {
                choices.retain(|it| !it.is_null());
            }
            if let Some(Value::Array(choices)) = map.get_mut("anyOf") {
                choices.retain(|it| it.get("type").is_none_or(|it| it != "null"));
                if let [Value::Object(only)] = &choices[..] {
                    let only = only.clone();
                    map.remove("anyOf");
                    // Keywords beside `$ref` are ignored in draft-07.
                    if only.contains_key("$ref") {
                        map.insert("allOf".into(), Value::Array(vec![Value::Object(only)]));
                    } else {
                        map.extend(only);
                    }
                }
            }
            map.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}
