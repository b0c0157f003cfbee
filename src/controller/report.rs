//! From what the controller knows to what others are shown.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{Config, ServiceConfig};
use crate::model::{ServiceName, Tally, Timestamp, VersionName, Weight};
use crate::release::{Phase, State, drift};
use crate::telemetry::{EndpointFacts, ReleaseFacts, ReleaseState};

use super::calendar::Calendar;
use super::counts::Counts;
use super::desk::Desk;
use super::guards::{guard_facts, guards};
use super::handle::Configure;
use super::status::{JournalHealth, LaneStatus, ServiceStatus, Status, StepStatus, WithdrawnStatus};

/// Responses per second of every version, over the last second or more.
#[derive(Debug, Default)]
pub(super) struct Rates {
    at: Timestamp,
    versions: BTreeMap<(ServiceName, VersionName), (u64, f64)>,
}

impl Rates {
    /// Counts again, if a second has passed.
    pub fn measure(&mut self, config: &Config, counts: &dyn Counts, now: Timestamp) {
        let passed = now.since(self.at);
        if passed < Duration::from_secs(1) && self.at != Timestamp(0) {
            return;
        }
        let old = std::mem::take(&mut self.versions);
        for service in &config.services {
            for version in &service.spec.versions {
                let key = (service.spec.name.clone(), version.name.clone());
                let total = counts.tally(&key.0, &key.1).total().requests;
                let came = old.get(&key).map_or(0, |(before, _)| total.saturating_sub(*before));
                self.versions.insert(key, (total, came as f64 / passed.as_secs_f64()));
            }
        }
        self.at = now;
    }

    fn of(&self, service: &ServiceName, version: &VersionName) -> f64 {
        self.versions.get(&(service.clone(), version.clone())).map_or(0.0, |(_, rate)| *rate)
    }
}

/// Everything, as it is now. The caller adds what it alone knows.
pub(super) fn status(
    loaded: &Configure,
    config: &Config,
    desks: &BTreeMap<ServiceName, Desk>,
    rates: &Rates,
    counts: &dyn Counts,
    calendar: &Calendar,
    now: Timestamp,
) -> Status {
    let known =
        |it: &ServiceConfig| Some(service(it, desks.get(&it.spec.name)?, rates, counts, calendar, now));
    Status {
        revision: 0,
        at: now,
        generation: loaded.generation,
        source: loaded.source.clone(),
        journal: JournalHealth::Durable,
        freeze: None,
        authority: config.authority,
        services: config.services.iter().filter_map(known).collect(),
    }
}

fn service(
    config: &ServiceConfig,
    desk: &Desk,
    rates: &Rates,
    counts: &dyn Counts,
    calendar: &Calendar,
    now: Timestamp,
) -> ServiceStatus {
    let state = &desk.state;
    let trial = state.trial();
    let blocked =
        desk.blocked.as_ref().map(|(why, _)| format!("nothing rises that is not written down: {why}"));
    let paused = state.word() == "PAUSED";
    let waits = state.candidate().is_some() || state.awaits_release();
    let held = blocked.filter(|_| waits && !paused).or_else(|| desk.hindrance(calendar, now));
    let missing = trial.zip(desk.watch.as_ref()).map(|(it, watch)| watch.missing(it.requests));
    let word = if held.is_some() { "HELD" } else { state.word() };
    let held = held.or_else(|| desk.errands.text().or_else(|| state.candidate()?.stance.waits_for()));
    ServiceStatus {
        name: desk.name.clone(),
        word,
        stable: state.stable.name.clone(),
        canary: state.canary().map(|it| it.name.clone()),
        previous: state.previous.as_ref().map(|it| it.version.name.clone()),
        wanted: state.wanted.name.clone(),
        filed: state.filed.name.clone(),
        in_sync: state.stable.name == state.filed.name,
        awaited: state.awaits_release(),
        drift: drift(&desk.plan, state),
        deployed: state.deployed.iter().map(|it| (it.version.name.clone(), it.definition.clone())).collect(),
        weight: desk.shares.canary.as_ref().map_or(Weight::NONE, |(_, weight)| *weight),
        step: match &state.phase {
            Phase::Canary(it) => Some((desk.plan.number(it.weight).max(1), desk.plan.steps.len())),
            _ => None,
        },
        left: trial.map(|it| it.until.since(now)),
        why: why(state, held.as_deref()),
        held,
        requests_missing: missing.filter(|it| *it > 0),
        release: state.release,
        mark: state.moves,
        lanes: config.spec.versions.iter().map(|it| lane(&it.name, desk, rates, counts)).collect(),
        guards: desk.watch.as_ref().map_or(Vec::new(), |it| guards(it, &state.stable.name)),
        steps: steps(desk),
        quarantined: quarantined(state),
        last: desk.last.clone(),
    }
}

