//! The whole house on the wire.

use serde::{Deserialize, Serialize};

use super::service::{ActorWire, ServiceWire};

/// Everything.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct StatusWire {
    /// Version of the program.
    pub version: String,
    /// When this was made, in RFC 3339.
    pub at: String,
    /// Rises with every change; `after` waits for a greater one.
    pub revision: u64,
    /// The configuration that serves; 0 before the first.
    pub generation: u64,
    /// Where that was read.
    pub source: String,
    /// Who may change what is released: `anyone`, or `git`, the file alone.
    #[serde(default)]
    pub authority: String,
    /// `serving`, `draining` or `cutting`.
    pub phase: String,
    /// Whether what is decided survives a crash.
    pub journal: JournalWire,
    /// The last configuration that was tried, if it was refused.
    pub refused: Option<RefusedConfig>,
    /// Why nothing advances anywhere, if somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<FreezeWire>,
    /// Services in the order of the file.
    pub services: Vec<ServiceWire>,
    /// Listeners by name.
    #[serde(default)]
    pub listeners: Vec<ListenerWire>,
}

/// A freeze.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct FreezeWire {
    /// Who.
    pub by: ActorWire,
    /// Why, if they said.
    pub reason: Option<String>,
    /// When it ends by itself, in RFC 3339.
    pub until: Option<String>,
}

/// All services.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ServicesPage {
    /// As in [`StatusWire::revision`].
    pub revision: u64,
    /// In the order of the file.
    pub services: Vec<ServiceWire>,
}

/// Whether what is decided survives a crash.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct JournalWire {
    /// Every record is on disk, or on its way there.
    pub durable: bool,
    /// Why not.
    pub problem: Option<String>,
}

/// A configuration that was refused.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct RefusedConfig {
    /// When, in RFC 3339.
    pub at: String,
    /// All problems, for people.
    pub report: String,
}

/// A listener and its connections.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ListenerWire {
    /// Its name.
    pub name: String,
    /// Connections open now.
    pub open: u64,
    /// Connections accepted since the process started.
    pub accepted: u64,
    /// Requests that no route matched.
    pub unrouted: u64,
    /// Connections, requests and header lines refused.
    pub rejected: u64,
}
