//! `user` and `group` as written.

use schemars::JsonSchema;

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(in super::super) enum Account {
    Number(u32),
    Name(String),
}
