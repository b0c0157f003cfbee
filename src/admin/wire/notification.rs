//! What became of notifications, on the wire.

use serde::{Deserialize, Serialize};

/// What became of telling somebody of an event.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct NotificationWire {
    /// Rises with each, across restarts. It is no number of an event.
    pub id: u64,
    /// When, in RFC 3339.
    pub at: String,
    /// The target: who was to be told.
    pub target: String,
    /// The number of the event.
    pub event: u64,
    /// The service of the event.
    pub service: String,
    /// The version of the event.
    pub version: String,
    /// What happened, in the word of the event.
    pub what: String,
    /// `delivered`, `retried` (not taken, and tried again: said once until the target takes something again), `failed`
    /// (given up, or refused for good) or `dropped` (not tried: too many waited, or it was a day old).
    pub result: String,
    /// How often it was tried by then.
    pub attempts: u32,
    /// How long after the event this was.
    pub after_seconds: f64,
    /// Why it was not taken.
    pub problem: Option<String>,
    /// When it is tried again, in RFC 3339.
    pub next: Option<String>,
    /// How long the target had taken nothing before it took this.
    pub recovered_seconds: Option<f64>,
    /// One sentence for people; its subject is the target.
    pub text: String,
}
