//! The analysis of a Flagger `Canary`: its weights become steps, its thresholds guards.

use crate::config::Written;

use super::draft::{Draft, Version, is_host, list, map, name, text, word};
use super::foreign::Node;
use super::kubernetes::{Ports, others};
use super::remark::Remarks;
use super::units;

/// A key of the new file, and what stands there.
type Line = (&'static str, Written);

/// Puts one object into the draft.
pub(super) fn take(object: &Node, ports: &Ports, draft: &mut Draft, remarks: &mut Remarks) {
    let own = name(object.text_at(&["metadata", "name"]).unwrap_or("canary"));
    let Some(spec) = object.get("spec") else { return };
    others(spec, &SPEC_KEYS, "versions are started and stopped by whoever runs them", remarks);
    if let Some(it) = spec.get("service") {
        others(it, &SERVICE_KEYS, "see `routes` and the keys of a service", remarks);
    }
    let Some(analysis) = spec.get("analysis") else {
        return remarks.refused(spec.at, "spec", "it has no analysis");
    };
    others(analysis, &ANALYSIS_KEYS, "nothing here does that", remarks);
    let rollout = rollout(analysis, remarks);
    let versions = versions(spec, &own, ports, remarks);
    let hosts = hosts(spec);
    let service = draft.service(&own, spec.at);
    service.versions = versions;
    service.takes_rest |= hosts.is_empty();
    service.hosts.extend(hosts);
    if !rollout.is_empty() {
        service.set("rollout", map(rollout));
    }
}

/// What becomes of the analysis: steps, who says yes, guards.
fn rollout(analysis: &Node, remarks: &mut Remarks) -> Vec<Line> {
    let mut rollout = Vec::new();
    let interval = interval(analysis, remarks);
    let steps = weights(analysis, remarks);
    if !steps.is_empty() {
        let step = |points: &u64| text(format!("{} for {interval}", units::share(*points)));
        rollout.push(("steps", list(steps.iter().map(step))));
    }
    if asks_a_person(analysis, steps.is_empty(), remarks) {
        rollout.push(("promote", word("manual")));
    }
    differences(analysis, remarks);
    let guard = guards(analysis, remarks);
    if !guard.is_empty() {
        rollout.push(("guard", map(guard)));
    }
    rollout
}

/// How long each step is held.
fn interval(analysis: &Node, remarks: &mut Remarks) -> String {
    analysis.text_at(&["interval"]).and_then(units::go_time).unwrap_or_else(|| {
        let at = analysis.get("interval").map_or(analysis.at, |it| it.at);
        let why = "this is no time that can be taken over: each step is held for a minute";
        remarks.refused(at, "interval", why);
        "1m".into()
    })
}

/// Whether one of the webhooks is a person's yes that `promote` can be. All others are refused.
fn asks_a_person(analysis: &Node, is_flip: bool, remarks: &mut Remarks) -> bool {
    let mut asks = false;
    for hook in analysis.get("webhooks").map_or(&[][..], Node::items) {
        let kind = hook.text_at(&["type"]).unwrap_or_default();
        let why = match kind {
            "confirm-promotion" => {
                asks = true;
                continue;
            }
            // Without a step the question comes before the first user; with steps it comes after the last.
            "confirm-rollout" if is_flip => {
                asks = true;
                continue;
            }
            "confirm-rollout" => "nobody is asked before the first step: see `verify`",
            "confirm-traffic-increase" => "see `until approved` of a step, and `checks`, which ask a URL",
            "pre-rollout" => "see `verify`: a URL is asked with GET, a command is run",
            _ => "see `verify` and `checks`; load is that of users",
        };
        let shown = format!("webhook {}", hook.text_at(&["name"]).unwrap_or(kind));
        remarks.refused(hook.at, &shown, why);
    }
    asks
}

/// Says what of an analysis is decided in another way here.
fn differences(analysis: &Node, remarks: &mut Remarks) {
    if let Some(it) = analysis.get("threshold") {
        let why = "failed looks are not counted: a rollback comes as soon as the evidence is there, and a bound on \
                   what it may cost is `failures_max`";
        remarks.differs(it.at, "threshold", why);
    }
    if let Some(it) = analysis.get("stepWeightPromotion") {
        let why = "the promotion is one step; see `watch` and its `holdback`";
        remarks.refused(it.at, "stepWeightPromotion", why);
    }
}

/// The two that Flagger has of each target: what serves, and what is tried.
fn versions(spec: &Node, own: &str, ports: &Ports, remarks: &mut Remarks) -> Vec<Version> {
    let target = spec.text_at(&["targetRef", "name"]).unwrap_or(own);
    let port = spec.at(&["service", "port"]).and_then(Node::number);
    let mut version = |suffix: &str, share: u64| Version {
        name: suffix.into(),
        share,
        endpoints: vec![ports.url(&format!("{target}-{suffix}"), port, spec.at, remarks)],
        health: None,
    };
    vec![version("primary", 10_000), version("canary", 0)]
}

fn hosts(spec: &Node) -> Vec<String> {
    let written = spec.at(&["service", "hosts"]).map_or(&[][..], Node::items).iter().filter_map(Node::text);
    written.map(str::to_ascii_lowercase).filter(|it| is_host(it)).collect()
}

/// Weights of the steps, rising, in basis points.
fn weights(analysis: &Node, remarks: &mut Remarks) -> Vec<u64> {
    let mut steps: Vec<u64> = Vec::new();
    if let Some(listed) = analysis.get("stepWeights") {
        for it in listed.items() {
            match it.number().map(|it| it.saturating_mul(100)) {
                Some(points) if points < 10_000 && points > steps.last().copied().unwrap_or(0) => {
                    steps.push(points)
                }
                _ => remarks.refused(it.at, "stepWeights", "steps rise, above 0 % and below 100 %"),
            }
        }
        if steps.is_empty() {
            remarks.refused(listed.at, "stepWeights", "none of them can be taken over: this is a flip now");
        }
        return steps;
    }
    let number = |key: &str| analysis.get(key).map(|it| (it, it.number()));
    let most = match number("maxWeight") {
        None => 100,
        Some((_, Some(most @ 1..=100))) => most,
        Some((it, _)) => {
            remarks.refused(it.at, "maxWeight", "a share lies above 0 % and is at most 100 %");
            100
        }
    };
    match number("stepWeight") {
        Some((_, Some(by @ 1..=99))) => {
            // The last one is the first that is not below `maxWeight`.
            let mut weight = by;
            while weight < 100 {
                steps.push(weight * 100);
                weight = if weight < most { weight + by } else { 100 };
            }
        }
        Some((it, _)) => {
            remarks.refused(it.at, "stepWeight", "steps rise, above 0 % and below 100 %: this is a flip now");
        }
        None => {
            let it = analysis.get("iterations").unwrap_or(analysis);
            let why = "a flip is instant, and guards watch it: what is to be tried before is `verify`";
            remarks.refused(it.at, "iterations", why);
        }
    }
    steps
}

fn guards(analysis: &Node, remarks: &mut Remarks) -> Vec<Line> {
    let mut guard: Vec<Line> = Vec::new();
    for metric in analysis.get("metrics").map_or(&[][..], Node::items) {
        let metric_name = metric.text_at(&["name"]).unwrap_or("metric");
        let bound = |which: &str| -> Option<f64> {
            let old = if which == "max" || metric_name == "request-success-rate" {
                metric.get("threshold")
            } else {
                None
            };
            let text = metric.at(&["thresholdRange", which]).or(old)?.text()?.to_owned();
            text.parse::<f64>().ok().filter(|it| it.is_finite() && *it >= 0.0)
        };
        let ours = match metric_name {
            "request-success-rate" => "errors",
            "request-duration" => "p99",
            _ => "",
        };
        if guard.iter().any(|it| it.0 == ours) {
            remarks.refused(
                metric.at,
                metric_name,
                "there is one bound of each kind: the first one is taken",
            );
            continue;
        }
        match metric_name {
            "request-success-rate" => match bound("min").filter(|it| (0.0..100.0).contains(it)) {
                // At most two decimals, and some failures must be allowed.
                Some(min) if (100.0 - min) >= 0.01 => {
                    guard.push(("errors", text(units::share(((100.0 - min) * 100.0).round() as u64))));
                }
                _ => remarks.refused(metric.at, metric_name, "a ceiling of errors lies above 0 %"),
            },
            "request-duration" => match bound("max").filter(|it| (1.0..86_400_000.0).contains(it)) {
                Some(max) => guard.push(("p99", text(format!("{}ms", max.round() as u64)))),
                None => remarks.refused(metric.at, metric_name, "a ceiling is a time"),
            },
            _ => {
                let why = "a number of a Prometheus can hold a release: see `queries` of `guard`";
                remarks.refused(metric.at, metric_name, why);
            }
        }
    }
    guard
}

/// What is looked at of each part; whatever else stands there is remarked on.
const SPEC_KEYS: [&str; 3] = ["analysis", "service", "targetRef"];
const SERVICE_KEYS: [&str; 6] = ["port", "hosts", "name", "portDiscovery", "gateways", "targetPort"];
const ANALYSIS_KEYS: [&str; 9] = [
    "interval",
    "threshold",
    "maxWeight",
    "stepWeight",
    "stepWeights",
    "iterations",
    "metrics",
    "webhooks",
    "stepWeightPromotion",
];
