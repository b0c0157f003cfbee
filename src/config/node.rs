//! A file as written: a tree of texts, lists and maps, each with its place.
//!
//! Scalars stay text until a reader knows what they are meant to be: `version: 1.10` keeps its zero,
//! and `on` is a word where a word is wanted and a mistake where a boolean is wanted.

use super::source::At;

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) value: Value,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A text, and whether it was written without quotes.
    Scalar { text: String, plain: bool },
    /// `[a, b]`
    List(Vec<Node>),
    /// `{a: b}`; keys are unique.
    Map(Vec<Entry>),
}

/// One line of a map.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Word,
    pub(super) value: Node,
}

/// A text with its place.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) at: At,
    pub(super) text: String,
}

impl Node {
    /// Whether nothing was written: `key:`, `~` or `null`.
    pub(super) fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar { text, plain: true } => {
                matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    /// Whether it is this word, with or without quotes.
    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(&self.value, Value::Scalar { text, .. } if text == word)
    }

    /// What it is, for a message.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            _ if self.is_null() => "nothing",
            Value::Scalar { plain: true, text } if text.parse::<f64>().is_ok() => "a number",
            Value::Scalar { .. } => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}
