//! What is going on, as plain data. Made anew after every change and about once a second meanwhile.

use std::time::Duration;

use crate::model::{Generation, ServiceName, Tally, Timestamp, VersionName, Weight};

use crate::config::Authority;
use crate::release::{Drift, News};
use crate::store::Freeze;

use super::endpoints::EndpointStatus;

/// Everything there is to know about all releases at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Rises with every change that `changed()` tells of.
    pub revision: u64,
    /// When it was made.
    pub at: Timestamp,
    /// The configuration that is loaded.
    pub generation: Generation,
    /// Where that was read.
    pub source: String,
    /// Who may change what is released.
    pub authority: Authority,
    /// Whether the journal takes what it is given.
    pub journal: JournalHealth,
    /// Whether a person said that nothing advances anywhere.
    pub freeze: Option<Freeze>,
    /// Services in the order of the file.
    pub services: Vec<ServiceStatus>,
}

/// Whether what is decided survives a crash.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum JournalHealth {
    /// Every record is on disk, or on its way there.
    #[default]
    Durable,
    /// The disk does not take records: weights do not rise, rollbacks go on in memory.
    NotDurable(String),
}

/// One service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceStatus {
    /// Its name.
    pub name: ServiceName,
    /// `LIVE`, `VERIFYING`, `CANARY`, `APPROVAL`, `PAUSED`, `HELD`, `WATCHING` or `ROLLED BACK`.
    pub word: &'static str,
    /// Gets what the canary does not.
    pub stable: VersionName,
    /// What is being tried, or was taken out last.
    pub canary: Option<VersionName>,
    /// What a rollback returns to when nothing is being tried.
    pub previous: Option<VersionName>,
    /// What is to be live: the file's `live`, or what was deployed since.
    pub wanted: VersionName,
    /// The file's `live`.
    pub filed: VersionName,
    /// Whether stable is what the file wants.
    pub in_sync: bool,
    /// Whether a release is asked for that has not begun: whatever else is shown is of the one before.
    pub awaited: bool,
    /// What is so although the file says otherwise.
    pub drift: Vec<Drift>,
    /// Versions that were added at run time, and what the file would say of each.
    pub deployed: Vec<(VersionName, String)>,
    /// The canary's share.
    pub weight: Weight,
    /// Which step this is, from 1, and of how many; `None` outside of steps.
    pub step: Option<(usize, usize)>,
    /// Time until the soak or the watch may end; `None` without a release.
    pub left: Option<Duration>,
    /// Why it does not move on, if it is held, or who paused it.
    pub held: Option<String>,
    /// Canary responses still needed before it may move on.
    pub requests_missing: Option<u64>,
    /// Number of the newest release.
    pub release: u64,
    /// To be sent as `expected_step` with a command that was meant for what is shown here.
    pub mark: u64,
    /// One sentence: what is going on.
    pub why: String,
    /// Every version of the service, in the order of the file.
    pub lanes: Vec<LaneStatus>,
    /// Every guard that is armed.
    pub guards: Vec<GuardStatus>,
    /// The plan.
    pub steps: Vec<StepStatus>,
    /// Versions that get no traffic until `retry`.
    pub quarantined: Vec<WithdrawnStatus>,
    /// The newest decision.
    pub last: Option<News>,
}

/// A version and its traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneStatus {
    /// The version.
    pub version: VersionName,
    /// Its share as published.
    pub weight: Weight,
    /// Judged responses since the release began, or since the process started.
    pub seen: Tally,
    /// Responses per second over the last seconds.
    pub per_second: f64,
    /// Median duration since the process started, in microseconds.
    pub latency_us_p50: Option<u64>,
    /// 99 % were not slower than this, in microseconds.
    pub latency_us_p99: Option<u64>,
    /// How its endpoints are.
    pub endpoints: Vec<EndpointStatus>,
}

/// A guard and what it knows.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardStatus {
    /// `errors`, `errors_ceiling`, `p95`, `p95_ceiling` and so on, `failures`.
    pub name: &'static str,
    /// The canary's judged responses and failures, or slow ones for latency.
    pub canary: Tally,
    /// Stable's over the same time.
    pub stable: Tally,
    /// Canary's rate less stable's, as a share. For latency, of requests that were slow.
    pub difference: Option<f64>,
    /// Where the true difference lies.
    pub interval: Option<(f64, f64)>,
    /// Where the canary's own rate lies.
    pub canary_interval: Option<(f64, f64)>,
    /// The largest difference (or, alone at 100 %, error rate) that still counts as fine.
    pub limit: Option<f64>,
    /// The same as the file writes it: `+0.1pp`, `2%`, `+20%`, `800 ms`.
    pub allowed: String,
    /// For latency: slower than this is slow, on the canary and on stable, in microseconds; `None` until known.
    pub slow_us: Option<(u64, u64)>,
    /// How far the evidence is on its way to a rollback, 0 to 1.
    pub evidence: f64,
    /// How far it is on the way to a proof that the canary is hardly worse; 0 without `pass`.
    pub proof: f64,
    /// One sentence.
    pub text: String,
}

/// A step of the plan.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StepStatus {
    /// The canary's share.
    pub weight: Weight,
    /// Least time.
    pub soak: Duration,
    /// Fewest judged responses.
    pub requests: u64,
    /// Behind us.
    pub done: bool,
    /// Going on.
    pub now: bool,
}

/// A version in quarantine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WithdrawnStatus {
    /// Its name when it was withdrawn.
    pub version: VersionName,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: String,
}

impl Status {
    /// The status of one service.
    pub fn service(&self, name: &str) -> Option<&ServiceStatus> {
        self.services.iter().find(|it| it.name.as_str() == name)
    }

    /// Nothing will be decided any more, and all traffic is stable's.
    pub(super) fn stand_still(&mut self, why: &str) {
        for service in &mut self.services {
            let text = format!("nothing is decided until a restart: {why}");
            service.why = format!("{} has all traffic, and {text}", service.stable);
            if !matches!(service.word, "LIVE" | "ROLLED BACK") {
                service.word = "HELD";
            }
            service.held = Some(text);
            (service.weight, service.left) = (Weight::NONE, None);
            for lane in &mut service.lanes {
                lane.weight = if lane.version == service.stable { Weight::ALL } else { Weight::NONE };
            }
        }
    }
}
