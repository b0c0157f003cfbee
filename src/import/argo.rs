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
            remarks.refused(analysis.at, "analysis", why);
        }
        if let Some(routing) = canary.get("trafficRouting") {
            remarks.needless(routing.at, "trafficRouting", "requests are split here");
        }
        let stable =
            canary.text_at(&["stableService"]).map_or_else(|| format!("{own}-stable"), str::to_owned);
        let next = canary.text_at(&["canaryService"]).map_or_else(|| format!("{own}-canary"), str::to_owned);
        let steps = steps(canary.get("steps"), remarks);
        if steps.is_empty() {
            let why = "without a weight that can be taken over, `live` is a flip: write `steps`";
            remarks.refused(canary.get("steps").map_or(canary.at, |it| it.at), "steps", why);
        }
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
        // There more words than these mean no; whoever is asked once too often has lost nothing.
        if flip
            .get("autoPromotionEnabled")
            .is_some_and(|it| !matches!(it.text(), Some("true" | "True" | "TRUE")))
        {
            rollout.push(("promote", word("manual")));
        }
        let keep = flip.text_at(&["scaleDownDelaySeconds"]).and_then(units::go_time);
        if let (Some(it), None) =
            (flip.get("scaleDownDelaySeconds").filter(|it| it.text() != Some("0")), &keep)
        {
            remarks.refused(
                it.at,
                "scaleDownDelaySeconds",
                "this is no time that can be taken over: see `keep_previous`",
            );
        }
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

/// A weight, and what must have passed before the next one.
#[derive(Default)]
struct Step<'a> {
    points: u64,
    at: Option<&'a Node>,
    /// Pauses follow each other: their times are added up.
    ms: u64,
    /// Whether one of them ends when somebody says so.
    approved: bool,
}

impl Step<'_> {
    fn written(self, remarks: &mut Remarks) -> Written {
        let weight = units::share(self.points);
        // Longer than anything that can be written: a person is asked, which is no shorter.
        let time = units::time_of(self.ms);
        let asked = self.approved || (self.ms > 0 && time.is_none());
        if let (None, false, Some(node)) = (&time, asked, self.at) {
            remarks.differs(node.at, "setWeight", "a step has a time: it is held for a minute");
        }
        text(match (time, asked) {
            (Some(time), true) => format!("{weight} for {time} until approved"),
            (Some(time), false) => format!("{weight} for {time}"),
            (None, true) => format!("{weight} until approved"),
            (None, false) => format!("{weight} for 1m"),
        })
    }

    /// Nothing that keeps a release from going on is lost: where time and a person's yes come in another order,
    /// or a time cannot be understood, that is said.
    fn pause(&mut self, pause: &Node, remarks: &mut Remarks) {
        let written = pause.get("duration");
        let ms = written.and_then(Node::text).and_then(units::go_ms);
        let open = written.is_none_or(|it| it.text().is_some_and(|it| matches!(it, "" | "~" | "null")));
        match ms {
            Some(ms) => {
                if self.approved {
                    let why = "a step is held for its time first, then until it is approved";
                    remarks.differs(pause.at, "pause", why);
                }
                self.ms = self.ms.saturating_add(ms);
            }
            None if open => self.approved = true,
            None => {
                self.approved = true;
                let why = "this is no time that can be taken over: the step waits until it is approved";
                remarks.differs(pause.at, "pause", why);
            }
        }
    }
}

fn steps(steps: Option<&Node>, remarks: &mut Remarks) -> Vec<Written> {
    let mut made: Vec<Step<'_>> = Vec::new();
    let mut done = false;
    for step in steps.map_or(&[][..], Node::items) {
        if let Some(it) = step.get("setWeight") {
            let last = made.last().map_or(0, |it| it.points);
            match it.number().map(|it| it.saturating_mul(100)) {
                Some(points) if points > last && points < 10_000 && !done => {
                    made.push(Step { points, at: Some(it), ..Step::default() });
                }
                Some(10_000) if !done => {
                    done = true;
                    remarks.needless(it.at, "setWeight 100", "it follows the last step");
                }
                _ => remarks.refused(it.at, "setWeight", "steps rise, above 0 % and below 100 %"),
            }
        } else if let Some(pause) = step.get("pause") {
            match made.last_mut() {
                _ if done => {
                    let why = "after all traffic comes the `watch`, whose guards can still roll back";
                    remarks.refused(pause.at, "pause", why);
                }
                Some(step) => step.pause(pause, remarks),
                None => {
                    let why = "before the first weight nothing waits for a person or a time: see `verify`";
                    remarks.refused(pause.at, "pause", why);
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
    made.into_iter().map(|it| it.written(remarks)).collect()
}
