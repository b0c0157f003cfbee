//! Scalars and shorthands that the types of the file share.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

macro_rules! unit {
    ($(#[doc = $doc:literal])* $name:ident, $schema:expr) => {
        $(#[doc = $doc])*
        pub(super) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut schema: Schema = $schema;
                let doc: &[&str] = &[$($doc),*];
                schema.insert("description".into(), doc.concat().trim().into());
                schema
            }
        }
    };
}

unit! {
    /// A number and a unit: `500ms`, `1s`, `5m`, `2h`, `7d`.
    Duration,
    json_schema!({ "type": "string", "pattern": r"^[0-9]+(\.[0-9]{1,3})? ?(ms|s|m|h|d)$" })
}

unit! {
    /// A number of bytes, or a number and a unit: `4096`, `64KiB`, `1MiB`, `10GiB`.
    Size,
    json_schema!({ "anyOf": [
        { "type": "integer", "minimum": 0 },
        { "type": "string", "pattern": r"^[0-9]+ ?(B|KiB|MiB|GiB|TiB)$" },
    ] })
}

unit! {
    /// A number and a percent sign: `5%`, `0.25%`.
    Percent,
    json_schema!({ "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?%$" })
}

unit! {
    /// A text; numbers and booleans are taken as they are written.
    Text,
    json_schema!({ "type": ["string", "number", "boolean"] })
}

unit! {
    /// `connect`, `reset`, `timeout`, or a status: `502`, `503`, `504`.
    RetryReason,
    json_schema!({ "enum": ["connect", "reset", "timeout", 502, 503, 504, "502", "503", "504"] })
}

/// One value or a list of them.
pub(super) struct OneOrMany<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}
