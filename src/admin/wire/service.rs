//! A service and its release on the wire.

use serde::{Deserialize, Serialize};

use crate::controller::{
    Actor, Drift, EndpointStatus, GuardStatus, LaneStatus, ServiceStatus, StepStatus, WithdrawnStatus,
};
use crate::model::Weight;

use super::event::{EventWire, TallyWire};

/// One service.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ServiceWire {
    /// Its name.
    pub name: String,
    /// `LIVE`, `VERIFYING`, `CANARY`, `APPROVAL`, `PAUSED`, `HELD`, `WATCHING` or `ROLLED BACK`.
    pub state: String,
    /// One sentence: what is going on.
    pub why: String,
    /// Gets what the canary does not.
    pub stable: String,
    /// What is being tried, or was taken out last.
    pub canary: Option<String>,
    /// What a rollback returns to when nothing is being tried.
    pub previous: Option<String>,
    /// What is to be live: the file's `live`, or what was deployed since.
    pub wanted: String,
    /// The file's `live`.
    #[serde(default)]
    pub filed: String,
    /// Whether stable is what the file wants.
    pub in_sync: bool,
    /// Whether a release is asked for that has not begun: `state` is that of the one before, until then.
    #[serde(default)]
    pub awaited: bool,
    /// The canary's share.
    pub weight_percent: f64,
    /// The step under way.
    pub step: Option<StepNumber>,
    /// Time until the soak or the watch may end.
    pub left_seconds: Option<f64>,
    /// Why it does not move on.
    pub held: Option<String>,
    /// Canary responses still needed before it may move on.
    pub requests_missing: Option<u64>,
    /// Number of the newest release.
    pub release: u64,
    /// To be sent as `step` with a command that is meant for what is shown here.
    pub mark: u64,
    /// Every version of the service.
    pub lanes: Vec<LaneWire>,
    /// Every guard that is armed.
    pub guards: Vec<GuardWire>,
    /// The plan.
    pub steps: Vec<StepWire>,
    /// Versions that get no traffic until `retry`.
    pub quarantined: Vec<WithdrawnWire>,
    /// What is so although the file says otherwise; empty when all is as the file says, or on its way there.
    #[serde(default)]
    pub drift: Vec<DriftWire>,
    /// The newest decision.
    pub last: Option<EventWire>,
}

/// Which step, and of how many.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StepNumber {
    /// From 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
}

/// A version and its traffic.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct LaneWire {
    /// The version.
    pub version: String,
    /// Its share as published.
    pub weight_percent: f64,
    /// Judged responses since the release began, or since the process started.
    pub seen: TallyWire,
    /// Responses per second over the last seconds.
    pub per_second: f64,
    /// Requests under way.
    #[serde(default)]
    pub in_flight: u64,
    /// Median duration.
    pub latency_us_p50: Option<u64>,
    /// 99 % were not slower than this.
    pub latency_us_p99: Option<u64>,
    /// How its endpoints are.
    #[serde(default)]
    pub endpoints: Vec<EndpointWire>,
}

/// An endpoint.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct EndpointWire {
    /// Where it is, as the file has it, with the address if that is a name.
    pub endpoint: String,
    /// `up`, `warming`, `waiting`, `down` or `ejected`.
    pub state: String,
    /// What its last checkup said, if it was no pass.
    pub why: Option<String>,
    /// Why its address may be out of date: its name cannot be looked up, and the last answer is kept.
    #[serde(default)]
    pub stale: Option<String>,
    /// How often it was left out because of how it treated requests.
    pub ejections: u64,
}

/// A guard and what it knows. Rates are shares from 0 to 1.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct GuardWire {
    /// `errors`.
    pub name: String,
    /// The canary's judged responses.
    pub canary: TallyWire,
    /// Stable's over the same time.
    pub stable: TallyWire,
    /// Canary's error rate less stable's.
    pub difference: Option<f64>,
    /// Where the true difference lies.
    pub interval: Option<(f64, f64)>,
    /// Where the canary's own rate lies.
    pub canary_interval: Option<(f64, f64)>,
    /// The largest that still counts as fine.
    pub limit: Option<f64>,
    /// The same as the file writes it: `+0.1pp`, `2%`, `+20%`, `800 ms`.
    #[serde(default)]
    pub allowed: String,
    /// For latency: slower than this is slow, on the canary and on stable, in microseconds. `canary` and `stable`
    /// count slow ones as `bad` then.
    #[serde(default)]
    pub slow_us: Option<(u64, u64)>,
    /// How far the evidence is on its way to a rollback, 0 to 1.
    pub evidence: f64,
    /// One sentence.
    pub text: String,
}

/// A step of the plan.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct StepWire {
    /// The canary's share.
    pub weight_percent: f64,
    /// Least time.
    pub soak_seconds: f64,
    /// Fewest judged responses.
    pub requests: u64,
    /// Behind us.
    pub done: bool,
    /// Going on.
    pub now: bool,
}

