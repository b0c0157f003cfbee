//! Releases and configuration: what was told.

use std::collections::BTreeMap;

use prometheus::proto::MetricFamily;

use crate::model::Timestamp;
use crate::telemetry::facts::{Facts, RELEASE_SECONDS};
use crate::telemetry::{ReleaseFacts, ReleaseState};

use super::family::{Family, seconds};

/// Families about releases.
pub(super) fn of_releases(facts: &Facts) -> Vec<MetricFamily> {
    let mut families = states_of(facts).to_vec();
    families.extend(guards_of(facts));
    families.extend(endpoints_of(facts));
    let mut decisions =
        Family::counter("tidegate_release_decisions_total", "Decisions about releases and who made them.");
    for ((service, decision, actor), n) in &facts.decisions {
        let labels = [("service", service.as_str()), ("decision", *decision), ("actor", *actor)];
        decisions.add(&labels, *n as f64);
    }
    let mut durations =
        Family::histogram("tidegate_release_duration_seconds", "How long releases took, by outcome.");
    for (outcome, it) in &facts.durations {
        let buckets = RELEASE_SECONDS.into_iter().zip(it.cumulative);
        durations.add_buckets(&[("outcome", outcome)], buckets, it.count, it.sum_seconds);
    }
    families.extend([decisions.done(), durations.done()]);
    families
}

fn states_of(facts: &Facts) -> [MetricFamily; 5] {
    let mut weights = Family::gauge(
        "tidegate_traffic_weight_ratio",
        "The share of its service's traffic that a version gets.",
    );
    let mut info = Family::gauge("tidegate_release_info", "The versions of a service by their roles.");
    let mut state =
        Family::gauge("tidegate_release_state", "1 for what the release is doing, 0 for the rest.");
    let mut step = Family::gauge("tidegate_release_step", "The step under way, counted from 1; 0 is none.");
    let mut drift = Family::gauge(
        "tidegate_config_drift",
        "In how many fields what runs differs from what the file says; 0 is in sync.",
    );
    for (service, it) in &facts.releases {
        let service = ("service", service.as_str());
        drift.add(&[service], it.drift as f64);
        for (version, weight) in &it.weights {
            weights.add(&[service, ("version", version.as_str())], weight.ratio());
        }
        let canary = it.canary.as_ref().map_or("", |it| it.as_str());
        info.add(&[service, ("stable", it.stable.as_str()), ("canary", canary)], 1.0);
        for known in ReleaseState::ALL {
            state.add(&[service, ("state", known.as_str())], f64::from(u8::from(known == it.state)));
        }
        step.add(&[service], f64::from(it.step));
    }
    [weights.done(), info.done(), state.done(), step.done(), drift.done()]
}

fn guards_of(facts: &Facts) -> [MetricFamily; 3] {
    let mut delta =
        Family::gauge("tidegate_release_guard_delta", "Canary minus stable, in the unit of the guard.");
    let mut limit =
        Family::gauge("tidegate_release_guard_limit", "The difference that a guard still takes as fine.");
    let mut evidence =
        Family::gauge("tidegate_release_evidence", "Evidence for a guard's claim; at 1 the claim holds.");
    for (service, release) in &facts.releases {
        for it in &release.guards {
            let labels = [("service", service.as_str()), ("guard", it.guard)];
            if let Some(known) = it.delta {
                delta.add(&labels, known);
            }
            if let Some(known) = it.limit {
                limit.add(&labels, known);
            }
            for (claim, value) in [("worse", it.worse), ("fine", it.fine)] {
                evidence.add(&[labels[0], labels[1], ("claim", claim)], value);
            }
        }
    }
    [delta.done(), limit.done(), evidence.done()]
}

