//! What a request can say beside its path and its body.

use serde_json::{Value, json};

use super::super::cursor::{LIMIT_DEFAULT, LIMIT_MAX};
use super::operation::Operation;

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    place: &'static str,
    description: &'static str,
    schema: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Number,
    Limit,
    Seconds,
    Flag,
    Name,
    Key,
    Text,
}

const NAME: Parameter =
    Parameter { name: "name", place: "path", description: "The service.", schema: Kind::Name };
const FILE: Parameter =
    Parameter { name: "file", place: "path", description: "Its name.", schema: Kind::Name };
const IF_NONE_MATCH: Parameter = Parameter {
    name: "If-None-Match",
    place: "header",
    description: "Tags of answers that are there already: 304 if one of them is this one.",
    schema: Kind::Text,
};
const IF_MATCH: Parameter = Parameter {
    name: "If-Match",
    place: "header",
    description: "The tag of what this is meant for, or `*`: 412 if something was decided since.",
    schema: Kind::Text,
};
const KEY: Parameter = Parameter {
    name: "Idempotency-Key",
    place: "header",
    description: "The same key with the same request acts once: at most 255 characters, best a random number.",
    schema: Kind::Key,
};

/// Parameters that several paths have, by name.
const QUERY: &[Parameter] = &[
    query("after", "Waits until the revision is another than this.", Kind::Number),
    query("timeout", "How long `after` waits, in seconds: at most 60. Default: 30.", Kind::Seconds),
    query("since", "Only what came after this event.", Kind::Number),
    query("limit", "Most events of a page.", Kind::Limit),
    query("cursor", "The `next` of another page, to go on where it ended.", Kind::Text),
    query("service", "Only this service.", Kind::Text),
    query("wait", "How long to wait for the first event, in seconds: at most 60.", Kind::Seconds),
    query(
        "notified",
        "Only what became of notifications after this one, whatever event it was; `wait` ends with it, too.",
        Kind::Number,
    ),
    query("effective", "With the defaults, and with what people did since.", Kind::Flag),
    Parameter {
        name: "Last-Event-ID",
        place: "header",
        description: "The newest event that is known: those after it come right after the snapshot.",
        schema: Kind::Number,
    },
];

const fn query(name: &'static str, description: &'static str, schema: Kind) -> Parameter {
    Parameter { name, place: "query", description, schema }
}

impl Parameter {
    /// All that an operation has.
    pub(super) fn of(it: &Operation) -> impl Iterator<Item = Self> {
        let named = it.path.contains("{name}").then_some(NAME);
        let filed = it.path.contains("{file}").then_some(FILE);
        let known = it.tagged.then_some(IF_NONE_MATCH);
        let meant = (it.method == "post").then_some(IF_MATCH);
        let once = it.changes.then_some(KEY);
        let own = it.query.iter().filter_map(|name| QUERY.iter().find(|it| it.name == *name).copied());
        named.into_iter().chain(filed).chain(own).chain(known).chain(meant).chain(once)
    }

    pub(super) fn json(self) -> Value {
        let schema = match self.schema {
            Kind::Number => json!({"type": "integer", "minimum": 0, "maximum": u64::MAX}),
            Kind::Limit => {
                json!({"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT})
            }
            Kind::Seconds => json!({"type": "integer", "minimum": 0, "maximum": 60}),
            Kind::Flag => json!({"type": "boolean", "default": false}),
            Kind::Name => json!({"type": "string", "minLength": 1, "maxLength": 100}),
            Kind::Key => json!({"type": "string", "minLength": 1, "maxLength": 255}),
            Kind::Text => json!({"type": "string"}),
        };
        json!({
            "name": self.name,
            "in": self.place,
            "required": self.place == "path",
            "description": self.description,
            "schema": schema,
        })
    }
}
