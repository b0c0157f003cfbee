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
    /// Who is notified, in the order of the file.
    #[serde(default)]
    pub notify: Vec<TargetWire>,
}

/// Somebody who is notified.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct TargetWire {
    /// Its name.
    pub name: String,
    /// `webhook`, `slack` or `github`.
    pub kind: String,
    /// Scheme, host and port; the rest of its URL may be a secret.
    pub place: String,
    /// Notifications that wait.
    pub waiting: u64,
    /// Notifications that were taken since the process started.
    pub delivered: u64,
    /// Notifications that were given up or refused.
    pub failed: u64,
    /// Notifications that were dropped because too many waited.
    pub dropped: u64,
    /// When it is called again after a notification was not taken, in RFC 3339.
    pub next: Option<String>,
    /// Whether it has asked not to be called any more; a reload calls it again.
    pub disabled: bool,
    /// How the last call went.
    pub last: Option<LastCallWire>,
}

/// How a call went.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct LastCallWire {
    /// When, in RFC 3339.
    pub at: String,
    /// The event that was told.
    pub event: u64,
    /// Why it was not taken; null when it was.
    pub problem: Option<String>,
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
