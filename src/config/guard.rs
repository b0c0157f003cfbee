//! `guard`: what a release must hold.
//!
//! Who writes a guard changes that guard and leaves the others at their defaults; `off` switches all of
//! them off.

use crate::analysis::{ErrorGuard, GuardPolicy, LatencyGuard, Pass, Quantile, Slack, Tolerance};
use crate::release::{NoTraffic, OnBreach};
use crate::routing::{ErrorStatus, StickyBy};

use super::code::Code;
use super::condition;
use super::domain::Query;
use super::fields::{self, Fields, Shape};
use super::node::Node;
use super::problem::{Problems, Report};
use super::query::queries;
use super::text;
use super::yaml::shown;

pub(super) const GUARD: Shape = Shape {
    name: "Guard",
    what: "`guard`",
    keys: &[
        "errors",
        "p50",
        "p90",
        "p95",
        "p99",
        "failures_max",
        "pass",
        "queries",
        "false_rollback",
        "client_key",
        "error_status",
        "on_breach",
        "no_traffic",
    ],
};

pub(super) const PASS: Shape = Shape { name: "Pass", what: "`pass`", keys: &["within", "after", "requests"] };

pub(super) const CLIENT_KEY: Shape =
    Shape { name: "ClientKey", what: "`client_key`", keys: &["header", "cookie"] };

/// The guards and what counts as a failure, which the file says in one place.
#[derive(Clone, Debug, Default)]
pub(super) struct Guards {
    pub(super) policy: GuardPolicy,
    pub(super) error_status: ErrorStatus,
    pub(super) client_key: StickyBy,
    pub(super) on_breach: OnBreach,
    pub(super) no_traffic: NoTraffic,
    pub(super) queries: Vec<Query>,
}

/// `guard`: `off`, or what differs from `base`.
pub(super) fn guard(node: &Node, base: Guards, problems: &mut Problems) -> Option<Guards> {
    let mut guards = base;
    if node.is_word("off") {
        guards.policy = GuardPolicy { false_rollback: guards.policy.false_rollback, ..GuardPolicy::off() };
        guards.queries = Vec::new();
        return Some(guards);
    }
    let fields = Fields::of(node, node.at, &GUARD, problems)?;
    if guards.policy.is_off() {
        // The defaults are off and this service says something about its guards: on again.
        let false_rollback = guards.policy.false_rollback;
        guards.policy = GuardPolicy { false_rollback, ..GuardPolicy::default() };
    }
    let policy = &mut guards.policy;
    fields.set("errors", &mut policy.errors, problems, |node, problems| {
        if node.is_word("off") { Some(None) } else { errors(node, problems).map(Some) }
    });
    for (quantile, guard) in Quantile::ALL.into_iter().zip(&mut policy.latency) {
        fields.set(quantile.as_str(), guard, problems, |node, problems| {
            if node.is_word("off") { Some(None) } else { latency(node, problems).map(Some) }
        });
    }
    if let Some(most) = fields
        .read("failures_max", problems, |node, problems| fields::integer(node, 1, 1_000_000_000, problems))
    {
        policy.failures_max = Some(most);
    }
    fields.set("pass", &mut policy.pass, problems, |node, problems| {
        if node.is_word("off") { Some(None) } else { pass(node, problems).map(Some) }
    });
    fields.set("queries", &mut guards.queries, problems, queries);
    fields.set("false_rollback", &mut guards.policy.false_rollback, problems, |node, problems| {
        let share = fields::parsed(node, text::ratio, problems)?;
        if (1e-8..=0.1).contains(&share) {
            return Some(share);
        }
        let report = Report::error(Code::Limit, node.at, "`false_rollback` is out of range");
        problems.push(report.help("from 0.000001% to 10%; 0.01% is the default"));
        None
    });
    fields.set("client_key", &mut guards.client_key, problems, client_key);
    fields.set("error_status", &mut guards.error_status, problems, |node, problems| {
        let choices = [("5xx", ErrorStatus::Server), ("4xx", ErrorStatus::ClientAndServer)];
        fields::choice(node, &choices, problems)
    });
    fields.set("on_breach", &mut guards.on_breach, problems, |node, problems| {
        let choices =
            [("rollback", OnBreach::Rollback), ("pause", OnBreach::Pause), ("notify", OnBreach::Notify)];
        fields::choice(node, &choices, problems)
    });
    fields.set("no_traffic", &mut guards.no_traffic, problems, |node, problems| {
        let choices =
            [("hold", NoTraffic::Hold), ("promote", NoTraffic::Promote), ("rollback", NoTraffic::Rollback)];
        fields::choice(node, &choices, problems)
    });
    Some(guards)
}

/// `800ms`, `+20%`, `+30ms` or a list of a ceiling and a difference.
fn latency(node: &Node, problems: &mut Problems) -> Option<LatencyGuard> {
    let items = fields::one_or_more(node, "a latency guard is a duration, a difference, or both", problems)?;
    let (mut ceiling_us, mut slack) = (None, None);
    for item in items {
        let written = fields::text(item, problems)?;
        let twice = match age(written) {
            Ok(Age::Ceiling(us)) => ceiling_us.replace(us).is_some(),
            Ok(Age::Slack(it)) => slack.replace(it).is_some(),
            Err(message) => {
                let report = Report::error(Code::Guard, item.at, message);
                problems.push(report.help(
                    "a ceiling: 800ms; slower than stable by: +20% or +30ms; both: [800ms, +20%]; or off",
                ));
                return None;
            }
        };
        if twice {
            problems.push(Report::error(Code::Guard, item.at, "one ceiling and one difference at most"));
            return None;
        }
    }
    Some(LatencyGuard { ceiling_us, slack: slack.unwrap_or_default() })
}