fn why(state: &State, held: Option<&str>) -> String {
    let stable = &state.stable;
    match (&state.phase, held) {
        (Phase::Live, Some(held)) => format!("{} waits to be released: {held}", state.wanted),
        (Phase::Live, None) => format!("{stable} has all traffic"),
        (Phase::Verifying(it), Some(held)) => {
            format!("{} has no traffic yet, {stable} has all: {held}", it.canary)
        }
        (Phase::Verifying(it), None) => format!("{} is tried without traffic, {stable} has all", it.canary),
        (Phase::Canary(it), Some(held)) => format!("{} stays at {}: {held}", it.canary, it.weight),
        (Phase::Canary(it), None) => {
            format!("{} has {} of the traffic, {stable} the rest", it.canary, it.weight)
        }
        (Phase::Watching(it), Some(held)) => {
            format!("{} has all traffic, {stable} is kept for a rollback: {held}", it.canary)
        }
        (Phase::Watching(it), None) => {
            format!("{} has all traffic and is watched, {stable} is kept for a rollback", it.canary)
        }
        (Phase::RolledBack { canary, cause, .. }, _) => {
            format!("{canary} is out, {stable} has all traffic: {cause}")
        }
    }
}

fn lane(version: &VersionName, desk: &Desk, rates: &Rates, counts: &dyn Counts) -> LaneStatus {
    let latency = counts.latency(&desk.name, version);
    let evidence = desk.watch.as_ref().map(|it| it.judge.evidence());
    let canary = desk.shares.canary.as_ref().filter(|(it, _)| it.name == *version);
    let is_stable = desk.shares.stable.name == *version;
    let seen: Option<Tally> = evidence.and_then(|it| match (canary, is_stable) {
        (Some(_), _) => Some(it.canary.seen),
        (None, true) => Some(it.stable.seen),
        (None, false) => None,
    });
    let rest = desk.shares.canary.as_ref().map_or(Weight::ALL, |(_, weight)| weight.rest());
    LaneStatus {
        version: version.clone(),
        weight: canary.map_or(if is_stable { rest } else { Weight::NONE }, |(_, weight)| *weight),
        seen: seen.unwrap_or_else(|| counts.tally(&desk.name, version).total()),
        per_second: rates.of(&desk.name, version),
        latency_us_p50: latency.quantile_us(0.50),
        latency_us_p99: latency.quantile_us(0.99),
        endpoints: Vec::new(),
    }
}

fn steps(desk: &Desk) -> Vec<StepStatus> {
    let (now, past) = match &desk.state.phase {
        Phase::Canary(it) => (Some(it.weight), it.weight),
        Phase::Watching(it) => (None, it.weight),
        Phase::Live | Phase::Verifying(_) | Phase::RolledBack { .. } => (None, Weight::NONE),
    };
    let step = |it: &crate::release::Step| StepStatus {
        weight: it.weight,
        soak: it.soak,
        requests: it.requests,
        done: now != Some(it.weight) && it.weight <= past,
        now: now == Some(it.weight),
    };
    desk.plan.steps.iter().map(step).collect()
}

fn quarantined(state: &State) -> Vec<WithdrawnStatus> {
    let status = |it: &crate::release::Withdrawn| WithdrawnStatus {
        version: it.version.name.clone(),
        at: it.at,
        why: it.why.clone(),
    };
    state.quarantine.iter().map(status).collect()
}

fn endpoint_facts(lane: &LaneStatus) -> impl Iterator<Item = EndpointFacts> {
    lane.endpoints.iter().map(|it| EndpointFacts {
        version: lane.version.clone(),
        endpoint: it.endpoint.clone(),
        is_up: it.state.is_up(),
        is_stale: it.stale.is_some(),
        ejections: it.ejections,
    })
}

/// The same for those who measure.
pub(super) fn facts(status: &Status) -> Vec<(ServiceName, ReleaseFacts)> {
    let facts = |it: &ServiceStatus| ReleaseFacts {
        state: match it.word {
            "VERIFYING" => ReleaseState::Verifying,
            "CANARY" => ReleaseState::Canary,
            "APPROVAL" => ReleaseState::Approval,
            "PAUSED" => ReleaseState::Paused,
            "HELD" => ReleaseState::Held,
            "WATCHING" => ReleaseState::Watching,
            "ROLLED BACK" => ReleaseState::RolledBack,
            _ => ReleaseState::Live,
        },
        stable: it.stable.clone(),
        canary: it.canary.clone(),
        step: it.step.map_or(0, |(number, _)| u32::try_from(number).unwrap_or(u32::MAX)),
        weights: it.lanes.iter().map(|lane| (lane.version.clone(), lane.weight)).collect(),
        guards: it.guards.iter().map(guard_facts).collect(),
        drift: it.drift.len() as u64,
        endpoints: it.lanes.iter().flat_map(endpoint_facts).collect(),
    };
    status.services.iter().map(|it| (it.name.clone(), facts(it))).collect()
}
