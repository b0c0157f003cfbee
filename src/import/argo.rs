//! The strategy of an Argo `Rollout`: `setWeight` and `pause` become steps.

use crate::config::Written;

use super::draft::{Draft, Version, list, map, name, text, word};
use super::foreign::Node;
use super::kubernetes::{Ports, others};
use super::remark::Remarks;
use super::units;

/// Puts one object into the draft.
pub(super) fn take(object: &Node, ports: &Ports, draft: &mut Draft, remarks: &mut Remarks) {
    let own = name(object.text_at(&["metadata", "name"]).unwrap_or("rollout"));
    let Some(spec) = object.get("spec") else { return };
    let pods = "versions are started and stopped by whoever runs them";
    others(spec, &["strategy"], pods, remarks);
    let Some(strategy) = spec.get("strategy") else {
        return remarks.refused(spec.at, "spec", "it has no strategy");
    };
    if let Some(canary) = strategy.get("canary") {
        let known = ["steps", "stableService", "canaryService", "analysis", "trafficRouting"];
        others(canary, &known, pods, remarks);
        if let Some(analysis) = canary.get("analysis") {
            let why = "every answer is judged all the time (`guard`); a number of a Prometheus can hold a release (`queries`)";
            remarks.differs(analysis.at, "analysis", why);
        }
        if let Some(routing) = canary.get("trafficRouting") {
            remarks.needless(routing.at, "trafficRouting", "requests are split here");
        }
        let stable =
            canary.text_at(&["stableService"]).map_or_else(|| format!("{own}-stable"), str::to_owned);
        let next = canary.text_at(&["canaryService"]).map_or_else(|| format!("{own}-canary"), str::to_owned);
        let steps = steps(canary.get("steps"), remarks);
        let rollout = if steps.is_empty() { Vec::new() } else { vec![("steps", list(steps))] };
        put(&own, (&stable, &next), rollout, canary, ports, draft, remarks);
    } else if let Some(flip) = strategy.get("blueGreen") {
        let known = [
            "activeService",
            "previewService",
            "autoPromotionEnabled",
            "scaleDownDelaySeconds",
            "prePromotionAnalysis",
            "postPromotionAnalysis",
            "autoPromotionSeconds",
        ];
        others(flip, &known, pods, remarks);
        for key in ["prePromotionAnalysis", "postPromotionAnalysis", "autoPromotionSeconds"] {
            if let Some(it) = flip.get(key) {
                remarks.refused(
                    it.at,
                    key,
                    "see `verify`, which runs commands and asks URLs before the first user",
                );
            }
        }
        let active = flip.text_at(&["activeService"]).map_or_else(|| format!("{own}-active"), str::to_owned);
        let next = flip.text_at(&["previewService"]).map_or_else(|| format!("{own}-preview"), str::to_owned);
        let mut rollout = Vec::new();
        if flip.text_at(&["autoPromotionEnabled"]) == Some("false") {
            rollout.push(("promote", word("manual")));
        }
        let keep = flip.text_at(&["scaleDownDelaySeconds"]).and_then(units::go_time);
        rollout.extend(keep.map(|it| ("keep_previous", word(it))));
        put(&own, (&active, &next), rollout, flip, ports, draft, remarks);
    } else {
        remarks.refused(strategy.at, "strategy", "it is neither `canary` nor `blueGreen`");
    }
}

/// Two versions, the first of which serves.
fn put(
    own: &str,
    (stable, next): (&str, &str),
    rollout: Vec<(&'static str, Written)>,
    at: &Node,
    ports: &Ports,
    draft: &mut Draft,
    remarks: &mut Remarks,
) {
    let of = |service: &str, share: u64, remarks: &mut Remarks| Version {
        name: name(service),
        share,
        endpoints: vec![ports.url(service, None, at.at, remarks)],
        health: None,
    };
    let versions = vec![of(stable, 10_000, remarks), of(next, 0, remarks)];
    let service = draft.service(own, at.at);
    // A route may have brought the same backends already.
    service.versions = versions;
    if !rollout.is_empty() {
        service.set("rollout", map(rollout));
    }
}

fn steps(steps: Option<&Node>, remarks: &mut Remarks) -> Vec<Written> {
    let mut made: Vec<Written> = Vec::new();
    let mut weight: Option<(u64, &Node)> = None;
    let mut last = 0;
    let flush = |weight: Option<(u64, &Node)>, remarks: &mut Remarks, made: &mut Vec<Written>| {
        if let Some((points, node)) = weight {
            remarks.differs(node.at, "setWeight", "a step has a time: it is held for a minute");
            made.push(text(format!("{} for 1m", units::share(points))));
        }
    };
    for step in steps.map_or(&[][..], Node::items) {
        if let Some(it) = step.get("setWeight") {
            flush(weight.take(), remarks, &mut made);
            match it.number().map(|it| it.saturating_mul(100)) {
                Some(points) if points > last && points < 10_000 => {
                    weight = Some((points, it));
                    last = points;
                }
                Some(10_000) => remarks.needless(it.at, "setWeight 100", "it follows the last step"),
                _ => remarks.refused(it.at, "setWeight", "steps rise, above 0 % and below 100 %"),
            }
        } else if let Some(pause) = step.get("pause") {
            let time = pause.text_at(&["duration"]).and_then(units::go_time);
            let asked = pause.get("duration").is_none();
            match (weight.take(), time) {
                (Some((points, _)), Some(time)) => {
                    made.push(text(format!("{} for {time}", units::share(points))))
                }
                (Some((points, _)), None) if asked => {
                    made.push(text(format!("{} until approved", units::share(points))));
                }
                (None, _) => {
                    remarks.refused(
                        pause.at,
                        "pause",
                        "a step has one time: add it to that of the weight before",
                    );
                }
                (Some(it), None) => {
                    remarks.refused(pause.at, "pause", "this is no time that can be taken over");
                    weight = Some(it);
                }
            }
        } else {
            let key = step.entries().first().map_or("step", |it| it.1.as_str());
            remarks.refused(
                step.at,
                key,
                "a step has a weight and a time; see `checks` of a step, and `pin`",
            );
        }
    }
    flush(weight, remarks, &mut made);
    made
}
