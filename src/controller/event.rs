//! The news: one line for each decision, with the evidence it rested on.

use crate::model::{Generation, ServiceName, Timestamp, VersionName, Weight};
use crate::release::{Actor, What};
use crate::store::{EvidenceLine, Line};

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

impl Event {
    /// A line of the journal as news.
    pub(super) fn of(line: &Line, id: u64) -> Self {
        let entry = &line.entry;
        Self {
            id,
            at: entry.at,
            service: line.service.clone(),
            what: entry.what,
            by: entry.by.clone(),
            version: entry.version.name.clone(),
            from: entry.from,
            to: entry.to,
            text: entry.text.clone(),
            generation: line.generation,
            evidence: line.evidence,
        }
    }
}
