//! Reading a tree: maps with known keys, and the scalars in them. Every mistake is reported and reading
//! goes on; a reader returns `None` for what it could not understand.

use std::path::PathBuf;
use std::str::FromStr;

use crate::model::NameError;

use super::code::Code;
use super::node::{Entry, Node, Value, Word};
use super::problem::{Problems, Report};
use super::source::At;
use super::yaml::shown;

/// The keys of a map, as the schema knows them too (a test compares).
#[derive(Debug)]
pub(super) struct Shape {
    /// Name of the schema type.
    pub(super) name: &'static str,
    /// What it is in a message: "a service".
    pub(super) what: &'static str,
    pub(super) keys: &'static [&'static str],
}

/// A map whose keys are known.
pub(super) struct Fields<'a> {
    /// Where a missing key is reported.
    pub(super) at: At,
    shape: &'static Shape,
    entries: &'a [Entry],
}

impl<'a> Fields<'a> {
    /// Reports unknown keys and keys without a value. `at` is the key or item that holds the map.
    pub(super) fn of(node: &'a Node, at: At, shape: &'static Shape, problems: &mut Problems) -> Option<Self> {
        let entries = entries(node, shape.what, problems)?;
        for entry in entries {
            if !shape.keys.contains(&entry.key.text.as_str()) {
                problems.push(
                    Report::error(
                        Code::UnknownKey,
                        entry.key.at,
                        format!("unknown key `{}` in {}", shown(&entry.key.text), shape.what),
                    )
                    .did_you_mean(
                        &entry.key.text,
                        shape.keys.iter().copied(),
                        &format!("known keys: {}", shape.keys.join(", ")),
                    ),
                );
            }
        }
        Some(Self { at, shape, entries })
    }

    /// The entry of a key, unless it was left out or has no value.
    pub(super) fn entry(&self, key: &'static str) -> Option<&'a Entry> {
        debug_assert!(self.shape.keys.contains(&key), "{key} is not a key of {}", self.shape.name);
        self.entries.iter().find(|it| it.key.text == key && !it.value.is_null())
    }

    pub(super) fn get(&self, key: &'static str) -> Option<&'a Node> {
        self.entry(key).map(|it| &it.value)
    }

    /// The value of a key, read by `reader`.
    pub(super) fn read<T>(
        &self,
        key: &'static str,
        problems: &mut Problems,
        reader: impl FnOnce(&'a Node, &mut Problems) -> Option<T>,
    ) -> Option<T> {
        self.get(key).and_then(|node| reader(node, problems))
    }

    /// Like [`Fields::read`], into a place that has the default already.
    pub(super) fn set<T>(
        &self,
        key: &'static str,
        target: &mut T,
        problems: &mut Problems,
        reader: impl FnOnce(&'a Node, &mut Problems) -> Option<T>,
    ) {
        if let Some(value) = self.read(key, problems, reader) {
            *target = value;
        }
    }

    /// The entry of a key that has to be there.
    pub(super) fn required(
        &self,
        key: &'static str,
        help: &str,
        problems: &mut Problems,
    ) -> Option<&'a Entry> {
        let entry = self.entry(key);
        // A key without a value has been reported already.
        if entry.is_none() && !self.entries.iter().any(|it| it.key.text == key) {
            let message = format!("{} needs `{key}`", self.shape.what);
            problems.push(Report::error(Code::Missing, self.at, message).help(help));
        }
        entry
    }
}

/// The entries of a map; those without a value are reported.
pub(super) fn entries<'a>(node: &'a Node, what: &str, problems: &mut Problems) -> Option<&'a [Entry]> {
    let Value::Map(entries) = &node.value else {
        return wrong_kind(node, &format!("{what} is a map"), problems);
    };
    for entry in entries.iter().filter(|it| it.value.is_null()) {
        let message = format!("`{}` has no value", shown(&entry.key.text));
        problems.push(
            Report::error(Code::Missing, entry.key.at, message).help("leave the key out, or say what it is"),
        );
    }
    Some(entries)
}

/// The items of a list; those without a value are reported and left out.
pub(super) fn items<'a>(node: &'a Node, what: &str, problems: &mut Problems) -> Option<Vec<&'a Node>> {
    let Value::List(items) = &node.value else {
        return wrong_kind(node, what, problems);
    };
    for item in items.iter().filter(|it| it.is_null()) {
        problems.push(Report::error(Code::Missing, item.at, "an item of the list has no value"));
    }
    Some(items.iter().filter(|it| !it.is_null()).collect())
}

