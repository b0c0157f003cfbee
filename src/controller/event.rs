//! The news: one line for each decision, with the evidence it rested on.

use crate::model::{Generation, ServiceName, Tally, Timestamp, VersionName, Weight};
use crate::release::{Actor, What};

/// A decision about a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Rises by one for each event, across restarts.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// The service.
    pub service: ServiceName,
    /// What happened.
    pub what: What,
    /// Who did it.
    pub by: Actor,
    /// The version it is about.
    pub version: VersionName,
    /// The canary's weight before.
    pub from: Weight,
    /// The canary's weight after.
    pub to: Weight,
    /// One sentence for people.
    pub text: String,
    /// The configuration that was loaded.
    pub generation: Generation,
    /// What was known when it was decided; `None` when nothing was being tried.
    pub evidence: Option<EvidenceLine>,
}

/// The evidence behind a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EvidenceLine {
    /// The canary's judged responses since the release began.
    pub canary: Tally,
    /// Stable's, over the same time.
    pub stable: Tally,
    /// Canary's error rate less stable's, as a share.
    pub difference: Option<f64>,
    /// Where the true difference lies: from here …
    pub low: Option<f64>,
    /// … to here.
    pub high: Option<f64>,
    /// The largest difference (or, alone at 100 %, error rate) that still counts as fine.
    pub limit: Option<f64>,
}
