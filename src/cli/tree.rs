//! A service as a tree of lines.

use crate::admin::wire::{
    ActorWire, DriftWire, EndpointWire, EventWire, GuardWire, LaneWire, ServiceWire, TallyWire,
};

use super::printable;
use super::terminal::Paint;
use super::text::{bar, countdown, grouped, latency, padded, percent, points, span, time_of_day};

/// The tree of a service, each line ended.
pub fn of_service(it: &ServiceWire, paint: Paint) -> String {
    let mut branches = vec![traffic(it, paint)];
    branches.extend(lanes(it, paint));
    if let Some(held) = held(it) {
        // HELD is a state, with an exit code of its own: what a step still needs is none.
        let word = match it.state.as_str() {
            "HELD" => "held",
            _ if it.held.as_ref().is_none_or(String::is_empty) => "needs",
            _ => "waits",
        };
        branches.push(Branch::leaf(word, paint.yellow(&held)));
    }
    if !it.guards.is_empty() {
        branches.push(Branch { head: "guards".into(), leaves: guards(&it.guards, paint) });
    }
    if !it.steps.is_empty() && is_trial(it) {
        branches.push(Branch::leaf("steps", steps(it, paint)));
    }
    for withdrawn in &it.quarantined {
        let text = format!("{} since {}: {}", withdrawn.version, time_of_day(&withdrawn.at), withdrawn.why);
        branches.push(Branch::leaf("quarantine", paint.red(&text)));
    }
    if !it.drift.is_empty() {
        branches.push(Branch { head: "drift".into(), leaves: it.drift.iter().map(drift_line).collect() });
    }
    if let Some(last) = &it.last {
        branches.push(Branch::leaf("last", last_line(last)));
    }
    format!("{}\n{}", header(it, paint), draw(&branches))
}

/// What one may do with a service in this state.
pub fn next_commands(it: &ServiceWire) -> Vec<String> {
    let name = &it.name;
    let verbs: &[&str] = match it.state.as_str() {
        "CANARY" => &["promote", "pause", "rollback"],
        "VERIFYING" => &["history", "pause", "rollback"],
        "APPROVAL" => &["promote", "pause", "rollback"],
        "PAUSED" => &["resume", "promote", "rollback"],
        "HELD" => &["promote", "rollback"],
        "WATCHING" => &["promote --full", "rollback"],
        "LIVE" | "ROLLED BACK" if it.awaited => &["rollback", "events"],
        "ROLLED BACK" => &["retry", "events"],
        _ if it.quarantined.iter().any(|q| q.version == it.wanted) => &["retry", "events"],
        _ => &["events"],
    };
    let command = |verb: &&str| {
        let (verb, flag) = verb.split_once(' ').unwrap_or((verb, ""));
        let mut command = format!("tidegate {verb} {name}");
        if !flag.is_empty() {
            command.push_str(&format!(" {flag}"));
        }
        if verb == "promote" {
            // A yes is to what is shown: whoever comes second must not promote by another step.
            command.push_str(&format!(" --step {}", it.mark));
        }
        command
    };
    let commands = verbs.iter().map(command);
    let paste = (!it.drift.is_empty()).then(|| "tidegate export --effective".to_owned());
    commands.chain(paste).collect()
}

/// Whether something is being tried.
fn is_trial(it: &ServiceWire) -> bool {
    it.weight_percent > 0.0
        || matches!(it.state.as_str(), "VERIFYING" | "CANARY" | "APPROVAL" | "PAUSED" | "HELD" | "WATCHING")
}

/// A first word and what hangs below it, or stands beside it if there is no first line.
struct Branch {
    head: String,
    leaves: Vec<String>,
}

impl Branch {
    fn leaf(word: &str, text: String) -> Self {
        Self { head: format!("{} {text}", padded(word, WORD_CHARACTERS)), leaves: Vec::new() }
    }
}

