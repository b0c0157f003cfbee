//! What differs in one service.

use std::time::Duration;

use crate::release::{Plan, Promote};
use crate::routing::VersionSpec;

use super::super::domain::{Config, ServiceConfig};
use super::super::written::Written;
use super::settings::{same, settings};
use super::{Change, ChangeKind, Situation, Standing};

/// Compares a service with what it was, if it was.
pub(super) fn compare(
    (before, old): (Option<&ServiceConfig>, &Config),
    (after, new): (&ServiceConfig, &Config),
    now: &Situation,
    found: &mut Vec<Change>,
) {
    let name = after.spec.name.as_str();
    let subject = format!("service {name}");
    let live = after.spec.versions[after.live.0].name.as_str();
    let Some(before) = before else {
        let consequence = format!("{live} gets all of its traffic at once");
        found.push(Change::new(ChangeKind::Added, subject, "is new", consequence));
        return;
    };
    let (one, other) = (written(old, name), written(new, name));
    let standing = now.services.iter().find(|it| it.service == name);
    let begun = found.len();
    let mut push = |kind, what: String, consequence: String| {
        found.push(Change::new(kind, subject.clone(), what, consequence));
    };
    let was = before.spec.versions[before.live.0].name.as_str();
    if was != live {
        push(ChangeKind::Changed, format!("live: {was} → {live}"), flip(standing, was, live, &after.plan));
    }
    versions(before, after, standing, &mut push);
    let meaning = |it: &ServiceConfig| format!("{it:?}");
    let hosts = |it: &Written| it.get("hosts").cloned().unwrap_or_default();
    if meaning(before) == meaning(after) && same(&hosts(&one), &hosts(&other)) {
        return;
    }
    for line in settings(&without_versions(&one), &without_versions(&other)) {
        let consequence = consequence(&line);
        push(ChangeKind::Changed, line, consequence.into());
    }
    let silent = found.len() == begun;
    if silent && meaning(before) != meaning(after) {
        let what = "something that it rests on has changed: `defaults`, a certificate or an authority";
        found.push(Change::new(ChangeKind::Changed, subject, what, "from the next request on"));
    }
}

fn written(config: &Config, service: &str) -> Written {
    config.written.get("services").and_then(|it| it.get(service)).cloned().unwrap_or_default()
}

/// The keys that are not compared as they are meant; of the versions, what they say beside endpoints.
fn without_versions(service: &Written) -> Written {
    let mut lines = service.lines().to_vec();
    lines.retain(|it| it.key != "live");
    for line in lines.iter_mut().filter(|it| it.key == "versions") {
        let mut versions = line.value.lines().to_vec();
        versions.retain(|it| matches!(it.value, Written::Map(_)));
        for version in &mut versions {
            let mut keys = version.value.lines().to_vec();
            keys.retain(|it| it.key != "endpoints");
            version.value = Written::Map(keys);
        }
        versions.retain(|it| !it.value.lines().is_empty());
        line.value = Written::Map(versions);
    }
    lines.retain(|it| it.key != "versions" || !it.value.lines().is_empty());
    Written::Map(lines)
}

fn versions(
    before: &ServiceConfig,
    after: &ServiceConfig,
    standing: Option<&Standing>,
    push: &mut impl FnMut(ChangeKind, String, String),
) {
    let find = |all: &[VersionSpec], name: &VersionSpec| all.iter().find(|it| it.name == name.name).cloned();
    for it in &after.spec.versions {
        match find(&before.spec.versions, it) {
            None => {
                let urls: Vec<String> = it.endpoints.iter().map(|it| it.url()).collect();
                let consequence = "gets no traffic until it is live, pinned or has a share";
                push(
                    ChangeKind::Added,
                    format!("version {}: {}", it.name, urls.join(", ")),
                    consequence.into(),
                );
            }
            Some(was) => endpoints(&was, it, push),
        }
    }
    for it in &before.spec.versions {
        if find(&after.spec.versions, it).is_some() {
            continue;
        }
        let stable = standing.map_or(before.spec.versions[before.live.0].name.as_str(), |it| &it.stable);
        if it.name.as_str() == stable {
            let consequence = format!("{stable} is stable and must stay in the file until another one is");
            push(ChangeKind::Refused, format!("version {} is removed", it.name), consequence);
        } else {
            let consequence = "nobody can go back to it; what is under way there may finish";
            push(ChangeKind::Removed, format!("version {} is removed", it.name), consequence.into());
        }
    }
}