fn endpoints_of(facts: &Facts) -> [MetricFamily; 3] {
    let mut up = Family::gauge("tidegate_endpoint_up", "Whether an endpoint gets requests.");
    let mut stale = Family::gauge(
        "tidegate_endpoint_stale",
        "Whether the name of an endpoint cannot be looked up, so that its last address is used.",
    );
    let mut ejections = Family::counter(
        "tidegate_ejections_total",
        "How often an endpoint was left out because of how it treated requests.",
    );
    let all =
        facts.releases.iter().flat_map(|(service, it)| it.endpoints.iter().map(move |it| (service, it)));
    for (service, it) in all {
        let labels = [
            ("service", service.as_str()),
            ("version", it.version.as_str()),
            ("endpoint", it.endpoint.as_str()),
        ];
        up.add(&labels, f64::from(u8::from(it.is_up)));
        stale.add(&labels, f64::from(u8::from(it.is_stale)));
        ejections.add(&labels, it.ejections as f64);
    }
    [up.done(), stale.done(), ejections.done()]
}

/// How many series a service has here.
pub(super) fn series_of(it: &ReleaseFacts) -> u64 {
    let states = it.weights.len() + 1 + ReleaseState::ALL.len() + 2;
    (states + 4 * it.guards.len() + 3 * it.endpoints.len()) as u64
}

/// What became of notifications.
pub(super) fn of_notifications(facts: &Facts) -> MetricFamily {
    let mut told = Family::counter(
        "tidegate_notifications_total",
        "Notifications by target and by what became of them.",
    );
    for ((target, result), n) in &facts.notifications {
        told.add(&[("target", target.as_str()), ("result", *result)], *n as f64);
    }
    told.done()
}

/// Families about the configuration and about what could not be kept.
pub(super) fn of_config(facts: &Facts) -> Vec<MetricFamily> {
    let config = &facts.config;
    let mut reloads = Family::counter("tidegate_config_reloads_total", "Configurations tried, by result.");
    reloads.add(&[("result", "loaded")], config.loaded as f64);
    reloads.add(&[("result", "refused")], config.refused as f64);
    let generation =
        Family::gauge("tidegate_config_generation", "The number of the configuration that serves.");
    let journal = Family::gauge(
        "tidegate_journal_durable",
        "Whether decisions are written down (1) or only in memory (0).",
    );
    let events = Family::counter("tidegate_events_dropped_total", "Events that a reader was too slow for.");
    let series = Family::counter(
        "tidegate_series_dropped_total",
        "Series left out of scrapes because there were too many, added up over scrapes.",
    );
    let mut families = vec![
        reloads.done(),
        generation.only(config.generation.0 as f64),
        journal.only(f64::from(u8::from(!facts.journal_lost))),
        events.only(facts.events_dropped as f64),
        series.only(facts.series_dropped as f64),
    ];
    if let Some((success, at)) = config.last {
        let last = Family::gauge(
            "tidegate_config_last_reload_success",
            "Whether the last configuration that was tried serves.",
        );
        let when = Family::gauge("tidegate_config_last_reload_timestamp_seconds", "When that was.");
        families.extend([last.only(f64::from(u8::from(success))), when.only(seconds(at.0))]);
    }
    families
}

/// When the certificates of listeners expire.
pub(super) fn of_certificates(facts: &Facts) -> MetricFamily {
    let name = "tidegate_tls_certificate_expiry_timestamp_seconds";
    let mut expiry = Family::gauge(name, "When a certificate expires that serves.");
    // Two keys for one name, an RSA and an ECDSA one, are one series: the first to expire counts.
    let mut first: BTreeMap<_, Timestamp> = BTreeMap::new();
    for it in &facts.certificates {
        let known = first.entry((&it.listener, &it.name)).or_insert(it.expires);
        *known = it.expires.min(*known);
    }
    for ((listener, name), expires) in first {
        expiry.add(&[("listener", listener.as_str()), ("name", name)], seconds(expires.0));
    }
    expiry.done()
}

/// What operators and scrapers asked.
pub(super) fn of_admin(facts: &Facts) -> MetricFamily {
    let mut asked = Family::counter("tidegate_admin_requests_total", "Admin requests by status.");
    for (code, n) in &facts.admin_requests {
        asked.add(&[("code", &code.to_string())], *n as f64);
    }
    asked.done()
}
