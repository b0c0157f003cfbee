//! Checks and comparisons of configurations on the wire.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which configuration is looked at.
#[derive(schemars::JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigAsk {
    /// As if this stood in the server's file. Default: what stands there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yaml: Option<String>,
}

/// What a check found.
#[derive(schemars::JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct CheckReply {
    /// Whether it could be loaded.
    pub ok: bool,
    /// How many errors there are.
    pub errors: usize,
    /// How many warnings there are.
    pub warnings: usize,
    /// All problems, for people.
    pub report: String,
    /// All problems, for programs.
    #[schemars(with = "ConfigProblems")]
    pub problems: Value,
}

/// The problems of a configuration.
#[derive(schemars::JsonSchema)]
#[expect(dead_code, reason = "only the schema is made of it; the value comes from the check itself")]
pub struct ConfigProblems {
    /// How many errors there are.
    errors: usize,
    /// How many warnings there are.
    warnings: usize,
    /// Problems that are counted and not listed.
    omitted: usize,
    /// Files that were looked at.
    files: usize,
    /// Errors and warnings, by file and line.
    problems: Vec<ConfigProblem>,
}

/// A problem and its place.
#[derive(schemars::JsonSchema)]
#[expect(dead_code, reason = "only the schema is made of it")]
struct ConfigProblem {
    /// `error` or `warning`.
    severity: String,
    /// `TG0203`; `tidegate explain TG0203` has more.
    code: String,
    /// The file.
    file: String,
    /// The line, from 1.
    line: usize,
    /// The column, from 1.
    column: usize,
    /// What is wrong.
    message: String,
    /// What is said at the place itself.
    label: Option<String>,
    /// What to do.
    help: Option<String>,
    /// Another place that has to do with it.
    related: Option<RelatedPlace>,
}

/// Another place.
#[derive(schemars::JsonSchema)]
#[expect(dead_code, reason = "only the schema is made of it")]
struct RelatedPlace {
    /// The file.
    file: String,
    /// The line, from 1.
    line: usize,
    /// The column, from 1.
    column: usize,
    /// What is said there.
    label: String,
}

/// What a reload would change.
#[derive(schemars::JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct DiffReply {
    /// The configuration that serves; 0 is a file that nobody runs.
    pub generation: u64,
    /// Whether a reload would be taken.
    pub accepted: bool,
    /// Everything that would change.
    pub changes: Vec<ChangeWire>,
}

/// One difference.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ChangeWire {
    /// `added`, `removed`, `changed`, or `refused` if a reload with it is.
    pub kind: String,
    /// What it is about: `service shop`, `listener http`, `routes`, or a key of the file.
    pub subject: String,
    /// What is different.
    pub what: String,
    /// What comes of it.
    pub consequence: String,
}