enum Age {
    Ceiling(u64),
    Slack(Slack),
}

fn age(written: &str) -> Result<Age, String> {
    let us = |text: &str| text::duration(text).map(|it| u64::try_from(it.as_micros()).unwrap_or(u64::MAX));
    match written.strip_prefix('+') {
        None if written.ends_with('%') => {
            Err(format!("a difference begins with a plus: +{}", shown(written)))
        }
        None => match us(written)? {
            0 => Err("nothing is answered in no time".into()),
            us => Ok(Age::Ceiling(us)),
        },
        // A share of next to nothing is next to nothing: what the clock and the buckets blur stays allowed.
        Some(share) if share.ends_with('%') => {
            Ok(Age::Slack(Slack { relative: text::ratio(share)?, ..Slack::default() }))
        }
        Some(time) => Ok(Age::Slack(Slack { relative: 0.0, absolute_us: us(time)? })),
    }
}

/// `address`, `{header: x-user}` or `{cookie: session}`.
fn client_key(node: &Node, problems: &mut Problems) -> Option<StickyBy> {
    if node.is_word("address") {
        return Some(StickyBy::Address);
    }
    let fields = Fields::of(node, node.at, &CLIENT_KEY, problems)?;
    match (fields.get("header"), fields.get("cookie")) {
        (Some(name), None) => {
            condition::token(name, problems).map(|it| StickyBy::Header(it.to_ascii_lowercase()))
        }
        (None, Some(name)) => condition::token(name, problems).map(StickyBy::Cookie),
        _ => {
            let report = Report::error(Code::Guard, node.at, "who is a client: one header or one cookie?");
            problems.push(report.help("address, {header: x-user} or {cookie: session}"));
            None
        }
    }
}

/// `{within: 0.5pp, after: 30s, requests: 500}`.
fn pass(node: &Node, problems: &mut Problems) -> Option<Pass> {
    let fields = Fields::of(node, node.at, &PASS, problems)?;
    let mut it = Pass::default();
    fields.set("within", &mut it.within, problems, |node, problems| {
        let written = fields::text(node, problems)?;
        match promise(&format!("+{written}")) {
            Ok(Promise::Tolerance(within)) if within.absolute > 0.0 || within.relative > 0.0 => Some(within),
            _ => {
                let report = Report::error(Code::Guard, node.at, "`within` is a difference above nothing");
                problems.push(report.help("for example 0.5pp, or 50% of stable's rate"));
                None
            }
        }
    });
    fields.set("after", &mut it.after, problems, |node, problems| {
        fields::parsed(node, text::duration, problems)
    });
    fields.set("requests", &mut it.requests, problems, |node, problems| {
        fields::integer(node, 1, 1_000_000_000, problems)
    });
    Some(it)
}

/// `1%`, `+0.5pp`, `+10%` or `[2%, +0.5pp]`.
fn errors(node: &Node, problems: &mut Problems) -> Option<ErrorGuard> {
    let items = fields::one_or_more(node, "`errors` is a share, a difference, or both in a list", problems)?;
    let (mut ceiling, mut tolerance) = (None, None);
    for item in items {
        let written = fields::text(item, problems)?;
        let twice = match promise(written) {
            Ok(Promise::Ceiling(share)) => ceiling.replace(share).is_some(),
            Ok(Promise::Tolerance(difference)) => tolerance.replace(difference).is_some(),
            Err(message) => {
                let report = Report::error(Code::Guard, item.at, message);
                problems
                    .push(report.help("a ceiling: 1%; a difference from stable: +0.5pp; both: [2%, +0.5pp]"));
                return None;
            }
        };
        if twice {
            problems.push(Report::error(Code::Guard, item.at, "one ceiling and one difference at most"));
            return None;
        }
    }
    Some(ErrorGuard { ceiling, tolerance: tolerance.unwrap_or_default() })
}

enum Promise {
    Ceiling(f64),
    Tolerance(Tolerance),
}

fn promise(written: &str) -> Result<Promise, String> {
    let Some(difference) = written.strip_prefix('+') else {
        if written.ends_with("pp") {
            return Err(format!("a difference begins with a plus: +{}", shown(written)));
        }
        let share = text::ratio(written)?;
        if share <= 0.0 || share >= 1.0 {
            return Err("a ceiling lies between 0% and 100%".into());
        }
        return Ok(Promise::Ceiling(share));
    };
    // A difference that is written replaces both halves of the default: who allows half a point does
    // not also allow a tenth of a high rate.
    match difference.strip_suffix("pp") {
        Some(points) => {
            let absolute = text::ratio(&format!("{points}%"))?;
            Ok(Promise::Tolerance(Tolerance { absolute, relative: 0.0 }))
        }
        None => Ok(Promise::Tolerance(Tolerance { absolute: 0.0, relative: text::ratio(difference)? })),
    }
}