/// One value or a list of them.
pub(super) fn one_or_more<'a>(node: &'a Node, what: &str, problems: &mut Problems) -> Option<Vec<&'a Node>> {
    match &node.value {
        Value::Scalar { .. } => Some(vec![node]),
        _ => items(node, what, problems),
    }
}

pub(super) fn wrong_kind<T>(node: &Node, expected: &str, problems: &mut Problems) -> Option<T> {
    let label = format!("this is {}", node.kind());
    problems.push(Report::error(Code::Kind, node.at, expected).label(label));
    None
}

pub(super) fn bad_value<T>(node: &Node, message: impl Into<String>, problems: &mut Problems) -> Option<T> {
    problems.push(Report::error(Code::Value, node.at, message));
    None
}

/// A text, with or without quotes.
pub(super) fn text<'a>(node: &'a Node, problems: &mut Problems) -> Option<&'a str> {
    match &node.value {
        Value::Scalar { text, .. } => Some(text),
        _ => wrong_kind(node, "a text is wanted here", problems),
    }
}

pub(super) fn word(node: &Node, problems: &mut Problems) -> Option<Word> {
    text(node, problems).map(|it| Word { at: node.at, text: it.to_owned() })
}

/// A text that `parse` understands.
pub(super) fn parsed<T>(
    node: &Node,
    parse: impl FnOnce(&str) -> Result<T, String>,
    problems: &mut Problems,
) -> Option<T> {
    match parse(text(node, problems)?) {
        Ok(it) => Some(it),
        Err(message) => bad_value(node, message, problems),
    }
}

pub(super) fn boolean(node: &Node, problems: &mut Problems) -> Option<bool> {
    let Value::Scalar { text, plain } = &node.value else {
        return wrong_kind(node, "`true` or `false` is wanted here", problems);
    };
    let (value, help) = match text.to_ascii_lowercase().as_str() {
        "true" if *plain && text == "true" => return Some(true),
        "false" if *plain && text == "false" => return Some(false),
        "true" | "yes" | "on" | "y" => (Some("true"), "write `true`"),
        "false" | "no" | "off" | "n" => (Some("false"), "write `false`"),
        _ => (None, "write `true` or `false`"),
    };
    let help = if value.is_some() && !plain { format!("{help} without quotes") } else { help.to_string() };
    let message = format!("`{}` is not a boolean", shown(text));
    problems.push(Report::error(Code::Boolean, node.at, message).help(help));
    None
}

/// A whole number in a range.
pub(super) fn integer(node: &Node, least: u64, most: u64, problems: &mut Problems) -> Option<u64> {
    let Value::Scalar { text, plain } = &node.value else {
        return wrong_kind(node, "a whole number is wanted here", problems);
    };
    let number = text.parse::<u64>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    match number {
        Some(it) if !plain => bad_value(node, format!("write the number without quotes: {it}"), problems),
        Some(it) if (least..=most).contains(&it) => Some(it),
        Some(it) => {
            let message = format!("{it} is out of range");
            let help = format!("from {least} to {most}");
            problems.push(Report::error(Code::Limit, node.at, message).help(help));
            None
        }
        None => bad_value(node, format!("a whole number is wanted here, not `{}`", shown(text)), problems),
    }
}

/// One of a few words.
pub(super) fn choice<T: Copy>(node: &Node, choices: &[(&str, T)], problems: &mut Problems) -> Option<T> {
    let written = text(node, problems)?;
    if let Some(found) = choices.iter().find(|it| it.0 == written) {
        return Some(found.1);
    }
    let names: Vec<&str> = choices.iter().map(|it| it.0).collect();
    let message = format!("`{}` is not one of {}", shown(written), names.join(", "));
    let report = Report::error(Code::Value, node.at, message);
    problems.push(report.did_you_mean(written, names.iter().copied(), ""));
    None
}

/// A name of a service, version or listener.
pub(super) fn name<T: FromStr<Err = NameError>>(
    word: &Word,
    what: &str,
    problems: &mut Problems,
) -> Option<T> {
    match word.text.parse() {
        Ok(it) => Some(it),
        Err(error) => {
            let message = format!("`{}` cannot be the name of a {what}", shown(&word.text));
            problems.push(Report::error(Code::Name, word.at, message).help(error.to_string()));
            None
        }
    }
}

/// A path in the file system, relative to the file that names it.
pub(super) fn path(node: &Node, problems: &mut Problems) -> Option<PathBuf> {
    let written = text(node, problems)?;
    if written.is_empty() {
        return bad_value(node, "a path cannot be empty", problems);
    }
    let file = problems.path_of(node.at.file);
    let path = file.parent().map_or_else(|| PathBuf::from(written), |it| it.join(written));
    problems.note_path(node.at, &path);
    Some(path)
}