fn draw(branches: &[Branch]) -> String {
    let mut out = String::new();
    for (at, branch) in branches.iter().enumerate() {
        let is_last = at + 1 == branches.len();
        out.push_str(&format!("{} {}\n", if is_last { "└─" } else { "├─" }, branch.head));
        for (at, leaf) in branch.leaves.iter().enumerate() {
            let (rail, knot) = (if is_last { " " } else { "│" }, at + 1 == branch.leaves.len());
            out.push_str(&format!("{rail}  {} {leaf}\n", if knot { "└─" } else { "├─" }));
        }
    }
    out
}

fn header(it: &ServiceWire, paint: Paint) -> String {
    let state = match it.state.as_str() {
        "LIVE" => paint.green(&it.state),
        "VERIFYING" | "CANARY" | "WATCHING" => paint.cyan(&it.state),
        "ROLLED BACK" => paint.red(&it.state),
        _ => paint.yellow(&it.state),
    };
    let versions = match &it.canary {
        Some(canary) if is_trial(it) => format!("{} → {canary}", it.stable),
        Some(canary) if it.state == "ROLLED BACK" => format!("{}, {canary} withdrawn", it.stable),
        _ => it.stable.clone(),
    };
    let sync = match (it.drift.first(), &it.canary) {
        (Some(drift), _) => paint.yellow(&format!("drifted: {} is {}", drift.field, drift.running)),
        (None, _) if it.in_sync => "in sync".to_owned(),
        (None, Some(canary)) if is_trial(it) && *canary == it.wanted => "on its way".to_owned(),
        (None, _) => "not in sync".to_owned(),
    };
    // A server from before says it in one word.
    let filed = if it.filed.is_empty() { &it.wanted } else { &it.filed };
    let mut parts = vec![paint.bold(&it.name), state, versions];
    let place = place(it);
    if !place.is_empty() {
        parts.push(format!(" {place}"));
    }
    parts.push(format!("    {}", paint.dim(&format!("file says {filed}, {sync}"))));
    parts.join("  ")
}

/// Where in its plan a release is: `step 3 of 4 · 25% for 20m · 07:12 left`.
fn place(it: &ServiceWire) -> String {
    if !is_trial(it) {
        return String::new();
    }
    let mut parts = Vec::new();
    match (&it.step, it.steps.iter().find(|it| it.now)) {
        (Some(step), Some(now)) => {
            parts.push(format!("step {} of {}", step.number, step.of));
            parts.push(format!("{} for {}", percent(now.weight_percent), span(now.soak_seconds)));
        }
        (Some(step), None) => parts.push(format!("step {} of {}", step.number, step.of)),
        (None, _) => parts.push(percent(it.weight_percent)),
    }
    if let Some(left) = it.left_seconds {
        parts.push(if left > 0.0 { format!("{} left", countdown(left)) } else { "time is up".into() });
    }
    parts.join(" · ")
}

/// The shares as they are: observed when there is traffic, else as published.
fn traffic(it: &ServiceWire, paint: Paint) -> Branch {
    let total: f64 = it.lanes.iter().map(|it| it.per_second).sum();
    let share = |lane: &LaneWire| {
        if total > 0.0 { lane.per_second / total } else { lane.weight_percent / 100.0 }
    };
    let shown = it.lanes.iter().filter(|it| it.weight_percent > 0.0 || it.per_second > 0.0);
    let bars: Vec<String> = shown
        .map(|lane| {
            let bar = bar(share(lane));
            let is_canary = it.canary.as_ref() == Some(&lane.version);
            let bar = if is_canary { paint.cyan(&bar) } else { paint.green(&bar) };
            format!("{} {bar} {:.1}%", lane.version, share(lane) * 100.0)
        })
        .collect();
    let rate =
        if total > 0.0 && total < 10.0 { format!("{total:.1}") } else { grouped(total.round() as u64) };
    let line = format!("{}   {} req/s", bars.join("   "), rate);
    Branch::leaf("traffic", line.trim_start().to_owned())
}

