//! Settings that differ, as they are written.

use super::super::text;
use super::super::written::Written;

/// Each setting that differs between two maps: `timeouts.head: 60s → 30s`.
pub(super) fn settings(old: &Written, new: &Written) -> Vec<String> {
    let mut found = Vec::new();
    collect("", old, new, &mut found);
    found
}

fn collect(place: &str, old: &Written, new: &Written, found: &mut Vec<String>) {
    let at = |key: &str| if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
    for line in new.lines() {
        match (old.get(&line.key), &line.value) {
            (None, value) => found.push(format!("{}: {}, was not written", at(&line.key), value.one_line())),
            (Some(before), after) if same(before, after) => {}
            (Some(before @ Written::Map(_)), after @ Written::Map(_)) => {
                collect(&at(&line.key), before, after, found);
            }
            (Some(before), after) => {
                found.push(format!("{}: {} → {}", at(&line.key), before.one_line(), after.one_line()));
            }
        }
    }
    for line in old.lines().iter().filter(|it| new.get(&it.key).is_none()) {
        let before = line.value.one_line();
        found.push(format!("{}: no longer written, was {before}; its default counts", at(&line.key)));
    }
}

/// Whether two values cannot mean different things. A text and a list of that text are the same.
pub(super) fn same(one: &Written, other: &Written) -> bool {
    match (one, other) {
        (Written::Text { text: a, .. }, Written::Text { text: b, .. }) => a == b || same_amount(a, b),
        (Written::List(a), Written::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Written::Map(a), Written::Map(b)) => {
            let there =
                |it: &super::super::written::Line| other.get(&it.key).is_some_and(|b| same(&it.value, b));
            a.len() == b.len() && a.iter().all(there)
        }
        (Written::List(items), text @ Written::Text { .. })
        | (text @ Written::Text { .. }, Written::List(items)) => {
            matches!(items.as_slice(), [only] if same(only, text))
        }
        _ => false,
    }
}

/// `60s` and `1m`.
fn same_amount(a: &str, b: &str) -> bool {
    let durations = text::duration(a).ok().zip(text::duration(b).ok());
    let sizes = text::size(a).ok().zip(text::size(b).ok());
    durations.is_some_and(|(a, b)| a == b) || sizes.is_some_and(|(a, b)| a == b)
}