fn endpoints(was: &VersionSpec, it: &VersionSpec, push: &mut impl FnMut(ChangeKind, String, String)) {
    let urls = |it: &VersionSpec| it.endpoints.iter().map(|it| it.url()).collect::<Vec<_>>();
    let (before, after) = (urls(was), urls(it));
    for url in after.iter().filter(|url| !before.contains(url)) {
        let first = if it.health.is_some() { "after its first passed health check" } else { "at once" };
        push(ChangeKind::Added, format!("endpoint of {}: {url}", it.name), format!("gets its share {first}"));
    }
    for url in before.iter().filter(|url| !after.contains(url)) {
        let consequence = "gets no new requests; what is under way there may finish";
        push(ChangeKind::Removed, format!("endpoint of {}: {url}", it.name), consequence.into());
    }
}

/// What another `live` leads to.
fn flip(standing: Option<&Standing>, was: &str, live: &str, plan: &Plan) -> String {
    let stable = standing.map_or(was, |it| it.stable.as_str());
    let canary = standing.and_then(|it| it.canary.as_deref());
    if standing.is_some_and(|it| it.quarantined.iter().any(|it| it == live)) {
        return format!("nothing moves: {live} was rolled back and is in quarantine until `tidegate retry`");
    }
    match canary {
        Some(canary) if canary == live => format!("the release of {live} goes on"),
        Some(canary) if stable == live => {
            format!("takes {canary} back: {live} is stable and has all traffic at once")
        }
        None if stable == live => format!("nothing moves: {live} is stable already"),
        Some(canary) => format!("takes {canary} back, then {}", release(live, plan)),
        None => release(live, plan),
    }
}

/// `starts a release of v42: 1% for 5m, then 100%, watched for 10m; about 15m`
fn release(live: &str, plan: &Plan) -> String {
    let mut parts: Vec<String> = Vec::new();
    if !plan.verify.is_empty() {
        parts.push(format!("{} checks without users", plan.verify.len()));
    }
    for step in &plan.steps {
        let gate = match (step.approval, step.checks.is_empty()) {
            (true, _) => " and until approved",
            (false, false) => " and its checks",
            (false, true) => "",
        };
        parts.push(format!("{} for {}{gate}", step.weight, time(step.soak)));
    }
    if plan.promote == Promote::Manual {
        parts.push("until somebody says `tidegate promote`".into());
    }
    parts.push(format!("{}", plan.watch_weight()));
    let soaks: Duration = plan.steps.iter().map(|it| it.soak).sum();
    let (watch, whole) = (time(plan.watch.time), time(soaks + plan.watch.time));
    format!("starts a release of {live}: {}, watched for {watch}; at least {whole}", parts.join(", then "))
}

/// In its largest whole unit.
fn time(it: Duration) -> String {
    let seconds = it.as_secs();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds >= length && seconds.is_multiple_of(length) {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}

fn consequence(line: &str) -> &'static str {
    let key = line.split(['.', ':']).next().unwrap_or_default();
    match key {
        "hosts" => "requests for these hosts come here, and for others no longer, from the next one on",
        "rollout" => "a release under way goes on by the new plan, the next one starts by it",
        "sticky" | "split" | "pin" => "from the next request on; users may change versions once",
        "versions" => "for the next connection to its endpoints, and their next health check",
        _ => "from the next request on",
    }
}
