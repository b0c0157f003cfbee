//! `steps`: rising weights, each with its time, its checks, and perhaps a person's yes.

use std::time::Duration;

use crate::model::Weight;
use crate::release::{STEP_REQUESTS_DEFAULT, Step};

use super::check::checks;
use super::code::Code;
use super::fields::{self, Fields, Shape};
use super::node::{Node, Value};
use super::problem::{Problems, Report};
use super::source::At;
use super::text;
use super::yaml::shown;

pub(super) const STEP: Shape =
    Shape { name: "Step", what: "a step", keys: &["weight", "for", "requests", "checks", "until"] };

pub(super) fn steps(node: &Node, problems: &mut Problems) -> Option<Vec<Step>> {
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

/// `5% for 5m`, `50% until approved`, `50% for 10m until approved`, or a map.
fn step(node: &Node, problems: &mut Problems) -> Option<Step> {
    let step = match &node.value {
        Value::Map(_) => long_step(node, problems)?,
        _ => short_step(node, problems)?,
    };
    let weight = step.weight;
    if weight == Weight::NONE || weight == Weight::ALL {
        let help = if weight == Weight::ALL {
            "leave it out: after the last step the version is promoted; `watch` says how long it is watched"
        } else {
            "the least weight is 0.01%"
        };
        problems.push(Report::error(Code::StepWeight, node.at, format!("a step of {weight}")).help(help));
        return None;
    }
    if step.soak == Duration::ZERO && !step.approval {
        return step_time(node.at, problems);
    }
    Some(step)
}

/// `{weight: 5%, for: 5m, requests: 500, checks: [...], until: approved}`.
fn long_step(node: &Node, problems: &mut Problems) -> Option<Step> {
    let fields = Fields::of(node, node.at, &STEP, problems)?;
    let weight = fields.required("weight", "for example weight: 5%", problems);
    let weight = weight.and_then(|it| fields::parsed(&it.value, text::weight, problems));
    let approval = fields
        .read("until", problems, |node, problems| fields::choice(node, &[("approved", true)], problems));
    let soak = match fields.get("for") {
        Some(node) => fields::parsed(node, text::duration, problems),
        None if fields.get("until").is_some() => Some(Duration::ZERO),
        None => return step_time(node.at, problems),
    };
    let requests =
        fields.read("requests", problems, |node, problems| fields::integer(node, 0, 1_000_000_000, problems));
    let checks = fields.read("checks", problems, checks);
    Some(Step {
        weight: weight?,
        soak: soak?,
        requests: requests.unwrap_or(STEP_REQUESTS_DEFAULT),
        checks: checks.unwrap_or_default(),
        approval: approval.unwrap_or(false),
    })
}

fn short_step(node: &Node, problems: &mut Problems) -> Option<Step> {
    let written = fields::text(node, problems)?;
    let words: Vec<&str> = written.split_whitespace().collect();
    let (weight, soak, approval) = match words[..] {
        [weight] => (weight, None, false),
        [weight, "for", soak] => (weight, Some(soak), false),
        [weight, "until", "approved"] => (weight, Some("0s"), true),
        [weight, "for", soak, "until", "approved"] => (weight, Some(soak), true),
        _ => {
            let message = format!("step `{}` cannot be understood", shown(written));
            let report = Report::error(Code::Step, node.at, message);
            problems.push(report.help("for example 5% for 5m, or 50% until approved"));
            return None;
        }
    };
    let weight = understood(node.at, text::weight(weight), problems);
    let Some(soak) = soak else { return weight.and_then(|_| step_time(node.at, problems)) };
    let soak = understood(node.at, text::duration(soak), problems);
    Some(Step { approval, ..Step::plain(weight?, soak?, STEP_REQUESTS_DEFAULT) })
}

fn understood<T>(at: At, parsed: Result<T, String>, problems: &mut Problems) -> Option<T> {
    parsed.map_err(|message| problems.push(Report::error(Code::Step, at, message))).ok()
}

fn step_time<T>(at: At, problems: &mut Problems) -> Option<T> {
    let report = Report::error(Code::StepTime, at, "how long is this step held?");
    problems.push(report.help("add a time: 5% for 5m"));
    None
}
