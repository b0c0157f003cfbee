//! `rollout`: how a version gets to its users, and what stands in its way.
//!
//! Steps are read by [`super::step`], checks by [`super::check`], guards by [`super::guard`].

use std::time::Duration;

use crate::model::Weight;
use crate::release::{Plan, Promote, Watching, Window};

use super::check::checks;
use super::code::Code;
use super::fields::{self, Fields, Shape};
use super::guard::{Guards, guard};
use super::node::{Node, Value};
use super::problem::{Problems, Report};
use super::source::At;
use super::step::steps;
use super::text;

pub(super) const ROLLOUT: Shape = Shape {
    name: "Rollout",
    what: "`rollout`",
    keys: &["promote", "verify", "preview", "steps", "watch", "keep_previous", "deadline", "window", "guard"],
};

pub(super) const WATCH: Shape = Shape { name: "Watch", what: "`watch`", keys: &["for", "holdback"] };

/// Of a service without `rollout`: an instant flip that the guards watch.
pub(super) fn instant(guards: &Guards) -> Plan {
    Plan {
        guard: guards.policy.clone(),
        on_breach: guards.on_breach,
        no_traffic: guards.no_traffic,
        ..Plan::default()
    }
}

/// `rollout`. `guards` are the defaults, and what counts afterwards.
pub(super) fn rollout(node: &Node, at: At, guards: &mut Guards, problems: &mut Problems) -> Option<Plan> {
    let fields = Fields::of(node, at, &ROLLOUT, problems)?;
    let base = guards.clone();
    fields.set("guard", guards, problems, |node, problems| guard(node, base, problems));
    let mut plan = instant(guards);
    fields.set("promote", &mut plan.promote, problems, |node, problems| {
        fields::choice(node, &[("auto", Promote::Auto), ("manual", Promote::Manual)], problems)
    });
    fields.set("verify", &mut plan.verify, problems, checks);
    fields.set("watch", &mut plan.watch, problems, watch);
    plan.keep_previous = fields
        .read("keep_previous", problems, |node, problems| fields::parsed(node, text::duration, problems));
    plan.deadline = fields.read("deadline", problems, deadline);
    plan.window = fields.read("window", problems, |node, problems| {
        fields::text(node, problems)?
            .parse::<Window>()
            .map_err(|message| window(node, message, problems))
            .ok()
    });
    let steps = fields.get("steps").map_or(Some(Vec::new()), |node| steps(node, problems));
    if let (true, Some(node)) = (guards.policy.is_off(), fields.get("steps")) {
        problems.push(
            Report::warning(Code::GuardOff, node.at, "these steps are not guarded").label("only time passes"),
        );
    }
    plan.steps = steps?;
    holdback(&plan, fields.get("watch"), problems);
    Some(plan)
}

/// `10m` or `{for: 10m, holdback: 1%}`.
fn watch(node: &Node, problems: &mut Problems) -> Option<Watching> {
    let Value::Map(_) = &node.value else {
        let time = fields::parsed(node, text::duration, problems)?;
        return Some(Watching { time, ..Watching::default() });
    };
    let fields = Fields::of(node, node.at, &WATCH, problems)?;
    let mut it = Watching::default();
    fields
        .set("for", &mut it.time, problems, |node, problems| fields::parsed(node, text::duration, problems));
    fields.set("holdback", &mut it.holdback, problems, |node, problems| {
        fields::parsed(node, text::weight, problems)
    });
    Some(it)
}

/// A share that is held back below the last step would take back what users have already.
fn holdback(plan: &Plan, node: Option<&Node>, problems: &mut Problems) {
    let last = plan.steps.iter().map(|it| it.weight).max().unwrap_or(Weight::NONE);
    let held = plan.watch.holdback;
    if let Some(node) = node.filter(|_| held == Weight::ALL || held.rest() < last) {
        let message = format!("a holdback of {held} leaves {} after {last}", held.rest());
        let report = Report::error(Code::Holdback, node.at, message);
        problems.push(report.help("the watch has at least the weight of the last step: holdback: 1%"));
    }
}

fn deadline(node: &Node, problems: &mut Problems) -> Option<Duration> {
    let time: Duration = fields::parsed(node, text::duration, problems)?;
    if time > Duration::ZERO {
        return Some(time);
    }
    let report = Report::error(Code::Limit, node.at, "a deadline that is over at once");
    problems.push(report.help("leave it out for none, or give it time: deadline: 2h"));
    None
}

fn window(node: &Node, message: String, problems: &mut Problems) {
    let report = Report::error(Code::Window, node.at, message);
    problems.push(report.help("for example window: Mon-Thu 09:00-16:00 Europe/Zurich"));
}