/// A version in quarantine.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct WithdrawnWire {
    /// Its name when it was withdrawn.
    pub version: String,
    /// When, in RFC 3339.
    pub at: String,
    /// Why.
    pub why: String,
}

/// A field of the file and what is so instead.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct DriftWire {
    /// Which, below the service: `live`, `versions.v42`, `rollout.steps`.
    pub field: String,
    /// What the file says; nothing if it does not.
    pub file: Option<String>,
    /// What is so, as the file would say it.
    pub running: String,
    /// Who made it so.
    pub by: ActorWire,
    /// Since when, in RFC 3339.
    pub since: String,
}

/// Who did something.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ActorWire {
    /// A user, a file, or tidegate itself.
    pub name: String,
    /// `policy`, `file`, `cli` or `api`.
    pub via: String,
}

impl ServiceWire {
    /// A service, with its requests under way by version.
    pub(crate) fn of(it: &ServiceStatus, in_flight: impl Fn(&LaneStatus) -> u64) -> Self {
        let lane = |lane: &LaneStatus| LaneWire { in_flight: in_flight(lane), ..LaneWire::from(lane) };
        Self {
            name: it.name.to_string(),
            state: it.word.into(),
            why: it.why.clone(),
            stable: it.stable.to_string(),
            canary: it.canary.as_ref().map(ToString::to_string),
            previous: it.previous.as_ref().map(ToString::to_string),
            wanted: it.wanted.to_string(),
            filed: it.filed.to_string(),
            in_sync: it.in_sync,
            awaited: it.awaited,
            weight_percent: percent(it.weight),
            step: it.step.map(|(number, of)| StepNumber { number, of }),
            left_seconds: it.left.map(|it| it.as_secs_f64()),
            held: it.held.clone(),
            requests_missing: it.requests_missing,
            release: it.release,
            mark: it.mark,
            lanes: it.lanes.iter().map(lane).collect(),
            guards: it.guards.iter().map(GuardWire::from).collect(),
            steps: it.steps.iter().map(StepWire::from).collect(),
            quarantined: it.quarantined.iter().map(WithdrawnWire::from).collect(),
            drift: it.drift.iter().map(DriftWire::from).collect(),
            last: it.last.as_ref().map(EventWire::from),
        }
    }
}

impl From<&LaneStatus> for LaneWire {
    fn from(it: &LaneStatus) -> Self {
        Self {
            version: it.version.to_string(),
            weight_percent: percent(it.weight),
            seen: it.seen.into(),
            per_second: it.per_second,
            in_flight: 0,
            latency_us_p50: it.latency_us_p50,
            latency_us_p99: it.latency_us_p99,
            endpoints: it.endpoints.iter().map(EndpointWire::from).collect(),
        }
    }
}

impl From<&EndpointStatus> for EndpointWire {
    fn from(it: &EndpointStatus) -> Self {
        Self {
            endpoint: it.endpoint.clone(),
            state: it.state.as_str().into(),
            why: Some(it.why.clone()).filter(|it| !it.is_empty()),
            stale: it.stale.clone(),
            ejections: it.ejections,
        }
    }
}

impl From<&GuardStatus> for GuardWire {
    fn from(it: &GuardStatus) -> Self {
        Self {
            name: it.name.into(),
            canary: it.canary.into(),
            stable: it.stable.into(),
            difference: it.difference,
            interval: it.interval,
            canary_interval: it.canary_interval,
            limit: it.limit,
            allowed: it.allowed.clone(),
            slow_us: it.slow_us,
            evidence: it.evidence,
            text: it.text.clone(),
        }
    }
}

impl From<&StepStatus> for StepWire {
    fn from(it: &StepStatus) -> Self {
        Self {
            weight_percent: percent(it.weight),
            soak_seconds: it.soak.as_secs_f64(),
            requests: it.requests,
            done: it.done,
            now: it.now,
        }
    }
}

impl From<&WithdrawnStatus> for WithdrawnWire {
    fn from(it: &WithdrawnStatus) -> Self {
        Self { version: it.version.to_string(), at: it.at.to_string(), why: it.why.clone() }
    }
}

impl From<&Drift> for DriftWire {
    fn from(it: &Drift) -> Self {
        Self {
            field: it.field.clone(),
            file: it.file.clone(),
            running: it.running.clone(),
            by: ActorWire::from(&it.by),
            since: it.since.to_string(),
        }
    }
}

impl From<&Actor> for ActorWire {
    fn from(it: &Actor) -> Self {
        Self { name: it.name.clone(), via: it.via.as_str().into() }
    }
}

/// A weight as the file writes it.
pub(super) fn percent(weight: Weight) -> f64 {
    f64::from(weight.basis_points()) / 100.0
}
