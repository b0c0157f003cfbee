//! The defaults that the schema documents, put where the file says nothing. A test loads what comes of it:
//! what is documented is what happens.

use serde_json::Value;

use super::super::written::{Line, Written};

/// Completes the maps that are the same without any key as left out, and those that are there.
pub(in super::super) fn documented_defaults(file: &mut Written) {
    let schema = super::schema();
    let part = |name: &str| &schema["definitions"][name];
    let Written::Map(lines) = file else { return };
    let defaults = entry(lines, "defaults");
    if let Written::Map(lines) = defaults {
        complete_where(lines, part("Service"), |key| part("Defaults")["properties"].get(key).is_some());
        for (key, name) in [("timeouts", "Timeouts"), ("limits", "Limits")] {
            if let Written::Map(inner) = entry(lines, key) {
                complete(inner, part(name));
            }
        }
        lines.retain(|it| it.value != Written::default());
    }
    if let Written::Map(inner) = entry(lines, "admin") {
        complete(inner, part("Admin"));
    }
    if let Written::Map(inner) = entry(lines, "dns") {
        complete(inner, part("Dns"));
    }
    complete(lines, &schema);
    lines.retain(|it| it.value != Written::default());
    let listeners = lines.iter_mut().find(|it| it.key == "listen").map(|it| &mut it.value);
    if let Some(Written::Map(listeners)) = listeners {
        for listener in listeners {
            let Written::Map(keys) = &mut listener.value else { continue };
            complete(keys, part("Listener"));
            for (key, name) in [("timeouts", "ListenerTimeouts"), ("limits", "ListenerLimits")] {
                if let Written::Map(inner) = entry(keys, key) {
                    complete(inner, part(name));
                }
            }
        }
    }
}

/// The value of a key; an empty map is put there if there is none.
fn entry<'a>(lines: &'a mut Vec<Line>, key: &str) -> &'a mut Written {
    let at = lines.iter().position(|it| it.key == key).unwrap_or_else(|| {
        lines.push(Line::new(key, Written::default()));
        lines.len() - 1
    });
    &mut lines[at].value
}

fn complete(lines: &mut Vec<Line>, part: &Value) {
    complete_where(lines, part, |_| true);
}

fn complete_where(lines: &mut Vec<Line>, part: &Value, wanted: impl Fn(&str) -> bool) {
    let keys = part["properties"].as_object().into_iter().flatten().filter(|it| wanted(it.0));
    for (key, about) in keys {
        let said = about["description"].as_str().and_then(literal);
        if let (Some(value), false) = (said, lines.iter().any(|it| it.key == *key)) {
            lines.push(Line::new(key, Written::plain(value)));
        }
    }
}

/// `5s` of "… Default: `5s`." and of "… Default: `auto`, one for each core."; nothing where words say it.
fn literal(description: &str) -> Option<&str> {
    let (_, after) = description.split_once("Default: `")?;
    let (value, _) = after.split_once('`')?;
    let simple = value.bytes().all(|it| it.is_ascii_alphanumeric() || b"_.:%".contains(&it));
    (simple && !value.is_empty()).then_some(value)
}
