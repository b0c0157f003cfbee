//! `rollout`: the steps of a release and how long it is watched. Its guards are read by [`super::guard`].

use std::time::Duration;

use crate::model::Weight;
use crate::release::{Plan, STEP_REQUESTS_DEFAULT, Step, WATCH_DEFAULT, Watching};

use super::code::Code;
use super::fields::{self, Fields, Shape};
use super::guard::{Guards, guard};
use super::node::{Node, Value};
use super::problem::{Problems, Report};
use super::source::At;
use super::text;
use super::yaml::shown;

pub(super) const ROLLOUT: Shape =
    Shape { name: "Rollout", what: "`rollout`", keys: &["preview", "steps", "guard", "watch"] };

pub(super) const STEP: Shape = Shape { name: "Step", what: "a step", keys: &["weight", "for", "requests"] };

/// Of a service without `rollout`: an instant flip that the guards watch.
pub(super) fn instant(guards: &Guards) -> Plan {
    Plan { guard: guards.policy.clone(), ..Plan::default() }
}

/// `rollout`. `guards` are the defaults, and what counts afterwards.
pub(super) fn rollout(node: &Node, at: At, guards: &mut Guards, problems: &mut Problems) -> Option<Plan> {
    let fields = Fields::of(node, at, &ROLLOUT, problems)?;
    let base = guards.clone();
    fields.set("guard", guards, problems, |node, problems| guard(node, base, problems));
    let mut watch = WATCH_DEFAULT;
    fields
        .set("watch", &mut watch, problems, |node, problems| fields::parsed(node, text::duration, problems));
    let steps = fields.get("steps").map_or(Some(Vec::new()), |node| steps(node, problems));
    if let (true, Some(node)) = (guards.policy.is_off(), fields.get("steps")) {
        problems.push(
            Report::warning(Code::GuardOff, node.at, "these steps are not guarded").label("only time passes"),
        );
    }
    let watch = Watching { time: watch, ..Watching::default() };
    Some(Plan { steps: steps?, watch, guard: guards.policy.clone(), ..Plan::default() })
}

fn steps(node: &Node, problems: &mut Problems) -> Option<Vec<Step>> {
    let items = fields::items(node, "`steps` is a list: [5% for 5m, 50% for 10m]", problems)?;
    let steps: Vec<_> = items.iter().map(|it| step(it, problems)).collect();
    let placed = || steps.iter().zip(&items).filter_map(|(step, node)| step.as_ref().map(|it| (it, node.at)));
    for ((before, first), (step, at)) in placed().zip(placed().skip(1)) {
        if step.weight <= before.weight {
            let message = format!("{} does not follow {}: steps rise", step.weight, before.weight);
            problems.push(Report::error(Code::StepsDoNotRise, at, message).related(first, "the step before"));
        }
    }
    steps.into_iter().collect()
}

/// `5% for 5m` or `{weight: 5%, for: 5m, requests: 500}`.
fn step(node: &Node, problems: &mut Problems) -> Option<Step> {
    let (weight, soak, requests) = match &node.value {
        Value::Map(_) => {
            let fields = Fields::of(node, node.at, &STEP, problems)?;
            let weight = fields.required("weight", "for example weight: 5%", problems);
            let weight = weight.and_then(|it| fields::parsed(&it.value, text::weight, problems));
            let soak = match fields.get("for") {
                Some(node) => fields::parsed(node, text::duration, problems),
                None => return step_time(node.at, problems),
            };
            let requests = fields.read("requests", problems, |node, problems| {
                fields::integer(node, 0, 1_000_000_000, problems)
            });
            (weight?, soak?, requests)
        }
        _ => {
            let written = fields::text(node, problems)?;
            let Some((weight, soak)) = short_step(written) else {
                let message = format!("step `{}` cannot be understood", shown(written));
                problems.push(Report::error(Code::Step, node.at, message).help("for example 5% for 5m"));
                return None;
            };
            let weight = understood(node.at, text::weight(weight), problems);
            let Some(soak) = soak else { return weight.and_then(|_| step_time(node.at, problems)) };
            let soak = understood(node.at, text::duration(soak), problems);
            (weight?, soak?, None)
        }
    };
    if weight == Weight::NONE || weight == Weight::ALL {
        let help = if weight == Weight::ALL {
            "leave it out: after the last step the version is promoted; `watch` says how long it is watched"
        } else {
            "the least weight is 0.01%"
        };
        problems.push(Report::error(Code::StepWeight, node.at, format!("a step of {weight}")).help(help));
        return None;
    }
    if soak == Duration::ZERO {
        return step_time(node.at, problems);
    }
    Some(Step::plain(weight, soak, requests.unwrap_or(STEP_REQUESTS_DEFAULT)))
}

/// The weight and the time of `5% for 5m`; the time may be missing.
fn short_step(written: &str) -> Option<(&str, Option<&str>)> {
    let words: Vec<&str> = written.split_whitespace().collect();
    match words[..] {
        [weight] => Some((weight, None)),
        [weight, "for", soak] => Some((weight, Some(soak))),
        _ => None,
    }
}

fn understood<T>(at: At, parsed: Result<T, String>, problems: &mut Problems) -> Option<T> {
    parsed.map_err(|message| problems.push(Report::error(Code::Step, at, message))).ok()
}

fn step_time<T>(at: At, problems: &mut Problems) -> Option<T> {
    let report = Report::error(Code::StepTime, at, "how long is this step held?");
    problems.push(report.help("add a time: 5% for 5m"));
    None
}
