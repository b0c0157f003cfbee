//! What the status page shows of the guards. Nothing here decides.

use super::clusters::Clustering;
use super::interval::Interval;
use super::policy::{Quantile, Slack};
use crate::model::Tally;

/// How things stand, in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The version being tried.
    pub canary: LaneEvidence,
    /// The version that has proven itself.
    pub stable: LaneEvidence,
    /// One entry for each guard that is switched on.
    pub guards: Vec<GuardEvidence>,
    /// Whether most traffic comes from one group of clients, so that the rule "no single client
    /// decides" cannot be applied to it.
    pub one_source: bool,
    /// How callers cluster, where they are pinned to a lane: evidence is divided by it.
    pub clustering: Option<Clustering>,
}

/// One lane since the release began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaneEvidence {
    /// Judged responses and failures.
    pub seen: Tally,
    /// Failure rates that these counts do not contradict (95 %, at all times together).
    pub interval: Interval,
}

/// One guard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GuardEvidence {
    /// What is promised.
    pub guard: Guard,
    /// The estimate: a difference of rates or a rate, as a share. `None` without responses.
    pub estimate: Option<f64>,
    /// Interval of the estimate (95 %, at all times together).
    pub interval: Interval,
    /// Tolerated difference or ceiling, as a share.
    pub limit: f64,
    /// The counts behind it: failures, or slow requests.
    pub canary: Tally,
    /// Stable's over the same time; by its own limit for latency.
    pub stable: Tally,
    /// Canary's and stable's limits of age in microseconds, for latency.
    pub ages_us: Option<(u64, u64)>,
    /// What the file allows the canary to be slower by, for a comparison of latency.
    pub slack: Option<Slack>,
    /// How far the evidence is on the way to a proof that the canary is hardly worse; 0 without `pass`.
    pub proof: f64,
    /// How far the evidence is on the way to a rollback, on a logarithmic scale: 0 is none, 1 is there.
    pub evidence: f64,
    /// Whether it can decide by itself now: a comparison needs stable's traffic, a ceiling decides alone
    /// when there is none.
    pub decides: bool,
}

/// A promise that is judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Guard {
    /// Errors no worse than stable's.
    ErrorsAgainstStable,
    /// Errors never above a ceiling.
    ErrorsCeiling,
    /// A quantile of latency no higher than stable's.
    LatencyAgainstStable(Quantile),
    /// A quantile of latency never above a ceiling.
    LatencyCeiling(Quantile),
    /// Failed responses within a budget.
    Failures,
}
