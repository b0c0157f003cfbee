//! What others hear of a release: one piece of news for each decision, with the evidence it rested on.

use crate::model::{EvidenceLine, Generation, ServiceName, Timestamp, VersionName, Weight};

use super::{Actor, What};

/// Something that happened to a release, the same for whoever reads, follows or is notified.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// Rises by one for each, across restarts.
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
    /// One sentence for people. It may quote what a backend or a check has said.
    pub text: String,
    /// The configuration that was loaded.
    pub generation: Generation,
    /// What was known when it was decided; `None` when nothing was being tried.
    pub evidence: Option<EvidenceLine>,
}