/// One line for each version that has a part in it. Others are idle, and only counted.
fn lanes(it: &ServiceWire, paint: Paint) -> Vec<Branch> {
    let role = |lane: &LaneWire| match &lane.version {
        version if *version == it.stable => Some("stable"),
        version if it.canary.as_ref() == Some(version) => Some("canary"),
        _ if lane.weight_percent > 0.0 => Some("split"),
        version if it.previous.as_ref() == Some(version) => Some("previous"),
        _ => None,
    };
    let shown: Vec<(&LaneWire, String)> = it
        .lanes
        .iter()
        .filter_map(|lane| Some((lane, format!("{} {}", lane.version, role(lane)?))))
        .collect();
    let width = shown.iter().map(|it| it.1.chars().count()).max().unwrap_or(0).max(WORD_CHARACTERS);
    let mut branches: Vec<Branch> = shown
        .iter()
        .map(|(lane, name)| {
            let line = format!("{} {}", padded(name, width), lane_line(lane, it));
            Branch { head: line.trim_end().to_owned(), leaves: ill_endpoints(lane, paint) }
        })
        .collect();
    let idle = it.lanes.len() - shown.len();
    if idle > 0 {
        let noun = if idle == 1 { "version" } else { "versions" };
        branches.push(Branch::leaf("idle", format!("{idle} other {noun}")));
    }
    branches
}

/// One line for each endpoint that does not get its share.
fn ill_endpoints(lane: &LaneWire, paint: Paint) -> Vec<String> {
    let ill = lane.endpoints.iter().filter(|it| it.state != "up" || it.stale.is_some());
    let line = |it: &EndpointWire| {
        let state = if it.state == "up" {
            it.state.clone()
        } else if it.state == "down" {
            paint.red(&it.state)
        } else {
            paint.yellow(&it.state)
        };
        let why = it.why.as_ref().map_or(String::new(), |it| format!(": {it}"));
        let stale = it.stale.as_ref().map_or(String::new(), |it| format!(", address may be stale: {it}"));
        format!("{} {state}{why}{stale}", it.endpoint)
    };
    let mut lines: Vec<String> = ill.clone().take(ILL_SHOWN_MAX).map(line).collect();
    let more = ill.count().saturating_sub(ILL_SHOWN_MAX);
    if more > 0 {
        lines.push(format!("… and {more} more"));
    }
    lines
}

fn lane_line(lane: &LaneWire, of: &ServiceWire) -> String {
    let up = lane.endpoints.iter().filter(|it| matches!(it.state.as_str(), "up" | "warming")).count();
    let up = match lane.endpoints.len() {
        0 => String::new(),
        all => format!("  {up}/{all} up"),
    };
    if lane.seen.requests == 0 {
        return format!("no requests{up}");
    }
    let rate = lane.seen.bad as f64 / lane.seen.requests as f64;
    let mut errors = format!("errors {:.2}%", rate * 100.0);
    let guard = of.guards.iter().find(|it| it.name == "errors");
    let own = guard.filter(|_| of.canary.as_ref() == Some(&lane.version)).and_then(|it| it.canary_interval);
    if let Some((low, high)) = own {
        errors.push_str(&format!(" ±{:.2}", (high - low) / 2.0 * 100.0));
    }
    let time = |us: Option<u64>| us.map_or("–".to_owned(), latency);
    let (p50, p99) = (time(lane.latency_us_p50), time(lane.latency_us_p99));
    let line =
        format!("{} p50 {}  p99 {}", padded(&errors, ERRORS_CHARACTERS), padded(&p50, 6), padded(&p99, 6));
    let requests = format!("{} requests", grouped(lane.seen.requests));
    match lane.in_flight {
        0 => format!("{line}{up}  {requests}"),
        n => format!("{line}{up}  {requests}, {} under way", grouped(n)),
    }
}

