//! Events on the wire.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::controller::{EvidenceLine, News};
use crate::model::Tally;

use super::notification::NotificationWire;
use super::service::{ActorWire, percent};

/// A stretch of the news.
#[derive(schemars::JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct EventsPage {
    /// Oldest first.
    pub events: Vec<EventWire>,
    /// To be sent as `since` for what comes after.
    pub last: u64,
    /// To be sent as `cursor` for the page that follows: older events, or with `since` newer ones. Missing when
    /// there are no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// With `notified`: what became of notifications since, of any event, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notifications: Vec<NotificationWire>,
    /// To be sent as `notified` for what becomes of notifications after this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notified: Option<u64>,
}

/// A stretch of the history of a service.
#[derive(schemars::JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct HistoryPage {
    /// Newest first.
    pub events: Vec<EventWire>,
    /// To be sent as `cursor` for what came before; missing when nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One decision.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct EventWire {
    /// Rises by one for each event, across restarts.
    pub id: u64,
    /// When, in RFC 3339.
    pub at: String,
    /// The service.
    pub service: String,
    /// What happened, in one word.
    pub what: String,
    /// Who did it.
    pub by: ActorWire,
    /// The version it is about.
    pub version: String,
    /// The canary's share before.
    pub from_percent: f64,
    /// The canary's share after.
    pub to_percent: f64,
    /// One sentence for people.
    pub text: String,
    /// The configuration that was loaded.
    pub generation: u64,
    /// What was known.
    pub evidence: Option<EvidenceWire>,
    /// What became of telling others of it, as far as that is known by now; oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notifications: Vec<NotificationWire>,
}

/// The evidence behind a decision.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct EvidenceWire {
    /// The canary's judged responses.
    pub canary: TallyWire,
    /// Stable's, over the same time.
    pub stable: TallyWire,
    /// Canary's error rate less stable's, as a share from 0 to 1.
    pub difference: Option<f64>,
    /// Where the true difference lies: from here …
    pub low: Option<f64>,
    /// … to here.
    pub high: Option<f64>,
    /// The largest that still counts as fine.
    pub limit: Option<f64>,
}

/// Judged responses.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct TallyWire {
    /// All of them.
    pub requests: u64,
    /// Failures among them.
    pub bad: u64,
}

impl From<Tally> for TallyWire {
    fn from(it: Tally) -> Self {
        Self { requests: it.requests, bad: it.bad }
    }
}

impl From<&News> for EventWire {
    fn from(it: &News) -> Self {
        Self {
            id: it.id,
            at: it.at.to_string(),
            service: it.service.to_string(),
            what: it.what.as_str().into(),
            by: ActorWire::from(&it.by),
            version: it.version.to_string(),
            from_percent: percent(it.from),
            to_percent: percent(it.to),
            text: it.text.clone(),
            generation: it.generation.0,
            evidence: it.evidence.as_ref().map(EvidenceWire::from),
            notifications: Vec::new(),
        }
    }
}

impl EventWire {
    /// Puts with each event what became of telling of it, as `about` finds it for the events that are meant.
    pub fn join(events: &mut [Self], about: impl FnOnce(&dyn Fn(u64) -> bool) -> Vec<NotificationWire>) {
        let places: HashMap<u64, usize> = events.iter().enumerate().map(|(at, it)| (it.id, at)).collect();
        for it in about(&|id| places.contains_key(&id)) {
            let event = places.get(&it.event).map(|at| &mut events[*at]);
            // A journal that was lost gives numbers anew: what was told before is about another event.
            if let Some(event) = event.filter(|event| event.service == it.service && event.at <= it.at) {
                event.notifications.push(it);
            }
        }
    }
}

impl From<&EvidenceLine> for EvidenceWire {
    fn from(it: &EvidenceLine) -> Self {
        Self {
            canary: it.canary.into(),
            stable: it.stable.into(),
            difference: it.difference,
            low: it.low,
            high: it.high,
            limit: it.limit,
        }
    }
}
