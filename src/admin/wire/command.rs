//! What is asked for, and what was done.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::service::ServiceWire;
use super::status::RefusedConfig;

/// The body of a command. Which members a command knows is checked where it is carried out; an unknown
/// one is refused, so that a misspelled `full` does not promote by a step instead.
#[derive(schemars::JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CommandAsk {
    /// `promote`: straight to 100 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<bool>,
    /// `rollback`: the version to return to. `promote`: the share to go to, `50%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// `weight`: the version that gets the share. `deploy`: the name of the new version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `deploy`: where the new version can be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Vec<String>>,
    /// `weight`: the share, `10%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// `pause`: how long, `30m`. Default: until `resume`.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<String>,
    /// `promote`: past what stands in the way. Wants a reason, which is written down.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub insist: Option<bool>,
    /// `promote`, `pause`, `rollback`, `weight` and `deploy`: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The [`mark`](ServiceWire::mark) of the status this was meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
}

/// The body of `freeze`.
#[derive(schemars::JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeAsk {
    /// When it ends by itself, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// How long it lasts, `2h`.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A body that says nothing: `{}`.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NothingAsk {}

/// A command that was carried out.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CommandDone {
    /// One sentence: what is so now.
    pub text: String,
    /// Whether anything changed.
    pub changed: bool,
    /// Whether it would survive a crash.
    pub durable: bool,
    /// The service afterwards.
    pub service: Option<ServiceWire>,
}

/// A reload that went well.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReloadReply {
    /// What serves now.
    pub generation: u64,
    /// Whether the files differed from what was loaded.
    pub changed: bool,
}

/// Another process has taken over.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct UpgradeReply {
    /// Its number.
    pub process: u32,
}

/// What is loaded.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ConfigState {
    /// The configuration that serves; 0 before the first.
    pub generation: u64,
    /// Where it was read.
    pub source: String,
    /// The last configuration that was tried, if it was refused.
    pub refused: Option<RefusedConfig>,
    /// What serves, as one file, without secrets.
    #[serde(default)]
    pub yaml: Option<String>,
}

/// Why a request was not answered as wished, as RFC 9457 writes it. There may be more members.
#[derive(schemars::JsonSchema, Clone, Debug, Default, Deserialize)]
pub struct ProblemWire {
    /// What kind of problem it is: `urn:tidegate:problem:` and the code.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// What the status means.
    #[serde(default)]
    pub title: String,
    /// The status of the answer.
    #[serde(default)]
    pub status: u16,
    /// For programs; a code never changes its meaning.
    #[serde(default)]
    pub code: String,
    /// One sentence for people.
    #[serde(default)]
    pub detail: String,
    /// Names that exist, when one was asked for that does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<String>,
    /// The service as it is, where that is the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceWire>,
    /// The role that was needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The configuration that serves, where that is the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The newest status, where that is the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// Configuration problems, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// Configuration problems, for programs.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schemars(with = "super::config::ConfigProblems")]
    pub problems: Value,
}