fn held(it: &ServiceWire) -> Option<String> {
    let missing = it.requests_missing.filter(|it| *it > 0);
    // After `needs` the word would be there twice.
    let needed = if it.state == "HELD" { " needed" } else { "" };
    let missing = missing.map(|it| format!("{} more canary requests{needed}", grouped(it)));
    match (it.held.clone().filter(|it| !it.is_empty()), missing) {
        // The doubt itself may say how many are missing.
        (Some(why), Some(_)) if why.contains("needed") => Some(why),
        (Some(why), Some(missing)) => Some(format!("{why}; {missing}")),
        (why, missing) => why.or(missing),
    }
}

fn guards(guards: &[GuardWire], paint: Paint) -> Vec<String> {
    let width = guards.iter().map(|it| it.name.len()).max().unwrap_or(0);
    let line = |it: &GuardWire| {
        let mut parts = vec![padded(&it.name, width)];
        parts.extend(measured(it));
        // A server from before says it in points alone.
        let limit = it.limit.map(|it| format!("{}pp", points(it)));
        let limit = Some(it.allowed.clone()).filter(|it| !it.is_empty()).or(limit);
        parts.extend(limit.map(|it| format!("limit {it}")));
        let text = printable::line(&it.text).into_owned();
        parts.push(if it.evidence >= 1.0 { paint.red(&text) } else { text });
        parts.join("  ")
    };
    guards.iter().map(line).collect()
}

/// What a guard has seen, in what its limit is written in.
fn measured(it: &GuardWire) -> Option<String> {
    let difference = it.difference?;
    if let Some((slow_us, _)) = it.slow_us {
        // The difference of the shares that are slow; how slow that is depends on stable.
        return Some(format!("{:.2}% slower than {}", share(it.canary) * 100.0, latency(slow_us)));
    }
    if it.name.ends_with("_ceiling") {
        let interval = it.interval.map(|(low, high)| format!(" [{:.2}, {:.2}]", low * 100.0, high * 100.0));
        return Some(format!("{:.2}%{}", difference * 100.0, interval.unwrap_or_default()));
    }
    let interval = it.interval.map(|(low, high)| format!(" [{}, {}]", points(low), points(high)));
    Some(format!("{}pp{}", points(difference), interval.unwrap_or_default()))
}

fn share(it: TallyWire) -> f64 {
    if it.requests == 0 { 0.0 } else { it.bad as f64 / it.requests as f64 }
}

fn steps(it: &ServiceWire, paint: Paint) -> String {
    let mut upcoming = true;
    let words = it.steps.iter().map(|step| {
        let weight = percent(step.weight_percent);
        if step.now {
            paint.bold(&format!("NOW {weight}"))
        } else if step.done {
            format!("done {weight}")
        } else if std::mem::take(&mut upcoming) {
            format!("next {weight}")
        } else {
            weight
        }
    });
    words.collect::<Vec<_>>().join(" · ")
}

fn last_line(it: &EventWire) -> String {
    let moved = if it.from_percent == it.to_percent {
        String::new()
    } else {
        format!(" {}→{}", percent(it.from_percent), percent(it.to_percent))
    };
    format!(
        "{} {}{moved}, by {}: {}",
        time_of_day(&it.at),
        it.what.replace('_', " "),
        actor(it),
        printable::line(&it.text)
    )
}

/// `live: v1 in the file, v2 since 09:31:04 by ann (cli)`
fn drift_line(it: &DriftWire) -> String {
    let file = it.file.as_ref().map_or("not in the file".to_owned(), |it| format!("{it} in the file"));
    format!("{}: {file}, {} since {} by {}", it.field, it.running, time_of_day(&it.since), name(&it.by))
}

/// Who did it, as a word or two.
pub fn actor(it: &EventWire) -> String {
    name(&it.by)
}

fn name(it: &ActorWire) -> String {
    match it.via.as_str() {
        "policy" => "policy".into(),
        "file" => "the file".into(),
        via => format!("{} ({via})", it.name),
    }
}

/// Most endpoints in trouble that are shown of a version.
const ILL_SHOWN_MAX: usize = 5;
/// Width of the first column.
const WORD_CHARACTERS: usize = 10;
/// Width of `errors 0.24% ±0.09`.
const ERRORS_CHARACTERS: usize = 20;
